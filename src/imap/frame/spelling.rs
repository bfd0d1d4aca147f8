//! How a line ends: quoted strings closed, literals announced in their one spelling.

use memchr::{memchr, memchr2, memrchr};

use super::{Announced, Fault};

/// What follows the last quoted string of a line.
pub(super) fn after_quotes(body: &[u8]) -> Result<&[u8], Fault> {
    let mut rest = body;
    while let Some(open) = memchr(b'"', rest) {
        rest = &rest[open + 1..];
        loop {
            let at = memchr2(b'"', b'\\', rest).ok_or(Fault::OpenQuote)?;
            let escape = rest[at] == b'\\';
            rest = rest.get(at + 1 + usize::from(escape)..).ok_or(Fault::OpenQuote)?;
            if !escape {
                break;
            }
        }
    }
    Ok(rest)
}

/// The literal announced at the end of a line, in its one spelling: `{n}` or `{n+}`
/// (RFC 3501 §4.3, RFC 7888 §4), no leading zero, no literal8 (RFC 3516).
pub(super) fn announcement(text: &[u8]) -> Result<Option<Announced>, Fault> {
    let Some(text) = text.strip_suffix(b"}") else { return Ok(None) };
    // `}` alone may end an atom.
    let Some(open) = memrchr(b'{', text) else { return Ok(None) };
    let (before, inner) = (&text[..open], &text[open + 1..]);
    let (digits, synchronising) = match inner.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (inner, true),
    };
    let canonical =
        digits == b"0" || (!digits.is_empty() && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit));
    if !canonical || before.ends_with(b"~") {
        return Err(Fault::Announcement);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
    let size = number.and_then(|n| u64::try_from(n).ok()).ok_or(Fault::Announcement)?;
    Ok(Some(Announced { size, synchronising }))
}
