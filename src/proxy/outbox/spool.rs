//! Messages on disk, from before their end goes up until their copy is filed.
//!
//! `state/spool/<id>` holds the octets that went upstream, mode 0600. A small message is one
//! visit to the disk: what it has fits the buffer, and is written and synced together.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Settings, Trouble};
use crate::types::OutboxId;

/// Octets gathered before a visit to the disk. Most messages without attachments are
/// smaller; it is there only while a message is coming in.
const BUFFER: usize = 64 * 1024;

/// The directory, and how much of its bound is taken.
pub(super) struct Spool {
    directory: PathBuf,
    octets: AtomicU64,
    entries: AtomicU64,
    most_octets: u64,
    most_entries: u64,
}

/// Room in the spool; freed on drop.
pub(super) struct Room {
    spool: Arc<Spool>,
    octets: u64,
}

impl Spool {
    /// Opens the directory, or makes it with mode 0700.
    pub(super) fn open(directory: &Path, settings: &Settings) -> io::Result<Arc<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Arc::new(Self {
            directory: directory.to_owned(),
            octets: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            most_octets: settings.octets,
            most_entries: settings.entries,
        }))
    }

    /// Whether a message of this size would find room now.
    pub(super) fn has_room(&self, octets: u64) -> bool {
        self.entries.load(Ordering::Relaxed) < self.most_entries
            && self.octets.load(Ordering::Relaxed).saturating_add(octets) <= self.most_octets
    }

    /// A place for one more message, without octets yet.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Room, Trouble> {
        let room = self.take(0);
        let most = self.most_entries;
        if room.spool.entries.load(Ordering::Relaxed) > most { Err(Trouble::Full) } else { Ok(room) }
    }

    /// The place of a message that is in the spool already, whatever the bounds are now.
    pub(super) fn take(self: &Arc<Self>, octets: u64) -> Room {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
        Room { spool: Arc::clone(self), octets }
    }

    pub(super) fn path(&self, id: OutboxId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Removes a message that nobody needs any more.
    pub(super) fn remove(&self, id: OutboxId) {
        if let Err(error) = fs::remove_file(self.path(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a message could not be removed from the spool");
        }
    }

    /// Removes what no record knows: messages whose end never went up.
    pub(super) fn sweep(&self, known: impl Fn(OutboxId) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix('o')?.parse().ok()).map(OutboxId);
            if id.is_none_or(|id| !known(id)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Room {
    fn grow(&mut self, octets: u64) -> Result<(), Trouble> {
        let before = self.spool.octets.fetch_add(octets, Ordering::Relaxed);
        self.octets += octets;
        if before.saturating_add(octets) > self.spool.most_octets { Err(Trouble::Full) } else { Ok(()) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.spool.entries.fetch_sub(1, Ordering::Relaxed);
        self.spool.octets.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// A message that is being written. Dropped before it is finished, it is gone.
pub(super) struct Message {
    id: OutboxId,
    room: Option<Room>,
    file: Option<File>,
    buffer: Vec<u8>,
    touched: bool,
}

impl Message {
    pub(super) fn new(id: OutboxId, room: Room) -> Self {
        Self { id, room: Some(room), file: None, buffer: Vec::new(), touched: false }
    }

    /// Takes octets; true when [`Message::drain`] is due.
    pub(super) fn push(&mut self, octets: &[u8]) -> Result<bool, Trouble> {
        self.room.as_mut().ok_or(Trouble::Disk)?.grow(octets.len() as u64)?;
        self.buffer.extend_from_slice(octets);
        Ok(self.buffer.len() >= BUFFER)
    }

    /// Writes what is gathered.
    pub(super) async fn drain(&mut self) -> Result<(), Trouble> {
        self.visit(false).await
    }

    /// Writes the rest and waits until file and name are on disk.
    pub(super) async fn finish(mut self) -> Result<Room, Trouble> {
        self.visit(true).await?;
        self.touched = false;
        self.room.take().ok_or(Trouble::Disk)
    }

    async fn visit(&mut self, sync: bool) -> Result<(), Trouble> {
        let room = self.room.as_ref().ok_or(Trouble::Disk)?;
        let (path, directory) = (room.spool.path(self.id), room.spool.directory.clone());
        let (file, mut buffer) = (self.file.take(), std::mem::take(&mut self.buffer));
        self.touched = true;
        let work = move || -> io::Result<(File, Vec<u8>)> {
            let mut file = match file {
                Some(file) => file,
                None => OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?,
            };
            file.write_all(&buffer)?;
            buffer.clear();
            if sync {
                file.sync_all()?;
                File::open(directory)?.sync_all()?;
            }
            Ok((file, buffer))
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| Trouble::Disk)?;
        let (file, buffer) = done.map_err(|error| {
            tracing::error!(%error, "a message could not be written to the spool");
            if error.kind() == io::ErrorKind::StorageFull { Trouble::Full } else { Trouble::Disk }
        })?;
        (self.file, self.buffer) = (Some(file), buffer);
        Ok(())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(room) = self.room.take().filter(|_| self.touched) {
            room.spool.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(octets: u64, entries: u64) -> (tempfile::TempDir, Arc<Spool>) {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { octets, entries, ..Settings::default() };
        let spool = Spool::open(&directory.path().join("spool"), &settings).unwrap();
        (directory, spool)
    }

    #[tokio::test]
    async fn a_message_is_there_once_it_is_finished_and_gone_before() {
        let (_directory, spool) = spool(1 << 20, 10);
        let mut message = Message::new(OutboxId(1), spool.enter().unwrap());
        let chunk = vec![b'x'; 40_000];
        assert!(!message.push(&chunk).unwrap());
        assert!(message.push(&chunk).unwrap());
        message.drain().await.unwrap();
        message.push(b"end").unwrap();
        let room = message.finish().await.unwrap();
        let path = spool.path(OutboxId(1));
        assert_eq!(fs::read(&path).unwrap().len(), 80_003);
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        assert!(!spool.has_room((1 << 20) - 80_002));
        drop(room);
        assert!(spool.has_room(1 << 20));

        let mut message = Message::new(OutboxId(2), spool.enter().unwrap());
        message.push(&chunk).unwrap();
        message.drain().await.unwrap();
        assert!(spool.path(OutboxId(2)).exists());
        drop(message);
        assert!(!spool.path(OutboxId(2)).exists());
        spool.sweep(|_| false).unwrap();
        assert!(!path.exists(), "no record knows it");
    }

    #[test]
    fn octets_and_entries_are_bounded() {
        let (_directory, spool) = spool(100, 2);
        let mut first = Message::new(OutboxId(1), spool.enter().unwrap());
        first.push(&[0; 60]).unwrap();
        assert!(!spool.has_room(41) && spool.has_room(40));
        let mut second = Message::new(OutboxId(2), spool.enter().unwrap());
        assert_eq!(spool.enter().err(), Some(Trouble::Full));
        assert_eq!(second.push(&[0; 41]), Err(Trouble::Full));
        drop(second);
        assert_eq!(first.push(&[0; 40]), Ok(false));
    }
}
