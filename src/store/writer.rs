//! The one thread that changes anything.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::export::Log;
use super::schema::{CURRENT, Files};
use super::snapshot::{Index, Snapshot};
use super::tables::{Draft, Row, Tables};
use super::{QUEUE, Shared, StoreError};
use crate::policy::Role;
use crate::types::Timestamp;

/// How long a change of [`Urgency::Soon`] may stay unwritten: a power cut costs a second
/// of subscriptions, and a client that sends a hundred of them costs one sync.
const SOON: Duration = Duration::from_secs(1);
/// Changes that share one sync.
const MAX_BATCH: usize = 64;

/// When a change is acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// When it is on disk.
    Now,
    /// When it is seen; it is on disk within [`SOON`].
    Soon,
}

/// A plan made: what remains is to tell the caller how writing it went.
type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Plans on the draft; if that is refused, tells the caller itself and gives `None`.
type Plan = Box<dyn FnOnce(&mut Draft) -> Option<Acknowledge> + Send>;

enum Job {
    Change(Urgency, Plan),
    Roles(Vec<Role>, oneshot::Sender<()>),
    Stop(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the writer thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    failed: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>, files: Files) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel(QUEUE);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let dir = files.dir.clone();
        let work = move || {
            let tables = shared.snapshot.load().tables.clone();
            let worker = Worker { shared, files, tables, waiting: Vec::new(), write_by: None };
            let ended = catch_unwind(AssertUnwindSafe(|| worker.run(&queue)));
            // From here on the queue is gone and every caller is told that the store is read-only.
            flag.store(true, Ordering::Release);
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("the store is read-only from now on: {error}"),
                Err(_) => tracing::error!("the store's writer panicked; the store is read-only from now on"),
            }
        };
        thread::Builder::new().name("store".into()).spawn(work).map_err(StoreError::io(dir))?;
        Ok(Self { jobs, failed })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Has the change planned and written; resolves as its urgency says.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        plan: impl FnOnce(&mut Draft) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let plan = move |draft: &mut Draft| -> Option<Acknowledge> {
            match plan(draft) {
                Ok(value) => Some(Box::new(move |written| drop(answer.send(written.map(|()| value))))),
                // A caller that is gone needs no answer.
                Err(error) => {
                    drop(answer.send(Err(error)));
                    None
                }
            }
        };
        self.send(Job::Change(urgency, Box::new(plan)))?;
        answered.await.map_err(|_| StoreError::ReadOnly)?
    }

    pub(super) async fn set_roles(&self, roles: Vec<Role>) -> Result<(), StoreError> {
        let (done, is_done) = oneshot::channel();
        self.send(Job::Roles(roles, done))?;
        is_done.await.map_err(|_| StoreError::ReadOnly)
    }

    pub(super) async fn stop(&self) -> Result<(), StoreError> {
        let (done, is_done) = oneshot::channel();
        self.send(Job::Stop(done))?;
        is_done.await.map_err(|_| StoreError::ReadOnly)?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::ReadOnly,
        })
    }
}

/// The thread's own state.
struct Worker {
    shared: Arc<Shared>,
    files: Files,
    /// As the snapshot shows them.
    tables: Tables,
    /// Rows that are seen but not yet written.
    waiting: Vec<Row>,
    write_by: Option<Instant>,
}

/// Changes planned together.
struct Batch {
    tables: Tables,
    index: Arc<Index>,
    rows: Vec<Row>,
    acknowledge: Vec<(Urgency, Acknowledge)>,
}

impl Worker {
    /// Until told to stop, all handles are gone, or the disk fails.
    fn run(mut self, queue: &Receiver<Job>) -> Result<(), StoreError> {
        loop {
            let first = match self.write_by {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(by) => queue.recv_timeout(by.saturating_duration_since(Instant::now())),
            };
            let mut jobs = match first {
                Ok(job) => vec![job],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return self.write(Vec::new()),
            };
            jobs.extend(queue.try_iter().take(MAX_BATCH - 1));
            if let Some(done) = self.work(jobs)? {
                let written = self.write(Vec::new());
                // The files are free before the caller hears of it.
                drop(self);
                drop(done.send(written));
                return Ok(());
            }
        }
    }

    /// Does the jobs in order, and writes what has waited long enough. Gives back the
    /// caller who wants an end, if there is one.
    fn work(
        &mut self,
        jobs: Vec<Job>,
    ) -> Result<Option<oneshot::Sender<Result<(), StoreError>>>, StoreError> {
        let late = self.write_by.is_some_and(|by| by <= Instant::now());
        let index = Arc::clone(&self.shared.snapshot.load().index);
        let mut batch =
            Batch { tables: self.tables.clone(), index, rows: Vec::new(), acknowledge: Vec::new() };
        let (mut roles, mut stop) = (Vec::new(), None);
        for job in jobs {
            match job {
                Job::Change(urgency, plan) => batch.plan(urgency, plan),
                Job::Roles(new, done) => roles.push((new, done)),
                Job::Stop(done) => stop = Some(done),
            }
        }
        self.finish(batch, late)?;
        for (new, done) in roles {
            self.publish(Arc::clone(&self.shared.snapshot.load().index), Some(new), true);
            // Who asked may be gone.
            let _ = done.send(());
        }
        Ok(stop)
    }

    fn finish(&mut self, batch: Batch, late: bool) -> Result<(), StoreError> {
        let urgent = batch.acknowledge.iter().any(|(urgency, _)| *urgency == Urgency::Now);
        if urgent || late {
            // If it fails, dropping the batch tells its callers that the store is read-only.
            self.write(batch.rows)?;
        } else if !batch.rows.is_empty() {
            self.wait(batch.rows);
            self.write_by.get_or_insert(Instant::now() + SOON);
        }
        let announced = !batch.tables.same_directory(&self.tables);
        self.tables = batch.tables;
        self.publish(batch.index, None, announced);
        batch.acknowledge.into_iter().for_each(|(_, acknowledge)| acknowledge(Ok(())));
        Ok(())
    }

    /// Keeps rows for later; of a record only the last: a client that marks a thousand
    /// messages one by one costs one row.
    fn wait(&mut self, rows: Vec<Row>) {
        let newer: HashSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        self.waiting.retain(|row| !newer.contains(row.key.as_str()));
        self.waiting.extend(rows);
    }

    /// Swaps the snapshot, then tells those who watch.
    fn publish(&self, index: Arc<Index>, roles: Option<Vec<Role>>, announced: bool) {
        let old = self.shared.snapshot.load();
        let version = old.version() + u64::from(announced);
        let roles = roles.map_or_else(|| old.shared_roles(), Arc::new);
        let snapshot = Snapshot::new(version, self.tables.clone(), index, roles);
        self.shared.snapshot.store(Arc::new(snapshot));
        if announced {
            self.shared.changes.send_replace(version);
        }
    }

    /// Writes what waits and then `rows`, as one change, to both files.
    fn write(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.waiting.extend(rows);
        self.write_by = None;
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.waiting);
        let n = self.files.n + 1;
        self.files.log.append(n, rows.clone())?;
        self.files.disk.write(CURRENT.version, n, &rows)?;
        self.files.n = n;
        if self.files.log.is_long() {
            // `self.tables` lacks this change until it is published, sled has it.
            let stored = self.files.disk.load()?.unwrap_or_default();
            let rows: Vec<Row> =
                stored.records.into_iter().map(|(key, value)| Row { key, value: Some(value) }).collect();
            self.files.log = Log::create(&self.files.dir, n, CURRENT.version, &rows)?;
        }
        Ok(())
    }
}

impl Batch {
    /// Plans one change upon the ones before it; refused, it leaves no trace.
    fn plan(&mut self, urgency: Urgency, plan: Plan) {
        let mut draft = Draft::of(&self.tables);
        let Some(acknowledge) = plan(&mut draft) else { return };
        if !draft.tables.same_directory(&self.tables) {
            match Index::build(&draft.tables) {
                Ok(index) => self.index = Arc::new(index),
                Err(error) => return acknowledge(Err(error)),
            }
        }
        self.tables = draft.tables;
        self.rows.extend(draft.rows);
        self.acknowledge.push((urgency, acknowledge));
    }
}

/// The time, for `created_at` and `granted_at`.
pub(super) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
