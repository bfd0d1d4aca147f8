//! What can end a session from outside: a changed grant, its end date, a drain.
//!
//! A session waits for its client or for upstream only together with [`Watch::lost`]: so a
//! withdrawn right acts at once, wherever the session is (invariant 13).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::ended::Ended;
use crate::net::Draining;
use crate::policy::{Effective, SendRight};
use crate::proxy::clock;
use crate::store::Store;
use crate::types::{MailboxId, UserId};

/// A far end of a grant is looked at again every day: timers have a range, grants do not.
const FAR: u64 = 86_400_000;

/// A session's eyes on the outside.
pub(super) struct Watch {
    store: Store,
    changes: watch::Receiver<u64>,
    drain: Draining,
    user: UserId,
    /// What the session may do in the mailbox that it is, or is sending as.
    held: Option<Arc<Effective>>,
    /// A message is under way: a drain waits for it.
    busy: bool,
}

impl Watch {
    /// `changes` was subscribed to before the login was verified, so that nothing is missed.
    pub(super) fn new(store: Store, changes: watch::Receiver<u64>, drain: Draining, user: UserId) -> Self {
        Self { store, changes, drain, user, held: None, busy: false }
    }

    /// From here on the session rests on what the user holds in this mailbox.
    ///
    /// # Errors
    /// [`Ended::Revoked`] if the user holds nothing there.
    pub(super) fn hold(&mut self, mailbox: MailboxId) -> Result<Arc<Effective>, Ended> {
        let effective = self.store.snapshot().effective(self.user, mailbox, clock::now());
        let effective = Arc::new(effective.ok_or(Ended::Revoked)?);
        self.held = Some(Arc::clone(&effective));
        Ok(effective)
    }

    /// What the user holds in the mailbox at this moment.
    ///
    /// # Errors
    /// As [`Watch::refresh`].
    pub(super) fn effective(&mut self) -> Result<Option<Arc<Effective>>, Ended> {
        let stale =
            self.held.as_ref().and_then(|held| held.good_until).is_some_and(|end| end <= clock::now());
        if stale || self.changes.has_changed().unwrap_or(true) {
            self.refresh()?;
        }
        Ok(self.held.clone())
    }

    /// What the session rested on at the last look.
    pub(super) fn held(&self) -> Option<&Effective> {
        self.held.as_deref()
    }

    /// A personal login between two messages rests on no mailbox.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }

    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Takes in what has changed since the last look.
    ///
    /// # Errors
    /// [`Ended::Revoked`] if the user is disabled or gone, the mailbox is lost, or a right
    /// to send that was there is no more.
    pub(super) fn refresh(&mut self) -> Result<(), Ended> {
        self.changes.mark_unchanged();
        let snapshot = self.store.snapshot();
        if snapshot.user(self.user).is_none_or(|user| user.disabled) {
            return Err(Ended::Revoked);
        }
        let Some(held) = &self.held else { return Ok(()) };
        let now = snapshot.effective(self.user, held.mailbox, clock::now()).ok_or(Ended::Revoked)?;
        if now.send() == SendRight::None && held.send() != SendRight::None {
            return Err(Ended::Revoked);
        }
        self.held = Some(Arc::new(now));
        Ok(())
    }

    /// Resolves when the session must end.
    pub(super) async fn lost(&mut self) -> Ended {
        loop {
            let end = self.held.as_ref().and_then(|held| held.good_until);
            let end = end.map(|end| clock::now().millis_until(end));
            tokio::select! {
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return Ended::Draining;
                    }
                }
                () = grant_end(end) => {}
                () = self.drain.requested(), if !self.busy => return Ended::Draining,
            }
            if let Err(ended) = self.refresh() {
                return ended;
            }
        }
    }

    /// Waits for `work`, unless the session must end first, or `seconds` pass: `slow` then.
    pub(super) async fn unless_lost<T>(
        &mut self,
        seconds: u64,
        slow: Ended,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        let work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = work => Ok(done),
            ended = self.lost() => Err(ended),
            () = sleep(Duration::from_secs(seconds)) => Err(slow),
        }
    }
}

/// Sleeps until a grant starts or ends; for ever where none does.
async fn grant_end(millis: Option<u64>) {
    match millis {
        Some(millis) => sleep(Duration::from_millis(millis.min(FAR))).await,
        None => std::future::pending().await,
    }
}
