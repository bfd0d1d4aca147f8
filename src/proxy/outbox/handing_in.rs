//! A message on its way up: what goes upstream goes to the spool, too.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::book::{Entry, RECENT};
use super::print::BodyPrint;
use super::spool::Message;
use super::{Outbox, Trouble, clock};
use crate::policy::Receipt;
use crate::smtp::Unstuffer;
use crate::store::{Answers, Fate, Filing, Outgoing, SentCopy};
use crate::types::{MessageId, OutboxId, Timestamp, UserId};

/// The copy of a message that is coming in.
pub(in crate::proxy) struct Draft {
    outbox: Arc<Outbox>,
    id: OutboxId,
    /// `None` where nothing is filed by us.
    message: Option<Message>,
    copy: Filing,
    digest: Context,
    print: BodyPrint,
    unstuffer: Unstuffer,
    octets: u64,
    body: u64,
}

/// What is known of a message besides its octets.
pub(in crate::proxy) struct Details {
    pub(in crate::proxy) receipt: Receipt,
    pub(in crate::proxy) message_id: Option<MessageId>,
    pub(in crate::proxy) answers: Option<Answers>,
    pub(in crate::proxy) recipients: Vec<String>,
}

impl Outbox {
    /// Whether a message of this size would find room now.
    pub(in crate::proxy) fn has_room(&self, user: UserId, octets: u64) -> Result<(), Trouble> {
        self.spool.check(user, octets)
    }

    /// A message comes in. `head`: its header section as the client sent it, and as it is filed.
    pub(in crate::proxy) fn draft(
        self: &Arc<Self>,
        user: UserId,
        sent_copy: SentCopy,
        head: (&[u8], &[u8]),
    ) -> Result<Draft, Trouble> {
        let id = self.book().next_id(clock::now());
        let (message, copy) = match sent_copy {
            SentCopy::File => (Some(Message::new(id, self.spool.enter(user)?)), Filing::Wanted),
            SentCopy::Client => (None, Filing::Client),
            SentCopy::Upstream => (None, Filing::Upstream),
        };
        let (outbox, unstuffer) = (Arc::clone(self), Unstuffer::default());
        let (digest, print) = (Context::new(&SHA256), BodyPrint::default());
        let mut draft = Draft { outbox, id, message, copy, digest, print, unstuffer, octets: 0, body: 0 };
        draft.digest.update(head.0);
        draft.keep(head.1)?;
        Ok(draft)
    }
}

impl Draft {
    /// Octets of the body, in the form they have on the wire.
    pub(in crate::proxy) async fn body(&mut self, span: &[u8]) -> Result<(), Trouble> {
        let mut unstuffer = std::mem::take(&mut self.unstuffer);
        let (mut due, mut octets) = (Ok(false), 0);
        unstuffer.push(span, |piece| {
            octets += piece.len() as u64;
            self.print.push(piece);
            if let (Ok(before), Some(message)) = (due, &mut self.message) {
                due = message.push(piece).map(|now| before || now);
            }
        });
        self.unstuffer = unstuffer;
        (self.body, self.octets) = (self.body + octets, self.octets + octets);
        match &mut self.message {
            Some(message) if due? => message.drain().await,
            Some(_) | None => Ok(()),
        }
    }

    fn keep(&mut self, octets: &[u8]) -> Result<(), Trouble> {
        self.octets += octets.len() as u64;
        self.message.as_mut().map_or(Ok(false), |message| message.push(octets)).map(drop)
    }

    /// The message is whole. When this returns, its octets and its record are on disk, and its end
    /// may go up. A message that leaves nothing to be done is not written.
    pub(in crate::proxy) async fn spooled(self, details: Details) -> Result<Pending, Trouble> {
        let Self { outbox, id, message, copy, mut digest, print, octets, body, .. } = self;
        // Lines are whole here, so that print and length together stand for the body's octets.
        let body_digest = print.finish();
        digest.update(body_digest.as_bytes());
        digest.update(&body.to_be_bytes());
        let room = match message {
            Some(message) => Some(message.finish().await?),
            None => None,
        };
        let durable = room.is_some() || details.answers.is_some();
        let record = Outgoing {
            id,
            mailbox: details.receipt.mailbox(),
            user: details.receipt.user(),
            at: clock::now(),
            message_id: details.message_id,
            digest: URL_SAFE_NO_PAD.encode(digest.finish()),
            octets,
            body,
            body_digest,
            fate: Fate::Spooled,
            told: None,
            copy,
            claimed: false,
            answers: details.answers,
            receipt: details.receipt,
            recipients: details.recipients,
        };
        // From here on it is in the book, so that whatever happens leaves no file behind.
        let mut entry = Entry::new(record.clone(), room);
        entry.live = true;
        outbox.book().insert(entry);
        let pending = Pending { outbox: Arc::clone(&outbox), id, durable, settled: false };
        if durable && let Err(error) = outbox.ledger.write(&[record]).await {
            tracing::error!("a message could not be recorded, and was not sent: {error}");
            pending.refused();
            return Err(Trouble::Disk);
        }
        Ok(pending)
    }
}

/// A message whose end may go up. Dropped without a word, its outcome is unknown: it is
/// listed, and not filed.
pub(in crate::proxy) struct Pending {
    outbox: Arc<Outbox>,
    id: OutboxId,
    durable: bool,
    settled: bool,
}

impl Pending {
    /// Upstream has taken it. When this returns, the record says so on disk, and the client
    /// may hear it.
    pub(in crate::proxy) async fn accepted(mut self) {
        self.settled = true;
        let Some((record, unknown)) = self.outbox.accept(self.id) else { return };
        for twin in unknown {
            self.outbox.forget(twin);
        }
        if !self.durable {
            self.outbox.ledger.write_soon(&record);
        } else if let Err(error) = self.outbox.ledger.write(std::slice::from_ref(&record)).await {
            // It has gone out: the client hears the truth, and as long as we run it is filed.
            tracing::error!("a message that went out could not be recorded so: {error}");
        }
        let merged = matches!(record.copy, Filing::SameAs(_));
        let (mut room, mut wake) = (None, false);
        let mut book = self.outbox.book();
        let serving = book.is_serving(record.mailbox);
        if let Some(entry) = book.get_mut(self.id) {
            // Only now: what is filed before the record is on disk would be filed twice after a crash.
            entry.record = record;
            entry.live = false;
            if merged {
                room = entry.room.take();
            }
            wake = entry.is_open() && !serving;
        }
        drop(book);
        if room.is_some() {
            self.outbox.spool.remove(self.id);
        }
        if wake {
            self.outbox.wake.notify_one();
        }
    }

    /// Upstream has refused it, or its end did not go up.
    pub(in crate::proxy) fn refused(mut self) {
        self.settled = true;
        self.outbox.forget(self.id);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if let Some(entry) = self.outbox.book().get_mut(self.id) {
            entry.live = false;
        }
    }
}

impl Outbox {
    /// The record of an accepted message, and earlier ones of unknown outcome that it settles.
    fn accept(&self, id: OutboxId) -> Option<(Outgoing, Vec<OutboxId>)> {
        let book = self.book();
        let entry = book.get(id)?;
        let mut record = Outgoing { fate: Fate::Accepted, ..entry.record.clone() };
        let unknown: Vec<_> = book
            .twins(&record)
            .filter(|twin| twin.record.fate == Fate::Spooled)
            .map(|twin| twin.record.id)
            .collect();
        // The client did not hear of the first 250, and sends again: one copy is enough.
        let first = book.twins(&record).find(|twin| twin.record.fate == Fate::Accepted);
        if let Some(first) = first.filter(|_| record.copy == Filing::Wanted) {
            match &first.record.copy {
                Filing::Wanted | Filing::Filed(_) => record.copy = Filing::SameAs(first.record.id),
                Filing::SameAs(other) => record.copy = Filing::SameAs(*other),
                Filing::Client | Filing::Upstream => {}
            }
        }
        Some((record, unknown))
    }

    /// Takes a message out, with its file.
    pub(super) fn forget(&self, id: OutboxId) {
        let Some(entry) = self.book().remove(id) else { return };
        if entry.room.is_some() {
            self.spool.remove(id);
        }
        self.ledger.remove_soon(id);
    }

    /// Until when a message is remembered that is done with: while its client may store a copy,
    /// or somebody else may answer the same one; while a queue may send it again that was told
    /// nothing.
    pub(super) fn keep(&self, record: &Outgoing) -> Timestamp {
        let snapshot = self.needs.store.snapshot();
        let minutes = snapshot.mailbox(record.mailbox).map_or(0, |mailbox| mailbox.options.collision_minutes);
        let keep = record.at.plus_millis(RECENT.max(i64::from(minutes) * 60_000));
        let listed = i64::from(self.settings.unknown_hours) * 60 * 60 * 1000;
        record.told.map_or(keep, |told| told.plus_millis(listed).max(keep))
    }
}
