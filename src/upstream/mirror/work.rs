//! The watcher at work: one connection, all the folders of a mailbox that somebody follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Watcher;
use super::folder::{Memory, State};
use super::look::Found;
use crate::imap::command::StatusItem;
use crate::imap::filter::same_folder;
use crate::imap::response::{Response, StatusData};
use crate::imap::writer::Housekeeping;
use crate::upstream::connection::{ANSWER, Answered};
use crate::upstream::error::{CommandError, LeaseError};
use crate::upstream::pool::Lease;
use crate::upstream::status::BATCH;
use crate::upstream::target::EnabledSet;

/// Time between looks at the folders in which the connection does not idle. News there are
/// this old at most, and a few seconds more.
const ROUND: Duration = Duration::from_secs(30);

/// Longest time for a connection and a login.
const CONNECT: Duration = Duration::from_secs(20);

/// Pause before the host is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How long the host may be out of reach before those who follow are told: a restart takes
/// less, and their clients would only come back to a host that is not there.
const LOST: Duration = Duration::from_secs(60);

/// What is known of the followed folders, over one connection and the next.
type Known = HashMap<Vec<u8>, Memory>;

/// Watches until nobody follows any more, or the host is lost.
pub(super) async fn watch(watcher: Arc<Watcher>) {
    let mut known = Known::new();
    let mut reached = Instant::now();
    loop {
        match serve(&watcher, &mut known, &mut reached).await {
            Ok(()) if watcher.retires() => return,
            Ok(()) => {}
            Err(error) => {
                let mailbox = watcher.lock().target.mailbox;
                tracing::warn!(%mailbox, %error, "parked folders cannot be watched");
                if reached.elapsed() >= LOST {
                    return watcher.lose();
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// A followed folder.
struct Followed {
    folder: Vec<u8>,
    followers: usize,
    questions: u64,
    looked: u64,
}

impl Followed {
    /// Where most followers are it is best to idle; of equals, where mail comes in.
    fn rank(&self) -> (usize, bool) {
        (self.followers, same_folder(&self.folder, b"INBOX"))
    }
}

impl Watcher {
    /// What is followed; forgets what is not.
    fn followed(&self) -> Vec<Followed> {
        let mut state = self.lock();
        state.folders.retain(|_, folder| folder.mirror.receiver_count() > 0);
        let followed = state.folders.iter().map(|(name, folder)| Followed {
            folder: name.clone(),
            followers: folder.mirror.receiver_count(),
            questions: folder.questions,
            looked: folder.mirror.borrow().looked,
        });
        followed.collect()
    }

    fn retires(&self) -> bool {
        let mut state = self.lock();
        state.folders.retain(|_, folder| folder.mirror.receiver_count() > 0);
        state.worked_on = !state.folders.is_empty();
        !state.worked_on
    }

    fn publish(&self, folder: &[u8], memory: &Memory) {
        if let Some(folder) = self.lock().folders.get(folder) {
            folder.mirror.send_replace(memory.mirror.clone());
        }
    }
}

/// Watches on one connection, until nobody follows or the mailbox is reached in another way.
async fn serve(watcher: &Watcher, known: &mut Known, reached: &mut Instant) -> Result<(), LeaseError> {
    let (target, enabled) = {
        let state = watcher.lock();
        (state.target.clone(), state.enabled)
    };
    let lease = watcher.pools.watching_lease(&target, enabled, Instant::now() + CONNECT).await?;
    let Some(lease) = lease else {
        watcher.lose();
        return Ok(());
    };
    let mut eyes = Eyes { watcher, known, lease, open: None, next_round: Instant::now() + ROUND };
    loop {
        let followed = watcher.followed();
        let moved = watcher.lock().target.generation != target.generation;
        if followed.is_empty() || moved {
            eyes.lease.give_back().await;
            return Ok(());
        }
        eyes.known.retain(|name, _| followed.iter().any(|followed| followed.folder == *name));
        eyes.next(&followed).await?;
        *reached = Instant::now();
    }
}

/// The connection, and the folder that it has open.
struct Eyes<'a> {
    watcher: &'a Watcher,
    known: &'a mut Known,
    lease: Lease,
    open: Option<Vec<u8>>,
    next_round: Instant,
}

impl Eyes<'_> {
    /// Does what is most urgent: looks that were asked for, the round, waiting for news.
    async fn next(&mut self, followed: &[Followed]) -> Result<(), CommandError> {
        if let Some(asked) = followed.iter().find(|followed| followed.questions > followed.looked) {
            return self.look(&asked.folder, asked.questions).await;
        }
        if Instant::now() >= self.next_round {
            self.next_round = Instant::now() + ROUND;
            return self.round(followed).await;
        }
        let Some(best) = followed.iter().max_by_key(|followed| followed.rank()) else { return Ok(()) };
        let stays = self.open.as_ref().is_some_and(|open| {
            followed.iter().any(|other| other.folder == *open && other.rank() >= best.rank())
        });
        if !stays {
            return self.look(&best.folder, best.questions).await;
        }
        self.wait(followed).await
    }

    /// Waits in the open folder.
    async fn wait(&mut self, followed: &[Followed]) -> Result<(), CommandError> {
        let watcher = self.watcher;
        let wake = watcher.wake.notified();
        let news = if self.lease.capabilities().has("IDLE") {
            self.lease.idle(wake, self.next_round).await?
        } else {
            tokio::select! {
                () = wake => false,
                () = sleep_until(self.next_round) => self.lease.poll().await?,
            }
        };
        let open = followed.iter().find(|followed| Some(&followed.folder) == self.open.as_ref());
        match open {
            Some(open) if news => self.look(&open.folder, open.looked).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Asks STATUS of the folders that are not open, and looks into those that differ. Where
    /// the host has no mod-sequences, STATUS does not tell everything: then into all of them.
    async fn round(&mut self, followed: &[Followed]) -> Result<(), CommandError> {
        let others: Vec<_> =
            followed.iter().filter(|followed| Some(&followed.folder) != self.open.as_ref()).collect();
        for some in others.chunks(BATCH) {
            let commands: Vec<_> = some
                .iter()
                .map(|followed| Housekeeping::Status { folder: &followed.folder, items: self.items() })
                .collect();
            let answered = self.lease.commands_by(&commands, Instant::now() + ANSWER).await?;
            let told: Vec<StatusData> =
                answered.iter().flat_map(Answered::responses).filter_map(data).collect();
            for followed in some {
                let status = told.iter().find(|data| same_folder(&followed.folder, &data.name));
                if self.differs(&followed.folder, status) {
                    self.look(&followed.folder, followed.questions).await?;
                    if let Some(memory) = self.known.get_mut(&followed.folder) {
                        memory.status = status.and_then(|data| data.item(StatusItem::HighestModSeq));
                    }
                }
            }
        }
        Ok(())
    }

    fn items(&self) -> &'static [StatusItem] {
        const ITEMS: [StatusItem; 4] =
            [StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::HighestModSeq];
        if self.lease.enabled() == EnabledSet::Plain { &ITEMS[..3] } else { &ITEMS }
    }

    /// Whether a folder may be another than when it was last looked at.
    fn differs(&self, folder: &[u8], status: Option<&StatusData>) -> bool {
        let (Some(memory), Some(status)) = (self.known.get(folder), status) else { return true };
        let mirror = &memory.mirror;
        let same = status.item(StatusItem::Messages) == Some(mirror.uids.len())
            && status.item(StatusItem::UidValidity) == mirror.validity.map(|validity| validity.0.into())
            && status.item(StatusItem::HighestModSeq).is_some_and(|value| memory.status == Some(value));
        mirror.state != State::Watched || !same
    }

    /// Looks into a folder and publishes what it sees.
    async fn look(&mut self, folder: &[u8], question: u64) -> Result<(), CommandError> {
        let memory = self.known.entry(folder.to_vec()).or_default();
        let condstore = self.lease.enabled() != EnabledSet::Plain;
        let mut highest = None;
        let mut validity = memory.mirror.validity;
        if self.open.as_deref() == Some(folder) {
            self.lease.poll().await?;
        } else {
            self.open = None;
            let seen = self.lease.examine(folder, condstore).await?;
            let Some(told) = seen.validity.filter(|_| seen.ok) else {
                memory.gone(question);
                self.watcher.publish(folder, memory);
                return Ok(());
            };
            (highest, validity) = (seen.highest, Some(told));
            self.open = Some(folder.to_vec());
        }
        let Some(validity) = validity else {
            return Err(CommandError::Protocol("a folder without UIDVALIDITY"));
        };
        let uids = self.lease.uids().await?;
        let first = memory.mirror.validity != Some(validity);
        let since = memory.mod_seq.filter(|_| !first);
        // The flags of the first look are nobody's news: mod-sequences tell all later ones.
        let flags = match !first || highest.is_none() {
            true => self.lease.changed_flags(since).await?,
            false => Vec::new(),
        };
        memory.take_in(Found { uids, flags, highest }, validity, question);
        self.watcher.publish(folder, memory);
        Ok(())
    }
}

fn data(response: Response<'_>) -> Option<StatusData> {
    match response {
        Response::StatusData(data) => Some(data),
        _ => None,
    }
}
