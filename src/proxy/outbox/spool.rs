//! Messages on disk, from before their end goes up until their copy is filed.
//!
//! `state/spool/<id>` holds the octets that went upstream, mode 0600. A small message is one
//! visit to the disk: what it has fits the buffer, and is written and synced together.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Settings, Trouble};
use crate::types::{OutboxId, UserId};

/// Octets gathered before a visit to the disk. Most messages without attachments are
/// smaller; it is there only while a message is coming in.
const BUFFER: usize = 64 * 1024;

/// The directory, and how much of its bound is taken.
pub(super) struct Spool {
    directory: PathBuf,
    taken: Mutex<Taken>,
    /// What all may take together, and one person.
    most: Amount,
    share: Amount,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Amount {
    octets: u64,
    entries: u64,
}

#[derive(Default)]
struct Taken {
    all: Amount,
    /// Those who have something in the spool.
    users: HashMap<UserId, Amount>,
}

/// Room in the spool; freed on drop.
pub(super) struct Room {
    spool: Arc<Spool>,
    user: UserId,
    octets: u64,
}

impl Spool {
    /// Opens the directory, or makes it with mode 0700.
    pub(super) fn open(directory: &Path, settings: &Settings) -> io::Result<Arc<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
        let most = Amount { octets: settings.octets, entries: settings.entries };
        let percent = |most: u64| most.saturating_mul(settings.user_percent.into()) / 100;
        let share = Amount { octets: percent(most.octets), entries: percent(most.entries) };
        Ok(Arc::new(Self { directory: directory.to_owned(), taken: Mutex::default(), most, share }))
    }

    /// Whether a message of this size would find room now.
    pub(super) fn check(&self, user: UserId, octets: u64) -> Result<(), Trouble> {
        self.taken().grown(user, Amount { octets, entries: 1 }).fits(self)
    }

    /// A place for one more message, without octets yet.
    pub(super) fn enter(self: &Arc<Self>, user: UserId) -> Result<Room, Trouble> {
        self.check(user, 0)?;
        Ok(self.take(user, 0))
    }

    /// The place of a message that is in the spool already, whatever the bounds are now.
    pub(super) fn take(self: &Arc<Self>, user: UserId, octets: u64) -> Room {
        self.taken().add(user, Amount { octets, entries: 1 });
        Room { spool: Arc::clone(self), user, octets }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, id: OutboxId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Removes a message that nobody needs any more, without waiting for the disk: freeing a
    /// large file takes it a while, and all who talk to us would wait.
    pub(super) fn remove(&self, id: OutboxId) {
        let path = self.path(id);
        let remove = move || {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a message could not be removed from the spool");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
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

impl Taken {
    /// What all and the person would have with so much more.
    fn grown(&self, user: UserId, more: Amount) -> Wanted {
        let own = self.users.get(&user).copied().unwrap_or_default();
        Wanted { all: self.all.plus(more), own: own.plus(more) }
    }

    fn add(&mut self, user: UserId, more: Amount) {
        self.all = self.all.plus(more);
        let own = self.users.entry(user).or_default();
        *own = own.plus(more);
    }

    fn free(&mut self, user: UserId, less: Amount) {
        self.all = self.all.minus(less);
        let Some(own) = self.users.get_mut(&user) else { return };
        *own = own.minus(less);
        if own.entries == 0 {
            self.users.remove(&user);
        }
    }
}

/// What would be taken.
struct Wanted {
    all: Amount,
    own: Amount,
}

impl Wanted {
    fn fits(&self, spool: &Spool) -> Result<(), Trouble> {
        if !self.all.is_within(spool.most) {
            return Err(Trouble::Full);
        }
        // A share smaller than a message would keep somebody from sending at all.
        if self.own.entries > 1 && !self.own.is_within(spool.share) {
            return Err(Trouble::Share);
        }
        Ok(())
    }
}

impl Amount {
    fn plus(self, more: Self) -> Self {
        let octets = self.octets.saturating_add(more.octets);
        Self { octets, entries: self.entries.saturating_add(more.entries) }
    }

    fn minus(self, less: Self) -> Self {
        let octets = self.octets.saturating_sub(less.octets);
        Self { octets, entries: self.entries.saturating_sub(less.entries) }
    }

    fn is_within(self, most: Self) -> bool {
        self.octets <= most.octets && self.entries <= most.entries
    }
}

impl Room {
    /// Room for more octets, unless that is too much.
    fn grow(&mut self, octets: u64) -> Result<(), Trouble> {
        let mut taken = self.spool.taken();
        let more = Amount { octets, entries: 0 };
        taken.grown(self.user, more).fits(&self.spool)?;
        taken.add(self.user, more);
        self.octets += octets;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.spool.taken().free(self.user, Amount { octets: self.octets, entries: 1 });
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
    use std::time::Duration;

    use super::*;

    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn spool(octets: u64, entries: u64) -> (tempfile::TempDir, Arc<Spool>) {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { octets, entries, user_percent: 100, ..Settings::default() };
        let spool = Spool::open(&directory.path().join("spool"), &settings).unwrap();
        (directory, spool)
    }

    #[tokio::test]
    async fn a_message_is_there_once_it_is_finished_and_gone_before() {
        let (_directory, spool) = spool(1 << 20, 10);
        let mut message = Message::new(OutboxId(1), spool.enter(ALICE).unwrap());
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
        assert_eq!(spool.check(BOB, (1 << 20) - 80_002), Err(Trouble::Full));
        drop(room);
        assert_eq!(spool.check(BOB, 1 << 20), Ok(()));

        let mut message = Message::new(OutboxId(2), spool.enter(ALICE).unwrap());
        message.push(&chunk).unwrap();
        message.drain().await.unwrap();
        let path_of_two = spool.path(OutboxId(2));
        assert!(path_of_two.exists());
        drop(message);
        let removed = async {
            while path_of_two.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), removed).await.expect("it is removed");
        spool.sweep(|_| false).unwrap();
        assert!(!path.exists(), "no record knows it");
    }

    #[test]
    fn octets_and_entries_are_bounded() {
        let (_directory, spool) = spool(100, 2);
        let mut first = Message::new(OutboxId(1), spool.enter(ALICE).unwrap());
        first.push(&[0; 60]).unwrap();
        assert_eq!((spool.check(BOB, 41), spool.check(BOB, 40)), (Err(Trouble::Full), Ok(())));
        let mut second = Message::new(OutboxId(2), spool.enter(BOB).unwrap());
        assert_eq!(spool.enter(BOB).err(), Some(Trouble::Full));
        assert_eq!(second.push(&[0; 41]), Err(Trouble::Full));
        drop(second);
        assert_eq!(first.push(&[0; 40]), Ok(false));
    }

    #[test]
    fn one_person_takes_a_share_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { octets: 400, entries: 8, user_percent: 25, ..Settings::default() };
        let spool = Spool::open(&directory.path().join("spool"), &settings).unwrap();
        let mut large = Message::new(OutboxId(1), spool.enter(ALICE).unwrap());
        large.push(&[0; 150]).unwrap();
        assert_eq!(spool.enter(ALICE).err(), Some(Trouble::Share), "octets");
        drop(large);
        let held = [spool.enter(ALICE).unwrap(), spool.enter(ALICE).unwrap()];
        assert_eq!(spool.enter(ALICE).err(), Some(Trouble::Share), "entries");
        let mut others = spool.enter(BOB).unwrap();
        assert_eq!(others.grow(100), Ok(()), "there is room for others");
        let mut second = spool.enter(BOB).unwrap();
        assert_eq!(second.grow(1), Err(Trouble::Share));
        drop(held);
        assert!(spool.enter(ALICE).is_ok() && spool.taken().users.len() == 1);
    }
}
