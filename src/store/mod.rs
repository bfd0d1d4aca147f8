//! Who there is, who may do what, and the secrets: kept durably, read from memory.
//!
//! Layer 2. [`Store`] is the one small interface; a fleet of proxies will put another
//! behind it. Every decision is made from a [`Snapshot`], which never touches the disk.
//! Changes go through one writer thread, in order:
//!
//! 1. plan the change on a copy of the tables; an address or name with two holders or
//!    two readings is refused with a sentence;
//! 2. append it to `export.jsonl` (checksummed JSON lines) and sync that;
//! 3. apply it to sled, `flush`, and sync sled's file, since sled 0.34 itself calls only
//!    `sync_file_range`, which no power cut respects;
//! 4. swap the snapshot, announce it on the watch, then acknowledge.
//!
//! At start whichever of the two files knows more is right and the other is rebuilt from
//! it. If the writer fails, the store takes no more changes; decisions go on.
//! Subscriptions, removed drafts and a user's own marks are visible at once and written within
//! a second.

mod change;
mod disk;
mod error;
mod export;
mod ledger;
mod marks;
mod options;
mod personal;
mod record;
mod schema;
mod sealed;
mod sent;
mod snapshot;
mod tables;
mod writer;

#[cfg(test)]
mod tests;

pub use change::MAX_TEXT;
pub use error::StoreError;
#[cfg(test)]
pub(crate) use ledger::outgoing;
pub use ledger::{Answers, Fate, Filing, Ledger, Outgoing, ParentMark, Place};
pub use marks::{Marking, Marks, MarksOf};
pub use options::{Options, ReplyFrom, SentCopy};
pub use personal::{OwnHost, OwnLogin, Personal};
pub use record::{
    Group, Mailbox, NewGrant, NewMailbox, NewUser, OwnDrafts, PasswordHash, Pin, Submission, Subscriptions,
    User,
};
pub use sealed::{KEY_LEN, Purpose, Sealed, Sealer};
pub use sent::{Exceeded, Sent};
pub use snapshot::{AddressHolder, LookupError, Snapshot};

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::policy::Role;
use crate::types::{MailboxId, Secret};
use sealed::Identity;
use writer::Writer;

/// Changes that may wait for the writer. Each holds one task; thousands mean that the
/// disk hangs, and then an answer is better than a longer queue.
pub const QUEUE: usize = 1024;

/// What the store needs to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Octets that sled keeps in memory. Everything is in the snapshot anyway, so this
    /// is small; sled's own default is a gigabyte.
    pub cache_capacity: u64,
    /// The roles that grants may name.
    pub roles: Vec<Role>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_capacity: 16 << 20, roles: Role::built_in().into() }
    }
}

/// A handle on the store; clones are the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Writer,
}

/// What readers and the writer thread share.
struct Shared {
    snapshot: ArcSwap<Snapshot>,
    changes: watch::Sender<u64>,
    sealer: Sealer,
}

impl Store {
    /// Opens the store in `dir` (made with mode 0700 if missing), rebuilding what a
    /// crash left behind, and starts its writer thread. Blocks for the disk.
    ///
    /// # Errors
    /// [`StoreError::Locked`] for a second opener, [`StoreError::Newer`],
    /// [`StoreError::Damaged`] with what to do about it.
    pub fn open(dir: &Path, sealer: Sealer, settings: Settings) -> Result<Self, StoreError> {
        let opened = schema::open(dir, settings.cache_capacity, &schema::CURRENT)?;
        let index = Arc::new(opened.index);
        let snapshot = Snapshot::new(1, opened.tables, index, Arc::new(settings.roles));
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            changes: watch::Sender::new(1),
            sealer,
        });
        let writer = Writer::start(Arc::clone(&shared), opened.files)?;
        Ok(Self { shared, writer })
    }

    /// The records as they are now; hold it for one decision, not for a session.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Tells when rights may have changed: the snapshot's version, sent after the swap and
    /// before the change is acknowledged. Subscriptions and drafts are not announced.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Whether the writer has failed.
    pub fn is_read_only(&self) -> bool {
        self.writer.has_failed()
    }

    /// The upstream password of a mailbox, or of a person's own account.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is none, [`StoreError::Sealed`] if it does not open.
    pub fn credential(&self, mailbox: MailboxId, purpose: Purpose) -> Result<Secret, StoreError> {
        let snapshot = self.snapshot();
        let none = || {
            let what = purpose.as_str();
            StoreError::Unknown(format!("no {what} credential is stored for {mailbox}"))
        };
        let sealed = snapshot.tables.credentials.get(&(mailbox, purpose)).ok_or_else(none)?;
        let identity = match mailbox.home_user() {
            Some(user) => snapshot.personal(user).and_then(|own| own.identity(user, purpose)),
            None => snapshot.mailbox(mailbox).map(|mailbox| identity(mailbox, purpose)).transpose()?,
        };
        self.shared.sealer.open(&identity.ok_or_else(none)?, sealed)
    }

    /// Whether a credential is stored, without opening it.
    pub fn has_credential(&self, mailbox: MailboxId, purpose: Purpose) -> bool {
        self.snapshot().tables.credentials.contains_key(&(mailbox, purpose))
    }

    /// Everything as checksummed JSON lines; credentials stay sealed, passwords hashed.
    pub fn export(&self) -> String {
        let snapshot = self.snapshot();
        export::write(snapshot.version(), schema::CURRENT.version, &snapshot.tables.rows())
    }
}

/// What a credential of `mailbox` is sealed for.
fn identity(mailbox: &Mailbox, purpose: Purpose) -> Result<Identity<'_>, StoreError> {
    let endpoint = match purpose {
        Purpose::Imap => Some(&mailbox.imap),
        Purpose::Smtp => mailbox.submission.as_ref().map(|submission| &submission.endpoint),
    };
    let none = || StoreError::Refused(format!("mailbox {} has no submission host", mailbox.address));
    Ok(Identity { mailbox: mailbox.id, purpose, endpoint: endpoint.ok_or_else(none)? })
}
