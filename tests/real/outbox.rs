//! What the team sees of what was sent: the copy in Sent, one of each, and the marked parent.

use crate::furnished::{furnished, furnished_with, upstream};
use crate::support::dovecot::{self, SUPPORT};
use crate::support::smtp::SmtpReply;
use crate::support::{ALICE, BOB, Imap, Scene, Smtp, eventually};

/// An answer to `parent`, if there is one, with a body of its own.
fn answer(id: &str, parent: &str, body: &str) -> Vec<u8> {
    let reply = if parent.is_empty() { String::new() } else { format!("In-Reply-To: <{parent}>\r\n") };
    format!(
        "From: {SUPPORT}\r\nTo: customer@example.net\r\nSubject: Re: question\r\n{reply}\
         Message-ID: <{id}>\r\nDate: Sat, 21 Nov 2026 11:00:00 +0000\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// A message that names no other one, and has one attached.
fn attaching(id: &str, attached: &str) -> Vec<u8> {
    format!(
        "From: {SUPPORT}\r\nTo: customer@example.net\r\nSubject: please see\r\nMessage-ID: <{id}>\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below.\r\n--b\r\n\
         Content-Type: message/rfc822\r\n\r\nFrom: a@example.net\r\nMessage-ID: <{attached}>\r\n\r\nx\r\n--b--\r\n"
    )
    .into_bytes()
}

fn hand_in(smtp: &mut Smtp, message: &[u8]) -> SmtpReply {
    smtp.expect(250, &format!("MAIL FROM:<{SUPPORT}>"));
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp.expect(250, "RCPT TO:<secret@example.net>");
    smtp.data(message)
}

#[track_caller]
fn send(scene: &Scene, who: &str, message: &[u8]) {
    let reply = hand_in(&mut scene.smtp(who), message);
    assert_eq!(reply.code, 250, "{reply}\n{}", scene.proxy.log());
}

/// UIDs in Sent with this Message-ID.
fn copies(scene: &Scene, id: &str) -> Vec<u32> {
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("EXAMINE Sent");
    let reply = imap.ok(&format!("UID SEARCH HEADER Message-ID <{id}>"));
    let line = reply.lines().into_iter().find(|line| line.starts_with("* SEARCH")).unwrap_or_default();
    line["* SEARCH".len()..].split_whitespace().map(|uid| uid.parse().unwrap()).collect()
}

fn body(imap: &mut Imap, uid: u32) -> Vec<u8> {
    imap.ok(&format!("UID FETCH {uid} BODY.PEEK[]")).literal().unwrap()
}

/// A session whose connection to Postfix is there already: a new login would need Dovecot.
fn logged_in_to_the_host(scene: &Scene) -> Smtp {
    let mut smtp = scene.smtp(BOB);
    assert_eq!(hand_in(&mut smtp, &answer("before@example.org", "", "body")).code, 250);
    settled(scene);
    smtp
}

/// Waits until the outbox has nothing left to do.
pub(crate) fn settled(scene: &Scene) {
    eventually("the outbox is empty", || {
        let list = scene.proxy.run(&["outbox", "list", "--json"], "");
        (list.trim() == "[]").then_some(())
    });
}

#[test]
fn the_copy_is_in_sent_as_it_went_out() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "bcc_in_sent=false"], "");
    let before = minute();
    send(&scene, BOB, &answer("one@example.org", "", ".a line with a dot\r\n..\r\nlast"));
    let went = scene.sink.wait(1)[0].message();
    eventually("the copy is filed", || (copies(&scene, "one@example.org").len() == 1).then_some(()));
    settled(&scene);
    let uid = copies(&scene, "one@example.org")[0];
    let sent = upstream(&scene);
    let copy = &sent.folders["Sent"].messages[&uid];
    assert!(copy.flags.iter().any(|flag| flag == "\\Seen"), "{copy:?}");
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("EXAMINE Sent");
    let filed = body(&mut imap, uid);
    // Postfix puts its own trace in front of what it was handed.
    let went = String::from_utf8_lossy(&went).into_owned();
    let filed = String::from_utf8_lossy(&filed).into_owned();
    assert!(went.ends_with(&filed), "{filed}\n---\n{went}");
    assert!(!filed.contains("secret@example.net"));
    let date = imap.ok(&format!("UID FETCH {uid} INTERNALDATE")).to_string();
    assert!(date.contains(&before[..11]), "{date} {before}");
    assert!(std::fs::read_dir(scene.proxy.state().join("spool")).unwrap().next().is_none());
}

/// The day, as INTERNALDATE writes it.
fn minute() -> String {
    jiff::Timestamp::now().strftime("%d-%b-%Y %H:%M").to_string()
}

#[test]
fn the_copy_keeps_its_bcc() {
    let scene = furnished();
    send(&scene, BOB, &answer("bcc@example.org", "", "x"));
    eventually("the copy is filed", || (copies(&scene, "bcc@example.org").len() == 1).then_some(()));
    let uid = copies(&scene, "bcc@example.org")[0];
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("EXAMINE Sent");
    let filed = String::from_utf8(body(&mut imap, uid)).unwrap();
    assert!(filed.contains("\r\nBcc: secret@example.net\r\n\r\nx"), "{filed}");
    assert!(!scene.sink.wait(1)[0].text().contains("Bcc"));
}

#[test]
fn a_client_that_stores_its_own_copy_makes_no_double() {
    let scene = furnished();
    let message = answer("double@example.org", "", &"a line\r\n".repeat(100));
    send(&scene, BOB, &message);
    let mut imap = scene.imap(BOB);
    let stored = imap.append("Sent", "\\Seen", &message);
    assert!(stored.is_ok() && stored.to_string().contains("[APPENDUID "), "{stored}");
    settled(&scene);
    assert_eq!(copies(&scene, "double@example.org").len(), 1);
    // Once each: another copy is another message.
    assert!(imap.append("Sent", "\\Seen", &message).is_ok());
    assert_eq!(copies(&scene, "double@example.org").len(), 2);
    // A second version and a migration are stored.
    let version = answer("double@example.org", "", &"a line\r\n".repeat(110));
    assert!(imap.append("Sent", "\\Seen", &version).is_ok());
    assert!(imap.append("Sent", "\\Seen", &answer("old@example.org", "", "x")).is_ok());
    assert_eq!((copies(&scene, "double@example.org").len(), copies(&scene, "old@example.org").len()), (3, 1));
}

#[test]
fn a_client_that_stores_its_copy_first_makes_no_double() {
    let scene = furnished();
    let message = answer("first@example.org", "", "body");
    assert!(scene.imap(BOB).append("Sent", "\\Seen", &message).is_ok());
    send(&scene, BOB, &message);
    settled(&scene);
    assert_eq!(copies(&scene, "first@example.org").len(), 1);
    // Somebody else's copy of the same name is none of it.
    assert!(scene.imap(ALICE).append("Sent", "\\Seen", &message).is_ok());
    assert_eq!(copies(&scene, "first@example.org").len(), 2);
}

#[test]
fn a_copy_outlives_a_dead_mail_host_and_a_killed_daemon() {
    let mut scene = furnished();
    let mut smtp = logged_in_to_the_host(&scene);
    scene.dovecot.stop();
    let reply = hand_in(&mut smtp, &answer("late@example.org", "", "body"));
    assert_eq!(reply.code, 250, "{reply}");
    let list = eventually("the outbox says why", || {
        let list = scene.proxy.run(&["outbox", "list"], "");
        list.contains("the mail host ").then_some(list)
    });
    assert!(list.contains("filing") && list.contains("<late@example.org>") && list.contains(BOB), "{list}");
    scene.proxy.kill();
    scene.dovecot.resume();
    scene.proxy.restart();
    settled(&scene);
    assert_eq!(copies(&scene, "late@example.org").len(), 1);
}

#[test]
fn what_was_filed_before_a_crash_is_not_filed_again() {
    let mut scene = furnished();
    send(&scene, BOB, &answer("once@example.org", "", "body"));
    eventually("the copy is filed", || (copies(&scene, "once@example.org").len() == 1).then_some(()));
    // Within the second in which the record of it may be unwritten, most times.
    scene.proxy.kill();
    scene.proxy.restart();
    settled(&scene);
    assert_eq!(copies(&scene, "once@example.org").len(), 1);
}

#[test]
fn the_parent_is_marked_for_everybody() {
    let scene = furnished();
    send(&scene, BOB, &answer("reply@example.org", "q1@example.net", "body"));
    let forward = String::from_utf8(answer("fwd@example.org", "q2@example.net", "body")).unwrap();
    send(&scene, ALICE, forward.replace("Re: question", "Fwd: question").as_bytes());
    send(&scene, ALICE, &attaching("attached@example.org", "q3@example.net"));
    settled(&scene);
    let inbox = &upstream(&scene).folders["INBOX"].messages.clone();
    assert!(inbox[&1].flags.iter().any(|flag| flag == "\\Answered"), "{:?}", inbox[&1]);
    assert!(inbox[&2].flags.iter().any(|flag| flag == "$Forwarded"), "{:?}", inbox[&2]);
    assert!(!inbox[&2].flags.iter().any(|flag| flag == "\\Answered"));
    assert!(inbox[&3].flags.iter().any(|flag| flag == "$Forwarded"), "as an attachment: {:?}", inbox[&3]);
    let told = scene.proxy.run(&["message", "q1@example.net"], "");
    assert!(told.contains(BOB) && told.contains("answered it"), "{told}");
    let told = scene.proxy.run(&["message", "<fwd@example.org>"], "");
    assert!(told.contains("sent it") && told.contains("its copy is filed in Sent"), "{told}");
}

#[test]
fn two_answers_to_one_message() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "collision_minutes=30"], "");
    let racing: Vec<_> = [(ALICE, "a@example.org"), (BOB, "b@example.org")]
        .map(|(who, id)| (scene.smtp(who), answer(id, "q1@example.net", "body")))
        .into_iter()
        .collect();
    let codes: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = racing
            .into_iter()
            .map(|(mut smtp, message)| scope.spawn(move || hand_in(&mut smtp, &message).code))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [250, 550], "exactly one passes");
    let (second, first) = if codes[0] == 550 { (ALICE, BOB) } else { (BOB, ALICE) };
    let mut smtp = scene.smtp(second);
    let again = hand_in(&mut smtp, &answer("c@example.org", "q3@example.net", "another question"));
    assert_eq!(again.code, 250, "{again}");
    let third = answer("d@example.org", "q3@example.net", "x");
    let refused = hand_in(&mut scene.smtp(first), &third);
    assert!(refused.code == 550 && refused.to_string().contains(second), "{refused}");
    assert!(refused.to_string().contains("customer@example.net"), "{refused}");
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert_eq!(hand_in(&mut scene.smtp(first), &third).code, 550, "a queue's retry");
    let meant = answer("e@example.org", "q3@example.net", "x");
    assert_eq!(hand_in(&mut scene.smtp(first), &meant).code, 250, "sent anew");
    // What is in no folder that they may read is no message of the mailbox.
    for (who, id) in [(ALICE, "f@example.org"), (BOB, "g@example.org")] {
        assert_eq!(hand_in(&mut scene.smtp(who), &answer(id, "unknown@example.net", "x")).code, 250);
    }
}

#[test]
fn the_outbox_is_bounded() {
    let mut scene = furnished_with(dovecot::Settings::default(), "[outbox]\nentries = 1\n");
    let mut smtp = logged_in_to_the_host(&scene);
    scene.dovecot.stop();
    assert_eq!(hand_in(&mut smtp, &answer("1@example.org", "", "body")).code, 250);
    let full = smtp.command(&format!("MAIL FROM:<{SUPPORT}>"));
    assert!(full.to_string().starts_with("452 4.3.1 "), "{full}");
    let list = scene.proxy.run(&["outbox", "list", "--json"], "");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let id = format!("o{}", list[0]["id"]);
    let told = eventually("the message can be dropped", || {
        let output = scene.proxy.command(&["outbox", "drop", &id], "");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert!(told.contains("filed nowhere"), "{told}");
    scene.dovecot.resume();
    assert_eq!(hand_in(&mut smtp, &answer("2@example.org", "", "body")).code, 250);
    settled(&scene);
    assert_eq!((copies(&scene, "1@example.org").len(), copies(&scene, "2@example.org").len()), (0, 1));
}

#[test]
fn who_files_is_an_option() {
    let scene = furnished();
    let message = answer("client@example.org", "", "body");
    scene.proxy.run(&["mailbox", "set", SUPPORT, "sent_copy=client"], "");
    send(&scene, BOB, &message);
    assert!(scene.imap(BOB).append("Sent", "\\Seen", &message).is_ok());
    assert_eq!(copies(&scene, "client@example.org").len(), 1);
    let message = answer("host@example.org", "", "body");
    scene.proxy.run(&["mailbox", "set", SUPPORT, "sent_copy=upstream"], "");
    send(&scene, BOB, &message);
    assert!(scene.imap(BOB).append("Sent", "\\Seen", &message).is_ok());
    settled(&scene);
    assert_eq!(copies(&scene, "host@example.org").len(), 0, "the host would file it");
}
