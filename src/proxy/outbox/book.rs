//! What the outbox knows, in memory: messages, and the copies that clients store themselves.
//!
//! Everything here is decided under one lock and without waiting, so that of a client's copy
//! and ours exactly one is stored, whichever comes first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::spool::Room;
use crate::store::{Fate, Filing, Outgoing, ParentMark, Place};
use crate::types::{MailboxId, MessageId, OutboxId, Timestamp, UserId};

/// How long a client's copy is recognised: 60 minutes. Clients store it within seconds; an
/// outbox that was offline sends and stores together.
pub(super) const RECENT: i64 = 60 * 60 * 1000;

/// Most messages remembered after they are done with: 5,000, an hour of a busy team. The
/// oldest are forgotten first, and a client's late copy of one is stored.
const KEPT: usize = 5_000;

/// Most copies of clients remembered, for messages that may still be handed in: 1,000.
const NOTED: usize = 1_000;

/// First and longest wait after a failure; each is twice the one before.
const BACK_OFF: (i64, i64) = (5_000, 30 * 60 * 1000);

/// A message in the book.
pub(super) struct Entry {
    pub(super) record: Outgoing,
    /// Its place in the spool, while it is there.
    pub(super) room: Option<Room>,
    /// A session is handing it in.
    pub(super) live: bool,
    /// A copy may have been stored already: it is looked for before another is.
    pub(super) doubtful: bool,
    /// Somebody is filing or marking.
    pub(super) busy: bool,
    pub(super) tries: u32,
    /// When the next attempt is due; `None`: when an admin says so.
    pub(super) due: Option<Timestamp>,
    /// Why the last attempt failed.
    pub(super) why: Option<String>,
    /// Since when it has been here for an admin to see, whatever the clock said before.
    listed: Instant,
}

impl Entry {
    pub(super) fn new(record: Outgoing, room: Option<Room>) -> Self {
        let due = Some(record.at);
        let listed = Instant::now();
        Self { record, room, live: false, doubtful: false, busy: false, tries: 0, due, why: None, listed }
    }

    /// Whether something is left to be done.
    pub(super) fn is_open(&self) -> bool {
        self.record.fate == Fate::Accepted && (self.wants_filing() || self.wants_marking())
    }

    pub(super) fn wants_filing(&self) -> bool {
        self.record.copy == Filing::Wanted
    }

    pub(super) fn wants_marking(&self) -> bool {
        self.record.answers.as_ref().is_some_and(|answers| answers.marking == ParentMark::Wanted)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.is_open() && !self.busy && self.due.is_some_and(|due| due <= now)
    }

    /// Nobody knows whether it went out.
    pub(super) fn is_unknown(&self) -> bool {
        self.record.fate == Fate::Spooled && !self.live
    }

    /// Neither under way nor wanted, nor for an admin to look at.
    fn is_done(&self) -> bool {
        self.record.fate == Fate::Accepted && !self.is_open() && !self.busy
    }
}

/// A message that a client stores by itself in a folder for sent mail.
struct Noted {
    number: u64,
    copy: Copy,
    at: Timestamp,
    /// Where, and the digest of the body; `None`: under way.
    stored: Option<(Option<Place>, String)>,
}

/// What is known of a client's copy.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Copy {
    pub(in crate::proxy) mailbox: MailboxId,
    pub(in crate::proxy) user: UserId,
    pub(in crate::proxy) id: MessageId,
    /// Octets of the body.
    pub(in crate::proxy) body: u64,
}

impl Copy {
    fn is_of(&self, record: &Outgoing) -> bool {
        self.mailbox == record.mailbox
            && self.user == record.user
            && record.message_id.as_ref() == Some(&self.id)
            && self.is_as_long_as(record.body)
    }

    /// Within 2 %, and an empty line at the end: some clients add one.
    fn is_as_long_as(&self, body: u64) -> bool {
        self.body.abs_diff(body) <= (body / 50).max(2)
    }
}

/// Whether the client has stored the copy of a message that was to be filed.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum ByClient {
    No,
    /// It is doing so just now.
    UnderWay,
    Stored(Option<Place>),
}

#[derive(Default)]
pub(super) struct Book {
    entries: BTreeMap<OutboxId, Entry>,
    /// All that are not done with, and some that are since the last look: few, where the entries
    /// are all of an hour.
    open: BTreeSet<OutboxId>,
    by_message: HashMap<(MailboxId, MessageId), Vec<OutboxId>>,
    noted: VecDeque<Noted>,
    last_note: u64,
    last_id: u64,
    serving: HashSet<MailboxId>,
}

/// Messages.
impl Book {
    /// A number that no message had before: the time, or the next one.
    pub(super) fn next_id(&mut self, now: Timestamp) -> OutboxId {
        self.last_id = u64::try_from(now.0).unwrap_or(0).max(self.last_id + 1);
        OutboxId(self.last_id)
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let id = entry.record.id;
        self.last_id = self.last_id.max(id.0);
        if let Some(message) = &entry.record.message_id {
            self.by_message.entry((entry.record.mailbox, message.clone())).or_default().push(id);
        }
        self.open.insert(id);
        self.entries.insert(id, entry);
    }

    pub(super) fn remove(&mut self, id: OutboxId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.open.remove(&id);
        if let Some(message) = &entry.record.message_id {
            let key = (entry.record.mailbox, message.clone());
            if let Some(ids) = self.by_message.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_message.remove(&key);
                }
            }
        }
        Some(entry)
    }

    pub(super) fn get(&self, id: OutboxId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OutboxId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id)?;
        // Whatever the caller makes of it.
        self.open.insert(id);
        Some(entry)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Messages with this Message-ID that went out from the mailbox.
    pub(super) fn with_message(&self, mailbox: MailboxId, id: &MessageId) -> impl Iterator<Item = &Entry> {
        let ids = self.by_message.get(&(mailbox, id.clone())).into_iter().flatten();
        ids.filter_map(|id| self.entries.get(id))
    }

    /// The same message, octet for octet, from the same user, not being handed in just now:
    /// what a client sends again that did not hear the answer. One of unknown outcome, or that an
    /// admin says went out, as long as it is known: queues try for days.
    pub(super) fn twins<'a>(&'a self, record: &'a Outgoing) -> impl Iterator<Item = &'a Entry> {
        let ids = record.message_id.as_ref().map(|id| self.with_message(record.mailbox, id));
        let same = move |entry: &&Entry| {
            let other = &entry.record;
            other.id != record.id
                && !entry.live
                && other.user == record.user
                && other.digest == record.digest
                && (entry.is_unknown() || other.told.is_some() || record.at.0 - other.at.0 <= RECENT)
        };
        ids.into_iter().flatten().filter(same)
    }
}

/// The client's own copy.
impl Book {
    /// A message that went out lately, whose copy this is; it is taken for that once.
    pub(super) fn claim(&mut self, copy: &Copy, now: Timestamp) -> Option<OutboxId> {
        let found = self.with_message(copy.mailbox, &copy.id).find(|entry| {
            let record = &entry.record;
            let ours = match record.copy {
                Filing::Wanted | Filing::Filed(_) | Filing::SameAs(_) | Filing::Upstream => true,
                Filing::Client => false,
            };
            let taken = record.fate == Fate::Accepted && !record.claimed;
            ours && taken && copy.is_of(record) && now.0 - record.at.0 <= RECENT
        });
        let id = found?.record.id;
        self.entries.get_mut(&id)?.record.claimed = true;
        Some(id)
    }

    /// The copy did not come to its end: it will be taken when it comes again.
    pub(super) fn unclaim(&mut self, id: OutboxId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.record.claimed = false;
        }
    }

    /// A client is about to store something by itself.
    pub(super) fn note(&mut self, copy: Copy, now: Timestamp) -> u64 {
        self.last_note += 1;
        self.noted.retain(|noted| now.0 - noted.at.0 <= RECENT);
        if self.noted.len() >= NOTED {
            self.noted.pop_front();
        }
        self.noted.push_back(Noted { number: self.last_note, copy, at: now, stored: None });
        self.last_note
    }

    /// It has, or has not.
    pub(super) fn settle(&mut self, note: u64, stored: Option<(Option<Place>, String)>) {
        match stored {
            Some(stored) => {
                if let Some(noted) = self.noted.iter_mut().find(|noted| noted.number == note) {
                    noted.stored = Some(stored);
                }
            }
            None => self.noted.retain(|noted| noted.number != note),
        }
    }

    /// Whether a client has stored the copy that is about to be filed; it counts once.
    pub(super) fn stored_by_client(&mut self, id: OutboxId) -> ByClient {
        let Some(entry) = self.entries.get_mut(&id) else { return ByClient::No };
        if entry.record.claimed {
            return ByClient::No;
        }
        let record = &entry.record;
        // Another body under the same Message-ID does not stand for what went out.
        let same = |noted: &Noted| {
            noted.copy.is_of(record)
                && noted.stored.as_ref().is_none_or(|(_, digest)| *digest == record.body_digest)
        };
        let Some(at) = self.noted.iter().position(same) else { return ByClient::No };
        if self.noted[at].stored.is_none() {
            return ByClient::UnderWay;
        }
        entry.record.claimed = true;
        let stored = self.noted.remove(at).and_then(|noted| noted.stored);
        ByClient::Stored(stored.and_then(|(place, _)| place))
    }
}

/// What is to be done.
impl Book {
    /// Mailboxes that have something due and that nobody serves; they are served from now on.
    pub(super) fn begin_serving(&mut self, now: Timestamp) -> Vec<MailboxId> {
        let entries = &self.entries;
        self.open.retain(|id| entries.get(id).is_some_and(|entry| !entry.is_done()));
        let due: HashSet<_> =
            self.open().filter(|entry| entry.is_due(now)).map(|entry| entry.record.mailbox).collect();
        due.into_iter().filter(|mailbox| self.serving.insert(*mailbox)).collect()
    }

    /// Whether somebody serves it, who has another look before they end.
    pub(super) fn is_serving(&self, mailbox: MailboxId) -> bool {
        self.serving.contains(&mailbox)
    }

    /// What may have something left to be done.
    fn open(&self) -> impl Iterator<Item = &Entry> {
        self.open.iter().filter_map(|id| self.entries.get(id))
    }

    pub(super) fn end_serving(&mut self, mailbox: MailboxId) {
        self.serving.remove(&mailbox);
    }

    /// The oldest message of the mailbox that something is due for; it is busy from now on.
    pub(super) fn take_due(&mut self, mailbox: MailboxId, now: Timestamp) -> Option<OutboxId> {
        let due = |entry: &&Entry| entry.record.mailbox == mailbox && entry.is_due(now);
        let id = self.open().find(due)?.record.id;
        self.entries.get_mut(&id)?.busy = true;
        Some(id)
    }

    /// The attempt broke off: what was under way may have been done, and waits. The others do
    /// not wait with it, or one that always ends so would keep them behind it.
    pub(super) fn broke_off(&mut self, mailbox: MailboxId, why: &str, now: Timestamp, patience: i64) {
        let busy = self.entries.values_mut().filter(|entry| entry.record.mailbox == mailbox && entry.busy);
        let ids: Vec<_> = busy
            .map(|entry| {
                entry.doubtful = true;
                entry.record.id
            })
            .collect();
        for id in ids {
            self.put_off(id, why.to_owned(), now, patience);
        }
    }

    /// The mailbox's host is out of reach: all of it that is under way or due waits, so that
    /// its host is not asked for one after the other.
    pub(super) fn put_off_mailbox(&mut self, mailbox: MailboxId, why: &str, now: Timestamp, patience: i64) {
        let of_it = |entry: &&Entry| entry.record.mailbox == mailbox && (entry.busy || entry.is_due(now));
        let ids: Vec<_> = self.open().filter(of_it).map(|entry| entry.record.id).collect();
        for id in ids {
            self.put_off(id, why.to_owned(), now, patience);
        }
    }

    /// When the next thing is due that is not due yet.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.open().filter(|entry| entry.is_open() && !entry.busy).filter_map(|entry| entry.due).min()
    }

    /// An attempt failed: another follows, unless it has gone on for `patience` milliseconds. A
    /// copy then waits for an admin; a mark, which nobody would set by hand, is given up.
    pub(super) fn put_off(&mut self, id: OutboxId, why: String, now: Timestamp, patience: i64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.busy = false;
        entry.why = Some(why);
        let (first, longest) = BACK_OFF;
        let wait = first.saturating_mul(1 << entry.tries.min(20)).min(longest);
        entry.tries = entry.tries.saturating_add(1);
        let over = now.0 - entry.record.at.0 > patience;
        entry.due = (!over).then_some(now.plus_millis(wait));
        if over
            && !entry.wants_filing()
            && let Some(answers) = &mut entry.record.answers
        {
            answers.marking = ParentMark::Refused;
        }
    }

    /// Messages of unknown outcome that have been listed for longer than `patience`.
    pub(super) fn lapsed(&self, patience: Duration) -> Vec<OutboxId> {
        let lapsed = |entry: &&Entry| entry.is_unknown() && entry.listed.elapsed() > patience;
        self.entries.values().filter(lapsed).map(|entry| entry.record.id).collect()
    }

    /// Messages that are done with and no more needed, taken out; `keep` says until when they are.
    pub(super) fn expire(&mut self, now: Timestamp, keep: impl Fn(&Outgoing) -> Timestamp) -> Vec<OutboxId> {
        let done = || self.entries.values().filter(|entry| entry.is_done());
        let surplus = done().count().saturating_sub(KEPT);
        let old = |entry: &&Entry| now > keep(&entry.record);
        let mut gone: HashSet<OutboxId> = done().filter(old).map(|entry| entry.record.id).collect();
        gone.extend(done().take(surplus).map(|entry| entry.record.id));
        gone.iter().for_each(|id| drop(self.remove(*id)));
        gone.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mark;
    use crate::store::{Answers, outgoing};
    use crate::types::{FolderName, UidValidity};

    fn book(records: impl IntoIterator<Item = Outgoing>) -> Book {
        let mut book = Book::default();
        records.into_iter().for_each(|record| book.insert(Entry::new(record, None)));
        book
    }

    fn copy(user: u64, id: &str, body: u64) -> Copy {
        Copy { mailbox: MailboxId(1), user: UserId(user), id: MessageId::parse(id).unwrap(), body }
    }

    fn stored(uid: u32) -> Option<(Option<Place>, String)> {
        Some((place(uid), "body".to_owned()))
    }

    fn place(uid: u32) -> Option<Place> {
        Some(Place { folder: FolderName::inbox(), validity: UidValidity(1), uid })
    }

    const NOW: Timestamp = Timestamp(1_000);

    fn an_hour(record: &Outgoing) -> Timestamp {
        record.at.plus_millis(RECENT)
    }

    #[test]
    fn a_copy_is_recognised_once() {
        let mut book = book([outgoing(1, 1, "<1@x>")]);
        assert_eq!(book.claim(&copy(1, "<1@x>", 1_020), NOW), Some(OutboxId(1)));
        assert_eq!(book.claim(&copy(1, "<1@x>", 1_000), NOW), None, "once each");
        book.unclaim(OutboxId(1));
        assert_eq!(book.claim(&copy(1, "<1@x>", 1_000), NOW), Some(OutboxId(1)), "it was cut off");
    }

    #[test]
    fn what_is_not_its_copy_is_stored() {
        for (other, what) in [
            (copy(2, "<1@x>", 1_000), "somebody else's"),
            (copy(1, "<2@x>", 1_000), "another message"),
            (copy(1, "<1@x>", 1_021), "a second version"),
            (copy(1, "<1@x>", 979), "a second version"),
        ] {
            assert_eq!(book([outgoing(1, 1, "<1@x>")]).claim(&other, NOW), None, "{what}");
        }
        let late = Timestamp(RECENT + 1);
        let mine = copy(1, "<1@x>", 1_000);
        assert_eq!(book([outgoing(1, 1, "<1@x>")]).claim(&mine, late), None, "a migration");
        let unsent = Outgoing { fate: Fate::Spooled, ..outgoing(1, 1, "<1@x>") };
        assert_eq!(book([unsent]).claim(&mine, NOW), None, "it may never go out");
        let theirs = Outgoing { copy: Filing::Client, ..outgoing(1, 1, "<1@x>") };
        assert_eq!(book([theirs]).claim(&mine, NOW), None, "the client files");
    }

    #[test]
    fn a_client_that_stores_first() {
        let mut book = book([]);
        let note = book.note(copy(1, "<1@x>", 1_000), NOW);
        let other = book.note(copy(1, "<1@x>", 2_000), NOW);
        book.settle(other, stored(1));
        book.insert(Entry::new(outgoing(1, 1, "<1@x>"), None));
        book.insert(Entry::new(outgoing(2, 1, "<1@x>"), None));
        assert_eq!(book.stored_by_client(OutboxId(1)), ByClient::UnderWay);
        book.settle(note, stored(7));
        assert_eq!(book.stored_by_client(OutboxId(1)), ByClient::Stored(place(7)));
        assert_eq!(book.stored_by_client(OutboxId(2)), ByClient::No, "once each");
        let note = book.note(copy(1, "<1@x>", 1_000), NOW);
        book.settle(note, None);
        assert_eq!(book.stored_by_client(OutboxId(2)), ByClient::No, "it failed");
        let note = book.note(copy(1, "<1@x>", 1_000), NOW);
        book.settle(note, Some((place(9), "another body".to_owned())));
        assert_eq!(book.stored_by_client(OutboxId(2)), ByClient::No, "not what went out");
    }

    #[test]
    fn noted_copies_are_bounded() {
        let mut book = book([outgoing(1, 1, "<0@x>"), outgoing(2, 1, "<1@x>")]);
        for n in 0..=NOTED {
            let note = book.note(copy(1, &format!("<{n}@x>"), 1_000), NOW);
            book.settle(note, stored(1));
        }
        assert_eq!(book.stored_by_client(OutboxId(1)), ByClient::No);
        assert_eq!(book.stored_by_client(OutboxId(2)), ByClient::Stored(place(1)));
    }

    #[test]
    fn failures_are_tried_again_for_days() {
        let mut book = book([outgoing(1, 1, "<1@x>")]);
        let day = 24 * 60 * 60 * 1000;
        let (mut now, mut tries) = (Timestamp(0), 0);
        while let Some(due) = book.next_due() {
            now = due;
            assert_eq!(book.take_due(MailboxId(1), now), Some(OutboxId(1)));
            assert_eq!(book.take_due(MailboxId(1), now), None, "busy");
            book.put_off(OutboxId(1), "no host".into(), now, 7 * day);
            tries += 1;
        }
        assert!(now.0 > 7 * day && now.0 < 7 * day + BACK_OFF.1 * 2, "{now:?}");
        assert!((300..400).contains(&tries), "{tries}");
        assert!(book.expire(Timestamp(30 * day), an_hour).is_empty(), "kept for an admin");
    }

    #[test]
    fn a_mark_is_tried_for_as_long_and_then_given_up() {
        let answers = Answers {
            parent: MessageId::parse("<q@x>").unwrap(),
            mark: Mark::Answered,
            marking: ParentMark::Wanted,
        };
        let filed = Outgoing { copy: Filing::Filed(None), answers: Some(answers), ..outgoing(1, 1, "<1@x>") };
        let mut book = book([filed]);
        assert_eq!(book.take_due(MailboxId(1), NOW), Some(OutboxId(1)));
        book.put_off(OutboxId(1), "it refuses the mark".into(), NOW, RECENT);
        assert!(book.get(OutboxId(1)).unwrap().is_open() && book.next_due() > Some(NOW));
        book.put_off(OutboxId(1), "it refuses the mark".into(), Timestamp(RECENT + 1), RECENT);
        assert!(book.get(OutboxId(1)).unwrap().is_done() && book.next_due().is_none());
    }

    #[test]
    fn all_of_a_mailbox_waits_for_its_host_and_nobody_else_does() {
        let elsewhere = Outgoing { mailbox: MailboxId(2), ..outgoing(9, 1, "<9@x>") };
        let mut book = book([outgoing(1, 1, "<1@x>"), outgoing(2, 1, "<2@x>"), elsewhere]);
        assert_eq!(book.take_due(MailboxId(1), NOW), Some(OutboxId(1)));
        book.put_off_mailbox(MailboxId(1), "no host", NOW, RECENT);
        assert_eq!(book.take_due(MailboxId(1), NOW), None, "neither the one begun nor those behind it");
        assert_eq!(book.take_due(MailboxId(2), NOW), Some(OutboxId(9)));
        let later = NOW.plus_millis(BACK_OFF.0);
        assert_eq!(book.take_due(MailboxId(1), later), Some(OutboxId(1)), "it is not busy for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_settled_by_its_twin_or_lapses() {
        let unknown = Outgoing { fate: Fate::Spooled, ..outgoing(1, 1, "<1@x>") };
        let again = Outgoing { id: OutboxId(2), at: Timestamp(2 * RECENT), ..unknown.clone() };
        let mut book = book([unknown]);
        assert_eq!(book.twins(&again).count(), 1, "a queue tries again late");
        let hour = Duration::from_secs(60 * 60);
        assert_eq!(book.lapsed(Duration::ZERO), [], "however old: it has just been found");
        tokio::time::advance(hour).await;
        assert_eq!(book.lapsed(hour), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(book.lapsed(hour), [OutboxId(1)]);
        book.get_mut(OutboxId(1)).unwrap().live = true;
        assert_eq!(book.lapsed(hour), [], "it is being handed in");
    }

    #[test]
    fn what_is_done_is_not_looked_at_until_it_changes() {
        let filed = |id| Outgoing { copy: Filing::Filed(None), ..outgoing(id, 1, &format!("<{id}@x>")) };
        let mut book = book((1..=100).map(filed));
        assert!(book.begin_serving(NOW).is_empty() && book.open.is_empty());
        book.get_mut(OutboxId(50)).unwrap().record.copy = Filing::Wanted;
        assert_eq!(book.begin_serving(NOW), [MailboxId(1)]);
        assert!(book.is_serving(MailboxId(1)) && book.open.len() == 1);
        assert_eq!(book.take_due(MailboxId(1), NOW), Some(OutboxId(50)));
        assert_eq!(book.take_due(MailboxId(1), NOW), None);
    }

    #[test]
    fn what_is_done_is_forgotten() {
        let filed = |id| Outgoing { copy: Filing::Filed(None), ..outgoing(id, 1, &format!("<{id}@x>")) };
        let mut book = book((1..=KEPT as u64 + 2).map(filed));
        let mut gone = book.expire(NOW, an_hour);
        gone.sort();
        assert_eq!(gone, [OutboxId(1), OutboxId(2)]);
        assert_eq!(book.expire(Timestamp(RECENT + 1), an_hour).len(), KEPT);
        assert!(book.entries().next().is_none() && book.by_message.is_empty());
    }

    #[test]
    fn twins_are_the_same_octets_of_the_same_user() {
        let first = outgoing(1, 1, "<1@x>");
        let book = book([first.clone(), outgoing(2, 1, "<1@x>"), outgoing(3, 2, "<1@x>")]);
        let again = Outgoing { id: OutboxId(9), ..first };
        let twins: Vec<_> = book.twins(&again).map(|entry| entry.record.id).collect();
        assert_eq!(twins, [OutboxId(1)]);
        let late = Outgoing { at: Timestamp(RECENT + 1), ..again };
        assert_eq!(book.twins(&late).count(), 0);
        let told = Outgoing { told: Some(Timestamp(RECENT)), ..outgoing(1, 1, "<1@x>") };
        assert_eq!(self::book([told]).twins(&late).count(), 1, "an admin said that it had gone out");
    }
}
