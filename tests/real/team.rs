//! A day of three people with one mailbox, each with a client of their own.

use std::process::Command;

use crate::clients::{OfflineImap, msmtp};
use crate::day::neomutt;
use crate::furnished::{assert_unchanged, message, upstream};
use crate::outbox::settled;
use crate::support::dovecot::SUPPORT;
use crate::support::{BOB, CAROL, Scene};

/// Folder, subject and flags of every message, as the mail host has them.
fn listed(scene: &Scene) -> String {
    let mut imap = scene.dovecot.login(SUPPORT);
    let mut rows = Vec::new();
    for folder in ["INBOX", "Drafts", "Sent", "Archive", "Trash", "Junk"] {
        imap.ok(&format!("EXAMINE {folder}"));
        for response in imap.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged {
            let text = String::from_utf8_lossy(&response).into_owned();
            let Some((_, subject)) = text.split_once("Subject: ") else { continue };
            let subject = subject.split("\r\n").next().unwrap();
            let flags = text.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
            let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
            flags.sort_unstable();
            rows.push(format!("{folder:<8} {subject:<15} {}", flags.join(" ")).trim_end().to_owned());
        }
    }
    rows.sort();
    rows.join("\n")
}

/// Alice has her part in `manager.py`.
#[track_caller]
fn alice(scene: &Scene) {
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/clients/manager.py");
    let (imap, smtp) = (scene.proxy.imaps().port().to_string(), scene.proxy.submissions().port().to_string());
    let mut command = Command::new("timeout");
    command.args(["60", "python3", driver, &imap, &smtp]).arg(scene.ca.file());
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\n{}", scene.proxy.log());
}

/// Run with `--nocapture` to see the mailbox as it is in the evening.
#[test]
fn a_team_answers_each_question_once() {
    let scene = Scene::open();
    for number in 1..=4 {
        scene.dovecot.deliver(SUPPORT, "INBOX", &message(number));
    }

    // Bob answers the first by msmtp and the second in neomutt, which stores a copy itself.
    let (ended, session) = msmtp(&scene, BOB, BOB, None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    settled(&scene);
    let keys = "<first-entry><next-entry><display-message><exit><reply><send-message><sync-mailbox><quit>";
    neomutt(&scene, BOB, keys);
    settled(&scene);
    // Alice answers the third, archives what is done and throws the last one away.
    alice(&scene);
    settled(&scene);
    // Carol reads it all, and marks for herself.
    let evening = upstream(&scene);
    let carol = OfflineImap::new(&scene, CAROL);
    carol.run(&scene);
    assert_eq!(carol.mail.files("INBOX").len(), 2);
    assert_eq!(carol.mail.files("Sent").len(), 3);
    carol.mail.mark("INBOX", 2, "FS");
    carol.run(&scene);
    assert_unchanged(&scene, &evening, "carol");

    for sent in scene.sink.wait(3) {
        assert_eq!(sent.header("From"), ["\"Example Support\" <support@example.org>"], "{}", sent.text());
    }
    let table = listed(&scene);
    println!("{table}");
    let expected = [
        r"Archive  question 1      \Answered",
        r"INBOX    question 2      \Answered \Seen",
        r"INBOX    question 3      \Answered \Seen",
        r"Sent     Re: question 2  \Seen",
        r"Sent     Re: question 3  \Seen",
        r"Sent     by msmtp        \Seen",
        "Trash    question 4",
    ];
    assert_eq!(table, expected.join("\n"), "{}", scene.proxy.log());
}
