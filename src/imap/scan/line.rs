//! Where a response that is handed on whole ends.

use super::lexer::{Lexer, Token};
use super::{Fault, MAX_LINE};

/// Makes the beginning of a VANISHED a line of its own, and gives the beginning of the line that
/// says the rest. Hosts tell all that is gone in one line, and a folder of some years can have
/// more gaps than a line may have octets; several lines mean the same (RFC 7162 §3.2.10).
pub(super) fn split_vanished(start: &mut Vec<u8>) -> Option<Vec<u8>> {
    let is = |head: &&[u8]| start.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head));
    let heads: [&[u8]; 2] = [b"* VANISHED (EARLIER) ", b"* VANISHED "];
    let head = heads.into_iter().find(is)?;
    let comma = memchr::memrchr(b',', start)?;
    let next = [head, &start[comma + 1..]].concat();
    start.truncate(comma);
    start.extend_from_slice(b"\r\n");
    Some(next)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// `None` where the rest of the line is text.
    lexer: Option<Lexer>,
    /// The last octet was a CR.
    cr: bool,
}

impl Cursor {
    /// A line of text, of which `start` was seen.
    pub(super) fn text(start: &[u8]) -> Self {
        Self { lexer: None, cr: start.last() == Some(&b'\r') }
    }

    /// A line with literals, of which `start` was seen: at most two words and a CR.
    pub(super) fn structured(start: &[u8]) -> Result<Self, Fault> {
        let mut cursor = Self { lexer: Some(Lexer::default()), cr: false };
        cursor.advance(start)?;
        Ok(cursor)
    }

    /// Moves over `input`; where the line ends in it, behind LF.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<Option<usize>, Fault> {
        match self.lexer {
            None => self.text_end(input),
            Some(lexer) => self.structured_end(lexer, input),
        }
    }

    fn text_end(&mut self, input: &[u8]) -> Result<Option<usize>, Fault> {
        if self.cr && !input.is_empty() {
            return if input[0] == b'\n' { Ok(Some(1)) } else { Err(Fault::LineEnd) };
        }
        let Some(at) = memchr::memchr3(b'\r', b'\n', 0, input) else { return Ok(None) };
        match (input[at], input.get(at + 1)) {
            (b'\r', Some(b'\n')) => Ok(Some(at + 2)),
            (b'\r', None) => {
                self.cr = true;
                Ok(None)
            }
            (0, _) => Err(Fault::Nul),
            _ => Err(Fault::LineEnd),
        }
    }

    fn structured_end(&mut self, mut lexer: Lexer, input: &[u8]) -> Result<Option<usize>, Fault> {
        let mut at = 0;
        let mut end = None;
        while at < input.len() && end.is_none() {
            if lexer.left() > 0 {
                at += lexer.skip_in(&input[at..]);
                continue;
            }
            match lexer.feed(input[at])? {
                Token::Plain(b'\n') if self.cr => end = Some(at + 1),
                Token::Plain(b'\n') => return Err(Fault::LineEnd),
                _ if self.cr => return Err(Fault::LineEnd),
                Token::Plain(b'\r') => self.cr = true,
                Token::Literal(left) if left > MAX_LINE as u64 => return Err(Fault::TooLong),
                Token::Plain(_) | Token::Data | Token::Unquoted | Token::Literal(_) => {}
            }
            at += 1;
        }
        self.lexer = Some(lexer);
        Ok(end)
    }
}
