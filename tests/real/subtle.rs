//! Cases in which a right answer takes more than one command's worth of knowledge.

use crate::furnished::{assert_changes, assert_unchanged, furnished, message, upstream};
use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, BOB, CAROL, Imap, Scene, eventually};

const DAVE: &str = "dave@example.org";

/// The furnished scene with a second responder.
fn two_responders() -> Scene {
    let scene = furnished();
    scene.add_user(DAVE);
    scene.grant(DAVE, "responder");
    scene
}

/// Stores a draft and returns its UID.
fn draft(imap: &mut Imap, number: u32) -> String {
    let stored = imap.append("Drafts", "\\Draft", &message(number));
    stored.tagged.split([' ', ']']).nth(3).unwrap_or_else(|| panic!("{stored}")).to_owned()
}

#[test]
fn a_draft_is_the_persons_not_the_sessions() {
    let scene = two_responders();
    let before = upstream(&scene);
    let (mut desk, mut telephone, mut colleague) = (scene.imap(BOB), scene.imap(BOB), scene.imap(DAVE));
    let theirs = draft(&mut colleague, 40);
    let own = draft(&mut desk, 41);
    for imap in [&mut desk, &mut telephone, &mut colleague] {
        imap.ok("SELECT Drafts");
    }
    desk.ok(&format!("UID STORE {own} +FLAGS (\\Deleted)"));
    // A colleague can neither finish nor undo that, and has a draft marked too.
    colleague.ok(&format!("UID STORE {own} -FLAGS (\\Deleted)"));
    colleague.ok(&format!("UID STORE {theirs} +FLAGS (\\Deleted)"));
    colleague.ok(&format!("UID EXPUNGE {own}"));
    assert!(telephone.ok(&format!("UID FETCH {own} FLAGS")).has("\\Deleted"));
    telephone.ok("EXPUNGE");
    // What is left is the colleague's, which bob's CLOSE and EXPUNGE do not take either.
    desk.ok("EXPUNGE");
    desk.ok("CLOSE");
    assert_changes(&scene, &before, &[&format!("Drafts: uid {theirs} new")], "bob's expunge");
    colleague.ok("CLOSE");
    assert_changes(&scene, &before, &["Drafts: a message came and went"], "dave's close");
}

#[test]
fn own_and_other_drafts_are_told_apart_by_number_too() {
    let scene = two_responders();
    let before = upstream(&scene);
    let mut imap = scene.imap(BOB);
    let first = draft(&mut imap, 40);
    draft(&mut scene.imap(DAVE), 41);
    let second = draft(&mut imap, 42);
    imap.ok("SELECT Drafts");
    let answer = imap.ok("STORE 1:* +FLAGS (\\Deleted)");
    assert!(answer.untagged.len() >= 5, "{answer}");
    imap.ok("EXPUNGE");
    let left: Vec<u32> = upstream(&scene).folders["Drafts"].messages.keys().copied().collect();
    assert_eq!(left, [1, 2, 4], "{first} and {second} are bob's own");
    let changes = before.changes(&upstream(&scene));
    assert_eq!(changes, ["Drafts: uid 4 new"]);
}

#[test]
fn a_copy_in_drafts_is_the_copiers_own_and_carries_no_deleted() {
    let scene = furnished();
    let before = upstream(&scene);
    let mut imap = scene.imap(BOB);
    imap.ok("SELECT INBOX");
    // 4 is \Deleted by somebody.
    let copied = imap.ok("UID COPY 4 Sent");
    assert!(copied.tagged.contains("COPYUID"), "{copied}");
    let flags = &upstream(&scene).folders["Sent"].messages[&2].flags;
    assert!(!flags.contains("\\Deleted"), "{flags:?}");
    imap.ok("UID COPY 1 Drafts");
    imap.ok("SELECT Drafts");
    imap.ok("UID STORE 3 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    assert_changes(&scene, &before, &["Drafts: a message came and went", "Sent: uid 2 new"], "copies");
}

#[test]
fn a_replaced_drafts_folder_has_nobodys_drafts() {
    let scene = furnished();
    let mut imap = scene.imap(BOB);
    draft(&mut imap, 40);
    let own = draft(&mut imap, 41);
    drop(imap);
    let mut direct = scene.dovecot.login(SUPPORT);
    direct.ok("DELETE Drafts");
    direct.ok("CREATE Drafts");
    for number in 0..5 {
        direct.append("Drafts", "\\Draft", &message(50 + number));
    }
    let before = upstream(&scene);
    let mut imap = scene.imap(BOB);
    imap.ok("SELECT Drafts");
    imap.ok(&format!("UID STORE {own} +FLAGS (\\Deleted)"));
    imap.ok("STORE 1:* +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("CLOSE");
    assert_unchanged(&scene, &before, "UIDs of another folder");
}

#[test]
fn new_mail_and_a_colleagues_removal_are_told_in_idle() {
    let scene = furnished();
    let mut imap = scene.imap(CAROL);
    imap.ok("EXAMINE INBOX");
    let tag = imap.start("IDLE");
    assert!(imap.response().starts_with(b"+"));
    scene.dovecot.deliver(SUPPORT, "INBOX", &message(60));
    let told = |imap: &mut Imap, words: &str| {
        eventually(words, || String::from_utf8_lossy(&imap.response()).contains(words).then_some(()));
    };
    told(&mut imap, "* 6 EXISTS");
    let mut manager = scene.imap(ALICE);
    manager.ok("SELECT INBOX");
    manager.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    manager.ok("UID EXPUNGE 1");
    told(&mut imap, "* 1 EXPUNGE");
    imap.send("DONE\r\n");
    assert!(imap.finish(&tag).is_ok());
    assert!(imap.ok("UID SEARCH ALL").has("2 3 4 5 6"));
}

#[test]
fn a_manager_cannot_rename_a_folder_into_another_class() {
    let scene = furnished();
    let before = upstream(&scene);
    let mut imap = scene.imap(ALICE);
    for command in [
        "RENAME INBOX Old",
        "RENAME Drafts Drafts2",
        "RENAME Sent Projects/Sent",
        "RENAME Projects Trash/Projects",
        "RENAME Projects Projects/Projects",
        "RENAME Projects drafts",
        "RENAME Projects Sent",
        "DELETE Trash",
        "DELETE INBOX",
        "CREATE inbox",
        "CREATE INBOX/",
    ] {
        let reply = imap.command(command);
        assert!(!reply.is_ok(), "{command}: {reply}");
    }
    assert_unchanged(&scene, &before, "renames");
}

/// The journal names the UIDs of a change, also where the client did not (invariant 12).
#[test]
fn the_journal_names_messages_by_uid() {
    let scene = furnished();
    let mut direct = scene.dovecot.login(SUPPORT);
    direct.ok("SELECT INBOX");
    direct.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    direct.ok("UID EXPUNGE 1");
    let mut imap = scene.imap(ALICE);
    imap.ok("SELECT INBOX");
    let acts = |imap: &mut Imap, command: &str| {
        let path = scene.proxy.state().join("journal.jsonl");
        let before = std::fs::read_to_string(&path).unwrap().len();
        imap.ok(command);
        let journal = std::fs::read_to_string(&path).unwrap();
        let lines = journal[before..].lines().map(|line| serde_json::from_str(line).unwrap());
        let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let act = |line: serde_json::Value| format!("{} {}", text(&line, "verb"), text(&line, "uids"));
        lines.map(act).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(acts(&mut imap, "STORE 1,3 +FLAGS (\\Flagged)"), "STORE 2,4");
    assert_eq!(acts(&mut imap, "UID STORE * +FLAGS.SILENT (\\Flagged)"), "UID STORE 5");
    assert_eq!(acts(&mut imap, "UID STORE 2:3 +FLAGS (kw)"), "UID STORE 2:3");
    assert_eq!(acts(&mut imap, "COPY 2 Sent"), "COPY 3");
    assert_eq!(acts(&mut imap, "FETCH 1 (FLAGS BODY[TEXT])"), "FETCH 2");
    assert_eq!(acts(&mut imap, "UID FETCH 3 (RFC822)"), "UID FETCH 3");
    assert_eq!(acts(&mut imap, "UID FETCH 4 (BODY.PEEK[])"), "");
    // A responder's STORE of what a role may not set changes nothing, and a reader reads.
    let mut imap = scene.imap(BOB);
    imap.ok("SELECT INBOX");
    assert_eq!(acts(&mut imap, "STORE 2 +FLAGS (\\Deleted)"), "");
    let mut imap = scene.imap(CAROL);
    imap.ok("SELECT INBOX");
    assert_eq!(acts(&mut imap, "FETCH 3 (BODY[])"), "");
}

#[test]
fn subscriptions_are_a_persons_own() {
    let scene = furnished();
    let before = upstream(&scene);
    let mut bob = scene.imap(BOB);
    bob.ok("UNSUBSCRIBE Projects");
    assert!(!bob.ok("LSUB \"\" *").has("Projects"));
    assert!(!scene.imap(BOB).ok("LIST (SUBSCRIBED) \"\" *").has("Projects"));
    assert!(scene.imap(CAROL).ok("LSUB \"\" *").has("Projects"));
    assert_unchanged(&scene, &before, "subscriptions");
}
