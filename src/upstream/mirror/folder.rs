//! What is known of a watched folder, and how it came to differ from before.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::look::{Flagged, Found};
use crate::types::{UidSet, UidValidity};

/// Changed flags that are remembered beyond those of the last look: enough for whoever takes
/// in news at once. Who comes later asks for all flags anew.
const REMEMBERED: usize = 4_096;

/// A folder as it was when last looked at. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    pub state: State,
    pub validity: Option<UidValidity>,
    pub uids: Arc<UidSet>,
    /// Grows with every difference seen.
    pub version: u64,
    /// The question that the last look answered; see [`super::Follower::synced`].
    pub(super) looked: u64,
    changes: Arc<Vec<Change>>,
    /// Changes up to this version may be forgotten.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    #[default]
    Watched,
    /// The folder cannot be opened any more.
    Gone,
    /// The host has been out of reach for too long: nobody watches any more.
    Lost,
}

/// A message's flags have changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub uid: u32,
    /// Where the host has mod-sequences.
    pub mod_seq: Option<u64>,
    /// As upstream wrote them, without `\Recent`, which is another session's.
    pub flags: Arc<[u8]>,
    version: u64,
}

impl Mirror {
    /// The flags that changed after `version`; `None` if some of that is forgotten.
    pub fn changes_since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let known = version >= self.forgotten;
        known.then(|| self.changes.iter().filter(move |change| change.version > version))
    }
}

/// A mirror and what it takes to see the next difference.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) mirror: Mirror,
    /// Flags are known up to here, where the host has mod-sequences.
    pub(super) mod_seq: Option<u64>,
    /// The HIGHESTMODSEQ of the STATUS that led to the last look.
    pub(super) status: Option<u64>,
    /// Every message's flags, where it has none.
    table: Table,
}

impl Memory {
    /// Takes in what a look has found; `question`: the last one asked before it began.
    pub(super) fn take_in(&mut self, found: Found, validity: UidValidity, question: u64) {
        let first = self.mirror.validity != Some(validity);
        if first {
            self.begin_anew(validity);
        }
        let before = std::mem::replace(&mut self.mirror.uids, Arc::new(found.uids));
        let changed: Vec<Flagged> = match self.mod_seq {
            Some(_) => found.flags.into_iter().collect(),
            None => found.flags.into_iter().filter(|flagged| self.table.differs(flagged)).collect(),
        };
        self.table.keep(&self.mirror.uids);
        self.mod_seq = changed.iter().filter_map(|flagged| flagged.mod_seq).chain(self.mod_seq).max();
        if self.mod_seq.is_none() || first {
            self.mod_seq = found.highest.or(self.mod_seq);
        }
        // Flags of a message that is new are no change.
        let changed: Vec<_> =
            changed.into_iter().filter(|flagged| !first && before.contains(flagged.uid)).collect();
        if first || !changed.is_empty() || before != self.mirror.uids {
            self.mirror.version += 1;
        }
        if !changed.is_empty() {
            self.remember(changed);
        }
        (self.mirror.looked, self.mirror.state) = (question, State::Watched);
    }

    pub(super) fn gone(&mut self, question: u64) {
        (self.mirror.looked, self.mirror.state) = (question, State::Gone);
    }

    /// Another folder by the same name: nothing of what was known is true of it.
    fn begin_anew(&mut self, validity: UidValidity) {
        let version = self.mirror.version;
        self.mirror = Mirror { validity: Some(validity), version, forgotten: version, ..Mirror::default() };
        (self.mod_seq, self.status, self.table) = (None, None, Table::default());
    }

    fn remember(&mut self, changed: Vec<Flagged>) {
        let version = self.mirror.version;
        let again: BTreeSet<u32> = changed.iter().map(|flagged| flagged.uid).collect();
        let changes = Arc::make_mut(&mut self.mirror.changes);
        changes.retain(|change| !again.contains(&change.uid));
        if changes.len() + changed.len() > REMEMBERED {
            self.mirror.forgotten = changes.iter().map(|change| change.version).max().unwrap_or(0);
            changes.clear();
        }
        let change = |Flagged { uid, mod_seq, flags }: Flagged| Change { uid, mod_seq, flags, version };
        changes.extend(changed.into_iter().map(change));
    }
}

/// Every message's flags: six octets a message and each combination once.
#[derive(Debug, Default)]
struct Table {
    combinations: HashMap<Arc<[u8]>, u32>,
    of: HashMap<u32, u32>,
}

impl Table {
    /// Whether these flags are others than before; remembers them.
    fn differs(&mut self, flagged: &Flagged) -> bool {
        let next = u32::try_from(self.combinations.len()).unwrap_or(u32::MAX);
        let combination = *self.combinations.entry(flagged.flags.clone()).or_insert(next);
        self.of.insert(flagged.uid, combination) != Some(combination)
    }

    fn keep(&mut self, uids: &UidSet) {
        if self.of.len() as u64 > uids.len() {
            self.of.retain(|uid, _| uids.contains(*uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Flagged, Found, Memory, REMEMBERED};
    use crate::types::{UidSet, UidValidity};

    fn flagged(uid: u32, mod_seq: Option<u64>, flags: &str) -> Flagged {
        Flagged { uid, mod_seq, flags: Arc::from(flags.as_bytes()) }
    }

    fn found(uids: &[u32], highest: Option<u64>, flags: &[Flagged]) -> Found {
        Found { uids: uids.iter().copied().collect(), highest, flags: flags.to_vec() }
    }

    fn changes(memory: &Memory, since: u64) -> Option<Vec<(u32, String)>> {
        let text = |flags: &[u8]| String::from_utf8_lossy(flags).into_owned();
        Some(memory.mirror.changes_since(since)?.map(|change| (change.uid, text(&change.flags))).collect())
    }

    const V: UidValidity = UidValidity(7);

    #[test]
    fn the_first_look_is_no_change() {
        let mut memory = Memory::default();
        memory.take_in(found(&[1, 2], Some(5), &[]), V, 3);
        assert_eq!((memory.mirror.version, memory.mirror.looked, memory.mod_seq), (1, 3, Some(5)));
        assert_eq!(changes(&memory, 1).unwrap(), []);
        assert!(changes(&memory, 0).is_some());
    }

    #[test]
    fn flags_by_mod_sequence() {
        let mut memory = Memory::default();
        memory.take_in(found(&[1, 2], Some(5), &[]), V, 1);
        memory.take_in(found(&[2, 3], None, &[flagged(2, Some(9), "\\Seen"), flagged(3, Some(8), "")]), V, 2);
        assert_eq!((memory.mirror.version, memory.mod_seq), (2, Some(9)));
        assert_eq!(changes(&memory, 1).unwrap(), [(2, "\\Seen".to_owned())], "3 is new, not changed");
        assert_eq!(changes(&memory, 2).unwrap(), []);
        memory.take_in(found(&[2, 3], None, &[]), V, 3);
        assert_eq!((memory.mirror.version, memory.mirror.looked), (2, 3));
    }

    #[test]
    fn flags_by_comparison() {
        let mut memory = Memory::default();
        let all = |first: &str| [flagged(1, None, first), flagged(2, None, "\\Seen")];
        memory.take_in(found(&[1, 2], None, &all("")), V, 1);
        assert_eq!(changes(&memory, 0).unwrap(), []);
        memory.take_in(found(&[1, 2], None, &all("")), V, 2);
        assert_eq!(memory.mirror.version, 1);
        memory.take_in(found(&[1, 2], None, &all("\\Flagged")), V, 3);
        assert_eq!(changes(&memory, 1).unwrap(), [(1, "\\Flagged".to_owned())]);
        memory.take_in(found(&[2], None, &all("")[1..]), V, 4);
        assert_eq!(memory.table.of.len(), 1);
    }

    #[test]
    fn what_is_forgotten_is_known_to_be() {
        let mut memory = Memory::default();
        let uids: Vec<u32> = (1..=u32::try_from(REMEMBERED).unwrap() + 1).collect();
        memory.take_in(found(&uids, Some(1), &[]), V, 1);
        memory.take_in(found(&uids, None, &[flagged(1, Some(2), "a")]), V, 2);
        let many: Vec<_> = uids[1..].iter().map(|uid| flagged(*uid, Some(3), "b")).collect();
        memory.take_in(found(&uids, None, &many), V, 3);
        assert_eq!(changes(&memory, 1), None);
        assert_eq!(changes(&memory, 2).unwrap().len(), REMEMBERED);
    }

    #[test]
    fn another_uidvalidity_begins_anew() {
        let mut memory = Memory::default();
        memory.take_in(found(&[1, 2], Some(5), &[]), V, 1);
        memory.take_in(found(&[1], Some(2), &[]), UidValidity(8), 2);
        assert_eq!((memory.mirror.validity, memory.mirror.version), (Some(UidValidity(8)), 2));
        assert_eq!(memory.mirror.uids, Arc::new(UidSet::range(1, 1)));
        assert_eq!(memory.mod_seq, Some(2));
    }
}
