//! IMAP sessions by transcript (`tests/transcripts/imap`): a client and a mail host that say
//! exactly what is written, a proxy between them in this process, and every octet that it
//! says compared. Each transcript is replayed with the octets cut into pieces.

#[path = "imap/play.rs"]
mod play;
#[path = "imap/script.rs"]
mod script;
#[path = "imap/transport.rs"]
mod transport;
#[path = "imap/upstream.rs"]
mod upstream;
#[path = "imap/world.rs"]
mod world;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use play::{Pieces, play};
use script::{Step, Transcript};

/// Places at which each transcript's client is cut in an ordinary run: all of them take minutes.
const CUTS: usize = 12;

/// Largest client side that is cut at every octet, and how many places of a larger one are tried.
const EVERY_OCTET: usize = 8 * 1024;
const PLACES: usize = 1_000;

/// Largest upstream side that is said octet by octet: more takes longer than the proxy waits.
const ONE_BY_ONE: usize = 128 * 1024;

#[test]
fn as_written() {
    hold(transcripts().iter().map(|transcript| (transcript, Pieces::AsWritten)).collect());
}

#[test]
fn with_the_clients_octets_one_by_one() {
    hold(transcripts().iter().map(|transcript| (transcript, Pieces::ClientOctets)).collect());
}

#[test]
fn with_upstreams_octets_one_by_one() {
    let transcripts = transcripts();
    let small = transcripts.iter().filter(|transcript| upstream_octets(transcript) <= ONE_BY_ONE);
    hold(small.map(|transcript| (transcript, Pieces::UpstreamOctets)).collect());
}

#[test]
fn with_the_clients_octets_cut_in_two() {
    hold_cut(CUTS);
}

#[test]
#[ignore = "nightly: every octet of every transcript takes minutes"]
fn with_the_clients_octets_cut_anywhere() {
    hold_cut(EVERY_OCTET);
}

/// Cuts each transcript's client in two at so many places, or everywhere.
fn hold_cut(most: usize) {
    let transcripts = transcripts();
    let cuts = transcripts.iter().flat_map(|transcript| {
        let places = cuts(client_octets(transcript), most);
        places.into_iter().map(move |at| (transcript, Pieces::ClientCutAt(at)))
    });
    hold(cuts.collect());
}

/// The places where so many octets are cut in two, evenly spread.
fn cuts(octets: usize, most: usize) -> Vec<usize> {
    let most = if octets > EVERY_OCTET { most.min(PLACES) } else { most };
    let step = octets.div_ceil(most).max(1);
    // Which of each stretch differs from run to run; a failure names the place.
    let offset = usize::try_from(std::process::id()).unwrap_or_default() % step;
    (1..octets).skip(offset).step_by(step).collect()
}

fn client_octets(transcript: &Transcript) -> usize {
    let said = transcript.steps.iter().map(|(_, step)| match step {
        Step::Client(octets) => octets.len(),
        _ => 0,
    });
    said.sum()
}

fn upstream_octets(transcript: &Transcript) -> usize {
    let said = transcript.steps.iter().map(|(_, step)| match step {
        Step::Server(octets) => octets.len(),
        _ => 0,
    });
    said.sum()
}

/// Those in files whose name has `TRANSCRIPT` in it, or all.
fn transcripts() -> Vec<Transcript> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/imap");
    let asked = std::env::var("TRANSCRIPT").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut transcripts = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if name.contains(&asked) {
            transcripts.extend(script::read(&name, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(!transcripts.is_empty(), "no transcript is called {asked}");
    transcripts
}

/// Plays them all, on as many threads as there are processors; reports all that fail.
fn hold(plays: Vec<(&Transcript, Pieces)>) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((transcript, pieces)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = play(transcript, *pieces) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let (failed, all) = (failures.len(), plays.len());
    let shown: Vec<_> = failures.into_iter().take(20).collect();
    assert!(shown.is_empty(), "{failed} of {all} went differently:\n\n{}", shown.join("\n\n"));
}
