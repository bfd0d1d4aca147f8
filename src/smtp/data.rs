//! The message after DATA: finds its one end, refuses what hosts read in different ways.
//!
//! Hosts disagree about bare CR, bare LF and NUL around the final dot (VU#302671, "SMTP
//! smuggling"). Here only CR LF `.` CR LF ends a message, and a message with a bare CR, a
//! bare LF or a NUL anywhere is refused whole, after it has been read to that end: it is
//! not repaired, because that would break signatures and still be read otherwise elsewhere.
//!
//! Octets stay in the form they have on the wire, with the client's dots stuffed (RFC 5321
//! §4.5.2): that form is what upstream gets, so clean spans pass without being copied. A
//! dot that stands before something else than a dot was not stuffing; it is dropped, as
//! every receiver would.

use std::fmt;

/// Longest line in octets, without CRLF. RFC 5321 §4.5.3.1.6 says 998; clients exceed it
/// with long header fields and unwrapped HTML, and hosts take it. Beyond this it is a
/// stream without lines.
pub const MAX_LINE: usize = 64 * 1024;

/// The final dot, as it goes upstream after a message that ends in CR LF.
pub const END: &[u8] = b".\r\n";

/// Octets judged at once; a block without lines that begin with a dot passes whole.
const BLOCK: usize = 4_096;

/// Why a message is refused whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    BareCr,
    BareLf,
    Nul,
    LineTooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "The message has a CR without LF",
            Self::BareLf => "The message has an LF without CR",
            Self::Nul => "The message has a NUL octet",
            Self::LineTooLong => "The message has a line of more than 64 KiB",
        })
    }
}

/// What the reader found in the octets it took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// Octets of the message, dots stuffed, to be passed as they are. Not after a fault.
    Span(&'a [u8]),
    /// Nothing to pass on.
    Nothing,
    /// The message is over; [`DataReader::fault`] says whether it is to be refused.
    End,
}

/// Where in the line, and at its borders, the reader is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// At the start of a line: after CR LF, and at the very beginning (so that a message
    /// may be empty).
    LineStart,
    /// After the dot that starts a line; not passed on yet.
    Dot,
    /// After that dot and CR; neither passed on yet.
    DotCr,
    /// Inside a line.
    Line,
    /// After CR; not passed on yet.
    Cr,
}

/// Reads one message. Make a new one for each DATA.
#[derive(Debug)]
pub struct DataReader {
    state: State,
    /// Octets of the line so far.
    column: usize,
    fault: Option<Fault>,
}

impl DataReader {
    pub fn new() -> Self {
        Self { state: State::LineStart, column: 0, fault: None }
    }

    /// The first fault found, if any.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Takes octets from the front of `input`, which is not empty: how many, and what they are.
    ///
    /// Call again with the rest until it is used up or [`Event::End`] comes; what follows
    /// the end is the client's next command.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        match self.state {
            State::Line | State::LineStart => self.block(input),
            State::Cr => self.after_cr(input),
            State::Dot | State::DotCr => self.dot(input),
        }
    }

    /// A run of whole octets, as long as it is clean.
    fn block<'a>(&mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        if self.state == State::LineStart && input[0] == b'.' {
            self.state = State::Dot;
            return (1, Event::Nothing);
        }
        let clean = self.clean_blocks(input);
        let (used, next) = self.lines(input, clean);
        self.state = next;
        // A CR at the end of the run waits for its LF.
        let end = if next == State::Cr { used - 1 } else { used };
        (used, self.span(&input[..end]))
    }

    /// How many octets of whole, clean blocks lead the input. They end anywhere in a line.
    fn clean_blocks(&mut self, input: &[u8]) -> usize {
        let mut clean = 0;
        while let Some(block) = input.get(clean..clean + BLOCK) {
            // The octet before the block belongs to the question: is this a line's start?
            let before = if clean > 0 { input[clean - 1] } else { b'x' };
            let at_start = before == b'\n' && block[0] == b'.';
            let split = before == b'\r' || block[BLOCK - 1] == b'\r';
            if at_start || split || (block[0] == b'\n') || !is_clean(block) || !self.measure(block) {
                break;
            }
            clean += BLOCK;
        }
        clean
    }

    /// Counts a clean block into the length of its lines; false if one gets too long.
    fn measure(&mut self, block: &[u8]) -> bool {
        let Some(first) = memchr::memchr(b'\n', block) else {
            let fits = self.column + block.len() <= MAX_LINE;
            self.column += if fits { block.len() } else { 0 };
            return fits;
        };
        if self.column + first > MAX_LINE {
            return false;
        }
        let last = memchr::memrchr(b'\n', block).unwrap_or(first);
        self.column = block.len() - last - 1;
        true
    }

    /// From `at` on line by line, up to a dot at a line's start, a CR without LF, or the end.
    fn lines(&mut self, input: &[u8], mut at: usize) -> (usize, State) {
        // What leads up to `at` is clean: an LF there has its CR. (Elsewhere a bare LF must
        // not make a line's start, or `\n.\r\n` would end the message.)
        let mut state = if at > 0 && input[at - 1] == b'\n' { State::LineStart } else { State::Line };
        // One block's worth at most, then the fast way is tried again.
        let limit = input.len().min(at + BLOCK);
        while at < limit && !(state == State::LineStart && input[at] == b'.') {
            let rest = &input[at..];
            let found = memchr::memchr3(b'\r', b'\n', 0, rest);
            self.column += found.unwrap_or(rest.len());
            if self.column > MAX_LINE {
                self.note(Fault::LineTooLong);
            }
            let Some(stop) = found else { return (input.len(), State::Line) };
            at += stop + 1;
            state = State::Line;
            match (input[at - 1], input.get(at)) {
                (0, _) => self.note(Fault::Nul),
                (b'\n', _) => self.note(Fault::BareLf),
                (_, Some(b'\n')) => {
                    at += 1;
                    self.column = 0;
                    state = State::LineStart;
                }
                (_, _) => return (at, State::Cr),
            }
        }
        (at, state)
    }

    fn after_cr<'a>(&mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        if input[0] == b'\n' {
            self.state = State::LineStart;
            self.column = 0;
            return (1, self.span(b"\r\n"));
        }
        self.note(Fault::BareCr);
        self.state = State::Line;
        (0, Event::Nothing)
    }

    fn dot<'a>(&mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        match (self.state, input[0]) {
            (State::Dot, b'\r') => {
                self.state = State::DotCr;
                (1, Event::Nothing)
            }
            (State::DotCr, b'\n') => (1, Event::End),
            (State::Dot, b'.') => {
                self.state = State::Line;
                self.column = 1;
                (1, self.span(b".."))
            }
            // `.x` where nothing was stuffed: the dot goes.
            (State::Dot, _) => {
                self.state = State::Line;
                (0, Event::Nothing)
            }
            (_, _) => {
                self.note(Fault::BareCr);
                self.state = State::Line;
                (0, Event::Nothing)
            }
        }
    }

    fn span<'a>(&self, span: &'a [u8]) -> Event<'a> {
        if self.fault.is_some() || span.is_empty() { Event::Nothing } else { Event::Span(span) }
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

impl Default for DataReader {
    fn default() -> Self {
        Self::new()
    }
}

/// No NUL, CR and LF only as pairs, no line that begins with a dot. One pass without
/// branches, which the compiler turns into vector instructions.
fn is_clean(block: &[u8]) -> bool {
    let pairs = block.iter().zip(&block[1..]);
    let bad = pairs.fold(0u8, |bad, (&a, &b)| {
        let unpaired = u8::from(a == b'\r') ^ u8::from(b == b'\n');
        let dot = u8::from(a == b'\n') & u8::from(b == b'.');
        bad | unpaired | dot | u8::from(a == 0) | u8::from(b == 0)
    });
    bad == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, DataReader, Event, Fault, MAX_LINE};

    /// What a stream reads as: the message on the wire, the fault, and what is left over.
    #[derive(Clone, Debug, Eq, PartialEq)]
    struct Read {
        wire: Vec<u8>,
        fault: Option<Fault>,
        rest: Option<Vec<u8>>,
    }

    fn read(stream: &[u8], cuts: &[usize]) -> Read {
        let mut reader = DataReader::new();
        let (mut wire, mut from) = (Vec::new(), 0);
        for to in cuts.iter().copied().chain([stream.len()]) {
            while from < to {
                let (used, event) = reader.next(&stream[from..to]);
                from += used;
                match event {
                    Event::Span(span) => wire.extend_from_slice(span),
                    Event::Nothing => {}
                    Event::End => {
                        return Read { wire, fault: reader.fault(), rest: Some(stream[from..].to_vec()) };
                    }
                }
            }
        }
        Read { wire, fault: reader.fault(), rest: None }
    }

    fn whole(stream: &[u8]) -> Read {
        let all = read(stream, &[]);
        for cut in 0..=stream.len() {
            let split = read(stream, &[cut]);
            assert_eq!((split.fault, &split.rest), (all.fault, &all.rest), "cut at {cut}");
            if all.fault.is_none() {
                assert_eq!(split.wire, all.wire, "cut at {cut}");
            }
        }
        let octets: Vec<usize> = (0..stream.len()).collect();
        assert_eq!(read(stream, &octets).rest, all.rest);
        all
    }

    #[test]
    fn messages() {
        for (stream, wire) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"\r\n.\r\n", b"\r\n"),
            (b"..\r\n.\r\n", b"..\r\n"),
            (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n..b\r\n...\r\n"),
            // Not stuffed by the client: the dot goes, as at every receiver.
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
            (b"a.\r\n.\r\n", b"a.\r\n"),
        ] {
            let read = whole(stream);
            assert_eq!((read.wire.as_slice(), read.fault), (wire, None), "{stream:?}");
            assert_eq!(read.rest.as_deref(), Some(&b""[..]), "{stream:?}");
        }
    }

    /// Every known end-of-data variant (threat table "SMTP smuggling"), followed by a second
    /// transaction: one message that has it inside and is refused, never two.
    #[test]
    fn smuggled_ends_refuse_the_message() {
        for (end, fault) in [
            (&b"\n.\n"[..], Fault::BareLf),
            (b"\n.\r\n", Fault::BareLf),
            (b"\r\n.\n", Fault::BareLf),
            (b"\r.\r", Fault::BareCr),
            (b"\r.\r\n", Fault::BareCr),
            (b"\r\n.\r", Fault::BareCr),
            (b"\n.\r", Fault::BareLf),
            (b"\r.\n", Fault::BareCr),
            (b"\r\n.\r\r\n", Fault::BareCr),
            (b"\r\r\n.\r\r\n", Fault::BareCr),
            (b"\r\n\0.\r\n", Fault::Nul),
            (b"\r\n.\0\r\n", Fault::Nul),
        ] {
            let stream =
                [b"a: b\r\n\r\nx", end, b"MAIL FROM:<x@y>\r\nRCPT TO:<z@y>\r\nDATA\r\nb\r\n.\r\nQUIT\r\n"]
                    .concat();
            let read = whole(&stream);
            assert_eq!(read.fault, Some(fault), "{end:?}");
            assert_eq!(read.rest.as_deref(), Some(&b"QUIT\r\n"[..]), "{end:?}");
        }
    }

    #[test]
    fn faults_deep_inside_and_at_borders_of_blocks() {
        for bad in [&b"\n"[..], b"\r", b"\0"] {
            for at in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1, 3 * BLOCK] {
                let mut stream = b"0123456789abcd\r\n".repeat(4 * BLOCK / 16);
                // In the middle of a line, or where the line's end is torn.
                stream.splice(at..at, bad.iter().copied());
                stream.extend_from_slice(b"x\r\n.\r\n");
                let read = read(&stream, &[]);
                assert!(read.fault.is_some(), "{bad:?} at {at}");
                assert_eq!(read.rest.as_deref(), Some(&b""[..]));
            }
        }
    }

    #[test]
    fn long_lines() {
        for (length, fault) in [(MAX_LINE, None), (MAX_LINE + 1, Some(Fault::LineTooLong))] {
            let line = vec![b'x'; length];
            let stream = [b"a\r\n", line.as_slice(), b"\r\nb\r\n.\r\n"].concat();
            for size in [stream.len(), 5_000, BLOCK, 7] {
                let cuts: Vec<usize> = (0..stream.len()).step_by(size).collect();
                assert_eq!(read(&stream, &cuts).fault, fault, "{length} by {size}");
            }
        }
    }

    /// What the reader should say, octet by octet and slowly.
    fn reference(stream: &[u8]) -> Option<(Vec<u8>, bool, Vec<u8>)> {
        let end = if stream.starts_with(b".\r\n") {
            0
        } else {
            stream.windows(5).position(|w| w == b"\r\n.\r\n")? + 2
        };
        let (message, rest) = (&stream[..end], stream[end + 3..].to_vec());
        let text = String::from_utf8_lossy(message).into_owned();
        let bad = text.replace("\r\n", "").contains(['\r', '\n', '\0']);
        let stuffed = |line: &str| match line.strip_prefix('.') {
            Some(rest) if !rest.starts_with('.') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let lines: Vec<String> = text.split("\r\n").map(stuffed).collect();
        Some((lines.join("\r\n").into_bytes(), bad, rest))
    }

    proptest! {
        /// Against the reference, cut anywhere, over an alphabet that is all trouble.
        #[test]
        fn agrees_with_the_reference(
            pieces in prop::collection::vec(
                prop_oneof![
                    6 => Just("\r\n"), 6 => Just("."), 4 => Just("x"), 1 => Just("\r"),
                    1 => Just("\n"), 1 => Just("\0"), 1 => Just("\r\n.\r\n"),
                ], 0..40),
            filler in prop_oneof![Just(0usize), 0..3 * BLOCK],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut stream = b"0123456789abcd\r\n".repeat(filler / 16);
            stream.extend(vec![b'y'; filler % 16]);
            stream.extend(pieces.concat().bytes());
            let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let read = read(&stream, &cuts);
            match reference(&stream) {
                None => prop_assert_eq!(read.rest, None),
                Some((wire, bad, rest)) => {
                    prop_assert_eq!(read.rest, Some(rest));
                    prop_assert_eq!(read.fault.is_some(), bad);
                    if !bad {
                        prop_assert_eq!(read.wire, wire);
                    }
                }
            }
        }

        /// What goes up holds the final sequence nowhere, and reads back as the same message.
        #[test]
        fn what_passes_is_framed(stream in prop::collection::vec(any::<u8>(), 0..400)) {
            let stream = [&stream[..], b"\r\n.\r\n"].concat();
            let first = read(&stream, &[]);
            if first.fault.is_none() {
                let again = read(&[&first.wire[..], super::END].concat(), &[]);
                prop_assert_eq!(again.wire, first.wire);
                prop_assert_eq!(again.rest, Some(Vec::new()));
            }
        }
    }
}
