//! APPEND up to its message (RFC 3501 §6.3.11). MULTIAPPEND, CATENATE and literal8 do not exist.

use super::cursor::{Cursor, Parsed, Wrong, wrong};
use super::date;
use crate::imap::command::Append;
use crate::imap::frame::Announced;
use crate::types::{Flag, Flags};

/// Most flags in one list (64 of 64 octets: docs/grammar.md).
pub(super) const MAX_FLAGS: usize = 64;

/// Reads the head; `None` if the announced literal is the folder's name.
pub(super) fn head(cursor: &mut Cursor<'_>, announced: Announced) -> Parsed<Option<Append>> {
    let plus = if announced.synchronising { "" } else { "+" };
    let ending = format!("{{{}{plus}}}\r\n", announced.size);
    cursor.space()?;
    if cursor.rest() == ending.as_bytes() {
        return Ok(None);
    }
    let folder = cursor.folder()?;
    cursor.space()?;
    let mut flags = Flags::default();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date::date_time(cursor)?);
        cursor.space()?;
    }
    if cursor.rest() != ending.as_bytes() {
        return wrong("The message was expected");
    }
    let Announced { size, synchronising } = announced;
    Ok(Some(Append { folder, flags, date, size, synchronising }))
}

/// flag-list, of flags that a client may set.
pub(super) fn flag_list(cursor: &mut Cursor<'_>) -> Parsed<Flags> {
    let mut flags = Flags::default();
    cursor.list((true, MAX_FLAGS), |cursor| {
        flags.insert(flag(cursor)?);
        Ok(())
    })?;
    Ok(flags)
}

pub(super) fn flag(cursor: &mut Cursor<'_>) -> Parsed<Flag> {
    let octets = cursor.run(|b| b != b' ' && b != b')' && b.is_ascii_graphic());
    let flag = std::str::from_utf8(octets).ok().and_then(Flag::parse);
    flag.ok_or(Wrong::Syntax("This flag cannot be set"))
}
