//! Somebody who was given fifty mailboxes of two hundred folders: what a login and LIST cost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::dovecot;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, Ca, Dovecot, Imap, PATIENCE, Proxy, Read, eventually, proxy};

const MAILBOXES: usize = 50;
const FOLDERS: usize = 200;

/// Folders of Alice's own.
const OWN: usize = 6;
/// The empty INBOX of somebody without mail of their own.
const EMPTY: usize = 1;

/// Fields are dropped in this order.
struct Many {
    proxy: Proxy,
    dovecot: Dovecot,
    ca: Ca,
}

fn mailbox(number: usize) -> String {
    format!("team{number:02}@example.org")
}

impl Many {
    /// Alice has mail of her own on the same host, Bob has none; both read all mailboxes.
    fn open() -> Many {
        let ca = Ca::new();
        let users: BTreeMap<_, _> = (0..MAILBOXES)
            .map(|number| (mailbox(number), "a-password".to_owned()))
            .chain([(ALICE.to_owned(), password(ALICE))])
            .collect();
        let settings = dovecot::Settings { users, max_connections: 100, ..dovecot::Settings::default() };
        let dovecot = Dovecot::with(ca.localhost(), settings);
        furnish(&dovecot);
        let settings = proxy::Settings { certificate: ca.localhost(), extra: String::new() };
        let many = Many { proxy: Proxy::with(settings), dovecot, ca };
        let host = format!("localhost:{}", many.dovecot.imaps().port());
        let ca_file = many.ca.file();
        let upstream = ["--imap", &host, "--ca-file", ca_file.to_str().unwrap()];
        for person in [ALICE, BOB] {
            many.proxy.run(&["user", "add", person, "--password-stdin"], &format!("{}\n", password(person)));
        }
        many.proxy.run(&[&["user", "host", ALICE][..], &upstream, &["--pass-through"]].concat(), "");
        for number in 0..MAILBOXES {
            let name = mailbox(number);
            let add = [&["mailbox", "add", &name][..], &upstream, &["--password-stdin"]].concat();
            many.proxy.run(&add, "a-password\n");
            many.proxy.run(&["grant", "add", ALICE, &name, "reader"], "");
            many.proxy.run(&["grant", "add", BOB, &name, "reader"], "");
        }
        many
    }

    /// How often the shared mailboxes were logged in to so far.
    fn logins(&self) -> usize {
        let logged = |log: &str, user: &str| log.matches(&format!("Login: user=<{user}>")).count();
        // The log comes late: when a login of ours is in it, those before are too.
        let before = logged(&self.dovecot.log(), ALICE);
        self.dovecot.login(ALICE);
        eventually("the host logs our login", || {
            let log = self.dovecot.log();
            (logged(&log, ALICE) > before).then(|| log.matches("Login: user=<team").count())
        })
    }

    /// CPU time of the daemon so far.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.proxy.id())).unwrap().flatten();
        let spent = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }
}

/// The same folders for each mailbox: made once and copied.
fn furnish(dovecot: &Dovecot) {
    let model = mailbox(0);
    let mut imap = dovecot.login(&model);
    // Dovecot made some of its own at this login; `Projects` itself is one more.
    let present = imap.ok("LIST \"\" *").lines().len() + 1;
    (present..FOLDERS).for_each(|number| drop(imap.ok(&format!("CREATE Projects/{number:03}"))));
    imap.ok("LOGOUT");
    (1..MAILBOXES).for_each(|number| dovecot.copy_mail(&dovecot.home(&model), &mailbox(number)));
}

#[test]
fn fifty_mailboxes_of_two_hundred_folders() {
    let many = Many::open();
    let before = many.logins();
    let mut alice = many.proxy.imap(&many.ca, ALICE, &password(ALICE));
    alice.ok("SELECT INBOX");
    assert_eq!(many.logins(), before, "a login opens no connection but its own");
    assert_eq!(lines(&mut alice, "LIST \"\" *", "* LIST "), FOLDERS * MAILBOXES + OWN);

    let before = many.logins();
    let mut bob = many.proxy.imap(&many.ca, BOB, &password(BOB));
    let (spent, rounds) = (many.cpu(), 10);
    for _ in 0..rounds {
        assert_eq!(lines(&mut bob, "LIST \"\" *", "* LIST "), FOLDERS * MAILBOXES + EMPTY);
    }
    println!(
        "many: LIST of {MAILBOXES} x {FOLDERS} folders: {:?} of CPU time",
        (many.cpu() - spent) / rounds
    );
    let told = lines(&mut bob, "LIST \"\" * RETURN (STATUS (MESSAGES))", "* STATUS ");
    println!("many: LIST-STATUS: {told} folders told");
    assert!(told > MAILBOXES, "{told}");
    assert_eq!(many.logins(), before, "folders that are known need no new connection");
}

/// How many lines of a kind the answer has.
fn lines(imap: &mut Imap, command: &str, kind: &str) -> usize {
    let tag = imap.start(command);
    let mut rows = 0;
    loop {
        match imap.wire.line(PATIENCE) {
            Read::Octets(line) if line.starts_with(kind.as_bytes()) => rows += 1,
            Read::Octets(line) if line.starts_with(tag.as_bytes()) => {
                assert!(line[tag.len()..].starts_with(b" OK "), "{}", String::from_utf8_lossy(&line));
                return rows;
            }
            Read::Octets(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
