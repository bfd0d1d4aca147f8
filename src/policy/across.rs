//! COPY and MOVE from one mailbox into another: what leaves the one.
//!
//! What the other takes in is an APPEND there, decided message by message under the rights
//! there. Nothing is removed here before every copy is confirmed there, and then exactly what
//! was; what a command has put there and cannot finish it may take back, and nothing else.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::decision::rights_in;
use super::plan::{Step, lines, run};
use super::{Denial, Fact, Facts, Next, Place, Reason, Rights, StepKind};
use crate::types::{UidSet, UidValidity};

/// Whether messages may be copied or moved out of a mailbox, into another one.
///
/// Of COPY and MOVE only: who reads a message may store what was read wherever they may store.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyOut {
    #[default]
    Allow,
    Refuse,
}

/// Messages described at once: their flags and dates are kept until they have gone.
const PIECE: usize = 100;

/// What the act needs in the folder that messages leave.
pub(super) fn needed(removes: bool) -> Rights {
    if removes { Rights::READ.and(Rights::DELETED).and(Rights::EXPUNGE) } else { Rights::READ }
}

/// The messages on their way, one after the other.
#[derive(Debug)]
pub(super) struct Across {
    from: Place,
    removes: bool,
    /// Not yet described.
    pieces: VecDeque<UidSet>,
    /// Described, and not yet read.
    ready: VecDeque<u32>,
    arrivals: Arrivals,
    /// The last steps of a MOVE, once everything has arrived.
    removing: Option<VecDeque<UidSet>>,
}

/// Which messages have arrived in the other mailbox, in the order in which they did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arrivals {
    from: UidSet,
    validity: Option<UidValidity>,
    to: UidSet,
    /// Some copies have no UID that is known, or none that fits those of the others.
    unknown: bool,
}

impl Arrivals {
    /// The messages, by their UIDs where they came from.
    pub fn from(&self) -> &UidSet {
        &self.from
    }

    /// Their copies, as far as the other host said which they are.
    pub fn known(&self) -> Option<(UidValidity, &UidSet)> {
        self.validity.map(|validity| (validity, &self.to))
    }

    /// What COPYUID tells: the copies of all messages, in the same order.
    pub fn all_known(&self) -> Option<(UidValidity, &UidSet)> {
        self.known().filter(|_| !self.unknown)
    }

    fn note(&mut self, from: u32, stored: Option<(UidValidity, u32)>) {
        self.from.insert(from);
        let ascends = |uid| self.to.last().is_none_or(|last| last < uid);
        match stored {
            Some((validity, uid)) if self.validity.is_none_or(|known| known == validity) && ascends(uid) => {
                self.validity = Some(validity);
                self.to.insert(uid);
            }
            Some(_) | None => self.unknown = true,
        }
    }
}

impl Across {
    pub(super) fn new(from: Place, removes: bool) -> Self {
        let (pieces, ready, removing) = (VecDeque::new(), VecDeque::new(), None);
        Self { from, removes, pieces, ready, arrivals: Arrivals::default(), removing }
    }

    pub(super) fn arrived(&mut self, from: u32, stored: Option<(UidValidity, u32)>) {
        self.arrivals.note(from, stored);
    }

    pub(super) fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    pub(super) fn next(&mut self, facts: &Facts<'_>) -> Next {
        match &facts.last {
            Fact::Start => return run(StepKind::Uids),
            Fact::Numbers(numbers) => self.pieces = pieces(numbers.iter().map(|(_, uid)| *uid).collect()),
            Fact::Described(uids) => self.ready = uids.iter().collect(),
            Fact::Done | Fact::Deleted(_) | Fact::Marked { .. } | Fact::Flagged(_) | Fact::Copied(_) => {}
        }
        if let Err(denial) = self.may_leave(facts) {
            return Next::Refuse(denial);
        }
        let kind = self.ready.pop_front().map(StepKind::ReadOut);
        match kind.or_else(|| self.pieces.pop_front().map(StepKind::Describe)) {
            Some(kind) => run(kind),
            None => self.remove(),
        }
    }

    /// Exactly what has arrived.
    fn remove(&mut self) -> Next {
        if !self.removes {
            return Next::Done;
        }
        let removing = self.removing.get_or_insert_with(|| lines(&self.arrivals.from));
        removing.pop_front().map_or(Next::Done, |uids| run(StepKind::RemoveCopied(uids)))
    }

    /// The rights of this moment, for these messages.
    fn may_leave(&self, facts: &Facts<'_>) -> Result<(), Denial> {
        let effective = facts.effective;
        let denial = |reason| Err(Denial::new(effective, gerund(self.removes), reason));
        if self.removing.is_none() && !effective.copies_out() {
            return denial(Reason::StaysHere);
        }
        if !rights_in(effective, &self.from).has(needed(self.removes)) {
            return denial(Reason::Withdrawn);
        }
        let begun = self.removing.is_none().then_some(&self.arrivals.from);
        let mut meant = self.pieces.iter().chain(begun).chain(self.removing.iter().flatten());
        if self.removes
            && effective.only_own(&self.from)
            && !meant.all(|uids| uids.minus(facts.own).is_empty())
        {
            return denial(Reason::NotOwn);
        }
        Ok(())
    }

    /// Leave to take the copies back that this command has made; it goes no further then.
    pub(super) fn take_back(&mut self) -> Vec<Step> {
        self.pieces.clear();
        self.ready.clear();
        // What has begun to leave is nowhere else.
        if self.removing.replace(VecDeque::new()).is_some() {
            return Vec::new();
        }
        let Some((validity, uids)) = self.arrivals.known() else { return Vec::new() };
        let steps = lines(uids).into_iter().map(|uids| StepKind::TakeBack { validity, uids });
        steps.map(Step::of_plan).collect()
    }
}

/// The act as refusals name it.
pub(super) fn gerund(removes: bool) -> &'static str {
    if removes { "moving messages out of it" } else { "copying messages out of it" }
}

fn pieces(uids: UidSet) -> VecDeque<UidSet> {
    let all: Vec<u32> = uids.iter().collect();
    all.chunks(PIECE).map(|piece| piece.iter().copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Across, Arrivals, PIECE};
    use crate::policy::{Effective, Fact, Facts, FolderClass, Next, Place, StepKind};
    use crate::types::{Address, LoginName, UidSet, UidValidity, UserId};

    const THERE: UidValidity = UidValidity(7);

    fn effective() -> Effective {
        let login = LoginName::parse("alice@example.org").unwrap();
        Effective::at_home((UserId(1), login), Address::parse("alice@example.org").unwrap(), true)
    }

    fn next(plan: &mut Across, last: Fact) -> Option<StepKind> {
        let (own, effective) = (UidSet::new(), effective());
        match plan.next(&Facts { last, effective: &effective, own: &own, by_uid: true }) {
            Next::Run(step) => Some(step.kind().clone()),
            Next::Done => None,
            Next::Refuse(denial) => panic!("{denial}"),
        }
    }

    fn arrived(plan: &mut Across, from: u32, to: u32) -> Option<StepKind> {
        plan.arrived(from, Some((THERE, to)));
        next(plan, Fact::Done)
    }

    fn described(uids: impl IntoIterator<Item = u32>) -> Fact {
        Fact::Described(uids.into_iter().collect())
    }

    fn begun(removes: bool, messages: u32) -> Across {
        let mut plan = Across::new(Place::of(FolderClass::Inbox), removes);
        assert_eq!(next(&mut plan, Fact::Start), Some(StepKind::Uids));
        let numbers = (1..=messages).map(|number| (number, number + 10)).collect();
        let first = next(&mut plan, Fact::Numbers(numbers));
        assert!(matches!(first, Some(StepKind::Describe(_))) || messages == 0);
        plan
    }

    #[test]
    fn what_has_arrived_is_removed_and_nothing_else() {
        let mut plan = begun(true, 3);
        // 12 has vanished before it was described, 13 before it was read.
        assert_eq!(next(&mut plan, described([11, 13])), Some(StepKind::ReadOut(11)));
        assert_eq!(arrived(&mut plan, 11, 1), Some(StepKind::ReadOut(13)));
        let removing = next(&mut plan, Fact::Done);
        assert_eq!(removing, Some(StepKind::RemoveCopied([11].into_iter().collect())));
        assert_eq!(next(&mut plan, Fact::Done), None);
        assert!(plan.take_back().is_empty(), "what has left the one place stays in the other");
    }

    #[test]
    fn a_copy_removes_nothing_and_can_be_taken_back_as_long_as_it_lasts() {
        let mut plan = begun(false, 2);
        assert_eq!(next(&mut plan, described([11, 12])), Some(StepKind::ReadOut(11)));
        assert_eq!(arrived(&mut plan, 11, 5), Some(StepKind::ReadOut(12)));
        let back: Vec<_> = plan.take_back().iter().map(|step| step.kind().clone()).collect();
        assert_eq!(back, [StepKind::TakeBack { validity: THERE, uids: [5].into_iter().collect() }]);
        assert_eq!(arrived(&mut plan, 12, 6), None, "it goes no further");
    }

    #[test]
    fn many_messages_are_described_piece_by_piece() {
        let messages = u32::try_from(PIECE).unwrap() + 1;
        let mut plan = begun(false, messages);
        let rest = next(&mut plan, described([]));
        assert_eq!(rest, Some(StepKind::Describe([messages + 10].into_iter().collect())));
        assert_eq!(next(&mut plan, described([])), None);
        assert_eq!(begun(true, 0).take_back().len(), 0);
    }

    #[test]
    fn copies_are_told_only_where_all_are_known_and_in_order() {
        let noted = |all: &[(u32, Option<(UidValidity, u32)>)]| {
            let mut arrivals = Arrivals::default();
            all.iter().for_each(|(from, stored)| arrivals.note(*from, *stored));
            let known = arrivals.known().map_or(0, |(_, uids)| uids.len());
            (arrivals.from().len(), known, arrivals.all_known().is_some())
        };
        let at = |uid| Some((THERE, uid));
        assert_eq!(noted(&[(1, at(5)), (2, at(6))]), (2, 2, true));
        assert_eq!(noted(&[(1, at(5)), (2, None)]), (2, 1, false));
        assert_eq!(noted(&[(1, at(6)), (2, at(5))]), (2, 1, false), "in another order");
        assert_eq!(noted(&[(1, at(6)), (2, Some((UidValidity(8), 7)))]), (2, 1, false));
        assert_eq!(noted(&[]), (0, 0, false));
    }
}
