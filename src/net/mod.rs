//! Sockets: listening, dialling, TLS, and one buffer each way. Layer 3.
//!
//! A [`Listener`] admits a connection, an [`Acceptor`] secures it, and a [`Wire`] carries
//! its octets. Towards a mail host a [`Dialer`] makes the same kind of [`Wire`]. Nothing
//! here knows a protocol, a user or a grant.

mod connect;
mod drain;
mod limits;
mod listener;
mod pool;
mod stream;
pub mod systemd;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use connect::{DialError, DialSettings, Dialer};
pub use drain::{Drain, Draining};
pub use limits::{Admission, Gate, LimitSettings, PerKey, Place, Refused};
pub use listener::{BindError, Incoming, Listener};
pub use stream::{Stream, Transport};
pub use tls::{AcceptError, Acceptor, ServerIdentity, TlsError, TlsSettings};
pub use wire::Wire;
