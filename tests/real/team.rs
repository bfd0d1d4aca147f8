//! A day of three people with one mailbox, each with a client of their own.

use serde_json::json;

use crate::clients::{OfflineImap, msmtp, swaks};
use crate::day::neomutt;
use crate::furnished::{assert_unchanged, message, upstream};
use crate::outbox::settled;
use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, BOB, CAROL, Scene, eventually};
use crate::thunderbird_client::{Thunderbird, View};

/// Folder, subject and flags of every message, as the mail host has them.
fn listed(scene: &Scene) -> String {
    let mut imap = scene.dovecot.login(SUPPORT);
    let mut rows = Vec::new();
    for folder in ["INBOX", "Drafts", "Sent", "Archive/2026", "Trash", "Junk"] {
        imap.ok(&format!("EXAMINE {folder}"));
        for response in imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged {
            let text = String::from_utf8_lossy(&response).into_owned();
            let Some((_, subject)) = text.split_once("Subject: ") else { continue };
            let subject = subject.split("\r\n").next().unwrap();
            let flags = text.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
            let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
            flags.sort_unstable();
            rows.push(format!("{folder:<12} {subject:<15} {}", flags.join(" ")).trim_end().to_owned());
        }
    }
    rows.sort();
    rows.join("\n")
}

/// Alice answers the third question in Thunderbird, archives the first and throws the fourth away.
#[track_caller]
fn alice(scene: &Scene) {
    let mut thunderbird = Thunderbird::open(scene, ALICE, View::Account);
    let inbox = json!("INBOX");
    thunderbird.act("folders", &[json!(["INBOX", "Archive", "Sent", "Trash"])]);
    let reply = [inbox.clone(), json!("question 3"), json!("Like this.\n"), json!(1)];
    assert_eq!(thunderbird.act("reply", &reply), json!(["sent"]));
    for (command, subject) in [("cmd_archive", "question 1"), ("cmd_delete", "question 4")] {
        let removal = [json!(command), json!(true), inbox.clone(), json!(subject), json!("Sent")];
        assert_eq!(thunderbird.act("remove", &removal), "done");
    }
    assert!(thunderbird.told().is_empty());
    let left = || scene.dovecot.snapshot(SUPPORT).folders["INBOX"].messages.len() == 2;
    eventually("the mail host has it all", || left().then_some(()));
}

/// Run with `--nocapture` to see the mailbox as it is in the evening.
#[test]
fn a_team_answers_each_question_once() {
    let scene = Scene::open();
    for number in 1..=4 {
        scene.dovecot.deliver(SUPPORT, "INBOX", &message(number));
    }

    // Bob answers the first by msmtp and the second in neomutt, which stores a copy itself; a
    // script of his sends a notice by swaks.
    let (ended, session) = msmtp(&scene, BOB, BOB, None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    settled(&scene);
    let keys = "<first-entry><next-entry><display-message><exit><reply><send-message><sync-mailbox><quit>";
    neomutt(&scene, BOB, View::Account, keys);
    let (ended, session) = swaks(&scene, BOB, SUPPORT, None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    settled(&scene);
    alice(&scene);
    settled(&scene);
    // Carol reads it all, and marks for herself.
    let evening = upstream(&scene);
    let carol = OfflineImap::new(&scene, CAROL);
    carol.run(&scene);
    assert_eq!(carol.mail.files("INBOX").len(), 2);
    assert_eq!(carol.mail.files("Sent").len(), 4);
    carol.mail.mark("INBOX", 2, "FS");
    carol.run(&scene);
    assert_unchanged(&scene, &evening, "carol");

    for sent in scene.sink.wait(4) {
        assert_eq!(sent.header("From"), ["\"Example Support\" <support@example.org>"], "{}", sent.text());
    }
    let table = listed(&scene);
    println!("{table}");
    let expected = [
        r"Archive/2026 question 1      \Answered \Seen",
        r"INBOX        question 2      \Answered \Seen",
        r"INBOX        question 3      \Answered \Seen",
        r"Sent         Re: question 2  \Seen",
        r"Sent         Re: question 3  \Seen",
        r"Sent         by msmtp        \Seen",
        r"Sent         by swaks        \Seen",
        r"Trash        question 4      \Seen",
    ];
    assert_eq!(table, expected.join("\n"), "{}", scene.proxy.log());
}
