//! One logged-in IMAP connection.
//!
//! [`Connection::command`] does what the daemon asks for itself. A session's relay drives
//! [`Connection::wire`] and [`Connection::scanner`] on its own and tells by
//! [`Connection::set_selected`] when a folder may be open.

use std::time::Duration;

use tokio::time::Instant;

use super::error::CommandError;
use super::target::EnabledSet;
use crate::imap::capability::Capabilities;
use crate::imap::response::{self, Response, Status};
use crate::imap::scan::{Event, Scanner};
use crate::imap::writer::{self, Housekeeping, Outgoing};
use crate::net::Wire;

/// Longest wait for the answer to a command of our own; LIST over 10,000 folders takes a
/// second or two on a cold host.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Most octets of answers kept for one command of our own: 16 MiB is a LIST of 100,000
/// folders, more than any mailbox has.
const MAX_ANSWERS: usize = 16 * 1024 * 1024;

/// Logged in, with tags of its own.
pub struct Connection {
    pub wire: Wire,
    pub scanner: Scanner,
    capabilities: Capabilities,
    enabled: EnabledSet,
    selected: bool,
    tags: u32,
}

/// What a command of ours brought.
#[derive(Debug)]
pub struct Answered {
    pub status: Status,
    /// The untagged responses, whole lines in their order.
    pub lines: Vec<Vec<u8>>,
}
