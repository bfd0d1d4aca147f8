use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{DAY, DAYS, Marking, Marks, octets};
use crate::types::{Timestamp, UidSet, UidValidity};

fn set(numbers: &BTreeSet<u32>) -> UidSet {
    numbers.iter().copied().collect()
}

fn new() -> Marks {
    Marks::new(UidValidity(1))
}

proptest! {
    #[test]
    fn pruning_changes_nothing_that_can_be_seen(seen in prop::collection::btree_set(1u32..60, 0..40),
                                                exist in prop::collection::btree_set(1u32..50, 0..40)) {
        let before = new().after(&Marking::Seen(set(&seen)));
        let after = before.after(&Marking::Exist(set(&exist), Timestamp(0)));
        for uid in &exist {
            prop_assert_eq!(before.seen().contains(*uid), after.seen().contains(*uid));
        }
        // What came since is not known to be gone.
        let top = exist.last().copied().unwrap_or(0);
        prop_assert_eq!(after.seen().iter().filter(|uid| *uid > top).collect::<BTreeSet<_>>(),
                        seen.iter().copied().filter(|uid| *uid > top).collect());
        let unread = exist.iter().filter(|uid| !seen.contains(uid)).count();
        let newer = seen.iter().filter(|uid| **uid > top).count();
        prop_assert!(after.seen().ranges().count() <= unread + newer + 1);
        prop_assert_eq!(&after.after(&Marking::Exist(set(&exist), Timestamp(0))), &after);
    }

    #[test]
    fn a_record_is_read_as_it_was_written(seen in prop::collection::btree_set(1u32..60, 0..40)) {
        let marks = new().after(&Marking::Seen(set(&seen))).after(&Marking::Deleted(set(&seen), Timestamp(DAY)));
        let text = serde_json::to_string(&marks).unwrap();
        prop_assert_eq!(serde_json::from_str::<Marks>(&text).unwrap(), marks);
    }
}

#[test]
fn a_record_is_bounded_and_closes_its_oldest_gaps() {
    let every_other: UidSet = (4_000_000_000..4_000_060_000).step_by(2).collect();
    let now = Timestamp(0);
    let marks = [Marking::Seen(every_other.clone()), Marking::Deleted(every_other.clone(), now)];
    let marks = marks.iter().fold(new(), |marks, change| marks.after(change));
    let marks = marks.after(&Marking::Copied(every_other, now));
    assert!(serde_json::to_string(&marks).unwrap().len() < 64 << 10);
    assert!(octets(marks.seen()) <= Marks::MAX_SEEN);
    assert!(marks.seen().contains(4_000_000_001), "the oldest unread message counts as read");
    assert!(!marks.seen().contains(4_000_059_997), "the newest unread one does not");
    let deleted = marks.deleted(now);
    assert!(!deleted.contains(4_000_000_000), "the oldest message stays");
    assert!(deleted.contains(4_000_059_998) && !deleted.contains(4_000_059_999));
}

#[test]
fn a_mark_of_deletion_lasts_thirty_days() {
    let uids = UidSet::range(3, 4);
    let marks = new().after(&Marking::Deleted(uids.clone(), Timestamp(0)));
    assert_eq!(marks.deleted(Timestamp(DAYS * DAY - 1)), uids);
    assert!(marks.deleted(Timestamp(DAYS * DAY)).is_empty());
    let exist = Marking::Exist(UidSet::range(1, 9), Timestamp(DAYS * DAY));
    assert!(marks.after(&exist).is_empty());
}

#[test]
fn who_takes_a_deletion_back_takes_back_the_copy_too() {
    let (uids, now) = (UidSet::range(3, 3), Timestamp(0));
    let marks = new().after(&Marking::Copied(uids.clone(), now)).after(&Marking::Deleted(uids.clone(), now));
    assert_eq!(marks.copied(now), uids);
    assert!(marks.after(&Marking::Undeleted(uids)).is_empty());
}
