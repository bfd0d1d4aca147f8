//! Large messages handed in, octet for octet and in little memory; and many clients at once.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};

use crate::outbox::settled;
use crate::streaming::{assert_small, mark_memory, peak_memory, resident_memory};
use crate::support::dovecot::{self, SUPPORT};
use crate::support::scene::password;
use crate::support::{BOB, Read, Scene, Sink, Smtp};

const SALES: &str = "sales@example.org";

/// What hashing leaves with the allocator would hide what a message takes.
const EXTRA: &str =
    "[login.hashing]\nmemory_kib = 1024\n[submission.session.limits]\nmessage_octets = 200000000\n";

fn with_sales(extra: &str) -> (Scene, Sink) {
    let (scene, sink) = (Scene::with(dovecot::Settings::default(), extra), Sink::start());
    scene.add_mailbox(SALES, &sink, &["--smtp-security", "plaintext", "--smtp-no-auth"]);
    (scene, sink)
}

fn header(id: &str) -> String {
    format!(
        "From: {SALES}\r\nTo: customer@example.net\r\nSubject: {id}\r\nMessage-ID: <{id}@example.org>\r\n\
         Date: Sat, 21 Nov 2026 11:00:00 +0000\r\n\r\n"
    )
}

/// Lines that a careless relay would change: dots, long ones, 8-bit ones, blanks at the end.
fn lines() -> Vec<Vec<u8>> {
    let long = |length: usize| (0..length).map(|at| b"0123456789abcdef. "[at % 18]).collect::<Vec<u8>>();
    let octets = (1..=255u8).filter(|octet| !b"\r\n".contains(octet)).collect();
    let mut lines: Vec<Vec<u8>> =
        vec![octets, long(76), long(997), long(998), long(999), long(4_000), long(60_000)];
    for text in ["", ".", "..", "...", ".x", "..x", ". ", " .", "-- ", "From x", "\t", "x  ", ".\u{e4}"] {
        lines.push(text.as_bytes().to_vec());
    }
    lines
}

/// What goes over the wire between 354 and the final dot, in pieces; and a digest of the body
/// before its dots were stuffed.
fn send_body(smtp: &mut Smtp, octets: usize) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    let (mut sent, lines) = (0, lines());
    let piece: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\r\n"].concat()).collect();
    let stuffed: Vec<u8> = lines
        .iter()
        .flat_map(|line| [if line.starts_with(b".") { &b"."[..] } else { b"" }, line, b"\r\n"].concat())
        .collect();
    while sent < octets {
        digest.update(&piece);
        smtp.send(&stuffed);
        sent += piece.len();
    }
    smtp.send(".\r\n");
    digest.finish().as_ref().to_vec()
}

fn submit_large(smtp: &mut Smtp, id: &str, octets: usize) -> Vec<u8> {
    smtp.expect(250, &format!("MAIL FROM:<{SALES}> BODY=8BITMIME"));
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp.expect(354, "DATA");
    smtp.send(header(id));
    let digest = send_body(smtp, octets);
    let answer = answer_within(smtp, Duration::from_secs(120));
    assert!(answer.starts_with("250 "), "{answer}");
    digest
}

fn answer_within(smtp: &mut Smtp, time: Duration) -> String {
    match smtp.wire.line(time) {
        Read::Octets(line) => String::from_utf8_lossy(&line).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn body_of(message: &[u8]) -> &[u8] {
    let at = memchr::memmem::find(message, b"\r\n\r\n").unwrap();
    &message[at + 4..]
}

fn digest(octets: &[u8]) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    digest.update(octets);
    digest.finish().as_ref().to_vec()
}

#[test]
fn a_body_arrives_octet_for_octet_and_takes_no_memory() {
    let (scene, sink) = with_sales(EXTRA);
    for (number, how) in ["as", "on-behalf"].into_iter().enumerate() {
        scene.proxy.run(&["grant", "remove", BOB, SALES], "");
        scene.proxy.run(&["grant", "add", BOB, SALES, "responder", "--send", how], "");
        let mut smtp = scene.smtp_as(SALES);
        let memory = mark_memory(&scene.proxy);
        let sent = submit_large(&mut smtp, how, 10_000_000);
        assert_small(&scene.proxy, memory, &format!("submission of 10 MB, {how}"));
        let delivery = sink.wait(number + 1).pop().unwrap();
        let message = delivery.message();
        assert!(body_of(&message).len() > 10_000_000);
        assert_eq!(digest(body_of(&message)), sent, "{how}");
        assert_eq!(delivery.header("Sender"), if how == "as" { vec![] } else { vec![BOB.to_owned()] });
        assert!(delivery.mail_from.ends_with("BODY=8BITMIME"), "{}", delivery.mail_from);
        // The copy goes to Dovecot from the disk, and is the same.
        settled(&scene);
        assert_small(&scene.proxy, memory, &format!("filing of 10 MB, {how}"));
        let mut imap = scene.dovecot.login(SUPPORT);
        imap.ok("EXAMINE Sent");
        let copy = imap.ok(&format!("FETCH {} BODY.PEEK[TEXT]", number + 1)).literal().unwrap();
        assert_eq!(digest(&copy), sent, "the copy, {how}");
    }
    // What would be octets without lines is not offered.
    let mut smtp = scene.smtp_as(SALES);
    let offered = smtp.expect(250, "EHLO client.example.org").text();
    assert!(!offered.contains("BINARYMIME") && !offered.contains("CHUNKING"), "{offered}");
    smtp.expect(555, &format!("MAIL FROM:<{SALES}> BODY=BINARYMIME"));
    assert!(smtp.command("BDAT 5 LAST").code >= 500);
}

#[test]
#[ignore = "nightly: a hundred megabytes, twice"]
fn a_hundred_megabytes_take_no_memory() {
    let (scene, sink) = with_sales(EXTRA);
    let mut smtp = scene.smtp_as(SALES);
    let memory = mark_memory(&scene.proxy);
    let sent = submit_large(&mut smtp, "large", 100_000_000);
    assert_small(&scene.proxy, memory, "submission of 100 MB");
    assert_eq!(digest(body_of(&sink.wait(1)[0].message())), sent);
    settled(&scene);
    assert_small(&scene.proxy, memory, "filing of 100 MB");
}

/// People, and sessions of each: as many as one person may have by default.
const PEOPLE: usize = 10;
const SESSIONS: usize = 50;

/// Most memory of a session with a message under way, TLS on both sides and debug build included.
const SESSION_MEMORY: u64 = 300 * 1024;

const CROWD: &str =
    "[login.hashing]\nmemory_kib = 1024\n[limits]\nunauthenticated_per_address = 100\nper_address = 1000\n";

fn person(number: usize) -> String {
    format!("person{number}@example.org")
}

/// Sessions of all people, logged in, twenty at a time; nobody is locked out by the others.
fn crowd(scene: &Scene, mailbox: &str) -> Vec<Smtp> {
    for number in 0..PEOPLE {
        scene.add_user(&person(number));
        scene.proxy.run(&["grant", "add", &person(number), mailbox, "responder"], "");
    }
    let next = AtomicUsize::new(0);
    let openers: Vec<_> = std::thread::scope(|scope| {
        let open = || {
            let mut open = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= PEOPLE * SESSIONS {
                    return open;
                }
                let who = person(number % PEOPLE);
                open.push(scene.proxy.smtp(&scene.ca, &format!("{who}/{mailbox}"), &password(&who)));
            }
        };
        let openers: Vec<_> = (0..20).map(|_| scope.spawn(open)).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    openers.into_iter().flatten().collect()
}

/// MAIL to the end of the message; the first refusal, or the last answer.
fn submit(smtp: &mut Smtp, from: &str, number: usize) -> crate::support::smtp::SmtpReply {
    let sender = smtp.command(&format!("MAIL FROM:<{from}>"));
    if sender.code != 250 {
        return sender;
    }
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    let id = format!("crowd{number}");
    smtp.data(
        [header(&id).replace(SALES, from).as_bytes(), &b"a line of the body\r\n".repeat(1_000)]
            .concat()
            .as_slice(),
    )
}

/// Sends a message again and again until it is taken, as a mail client's queue does: too many
/// dial at once for a listener's backlog, and some hear that they should try later.
fn submit_until_taken(smtp: &mut Smtp, from: &str, number: usize, later: &AtomicUsize) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let answer = submit(smtp, from, number);
        if answer.code == 250 {
            return;
        }
        assert!(answer.code == 451 && answer.text().starts_with("4.4.1 "), "{answer}");
        assert!(Instant::now() < deadline, "message {number} finds no place");
        later.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every session sends its message, and stays, unless it is to `quit`.
fn all_at_once(sessions: Vec<Smtp>, from: &str, quit: bool, later: &AtomicUsize) -> Vec<Smtp> {
    let all = Barrier::new(sessions.len());
    std::thread::scope(|scope| {
        let send = |(number, mut smtp)| {
            let all = &all;
            scope.spawn(move || {
                all.wait();
                submit_until_taken(&mut smtp, from, number, later);
                if quit {
                    smtp.expect(221, "QUIT");
                }
                smtp
            })
        };
        let senders: Vec<_> = sessions.into_iter().enumerate().map(send).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

/// How often each message has arrived.
fn arrived(sink: &Sink, count: usize) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for delivery in sink.wait(count) {
        *arrived.entry(delivery.header("Subject").concat()).or_default() += 1;
    }
    arrived
}

#[test]
fn five_hundred_clients_at_once() {
    let (scene, sink) = with_sales(CROWD);
    let before = mark_memory(&scene.proxy);
    let sessions = crowd(&scene, SALES);
    assert_eq!(sessions.len(), PEOPLE * SESSIONS);
    let idle = resident_memory(&scene.proxy);
    let later = AtomicUsize::new(0);
    let sessions = all_at_once(sessions, SALES, false, &later);
    // Nobody has gone before everybody had an answer.
    sessions.into_iter().for_each(|mut smtp| drop(smtp.expect(221, "QUIT")));
    let count = PEOPLE * SESSIONS;
    let arrived = arrived(&sink, count);
    assert_eq!(arrived.len(), count);
    assert!(arrived.values().all(|times| *times == 1), "{arrived:?}");
    let peak = peak_memory(&scene.proxy);
    let (each_idle, each) = ((idle.saturating_sub(before)) / count as u64, (peak - before) / count as u64);
    println!(
        "memory: {count} submission sessions: {} KiB before, {} KiB logged in, {} KiB at most; {} and {} KiB each; {} times \"try again\"",
        before / 1024,
        idle / 1024,
        peak / 1024,
        each_idle / 1024,
        each / 1024,
        later.into_inner()
    );
    assert!(each < SESSION_MEMORY, "{each} octets a session");
}

/// Postfix runs a hundred smtpd at a time, as it is installed: the others wait for one, or
/// hear that they should try again; nothing is lost, and nothing sent twice.
#[test]
#[ignore = "nightly: five hundred sessions with Postfix take a minute"]
fn five_hundred_clients_and_a_host_with_a_hundred_places() {
    let scene = Scene::with(dovecot::Settings::default(), CROWD);
    let sessions = crowd(&scene, SUPPORT);
    let (count, later) = (sessions.len(), AtomicUsize::new(0));
    drop(all_at_once(sessions, SUPPORT, true, &later));
    let arrived = arrived(&scene.sink, count);
    assert_eq!(arrived.len(), count);
    assert!(arrived.values().all(|times| *times == 1), "{arrived:?}");
    println!("{count} clients, a hundred places: {} times \"try again\"", later.into_inner());
}
