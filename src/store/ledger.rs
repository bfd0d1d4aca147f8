//! The records of the outbox: what became of each message that was handed in.
//!
//! They change twice a message, so they live apart from the [`super::Store`]: in a sled of
//! their own, with a writer thread of their own that lets all who wait share one flush.
//! Whoever opens it keeps the records in memory; nothing is ever read back but at start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::StoreError;
use super::disk::Disk;
use super::tables::Row;
use crate::policy::{Mark, Receipt};
use crate::types::{FolderName, MailboxId, MessageId, OutboxId, Timestamp, UidValidity, UserId};

/// A message on its way, or that went out lately.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outgoing {
    pub id: OutboxId,
    pub mailbox: MailboxId,
    pub user: UserId,
    /// When it was handed in.
    pub at: Timestamp,
    /// `None`: it has one that cannot be looked for.
    pub message_id: Option<MessageId>,
    /// SHA-256 of the header as the client sent it, `body_digest` and the body's length, in
    /// base64url: the same for a message that is handed in again, octet for octet.
    pub digest: String,
    /// Octets of the copy.
    pub octets: u64,
    /// Octets of its body alone.
    pub body: u64,
    /// SHA-256 of the body without line ends at its end, in base64url: of the client's own copy
    /// it is the same.
    #[serde(default)]
    pub body_digest: String,
    pub fate: Fate,
    /// When an admin said that it had gone out, which nobody else has told.
    #[serde(default)]
    pub told: Option<Timestamp>,
    pub copy: Filing,
    /// The client's own copy was recognised, and not stored.
    pub claimed: bool,
    pub answers: Option<Answers>,
    pub receipt: Receipt,
    /// Recipients whom the header names; never a Bcc.
    pub recipients: Vec<String>,
}

/// What upstream said to a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Its end may have gone up; nothing is known of an answer.
    Spooled,
    /// 250.
    Accepted,
}

/// What becomes of the copy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filing {
    /// It is in the spool, and wants to be filed.
    Wanted,
    /// It is in a folder; where, if the host has said so.
    Filed(Option<Place>),
    /// The same message was handed in before, and its copy is that one's.
    SameAs(OutboxId),
    /// The client files it.
    Client,
    /// The mail host files it.
    Upstream,
}

/// Where a message is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Place {
    pub folder: FolderName,
    pub validity: UidValidity,
    pub uid: u32,
}

/// The message that one answers or forwards.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Answers {
    pub parent: MessageId,
    pub mark: Mark,
    pub marking: ParentMark,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParentMark {
    Wanted,
    Done,
    /// It is in none of the folders that the sender may read.
    NotFound,
    /// The host refuses the flag.
    Refused,
}

/// Records that may wait for the writer; see [`super::QUEUE`].
const QUEUE: usize = 4096;
/// Records that share one flush.
const MAX_BATCH: usize = 512;
/// How long a record that nobody waits for may stay unwritten: what is lost with it is
/// found out again, by a look into the folder.
const SOON: Duration = Duration::from_secs(1);
/// Octets that sled keeps in memory; nothing is read from it.
const CACHE: u64 = 4 << 20;
const SCHEMA: u32 = 1;

struct Job {
    rows: Vec<Row>,
    /// Told once the rows are on disk; `None`: nobody waits.
    done: Option<oneshot::Sender<()>>,
    close: bool,
}

/// The way to the ledger's writer.
#[derive(Clone)]
pub struct Ledger {
    jobs: SyncSender<Job>,
}

impl Ledger {
    /// Opens the ledger in `dir`, or makes it, and reads it. Blocks for the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Locked`], [`StoreError::Io`].
    pub fn open(dir: &Path) -> Result<(Self, Vec<Outgoing>), StoreError> {
        let disk = Disk::open(dir, CACHE)?;
        let raw = disk.load()?.unwrap_or_default();
        if raw.schema > SCHEMA {
            return Err(StoreError::Newer { path: dir.to_owned(), found: raw.schema, known: SCHEMA });
        }
        let read = |(key, value)| {
            let damaged = |error: serde_json::Error| format!("record {key}: {error}");
            serde_json::from_value(value).map_err(damaged)
        };
        let records: Result<Vec<Outgoing>, _> = raw.records.into_iter().map(read).collect();
        let records = records.map_err(|why| StoreError::Damaged { path: dir.to_owned(), why })?;
        let (jobs, queue) = sync_channel(QUEUE);
        let path: PathBuf = dir.to_owned();
        let writer = LedgerWriter { disk, n: raw.n, waiting: BTreeMap::new(), write_by: None };
        let work = move || {
            if let Err(error) = writer.run(&queue) {
                tracing::error!("the outbox takes no more messages: {error}");
            }
        };
        thread::Builder::new().name("outbox".into()).spawn(work).map_err(StoreError::io(path))?;
        Ok((Self { jobs }, records))
    }

    /// Writes the records, all or none, and resolves when they are on disk.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::ReadOnly`].
    pub async fn write(&self, records: &[Outgoing]) -> Result<(), StoreError> {
        let (done, is_done) = oneshot::channel();
        self.send(Job { rows: records.iter().map(row).collect(), done: Some(done), close: false })?;
        is_done.await.map_err(|_| StoreError::ReadOnly)
    }

    /// Writes a record with the next ones, or within a second.
    pub fn write_soon(&self, record: &Outgoing) {
        self.soon(row(record));
    }

    /// Removes a record with the next ones written, or within a second.
    pub fn remove_soon(&self, id: OutboxId) {
        self.soon(Row { key: key(id), value: None });
    }

    /// Writes what is waiting and ends the writer.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (done, is_done) = oneshot::channel();
        self.send(Job { rows: Vec::new(), done: Some(done), close: true })?;
        is_done.await.map_err(|_| StoreError::ReadOnly)
    }

    fn soon(&self, row: Row) {
        // Lost, it is found out again at the next start.
        if let Err(error) = self.send(Job { rows: vec![row], done: None, close: false }) {
            tracing::warn!("the outbox could not note what it did: {error}");
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::ReadOnly,
        })
    }
}

fn key(id: OutboxId) -> String {
    // Of one length, so that they sort by age.
    format!("outgoing/{:020}", id.0)
}

fn row(record: &Outgoing) -> Row {
    // NOTE(unwrap): a struct with text keys; serde_json does not fail on it.
    let value = serde_json::to_value(record).expect("records serialise");
    Row { key: key(record.id), value: Some(value) }
}

struct LedgerWriter {
    disk: Disk,
    /// The number of the last write.
    n: u64,
    /// What nobody waits for yet; the last of a key counts.
    waiting: BTreeMap<String, Row>,
    write_by: Option<Instant>,
}

impl LedgerWriter {
    fn run(mut self, queue: &Receiver<Job>) -> Result<(), StoreError> {
        loop {
            let first = match self.write_by {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(by) => queue.recv_timeout(by.saturating_duration_since(Instant::now())),
            };
            let mut jobs = match first {
                Ok(job) => vec![job],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            };
            jobs.extend(queue.try_iter().take(MAX_BATCH - 1));
            let close = jobs.iter().any(|job| job.close);
            let mut done = Vec::new();
            for job in jobs {
                self.waiting.extend(job.rows.into_iter().map(|row| (row.key.clone(), row)));
                done.extend(job.done);
            }
            let late = self.write_by.is_some_and(|by| by <= Instant::now());
            if close || late || !done.is_empty() {
                // If it fails, whoever waits is told by the dropped channel.
                self.flush()?;
            } else if !self.waiting.is_empty() {
                self.write_by.get_or_insert(Instant::now() + SOON);
            }
            if close {
                // The files are free before the caller hears of it.
                drop(self);
                tell(done);
                return Ok(());
            }
            tell(done);
        }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.write_by = None;
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row> = std::mem::take(&mut self.waiting).into_values().collect();
        self.n += 1;
        self.disk.write(SCHEMA, self.n, &rows)
    }
}

/// Who asked may be gone.
fn tell(done: Vec<oneshot::Sender<()>>) {
    for done in done {
        let _ = done.send(());
    }
}

#[cfg(test)]
pub(crate) use tests::outgoing;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{self, Action, Decision, Effective, Fact, Facts, Ground, Held, Next, Role};
    use crate::types::{Address, GrantId, LoginName, UidSet};

    /// A receipt as `policy` gives it to a manager.
    fn receipt(user: u64, mailbox: u64) -> Receipt {
        let role = Role::manager();
        let user = (UserId(user), LoginName::parse("alice").unwrap());
        let mailbox = (MailboxId(mailbox), Address::parse("support@example.org").unwrap());
        let grants = std::iter::once(Held::whole(GrantId(1), &role));
        let effective = Effective::union(user, mailbox, grants, Ground::default(), None).unwrap();
        let Decision::Permit(mut permit) =
            policy::decide(&effective, &Action::Submit(policy::Answering::New), Timestamp(0))
        else {
            panic!("no permit")
        };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: &effective, own: &own, by_uid: false };
        let Next::Run(step) = permit.next(&facts) else { panic!("no step") };
        Receipt::of(&step, &effective).unwrap()
    }

    pub(crate) fn outgoing(id: u64, user: u64, message_id: &str) -> Outgoing {
        Outgoing {
            id: OutboxId(id),
            mailbox: MailboxId(1),
            user: UserId(user),
            at: Timestamp(0),
            message_id: MessageId::parse(message_id),
            digest: format!("digest of {id}"),
            octets: 1_200,
            body: 1_000,
            body_digest: "body".to_owned(),
            fate: Fate::Accepted,
            told: None,
            copy: Filing::Wanted,
            claimed: false,
            answers: None,
            receipt: receipt(user, 1),
            recipients: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_was_written_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, records) = Ledger::open(dir.path()).unwrap();
        assert_eq!(records, []);
        let first = Outgoing { fate: Fate::Spooled, ..outgoing(1, 1, "<1@x>") };
        let second = outgoing(2, 1, "<2@x>");
        ledger.write(&[first.clone(), second.clone()]).await.unwrap();
        let accepted = Outgoing { fate: Fate::Accepted, ..first };
        ledger.write_soon(&accepted);
        ledger.remove_soon(second.id);
        ledger.close().await.unwrap();
        assert!(matches!(ledger.write(&[]).await, Err(StoreError::ReadOnly)));
        let (_, records) = Ledger::open(dir.path()).unwrap();
        assert_eq!(records, [accepted]);
    }

    #[tokio::test]
    async fn those_who_wait_share_a_flush() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open(dir.path()).unwrap();
        let writes = (1..=200).map(|id| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.write(&[outgoing(id, 1, "<1@x>")]).await })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap().unwrap();
        }
        ledger.close().await.unwrap();
        let disk = Disk::open(dir.path(), CACHE).unwrap();
        let raw = disk.load().unwrap().unwrap();
        assert_eq!(raw.records.len(), 200);
        assert!(raw.n < 100, "{} flushes", raw.n);
    }
}
