//! What `mandate status` shows of a running daemon, and of none.

use std::sync::Arc;

use super::listeners::Addresses;
use super::parts::Parts;
use super::sessions::Sessions;
use crate::admin::{Count, Status, StatusSource};
use crate::telemetry::Counters;
use crate::types::Timestamp;

pub(super) struct Running {
    started: Timestamp,
    addresses: Addresses,
    sessions: Sessions,
    counters: Arc<Counters>,
}

impl Running {
    pub(super) fn new(addresses: &Addresses, sessions: &Sessions, parts: &Parts) -> Self {
        Self {
            started: parts.started,
            addresses: addresses.clone(),
            sessions: sessions.clone(),
            counters: Arc::clone(&parts.counters),
        }
    }
}

impl StatusSource for Running {
    fn report(&self, status: &mut Status) {
        status.running = true;
        status.started = Some(self.started);
        let Addresses { imap, submission } = &self.addresses;
        for (service, addresses) in [("imap", imap), ("submission", submission)] {
            status.listening.insert(service.into(), addresses.iter().map(ToString::to_string).collect());
        }
        status.sessions.push(Count { name: "open".into(), count: self.sessions.open() });
        let counters = self.counters.snapshot().into_iter().filter(|(_, count)| *count > 0);
        status.counters.extend(counters.map(|(name, count)| Count { name: name.into(), count }));
    }
}

/// No daemon: the command line looks at the store itself.
pub(super) struct Offline;

impl StatusSource for Offline {
    fn report(&self, status: &mut Status) {
        status.running = false;
    }
}
