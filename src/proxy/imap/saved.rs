//! `$`: what a search has kept (RFC 5182), on every host.
//!
//! It is kept as UIDs here, not upstream: a session may be parked, and come back on another
//! connection. A command with `$` is carried out as if the client had written the set.

use super::ended::Ended;
use super::exchange::{Found, Show};
use super::run::Done;
use super::session::Session;
use crate::imap::command::{Command, SearchKey, SearchReturn, Tag};
use crate::imap::reply::{self, Outcome};
use crate::imap::response::Condition;
use crate::imap::subject::Subject;
use crate::imap::writer::Housekeeping;
use crate::types::{NumberSet, UidSet};

/// Longest set that is kept, in octets as it is written: it must fit into one command line, and
/// hosts refuse lines of 8 KiB. Some 1,500 runs of messages.
const MAX_SAVED: usize = 7_000;

/// Most messages whose UIDs are asked for by number: where they are more, a client can search by
/// UID. Some 6 MB of answers.
const MAX_NUMBERED: u64 = 200_000;

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
    /// A search that could not even be read leaves nothing kept, either.
    pub(super) fn forget_refused(&mut self) {
        let refused = std::mem::take(&mut self.client.refused_saving);
        if let Some(selected) = self.selected.as_mut().filter(|_| refused) {
            selected.saved = UidSet::new();
        }
    }

    /// Puts the messages into a search that says `$`; `false`: answered, there are too many.
    ///
    /// A search that is to keep what it finds empties `$` here, before anything can refuse it:
    /// after a NO there is nothing in it (RFC 5182 §2.1), whoever says NO.
    pub(super) fn recall_in_search(&mut self, tag: &Tag, command: &mut Command) -> bool {
        let Subject::Found { search, .. } = command.subject_mut() else { return true };
        let saves = search.ret.is_some_and(|ret| ret.save);
        let saved = match self.selected.as_mut() {
            Some(selected) if saves => std::mem::take(&mut selected.saved),
            Some(selected) => selected.saved.clone(),
            None => UidSet::new(),
        };
        let mut said = Vec::new();
        search.keys.iter_mut().for_each(|key| find_saved(key, &mut said));
        if said.len().saturating_mul(saved.to_string().len()) > MAX_SAVED {
            let text = "These messages are too scattered to be searched so often in one command";
            reply::tagged(self.client.wire.out(), tag, Outcome::No, "CANNOT", text);
            return false;
        }
        for key in said {
            *key = match Option::<NumberSet>::from(&saved) {
                Some(set) => SearchKey::Uid(set),
                None => SearchKey::Not(Box::new(SearchKey::All)),
            };
        }
        true
    }

    /// Puts the messages into a command on messages that says `$`.
    pub(super) async fn recall(&mut self, tag: &Tag, command: &mut Command) -> Result<Recalled, Ended> {
        let Subject::Named { by_uid, set } = command.subject_mut() else { return Ok(Recalled::Named) };
        if !set.is_saved() {
            return Ok(Recalled::Named);
        }
        let saved = self.selected.as_ref().map(|selected| selected.saved.clone()).unwrap_or_default();
        let messages = if by_uid { Some(saved) } else { self.numbers_of(tag, &saved).await? };
        let Some(messages) = messages else { return Ok(Recalled::Unknown) };
        let Some(these) = Option::<NumberSet>::from(&messages) else { return Ok(Recalled::Nothing) };
        *set = these;
        Ok(Recalled::Named)
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
        // As UIDs they are not shorter. For numbers, the host tells a line each.
        if found.to_string().len() > MAX_SAVED || (!by_uid && found.len() > MAX_NUMBERED) {
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
        if uids.is_empty() {
            return Ok(Some(UidSet::new()));
        }
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

/// Finds the keys that say `$`.
fn find_saved<'k>(key: &'k mut SearchKey, found: &mut Vec<&'k mut SearchKey>) {
    match key {
        SearchKey::Uid(set) | SearchKey::Numbers(set) => {
            if set.is_saved() {
                found.push(key);
            }
        }
        SearchKey::Not(inner) => find_saved(inner, found),
        SearchKey::Or(a, b) => {
            find_saved(a, found);
            find_saved(b, found);
        }
        SearchKey::And(keys) => keys.iter_mut().for_each(|key| find_saved(key, found)),
        SearchKey::All
        | SearchKey::Answered
        | SearchKey::Deleted
        | SearchKey::Draft
        | SearchKey::Flagged
        | SearchKey::New
        | SearchKey::Old
        | SearchKey::Recent
        | SearchKey::Seen
        | SearchKey::Unanswered
        | SearchKey::Undeleted
        | SearchKey::Undraft
        | SearchKey::Unflagged
        | SearchKey::Unseen
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
        | SearchKey::ModSeq(_) => {}
    }
}
