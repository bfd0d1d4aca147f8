//! LOGIN, AUTHENTICATE and ID. Passwords never enter a type that prints them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cursor::{Cursor, Parsed, wrong};
use crate::imap::command::Command;
use crate::types::Secret;

/// Most pairs in ID (RFC 2971 §3.3).
const MAX_ID_PAIRS: usize = 30;
/// Most characters of a client's description of itself that are kept for the log.
const MAX_CLIENT: usize = 128;

/// RFC 3501 §6.2.3. A user name is UTF-8 without control characters; a password is octets.
pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let user = String::from_utf8(cursor.text()?).or(wrong("The user name is not UTF-8"))?;
    if user.chars().any(char::is_control) {
        return wrong("The user name has control characters");
    }
    cursor.space()?;
    let password = Secret::new(cursor.text()?);
    cursor.end()?;
    Ok(Command::Login { user, password })
}

/// RFC 3501 §6.2.2 with the initial response of RFC 4959; any mechanism name, in upper case.
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    if cursor.end().is_ok() {
        return Ok(Command::Authenticate { mechanism, initial: None });
    }
    cursor.space()?;
    let text = cursor.run(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    cursor.end()?;
    let initial = match text {
        b"" => return wrong("The initial response is missing"),
        b"=" => Secret::new([]),
        base64 => Secret::new(STANDARD.decode(base64).or(wrong("The initial response is not base64"))?),
    };
    Ok(Command::Authenticate { mechanism, initial: Some(initial) })
}

/// RFC 2971 §3.1: NIL or pairs; only name and version are kept.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    if cursor.word(&[("NIL", ())]).is_some() {
        cursor.end()?;
        return Ok(Command::Id { client: None });
    }
    let (mut name, mut version) = (None, None);
    cursor.list((true, MAX_ID_PAIRS), |cursor| {
        let field = cursor.string(true)?;
        cursor.space()?;
        let value = match cursor.word(&[("NIL", ())]) {
            Some(()) => None,
            None => Some(cursor.string(true)?),
        };
        if field.eq_ignore_ascii_case(b"name") {
            name = value;
        } else if field.eq_ignore_ascii_case(b"version") {
            version = value;
        }
        Ok(())
    })?;
    cursor.end()?;
    let words: Vec<String> = [name, version].into_iter().flatten().map(|octets| clean(&octets)).collect();
    Ok(Command::Id { client: (!words.is_empty()).then(|| words.join(" ")) })
}

/// What a log line may hold of a stranger's words.
fn clean(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.chars().filter(|c| !c.is_control()).take(MAX_CLIENT).collect()
}

/// The answer to a `+` of AUTHENTICATE: base64, or `*` to give up (RFC 3501 §6.2.2).
///
/// `Ok(None)` is giving up.
///
/// # Errors
/// Not base64: tagged BAD.
pub fn continuation(line: &[u8]) -> Result<Option<Secret>, super::BadKind> {
    if line == b"*" {
        return Ok(None);
    }
    STANDARD.decode(line).map(|octets| Some(Secret::new(octets))).map_err(|_| super::BadKind::Syntax)
}
