//! Getting an upstream connection for a session, and what the client hears if there is none.

use std::time::Duration;

use tokio::time::Instant;

use super::ended::Ended;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::Tag;
use crate::imap::filter;
use crate::imap::reply::{self, Outcome};
use crate::store::StoreError;
use crate::upstream::{EnabledSet, LeaseError, Party, Target};

/// Longest time for a connection and a login upstream; clients give up after 30 to 60 s.
pub(super) const CONNECT: Duration = Duration::from_secs(20);

impl Session {
    /// What is needed to reach the host of the mailbox in focus.
    pub(super) fn target(&self) -> Result<Target, StoreError> {
        self.services.target(self.watch.mailbox(), self.password.as_ref())
    }

    /// Sees to it that the session has a connection. Answers the client with a temporary NO
    /// and returns `false` if it cannot be had.
    pub(super) async fn lease(&mut self, tag: &Tag, wanted: EnabledSet) -> Result<bool, Ended> {
        if self.lease.is_some() {
            return Ok(true);
        }
        let target = match self.target() {
            Ok(target) => target,
            Err(error) => {
                tracing::error!(%error, "the mailbox's credential cannot be used");
                self.unavailable(tag);
                return Ok(false);
            }
        };
        let party = Party(self.watch.effective().user.0);
        let lease = self.services.pools.lease(&target, wanted, party, Instant::now() + CONNECT);
        match Box::pin(self.watch.unless_lost(Waiting::Upstream, lease)).await? {
            Ok(mut lease) => {
                if let Some(alert) = lease.take_alert() {
                    filter::alert(self.client.wire.out(), alert.as_bytes());
                }
                self.lease = Some(lease);
            }
            Err(error) => {
                tracing::warn!(%error, "no upstream connection");
                match error {
                    LeaseError::Full => self.full(tag),
                    LeaseError::Connect(_) | LeaseError::Command(_) => self.unavailable(tag),
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves the open folder without removing anything, and returns the connection.
    pub(super) async fn leave(&mut self) -> Result<(), Ended> {
        self.selected = None;
        self.watch.select(None);
        self.release().await
    }

    /// Returns the connection; one whose state differs from its pool's is closed instead.
    pub(super) async fn release(&mut self) -> Result<(), Ended> {
        let tainted = std::mem::take(&mut self.tainted);
        let Some(lease) = self.lease.take().filter(|_| !tainted) else { return Ok(()) };
        Box::pin(self.watch.unless_lost(Waiting::Upstream, lease.give_back())).await
    }

    /// The command makes its connection send mod-sequences for good (RFC 7162 §3.1): the
    /// session sees them from here on, and the connection serves nobody else afterwards.
    pub(super) fn condstore_used(&mut self) {
        let Some(lease) = &self.lease else { return };
        if lease.capabilities().has_condstore() && !self.condstore {
            self.condstore = true;
            self.tainted |= lease.enabled() == EnabledSet::Plain;
        }
    }

    /// Upstream cannot be reached: temporary, and the session goes on.
    pub(super) fn unavailable(&mut self, tag: &Tag) {
        let text = format!(
            "The mail host of {} cannot be reached; please try again later",
            self.watch.effective().address
        );
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "UNAVAILABLE", &text);
    }

    fn full(&mut self, tag: &Tag) {
        let text = format!(
            "Too many folders of {} are open at once; please close some, or ask your administrator to raise the limit",
            self.watch.effective().address
        );
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "UNAVAILABLE", &text);
    }
}
