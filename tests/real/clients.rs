//! Mail clients and the libraries that programs are made of, as they are installed: each does
//! what its role may and may not, and the mail host is compared before and after.
//! `docs/clients.md` has the versions and results; Python's own library, mbsync and neomutt are
//! in `tests/real/day.rs`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::furnished::{assert_changes, assert_unchanged, furnished, message, upstream};
use crate::maildir::Maildir;
use crate::support::dovecot::SUPPORT;
use crate::support::process::need;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Delivery, Scene, Snapshot, eventually};

/// How long a client may take for all it does, in seconds.
const DEADLINE: &str = "90";

/// A program under the deadline, with a home of its own.
fn client(home: &Path, program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", DEADLINE]).arg(program);
    command.env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// All that a client said.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the customer got: one message that came from the mailbox and names nobody.
#[track_caller]
fn assert_from_the_mailbox(sent: &[Delivery], person: &str) {
    let [answer] = sent else { panic!("{} messages: {sent:?}", sent.len()) };
    assert!(answer.mail_from.starts_with("<support@example.org>"), "{}", answer.mail_from);
    assert_eq!(answer.header("From"), ["\"Example Support\" <support@example.org>"], "{}", answer.text());
    assert!(!answer.text().contains(person), "{}", answer.text());
}

/// These changes are what the mail host comes to, and stays with.
#[track_caller]
fn assert_becomes(scene: &Scene, before: &Snapshot, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || (before.changes(&upstream(scene)) == expected).then_some(()));
}

/// swaks with a message from `from`; `None` for the right password. Exit code and session.
pub(crate) fn swaks(scene: &Scene, login: &str, from: &str, secret: Option<&str>) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let server = format!("localhost:{}", scene.proxy.submissions().port());
    let user = format!("{login}/{SUPPORT}");
    let right = password(login);
    let mut command = client(home.path(), need("/usr/bin/swaks"));
    command.args(["--server", &server, "--tls-on-connect", "--tls-verify", "--tls-ca-path"]);
    command.arg(scene.ca.file()).args(["--auth", "PLAIN", "--auth-user", &user]);
    command.args(["--auth-password", secret.unwrap_or(&right), "--ehlo", "client.example.org"]);
    command.args(["--from", from, "--to", "customer@example.net", "--header", "Subject: by swaks"]);
    let output = command.output().unwrap();
    (output.status.code(), said(&output))
}

#[test]
fn swaks_sends_as_the_mailbox_or_is_told_why_not() {
    let scene = furnished();
    let before = upstream(&scene);
    // Its exit codes: 23 is MAIL refused, 28 is AUTH.
    for (login, from, secret, code, words) in [
        (CAROL, SUPPORT, None, 23, "550 5.7.1 "),
        (BOB, "ceo@example.org", None, 23, "550 5.7.1 "),
        (ALICE, "carol@example.org", None, 23, "550 5.7.1 "),
        (BOB, SUPPORT, Some("guess"), 28, "535 5.7.8 "),
    ] {
        let (ended, session) = swaks(&scene, login, from, secret);
        assert_eq!(ended, Some(code), "{session}\n{}", scene.proxy.log());
        assert!(session.contains(words), "{session}");
    }
    assert!(scene.sink.commands().is_empty(), "{:?}", scene.sink.commands());
    assert_unchanged(&scene, &before, "refusals");

    let (ended, session) = swaks(&scene, BOB, BOB, None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    assert_from_the_mailbox(&scene.sink.wait(1), "bob");
    let (ended, session) = swaks(&scene, ALICE, SUPPORT, None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    assert_from_the_mailbox(&scene.sink.wait(2)[1..], "alice");
    assert_becomes(&scene, &before, &["Sent: uid 2 new", "Sent: uid 3 new"]);
}

/// msmtp with a message whose From is `from`; `None` for the right password.
pub(crate) fn msmtp(scene: &Scene, login: &str, from: &str, secret: Option<&str>) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let right = password(login);
    let configuration = format!(
        "account default\nhost localhost\nport {port}\ntls on\ntls_starttls off\ntls_trust_file {ca}\n\
         auth plain\nuser {login}/{SUPPORT}\npassword \"{secret}\"\ndomain client.example.org\nset_msgid_header off\n",
        port = scene.proxy.submissions().port(),
        ca = scene.ca.file().display(),
        secret = secret.unwrap_or(&right),
    );
    std::fs::write(home.path().join("msmtprc"), configuration).unwrap();
    let text = format!(
        "From: {from}\nTo: customer@example.net\nCc: boss@example.net\nBcc: secret@example.net\n\
         Subject: by msmtp\nIn-Reply-To: <q1@example.net>\n\n.a line with a dot\n"
    );
    std::fs::write(home.path().join("message"), text).unwrap();
    let mut command = client(home.path(), need("/usr/bin/msmtp"));
    command.arg("-C").arg(home.path().join("msmtprc")).args(["--read-recipients", "--read-envelope-from"]);
    command.stdin(File::open(home.path().join("message")).unwrap());
    let output = command.output().unwrap();
    (output.status.code(), said(&output))
}

#[test]
fn msmtp_sends_as_the_mailbox_or_is_told_why_not() {
    let scene = furnished();
    let before = upstream(&scene);
    // Its exit codes are those of sysexits(3): the data was wrong, or the permission.
    for (login, from, secret, code, words) in [
        (CAROL, SUPPORT, None, 65, "550 5.7.1 "),
        (BOB, "ceo@example.org", None, 65, "550 5.7.1 "),
        (BOB, SUPPORT, Some("guess"), 77, "535 5.7.8 "),
    ] {
        let (ended, session) = msmtp(&scene, login, from, secret);
        assert_eq!(ended, Some(code), "{session}\n{}", scene.proxy.log());
        assert!(session.contains(words), "{session}");
    }
    assert!(scene.sink.commands().is_empty(), "{:?}", scene.sink.commands());
    assert_unchanged(&scene, &before, "refusals");

    let (ended, session) = msmtp(&scene, BOB, "Bob <bob@example.org>", None);
    assert_eq!(ended, Some(0), "{session}\n{}", scene.proxy.log());
    let sent = scene.sink.wait(1);
    assert_from_the_mailbox(&sent, "bob");
    assert_eq!(sent[0].rcpt_to.len(), 3, "{:?}", sent[0].rcpt_to);
    assert_eq!(sent[0].header("Bcc"), [""; 0]);
    assert!(sent[0].text().ends_with("\r\n\r\n.a line with a dot\r\n"), "{}", sent[0].text());
    // msmtp files nothing and marks nothing: Mandate does.
    let answered = r#"INBOX: uid 1 flags {} -> {"\\Answered"}"#;
    assert_becomes(&scene, &before, &[answered, "Sent: uid 2 new"]);
}

/// offlineimap keeps a copy of every folder, both ways.
pub(crate) struct OfflineImap {
    home: TempDir,
    pub(crate) mail: Maildir,
}

impl OfflineImap {
    pub(crate) fn new(scene: &Scene, login: &str) -> OfflineImap {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().display();
        let configuration = format!(
            "[general]\naccounts = support\nmetadata = {place}/state\nui = basic\n\n\
             [Account support]\nlocalrepository = near\nremoterepository = far\n\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {place}/mail\nsep = /\n\n\
             [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\nssl = yes\n\
             sslcacertfile = {ca}\nremoteuser = {login}/{SUPPORT}\nremotepass = {password}\n",
            port = scene.proxy.imaps().port(),
            ca = scene.ca.file().display(),
            password = password(login),
        );
        std::fs::write(home.path().join("offlineimaprc"), configuration).unwrap();
        let mail = Maildir::at(home.path().join("mail"));
        OfflineImap { home, mail }
    }

    /// Synchronises; offlineimap must be content.
    #[track_caller]
    pub(crate) fn run(&self, scene: &Scene) {
        let mut command = client(self.home.path(), need("/usr/bin/offlineimap"));
        let output =
            command.arg("-c").arg(self.home.path().join("offlineimaprc")).arg("-o").output().unwrap();
        let said = said(&output);
        assert!(output.status.success() && !said.contains("ERROR"), "{said}\n{}", scene.proxy.log());
    }
}

#[test]
fn offlineimap_as_reader_gets_everything_and_changes_nothing() {
    let scene = furnished();
    let before = upstream(&scene);
    let offlineimap = OfflineImap::new(&scene, CAROL);
    offlineimap.run(&scene);
    assert_eq!(offlineimap.mail.files("INBOX").len(), 5);
    assert_eq!(offlineimap.mail.files("Projects").len(), 1);
    offlineimap.mail.mark("INBOX", 1, "FRS");
    offlineimap.mail.mark("INBOX", 2, "ST");
    std::fs::remove_file(offlineimap.mail.file("Projects", 10)).unwrap();
    offlineimap.run(&scene);
    offlineimap.run(&scene);
    assert_unchanged(&scene, &before, "reader");
}

#[test]
fn offlineimap_as_responder_pushes_flags_and_drafts() {
    let scene = furnished();
    let before = upstream(&scene);
    let offlineimap = OfflineImap::new(&scene, BOB);
    offlineimap.run(&scene);
    assert_unchanged(&scene, &before, "the first run");
    offlineimap.mail.mark("INBOX", 1, "FRS");
    std::fs::remove_file(offlineimap.mail.file("Archive", 9)).unwrap();
    offlineimap.mail.put("Drafts", "D", "draft");
    offlineimap.run(&scene);
    let flags = r#"INBOX: uid 1 flags {} -> {"\\Answered", "\\Flagged", "\\Seen"}"#;
    assert_changes(&scene, &before, &["Drafts: uid 3 new", flags], "responder");
    // The own draft may go again.
    std::fs::remove_file(offlineimap.mail.file_of("Drafts", "draft")).unwrap();
    offlineimap.run(&scene);
    assert_changes(&scene, &before, &["Drafts: a message came and went", flags], "an own draft");
}

#[test]
fn offlineimap_as_manager_removes() {
    let scene = furnished();
    let before = upstream(&scene);
    let offlineimap = OfflineImap::new(&scene, ALICE);
    offlineimap.run(&scene);
    std::fs::remove_file(offlineimap.mail.file("Archive", 9)).unwrap();
    offlineimap.mail.put("Projects", "S", "filed");
    offlineimap.run(&scene);
    let changes = before.changes(&upstream(&scene));
    for expected in ["Archive: uid 1 gone", "Projects: uid 2 new"] {
        assert!(changes.iter().any(|change| change == expected), "{changes:?}");
    }
    assert!(!changes.iter().any(|change| change.starts_with("INBOX")), "{changes:?}");
}

/// What [`library`] runs: a driver beside this file, and what runs it.
#[derive(Clone, Copy)]
enum Library {
    /// IMAPClient.
    Client,
    /// imap_tools.
    Tools,
    /// ImapFlow.
    Flow,
}

/// One session of a library. The driver says what must be answered; where it prints `deliver`,
/// a message comes in.
#[track_caller]
fn library(scene: &Scene, library: Library, role: &str) {
    let home = tempfile::tempdir().unwrap();
    let (program, driver) = match library {
        Library::Client => (installed().join("python/bin/python3"), "with_imapclient.py"),
        Library::Tools => (installed().join("python/bin/python3"), "with_imap_tools.py"),
        Library::Flow => (PathBuf::from("node"), "with_imapflow.mjs"),
    };
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/clients").join(driver);
    let mut command = client(home.path(), &program);
    command.arg(driver).arg(role).arg(scene.proxy.imaps().port().to_string()).arg(scene.ca.file());
    let mut child = command.env("CLIENTS", installed()).spawn().unwrap();
    let mut complaint = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        match line.unwrap().as_str() {
            "deliver" => drop(scene.dovecot.deliver(SUPPORT, "INBOX", &message(99))),
            other => complaint += other,
        }
    }
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(child.wait().unwrap().success(), "{complaint}\n{}", scene.proxy.log());
}

/// Where `scripts/clients` keeps what comes from PyPI and npm; it does so once.
fn installed() -> PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/clients");
        let output = Command::new(script).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    PLACE.get_or_init(install).clone()
}

/// What a reader's session leaves behind: the message that came in.
const READER: &[&str] = &["INBOX: uid 6 new"];
/// What a responder's does. The drafts 3 and 4 came and went.
const RESPONDER: &[&str] = &[
    "Drafts: uid 5 new",
    r#"INBOX: uid 1 flags {} -> {"\\Seen"}"#,
    r#"INBOX: uid 2 flags {} -> {"\\Flagged"}"#,
    "INBOX: uid 6 new",
];
/// What a manager's does.
const MANAGER: &[&str] = &[
    "Archive: uid 2 new",
    r#"INBOX: uid 1 flags {} -> {"\\Seen"}"#,
    "INBOX: uid 2 gone",
    "INBOX: uid 3 gone",
    "INBOX: uid 6 new",
    "Trash: uid 3 new",
];

#[track_caller]
fn three_roles(which: Library, manager: &[&str]) {
    for (role, expected) in [("reader", READER), ("responder", RESPONDER), ("manager", manager)] {
        let scene = furnished();
        let before = upstream(&scene);
        library(&scene, which, role);
        assert_changes(&scene, &before, expected, role);
    }
}

#[test]
fn imapclient_in_each_role() {
    three_roles(Library::Client, MANAGER);
}

#[test]
fn imap_tools_in_each_role() {
    // It sends EXPUNGE after all it does, which takes along what a colleague has marked.
    let mut manager = MANAGER.to_vec();
    manager.insert(4, "INBOX: uid 4 gone");
    three_roles(Library::Tools, &manager);
}

#[test]
fn imapflow_in_each_role() {
    three_roles(Library::Flow, MANAGER);
}
