//! Connections shared by all who may have one: a cap, a fair queue, a shelf of idle ones.
//!
//! A host allows so many connections for an account, and counts those that nobody uses
//! too. Of `max_connections`, one is the daemon's own (folder catalogue, filing), one
//! watches folders for sessions that gave theirs up, and the rest are leased to sessions,
//! first come, first served, no more than a share to each [`Party`]; some of what they leave
//! free serves longer work ([`Pools::working_lease`]). Whoever holds nothing [`Settings::wait`]; nobody waits without limit.

mod shelf;
mod slots;
use std::collections::HashMap;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::connect::Connector;
use super::error::{ConnectError, LeaseError};
use super::target::{EnabledSet, Target};
use crate::types::MailboxId;
use shelf::{Idle, Own, Shelf};
use slots::Slot;

pub use slots::{Party, Pause};

/// What makes connections and tells whether one is still good. Real hosts: [`Connector`].
pub trait Host: Send + Sync + 'static {
    type Link: Send + 'static;

    /// Dials, logs in, and switches on what `enabled` says.
    fn connect(
        &self,
        target: &Target,
        enabled: EnabledSet,
    ) -> impl Future<Output = Result<Self::Link, ConnectError>> + Send;

    /// Whether an idle connection still answers.
    fn is_alive(&self, link: &mut Self::Link) -> impl Future<Output = bool> + Send;

    /// Brings a used connection back to "nothing selected"; `false` if there is any doubt.
    fn release(&self, link: &mut Self::Link) -> impl Future<Output = bool> + Send;

    /// Ends it so that the host has stopped counting it on return, if it is quick.
    fn close(&self, link: Self::Link) -> impl Future<Output = ()> + Send;
}

/// The pool's limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest wait for a connection that others hold: 2 s, well below what clients wait
    /// for SELECT before they show an error.
    pub wait: Duration,
    /// Idle connections kept per mailbox: 2. They serve the next click without a login,
    /// but the host counts them against people who connect to it directly.
    pub idle: usize,
    /// How long an idle connection is kept: 60 s; hosts log out silent ones after 30 min,
    /// NATs forget them after a few.
    pub idle_for: Duration,
    /// How long a host that refused us one more connection is believed: 60 s.
    pub lowered_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(2),
            idle: 2,
            idle_for: Duration::from_secs(60),
            lowered_for: Duration::from_secs(60),
        }
    }
}

/// Every mailbox's connections.
pub struct Pools<H: Host = Connector> {
    host: H,
    settings: Settings,
    shelves: Mutex<HashMap<MailboxId, Arc<Shelf<H::Link>>>>,
}

impl<H: Host> Pools<H> {
    pub fn new(host: H, settings: Settings) -> Arc<Self> {
        Arc::new(Self { host, settings, shelves: Mutex::default() })
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    /// A connection for a session, with exactly `enabled` switched on.
    ///
    /// Waits for others at most [`Settings::wait`], and for others and the host together
    /// at most until `deadline`. Who offers a lease (see [`Lease::offer`]) is asked for it.
    pub async fn lease(
        self: &Arc<Self>,
        target: &Target,
        enabled: EnabledSet,
        party: Party,
        deadline: Instant,
    ) -> Result<Lease<H>, LeaseError> {
        let shelf = self.shelf(target);
        let patience = deadline.min(Instant::now() + self.settings.wait);
        loop {
            let slot = shelf.slots.acquire(party, patience).await.ok_or(LeaseError::Full)?;
            let link = within(deadline, self.obtain(&shelf, target, enabled)).await;
            match link {
                Ok(link) => {
                    let place = Place::Session { enabled, slot };
                    return Ok(self.lend(link, shelf, target, place));
                }
                Err(ConnectError::Limit(words)) => {
                    let others = shelf.slots.held() - 1;
                    let error = ConnectError::Limit(words);
                    tracing::warn!(mailbox = %target.mailbox, in_use = others, %error, "host is full");
                    if others == 0 {
                        return Err(LeaseError::Full);
                    }
                    shelf.slots.lower(others, Instant::now() + self.settings.lowered_for);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The daemon's own connection to this mailbox, for the folder catalogue, filing and
    /// marking: one per mailbox, never counted among the sessions' ones.
    pub async fn housekeeping_lease(
        self: &Arc<Self>,
        target: &Target,
        deadline: Instant,
    ) -> Result<Lease<H>, LeaseError> {
        let shelf = self.shelf(target);
        let own = tokio::time::timeout_at(deadline, shelf.own.clone().lock_owned()).await;
        let mut own = own.map_err(|_| LeaseError::Full)?;
        let link = within(deadline, self.obtain_own(&mut own, target)).await?;
        Ok(self.lend(link, shelf, target, Place::Own(own)))
    }

    /// A connection for what takes long (filing, taking flags off copies): a session's place
    /// that is free at this moment, with one more beside it, so that folders and counts are
    /// answered meanwhile over the daemon's own. That one where no place is free, or where the
    /// host does not let us in once more.
    pub async fn working_lease(
        self: &Arc<Self>,
        target: &Target,
        party: Party,
        deadline: Instant,
    ) -> Result<Lease<H>, LeaseError> {
        let (shelf, enabled, now) = (self.shelf(target), EnabledSet::Plain, Instant::now());
        if let Some(slot) = shelf.slots.spare(party) {
            // The other half is for the daemon's own.
            let half = now + deadline.saturating_duration_since(now) / 2;
            match within(half, self.obtain(&shelf, target, enabled)).await {
                Ok(link) => return Ok(self.lend(link, shelf, target, Place::Session { enabled, slot })),
                Err(error) if error.is_passing() => {
                    tracing::info!(mailbox = %target.mailbox, %error, "work goes on over the daemon's own connection");
                    shelf.slots.spare_none(Instant::now() + self.settings.lowered_for);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.housekeeping_lease(target, deadline).await
    }

    /// A connection for a look that somebody waits for: an idle one in a place as above, or the
    /// daemon's own. Nobody waits for a login while one of them is there.
    pub async fn looking_lease(
        self: &Arc<Self>,
        target: &Target,
        deadline: Instant,
    ) -> Result<Lease<H>, LeaseError> {
        let (shelf, enabled) = (self.shelf(target), EnabledSet::Plain);
        if let Some(slot) = shelf.slots.spare(Party::DAEMON)
            && let Some(link) = self.idle(&shelf, target, enabled).await
        {
            return Ok(self.lend(link, shelf, target, Place::Session { enabled, slot }));
        }
        self.housekeeping_lease(target, deadline).await
    }

    /// The connection that watches folders for parked sessions: one per mailbox, never counted
    /// among the sessions' ones. `None` where the host allows too few for that.
    pub async fn watching_lease(
        self: &Arc<Self>,
        target: &Target,
        enabled: EnabledSet,
        deadline: Instant,
    ) -> Result<Option<Lease<H>>, LeaseError> {
        if !shelf::watches(target) {
            return Ok(None);
        }
        let shelf = self.shelf(target);
        let place = tokio::time::timeout_at(deadline, shelf.watching.clone().lock_owned()).await;
        let place = Place::Watch { _place: place.map_err(|_| LeaseError::Full)? };
        let link = within(deadline, self.host.connect(target, enabled)).await?;
        Ok(Some(self.lend(link, shelf, target, place)))
    }

    /// The mailbox is gone: its idle connections are closed, leased ones never kept.
    pub async fn forget(&self, mailbox: MailboxId) {
        let shelf = self.shelves.lock().unwrap_or_else(PoisonError::into_inner).remove(&mailbox);
        let Some(shelf) = shelf else { return };
        self.close_all(shelf.retire()).await;
        if let Ok(mut own) = shelf.own.try_lock() {
            self.close_all(own.take().map(|idle| idle.link)).await;
        }
    }

    /// Closes what has been idle too long. To be called every few seconds.
    pub async fn tidy(&self) {
        let shelves: Vec<_> =
            self.shelves.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for shelf in shelves {
            let old = Instant::now().checked_sub(self.settings.idle_for);
            let Some(old) = old else { return };
            self.close_all(shelf.idle_since(old)).await;
            if let Ok(mut own) = shelf.own.try_lock()
                && own.as_ref().is_some_and(|idle| idle.since <= old)
            {
                self.close_all(own.take().map(|idle| idle.link)).await;
            }
        }
    }

    /// The mailbox's shelf, brought up to the target's generation and cap.
    fn shelf(&self, target: &Target) -> Arc<Shelf<H::Link>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.entry(target.mailbox).or_insert_with(|| Shelf::new(target)).clone();
        drop(shelves);
        shelf.adopt(target);
        shelf
    }

    /// An idle connection that still answers, or a new one.
    async fn obtain(
        &self,
        shelf: &Shelf<H::Link>,
        target: &Target,
        enabled: EnabledSet,
    ) -> Result<H::Link, ConnectError> {
        self.close_all(shelf.outdated()).await;
        if let Some(link) = self.idle(shelf, target, enabled).await {
            return Ok(link);
        }
        self.close_all(shelf.surplus()).await;
        self.host.connect(target, enabled).await
    }

    /// An idle connection that still answers.
    async fn idle(&self, shelf: &Shelf<H::Link>, target: &Target, enabled: EnabledSet) -> Option<H::Link> {
        while let Some(mut link) = shelf.take(target.generation, enabled) {
            if self.host.is_alive(&mut link).await {
                return Some(link);
            }
        }
        None
    }

    async fn obtain_own(&self, own: &mut Own<H::Link>, target: &Target) -> Result<H::Link, ConnectError> {
        if let Some(mut idle) = own.take() {
            if idle.generation == target.generation && self.host.is_alive(&mut idle.link).await {
                return Ok(idle.link);
            }
            self.host.close(idle.link).await;
        }
        self.host.connect(target, EnabledSet::Plain).await
    }

    fn lend(
        self: &Arc<Self>,
        link: H::Link,
        shelf: Arc<Shelf<H::Link>>,
        target: &Target,
        place: Place<H::Link>,
    ) -> Lease<H> {
        let Target { mailbox, generation, .. } = *target;
        Lease { link: Some(link), mailbox, pools: self.clone(), shelf, generation, place }
    }

    async fn close_all(&self, links: impl IntoIterator<Item = H::Link>) {
        for link in links {
            self.host.close(link).await;
        }
    }
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(ConnectError::Slow("connecting")))
}

/// One connection, for as long as this value lives.
///
/// [`Lease::give_back`] hands it on; dropping it closes it, in whatever state it is.
pub struct Lease<H: Host = Connector> {
    link: Option<H::Link>,
    mailbox: MailboxId,
    pools: Arc<Pools<H>>,
    shelf: Arc<Shelf<H::Link>>,
    generation: u64,
    place: Place<H::Link>,
}

/// What a lease occupies, freed on drop.
enum Place<L> {
    Session {
        enabled: EnabledSet,
        slot: Slot,
    },
    Own(OwnedMutexGuard<Own<L>>),
    /// Never kept: it is closed when nobody needs watching any more.
    Watch {
        _place: OwnedMutexGuard<()>,
    },
}

impl<H: Host> Lease<H> {
    /// Whose account the connection is logged in to.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Returns the connection for others to use, if it is beyond doubt that it is as good
    /// as new: UNSELECT answered OK, and no octet left over. It is closed otherwise.
    pub async fn give_back(mut self) {
        let Some(mut link) = self.link.take() else { return };
        if !self.pools.host.release(&mut link).await {
            return;
        }
        let (generation, since) = (self.generation, Instant::now());
        match &mut self.place {
            Place::Session { enabled, .. } => {
                let idle = Idle { link, generation, enabled: *enabled, since };
                let surplus = self.shelf.put(idle, self.pools.settings.idle);
                self.pools.close_all(surplus).await;
            }
            Place::Own(own) => **own = Some(Idle { link, generation, enabled: EnabledSet::Plain, since }),
            Place::Watch { .. } => self.pools.host.close(link).await,
        }
    }

    /// Whether it is the daemon's own, which others wait for.
    pub fn is_own(&self) -> bool {
        match self.place {
            Place::Own(_) => true,
            Place::Session { .. } | Place::Watch { .. } => false,
        }
    }

    /// The [`Target::generation`] that it was made for.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The holder could do without it for now: [`Lease::wanted`] says when it should.
    pub fn offer(&self, pause: Pause) {
        if let Place::Session { slot, .. } = &self.place {
            slot.offer(pause);
        }
    }

    /// The holder needs it again.
    pub fn keep(&self) {
        if let Place::Session { slot, .. } = &self.place {
            slot.keep();
        }
    }

    /// Resolves once somebody else waits for this lease, which was offered. Cancel-safe, and
    /// nothing of the lease is borrowed meanwhile.
    pub fn wanted(&self) -> impl Future<Output = ()> + Send + use<H> {
        let wanted = match &self.place {
            Place::Session { slot, .. } => Some(slot.wanted()),
            Place::Own(_) | Place::Watch { .. } => None,
        };
        async move {
            match wanted {
                Some(wanted) => wanted.await,
                None => std::future::pending().await,
            }
        }
    }
}

impl<H: Host> Deref for Lease<H> {
    type Target = H::Link;

    fn deref(&self) -> &H::Link {
        // NOTE(unwrap): only `give_back` takes it, and consumes the lease.
        self.link.as_ref().expect("a lease holds its connection")
    }
}

impl<H: Host> DerefMut for Lease<H> {
    fn deref_mut(&mut self) -> &mut H::Link {
        // NOTE(unwrap): only `give_back` takes it, and consumes the lease.
        self.link.as_mut().expect("a lease holds its connection")
    }
}

#[cfg(test)]
mod tests;
