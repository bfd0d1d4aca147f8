//! The lexical elements of RFC 3501 §9, read strictly and one after the other.

use std::num::NonZeroU32;

use crate::imap::command::FolderArg;
use crate::types::{Bound, FolderName, NumberSet, Separator};

/// Longest sequence-set in octets; servers refuse command lines not much longer.
const MAX_SET: usize = 8_192;

/// Why an argument is not of the grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    Syntax(&'static str),
    /// SEARCH in a charset other than US-ASCII and UTF-8.
    Charset {
        /// It was to keep what it finds (RFC 5182).
        saves: bool,
    },
}

pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) const fn wrong<T>(why: &'static str) -> Parsed<T> {
    Err(Wrong::Syntax(why))
}

/// The rest of a command.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    separator: Separator,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8], separator: Separator) -> Self {
        Self { rest, separator }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn separator(&self) -> Separator {
        self.separator
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes this octet if it is next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let rest = self.rest.strip_prefix(&[octet]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(super) fn demand(&mut self, octet: u8, why: &'static str) -> Parsed<()> {
        if self.take(octet) { Ok(()) } else { wrong(why) }
    }

    /// Exactly one space.
    pub(super) fn space(&mut self) -> Parsed<()> {
        self.demand(b' ', "Something is missing or surplus")
    }

    /// The end of the command.
    pub(super) fn end(&self) -> Parsed<()> {
        if self.rest == b"\r\n" { Ok(()) } else { wrong("Surplus arguments") }
    }

    /// The longest run of octets that `belongs` holds for; may be empty.
    pub(super) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !belongs(*b)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    /// Takes one of the table's words, in any case; the words are of letters, digits, `.`, `-`.
    pub(super) fn word<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let before = self.rest;
        let word = self.run(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        let found = table.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        if found.is_none() {
            self.rest = before;
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn atom(&mut self) -> Parsed<&'a str> {
        let atom = self.run(is_atom_char);
        match std::str::from_utf8(atom) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => wrong("An atom was expected"),
        }
    }

    /// astring: atom (with `]`), quoted string or literal.
    pub(super) fn astring(&mut self) -> Parsed<Vec<u8>> {
        self.astring_of(is_astring_char, false)
    }

    /// An astring that may have octets over 127 in quotes too: user names, passwords and
    /// search strings of clients in the field. The caller checks the encoding.
    pub(super) fn text(&mut self) -> Parsed<Vec<u8>> {
        self.astring_of(is_astring_char, true)
    }

    /// list-mailbox: an astring with `%` and `*`.
    pub(super) fn pattern(&mut self) -> Parsed<Vec<u8>> {
        self.astring_of(|b| is_astring_char(b) || b == b'%' || b == b'*', false)
    }

    fn astring_of(&mut self, belongs: fn(u8) -> bool, eight_bit: bool) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(eight_bit),
            _ => match self.run(belongs) {
                [] => wrong("An argument is missing"),
                atom => Ok(atom.to_vec()),
            },
        }
    }

    /// string: quoted or literal.
    pub(super) fn string(&mut self, eight_bit: bool) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(eight_bit),
            Some(b'{') => self.literal(),
            _ => wrong("A string was expected"),
        }
    }

    fn quoted(&mut self, eight_bit: bool) -> Parsed<Vec<u8>> {
        self.demand(b'"', "A quoted string was expected")?;
        let mut out = Vec::new();
        loop {
            out.extend_from_slice(self.run(|b| !b"\"\\\r\n\0".contains(&b) && (eight_bit || b.is_ascii())));
            if self.take(b'"') {
                return Ok(out);
            }
            // Only the two specials may be escaped: "\S" would be a second spelling of "S".
            let escaped = self.take(b'\\') && matches!(self.peek(), Some(b'"' | b'\\'));
            match self.rest {
                [special, rest @ ..] if escaped => {
                    out.push(*special);
                    self.rest = rest;
                }
                _ => return wrong("A quoted string is malformed"),
            }
        }
    }

    /// A literal in place; the framer has checked the announcement's spelling.
    fn literal(&mut self) -> Parsed<Vec<u8>> {
        const WHY: &str = "A literal is malformed";
        self.demand(b'{', WHY)?;
        let size = usize::try_from(self.number()?).or(wrong(WHY))?;
        self.take(b'+');
        self.demand(b'}', WHY)?;
        self.demand(b'\r', WHY)?;
        self.demand(b'\n', WHY)?;
        let (octets, rest) = self.rest.split_at_checked(size).ok_or(Wrong::Syntax(WHY))?;
        if octets.contains(&0) {
            return wrong("NUL is not allowed");
        }
        self.rest = rest;
        Ok(octets.to_vec())
    }

    /// A folder name; not canonical is not a matter of grammar.
    pub(super) fn folder(&mut self) -> Parsed<FolderArg> {
        let name = self.astring()?;
        Ok(FolderName::from_wire(&name, self.separator))
    }

    /// number: 32 bits, no leading zero.
    pub(super) fn number(&mut self) -> Parsed<u32> {
        self.number64().and_then(|n| u32::try_from(n).or(wrong("The number is too large")))
    }

    /// Up to 63 bits (mod-sequences, RFC 7162 §7), no leading zero.
    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.run(|b| b.is_ascii_digit());
        parse_number(digits).ok_or(Wrong::Syntax("The number is malformed"))
    }

    pub(super) fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => wrong("The number must not be 0"),
            number => Ok(number),
        }
    }

    /// sequence-set, or `$` (RFC 5182 §2.4), which stands alone.
    pub(super) fn set(&mut self) -> Parsed<NumberSet> {
        if self.take(b'$') {
            return Ok(NumberSet::saved());
        }
        let text = self.run(|b| b.is_ascii_digit() || b":*,".contains(&b));
        parse_set(text).ok_or(Wrong::Syntax("The message set is malformed"))
    }

    /// `(` item *(SP item) `)`; at least one item unless `may_be_empty`, at most `most`.
    pub(super) fn list(
        &mut self,
        (may_be_empty, most): (bool, usize),
        mut item: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
        self.demand(b'(', "A list was expected")?;
        if may_be_empty && self.take(b')') {
            return Ok(());
        }
        for _ in 0..most {
            item(self)?;
            if self.take(b')') {
                return Ok(());
            }
            self.space()?;
        }
        wrong("The list is too long")
    }
}

/// ATOM-CHAR.
pub(super) fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b)
}

/// ASTRING-CHAR.
pub(super) fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    u64::try_from(number).ok()
}

fn parse_set(text: &[u8]) -> Option<NumberSet> {
    if text.len() > MAX_SET {
        return None;
    }
    let bound = |text: &[u8]| match text {
        b"*" => Some(Bound::Last),
        digits => NonZeroU32::new(u32::try_from(parse_number(digits)?).ok()?).map(Bound::Number),
    };
    let range = |text: &[u8]| {
        let colon = text.iter().position(|b| *b == b':');
        let (a, b) = colon.map_or((text, text), |at| (&text[..at], &text[at + 1..]));
        Some((bound(a)?, bound(b)?))
    };
    NumberSet::new(text.split(|b| *b == b',').map(range).collect::<Option<_>>()?)
}
