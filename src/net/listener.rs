//! Listening: a loop that never dies.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::limits::{Admission, Gate};

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;

/// How long to leave the kernel alone when it has no descriptor or memory to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Silence after which a connection is probed, time between probes, and their number:
/// a peer that is gone is noticed within four minutes, and NAT entries stay alive.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(120), Duration::from_secs(30), 4);

/// How long sent octets may stay unacknowledged, or a peer's window closed, before the
/// kernel ends the connection (TCP_USER_TIMEOUT, RFC 5482): a client that does not read
/// holds its upstream connection no longer than that, and no timer of ours runs.
const STALLED: Duration = Duration::from_secs(120);

/// A listening socket.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    gate: Arc<Gate>,
}

/// A connection that was let in.
pub struct Incoming {
    pub tcp: TcpStream,
    pub peer: SocketAddr,
    /// Held as long as the connection lives.
    pub admission: Admission,
}

/// An address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.source)
    }
}

impl std::error::Error for BindError {}

impl Listener {
    /// Listens. `[::]` means IPv6 alone: IPv4 is listed beside it.
    pub fn bind(address: SocketAddr, gate: Arc<Gate>) -> Result<Self, BindError> {
        let bound = || -> io::Result<(TcpListener, SocketAddr)> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from_std(socket.into())?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, bound) = bound().map_err(|source| BindError { address, source })?;
        Ok(Self { socket, address: bound, gate })
    }

    /// Where it listens, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection within the limits; others are closed without a word. Never
    /// fails, and is cancel-safe.
    pub async fn accept(&self) -> Incoming {
        loop {
            let (tcp, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.recover(&error).await;
                    continue;
                }
            };
            match self.gate.admit(peer.ip()) {
                Ok(admission) => {
                    tune(&tcp);
                    return Incoming { tcp, peer, admission };
                }
                Err(limit) => tracing::debug!(rip = %peer.ip(), %limit, "connection refused"),
            }
        }
    }

    async fn recover(&self, error: &io::Error) {
        match trouble(error) {
            Trouble::Connection => tracing::debug!(%error, "a connection ended before it was accepted"),
            Trouble::Resources | Trouble::Unknown => {
                tracing::error!(listener = %self.address, %error, "cannot accept connections; pausing");
                sleep(PAUSE).await;
            }
        }
    }
}

/// What an error of accept(2) is about.
#[derive(Debug, Eq, PartialEq)]
enum Trouble {
    /// That one connection.
    Connection,
    /// This process or the system: more of the same follows at once.
    Resources,
    Unknown,
}

fn trouble(error: &io::Error) -> Trouble {
    /// Linux on every architecture, errno-base.h.
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    match error.raw_os_error() {
        Some(ENOMEM | ENFILE | EMFILE | ENOBUFS) => Trouble::Resources,
        // EPERM: a firewall rule.
        _ if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied) => {
            Trouble::Connection
        }
        _ => Trouble::Unknown,
    }
}

/// What every connection gets, ours and theirs. Without TCP_NODELAY a greeting waits 40 ms
/// behind the TLS tickets. A failure means that the peer is gone, and shows at first use.
pub(super) fn tune(tcp: &TcpStream) {
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    let socket = SockRef::from(tcp);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(STALLED));
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Trouble, trouble};

    #[test]
    fn errors_of_accept() {
        for (errno, expected) in [
            (103, Trouble::Connection), // ECONNABORTED
            (104, Trouble::Connection), // ECONNRESET
            (4, Trouble::Connection),   // EINTR
            (1, Trouble::Connection),   // EPERM
            (12, Trouble::Resources),
            (23, Trouble::Resources),
            (24, Trouble::Resources),
            (105, Trouble::Resources),
            (22, Trouble::Unknown), // EINVAL
        ] {
            assert_eq!(trouble(&io::Error::from_raw_os_error(errno)), expected, "{errno}");
        }
    }
}
