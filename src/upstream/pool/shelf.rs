//! One mailbox's connections: the slots, and the idle ones between two uses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::slots::Slots;
use crate::upstream::target::{EnabledSet, Target};

/// A connection that nobody uses.
pub(super) struct Idle<L> {
    pub(super) link: L,
    pub(super) generation: u64,
    pub(super) enabled: EnabledSet,
    pub(super) since: Instant,
}

/// The daemon's own connection, while nobody uses it.
pub(super) type Own<L> = Option<Idle<L>>;

pub(super) struct Shelf<L> {
    pub(super) slots: Arc<Slots>,
    pub(super) own: Arc<tokio::sync::Mutex<Own<L>>>,
    /// Held by whoever has the connection that watches folders.
    pub(super) watching: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State<L>>,
}

struct State<L> {
    /// The newest that was asked for; `None` once the mailbox is gone.
    generation: Option<u64>,
    idle: Vec<Idle<L>>,
}

impl<L> Shelf<L> {
    pub(super) fn new(target: &Target) -> Arc<Self> {
        let state = State { generation: Some(target.generation), idle: Vec::new() };
        Arc::new(Self {
            slots: Slots::new(cap(target)),
            own: Arc::new(tokio::sync::Mutex::new(None)),
            watching: Arc::default(),
            state: Mutex::new(state),
        })
    }

    /// Takes over a newer target's cap and generation.
    pub(super) fn adopt(&self, target: &Target) {
        let mut state = self.lock();
        let newer = state.generation.is_some_and(|known| known < target.generation);
        if newer {
            state.generation = Some(target.generation);
        }
        let current = state.generation == Some(target.generation);
        drop(state);
        if current {
            self.slots.set_cap(cap(target));
        }
    }

    /// The connection used last, of those that fit.
    pub(super) fn take(&self, generation: u64, enabled: EnabledSet) -> Option<L> {
        let mut state = self.lock();
        let fits = |idle: &Idle<L>| idle.generation == generation && idle.enabled == enabled;
        let at = state.idle.iter().rposition(fits)?;
        Some(state.idle.remove(at).link)
    }

    /// Keeps a connection, and at most `most`; what must be closed instead.
    pub(super) fn put(&self, idle: Idle<L>, most: usize) -> Vec<L> {
        let mut state = self.lock();
        if state.generation != Some(idle.generation) {
            return vec![idle.link];
        }
        state.idle.push(idle);
        let surplus = state.idle.len().saturating_sub(most);
        links(state.idle.drain(..surplus))
    }

    /// What a newer generation has replaced.
    pub(super) fn outdated(&self) -> Vec<L> {
        let mut state = self.lock();
        let current = state.generation;
        links(state.idle.extract_if(.., |idle| Some(idle.generation) != current))
    }

    /// The oldest idle connections, beyond those that fit beside the leased ones.
    pub(super) fn surplus(&self) -> Vec<L> {
        let (held, limit) = (self.slots.held(), self.slots.limit());
        let mut state = self.lock();
        let surplus = (held + state.idle.len()).saturating_sub(limit).min(state.idle.len());
        links(state.idle.drain(..surplus))
    }

    /// What nobody has used since then.
    pub(super) fn idle_since(&self, since: Instant) -> Vec<L> {
        links(self.lock().idle.extract_if(.., |idle| idle.since <= since))
    }

    /// The mailbox is gone: nothing is kept from now on.
    pub(super) fn retire(&self) -> Vec<L> {
        let mut state = self.lock();
        state.generation = None;
        links(state.idle.drain(..))
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many connections sessions may hold: one is the daemon's own, and one more watches
/// folders for those who gave theirs up, where the host allows enough for that. A host that
/// allows a single one gets two from us now and then, and refuses the second for a while.
fn cap(target: &Target) -> usize {
    let ours = if watches(target) { 2 } else { 1 };
    usize::from(target.max_connections.saturating_sub(ours)).max(1)
}

/// Whether one of the mailbox's connections is kept for watching folders: of fewer than
/// four, sessions have more if they hold them themselves.
pub(super) fn watches(target: &Target) -> bool {
    target.max_connections >= 4
}

fn links<L>(idle: impl Iterator<Item = Idle<L>>) -> Vec<L> {
    idle.map(|idle| idle.link).collect()
}
