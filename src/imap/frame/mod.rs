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

mod event;
mod limits;
mod spelling;
mod wiped;

use memchr::{memchr, memchr2};

use super::Tag;
use spelling::{after_quotes, announcement};
use wiped::Wiped;

pub use event::{Announced, Event, Fault, Recovery};
pub use limits::{Limits, MAX_DONE_LINE, MAX_NON_SYNC, MAX_SASL_LINE};

/// Buffer capacity that a session keeps between commands; most commands are under 200 octets.
const KEEP: usize = 4_096;

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

#[cfg(test)]
mod tests;
