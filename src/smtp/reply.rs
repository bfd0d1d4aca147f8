//! Replies: reads upstream's (RFC 5321 §4.2), writes ours with enhanced codes (RFC 3463, RFC 2034).

use std::borrow::Cow;
use std::fmt;

/// Longest reply line in octets, CRLF included. RFC 5321 §4.5.3.1.5 says 512; hosts that
/// put links into refusals exceed it.
pub const MAX_REPLY_LINE: usize = 2_048;

/// Most lines in a reply. The longest EHLO answers known have about 30.
pub const MAX_REPLY_LINES: usize = 128;

/// Longest sentence in an answer of ours, so that its line stays below the 512 octets of
/// RFC 5321 §4.5.3.1.5.
const MAX_SENTENCE: usize = 480;

/// An enhanced status code (RFC 3463 §2): class, subject, detail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// Reads `5.7.1` at the start of a reply's text; the class must be `class`.
    fn parse(text: &[u8], class: u8) -> Option<(Self, &[u8])> {
        let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let mut parts = std::str::from_utf8(&text[..end]).ok()?.split('.');
        let mut number = || {
            let digits = parts.next()?;
            let short = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            if short { digits.parse::<u16>().ok() } else { None }
        };
        let (first, subject, detail) = (number()?, number()?, number()?);
        if parts.next().is_some() || first != u16::from(class) {
            return None;
        }
        let rest = text.get(end + 1..).unwrap_or_default();
        Some((Self(class, subject, detail), rest))
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A whole reply of upstream's.
///
/// Its text is a stranger's: it is logged escaped or searched, never passed to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    /// The lines' texts without code and enhanced code, each ended by `\n`.
    text: Vec<u8>,
}

/// What a reply means for the command that it answers: its first digit (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// 2xx
    Done,
    /// 3xx: go on.
    Continue,
    /// 4xx: not now.
    Temporary,
    /// 5xx
    Permanent,
}

impl Reply {
    /// 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    pub fn outcome(&self) -> Outcome {
        match self.code / 100 {
            2 => Outcome::Done,
            3 => Outcome::Continue,
            4 => Outcome::Temporary,
            _ => Outcome::Permanent,
        }
    }

    pub fn is_done(&self) -> bool {
        self.outcome() == Outcome::Done
    }

    /// The texts of the lines, without CRLF, code and enhanced code.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split_inclusive(|b| *b == b'\n').map(|line| &line[..line.len() - 1])
    }

    /// The name under which upstream queued the message, as its 250 tells it.
    ///
    /// `Ok: queued as 4F3B2A` (Postfix), `OK id=1abc-2d` (Exim), `<id> [..] Queued mail`
    /// (Exchange), `<id> Message accepted` (sendmail): the word after `as`, `id=`, or the
    /// first word that has a digit. Printable ASCII, at most 64 octets.
    pub fn queue_id(&self) -> Option<String> {
        let line = self.lines().last()?;
        let text = std::str::from_utf8(line).ok()?;
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let after_as = words.windows(2).find(|pair| pair[0] == "as").map(|pair| pair[1]);
        let after_id = words.iter().find_map(|word| word.strip_prefix("id="));
        let with_digit = || words.iter().find(|word| word.bytes().any(|b| b.is_ascii_digit())).copied();
        let word = after_as.or(after_id).or_else(with_digit)?;
        let id: String = word.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
        (!id.is_empty()).then_some(id)
    }
}

/// Why upstream's octets are no reply. The connection is of no more use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyFault {
    LineTooLong,
    TooManyLines,
    /// A line does not end in CR LF, or has a CR, LF or NUL inside.
    Framing,
    /// No three digits from 200 to 599, or no space, hyphen or line end after them.
    Code,
    /// The lines of one reply disagree about the code.
    Disagree,
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "a reply line is too long",
            Self::TooManyLines => "a reply has too many lines",
            Self::Framing => "a reply line does not end in CR LF alone",
            Self::Code => "a reply line has no valid code",
            Self::Disagree => "the lines of a reply have different codes",
        })
    }
}

impl std::error::Error for ReplyFault {}

/// Reads replies off a stream, in pieces of any size.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// The line begun in an earlier piece.
    line: Vec<u8>,
    begun: Option<Reply>,
    lines: usize,
}

impl ReplyReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing of a reply has been read: the moment at which a connection may be
    /// handed on.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.begun.is_none()
    }

    /// Takes octets up to the end of the next reply: how many, and the reply once whole.
    ///
    /// Octets after a reply are left to the caller, who knows whether one is due.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyFault> {
        let mut used = 0;
        while let Some(end) = memchr::memchr(b'\n', &input[used..]) {
            let piece = &input[used..used + end + 1];
            used += end + 1;
            let reply = if self.line.is_empty() {
                self.line_end(piece)?
            } else {
                self.keep(piece)?;
                let line = std::mem::take(&mut self.line);
                self.line_end(&line)?
            };
            if reply.is_some() {
                return Ok((used, reply));
            }
        }
        self.keep(&input[used..])?;
        Ok((input.len(), None))
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), ReplyFault> {
        if self.line.len() + piece.len() > MAX_REPLY_LINE {
            return Err(ReplyFault::LineTooLong);
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    /// A whole line, LF included.
    fn line_end(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyFault> {
        if line.len() > MAX_REPLY_LINE {
            return Err(ReplyFault::LineTooLong);
        }
        let line = line.strip_suffix(b"\r\n").ok_or(ReplyFault::Framing)?;
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return Err(ReplyFault::Framing);
        }
        self.lines += 1;
        if self.lines > MAX_REPLY_LINES {
            return Err(ReplyFault::TooManyLines);
        }
        let (code, last, text) = split(line)?;
        let class = class(code);
        let (enhanced, text) = match Enhanced::parse(text, class) {
            Some((enhanced, rest)) => (Some(enhanced), rest),
            None => (None, text),
        };
        let reply = self.begun.get_or_insert(Reply { code, enhanced, text: Vec::new() });
        if reply.code != code {
            return Err(ReplyFault::Disagree);
        }
        // The last line's enhanced code speaks for the whole: an EHLO-like first line has none.
        reply.enhanced = enhanced.or(reply.enhanced);
        reply.text.extend_from_slice(text);
        reply.text.push(b'\n');
        if !last {
            return Ok(None);
        }
        self.lines = 0;
        Ok(self.begun.take())
    }
}

/// A code's first digit, which an enhanced code repeats.
fn class(code: u16) -> u8 {
    match code / 100 {
        2 => 2,
        3 => 3,
        4 => 4,
        _ => 5,
    }
}

/// Code, whether the line is the last one, and the text.
fn split(line: &[u8]) -> Result<(u16, bool, &[u8]), ReplyFault> {
    let (digits, rest) = line.split_at_checked(3).ok_or(ReplyFault::Code)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(ReplyFault::Code);
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    if !(200..=599).contains(&code) {
        return Err(ReplyFault::Code);
    }
    match rest {
        [] => Ok((code, true, rest)),
        [b' ', text @ ..] => Ok((code, true, text)),
        [b'-', text @ ..] => Ok((code, false, text)),
        _ => Err(ReplyFault::Code),
    }
}

/// An answer of ours: code, enhanced code, and a sentence for the person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub code: u16,
    /// Left out where RFC 2034 §4 wants none: greeting, EHLO, 3xx.
    pub enhanced: Option<Enhanced>,
    pub sentence: Cow<'static, str>,
}

impl Answer {
    /// An answer with an enhanced code; its class is the first digit of `code`.
    pub fn new(code: u16, subject: u16, detail: u16, sentence: impl Into<Cow<'static, str>>) -> Self {
        let class = class(code);
        Self { code, enhanced: Some(Enhanced(class, subject, detail)), sentence: sentence.into() }
    }

    /// An answer without enhanced code.
    pub fn plain(code: u16, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, sentence: sentence.into() }
    }

    /// A refusal of upstream's with its code and our own words.
    pub fn relayed(reply: &Reply, sentence: impl Into<Cow<'static, str>>) -> Self {
        let class = class(reply.code);
        let enhanced = reply.enhanced.unwrap_or(Enhanced(class, 0, 0));
        Self { code: reply.code, enhanced: Some(enhanced), sentence: sentence.into() }
    }

    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the line to `out`. What is not printable ASCII becomes `?`, so no sentence,
    /// whatever name is in it, breaks the framing.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.push(b' ');
        if let Some(enhanced) = self.enhanced {
            out.extend_from_slice(enhanced.to_string().as_bytes());
            out.push(b' ');
        }
        write_text(&self.sentence, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// A reply of several lines without enhanced codes, as EHLO's (RFC 5321 §4.1.1.1).
pub fn write_lines(code: u16, lines: &[impl AsRef<str>], out: &mut Vec<u8>) {
    for (i, line) in lines.iter().enumerate() {
        out.extend_from_slice(code.to_string().as_bytes());
        out.push(if i + 1 == lines.len() { b' ' } else { b'-' });
        write_text(line.as_ref(), out);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let printable = |c: char| if matches!(c, ' '..='~') { c as u8 } else { b'?' };
    out.extend(text.chars().take(MAX_SENTENCE).map(printable));
}

#[cfg(test)]
mod tests {
    use super::{
        Answer, Enhanced, MAX_REPLY_LINE, MAX_REPLY_LINES, Outcome, Reply, ReplyFault, ReplyReader,
        write_lines,
    };

    fn read(text: &str) -> Result<(usize, Option<Reply>), ReplyFault> {
        ReplyReader::new().push(text.as_bytes())
    }

    fn one(text: &str) -> Reply {
        let (used, reply) = read(text).unwrap();
        assert_eq!(used, text.len());
        reply.unwrap()
    }

    #[test]
    fn one_line_and_many() {
        let reply = one("250 2.1.0 Ok\r\n");
        assert_eq!(
            (reply.code(), reply.enhanced(), reply.outcome()),
            (250, Some(Enhanced(2, 1, 0)), Outcome::Done)
        );
        assert_eq!(reply.lines().collect::<Vec<_>>(), [b"Ok"]);
        let reply = one("250-mx.example.org\r\n250-SIZE 100\r\n250 8BITMIME\r\n");
        assert_eq!(reply.lines().count(), 3);
        assert_eq!(reply.enhanced(), None);
        let reply = one("550-5.7.1 No.\r\n550 5.7.1 Never.\r\n");
        assert_eq!(reply.lines().collect::<Vec<_>>(), [&b"No."[..], b"Never."]);
        assert_eq!(one("354\r\n").outcome(), Outcome::Continue);
    }

    #[test]
    fn leaves_what_follows() {
        let (used, reply) = read("250 a\r\n550 b\r\n").unwrap();
        assert_eq!((used, reply.unwrap().code()), (7, 250));
    }

    #[test]
    fn split_at_every_octet() {
        let text = b"550-5.7.1 No.\r\n550 5.7.1 Never.\r\n";
        for cut in 0..=text.len() {
            let mut reader = ReplyReader::new();
            let (used, first) = reader.push(&text[..cut]).unwrap();
            assert_eq!(used, cut);
            let reply = first.or_else(|| reader.push(&text[cut..]).unwrap().1).unwrap();
            assert_eq!((reply.code(), reply.lines().count()), (550, 2), "cut {cut}");
            assert!(reader.is_idle());
        }
    }

    #[test]
    fn faults() {
        for (text, fault) in [
            ("250 ok\n", ReplyFault::Framing),
            ("250 a\rb\r\n", ReplyFault::Framing),
            ("250 a\0b\r\n", ReplyFault::Framing),
            ("\r\n", ReplyFault::Code),
            ("25\r\n", ReplyFault::Code),
            ("2x0 ok\r\n", ReplyFault::Code),
            ("100 ok\r\n", ReplyFault::Code),
            ("650 ok\r\n", ReplyFault::Code),
            ("250ok\r\n", ReplyFault::Code),
            ("250-a\r\n550 b\r\n", ReplyFault::Disagree),
        ] {
            assert_eq!(read(text), Err(fault), "{text:?}");
        }
        assert_eq!(read(&"2".repeat(MAX_REPLY_LINE + 1)), Err(ReplyFault::LineTooLong));
        assert_eq!(read(&"250-a\r\n".repeat(MAX_REPLY_LINES + 1)), Err(ReplyFault::TooManyLines));
    }

    #[test]
    fn enhanced_codes_of_another_class_are_text() {
        for text in ["250 5.7.1 x\r\n", "250 2.1 x\r\n", "250 2.1.0.1 x\r\n", "250 2.1234.0 x\r\n"] {
            assert_eq!(one(text).enhanced(), None, "{text}");
        }
    }

    #[test]
    fn queue_ids() {
        for (text, id) in [
            ("250 2.0.0 Ok: queued as 4F3B2A\r\n", Some("4F3B2A")),
            ("250 OK id=1abc-2d-03\r\n", Some("1abc-2d-03")),
            ("250 2.0.0 57EFmx12 Message accepted for delivery\r\n", Some("57EFmx12")),
            ("250 2.6.0 <a1@b.example> [Hostname=x] Queued mail\r\n", Some("<a1@b.example>")),
            ("250 Ok\r\n", None),
        ] {
            assert_eq!(one(text).queue_id().as_deref(), id, "{text}");
        }
    }

    #[test]
    fn answers_cannot_break_the_line() {
        let mut out = Vec::new();
        Answer::new(550, 7, 1, "a\r\n250 b\u{e9}").write(&mut out);
        assert_eq!(out, b"550 5.7.1 a??250 b?\r\n");
        out.clear();
        write_lines(250, &["a", "b"], &mut out);
        assert_eq!(out, b"250-a\r\n250 b\r\n");
        out.clear();
        Answer::plain(250, "x".repeat(2_000)).write(&mut out);
        assert!(out.len() <= 512);
    }
}
