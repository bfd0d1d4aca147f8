//! The floor: what TLS and copying alone cost in Rust, in a process of its own.

use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::eventually;
use crate::support::process::{Process, open_directory};

use super::{Door, Peer, Running, Scene, THREADS};

/// The first argument that makes this program the floor.
pub const ROLE: &str = "floor";

/// Octets copied at once towards the client: four TLS records in one write.
const DOWN: usize = 64 << 10;
/// Octets copied at once towards the upstream: rustls yields no more than a record.
const UP: usize = 16 << 10;

pub fn start(scene: &Scene) -> Peer {
    let directory = open_directory("mandate-floor");
    let log = directory.path().join("log");
    let upstream = scene.upstream;
    let arguments = [
        ROLE.to_owned(),
        scene.certificate.certificate.display().to_string(),
        scene.certificate.key.display().to_string(),
        upstream.imap.to_string(),
        upstream.smtp.to_string(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = std::env::current_exe().unwrap();
    let mut process = Process::start(&program, &arguments, &log);
    let doors = eventually("the floor listens", || {
        let output = process.output();
        assert!(process.ended().is_none(), "the floor does not start:\n{output}");
        // Whole lines only: the second may still be on its way.
        let (first, rest) = output.split_once('\n')?;
        let (second, _) = rest.split_once('\n')?;
        Some([first, second].map(|door| door.parse::<SocketAddr>().unwrap()))
    });
    Peer { door: Door::through(doors), process: Running::Program(process, directory) }
}

/// Is the floor: `floor CERTIFICATE KEY IMAP SMTP`. Prints where it listens; never returns.
pub fn run(arguments: &[String]) {
    let [certificate, key, upstreams @ ..] = arguments else { panic!("too few arguments") };
    let acceptor = acceptor(certificate, key);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    runtime.unwrap().block_on(async {
        let mut doors = Vec::new();
        for upstream in upstreams {
            let bound = Bound::bind("127.0.0.1:0").unwrap();
            bound.set_nonblocking(true).unwrap();
            println!("{}", bound.local_addr().unwrap());
            let listener = TcpListener::from_std(bound).unwrap();
            doors.push(tokio::spawn(accept(listener, acceptor.clone(), upstream.parse().unwrap())));
        }
        for door in doors {
            door.await.unwrap();
        }
    });
}

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(certificate).unwrap();
    let chain = chain.map(|certificate| certificate.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.ticketer = Ticketer::new().unwrap();
    Arc::new(config).into()
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that breaks off says so itself.
            let _ = relay(socket, &acceptor, upstream).await;
        });
    }
}

async fn relay(socket: TcpStream, acceptor: &TlsAcceptor, upstream: SocketAddr) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // On the heap: a handshake is large, and an idle session should not keep its room.
    let mut client = Box::pin(acceptor.accept(socket)).await?;
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, UP, DOWN).await?;
    Ok(())
}
