//! What the journal says of a session's acts (invariant 12).

use std::net::IpAddr;
use std::sync::Arc;

use super::ended::Ended;
use super::exchange::{Answer, Found};
use super::session::Selected;
use crate::imap::command::Command;
use crate::imap::response::Condition;
use crate::policy::{Denial, Effective, Step, StepKind, StoreMode, Target};
use crate::proxy::clock;
use crate::telemetry::{Act, Actor, Counted, Durability, End, Event, Journal, Outcome, Seq, SessionId};
use crate::types::{FolderName, UidSet};

/// Writes a session's lines.
pub(super) struct Recorder {
    journal: Journal,
    session: SessionId,
    peer: IpAddr,
    /// Who acts, with the rights that it was made for.
    actor: Option<(Arc<Effective>, Arc<Actor>)>,
}

impl Recorder {
    pub(super) fn new(journal: Journal, session: SessionId, peer: IpAddr) -> Self {
        Self { journal, session, peer, actor: None }
    }

    /// Before the first upstream octet of an act that removes; on disk when this returns.
    pub(super) async fn intent(&mut self, effective: &Arc<Effective>, act: Act) -> Result<Seq, Ended> {
        let actor = self.actor(effective);
        self.write(Event::Intent { actor, act }, Durability::Flushed).await
    }

    /// What became of it, before the client is told.
    pub(super) async fn outcome(&self, intent: Seq, outcome: Outcome, found: &Found) -> Result<(), Ended> {
        let target_uids = found.stored.as_ref().map(|(_, uids)| uids.clone());
        let (session, count) = (self.session, None);
        let event = Event::Outcome { session, intent, outcome, target_uids, count, queue_id: None };
        self.write(event, Durability::Grouped).await.map(|_| ())
    }

    /// What became of messages on their way to another mailbox: how many are there now, and
    /// what they are called.
    pub(super) async fn arrival(
        &self,
        intent: Seq,
        outcome: Outcome,
        (count, target_uids): (u64, Option<UidSet>),
    ) -> Result<(), Ended> {
        let (session, count) = (self.session, Some(count));
        let event = Event::Outcome { session, intent, outcome, target_uids, count, queue_id: None };
        self.write(event, Durability::Grouped).await.map(|_| ())
    }

    /// Any other change, before the client is told.
    pub(super) async fn change(
        &mut self,
        effective: &Arc<Effective>,
        mut act: Act,
        outcome: Outcome,
        found: &Found,
    ) -> Result<(), Ended> {
        if let Some((validity, uids)) = &found.stored {
            (act.target_uidvalidity, act.target_uids) = (Some(*validity), Some(uids.clone()));
        }
        let actor = self.actor(effective);
        self.write(Event::Change { actor, act, outcome }, Durability::Grouped).await.map(|_| ())
    }

    /// A refusal is counted, not written line by line: a stranger must not fill the journal.
    pub(super) fn refused(&self, effective: &Effective, command: &Command, denial: &Denial) {
        let why = match denial.reason {
            crate::policy::Reason::Right(_) => "right",
            crate::policy::Reason::ReadOnly => "read-only",
            crate::policy::Reason::NotOwn => "not own",
            crate::policy::Reason::NoMeans | crate::policy::Reason::Unconfirmed => "host",
            crate::policy::Reason::FlagsStay => "flags",
            crate::policy::Reason::Send => "send",
            crate::policy::Reason::NotAnAnswer => "no answer",
            crate::policy::Reason::StaysHere => "stays",
            crate::policy::Reason::Withdrawn => "withdrawn",
        };
        let (user, mailbox) = (effective.user, effective.mailbox);
        self.journal.count(Counted::Refused { user, mailbox, verb: verb(command), why });
    }

    /// The session was ended because the grant was, by somebody or by its date.
    pub(super) async fn revoked(&mut self, effective: &Arc<Effective>) {
        let actor = self.actor(effective);
        let expired = effective.good_until.is_some_and(|end| end <= clock::now());
        let why = if expired { End::Expired } else { End::Revoked };
        let event = Event::SessionEnded { actor, why };
        // The session ends whether or not this can be written; the failure is in the log.
        let _ = self.write(event, Durability::Grouped).await;
    }

    async fn write(&self, event: Event, durability: Durability) -> Result<Seq, Ended> {
        self.journal.record(event, durability).await.map_err(|error| {
            tracing::error!(%error, "the journal cannot be written: nothing is done that must be recorded");
            Ended::JournalFailed
        })
    }

    fn actor(&mut self, effective: &Arc<Effective>) -> Arc<Actor> {
        if let Some((known, actor)) = &self.actor
            && Arc::ptr_eq(known, effective)
        {
            return actor.clone();
        }
        let actor = Arc::new(Actor {
            session: self.session,
            peer: self.peer,
            user: effective.user,
            mailbox: effective.mailbox,
            role: effective.role_text(),
            grants: effective.grants.clone(),
        });
        self.actor = Some((effective.clone(), actor.clone()));
        actor
    }
}

/// The line for a step, if it changes anything. `named`: (sequence number, UID) of the messages
/// that the command means, where it does not say so itself.
pub(super) fn act(
    step: &Step,
    command: &Command,
    selected: Option<&Selected>,
    named: &[(u32, u32)],
) -> Option<Act> {
    let (right, uids, flags) = match step.kind() {
        StepKind::Carry => match command {
            Command::Create { .. } => ("k", None, None),
            Command::Rename { .. } => ("xk", None, None),
            Command::Capability
            | Command::Noop
            | Command::Logout
            | Command::Id { .. }
            | Command::Login { .. }
            | Command::Authenticate { .. }
            | Command::Enable(_)
            | Command::Select(_)
            | Command::Examine(_)
            | Command::Delete(_)
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
            | Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge
            | Command::UidExpunge(_)
            | Command::GetQuota { .. }
            | Command::GetQuotaRoot(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. } => return None,
        },
        // Only what upstream marks as read by being asked for it.
        StepKind::Fetch { peek: false, .. } if marks_seen(command) => {
            ("s", asked(step, command, named), Some("+FLAGS \\Seen".to_owned()))
        }
        StepKind::Open { .. }
        | StepKind::Ask(_)
        | StepKind::Mark { .. }
        | StepKind::FindMarked
        | StepKind::Fetch { .. }
        | StepKind::Uids
        | StepKind::Flags
        | StepKind::FindDeleted
        | StepKind::FindFlagged(_)
        // Between mailboxes: see `across`.
        | StepKind::Describe(_)
        | StepKind::ReadOut(_)
        | StepKind::TakeBack { .. }
        | StepKind::Unselect
        | StepKind::Address
        | StepKind::Submit { .. }
        | StepKind::File
        | StepKind::Parent(_) => return None,
        StepKind::Store { mode, flags, .. } => {
            let sign = match mode {
                StoreMode::Add => "+",
                StoreMode::Remove => "-",
                StoreMode::Replace => "",
            };
            ("swt", asked(step, command, named), Some(format!("{sign}FLAGS {flags}")))
        }
        StepKind::Remove(uids) | StepKind::RemoveAll(uids) => ("e", Some(uids.clone()), None),
        StepKind::Append { flags } => ("i", None, Some(flags.to_string())),
        StepKind::Copy => ("i", asked(step, command, named), None),
        StepKind::CopyThese(uids) => ("i", Some(uids.clone()), None),
        // Not a right of the role's: the mailbox's option gives it.
        StepKind::Move { uids, discards: true, .. } | StepKind::Discard(uids) => {
            ("trash", Some(uids.clone()), None)
        }
        StepKind::RemoveCopied(uids) => {
            (if matches!(command, Command::Move { .. }) { "te" } else { "trash" }, Some(uids.clone()), None)
        }
        StepKind::Move { uids, discards: false, .. } => ("tei", Some(uids.clone()), None),
        StepKind::Strip { uids, flags, .. } => ("i", Some(uids.clone()), Some(format!("-FLAGS {flags}"))),
        StepKind::DeleteFolder => ("xte", None, None),
    };
    let folder = folder(command).cloned().or_else(|| selected.map(|selected| selected.name.clone()));
    Some(Act {
        verb: verb(command),
        right: right.to_owned(),
        uidvalidity: selected.filter(|selected| Some(&selected.name) == folder.as_ref()).map(|s| s.validity),
        uids,
        folder,
        target: target(command).cloned(),
        flags,
        ..Act::default()
    })
}

fn marks_seen(command: &Command) -> bool {
    matches!(command, Command::Fetch { fetch, .. } if fetch.marks_seen())
}

/// The UIDs that a step on the command's messages means: those it says itself, or what was found.
fn asked(step: &Step, command: &Command, named: &[(u32, u32)]) -> Option<UidSet> {
    let (uid, set) = match command {
        Command::Store { uid, store } => (*uid, &store.set),
        Command::Copy { uid, set, .. } => (*uid, set),
        Command::Fetch { uid, fetch } => (*uid, &fetch.set),
        _ => return None,
    };
    let of_step = match step.kind() {
        StepKind::Store { target: Target::Uids(uids), .. } => return Some(uids.clone()),
        StepKind::Store { target: Target::Numbers(numbers), .. } if uid => return Some(numbers.clone()),
        StepKind::Store { target: Target::Numbers(numbers), .. } => Some(numbers),
        _ if uid && !set.has_last() => return Some(set.resolve(u32::MAX)),
        _ => None,
    };
    let meant = named.iter().filter(|(number, _)| of_step.is_none_or(|these| these.contains(*number)));
    Some(meant.map(|(_, uid)| *uid).collect())
}

/// What an answer, or its absence, says of an act.
pub(super) fn outcome(taken: &Result<Answer, Ended>, found: &Found) -> Outcome {
    let condition = match taken {
        Ok(answer) => Some(answer.condition),
        Err(_) if !found.sent => return Outcome::Refused,
        Err(_) => found.ended,
    };
    match condition {
        Some(Condition::Ok) => Outcome::Done,
        Some(Condition::No | Condition::Bad) => Outcome::Refused,
        Some(Condition::Bye | Condition::PreAuth) | None => Outcome::Unknown,
    }
}

/// The folder that messages go to, or that a folder command or SELECT is about.
pub(super) fn target(command: &Command) -> Option<&FolderName> {
    match command {
        Command::Select(open) | Command::Examine(open) => open.folder.as_ref().ok(),
        Command::Append(append) => append.folder.as_ref().ok(),
        Command::Copy { to, .. } | Command::Move { to, .. } | Command::Rename { to, .. } => to.as_ref().ok(),
        Command::Delete(folder) | Command::Status { folder, .. } | Command::Create { folder, .. } => {
            folder.as_ref().ok()
        }
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
        | Command::Close
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. }
        | Command::Fetch { .. }
        | Command::Store { .. } => None,
    }
}

/// The folder that a folder command changes.
fn folder(command: &Command) -> Option<&FolderName> {
    match command {
        Command::Rename { from, .. } => from.as_ref().ok(),
        Command::Delete(folder) | Command::Create { folder, .. } => folder.as_ref().ok(),
        _ => None,
    }
}

/// The verb as the journal, the counters and the tagged answer name it.
pub(super) fn verb(command: &Command) -> &'static str {
    match command {
        Command::Capability => "CAPABILITY",
        Command::Noop => "NOOP",
        Command::Logout => "LOGOUT",
        Command::Id { .. } => "ID",
        Command::Login { .. } => "LOGIN",
        Command::Authenticate { .. } => "AUTHENTICATE",
        Command::Enable(_) => "ENABLE",
        Command::Select(_) => "SELECT",
        Command::Examine(_) => "EXAMINE",
        Command::Create { .. } => "CREATE",
        Command::Delete(_) => "DELETE",
        Command::Rename { .. } => "RENAME",
        Command::Subscribe(_) => "SUBSCRIBE",
        Command::Unsubscribe(_) => "UNSUBSCRIBE",
        Command::List(_) => "LIST",
        Command::Lsub { .. } => "LSUB",
        Command::Namespace => "NAMESPACE",
        Command::Status { .. } => "STATUS",
        Command::Append(_) => "APPEND",
        Command::Idle => "IDLE",
        Command::MyRights(_) => "MYRIGHTS",
        Command::ListRights { .. } => "LISTRIGHTS",
        Command::GetAcl(_) => "GETACL",
        Command::SetAcl(_) => "SETACL",
        Command::DeleteAcl(_) => "DELETEACL",
        Command::Check => "CHECK",
        Command::Close => "CLOSE",
        Command::Unselect => "UNSELECT",
        Command::Expunge => "EXPUNGE",
        Command::UidExpunge(_) => "UID EXPUNGE",
        Command::Search { uid: false, .. } => "SEARCH",
        Command::Search { uid: true, .. } => "UID SEARCH",
        Command::GetQuota { .. } => "GETQUOTA",
        Command::GetQuotaRoot(_) => "GETQUOTAROOT",
        Command::Sort { uid: false, .. } => "SORT",
        Command::Sort { uid: true, .. } => "UID SORT",
        Command::Thread { uid: false, .. } => "THREAD",
        Command::Thread { uid: true, .. } => "UID THREAD",
        Command::Fetch { uid: false, .. } => "FETCH",
        Command::Fetch { uid: true, .. } => "UID FETCH",
        Command::Store { uid: false, .. } => "STORE",
        Command::Store { uid: true, .. } => "UID STORE",
        Command::Copy { uid: false, .. } => "COPY",
        Command::Copy { uid: true, .. } => "UID COPY",
        Command::Move { uid: false, .. } => "MOVE",
        Command::Move { uid: true, .. } => "UID MOVE",
    }
}
