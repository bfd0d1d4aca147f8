use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Marked, asks_about, assuming};
use crate::imap::command::{Search, SearchKey};
use crate::policy::{Assumed, OwnFlags};
use crate::types::{NumberSet, UidSet};

/// A message as upstream has it.
#[derive(Clone, Debug)]
struct Message {
    uid: u32,
    seen: bool,
    deleted: bool,
    recent: bool,
    flagged: bool,
}

/// What a search means, read off RFC 3501 §6.4.4.
fn matches(key: &SearchKey, message: &Message) -> bool {
    match key {
        SearchKey::All => true,
        SearchKey::Seen => message.seen,
        SearchKey::Unseen => !message.seen,
        SearchKey::New => message.recent && !message.seen,
        SearchKey::Old => !message.recent,
        SearchKey::Recent => message.recent,
        SearchKey::Deleted => message.deleted,
        SearchKey::Undeleted => !message.deleted,
        SearchKey::Flagged => message.flagged,
        SearchKey::Uid(set) => set.resolve(u32::MAX).contains(message.uid),
        SearchKey::Not(key) => !matches(key, message),
        SearchKey::Or(a, b) => matches(a, message) || matches(b, message),
        SearchKey::And(keys) => keys.iter().all(|key| matches(key, message)),
        other => panic!("{other:?} is not in this test"),
    }
}

fn search(keys: &[SearchKey], folder: &[Message]) -> UidSet {
    let found = folder.iter().filter(|message| keys.iter().all(|key| matches(key, message)));
    found.map(|message| message.uid).collect()
}

fn key() -> impl Strategy<Value = SearchKey> {
    let uids = (1u32..30).prop_map(|uid| {
        let set: Option<NumberSet> = (&UidSet::range(uid, uid + 9)).into();
        SearchKey::Uid(set.unwrap())
    });
    let leaf = prop_oneof![
        prop::sample::select(vec![
            SearchKey::All,
            SearchKey::Seen,
            SearchKey::Unseen,
            SearchKey::New,
            SearchKey::Old,
            SearchKey::Recent,
            SearchKey::Deleted,
            SearchKey::Undeleted,
            SearchKey::Flagged,
        ]),
        uids,
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
            prop::collection::vec(inner, 1..4).prop_map(SearchKey::And),
        ]
    })
}

fn folder() -> impl Strategy<Value = Vec<Message>> {
    let message = any::<(bool, bool, bool, bool, bool)>();
    prop::collection::vec(message, 0..30).prop_map(|all| {
        let message =
            |(uid, (_, seen, deleted, recent, flagged))| Message { uid, seen, deleted, recent, flagged };
        // Some UIDs are missing.
        (1u32..).zip(all).filter(|(_, (exists, ..))| *exists).map(message).collect()
    })
}

proptest! {
    #[test]
    fn a_search_answers_as_if_upstream_had_the_flags(
        keys in prop::collection::vec(key(), 1..3),
        upstream in folder(),
        seen in prop::collection::btree_set(1u32..32, 0..20),
        deleted in prop::collection::btree_set(1u32..32, 0..20),
        (own_seen, own_deleted) in any::<(bool, bool)>(),
    ) {
        let own = OwnFlags { seen: own_seen, deleted: own_deleted };
        let (seen, deleted): (UidSet, UidSet) = (seen.into_iter().collect(), deleted.into_iter().collect());
        let marked = Marked { own, seen: &seen, deleted: &deleted };
        let asked = Search { ret: None, charset: None, keys };
        let states = |own| if own { vec![Some(true), Some(false)] } else { vec![None] };
        let about = asks_about(&asked.keys).and(own);
        let mut found = UidSet::new();
        for seen in states(about.seen) {
            for deleted in states(about.deleted) {
                let assumed = Assumed { seen, deleted };
                let Some(question) = assuming(&asked, assumed) else { continue };
                prop_assert!(!asks_about(&question.keys).and(about).any(), "{:?}", question.keys);
                found = found.union(&marked.pick(&search(&question.keys, &upstream), assumed));
            }
        }
        let as_the_user_sees: Vec<_> = upstream
            .into_iter()
            .map(|message| Message {
                seen: if own.seen { seen.contains(message.uid) } else { message.seen },
                deleted: if own.deleted { deleted.contains(message.uid) } else { message.deleted },
                ..message
            })
            .collect();
        prop_assert_eq!(found, search(&asked.keys, &as_the_user_sees));
    }

    #[test]
    fn flags_are_the_users(
        upstream in prop::collection::vec(prop::sample::select(
            vec!["\\Seen", "\\seen", "\\Deleted", "\\Flagged", "\\Recent", "$a", "Seen", ""]), 0..6),
        (own_seen, own_deleted, seen, deleted, known) in any::<(bool, bool, bool, bool, bool)>(),
    ) {
        let one = UidSet::range(7, 7);
        let none = UidSet::new();
        let own = OwnFlags { seen: own_seen, deleted: own_deleted };
        let pick = |on| if on { &one } else { &none };
        let marked = Marked { own, seen: pick(seen), deleted: pick(deleted) };
        let mut out = b"* 1 FETCH (FLAGS (".to_vec();
        let before = out.len();
        marked.patch(upstream.join(" ").as_bytes(), known.then_some(7), &mut out);
        let told = String::from_utf8(out.split_off(before)).unwrap();
        let told: Vec<_> = told.split(' ').filter(|flag| !flag.is_empty()).map(str::to_ascii_lowercase).collect();
        let mut expected: BTreeSet<_> =
            upstream.iter().filter(|flag| !flag.is_empty()).map(|flag| flag.to_ascii_lowercase()).collect();
        for (own, set, name) in [(own_seen, seen, "\\seen"), (own_deleted, deleted, "\\deleted")] {
            if own {
                expected.remove(name);
                if set && known {
                    expected.insert(name.to_owned());
                }
            }
        }
        prop_assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn what_cannot_match_is_not_asked() {
    let unseen = |keys| Search { ret: None, charset: None, keys };
    let seen = |seen| Assumed { seen: Some(seen), deleted: None };
    let search = unseen(vec![SearchKey::Unseen, SearchKey::Flagged]);
    assert!(assuming(&search, seen(true)).is_none());
    assert_eq!(assuming(&search, seen(false)).unwrap().keys, [SearchKey::Flagged]);
    assert_eq!(assuming(&unseen(vec![SearchKey::Unseen]), seen(false)).unwrap().keys, [SearchKey::All]);
}
