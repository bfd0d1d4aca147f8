//! A blocking line-and-octets connection, plain or TLS, for the raw clients.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{Ca, PATIENCE};

/// How many octets of the conversation a failing test is shown.
const TRACE_LIMIT: usize = 8 * 1024;

/// One TCP connection, read by lines and by counted octets.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    trace: Vec<u8>,
}

/// What came next on a [`Wire`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Read {
    /// The octets asked for; of a line, with its CRLF.
    Octets(Vec<u8>),
    /// The peer closed; what had arrived without being complete is lost.
    Closed(Closing),
    /// Nothing complete arrived in the time given.
    Silence,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closing {
    /// In order: FIN on a plain connection, `close_notify` on TLS.
    Orderly,
    /// Cut: RST, or a TLS connection without `close_notify`.
    Cut,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Connects without TLS.
    pub fn plain(address: SocketAddr) -> Wire {
        Wire::over(Stream::Plain(connect(address)))
    }

    /// Connects with implicit TLS and demands a certificate of `ca` for `localhost`.
    pub fn tls(address: SocketAddr, ca: &Ca) -> Wire {
        Wire::over(secured(connect(address), ca))
    }

    /// Turns TLS on after STARTTLS. What the peer sent too early is an error.
    pub fn start_tls(self, ca: &Ca) -> Wire {
        assert!(self.buffer.is_empty(), "octets before the TLS handshake: {:?}", self.buffer);
        let Stream::Plain(socket) = self.stream else { panic!("TLS is on already") };
        Wire { stream: secured(socket, ca), buffer: self.buffer, trace: self.trace }
    }

    /// Sends exactly these octets.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.try_send(octets.as_ref()).unwrap_or_else(|error| {
            panic!("cannot send: {error}\n{}", self.trace());
        });
    }

    /// Sends, for tests that expect the peer to be gone.
    pub fn try_send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.note(b"> ", octets);
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(octets),
            Stream::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
        }
    }

    /// The next line with its CRLF.
    pub fn line(&mut self, within: Duration) -> Read {
        self.take(within, |buffer| memchr::memchr(b'\n', buffer).map(|at| at + 1))
    }

    /// Exactly `count` octets.
    pub fn octets(&mut self, count: usize, within: Duration) -> Read {
        self.take(within, |buffer| (buffer.len() >= count).then_some(count))
    }

    /// Reads and forgets until the peer closes, and says how it did.
    pub fn closing(&mut self) -> Closing {
        match self.take(PATIENCE, |_| None) {
            Read::Closed(closing) => closing,
            other => panic!("the connection stays open: {other:?}\n{}", self.trace()),
        }
    }

    /// The underlying socket: peer addresses, half-close, receive buffer.
    pub fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// The end of the conversation, for the message of a failing test.
    pub fn trace(&self) -> String {
        String::from_utf8_lossy(&self.trace).into_owned()
    }

    fn over(stream: Stream) -> Wire {
        Wire { stream, buffer: Vec::new(), trace: Vec::new() }
    }

    /// Reads until `complete` names the length of a unit in the buffer.
    fn take(&mut self, within: Duration, complete: impl Fn(&[u8]) -> Option<usize>) -> Read {
        let deadline = Instant::now() + within;
        let mut chunk = Vec::new();
        loop {
            if let Some(length) = complete(&self.buffer) {
                let unit: Vec<u8> = self.buffer.drain(..length).collect();
                self.note(b"< ", &unit);
                return Read::Octets(unit);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Read::Silence;
            }
            self.socket().set_read_timeout(Some(left)).unwrap();
            chunk.resize(64 * 1024, 0);
            match self.read(&mut chunk) {
                Ok(0) => return Read::Closed(Closing::Orderly),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Read::Closed(Closing::Cut),
                },
            }
        }
    }

    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.read(chunk),
            Stream::Tls(tls) => tls.read(chunk),
        }
    }

    fn note(&mut self, mark: &[u8], octets: &[u8]) {
        self.trace.extend_from_slice(mark);
        self.trace.extend_from_slice(&octets[..octets.len().min(1024)]);
        if !self.trace.ends_with(b"\n") {
            self.trace.push(b'\n');
        }
        let surplus = self.trace.len().saturating_sub(TRACE_LIMIT);
        self.trace.drain(..surplus);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)
        .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
    socket.set_nodelay(true).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn secured(socket: TcpStream, ca: &Ca) -> Stream {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(ca.client(), name).unwrap();
    let mut tls = StreamOwned::new(connection, socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).unwrap_or_else(|error| panic!("TLS: {error}"));
    }
    Stream::Tls(Box::new(tls))
}
