//! FETCH and SEARCH answers: written anew for the client, or read for ourselves.

use super::ended::Ended;
use super::exchange::{Found, Manner, Show};
use super::overlay::Overlay;
use super::session::Selected;
use crate::imap::command::Tag;
use crate::imap::filter::{FetchView, FetchWriter, SearchWriter, Sieve};
use crate::imap::overlay::Patcher;
use crate::imap::scan::{Event, Listing, Numbers, SearchWord};
use crate::types::UidSet;

/// Makes client data of FETCH and SEARCH answers, or facts for us.
pub(super) struct Reader<'a> {
    manner: Manner,
    fetch: FetchWriter,
    patcher: Patcher,
    search: SearchWriter<'a>,
    sieve: Sieve,
    number: u32,
    uid: Option<u32>,
    has_flags: bool,
    told_flags: bool,
    /// A FETCH answer that is the client's only if it carries flags.
    aside: Vec<u8>,
    pub(super) pairs: Vec<(u32, u32)>,
    /// UIDs of messages of which text was handed over, where the user has flags to oneself.
    read: UidSet,
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
            // With QRESYNC every change is told with its UID (RFC 7162 §3.2.4).
            hide_uid: manner.show == Show::Changes && !manner.by_uid && !manner.qresync,
        });
        Self {
            manner,
            fetch,
            patcher: Patcher::default(),
            read: UidSet::new(),
            search: SearchWriter::new(
                ours,
                client,
                manner.searches.unwrap_or(Listing::Search),
                manner.condstore,
            ),
            sieve: Sieve::default(),
            number: 0,
            uid: None,
            has_flags: false,
            told_flags: false,
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
        selected: Option<&Selected>,
        out: &mut Vec<u8>,
    ) -> Result<u64, Ended> {
        let messages = selected.map_or(0, |selected| selected.messages);
        let overlay = selected.and_then(|selected| selected.overlay.as_deref());
        match event {
            Event::Fault(fault) => {
                tracing::warn!(%fault, "upstream cannot be understood");
                Err(Ended::UpstreamUnparseable)
            }
            Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd => self.searched(event, overlay, out),
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
            | Event::FetchEnd => self.fetched(event, overlay, out),
            Event::More | Event::Line(_) => Ok(0),
        }
    }

    fn fetched(
        &mut self,
        event: &Event<'_>,
        overlay: Option<&Overlay>,
        out: &mut Vec<u8>,
    ) -> Result<u64, Ended> {
        match self.manner.show {
            Show::Answer => return self.write(event, overlay, out),
            Show::Nothing => return Ok(0),
            Show::Changes => {}
        }
        match event {
            Event::Fetch(number) => (self.number, self.uid, self.has_flags) = (*number, None, false),
            Event::Uid(uid) => self.uid = Some(*uid),
            Event::Flags(_) => self.has_flags = true,
            Event::FetchEnd => self.pairs.extend(self.uid.map(|uid| (self.number, uid))),
            Event::ModSeq(_) | Event::Literal(_) | Event::Dropped => {}
            // Nobody asked for these: they are not worth keeping.
            Event::Item(_) | Event::Value(_) => return Ok(1),
            Event::More
            | Event::Line(_)
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => return Ok(0),
        }
        let mut aside = std::mem::take(&mut self.aside);
        let dropped = self.write(event, overlay, &mut aside)?;
        self.aside = aside;
        if *event == Event::FetchEnd {
            if self.has_flags {
                self.told_flags = true;
                out.extend_from_slice(&self.aside);
            }
            self.aside.clear();
        }
        Ok(dropped)
    }

    /// An event of a FETCH answer for the client, with the flags that are the user's own.
    fn write(
        &mut self,
        event: &Event<'_>,
        overlay: Option<&Overlay>,
        out: &mut Vec<u8>,
    ) -> Result<u64, Ended> {
        let Some(overlay) = overlay else {
            return Ok(self.fetch.event(event, out).map_or(0, |_| 1));
        };
        let Ok(dropped) = self.patcher.event(event, overlay.folder(), &mut self.fetch, out) else {
            tracing::warn!("upstream gave a message another UID");
            return Err(Ended::UpstreamUnparseable);
        };
        if *event == Event::FetchEnd
            && self.patcher.has_text()
            && let (_, Some(uid)) = self.patcher.message()
        {
            self.read.insert(uid);
        }
        Ok(u64::from(dropped.is_some()))
    }

    fn searched(
        &mut self,
        event: &Event<'_>,
        overlay: Option<&Overlay>,
        out: &mut Vec<u8>,
    ) -> Result<u64, Ended> {
        if self.manner.show == Show::Answer {
            if self.manner.searches.is_none() {
                return Ok(u64::from(matches!(event, Event::Search(_) | Event::Esearch(_))));
            }
            if let Some(among) = overlay.and_then(|overlay| overlay.among.as_ref()) {
                let list: &[u8] = match event {
                    Event::SearchNumbers(list) => list,
                    Event::SearchEnd => b" ",
                    _ => b"",
                };
                let mut passed = Vec::new();
                self.sieve.pass(list, among, &mut passed);
                self.search.event(&Event::SearchNumbers(&passed), out);
                if let Event::SearchNumbers(_) = event {
                    return Ok(0);
                }
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
        found.told_flags |= self.told_flags;
        found.search_mod_seq = self.mod_seq.or(found.search_mod_seq);
        found.read = found.read.union(&std::mem::take(&mut self.read));
        if std::mem::take(&mut self.searched) {
            let numbers = std::mem::take(&mut self.numbers);
            let uids = numbers.finish().map_err(|_| Ended::UpstreamUnparseable)?;
            uids.ranges().for_each(|(a, b)| found.uids.insert_range(a, b));
        }
        Ok(())
    }
}
