//! The terms of a permit: a closed plan of upstream steps.
//!
//! One client command may need several upstream ones: find what is marked deleted, then
//! expunge exactly that. A plan yields them one at a time, each from what the last one
//! found, and is exhausted when done. A step that removes mail is checked against the
//! rights of that moment once more (invariants 1 and 13).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::across::Across;
use super::decision::rights_in;
use super::moving::{MoveByCopy, move_these, strip_copies};
use super::overlay::{self, Marking};
use super::storing::{final_marks, split, store};
use super::{
    Action, Answering, Arrivals, Assumed, Denial, Effective, Means, OwnFlags, Place, ReadState, Reason,
    Rights, SendRight, StoreMode,
};
use crate::types::{Flag, FlagKind, Flags, SystemFlag, UidSet, UidValidity};

/// One upstream command that a permit allows. Made here only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    kind: StepKind,
}

impl Step {
    /// For [`super::Receipt`] alone.
    pub(super) fn of_receipt(kind: StepKind) -> Self {
        Self { kind }
    }

    /// For the plans beside this one.
    pub(super) fn of_plan(kind: StepKind) -> Self {
        Self { kind }
    }

    pub fn kind(&self) -> &StepKind {
        &self.kind
    }

    /// Whether the step removes messages: intent and outcome are recorded.
    pub fn removes(&self) -> bool {
        match &self.kind {
            StepKind::Remove(_)
            | StepKind::RemoveAll(_)
            | StepKind::RemoveCopied(_)
            | StepKind::Move { .. }
            | StepKind::Discard(_)
            | StepKind::TakeBack { .. }
            | StepKind::DeleteFolder => true,
            StepKind::Carry
            | StepKind::Ask(_)
            | StepKind::Open { .. }
            | StepKind::Fetch { .. }
            | StepKind::Uids
            | StepKind::Flags
            | StepKind::Store { .. }
            | StepKind::Mark { .. }
            | StepKind::FindDeleted
            | StepKind::FindMarked
            | StepKind::Append { .. }
            | StepKind::FindFlagged(_)
            | StepKind::Copy
            | StepKind::CopyThese(_)
            | StepKind::Describe(_)
            | StepKind::ReadOut(_)
            | StepKind::Strip { .. }
            | StepKind::Unselect
            | StepKind::Address
            | StepKind::Submit { .. }
            | StepKind::File
            | StepKind::Parent(_) => false,
        }
    }
}

/// Which messages a STORE step means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The set of the client's command, as written.
    Asked,
    /// These, numbered as the client's command numbers (UIDs or sequence numbers).
    Numbers(UidSet),
    /// These, by UID however the client's command numbers: earlier steps may have moved the
    /// numbers on.
    Uids(UidSet),
}

/// What the step does; the protocol's writer turns it, and the client's typed command, into bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepKind {
    /// The client's command as it was asked: SEARCH, STATUS, NOOP, CHECK, IDLE, CREATE, RENAME.
    /// After [`StepKind::Ask`], SORT and THREAD of what was found.
    Carry,
    /// SELECT, or EXAMINE where nothing may be changed.
    Open { read_only: bool },
    /// SEARCH where the flags of the user's own are as assumed.
    Ask(Assumed),
    /// FETCH; `peek` turns every form that sets `\Seen` into its PEEK form, `marks` sets the
    /// user's own `\Seen` instead, and FLAGS are asked for to tell it.
    Fetch { peek: bool, marks: bool },
    /// `FETCH set (UID)` on the command's set.
    Uids,
    /// `FETCH set (FLAGS)` on the command's set: what is true now, for the client.
    Flags,
    /// STORE on `target`; silent unless it is the command itself.
    Store { target: Target, mode: StoreMode, flags: Flags, silent: bool },
    /// Sets and clears the user's own flags on the command's set; nothing goes upstream.
    Mark { set: OwnFlags, clear: OwnFlags },
    /// `UID SEARCH DELETED`, within the command's set if it has one (UID EXPUNGE).
    FindDeleted,
    /// What the user has marked as deleted, within the command's set if it has one; nothing
    /// goes upstream.
    FindMarked,
    /// `UID MOVE` of exactly these to the mailbox's own Trash.
    Discard(UidSet),
    /// `UID EXPUNGE` of exactly these.
    Remove(UidSet),
    /// Plain EXPUNGE, where upstream has no UIDPLUS; these were found marked.
    RemoveAll(UidSet),
    /// APPEND with these flags.
    Append { flags: Flags },
    /// SEARCH, within the command's set, for messages with any of these flags.
    FindFlagged(Flags),
    /// COPY as asked.
    Copy,
    /// `UID COPY` of exactly these: the first half of a MOVE that the host does not have.
    CopyThese(UidSet),
    /// The other half, for messages whose copies the host has confirmed: marks exactly these
    /// `\Deleted`, then `UID EXPUNGE` of them.
    RemoveCopied(UidSet),
    /// Flags and dates of these, which go to another mailbox.
    Describe(UidSet),
    /// One of them, whole; it does not become `\Seen` by that.
    ReadOut(u32),
    /// Removes copies of this command's making from the other mailbox: they are marked
    /// `\Deleted`, then `UID EXPUNGE` of exactly these.
    TakeBack { validity: UidValidity, uids: UidSet },
    /// MOVE; `uids` are the messages meant, `exact` whether only they may move, `discards`
    /// whether it is the mailbox's `delete = "trash"` that allows it.
    Move { uids: UidSet, exact: bool, discards: bool },
    /// Takes flags that the user may not set off the copies in the target folder.
    Strip { validity: UidValidity, uids: UidSet, flags: Flags },
    /// DELETE of a folder.
    DeleteFolder,
    /// UNSELECT, or its equivalent.
    Unselect,
    /// Sender and recipients of a message.
    Address,
    /// A message from the mailbox; `on_behalf`: its header names the person as Sender.
    Submit { on_behalf: bool },
    /// The copy of a message that went out, into the folder for sent mail; see [`super::Receipt`].
    File,
    /// A flag on the message that one answers or forwards; see [`super::Receipt`].
    Parent(Mark),
}

/// What a message does with its parent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// `\Answered`.
    Answered,
    /// `$Forwarded` (RFC 5788).
    Forwarded,
}

impl Mark {
    /// The flag, as it goes upstream.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "\\Answered",
            Self::Forwarded => "$Forwarded",
        }
    }
}

/// What the last step brought to light.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// Nothing yet: the first step is wanted.
    Start,
    /// Upstream answered OK.
    Done,
    /// (sequence number, UID) of the messages that [`StepKind::Uids`] found.
    Numbers(Vec<(u32, u32)>),
    /// The UIDs that [`StepKind::FindDeleted`] found.
    Deleted(UidSet),
    /// The UIDs that [`StepKind::FindMarked`] found: those to move to Trash, and those that
    /// were copied there before.
    Marked { discard: UidSet, copied: UidSet },
    /// Whether [`StepKind::FindFlagged`] found any.
    Flagged(bool),
    /// These of [`StepKind::Describe`] are there.
    Described(UidSet),
    /// Which messages went where, if upstream told it.
    Copied(Option<Copied>),
}

/// What COPYUID tells (RFC 4315 §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copied {
    /// The target folder's.
    pub validity: UidValidity,
    /// The UIDs of the messages that were copied, and as many of their copies.
    pub from: UidSet,
    pub to: UidSet,
}

/// All that a plan may look at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub last: Fact,
    /// The rights of this moment.
    pub effective: &'a Effective,
    /// The user's own messages in the folder, by journal; empty outside Drafts.
    pub own: &'a UidSet,
    /// Whether the client's command numbers by UID.
    pub by_uid: bool,
}

/// What happens next under a permit.
#[derive(Debug)]
#[must_use]
pub enum Next {
    Run(Step),
    /// The facts, or a change of rights, forbid the rest.
    Refuse(Denial),
    Done,
}

/// The steps still to be taken.
#[derive(Debug)]
pub(super) enum Plan {
    /// These, in this order, whatever each finds.
    Steps(VecDeque<StepKind>),
    /// Own drafts: find the UIDs, then STORE all flags on the user's own messages and the
    /// rest of the flags on the others. Also where `\Deleted` removes at once and is not the
    /// only step: it is set last then, by UID.
    SplitStore { place: Place, mode: StoreMode, flags: Flags, known: Flags, mark: Option<StepKind> },
    /// COPY, then take off the copies what the user may not set there. Without UIDPLUS
    /// nobody knows the copies: messages that carry such flags are not copied.
    Copy { strip: Flags, uidplus: bool },
    /// Find the UIDs, MOVE, then take off as after COPY.
    Move { from: Place, to: Place, strip: Flags },
    /// Find the UIDs, then copy and remove them piece by piece.
    MoveByCopy(MoveByCopy),
    /// Into another mailbox.
    Across(Across),
    /// Find what is marked, then remove what may be removed of it; then `after`.
    Expunge { place: Place, uidplus: bool, after: Option<StepKind> },
    /// Find what the user has marked, then move it to Trash; then `after`.
    Discard { place: Place, after: Option<StepKind> },
    /// Take these removing steps, asking again before each; then `after`.
    Removing { place: Place, steps: VecDeque<StepKind>, after: Option<StepKind> },
    /// The same for steps that may be taken because they lead to Trash.
    Discarding { place: Place, steps: VecDeque<StepKind>, after: Option<StepKind> },
}

/// Longest set in an upstream command line, in octets: servers refuse lines over 8 KiB
/// (measured on Dovecot), and the rest of the command needs room.
pub(super) const MAX_SET_OCTETS: usize = 7_000;

impl Plan {
    pub(super) fn of(effective: &Effective, action: &Action) -> Self {
        let one = |kind| Self::Steps(VecDeque::from([kind]));
        match action {
            Action::Open(place) => one(StepKind::Open { read_only: !changes_anything(effective, place) }),
            Action::Status(_)
            | Action::Poll(_)
            | Action::Create(_)
            | Action::Rename { .. }
            | Action::Administer => one(StepKind::Carry),
            Action::Search { place, asked, ordered } => match effective.own_flags(place).and(*asked) {
                own if own.any() => {
                    let questions = Assumed::every(own).into_iter().map(StepKind::Ask);
                    Self::Steps(questions.chain(ordered.then_some(StepKind::Carry)).collect())
                }
                _ => one(StepKind::Carry),
            },
            Action::Fetch { place, marks_seen } => one(StepKind::Fetch {
                peek: *marks_seen && !sets_seen(effective, place),
                marks: *marks_seen && effective.markable(place).seen,
            }),
            Action::Store { place, mode, flags, known, unkept, conditional, silent } => {
                let marking = Marking::of(effective.markable(place), *mode, flags);
                store(effective, place, (*mode, flags, known, unkept), (*conditional, *silent), marking)
            }
            Action::Append { place, flags } => {
                one(StepKind::Append { flags: permitted(effective, place, flags) })
            }
            Action::Copy { to, uidplus, .. } => {
                Self::Copy { strip: not_permitted(effective, to), uidplus: *uidplus }
            }
            Action::Move { from, to, means } => {
                let strip = not_permitted(effective, to);
                let (from, to) = (from.clone(), to.clone());
                match means {
                    Means::Move => Self::Move { from, to, strip },
                    Means::CopyAndExpunge => Self::MoveByCopy(MoveByCopy::new((from, to), strip)),
                    Means::Nothing => Self::Steps(VecDeque::new()),
                }
            }
            Action::CopyOut(from) => Self::Across(Across::new(from.clone(), false)),
            Action::MoveOut { from, .. } => Self::Across(Across::new(from.clone(), true)),
            Action::Expunge { place, uidplus } => expunge(effective, place, *uidplus, None),
            Action::Close { place, uidplus } => expunge(effective, place, *uidplus, Some(StepKind::Unselect)),
            Action::Unselect => one(StepKind::Unselect),
            Action::Delete { .. } => one(StepKind::DeleteFolder),
            Action::Submit(Answering::Unread) => one(StepKind::Address),
            Action::Submit(Answering::Known | Answering::New | Answering::Unsure) => {
                one(StepKind::Submit { on_behalf: effective.send() == SendRight::OnBehalf })
            }
        }
    }

    pub(super) fn next(&mut self, facts: &Facts<'_>) -> Next {
        match self {
            Self::Steps(steps) => steps.pop_front().map_or(Next::Done, run),
            Self::SplitStore { place, mode, flags, known, mark } => {
                let Fact::Numbers(numbers) = &facts.last else { return run(StepKind::Uids) };
                let mut steps = split(facts, place, (*mode, flags, known), numbers);
                steps.extend(mark.take());
                steps.push_back(StepKind::Flags);
                let removing = final_marks(facts, place, (*mode, flags), numbers);
                if removing.is_empty() {
                    return self.go_on(Self::Steps(steps), facts);
                }
                steps.extend(removing);
                let place = place.clone();
                self.go_on(Self::Removing { place, steps, after: None }, facts)
            }
            Self::Copy { strip, uidplus } => match &facts.last {
                Fact::Start if !*uidplus && !strip.is_empty() => run(StepKind::FindFlagged(strip.clone())),
                Fact::Flagged(true) => Next::Refuse(Denial::new(facts.effective, COPYING, Reason::FlagsStay)),
                Fact::Start | Fact::Flagged(false) => run(StepKind::Copy),
                Fact::Done
                | Fact::Numbers(_)
                | Fact::Deleted(_)
                | Fact::Marked { .. }
                | Fact::Described(_)
                | Fact::Copied(_) => {
                    let strip = std::mem::take(strip);
                    self.go_on(Self::Steps(strip_copies(&facts.last, &strip)), facts)
                }
            },
            Self::Move { from, to, strip } => match &facts.last {
                Fact::Numbers(numbers) => move_these(facts, (from, to), numbers),
                Fact::Start => run(StepKind::Uids),
                Fact::Done
                | Fact::Deleted(_)
                | Fact::Marked { .. }
                | Fact::Flagged(_)
                | Fact::Described(_)
                | Fact::Copied(_) => {
                    let strip = std::mem::take(strip);
                    self.go_on(Self::Steps(strip_copies(&facts.last, &strip)), facts)
                }
            },
            Self::MoveByCopy(plan) => plan.next(facts),
            Self::Across(plan) => plan.next(facts),
            Self::Expunge { place, uidplus, after } => {
                let Fact::Deleted(found) = &facts.last else { return run(StepKind::FindDeleted) };
                let steps = removals(facts, place, found, *uidplus);
                let (place, after) = (place.clone(), after.take());
                self.go_on(Self::Removing { place, steps, after }, facts)
            }
            Self::Discard { place, after } => {
                let Fact::Marked { discard, copied } = &facts.last else { return run(StepKind::FindMarked) };
                let steps = overlay::discards(&lines(discard), &lines(copied));
                let (place, after) = (place.clone(), after.take());
                self.go_on(Self::Discarding { place, steps, after }, facts)
            }
            Self::Removing { place, steps, after } => match steps.pop_front() {
                Some(step) => match still_own(facts, place, step) {
                    Some(step) => still_allowed(facts, place, needed_for(&step), step),
                    None => self.next(facts),
                },
                None => after.take().map_or(Next::Done, run),
            },
            Self::Discarding { place, steps, after } => match steps.pop_front() {
                Some(step) if facts.effective.may_discard(place) => run(step),
                Some(step) => still_allowed(facts, place, Rights::EXPUNGE, step),
                None => after.take().map_or(Next::Done, run),
            },
        }
    }

    /// See [`super::Permit::naming`].
    pub(super) fn naming(&self, last_number: bool) -> Option<Step> {
        let changes = match self {
            Self::Steps(steps) => steps.iter().any(changes_flags),
            Self::Copy { .. } => true,
            Self::Move { .. } | Self::MoveByCopy(_) | Self::Across(_) => last_number,
            Self::SplitStore { .. }
            | Self::Expunge { .. }
            | Self::Removing { .. }
            | Self::Discard { .. }
            | Self::Discarding { .. } => false,
        };
        changes.then_some(Step { kind: StepKind::Uids })
    }

    /// See [`super::Permit::may_strip`].
    pub(super) fn strips(&self) -> bool {
        match self {
            Self::Copy { strip, uidplus } => *uidplus && !strip.is_empty(),
            Self::Move { strip, .. } => !strip.is_empty(),
            Self::MoveByCopy(plan) => plan.strips(),
            Self::Steps(_)
            | Self::Across(_)
            | Self::SplitStore { .. }
            | Self::Expunge { .. }
            | Self::Removing { .. }
            | Self::Discard { .. }
            | Self::Discarding { .. } => false,
        }
    }

    /// See [`super::Permit::arrivals`].
    pub(super) fn arrivals(&self) -> Option<&Arrivals> {
        if let Self::Across(plan) = self { Some(plan.arrivals()) } else { None }
    }

    /// See [`super::Permit::arrived`].
    pub(super) fn arrived(&mut self, from: u32, stored: Option<(UidValidity, u32)>) {
        if let Self::Across(plan) = self {
            plan.arrived(from, stored);
        }
    }

    /// See [`super::Permit::take_back`].
    pub(super) fn take_back(&mut self) -> Vec<Step> {
        if let Self::Across(plan) = self { plan.take_back() } else { Vec::new() }
    }

    fn go_on(&mut self, next: Self, facts: &Facts<'_>) -> Next {
        *self = next;
        self.next(facts)
    }
}

pub(super) fn run(kind: StepKind) -> Next {
    Next::Run(Step { kind })
}

/// FETCH changes them by setting `\Seen`.
fn changes_flags(kind: &StepKind) -> bool {
    matches!(kind, StepKind::Store { .. } | StepKind::Fetch { peek: false, .. })
}

/// Whether anything in the place may be changed; if not, it is EXAMINEd upstream (invariant 9).
fn changes_anything(effective: &Effective, place: &Place) -> bool {
    let held = rights_in(effective, place);
    [Rights::SEEN, Rights::WRITE, Rights::DELETED, Rights::EXPUNGE, Rights::FILE]
        .into_iter()
        .any(|right| held.has(right))
}

fn sets_seen(effective: &Effective, place: &Place) -> bool {
    rights_in(effective, place).has(Rights::SEEN) && effective.read_state() == ReadState::Shared
}

/// Those of `flags` that may go upstream in this place.
pub(super) fn permitted(effective: &Effective, place: &Place, flags: &Flags) -> Flags {
    let held = rights_in(effective, place);
    flags.filter(|flag| match flag.kind() {
        FlagKind::Seen => sets_seen(effective, place),
        kind @ (FlagKind::Deleted | FlagKind::Other) => held.allow_flag(kind),
    })
}

/// System flags that a copy must not carry into this class.
fn not_permitted(effective: &Effective, to: &Place) -> Flags {
    let all: Flags = SystemFlag::ALL.into_iter().map(Flag::System).collect();
    let held = effective.rights_on(to);
    all.filter(|flag| !held.allow_flag(flag.kind()))
}

/// What a removing step needs at its moment.
fn needed_for(step: &StepKind) -> Rights {
    if matches!(step, StepKind::Store { .. }) {
        Rights::DELETED.and(Rights::EXPUNGE)
    } else {
        Rights::EXPUNGE
    }
}

fn expunge(effective: &Effective, place: &Place, uidplus: bool, after: Option<StepKind>) -> Plan {
    if rights_in(effective, place).has(Rights::EXPUNGE) {
        return Plan::Expunge { place: place.clone(), uidplus, after };
    }
    // Without UIDPLUS nothing says where messages went, or removes these alone.
    if effective.may_discard(place) && uidplus {
        return Plan::Discard { place: place.clone(), after };
    }
    Plan::Steps(after.into_iter().collect())
}

/// The steps that remove what is marked, meant and permitted.
///
/// Without UIDPLUS there is only the EXPUNGE that takes everything marked: it serves
/// somebody who may remove everything, and nobody else.
fn removals(facts: &Facts<'_>, place: &Place, found: &UidSet, uidplus: bool) -> VecDeque<StepKind> {
    let only_own = facts.effective.only_own(place);
    let meant = if only_own { found.intersect(facts.own) } else { found.clone() };
    if uidplus {
        return lines(&meant).into_iter().map(StepKind::Remove).collect();
    }
    let all = !only_own && !meant.is_empty();
    all.then_some(StepKind::RemoveAll(meant)).into_iter().collect()
}

/// Of a removing step, what is the user's own, where only that may be removed by now: the
/// role may have changed since the plan was made.
fn still_own(facts: &Facts<'_>, place: &Place, step: StepKind) -> Option<StepKind> {
    if !facts.effective.only_own(place) {
        return Some(step);
    }
    match step {
        StepKind::Remove(uids) => {
            let own = uids.intersect(facts.own);
            (!own.is_empty()).then_some(StepKind::Remove(own))
        }
        StepKind::Store { target: Target::Uids(uids), mode, flags, silent } => {
            let own = uids.intersect(facts.own);
            (!own.is_empty()).then_some(StepKind::Store { target: Target::Uids(own), mode, flags, silent })
        }
        StepKind::RemoveAll(_) => None,
        other => Some(other),
    }
}

/// A step that removes mail asks the rights of this moment once more.
fn still_allowed(facts: &Facts<'_>, place: &Place, needed: Rights, kind: StepKind) -> Next {
    if rights_in(facts.effective, place).has(needed) {
        return run(kind);
    }
    Next::Refuse(Denial::new(facts.effective, REMOVING, Reason::Withdrawn))
}

const COPYING: &str = "copying these messages";
const REMOVING: &str = "removing messages";

/// Cuts a set into pieces that fit a command line.
pub(super) fn lines(set: &UidSet) -> VecDeque<UidSet> {
    let mut out = VecDeque::new();
    let (mut line, mut octets) = (UidSet::new(), 0);
    for (a, b) in set.ranges() {
        let width = UidSet::range(a, b).to_string().len() + 1;
        if octets + width > MAX_SET_OCTETS {
            out.push_back(std::mem::take(&mut line));
            octets = 0;
        }
        line.insert_range(a, b);
        octets += width;
    }
    if !line.is_empty() {
        out.push_back(line);
    }
    out
}
