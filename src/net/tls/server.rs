//! TLS towards clients.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::{TlsError, certificates, provider, read};
use crate::net::stream::Stream;

/// `[tls]`: what we show to clients.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Certificate chain in PEM, our own first. Default `/etc/mandate/tls/cert.pem`.
    pub certificate: PathBuf,
    /// Its private key in PEM. Default `/etc/mandate/tls/key.pem`.
    pub key: PathBuf,
    /// Seconds in which a client must finish the handshake. Default 10: two slow round
    /// trips and a retransmission; a place before login is not held for longer.
    pub handshake_seconds: u64,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: "/etc/mandate/tls/cert.pem".into(),
            key: "/etc/mandate/tls/key.pem".into(),
            handshake_seconds: 10,
        }
    }
}

/// The certificate and key shown to clients, exchangeable while connections are open.
pub struct ServerIdentity(ArcSwap<CertifiedKey>);

impl ServerIdentity {
    /// Reads both files and checks that they belong together.
    pub fn load(settings: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(settings)?))))
    }

    /// Reads the files again, for handshakes from now on. On an error the certificate
    /// in use stays.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified(settings)?));
        Ok(())
    }
}

fn certified(settings: &TlsSettings) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&settings.certificate)?;
    let file = || settings.key.clone();
    let key = Zeroizing::new(read(&settings.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|source| TlsError::Pem { file: file(), source })?;
    // `from_der` refuses a key that is not the certificate's.
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|source| TlsError::Unusable { file: file(), source })
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerIdentity(..)")
    }
}

/// One certificate for every name: a client that asks for another sees which one it got.
/// The name it asks for is never used, stored or printed (CVE-2017-15130, CVE-2019-15846).
impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Secures accepted connections of one service.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    deadline: Duration,
}

/// Why a connection was not secured.
#[derive(Debug)]
pub enum AcceptError {
    /// The client did not finish in time.
    Deadline,
    /// The client broke off, or we did: no common version, cipher or ALPN name.
    Handshake(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("TLS handshake not finished in time"),
            Self::Handshake(source) => write!(f, "TLS handshake: {source}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl Acceptor {
    /// `alpn` is what this service is called (RFC 7301; `imap`). A client that asks for
    /// other names only is refused with a fatal alert (ALPACA); one that asks for none, as
    /// mail clients do, is let in.
    ///
    /// Resumption is by tickets under one key for all threads and this service alone: a
    /// ticket of another service does not open this one. No early data.
    pub fn new(
        identity: Arc<ServerIdentity>,
        settings: &TlsSettings,
        alpn: &[&str],
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Library)?
            .with_no_client_auth()
            .with_cert_resolver(identity);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ignore_client_order = true;
        config.ticketer = Ticketer::new().map_err(TlsError::Library)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        let deadline = Duration::from_secs(settings.handshake_seconds);
        Ok(Self { tls: TlsAcceptor::from(Arc::new(config)), deadline })
    }

    /// The handshake. Its state is boxed, so that the session's own future stays small.
    pub async fn accept(&self, tcp: TcpStream) -> Result<Stream, AcceptError> {
        match Box::pin(timeout(self.deadline, self.tls.accept(tcp))).await {
            Ok(Ok(tls)) => Ok(Stream::TlsServer(Box::new(tls))),
            Ok(Err(source)) => Err(AcceptError::Handshake(source)),
            Err(_) => Err(AcceptError::Deadline),
        }
    }
}
