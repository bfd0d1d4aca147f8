//! The message that another one answers: found in the folders that its sender may read, and
//! marked for everybody.

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Outbox;
use super::filing::{Folder, find, look_by, lost, validity};
use super::work::{Failed, Hands};
use crate::imap::inventory::Inventory;
use crate::imap::writer;
use crate::policy::{Among, Effective, Receipt};
use crate::proxy::smtp::{Finding, Found, Parents};
use crate::store::{Answers, Mailbox, Outgoing, ParentMark, Place};
use crate::types::{MailboxId, MessageId, UidSet, UidValidity, UserId};
use crate::upstream::CommandError;

/// Longest time for a look-up that a message waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most folders looked into: Inbox, Sent, Archive and what is below them. An archive by months
/// has more, and its newest are the likely ones: they come last in a list, and first here.
const FOLDERS: usize = 24;

/// Most copies of one message that are marked: a list's and one's own are two.
const COPIES: usize = 16;

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
    /// Where the mailbox has a message with this Message-ID, `among` those that the sender may
    /// read. Other folders are not looked into, so that nothing tells a hidden message from none.
    pub(in crate::proxy) async fn parent(
        &self,
        mailbox: &Mailbox,
        effective: &Effective,
        id: &MessageId,
        among: Among,
    ) -> Result<Option<Place>, Undecided> {
        if let Some(place) = self.known_parent(mailbox, effective, id, among) {
            return Ok(Some(place));
        }
        let deadline = Instant::now() + PATIENCE;
        let look = async {
            let mut hands = self.hands_to_look(mailbox.id, deadline).await.map_err(|why| {
                tracing::info!(mailbox = %mailbox.id, "no look-up of an answered message: {why}");
                Undecided
            })?;
            let found = find_parent(&mut hands, mailbox, (effective, among), id, deadline).await;
            let found = found.map_err(|error| {
                tracing::info!(mailbox = %mailbox.id, %error, "the look-up of an answered message failed");
                Undecided
            })?;
            hands.lease.give_back().await;
            found.map(|found| found.map(|found| found.place())).map_err(|Refused| Undecided)
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
        among: Among,
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
        let user = record.receipt.user();
        let effective = self.needs.store.snapshot().effective(user, mailbox.id, super::clock::now());
        // Who reads nothing here any more marks nothing.
        let Some(effective) = effective else { return Ok(ParentMark::NotFound) };
        let tries = self.book().get(record.id).map_or(0, |entry| entry.tries);
        let deadline = look_by(&hands.lease, tries);
        let found = find_parent(hands, mailbox, (&effective, Among::All), &answers.parent, deadline).await;
        let found = match found.map_err(|error| lost(&error))? {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(ParentMark::NotFound),
            Err(Refused) => {
                return Err(Failed::Refused("the mail host refuses to look for the answered message".into()));
            }
        };
        let tags = [hands.lease.tag(), hands.lease.tag()];
        let step = record.receipt.mark(answers.mark);
        let steps = writer::mark(&step, &found.folder.wire, &found.uids, [&tags[0], &tags[1]]);
        let [select, store] = steps.ok_or_else(|| lost(&CommandError::Unwritable))?;
        let opened = hands.lease.perform(&select, &tags[0], deadline).await.map_err(|error| lost(&error))?;
        if !opened.is_ok() {
            let why =
                format!("the mail host does not open the answered message's folder: {}", opened.words());
            return Err(Failed::Refused(why));
        }
        // Another folder of this name has other messages under these UIDs.
        if validity(&opened) != Some(found.validity) {
            return Err(Failed::Refused("the answered message's folder has just been replaced".into()));
        }
        let marked = hands.lease.perform(&store, &tags[1], deadline).await.map_err(|error| lost(&error))?;
        if !marked.is_ok() {
            let why = format!("the mail host refuses to mark the answered message: {}", marked.words());
            return Err(Failed::Refused(why));
        }
        self.places().learn(mailbox.id, &answers.parent, found.place());
        Ok(ParentMark::Done)
    }
}

/// For submissions whose leave depends on it.
impl Parents for Outbox {
    fn find<'a>(&'a self, user: UserId, mailbox: MailboxId, ids: &'a [String], among: Among) -> Finding<'a> {
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

/// A message that is answered, with the copies of it in its folder: whoever answers one has
/// answered all, and nobody keeps the mark from one by putting another beside it.
pub(super) struct Parent {
    folder: Folder,
    validity: UidValidity,
    uids: UidSet,
    first: u32,
}

impl Parent {
    fn place(&self) -> Place {
        Place { folder: self.folder.name.clone(), validity: self.validity, uid: self.first }
    }
}

/// A host that refuses to search.
pub(super) struct Refused;

async fn find_parent(
    hands: &mut Hands,
    mailbox: &Mailbox,
    (effective, among): (&Effective, Among),
    id: &MessageId,
    deadline: Instant,
) -> Result<Result<Option<Parent>, Refused>, CommandError> {
    let mut refused = false;
    for folder in folders(&hands.folders, mailbox, effective, among) {
        let Some((validity, uids)) = find(&mut hands.lease, &folder, id, None, deadline).await? else {
            refused = true;
            continue;
        };
        if let Some(first) = uids.first() {
            let uids = uids.iter().take(COPIES).collect();
            return Ok(Ok(Some(Parent { folder, validity, uids, first })));
        }
    }
    Ok(if refused { Err(Refused) } else { Ok(None) })
}

/// The folders that are looked into, the likeliest first.
fn folders(inventory: &Inventory, mailbox: &Mailbox, effective: &Effective, among: Among) -> Vec<Folder> {
    let mut folders = Vec::new();
    for class in among.classes() {
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
    use crate::types::FolderName;

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
