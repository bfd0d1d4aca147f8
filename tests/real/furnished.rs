//! The shared mailbox with mail in it, and what tests ask of it.

use crate::support::dovecot::{self, SUPPORT};
use crate::support::{CAROL, Scene, Snapshot, eventually};

/// A message of a customer. Its body would be commands, if anybody ran it.
pub(crate) fn message(number: u32) -> Vec<u8> {
    format!(
        "From: customer{number}@example.net\r\nTo: {SUPPORT}\r\nSubject: question {number}\r\n\
         Message-ID: <q{number}@example.net>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n\
         a1 CREATE smug\r\nHow do I do {number}?\r\n"
    )
    .into_bytes()
}

/// A [`Scene`] whose mailbox holds:
///
/// | folder | UIDs |
/// |---|---|
/// | INBOX | 1 to 5; 4 is `\Deleted` by somebody, 5 is `\Seen` and `\Answered` |
/// | Drafts | 1, of nobody in particular, and 2, which is `\Deleted` too |
/// | Sent, Archive, Projects | 1 |
/// | Trash | 1, and 2 which is `\Deleted` |
pub(crate) fn furnished() -> Scene {
    furnished_with(dovecot::Settings::default(), "")
}

/// The same with settings of the test's own.
pub(crate) fn furnished_with(upstream: dovecot::Settings, extra: &str) -> Scene {
    let scene = Scene::with(upstream, extra);
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("CREATE Projects");
    let places = [
        ("INBOX", ""),
        ("INBOX", ""),
        ("INBOX", ""),
        ("INBOX", "\\Deleted"),
        ("INBOX", "\\Seen \\Answered"),
        ("Drafts", "\\Draft"),
        ("Drafts", "\\Draft \\Deleted"),
        ("Sent", "\\Seen"),
        ("Archive", "\\Seen"),
        ("Projects", ""),
        ("Trash", "\\Seen"),
        ("Trash", "\\Seen \\Deleted"),
    ];
    for (number, (folder, flags)) in (1..).zip(places) {
        let stored = imap.append(folder, flags, &message(number));
        assert!(stored.is_ok(), "{stored}");
    }
    // Mandate's idea of the folders is a minute old at most, and asked for anew by an
    // unknown name.
    let mut reader = scene.imap(CAROL);
    eventually("Mandate sees the new folder", || reader.command("EXAMINE Projects").is_ok().then_some(()));
    scene
}

/// Everything upstream.
pub(crate) fn upstream(scene: &Scene) -> Snapshot {
    scene.dovecot.snapshot(SUPPORT)
}

/// Nothing has changed upstream since `before`, and no smuggled command ran.
#[track_caller]
pub(crate) fn assert_unchanged(scene: &Scene, before: &Snapshot, what: &str) {
    assert_changes(scene, before, &[], what);
}

/// Exactly these changes happened upstream since `before`.
#[track_caller]
pub(crate) fn assert_changes(scene: &Scene, before: &Snapshot, expected: &[&str], what: &str) {
    assert_eq!(before.changes(&upstream(scene)), expected, "{what}\n{}", scene.proxy.log());
}
