//! The admin's verbs, whoever asks: command line, control socket, later the console. Layer 5.
//!
//! [`perform`] is the one way in. A verb changes the store and writes the journal; the
//! store's watch tells the sessions. Nothing here reads mail, and no answer holds a secret.

mod answer;
mod control;
mod discard;
mod explain;
mod folders;
mod grants;
mod hosts;
mod mailboxes;
mod names;
mod outbox;
mod own;
mod people;
mod record;
mod request;
mod roles;
mod settings;
mod whole;

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

pub use answer::{
    Answer, Case, Count, Explained, Failure, FailureKind, FolderRow, FolderTable, GrantRow, GroupRow,
    MailboxDetail, MailboxRow, MessageRow, OutboxRow, RoleRow, Status, UserRow, Verdict,
};
pub use control::{AskError, ask, serve};
pub use hosts::Hosts;
pub use outbox::OutboxSource;
pub use request::{
    Login, NewGrant, NewMailbox, NewUser, OwnAccount, OwnHost, OwnLogin, Pin, Request, Setting, Submission,
};

use crate::auth::HashSettings;
use crate::store::Store;
use crate::store::StoreError;
use crate::telemetry::Journal;
use crate::types::Timestamp;

/// What the verbs work with.
pub struct Services {
    pub store: Store,
    pub journal: Journal,
    pub hosts: Hosts,
    pub status: Box<dyn StatusSource>,
    /// `None`: no daemon runs.
    pub outbox: Option<Box<dyn OutboxSource>>,
    pub journal_file: PathBuf,
    pub hashing: HashSettings,
}

/// Who knows what the daemon is doing: sessions, connections, counters.
pub trait StatusSource: Send + Sync {
    /// Fills in what it knows.
    fn report(&self, status: &mut Status);
}

/// Who asks, as the kernel names them (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Actor {
    pub uid: u32,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid:{}", self.uid)
    }
}

/// Does what is asked and says what came of it.
pub async fn perform(services: &Services, actor: Actor, request: Request) -> Answer {
    let (verb, changes) = (request.verb(), request.changes());
    let answer = dispatch(services, actor, request).await.unwrap_or_else(Answer::Failed);
    if let Answer::Failed(failure) = &answer {
        tracing::info!(%actor, verb, changes, kind = ?failure.kind, "an admin's request was not carried out");
    }
    answer
}

async fn dispatch(services: &Services, actor: Actor, request: Request) -> Result<Answer, Failure> {
    match request {
        Request::UserAdd(new) => people::add_user(services, actor, new).await,
        Request::UserPassword { login, password } => {
            people::set_password(services, actor, &login, password).await
        }
        Request::UserDisable { login } => people::set_disabled(services, actor, &login, true).await,
        Request::UserEnable { login } => people::set_disabled(services, actor, &login, false).await,
        Request::UserHost { login, host } => own::set(services, actor, &login, host.map(|host| *host)).await,
        Request::UserList => Ok(people::list_users(services)),
        Request::UserRemove { login } => people::remove_user(services, actor, &login).await,
        Request::GroupAdd { name } => people::add_group(services, actor, &name).await,
        Request::GroupJoin { group, logins } => people::join(services, actor, &group, &logins).await,
        Request::GroupLeave { group, logins } => people::leave(services, actor, &group, &logins).await,
        Request::GroupList => Ok(people::list_groups(services)),
        Request::GroupRemove { name } => people::remove_group(services, actor, &name).await,
        Request::MailboxAdd(new) => mailboxes::add(services, actor, *new).await,
        Request::MailboxList => Ok(mailboxes::list(services)),
        Request::MailboxShow { mailbox } => mailboxes::show(services, &mailbox),
        Request::MailboxFolders { mailbox, pins } => {
            mailboxes::folders(services, actor, &mailbox, &pins).await
        }
        Request::MailboxSet { mailbox, settings } => settings::set(services, actor, &mailbox, settings).await,
        Request::MailboxRemove { mailbox } => mailboxes::remove(services, actor, &mailbox).await,
        Request::MailboxTest { mailbox } => mailboxes::test(services, &mailbox).await,
        Request::GrantAdd(new) => grants::add(services, actor, new).await,
        Request::GrantRemove { holder, mailbox, role } => {
            grants::remove(services, actor, &holder, &mailbox, role.as_deref()).await
        }
        Request::GrantList { mailbox, user } => grants::list(services, mailbox.as_deref(), user.as_deref()),
        Request::RoleList { name } => roles::list(services, name.as_deref()),
        Request::Explain { user, mailbox, folder, action } => {
            explain::explain(services, (&user, &mailbox), folder.as_deref(), action.as_deref())
        }
        Request::Message { message_id } => outbox::message(services, &message_id),
        Request::OutboxList { all } => outbox::list(services, all),
        Request::OutboxRetry { id } => outbox::retry(services, actor, id).await,
        Request::OutboxDrop { id } => outbox::forget(services, actor, id).await,
        Request::Export => Ok(Answer::Export(services.store.export())),
        Request::Apply { lines, replace } => whole::apply(services, actor, &lines, replace).await,
        Request::Status => Ok(whole::status(services)),
    }
}

/// The present, for the layers that are told it.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Conflict(_) => FailureKind::Exists,
            StoreError::Unknown(_) | StoreError::Refused(_) => FailureKind::Data,
            StoreError::Newer { .. } | StoreError::Damaged { .. } => FailureKind::Data,
            StoreError::Busy | StoreError::ReadOnly | StoreError::Locked { .. } => FailureKind::Temporary,
            StoreError::Io { .. } | StoreError::Key { .. } | StoreError::Sealed(_) => FailureKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
