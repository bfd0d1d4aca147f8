//! The combined view: the person's own mail and two shared mailboxes on hosts that separate
//! levels differently, in one session.

use std::time::Duration;

use crate::support::dovecot::{self, SUPPORT, Storage};
use crate::support::scene::password;
use crate::support::{ALICE, BOB, Dovecot, Imap, Read, Relay, Scene};

pub(crate) const INFO: &str = "info@example.org";
const INFO_PASSWORD: &str = "another-upstream-password";
const MESSAGE: &[u8] = b"Subject: one\r\n\r\nbody\r\n";

/// Alice's own mail and info on a host with `.`, support on one with `/`. Alice is a manager
/// of support and a reader of info.
pub(crate) struct Both {
    pub(crate) scene: Scene,
    pub(crate) second: Dovecot,
    /// Between Mandate and the second host.
    pub(crate) relay: Relay,
}

impl Both {
    pub(crate) fn open() -> Both {
        Both::with("", "")
    }

    /// The same with more lines for `proxy.toml`, and for the second host's `dovecot.conf`.
    pub(crate) fn with(proxy: &str, second: &str) -> Both {
        let scene = Scene::with(dovecot::Settings::default(), proxy);
        let users = [(INFO, INFO_PASSWORD.to_owned()), (ALICE, password(ALICE))];
        let second = Dovecot::with(
            scene.ca.localhost(),
            dovecot::Settings {
                storage: Storage::Maildir,
                separator: '.',
                extra: second.to_owned(),
                users: users.map(|(user, word)| (user.to_owned(), word)).into(),
                ..dovecot::Settings::default()
            },
        );
        let relay = Relay::to(second.imaps());
        let both = Both { scene, second, relay };
        let host = format!("localhost:{}", both.relay.port());
        let ca_file = both.scene.ca.file();
        let ca_file = ca_file.to_str().unwrap();
        let info = ["mailbox", "add", INFO, "--imap", &host, "--ca-file", ca_file, "--password-stdin"];
        both.scene.proxy.run(&info, &format!("{INFO_PASSWORD}\n"));
        let own = ["user", "host", ALICE, "--imap", &host, "--ca-file", ca_file, "--pass-through"];
        both.scene.proxy.run(&own, "");
        both.run(&["grant", "add", ALICE, INFO, "reader"]);
        for (dovecot, account) in
            [(&both.scene.dovecot, SUPPORT), (&both.second, INFO), (&both.second, ALICE)]
        {
            dovecot.deliver(account, "INBOX", MESSAGE);
            dovecot.deliver(account, "INBOX", MESSAGE);
        }
        both.second.login(INFO).ok("CREATE Work.2026");
        both
    }

    pub(crate) fn imap(&self, login: &str) -> Imap {
        self.scene.proxy.imap(&self.scene.ca, login, &password(login))
    }

    pub(crate) fn run(&self, arguments: &[&str]) {
        self.scene.proxy.run(arguments, "");
    }
}

#[track_caller]
pub(crate) fn refused(imap: &mut Imap, command: &str, words: &str) {
    let reply = imap.command(command);
    assert!(reply.is_no() && reply.tagged.contains(words), "{command}: {reply}");
}

fn says(imap: &mut Imap, command: &str, words: &str) {
    let reply = imap.ok(command);
    assert!(reply.has(words), "{command} does not say {words:?}: {reply}");
}

#[test]
fn one_session_shows_own_and_shared_mail() {
    let both = Both::open();
    let mut imap = both.imap(ALICE);
    says(&mut imap, "NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL ((\"Shared/\" \"/\"))");
    let listed = imap.ok("LIST \"\" *");
    for name in
        ["INBOX", "Sent", "Shared/info", "Shared/info/Work/2026", "Shared/support", "Shared/support/Sent"]
    {
        assert!(listed.has(&format!("\"/\" \"{name}\"")), "{name}: {listed}");
    }
    assert!(!listed.has("\"Shared/support/INBOX\"") && !listed.has("Work.2026"), "{listed}");
    let special: Vec<_> = listed.lines().into_iter().filter(|line| line.contains("\\Sent")).collect();
    assert!(special.len() == 1 && special[0].ends_with("\"Sent\""), "{special:?}");
    let top = imap.ok("LIST \"\" %");
    assert!(top.has("\"Shared\"") && top.has("\\Noselect") && !top.has("Shared/"), "{top}");
    refused(&mut imap, "SELECT Shared", "NONEXISTENT");
    refused(&mut imap, "SELECT Shared/support/INBOX", "NONEXISTENT");
    refused(&mut imap, "SELECT Shared/sales", "NONEXISTENT");
    let status = imap.ok("LIST \"\" * RETURN (STATUS (MESSAGES))");
    assert!(status.has("* STATUS \"INBOX\" (MESSAGES 2)"), "{status}");
    assert!(status.has("* STATUS \"Shared/info\" (MESSAGES 2)"), "{status}");
    assert!(status.has("* STATUS \"Shared/support\" (MESSAGES 2)"), "{status}");

    says(&mut imap, "SELECT INBOX", "* 2 EXISTS");
    says(
        &mut imap,
        "STATUS Shared/info/Work/2026 (MESSAGES)",
        "* STATUS \"Shared/info/Work/2026\" (MESSAGES 0)",
    );
    says(&mut imap, "MYRIGHTS Shared/info", "* MYRIGHTS \"Shared/info\" lr");
    assert!(imap.append("Shared/support/Sent", "", MESSAGE).is_ok());
    says(&mut imap, "UID FETCH 1 (FLAGS)", "* 1 FETCH");
    let moved = imap.ok("SELECT Shared/support");
    assert!(moved.has("* OK [CLOSED]") && moved.has("* 2 EXISTS"), "{moved}");
    says(&mut imap, "STATUS Shared/support/Sent (MESSAGES)", "(MESSAGES 1)");
    refused(&mut imap, "UID MOVE 1 Shared/info", "[NOPERM]");
    refused(&mut imap, "RENAME Work Shared/support/Work", "[CANNOT]");
    imap.ok("UID COPY 1 Shared/support/Archive");
    imap.ok("CREATE Projects/2027");
    imap.ok("CREATE Shared/support/Projects");
    let own = both.second.login(ALICE).ok("LIST \"\" *");
    assert!(own.has("Projects.2027") && !own.has("Shared"), "{own}");
    assert!(both.scene.dovecot.login(SUPPORT).ok("LIST \"\" *").has("Projects"));

    imap.ok("UNSUBSCRIBE Shared/info/Work/2026");
    let subscribed = imap.ok("LSUB \"\" *");
    assert!(subscribed.has("\"Shared/info\"") && !subscribed.has("Work/2026"), "{subscribed}");
    assert!(both.imap(ALICE).ok("LIST (SUBSCRIBED) \"\" *").has("\"Shared/support\""));
}

/// Every verb, by turns in the mailbox where everything is allowed and in the one where nothing
/// is: rights and connections of one are never those of the other.
#[test]
fn the_rights_of_one_mailbox_are_not_those_of_another() {
    let both = Both::open();
    let before = both.second.snapshot(INFO);
    let mut imap = both.imap(ALICE);
    for round in 0..3 {
        for (open, closed) in
            [("Shared/support", "Shared/info"), ("Shared/info", "Shared/support"), ("INBOX", "Shared/info")]
        {
            imap.ok(&format!("SELECT {open}"));
            for folder in [closed, open, "Shared/info", "Shared/support"] {
                imap.command(&format!("STATUS {folder} (MESSAGES)"));
                imap.command(&format!("CREATE {folder}/New{round}"));
                imap.command(&format!("RENAME {folder}/New{round} {folder}/Newer{round}"));
                imap.command(&format!("DELETE {folder}/Newer{round}"));
                imap.append(folder, "\\Flagged", MESSAGE);
                imap.command("UID STORE 1:* +FLAGS (\\Flagged keyword)");
                imap.command(&format!("UID COPY 1 {folder}"));
                imap.command(&format!("UID MOVE 1 {folder}"));
                imap.command("STORE 1 +FLAGS (\\Deleted)");
                imap.command("UID EXPUNGE 1:*");
                imap.command(&format!("SUBSCRIBE {folder}"));
                imap.command("UID FETCH 1:* (BODY[])");
            }
            imap.command("EXPUNGE");
            imap.command("CLOSE");
        }
    }
    assert_eq!(both.second.snapshot(INFO), before, "a reader has changed info");
    let support = both.scene.dovecot.login(SUPPORT).ok("STATUS INBOX (UIDNEXT)");
    assert!(!support.has("(UIDNEXT 3)"), "the manager could not work: {support}");
}

#[test]
fn what_is_withdrawn_ends_or_vanishes() {
    let both = Both::open();
    let mut selected = both.imap(ALICE);
    selected.ok("SELECT Shared/info");
    selected.start("IDLE");
    assert!(selected.response().starts_with(b"+"));
    let mut elsewhere = both.imap(ALICE);
    elsewhere.ok("SELECT Shared/support");
    elsewhere.ok("STATUS Shared/info (MESSAGES)");
    both.run(&["grant", "remove", ALICE, INFO]);
    let (words, _) = selected.bye();
    assert!(words.contains("Your access to info@example.org has ended"), "{words}");
    assert!(matches!(elsewhere.response_within(Duration::from_millis(300)), Read::Silence));
    assert!(!elsewhere.ok("LIST \"\" *").has("Shared/info"));
    refused(&mut elsewhere, "STATUS Shared/info (MESSAGES)", "NONEXISTENT");
    both.run(&["grant", "add", ALICE, INFO, "reader"]);
    assert!(elsewhere.ok("LIST \"\" *").has("Shared/info"));
    // The open folder's own mailbox, while another one's is asked about.
    both.run(&["grant", "remove", ALICE, SUPPORT]);
    assert!(elsewhere.bye().0.contains("Your access to support@example.org has ended"));
}

#[test]
fn what_goes_is_told_by_uid_in_every_mailbox() {
    let both = Both::open();
    let mut alice = both.imap(ALICE);
    // QRESYNC is there once every mailbox's host is known to have it.
    alice.ok("LIST \"\" \"*\"");
    says(&mut alice, "CAPABILITY", " QRESYNC ");
    says(&mut alice, "ENABLE QRESYNC", "* ENABLED QRESYNC");
    for (dovecot, account, folder) in
        [(&both.scene.dovecot, SUPPORT, "Shared/support"), (&both.second, ALICE, "INBOX")]
    {
        let opened = alice.ok(&format!("SELECT {folder}"));
        let validity =
            opened.lines().iter().find_map(|line| Some(line.split_once("UIDVALIDITY ")?.1.to_owned()));
        let validity = validity.unwrap().split(']').next().unwrap().to_owned();
        let mut host = dovecot.login(account);
        host.ok("SELECT INBOX");
        host.ok("STORE 1 +FLAGS (\\Deleted)");
        host.ok("EXPUNGE");
        says(&mut alice, "NOOP", "* VANISHED 1");
        alice.ok("UNSELECT");
        says(&mut alice, &format!("SELECT {folder} (QRESYNC ({validity} 1))"), "* VANISHED (EARLIER) 1");
    }
    // A read state of one's own has no mod-sequences; the folder before is closed first.
    let opened = alice.ok("SELECT Shared/info (QRESYNC (1 1))");
    assert!(opened.has("[CLOSED]") && opened.has("[NOMODSEQ]") && !opened.has("VANISHED"), "{opened}");
}

#[test]
fn a_host_that_is_down_hides_nothing_of_the_others() {
    let mut both = Both::open();
    both.scene.dovecot.stop();
    let mut imap = both.imap(ALICE);
    let listed = imap.ok("LIST \"\" *");
    assert!(listed.has("\"Shared/support\"") && !listed.has("Shared/support/"), "{listed}");
    assert!(listed.has("Shared/info/Work/2026"));
    refused(&mut imap, "SELECT Shared/support", "[UNAVAILABLE]");
    imap.ok("SELECT Shared/info");
}

#[test]
fn a_host_that_does_not_take_the_password_says_so() {
    let mut both = Both::open();
    both.second.set_password(ALICE, "another");
    let mut imap = Imap::tls(both.scene.proxy.imaps(), &both.scene.ca);
    let reply = imap.command(&format!("LOGIN {ALICE} \"{}\"", password(ALICE)));
    assert!(reply.tagged.starts_with("NO [UNAVAILABLE]"), "{reply}");
    assert!(reply.tagged.contains("does not accept this password"), "{reply}");
}

#[test]
fn without_own_mail_there_is_an_empty_inbox() {
    let both = Both::open();
    let mut imap = both.imap(BOB);
    let listed = imap.ok("LIST \"\" *");
    assert!(listed.has("\"INBOX\"") && listed.has("\"Shared/support/Drafts\""), "{listed}");
    assert!(!listed.has("Shared/info"));
    let opened = imap.ok("SELECT INBOX");
    assert!(opened.has("* 0 EXISTS") && opened.tagged.contains("[READ-ONLY]"), "{opened}");
    says(&mut imap, "STATUS INBOX (MESSAGES UNSEEN)", "* STATUS \"INBOX\" (MESSAGES 0 UNSEEN 0)");
    says(&mut imap, "SEARCH ALL", "* SEARCH");
    says(&mut imap, "UID SEARCH RETURN (COUNT) UNSEEN", "UID COUNT 0");
    imap.ok("UID FETCH 1:* (FLAGS)");
    imap.ok("UID STORE 1:* +FLAGS (\\Seen)");
    imap.ok("NOOP");
    assert!(imap.append("INBOX", "", MESSAGE).tagged.contains("[NOPERM]"));
    refused(&mut imap, "CREATE Work", "[NOPERM]");
    imap.ok("CLOSE");
    assert!(imap.command("SEARCH ALL").is_bad());
    says(&mut imap, "SELECT Shared/support", "* 2 EXISTS");
    refused(&mut imap, "UID MOVE 1 Shared/support/Trash", "[NOPERM]");
    imap.ok("LOGOUT");
}

/// Python's own library, as scripts use it.
#[test]
fn imaplib_works_on_the_combined_view() {
    let both = Both::open();
    let script = "import imaplib, ssl, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[2])\n\
        imap = imaplib.IMAP4_SSL('localhost', int(sys.argv[1]), ssl_context=context)\n\
        imap.login(sys.argv[3], sys.argv[4])\n\
        print(imap.namespace())\n\
        print(len(imap.list()[1]))\n\
        print(imap.select('Shared/support'))\n\
        print(imap.uid('FETCH', '1', '(BODY.PEEK[HEADER])')[1][0][1])\n\
        print(imap.select('INBOX'))\n\
        print(imap.append('Sent', '', None, b'a: b\\r\\n\\r\\n')[0])\n\
        print(imap.select('Shared/info', readonly=True))\n\
        imap.logout()\n";
    let port = both.scene.proxy.imaps().port().to_string();
    let ca_file = both.scene.ca.file();
    let arguments = ["-c", script, &port, ca_file.to_str().unwrap(), ALICE, &password(ALICE)];
    let output = std::process::Command::new("python3").args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("Subject: one") && out.matches("('OK', [b'2'])").count() == 3, "{out}");
}
