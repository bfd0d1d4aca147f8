//! Flags that a user sees and upstream does not have: a read state of one's own, and a
//! `\Deleted` that is nobody else's business.
//!
//! Upstream is asked as if it knew nothing of them: FLAGS are patched on the way to the client
//! ([`Patcher`]), a search is asked once for each state that the flags can have ([`assuming`]),
//! and the answers are put together from what the user has marked ([`Marked::pick`]).

mod patch;
mod search;

pub use patch::{Folder, OtherUid, Patcher};
pub use search::{asks_about, assuming};

use crate::policy::{Assumed, OwnFlags};
use crate::types::UidSet;

/// What the user has marked in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Marked<'a> {
    /// Which flags are the user's own here; the others are upstream's.
    pub own: OwnFlags,
    pub seen: &'a UidSet,
    pub deleted: &'a UidSet,
}

impl Marked<'_> {
    /// Of the messages that upstream found under an assumption, those of which it is true.
    pub fn pick(&self, found: &UidSet, assumed: Assumed) -> UidSet {
        let seen = picked(found, self.seen, assumed.seen);
        picked(&seen, self.deleted, assumed.deleted)
    }

    /// A message's flags as upstream has them (separated by spaces) become the user's. A
    /// message without a UID yet is too new to be marked.
    pub fn patch(&self, flags: &[u8], uid: Option<u32>, out: &mut Vec<u8>) {
        let start = out.len();
        for flag in flags.split(|octet| *octet == b' ').filter(|flag| !self.replaces(flag)) {
            word(flag, start, out);
        }
        let Some(uid) = uid else { return };
        if self.own.seen && self.seen.contains(uid) {
            word(SEEN, start, out);
        }
        if self.own.deleted && self.deleted.contains(uid) {
            word(DELETED, start, out);
        }
    }

    fn replaces(&self, flag: &[u8]) -> bool {
        (self.own.seen && flag.eq_ignore_ascii_case(SEEN))
            || (self.own.deleted && flag.eq_ignore_ascii_case(DELETED))
    }
}

const SEEN: &[u8] = b"\\Seen";
const DELETED: &[u8] = b"\\Deleted";

fn word(flag: &[u8], start: usize, out: &mut Vec<u8>) {
    if flag.is_empty() {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    out.extend_from_slice(flag);
}

fn picked(found: &UidSet, marked: &UidSet, assumed: Option<bool>) -> UidSet {
    match assumed {
        Some(true) => found.intersect(marked),
        Some(false) => found.minus(marked),
        None => found.clone(),
    }
}

#[cfg(test)]
mod tests;
