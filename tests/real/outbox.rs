//! What the team sees of what was sent: the copy in Sent, one of each, and the marked parent.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::furnished::{furnished, furnished_with, upstream};
use crate::support::dovecot::{self, SUPPORT, SUPPORT_PASSWORD};
use crate::support::scene::password;
use crate::support::smtp::SmtpReply;
use crate::support::{ALICE, BOB, Dovecot, Imap, Scene, Smtp, eventually};

/// An answer to `parent`, if there is one, with a body of its own.
pub(crate) fn answer(id: &str, parent: &str, body: &str) -> Vec<u8> {
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

pub(crate) fn hand_in(smtp: &mut Smtp, message: &[u8]) -> SmtpReply {
    smtp.expect(250, &format!("MAIL FROM:<{SUPPORT}>"));
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp.expect(250, "RCPT TO:<secret@example.net>");
    smtp.data(message)
}

#[track_caller]
pub(crate) fn send(scene: &Scene, who: &str, message: &[u8]) {
    let reply = hand_in(&mut scene.smtp(who), message);
    assert_eq!(reply.code, 250, "{reply}\n{}", scene.proxy.log());
}

/// UIDs in Sent with this Message-ID.
fn copies(scene: &Scene, id: &str) -> Vec<u32> {
    copies_of(scene, SUPPORT, id)
}

/// The same in any account of the mail host.
pub(crate) fn copies_of(scene: &Scene, account: &str, id: &str) -> Vec<u32> {
    let mut imap = scene.dovecot.login(account);
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
    assert_eq!(sha256(as_handed_in(&went, filed.len())), sha256(&filed));
    assert!(!String::from_utf8_lossy(&filed).contains("secret@example.net"));
    let date = imap.ok(&format!("UID FETCH {uid} INTERNALDATE")).to_string();
    assert!(date.contains(&before[..11]), "{date} {before}");
    eventually("the spool is empty", || {
        std::fs::read_dir(scene.proxy.state().join("spool")).unwrap().next().is_none().then_some(())
    });
}

/// The last octets of what came out of Postfix, which puts nothing but its own trace before
/// what it was handed.
#[track_caller]
fn as_handed_in(went: &[u8], octets: usize) -> &[u8] {
    let (trace, message) = went.split_at(went.len() - octets);
    let trace = String::from_utf8_lossy(trace).replace("\r\n\t", " ").replace("\r\n ", " ");
    for field in trace.split_terminator("\r\n") {
        assert!(field.starts_with("Received: ") || field.starts_with("Return-Path: "), "{field:?}");
    }
    message
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref().to_vec()
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
    // But for that field, it is what went out.
    let without = filed.replacen("Bcc: secret@example.net\r\n", "", 1);
    let went = scene.sink.wait(1)[0].message();
    assert_eq!(sha256(as_handed_in(&went, without.len())), sha256(without.as_bytes()));
    assert!(!String::from_utf8_lossy(&went).contains("Bcc"));
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
    assert_eq!(scene.proxy.run(&["explain", "q1@example.net"], ""), told);
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
fn a_forward_as_an_attachment_is_no_answer() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "collision_minutes=30"], "");
    let forward = String::from_utf8(attaching("attached@example.org", "q1@example.net")).unwrap();
    let forward = forward.replace("Subject:", "In-Reply-To: <q1@example.net>\r\nSubject:");
    send(&scene, ALICE, forward.as_bytes());
    send(&scene, BOB, &answer("b@example.org", "q1@example.net", "body"));
    settled(&scene);
    let flags = &upstream(&scene).folders["INBOX"].messages[&1].flags.clone();
    let has = |mark: &str| flags.iter().any(|flag| flag == mark);
    assert!(has("$Forwarded") && has("\\Answered"), "{flags:?}");
}

#[test]
fn a_host_that_says_nothing_of_our_copy_makes_no_double() {
    let scene = furnished();
    let message = answer("mute@example.org", "", "body");
    let mut imap = scene.imap(BOB);
    send(&scene, BOB, &message);
    settled(&scene);
    scene.dovecot.freeze();
    let stored = imap.append("Sent", "\\Seen", &message);
    scene.dovecot.thaw();
    assert!(stored.is_ok() && stored.to_string().contains("[APPENDUID "), "{stored}");
    assert_eq!(copies(&scene, "mute@example.org").len(), 1);
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
fn one_person_cannot_fill_the_outbox() {
    let extra = "[outbox]\nentries = 4\nuser_percent = 50\n";
    let mut scene = furnished_with(dovecot::Settings::default(), extra);
    let (mut bob, mut alice) = (logged_in_to_the_host(&scene), scene.smtp(ALICE));
    assert_eq!(hand_in(&mut alice, &answer("alice@example.org", "", "body")).code, 250);
    settled(&scene);
    scene.dovecot.stop();
    for id in ["1@example.org", "2@example.org"] {
        assert_eq!(hand_in(&mut bob, &answer(id, "", "body")).code, 250);
    }
    let full = bob.command(&format!("MAIL FROM:<{SUPPORT}>")).to_string();
    assert!(full.starts_with("452 4.3.1 ") && full.contains("of yours"), "{full}");
    assert_eq!(hand_in(&mut alice, &answer("3@example.org", "", "body")).code, 250, "there is room for her");
    scene.dovecot.resume();
    assert_eq!(eventually_sent(&mut bob, &answer("4@example.org", "", "body")), 250);
    settled(&scene);
    for id in ["1@example.org", "2@example.org", "3@example.org", "4@example.org"] {
        assert_eq!(copies(&scene, id).len(), 1, "{id}");
    }
}

/// Hands in until there is room.
fn eventually_sent(smtp: &mut Smtp, message: &[u8]) -> u16 {
    eventually("there is room", || {
        smtp.command(&format!("MAIL FROM:<{SUPPORT}>")).code.eq(&250).then_some(())
    });
    smtp.command("RSET");
    hand_in(smtp, message).code
}

pub(crate) const INFO: &str = "info@example.org";

/// A mailbox on a host of its own, which does not answer: its messages are put off together, and
/// those of others are filed.
#[test]
fn a_dead_host_keeps_nobody_elses_copies_waiting() {
    let users = [SUPPORT, INFO].map(|user| (user.to_owned(), SUPPORT_PASSWORD.to_owned()));
    let settings = dovecot::Settings { users: users.into(), ..dovecot::Settings::default() };
    let scene = furnished_with(settings.clone(), "");
    let second = Dovecot::with(scene.ca.localhost(), settings);
    let (imap, smtp) = (second.imaps().port(), scene.postfix.submissions().port());
    let (imap, smtp, ca_file) = (format!("localhost:{imap}"), format!("localhost:{smtp}"), scene.ca.file());
    let upstream = ["--imap", &imap, "--smtp", &smtp, "--ca-file", ca_file.to_str().unwrap()];
    let arguments = [&["mailbox", "add", INFO, "--password-stdin"], &upstream[..]].concat();
    scene.proxy.run(&arguments, &format!("{SUPPORT_PASSWORD}\n"));
    scene.proxy.run(&["grant", "add", BOB, INFO, "responder"], "");
    second.freeze();
    let mut smtp = scene.proxy.smtp(&scene.ca, &format!("{BOB}/{INFO}"), &password(BOB));
    for id in 1..=3 {
        let message = answer(&format!("{id}@info.example.org"), "", "body");
        let message = String::from_utf8(message).unwrap().replace(SUPPORT, INFO);
        smtp.expect(250, &format!("MAIL FROM:<{INFO}>"));
        smtp.expect(250, "RCPT TO:<customer@example.net>");
        assert_eq!(smtp.data(message.as_bytes()).code, 250);
    }
    send(&scene, BOB, &answer("live@example.org", "", "body"));
    eventually("the other host's copy is filed", || {
        (copies(&scene, "live@example.org").len() == 1).then_some(())
    });
    let tries = eventually("the dead host is given up for now", || {
        let list: serde_json::Value =
            serde_json::from_str(&scene.proxy.run(&["outbox", "list", "--json"], "")).unwrap();
        let tries: Vec<_> =
            list.as_array().unwrap().iter().map(|row| row["tries"].as_u64().unwrap()).collect();
        tries.iter().any(|tries| *tries > 0).then_some(tries)
    });
    assert!(tries.len() == 3 && tries.iter().all(|tries| *tries > 0), "{tries:?}");
    second.thaw();
}

/// The scripts that Debian's msmtp brings: a message in a queue, sent again until it goes.
#[test]
fn a_queue_that_tries_again_does_not_answer_twice() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "collision_minutes=30"], "");
    for (id, parent) in [("1@example.org", "q1@example.net"), ("3@example.org", "q3@example.net")] {
        send(&scene, ALICE, &answer(id, parent, "body"));
    }
    settled(&scene);
    let home = tempfile::tempdir().unwrap();
    let queue = home.path().join(".msmtpqueue");
    std::fs::create_dir(&queue).unwrap();
    let settings = format!(
        "account default\nhost localhost\nport {}\ntls on\ntls_starttls off\ntls_trust_file {}\n\
         auth plain\nuser {BOB}/{SUPPORT}\npassword \"{}\"\nset_msgid_header off\n",
        scene.proxy.submissions().port(),
        scene.ca.file().display(),
        password(BOB),
    );
    let file = home.path().join(".msmtprc");
    std::fs::write(&file, settings).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let script = |name: &str, arguments: &[&str], input: &[u8]| {
        let path = format!("/usr/libexec/msmtp/msmtpqueue/{name}");
        let mut child = Command::new("timeout")
            .args(["60", "sh", &path])
            .args(arguments)
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let waiting = || {
        std::fs::read_dir(&queue)
            .unwrap()
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "mail"))
            .count()
    };
    // As a mail program writes it, and as a script does: without Message-ID, and a Date that
    // msmtp writes anew each time.
    let whole = answer("second@example.org", "q1@example.net", "body");
    let bare = format!("From: {SUPPORT}\nTo: customer@example.net\nIn-Reply-To: <q3@example.net>\n\nbody\n");
    for message in [whole.as_slice(), bare.as_bytes()] {
        script("msmtp-enqueue.sh", &["--read-envelope-from", "--read-recipients"], message);
    }
    assert_eq!(waiting(), 2);
    for _ in 0..3 {
        let said = script("msmtp-runqueue.sh", &[], b"");
        assert!(said.matches("550 5.7.1 ").count() == 2 && said.contains(ALICE), "{said}");
        assert_eq!(waiting(), 2, "it keeps what was refused, and tries again");
    }
    assert_eq!(scene.sink.wait(2).len(), 2, "hers alone went out");
}

/// Two people, two programs, one second.
#[test]
fn swaks_twice_at_once_is_one_answer() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "collision_minutes=30"], "");
    let server = format!("localhost:{}", scene.proxy.submissions().port());
    let start = |who: &str| {
        Command::new("timeout")
            .args(["60", "swaks", "--server", &server, "--tls-on-connect", "--auth", "PLAIN"])
            .args(["--auth-user", &format!("{who}/{SUPPORT}"), "--auth-password", &password(who)])
            .args([
                "--from",
                SUPPORT,
                "--to",
                "customer@example.net",
                "--header",
                "In-Reply-To: <q2@example.net>",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(ALICE), start(BOB)];
    let ended = both.map(|child| child.wait_with_output().unwrap());
    let mut codes = ended.each_ref().map(|output| output.status.code());
    codes.sort_unstable();
    // 26: refused after DATA, as swaks counts.
    assert_eq!(codes, [Some(0), Some(26)], "{ended:?}");
    settled(&scene);
    // It writes a Message-ID of its own each time: started again by hand, it means it.
    let refused = if ended[0].status.success() { BOB } else { ALICE };
    assert_eq!(start(refused).wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(scene.sink.wait(2).len(), 2);
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
