//! What kind of response begins.

use super::{Fault, Listing};

/// Longest beginning that decides: `* 4294967295 FETCH (`, or an unknown word.
const MAX_HEAD: usize = 96;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Head {
    /// `* n FETCH (`.
    Fetch(u32),
    /// `* SEARCH`, `* SORT`, `* THREAD`.
    Search(Listing),
    /// `* ESEARCH`.
    Esearch,
    /// The rest of the line is for people and never announces a literal: tagged, `+`, OK, NO,
    /// BAD, BYE, PREAUTH (RFC 3501 §7.1).
    Text,
    /// Anything else: atoms, lists, quoted strings and literals.
    Structured,
}

impl Head {
    /// Whether the response is handed on as a line.
    pub(super) fn is_line(self) -> bool {
        match self {
            Self::Text | Self::Structured => true,
            Self::Fetch(_) | Self::Search(_) | Self::Esearch => false,
        }
    }
}

/// The kind and how many octets decided it, at the first octet where that is certain.
pub(super) fn classify(start: &[u8]) -> Result<Option<(Head, usize)>, Fault> {
    if let Some(fetch) = plain_fetch(start) {
        return Ok(Some(fetch));
    }
    match start {
        [] | [b'*'] => return Ok(None),
        [b'*', b' ', ..] => {}
        [b'\r' | b'\n' | b'\0' | b' ' | b'*', ..] => return Err(Fault::Structure),
        [_, ..] => return Ok(Some((Head::Text, 1))),
    }
    let Some(word) = word(start, 2)? else { return Ok(None) };
    let text = &start[2..word];
    if text.first().is_some_and(u8::is_ascii_digit) {
        return numbered(start, word);
    }
    let is = |name: &str| text.eq_ignore_ascii_case(name.as_bytes());
    let head = if is("SEARCH") {
        Head::Search(Listing::Search)
    } else if is("SORT") {
        Head::Search(Listing::Sort)
    } else if is("THREAD") {
        Head::Search(Listing::Thread)
    } else if is("ESEARCH") {
        Head::Esearch
    } else if ["OK", "NO", "BAD", "BYE", "PREAUTH"].into_iter().any(is) {
        Head::Text
    } else {
        Head::Structured
    };
    Ok(Some((head, word)))
}

/// The one head that comes by the thousand, in its usual spelling.
fn plain_fetch(start: &[u8]) -> Option<(Head, usize)> {
    let digits = start.strip_prefix(b"* ")?;
    let (mut number, mut end) = (0u32, 0);
    // Nine digits always fit.
    while let Some(digit @ b'0'..=b'9') = digits.get(end).filter(|_| end < 9) {
        number = number * 10 + u32::from(digit - b'0');
        end += 1;
    }
    let fetch = number > 0 && digits[end..].starts_with(b" FETCH (");
    fetch.then_some((Head::Fetch(number), 2 + end + " FETCH (".len()))
}

/// `* n WORD`, where the number ends at `at`.
fn numbered(start: &[u8], at: usize) -> Result<Option<(Head, usize)>, Fault> {
    let number = &start[2..at];
    let Some(end) = word(start, at + 1)? else { return Ok(None) };
    if !start[at + 1..end].eq_ignore_ascii_case(b"FETCH") {
        return Ok(Some((Head::Structured, end)));
    }
    let number = self::number(number).ok_or(Fault::Number)?;
    match start.get(end..) {
        Some([b' ', b'(', ..]) => Ok(Some((Head::Fetch(number), end + 2))),
        Some([b' ']) => Ok(None),
        _ => Err(Fault::Structure),
    }
}

/// Where the word that begins at `at` ends: at a space or CR.
fn word(start: &[u8], at: usize) -> Result<Option<usize>, Fault> {
    let rest = start.get(at..).unwrap_or_default();
    let rest = &rest[..rest.len().min(MAX_HEAD)];
    match rest.iter().position(|octet| matches!(octet, b' ' | b'\r' | b'\n' | b'\0')) {
        Some(0) => Err(Fault::Structure),
        Some(end) => match rest[end] {
            b'\n' => Err(Fault::LineEnd),
            b'\0' => Err(Fault::Nul),
            _ => Ok(Some(at + end)),
        },
        None if rest.len() == MAX_HEAD => Err(Fault::TooLong),
        None => Ok(None),
    }
}

/// An nz-number (RFC 3501 §9).
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    u32::try_from(long_number(digits)?).ok().filter(|number| *number != 0)
}

/// Digits only, at least one, in 63 bits (RFC 7162 §7: mod-sequence-value).
pub(in crate::imap) fn long_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    i64::try_from(value).is_ok().then_some(value)
}
