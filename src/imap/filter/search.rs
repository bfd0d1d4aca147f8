//! Answers to SEARCH, SORT and THREAD, written anew with the client's tag.

use super::Drop;
use crate::imap::command::Tag;
use crate::imap::scan::{Event, Listing, SearchWord};
use crate::types::UidSet;

/// What of the current response is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    All,
    /// Not the value of the last word.
    NotThis,
    /// Nothing.
    Nothing,
}

/// Writes what the scanner finds of SEARCH and ESEARCH responses.
#[derive(Clone, Debug)]
pub struct SearchWriter<'a> {
    /// The tag under which we asked upstream.
    ours: &'a Tag,
    client: &'a Tag,
    /// What the client asked for.
    wanted: Listing,
    condstore: bool,
    shown: Shown,
    /// A `(MODSEQ` of a plain SEARCH is open.
    open: bool,
    extended: bool,
    /// A space is due before the next number.
    gap: bool,
}

impl<'a> SearchWriter<'a> {
    pub fn new(ours: &'a Tag, client: &'a Tag, wanted: Listing, condstore: bool) -> Self {
        Self { ours, client, wanted, condstore, shown: Shown::All, open: false, extended: false, gap: false }
    }

    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Option<Drop> {
        match event {
            Event::Search(listing) if *listing != self.wanted => {
                self.shown = Shown::Nothing;
                return Some(Drop::Search);
            }
            Event::Search(listing) => {
                self.begin(false);
                out.extend_from_slice(format!("* {}", listing.as_str()).as_bytes());
            }
            Event::Esearch(tag) => {
                self.begin(true);
                if *tag != self.ours.as_str().as_bytes() {
                    self.shown = Shown::Nothing;
                    return Some(Drop::Search);
                }
                out.extend_from_slice(format!("* ESEARCH (TAG \"{}\")", self.client.as_str()).as_bytes());
            }
            Event::SearchWord(word) if self.shown != Shown::Nothing => return self.word(*word, out),
            Event::SearchNumbers(numbers) if self.shown == Shown::All => self.numbers(numbers, out),
            Event::SearchEnd if self.shown != Shown::Nothing => {
                out.extend_from_slice(if self.open { b")\r\n" } else { b"\r\n" });
            }
            Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::More
            | Event::Line(_)
            | Event::Fetch(_)
            | Event::Uid(_)
            | Event::ModSeq(_)
            | Event::Flags(_)
            | Event::Item(_)
            | Event::Value(_)
            | Event::Literal(_)
            | Event::Dropped
            | Event::FetchEnd
            | Event::Fault(_) => {}
        }
        None
    }

    fn begin(&mut self, extended: bool) {
        (self.shown, self.open, self.gap) = (Shown::All, false, false);
        self.extended = extended;
    }

    fn word(&mut self, word: SearchWord, out: &mut Vec<u8>) -> Option<Drop> {
        if word == SearchWord::ModSeq && !self.condstore {
            self.shown = Shown::NotThis;
            return Some(Drop::Item);
        }
        self.shown = Shown::All;
        out.push(b' ');
        self.gap = false;
        if word == SearchWord::ModSeq && !self.extended {
            self.open = true;
            out.push(b'(');
        }
        out.extend_from_slice(word.as_str().as_bytes());
        None
    }

    /// Spaces are written only once something follows them.
    fn numbers(&mut self, numbers: &[u8], out: &mut Vec<u8>) {
        let text = numbers.trim_ascii();
        self.gap |= numbers.first() == Some(&b' ');
        if text.is_empty() {
            return;
        }
        out.extend_from_slice(if self.gap { b" " } else { b"" });
        out.extend_from_slice(text);
        self.gap = numbers.last() == Some(&b' ');
    }
}

/// Lets through those numbers of a list that are in a set, however the list is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sieve {
    /// The number whose digits have come so far; 0 is none.
    number: u32,
}

impl Sieve {
    /// Appends the numbers that pass, each with a space before it. A list must end in a space.
    pub fn pass(&mut self, list: &[u8], among: &UidSet, out: &mut Vec<u8>) {
        for octet in list {
            if octet.is_ascii_digit() {
                self.number = self.number.saturating_mul(10).saturating_add(u32::from(octet - b'0'));
                continue;
            }
            let number = std::mem::take(&mut self.number);
            if among.contains(number) {
                out.extend_from_slice(format!(" {number}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sieve;
    use crate::types::UidSet;

    #[test]
    fn a_list_may_be_cut_anywhere() {
        let list = b" 12 3 125 9999999999 4 ";
        let among: UidSet = [3, 4, 12].into_iter().collect();
        for cut in 0..list.len() {
            let (mut sieve, mut out) = (Sieve::default(), Vec::new());
            sieve.pass(&list[..cut], &among, &mut out);
            sieve.pass(&list[cut..], &among, &mut out);
            assert_eq!(out, b" 12 3 4", "{cut}");
        }
    }
}
