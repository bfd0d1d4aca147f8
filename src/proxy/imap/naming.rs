//! Which messages a change means, where the client's numbers do not say it by UID.

use super::ended::Ended;
use super::exchange::Found;
use super::kinds::numbers_by_uid;
use super::run::Done;
use super::session::Session;
use crate::imap::command::{Command, Fetch, Store, Tag};
use crate::imap::response::Condition;
use crate::policy::Permit;
use crate::types::{NumberSet, UidSet};

impl Session {
    /// Finds (sequence number, UID) of the messages that a command is about to change and does
    /// not name by UID: the journal must (invariant 12). By number as the command is, so that no
    /// EXPUNGE comes between (invariant 7). A `*` is what it was for the client then: mail that
    /// arrives meanwhile is not meant. Or the end, where upstream refuses or none is meant.
    pub(super) async fn name_messages(
        &mut self,
        tag: &Tag,
        command: &mut Command,
        permit: &Permit,
    ) -> Result<Result<Vec<(u32, u32)>, Done>, Ended> {
        self.watch.refresh()?;
        let Some((uid, set)) = changed_set(command) else { return Ok(Ok(Vec::new())) };
        let (by_uid, last) = (*uid, set.has_last());
        let naming = permit.naming(self.watch.effective(), last && !by_uid);
        let Some(step) = naming.filter(|_| last || !by_uid) else { return Ok(Ok(Vec::new())) };
        let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
        let mut found = Found::default();
        let answer = self.step(tag, command, &step, &mut found).await?;
        if !answer.is_ok() {
            return Ok(Err(Done { condition: answer.condition, code: answer.code }));
        }
        if let Command::Store { store, .. } = command {
            // Flags told before a silent change would be taken for those after it.
            store.silent &= !found.told_flags;
        }
        found.numbers.retain(|(number, _)| *number <= messages);
        let named = self.asked(command, found.numbers);
        if let Some((_, set)) = changed_set(command).filter(|_| last) {
            let meant: UidSet =
                named.iter().map(|(number, uid)| if by_uid { *uid } else { *number }).collect();
            let Some(meant) = Option::<NumberSet>::from(&meant) else {
                return Ok(Err(Done { condition: Condition::Ok, code: None }));
            };
            *set = meant;
        }
        Ok(Ok(named))
    }

    /// Those messages that the command names: upstream may tell of others in between.
    pub(super) fn asked(&self, command: &Command, numbers: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
        let (Command::Store { store: Store { set, .. }, .. }
        | Command::Fetch { fetch: Fetch { set, .. }, .. }
        | Command::Copy { set, .. }
        | Command::Move { set, .. }) = command
        else {
            return Vec::new();
        };
        let by_uid = numbers_by_uid(command);
        let last = numbers.iter().map(|(number, uid)| if by_uid { *uid } else { *number }).max();
        let meant = set.resolve(last.unwrap_or(0));
        numbers
            .into_iter()
            .filter(|(number, uid)| meant.contains(if by_uid { *uid } else { *number }))
            .collect()
    }
}

/// Whether it numbers by UID, and the messages of a command that may change or copy some.
fn changed_set(command: &mut Command) -> Option<(&mut bool, &mut NumberSet)> {
    match command {
        Command::Store { uid, store } => Some((uid, &mut store.set)),
        Command::Copy { uid, set, .. } | Command::Move { uid, set, .. } => Some((uid, set)),
        Command::Fetch { uid, fetch } => fetch.marks_seen().then_some((uid, &mut fetch.set)),
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
        | Command::Append(_)
        | Command::Close
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. } => None,
    }
}
