//! Cuts what a client sends into commands: lines with their literals (RFC 3501 §2.2.1, §4.3).
//!
//! Framing comes below parsing and trusts nothing: lines end in CRLF and in nothing else,
//! a literal is announced in one spelling only, a quoted string never crosses a line.
//! What breaks this poisons the command, and [`Fault::recovery`] says where, if anywhere,
//! the conversation may go on. Servers execute what lies between two readings of a frame.
//!
//! ```
//! use mandate::imap::frame::{Event, Framer, Limits};
//!
//! let mut framer = Framer::new(Limits::after_login());
//! let (consumed, event) = framer.push(b"a NOOP\r\nb CHECK\r\n");
//! assert_eq!((consumed, event), (8, Some(Event::Line)));
//! assert_eq!(framer.line(), b"a NOOP\r\n");
//! framer.begin_next();
//! ```

use std::fmt;

use memchr::{memchr, memchr2, memrchr};
use zeroize::Zeroize;

use super::Tag;

/// Longest answer to a `+` of AUTHENTICATE, in octets before CRLF (RFC 4959 §3 leaves it
/// open; Dovecot's limit is 8,192 of base64, OAuth tokens with groups reach 10,000).
pub const MAX_SASL_LINE: usize = 12_288;

/// Longest line where only `DONE` can come (RFC 2177).
pub const MAX_DONE_LINE: usize = 64;

/// Largest literal that a client may send without waiting (LITERAL-, RFC 7888 §5).
pub const MAX_NON_SYNC: u64 = 4_096;

/// Buffer capacity that a session keeps between commands; most commands are under 200 octets.
const KEEP: usize = 4_096;

/// How large a command may get; see [`Limits::before_login`] and [`Limits::after_login`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a command without its literals.
    pub line: usize,
    /// Octets of one argument literal; messages are not arguments.
    pub literal: u64,
    /// Argument literals in one command (CVE-2024-34055 was thousands of them).
    pub literals: usize,
    /// Octets of all argument literals of one command.
    pub literal_total: u64,
}

impl Limits {
    /// A stranger: enough for LOGIN with literals, AUTHENTICATE with a token, and ID.
    pub const fn before_login() -> Self {
        Self { line: 8_192, literal: 1_024, literals: 8, literal_total: 4_096 }
    }

    /// A user: enough for a FETCH of scattered UIDs and a SEARCH in many words.
    pub const fn after_login() -> Self {
        Self { line: 65_536, literal: 65_536, literals: 32, literal_total: 65_536 }
    }
}

/// A literal that the client announced and did not send yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announced {
    /// Octets; at most 2⁶³ − 1.
    pub size: u64,
    /// The client waits for `+` (RFC 3501 §4.3); otherwise the octets follow anyway.
    pub synchronising: bool,
}

/// What [`Framer::push`] came upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// [`Framer::line`] is a whole command.
    Line,
    /// [`Framer::line`] ends in an announcement: [`Framer::accept_literal`],
    /// [`Framer::skip_literal`] or, for a synchronising one, [`Framer::begin_next`].
    Literal(Announced),
    /// The command is poisoned; nothing of it may be carried out.
    Fault(Fault),
}

/// Why a command is poisoned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    BareLf,
    BareCr,
    Nul,
    /// A quoted string that the end of the line cuts off.
    OpenQuote,
    /// `{05}`, `{-1}`, `{1 }`, `~{5}` and the like.
    Announcement,
    LineTooLong,
    /// Over [`Limits::literal`], [`Limits::literal_total`] or [`MAX_NON_SYNC`].
    LiteralTooLong(Announced),
    TooManyLiterals(Announced),
    /// Something other than CRLF after a message or a dropped literal.
    AfterLiteral,
}

/// Where the conversation may go on after a [`Fault`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recovery {
    /// Tagged BAD or NO instead of `+`, then [`Framer::begin_next`]: the client sends nothing more of it.
    Next,
    /// The client sends this many octets whatever we answer: drop them and call
    /// [`Framer::skip_literal`], or close.
    Drain(u64),
    /// Nobody can say where the next command begins: BAD, then close.
    Close,
}

impl Fault {
    pub fn recovery(self) -> Recovery {
        match self {
            Self::LiteralTooLong(announced) | Self::TooManyLiterals(announced) => {
                if announced.synchronising {
                    Recovery::Next
                } else {
                    Recovery::Drain(announced.size)
                }
            }
            Self::BareLf
            | Self::BareCr
            | Self::Nul
            | Self::OpenQuote
            | Self::Announcement
            | Self::LineTooLong
            | Self::AfterLiteral => Recovery::Close,
        }
    }
}

/// For the text of the BAD.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLf => "A line must end in CR and LF",
            Self::BareCr => "CR must be followed by LF",
            Self::Nul => "NUL is not allowed",
            Self::OpenQuote => "A quoted string must end on its line",
            Self::Announcement => "This is not how a literal is announced",
            Self::LineTooLong => "The command is too long",
            Self::LiteralTooLong(_) => "The literal is too long",
            Self::TooManyLiterals(_) => "The command has too many literals",
            Self::AfterLiteral => "Nothing may follow the literal",
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a line, or before one.
    Line,
    /// In an accepted argument literal with this many octets to come.
    Literal(u64),
    /// The caller moved a literal's octets elsewhere; CRLF must follow.
    Tail,
    /// The caller has this event and must act on it.
    Told(Event),
}

/// The octets of one command at a time.
///
/// Holds one command, argument literals in place, and nothing of the next one: what was
/// not consumed stays with the caller. The buffer is wiped between commands, as it may
/// have held a password.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    buffer: Wiped,
    /// Where in the buffer the line began that is being read; literals lie before it.
    line_start: usize,
    line_octets: usize,
    literals: usize,
    literal_octets: u64,
}

impl Framer {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Line,
            buffer: Wiped(Vec::new()),
            line_start: 0,
            line_octets: 0,
            literals: 0,
            literal_octets: 0,
        }
    }

    /// From the next octet on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes octets until something happened; says how many of `input` it took.
    ///
    /// `None` means that all were taken and more are needed. While an event is not acted
    /// upon, the same event comes again and nothing is taken.
    pub fn push(&mut self, input: &[u8]) -> (usize, Option<Event>) {
        self.run(input, Self::push_line)
    }

    /// Like [`Framer::push`] for a line that is no command: the answer to a `+` of
    /// AUTHENTICATE, or `DONE`. At most `limit` octets before CRLF; see [`Framer::plain`].
    pub fn push_plain(&mut self, input: &[u8], limit: usize) -> (usize, Option<Event>) {
        self.run(input, |framer, input| {
            let (taken, whole) = framer.collect(input, limit.saturating_add(2));
            let checked = whole.and_then(|whole| if whole { framer.body().map(|_| true) } else { Ok(false) });
            let event = match checked {
                Ok(false) => None,
                Ok(true) => Some(Event::Line),
                Err(fault) => Some(Event::Fault(fault)),
            };
            (taken, event)
        })
    }

    /// All of the command so far, CRLFs and argument literals included.
    pub fn line(&self) -> &[u8] {
        &self.buffer.0
    }

    /// The line of [`Framer::push_plain`], without CRLF.
    pub fn plain(&self) -> &[u8] {
        self.line().strip_suffix(b"\r\n").unwrap_or(self.line())
    }

    /// The tag of the command so far, also of a poisoned one.
    pub fn tag(&self) -> Option<Tag> {
        let line = self.line();
        Tag::parse(&line[..memchr(b' ', line)?])
    }

    /// Takes the announced literal as an argument. The caller sends `+` if it was synchronising.
    ///
    /// # Errors
    /// Over a limit; the announcement still stands, see [`Fault::recovery`].
    pub fn accept_literal(&mut self) -> Result<(), Fault> {
        let State::Told(Event::Literal(announced)) = self.state else { return Ok(()) };
        let total = self.literal_octets.saturating_add(announced.size);
        let most =
            if announced.synchronising { self.limits.literal } else { self.limits.literal.min(MAX_NON_SYNC) };
        if announced.size > most || total > self.limits.literal_total {
            return Err(Fault::LiteralTooLong(announced));
        }
        if self.literals >= self.limits.literals {
            return Err(Fault::TooManyLiterals(announced));
        }
        self.literals += 1;
        self.literal_octets = total;
        self.state = State::Literal(announced.size);
        Ok(())
    }

    /// Leaves the announced literal's octets to the caller, who passes exactly them on, or
    /// drops them, before the next push. [`Event::Line`] comes when CRLF followed.
    pub fn skip_literal(&mut self) {
        if let State::Told(Event::Literal(_)) = self.state {
            self.line_start = self.buffer.0.len();
            self.state = State::Tail;
        }
    }

    /// Forgets the command; the next octet begins another.
    pub fn begin_next(&mut self) {
        self.buffer.clear();
        if self.buffer.0.capacity() > KEEP {
            self.release();
        }
        self.state = State::Line;
        (self.line_start, self.line_octets, self.literals, self.literal_octets) = (0, 0, 0, 0);
    }

    /// Gives back all memory if no command has begun: for sessions that are parked.
    pub fn release(&mut self) {
        if self.buffer.0.is_empty() {
            self.buffer.0 = Vec::new();
        }
    }

    /// Whether no octet of a command has come yet.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Line) && self.buffer.0.is_empty()
    }

    fn run(
        &mut self,
        input: &[u8],
        line: impl Fn(&mut Self, &[u8]) -> (usize, Option<Event>),
    ) -> (usize, Option<Event>) {
        let mut at = 0;
        loop {
            let (taken, event) = match self.state {
                State::Told(event) => return (at, Some(event)),
                State::Line => line(self, &input[at..]),
                State::Literal(left) => self.push_literal(&input[at..], left),
                State::Tail => self.push_tail(&input[at..]),
            };
            at += taken;
            if let Some(event) = event {
                self.state = State::Told(event);
                return (at, Some(event));
            }
            if at == input.len() {
                return (at, None);
            }
        }
    }

    fn push_line(&mut self, input: &[u8]) -> (usize, Option<Event>) {
        let (taken, whole) = self.collect(input, self.limits.line);
        let event = match whole.and_then(|whole| if whole { self.examine().map(Some) } else { Ok(None) }) {
            Ok(event) => event,
            Err(fault) => Some(Event::Fault(fault)),
        };
        (taken, event)
    }

    /// Moves octets into the buffer up to the first LF; whether it came.
    fn collect(&mut self, input: &[u8], limit: usize) -> (usize, Result<bool, Fault>) {
        let end = memchr(b'\n', input);
        let taken = end.map_or(input.len(), |at| at + 1);
        let room = limit.saturating_sub(self.line_octets);
        if taken > room {
            // Not kept: it could be as long as the caller's buffer.
            return (taken, Err(Fault::LineTooLong));
        }
        self.line_octets += taken;
        self.buffer.extend(&input[..taken]);
        (taken, Ok(end.is_some()))
    }

    /// The line just read, without CRLF.
    fn body(&self) -> Result<&[u8], Fault> {
        let body = self.buffer.0[self.line_start..].strip_suffix(b"\r\n").ok_or(Fault::BareLf)?;
        match memchr2(0, b'\r', body) {
            None => Ok(body),
            Some(at) if body[at] == 0 => Err(Fault::Nul),
            Some(_) => Err(Fault::BareCr),
        }
    }

    fn examine(&self) -> Result<Event, Fault> {
        let body = self.body()?;
        Ok(announcement(after_quotes(body)?)?.map_or(Event::Line, Event::Literal))
    }

    fn push_literal(&mut self, input: &[u8], left: u64) -> (usize, Option<Event>) {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        if memchr(0, &input[..taken]).is_some() {
            return (taken, Some(Event::Fault(Fault::Nul)));
        }
        self.buffer.extend(&input[..taken]);
        let left = left - taken as u64;
        self.state = State::Literal(left);
        if left == 0 {
            self.line_start = self.buffer.0.len();
            self.state = State::Line;
        }
        (taken, None)
    }

    fn push_tail(&mut self, input: &[u8]) -> (usize, Option<Event>) {
        let come = self.buffer.0.len() - self.line_start;
        let wanted = &b"\r\n"[come..];
        let taken = wanted.len().min(input.len());
        if input[..taken] != wanted[..taken] {
            return (taken, Some(Event::Fault(Fault::AfterLiteral)));
        }
        self.buffer.extend(&input[..taken]);
        (taken, (taken == wanted.len()).then_some(Event::Line))
    }
}

/// What follows the last quoted string of a line.
fn after_quotes(body: &[u8]) -> Result<&[u8], Fault> {
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
fn announcement(text: &[u8]) -> Result<Option<Announced>, Fault> {
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

/// Octets that are overwritten before their memory is given back.
#[derive(Default)]
struct Wiped(Vec<u8>);

impl Wiped {
    fn extend(&mut self, octets: &[u8]) {
        let needed = self.0.len() + octets.len();
        if needed > self.0.capacity() {
            // `Vec` would move and leave the old octets behind.
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(256));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(octets);
    }

    fn clear(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
