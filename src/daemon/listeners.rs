//! Listening addresses: bound, published for scripts and tests, accepted from.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::DaemonError;
use super::parts::Parts;
use super::sessions::Sessions;
use crate::config::Config;
use crate::net::{BindError, Listener};
use crate::proxy::{self, Door};
use crate::telemetry::Counter;

/// The file in the state directory that says where we listen; there while we do.
const FILE: &str = "listening";

/// Where each service listens, with the ports that the system chose.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Addresses {
    pub imap: Vec<SocketAddr>,
    pub submission: Vec<SocketAddr>,
}

pub(super) struct Listening {
    addresses: Addresses,
}

impl Listening {
    /// Binds all addresses, then accepts from them: half of them would be no service.
    pub(super) fn start(config: &Config, parts: &Parts, sessions: &Sessions) -> Result<Self, DaemonError> {
        let imap = bind(&config.imap.listen, parts)?;
        let submission = bind(&config.submission.listen, parts)?;
        if imap.is_empty() && submission.is_empty() {
            return Err(DaemonError::NothingListens);
        }
        let addresses = Addresses {
            imap: imap.iter().map(Listener::address).collect(),
            submission: submission.iter().map(Listener::address).collect(),
        };
        for (service, door, listeners) in [
            ("imap", parts.imap(&sessions.draining())?, imap),
            ("submission", parts.submission()?, submission),
        ] {
            for listener in listeners {
                tracing::info!(service, address = %listener.address(), "listening");
                tokio::spawn(accept(listener, door.clone(), sessions.clone()));
            }
        }
        Ok(Self { addresses })
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Writes the addresses to the state directory, whole or not at all.
    pub(super) fn publish(&self, directory: &Path) -> Result<(), DaemonError> {
        let (file, fresh) = (directory.join(FILE), directory.join("listening.new"));
        let fault = |error: io::Error| DaemonError::File(file.clone(), error);
        let text = serde_json::to_vec(&self.addresses).map_err(|error| fault(error.into()))?;
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &file)).map_err(fault)
    }

    pub(super) fn retract(&self, directory: &Path) {
        if let Err(error) = fs::remove_file(directory.join(FILE)) {
            tracing::debug!(%error, "the list of addresses could not be removed");
        }
    }
}

/// A host without IPv6 (or IPv4) still serves the other: the defaults name both.
fn bind(addresses: &[SocketAddr], parts: &Parts) -> Result<Vec<Listener>, DaemonError> {
    let mut listeners = Vec::new();
    for address in addresses {
        match Listener::bind(*address, Arc::clone(&parts.gate)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.ip().is_unspecified() && family_is_missing(&error) => {
                tracing::warn!(%error, "this host lacks the address family; going on without");
            }
            Err(error) => return Err(DaemonError::Bind(error)),
        }
    }
    Ok(listeners)
}

fn family_is_missing(error: &BindError) -> bool {
    /// Linux on every architecture, asm-generic/errno.h.
    const EAFNOSUPPORT: i32 = 97;
    error.source.raw_os_error() == Some(EAFNOSUPPORT)
        || error.source.kind() == io::ErrorKind::AddrNotAvailable
}

/// Starts a session for every connection, until the daemon drains.
async fn accept(listener: Listener, door: Door, sessions: Sessions) {
    let mut draining = sessions.draining();
    loop {
        let incoming = tokio::select! {
            incoming = listener.accept() => incoming,
            () = draining.requested() => return,
        };
        door.counters.count(Counter::Connections);
        sessions.start(proxy::serve(incoming, door.clone(), sessions.draining()));
    }
}
