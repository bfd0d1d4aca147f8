//! A day's work of every role on mail hosts that differ, each the real one.
//!
//! | host | what is different |
//! |---|---|
//! | Dovecot, `/` | nothing: what the others are compared with |
//! | Dovecot, `.` | the separator |
//! | Dovecot, `INBOX.` | every folder is below INBOX |
//! | Cyrus | names with a separator too many are the same folder to it |
//! | Courier | no MOVE, UNSELECT, ESEARCH, CONDSTORE, SPECIAL-USE, LIST-EXTENDED; no UIDNEXT at SELECT |

use std::any::Any;

use crate::support::dovecot::{SUPPORT, SUPPORT_PASSWORD, Settings};
use crate::support::scene::password;
use crate::support::{
    ALICE, BOB, CAROL, Ca, Courier, Cyrus, Dovecot, Imap, Proxy, Snapshot, eventually, proxy,
};

/// A mail host with support@example.org's mail, and Mandate in front of it.
struct Host {
    proxy: Proxy,
    ca: Ca,
    direct: Box<dyn Fn() -> Imap>,
    /// What stands before every folder's name but INBOX's.
    prefix: &'static str,
    separator: char,
    _server: Box<dyn Any>,
}

impl Host {
    fn dovecot(separator: char, prefix: &'static str) -> Host {
        let ca = Ca::new();
        let extra = if prefix.is_empty() {
            String::new()
        } else {
            format!("namespace inbox {{\n prefix = {prefix}\n}}")
        };
        let settings = Settings { separator, extra, ..Settings::default() };
        let dovecot = std::sync::Arc::new(Dovecot::with(ca.localhost(), settings));
        let (server, port) = (dovecot.clone(), dovecot.imap().port());
        Host::open(ca, (port, SUPPORT), (separator, prefix), Box::new(server), move || dovecot.login(SUPPORT))
    }

    fn cyrus() -> Host {
        let cyrus = std::sync::Arc::new(Cyrus::start());
        let (server, port) = (cyrus.clone(), cyrus.imap().port());
        let user = crate::support::cyrus::ACCOUNT;
        Host::open(Ca::new(), (port, user), ('/', ""), Box::new(server), move || cyrus.login())
    }

    fn courier() -> Host {
        let courier = std::sync::Arc::new(Courier::start());
        let (server, port) = (courier.clone(), courier.imap().port());
        Host::open(Ca::new(), (port, SUPPORT), ('.', "INBOX."), Box::new(server), move || courier.login())
    }

    /// | folder | UIDs |
    /// |---|---|
    /// | INBOX | 1 to 4; 4 is `\Deleted` by somebody |
    /// | Drafts | 1, of nobody in particular |
    /// | Trash | 1 |
    fn open(
        ca: Ca,
        (port, user): (u16, &str),
        (separator, prefix): (char, &'static str),
        server: Box<dyn Any>,
        direct: impl Fn() -> Imap + 'static,
    ) -> Host {
        let mut imap = direct();
        for folder in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
            // Some hosts have made it themselves.
            imap.command(&format!("CREATE {prefix}{folder}"));
            imap.ok(&format!("SUBSCRIBE {prefix}{folder}"));
        }
        let inbox = ["", "", "", "\\Deleted"].map(|flags| ("INBOX".to_owned(), flags));
        let others = [("Drafts", "\\Draft"), ("Trash", "")];
        let others = others.map(|(folder, flags)| (format!("{prefix}{folder}"), flags));
        for (number, (folder, flags)) in (1..).zip(inbox.into_iter().chain(others)) {
            let stored = imap.append(&folder, flags, &message(number));
            assert!(stored.is_ok(), "{stored}");
        }
        let proxy = Proxy::with(proxy::Settings { certificate: ca.localhost(), extra: String::new() });
        for person in [ALICE, BOB, CAROL] {
            let secret = format!("{}\n", password(person));
            proxy.run(&["user", "add", person, "--password-stdin"], &secret);
        }
        let endpoint = format!("127.0.0.1:{port}");
        let add = ["mailbox", "add", SUPPORT, "--owner", ALICE, "--imap", &endpoint, "--imap-user", user];
        let add = [&add[..], &["--imap-security", "plaintext", "--password-stdin"]].concat();
        proxy.run(&add, &format!("{SUPPORT_PASSWORD}\n"));
        // What a reader has read shows on the host then, or would if it could.
        proxy.run(&["mailbox", "set", SUPPORT, "read_state=shared"], "");
        for (person, role) in [(ALICE, "manager"), (BOB, "responder"), (CAROL, "reader")] {
            proxy.run(&["grant", "add", person, SUPPORT, role], "");
        }
        // The same account again, as if it were Alice's own.
        let own = ["user", "host", ALICE, "--imap", &endpoint, "--imap-user", user];
        let own = [&own[..], &["--imap-security", "plaintext", "--password-stdin"]].concat();
        proxy.run(&own, &format!("{SUPPORT_PASSWORD}\n"));
        Host { proxy, ca, direct: Box::new(direct), prefix, separator, _server: server }
    }

    fn login(&self, person: &str) -> Imap {
        self.proxy.imap(&self.ca, &format!("{person}/{SUPPORT}"), &password(person))
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::take(&mut (self.direct)())
    }

    /// `Clients/2026` as this host writes it.
    fn name(&self, folder: &str) -> String {
        format!("{}{}", self.prefix, folder.replace('/', &self.separator.to_string()))
    }

    /// Exactly these changes happened since `before`; `@` stands for the prefix.
    #[track_caller]
    fn assert_changes(&self, before: &Snapshot, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(|line| line.replace('@', self.prefix)).collect();
        let mut changes = before.changes(&self.snapshot());
        // Whoever may create a folder is subscribed to it upstream on some hosts.
        changes.retain(|change| !change.ends_with("subscription new"));
        assert_eq!(changes, expected, "{}", self.proxy.log());
    }
}

/// Its body would be commands, if anybody ran it.
fn message(number: u32) -> Vec<u8> {
    format!(
        "From: customer{number}@example.net\r\nTo: {SUPPORT}\r\nSubject: question {number}\r\n\
         Message-ID: <q{number}@example.net>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n\
         a1 CREATE smug\r\nHow do I do {number}?\r\n"
    )
    .into_bytes()
}

#[track_caller]
fn refused(imap: &mut Imap, command: &str) {
    let reply = imap.command(command);
    assert!(reply.tagged.starts_with("NO ["), "{command}: {reply}");
}

#[track_caller]
fn flags(imap: &mut Imap, uid: u32) -> String {
    let reply = imap.ok(&format!("UID FETCH {uid} (FLAGS)")).to_string();
    let from = reply.find("FLAGS (").unwrap_or_else(|| panic!("{reply}")) + 7;
    let flags = reply[from..].split(')').next().unwrap().split(' ');
    flags.filter(|flag| *flag != "\\Recent").collect::<Vec<_>>().join(" ")
}

fn uid_of_append(reply: &crate::support::Reply) -> u32 {
    let uid = reply.tagged.split(&[' ', ']'][..]).nth(3).and_then(|uid| uid.parse().ok());
    uid.unwrap_or_else(|| panic!("{reply}"))
}

/// A day of each; what it did to the host's mail is written down.
fn days(host: &Host) {
    a_delivery_reaches_whoever_waits(host);
    let before = host.snapshot();
    where_folders_may_be_made(host);
    aliases_and_smuggled_commands_do_nothing(host);
    a_reader(host);
    host.assert_changes(&before, &[]);

    let draft = a_responder(host);
    let draft = format!("@Drafts: uid {draft} new");
    let expected = [
        &draft,
        r#"@Sent: uid 1 new"#,
        r#"@Sent: uid 2 new"#,
        r#"INBOX: uid 1 flags {} -> {"$label1", "\\Flagged", "\\Seen"}"#,
    ];
    let mut expected = expected.map(str::to_owned);
    // By name, as the host spells it.
    expected.sort_by_key(|line| line.replace('@', host.prefix).split(':').next().unwrap_or("").to_owned());
    host.assert_changes(&before, &expected.each_ref().map(String::as_str));

    let before = host.snapshot();
    a_manager(host);
    let separator = host.separator;
    let clients = format!("@Clients{separator}2027: folder new");
    let expected = [
        "@Archive: uid 1 new",
        "@Clients: folder new",
        &clients,
        "@Drafts: uid 1 gone",
        "@Trash: uid 2 new",
        "INBOX: uid 2 gone",
        "INBOX: uid 3 gone",
        "INBOX: uid 4 gone",
    ];
    let mut expected = expected.map(str::to_owned);
    expected.sort_by_key(|line| line.replace('@', host.prefix).split(':').next().unwrap_or("").to_owned());
    host.assert_changes(&before, &expected.each_ref().map(String::as_str));
}

fn where_folders_may_be_made(host: &Host) {
    let told = host.login(ALICE).ok("NAMESPACE").to_string();
    assert!(told.contains(&format!("((\"{}\" \"{}\")) NIL NIL", host.prefix, host.separator)), "{told}");
    let mut own = host.proxy.imap(&host.ca, ALICE, &password(ALICE));
    let root = host.prefix.replace(host.separator, "/");
    let told = own.ok("NAMESPACE").to_string();
    assert!(told.contains(&format!("((\"{root}\" \"/\")) NIL ((\"Shared/\" \"/\"))")), "{told}");
    own.ok(&format!("CREATE {root}New"));
    own.ok(&format!("DELETE {root}New"));
}

fn a_delivery_reaches_whoever_waits(host: &Host) {
    let mut imap = host.login(CAROL);
    assert!(imap.ok("SELECT INBOX").has("* 4 EXISTS"));
    let tag = imap.start("IDLE");
    assert!(imap.response().starts_with(b"+"));
    let stored = (host.direct)().append("INBOX", "", &message(5));
    assert!(stored.is_ok(), "{stored}");
    eventually("the delivery is told", || (imap.response() == b"* 5 EXISTS").then_some(()));
    imap.send("DONE\r\n");
    assert!(imap.finish(&tag).is_ok());
}

/// Other names of the same folder, to some hosts; and commands inside commands.
fn aliases_and_smuggled_commands_do_nothing(host: &Host) {
    let mut imap = host.login(ALICE);
    let (trash, separator) = (host.name("Trash"), host.separator);
    let aliases = [
        format!("{trash}{separator}"),
        format!("{separator}{trash}"),
        format!("{trash}{separator}{separator}x"),
        format!("INBOX{separator}"),
        trash.to_lowercase(),
        trash.replace("Trash", "&AFQ-rash"),
    ];
    for alias in aliases {
        for command in ["SELECT", "STATUS", "DELETE", "MYRIGHTS"] {
            let items = if command == "STATUS" { " (MESSAGES)" } else { "" };
            let reply = imap.command(&format!("{command} \"{alias}\"{items}"));
            assert_eq!(reply.tagged, "NO [NONEXISTENT] There is no such folder", "{command} {alias}");
        }
        let reply = imap.append(&alias, "", b"a: b\r\n\r\n");
        assert!(reply.tagged.starts_with("NO ["), "{alias}: {reply}");
    }
    for line in
        ["NOOP", "XYZZY", "STATUS INBOX (MESSAGES)", "APPEND INBOX \"bad date\"", "APPEND INBOX (k\u{e9})"]
    {
        let mut imap = host.login(ALICE);
        imap.send(format!("x1 {line} {{16+}}\r\nb CREATE smug\r\n\r\n"));
        let reply = imap.finish("x1");
        assert!(reply.tagged.starts_with("BAD"), "{line}: {reply}");
    }
}

fn a_reader(host: &Host) {
    let mut imap = host.login(CAROL);
    let listed = imap.ok("LIST \"\" *").to_string();
    for folder in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
        let name = host.name(folder);
        assert!(listed.contains(&name), "{name} in {listed}");
        imap.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"));
    }
    let special = imap.ok("LIST \"\" * RETURN (SPECIAL-USE STATUS (MESSAGES))").to_string();
    assert!(special.contains("\\Drafts") && special.contains("\\Trash"), "{special}");
    assert!(special.contains("* STATUS \"INBOX\" (MESSAGES 5)"), "{special}");
    let opened = imap.ok("SELECT INBOX");
    assert!(opened.tagged.starts_with("OK [READ-ONLY]"), "{opened}");
    assert!(opened.to_string().contains("[PERMANENTFLAGS ()]"), "{opened}");
    let read = imap.ok("FETCH 1 (FLAGS BODY[] ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)");
    assert!(read.to_string().contains("How do I do 1?"), "{read}");
    assert!(imap.ok("UID SEARCH SUBJECT \"question 2\"").has("* SEARCH 2"));
    let found = imap.ok("UID SEARCH RETURN (MIN MAX COUNT) UNDELETED");
    let esearch = found.lines().into_iter().find(|line| line.starts_with("* ESEARCH")).unwrap();
    for value in [" UID", " MIN 1", " MAX 5", " COUNT 4"] {
        assert!(esearch.contains(value), "{esearch}");
    }
    for store in ["+FLAGS (\\Seen)", "FLAGS (\\Deleted)", "-FLAGS (\\Deleted)"] {
        imap.ok(&format!("UID STORE 4 {store}"));
        assert_eq!(flags(&mut imap, 4), "\\Deleted");
    }
    refused(&mut imap, &format!("UID COPY 1 {}", host.name("Archive")));
    refused(&mut imap, &format!("UID MOVE 1 {}", host.name("Trash")));
    imap.ok("EXPUNGE");
    imap.ok("UID EXPUNGE 1:*");
    imap.ok("CLOSE");
    refused(&mut imap, &format!("CREATE {}", host.name("Mine")));
    refused(&mut imap, &format!("DELETE {}", host.name("Junk")));
    refused(&mut imap, &format!("RENAME {} {}", host.name("Junk"), host.name("Mine")));
    assert!(imap.append("INBOX", "", b"a: b\r\n\r\n").tagged.starts_with("NO [NOPERM]"));
    imap.ok("LOGOUT");
}

/// Returns the UID of the draft that is left.
fn a_responder(host: &Host) -> u32 {
    let mut imap = host.login(BOB);
    let opened = imap.ok("SELECT INBOX");
    assert!(opened.tagged.starts_with("OK [READ-WRITE]"), "{opened}");
    imap.ok("UID STORE 1 +FLAGS (\\Seen \\Flagged $label1)");
    imap.ok("UID STORE 3 +FLAGS (\\Deleted)");
    assert_eq!(flags(&mut imap, 3), "");
    refused(&mut imap, &format!("UID MOVE 3 {}", host.name("Trash")));
    imap.ok("EXPUNGE");
    // Somebody has marked it; the copy must not be.
    let sent = host.name("Sent");
    imap.ok(&format!("UID COPY 4 {sent}"));
    let stored = imap.append(&sent, "\\Seen \\Deleted", &message(9));
    assert!(stored.tagged.starts_with("OK [APPENDUID"), "{stored}");
    imap.ok(&format!("SELECT {sent}"));
    assert_eq!((flags(&mut imap, 1), flags(&mut imap, 2)), (String::new(), "\\Seen".into()));
    let drafts = host.name("Drafts");
    imap.ok(&format!("SELECT {drafts}"));
    let first = uid_of_append(&imap.append(&drafts, "\\Draft", &message(10)));
    imap.ok("NOOP");
    let second = uid_of_append(&imap.append(&drafts, "\\Draft", &message(11)));
    imap.ok("NOOP");
    imap.ok(&format!("UID STORE 1:{first} +FLAGS (\\Deleted)"));
    assert_eq!(flags(&mut imap, 1), "\\Draft");
    imap.ok("EXPUNGE");
    assert!(imap.ok("UID SEARCH ALL").has(&format!("* SEARCH 1 {second}")));
    imap.ok("UNSELECT");
    imap.ok("LOGOUT");
    second
}

fn a_manager(host: &Host) {
    let mut imap = host.login(ALICE);
    imap.ok("SELECT INBOX");
    imap.ok(&format!("UID COPY 1 {}", host.name("Archive")));
    let moved = imap.ok(&format!("MOVE 2 {}", host.name("Trash")));
    assert!(moved.has("* 2 EXPUNGE") && moved.to_string().contains("[COPYUID "), "{moved}");
    // By number: UID 3 has moved up.
    imap.ok("STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    assert!(imap.ok("UID SEARCH ALL").has("* SEARCH 1 5"));
    let (clients, old, new) = (host.name("Clients"), host.name("Clients/2026"), host.name("Clients/2027"));
    imap.ok(&format!("CREATE {clients}"));
    imap.ok(&format!("CREATE {old}"));
    imap.ok(&format!("UID COPY 1 {old}"));
    imap.ok(&format!("RENAME {old} {new}"));
    imap.ok(&format!("STATUS {new} (MESSAGES)"));
    let passing = host.name("Passing");
    imap.ok(&format!("CREATE {passing}"));
    imap.ok(&format!("DELETE {passing}"));
    refused(&mut imap, &format!("DELETE {}", host.name("Trash")));
    imap.ok(&format!("SELECT {}", host.name("Drafts")));
    imap.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    imap.ok("UID EXPUNGE 1");
    imap.ok("UNSELECT");
    assert!(imap.ok("LIST \"\" *").to_string().contains(&new));
    imap.ok("LOGOUT");
}

#[test]
fn dovecot() {
    days(&Host::dovecot('/', ""));
}

#[test]
fn dovecot_with_dots() {
    days(&Host::dovecot('.', ""));
}

#[test]
fn dovecot_with_everything_below_inbox() {
    days(&Host::dovecot('.', "INBOX."));
}

#[test]
fn cyrus() {
    days(&Host::cyrus());
}

#[test]
fn courier() {
    days(&Host::courier());
}
