//! From an endpoint to a secured connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::error::ConnectError;
use crate::net::{DialError, Dialer, Wire};
use crate::types::Endpoint;

/// `[upstream]`: how long a mail host may take.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectSettings {
    /// Seconds from the greeting to the end of the login. Default 15: hosts delay failed
    /// logins by 2 to 15 s, and the client's own patience ends at about 30.
    pub login_seconds: u64,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self { login_seconds: 15 }
    }
}

/// Makes logged-in connections to mail hosts. One for the whole daemon.
#[derive(Clone)]
pub struct Connector {
    dialer: Arc<Dialer>,
    settings: ConnectSettings,
}

impl Connector {
    pub fn new(dialer: Arc<Dialer>, settings: ConnectSettings) -> Self {
        Self { dialer, settings }
    }

    /// Connected; with TLS if it is implicit.
    pub(super) async fn dial(&self, endpoint: &Endpoint) -> Result<Wire, ConnectError> {
        Ok(self.dialer.dial(endpoint).await?)
    }

    /// TLS after STARTTLS. Whatever the host said too early ends the connection.
    pub(super) async fn secure(&self, wire: Wire, endpoint: &Endpoint) -> Result<Wire, ConnectError> {
        Ok(self.dialer.upgrade(wire, endpoint).await?)
    }

    /// Whether the host is on loopback or in a network that the configuration names.
    pub(super) fn is_near(&self, host: Option<SocketAddr>) -> bool {
        host.is_some_and(|host| self.dialer.may_be_plaintext(host.ip()))
    }

    /// When a login that begins now must be done.
    pub(super) fn login_deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.settings.login_seconds)
    }
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(_) | DialError::NoAddress | DialError::Connect { .. } => {
                Self::Unreachable(error.to_string())
            }
            DialError::Deadline => Self::Slow("connecting"),
            DialError::PlaintextForbidden(_) => Self::PlaintextForbidden,
            DialError::ServerName
            | DialError::Trust(_)
            | DialError::Handshake(_)
            | DialError::InputBeforeTls => Self::Tls(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::upstream::testing;

    #[tokio::test]
    async fn only_loopback_is_near_by_itself() {
        let connector = testing::connector();
        for (peer, near) in [("127.0.0.1:25", true), ("[::1]:25", true), ("192.0.2.1:25", false)] {
            assert_eq!(connector.is_near(Some(peer.parse().unwrap())), near, "{peer}");
        }
        assert!(!connector.is_near(None));
    }
}
