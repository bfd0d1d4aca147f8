//! haproxy from Debian's package, as a careful administrator would set it up.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use crate::support::eventually;
use crate::support::process::{Process, free_port, need, open_directory};

use super::{Door, Peer, Running, Scene, THREADS};

pub fn start(scene: &Scene) -> Peer {
    for _ in 0..5 {
        if let Some(peer) = attempt(scene) {
            return peer;
        }
    }
    panic!("haproxy finds no free port");
}

/// Fails when another process took a port that was free a moment ago.
fn attempt(scene: &Scene) -> Option<Peer> {
    let program = need("/usr/sbin/haproxy");
    let directory = open_directory("mandate-haproxy");
    let place = |name: &str| directory.path().join(name);
    let read = |file| fs::read_to_string(file).unwrap();
    let pem = read(&scene.certificate.certificate) + &read(&scene.certificate.key);
    fs::write(place("server.pem"), pem).unwrap();
    let doors = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let pem = place("server.pem");
    fs::write(place("haproxy.cfg"), configuration(&pem.display().to_string(), doors, scene)).unwrap();

    let file = place("haproxy.cfg");
    let arguments = ["-db", "-q", "-f", file.to_str().unwrap()];
    let mut process = Process::start(program, &arguments, &place("log"));
    let up = eventually("haproxy listens", || {
        if process.ended().is_some() {
            let log = process.output();
            assert!(log.contains("in use"), "haproxy does not start:\n{log}");
            return Some(false);
        }
        doors.iter().all(|door| TcpStream::connect(door).is_ok()).then_some(true)
    });
    up.then(|| Peer { door: Door::through(doors), process: Running::Program(process, directory) })
}

fn configuration(pem: &str, [imaps, submissions]: [SocketAddr; 2], scene: &Scene) -> String {
    format!(
        "global
    nbthread {THREADS}
    maxconn 8000
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519
defaults
    mode tcp
    timeout connect 10s
    timeout client 30m
    timeout server 30m
listen imaps
    bind {imaps} ssl crt {pem}
    server memory {imap}
listen submissions
    bind {submissions} ssl crt {pem}
    server memory {smtp}
",
        imap = scene.upstream.imap,
        smtp = scene.upstream.smtp,
    )
}
