//! Where the value of a FETCH item ends.

use super::lexer::{Lexer, Token};
use super::mask::{BLOCK, Masks, parity};
use super::{Fault, MAX_DEPTH};

/// What kind of value it turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// Nothing of it was seen.
    Start,
    /// NIL or a number: up to a space or `)`.
    Atom,
    /// A quoted string or literal.
    String,
    /// So many parentheses are open.
    List(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    shape: Shape,
    lexer: Lexer,
    shown: bool,
    /// The current literal has not been announced to the caller.
    unannounced: bool,
}

/// Why [`Cursor::advance`] stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pause {
    /// The input is used up.
    Input,
    /// A literal begins.
    Literal,
    /// The value is complete.
    Ended,
}

impl Cursor {
    /// A value that the caller sees.
    pub(super) fn shown() -> Self {
        Self { shape: Shape::Start, lexer: Lexer::default(), shown: true, unannounced: false }
    }

    /// A value to skip.
    pub(super) fn hidden() -> Self {
        Self { shown: false, ..Self::shown() }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown
    }

    pub(super) fn literal_left(&self) -> u64 {
        self.lexer.left()
    }

    /// The literal that the caller was not told of yet.
    pub(super) fn announced(&self) -> Option<u64> {
        self.unannounced.then(|| self.lexer.left())
    }

    pub(super) fn announce(&mut self) {
        self.unannounced = false;
    }

    pub(super) fn pass(&mut self, octets: u64) {
        self.lexer.skip(octets);
    }

    /// Moves over the value: how far, and why no further.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<(usize, Pause), Fault> {
        let mut at = 0;
        loop {
            if self.lexer.left() > 0 {
                if self.unannounced && self.shown {
                    return Ok((at, Pause::Literal));
                }
                at += self.lexer.skip_in(&input[at..]);
                if self.lexer.left() > 0 {
                    return Ok((at, Pause::Input));
                }
            }
            if self.shape == Shape::String && self.lexer.quoted() == Some(false) {
                return Ok((at, Pause::Ended));
            }
            if let Shape::List(depth) = self.shape
                && let Some(quoted) = self.lexer.quoted()
            {
                let (used, ended) = self.blocks(depth, quoted, &input[at..])?;
                at += used;
                if ended {
                    return Ok((at, Pause::Ended));
                }
            }
            let Some(octet) = input.get(at) else { return Ok((at, Pause::Input)) };
            if self.shape == Shape::Atom && matches!(octet, b' ' | b')') {
                return Ok((at, Pause::Ended));
            }
            let token = self.lexer.feed(*octet)?;
            self.take(token)?;
            at += 1;
        }
    }

    /// One octet that no block decided.
    fn take(&mut self, token: Token) -> Result<(), Fault> {
        match (self.shape, token) {
            (_, Token::Literal(left)) => self.unannounced = left > 0,
            (_, Token::Plain(b'\r' | b'\n')) => return Err(Fault::LineEnd),
            (Shape::Start, Token::Plain(b'(')) => self.shape = Shape::List(1),
            (Shape::Start, Token::Plain(b' ' | b')' | 1..=0x1f)) => return Err(Fault::Structure),
            (Shape::Start, Token::Plain(_)) => self.shape = Shape::Atom,
            (Shape::Start, Token::Data) => self.shape = Shape::String,
            (Shape::Atom, Token::Plain(b'(' | 1..=0x1f)) => return Err(Fault::Structure),
            (Shape::Atom, Token::Plain(_)) => {}
            (Shape::Start | Shape::Atom, Token::Data | Token::Unquoted) => return Err(Fault::Structure),
            (Shape::String, Token::Data | Token::Unquoted) => {}
            (Shape::String, Token::Plain(_)) => return Err(Fault::Structure),
            // Blocks decide everything else; `\Inbox` and the like stand unquoted in some items.
            (Shape::List(_), Token::Plain(b'\\')) => {}
            (Shape::List(_), Token::Plain(_)) => return Err(Fault::Structure),
            (Shape::List(_), Token::Data | Token::Unquoted) => {}
        }
        Ok(())
    }

    /// Moves over the part of a list that has nothing rare in it, 64 octets at a time; says
    /// whether the list ended there.
    fn blocks(&mut self, mut depth: u32, mut quoted: bool, input: &[u8]) -> Result<(usize, bool), Fault> {
        let mut at = 0;
        let mut ended = false;
        loop {
            let rest = &input[at..];
            let masks = match rest.first_chunk::<BLOCK>() {
                Some(block) => Masks::of(block),
                None => Masks::of(&padded(rest)),
            };
            let before_rare = masks.rare.trailing_zeros();
            let decided = if before_rare == 64 { u64::MAX } else { (1 << before_rare) - 1 };
            let inside = parity(masks.quote & decided) ^ if quoted { u64::MAX } else { 0 };
            let (open, close) = (masks.open & decided & !inside, masks.close & decided & !inside);
            if open | close == 0 {
                // Between parentheses, as most blocks of an envelope are.
            } else if close.count_ones() < depth && depth + open.count_ones() <= MAX_DEPTH {
                depth = depth + open.count_ones() - close.count_ones();
            } else if let Some(end) = walk(&mut depth, open, close)? {
                at += end;
                ended = true;
                break;
            }
            at += before_rare as usize;
            // Of an odd number of quotes the parity stays to the end of the block.
            quoted = inside >> 63 == 1;
            if before_rare < 64 {
                break;
            }
        }
        self.shape = Shape::List(depth);
        if at > 0 {
            self.lexer.resume(quoted && !ended, input[at - 1]);
        }
        Ok((at, ended))
    }
}

/// Counts parentheses one by one; where the list ends, behind its last one.
fn walk(depth: &mut u32, open: u64, close: u64) -> Result<Option<usize>, Fault> {
    let mut both = open | close;
    while both != 0 {
        let at = both.trailing_zeros();
        if open >> at & 1 == 1 {
            *depth += 1;
        } else {
            *depth -= 1;
        }
        if *depth == 0 {
            return Ok(Some(at as usize + 1));
        }
        if *depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        both &= both - 1;
    }
    Ok(None)
}

/// The last octets of the input as a block; the NULs behind them are rare, so nothing is
/// decided by them.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}
