//! Both ends of TLS over loopback, with certificates made here.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{
    AcceptError, Acceptor, DialError, DialSettings, Dialer, Gate, LimitSettings, Listener, ServerIdentity,
    Stream, TlsError, TlsSettings, Wire,
};
use crate::types::{Endpoint, Network, Security, Trust};

/// A CA, and a certificate of its for `localhost`, as files.
struct Pki {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        let pki = Self { dir, issuer };
        pki.issue();
        pki
    }

    /// Writes a new certificate and key; tells the key's pin.
    fn issue(&self) -> [u8; 32] {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(self.settings().certificate, certificate.pem()).unwrap();
        fs::write(self.settings().key, key.serialize_pem()).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.subject_public_key_info());
        digest.as_ref().try_into().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate: self.file("cert.pem"),
            key: self.file("key.pem"),
            ..TlsSettings::default()
        }
    }

    fn identity(&self) -> Arc<ServerIdentity> {
        ServerIdentity::load(&self.settings()).unwrap()
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(self.identity(), &self.settings(), &["imap"]).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::CaFile(self.file("ca.pem"))
    }
}

/// A server on loopback that greets with `hello`, then echoes.
async fn serve(acceptor: Acceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut wire = Wire::new(acceptor.accept(tcp).await.ok()?);
                wire.write_direct(b"hello").await.ok()?;
                while wire.fill().await.ok()? > 0 {
                    let octets = wire.buffered().to_vec();
                    wire.consume(octets.len());
                    wire.write_direct(&octets).await.ok()?;
                }
                wire.shutdown().await.ok()
            });
        }
    });
    address
}

fn endpoint(host: &str, address: SocketAddr, security: Security, trust: Trust) -> Endpoint {
    Endpoint { host: host.to_owned(), port: address.port(), security, trust }
}

fn dialer() -> Dialer {
    Dialer::new(DialSettings::default())
}

/// Dials with TLS and waits for the greeting.
async fn greeted(dialer: &Dialer, host: &str, address: SocketAddr, trust: Trust) -> Result<Wire, DialError> {
    let mut wire = dialer.dial(&endpoint(host, address, Security::Implicit, trust)).await?;
    while wire.buffered().len() < 5 {
        assert!(wire.fill().await.unwrap() > 0);
    }
    assert_eq!(wire.buffered(), b"hello");
    wire.consume(5);
    Ok(wire)
}

#[tokio::test]
async fn a_host_is_verified_as_its_endpoint_says() {
    let pki = Pki::new();
    let pin = pki.issue();
    let address = serve(pki.acceptor()).await;
    let other = Pki::new();
    let mut wrong_pin = pin;
    wrong_pin[31] ^= 1;
    for (host, trust, good) in [
        ("localhost", pki.trust(), true),
        ("127.0.0.1", pki.trust(), true),
        ("localhost", other.trust(), false),
        ("localhost", Trust::System, false),
        ("localhost", Trust::Spki(pin), true),
        ("localhost", Trust::Spki(wrong_pin), false),
    ] {
        let result = greeted(&dialer(), host, address, trust.clone()).await;
        assert_eq!(result.is_ok(), good, "{host} {trust:?} {:?}", result.err());
    }
}

#[tokio::test]
async fn a_name_that_is_not_in_the_certificate() {
    let pki = Pki::new();
    let pin = pki.issue();
    for (trust, good) in [(pki.trust(), false), (Trust::Spki(pin), true)] {
        let acceptor = pki.acceptor();
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await });
        let result = dialer().dial(&endpoint("127.0.0.2", address, Security::Implicit, trust)).await;
        assert_eq!(result.is_ok(), good, "{:?}", result.err());
        assert_eq!(server.await.unwrap().is_ok(), good);
    }
}

#[tokio::test]
async fn missing_and_empty_ca_files_say_so() {
    let pki = Pki::new();
    let address = serve(pki.acceptor()).await;
    fs::write(pki.file("empty.pem"), "").unwrap();
    let dial =
        async |file| greeted(&dialer(), "localhost", address, Trust::CaFile(pki.file(file))).await.err();
    assert!(matches!(dial("none.pem").await, Some(DialError::Trust(TlsError::Read { .. }))));
    assert!(matches!(dial("empty.pem").await, Some(DialError::Trust(TlsError::NoCertificate { .. }))));
}

#[tokio::test]
async fn octets_pass_both_ways_in_bulk() {
    let pki = Pki::new();
    let address = serve(pki.acceptor()).await;
    let mut wire = greeted(&dialer(), "localhost", address, pki.trust()).await.unwrap();
    let sent: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    let mut received = Vec::new();
    for chunk in sent.chunks(100_000) {
        wire.write_direct(chunk).await.unwrap();
        let due = received.len() + chunk.len();
        while received.len() < due {
            wire.fill().await.unwrap();
            received.extend_from_slice(wire.buffered());
            wire.consume(usize::MAX);
        }
    }
    assert_eq!(received.len(), sent.len());
    assert!(received == sent && wire.is_idle());
}

#[tokio::test]
async fn a_new_certificate_without_a_restart() {
    let pki = Pki::new();
    let first = pki.issue();
    let identity = pki.identity();
    let address = serve(Acceptor::new(identity.clone(), &pki.settings(), &[]).unwrap()).await;
    let pinned = async |pin| greeted(&dialer(), "localhost", address, Trust::Spki(pin)).await.is_ok();
    assert!(pinned(first).await);
    let second = pki.issue();
    assert!(!pinned(second).await, "nothing changes before the reload");
    identity.reload(&pki.settings()).unwrap();
    assert!(pinned(second).await && !pinned(first).await);
    // Bad files leave the good certificate.
    let good = fs::read(pki.settings().key).unwrap();
    fs::write(pki.settings().key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(identity.reload(&pki.settings()), Err(TlsError::Unusable { .. })), "a key of another");
    fs::write(pki.settings().key, "-----BEGIN").unwrap();
    assert!(matches!(identity.reload(&pki.settings()), Err(TlsError::Pem { .. })));
    fs::write(pki.settings().key, good).unwrap();
    fs::remove_file(pki.settings().certificate).unwrap();
    assert!(matches!(identity.reload(&pki.settings()), Err(TlsError::Read { .. })));
    assert!(pinned(second).await);
}

/// A client of our own making: what it offers, what it got.
async fn raw_client(pki: &Pki, address: SocketAddr, alpn: &[&str]) -> io::Result<(Option<Vec<u8>>, String)> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = fs::read(pki.file("ca.pem")).unwrap();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    tls.read_exact(&mut [0; 5]).await?;
    let session = tls.get_ref().1;
    let suite = session.negotiated_cipher_suite().unwrap().suite();
    Ok((session.alpn_protocol().map(<[u8]>::to_vec), format!("{suite:?}")))
}

#[tokio::test]
async fn alpn_and_cipher() {
    let pki = Pki::new();
    let address = serve(pki.acceptor()).await;
    let (alpn, suite) = raw_client(&pki, address, &["http/1.1", "imap"]).await.unwrap();
    assert_eq!(alpn.as_deref(), Some(&b"imap"[..]));
    assert_eq!(suite, "TLS13_AES_128_GCM_SHA256", "though the client likes AES-256 better");
    assert_eq!(raw_client(&pki, address, &[]).await.unwrap().0, None);
    assert!(raw_client(&pki, address, &["http/1.1", "h2"]).await.is_err());
}

#[tokio::test]
async fn sessions_are_resumed() {
    let pki = Pki::new();
    let address = serve(pki.acceptor()).await;
    let dialer = dialer();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let wire = greeted(&dialer, "localhost", address, pki.trust()).await.unwrap();
        let Some(Stream::TlsClient(tls)) = wire.into_stream() else { panic!("not TLS") };
        kinds.push(format!("{:?}", tls.get_ref().1.handshake_kind().unwrap()));
    }
    assert_eq!(kinds[1..], ["Resumed", "Resumed"]);
}

#[tokio::test]
async fn a_silent_client_meets_the_deadline() {
    let pki = Pki::new();
    let settings = TlsSettings { handshake_seconds: 0, ..pki.settings() };
    let acceptor = Acceptor::new(pki.identity(), &settings, &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let result = acceptor.accept(listener.accept().await.unwrap().0).await;
    assert!(matches!(result, Err(AcceptError::Deadline)));
}

#[tokio::test]
async fn plaintext_goes_to_permitted_networks_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = |host| endpoint(host, address, Security::Plaintext, Trust::System);
    let wire = dialer().dial(&plain("127.0.0.1")).await.unwrap();
    assert!(!wire.is_secure());
    assert!(dialer().dial(&plain("localhost")).await.is_ok(), "by the address behind the name");
    // TEST-NET-1 is never dialled.
    let error = dialer().dial(&plain("192.0.2.1")).await.err();
    assert!(matches!(error, Some(DialError::PlaintextForbidden(_))));
    let networks = vec![Network::parse("192.0.2.0/24").unwrap()];
    let permitting = Dialer::new(DialSettings { connect_seconds: 0, plaintext_networks: networks });
    let error = permitting.dial(&plain("192.0.2.1")).await.err();
    assert!(!matches!(error, Some(DialError::PlaintextForbidden(_))), "{error:?}");
}

#[tokio::test]
async fn nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = dialer().dial(&endpoint("127.0.0.1", address, Security::Implicit, Trust::System)).await.err();
    assert!(matches!(error, Some(DialError::Connect { .. })), "{error:?}");
    let error =
        dialer().dial(&endpoint("no such host", address, Security::Implicit, Trust::System)).await.err();
    assert!(matches!(error, Some(DialError::Resolve(_) | DialError::NoAddress)), "{error:?}");
}

#[tokio::test]
async fn starttls_is_refused_behind_injected_octets() {
    let pki = Pki::new();
    for (line, good) in [("a OK begin\r\n", true), ("a OK begin\r\n* CAPABILITY\r\n", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = pki.acceptor();
        let server = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(line.as_bytes()).await.unwrap();
            acceptor.accept(tcp).await.is_ok()
        });
        let endpoint = endpoint("localhost", address, Security::StartTls, pki.trust());
        let dialer = dialer();
        let mut wire = dialer.dial(&endpoint).await.unwrap();
        while wire.buffered().len() < line.len() {
            assert!(wire.fill().await.unwrap() > 0);
        }
        wire.consume("a OK begin\r\n".len());
        let upgraded = dialer.upgrade(wire, &endpoint).await;
        match good {
            true => assert!(upgraded.unwrap().is_secure()),
            false => assert!(matches!(upgraded.err(), Some(DialError::InputBeforeTls))),
        }
        assert_eq!(server.await.unwrap(), good);
    }
}

#[tokio::test]
async fn an_aborted_stream_never_looks_complete() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = pki.acceptor();
    let server = tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut wire = Wire::new(stream);
        wire.write_direct(b"* 1 FETCH (BODY[] {1000}\r\n").await.unwrap();
        wire.fill().await.unwrap();
        wire.abort();
    });
    let dialled =
        dialer().dial(&endpoint("localhost", address, Security::Implicit, pki.trust())).await.unwrap();
    let Some(Stream::TlsClient(mut tls)) = dialled.into_stream() else { panic!("not TLS") };
    tls.write_all(b"go").await.unwrap();
    let error = tls.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof));
    server.await.unwrap();
}

#[tokio::test]
async fn a_listener_keeps_to_the_limits() {
    let limits = LimitSettings { unauthenticated_per_address: 1, ..LimitSettings::default() };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Arc::new(Gate::new(limits))).unwrap();
    let address = listener.address();
    let _first = TcpStream::connect(address).await.unwrap();
    let mut held = listener.accept().await;
    assert!(held.tcp.nodelay().unwrap());
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut octet = [0; 1];
    tokio::select! {
        _ = listener.accept() => panic!("one too many"),
        end = second.read(&mut octet) => assert_eq!(end.unwrap(), 0),
    }
    held.admission.authenticated();
    let _third = TcpStream::connect(address).await.unwrap();
    assert_eq!(listener.accept().await.peer.ip(), address.ip());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let gate = Arc::new(Gate::new(LimitSettings::default()));
    let held = Listener::bind("127.0.0.1:0".parse().unwrap(), gate.clone()).unwrap();
    let error = Listener::bind(held.address(), gate).err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", held.address())));
}
