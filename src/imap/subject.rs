//! Which messages a command is about: the one place where every verb says so.

use super::command::{Command, Fetch, Search, Sort, Store, Thread};
use super::scan::Listing;
use crate::types::NumberSet;

/// Which messages of the open folder a command is about; `S` and `N` are references to what it
/// searches for and to the set that it names.
#[derive(Debug)]
pub enum Subject<S, N> {
    /// Those that are found; a list of numbers answers.
    Found { listing: Listing, by_uid: bool, search: S },
    /// Those that the client names.
    Named { by_uid: bool, set: N },
    /// Those that are marked `\Deleted`.
    Marked,
    /// None: it is about folders, rights or the session.
    None,
}

/// The same arms whether the command is lent or lent to be changed.
macro_rules! subject {
    ($command:expr) => {
        match $command {
            Command::Search { uid, search } => {
                Subject::Found { listing: Listing::Search, by_uid: *uid, search }
            }
            Command::Sort { uid, sort: Sort { search, .. } } => {
                Subject::Found { listing: Listing::Sort, by_uid: *uid, search }
            }
            Command::Thread { uid, thread: Thread { search, .. } } => {
                Subject::Found { listing: Listing::Thread, by_uid: *uid, search }
            }
            Command::Fetch { uid, fetch: Fetch { set, .. } }
            | Command::Store { uid, store: Store { set, .. } }
            | Command::Copy { uid, set, .. }
            | Command::Move { uid, set, .. } => Subject::Named { by_uid: *uid, set },
            Command::UidExpunge(set) => Subject::Named { by_uid: true, set },
            Command::Expunge | Command::Close => Subject::Marked,
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
            | Command::Unselect => Subject::None,
        }
    };
}

impl Command {
    pub fn subject(&self) -> Subject<&Search, &NumberSet> {
        subject!(self)
    }

    pub fn subject_mut(&mut self) -> Subject<&mut Search, &mut NumberSet> {
        subject!(self)
    }

    /// What SEARCH, SORT or THREAD looks for, and whether it numbers by UID.
    pub fn search(&self) -> Option<(bool, &Search)> {
        match self.subject() {
            Subject::Found { by_uid, search, .. } => Some((by_uid, search)),
            Subject::Named { .. } | Subject::Marked | Subject::None => None,
        }
    }

    /// The messages that the client names, and whether it does by UID.
    pub fn named_messages(&self) -> Option<(bool, &NumberSet)> {
        match self.subject() {
            Subject::Named { by_uid, set } => Some((by_uid, set)),
            Subject::Found { .. } | Subject::Marked | Subject::None => None,
        }
    }
}
