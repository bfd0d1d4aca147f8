//! The message that another one answers: found in the folders that its sender may read, and
//! marked for everybody.

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Outbox;
use super::filing::{Folder, LOOK, find, lost};
use super::work::{Failed, Hands};
use crate::imap::inventory::Inventory;
use crate::imap::writer;
use crate::policy::{Effective, FolderClass, Receipt};
use crate::proxy::smtp::{Finding, Found, Parents};
use crate::store::{Answers, Mailbox, Outgoing, ParentMark, Place};
use crate::types::{MailboxId, MessageId, UserId};
use crate::upstream::CommandError;

/// Longest time for a look-up that a message waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most folders looked into: Inbox, Sent, Archive and what is below them. An archive by months
/// has more, and its newest are the likely ones: they come last in a list, and first here.
const FOLDERS: usize = 24;

/// Most places remembered: 10,000, two megabytes. People answer what was answered lately.
const KNOWN: usize = 10_000;

/// It could not be found out in time whether there is such a message: neither yes nor no.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::proxy) struct Undecided;

/// Where parents were found.
#[derive(Default)]
pub(super) struct Places {
    known: HashMap<(MailboxId, MessageId), Place>,
    order: VecDeque<(MailboxId, MessageId)>,
}

impl Places {
    fn learn(&mut self, mailbox: MailboxId, id: &MessageId, place: Place) {
        let key = (mailbox, id.clone());
        if self.known.insert(key.clone(), place).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Outbox {
    /// Where the mailbox has a message with this Message-ID, among the folders that the sender
    /// may read and whose class is `among` these. Others are
    /// not looked into, so that nothing tells a hidden message from none.
    pub(in crate::proxy) async fn parent(
        &self,
        mailbox: &Mailbox,
        effective: &Effective,
        id: &MessageId,
        among: &[FolderClass],
    ) -> Result<Option<Place>, Undecided> {
        if let Some(place) = self.known_parent(mailbox, effective, id, among) {
            return Ok(Some(place));
        }
        let deadline = Instant::now() + PATIENCE;
        let look = async {
            let mut hands = self.hands_by(mailbox.id, deadline).await.map_err(|why| {
                tracing::info!(mailbox = %mailbox.id, "no look-up of an answered message: {why}");
                Undecided
            })?;
            let found = find_parent(&mut hands, mailbox, (effective, among), id, deadline).await;
            let found = found.map_err(|error| {
                tracing::info!(mailbox = %mailbox.id, %error, "the look-up of an answered message failed");
                Undecided
            })?;
            hands.lease.give_back().await;
            found.map_err(|Refused| Undecided)
        };
        let found = tokio::time::timeout_at(deadline, look).await.map_err(|_| Undecided)??;
        if let Some(place) = &found {
            self.places().learn(mailbox.id, id, place.clone());
        }
        Ok(found)
    }

    /// A place known from before, if its folder may be read.
    fn known_parent(
        &self,
        mailbox: &Mailbox,
        effective: &Effective,
        id: &MessageId,
        among: &[FolderClass],
    ) -> Option<Place> {
        let place = self.places().known.get(&(mailbox.id, id.clone())).cloned()?;
        Receipt::may_look_in(effective, &mailbox.place_of(&place.folder), among).then_some(place)
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the parent, wherever it is by now.
    pub(super) async fn mark(
        &self,
        hands: &mut Hands,
        mailbox: &Mailbox,
        record: &Outgoing,
        answers: &Answers,
    ) -> Result<ParentMark, Failed> {
        let deadline = Instant::now() + LOOK;
        let user = record.receipt.user();
        let effective = self.needs.store.snapshot().effective(user, mailbox.id, super::clock::now());
        // Who reads nothing here any more marks nothing.
        let Some(effective) = effective else { return Ok(ParentMark::NotFound) };
        let found =
            find_parent(hands, mailbox, (&effective, &Receipt::PARENTS), &answers.parent, deadline).await;
        let place = match found.map_err(|error| lost(&error))? {
            Ok(Some(place)) => place,
            Ok(None) => return Ok(ParentMark::NotFound),
            Err(Refused) => {
                return Err(Failed::Refused("the mail host refuses to look for the answered message".into()));
            }
        };
        let Some(entry) = hands.folders.find(&place.folder) else { return Ok(ParentMark::NotFound) };
        let tags = [hands.lease.tag(), hands.lease.tag()];
        let step = record.receipt.mark(answers.mark);
        let steps = writer::mark(&step, &entry.wire, place.uid, [&tags[0], &tags[1]]);
        let steps = steps.ok_or_else(|| lost(&CommandError::Unwritable))?;
        for (outgoing, tag) in steps.iter().zip(&tags) {
            let answered = hands.lease.perform(outgoing, tag, deadline).await;
            if !answered.map_err(|error| lost(&error))?.is_ok() {
                return Ok(ParentMark::Refused);
            }
        }
        self.places().learn(mailbox.id, &answers.parent, place);
        Ok(ParentMark::Done)
    }
}

/// For submissions whose leave depends on it.
impl Parents for Outbox {
    fn find<'a>(
        &'a self,
        user: UserId,
        mailbox: MailboxId,
        ids: &'a [String],
        among: &'static [FolderClass],
    ) -> Finding<'a> {
        Box::pin(async move {
            let snapshot = self.needs.store.snapshot();
            let effective = snapshot.effective(user, mailbox, super::clock::now());
            let (Some(effective), Some(mailbox)) = (effective, snapshot.mailbox(mailbox)) else {
                return Found::Undecided;
            };
            // The first two are the likely ones; a thread's older messages say little.
            for id in ids.iter().filter_map(|id| MessageId::parse(id)).take(2) {
                match self.parent(mailbox, &effective, &id, among).await {
                    Ok(Some(_)) => return Found::Parent(id.to_string()),
                    Ok(None) => {}
                    Err(Undecided) => return Found::Undecided,
                }
            }
            Found::Nowhere
        })
    }
}

/// A host that refuses to search.
pub(super) struct Refused;

async fn find_parent(
    hands: &mut Hands,
    mailbox: &Mailbox,
    (effective, among): (&Effective, &[FolderClass]),
    id: &MessageId,
    deadline: Instant,
) -> Result<Result<Option<Place>, Refused>, CommandError> {
    let mut refused = false;
    for folder in folders(&hands.folders, mailbox, effective, among) {
        let Some((validity, uids)) = find(&mut hands.lease, &folder, id, None, deadline).await? else {
            refused = true;
            continue;
        };
        if let Some((uid, _)) = uids.ranges().next() {
            return Ok(Ok(Some(Place { folder: folder.name, validity, uid })));
        }
    }
    Ok(if refused { Err(Refused) } else { Ok(None) })
}

/// The folders that are looked into, the likeliest first.
fn folders(
    inventory: &Inventory,
    mailbox: &Mailbox,
    effective: &Effective,
    among: &[FolderClass],
) -> Vec<Folder> {
    let mut folders = Vec::new();
    for class in among {
        let entries = inventory.entries().iter().rev();
        let of_class = entries.filter(|entry| {
            let place = mailbox.place_of(&entry.name);
            entry.attributes.is_selectable()
                && place.class == *class
                && Receipt::may_look_in(effective, &place, among)
        });
        folders.extend(of_class.map(|entry| Folder { name: entry.name.clone(), wire: entry.wire.clone() }));
    }
    folders.truncate(FOLDERS);
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{FolderName, UidValidity};

    #[test]
    fn places_are_bounded() {
        let mut places = Places::default();
        let place = Place { folder: FolderName::inbox(), validity: UidValidity(1), uid: 1 };
        let id = |n: usize| MessageId::parse(&format!("<{n}@x>")).unwrap();
        for n in 0..=KNOWN {
            places.learn(MailboxId(1), &id(n), place.clone());
            places.learn(MailboxId(1), &id(n), place.clone());
        }
        assert_eq!((places.known.len(), places.order.len()), (KNOWN, KNOWN));
        assert!(!places.known.contains_key(&(MailboxId(1), id(0))));
    }
}
