//! A grant: who may do what in which mailbox, from when until when.

use serde::{Deserialize, Serialize};

use super::{Narrowing, RoleName, SendRight};
use crate::types::{GrantId, GroupId, MailboxId, Timestamp, UserId};

/// Who holds a grant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    User(UserId),
    Group(GroupId),
}

/// A grant as the store keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Grant {
    pub id: GrantId,
    pub holder: Holder,
    pub mailbox: MailboxId,
    pub role: RoleName,
    /// How the holder may send, where it is not as the role says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<SendRight>,
    /// Not before; `None` is at once.
    pub from: Option<Timestamp>,
    /// Not at or after; `None` is without end.
    pub until: Option<Timestamp>,
    pub suspended: bool,
    /// Which folders it is for; the whole mailbox if nothing is said.
    #[serde(default, skip_serializing_if = "Narrowing::is_none")]
    pub narrowing: Narrowing,
    pub note: String,
    /// Who granted it (a user of the control socket, as `uid:0` or a login name), and when.
    pub granted_by: String,
    pub granted_at: Timestamp,
}

impl Grant {
    /// Whether the grant counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.suspended
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }

    /// The next instant after `now` at which [`Grant::is_live`] changes by itself.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if self.suspended {
            return None;
        }
        [self.from, self.until].into_iter().flatten().filter(|at| *at > now).min()
    }
}
