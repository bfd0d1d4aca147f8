//! `$`: what a search has kept (RFC 5182), on every host.
//!
//! It is kept as UIDs here, not upstream: a session may be parked, and come back on another
//! connection. A command with `$` is carried out as if the client had written the set.

use super::ended::Ended;
use super::exchange::{Found, Show};
use super::run::Done;
use super::session::Session;
use crate::imap::command::{Command, Search, SearchKey, SearchReturn, Sort, Tag, Thread};
use crate::imap::reply;
use crate::imap::response::Condition;
use crate::imap::writer::Housekeeping;
use crate::types::{NumberSet, UidSet};

/// Longest set that is kept, in octets as it is written: it must fit into one command line, and
/// hosts refuse lines of 8 KiB. Some 1,500 runs of messages.
const MAX_SAVED: usize = 7_000;

/// What became of `$` in a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recalled {
    /// The messages are in its place, if it stood there at all.
    Named,
    /// It means no message: there is nothing to do.
    Nothing,
    /// Upstream did not say which numbers the messages have.
    Unknown,
}

/// What became of a search's result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    Saved,
    TooLong,
    /// Upstream did not say which messages they are.
    Unknown,
}

impl Session {
    /// Puts the messages into a command that says `$`.
    pub(super) async fn recall(&mut self, tag: &Tag, command: &mut Command) -> Result<Recalled, Ended> {
        let saved = self.selected.as_ref().map(|selected| selected.saved.clone()).unwrap_or_default();
        if let Some(search) = searched(command) {
            search.keys.iter_mut().for_each(|key| put_in(key, &saved));
            return Ok(Recalled::Named);
        }
        let Some((by_uid, set)) = named(command).filter(|(_, set)| set.is_saved()) else {
            return Ok(Recalled::Named);
        };
        if saved.is_empty() {
            return Ok(Recalled::Nothing);
        }
        if by_uid {
            *set = set_of(&saved);
            return Ok(Recalled::Named);
        }
        let Some(numbers) = self.numbers_of(tag, &saved).await? else { return Ok(Recalled::Unknown) };
        if let Some((_, set)) = named(command) {
            *set = set_of(&numbers);
        }
        Ok(if numbers.is_empty() { Recalled::Nothing } else { Recalled::Named })
    }

    /// A search that keeps its result is under way: `$` is empty until it succeeds.
    pub(super) fn forget_saved(&mut self, command: &Command) {
        if let (Command::Search { search: Search { ret: Some(ret), .. }, .. }, Some(selected)) =
            (command, self.selected.as_mut())
            && ret.save
        {
            selected.saved = UidSet::new();
        }
    }

    /// The answer to a SEARCH that is ours to give; or why there is none.
    pub(super) async fn tell_found(
        &mut self,
        tag: &Tag,
        ret: Option<SearchReturn>,
        (by_uid, found, mod_seq): (bool, &UidSet, Option<u64>),
    ) -> Result<Option<Done>, Ended> {
        let code = match self.save(tag, ret, (by_uid, found)).await? {
            Kept::Saved => {
                reply::searched(self.client.wire.out(), tag, by_uid, ret, (found, mod_seq));
                return Ok(None);
            }
            Kept::TooLong => "NOTSAVED",
            Kept::Unknown => "UNAVAILABLE",
        };
        Ok(Some(Done { condition: Condition::No, code: Some(code.to_owned()) }))
    }

    /// Keeps what a search has found, by UID or by number, if it is to be kept.
    async fn save(
        &mut self,
        tag: &Tag,
        ret: Option<SearchReturn>,
        (by_uid, found): (bool, &UidSet),
    ) -> Result<Kept, Ended> {
        let Some(ret) = ret.filter(|ret| ret.save) else { return Ok(Kept::Saved) };
        let found = ret.saved(found);
        // As UIDs they are not shorter.
        if found.to_string().len() > MAX_SAVED {
            return Ok(Kept::TooLong);
        }
        let uids = if by_uid { Some(found) } else { self.uids_of(tag, &found).await? };
        let Some(uids) = uids else { return Ok(Kept::Unknown) };
        if uids.to_string().len() > MAX_SAVED {
            return Ok(Kept::TooLong);
        }
        if let Some(selected) = self.selected.as_mut() {
            selected.saved = uids;
        }
        Ok(Kept::Saved)
    }

    /// By number, as the client's command is: nothing vanishes meanwhile (RFC 3501 §7.4.1).
    async fn numbers_of(&mut self, tag: &Tag, uids: &UidSet) -> Result<Option<UidSet>, Ended> {
        if let Some(overlay) = self.overlay() {
            return Ok(Some(overlay.numbering.numbers_of(uids)));
        }
        let mut found = Found::default();
        let answer = self.help(tag, &Housekeeping::NumbersOf { uids }, Show::Changes, &mut found).await?;
        Ok(answer.is_ok().then_some(found.uids))
    }

    async fn uids_of(&mut self, tag: &Tag, numbers: &UidSet) -> Result<Option<UidSet>, Ended> {
        if numbers.is_empty() {
            return Ok(Some(UidSet::new()));
        }
        if let Some(overlay) = self.overlay() {
            return Ok(Some(overlay.numbering.uids_of(numbers)));
        }
        let mut found = Found::default();
        let answer = self.help(tag, &Housekeeping::UidsOf { numbers }, Show::Changes, &mut found).await?;
        let pairs = found.numbers.into_iter().filter(|(number, _)| numbers.contains(*number));
        Ok(answer.is_ok().then(|| pairs.map(|(_, uid)| uid).collect()))
    }
}

fn set_of(set: &UidSet) -> NumberSet {
    Option::<NumberSet>::from(set).unwrap_or(NumberSet::saved())
}

/// What a command searches in.
fn searched(command: &mut Command) -> Option<&mut Search> {
    match command {
        Command::Search { search, .. }
        | Command::Sort { sort: Sort { search, .. }, .. }
        | Command::Thread { thread: Thread { search, .. }, .. } => Some(search),
        _ => None,
    }
}

/// Whether a command numbers by UID, and its messages.
fn named(command: &mut Command) -> Option<(bool, &mut NumberSet)> {
    match command {
        Command::Fetch { uid, fetch } => Some((*uid, &mut fetch.set)),
        Command::Store { uid, store } => Some((*uid, &mut store.set)),
        Command::Copy { uid, set, .. } | Command::Move { uid, set, .. } => Some((*uid, set)),
        Command::UidExpunge(set) => Some((true, set)),
        _ => None,
    }
}

/// A key that says `$` says these messages instead, by UID; no key stands for none of them.
fn put_in(key: &mut SearchKey, saved: &UidSet) {
    match key {
        SearchKey::Uid(set) | SearchKey::Numbers(set) if set.is_saved() => {
            *key = match Option::<NumberSet>::from(saved) {
                Some(set) => SearchKey::Uid(set),
                None => SearchKey::Not(Box::new(SearchKey::All)),
            };
        }
        SearchKey::Not(inner) => put_in(inner, saved),
        SearchKey::Or(a, b) => [a, b].into_iter().for_each(|key| put_in(key, saved)),
        SearchKey::And(keys) => keys.iter_mut().for_each(|key| put_in(key, saved)),
        _ => {}
    }
}
