//! Folders watched on behalf of sessions that gave up their connection.
//!
//! One connection per mailbox serves them all: it idles in the folder that most of them
//! have open, asks STATUS of the others every half minute, and looks into those that
//! changed. What it sees is published as a [`Mirror`]; a [`Follower`] is told of each new one.
//!
//! A session that parks asks for a look first, and then tells its client what its own
//! connection still knows: what happened before that look is told by then, what happens
//! later the mirror will tell. One that comes back opens the folder first and asks for a
//! look then. Some changes are thus told twice, none is missed.

mod folder;
mod look;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::pool::Pools;
use super::target::{EnabledSet, Target};
use crate::types::MailboxId;

pub use folder::{Change, Mirror, State};

/// Every mailbox's watcher.
pub struct Mirrors {
    pools: Arc<Pools>,
    watchers: Mutex<HashMap<MailboxId, Arc<Watcher>>>,
}

impl Mirrors {
    pub fn new(pools: Arc<Pools>) -> Arc<Self> {
        Arc::new(Self { pools, watchers: Mutex::default() })
    }

    /// Has a folder watched, by the name that the host itself uses for it, until the follower
    /// is dropped. `condstore`: the host has mod-sequences.
    pub fn follow(&self, target: &Target, folder: &[u8], condstore: bool) -> Follower {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let watcher = watchers
            .entry(target.mailbox)
            .or_insert_with(|| Watcher::new(self.pools.clone(), target.clone()))
            .clone();
        drop(watchers);
        watcher.follow(target, folder, condstore)
    }

    /// The mailbox is gone.
    pub fn forget(&self, mailbox: MailboxId) {
        let watcher = self.watchers.lock().unwrap_or_else(PoisonError::into_inner).remove(&mailbox);
        if let Some(watcher) = watcher {
            watcher.lose();
        }
    }
}

/// One mailbox's watcher.
struct Watcher {
    pools: Arc<Pools>,
    state: Mutex<Watching>,
    /// Somebody has asked for a look, or follows another folder.
    wake: Notify,
}

struct Watching {
    target: Target,
    enabled: EnabledSet,
    folders: HashMap<Vec<u8>, Folder>,
    /// Somebody is at work.
    worked_on: bool,
}

struct Folder {
    mirror: watch::Sender<Mirror>,
    /// How many looks were asked for.
    questions: u64,
}

impl Watcher {
    fn new(pools: Arc<Pools>, target: Target) -> Arc<Self> {
        let (enabled, folders) = (EnabledSet::Plain, HashMap::new());
        let state = Watching { target, enabled, folders, worked_on: false };
        Arc::new(Self { pools, state: Mutex::new(state), wake: Notify::new() })
    }

    fn follow(self: &Arc<Self>, target: &Target, folder: &[u8], condstore: bool) -> Follower {
        let mut state = self.lock();
        if state.target.generation <= target.generation {
            state.target = target.clone();
            state.enabled = if condstore { EnabledSet::Condstore } else { EnabledSet::Plain };
        }
        let watched = state
            .folders
            .entry(folder.to_vec())
            .or_insert_with(|| Folder { mirror: watch::Sender::default(), questions: 0 });
        let mirror = watched.mirror.subscribe();
        if !std::mem::replace(&mut state.worked_on, true) {
            tokio::spawn(work::watch(self.clone()));
        }
        Follower { watcher: self.clone(), folder: folder.to_vec(), mirror }
    }

    /// A look that begins after this call answers this question.
    fn ask(&self, folder: &[u8]) -> Option<u64> {
        let question = {
            let mut state = self.lock();
            let watched = state.folders.get_mut(folder)?;
            watched.questions += 1;
            watched.questions
        };
        self.wake.notify_one();
        Some(question)
    }

    /// Nobody watches any more: whoever follows must do without.
    fn lose(&self) {
        let folders = {
            let mut state = self.lock();
            state.worked_on = false;
            std::mem::take(&mut state.folders)
        };
        for folder in folders.into_values() {
            folder.mirror.send_modify(|mirror| mirror.state = State::Lost);
        }
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Eyes on one folder.
pub struct Follower {
    watcher: Arc<Watcher>,
    folder: Vec<u8>,
    mirror: watch::Receiver<Mirror>,
}

impl Follower {
    /// The folder as it was at some moment after this call; `None` if nobody could look in time.
    pub async fn synced(&mut self, deadline: Instant) -> Option<Mirror> {
        let question = self.watcher.ask(&self.folder)?;
        let looked = |mirror: &Mirror| mirror.looked >= question || mirror.state == State::Lost;
        let mirror = timeout_at(deadline, self.mirror.wait_for(looked)).await.ok()?.ok()?;
        (mirror.state != State::Lost).then(|| mirror.clone())
    }

    /// Resolves when there may be something new. Cancel-safe.
    pub async fn changed(&mut self) {
        // Nobody sends any more only after `State::Lost`, which has been seen then.
        if self.mirror.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The folder as last looked at.
    pub fn mirror(&mut self) -> Mirror {
        self.mirror.borrow_and_update().clone()
    }
}
