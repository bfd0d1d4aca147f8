//! MOVE: from one folder of a mailbox to another (RFC 6851), on hosts that have it and on
//! hosts that do not.

use std::collections::VecDeque;

use super::decision;
use super::plan::{MAX_SET_OCTETS, lines, run};
use super::{Copied, Denial, Effective, Fact, Facts, Next, Place, Reason, Rights, StepKind};
use crate::types::{Flags, UidSet};

/// MOVE where the host has UIDPLUS alone, a piece of the messages at a time: COPY, then
/// remove exactly those whose copies COPYUID confirms. Whatever fails in between leaves the
/// messages where they were.
#[derive(Debug)]
pub(super) struct MoveByCopy {
    way: (Place, Place),
    strip: Flags,
    /// Not yet copied.
    pieces: VecDeque<UidSet>,
    /// Being copied.
    piece: UidSet,
    /// What follows the copy.
    then: VecDeque<StepKind>,
}

impl MoveByCopy {
    pub(super) fn new(way: (Place, Place), strip: Flags) -> Self {
        Self { way, strip, pieces: VecDeque::new(), piece: UidSet::new(), then: VecDeque::new() }
    }

    pub(super) fn strips(&self) -> bool {
        !self.strip.is_empty()
    }

    pub(super) fn next(&mut self, facts: &Facts<'_>) -> Next {
        match &facts.last {
            Fact::Start => return run(StepKind::Uids),
            Fact::Numbers(numbers) => self.pieces = lines(&numbers.iter().map(|(_, uid)| *uid).collect()),
            Fact::Copied(copied) => match copied.as_ref().filter(|copied| copied.is_of(&self.piece)) {
                Some(copied) => {
                    self.then = strip_copies(&facts.last, &self.strip);
                    self.then.push_front(StepKind::RemoveCopied(copied.from.clone()));
                }
                None => return Next::Refuse(denial(facts.effective, Reason::Unconfirmed)),
            },
            Fact::Done | Fact::Deleted(_) | Fact::Marked { .. } | Fact::Described(_) | Fact::Flagged(_) => {}
        }
        let kind = match self.then.pop_front() {
            Some(kind @ StepKind::Strip { .. }) => return run(kind),
            Some(kind) => kind,
            None => match self.pieces.pop_front() {
                Some(piece) => {
                    self.piece = piece.clone();
                    StepKind::CopyThese(piece)
                }
                None => return Next::Done,
            },
        };
        match may_leave(facts, (&self.way.0, &self.way.1), &self.piece) {
            Ok(()) => run(kind),
            Err(denial) => Next::Refuse(denial),
        }
    }
}

impl Copied {
    /// Whether it tells of some of these messages, and of no others.
    fn is_of(&self, piece: &UidSet) -> bool {
        !self.from.is_empty() && self.from.minus(piece).is_empty()
    }
}

/// The host's own MOVE.
pub(super) fn move_these(facts: &Facts<'_>, (from, to): (&Place, &Place), numbers: &[(u32, u32)]) -> Next {
    let uids: UidSet = numbers.iter().map(|(_, uid)| *uid).collect();
    if uids.is_empty() {
        return Next::Done;
    }
    let exact = facts.effective.only_own(from);
    if exact && uids.to_string().len() > MAX_SET_OCTETS {
        return Next::Refuse(denial(facts.effective, Reason::NotOwn));
    }
    match may_leave(facts, (from, to), &uids) {
        Ok(()) => {
            let discards = discards(facts.effective, (from, to));
            run(StepKind::Move { uids, exact: exact || discards, discards })
        }
        Err(denial) => Next::Refuse(denial),
    }
}

/// The rights of this moment, for these messages: what removes mail asks once more.
fn may_leave(facts: &Facts<'_>, (from, to): (&Place, &Place), uids: &UidSet) -> Result<(), Denial> {
    let effective = facts.effective;
    if effective.only_own(from) && !uids.minus(facts.own).is_empty() {
        return Err(denial(effective, Reason::NotOwn));
    }
    if !effective.rights_on(to).has(Rights::INSERT) || !decision::may_leave(effective, from, to) {
        return Err(denial(effective, Reason::Withdrawn));
    }
    Ok(())
}

/// Whether it is the mailbox's `delete = "trash"` that allows the move.
pub(super) fn discards(effective: &Effective, (from, to): (&Place, &Place)) -> bool {
    to.class == super::FolderClass::Trash && effective.may_discard(from)
}

fn denial(effective: &Effective, reason: Reason) -> Denial {
    Denial::new(effective, "moving these messages", reason)
}

/// The steps that take `strip` off the copies.
pub(super) fn strip_copies(last: &Fact, strip: &Flags) -> VecDeque<StepKind> {
    let Fact::Copied(Some(Copied { validity, to, .. })) = last else { return VecDeque::new() };
    if strip.is_empty() {
        return VecDeque::new();
    }
    let strips = lines(to).into_iter();
    strips.map(|uids| StepKind::Strip { validity: *validity, uids, flags: strip.clone() }).collect()
}
