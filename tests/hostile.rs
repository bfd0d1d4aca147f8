//! Octets by chance and by malice change nothing that the journal does not name: see docs/proofs.md.

mod support;

#[path = "hostile/journal.rs"]
mod journal;
#[path = "hostile/sequences.rs"]
mod sequences;
#[path = "hostile/state.rs"]
mod state;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use journal::Journal;
use sequences::{Sequence, Service, Who};
use state::State;
use support::dovecot::Settings;
use support::random::{self, Random};
use support::scene::password;
use support::{BOB, CAROL, Imap, Read, Scene, Wire};

const SEED: u64 = 7888;
/// Sequences between two looks at the mail host.
const BATCH: u64 = 250;
const WORKERS: usize = 4;
/// The usual limits keep strangers out before they have sent what is to be tried.
const LIMITS: &str =
    "[limits]\nunauthenticated_per_address = 300\nper_address = 1000\nper_user = 500\nconnections = 2000\n";
/// How long an answer is waited for: what swallows the question is let go.
const PATIENCE: Duration = Duration::from_millis(60);
/// Most memory that the daemon may come to hold, in KiB; a debug build with its caches warm.
const MEMORY: u64 = 512 * 1024;

#[test]
fn three_thousand_hostile_sequences_change_nothing_unnamed() {
    run(SEED, 3_000);
}

#[test]
#[ignore = "nightly: a hundred thousand sequences take half an hour"]
fn hundred_thousand_hostile_sequences_change_nothing_unnamed() {
    run(SEED + 1_000_000, 100_000);
}

/// Runs sequences from `seed` on, or those that `HOSTILE_SEED` names.
fn run(seed: u64, count: u64) {
    let (seed, count) = random::seeds("HOSTILE_SEED", (seed, count));
    let began = Instant::now();
    let upstream = Settings { max_connections: 50, extra: state::EXTRA.to_owned(), ..Settings::default() };
    let scene = Scene::with(upstream, LIMITS);
    state::furnish(&scene);
    let journal = Journal::new(&scene.proxy.state());
    let mut before = State::take(&scene);
    let (mut done, mut named, mut octets) = (0, 0, 0);
    let mut memories = Vec::new();
    let counts = Mutex::new([0_usize; 8]);
    let mut offsets = (0, 0);
    while done < count {
        let batch = BATCH.min(count - done);
        octets += sequences(&scene, seed + done, batch, &counts);
        let about = format!("seeds {} to {}", seed + done, seed + done + batch - 1);
        // Commands whose client has gone may still be under way.
        let deadline = Instant::now() + support::PATIENCE;
        let (after, acts) = loop {
            let (after, acts) = (State::take(&scene), journal.acts(offsets.0));
            let unnamed = before.unnamed(&after, &acts);
            if unnamed.is_empty() {
                break (after, acts);
            }
            assert!(Instant::now() < deadline, "{about}: the journal does not name {unnamed:#?}\n{acts:#?}");
        };
        for act in &acts {
            assert_ne!(act.role, "reader", "{about}: a reader did {act:?}");
        }
        named += before.changes(&after);
        before = after;
        offsets = (offsets.1, journal.len());
        done += batch;
        assert!(
            std::path::Path::new(&format!("/proc/{}", scene.proxy.id())).exists(),
            "{about}: the daemon is gone"
        );
        memories.push(memory(scene.proxy.id()));
        assert!(memories[memories.len() - 1] < MEMORY, "{about}: {memories:?} KiB");
    }
    let log = scene.proxy.log();
    assert!(!log.contains("panic"), "a session panicked:\n{log}");
    // Whoever is in order is served as ever.
    scene.imap(CAROL).ok("SELECT INBOX");
    let counts = counts.into_inner().unwrap();
    println!(
        "hostile: seeds {seed} to {}, {:.0?}\n| sequences | {done} |\n| octets sent | {octets} |",
        seed + done - 1,
        began.elapsed()
    );
    for (name, count) in Sequence::KINDS.iter().zip(counts) {
        println!("| {name} | {count} |");
    }
    println!("| changes upstream, each named by the journal | {named} |\n| changes not named | 0 |");
    println!("| sessions that panicked | 0 |");
    println!("| memory after each batch, KiB | {memories:?} |");
}

/// Sends a batch, several at once; says how many octets went.
fn sequences(scene: &Scene, seed: u64, batch: u64, counts: &Mutex<[usize; 8]>) -> usize {
    let (next, octets) = (AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let mut open: Option<(Who, Imap)> = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= batch {
                        return;
                    }
                    let mut random = Random::new(seed + number);
                    let sequence = Sequence::new(&mut random);
                    counts.lock().unwrap()[sequence.kind] += 1;
                    octets.fetch_add(sequence.octets.len(), Ordering::Relaxed);
                    match sequence.service {
                        Service::Imap => imap(scene, &mut open, &sequence, &mut random),
                        Service::Submission => submission(scene, &sequence, &mut random),
                    }
                }
            });
        }
    });
    octets.into_inner()
}

/// Sends a sequence on a connection of its person's; it is kept for the next one if it answers.
fn imap(scene: &Scene, open: &mut Option<(Who, Imap)>, sequence: &Sequence, random: &mut Random) {
    let kept = open.take().filter(|(who, _)| *who == sequence.who && random.chance(90));
    let mut imap = kept.map_or_else(|| connect(scene, sequence.who, random), |(_, imap)| imap);
    for piece in pieces(&sequence.octets, random) {
        if imap.wire.try_send(piece).is_err() {
            return;
        }
    }
    if imap.wire.try_send(b"\r\nzz NOOP\r\n").is_err() {
        return;
    }
    for _ in 0..2_000 {
        match imap.wire.line(PATIENCE) {
            Read::Octets(line) if line.starts_with(b"zz ") => {
                *open = Some((sequence.who, imap));
                return;
            }
            Read::Octets(_) => {}
            Read::Closed(_) | Read::Silence => return,
        }
    }
}

fn connect(scene: &Scene, who: Who, random: &mut Random) -> Imap {
    let login = match who {
        Who::Stranger => return Imap::tls(scene.proxy.imaps(), &scene.ca),
        Who::Reader => CAROL,
        Who::Responder => BOB,
    };
    let mut imap = scene.imap(login);
    if random.chance(80) {
        imap.ok(&format!(
            "SELECT {}",
            random.pick(&["INBOX", "INBOX", "Drafts", "Projects", "Sent", "Trash"])
        ));
    }
    imap
}

fn submission(scene: &Scene, sequence: &Sequence, random: &mut Random) {
    let mut wire = Wire::tls(scene.proxy.submissions(), &scene.ca);
    let login = match sequence.who {
        Who::Stranger => None,
        Who::Reader => Some(CAROL),
        Who::Responder => Some(BOB),
    };
    if let Some(login) = login {
        use base64::Engine as _;
        let words = format!("\0{login}/support@example.org\0{}", password(login));
        let words = base64::engine::general_purpose::STANDARD.encode(words);
        let _ = wire.try_send(b"EHLO client.example.org\r\n");
        let _ = wire.try_send(format!("AUTH PLAIN {words}\r\n").as_bytes());
    }
    for piece in pieces(&sequence.octets, random) {
        if wire.try_send(piece).is_err() {
            return;
        }
    }
    let _ = wire.try_send(b"\r\n.\r\nQUIT\r\n");
    for _ in 0..200 {
        match wire.line(PATIENCE) {
            Read::Octets(line) if line.starts_with(b"221") => return,
            Read::Octets(_) => {}
            Read::Closed(_) | Read::Silence => return,
        }
    }
}

/// The octets, split at random points.
fn pieces<'a>(octets: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), octets);
    while rest.len() > 1 && pieces.len() < 3 && random.chance(50) {
        let (piece, after) = rest.split_at(1 + random.below(rest.len() - 1));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// What the daemon holds in memory, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
