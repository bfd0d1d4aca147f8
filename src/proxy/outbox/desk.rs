//! What an admin sees of the outbox, and may do.

use super::book::Entry;
use super::{Outbox, clock};
use crate::store::{Fate, Filing, Outgoing, ParentMark};
use crate::types::OutboxId;

/// A message in the outbox.
#[derive(Clone, Debug)]
pub struct Row {
    pub record: Outgoing,
    pub state: State,
    pub tries: u32,
    /// The next attempt; `None`: there is none by itself.
    pub next: Option<crate::types::Timestamp>,
    pub why: Option<String>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is being handed in.
    Sending,
    /// Nobody knows whether it went out.
    Unknown,
    /// It went out, and is to be filed.
    Filing,
    /// It is filed, and its parent is to be marked.
    Marking,
    /// Attempts have ended.
    GivenUp,
    Done,
}

impl Outbox {
    /// Every message that is not done with, the oldest first.
    pub fn open_rows(&self) -> Vec<Row> {
        self.rows().into_iter().filter(|row| row.state != State::Done).collect()
    }

    /// Every message that is known, the oldest first.
    pub fn rows(&self) -> Vec<Row> {
        self.book().entries().map(row).collect()
    }

    /// Has another attempt made at once; one of unknown outcome is taken to have gone out.
    ///
    /// # Errors
    /// A sentence: there is nothing to be done for it.
    pub async fn retry(&self, id: OutboxId) -> Result<(), String> {
        let record = {
            let mut book = self.book();
            let entry = book.get_mut(id).ok_or_else(|| unknown(id))?;
            if entry.live || entry.busy {
                return Err(format!("{id} is under way just now"));
            }
            // An admin who has looked knows better than a look that found nothing out.
            entry.doubtful = entry.doubtful && entry.record.message_id.is_some();
            if entry.record.fate == Fate::Spooled {
                entry.doubtful |= entry.record.message_id.is_some();
                (entry.record.fate, entry.record.told) = (Fate::Accepted, Some(clock::now()));
            }
            if !entry.is_open() {
                return Err(format!("nothing is left to be done for {id}"));
            }
            (entry.tries, entry.due, entry.why) = (0, Some(clock::now()), None);
            entry.record.clone()
        };
        self.ledger.write(&[record]).await.map_err(|error| error.to_string())?;
        self.wake.notify_one();
        Ok(())
    }

    /// Forgets a message: its copy is not filed, nor its parent marked.
    ///
    /// # Errors
    /// A sentence: there is none, or it is under way.
    pub fn drop_message(&self, id: OutboxId) -> Result<Outgoing, String> {
        let record = {
            let book = self.book();
            let entry = book.get(id).ok_or_else(|| unknown(id))?;
            if entry.live || entry.busy {
                return Err(format!("{id} is under way just now; try again"));
            }
            entry.record.clone()
        };
        self.forget(id);
        self.unanswered(&record);
        Ok(record)
    }
}

fn unknown(id: OutboxId) -> String {
    format!("there is no message {id} in the outbox")
}

fn row(entry: &Entry) -> Row {
    let waits = entry.due.is_some() || entry.busy;
    let marks = entry.record.answers.as_ref().is_some_and(|answers| answers.marking == ParentMark::Wanted);
    let state = match entry.record.fate {
        Fate::Spooled if entry.live => State::Sending,
        Fate::Spooled => State::Unknown,
        Fate::Accepted if entry.is_open() && !waits => State::GivenUp,
        Fate::Accepted if entry.record.copy == Filing::Wanted => State::Filing,
        Fate::Accepted if marks => State::Marking,
        Fate::Accepted => State::Done,
    };
    let next = entry.due.filter(|_| entry.is_open());
    Row { record: entry.record.clone(), state, tries: entry.tries, next, why: entry.why.clone() }
}
