//! COPY, MOVE, STORE and UID EXPUNGE (RFC 3501 §6.4, RFC 6851, RFC 4315, RFC 7162 §3.1.3): what
//! they mean may be `$` (RFC 5182).

use super::append::{MAX_FLAGS, flag, flag_list};
use super::cursor::{Cursor, Parsed, Wrong, wrong};
use crate::imap::command::{Command, Store};
use crate::policy::StoreMode;
use crate::types::Flags;

pub(super) fn copy(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.space()?;
    let to = cursor.folder()?;
    cursor.end()?;
    Ok(Command::Copy { uid, set, to })
}

pub(super) fn r#move(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    match copy(cursor, uid)? {
        Command::Copy { uid, set, to } => Ok(Command::Move { uid, set, to }),
        other => Ok(other),
    }
}

pub(super) fn uid_expunge(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.end()?;
    Ok(Command::UidExpunge(set))
}

const ITEMS: [(&str, bool); 2] = [("FLAGS", false), ("FLAGS.SILENT", true)];

pub(super) fn store(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        unchanged_since = Some(self::unchanged_since(cursor)?);
        cursor.space()?;
    }
    let mode = match (cursor.take(b'+'), cursor.take(b'-')) {
        (true, false) => StoreMode::Add,
        (false, true) => StoreMode::Remove,
        (false, false) => StoreMode::Replace,
        (true, true) => return wrong("Unknown STORE item"),
    };
    let silent = cursor.word(&ITEMS).ok_or(Wrong::Syntax("Unknown STORE item"))?;
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') { flag_list(cursor)? } else { bare_flags(cursor)? };
    cursor.end()?;
    Ok(Command::Store { uid, store: Store { set, unchanged_since, mode, silent, flags } })
}

/// `(UNCHANGEDSINCE n)`.
fn unchanged_since(cursor: &mut Cursor<'_>) -> Parsed<u64> {
    let mut since = 0;
    cursor.list((false, 1), |cursor| {
        cursor.word(&[("UNCHANGEDSINCE", ())]).ok_or(Wrong::Syntax("Unknown STORE modifier"))?;
        cursor.space()?;
        since = cursor.number64()?;
        Ok(())
    })?;
    Ok(since)
}

/// Flags without parentheses.
fn bare_flags(cursor: &mut Cursor<'_>) -> Parsed<Flags> {
    let mut flags = Flags::default();
    for _ in 0..MAX_FLAGS {
        flags.insert(flag(cursor)?);
        if !cursor.take(b' ') {
            return Ok(flags);
        }
    }
    wrong("Too many flags")
}
