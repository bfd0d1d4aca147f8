//! What goes wrong on the way to a mail host, one enum per layer of the way.
//!
//! `Display` is for the log: it may quote the host, escaped and cut. A client never sees
//! it; to a client every error here is temporary (`NO [UNAVAILABLE]`, SMTP 4xx).

use std::fmt;
use std::io;

use crate::imap::scan::Fault;
use crate::telemetry::Quoted;

/// Why there is no logged-in connection.
#[derive(Debug)]
pub enum ConnectError {
    /// No such host, or nobody listens.
    Unreachable(String),
    /// The connection broke.
    Dead(io::Error),
    /// The certificate, its name or the handshake; also a host without STARTTLS.
    Tls(String),
    /// Plaintext to a place that is neither loopback nor configured.
    PlaintextForbidden,
    /// A relay without login that is neither on loopback nor in a configured network.
    RelayForbidden,
    /// The host refused our account or password; its words.
    Credential(String),
    /// The host allows no further connection for this account or address; its words.
    Limit(String),
    /// The greeting says we are logged in already: somebody is in between (RFC 3501 §7.1.4).
    Preauth,
    /// The host turned us away, for now as far as it says; its words.
    Bye(String),
    /// Not done within this step's time.
    Slow(&'static str),
    /// Something that is no IMAP or SMTP, or not what was asked for.
    Protocol(&'static str),
}

impl ConnectError {
    /// Whether another attempt can succeed without an admin's help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Dead(_) | Self::Limit(_) | Self::Bye(_) | Self::Slow(_) => true,
            Self::Tls(_)
            | Self::PlaintextForbidden
            | Self::RelayForbidden
            | Self::Credential(_)
            | Self::Preauth
            | Self::Protocol(_) => false,
        }
    }

    /// A short name for counters.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Dead(_) => "dead",
            Self::Tls(_) => "tls",
            Self::PlaintextForbidden => "plaintext",
            Self::RelayForbidden => "relay",
            Self::Credential(_) => "credential",
            Self::Limit(_) => "limit",
            Self::Preauth => "preauth",
            Self::Bye(_) => "bye",
            Self::Slow(_) => "slow",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the mail host cannot be reached: {why}"),
            Self::Dead(error) => write!(f, "the connection to the mail host broke: {error}"),
            Self::Tls(why) => write!(f, "no trusted TLS with the mail host: {why}"),
            Self::PlaintextForbidden => f.write_str(
                "a connection without TLS goes to loopback or a network named in the configuration only",
            ),
            Self::RelayForbidden => f.write_str(
                "mail goes to a host without login on loopback or in a network named in the configuration only",
            ),
            Self::Credential(words) => {
                write!(f, "the mail host refused the account or its password: {}", Quoted::new(words))
            }
            Self::Limit(words) => {
                write!(f, "the mail host allows no further connection: {}", Quoted::new(words))
            }
            Self::Preauth => f.write_str(
                "the mail host greeted us as logged in already (PREAUTH), which nobody is entitled to",
            ),
            Self::Bye(words) => write!(f, "the mail host turned us away: {}", Quoted::new(words)),
            Self::Slow(step) => write!(f, "the mail host was too slow: {step}"),
            Self::Protocol(what) => write!(f, "the mail host does not keep to the protocol: {what}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Dead(error)
    }
}

/// Why a command of ours got no result; the connection is of no further use.
#[derive(Debug)]
pub enum CommandError {
    Dead(io::Error),
    /// The host hung up; its words.
    Bye(String),
    Slow,
    /// What came is no IMAP.
    Unreadable(Fault),
    /// What was to be sent cannot be written safely.
    Unwritable,
    Protocol(&'static str),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dead(error) => write!(f, "the connection to the mail host broke: {error}"),
            Self::Bye(words) => write!(f, "the mail host hung up: {}", Quoted::new(words)),
            Self::Slow => f.write_str("the mail host did not answer in time"),
            Self::Unreadable(fault) => fault.fmt(f),
            Self::Unwritable => f.write_str("a value cannot be written in IMAP"),
            Self::Protocol(what) => write!(f, "the mail host does not keep to the protocol: {what}"),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Dead(error)
    }
}

/// Why nobody could be given a connection.
#[derive(Debug)]
pub enum LeaseError {
    /// All connections that the host allows are in use, and none came free in time.
    Full,
    Connect(ConnectError),
    /// Ours to do, and the host did not do it.
    Command(CommandError),
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("every connection that the mail host allows is in use"),
            Self::Connect(error) => error.fmt(f),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LeaseError {}

impl From<ConnectError> for LeaseError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Limit(_) => Self::Full,
            error => Self::Connect(error),
        }
    }
}

impl From<CommandError> for LeaseError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}
