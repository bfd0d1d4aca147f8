//! SORT and THREAD (RFC 5256), with the display keys of RFC 5957.

use super::cursor::{Cursor, Parsed, Wrong};
use super::search;
use crate::imap::command::{Command, Search, Sort, SortBy, SortKey, Thread, Threading};

/// Most sort keys: there are nine, and each counts once.
const MAX_KEYS: usize = 9;

const KEYS: [(&str, SortBy); 9] = [
    ("ARRIVAL", SortBy::Arrival),
    ("CC", SortBy::Cc),
    ("DATE", SortBy::Date),
    ("DISPLAYFROM", SortBy::DisplayFrom),
    ("DISPLAYTO", SortBy::DisplayTo),
    ("FROM", SortBy::From),
    ("SIZE", SortBy::Size),
    ("SUBJECT", SortBy::Subject),
    ("TO", SortBy::To),
];

const THREADINGS: [(&str, Threading); 3] = [
    ("ORDEREDSUBJECT", Threading::OrderedSubject),
    ("REFERENCES", Threading::References),
    ("REFS", Threading::Refs),
];

pub(super) fn sort(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let mut keys: Vec<SortKey> = Vec::new();
    cursor.list((false, MAX_KEYS), |cursor| {
        let reverse = cursor.word(&[("REVERSE", ())]).is_some();
        if reverse {
            cursor.space()?;
        }
        let by = cursor.word(&KEYS).ok_or(Wrong::Syntax("Unknown sort key"))?;
        keys.push(SortKey { reverse, by });
        Ok(())
    })?;
    let search = searched(cursor)?;
    Ok(Command::Sort { uid, sort: Sort { keys, search } })
}

pub(super) fn thread(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let by = cursor.word(&THREADINGS).ok_or(Wrong::Syntax("Unknown threading algorithm"))?;
    let search = searched(cursor)?;
    Ok(Command::Thread { uid, thread: Thread { by, search } })
}

/// A charset, which these two demand, and the search keys.
fn searched(cursor: &mut Cursor<'_>) -> Parsed<Search> {
    cursor.space()?;
    let charset = Some(search::known_charset(&cursor.astring()?).ok_or(Wrong::Charset { saves: false })?);
    cursor.space()?;
    let keys = search::keys(cursor, charset)?;
    Ok(Search { ret: None, charset, keys })
}
