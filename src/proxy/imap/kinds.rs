//! What commands and steps are, for those who carry them out.

use crate::imap::command::{Command, FetchItem, SearchKey, Sort, Thread};
use crate::imap::scan::Listing;
use crate::policy::{Step, StepKind};
use crate::types::UidSet;

/// Whether the step puts messages into the command's target.
pub(super) fn puts_messages(step: &Step) -> bool {
    matches!(
        step.kind(),
        StepKind::Append { .. } | StepKind::Copy | StepKind::CopyThese(_) | StepKind::Move { .. }
    )
}

pub(super) fn step_removes(step: &Step) -> Option<&UidSet> {
    match step.kind() {
        StepKind::Remove(uids)
        | StepKind::RemoveAll(uids)
        | StepKind::Discard(uids)
        | StepKind::RemoveCopied(uids)
        | StepKind::Move { uids, .. } => Some(uids),
        StepKind::Carry
        | StepKind::Ask(_)
        | StepKind::Mark { .. }
        | StepKind::FindMarked
        | StepKind::Open { .. }
        | StepKind::Fetch { .. }
        | StepKind::Uids
        | StepKind::Flags
        | StepKind::Store { .. }
        | StepKind::FindDeleted
        | StepKind::FindFlagged(_)
        | StepKind::Append { .. }
        | StepKind::Copy
        | StepKind::CopyThese(_)
        | StepKind::Describe(_)
        | StepKind::ReadOut(_)
        // In another mailbox.
        | StepKind::TakeBack { .. }
        | StepKind::Strip { .. }
        | StepKind::DeleteFolder
        | StepKind::Unselect
        | StepKind::Address
        | StepKind::Submit { .. }
        | StepKind::File
        | StepKind::Parent(_) => None,
    }
}

/// Which list of numbers answers the command.
pub(super) fn listing(command: &Command) -> Option<Listing> {
    match command {
        Command::Search { .. } => Some(Listing::Search),
        Command::Sort { .. } => Some(Listing::Sort),
        Command::Thread { .. } => Some(Listing::Thread),
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::Append(_)
        | Command::Idle
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Fetch { .. }
        | Command::Store { .. }
        | Command::Copy { .. }
        | Command::Move { .. } => None,
    }
}

/// Whether the client numbers messages by UID.
pub(super) fn numbers_by_uid(command: &Command) -> bool {
    match command {
        Command::Search { uid, .. }
        | Command::Sort { uid, .. }
        | Command::Thread { uid, .. }
        | Command::Fetch { uid, .. }
        | Command::Store { uid, .. }
        | Command::Copy { uid, .. }
        | Command::Move { uid, .. } => *uid,
        Command::UidExpunge(_) | Command::Expunge | Command::Close => true,
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Idle
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::Check
        | Command::Unselect
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Status { .. }
        | Command::Append(_) => false,
    }
}

/// CONDSTORE-enabling commands of the selected state (RFC 7162 §3.1).
pub(super) fn needs_condstore(command: &Command) -> bool {
    match command {
        Command::Fetch { fetch, .. } => {
            fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq)
        }
        Command::Store { store, .. } => store.unchanged_since.is_some(),
        Command::Search { search, .. }
        | Command::Sort { sort: Sort { search, .. }, .. }
        | Command::Thread { thread: Thread { search, .. }, .. } => search.keys.iter().any(asks_mod_seq),
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::Append(_)
        | Command::Idle
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Copy { .. }
        | Command::Move { .. } => false,
    }
}

/// What may be said only after ENABLE QRESYNC (RFC 7162 §3.2.3).
pub(super) fn needs_qresync(command: &Command) -> bool {
    match command {
        Command::Select(open) | Command::Examine(open) => open.resync.is_some(),
        Command::Fetch { fetch, .. } => fetch.vanished,
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::Append(_)
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Idle
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. }
        | Command::Store { .. }
        | Command::Copy { .. }
        | Command::Move { .. } => false,
    }
}

pub(super) fn asks_mod_seq(key: &SearchKey) -> bool {
    key.any(&|key| matches!(key, SearchKey::ModSeq(_)))
}

/// What a command needs of the open folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Nothing, or what the mirror can tell.
    Nothing,
    Connection,
    /// A connection on which messages have the numbers that the client gives them.
    Numbers,
}

pub(super) fn need(command: &Command) -> Need {
    match command {
        Command::Search { uid, .. }
        | Command::Sort { uid, .. }
        | Command::Thread { uid, .. }
        | Command::Fetch { uid, .. }
        | Command::Store { uid, .. }
        | Command::Copy { uid, .. }
        | Command::Move { uid, .. } => match uid {
            true => Need::Connection,
            false => Need::Numbers,
        },
        Command::Close | Command::Expunge | Command::UidExpunge(_) => Need::Connection,
        Command::Noop
        | Command::Check
        | Command::Idle
        | Command::Capability
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Append(_)
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::Unselect => Need::Nothing,
    }
}
