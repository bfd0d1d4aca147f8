//! What a message leaves to be done when it goes out: its copy in the team's Sent folder, the
//! mark on the message that it answers, and the memory of who answered what.
//!
//! | part | what it does |
//! |---|---|
//! | [`handing_in`] | follows a message on its way up: spooled, accepted |
//! | [`spool`] | its octets on disk |
//! | [`book`] | what is known in memory; a client's own copy is recognised here |
//! | [`work`] | files and marks, again and again until it is done |
//! | [`filing`], [`parent`] | one attempt, on the daemon's own connection |
//! | [`collision`] | two answers to one message |
//! | [`desk`] | what an admin sees and may do |
//!
//! Two records are waited for: *spooled*, on disk before the message's final dot goes up, and
//! *accepted*, on disk before the client hears 250. *Filed* is not: after a crash every
//! accepted message may have been filed, and is looked for first.

mod book;
mod collision;
mod desk;
mod filing;
mod handing_in;
mod parent;
mod print;
mod recognise;
mod spool;
mod work;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub(super) use book::Copy;
pub(super) use collision::{Answered, Look, Reservation, Standing};
pub use desk::{Row, State};
pub(super) use handing_in::{Details, Draft, Pending};
pub(super) use parent::Undecided;
pub(super) use print::BodyPrint;
pub(super) use recognise::{Claim, Note, Recognised};

use self::book::{Book, Entry};
use self::collision::Answers;
use self::parent::Places;
use self::spool::Spool;
use super::Targets;
use super::clock;
use crate::smtp::Answer;
use crate::store::{Fate, Filing, Ledger, Store, StoreError};
use crate::telemetry::Journal;
use crate::upstream::{Catalogues, Pools};

/// `[outbox]`: messages on their way into the Sent folder.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Octets of all messages that wait to be filed. Default 2 GiB: forty of the largest that
    /// are taken, or a day of a large team whose mail host is away.
    pub octets: u64,
    /// Most messages that wait. Default 10,000: the same day in short messages.
    pub entries: u64,
    /// Per cent of both that one person's messages may take; who has none waiting may always
    /// hand one in. Default 25: one mailbox whose host is away, or one script that sends
    /// without end, leaves room for everybody else.
    pub user_percent: u8,
    /// Days for which filing is tried again before an admin must look. Default 7.
    pub retry_days: u32,
    /// Hours for which a message of unknown outcome is listed before it is forgotten. Default
    /// 72: a weekend, in which its client may send it again and settle it, or an admin look.
    pub unknown_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { octets: 2 << 30, entries: 10_000, user_percent: 25, retry_days: 7, unknown_hours: 72 }
    }
}

/// Why a message cannot be handed in just now. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The spool's bound, or the disk.
    Full,
    /// The person's share of the spool.
    Share,
    /// The disk or the ledger failed; the log says how.
    Disk,
}

impl Trouble {
    /// What the person reads.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Full => {
                Answer::new(452, 3, 1, "Too many messages wait to be filed; please try again later")
            }
            Self::Share => {
                let sentence = "Too many messages of yours wait to be filed; please try again later";
                Answer::new(452, 3, 1, sentence)
            }
            Self::Disk => Answer::new(451, 3, 0, "The service has a problem; please try again later"),
        }
    }
}

/// What the outbox needs of others.
pub struct Needs {
    pub store: Store,
    pub journal: Journal,
    pub pools: Arc<Pools>,
    pub catalogues: Arc<Catalogues>,
    pub targets: Arc<Targets>,
}

/// The outbox of all mailboxes.
pub struct Outbox {
    settings: Settings,
    needs: Needs,
    ledger: Ledger,
    spool: Arc<Spool>,
    book: Mutex<Book>,
    answers: Mutex<Answers>,
    places: Mutex<Places>,
    /// Something is due.
    wake: Notify,
    /// Something was filed.
    filed: Notify,
}

impl Outbox {
    /// Opens the outbox below the state directory, with what the last daemon left in it.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// The ledger or the spool cannot be opened.
    pub fn open(state: &Path, settings: Settings, needs: Needs) -> Result<Arc<Self>, StoreError> {
        let directory = state.join("spool");
        let io = |error| StoreError::Io { path: directory.clone(), error };
        let spool = Spool::open(&directory, &settings).map_err(io)?;
        let (ledger, records) = Ledger::open(&state.join("outbox"))?;
        let mut book = Book::default();
        for record in records {
            let waits = record.copy == Filing::Wanted;
            let room = waits.then(|| spool.take(record.user, record.octets));
            let mut entry = Entry::new(record, room);
            entry.doubtful = true;
            // What the last daemon began may still be on its way through the mail host.
            entry.due = Some(clock::now().plus_millis(work::SETTLE));
            book.insert(entry);
        }
        spool.sweep(|id| book.get(id).is_some_and(Entry::wants_filing)).map_err(io)?;
        let unknown = book.entries().filter(|entry| entry.record.fate == Fate::Spooled).count();
        if unknown > 0 {
            tracing::warn!(unknown, "messages whose outcome is unknown: see `mandate outbox list`");
        }
        let answers = Answers::of(book.entries().map(|entry| &entry.record));
        Ok(Arc::new(Self {
            settings,
            needs,
            ledger,
            spool,
            book: Mutex::new(book),
            answers,
            places: Mutex::default(),
            wake: Notify::new(),
            filed: Notify::new(),
        }))
    }

    /// Writes what is waiting, and gives the files free.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.ledger.close().await
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
