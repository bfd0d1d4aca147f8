//! The INBOX of somebody who has no mail of their own here: empty, and read-only.
//!
//! Clients open INBOX whatever there is. Nothing of this goes upstream: there is none.

use super::session::Session;
use crate::imap::command::{Command, SearchReturn, Tag};
use crate::imap::reply::{self, Outcome};

impl Session {
    /// Answers a command where the person's own account is in focus and there is none; `false`
    /// if it is one like any other.
    pub(super) fn answer_nowhere(&mut self, tag: &Tag, command: &Command) -> bool {
        if !self.homeless || self.watch.mailbox().home_user().is_none() {
            return false;
        }
        match command {
            Command::Select(open) | Command::Examine(open) => {
                let is_inbox = open.folder.as_ref().is_ok_and(|name| name.is_inbox());
                self.in_nowhere = is_inbox;
                if is_inbox {
                    self.open_nothing(tag, command);
                }
                is_inbox
            }
            Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge
            | Command::UidExpunge(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. }
                if self.in_nowhere =>
            {
                self.do_nothing(tag, command);
                true
            }
            Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge
            | Command::UidExpunge(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. }
            | Command::Capability
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
            | Command::Idle
            | Command::GetQuota { .. }
            | Command::GetQuotaRoot(_)
            | Command::MyRights(_)
            | Command::ListRights { .. }
            | Command::GetAcl(_)
            | Command::SetAcl(_)
            | Command::DeleteAcl(_) => false,
        }
    }

    fn open_nothing(&mut self, tag: &Tag, command: &Command) {
        let out = self.client.wire.out();
        reply::flags(out, "()");
        reply::number(out, 0, "EXISTS");
        reply::number(out, 0, "RECENT");
        reply::untagged(out, Outcome::Ok, "PERMANENTFLAGS ()", "Flags you may change");
        reply::untagged(out, Outcome::Ok, "UIDVALIDITY 1", "There is nothing in here");
        reply::untagged(out, Outcome::Ok, "UIDNEXT 1", "And nothing will be");
        reply::untagged(out, Outcome::Ok, "NOMODSEQ", "Nothing changes");
        reply::completed(out, tag, "READ-ONLY", super::record::verb(command));
    }

    /// There are no messages: what finds some finds none, what changes some changes none.
    fn do_nothing(&mut self, tag: &Tag, command: &Command) {
        if matches!(command, Command::Close | Command::Unselect) {
            self.in_nowhere = false;
        }
        let found = match command {
            Command::Search { search, uid } => match &search.ret {
                None => Some("SEARCH".to_owned()),
                Some(wanted) => wanted.tells().then(|| found_none(tag, *uid, wanted)),
            },
            Command::Sort { .. } => Some("SORT".to_owned()),
            Command::Thread { .. } => Some("THREAD".to_owned()),
            _ => None,
        };
        if let Some(found) = found {
            reply::data(self.client.wire.out(), &found);
        }
        reply::completed(self.client.wire.out(), tag, "", super::record::verb(command));
    }
}

/// RFC 4731 §3.1: MIN, MAX and ALL are left out where nothing was found.
fn found_none(tag: &Tag, uid: bool, wanted: &SearchReturn) -> String {
    let uid = if uid { " UID" } else { "" };
    let count = if wanted.count { " COUNT 0" } else { "" };
    format!("ESEARCH (TAG \"{}\"){uid}{count}", tag.as_str())
}
