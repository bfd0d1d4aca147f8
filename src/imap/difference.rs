//! What a client is told when a folder is no longer as the client numbers it.
//!
//! The lines are written as upstream would have written them one by one, so that they take
//! the same way to the client as upstream's own.

use super::reply;
use crate::types::{Numbering, UidSet};

/// UIDs appeared below those that were known already: the folder cannot be the same
/// (RFC 3501 §2.3.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotAscending;

/// Whether a message that the client numbers is gone.
pub fn has_vanished(client: &Numbering, now: &UidSet) -> bool {
    !client.uids().minus(now).is_empty()
}

/// How a client is told what is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Telling {
    /// EXPUNGE, by number.
    Expunge,
    /// VANISHED, by UID (RFC 7162 §3.2.10): the client has enabled QRESYNC.
    Vanished,
}

/// Most runs of UIDs in one VANISHED, so that no line is too long to be read.
const MAX_RUNS: usize = 1_000;

/// What is gone, highest number first, then EXISTS if something is new; the client numbers as
/// `now` from there on.
///
/// EXPUNGE must not be told while a command by number is under way (RFC 3501 §7.4.1): see
/// [`has_vanished`].
pub fn write(
    client: &mut Numbering,
    now: &UidSet,
    telling: Telling,
    out: &mut Vec<u8>,
) -> Result<(), NotAscending> {
    let known = client.uids();
    let appeared = now.minus(&known);
    let first = appeared.ranges().next().map_or(u32::MAX, |(first, _)| first);
    if client.last_uid().is_some_and(|last| first < last) {
        return Err(NotAscending);
    }
    let gone = known.minus(now);
    match telling {
        Telling::Expunge => {
            let numbers: Vec<_> = client.numbers_of(&gone).ranges().collect();
            for number in numbers.into_iter().rev().flat_map(|(a, b)| (a..=b).rev()) {
                reply::number(out, number, "EXPUNGE");
            }
        }
        Telling::Vanished => {
            let runs: Vec<_> = gone.ranges().collect();
            for runs in runs.chunks(MAX_RUNS) {
                let mut uids = UidSet::new();
                runs.iter().for_each(|(a, b)| uids.insert_range(*a, *b));
                reply::data(out, &format!("VANISHED {uids}"));
            }
        }
    }
    *client = Numbering::from(now);
    if !appeared.is_empty() {
        reply::number(out, client.len(), "EXISTS");
    }
    Ok(())
}

/// A message's flags, unasked.
pub fn flags(number: u32, uid: u32, mod_seq: Option<u64>, flags: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("* {number} FETCH (UID {uid} ").as_bytes());
    if let Some(mod_seq) = mod_seq {
        out.extend_from_slice(format!("MODSEQ ({mod_seq}) ").as_bytes());
    }
    out.extend_from_slice(b"FLAGS (");
    out.extend_from_slice(flags);
    out.extend_from_slice(b"))\r\n");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{NotAscending, Telling, has_vanished, write};
    use crate::types::{Numbering, UidSet};

    /// A client that knows nothing but what it is told.
    fn told(mut view: Vec<Option<u32>>, lines: &[u8]) -> Vec<Option<u32>> {
        for line in std::str::from_utf8(lines).unwrap().lines() {
            match *line.split(' ').collect::<Vec<_>>() {
                ["*", number, "EXPUNGE"] => {
                    view.remove(number.parse::<usize>().unwrap() - 1);
                }
                ["*", number, "EXISTS"] => view.resize(number.parse().unwrap(), None),
                _ => panic!("{line}"),
            }
        }
        view
    }

    proptest! {
        #[test]
        fn a_client_that_is_told_numbers_as_the_folder_is(
            before in prop::collection::btree_set(1u32..60, 0..40),
            gone in prop::collection::btree_set(1u32..60, 0..40),
            new in prop::collection::btree_set(60u32..80, 0..10),
        ) {
            let now: BTreeSet<u32> = before.difference(&gone).chain(&new).copied().collect();
            let set: UidSet = now.iter().copied().collect();
            let mut client = Numbering::from(&before.iter().copied().collect::<UidSet>());
            prop_assert_eq!(has_vanished(&client, &set), !before.is_subset(&now));
            let mut lines = Vec::new();
            let mut other = client.clone();
            write(&mut client, &set, Telling::Expunge, &mut lines).unwrap();
            prop_assert_eq!(&client, &Numbering::from(&set));
            let mut by_uid = Vec::new();
            write(&mut other, &set, Telling::Vanished, &mut by_uid).unwrap();
            prop_assert_eq!(&other, &client);
            let vanished: UidSet = before.difference(&now).copied().collect();
            let text = String::from_utf8(by_uid).unwrap();
            let expected = format!("* VANISHED {vanished}\r\n");
            prop_assert!(vanished.is_empty() != text.contains("VANISHED"), "{}", text);
            prop_assert!(vanished.is_empty() || text.starts_with(&expected), "{}", text);
            let view = told(before.iter().copied().map(Some).collect(), &lines);
            let known: Vec<_> = now.iter().map(|uid| before.contains(uid).then_some(*uid)).collect();
            prop_assert_eq!(view, known);
        }
    }

    #[test]
    fn a_uid_from_below_is_not_believed() {
        let mut client = Numbering::from(&UidSet::range(5, 9));
        let before = client.clone();
        let mut out = Vec::new();
        assert_eq!(write(&mut client, &UidSet::range(4, 9), Telling::Expunge, &mut out), Err(NotAscending));
        assert_eq!((client, out.len()), (before, 0));
    }

    #[test]
    fn nothing_new_is_nothing_told() {
        let mut client = Numbering::from(&UidSet::range(5, 9));
        let mut out = Vec::new();
        write(&mut client, &UidSet::range(5, 9), Telling::Vanished, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
