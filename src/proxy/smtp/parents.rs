//! Which of a mailbox's messages a submission answers: asked here, known elsewhere.

use std::future::Future;
use std::pin::Pin;

use crate::policy::Among;
use crate::types::{MailboxId, UserId};

/// Knows the mailbox's messages by their Message-IDs.
pub trait Parents: Send + Sync {
    /// The first of `ids` (with angle brackets; the likeliest first) that is a message of
    /// `mailbox` in a folder that `user` may read, `among` those named. What they may not read
    /// is nowhere: nobody probes hidden folders by Message-ID.
    fn find<'a>(&'a self, user: UserId, mailbox: MailboxId, ids: &'a [String], among: Among) -> Finding<'a>;
}

/// A look-up under way; it ends within seconds.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Found> + Send + 'a>>;

/// What came of a look-up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// It answers this message: the Message-ID as it was asked.
    Parent(String),
    Nowhere,
    /// The mail host could not be asked, or not in time: temporary to the client.
    Undecided,
}

/// Where nothing is known of any mailbox's messages.
pub struct Unknown;

impl Parents for Unknown {
    fn find<'a>(&'a self, _: UserId, _: MailboxId, ids: &'a [String], _: Among) -> Finding<'a> {
        let found = if ids.is_empty() { Found::Nowhere } else { Found::Undecided };
        Box::pin(std::future::ready(found))
    }
}
