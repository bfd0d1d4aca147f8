//! Every role does a day's work, and the mail host is compared before and after.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::furnished::{assert_changes, assert_unchanged, furnished, upstream};
use crate::maildir::Maildir;
use crate::outbox::settled;
use crate::support::dovecot::SUPPORT;
use crate::support::process::need;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Scene, eventually};
use crate::thunderbird::everybody;
use crate::thunderbird_client::View;

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
    let filed = || upstream(&scene).folders["Sent"].messages.contains_key(&2);
    eventually("the copy is filed", || filed().then_some(()));
    let expected = [
        "Archive: uid 2 new",
        "Clients: folder new",
        "Clients/2027: folder new",
        "Drafts: uid 1 gone",
        r#"INBOX: uid 1 flags {} -> {"\\Flagged", "\\Seen"}"#,
        "INBOX: uid 2 gone",
        "INBOX: uid 3 gone",
        "INBOX: uid 4 gone",
        "Sent: uid 2 new",
        // CLOSE took what was marked already, as it means to.
        "Trash: uid 1 gone",
        "Trash: uid 2 gone",
        "Trash: uid 3 new",
    ];
    assert_changes(&scene, &before, &expected, "manager");
    assert_eq!(scene.sink.wait(1)[0].header("Subject"), ["from the manager"]);
}

/// mbsync keeps a copy of every folder, both ways.
struct Mbsync {
    directory: TempDir,
    mail: Maildir,
}

impl Mbsync {
    fn new(scene: &Scene, login: &str) -> Mbsync {
        need("/usr/bin/mbsync");
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        std::fs::create_dir(directory.path().join("mail")).unwrap();
        let configuration = format!(
            "IMAPAccount support\nHost localhost\nPort {port}\nUser {login}/{SUPPORT}\nPass \"{password}\"\n\
             SSLType IMAPS\nCertificateFile {ca}\n\n\
             IMAPStore far\nAccount support\n\n\
             MaildirStore near\nPath {place}/mail/\nInbox {place}/mail/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nExpunge Both\nSync All\n\
             SyncState {place}/state-\n",
            port = scene.proxy.imaps().port(),
            password = password(login),
            ca = scene.ca.file().display(),
        );
        std::fs::write(directory.path().join("mbsyncrc"), configuration).unwrap();
        let mail = Maildir::at(directory.path().join("mail"));
        Mbsync { directory, mail }
    }

    /// Synchronises; mbsync must be content.
    #[track_caller]
    fn run(&self, scene: &Scene) {
        let configuration = self.directory.path().join("mbsyncrc");
        let output = Command::new("mbsync").arg("-c").arg(configuration).arg("-a").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", scene.proxy.log());
    }
}

#[test]
fn mbsync_as_reader_gets_everything_and_changes_nothing() {
    let scene = furnished();
    let before = upstream(&scene);
    let mbsync = Mbsync::new(&scene, CAROL);
    mbsync.run(&scene);
    // What is \Deleted upstream is not fetched.
    assert_eq!(mbsync.mail.files("INBOX").len(), 4);
    assert_eq!(mbsync.mail.files("Projects").len(), 1);
    mbsync.mail.mark("INBOX", 1, "FRS");
    mbsync.mail.mark("INBOX", 2, "ST");
    mbsync.run(&scene);
    assert_unchanged(&scene, &before, "flags and a removal");
    std::fs::remove_file(mbsync.mail.file("Projects", 10)).unwrap();
    mbsync.run(&scene);
    assert_unchanged(&scene, &before, "a removed file");
}

#[test]
fn mbsync_as_responder_pushes_flags_and_copies_for_sent() {
    let scene = furnished();
    let before = upstream(&scene);
    let mbsync = Mbsync::new(&scene, BOB);
    mbsync.run(&scene);
    assert_unchanged(&scene, &before, "the first run");
    mbsync.mail.mark("INBOX", 1, "FRS");
    mbsync.mail.mark("INBOX", 2, "ST");
    std::fs::remove_file(mbsync.mail.file("Archive", 9)).unwrap();
    mbsync.mail.put("Sent", "S", "sent");
    mbsync.mail.put("Drafts", "D", "draft");
    mbsync.run(&scene);
    let expected = [
        "Drafts: uid 3 new",
        r#"INBOX: uid 1 flags {} -> {"\\Answered", "\\Flagged", "\\Seen"}"#,
        "Sent: uid 2 new",
    ];
    assert_changes(&scene, &before, &expected, "responder");
    // The own draft may go again; mbsync removes it by CLOSE.
    let drafts = mbsync.mail.files("Drafts");
    let draft = drafts.iter().find(|file| file.to_str().unwrap().contains("draft")).unwrap();
    std::fs::remove_file(draft).unwrap();
    mbsync.run(&scene);
    let changes = before.changes(&upstream(&scene));
    assert!(changes.contains(&"Drafts: a message came and went".to_owned()), "{changes:?}");
}

#[test]
fn mbsync_as_manager_removes() {
    let scene = furnished();
    let before = upstream(&scene);
    let mbsync = Mbsync::new(&scene, ALICE);
    mbsync.run(&scene);
    std::fs::remove_file(mbsync.mail.file("Archive", 9)).unwrap();
    mbsync.mail.mark("Projects", 10, "ST");
    mbsync.mail.put("Projects", "S", "filed");
    mbsync.run(&scene);
    let changes = before.changes(&upstream(&scene));
    for expected in ["Archive: uid 1 gone", "Projects: uid 1 gone", "Projects: uid 2 new"] {
        assert!(changes.iter().any(|change| change == expected), "{changes:?}");
    }
}

/// neomutt in a terminal of its own, with the keys of a working day. After an error it forgets
/// the keys that are left: only what succeeds can be pressed.
pub(crate) fn neomutt(scene: &Scene, login: &str, view: View, keys: &str) {
    neomutt_at(&tempfile::tempdir().unwrap(), "", scene, (login, view), keys);
}

/// The same with a home directory to come back to, and more settings.
fn neomutt_at(directory: &TempDir, settings: &str, scene: &Scene, (login, view): (&str, View), keys: &str) {
    need("/usr/bin/neomutt");
    let rc = format!(
        "set ssl_ca_certificates_file=\"{ca}\"\n\
         set imap_user=\"{name}\"\nset imap_pass=\"{password}\"\n\
         set smtp_url=\"smtps://localhost:{smtp}\"\nset smtp_user=\"{name}\"\nset smtp_pass=\"{password}\"\n\
         set smtp_authenticators=\"plain\"\nset imap_authenticators=\"plain\"\n\
         set folder=\"imaps://localhost:{imap}/\"\nset spoolfile=\"+{inbox}\"\nset record=\"+{sent}\"\n\
         set postponed=\"+{drafts}\"\n\
         set from=\"{SUPPORT}\"\nset use_from=yes\nset realname=\"Support\"\nset edit_headers=no\n\
         set delete=yes\nset quit=yes\nset confirmappend=no\nset move=no\nset mark_old=no\nset wait_key=no\n\
         set abort_nosubject=no\nset abort_unmodified=no\nset fast_reply=yes\nset include=yes\nset autoedit=yes\n\
         set postpone=yes\nset recall=no\nset fcc_attach=yes\nset fcc_before_send=no\n\
         set header_cache=\"\"\nset message_cachedir=\"\"\nset tmpdir=\"{place}\"\nset editor=\"{place}/editor\"\n\
         set sleep_time=0\nset beep=no\n{settings}",
        ca = scene.ca.file().display(),
        name = view.login(login),
        password = password(login),
        smtp = scene.proxy.submissions().port(),
        imap = scene.proxy.imaps().port(),
        inbox = view.folder("INBOX"),
        sent = view.folder("Sent"),
        drafts = view.folder("Drafts"),
        place = directory.path().display(),
    );
    std::fs::write(directory.path().join("muttrc"), rc).unwrap();
    let editor = directory.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\necho 'an answer' >> \"$1\"\n").unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
    // The deadline stands outside the terminal: inside it, a shell that does not `exec` would leave
    // neomutt in a background process group, where the terminal stops it and SIGTERM with it.
    let command = format!("exec neomutt -n -F {}/muttrc -e 'push \"{keys}\"'", directory.path().display());
    let mut script = Command::new("timeout");
    script.args(["--kill-after=5", "60", "script", "-qec", &command, "/dev/null"]);
    script.env("TERM", "xterm").env("SHELL", "/bin/sh").env("HOME", directory.path());
    let output = script.stdin(Stdio::null()).output().expect("script(1) is part of every Debian");
    let screen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?}\n{screen}\n{}", output.status, scene.proxy.log());
}

#[track_caller]
fn neomutt_as_reader_changes_nothing(scene: &Scene, view: View) {
    let before = upstream(scene);
    let keys = "<first-entry><display-message><exit><last-entry><display-message><exit><quit>";
    neomutt(scene, CAROL, view, keys);
    assert_unchanged(scene, &before, "reader");
}

#[track_caller]
fn neomutt_as_responder_reads_and_replies(scene: &Scene, view: View) {
    let before = upstream(scene);
    let keys = "<first-entry><display-message><exit><flag-message><reply><send-message><sync-mailbox><quit>";
    neomutt(scene, BOB, view, keys);
    let sent = scene.sink.wait(1);
    assert!(sent[0].mail_from.starts_with("<support@example.org>"), "{}", sent[0].mail_from);
    assert!(sent[0].header("From")[0].contains("support@example.org"), "{}", sent[0].text());
    let expected = [
        r#"INBOX: uid 1 flags {} -> {"\\Flagged", "\\Seen"}"#,
        // Flagging moves on to the next one.
        r#"INBOX: uid 2 flags {} -> {"\\Answered", "\\Seen"}"#,
        "Sent: uid 2 new",
    ];
    settled(scene);
    assert_changes(scene, &before, &expected, "responder");
}

#[test]
fn neomutt_in_the_account_view() {
    neomutt_as_reader_changes_nothing(&furnished(), View::Account);
    neomutt_as_responder_reads_and_replies(&furnished(), View::Account);
}

#[test]
fn neomutt_in_the_combined_view() {
    let scene = everybody();
    neomutt_as_reader_changes_nothing(&scene, View::Combined);
    neomutt_as_responder_reads_and_replies(&scene, View::Combined);
    // The own mail has none of it.
    let own = scene.dovecot.snapshot(BOB);
    assert!(own.folders.values().all(|folder| folder.messages.is_empty()), "{own:?}");
}

/// With a cache it asks for what it missed (QRESYNC), and believes what it is told.
#[test]
fn neomutt_comes_back_and_asks_for_what_it_missed() {
    for login in [ALICE, BOB, CAROL] {
        let scene = furnished();
        let home = tempfile::tempdir().unwrap();
        let place = home.path().display();
        let settings = format!(
            "set imap_qresync=yes\nset imap_condstore=yes\nset header_cache=\"{place}/cache\"\n\
             set debug_level=2\nset debug_file=\"{place}/debug\"\n"
        );
        neomutt_at(&home, &settings, &scene, (login, View::Account), "<first-entry><quit>");
        let mut host = scene.dovecot.login(SUPPORT);
        host.ok("SELECT INBOX");
        host.ok("UID STORE 1,4 +FLAGS (\\Deleted)");
        host.ok("EXPUNGE");
        host.ok("UID STORE 5 +FLAGS (\\Flagged)");
        host.append("INBOX", "", b"From: x@example.net\r\nSubject: new\r\n\r\nx\r\n");
        let before = upstream(&scene);
        // The first message left is 2, whatever the cache holds; the last one is the new one.
        neomutt_at(
            &home,
            &settings,
            &scene,
            (login, View::Account),
            "<first-entry><flag-message><last-entry><display-message><exit><quit>",
        );
        let logged: String = ["debug0", "debug1", "debug"]
            .iter()
            .filter_map(|name| std::fs::read_to_string(home.path().join(name)).ok())
            .collect();
        let changes = before.changes(&upstream(&scene));
        if login == CAROL {
            assert!(changes.is_empty(), "{changes:?}");
            continue;
        }
        // neomutt's own log says how it asked.
        assert!(logged.contains("ENABLE QRESYNC") && logged.contains(" VANISHED)"), "{login}: {logged}");
        let expected =
            [r#"INBOX: uid 2 flags {} -> {"\\Flagged"}"#, r#"INBOX: uid 6 flags {} -> {"\\Seen"}"#];
        assert_eq!(changes, expected, "{login}");
    }
}
