//! A folder of a hundred thousand messages: what a read state of one's own costs there, and
//! how long people without a connection wait for news.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::time::{Duration, Instant};

use crate::support::dovecot::{self, NOBODY, SUPPORT, Storage};
use crate::support::process::is_root;
use crate::support::{ALICE, BOB, CAROL, Imap, Read, Scene};

const MESSAGES: usize = 100_000;

/// The comparison's measurements of each kind; the median counts.
const ROUNDS: usize = 9;

/// What a command on all messages may take here before the test fails.
const LONG: Duration = Duration::from_secs(120);

/// The usual people and a mailbox whose INBOX is large.
fn scene() -> Scene {
    let upstream = dovecot::Settings { storage: Storage::Maildir, ..dovecot::Settings::default() };
    let scene = Scene::with(upstream, "[limits]\nper_address = 1000\n");
    scene.dovecot.login(SUPPORT).ok("SELECT INBOX");
    let cur = scene.dovecot.home(SUPPORT).join("Maildir/cur");
    for number in 0..MESSAGES {
        let flags = if number % 3 == 0 { "S" } else { "" };
        let file = cur.join(format!("{}.{number:06}.host:2,{flags}", 1_700_000_000 + number));
        std::fs::write(&file, format!("Subject: {number}\r\n\r\nbody\r\n")).unwrap();
        if is_root() {
            chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let reply = scene.dovecot.login(SUPPORT).ok("SELECT INBOX");
    assert!(reply.has(&format!("* {MESSAGES} EXISTS")), "{reply}");
    scene
}

/// Opens the folder and reads all flags: how long it took, and how many messages are read.
fn open(imap: &mut Imap) -> (Duration, usize) {
    let since = Instant::now();
    imap.ok("SELECT INBOX");
    let tag = imap.start("UID FETCH 1:* (FLAGS)");
    let (mut seen, mut told) = (0, 0);
    loop {
        match imap.wire.line(LONG) {
            Read::Octets(line) if line.starts_with(tag.as_bytes()) => break,
            Read::Octets(line) => {
                told += 1;
                seen += usize::from(line.windows(5).any(|word| word == b"\\Seen"));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(told >= MESSAGES, "{told}");
    (since.elapsed(), seen)
}

#[test]
#[ignore = "nightly: a hundred thousand messages"]
fn own_read_state_beside_the_shared_one() {
    let scene = scene();
    let (mut shared, mut own) = (scene.imap(BOB), scene.imap(CAROL));
    own.ok("SELECT INBOX");
    // As people read: everything old, and some of what is new.
    own.ok(&format!("UID STORE 1:{} +FLAGS.SILENT (\\Seen)", MESSAGES - 2_000));
    let some: Vec<_> = (0..500).map(|number| (MESSAGES - 4 * number).to_string()).collect();
    own.ok(&format!("UID STORE {} +FLAGS.SILENT (\\Seen)", some.join(",")));
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let ((shared_time, shared_seen), (own_time, own_seen)) = (open(&mut shared), open(&mut own));
        assert_eq!((shared_seen, own_seen), (MESSAGES.div_ceil(3), MESSAGES - 1_500));
        println!("large: shared {shared_time:?}, own {own_time:?}");
        ratios.push(own_time.as_secs_f64() / shared_time.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "large: SELECT and all flags of {MESSAGES} messages, own over shared read state: {:.2}",
        ratios[ROUNDS / 2]
    );
}

#[test]
#[ignore = "nightly: a hundred thousand messages"]
fn people_without_a_connection_hear_of_news() {
    let scene = scene();
    let mut alice = scene.imap(ALICE);
    let people: Vec<_> = (0..20).map(|number| format!("user{number}@example.org")).collect();
    let mut crowd = Vec::new();
    for person in &people {
        scene.add_user(person);
        scene.grant(person, "responder");
        let mut imap = scene.imap(person);
        open(&mut imap);
        imap.start("IDLE");
        assert!(imap.response().starts_with(b"+"));
        crowd.push(imap);
    }
    let since = Instant::now();
    assert!(alice.append("INBOX", "", b"Subject: new\r\n\r\nbody\r\n").is_ok());
    let news = format!("* {} EXISTS", MESSAGES + 1).into_bytes();
    let mut waits = BTreeSet::new();
    for imap in &mut crowd {
        loop {
            match imap.response_within(LONG) {
                Read::Octets(line) if line.starts_with(&news) => break,
                Read::Octets(line) => {
                    assert!(!line.starts_with(b"* BYE"), "{}", String::from_utf8_lossy(&line))
                }
                other => panic!("{other:?}"),
            }
        }
        waits.insert(since.elapsed());
    }
    println!("large: 20 people hear of a new message after {:?} to {:?}", waits.first(), waits.last());
}
