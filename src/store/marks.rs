//! What a user marked in a folder for nobody else: messages read, and messages to be discarded.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tables::{Draft, Key};
use super::writer::Urgency;
use super::{Store, StoreError};
use crate::types::{FolderName, MailboxId, Separator, Timestamp, UidSet, UidValidity, UserId};

/// One user's marks in one folder.
///
/// A record stays below 64 KiB: its three sets have at most 32, 16 and 8 KiB as text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Marks {
    validity: UidValidity,
    #[serde(default)]
    seen: Text,
    #[serde(default)]
    deleted: Dated,
    #[serde(default)]
    copied: Dated,
}

/// A change to one user's marks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Marking {
    Seen(UidSet),
    Unseen(UidSet),
    /// `\Deleted`, since then.
    Deleted(UidSet, Timestamp),
    Undeleted(UidSet),
    /// Copied into the mailbox's Trash, at that time.
    Copied(UidSet, Timestamp),
    /// These are all the messages that there are, or were a moment ago.
    Exist(UidSet, Timestamp),
}

impl Marks {
    /// Octets of what was read, as text. A range takes 2 to 22 octets, so this is thousands of
    /// islands of read messages; where there are more, the oldest unread ones between them
    /// count as read.
    const MAX_SEEN: usize = 32 << 10;
    /// Octets of what is to be discarded; beyond them the oldest messages are forgotten, and stay.
    const MAX_DELETED: usize = 16 << 10;
    /// The same for what was copied into Trash; what is forgotten goes there once more.
    const MAX_COPIED: usize = 8 << 10;

    pub fn new(validity: UidValidity) -> Self {
        Self { validity, seen: Text::default(), deleted: Dated::default(), copied: Dated::default() }
    }

    pub(super) fn validity(&self) -> UidValidity {
        self.validity
    }

    /// The UIDs that the user has read; also some that do not exist any more.
    pub fn seen(&self) -> &UidSet {
        &self.seen.0
    }

    /// The UIDs that the user has marked as deleted, in the last 30 days.
    pub fn deleted(&self, now: Timestamp) -> UidSet {
        self.deleted.since(now)
    }

    /// Those that the user has copied into Trash, in the last 30 days.
    pub fn copied(&self, now: Timestamp) -> UidSet {
        self.copied.since(now)
    }

    pub fn is_empty(&self) -> bool {
        self.seen.0.is_empty() && self.deleted.0.is_empty() && self.copied.0.is_empty()
    }

    /// The marks after a change.
    #[must_use]
    pub fn after(&self, change: &Marking) -> Self {
        let mut next = self.clone();
        match change {
            Marking::Seen(uids) => next.seen.0 = bounded(self.seen.0.union(uids), Self::MAX_SEEN, closing),
            Marking::Unseen(uids) => {
                next.seen.0 = bounded(self.seen.0.minus(uids), Self::MAX_SEEN, closing);
            }
            Marking::Deleted(uids, at) => next.deleted.add(*at, uids, Self::MAX_DELETED),
            Marking::Undeleted(uids) => {
                next.deleted.remove(uids);
                // Somebody wants it back: when it is deleted again it goes to Trash again.
                next.copied.remove(uids);
            }
            Marking::Copied(uids, at) => next.copied.add(*at, uids, Self::MAX_COPIED),
            Marking::Exist(exist, now) => next.prune(exist, *now),
        }
        next
    }

    /// Leaves no trace of messages that are gone. What is above the highest of `exist` may
    /// have come since, and stays.
    fn prune(&mut self, exist: &UidSet, now: Timestamp) {
        let Some(top) = exist.last() else { return };
        let newer = self.seen.0.minus(&UidSet::range(1, top));
        let (read, unread) = (exist.intersect(&self.seen.0), exist.minus(&self.seen.0));
        let mut read = read.ranges().peekable();
        let mut seen = UidSet::new();
        // Ranges run on over UIDs that no message has: so there are only as many as there are
        // unread messages between them.
        for (a, b) in UidSet::range(1, top).minus(&unread).ranges() {
            while read.next_if(|(_, end)| *end < a).is_some() {}
            if read.peek().is_some_and(|(start, _)| *start <= b) {
                seen.insert_range(a, b);
            }
        }
        self.seen.0 = seen.union(&newer);
        for dated in [&mut self.deleted, &mut self.copied] {
            dated.0.retain(|day, _| is_recent(*day, now));
            dated.0.values_mut().for_each(|uids| uids.0 = kept(&uids.0, exist, top));
            dated.0.retain(|_, uids| !uids.0.is_empty());
        }
    }
}

fn kept(uids: &UidSet, exist: &UidSet, top: u32) -> UidSet {
    uids.intersect(exist).union(&uids.minus(&UidSet::range(1, top)))
}

/// UIDs by the day on which they were marked (days since 1970).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
struct Dated(BTreeMap<i64, Text>);

const DAY: i64 = 86_400_000;

/// Days for which a `\Deleted` that was never expunged is kept, as docs/rights.md says.
const DAYS: i64 = 30;

fn is_recent(day: i64, now: Timestamp) -> bool {
    day + DAYS > now.0 / DAY
}

impl Dated {
    fn since(&self, now: Timestamp) -> UidSet {
        let recent = self.0.iter().filter(|(day, _)| is_recent(**day, now));
        recent.fold(UidSet::new(), |all, (_, uids)| all.union(&uids.0))
    }

    fn add(&mut self, at: Timestamp, uids: &UidSet, most: usize) {
        self.remove(uids);
        let today = self.0.entry(at.0 / DAY).or_default();
        today.0 = bounded(today.0.union(uids), most, forgetting);
        let octets = |dated: &Self| dated.0.values().map(|uids| octets(&uids.0)).sum::<usize>();
        while octets(self) > most {
            self.0.pop_first();
        }
    }

    fn remove(&mut self, uids: &UidSet) {
        self.0.values_mut().for_each(|known| known.0 = known.0.minus(uids));
        self.0.retain(|_, known| !known.0.is_empty());
    }
}

/// `1:4,7`: shorter than lists of numbers, on disk and in the export.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Text(UidSet);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).ok_or_else(|| D::Error::custom("no set of UIDs"))
    }
}

fn parse(text: &str) -> Option<UidSet> {
    let mut set = UidSet::new();
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        set.insert_range(a.parse().ok()?, b.parse().ok()?);
    }
    Some(set)
}

fn octets(set: &UidSet) -> usize {
    set.ranges().map(width).sum()
}

fn width((a, b): (u32, u32)) -> usize {
    let digits = |number: u32| number.checked_ilog10().unwrap_or(0) as usize + 1;
    if a == b { digits(a) + 1 } else { digits(a) + digits(b) + 2 }
}

/// The set, or its newest part that fits; `lower` makes one range, or none, of the rest.
fn bounded(set: UidSet, most: usize, lower: fn(u32, u32) -> Option<(u32, u32)>) -> UidSet {
    if octets(&set) <= most {
        return set;
    }
    // Room for the one range that the rest becomes.
    let mut room = most.saturating_sub(width((u32::MAX - 1, u32::MAX)));
    let ranges: Vec<_> = set.ranges().collect();
    let fits = ranges.iter().rev().take_while(|range| {
        let fits = room >= width(**range);
        room = room.saturating_sub(width(**range));
        fits
    });
    let (rest, newest) = ranges.split_at(ranges.len() - fits.count());
    let mut bounded = UidSet::new();
    if let (Some(first), Some(last)) = (rest.first(), rest.last())
        && let Some((a, b)) = lower(first.0, last.1)
    {
        bounded.insert_range(a, b);
    }
    newest.iter().for_each(|(a, b)| bounded.insert_range(*a, *b));
    bounded
}

fn closing(a: u32, b: u32) -> Option<(u32, u32)> {
    Some((a, b))
}

fn forgetting(_: u32, _: u32) -> Option<(u32, u32)> {
    None
}

/// Whose marks, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MarksOf {
    pub user: UserId,
    pub mailbox: MailboxId,
    pub folder: FolderName,
    /// Marks of another UIDVALIDITY mean nothing and are forgotten.
    pub validity: UidValidity,
}

impl Store {
    /// Changes a user's marks: seen at once, on disk within a second.
    pub async fn mark(&self, of: MarksOf, changes: Vec<Marking>) -> Result<(), StoreError> {
        let (user, mailbox) = (of.user, of.mailbox);
        let plan = move |draft: &mut Draft, _| {
            let key = (user, (mailbox, of.folder));
            let before = draft.copy::<Marks>(&key).filter(|marks| marks.validity == of.validity);
            let before = before.unwrap_or_else(|| Marks::new(of.validity));
            let after = changes.iter().fold(before, |marks, change| marks.after(change));
            if after.is_empty() {
                draft.remove::<Marks>(&key);
            } else if draft.find::<Marks>(&key).is_none_or(|known| **known != after) {
                draft.put(key, after);
            }
            Ok(())
        };
        self.personal(Urgency::Soon, user, mailbox, plan).await
    }

    /// Everybody's marks follow a folder that was renamed, and those below it; without `to`
    /// they go with it.
    pub async fn move_marks(
        &self,
        mailbox: MailboxId,
        from: FolderName,
        to: Option<FolderName>,
        separator: Separator,
    ) -> Result<(), StoreError> {
        let plan = move |draft: &mut Draft| {
            let there =
                |folder: &FolderName| *folder == from || (to.is_some() && folder.is_below(&from, separator));
            let keys = draft.tables.marks.keys();
            let keys: Vec<_> =
                keys.filter(|(_, (of, folder))| *of == mailbox && there(folder)).cloned().collect();
            for key in keys {
                let (user, (_, folder)) = &key;
                let moved = to.as_ref().and_then(|to| {
                    let rest = &folder.as_str()[from.as_str().len()..];
                    FolderName::parse(&format!("{to}{rest}"), separator).ok()
                });
                if let (Some(name), Some(marks)) = (moved, draft.copy::<Marks>(&key)) {
                    draft.put((*user, (mailbox, name)), marks);
                }
                draft.remove::<Marks>(&key);
            }
            Ok(())
        };
        self.writer().run(Urgency::Soon, plan).await
    }
}

impl Key for FolderName {
    fn text(&self) -> String {
        self.as_str().to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        Self::deserialize(text).ok()
    }
}

#[cfg(test)]
mod tests;
