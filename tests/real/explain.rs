//! What `mandate explain` says is what the wire does: every act in every folder, for roles of
//! all kinds, carried out through Mandate and looked at on the mail host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use mandate::admin::{Answer, Case, NewGrant, Pin, Request, Setting, Verdict};
use mandate::policy::{FolderClass, SendRight};

use crate::support::dovecot::Settings;
use crate::support::scene::password;
use crate::support::{BOB, Imap, Reply, Scene};

/// Below before above: folders are deleted in this order. `Views` stands for an Aggregate.
const FOLDERS: [(&str, FolderClass); 12] = [
    ("INBOX", FolderClass::Inbox),
    ("Drafts", FolderClass::Drafts),
    ("Sent", FolderClass::Sent),
    ("Trash", FolderClass::Trash),
    ("Archive", FolderClass::Archive),
    ("Junk", FolderClass::Junk),
    ("Views", FolderClass::Aggregate),
    ("Secret", FolderClass::Hidden),
    ("Shelf/Inner", FolderClass::Ordinary),
    ("Shelf", FolderClass::Ordinary),
    ("Projects/2026", FolderClass::Ordinary),
    ("Projects", FolderClass::Ordinary),
];

const ROLES: &str = r#"
[roles.filer.rights]
inbox = "lrswm"
ordinary = "lrswm"
archive = "lrswm"
drafts = "lrswite"
trash = "lr"
[roles.filer-out.rights]
inbox = "lrm"
ordinary = "lr"
archive = "lr"
[roles.dropper.rights]
inbox = "lr"
archive = "li"
junk = "i"
ordinary = "lrk"
[roles.team]
drafts = "team"
send = "on-behalf"
[roles.team.rights]
inbox = "lrsw"
drafts = "lrswite"
sent = "lrsi"
trash = "lri"
[roles.letters.rights]
inbox = "lrs"
ordinary = "lrw"
drafts = "lrt"
sent = "lre"
trash = "lrte"
archive = "lri"
junk = "r"
[roles.letters-too.rights]
inbox = "lrte"
ordinary = "lrikx"
drafts = "lrwit"
sent = "l"
trash = "lrwite"
archive = "lrtei"
junk = "lrsi"
aggregate = "lr"
[roles.gardener.rights]
inbox = "lrswiktem"
ordinary = "lrswikxtem"
archive = "lrswiktem"
"#;

/// One grant: role, how it sends, only, except.
type Granted = (&'static str, Option<SendRight>, &'static [&'static str], &'static [&'static str]);

/// Who is looked at: the grants, and the mailbox's options.
struct Subject {
    grants: &'static [Granted],
    options: &'static [(&'static str, &'static str)],
    /// `Secret` is pinned as Hidden; otherwise it is Ordinary, and Aggregates are seen.
    hides: bool,
}

const fn whole(role: &'static str) -> Granted {
    (role, None, &[], &[])
}

const SHARED: &[(&str, &str)] = &[("read_state", "shared")];
const PERSONAL: &[(&str, &str)] = &[("read_state", "personal")];
const TRASH: &[(&str, &str)] = &[("delete", "trash")];
const ANSWERS: &[(&str, &str)] = &[("reply_only", "true")];
const FINAL: &[(&str, &str)] = &[("deleted_is_final", "true")];

const SUBJECTS: [Subject; 29] = [
    Subject { grants: &[whole("reader")], options: &[], hides: true },
    Subject { grants: &[whole("reader")], options: SHARED, hides: false },
    Subject { grants: &[whole("reader")], options: TRASH, hides: true },
    Subject { grants: &[whole("responder")], options: &[], hides: true },
    Subject { grants: &[whole("responder")], options: PERSONAL, hides: false },
    Subject { grants: &[whole("responder")], options: TRASH, hides: false },
    Subject { grants: &[whole("responder")], options: ANSWERS, hides: true },
    Subject { grants: &[whole("responder")], options: FINAL, hides: true },
    Subject { grants: &[whole("manager")], options: &[], hides: true },
    Subject { grants: &[whole("manager")], options: PERSONAL, hides: false },
    Subject { grants: &[whole("manager")], options: TRASH, hides: true },
    Subject { grants: &[whole("filer")], options: &[], hides: true },
    Subject { grants: &[whole("filer")], options: TRASH, hides: true },
    Subject { grants: &[whole("filer-out")], options: SHARED, hides: true },
    Subject { grants: &[whole("dropper")], options: &[], hides: true },
    Subject { grants: &[whole("team")], options: &[], hides: true },
    Subject { grants: &[whole("letters")], options: &[], hides: false },
    Subject { grants: &[whole("letters")], options: PERSONAL, hides: true },
    Subject { grants: &[whole("letters")], options: TRASH, hides: true },
    Subject { grants: &[whole("letters-too")], options: &[], hides: false },
    Subject { grants: &[whole("letters-too")], options: TRASH, hides: true },
    Subject { grants: &[whole("gardener")], options: &[], hides: true },
    Subject { grants: &[("responder", None, &["Projects"], &[])], options: &[], hides: true },
    Subject { grants: &[("manager", None, &["INBOX", "Projects/*"], &[])], options: &[], hides: false },
    Subject { grants: &[("manager", None, &[], &["Projects/2026", "Shelf/*"])], options: &[], hides: false },
    Subject {
        grants: &[whole("reader"), ("manager", None, &["Projects/2026", "Drafts"], &[])],
        options: SHARED,
        hides: true,
    },
    Subject {
        grants: &[("responder", None, &["INBOX", "Trash"], &[]), ("reader", None, &[], &["Sent"])],
        options: TRASH,
        hides: true,
    },
    Subject { grants: &[("reader", Some(SendRight::OnBehalf), &[], &[])], options: &[], hides: true },
    Subject { grants: &[("responder", Some(SendRight::None), &[], &[])], options: &[], hides: true },
];

const UPSTREAM_PASSWORD: &str = "the-same-for-every-account-here";

/// What an act came to.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    verdict: Verdict,
    /// In `explain`'s words where it has some; the wire's sentence for a refusal.
    why: String,
}

#[test]
fn explain_says_what_the_wire_does() {
    let account = |number: usize| (mailbox(number), UPSTREAM_PASSWORD.to_owned());
    let users = (0..SUBJECTS.len()).map(account).chain(Settings::default().users).collect();
    let upstream = Settings { users, max_connections: 30, ..Settings::default() };
    let scene = Scene::with(upstream, &format!("[limits]\nper_user = 100\nper_address = 200\n{ROLES}"));
    let (next, differences) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    let cases = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(subject) = SUBJECTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = SUBJECTS.iter().position(|other| std::ptr::eq(other, subject)).unwrap();
                    let (found, count) = Look::at(&scene, subject, mailbox(number)).differences();
                    cases.fetch_add(count, Ordering::Relaxed);
                    differences.lock().unwrap().extend(found);
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    println!("explain: {cases:?} cases");
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
    assert!(cases.into_inner() > SUBJECTS.len() * FOLDERS.len() * 14, "a case was left out");
}

fn mailbox(number: usize) -> String {
    format!("m{number}@example.org")
}

fn settle(found: bool, why: &str) -> Found {
    Found { verdict: if found { Verdict::Yes } else { Verdict::No }, why: why.to_owned() }
}

fn yes() -> Found {
    settle(true, "")
}

/// Refused on the wire, with its sentence.
fn refused(reply: &Reply) -> Found {
    let text = reply.tagged.split_once("] ").map_or(reply.tagged.as_str(), |(_, text)| text);
    match reply.tagged.starts_with("NO [NONEXISTENT]") || reply.tagged.starts_with("NO [TRYCREATE]") {
        true => settle(false, "such a folder does not exist for them"),
        false => settle(false, text),
    }
}

/// One subject's mailbox, with a connection straight to it and one through Mandate.
struct Look<'s> {
    scene: &'s Scene,
    subject: &'s Subject,
    mailbox: String,
    owner: Imap,
    user: Imap,
    messages: u32,
}

impl<'s> Look<'s> {
    fn at(scene: &'s Scene, subject: &'s Subject, mailbox: String) -> Look<'s> {
        let mut owner = scene.dovecot.login(&mailbox);
        for (folder, _) in FOLDERS {
            owner.command(&format!("CREATE {folder}"));
        }
        let imap = format!("localhost:{}", scene.dovecot.imaps().port());
        let smtp = format!("localhost:{}", scene.postfix.submissions().port());
        let ca_file = scene.ca.file();
        let add = ["mailbox", "add", &mailbox, "--imap", &imap, "--smtp", &smtp, "--max-connections", "20"];
        let more = ["--ca-file", ca_file.to_str().unwrap(), "--password-stdin"];
        scene.proxy.run(&[&add[..], &more[..]].concat(), &format!("{UPSTREAM_PASSWORD}\n"));
        let class_of = |folder, class| match class {
            FolderClass::Hidden if !subject.hides => Pin { folder, class: FolderClass::Ordinary },
            class => Pin { folder, class },
        };
        let pins =
            FOLDERS.iter().skip(1).map(|(folder, class)| class_of((*folder).to_owned(), *class)).collect();
        scene.proxy.ask(&Request::MailboxFolders { mailbox: mailbox.clone(), pins });
        let settings = subject
            .options
            .iter()
            .map(|(key, value)| Setting { key: (*key).to_owned(), value: (*value).to_owned() });
        let settings: Vec<Setting> = settings.collect();
        if !settings.is_empty() {
            scene.proxy.ask(&Request::MailboxSet { mailbox: mailbox.clone(), settings });
        }
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        for (role, send, only, except) in subject.grants {
            scene.proxy.ask(&Request::GrantAdd(NewGrant {
                holder: BOB.to_owned(),
                mailbox: mailbox.clone(),
                role: (*role).to_owned(),
                send: *send,
                only: words(only),
                except: words(except),
                from: None,
                until: None,
                note: String::new(),
            }));
        }
        let user = scene.proxy.imap(&scene.ca, &format!("{BOB}/{mailbox}"), &password(BOB));
        Look { scene, subject, mailbox, owner, user, messages: 0 }
    }

    /// Every case in which `explain` and the wire differ, and how many there were.
    fn differences(mut self) -> (Vec<String>, usize) {
        let sends = self.send();
        let (mut differences, mut count, mut by_class) = (Vec::new(), 0, BTreeMap::new());
        // Before anything is renamed or deleted: that changes what the mailbox knows.
        let said: Vec<Vec<Case>> = FOLDERS.iter().map(|(folder, _)| self.explained(Some(folder))).collect();
        let in_general = self.explained(None);
        for ((folder, class), mut said) in FOLDERS.into_iter().zip(said) {
            // Last of all the folder goes.
            said.sort_by_key(|case| case.action == "delete-folder");
            for case in said {
                let found = match case.action.as_str() {
                    "send" => sends.clone(),
                    action => self.act(action, folder),
                };
                count += 1;
                if !agree(&case, &found) {
                    differences.push(self.difference(&case, &found));
                }
                if class != FolderClass::Ordinary || folder == "Projects/2026" {
                    by_class.insert((format!("({class})"), case.action.clone()), found);
                }
            }
        }
        // One of each class, where no grant is narrowed.
        for case in in_general {
            let Some(found) = by_class.get(&(case.place.clone(), case.action.clone())) else { continue };
            // `Secret` is no Hidden folder then.
            if case.place == "(hidden)" && !self.subject.hides {
                continue;
            }
            count += 1;
            if !agree(&case, found) {
                differences.push(self.difference(&case, found));
            }
        }
        (differences, count)
    }

    fn difference(&self, case: &Case, found: &Found) -> String {
        let Subject { grants, options, hides } = self.subject;
        let Case { place, action, verdict, why } = case;
        format!(
            "{grants:?} {options:?} hides {hides}: {place} {action}: said {verdict:?} {why:?}, found {found:?}"
        )
    }

    fn explained(&self, folder: Option<&str>) -> Vec<Case> {
        let folder = folder.map(str::to_owned);
        let (user, mailbox) = (BOB.to_owned(), self.mailbox.clone());
        match self.scene.proxy.ask(&Request::Explain { user, mailbox, folder, action: None }) {
            Answer::Explained(explained) => explained.cases,
            other => panic!("{other:?}"),
        }
    }

    fn act(&mut self, action: &str, folder: &str) -> Found {
        match action {
            "open" => self.open(folder),
            "read" => self.read(folder),
            "mark-read" => self.flag(folder, "\\Seen"),
            "flag" => self.flag(folder, "\\Flagged"),
            "mark-deleted" => self.both(folder, |look, uid| look.marked(folder, uid)),
            "expunge" => self.both(folder, |look, uid| look.expunged(folder, uid)),
            "store" => self.store(folder),
            "copy-here" => self.copy(folder),
            "file" => self.both(folder, |look, uid| look.moved(folder, uid, "Archive")),
            "move-to-trash" => self.both(folder, |look, uid| look.moved(folder, uid, "Trash")),
            "create-below" => self.create(folder),
            "rename-folder" => self.rename(folder),
            "delete-folder" => self.delete(folder),
            other => panic!("{other}: how is this tried?"),
        }
    }

    fn message(&mut self) -> Vec<u8> {
        self.messages += 1;
        let number = self.messages;
        format!("From: customer@example.net\r\nMessage-ID: <m{number}@example.net>\r\n\r\n{number}\r\n")
            .into_bytes()
    }

    /// A new message in a folder, by nobody in particular.
    fn deliver(&mut self, folder: &str, flags: &str) -> u32 {
        let message = self.message();
        let reply = self.owner.append(folder, flags, &message);
        uid(&reply).unwrap_or_else(|| panic!("{folder}: {reply}"))
    }

    fn select(&mut self, folder: &str) -> Reply {
        self.user.command(&format!("SELECT {folder}"))
    }

    /// Flags of a message on the mail host; `None` if it is not there.
    fn flags(&mut self, folder: &str, uid: u32) -> Option<String> {
        self.owner.ok(&format!("EXAMINE {folder}"));
        let reply = self.owner.ok(&format!("UID FETCH {uid} (FLAGS)"));
        self.owner.ok("UNSELECT");
        reply.lines().into_iter().find(|line| line.contains("FETCH"))
    }

    fn open(&mut self, folder: &str) -> Found {
        let reply = self.select(folder);
        match reply.is_ok() {
            true if reply.tagged.contains("READ-ONLY") => settle(true, "for reading only"),
            true => yes(),
            false => refused(&reply),
        }
    }

    fn read(&mut self, folder: &str) -> Found {
        let uid = self.deliver(folder, "");
        let opened = self.select(folder);
        if !opened.is_ok() {
            return refused(&opened);
        }
        let read = self.user.ok(&format!("UID FETCH {uid} (BODY.PEEK[])"));
        settle(read.literal().is_some(), "")
    }

    fn flag(&mut self, folder: &str, flag: &str) -> Found {
        let uid = self.deliver(folder, "");
        let opened = self.select(folder);
        if !opened.is_ok() {
            return refused(&opened);
        }
        self.stored(folder, uid, flag)
    }

    fn marked(&mut self, folder: &str, uid: u32) -> Found {
        self.stored(folder, uid, "\\Deleted")
    }

    fn stored(&mut self, folder: &str, uid: u32, flag: &str) -> Found {
        let reply = self.user.command(&format!("UID STORE {uid} +FLAGS ({flag})"));
        if !reply.is_ok() {
            return refused(&reply);
        }
        let shown = self.user.ok(&format!("UID FETCH {uid} (FLAGS)")).has(flag);
        // Where marking removes at once, who marks is told nothing of flags.
        let Some(upstream) = self.flags(folder, uid) else { return yes() };
        match (upstream.contains(flag), shown) {
            (true, true) => yes(),
            (false, true) => settle(true, "for themselves alone; nobody else sees it"),
            (false, false) => {
                assert!(reply.has("FLAGS"), "{folder} {flag}: the true flags are not shown: {reply}");
                settle(false, "nothing changes; the client is shown the true flags")
            }
            (true, false) => panic!("{folder} {flag}: set upstream and not shown"),
        }
    }

    fn expunged(&mut self, folder: &str, uid: u32) -> Found {
        self.user.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
        let shown = self.user.ok(&format!("UID FETCH {uid} (FLAGS)"));
        if !shown.has("\\Deleted") && self.flags(folder, uid).is_some() {
            // Somebody else has marked it.
            self.owner.ok(&format!("SELECT {folder}"));
            self.owner.ok(&format!("UID STORE {uid} +FLAGS (\\Deleted)"));
            self.owner.ok("UNSELECT");
            // They are told of it before they remove it.
            self.user.ok("NOOP");
        }
        let in_trash = self.count("Trash");
        let reply = self.user.command(&format!("UID EXPUNGE {uid}"));
        if !reply.is_ok() {
            return refused(&reply);
        }
        match self.flags(folder, uid) {
            Some(_) => settle(false, "nothing happens; the client is told OK"),
            None if self.count("Trash") > in_trash => settle(true, "messages go to the mailbox's Trash"),
            None => yes(),
        }
    }

    fn count(&mut self, folder: &str) -> u32 {
        let reply = self.owner.ok(&format!("STATUS {folder} (MESSAGES)"));
        let text = reply.lines().concat();
        text.trim_end_matches(')').rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn moved(&mut self, folder: &str, uid: u32, to: &str) -> Found {
        let reply = self.user.command(&format!("UID MOVE {uid} {to}"));
        if !reply.is_ok() {
            assert!(self.flags(folder, uid).is_some(), "{folder}: refused and gone: {reply}");
            return refused(&reply);
        }
        assert!(self.flags(folder, uid).is_none(), "{folder}: moved and still there: {reply}");
        yes()
    }

    /// An act on somebody else's message, and on one that the user stored.
    fn both(&mut self, folder: &str, act: impl Fn(&mut Self, u32) -> Found) -> Found {
        let theirs = self.deliver(folder, "");
        let message = self.message();
        let own = uid(&self.user.append(folder, "", &message));
        let opened = self.select(folder);
        if !opened.is_ok() {
            return refused(&opened);
        }
        let with_theirs = act(self, theirs);
        match own.map(|own| act(self, own)) {
            // Who may not store there has no drafts of their own, but might.
            None if folder == "Drafts" && with_theirs.verdict == Verdict::No => {
                Found { why: format!("{}; no own ones", with_theirs.why), ..with_theirs }
            }
            Some(with_own) if with_own.verdict != with_theirs.verdict => {
                assert_eq!(with_own.verdict, Verdict::Yes, "{folder}: {with_own:?}, {with_theirs:?}");
                Found { verdict: Verdict::Partly, why: "their own drafts only".to_owned() }
            }
            _ => with_theirs,
        }
    }

    fn store(&mut self, folder: &str) -> Found {
        let (before, message) = (self.count(folder), self.message());
        let reply = self.user.append(folder, "", &message);
        assert_eq!(reply.is_ok(), self.count(folder) > before, "{folder}: {reply}");
        if reply.is_ok() { yes() } else { refused(&reply) }
    }

    fn copy(&mut self, folder: &str) -> Found {
        let uid = self.deliver("INBOX", "");
        let opened = self.select("INBOX");
        if !opened.is_ok() {
            return refused(&opened);
        }
        let before = self.count(folder);
        let reply = self.user.command(&format!("UID COPY {uid} {folder}"));
        assert_eq!(reply.is_ok(), self.count(folder) > before, "{folder}: {reply}");
        if reply.is_ok() { yes() } else { refused(&reply) }
    }

    fn create(&mut self, folder: &str) -> Found {
        let reply = self.user.command(&format!("CREATE {folder}/new"));
        let made = self.owner.command(&format!("DELETE {folder}/new")).is_ok();
        assert_eq!(reply.is_ok(), made, "{folder}: {reply}");
        if made { yes() } else { refused(&reply) }
    }

    fn rename(&mut self, folder: &str) -> Found {
        let reply = self.user.command(&format!("RENAME {folder} {folder}-2"));
        let renamed = self.owner.command(&format!("STATUS {folder}-2 (MESSAGES)")).is_ok();
        assert_eq!(reply.is_ok(), renamed, "{folder}: {reply}");
        if !renamed {
            return refused(&reply);
        }
        self.user.ok(&format!("RENAME {folder}-2 {folder}"));
        yes()
    }

    fn delete(&mut self, folder: &str) -> Found {
        self.user.command("UNSELECT");
        let reply = self.user.command(&format!("DELETE {folder}"));
        let gone = !self.owner.command(&format!("STATUS {folder} (MESSAGES)")).is_ok();
        assert_eq!(reply.is_ok(), gone, "{folder}: {reply}");
        if gone { yes() } else { refused(&reply) }
    }

    /// A new message, and an answer to one of the mailbox's.
    fn send(&mut self) -> Found {
        let parent = self.message();
        let parent_id = String::from_utf8_lossy(&parent).split(['<', '>']).nth(1).unwrap().to_owned();
        let stored = self.owner.append("INBOX", "", &parent);
        assert!(stored.is_ok(), "{stored}");
        let new = self.submit("");
        let answer = self.submit(&format!("In-Reply-To: <{parent_id}>\r\n"));
        match (new.verdict, answer.verdict) {
            (Verdict::No, Verdict::Yes) => Found { verdict: Verdict::Partly, why: "answers only".to_owned() },
            _ => new,
        }
    }

    fn submit(&mut self, header: &str) -> Found {
        self.messages += 1;
        let id = format!("{}.{}", self.messages, self.mailbox);
        let mailbox = &self.mailbox;
        let mut smtp = self.scene.proxy.smtp(&self.scene.ca, &format!("{BOB}/{mailbox}"), &password(BOB));
        let sender = smtp.command(&format!("MAIL FROM:<{mailbox}>"));
        if sender.code != 250 {
            return settle(false, sender.text().trim_start_matches("5.7.1 "));
        }
        smtp.expect(250, "RCPT TO:<customer@example.net>");
        let message = format!("From: <{mailbox}>\r\n{header}Message-ID: <{id}>\r\nSubject: x\r\n\r\nx\r\n");
        let reply = smtp.data(message.as_bytes());
        if reply.code != 250 {
            return settle(false, reply.text().trim_start_matches("5.7.1 "));
        }
        let arrived = crate::support::eventually("the message arrives", || {
            self.scene.sink.deliveries().into_iter().find(|sent| sent.text().contains(&id))
        });
        let on_behalf = !arrived.header("Sender").is_empty();
        if on_behalf { settle(true, "on behalf: Sender names them") } else { yes() }
    }
}

/// Whether the wire did what was said. Where the folder could not even be opened, the act that
/// follows is not refused in its own words.
fn agree(case: &Case, found: &Found) -> bool {
    let unopened = found.why.contains("opening this folder") || found.why.contains("does not exist");
    // Who creates learns that the level above gives no right to, whatever is there.
    let makes = case.action == "create-below" && case.why.contains("does not exist");
    if found.why.ends_with("; no own ones") && case.verdict == Verdict::Partly {
        return case.why == "their own drafts only";
    }
    let found = Found { why: found.why.trim_end_matches("; no own ones").to_owned(), ..found.clone() };
    case.verdict == found.verdict
        && (case.why == found.why || (found.verdict == Verdict::No && (unopened || makes)))
}

fn uid(reply: &Reply) -> Option<u32> {
    let code = reply.tagged.strip_prefix("OK [APPENDUID ")?;
    code.split(']').next()?.split(' ').nth(1)?.parse().ok()
}
