//! Dialling a mail host.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::listener::tune;
use super::stream::Stream;
use super::tls::{Connectors, TlsError};
use super::wire::Wire;
use crate::types::{Endpoint, Network, Security};

/// `[dial]`: how mail hosts are reached.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialSettings {
    /// Seconds for name, connection and TLS handshake together. Default 10: clients wait
    /// 20 to 60 s for a login, and the host needs its share.
    pub connect_seconds: u64,
    /// Networks besides loopback to which mail and passwords may go unencrypted. Default none.
    pub plaintext_networks: Vec<Network>,
}

impl Default for DialSettings {
    fn default() -> Self {
        Self { connect_seconds: 10, plaintext_networks: Vec::new() }
    }
}

/// Why a host was not reached.
#[derive(Debug)]
pub enum DialError {
    Resolve(io::Error),
    /// The name has no address.
    NoAddress,
    /// Every address failed; this is the last one's error.
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    Deadline,
    /// `security = "plaintext"` and the address is neither loopback nor in
    /// `plaintext_networks`.
    PlaintextForbidden(IpAddr),
    /// No certificate can be issued for such a name.
    ServerName,
    /// Our own trust settings are of no use.
    Trust(TlsError),
    /// The host's certificate was not accepted, or the handshake failed.
    Handshake(io::Error),
    /// The host sent octets ahead of the handshake: an attack, or a broken host.
    InputBeforeTls,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(source) => write!(f, "name not resolved: {source}"),
            Self::NoAddress => f.write_str("the name has no address"),
            Self::Connect { address, source } => write!(f, "{address}: {source}"),
            Self::Deadline => f.write_str("no connection in time"),
            Self::PlaintextForbidden(address) => {
                write!(f, "{address} is neither loopback nor in plaintext_networks, and TLS is off")
            }
            Self::ServerName => f.write_str("not a host name"),
            Self::Trust(source) => source.fmt(f),
            Self::Handshake(source) => write!(f, "TLS handshake: {source}"),
            Self::InputBeforeTls => f.write_str("the host sent data ahead of the TLS handshake"),
        }
    }
}

impl std::error::Error for DialError {}

/// Connects to mail hosts. One for the whole daemon; it keeps TLS sessions for resumption.
pub struct Dialer {
    settings: DialSettings,
    connectors: Connectors,
}

impl Dialer {
    pub fn new(settings: DialSettings) -> Self {
        Self { settings, connectors: Connectors::default() }
    }

    /// Reads root certificates and `ca_file`s again at the next connection.
    pub fn forget_roots(&self) {
        self.connectors.forget();
    }

    /// Connects, as the endpoint says: with TLS for [`Security::Implicit`], without for
    /// [`Security::Plaintext`] (permitted networks only) and [`Security::StartTls`], which
    /// the caller must [`upgrade`](Self::upgrade) before any credential goes over it.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Wire, DialError> {
        let deadline = self.deadline();
        let dialled = timeout_at(deadline, self.dial_by(endpoint, deadline));
        Box::pin(dialled).await.unwrap_or(Err(DialError::Deadline))
    }

    /// TLS on a connection that spoke STARTTLS. The wire must be between two commands:
    /// whatever it has read ahead ends the connection.
    pub async fn upgrade(&self, wire: Wire, endpoint: &Endpoint) -> Result<Wire, DialError> {
        let Some(Stream::Plain(tcp)) = wire.into_stream() else {
            return Err(DialError::InputBeforeTls);
        };
        let secured = timeout_at(self.deadline(), self.secure(tcp, endpoint));
        Box::pin(secured).await.unwrap_or(Err(DialError::Deadline))
    }

    async fn dial_by(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Wire, DialError> {
        let addresses = resolve(endpoint).await?;
        let tcp = self.connect(endpoint, &addresses, deadline).await?;
        match endpoint.security {
            Security::Implicit => self.secure(tcp, endpoint).await,
            Security::StartTls | Security::Plaintext => Ok(Wire::new(Stream::Plain(tcp))),
        }
    }

    /// The first address that answers. None may use up the time of those behind it.
    async fn connect(
        &self,
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<TcpStream, DialError> {
        let mut last = DialError::NoAddress;
        for (at, &address) in addresses.iter().enumerate() {
            if endpoint.security == Security::Plaintext && !self.may_be_plaintext(address.ip()) {
                last = DialError::PlaintextForbidden(address.ip());
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            last = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tune(&tcp);
                    return Ok(tcp);
                }
                Ok(Err(source)) => DialError::Connect { address, source },
                Err(_) => DialError::Connect { address, source: io::ErrorKind::TimedOut.into() },
            };
        }
        Err(last)
    }

    /// Whether `address` is near enough to be trusted without TLS, or with mail without login.
    pub fn may_be_plaintext(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback()
            || self.settings.plaintext_networks.iter().any(|network| network.contains(address))
    }

    async fn secure(&self, tcp: TcpStream, endpoint: &Endpoint) -> Result<Wire, DialError> {
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| DialError::ServerName)?;
        let connector = self.connectors.connector(&endpoint.trust).map_err(DialError::Trust)?;
        let tls = connector.connect(name, tcp).await.map_err(DialError::Handshake)?;
        Ok(Wire::new(Stream::TlsClient(Box::new(tls))))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.settings.connect_seconds)
    }
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, endpoint.port)]);
    }
    let found = lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(DialError::Resolve)?;
    Ok(found.collect())
}
