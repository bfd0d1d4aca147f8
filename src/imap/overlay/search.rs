//! A search that asks about flags which upstream does not have.

use crate::imap::command::{Search, SearchKey};
use crate::policy::{Assumed, OwnFlags};

/// Which of the user's own flags the keys ask about.
pub fn asks_about(keys: &[SearchKey]) -> OwnFlags {
    keys.iter().map(of_key).fold(OwnFlags::default(), OwnFlags::or)
}

fn of_key(key: &SearchKey) -> OwnFlags {
    match key {
        SearchKey::Seen | SearchKey::Unseen | SearchKey::New => OwnFlags { seen: true, deleted: false },
        SearchKey::Deleted | SearchKey::Undeleted => OwnFlags { seen: false, deleted: true },
        SearchKey::Not(key) => of_key(key),
        SearchKey::Or(a, b) => of_key(a).or(of_key(b)),
        SearchKey::And(keys) => asks_about(keys),
        SearchKey::All
        | SearchKey::Answered
        | SearchKey::Draft
        | SearchKey::Flagged
        | SearchKey::Old
        | SearchKey::Recent
        | SearchKey::Unanswered
        | SearchKey::Undraft
        | SearchKey::Unflagged
        | SearchKey::Keyword(_)
        | SearchKey::Unkeyword(_)
        | SearchKey::Bcc(_)
        | SearchKey::Body(_)
        | SearchKey::Cc(_)
        | SearchKey::From(_)
        | SearchKey::Subject(_)
        | SearchKey::Text(_)
        | SearchKey::To(_)
        | SearchKey::Header { .. }
        | SearchKey::Before(_)
        | SearchKey::On(_)
        | SearchKey::Since(_)
        | SearchKey::SentBefore(_)
        | SearchKey::SentOn(_)
        | SearchKey::SentSince(_)
        | SearchKey::Larger(_)
        | SearchKey::Smaller(_)
        | SearchKey::Older(_)
        | SearchKey::Younger(_)
        | SearchKey::ModSeq(_)
        | SearchKey::Uid(_)
        | SearchKey::Numbers(_) => OwnFlags::default(),
    }
}

/// What is left of the keys where the flags are as `assumed`; `None` if nothing can match, so
/// that upstream need not be asked. `SEARCH UNSEEN` becomes `ALL` for unread messages, and
/// nothing at all for the others.
pub fn assuming(search: &Search, assumed: Assumed) -> Option<Search> {
    let keys = match all(&search.keys, assumed) {
        Folded::All => vec![SearchKey::All],
        Folded::Nothing => return None,
        Folded::Key(SearchKey::And(keys)) => keys,
        Folded::Key(key) => vec![key],
    };
    Some(Search { ret: search.ret, charset: search.charset, keys })
}

/// A key once the flags in it are known.
enum Folded {
    All,
    Nothing,
    Key(SearchKey),
}

impl Folded {
    fn holds(holds: bool) -> Self {
        if holds { Self::All } else { Self::Nothing }
    }
}

fn all(keys: &[SearchKey], assumed: Assumed) -> Folded {
    let mut left = Vec::new();
    for key in keys {
        match fold(key, assumed) {
            Folded::All => {}
            Folded::Nothing => return Folded::Nothing,
            Folded::Key(key) => left.push(key),
        }
    }
    match left.len() {
        0 => Folded::All,
        1 => left.pop().map_or(Folded::All, Folded::Key),
        _ => Folded::Key(SearchKey::And(left)),
    }
}

fn fold(key: &SearchKey, assumed: Assumed) -> Folded {
    match (key, assumed) {
        (SearchKey::Seen, Assumed { seen: Some(seen), .. }) => Folded::holds(seen),
        (SearchKey::Unseen, Assumed { seen: Some(seen), .. }) => Folded::holds(!seen),
        // NEW is RECENT UNSEEN; OLD is NOT RECENT, and no business of ours (RFC 3501 §6.4.4).
        (SearchKey::New, Assumed { seen: Some(true), .. }) => Folded::Nothing,
        (SearchKey::New, Assumed { seen: Some(false), .. }) => Folded::Key(SearchKey::Recent),
        (SearchKey::Deleted, Assumed { deleted: Some(deleted), .. }) => Folded::holds(deleted),
        (SearchKey::Undeleted, Assumed { deleted: Some(deleted), .. }) => Folded::holds(!deleted),
        (SearchKey::Not(key), _) => match fold(key, assumed) {
            Folded::All => Folded::Nothing,
            Folded::Nothing => Folded::All,
            Folded::Key(key) => Folded::Key(SearchKey::Not(Box::new(key))),
        },
        (SearchKey::Or(a, b), _) => match (fold(a, assumed), fold(b, assumed)) {
            (Folded::All, _) | (_, Folded::All) => Folded::All,
            (Folded::Nothing, other) | (other, Folded::Nothing) => other,
            (Folded::Key(a), Folded::Key(b)) => Folded::Key(SearchKey::Or(Box::new(a), Box::new(b))),
        },
        (SearchKey::And(keys), _) => all(keys, assumed),
        (SearchKey::All, _) => Folded::All,
        // What asks about no flag of the user's own ([`of_key`] names every key).
        (other, _) => Folded::Key(other.clone()),
    }
}
