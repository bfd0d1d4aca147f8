//! The client's own copy of a message: stored once, whichever comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::book::Copy;
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

impl Outbox {
    /// Looks a client's copy up, and remembers it.
    ///
    /// Where ours cannot be found any more (somebody has moved it), the client's is stored:
    /// then it may be the only one.
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
        let place = timeout(PLACE_WAIT, self.filed_at(id)).await.ok().flatten();
        if let Some(place) = &place
            && !self.is_there(copy.mailbox, place).await
        {
            claim.settled = true;
            return Recognised::Other(self.note(copy));
        }
        claim.place = place;
        Recognised::Ours(claim)
    }

    /// Where the copy is filed, once it is; `None` if the host did not say.
    async fn filed_at(&self, id: OutboxId) -> Option<Place> {
        loop {
            let notified = self.filed.notified();
            if let Some(place) = self.place_of(id) {
                return place;
            }
            notified.await;
        }
    }

    /// `None`: it is still to be filed.
    fn place_of(&self, id: OutboxId) -> Option<Option<Place>> {
        let book = self.book();
        let Some(entry) = book.get(id) else { return Some(None) };
        match &entry.record.copy {
            Filing::Filed(place) => Some(place.clone()),
            Filing::SameAs(other) => match book.get(*other).map(|entry| &entry.record.copy) {
                Some(Filing::Wanted) => None,
                Some(Filing::Filed(place)) => Some(place.clone()),
                Some(Filing::SameAs(_) | Filing::Client | Filing::Upstream) | None => Some(None),
            },
            Filing::Wanted => None,
            Filing::Client | Filing::Upstream => Some(None),
        }
    }

    /// Whether a message is where it was filed; not, if nobody says so in time.
    async fn is_there(&self, mailbox: MailboxId, place: &Place) -> bool {
        let deadline = Instant::now() + PLACE_WAIT;
        let look = async {
            let mut hands = self.hands_by(mailbox, deadline).await.ok()?;
            let wire = hands.folders.find(&place.folder)?.wire.clone();
            let uids = UidSet::range(place.uid, place.uid);
            let examine = Housekeeping::Examine { folder: &wire, condstore: false };
            hands.lease.set_selected(true);
            let opened = hands.lease.command_by(&examine, deadline).await.ok()?;
            let same = opened.is_ok() && super::filing::validity(&opened) == Some(place.validity);
            let (answered, found) =
                hands.lease.find(&Housekeeping::Among { uids: &uids }, deadline).await.ok()?;
            hands.lease.give_back().await;
            (same && answered.is_ok() && found.contains(place.uid)).then_some(())
        };
        timeout(PLACE_WAIT, look).await.ok().flatten().is_some()
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
