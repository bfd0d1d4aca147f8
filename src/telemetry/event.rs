//! The lines of the audit journal, typed.
//!
//! People and mailboxes appear by their stable numbers (`u1`, `m1`, `g1`, `t1`), so that
//! a person can be pseudonymised while the chain stays whole.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::journal::Seq;
use crate::policy::{Holder, Narrowing, RoleName, SendRight};
use crate::types::{Address, FolderName, GrantId, MailboxId, Timestamp, UidSet, UidValidity, UserId};

/// A session's number, unique while the daemon runs; the log's span carries it too.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Which listener a session came in by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Imap,
    Submission,
    Control,
}

/// Who acts, where, by what: one per session and set of grants.
#[derive(Clone, Debug, Serialize)]
pub struct Actor {
    #[serde(serialize_with = "shown")]
    pub session: SessionId,
    pub peer: IpAddr,
    #[serde(serialize_with = "shown")]
    pub user: UserId,
    #[serde(serialize_with = "shown")]
    pub mailbox: MailboxId,
    /// [`crate::policy::Effective::role_text`].
    pub role: String,
    #[serde(serialize_with = "all_shown")]
    pub grants: Vec<GrantId>,
}

/// One act on folders or messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Act {
    /// The client's command: `UID EXPUNGE`, `APPEND`.
    pub verb: &'static str,
    /// The right that allowed it, as RFC 4314 letters: `te`.
    pub right: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uidvalidity: Option<UidValidity>,
    /// As ranges: `1:5,9`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
    pub uids: Option<UidSet>,
    /// How many messages are meant, when their UIDs are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Where COPY, MOVE or RENAME go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<FolderName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_uidvalidity: Option<UidValidity>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
    pub target_uids: Option<UidSet>,
    /// The mailbox that the target is in, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
    pub to_mailbox: Option<MailboxId>,
    /// The mailbox that the messages come from, likewise.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
    pub from_mailbox: Option<MailboxId>,
    /// Flags given, for STORE and APPEND: `+FLAGS \Seen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
}

/// How an act came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// Upstream answered NO or BAD.
    Refused,
    /// No answer was seen: it may or may not have happened.
    Unknown,
}

/// Why a session ended that its client did not end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The grant was withdrawn, suspended, or the user disabled.
    Revoked,
    /// The grant's end date.
    Expired,
}

/// What happened to a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantChange {
    Added,
    Removed,
    Changed,
    Suspended,
    Resumed,
}

/// A line of the journal.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The journal was opened: the daemon started. `torn`: octets of an unfinished last line cut off.
    Opened { version: &'static str, torn: u64 },
    Login {
        service: Service,
        #[serde(serialize_with = "shown")]
        session: SessionId,
        peer: IpAddr,
        #[serde(serialize_with = "shown")]
        user: UserId,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
        mailbox: Option<MailboxId>,
    },
    /// Before the first upstream octet of an act that removes; flushed.
    Intent {
        #[serde(flatten)]
        actor: Arc<Actor>,
        #[serde(flatten)]
        act: Act,
    },
    /// Before the client's answer to such an act, or to a submission.
    Outcome {
        #[serde(serialize_with = "shown")]
        session: SessionId,
        /// The line of the intent.
        intent: Seq,
        outcome: Outcome,
        /// What the messages are called in the intent's target, where upstream said so.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
        target_uids: Option<UidSet>,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
        /// Upstream's queue id of a submission, cleaned by the caller.
        #[serde(skip_serializing_if = "Option::is_none")]
        queue_id: Option<String>,
    },
    /// Any other change: flags, append, copy, create, rename, subscribe.
    Change {
        #[serde(flatten)]
        actor: Arc<Actor>,
        #[serde(flatten)]
        act: Act,
        outcome: Outcome,
    },
    /// Before the end of data goes upstream; flushed. Its outcome is [`Event::Outcome`].
    Send {
        #[serde(flatten)]
        actor: Arc<Actor>,
        from: Address,
        /// As the mailbox, or on its behalf: then the person stands in its header too.
        how: SendRight,
        recipients: u32,
        /// [`super::Journal::fingerprint`] of the Message-ID.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        /// Octets of the message, where known already.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// A signature of the client's was taken out, since it would not hold any more.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        signature_removed: bool,
    },
    /// The copy of a message that went out is in the Sent folder; where, if the host has said so.
    Filed {
        #[serde(serialize_with = "shown")]
        user: UserId,
        #[serde(serialize_with = "shown")]
        mailbox: MailboxId,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<FolderName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        uidvalidity: Option<UidValidity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    },
    /// A message of unknown outcome is forgotten, and not filed.
    Lapsed {
        #[serde(serialize_with = "shown")]
        user: UserId,
        #[serde(serialize_with = "shown")]
        mailbox: MailboxId,
        /// Fingerprint of its Message-ID.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
    },
    /// The message that one answers or forwards is marked so, for everybody.
    Marked {
        #[serde(serialize_with = "shown")]
        user: UserId,
        #[serde(serialize_with = "shown")]
        mailbox: MailboxId,
        /// Fingerprint of the answer's Message-ID.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        /// Fingerprint of the marked message's.
        parent: String,
        flag: &'static str,
    },
    SessionEnded {
        #[serde(flatten)]
        actor: Arc<Actor>,
        why: End,
    },
    /// A grant change; flushed before it is acknowledged.
    Grant {
        /// A user of the control socket: `uid:0`, or a login.
        by: String,
        change: GrantChange,
        #[serde(serialize_with = "shown")]
        grant: GrantId,
        #[serde(serialize_with = "holder_shown")]
        holder: Holder,
        #[serde(serialize_with = "shown")]
        mailbox: MailboxId,
        role: RoleName,
        /// The folders it is for: `only Projects/*`.
        #[serde(skip_serializing_if = "Narrowing::is_none", serialize_with = "shown")]
        narrowing: Narrowing,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Any other act of an admin.
    Admin {
        by: String,
        /// `user add`, `mailbox update`.
        verb: &'static str,
        /// Stable numbers: `u1`, `m2`.
        about: Vec<String>,
        outcome: Outcome,
    },
    /// A minute's worth of what strangers and refused clients did; see [`super::Counted`].
    #[serde(rename = "counted")]
    Tally {
        what: &'static str,
        #[serde(flatten)]
        key: super::tally::Shown,
        count: u64,
        first: String,
        last: String,
    },
}

fn shown<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn some_shown<T: fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn all_shown<T: fmt::Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

fn holder_shown<S: Serializer>(holder: &Holder, serializer: S) -> Result<S::Ok, S::Error> {
    match holder {
        Holder::User(id) => serializer.collect_str(id),
        Holder::Group(id) => serializer.collect_str(id),
    }
}
