//! Large messages in constant memory, and back-pressure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};

use crate::furnished::message;
use crate::support::dovecot::{self, SUPPORT};
use crate::support::{ALICE, CAROL, Imap, PATIENCE, Proxy, Read, Scene, eventually};

const MIB: u64 = 1 << 20;

/// The message in these tests.
const SIZE: u64 = 200 * MIB;

/// What the daemon may grow by while such a message passes: buffers, not messages.
const GROWTH: u64 = 8 * MIB;

/// What may be under way between mail host and client when nobody reads: the buffers of two
/// connections in the kernel at their largest, and the daemon's own.
const UNDER_WAY: u64 = 32 * MIB;

fn scene() -> Scene {
    // What hashing leaves with the allocator would hide what a message takes.
    let extra = "[imap.session]\nappend_limit = 300000000\n[login.hashing]\nmemory_kib = 1024\n";
    Scene::with(dovecot::Settings::default(), extra)
}

/// The message's octets, in pieces that are the same each time.
fn pieces() -> impl Iterator<Item = Vec<u8>> {
    let head = message(1);
    let line = |number: u64| format!("{number:>76}\r\n").into_bytes();
    let piece: Vec<u8> = (0..832).flat_map(line).collect();
    let mut left = SIZE;
    std::iter::once(head).chain(std::iter::repeat(piece)).map_while(move |mut piece| {
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= piece.len() as u64;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A line of `/proc/PID/status`, as a number.
fn told(proxy: &Proxy, line: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// Resident memory now, in octets; the highest is counted from here.
pub(crate) fn mark_memory(proxy: &Proxy) -> u64 {
    std::fs::write(format!("/proc/{}/clear_refs", proxy.id()), "5").unwrap();
    resident_memory(proxy)
}

/// The highest since [`mark_memory`].
pub(crate) fn peak_memory(proxy: &Proxy) -> u64 {
    told(proxy, "VmHWM:") * 1024
}

pub(crate) fn resident_memory(proxy: &Proxy) -> u64 {
    told(proxy, "VmRSS:") * 1024
}

#[track_caller]
pub(crate) fn assert_small(proxy: &Proxy, before: u64, what: &str) {
    let highest = peak_memory(proxy);
    let growth = highest.saturating_sub(before);
    println!("memory: {what}: {} KiB before, {} KiB more at most", before / 1024, growth / 1024);
    assert!(growth < GROWTH, "{what}: {growth} octets more than {before}");
}

/// Stores the message; upstream must have taken it whole.
fn upload(imap: &mut Imap) {
    announce(imap);
    pieces().for_each(|piece| imap.send(piece));
    stored(imap);
}

fn announce(imap: &mut Imap) {
    imap.start(&format!("APPEND INBOX (\\Seen) {{{SIZE}}}"));
    assert!(imap.response().starts_with(b"+"));
}

fn stored(imap: &mut Imap) {
    imap.send("\r\n");
    let answer = loop {
        match imap.response_within(Duration::from_secs(120)) {
            Read::Octets(line) if line.starts_with(b"* ") => {}
            Read::Octets(line) => break String::from_utf8_lossy(&line).into_owned(),
            other => panic!("{other:?}\n{}", imap.wire.trace()),
        }
    };
    assert!(answer.contains("OK [APPENDUID"), "{answer}");
}

/// Reads the rest of the message's literal, and compares it.
fn download(imap: &mut Imap, tag: &str) {
    let line = match imap.wire.line(PATIENCE) {
        Read::Octets(line) => String::from_utf8_lossy(&line).into_owned(),
        other => panic!("{other:?}"),
    };
    assert!(line.ends_with(&format!("{{{SIZE}}}\r\n")), "{line}");
    let (mut sent, mut got) = (Context::new(&SHA256), Context::new(&SHA256));
    for piece in pieces() {
        sent.update(&piece);
        match imap.wire.octets(piece.len(), PATIENCE) {
            Read::Octets(octets) => got.update(&octets),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent.finish().as_ref(), got.finish().as_ref());
    assert!(imap.finish(tag).is_ok());
}

/// Waits until a number of octets stays what it is, but for a little housekeeping.
fn stalled(octets: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (octets(), Instant::now());
    eventually("the octets stop flowing", || {
        let now = octets();
        if now > last + 64 * 1024 {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_millis(700)).then_some(now)
    })
}

#[test]
fn a_large_message_goes_up_and_down_in_little_memory() {
    let scene = scene();
    let mut imap = scene.imap(ALICE);
    imap.append("INBOX", "", &message(1));
    imap.ok("SELECT INBOX");
    imap.ok("UID FETCH 1 BODY.PEEK[]");

    let before = mark_memory(&scene.proxy);
    upload(&mut imap);
    assert_small(&scene.proxy, before, "APPEND of 200 MiB");

    let before = mark_memory(&scene.proxy);
    let tag = imap.start("UID FETCH 2 BODY.PEEK[]");
    download(&mut imap, &tag);
    assert_small(&scene.proxy, before, "FETCH of 200 MiB");
}

#[test]
fn a_client_that_stops_reading_stops_the_mail_host() {
    let scene = scene();
    upload(&mut scene.imap(ALICE));
    let mut imap = scene.imap(CAROL);
    imap.ok("EXAMINE INBOX");
    let (memory, read) = (mark_memory(&scene.proxy), scene.dovecot.octets_read());
    let tag = imap.start("UID FETCH 1 BODY.PEEK[]");
    let under_way = stalled(|| scene.dovecot.octets_read()) - read;
    println!("memory: a client that does not read: {} KiB under way", under_way / 1024);
    assert!((1..UNDER_WAY).contains(&under_way), "{under_way} octets");
    assert_small(&scene.proxy, memory, "a client that does not read");
    // Others are served meanwhile, and the slow one in the end.
    let mut other = scene.imap(ALICE);
    assert!(other.ok("STATUS INBOX (MESSAGES)").has("MESSAGES 1"));
    download(&mut imap, &tag);
    assert_eq!(scene.dovecot.snapshot(SUPPORT).folders["INBOX"].messages[&1].size, SIZE);
}

#[test]
fn a_mail_host_that_stops_reading_stops_the_client() {
    let scene = scene();
    let mut imap = scene.imap(ALICE);
    announce(&mut imap);
    scene.dovecot.freeze();
    let memory = mark_memory(&scene.proxy);
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            for piece in pieces() {
                let length = piece.len() as u64;
                imap.send(piece);
                sent.fetch_add(length, Ordering::Relaxed);
            }
            stored(&mut imap);
        });
        let under_way = stalled(|| sent.load(Ordering::Relaxed));
        println!("memory: a mail host that does not read: {} KiB under way", under_way / 1024);
        assert_small(&scene.proxy, memory, "a mail host that does not read");
        scene.dovecot.thaw();
        assert!((1..UNDER_WAY).contains(&under_way), "{under_way} octets");
        client.join().unwrap();
    });
    assert_eq!(scene.dovecot.snapshot(SUPPORT).folders["INBOX"].messages[&1].size, SIZE);
}
