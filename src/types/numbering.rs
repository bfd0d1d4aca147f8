//! Message numbers of an open folder and the UIDs behind them, as ranges.

use super::UidSet;

/// Which UID has which message sequence number (RFC 3501 §2.3.1.2), for one open folder.
///
/// Kept as ranges of UIDs in a row: a folder from which little was removed takes a few
/// entries, whatever its size.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbering {
    runs: Vec<Run>,
}

/// UIDs without a gap; `number` is the first one's sequence number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    first: u32,
    last: u32,
    number: u32,
}

impl Run {
    const fn len(self) -> u32 {
        self.last - self.first + 1
    }

    const fn last_number(self) -> u32 {
        self.number + (self.last - self.first)
    }
}

impl From<&UidSet> for Numbering {
    fn from(uids: &UidSet) -> Self {
        let mut all = Self::default();
        for (first, last) in uids.ranges() {
            all.runs.push(Run { first, last, number: all.len() + 1 });
        }
        all
    }
}

impl Numbering {
    /// How many messages there are.
    pub fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.last_number())
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The highest UID.
    pub fn last_uid(&self) -> Option<u32> {
        Some(self.runs.last()?.last)
    }

    /// The UID of the message with this number.
    pub fn uid(&self, number: u32) -> Option<u32> {
        let run = self.runs.get(self.run_of_number(number)?)?;
        Some(run.first + (number - run.number))
    }

    /// The number of the message with this UID.
    pub fn number(&self, uid: u32) -> Option<u32> {
        let run = self.runs.get(self.runs.partition_point(|run| run.last < uid))?;
        (run.first <= uid).then(|| run.number + (uid - run.first))
    }

    /// All UIDs.
    pub fn uids(&self) -> UidSet {
        let mut set = UidSet::new();
        self.runs.iter().for_each(|run| set.insert_range(run.first, run.last));
        set
    }

    /// The UIDs of the messages with these numbers; numbers that nobody has are left out.
    pub fn uids_of(&self, numbers: &UidSet) -> UidSet {
        let mut set = UidSet::new();
        for (a, b) in numbers.ranges() {
            let from = self.runs.partition_point(|run| run.last_number() < a);
            for run in self.runs[from..].iter().take_while(|run| run.number <= b) {
                let first = run.first + a.saturating_sub(run.number);
                let last = run.first + (b.min(run.last_number()) - run.number);
                set.insert_range(first, last);
            }
        }
        set
    }

    /// The numbers of the messages with these UIDs; UIDs that no message has are left out.
    pub fn numbers_of(&self, uids: &UidSet) -> UidSet {
        let mut set = UidSet::new();
        for (a, b) in uids.ranges() {
            let from = self.runs.partition_point(|run| run.last < a);
            for run in self.runs[from..].iter().take_while(|run| run.first <= b) {
                let first = run.number + a.saturating_sub(run.first);
                let last = run.number + (b.min(run.last) - run.first);
                set.insert_range(first, last);
            }
        }
        set
    }

    /// A new message at the end. `false` if its UID is not higher than all others: then
    /// nothing is changed, and the upstream is not to be believed (RFC 3501 §2.3.1.1).
    pub fn push(&mut self, uid: u32) -> bool {
        let number = self.len() + 1;
        match self.runs.last_mut() {
            Some(last) if uid <= last.last => return false,
            Some(last) if uid == last.last + 1 => last.last = uid,
            Some(_) | None => self.runs.push(Run { first: uid, last: uid, number }),
        }
        true
    }

    /// The message with this number is gone, and those after it move up; its UID.
    pub fn expunge(&mut self, number: u32) -> Option<u32> {
        let at = self.run_of_number(number)?;
        let run = self.runs[at];
        let uid = run.first + (number - run.number);
        let before = Run { last: uid.wrapping_sub(1), ..run };
        let after = Run { first: uid.wrapping_add(1), number, ..run };
        let left = [(uid > run.first).then_some(before), (uid < run.last).then_some(after)];
        let kept = left.iter().flatten().count();
        self.runs.splice(at..=at, left.into_iter().flatten());
        // What remains of the run itself has its numbers; all later ones move up by one.
        self.runs[at + kept..].iter_mut().for_each(|run| run.number -= 1);
        debug_assert!(self.runs.iter().all(|run| run.len() > 0));
        Some(uid)
    }

    fn run_of_number(&self, number: u32) -> Option<usize> {
        let at = self.runs.partition_point(|run| run.last_number() < number);
        (number > 0 && at < self.runs.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_list(uids in prop::collection::btree_set(1u32..80, 0..50),
                             removals in prop::collection::vec(1u32..60, 0..30),
                             asked in prop::collection::btree_set(1u32..90, 0..30)) {
            let mut list: Vec<u32> = uids.iter().copied().collect();
            let mut all = Numbering::from(&uids.iter().copied().collect::<UidSet>());
            let mut next = 80;
            for number in removals {
                let gone = list.get(number as usize - 1).copied();
                prop_assert_eq!(all.expunge(number), gone);
                if gone.is_some() {
                    list.remove(number as usize - 1);
                } else {
                    next += number;
                    prop_assert!(all.push(next));
                    prop_assert!(!all.push(next));
                    list.push(next);
                }
            }
            prop_assert_eq!(all.len() as usize, list.len());
            prop_assert_eq!(all.uids(), list.iter().copied().collect::<UidSet>());
            prop_assert_eq!(all.last_uid(), list.last().copied());
            for (number, uid) in (1..).zip(&list) {
                prop_assert_eq!(all.uid(number), Some(*uid));
                prop_assert_eq!(all.number(*uid), Some(number));
            }
            prop_assert_eq!((all.uid(0), all.uid(all.len() + 1)), (None, None));
            let set: UidSet = asked.iter().copied().collect();
            let pairs = || (1u32..).zip(list.iter().copied());
            let uids_of: BTreeSet<u32> =
                pairs().filter(|(number, _)| asked.contains(number)).map(|(_, uid)| uid).collect();
            prop_assert_eq!(all.uids_of(&set).iter().collect::<BTreeSet<_>>(), uids_of);
            let numbers_of: BTreeSet<u32> =
                pairs().filter(|(_, uid)| asked.contains(uid)).map(|(number, _)| number).collect();
            prop_assert_eq!(all.numbers_of(&set).iter().collect::<BTreeSet<_>>(), numbers_of);
        }
    }

    #[test]
    fn a_whole_range_is_one_entry() {
        let all = Numbering::from(&UidSet::range(1, u32::MAX - 1));
        assert_eq!((all.len(), all.runs.len()), (u32::MAX - 1, 1));
        assert_eq!(all.number(7), Some(7));
    }
}
