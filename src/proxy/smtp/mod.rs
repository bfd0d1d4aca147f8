//! A submission session, from the greeting to its end (RFC 6409).
//!
//! [`log_in`](login) → for each message: MAIL bound to a mailbox and permitted, recipients
//! answered by upstream ([`transaction`]), the header read and decided upon, the body passed
//! ([`message`]), the act recorded ([`record`]). [`watch`] ends it when the right is gone.

mod client;
mod ended;
mod host;
mod limits;
mod login;
mod message;
mod own;
mod parents;
mod record;
mod senders;
mod sent;
mod session;
mod stream;
mod transaction;
mod watch;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::client::Client;
use self::ended::Ended;
pub use self::own::OwnHostSettings;
pub use self::parents::{Finding, Found, Parents, Unknown};
use self::session::Session;
use super::Peer;
use super::outbox::Outbox;
use crate::auth::Authenticator;
use crate::net::{Admission, Draining, Gate, Wire};
use crate::smtp::session::Limits;
use crate::store::{OwnLogin, Store};
use crate::telemetry::{Counter, Counters, Journal};
use crate::upstream::Connector;

/// `[submission]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The name in our greeting, in EHLO upstream and in Received; a domain name.
    pub host_name: String,
    pub limits: Limits,
    pub own: OwnHostSettings,
    /// Said to clients before upstream is known; where upstream cannot, the message is
    /// refused. Default true: every host of today can.
    pub eight_bit_mime: bool,
    /// The same for SMTPUTF8 (RFC 6531). Default false: where it is offered, clients use it.
    pub smtp_utf8: bool,
    /// The same for DSN (RFC 3461). Default true; where upstream cannot, its parameters are left out.
    pub dsn: bool,
    /// Seconds from the greeting to a login. Default 60.
    pub login_seconds: u64,
    /// Seconds without a command. Default 300 (RFC 5321 §4.5.3.2.7).
    pub command_seconds: u64,
    /// Seconds without an octet of a message. Default 180 (RFC 5321 §4.5.3.2.5).
    pub data_seconds: u64,
    /// Seconds in which a client or upstream must take what is written. Default 60.
    pub write_seconds: u64,
    /// Seconds for upstream's answer to a command. Default 300 (RFC 5321 §4.5.3.2.2).
    pub upstream_seconds: u64,
    /// Seconds for upstream's answer to a message. Default 600 (RFC 5321 §4.5.3.2.6).
    pub accept_seconds: u64,
    /// The same once the client has gone: its message is on its way, and the journal waits
    /// for the outcome. Default 60.
    pub orphan_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host_name: "localhost".to_owned(),
            limits: Limits::default(),
            own: OwnHostSettings::default(),
            eight_bit_mime: true,
            smtp_utf8: false,
            dsn: true,
            login_seconds: 60,
            command_seconds: 300,
            data_seconds: 180,
            write_seconds: 60,
            upstream_seconds: 300,
            accept_seconds: 600,
            orphan_seconds: 60,
        }
    }
}

/// What all submission sessions share.
pub struct Services {
    pub settings: Settings,
    pub store: Store,
    pub authenticator: Arc<Authenticator>,
    pub connector: Connector,
    pub outbox: Arc<Outbox>,
    pub journal: Journal,
    pub counters: Arc<Counters>,
    /// What a message answers.
    pub parents: Arc<dyn Parents>,
    /// Counts each user's sessions.
    pub gate: Arc<Gate>,
}

/// Serves one connection, secured already, to its end.
pub async fn serve(wire: Wire, peer: Peer, admission: Admission, drain: Draining, services: Arc<Services>) {
    let mut client = Client::new(wire);
    let ended = converse(&mut client, peer, admission, drain, &services).await;
    services.counters.count(Counter::SessionsEnded);
    tracing::info!(session = %peer.session, "submission session ended: {ended}");
    if matches!(ended, Ended::Revoked | Ended::Cut) {
        services.counters.count(Counter::SessionsRevoked);
    }
    client.close(ended, services.settings.write_seconds).await;
}

async fn converse(
    client: &mut Client,
    peer: Peer,
    mut admission: Admission,
    drain: Draining,
    services: &Arc<Services>,
) -> Ended {
    let logged_in = match login::log_in(client, peer, drain, services).await {
        Ok(logged_in) => logged_in,
        Err(ended) => return ended,
    };
    admission.authenticated();
    let Ok(_place) = services.gate.admit_user(logged_in.user) else { return Ended::TooMany };
    Session::new(services, client, peer, logged_in).run().await
}
