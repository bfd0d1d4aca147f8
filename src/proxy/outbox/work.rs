//! Files and marks, mailbox by mailbox, until there is nothing left to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::book::ByClient;
use super::{Outbox, clock};
use crate::imap::inventory::Inventory;
use crate::net::Draining;
use crate::store::{Filing, Mailbox, Outgoing, ParentMark, Place, StoreError};
use crate::telemetry::{Durability, Event};
use crate::types::{Endpoint, MailboxId, OutboxId};
use crate::upstream::{Lease, Party, Target};

/// Milliseconds for which messages of the last daemon are left alone: a mail host may still be
/// storing what that one sent it before it was killed.
pub(super) const SETTLE: i64 = 3_000;

/// Mailboxes of one host served at a time; it sees a connection for each. Another host's are
/// served meanwhile, however long this one takes not to answer.
const AT_ONCE: usize = 16;

/// How long messages are filed on one connection before it is given back for others to use: a
/// second, half of what they wait for one.
const TURN: Duration = Duration::from_secs(1);

/// Longest time for a connection, and for the list of folders if none is at hand.
const CONNECT: Duration = Duration::from_secs(20);

/// How often what is done is looked through, and the clock is.
const TICK: Duration = Duration::from_secs(5);

/// What an attempt works with: a connection, and what folders there are.
pub(super) struct Hands {
    pub(super) lease: Lease,
    pub(super) folders: Arc<Inventory>,
}

/// A mailbox that is being served, until this is dropped, whatever ends it.
struct Serving {
    outbox: Arc<Outbox>,
    mailbox: MailboxId,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut book = self.outbox.book();
        if std::thread::panicking() {
            let why = "the attempt broke off by a fault of Mandate's own; please report it";
            book.broke_off(self.mailbox, why, clock::now(), self.outbox.patience());
        }
        book.end_serving(self.mailbox);
        self.outbox.wake.notify_one();
    }
}

/// How an attempt ended that did not do what it should.
pub(super) enum Failed {
    /// The connection is good for the next message.
    Refused(String),
    /// The connection is of no more use. `doubtful`: it may have been done all the same.
    Lost { why: String, doubtful: bool },
}

impl Outbox {
    /// Works until the daemon drains.
    pub async fn run(self: Arc<Self>, mut drain: Draining) {
        // As many as there are hosts, which admins add.
        let mut places: HashMap<Option<Endpoint>, Arc<Semaphore>> = HashMap::new();
        let mut look_through_at = Instant::now();
        loop {
            let now = clock::now();
            let begun = self.book().begin_serving(now);
            let snapshot = self.needs.store.snapshot();
            for mailbox in begun {
                let host = snapshot.mailbox(mailbox).map(|mailbox| mailbox.imap.clone());
                let places = places.entry(host).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone();
                let serving = Serving { outbox: Arc::clone(&self), mailbox };
                tokio::spawn(async move {
                    // Never closed, so that there is a place sooner or later.
                    let _place = places.acquire_owned().await;
                    serving.outbox.serve(mailbox).await;
                });
            }
            if look_through_at <= Instant::now() {
                self.expire().await;
                look_through_at = Instant::now() + TICK;
            }
            let next =
                self.book().next_due().map(|due| Duration::from_millis(clock::now().millis_until(due)));
            // What is due at once is being served: its end wakes us.
            let wait = next.filter(|wait| !wait.is_zero()).map_or(TICK, |wait| wait.min(TICK));
            tokio::select! {
                () = drain.requested() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn expire(&self) {
        let gone = self.book().expire(clock::now(), |record| self.keep(record));
        for id in gone {
            self.ledger.remove_soon(id);
        }
        let lapsed = self.book().lapsed(Duration::from_hours(self.settings.unknown_hours.into()));
        for id in lapsed {
            self.lapse(id).await;
        }
    }

    async fn lapse(&self, id: OutboxId) {
        let Some(record) = self.book().get(id).map(|entry| entry.record.clone()) else { return };
        tracing::warn!(%id, "a message whose outcome nobody has told is forgotten, and not filed");
        let message_id = record.message_id.as_ref().map(|id| self.fingerprint(id));
        self.note_event(Event::Lapsed { user: record.user, mailbox: record.mailbox, message_id }).await;
        self.forget(id);
    }

    async fn serve(&self, mailbox: MailboxId) {
        loop {
            let Some(first) = self.book().take_due(mailbox, clock::now()) else { return };
            match self.hands(mailbox).await {
                Ok(hands) => self.serve_with(hands, first, mailbox).await,
                Err(why) => {
                    self.warn(first, &why);
                    self.book().put_off_mailbox(mailbox, &why, clock::now(), self.patience());
                    return;
                }
            }
        }
    }

    /// Serves one message after the other on one connection, for a while.
    async fn serve_with(&self, mut hands: Hands, first: OutboxId, mailbox: MailboxId) {
        let (begun, mut next) = (Instant::now(), Some(first));
        while let Some(id) = next {
            match self.attend(&mut hands, id).await {
                Ok(()) => self.done(id),
                Err(Failed::Refused(why)) => self.put_off(id, why),
                Err(Failed::Lost { why, doubtful }) => {
                    if let Some(entry) = self.book().get_mut(id) {
                        entry.doubtful |= doubtful;
                    }
                    return self.put_off(id, why);
                }
            }
            if begun.elapsed() >= TURN {
                break;
            }
            next = self.book().take_due(mailbox, clock::now());
        }
        hands.lease.give_back().await;
    }

    /// For filing and marking, which may take long.
    async fn hands(&self, mailbox: MailboxId) -> Result<Hands, String> {
        let deadline = Instant::now() + CONNECT;
        let (target, folders) = self.folders(mailbox, deadline).await?;
        let lease = self.needs.pools.working_lease(&target, Party::DAEMON, deadline).await;
        Ok(Hands { lease: lease.map_err(|error| error.to_string())?, folders })
    }

    /// For a look that a client waits for.
    pub(super) async fn hands_to_look(&self, mailbox: MailboxId, deadline: Instant) -> Result<Hands, String> {
        let (target, folders) = self.folders(mailbox, deadline).await?;
        let lease = self.needs.pools.looking_lease(&target, deadline).await;
        Ok(Hands { lease: lease.map_err(|error| error.to_string())?, folders })
    }

    /// Before there is a connection: to list them takes the daemon's own.
    async fn folders(
        &self,
        mailbox: MailboxId,
        deadline: Instant,
    ) -> Result<(Target, Arc<Inventory>), String> {
        let target =
            self.needs.targets.of(&self.needs.store, mailbox, None).map_err(|error| match error {
                StoreError::Unknown(_) => "the mailbox is not here any more".to_owned(),
                other => other.to_string(),
            })?;
        let view = self.needs.catalogues.of(&target).view(deadline).await;
        let view = view.map_err(|error| error.to_string())?;
        Ok((target, Arc::clone(&view.inventory)))
    }

    /// Does what is left to be done for one message.
    async fn attend(&self, hands: &mut Hands, id: OutboxId) -> Result<(), Failed> {
        let gone = || Failed::Refused("the mailbox is not here any more".to_owned());
        let Some(record) = self.book().get(id).map(|entry| entry.record.clone()) else { return Ok(()) };
        let snapshot = self.needs.store.snapshot();
        let mailbox = snapshot.mailbox(record.mailbox).ok_or_else(gone)?;
        if record.copy == Filing::Wanted {
            let by_client = self.book().stored_by_client(id);
            let place = match by_client {
                ByClient::Stored(place) => place,
                ByClient::UnderWay => return Err(Failed::Refused("the client is storing it".to_owned())),
                ByClient::No => self.file(hands, mailbox, &record).await?,
            };
            self.filed(&record, place).await;
        }
        if let Some(answers) = record.answers.as_ref().filter(|answers| answers.marking == ParentMark::Wanted)
        {
            let marking = self.mark(hands, mailbox, &record, answers).await?;
            self.marked(mailbox, &record, marking).await;
        }
        Ok(())
    }

    async fn filed(&self, record: &Outgoing, place: Option<Place>) {
        let event = Event::Filed {
            user: record.user,
            mailbox: record.mailbox,
            message_id: record.message_id.as_ref().map(|id| self.fingerprint(id)),
            folder: place.as_ref().map(|place| place.folder.clone()),
            uidvalidity: place.as_ref().map(|place| place.validity),
            uid: place.as_ref().map(|place| place.uid),
        };
        self.note_event(event).await;
        let room = self.change(record.id, |entry| {
            entry.record.copy = Filing::Filed(place);
            entry.room.take()
        });
        if room.flatten().is_some() {
            self.spool.remove(record.id);
        }
        self.filed.notify_waiters();
    }

    async fn marked(&self, mailbox: &Mailbox, record: &Outgoing, marking: ParentMark) {
        if let Some(answers) = record.answers.as_ref().filter(|_| marking == ParentMark::Done) {
            let event = Event::Marked {
                user: record.user,
                mailbox: mailbox.id,
                message_id: record.message_id.as_ref().map(|id| self.fingerprint(id)),
                parent: self.fingerprint(&answers.parent),
                flag: answers.mark.as_str(),
            };
            self.note_event(event).await;
        }
        self.change(record.id, |entry| {
            if let Some(answers) = &mut entry.record.answers {
                answers.marking = marking;
            }
        });
    }

    /// Changes a record, here and, within a second, on disk.
    fn change<T>(&self, id: OutboxId, change: impl FnOnce(&mut super::Entry) -> T) -> Option<T> {
        let mut book = self.book();
        let entry = book.get_mut(id)?;
        let changed = change(entry);
        self.ledger.write_soon(&entry.record);
        Some(changed)
    }

    fn done(&self, id: OutboxId) {
        if let Some(entry) = self.book().get_mut(id) {
            (entry.busy, entry.why) = (false, None);
        }
    }

    fn put_off(&self, id: OutboxId, why: String) {
        self.warn(id, &why);
        let mut book = self.book();
        book.put_off(id, why, clock::now(), self.patience());
        // A mark that is given up is so after a restart, too.
        if let Some(entry) = book.get(id).filter(|entry| !entry.is_open()) {
            self.ledger.write_soon(&entry.record);
        }
    }

    fn warn(&self, id: OutboxId, why: &str) {
        if self.book().get(id).is_some_and(|entry| entry.tries == 0) {
            tracing::warn!(%id, "a sent message is not filed or its parent not marked yet: {why}");
        }
    }

    /// How long something is tried again, in milliseconds.
    fn patience(&self) -> i64 {
        i64::from(self.settings.retry_days) * 24 * 60 * 60 * 1000
    }

    fn fingerprint(&self, id: &crate::types::MessageId) -> String {
        self.needs.journal.fingerprint(id.as_str().as_bytes())
    }

    async fn note_event(&self, event: Event) {
        // It is done whether or not this can be written; the failure is in the log.
        if let Err(error) = self.needs.journal.record(event, Durability::Grouped).await {
            tracing::error!("the journal cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::net::{DialSettings, Dialer};
    use crate::proxy::outbox::{Entry, Needs, Settings};
    use crate::store::{self, Fate, Ledger, Sealer, Store, outgoing};
    use crate::telemetry::Journal;
    use crate::types::{Secret, Timestamp};
    use crate::upstream::{Catalogues, ConnectSettings, Connector, PoolSettings, Pools};

    fn outbox(state: &Path) -> Arc<Outbox> {
        let sealer = Sealer::new(&[3; 32]).unwrap();
        let connector =
            Connector::new(Arc::new(Dialer::new(DialSettings::default())), ConnectSettings::default());
        let pools = Pools::new(connector, PoolSettings::default());
        let needs = Needs {
            store: Store::open(&state.join("store"), sealer, store::Settings::default()).unwrap(),
            journal: Journal::open(&state.join("journal"), &Secret::new([1; 32])).unwrap(),
            catalogues: Arc::new(Catalogues::new(Arc::clone(&pools))),
            pools,
            targets: Arc::default(),
        };
        Outbox::open(state, Settings::default(), needs).unwrap()
    }

    #[tokio::test]
    async fn a_panic_ends_an_attempt_and_not_the_mailbox() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = outbox(directory.path());
        let now = clock::now();
        let [first, second] = [1, 2].map(|id| Outgoing { at: now, ..outgoing(id, 1, &format!("<{id}@x>")) });
        let mailbox = first.mailbox;
        outbox.book().insert(Entry::new(first, None));
        outbox.book().insert(Entry::new(second, None));
        assert_eq!(outbox.book().begin_serving(now), [mailbox]);
        assert_eq!(outbox.book().take_due(mailbox, now), Some(OutboxId(1)));
        let serving = Serving { outbox: Arc::clone(&outbox), mailbox };
        let attempt = tokio::spawn(async move {
            let _serving = serving;
            panic!("a fault of ours, for the test")
        });
        assert!(attempt.await.is_err());
        assert_eq!(outbox.book().begin_serving(now), [mailbox]);
        assert_eq!(outbox.book().take_due(mailbox, now), Some(OutboxId(2)), "the next one");
        assert_eq!(outbox.book().take_due(mailbox, now), None, "not at once");
        let later = Timestamp(now.0 + 60_000);
        assert_eq!(outbox.book().take_due(mailbox, later), Some(OutboxId(1)));
        let doubtful = [1, 2].map(|id| outbox.book().get(OutboxId(id)).unwrap().doubtful);
        assert_eq!(doubtful, [true, false], "it may be filed, and is looked for first");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_listed_however_late_the_daemon_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path();
        let (ledger, _) = Ledger::open(&state.join("outbox")).unwrap();
        ledger.write(&[Outgoing { fate: Fate::Spooled, ..outgoing(1, 1, "<1@x>") }]).await.unwrap();
        ledger.close().await.unwrap();
        let outbox = outbox(state);
        outbox.expire().await;
        assert_eq!(outbox.open_rows().len(), 1, "it was handed in in 1970");
        tokio::time::advance(Duration::from_hours(73)).await;
        outbox.expire().await;
        assert_eq!(outbox.open_rows().len(), 0);
        let journal = std::fs::read_to_string(state.join("journal")).unwrap();
        assert!(journal.contains("\"event\":\"lapsed\""), "{journal}");
    }
}
