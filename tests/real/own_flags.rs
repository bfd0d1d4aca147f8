//! Flags of one's own in front of a real Dovecot: what one has read, what one has deleted.

use std::time::Duration;

use crate::furnished::{assert_unchanged, furnished, furnished_with, message, upstream};
use crate::support::dovecot::{SUPPORT, Settings};
use crate::support::{ALICE, BOB, CAROL, Imap, Scene};

/// How long a crash may cost: docs/rights.md promises a second.
const SAVED_WITHIN: Duration = Duration::from_secs(1);

fn set(scene: &Scene, option: &str) {
    scene.proxy.run(&["mailbox", "set", SUPPORT, option], "");
}

/// The UIDs that a search finds.
fn found(imap: &mut Imap, key: &str) -> String {
    let reply = imap.ok(&format!("UID SEARCH {key}"));
    reply.lines().iter().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or_default().trim().to_owned()
}

fn unseen(imap: &mut Imap, folder: &str) -> String {
    let reply = imap.ok(&format!("STATUS {folder} (UNSEEN)"));
    reply.lines().concat().rsplit(' ').next().unwrap().trim_end_matches(')').to_owned()
}

/// In the furnished INBOX, 5 is `\Seen` for the team.
#[test]
fn each_has_read_something_else_and_a_crash_keeps_it() {
    let mut scene = furnished();
    set(&scene, "read_state=personal");
    let before = upstream(&scene);
    let read = |scene: &Scene, person: &str, uids: &str| {
        let mut imap = scene.imap(person);
        imap.ok("SELECT INBOX");
        imap.ok(&format!("UID STORE {uids} +FLAGS (\\Seen)"));
        imap.ok("UID FETCH 4 (BODY[])");
    };
    read(&scene, ALICE, "1:2");
    read(&scene, BOB, "2:3");
    read(&scene, CAROL, "5");
    let check = |scene: &Scene, when: &str| {
        for (person, seen, count) in [(ALICE, "1 2 4", "2"), (BOB, "2 3 4", "2"), (CAROL, "4 5", "3")] {
            let mut imap = scene.imap(person);
            // From the store's marks alone, with no folder open; and in the open folder.
            assert_eq!(unseen(&mut imap, "INBOX"), count, "{person} {when}");
            let opened = imap.ok("SELECT INBOX (CONDSTORE)");
            assert!(opened.has("NOMODSEQ"), "{person} {when}: {opened}");
            assert_eq!(found(&mut imap, "SEEN"), seen, "{person} {when}");
            let flags = imap.ok("UID FETCH 1:5 (FLAGS)");
            for uid in 1..=5 {
                let line = flags.lines().into_iter().find(|line| line.contains(&format!("UID {uid} ")));
                let shown = line.unwrap().contains("\\Seen");
                assert_eq!(shown, seen.contains(&uid.to_string()), "{person} {uid} {when}");
            }
        }
        assert_unchanged(scene, &before, when);
    };
    check(&scene, "at once");
    scene.proxy.terminate();
    scene.proxy.restart();
    check(&scene, "after a restart");
    read(&scene, ALICE, "1:2");
    // Not waited for by chance: the time is what is promised.
    std::thread::sleep(SAVED_WITHIN * 2);
    scene.proxy.kill();
    scene.proxy.restart();
    check(&scene, "after a crash");
}

#[test]
fn what_was_read_follows_its_message() {
    let scene = furnished();
    set(&scene, "read_state=personal");
    let (mut alice, mut bob) = (scene.imap(ALICE), scene.imap(BOB));
    alice.ok("SELECT INBOX");
    alice.ok("UID STORE 1,3 +FLAGS.SILENT (\\Seen)");
    alice.ok("UID COPY 1:2 Archive");
    alice.ok("UID MOVE 3 Projects");
    let stored = alice.append("Sent", "\\Seen", &message(77));
    assert!(stored.is_ok(), "{stored}");
    // Archive 1, Projects 1 and Sent 1 were there before.
    for (folder, hers) in [("Archive", "2"), ("Projects", "2"), ("Sent", "2")] {
        alice.ok(&format!("SELECT {folder}"));
        assert_eq!(found(&mut alice, "SEEN"), hers, "{folder}");
        bob.ok(&format!("SELECT {folder}"));
        assert_eq!(found(&mut bob, "SEEN"), "", "{folder}");
    }
    // Nothing of it upstream: what is `\Seen` there was so before.
    let mut host = scene.dovecot.login(SUPPORT);
    for (folder, seen) in [("INBOX", "5"), ("Archive", "1"), ("Projects", ""), ("Sent", "1")] {
        host.ok(&format!("EXAMINE {folder}"));
        assert_eq!(found(&mut host, "SEEN"), seen, "{folder}");
    }
}

/// A host that does not announce MOVE, and one without a Trash, cannot have the option; the answers
/// stay what they are without it.
#[test]
fn deleting_by_way_of_trash_is_refused_where_it_cannot_be_done() {
    let capabilities = "imap_capability = IMAP4rev1 LITERAL+ IDLE UNSELECT NAMESPACE UIDPLUS\n";
    let scene = furnished_with(Settings { extra: capabilities.to_owned(), ..Settings::default() }, "");
    let set = |scene: &Scene| {
        let output = scene.proxy.command(&["mailbox", "set", SUPPORT, "delete=trash"], "");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (done, said) = set(&scene);
    assert!(!done && said.contains("needs MOVE") && !said.contains("needs UIDPLUS"), "{said}");
    nothing_goes_to_trash(&scene);

    let scene = furnished();
    scene.proxy.run(&["mailbox", "folders", SUPPORT, "Trash=ordinary"], "");
    let (done, said) = set(&scene);
    assert!(!done && said.contains("class trash"), "{said}");
    nothing_goes_to_trash(&scene);
    scene.proxy.run(&["mailbox", "folders", SUPPORT, "Trash=trash"], "");
    let (done, said) = set(&scene);
    assert!(done, "{said}");

    // Now it goes there, from where a responder works, and no further.
    let mut bob = scene.imap(BOB);
    bob.ok("SELECT INBOX");
    bob.ok("UID STORE 1 +FLAGS (\\Deleted)");
    assert!(bob.ok("UID EXPUNGE 1").has("1 EXPUNGE"));
    bob.ok("UID MOVE 2 Trash");
    let mut host = scene.dovecot.login(SUPPORT);
    host.ok("EXAMINE INBOX");
    assert_eq!(found(&mut host, "ALL"), "3 4 5");
    host.ok("EXAMINE Trash");
    assert_eq!(found(&mut host, "ALL"), "1 2 3 4");
    let before = upstream(&scene);
    bob.ok("SELECT Trash");
    bob.ok("UID STORE 3:4 +FLAGS (\\Deleted)");
    bob.ok("EXPUNGE");
    let out = bob.command("UID MOVE 3 INBOX");
    assert!(out.tagged.starts_with("NO [NOPERM]"), "{out}");
    assert_unchanged(&scene, &before, "in Trash");
}

#[track_caller]
fn nothing_goes_to_trash(scene: &Scene) {
    let before = upstream(scene);
    let mut bob = scene.imap(BOB);
    bob.ok("SELECT INBOX");
    bob.ok("UID STORE 1 +FLAGS (\\Deleted)");
    assert_eq!(found(&mut bob, "UID 1 DELETED"), "");
    assert!(!bob.ok("EXPUNGE").has("EXPUNGE"));
    for command in ["UID MOVE 1 Trash", "UID COPY 1 Trash"] {
        let reply = bob.command(command);
        assert!(reply.tagged.starts_with("NO [NOPERM]") || reply.is_bad(), "{command}: {reply}");
    }
    let stored = bob.append("Trash", "", &message(78));
    assert!(stored.tagged.starts_with("NO [NOPERM]"), "{stored}");
    bob.ok("CLOSE");
    assert_unchanged(scene, &before, "where it cannot be done");
}
