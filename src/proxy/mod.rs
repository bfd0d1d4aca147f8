//! Where a machine meets a socket and a policy: sessions, from accept to their end. Layer 5.
//!
//! [`serve`] is the promise in one place: a connection is accepted within limits, secured,
//! its user authenticated, what they may do resolved, upstream connected, and everything
//! that follows goes command by command through `policy::decide`.

mod clock;
pub mod imap;
pub mod outbox;
pub mod smtp;
mod targets;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Instrument as _;

pub use targets::Targets;

use crate::net::{Acceptor, Draining, Incoming, Wire};
use crate::telemetry::{Counter, Counters, SessionId};

/// Who came, and by which number the log and the journal know them.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: IpAddr,
    pub session: SessionId,
}

/// A listener's door: how its connections are secured, and what they come for.
#[derive(Clone)]
pub struct Door {
    pub acceptor: Acceptor,
    pub service: Service,
    pub counters: Arc<Counters>,
}

/// What a door leads to.
#[derive(Clone)]
pub enum Service {
    Imap(Arc<imap::Services>),
    Submission(Arc<smtp::Services>),
}

/// One client's connection, from accept to its end.
pub async fn serve(incoming: Incoming, door: Door, draining: Draining) {
    let Incoming { tcp, peer, admission } = incoming;
    let peer = Peer { address: peer.ip().to_canonical(), session: next_session() };
    let span = tracing::info_span!("session", id = %peer.session, rip = %peer.address);
    async {
        // accepted → secured
        let stream = match Box::pin(door.acceptor.accept(tcp)).await {
            Ok(stream) => stream,
            Err(error) => {
                door.counters.count(Counter::TlsFailures);
                tracing::debug!(%error, "no TLS");
                return;
            }
        };
        let wire = Wire::new(stream);
        // secured → authenticated → resolved → connected → relayed
        match door.service {
            Service::Imap(services) => imap::serve(wire, peer, admission, draining, services).await,
            Service::Submission(services) => smtp::serve(wire, peer, admission, draining, services).await,
        }
    }
    .instrument(span)
    .await;
}

/// Numbers sessions for as long as the daemon runs.
fn next_session() -> SessionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
}
