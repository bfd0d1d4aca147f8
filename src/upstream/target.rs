//! What is needed to reach one mailbox.

use crate::types::Account;
use crate::types::Endpoint;
use crate::types::MailboxId;
use crate::types::Secret;

/// A mailbox's host and how we log in there.
#[derive(Clone, Debug)]
pub struct Target {
    pub mailbox: MailboxId,
    /// Grows whenever endpoint, account or password change: connections of an older
    /// generation are never given out again.
    pub generation: u64,
    pub endpoint: Endpoint,
    pub account: Account,
    pub password: Secret,
    /// How many connections the host allows for this account; one is the daemon's own.
    /// Dovecot allows 10 per user and address by default, Gmail 15.
    pub max_connections: u16,
}

/// What was switched on right after login; it lasts as long as the connection.
///
/// `STATUS (HIGHESTMODSEQ)` makes a connection CONDSTORE-aware for good, `ENABLE QRESYNC`
/// turns EXPUNGE into VANISHED, and UNSELECT undoes neither (RFC 7162 §3.1, §3.2.3): a
/// connection never changes its set.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EnabledSet {
    #[default]
    Plain,
    Condstore,
    CondstoreQresync,
}
