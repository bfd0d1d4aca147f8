//! The audit journal (invariant 12): append-only JSON lines in an HMAC chain.
//!
//! A line is `{"seq":7,"at":"...","prev":"...","event":...,"mac":"..."}`. `prev` is the
//! SHA-256 of the line before, `mac` the HMAC-SHA256 of the line up to it, both in
//! base64url. Whoever lacks the key can neither change, insert nor remove a line without
//! [`verify`] naming it; only a cut at the end needs an anchor elsewhere.
//!
//! One thread writes; all callers who wait for a flush share one `fdatasync`.

mod file;
mod writer;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::event::Event;
use super::tally::{Counted, Tally};
use crate::types::Secret;
use file::File;
use writer::{Job, Writer};

/// Lines that may wait for the writer. Each holds one session; thousands mean that the
/// disk hangs, and then an act is refused rather than unrecorded.
pub const QUEUE: usize = 4096;

/// A line's number, from 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// When [`Journal::record`] resolves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// The line is on disk: intents, grant changes.
    Flushed,
    /// The line is written, and on disk within 50 ms.
    Grouped,
}

/// Why there is no record. The act must not happen then.
#[derive(Debug)]
pub enum JournalError {
    /// More than [`QUEUE`] lines are waiting.
    Busy,
    /// An earlier sync failed, so that nobody knows what is on disk; the log says why.
    Failed,
    /// The line could not be written; a later one may.
    Write(String),
    /// The file's last line is not ours: another key, or changed.
    Damaged {
        path: PathBuf,
        line: u64,
        why: &'static str,
    },
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many lines are waiting for the audit journal"),
            Self::Failed => f.write_str("the audit journal takes no more lines since it could not be synced"),
            Self::Write(why) => write!(f, "the audit journal cannot be written: {why}"),
            Self::Damaged { path, line, why } => write!(f, "{}, line {line}: {why}", path.display()),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {}

/// A handle on the journal; clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    jobs: SyncSender<Job>,
    /// Never locked for longer than one insertion.
    tally: Arc<Mutex<Tally>>,
    /// Shared: it is large, and every session holds a handle.
    key: Arc<hmac::Key>,
}

impl Journal {
    /// Opens the journal at `path`, or makes it with mode 0600, and notes that in it; an
    /// unfinished last line is cut off. Blocks for the disk.
    pub fn open(path: &Path, key: &Secret) -> Result<Self, JournalError> {
        Self::open_counting(path, key, writer::MINUTE)
    }

    fn open_counting(path: &Path, key: &Secret, every: Duration) -> Result<Self, JournalError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let (file, torn) = File::open(path, key.clone())?;
        let (jobs, queue) = sync_channel(QUEUE);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut writer = Writer::new(file, Arc::clone(&tally), every);
        writer.start(Event::Opened { version: env!("CARGO_PKG_VERSION"), torn })?;
        let spawned = thread::Builder::new().name("journal".into()).spawn(move || writer.run(&queue));
        spawned.map_err(|error| JournalError::Io { path: path.to_owned(), error })?;
        Ok(Self { jobs, tally, key: Arc::new(key) })
    }

    /// Writes a line and resolves as `durability` says.
    ///
    /// # Errors
    /// Any error means that there is no record of the act, so it must not happen.
    pub async fn record(&self, event: Event, durability: Durability) -> Result<Seq, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Record(Box::new(event), durability, answer))?;
        answered.await.map_err(|_| JournalError::Failed)?
    }

    /// Counts something for this minute's lines. Never waits, never fails.
    pub fn count(&self, counted: Counted) {
        // A poisoned table is still a table of counts.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(counted, now());
    }

    /// A keyed hash for what the journal must recognise but not show: a Message-ID.
    pub fn fingerprint(&self, octets: &[u8]) -> String {
        let labelled = [b"mandate fingerprint\0", octets].concat();
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.key, &labelled).as_ref()[..16])
    }

    /// Writes what was counted, syncs, and ends the writer.
    pub async fn close(&self) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Close(answer))?;
        answered.await.map_err(|_| JournalError::Failed)?
    }

    fn send(&self, job: Job) -> Result<(), JournalError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => JournalError::Busy,
            TrySendError::Disconnected(_) => JournalError::Failed,
        })
    }
}

/// Checks a whole journal; gives back the number of its last line, 0 if it is empty.
///
/// # Errors
/// [`JournalError::Damaged`] names the first line that is changed, missing, unfinished or
/// out of place.
pub fn verify(path: &Path, key: &Secret) -> Result<Seq, JournalError> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let octets = fs::read(path).map_err(|error| JournalError::Io { path: path.to_owned(), error })?;
    let mut chain = file::Chain::new(key);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let at = chain.seq + 1;
        chain.follow(line).map_err(|why| JournalError::Damaged { path: path.to_owned(), line: at, why })?;
    }
    Ok(Seq(chain.seq))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
