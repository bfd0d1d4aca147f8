//! A map that forgets: bounded in entries, each with an end.

use std::collections::HashMap;
use std::hash::Hash;

use crate::types::Timestamp;

/// Entries until their time is over. Full, it drops what is over, and if nothing is, the
/// quarter that would end first: strangers can shorten its memory, never grow it.
pub(super) struct Table<K, V> {
    entries: HashMap<K, (Timestamp, V)>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity }
    }

    pub(super) fn get(&self, key: &K, now: Timestamp) -> Option<&V> {
        self.entries.get(key).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    /// The entry, made if there is none, and kept until `until` from here on.
    pub(super) fn touch(&mut self, key: K, until: Timestamp, now: Timestamp) -> &mut V
    where
        V: Default,
    {
        if self.get(&key, now).is_none() {
            self.insert(key.clone(), V::default(), until, now);
        }
        let entry = self.entries.entry(key).or_insert_with(|| (until, V::default()));
        entry.0 = until;
        &mut entry.1
    }

    pub(super) fn insert(&mut self, key: K, value: V, until: Timestamp, now: Timestamp) {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.entries.insert(key, (until, value));
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.entries.retain(|_, (until, _)| *until > now);
        if self.entries.len() < self.capacity {
            return;
        }
        let mut ends: Vec<Timestamp> = self.entries.values().map(|(until, _)| *until).collect();
        let (_, end, _) = ends.select_nth_unstable(self.entries.len() / 4);
        let end = *end;
        // Equal ends go together: where all are equal, a table emptied is a table bounded.
        self.entries.retain(|_, (until, _)| *until > end);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::types::Timestamp;

    #[test]
    fn ends_and_stays_small() {
        let mut table = Table::new(8);
        for n in 0..8 {
            table.insert(n, (), Timestamp(100 + n), Timestamp(0));
        }
        assert!(table.get(&0, Timestamp(99)).is_some());
        assert!(table.get(&0, Timestamp(100)).is_none());
        // All alive: the quarter that ends first goes.
        table.insert(8, (), Timestamp(108), Timestamp(0));
        assert!(
            table.len() <= 8
                && table.get(&7, Timestamp(0)).is_some()
                && table.get(&0, Timestamp(0)).is_none()
        );
        // Those that are over go first.
        for n in 0..10_000 {
            table.insert(n, (), Timestamp(n), Timestamp(n - 1));
            assert!(table.len() <= 8);
        }
    }

    #[test]
    fn touching_prolongs() {
        let mut table: Table<u8, u32> = Table::new(8);
        *table.touch(1, Timestamp(10), Timestamp(0)) += 1;
        *table.touch(1, Timestamp(20), Timestamp(5)) += 1;
        assert_eq!(table.get(&1, Timestamp(15)), Some(&2));
        assert_eq!(*table.touch(1, Timestamp(50), Timestamp(30)), 0);
    }
}
