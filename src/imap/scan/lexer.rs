//! Octet by octet: structure, quoted string or literal?

use super::{Fault, MAX_LITERAL};

/// Inside what the last octet left us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Inside {
    Plain,
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    /// In `{n}`; how many digits there were.
    Size(u8),
    /// After the closing brace.
    SizeEnd,
    /// After `{n}` CR.
    SizeCr,
    Literal,
}

/// What an octet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Structure: parenthesis, space, part of an atom, CR, LF.
    Plain(u8),
    /// Part of a quoted string or of a literal and its announcement.
    Data,
    /// The closing quote.
    Unquoted,
    /// The LF of an announcement: so many literal octets follow.
    Literal(u64),
}

/// The lexical state. Literal octets are counted by [`Lexer::skip`], not fed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer {
    inside: Inside,
    /// The last octet allows a literal to begin: space, `(`, or the start.
    fresh: bool,
    left: u64,
}

impl Default for Lexer {
    fn default() -> Self {
        Self { inside: Inside::Plain, fresh: true, left: 0 }
    }
}

impl Lexer {
    /// Takes the next octet, which must not be a literal's.
    pub(super) fn feed(&mut self, octet: u8) -> Result<Token, Fault> {
        match (self.inside, octet) {
            (Inside::Literal, _) => Err(Fault::Structure),
            (_, 0) => Err(Fault::Nul),
            (Inside::Plain, b'"') => {
                self.inside = Inside::Quoted;
                Ok(Token::Data)
            }
            (Inside::Plain, b'{') if self.fresh => {
                (self.inside, self.left) = (Inside::Size(0), 0);
                Ok(Token::Data)
            }
            (Inside::Plain, b'{') => Err(Fault::Structure),
            (Inside::Plain, plain) => {
                self.fresh = matches!(plain, b' ' | b'(');
                Ok(Token::Plain(plain))
            }
            (Inside::Quoted | Inside::Escaped, b'\r' | b'\n') => Err(Fault::LineEnd),
            (Inside::Quoted, b'"') => {
                (self.inside, self.fresh) = (Inside::Plain, false);
                Ok(Token::Unquoted)
            }
            (Inside::Quoted, b'\\') => {
                self.inside = Inside::Escaped;
                Ok(Token::Data)
            }
            (Inside::Quoted | Inside::Escaped, _) => {
                self.inside = Inside::Quoted;
                Ok(Token::Data)
            }
            (Inside::Size(_) | Inside::SizeEnd | Inside::SizeCr, _) => self.size(octet),
        }
    }

    /// An octet of `{n}` CRLF: no sign, no leading zero, no plus.
    fn size(&mut self, octet: u8) -> Result<Token, Fault> {
        self.inside = match (self.inside, octet) {
            (Inside::Size(digits), b'0'..=b'9') if digits == 0 || self.left > 0 => {
                self.left = self.left * 10 + u64::from(octet - b'0');
                if self.left > MAX_LITERAL {
                    return Err(Fault::LiteralSize);
                }
                Inside::Size(digits + 1)
            }
            (Inside::Size(1..), b'}') => Inside::SizeEnd,
            (Inside::SizeEnd, b'\r') => Inside::SizeCr,
            (Inside::SizeCr, b'\n') => {
                self.inside = if self.left > 0 { Inside::Literal } else { Inside::Plain };
                self.fresh = false;
                return Ok(Token::Literal(self.left));
            }
            _ => return Err(Fault::LiteralSize),
        };
        Ok(Token::Data)
    }

    /// Literal octets still to come.
    pub(super) fn left(&self) -> u64 {
        if self.inside == Inside::Literal { self.left } else { 0 }
    }

    /// Moves over `octets` of the literal, at most [`Lexer::left`].
    pub(super) fn skip(&mut self, octets: u64) {
        self.left = self.left.saturating_sub(octets);
        if self.left == 0 && self.inside == Inside::Literal {
            self.inside = Inside::Plain;
        }
    }

    /// How many of these octets belong to the literal; moves over them.
    pub(super) fn skip_in(&mut self, input: &[u8]) -> usize {
        let here = usize::try_from(self.left()).map_or(input.len(), |left| left.min(input.len()));
        self.skip(here as u64);
        here
    }

    /// `Some(in_quotes)` where whole blocks may be looked at.
    pub(super) fn quoted(&self) -> Option<bool> {
        match self.inside {
            Inside::Plain => Some(false),
            Inside::Quoted => Some(true),
            Inside::Escaped | Inside::Size(_) | Inside::SizeEnd | Inside::SizeCr | Inside::Literal => None,
        }
    }

    /// The state after octets that were looked at as a block, of which `last` is the last.
    pub(super) fn resume(&mut self, quoted: bool, last: u8) {
        self.inside = if quoted { Inside::Quoted } else { Inside::Plain };
        self.fresh = !quoted && matches!(last, b' ' | b'(');
    }
}
