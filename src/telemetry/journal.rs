//! The audit journal (invariant 12): append-only JSON lines in an HMAC chain.
//!
//! A line is `{"seq":7,"at":"...","prev":"...","event":...,"mac":"..."}`. `prev` is the
//! SHA-256 of the line before, `mac` the HMAC-SHA256 of the line up to it, both in
//! base64url. One writer thread; all who wait for a flush share one fsync.

use crate::types::Secret;
use std::path::Path;
use super::event::Event;
use super::tally::Counted;

/// A line's number, from 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
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

/// A handle on the journal; clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal {}

#[derive(Debug)]
pub enum JournalError {}

impl Journal {
    /// Opens (or makes, mode 0600) the journal at `path`. Blocks for the disk.
    pub fn open(path: &Path, key: &Secret) -> Result<Self, JournalError> {
        unimplemented!()
    }
    /// Writes a line. An error means: there is no record, so do not act.
    pub async fn record(&self, event: Event, durability: Durability) -> Result<Seq, JournalError> {
        unimplemented!()
    }
    /// Counts something for the minute's line; never waits.
    pub fn count(&self, counted: Counted) {}
    /// A keyed hash for what the journal must recognise but not show: a Message-ID.
    pub fn fingerprint(&self, octets: &[u8]) -> String {
        unimplemented!()
    }
    /// Writes what was counted, syncs, ends the writer.
    pub async fn close(&self) -> Result<(), JournalError> {
        unimplemented!()
    }
}
