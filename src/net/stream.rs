//! One connection, secured or not.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Anything that carries octets both ways; tests use one in memory.
pub trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Transport for T {}

/// A connection to a client or to a mail host.
pub enum Stream {
    Plain(TcpStream),
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Other(Box<dyn Transport>),
}

impl Stream {
    /// Is it encrypted? [`Stream::Other`] is not.
    pub fn is_secure(&self) -> bool {
        match self {
            Self::TlsServer(_) | Self::TlsClient(_) => true,
            Self::Plain(_) | Self::Other(_) => false,
        }
    }

    /// Where the other end is, if it is a socket that is still connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|tcp| tcp.peer_addr().ok())
    }

    /// Does TLS hold decrypted octets that nobody has read yet?
    pub(super) fn holds_input(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Other(_) => false,
            Self::TlsServer(tls) => !tls.get_ref().1.wants_read(),
            Self::TlsClient(tls) => !tls.get_ref().1.wants_read(),
        }
    }

    /// Makes the close that follows throw away what the kernel still holds to send.
    pub(super) fn discard_unsent(&self) {
        if let Some(tcp) = self.tcp() {
            // Failing means the connection is gone already.
            let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
        }
    }

    /// Ends the connection under whatever runs over it: no close_notify.
    pub(super) fn end(&self) {
        if let Some(tcp) = self.tcp() {
            // Failing means the connection is gone already.
            let _ = SockRef::from(tcp).shutdown(Shutdown::Both);
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::TlsServer(tls) => Some(tls.get_ref().0),
            Self::TlsClient(tls) => Some(tls.get_ref().0),
            Self::Other(_) => None,
        }
    }
}

/// Calls a method on whichever stream it is.
macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(tcp) => {
                let $stream = Pin::new(tcp);
                $call
            }
            Stream::TlsServer(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
            Stream::TlsClient(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
            Stream::Other(other) => {
                let $stream = Pin::new(&mut **other);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(_) | Self::TlsServer(_) | Self::TlsClient(_) => true,
            Self::Other(other) => other.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}
