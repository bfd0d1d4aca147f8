//! STORE: the part of a change of flags that is permitted, in as many steps as that takes.

use std::collections::VecDeque;

use super::overlay::Marking;
use super::plan::{Plan, lines, permitted};
use super::{Effective, Facts, Place, StepKind, StoreMode, Target};
use crate::types::{Flag, Flags, SystemFlag, UidSet};

/// STORE: as asked where every flag that it touches is permitted; otherwise the permitted
/// part, and then the true flags (docs/rights.md, "Answers").
///
/// Flags of the user's own are never among what goes upstream.
pub(super) fn store(
    effective: &Effective,
    place: &Place,
    (mode, flags, known, unkept): (StoreMode, &Flags, &Flags, &Flags),
    (conditional, silent): (bool, bool),
    marking: Marking,
) -> Plan {
    let mut touched = flags.clone();
    if mode == StoreMode::Replace {
        SystemFlag::ALL.into_iter().for_each(|flag| touched.insert(Flag::System(flag)));
        known.iter().for_each(|flag| touched.insert(flag));
    }
    let allowed = permitted(effective, place, &touched).minus(unkept);
    let splits = effective.only_own(place) && allowed.has(SystemFlag::Deleted);
    let all = allowed == touched.filter(|flag| !marking.own.has(flag));
    if all && !splits && marking.step.is_none() {
        let (target, flags) = (Target::Asked, flags.clone());
        return Plan::Steps(VecDeque::from([StepKind::Store { target, mode, flags, silent: false }]));
    }
    let removes = allowed.has(SystemFlag::Deleted) && removes_at_once(effective, mode, flags);
    if (splits || removes) && !conditional {
        let (flags, known) = (flags.minus(unkept), known.clone());
        return Plan::SplitStore { place: place.clone(), mode, flags, known, mark: marking.step };
    }
    // A conditional STORE must happen whole or not at all on each message (RFC 7162 §3.1.3):
    // what would take two commands is not done, and the answer shows what is true.
    let mut steps = reduced(&Target::Asked, mode, flags, &allowed);
    steps.extend(marking.step);
    let whole = !conditional || (!splits && !removes && steps.len() <= 1);
    if !whole {
        steps.clear();
    }
    if !(all && whole && silent) {
        steps.push_back(StepKind::Flags);
    }
    Plan::Steps(steps)
}

/// The STOREs that do the `allowed` part of a change.
///
/// A replacing STORE becomes one that adds and one that removes: flags that the user may
/// not touch keep their state.
fn reduced(target: &Target, mode: StoreMode, flags: &Flags, allowed: &Flags) -> VecDeque<StepKind> {
    let mine = flags.filter(|flag| allowed.contains(flag));
    let parts = match mode {
        StoreMode::Add | StoreMode::Remove => vec![(mode, mine)],
        StoreMode::Replace => {
            let rest = allowed.minus(&mine);
            vec![(StoreMode::Add, mine), (StoreMode::Remove, rest)]
        }
    };
    let full = parts.into_iter().filter(|(_, flags)| !flags.is_empty());
    full.map(|(mode, flags)| StepKind::Store { target: target.clone(), mode, flags, silent: true }).collect()
}

/// The STOREs for own drafts and for those of others.
pub(super) fn split(
    facts: &Facts<'_>,
    place: &Place,
    (mode, flags, known): (StoreMode, &Flags, &Flags),
    numbers: &[(u32, u32)],
) -> VecDeque<StepKind> {
    let mut touched = flags.clone();
    if mode == StoreMode::Replace {
        SystemFlag::ALL.into_iter().for_each(|flag| touched.insert(Flag::System(flag)));
        known.iter().for_each(|flag| touched.insert(flag));
    }
    let allowed = permitted(facts.effective, place, &touched);
    let for_others = allowed.minus(&SystemFlag::Deleted.into());
    let own = |uid: u32| facts.own.contains(uid) || !facts.effective.only_own(place);
    let pick = |mine: bool| -> UidSet {
        let these = numbers.iter().filter(|(_, uid)| own(*uid) == mine);
        these.map(|(number, uid)| if facts.by_uid { *uid } else { *number }).collect()
    };
    // Of what removes at once, see `final_marks`.
    let deleted = Flags::from(SystemFlag::Deleted);
    let later = removes_at_once(facts.effective, mode, flags);
    let allowed = if later { allowed.minus(&deleted) } else { allowed };
    let mut steps = VecDeque::new();
    for (set, allowed) in [(pick(true), &allowed), (pick(false), &for_others)] {
        for line in lines(&set) {
            steps.extend(reduced(&Target::Numbers(line), mode, flags, allowed));
        }
    }
    steps
}

/// Whether the change marks messages `\Deleted` on a host that removes them at once.
fn removes_at_once(effective: &Effective, mode: StoreMode, flags: &Flags) -> bool {
    effective.deleted_is_final() && mode != StoreMode::Remove && flags.has(SystemFlag::Deleted)
}

/// The STOREs that remove messages, where `\Deleted` does so at once.
pub(super) fn final_marks(
    facts: &Facts<'_>,
    place: &Place,
    (mode, flags): (StoreMode, &Flags),
    numbers: &[(u32, u32)],
) -> VecDeque<StepKind> {
    let deleted = Flags::from(SystemFlag::Deleted);
    if !removes_at_once(facts.effective, mode, flags)
        || permitted(facts.effective, place, &deleted).is_empty()
    {
        return VecDeque::new();
    }
    let all: UidSet = numbers.iter().map(|(_, uid)| *uid).collect();
    let mine = if facts.effective.only_own(place) { all.intersect(facts.own) } else { all };
    let mark = |uids| {
        let (target, flags) = (Target::Uids(uids), deleted.clone());
        StepKind::Store { target, mode: StoreMode::Add, flags, silent: true }
    };
    lines(&mine).into_iter().map(mark).collect()
}
