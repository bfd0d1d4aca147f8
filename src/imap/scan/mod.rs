//! A length-counting scanner of upstream's responses (invariant 8).
//!
//! It never looks for a tag or a line end inside data: every octet is known to be text,
//! structure, quoted string or literal before the next one is read. FETCH and SEARCH
//! answers are streamed, everything else is handed on as one bounded line. The values of
//! FETCH items pass as spans; only their extent is known here, not their meaning.
//!
//! | part | answers |
//! |---|---|
//! | [`head`] | what kind of response begins? |
//! | [`lexer`] | is this octet structure, quoted or literal? |
//! | [`mod@line`] | where does the line end? |
//! | [`name`] | which item is it, and may the client see it? |
//! | [`value`] | where does the value end? (64 octets at a time: [`mask`]) |
//! | [`search`] | numbers and known words, nothing else |

mod event;
mod head;
mod lexer;
mod line;
mod mask;
mod name;
mod search;
mod value;

#[cfg(test)]
mod tests;

pub use event::{Event, Fault, Item, ItemKind, Listing, SearchWord};
pub(super) use head::long_number as decimal;
pub use search::Numbers;

use event::{Found, Span};
use head::Head;

/// Longest response that is not streamed, its literals included, in octets: LIST and STATUS
/// lines stay below 2 KiB, an ID or CAPABILITY line below 8. A longer VANISHED comes in pieces.
pub const MAX_LINE: usize = 256 * 1024;
/// Longest FLAGS list of one message: 64 keywords of 64 octets are 4 KiB; some hosts allow more.
pub const MAX_FLAGS: usize = 64 * 1024;
/// Longest FETCH item name, the header fields that it repeats included.
pub const MAX_NAME: usize = 16 * 1024;
/// Deepest parentheses in a value; Dovecot stops at 100 MIME levels.
pub const MAX_DEPTH: u32 = 256;
/// Largest literal (RFC 3501 §9: a number is 32 bits wide).
pub const MAX_LITERAL: u64 = u32::MAX as u64;

/// What ends a list of atoms: `)`, and what cannot stand in one.
const ENDS_LIST: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0u8;
    loop {
        table[octet as usize] = octet < 0x20 || matches!(octet, b'(' | b')' | b'"' | b'{');
        if octet == u8::MAX {
            break;
        }
        octet += 1;
    }
    table
};

/// What the next octet belongs to.
#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Line(line::Cursor),
    /// In a FETCH list, before an item or the closing parenthesis.
    Between,
    Name(name::Cursor),
    Uid,
    ModSeq,
    Flags,
    Value(value::Cursor),
    /// After the FETCH list: CR, LF.
    End,
    Search(search::Cursor),
    Broken(Fault),
}

/// The scanner of one upstream connection.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    /// The part of a token that earlier input held; empty while a token lies in one piece.
    held: Vec<u8>,
    /// The last event lent `held` out.
    lent: bool,
    /// What stands in `held` next: a line of which the first piece is lent out.
    next: Vec<u8>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    pub const fn new() -> Self {
        Self { state: State::Head, held: Vec::new(), lent: false, next: Vec::new() }
    }

    /// Reads on: how many octets of `input` were used, and what they mean.
    ///
    /// Give the unused rest again, with more behind it, until [`Event::More`]. However the
    /// octets are cut into inputs, the events are the same, except that [`Event::Value`] and
    /// [`Event::SearchNumbers`] may come in other pieces. After [`Event::Fault`] there is
    /// only the same fault: the connection must be closed.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        self.take_back();
        let mut at = 0;
        let found = loop {
            match self.step(input, &mut at) {
                Ok(Some(found)) => break found,
                Ok(None) if at < input.len() => {}
                Ok(None) => break Found::More,
                Err(fault) => {
                    self.state = State::Broken(fault);
                    break Found::Fault(fault);
                }
            }
        };
        (at, found.event(input, &self.held))
    }

    /// Whether no response is under way: the last one was complete.
    pub fn is_between_responses(&self) -> bool {
        matches!(self.state, State::Head) && (self.held.is_empty() || self.lent)
    }

    /// Octets of the current value's literal that are still to come.
    pub fn literal_left(&self) -> u64 {
        match self.state {
            State::Value(cursor) => cursor.literal_left(),
            State::Head
            | State::Line(_)
            | State::Between
            | State::Name(_)
            | State::Uid
            | State::ModSeq
            | State::Flags
            | State::End
            | State::Search(_)
            | State::Broken(_) => 0,
        }
    }

    /// The caller has moved `octets` of the current literal itself, at most
    /// [`Scanner::literal_left`].
    pub fn passed(&mut self, octets: u64) {
        debug_assert!(octets <= self.literal_left());
        if let State::Value(cursor) = &mut self.state {
            cursor.pass(octets);
        }
    }

    /// Ends the loan of the last event; a large buffer is not kept.
    fn take_back(&mut self) {
        const KEPT: usize = 1024;
        if self.lent {
            self.lent = false;
            self.held.clear();
            self.held.shrink_to(KEPT);
            self.held.append(&mut self.next);
        }
    }

    /// Moves over one token, or all that there is of it.
    fn step(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        match self.state {
            State::Head => self.head(input, at),
            State::Line(cursor) => self.line(cursor, input, at),
            State::Between => self.between(input, at),
            State::Name(cursor) => self.name(cursor, input, at),
            State::Uid => self.uid(input, at),
            State::ModSeq => self.mod_seq(input, at),
            State::Flags => self.flags(input, at),
            State::Value(cursor) => self.value(cursor, input, at),
            State::End => self.end(input, at),
            State::Search(cursor) => self.search(cursor, input, at),
            State::Broken(fault) => Err(fault),
        }
    }

    fn head(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        let Some(head) = self.classify(input, at)? else { return Ok(None) };
        let found = match head {
            Head::Fetch(number) => {
                self.held.clear();
                self.state = State::Between;
                Some(Found::Fetch(number))
            }
            Head::Search(listing) => {
                self.held.clear();
                self.state = State::Search(search::Cursor::plain(listing));
                Some(Found::Search(listing))
            }
            Head::Esearch => {
                self.held.clear();
                self.state = State::Search(search::Cursor::extended());
                None
            }
            Head::Text => {
                self.state = State::Line(line::Cursor::text(&self.held));
                None
            }
            Head::Structured => {
                self.state = State::Line(line::Cursor::structured(&self.held)?);
                None
            }
        };
        Ok(found)
    }

    /// Finds the kind of a response. The octets of a streamed kind's head are used up; those of
    /// a line stay in `held`, or in the input if all of them are there.
    fn classify(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Head>, Fault> {
        if self.held.is_empty() {
            return match head::classify(&input[*at..])? {
                Some((head, used)) => {
                    *at += if head.is_line() { 0 } else { used };
                    Ok(Some(head))
                }
                None => {
                    self.held.extend_from_slice(&input[*at..]);
                    *at = input.len();
                    Ok(None)
                }
            };
        }
        while let Some(octet) = input.get(*at) {
            self.held.push(*octet);
            *at += 1;
            if let Some((head, used)) = head::classify(&self.held)? {
                // A streamed kind's head may end before the octet that decided it.
                *at -= if head.is_line() { 0 } else { self.held.len() - used };
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn line(
        &mut self,
        mut cursor: line::Cursor,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Fault> {
        let room = MAX_LINE.saturating_sub(self.held.len());
        let window = &input[*at..input.len().min(*at + room)];
        let end = cursor.advance(window)?;
        self.state = State::Line(cursor);
        if end.is_none() && window.len() == room {
            self.held.extend_from_slice(window);
            *at += window.len();
            self.next = line::split_vanished(&mut self.held).ok_or(Fault::TooLong)?;
            self.lent = true;
            return Ok(Some(Found::Line(Span::Held)));
        }
        let span = self.token(window, at, end, MAX_LINE)?;
        if span.is_some() {
            self.state = State::Head;
        }
        Ok(span.map(Found::Line))
    }

    fn between(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        while input.get(*at) == Some(&b' ') {
            *at += 1;
        }
        match &input[*at..] {
            [] => Ok(None),
            [b')', b'\r', b'\n', ..] => {
                *at += 3;
                self.state = State::Head;
                Ok(Some(Found::FetchEnd))
            }
            [b')', ..] => {
                *at += 1;
                self.state = State::End;
                Ok(None)
            }
            [_, ..] => self.name(name::Cursor::default(), input, at),
        }
    }

    fn name(
        &mut self,
        mut cursor: name::Cursor,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Fault> {
        let rest = &input[*at..];
        let end = cursor.advance(rest)?;
        self.state = State::Name(cursor);
        let Some(span) = self.token(rest, at, end, MAX_NAME)? else { return Ok(None) };
        let item = name::classify(span.octets(input, &self.held));
        if !matches!(item, name::Class::Item(_)) {
            self.take_back();
        }
        // The space behind the name is part of no token.
        *at += 1;
        match item {
            name::Class::Uid => {
                self.state = State::Uid;
                self.uid(input, at)
            }
            name::Class::Flags => {
                self.state = State::Flags;
                self.flags(input, at)
            }
            name::Class::ModSeq => {
                self.state = State::ModSeq;
                self.mod_seq(input, at)
            }
            name::Class::Item(kind) => {
                self.state = State::Value(value::Cursor::shown());
                Ok(Some(Found::Item(kind, span)))
            }
            name::Class::Unknown => {
                self.state = State::Value(value::Cursor::hidden());
                Ok(Some(Found::Dropped))
            }
        }
    }

    fn uid(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        let rest = &input[*at..];
        let end = rest.iter().position(|octet| !octet.is_ascii_digit());
        let Some(span) = self.token(rest, at, end, 10)? else { return Ok(None) };
        let uid = head::number(span.octets(input, &self.held)).ok_or(Fault::Number)?;
        self.take_back();
        self.state = State::Between;
        match input[*at] {
            b' ' | b')' => Ok(Some(Found::Uid(uid))),
            _ => Err(Fault::Structure),
        }
    }

    fn mod_seq(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        let Some(span) = self.list(input, at, 22)? else { return Ok(None) };
        let digits = name::inner(span.octets(input, &self.held));
        let value = head::long_number(digits).ok_or(Fault::Number)?;
        self.take_back();
        self.state = State::Between;
        Ok(Some(Found::ModSeq(value)))
    }

    fn flags(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        let Some(span) = self.list(input, at, MAX_FLAGS)? else { return Ok(None) };
        self.state = State::Between;
        Ok(Some(Found::Flags(span)))
    }

    /// A parenthesised list of atoms, parentheses included.
    fn list(&mut self, input: &[u8], at: &mut usize, limit: usize) -> Result<Option<Span>, Fault> {
        let rest = &input[*at..];
        let begins = self.held.is_empty() && !rest.is_empty();
        if begins && rest[0] != b'(' {
            return Err(Fault::Structure);
        }
        let from = usize::from(begins);
        let stop = rest[from..].iter().position(|octet| ENDS_LIST[usize::from(*octet)]);
        let end = stop.map(|stop| from + stop + 1);
        if end.is_some_and(|end| rest[end - 1] != b')') {
            return Err(Fault::Structure);
        }
        self.token(rest, at, end, limit)
    }

    fn value(
        &mut self,
        mut cursor: value::Cursor,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Fault> {
        let from = *at;
        let (used, pause) = cursor.advance(&input[from..])?;
        *at += used;
        let shows = cursor.is_shown() && used > 0;
        let literal = cursor.is_shown().then(|| cursor.announced()).flatten();
        self.state = match pause {
            value::Pause::Ended => State::Between,
            value::Pause::Input | value::Pause::Literal => State::Value(cursor),
        };
        if shows {
            return Ok(Some(Found::Value(Span::Input(from, *at))));
        }
        if let Some(left) = literal {
            cursor.announce();
            self.state = State::Value(cursor);
            return Ok(Some(Found::Literal(left)));
        }
        Ok(None)
    }

    fn end(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Found>, Fault> {
        let Some(octet) = input.get(*at) else { return Ok(None) };
        match (self.held.is_empty(), octet) {
            (true, b'\r') => self.held.push(b'\r'),
            (false, b'\n') => {
                self.held.clear();
                self.state = State::Head;
                *at += 1;
                return Ok(Some(Found::FetchEnd));
            }
            _ => return Err(Fault::LineEnd),
        }
        *at += 1;
        Ok(None)
    }

    fn search(
        &mut self,
        mut cursor: search::Cursor,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Found>, Fault> {
        let base = *at;
        let step = cursor.advance(&input[base..], &mut self.held)?;
        self.state = State::Search(cursor);
        Ok(match step {
            search::Step::More => {
                *at = input.len();
                None
            }
            search::Step::Moved(used) => {
                *at += used;
                None
            }
            search::Step::Numbers(used) => {
                *at += used;
                Some(Found::SearchNumbers(Span::Input(base, *at)))
            }
            search::Step::Word(used, word) => {
                *at += used;
                Some(Found::SearchWord(word))
            }
            search::Step::Correlator(used) => {
                *at += used;
                self.lent = true;
                Some(Found::Esearch)
            }
            search::Step::End(used) => {
                *at += used;
                self.state = State::Head;
                Some(Found::SearchEnd)
            }
        })
    }

    /// Adds `rest` to the current token: all of it, or up to its `end`, where the token is
    /// complete. `rest` begins at `at` in the input.
    fn token(
        &mut self,
        rest: &[u8],
        at: &mut usize,
        end: Option<usize>,
        limit: usize,
    ) -> Result<Option<Span>, Fault> {
        let used = end.unwrap_or(rest.len());
        if self.held.len() + used > limit {
            return Err(Fault::TooLong);
        }
        let from = *at;
        *at += used;
        if end.is_some() && self.held.is_empty() {
            return Ok(Some(Span::Input(from, *at)));
        }
        self.held.extend_from_slice(&rest[..used]);
        self.lent = end.is_some();
        Ok(end.map(|_| Span::Held))
    }
}
