//! What an admin is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{DraftScope, FolderClass, SendRight};
use crate::types::{OutboxId, Timestamp};

/// One answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done, and kept: in sentences.
    Done(Vec<String>),
    Failed(Failure),
    Users(Vec<UserRow>),
    Groups(Vec<GroupRow>),
    Mailboxes(Vec<MailboxRow>),
    Mailbox(Box<MailboxDetail>),
    Folders(FolderTable),
    Grants(Vec<GrantRow>),
    Roles(Vec<RoleRow>),
    Explained(Explained),
    Outbox(Vec<OutboxRow>),
    Message(Vec<MessageRow>),
    /// JSON lines.
    Export(String),
    Status(Box<Status>),
}

impl Answer {
    pub fn done(sentence: impl Into<String>) -> Self {
        Self::Done(vec![sentence.into()])
    }
}

/// A message in the outbox.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OutboxRow {
    pub id: OutboxId,
    /// `sending`, `unknown`, `filing`, `marking`, `given up` or `done`.
    pub state: String,
    pub mailbox: String,
    pub user: String,
    pub at: Timestamp,
    pub message_id: Option<String>,
    pub octets: u64,
    /// Where the copy is, or who files it.
    pub copy: String,
    /// What becomes of the message that it answers.
    pub parent: Option<String>,
    pub tries: u32,
    pub next: Option<Timestamp>,
    pub why: Option<String>,
}

/// Something that happened to a message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MessageRow {
    /// RFC 3339, as the journal has it.
    pub at: String,
    pub user: String,
    pub mailbox: String,
    pub what: String,
}

/// Why it was not done. Nothing was changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// Each a sentence for the admin; several where several things are wrong.
    pub messages: Vec<String>,
}

/// What sort of failure, for the exit code.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request makes no sense, or names what does not exist.
    Data,
    /// The name or address is taken.
    Exists,
    /// Upstream could not be reached or does not let us in.
    Unavailable,
    /// It may work later.
    Temporary,
    /// The asker may not.
    Permission,
    /// A fault of ours.
    Internal,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, messages: vec![message.into()] }
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Data, message)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UserRow {
    pub login: String,
    pub display: String,
    pub addresses: Vec<String>,
    pub groups: Vec<String>,
    /// Where the person's own mail is, and how we log in there, as one line.
    pub host: Option<String>,
    pub disabled: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GroupRow {
    pub name: String,
    pub members: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MailboxRow {
    pub short: String,
    pub address: String,
    pub owner: Option<String>,
    pub imap: String,
    pub submission: Option<String>,
    pub grants: usize,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MailboxDetail {
    pub short: String,
    pub address: String,
    pub aliases: Vec<String>,
    pub display: String,
    pub owner: Option<String>,
    /// Host, port, security, trust and login name, as one line.
    pub imap: String,
    pub submission: Option<String>,
    pub max_connections: u16,
    /// Names and values of the options, as `mailbox set` takes them.
    pub options: Vec<(String, String)>,
    pub folders: FolderTable,
    pub grants: Vec<GrantRow>,
}

/// A mailbox's folders and what they count as.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FolderTable {
    pub mailbox: String,
    pub folders: Vec<FolderRow>,
    /// What the admin should look at.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FolderRow {
    pub folder: String,
    pub class: FolderClass,
    /// Why it has that class: `special-use`, `name`, `pinned`, `parent`.
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GrantRow {
    /// A login name, or `@group`.
    pub holder: String,
    pub mailbox: String,
    pub role: String,
    /// How the holder may send, where the grant says so itself.
    #[serde(default)]
    pub send: Option<SendRight>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// `only Projects/*`; empty: the whole mailbox.
    #[serde(default)]
    pub folders: String,
    /// `live`, `not yet`, `ended`, `suspended`, `no such role`.
    pub state: String,
    pub note: String,
    pub granted_by: String,
    pub granted_at: Timestamp,
}

/// What a role allows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RoleRow {
    pub name: String,
    /// Rights letters by folder class, in the order of the classes.
    pub rights: Vec<(FolderClass, String)>,
    pub drafts: DraftScope,
    pub send: SendRight,
    /// How many grants name it.
    pub grants: usize,
}

/// What a person may do in a mailbox, and through what.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Explained {
    pub user: String,
    pub mailbox: String,
    /// The sentence that sums up: which roles by which grants, or why there are none.
    pub summary: Vec<String>,
    pub cases: Vec<Case>,
}

/// One act in one class of folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Case {
    /// A folder's name, or a class.
    pub place: String,
    pub action: String,
    pub verdict: Verdict,
    /// The sentence the person reads when it is denied, or what is left of the act.
    pub why: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Yes,
    /// The permitted part happens, the rest does not.
    Partly,
    No,
}

/// What the running daemon does.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Status {
    pub version: String,
    /// `false`: no daemon runs, and the store was looked at directly.
    pub running: bool,
    pub started: Option<Timestamp>,
    /// Each service's addresses.
    pub listening: BTreeMap<String, Vec<String>>,
    pub sessions: Vec<Count>,
    pub pools: Vec<Count>,
    pub counters: Vec<Count>,
    pub users: usize,
    pub groups: usize,
    pub mailboxes: usize,
    pub grants: usize,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Count {
    pub name: String,
    pub count: u64,
}
