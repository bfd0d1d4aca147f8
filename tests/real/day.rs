//! Every role does a day's work, and the mail host is compared before and after.

use std::process::Command;

use crate::furnished::{assert_changes, assert_unchanged, furnished, upstream};
use crate::support::Scene;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/day.py");

/// The day of one role through Python's imaplib and smtplib.
#[track_caller]
fn python(scene: &Scene, role: &str) {
    let (imap, smtp) = (scene.proxy.imaps().port().to_string(), scene.proxy.submissions().port().to_string());
    let mut command = Command::new("python3");
    command.args([SCRIPT, role, &imap, &smtp]).arg(scene.ca.file());
    let output = command.output().expect("python3 is part of every Debian");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\n{}", scene.proxy.log());
}

#[test]
fn a_readers_day_changes_nothing() {
    let scene = furnished();
    let before = upstream(&scene);
    python(&scene, "reader");
    assert_unchanged(&scene, &before, "reader");
    assert!(scene.sink.commands().is_empty(), "{:?}", scene.sink.commands());
}

#[test]
fn a_responder_answers_and_removes_nothing_but_own_drafts() {
    let scene = furnished();
    let before = upstream(&scene);
    python(&scene, "responder");
    let expected = [
        "Drafts: uid 4 new",
        r#"INBOX: uid 1 flags {} -> {"\\Answered", "\\Seen"}"#,
        r#"INBOX: uid 2 flags {} -> {"$label1", "\\Flagged"}"#,
        r#"INBOX: uid 3 flags {} -> {"\\Seen"}"#,
        r#"INBOX: uid 4 flags {"\\Deleted"} -> {"\\Deleted", "\\Seen"}"#,
        r#"INBOX: uid 5 flags {"\\Answered", "\\Seen"} -> {"\\Seen"}"#,
        "Sent: uid 2 new",
    ];
    assert_changes(&scene, &before, &expected, "responder");

    let sent = scene.sink.wait(1);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let answer = &sent[0];
    assert!(answer.mail_from.starts_with("<support@example.org>"), "{}", answer.mail_from);
    assert_eq!(answer.header("From").len(), 1, "{}", answer.text());
    assert!(answer.header("From")[0].contains("<support@example.org>"), "{}", answer.text());
    assert!(!answer.text().contains("bob@example.org"), "{}", answer.text());
    assert!(answer.text().contains("\r\n.a line with a dot\r\na1 CREATE smug\r\n"), "{}", answer.text());
}

#[test]
fn a_managers_day() {
    let scene = furnished();
    let before = upstream(&scene);
    python(&scene, "manager");
    let expected = [
        "Archive: uid 2 new",
        "Clients: folder new",
        "Clients/2027: folder new",
        "Drafts: uid 1 gone",
        r#"INBOX: uid 1 flags {} -> {"\\Flagged", "\\Seen"}"#,
        "INBOX: uid 2 gone",
        "INBOX: uid 3 gone",
        "INBOX: uid 4 gone",
        // CLOSE took what was marked already, as it means to.
        "Trash: uid 1 gone",
        "Trash: uid 2 gone",
        "Trash: uid 3 new",
    ];
    assert_changes(&scene, &before, &expected, "manager");
    assert_eq!(scene.sink.wait(1)[0].header("Subject"), ["from the manager"]);
}
