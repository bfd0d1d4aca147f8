//! FETCH and SEARCH answers: written anew for the client, or read for ourselves.

use super::ended::Ended;
use super::exchange::{Found, Manner, Show};
use crate::imap::command::Tag;
use crate::imap::filter::{FetchView, FetchWriter, SearchWriter};
use crate::imap::scan::{Event, Listing, Numbers, SearchWord};

/// Makes client data of FETCH and SEARCH answers, or facts for us.
pub(super) struct Reader<'a> {
    manner: Manner,
    fetch: FetchWriter,
    search: SearchWriter<'a>,
    number: u32,
    uid: Option<u32>,
    has_flags: bool,
    /// A FETCH answer that is the client's only if it carries flags.
    aside: Vec<u8>,
    pub(super) pairs: Vec<(u32, u32)>,
    numbers: Numbers,
    searched: bool,
    /// The word whose value comes, in a SEARCH answer for us; and MODSEQ's digits.
    word: Option<SearchWord>,
    mod_seq: Option<u64>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(manner: Manner, ours: &'a Tag, client: &'a Tag) -> Self {
        let fetch = FetchWriter::new(FetchView {
            condstore: manner.condstore,
            as_rfc822: manner.as_rfc822,
            as_rfc822_text: manner.as_rfc822_text,
            hide_uid: manner.show == Show::Changes && !manner.by_uid,
        });
        Self {
            manner,
            fetch,
            search: SearchWriter::new(
                ours,
                client,
                manner.searches.unwrap_or(Listing::Search),
                manner.condstore,
            ),
            number: 0,
            uid: None,
            has_flags: false,
            aside: Vec::new(),
            pairs: Vec::new(),
            numbers: Numbers::default(),
            searched: false,
            word: None,
            mod_seq: None,
        }
    }

    /// Whether values go to the client as they come.
    pub(super) fn streams(&self) -> bool {
        self.manner.show == Show::Answer
    }

    /// Takes one event in; says how many things were dropped.
    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        messages: u32,
        out: &mut Vec<u8>,
    ) -> Result<u64, Ended> {
        match event {
            Event::Fault(fault) => {
                tracing::warn!(%fault, "upstream cannot be understood");
                Err(Ended::UpstreamUnparseable)
            }
            Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd => self.searched(event, out),
            Event::Fetch(number) if *number > messages => {
                tracing::warn!(number, messages, "upstream sent FETCH of a message that does not exist");
                Err(Ended::UpstreamUnparseable)
            }
            Event::Fetch(_)
            | Event::Uid(_)
            | Event::ModSeq(_)
            | Event::Flags(_)
            | Event::Item(_)
            | Event::Value(_)
            | Event::Literal(_)
            | Event::Dropped
            | Event::FetchEnd => Ok(self.fetched(event, out)),
            Event::More | Event::Line(_) => Ok(0),
        }
    }

    fn fetched(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> u64 {
        match self.manner.show {
            Show::Answer => return self.fetch.event(event, out).map_or(0, |_| 1),
            Show::Nothing => return 0,
            Show::Changes => {}
        }
        match event {
            Event::Fetch(number) => (self.number, self.uid, self.has_flags) = (*number, None, false),
            Event::Uid(uid) => self.uid = Some(*uid),
            Event::Flags(_) => self.has_flags = true,
            Event::FetchEnd => self.pairs.extend(self.uid.map(|uid| (self.number, uid))),
            Event::ModSeq(_) | Event::Literal(_) | Event::Dropped => {}
            // Nobody asked for these: they are not worth keeping.
            Event::Item(_) | Event::Value(_) => return 1,
            Event::More
            | Event::Line(_)
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => return 0,
        }
        let dropped = self.fetch.event(event, &mut self.aside).map_or(0, |_| 1);
        if *event == Event::FetchEnd {
            if self.has_flags {
                out.extend_from_slice(&self.aside);
            }
            self.aside.clear();
        }
        dropped
    }

    fn searched(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<u64, Ended> {
        if self.manner.show == Show::Answer {
            if self.manner.searches.is_none() {
                return Ok(u64::from(matches!(event, Event::Search(_) | Event::Esearch(_))));
            }
            return Ok(self.search.event(event, out).map_or(0, |_| 1));
        }
        match event {
            Event::Search(_) | Event::Esearch(_) => self.word = None,
            Event::SearchWord(word) => {
                self.word = Some(*word);
                self.mod_seq = self.mod_seq.filter(|_| *word != SearchWord::ModSeq);
            }
            Event::SearchNumbers(text) if self.word == Some(SearchWord::ModSeq) => {
                for digit in text.iter().filter(|b| b.is_ascii_digit()) {
                    let value = self.mod_seq.unwrap_or(0).saturating_mul(10);
                    self.mod_seq = Some(value.saturating_add(u64::from(digit - b'0')));
                }
            }
            Event::SearchNumbers(text) => {
                self.searched = true;
                self.numbers.read(text).map_err(|_| Ended::UpstreamUnparseable)?;
            }
            _ => {}
        }
        Ok(0)
    }

    /// Hands over what was found so far.
    pub(super) fn tell(&mut self, found: &mut Found) -> Result<(), Ended> {
        found.numbers.append(&mut self.pairs);
        found.search_mod_seq = self.mod_seq.or(found.search_mod_seq);
        if std::mem::take(&mut self.searched) {
            let numbers = std::mem::take(&mut self.numbers);
            let uids = numbers.finish().map_err(|_| Ended::UpstreamUnparseable)?;
            uids.ranges().for_each(|(a, b)| found.uids.insert_range(a, b));
        }
        Ok(())
    }
}
