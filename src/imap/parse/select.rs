//! SELECT and EXAMINE, with CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5).

use super::cursor::{Cursor, Parsed, Wrong, wrong};
use crate::imap::command::{Open, Resync};
use crate::types::{NumberSet, UidValidity};

/// Most parameters; there are two, each of which may stand once.
const MAX_PARAMETERS: usize = 2;

#[derive(Clone, Copy)]
enum Parameter {
    Condstore,
    Qresync,
}

const PARAMETERS: [(&str, Parameter); 2] =
    [("CONDSTORE", Parameter::Condstore), ("QRESYNC", Parameter::Qresync)];

pub(super) fn open(cursor: &mut Cursor<'_>) -> Parsed<Open> {
    cursor.space()?;
    let mut open = Open::plain(cursor.folder()?);
    if cursor.take(b' ') {
        cursor.list((false, MAX_PARAMETERS), |cursor| {
            match cursor.word(&PARAMETERS).ok_or(Wrong::Syntax("Unknown parameter"))? {
                Parameter::Condstore if !open.condstore => open.condstore = true,
                Parameter::Qresync if open.resync.is_none() => open.resync = Some(resync(cursor)?),
                Parameter::Condstore | Parameter::Qresync => return wrong("A parameter stands there twice"),
            }
            Ok(())
        })?;
    }
    cursor.end()?;
    Ok(open)
}

/// ` (uidvalidity mod-sequence [known-uids] [(numbers uids)])`.
fn resync(cursor: &mut Cursor<'_>) -> Parsed<Resync> {
    cursor.space()?;
    cursor.demand(b'(', "What is known of the folder was expected")?;
    let validity = UidValidity(cursor.nz_number()?);
    cursor.space()?;
    let mod_seq = cursor.number64()?;
    if mod_seq == 0 {
        return wrong("A mod-sequence is never 0");
    }
    let (mut known, mut matched) = (None, None);
    while cursor.take(b' ') {
        if cursor.take(b'(') {
            let numbers = known_set(cursor)?;
            cursor.space()?;
            matched = Some((numbers, known_set(cursor)?));
            cursor.demand(b')', "The list is malformed")?;
            break;
        }
        if known.is_some() {
            return wrong("The known UIDs stand there twice");
        }
        known = Some(known_set(cursor)?);
    }
    cursor.demand(b')', "The list is malformed")?;
    Ok(Resync { validity, mod_seq, known, matched })
}

/// A set without `*` and `$`: what they mean now says nothing of what was known.
fn known_set(cursor: &mut Cursor<'_>) -> Parsed<NumberSet> {
    let set = cursor.set()?;
    if set.is_saved() || set.has_last() { wrong("A set of known messages was expected") } else { Ok(set) }
}
