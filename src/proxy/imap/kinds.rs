//! What commands and steps are, for those who carry them out.

use crate::imap::command::{Command, FetchItem, SearchKey};
use crate::imap::scan::Listing;
use crate::imap::subject::Subject;
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
    match command.subject() {
        Subject::Found { listing, .. } => Some(listing),
        Subject::Named { .. } | Subject::Marked | Subject::None => None,
    }
}

/// Whether messages are numbered by UID; what is marked is found so.
pub(super) fn numbers_by_uid(command: &Command) -> bool {
    match command.subject() {
        Subject::Found { by_uid, .. } | Subject::Named { by_uid, .. } => by_uid,
        Subject::Marked => true,
        Subject::None => false,
    }
}

/// Whether the client numbers messages as they stand in the folder.
pub(super) fn counts_messages(command: &Command) -> bool {
    match command.subject() {
        Subject::Found { by_uid, .. } | Subject::Named { by_uid, .. } => !by_uid,
        Subject::Marked | Subject::None => false,
    }
}

/// CONDSTORE-enabling commands of the selected state (RFC 7162 §3.1).
pub(super) fn needs_condstore(command: &Command) -> bool {
    match (command.subject(), command) {
        (Subject::Found { search, .. }, _) => search.keys.iter().any(asks_mod_seq),
        (_, Command::Fetch { fetch, .. }) => {
            fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq)
        }
        (_, Command::Store { store, .. }) => store.unchanged_since.is_some(),
        (Subject::Named { .. } | Subject::Marked | Subject::None, _) => false,
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
    match command.subject() {
        Subject::Found { .. } | Subject::Named { .. } if counts_messages(command) => Need::Numbers,
        Subject::Found { .. } | Subject::Named { .. } | Subject::Marked => Need::Connection,
        Subject::None => Need::Nothing,
    }
}
