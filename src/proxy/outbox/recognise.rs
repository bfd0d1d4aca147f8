//! The client's own copy of a message: stored once, whichever comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::book::Copy;
use super::filing::{sent_folder, validity};
use super::{Outbox, clock};
use crate::imap::writer::Housekeeping;
use crate::store::{Filing, Place};
use crate::types::{MailboxId, OutboxId, UidSet};

/// Longest wait of a client's APPEND for our own, so that it can be told the UID; and for a
/// look whether ours is still there.
const PLACE_WAIT: Duration = Duration::from_secs(2);

/// What a message is that a client is about to store among sent mail.
pub(in crate::proxy) enum Recognised {
    /// The copy of one that we file.
    Ours(Claim),
    /// None of ours, so far.
    Other(Note),
}

/// Where our copy is.
enum Filed {
    At(Place),
    /// In the folder for sent mail; the host did not say under which UID (no UIDPLUS).
    Somewhere,
    /// It is not ours to look for, or still to come.
    NotByUs,
}

impl Outbox {
    /// Looks a client's copy up, and remembers it.
    ///
    /// Where a look shows that ours is not there any more (somebody has moved it), the client's
    /// is stored: then it may be the only one.
    pub(in crate::proxy) async fn recognise(self: &Arc<Self>, copy: Copy) -> Recognised {
        let claimed = {
            let mut book = self.book();
            match book.claim(&copy, clock::now()) {
                Some(id) => Ok((id, book.get(id).map(|entry| entry.record.body_digest.clone()))),
                None => Err(book.note(copy.clone(), clock::now())),
            }
        };
        let (id, digest) = match claimed {
            Ok((id, digest)) => (id, digest.unwrap_or_default()),
            Err(number) => return Recognised::Other(Note { outbox: Arc::clone(self), number: Some(number) }),
        };
        let mut claim = Claim { outbox: Arc::clone(self), id, digest, place: None, settled: false };
        let filed = timeout(PLACE_WAIT, self.where_filed(id)).await.unwrap_or(Filed::NotByUs);
        let deadline = Instant::now() + PLACE_WAIT;
        let looked = match &filed {
            Filed::At(place) => timeout_at(deadline, self.is_there(copy.mailbox, place, deadline)).await,
            Filed::Somewhere => timeout_at(deadline, self.is_somewhere(copy.mailbox, id, deadline)).await,
            Filed::NotByUs => Ok(None),
        };
        // The host has said that it stored ours: a look that nobody answers says nothing else.
        if let Ok(Some(false)) = looked {
            claim.settled = true;
            return Recognised::Other(self.note(copy));
        }
        claim.place = match filed {
            Filed::At(place) => Some(place),
            Filed::Somewhere | Filed::NotByUs => None,
        };
        Recognised::Ours(claim)
    }

    /// Where the copy is filed, once it is.
    async fn where_filed(&self, id: OutboxId) -> Filed {
        loop {
            let notified = self.filed.notified();
            if let Some(filed) = self.filed_by_now(id) {
                return filed;
            }
            notified.await;
        }
    }

    /// `None`: it is still to be filed.
    fn filed_by_now(&self, id: OutboxId) -> Option<Filed> {
        let book = self.book();
        let copy_of = |id| book.get(id).map(|entry| &entry.record.copy);
        let copy = match copy_of(id) {
            Some(Filing::SameAs(other)) => copy_of(*other),
            copy => copy,
        };
        match copy {
            Some(Filing::Wanted) => None,
            Some(Filing::Filed(Some(place))) => Some(Filed::At(place.clone())),
            Some(Filing::Filed(None)) => Some(Filed::Somewhere),
            Some(Filing::SameAs(_) | Filing::Client | Filing::Upstream) | None => Some(Filed::NotByUs),
        }
    }

    /// Whether the copy of a message is in the folder for sent mail, on a host that did not say
    /// where it put it; `None`: nobody has told.
    async fn is_somewhere(&self, mailbox: MailboxId, id: OutboxId, deadline: Instant) -> Option<bool> {
        let record = self.book().get(id)?.record.clone();
        let snapshot = self.needs.store.snapshot();
        let mut hands = self.hands_to_look(mailbox, deadline).await.ok()?;
        let folder = sent_folder(&hands.folders, snapshot.mailbox(mailbox)?).ok()?;
        let found = self.look(&mut hands.lease, &folder, &record, deadline).await.ok()?;
        hands.lease.give_back().await;
        Some(found.is_some())
    }

    /// Whether a message is where it was filed; `None`: nobody has told.
    async fn is_there(&self, mailbox: MailboxId, place: &Place, deadline: Instant) -> Option<bool> {
        let mut hands = self.hands_to_look(mailbox, deadline).await.ok()?;
        let Some(folder) = hands.folders.find(&place.folder) else { return Some(false) };
        let examine = Housekeeping::Examine { folder: &folder.wire, condstore: false };
        hands.lease.set_selected(true);
        let opened = hands.lease.command_by(&examine, deadline).await.ok()?;
        let validity = validity(&opened).filter(|_| opened.is_ok())?;
        let uids = UidSet::range(place.uid, place.uid);
        let (answered, found) =
            hands.lease.find(&Housekeeping::Among { uids: &uids }, deadline).await.ok()?;
        hands.lease.give_back().await;
        let there = validity == place.validity && found.contains(place.uid);
        answered.is_ok().then_some(there)
    }

    /// A client is about to store a copy that is none of ours: of what it may hand in next.
    fn note(self: &Arc<Self>, copy: Copy) -> Note {
        let number = self.book().note(copy, clock::now());
        Note { outbox: Arc::clone(self), number: Some(number) }
    }
}

/// A client's copy that is coming in and will not be stored. Dropped before its end, it is
/// recognised again when it comes again.
pub(in crate::proxy) struct Claim {
    outbox: Arc<Outbox>,
    id: OutboxId,
    digest: String,
    place: Option<Place>,
    settled: bool,
}

impl Claim {
    /// It has come in whole: where ours is, as far as that is known. `Err`: its body is another
    /// one; it was not stored, and is the next time.
    pub(in crate::proxy) fn complete(mut self, digest: &str) -> Result<Option<Place>, ()> {
        self.settled = true;
        if let Some(entry) = self.outbox.book().get(self.id) {
            self.outbox.ledger.write_soon(&entry.record);
        }
        if self.digest == digest { Ok(self.place.take()) } else { Err(()) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            self.outbox.book().unclaim(self.id);
        }
    }
}

/// A client's copy on its way into the Sent folder; forgotten on drop, as one that failed.
pub(in crate::proxy) struct Note {
    outbox: Arc<Outbox>,
    number: Option<u64>,
}

impl Note {
    /// It is stored; where, if the host has said so, and with which body.
    pub(in crate::proxy) fn stored(mut self, place: Option<Place>, digest: String) {
        if let Some(number) = self.number.take() {
            self.outbox.book().settle(number, Some((place, digest)));
            self.outbox.wake.notify_one();
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.outbox.book().settle(number, None);
            self.outbox.wake.notify_one();
        }
    }
}
