//! Two Dovecots with the same mail: one behind Mandate, which has all rights there; one with the
//! plugins `acl` and `imap_acl`, where a person logs in as `mailbox*person` and has what the ACLs
//! say. That one is the oracle.

use std::path::PathBuf;

use mandate::admin::{Login, NewGrant, NewMailbox, Pin, Request, Setting};
use mandate::policy::FolderClass;
use mandate::types::{Account, Endpoint, Secret, Security, Trust};

use crate::support::dovecot::{Settings, Storage};
use crate::support::scene::password;
use crate::support::{Ca, Dovecot, Imap, Proxy, Snapshot, proxy};

/// Who takes part: login name, role, and the name in the oracle's ACLs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Person {
    pub(crate) login: &'static str,
    pub(crate) role: Role,
    acl: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Reader,
    Responder,
    Manager,
}

pub(crate) const PEOPLE: [Person; 4] = [
    Person { login: "alice@example.org", role: Role::Manager, acl: "alice" },
    Person { login: "bob@example.org", role: Role::Responder, acl: "bob" },
    Person { login: "dave@example.org", role: Role::Responder, acl: "dave" },
    Person { login: "carol@example.org", role: Role::Reader, acl: "carol" },
];

/// The folders at a session's start, with the rights of docs/rights.md: reader, responder,
/// manager. `p` is of no meaning in IMAP. A hidden folder gives nobody anything.
const FOLDERS: [(&str, [&str; 3]); 9] = [
    ("INBOX", ["lr", "lrsw", "lrswitek"]),
    ("Projects", ["lr", "lrsw", "lrswitekx"]),
    ("Projects/2026", ["lr", "lrsw", "lrswitekx"]),
    ("Drafts", ["lr", "lrswi", "lrswite"]),
    ("Sent", ["lr", "lrswi", "lrswite"]),
    ("Trash", ["lr", "lrsw", "lrswite"]),
    ("Archive", ["lr", "lrsw", "lrswitek"]),
    ("Junk", ["lr", "lrsw", "lrswite"]),
    ("Secret", ["", "", ""]),
];

/// What a folder made in a session gives.
const NEW_FOLDER: [&str; 3] = ["lr", "lrsw", "lrswitekx"];

const MESSAGES: [(&str, &str); 17] = [
    ("INBOX", ""),
    ("INBOX", "\\Seen"),
    ("INBOX", "\\Flagged $Forwarded"),
    ("INBOX", "\\Deleted"),
    ("INBOX", "\\Seen \\Answered kw"),
    ("INBOX", ""),
    ("Projects", ""),
    ("Projects", "\\Deleted \\Seen"),
    ("Projects/2026", "\\Flagged"),
    ("Drafts", "\\Draft"),
    ("Drafts", "\\Draft \\Deleted"),
    ("Sent", "\\Seen"),
    ("Trash", "\\Seen"),
    ("Trash", "\\Seen \\Deleted"),
    ("Archive", "\\Seen"),
    ("Junk", ""),
    ("Secret", ""),
];

const ACCOUNT_PASSWORD: &str = "the-same-for-every-account-here";
const TEMPLATE: &str = "template@example.org";

/// All servers, for all sessions.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) upstream: Dovecot,
    pub(crate) oracle: Dovecot,
    ca: Ca,
    template: PathBuf,
    pub(crate) prepared: Snapshot,
}

impl World {
    pub(crate) fn start() -> World {
        let ca = Ca::new();
        let upstream = Dovecot::with(ca.localhost(), settings(""));
        let oracle = Dovecot::with(ca.localhost(), settings(&acl_plugins()));
        let proxy = Proxy::with(proxy::Settings { certificate: ca.localhost(), extra: String::new() });
        for person in PEOPLE {
            let word = format!("{}\n", password(person.login));
            proxy.run(&["user", "add", person.login, "--password-stdin"], &word);
        }
        let prepared = prepare(&oracle);
        let template = oracle.home(TEMPLATE);
        World { proxy, upstream, oracle, ca, template, prepared }
    }

    /// A new mailbox on both hosts, known to Mandate, with everybody's role.
    pub(crate) fn open(&self, mailbox: &str) {
        self.upstream.copy_mail(&self.template, mailbox);
        self.oracle.copy_mail(&self.template, mailbox);
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            port: self.upstream.imap().port(),
            security: Security::Plaintext,
            trust: Trust::System,
        };
        let account = Account { authcid: mailbox.to_owned(), authzid: None };
        let secret = || Secret::new(ACCOUNT_PASSWORD.as_bytes().to_vec());
        self.proxy.ask(&Request::MailboxAdd(Box::new(NewMailbox {
            address: mailbox.to_owned(),
            aliases: Vec::new(),
            short: None,
            display: String::new(),
            owner: None,
            imap: Login { endpoint, account, password: secret() },
            submission: None,
            max_connections: 10,
        })));
        // The oracle has one `\Seen` for everybody.
        let shared = Setting { key: "read_state".to_owned(), value: "shared".to_owned() };
        self.proxy.ask(&Request::MailboxSet { mailbox: mailbox.to_owned(), settings: vec![shared] });
        let hidden = Pin { folder: "Secret".to_owned(), class: FolderClass::Hidden };
        self.proxy.ask(&Request::MailboxFolders { mailbox: mailbox.to_owned(), pins: vec![hidden] });
        for person in PEOPLE {
            self.proxy.ask(&Request::GrantAdd(NewGrant {
                holder: person.login.to_owned(),
                mailbox: mailbox.to_owned(),
                role: person.role.name().to_owned(),
                send: None,
                only: Vec::new(),
                except: Vec::new(),
                from: None,
                until: None,
                note: String::new(),
            }));
        }
    }

    /// Forgets a mailbox and its mail.
    pub(crate) fn close(&self, mailbox: &str) {
        self.proxy.ask(&Request::MailboxRemove { mailbox: mailbox.to_owned() });
        for host in [&self.upstream, &self.oracle] {
            // A server that still writes there is no reason to stop.
            let _ = std::fs::remove_dir_all(host.home(mailbox));
        }
    }

    pub(crate) fn through_mandate(&self, person: Person, mailbox: &str) -> Imap {
        self.proxy.imap(&self.ca, &format!("{}/{mailbox}", person.login), &password(person.login))
    }

    pub(crate) fn at_oracle(&self, person: Person, mailbox: &str) -> Imap {
        account(&self.oracle, &format!("{mailbox}*{}", person.acl))
    }

    /// The account's own login: all rights, at the oracle too.
    pub(crate) fn owner(&self, mailbox: &str) -> Imap {
        account(&self.oracle, mailbox)
    }

    /// What both hosts hold.
    pub(crate) fn states(&self, mailbox: &str) -> (Snapshot, Snapshot) {
        let state = |host: &Dovecot| Snapshot::take(&mut account(host, mailbox));
        (state(&self.upstream), state(&self.oracle))
    }
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Responder => "responder",
            Role::Manager => "manager",
        }
    }

    fn of(self, rights: [&'static str; 3]) -> &'static str {
        match self {
            Role::Reader => rights[0],
            Role::Responder => rights[1],
            Role::Manager => rights[2],
        }
    }
}

/// Gives a new folder the rights of its class.
pub(crate) fn make_ordinary(owner: &mut Imap, folder: &str) -> bool {
    let set = |person: Person| {
        owner.command(&format!("SETACL {folder} {} {}", person.acl, person.role.of(NEW_FOLDER))).is_ok()
    };
    PEOPLE.map(set).iter().all(|set| *set)
}

fn account(host: &Dovecot, login: &str) -> Imap {
    let mut imap = Imap::plain(host.imap());
    imap.login(login, ACCOUNT_PASSWORD);
    imap
}

/// The mailbox that every session gets a copy of.
fn prepare(oracle: &Dovecot) -> Snapshot {
    let mut imap = account(oracle, TEMPLATE);
    for (folder, rights) in FOLDERS {
        imap.command(&format!("CREATE {folder}"));
        for person in PEOPLE.iter().filter(|person| !person.role.of(rights).is_empty()) {
            imap.ok(&format!("SETACL {folder} {} {}", person.acl, person.role.of(rights)));
        }
    }
    for (number, (folder, flags)) in (1..).zip(MESSAGES) {
        let stored = imap.append(folder, flags, &message(number));
        assert!(stored.is_ok(), "{stored}");
    }
    imap.ok("SUBSCRIBE INBOX");
    imap.ok("SUBSCRIBE Projects");
    for (folder, _) in FOLDERS {
        // Nothing stays recent.
        imap.ok(&format!("SELECT {folder}"));
    }
    let prepared = Snapshot::take(&mut imap);
    imap.command("LOGOUT");
    let place = oracle.home(TEMPLATE).join("sdbox/mailboxes");
    // Rights of its own, if none: else a folder takes those from the top.
    let nothing = PEOPLE.map(|person| format!("user={} \n", person.acl));
    std::fs::write(place.join("Secret/dbox-Mails/dovecot-acl"), nothing.concat()).unwrap();
    let top = PEOPLE.map(|person| format!("user={} {}\n", person.acl, person.role.of(NEW_FOLDER)));
    std::fs::write(place.join("dovecot-acl"), top.concat()).unwrap();
    prepared
}

/// A message with a text part and one attached, so that BODYSTRUCTURE has something to say.
pub(crate) fn message(number: usize) -> Vec<u8> {
    format!(
        "From: customer{number}@example.net\r\nTo: support@example.org\r\nSubject: question {number}\r\n\
         Message-ID: <q{number}@example.net>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         How do I do {number}?\r\n--b\r\nContent-Type: text/plain; name=\"x.txt\"\r\n\
         Content-Disposition: attachment\r\n\r\na1 CREATE smug\r\n--b--\r\n"
    )
    .into_bytes()
}

fn settings(extra: &str) -> Settings {
    Settings {
        storage: Storage::Sdbox,
        max_connections: 100,
        extra: format!(
            "passdb {{\n driver = static\n args = password={ACCOUNT_PASSWORD}\n}}\n\
             # Which is late now and then: STATUS of what another process has just changed.
             mailbox_list_index = no\n\
             service imap {{\n service_count = 200\n process_limit = 400\n}}\n\
             service imap-login {{\n service_count = 0\n}}\n{extra}"
        ),
        ..Settings::default()
    }
}

fn acl_plugins() -> String {
    format!(
        "mail_plugins = acl\n\
         protocol imap {{\n mail_plugins = acl imap_acl\n}}\n\
         plugin {{\n acl = vfile\n}}\n\
         passdb {{\n driver = static\n args = password={ACCOUNT_PASSWORD}\n master = yes\n \
         result_success = continue\n}}\n"
    )
}
