//! Message numbers: UIDs, sequence numbers, and sets of them kept as ranges.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A folder's UIDVALIDITY (RFC 3501 §2.3.1.1); UIDs mean nothing without it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UidValidity(pub u32);

/// A set of UIDs (or sequence numbers): sorted ranges that neither touch nor overlap.
///
/// Ranges stay ranges: `1:4294967295` is one entry, never an array.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One range, ends included, in either order.
    pub fn range(a: u32, b: u32) -> Self {
        Self(vec![(a.min(b), a.max(b))])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers the set holds.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
    }

    /// The ranges, ascending, ends included.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Every number, ascending. Only for sets known to be small.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(a, b)| *a..=*b)
    }

    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|(_, b)| *b < number);
        self.0.get(at).is_some_and(|(a, _)| *a <= number)
    }

    pub fn insert(&mut self, number: u32) {
        self.insert_range(number, number);
    }

    /// Adds `a..=b`, joining what it touches.
    pub fn insert_range(&mut self, a: u32, b: u32) {
        let (mut a, mut b) = (a.min(b), a.max(b));
        let first = self.0.partition_point(|(_, end)| end.saturating_add(1) < a);
        let last = self.0.partition_point(|(start, _)| *start <= b.saturating_add(1));
        if first < last {
            a = a.min(self.0[first].0);
            b = b.max(self.0[last - 1].1);
        }
        self.0.splice(first..last, [(a, b)]);
    }

    pub fn remove(&mut self, number: u32) {
        *self = self.minus(&Self::range(number, number));
    }

    /// The lowest number.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|(a, _)| *a)
    }

    /// The highest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, b)| *b)
    }

    /// What either set holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        let mut all = many.clone();
        few.0.iter().for_each(|(a, b)| all.insert_range(*a, *b));
        all
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let (mut i, mut j, mut out) = (0, 0, Vec::new());
        while let (Some(x), Some(y)) = (self.0.get(i), other.0.get(j)) {
            let (a, b) = (x.0.max(y.0), x.1.min(y.1));
            if a <= b {
                out.push((a, b));
            }
            if x.1 < y.1 { i += 1 } else { j += 1 }
        }
        Self(out)
    }

    /// What this set holds and the other does not.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let (mut out, mut j) = (Vec::new(), 0);
        for &(mut a, b) in &self.0 {
            let mut rest = true;
            while other.0.get(j).is_some_and(|y| y.1 < a) {
                j += 1;
            }
            let mut k = j;
            while let Some(&(c, d)) = other.0.get(k).filter(|y| y.0 <= b) {
                if c > a {
                    out.push((a, c - 1));
                }
                if d >= b {
                    rest = false;
                    break;
                }
                a = d + 1;
                k += 1;
            }
            if rest {
                out.push((a, b));
            }
        }
        Self(out)
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut set = Self::new();
        for number in numbers {
            match set.0.last_mut() {
                Some(last) if last.1.checked_add(1) == Some(number) => last.1 = number,
                _ => set.insert(number),
            }
        }
        set
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (a, b)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if a == b { write!(f, "{comma}{a}")? } else { write!(f, "{comma}{a}:{b}")? }
        }
        Ok(())
    }
}

/// One end of a range as a client writes it: a number, or `*` for the last message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    Number(std::num::NonZeroU32),
    Last,
}

/// A sequence-set (RFC 3501 §9) as a client wrote it, in its order; or `$`, what a search has
/// kept (RFC 5182), which as long as nobody has put it in means no message at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NumberSet(Vec<(Bound, Bound)>);

impl NumberSet {
    /// `$`.
    pub const fn saved() -> Self {
        Self(Vec::new())
    }

    /// Whether it is `$`.
    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    /// `None` if there is no range at all.
    pub fn new(ranges: Vec<(Bound, Bound)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    pub fn ranges(&self) -> &[(Bound, Bound)] {
        &self.0
    }

    /// Whether `*` stands in it: what it means depends on the folder.
    pub fn has_last(&self) -> bool {
        self.0.iter().any(|(a, b)| *a == Bound::Last || *b == Bound::Last)
    }

    /// The numbers meant when the last message has number `last`
    /// (`*:5` is `5:*`; RFC 3501 §9). `last` 0 means an empty folder.
    pub fn resolve(&self, last: u32) -> UidSet {
        let mut set = UidSet::new();
        let value = |bound: Bound| match bound {
            Bound::Number(n) => n.get(),
            Bound::Last => last,
        };
        for (a, b) in &self.0 {
            set.insert_range(value(*a).max(1), value(*b).max(1));
        }
        set
    }
}

impl From<&UidSet> for Option<NumberSet> {
    fn from(set: &UidSet) -> Self {
        let bound = |n: u32| std::num::NonZeroU32::new(n).map(Bound::Number);
        NumberSet::new(set.ranges().filter_map(|(a, b)| Some((bound(a.max(1))?, bound(b)?))).collect())
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bound: &Bound, f: &mut fmt::Formatter<'_>| match bound {
            Bound::Number(n) => write!(f, "{n}"),
            Bound::Last => f.write_str("*"),
        };
        if self.is_saved() {
            return f.write_str("$");
        }
        for (i, (a, b)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            text(a, f)?;
            if a != b {
                f.write_str(":")?;
                text(b, f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::UidSet;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn build(numbers: &BTreeSet<u32>) -> UidSet {
        let mut set = UidSet::new();
        numbers.iter().rev().for_each(|n| set.insert(*n));
        set
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(a in prop::collection::btree_set(1u32..60, 0..40),
                            b in prop::collection::btree_set(1u32..60, 0..40)) {
            let (x, y) = (build(&a), build(&b));
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert_eq!(x.intersect(&y), a.intersection(&b).copied().collect());
            prop_assert_eq!(x.union(&y), a.union(&b).copied().collect());
            prop_assert_eq!(x.last(), a.last().copied());
            prop_assert_eq!(x.minus(&y), a.difference(&b).copied().collect());
            prop_assert!((1..60).all(|n| x.contains(n) == a.contains(&n)));
        }
    }

    #[test]
    fn joins_neighbours_and_prints_ranges() {
        let mut set = UidSet::range(5, 3);
        set.insert(7);
        set.insert(6);
        set.insert(u32::MAX);
        assert_eq!(set.to_string(), "3:7,4294967295");
        set.remove(5);
        assert_eq!(set.to_string(), "3:4,6:7,4294967295");
    }
}
