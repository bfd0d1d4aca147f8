//! sled, made durable.
//!
//! sled 0.34.7's `flush` calls only `sync_file_range`: after a power cut acknowledged
//! writes are gone and the file may not open. So every write ends with `sync_all` on a
//! handle of our own on sled's `db` file. On damaged files sled panics, in `open` as in
//! `get`: all of it runs guarded, and a panic becomes an error that names the file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::StoreError;
use super::tables::Row;

/// sled's directory within the store's.
const DIR: &str = "sled";
/// Largest value in octets; larger records are cut into several. A leaf of sled's tree holds
/// up to 16 values and then some, and once they exceed a quarter of a segment (128 KiB) in
/// all it goes to a blob file, which nothing syncs.
const MAX_VALUE: usize = 4 << 10;
/// Values that one record may take: 64 MiB, far above what any limit lets it grow to.
const MAX_CHUNKS: usize = 16 << 10;
/// Keys before this hold the store's own state; a record's key starts with a letter.
const STATE: &[u8] = b"\0state";

/// sled lets go of its lock a moment after its last handle is gone: who opens the store again
/// waits for that, at most 2 s. Somebody who keeps it is found out all the same.
const UNLOCK: Duration = Duration::from_secs(2);

/// The records of a store, whatever their schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Raw {
    pub schema: u32,
    /// The number of the last change; 0 for none.
    pub n: u64,
    pub records: BTreeMap<String, Value>,
}

pub(super) struct Disk {
    db: sled::Db,
    file: File,
    path: PathBuf,
}

impl Disk {
    /// Opens sled in `dir`/sled, or makes it.
    pub(super) fn open(dir: &Path, cache_capacity: u64) -> Result<Self, StoreError> {
        let path = dir.join(DIR);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(StoreError::io(&path))?;
        let config = sled::Config::new().path(&path).cache_capacity(cache_capacity).flush_every_ms(None);
        let open = || guarded(&path, || config.open());
        let mut db = open();
        let since = Instant::now();
        while matches!(db, Err(StoreError::Locked { .. })) && since.elapsed() < UNLOCK {
            std::thread::sleep(UNLOCK / 40);
            db = open();
        }
        let db = db?;
        let file_path = path.join("db");
        let file = File::open(&file_path).map_err(StoreError::io(&file_path))?;
        for made in [&path, dir] {
            sync_dir(made)?;
        }
        Ok(Self { db, file, path })
    }

    /// Everything; `None` if nothing was ever written.
    pub(super) fn load(&self) -> Result<Option<Raw>, StoreError> {
        let pairs = guarded(&self.path, || self.db.iter().collect::<Result<Vec<_>, _>>())?;
        let mut raw = Raw::default();
        let mut known = false;
        let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (key, value) in pairs {
            if key == STATE {
                (raw.schema, raw.n) = parse_state(&value).ok_or_else(|| self.damaged("its state record"))?;
                known = true;
                continue;
            }
            let (name, index) = parse_key(&key).ok_or_else(|| self.damaged("a record's key"))?;
            let whole = values.entry(name.to_owned()).or_default();
            if whole.len() != index * MAX_VALUE {
                return Err(self.damaged(&format!("record {name} lacks a part")));
            }
            whole.extend_from_slice(&value);
        }
        if !known {
            return if values.is_empty() {
                Ok(None)
            } else {
                Err(self.damaged("its state record is missing"))
            };
        }
        for (name, text) in values {
            let value = serde_json::from_slice(&text).map_err(|_| self.damaged(&format!("record {name}")))?;
            raw.records.insert(name, value);
        }
        Ok(Some(raw))
    }

    /// Writes the rows of change number `n`, all or none, and waits until they are on disk.
    pub(super) fn write(&self, schema: u32, n: u64, rows: &[Row]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        // The last row of a key counts; a key must not be cut into parts twice.
        let last: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
        for row in last.into_values() {
            self.put(&mut batch, row)?;
        }
        batch.insert(STATE, state(schema, n));
        self.commit(batch)
    }

    /// Puts `raw` in the place of everything.
    pub(super) fn replace(&self, raw: &Raw) -> Result<(), StoreError> {
        let keys = guarded(&self.path, || self.db.iter().keys().collect::<Result<Vec<_>, _>>())?;
        let mut batch = sled::Batch::default();
        keys.into_iter().for_each(|key| batch.remove(key));
        for (key, value) in &raw.records {
            insert(&mut batch, key, &value.to_string())?;
        }
        batch.insert(STATE, state(raw.schema, raw.n));
        self.commit(batch)
    }

    fn put(&self, batch: &mut sled::Batch, row: &Row) -> Result<(), StoreError> {
        let prefix = [row.key.as_bytes(), b"\0"].concat();
        let old = guarded(&self.path, || self.db.scan_prefix(&prefix).keys().collect::<Result<Vec<_>, _>>())?;
        old.into_iter().for_each(|key| batch.remove(key));
        match &row.value {
            Some(value) => insert(batch, &row.key, &value.to_string()),
            None => Ok(()),
        }
    }

    fn commit(&self, batch: sled::Batch) -> Result<(), StoreError> {
        guarded(&self.path, || {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })?;
        self.file.sync_all().map_err(StoreError::io(self.path.join("db")))
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), why: what.to_owned() }
    }
}

fn insert(batch: &mut sled::Batch, key: &str, text: &str) -> Result<(), StoreError> {
    let chunks = text.as_bytes().chunks(MAX_VALUE);
    if chunks.len() > MAX_CHUNKS {
        return Err(StoreError::Refused(format!("record {key} is too large")));
    }
    for (index, chunk) in (0u16..).zip(chunks) {
        batch.insert([key.as_bytes(), b"\0", &index.to_be_bytes()].concat(), chunk);
    }
    Ok(())
}

fn parse_key(key: &[u8]) -> Option<(&str, usize)> {
    let (rest, index) = key.split_last_chunk::<2>()?;
    let name = std::str::from_utf8(rest.strip_suffix(b"\0")?).ok()?;
    Some((name, usize::from(u16::from_be_bytes(*index))))
}

fn state(schema: u32, n: u64) -> Vec<u8> {
    [schema.to_be_bytes().as_slice(), &n.to_be_bytes()].concat()
}

fn parse_state(value: &[u8]) -> Option<(u32, u64)> {
    let (schema, n) = value.split_first_chunk()?;
    Some((u32::from_be_bytes(*schema), u64::from_be_bytes(n.try_into().ok()?)))
}

/// Makes the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io(dir))
}

/// Runs something of sled's: its panics and errors become ours.
fn guarded<T>(path: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let damaged = |why: String| StoreError::Damaged { path: path.to_owned(), why };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) if is_lock(&error) => {
            Err(StoreError::Locked { path: path.to_owned() })
        }
        Ok(Err(sled::Error::Io(error))) => Err(StoreError::Io { path: path.to_owned(), error }),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(_) => Err(damaged("sled gave up on it".into())),
    }
}

/// sled says so in words only, with kind `Other`.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::Disk;
    use crate::store::tables::Row;

    #[test]
    fn large_records_are_cut_and_make_no_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        let row =
            |key: &str, len: usize| Row { key: key.into(), value: Some(Value::String("é".repeat(len))) };
        for n in 1..40u32 {
            disk.write(1, n.into(), &[row("a/1", 10_000 * n as usize), row("a/1x", 3)]).unwrap();
        }
        let many: Vec<_> = (0..300).map(|n| row(&format!("b/{n}"), n * 20)).collect();
        disk.write(1, 40, &many).unwrap();
        let none: Vec<_> = many.into_iter().map(|row| Row { value: None, ..row }).collect();
        disk.write(1, 41, &none).unwrap();
        disk.write(1, 42, &[row("a/1", 30_000), row("a/2", 1), row("a/2", 2)]).unwrap();
        let raw = disk.load().unwrap().unwrap();
        assert_eq!((raw.schema, raw.n), (1, 42));
        let lengths: Vec<_> =
            raw.records.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap().len())).collect();
        assert_eq!(lengths, [("a/1", 60_000), ("a/1x", 6), ("a/2", 4)]);
        disk.write(1, 43, &[Row { key: "a/1".into(), value: None }]).unwrap();
        assert_eq!(disk.load().unwrap().unwrap().records.len(), 2);
        assert_eq!(fs::read_dir(dir.path().join("sled/blobs")).unwrap().count(), 0);
    }
}
