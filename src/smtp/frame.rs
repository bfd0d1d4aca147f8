//! Command lines: CR LF only, bounded, whatever the pieces they arrive in.

use std::fmt;

/// Longest command line in octets, CRLF included. RFC 5321 §4.5.3.1.4 says 512, plus what
/// the parameters of SMTPUTF8, DSN and the like add (RFC 3461 §4.2 alone: 500 and more).
pub const MAX_COMMAND_LINE: usize = 2_048;

/// Longest line of an AUTH exchange, CRLF not counted (RFC 4954 §4.5): tokens are long.
pub const MAX_AUTH_LINE: usize = 12_288;

/// Why the octets are no line.
///
/// After any of these there is no place at which reading could safely go on (the rest of
/// an overlong line would be the next command): the session answers and closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    TooLong,
    BareCr,
    BareLf,
    Nul,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "The line is too long",
            Self::BareCr => "A CR stands without its LF",
            Self::BareLf => "A line ends in LF without CR",
            Self::Nul => "A line has a NUL in it",
        })
    }
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub struct LineReader {
    limit: usize,
    line: Vec<u8>,
    whole: bool,
}

impl LineReader {
    pub fn new() -> Self {
        Self { limit: MAX_COMMAND_LINE, line: Vec::new(), whole: false }
    }

    /// The limit in octets for the line that is being read and those after it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes octets up to the end of the line: how many, and whether the line is whole.
    ///
    /// What follows the line is left to the caller.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, bool), Fault> {
        if self.whole {
            self.line.clear();
            self.whole = false;
        }
        let end = memchr::memchr(b'\n', input);
        let piece = &input[..end.map_or(input.len(), |end| end + 1)];
        // One octet over the limit proves it; what is kept stays within it.
        if self.line.len() + piece.len() > self.limit {
            return Err(Fault::TooLong);
        }
        self.line.extend_from_slice(piece);
        if end.is_none() {
            // A CR may be the last octet so far.
            let settled = self.line.len().saturating_sub(1);
            return check(&self.line[..settled]).map(|()| (piece.len(), false));
        }
        let line = self.line.strip_suffix(b"\r\n").ok_or(Fault::BareLf)?;
        check(line)?;
        self.line.truncate(line.len());
        self.whole = true;
        Ok((piece.len(), true))
    }

    /// The whole line without CRLF, after `push` said so.
    pub fn line(&self) -> &[u8] {
        if self.whole { &self.line } else { &[] }
    }

    /// Overwrites the line: it held a password.
    pub fn wipe(&mut self) {
        use zeroize::Zeroize;
        self.line.zeroize();
    }
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new()
    }
}

fn check(line: &[u8]) -> Result<(), Fault> {
    match memchr::memchr2(b'\r', 0, line) {
        None => Ok(()),
        Some(at) if line[at] == 0 => Err(Fault::Nul),
        Some(_) => Err(Fault::BareCr),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, LineReader, MAX_AUTH_LINE, MAX_COMMAND_LINE};

    /// All lines of `text`, read in pieces of `size`, or the fault.
    fn lines(text: &[u8], size: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let mut reader = LineReader::new();
        let mut out = Vec::new();
        for mut piece in text.chunks(size) {
            while !piece.is_empty() {
                let (used, whole) = reader.push(piece)?;
                piece = &piece[used..];
                if whole {
                    out.push(reader.line().to_vec());
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn lines_in_pieces_of_any_size() {
        let text = b"EHLO a\r\n\r\nNOOP\r\n";
        for size in 1..=text.len() {
            assert_eq!(lines(text, size).unwrap(), [&b"EHLO a"[..], b"", b"NOOP"], "{size}");
        }
    }

    #[test]
    fn faults_in_pieces_of_any_size() {
        for (text, fault) in [
            (&b"MAIL FROM:<a@b>\n"[..], Fault::BareLf),
            (b"NOOP\rQUIT\r\n", Fault::BareCr),
            (b"NOOP\r\r\n", Fault::BareCr),
            (b"NO\0OP\r\n", Fault::Nul),
            (b"\n", Fault::BareLf),
        ] {
            for size in 1..=text.len() {
                assert_eq!(lines(text, size), Err(fault), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn limits_hold_in_one_piece_and_in_many() {
        let fits = [vec![b'a'; MAX_COMMAND_LINE - 2], b"\r\n".to_vec()].concat();
        let over = [vec![b'a'; MAX_COMMAND_LINE - 1], b"\r\n".to_vec()].concat();
        for size in [1, 100, over.len()] {
            assert_eq!(lines(&fits, size).unwrap().len(), 1);
            assert_eq!(lines(&over, size), Err(Fault::TooLong));
        }
        let mut reader = LineReader::new();
        reader.set_limit(MAX_AUTH_LINE);
        assert_eq!(reader.push(&over), Ok((over.len(), true)));
    }
}
