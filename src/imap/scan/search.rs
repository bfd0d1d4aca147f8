//! Answers to SEARCH, SORT and THREAD (RFC 3501 §7.2.5, RFC 4731, RFC 5256 §4, RFC 7162 §3.1.5): maybe megabytes of numbers.

use super::{Fault, Listing, SearchWord};
use crate::types::UidSet;

/// Longest correlator: `(TAG "..")` with a tag of ours, which are short.
const MAX_CORRELATOR: usize = 128;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// Behind `* ESEARCH`: a correlator, or none.
    Correlator,
    Numbers,
    /// In THREAD, so many parentheses deep.
    Threads(u32),
    Word,
    /// Behind CR.
    Cr,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    at: At,
    /// The `(` of a plain SEARCH's `(MODSEQ n)` is open.
    open: bool,
    extended: bool,
}

/// What was found, and how many octets it took.
pub(super) enum Step {
    More,
    Moved(usize),
    Numbers(usize),
    Word(usize, SearchWord),
    /// The correlator's tag is in `held`.
    Correlator(usize),
    End(usize),
}

impl Cursor {
    pub(super) fn plain(listing: Listing) -> Self {
        let at = match listing {
            Listing::Search | Listing::Sort => At::Numbers,
            Listing::Thread => At::Threads(0),
        };
        Self { at, open: false, extended: false }
    }

    pub(super) fn extended() -> Self {
        Self { at: At::Correlator, open: false, extended: true }
    }

    pub(super) fn advance(&mut self, input: &[u8], held: &mut Vec<u8>) -> Result<Step, Fault> {
        if input.is_empty() {
            return Ok(Step::More);
        }
        match self.at {
            At::Correlator => self.correlator(input, held),
            At::Numbers => self.numbers(input),
            At::Threads(depth) => self.threads(depth, input),
            At::Word => self.word(input, held),
            At::Cr if input[0] == b'\n' => Ok(Step::End(1)),
            At::Cr => Err(Fault::LineEnd),
        }
    }

    /// ` (TAG "x")`; `held` collects it, and keeps only the tag in the end.
    fn correlator(&mut self, input: &[u8], held: &mut Vec<u8>) -> Result<Step, Fault> {
        for (i, octet) in input.iter().enumerate() {
            match (held.as_slice(), octet) {
                ([], b' ') | ([b' '], b'(') => held.push(*octet),
                ([] | [b' '], _) => {
                    held.clear();
                    self.at = At::Numbers;
                    return Ok(Step::Correlator(i));
                }
                (_, b')') => {
                    let tag = tag(held).ok_or(Fault::Search)?;
                    *held = tag;
                    self.at = At::Numbers;
                    return Ok(Step::Correlator(i + 1));
                }
                (_, b'\r' | b'\n' | 0) => return Err(Fault::LineEnd),
                _ if held.len() == MAX_CORRELATOR => return Err(Fault::TooLong),
                _ => held.push(*octet),
            }
        }
        Ok(Step::More)
    }

    fn numbers(&mut self, input: &[u8]) -> Result<Step, Fault> {
        let part = |octet: &u8| matches!(octet, b'0'..=b'9' | b' ' | b':' | b',');
        let end = input.iter().position(|octet| !part(octet)).unwrap_or(input.len());
        if end > 0 {
            return Ok(Step::Numbers(end));
        }
        match input[0] {
            b'\r' if !self.open => self.at = At::Cr,
            b'(' if !self.open && !self.extended => {
                self.open = true;
                self.at = At::Word;
            }
            b')' if self.open => self.open = false,
            b'A'..=b'Z' | b'a'..=b'z' if self.extended => {
                self.at = At::Word;
                return Ok(Step::Moved(0));
            }
            b'\r' | b'\n' => return Err(Fault::LineEnd),
            _ => return Err(Fault::Search),
        }
        Ok(Step::Moved(1))
    }

    /// Numbers and balanced parentheses; their depth is how long a thread is.
    fn threads(&mut self, mut depth: u32, input: &[u8]) -> Result<Step, Fault> {
        let mut end = 0;
        for octet in input {
            match octet {
                b'0'..=b'9' if depth > 0 => {}
                b' ' => {}
                b'(' => depth = depth.checked_add(1).ok_or(Fault::TooDeep)?,
                b')' => depth = depth.checked_sub(1).ok_or(Fault::Search)?,
                _ => break,
            }
            end += 1;
        }
        self.at = At::Threads(depth);
        if end > 0 {
            return Ok(Step::Numbers(end));
        }
        match input[0] {
            b'\r' if depth == 0 => {
                self.at = At::Cr;
                Ok(Step::Moved(1))
            }
            b'\r' | b'\n' => Err(Fault::LineEnd),
            _ => Err(Fault::Search),
        }
    }

    fn word(&mut self, input: &[u8], held: &mut Vec<u8>) -> Result<Step, Fault> {
        let letters = input.iter().position(|octet| !octet.is_ascii_alphabetic());
        let used = letters.unwrap_or(input.len());
        if held.len() + used > "MODSEQ".len() {
            return Err(Fault::Search);
        }
        held.extend_from_slice(&input[..used]);
        if letters.is_none() {
            return Ok(Step::More);
        }
        let is = |word: &SearchWord| held.eq_ignore_ascii_case(word.as_str().as_bytes());
        let word = SearchWord::ALL_WORDS.into_iter().find(is).ok_or(Fault::Search)?;
        held.clear();
        self.at = At::Numbers;
        Ok(Step::Word(used, word))
    }
}

/// The tag in ` (TAG "x"`; it may also stand unquoted.
fn tag(correlator: &[u8]) -> Option<Vec<u8>> {
    let rest = correlator.strip_prefix(b" (")?;
    let (word, rest) = rest.split_at_checked(4)?;
    if !word.eq_ignore_ascii_case(b"TAG ") {
        return None;
    }
    let tag = rest.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(rest);
    let plain = |octet: &u8| octet.is_ascii_graphic() && !b"\"\\(){".contains(octet);
    (!tag.is_empty() && tag.iter().all(plain)).then(|| tag.to_vec())
}

/// Reads the numbers of [`super::Event::SearchNumbers`], however they are cut.
#[derive(Debug, Default)]
pub struct Numbers {
    /// In the order in which they came; sorted once, at the end.
    ranges: Vec<(u32, u32)>,
    range_start: Option<u32>,
    digits: u64,
    any: bool,
}

impl Numbers {
    /// Most numbers or ranges read: more than a folder of a million messages can give.
    pub const MAX_NUMBERS: usize = 1 << 20;

    pub fn read(&mut self, octets: &[u8]) -> Result<(), Fault> {
        for octet in octets {
            match octet {
                b'0'..=b'9' => {
                    self.digits = self.digits * 10 + u64::from(octet - b'0');
                    self.any = true;
                    if self.digits > u64::from(u32::MAX) {
                        return Err(Fault::Number);
                    }
                }
                b':' if self.range_start.is_none() => self.range_start = Some(self.number()?),
                b' ' | b',' => self.close()?,
                _ => return Err(Fault::Number),
            }
        }
        Ok(())
    }

    /// All numbers read.
    pub fn finish(mut self) -> Result<UidSet, Fault> {
        self.close()?;
        self.ranges.sort_unstable();
        let mut set = UidSet::new();
        self.ranges.iter().for_each(|(a, b)| set.insert_range(*a, *b));
        Ok(set)
    }

    fn close(&mut self) -> Result<(), Fault> {
        if !self.any && self.range_start.is_none() {
            return Ok(());
        }
        let end = self.number()?;
        let start = self.range_start.take().unwrap_or(end);
        self.ranges.push((start.min(end), start.max(end)));
        if self.ranges.len() > Self::MAX_NUMBERS { Err(Fault::TooLong) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<u32, Fault> {
        let digits = std::mem::take(&mut self.digits);
        let number = u32::try_from(digits).ok().filter(|n| *n > 0 && self.any).ok_or(Fault::Number);
        self.any = false;
        number
    }
}
