//! The journal's file and the chain through its lines.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::telemetry::event::Event;

/// How much of the end is read at opening: the last line is in it. An act on the most
/// scattered UIDs that a command line of 64 KiB can name takes a line of 200 KB.
const TAIL: u64 = 1 << 20;

/// `"mac":"` and what surrounds it; HMAC-SHA256 in base64url has 43 characters.
const MAC_START: &str = ",\"mac\":\"";
const MAC_END: &str = "\"}\n";
const MAC_LEN: usize = 43;

/// Where a chain of lines has got to.
#[derive(Clone)]
pub(super) struct Chain {
    key: hmac::Key,
    pub seq: u64,
    /// SHA-256 of the last line; empty before the first.
    prev: String,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: &'a str,
    prev: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// What a reader needs of a line.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    prev: String,
}

impl Chain {
    pub(super) fn new(key: hmac::Key) -> Self {
        Self { key, seq: 0, prev: String::new() }
    }

    /// The next line.
    pub(super) fn add(&mut self, event: &Event, at: &str) -> Result<Vec<u8>, serde_json::Error> {
        let line = Line { seq: self.seq + 1, at, prev: &self.prev, event };
        let mut text = serde_json::to_string(&line)?;
        text.pop();
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, text.as_bytes()));
        text.extend([MAC_START, &mac, MAC_END]);
        self.seq += 1;
        self.prev = hash(text.as_bytes());
        Ok(text.into_bytes())
    }

    /// Goes on over a line that was read, if it is the next one.
    pub(super) fn follow(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let head = self.check(line)?;
        if head.seq != self.seq + 1 {
            return Err("a line before it is missing");
        }
        if head.prev != self.prev {
            return Err("it does not continue the line before it");
        }
        self.seq = head.seq;
        self.prev = hash(line);
        Ok(())
    }

    /// Starts after `line`, wherever in the file it is.
    fn start_after(&mut self, line: &[u8]) -> Result<(), &'static str> {
        self.seq = self.check(line)?.seq;
        self.prev = hash(line);
        Ok(())
    }

    fn check(&self, line: &[u8]) -> Result<Head, &'static str> {
        let rest = line.strip_suffix(MAC_END.as_bytes()).ok_or("it is unfinished")?;
        let (rest, mac) = rest.split_at_checked(rest.len().wrapping_sub(MAC_LEN)).ok_or("it is too short")?;
        let text = rest.strip_suffix(MAC_START.as_bytes()).ok_or("it carries no mac")?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| "its mac is damaged")?;
        hmac::verify(&self.key, text, &mac).map_err(|_| "it was changed, or written with another key")?;
        serde_json::from_slice(&[text, b"}"].concat()).map_err(|_| "it is no journal line")
    }
}

fn hash(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, octets))
}

/// The file, open for appending.
pub(super) struct File {
    path: PathBuf,
    file: std::fs::File,
    len: u64,
    chain: Chain,
}

impl File {
    /// Opens or makes the file; gives back how many octets of an unfinished line it cut off.
    pub(super) fn open(path: &Path, key: hmac::Key) -> Result<(Self, u64), JournalError> {
        let fault = |error| JournalError::Io { path: path.to_owned(), error };
        let options = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let mut file = options().map_err(fault)?;
        sync_parent(path).map_err(fault)?;
        let (tail, whole) = read_tail(&mut file).map_err(fault)?;

        let end = memchr::memrchr(b'\n', &tail).map_or(0, |end| end + 1);
        let torn = (tail.len() - end) as u64;
        let mut chain = Chain::new(key);
        let start = memchr::memrchr(b'\n', &tail[..end.saturating_sub(1)]).map_or(0, |start| start + 1);
        if end > 0 {
            let followed = chain.start_after(&tail[start..end]);
            followed.map_err(|why| JournalError::Damaged { path: path.to_owned(), line: 0, why })?;
        }
        let len = whole - torn;
        if torn > 0 {
            file.set_len(len).and_then(|()| file.sync_all()).map_err(fault)?;
            tracing::warn!(torn, "an unfinished last line of the audit journal was cut off");
        }
        Ok((Self { path: path.to_owned(), file, len, chain }, torn))
    }

    /// Appends the lines as one write: all of them or none. Not yet synced.
    pub(super) fn append(&mut self, events: &[Event], at: &str) -> Result<Vec<u64>, JournalError> {
        let mut chain = self.chain.clone();
        let (mut octets, mut seqs) = (Vec::new(), Vec::with_capacity(events.len()));
        for event in events {
            let line = chain.add(event, at).map_err(|error| JournalError::Write(error.to_string()))?;
            octets.extend_from_slice(&line);
            seqs.push(chain.seq);
        }
        if let Err(error) = self.file.write_all(&octets) {
            // What part of it was written must not stay before the next line.
            self.file.set_len(self.len).map_err(|error| self.fault(error))?;
            return Err(JournalError::Write(error.to_string()));
        }
        self.len += octets.len() as u64;
        self.chain = chain;
        Ok(seqs)
    }

    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), error }
    }
}

/// The last [`TAIL`] octets, and the file's length.
fn read_tail(file: &mut std::fs::File) -> io::Result<(Vec<u8>, u64)> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok((tail, len))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}
