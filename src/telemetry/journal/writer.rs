//! The thread that writes the journal: many callers, one sync.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::file::File;
use super::{Durability, JournalError, Seq, now};
use crate::telemetry::event::Event;
use crate::telemetry::tally::Tally;

/// How long a [`Durability::Grouped`] line may stay unsynced (invariant 12).
const GROUP: Duration = Duration::from_millis(50);
/// How often counts become lines (invariant 12).
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Lines that share one write.
const MAX_BATCH: usize = 256;

type Answer = oneshot::Sender<Result<Seq, JournalError>>;

pub(super) enum Job {
    Record(Box<Event>, Durability, Answer),
    Close(oneshot::Sender<Result<(), JournalError>>),
}

pub(super) struct Writer {
    file: File,
    tally: Arc<Mutex<Tally>>,
    /// When what is written must be synced.
    sync_by: Option<Instant>,
    tally_every: Duration,
    tally_by: Instant,
}

impl Writer {
    pub(super) fn new(file: File, tally: Arc<Mutex<Tally>>, tally_every: Duration) -> Self {
        Self { file, tally, sync_by: None, tally_every, tally_by: Instant::now() + tally_every }
    }

    /// Writes and syncs the first line.
    pub(super) fn start(&mut self, event: Event) -> Result<(), JournalError> {
        self.file.append(&[event], &stamp(now()))?;
        self.file.sync()
    }

    /// Until closed, all handles are gone, or a sync fails: then the queue goes with the
    /// thread, and every caller learns that there is no record.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let by = self.sync_by.map_or(self.tally_by, |by| by.min(self.tally_by));
            let mut jobs = match queue.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok(job) => vec![job],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return self.last_words(None),
            };
            jobs.extend(queue.try_iter().take(MAX_BATCH - 1));
            match self.work(jobs) {
                Ok(None) => {}
                Ok(Some(close)) => return self.last_words(Some(close)),
                Err(error) => {
                    return tracing::error!("the audit journal ends, so nothing may be changed: {error}");
                }
            }
        }
    }

    fn work(
        &mut self,
        jobs: Vec<Job>,
    ) -> Result<Option<oneshot::Sender<Result<(), JournalError>>>, JournalError> {
        let (mut events, mut answers, mut close) = (Vec::new(), Vec::new(), None);
        for job in jobs {
            match job {
                Job::Record(event, durability, answer) => {
                    events.push(*event);
                    answers.push((durability, answer));
                }
                Job::Close(answer) => close = Some(answer),
            }
        }
        if !events.is_empty() {
            self.record(&events, answers)?;
        }
        let now = Instant::now();
        if self.tally_by <= now {
            self.write_tally()?;
        }
        if self.sync_by.is_some_and(|by| by <= now) {
            self.sync()?;
        }
        Ok(close)
    }

    fn record(&mut self, events: &[Event], answers: Vec<(Durability, Answer)>) -> Result<(), JournalError> {
        let seqs = match self.file.append(events, &stamp(now())) {
            Ok(seqs) => seqs,
            // Nothing of it is there; the next may fit again.
            Err(JournalError::Write(why)) => {
                tracing::error!("the audit journal cannot be written: {why}");
                for (_, answer) in answers {
                    tell(answer, Err(JournalError::Write(why.clone())));
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (flushed, grouped): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .zip(seqs)
            .partition(|((durability, _), _)| *durability == Durability::Flushed);
        for ((_, answer), seq) in grouped {
            tell(answer, Ok(Seq(seq)));
            self.sync_by.get_or_insert(Instant::now() + GROUP);
        }
        if !flushed.is_empty() {
            self.sync()?;
        }
        for ((_, answer), seq) in flushed {
            tell(answer, Ok(Seq(seq)));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.sync_by = None;
        self.file.sync()
    }

    fn write_tally(&mut self) -> Result<(), JournalError> {
        self.tally_by = Instant::now() + self.tally_every;
        let counts = self.tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        let event = |(what, key, count): (_, _, crate::telemetry::tally::Count)| Event::Tally {
            what,
            key,
            count: count.times,
            first: stamp(count.first),
            last: stamp(count.last),
        };
        let events: Vec<Event> = counts.into_iter().map(event).collect();
        if events.is_empty() {
            return Ok(());
        }
        match self.file.append(&events, &stamp(now())) {
            Ok(_) => drop(self.sync_by.get_or_insert(Instant::now() + GROUP)),
            Err(JournalError::Write(why)) => tracing::error!("the audit journal cannot be written: {why}"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn last_words(mut self, close: Option<oneshot::Sender<Result<(), JournalError>>>) {
        let ended = self.write_tally().and_then(|()| self.sync());
        if let Err(error) = &ended {
            tracing::error!("the end of the audit journal may be lost: {error}");
        }
        if let Some(close) = close {
            tell(close, ended);
        }
    }
}

/// A caller that is gone needs no answer: the line stays.
fn tell<T>(answer: oneshot::Sender<T>, value: T) {
    drop(answer.send(value));
}

/// RFC 3339 in UTC with milliseconds.
fn stamp(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => millis.to_string(),
    }
}
