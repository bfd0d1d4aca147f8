//! The load: mail clients that keep a proxy busy.

mod imap;
mod smtp;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use imap::Imap;
pub use smtp::Smtp;

/// One application's TLS: what it trusts, and the tickets it remembers.
#[derive(Clone)]
pub struct Application {
    connector: TlsConnector,
}

impl Application {
    /// TLS 1.3, X25519 and AES-128-GCM only, so that all proxies do the same work.
    pub fn new(ca: &Path, resumption: Resumption) -> Application {
        let mut provider = default_provider();
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![kx_group::X25519];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = resumption;
        Application { connector: Arc::new(config).into() }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Wire> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.connector.connect(name, socket).await?;
        Ok(Wire { stream: BufReader::with_capacity(64 << 10, stream), line: Vec::new() })
    }
}

/// A TLS connection read by lines and by counted octets.
struct Wire {
    stream: BufReader<TlsStream<TcpStream>>,
    line: Vec<u8>,
}

impl Wire {
    fn resumed(&self) -> bool {
        self.stream.get_ref().get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(octets).await?;
        stream.flush().await
    }

    /// The next line with its CRLF.
    async fn line(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        if self.stream.read_until(b'\n', &mut self.line).await? == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the proxy closed the connection"));
        }
        Ok(&self.line)
    }

    /// Reads and forgets `left` octets.
    async fn skip(&mut self, mut left: usize) -> io::Result<()> {
        while left > 0 {
            let there = self.stream.fill_buf().await?.len().min(left);
            if there == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the proxy cut a literal"));
            }
            self.stream.consume(there);
            left -= there;
        }
        Ok(())
    }

    async fn close(mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown().await
    }
}

/// What a proxy should not have said.
fn unexpected(line: &[u8]) -> io::Error {
    io::Error::other(format!("answered: {}", String::from_utf8_lossy(line).trim_end()))
}
