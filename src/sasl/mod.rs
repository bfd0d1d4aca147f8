//! SASL (RFC 4422), the server's side, as IMAP and submission share it. Layer 2, sans-IO.
//!
//! The caller frames lines (they end in CRLF and hold neither CR nor LF) and says what the
//! answers look like; [`Exchange`] decodes and keeps the order. Nothing here knows who
//! exists or which password is right.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod credentials;
mod exchange;

pub use credentials::{Credentials, Malformed};
pub use exchange::{Exchange, Failure, Mechanism, Progress};
