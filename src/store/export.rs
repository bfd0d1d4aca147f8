//! The store as checksummed JSON lines: `mandate export`, and the log beside sled.
//!
//! First a header that says how many records follow, then these, one a line; in the log
//! then one line per change. Each line is `{"sum":"<hex>","line":{...}}`, the sum being
//! the first half of the SHA-256 of what follows `"line":`. Changes are numbered without
//! gap, so that a lost, damaged or doubled line is noticed.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::disk::{Raw, sync_dir};
use super::sealed::checksum;
use super::tables::Row;

/// The log's name within the store's directory.
pub(super) const FILE: &str = "export.jsonl";
/// A log whose changes take up more octets than this, and four times its records, is
/// written anew: often enough to stay small, seldom enough to cost nothing. In tests it
/// happens all the time, so that being killed in the middle of it is tested too.
const REWRITE_AT: u64 = if cfg!(test) { 16 << 10 } else { 16 << 20 };

#[derive(Debug, Deserialize, Serialize)]
struct Header {
    mandate: String,
    schema: u32,
    /// The number of the last change that the records contain.
    base: u64,
    records: usize,
}

#[derive(Debug, Deserialize, Serialize)]
struct Change {
    n: u64,
    rows: Vec<Row>,
}

/// Writes an export of `rows` as of change `n`.
pub(super) fn write(n: u64, schema: u32, rows: &[Row]) -> String {
    let mut text = line(&Header { mandate: "store".into(), schema, base: n, records: rows.len() });
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

/// What could be read of an export.
#[derive(Debug)]
pub(super) struct Parsed {
    pub raw: Raw,
    /// Octets up to and with the last good line.
    pub good: usize,
    /// Octets of the header and its records.
    base: usize,
    /// A line in the middle is bad: `raw` ends before it.
    pub damaged: Option<String>,
    /// The number of the last change on any good line, also after a bad one.
    pub last_seen: u64,
}

/// Reads an export or log. What follows the last good line is a write that was cut short
/// and is left out; anything else that is wrong is an error or noted in the answer.
pub(super) fn parse(octets: &[u8]) -> Result<Parsed, String> {
    let mut lines = Lines { rest: octets, number: 0 };
    let header: Header = lines.next().and_then(read).ok_or("its first line is damaged")?;
    if header.mandate != "store" {
        return Err("it is no export of a store".into());
    }
    let mut raw = Raw { schema: header.schema, n: header.base, ..Raw::default() };
    for _ in 0..header.records {
        let row: Row =
            lines.next().and_then(read).ok_or_else(|| format!("line {} is damaged", lines.number))?;
        put(&mut raw, row);
    }
    let base = octets.len() - lines.rest.len();
    let mut parsed = Parsed { last_seen: raw.n, raw, good: base, base, damaged: None };
    while let Some(text) = lines.next() {
        match read::<Change>(text) {
            Some(change) if parsed.damaged.is_none() && change.n == parsed.raw.n + 1 => {
                parsed.raw.n = change.n;
                parsed.last_seen = change.n;
                change.rows.into_iter().for_each(|row| put(&mut parsed.raw, row));
                parsed.good = octets.len() - lines.rest.len();
            }
            // A good line after a bad one: this was no write cut short.
            Some(change) => {
                parsed.last_seen = parsed.last_seen.max(change.n);
                parsed
                    .damaged
                    .get_or_insert(format!("a line before line {} is damaged or missing", lines.number));
            }
            None => {}
        }
    }
    Ok(parsed)
}

fn put(raw: &mut Raw, row: Row) {
    match row.value {
        Some(value) => raw.records.insert(row.key, value),
        None => raw.records.remove(&row.key),
    };
}

struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }
}

fn line<T: Serialize>(value: &T) -> String {
    // NOTE(unwrap): our lines are structs with text keys; serde_json fails on neither.
    let json = serde_json::to_string(value).expect("lines serialise");
    format!("{{\"sum\":\"{}\",\"line\":{json}}}\n", checksum(json.as_bytes()))
}

/// `None` unless the line is whole, unchanged and of this kind.
fn read<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Option<T> {
    let rest = line.strip_prefix(b"{\"sum\":\"")?;
    let (sum, rest) = rest.split_at_checked(32)?;
    let json = rest.strip_prefix(b"\",\"line\":")?.strip_suffix(b"}\n")?;
    if checksum(json).as_bytes() != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// An export that somebody gave us is damaged.
pub(super) fn damaged(why: String) -> StoreError {
    StoreError::Refused(format!("the export cannot be used: {why}"))
}

/// The log, open for appending.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    base: u64,
    len: u64,
}

impl Log {
    /// What the log in `dir` holds; `None` if there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Parsed>, StoreError> {
        let path = dir.join(FILE);
        let octets = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(StoreError::io(&path))?,
        };
        parse(&octets).map(Some).map_err(|why| StoreError::Damaged { path, why })
    }

    /// Goes on with a log that was read, cutting off an unfinished line.
    pub(super) fn resume(dir: &Path, parsed: &Parsed) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let open = || {
            let file = OpenOptions::new().append(true).open(&path)?;
            file.set_len(parsed.good as u64)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(StoreError::io(&path))?;
        Ok(Self { file, path, base: parsed.base as u64, len: parsed.good as u64 })
    }

    /// Writes a log with these records, in the place of any other.
    pub(super) fn create(dir: &Path, n: u64, schema: u32, rows: &[Row]) -> Result<Self, StoreError> {
        let (path, new) = (dir.join(FILE), dir.join("export.new"));
        let text = write(n, schema, rows);
        let make = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            OpenOptions::new().append(true).open(&path)
        };
        let file = make().map_err(StoreError::io(&path))?;
        sync_dir(dir)?;
        let len = text.len() as u64;
        Ok(Self { file, path, base: len, len })
    }

    /// Moves a damaged log aside.
    pub(super) fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
        let aside = dir.join("export.damaged");
        fs::rename(dir.join(FILE), &aside).map_err(StoreError::io(dir.join(FILE)))?;
        Ok(aside)
    }

    /// Appends change `n` and waits until it is on disk.
    pub(super) fn append(&mut self, n: u64, rows: Vec<Row>) -> Result<(), StoreError> {
        let text = line(&Change { n, rows });
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(StoreError::io(&self.path))?;
        self.len += text.len() as u64;
        Ok(())
    }

    pub(super) fn is_long(&self) -> bool {
        self.len - self.base > REWRITE_AT.max(4 * self.base)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, line, parse, write};
    use crate::store::tables::Row;

    fn row(key: &str, value: u64) -> Row {
        Row { key: key.into(), value: Some(json!(value)) }
    }

    fn log() -> String {
        let mut text = write(5, 1, &[row("a/1", 1), row("a/2", 2)]);
        text.push_str(&line(&Change { n: 6, rows: vec![Row { key: "a/1".into(), value: None }] }));
        text.push_str(&line(&Change { n: 7, rows: vec![row("a/2", 3)] }));
        text
    }

    #[test]
    fn a_log_gives_the_last_state() {
        let parsed = parse(log().as_bytes()).unwrap();
        assert_eq!((parsed.raw.n, parsed.raw.schema, parsed.good), (7, 1, log().len()));
        assert_eq!(parsed.raw.records.into_iter().collect::<Vec<_>>(), [("a/2".into(), json!(3))]);
    }

    /// Cut anywhere: the records must be whole, of the changes only the last may go.
    #[test]
    fn a_cut_log_is_right_or_refused() {
        let text = log();
        let base = write(5, 1, &[row("a/1", 1), row("a/2", 2)]).len();
        for cut in 0..text.len() {
            match parse(&text.as_bytes()[..cut]) {
                Err(_) => assert!(cut < base, "{cut}"),
                Ok(parsed) => {
                    assert!(cut >= base && parsed.damaged.is_none() && parsed.good <= cut, "{cut}");
                    assert_eq!(parsed.raw.n, 4 + text[..parsed.good].lines().count() as u64 - 2);
                }
            }
        }
    }

    /// Any octet changed is noticed, or falls into the last line (or its start) and drops it.
    #[test]
    fn a_changed_octet_is_noticed() {
        let text = log();
        let last = text[..text.len() - 1].rfind('\n').unwrap() + 1;
        for at in 0..text.len() {
            let mut octets = text.clone().into_bytes();
            octets[at] ^= 1;
            match parse(&octets) {
                Err(_) => {}
                Ok(parsed) if at == last - 1 => {
                    assert_eq!((parsed.raw.n, parsed.good < text.len()), (5, true))
                }
                Ok(parsed) if at < last => assert!(parsed.damaged.is_some() && parsed.last_seen == 7, "{at}"),
                Ok(parsed) => assert_eq!((parsed.raw.n, parsed.damaged.is_none()), (6, true), "{at}"),
            }
        }
    }
}
