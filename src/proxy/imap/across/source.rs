//! The messages where they are: what they are like, and their octets, on their way out.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::pace::Pace;
use crate::imap::command::Tag;
use crate::imap::parse;
use crate::imap::scan::{Event, ItemKind};
use crate::proxy::imap::client::Client;
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::exchange::{Answer, Did, Found, Manner, QUEUED, Stop};
use crate::proxy::imap::lines::Lines;
use crate::proxy::imap::reader::Reader;
use crate::proxy::imap::session::Selected;
use crate::proxy::imap::watch::{Waiting, Watch};
use crate::telemetry::{Counter, Counters};
use crate::types::{Flag, Flags, UidSet};
use crate::upstream::Connection;

/// Longest value that is no literal: a date, or a message so short that a host quotes it.
const MAX_TEXT: usize = 4_096;

/// What a message is like.
#[derive(Debug, Default)]
pub(super) struct Described {
    /// Upstream's.
    pub(super) flags: Flags,
    /// INTERNALDATE, if the host's makes sense.
    pub(super) date: Option<String>,
}

/// What the host says of the messages asked for.
#[derive(Debug)]
pub(super) enum Word {
    Message,
    Uid(u32),
    Flags(Flags),
    Date(Option<String>),
    /// The octets of the message follow, so many; [`Source::body`] has them.
    Begin(u64),
    /// All of a message that came without a literal.
    Short(Vec<u8>),
    MessageEnd,
    Answer(Answer),
}

/// The connection on which the folder is open, while a FETCH of ours is answered. What else the
/// host says of the folder goes to the client, as ever.
pub(super) struct Source<'a> {
    pub(super) client: &'a mut Client,
    pub(super) watch: &'a mut Watch,
    pub(super) up: &'a mut Connection,
    pub(super) selected: Option<&'a mut Selected>,
    pub(super) counters: &'a Counters,
    pub(super) pace: &'a mut Pace,
    pub(super) ear: Ear<'a>,
    /// How long the host may be silent in the middle of a message.
    pub(super) patience: Duration,
}

/// Understands what is heard.
pub(super) struct Ear<'a> {
    manner: Manner,
    ours: &'a Tag,
    reader: Reader<'a>,
    item: Option<ItemKind>,
    text: Vec<u8>,
    heard: VecDeque<Word>,
}

impl<'a> Ear<'a> {
    pub(super) fn new(manner: Manner, ours: &'a Tag, client: &'a Tag) -> Self {
        let reader = Reader::new(manner, ours, client);
        Self { manner, ours, reader, item: None, text: Vec::new(), heard: VecDeque::new() }
    }

    fn hear(&mut self, event: &Event<'_>) -> Result<(), Ended> {
        match event {
            Event::Fetch(_) => self.heard.push_back(Word::Message),
            Event::Value(octets) if self.item.is_some() => {
                if self.text.len() + octets.len() > MAX_TEXT {
                    return Err(Ended::UpstreamUnparseable);
                }
                self.text.extend_from_slice(octets);
            }
            Event::Literal(size) if self.item == Some(ItemKind::Section) => {
                (self.item, self.text) = (None, Vec::new());
                self.heard.push_back(Word::Begin(*size));
            }
            Event::Literal(_) | Event::Value(_) | Event::More | Event::Line(_) => {}
            Event::Uid(_)
            | Event::ModSeq(_)
            | Event::Flags(_)
            | Event::Item(_)
            | Event::Dropped
            | Event::FetchEnd => self.next_item(event),
            Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => {}
        }
        Ok(())
    }

    /// The item before is complete.
    fn next_item(&mut self, event: &Event<'_>) {
        let text = std::mem::take(&mut self.text);
        match self.item.take() {
            Some(ItemKind::InternalDate) => self.heard.push_back(Word::Date(parse::internal_date(&text))),
            Some(ItemKind::Section) => self.heard.extend(unquoted(&text).map(Word::Short)),
            Some(
                ItemKind::Rfc822Size
                | ItemKind::Envelope
                | ItemKind::Body
                | ItemKind::BodyStructure
                | ItemKind::Rfc822
                | ItemKind::Rfc822Header
                | ItemKind::Rfc822Text,
            )
            | None => {}
        }
        match event {
            Event::Uid(uid) => self.heard.push_back(Word::Uid(*uid)),
            Event::Flags(flags) => self.heard.push_back(Word::Flags(flags_of(flags))),
            Event::Item(item)
                if item.kind != ItemKind::Section || item.name.eq_ignore_ascii_case(b"BODY[]") =>
            {
                self.item = Some(item.kind);
            }
            Event::FetchEnd => self.heard.push_back(Word::MessageEnd),
            Event::Item(_)
            | Event::ModSeq(_)
            | Event::Dropped
            | Event::More
            | Event::Line(_)
            | Event::Fetch(_)
            | Event::Value(_)
            | Event::Literal(_)
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => {}
        }
    }
}

fn flags_of(words: &[u8]) -> Flags {
    let words = words.split(|octet| *octet == b' ').filter_map(|word| std::str::from_utf8(word).ok());
    words.filter_map(Flag::parse).collect()
}

/// A string that is no literal, but for an empty one; `None` for NIL.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    if text == b"{0}\r\n" {
        return Some(Vec::new());
    }
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let (mut out, mut octets) = (Vec::new(), inner.iter());
    while let Some(octet) = octets.next() {
        out.push(if *octet == b'\\' { *octets.next()? } else { *octet });
    }
    Some(out)
}

impl Source<'_> {
    /// The next thing that is said of the messages.
    pub(super) async fn word(&mut self) -> Result<Word, Ended> {
        loop {
            if let Some(word) = self.ear.heard.pop_front() {
                if matches!(word, Word::Answer(_)) {
                    self.up.answered();
                }
                return Ok(word);
            }
            let up = &mut *self.up;
            let (used, event) = up.scanner.next(up.wire.buffered());
            let more = event == Event::More;
            if let Event::Line(line) = event {
                let selected = self.selected.as_deref_mut();
                let (manner, out) = (self.ear.manner, self.client.wire.out());
                let read = Lines { selected, watch: self.watch, manner, out }.read(line, self.ear.ours)?;
                self.counters.add(Counter::ResponsesDropped, u64::from(read.dropped));
                match read.tell(&mut Found::default()) {
                    Did::Stop(Stop::Tagged(answer)) => self.ear.heard.push_back(Word::Answer(answer)),
                    Did::Stop(Stop::Continue) => return Err(Ended::UpstreamUnparseable),
                    Did::Stop(Stop::Dry) | Did::Go | Did::More | Did::Fail(_) => {}
                }
            } else {
                self.ear.reader.event(&event, self.selected.as_deref(), self.client.wire.out())?;
                self.ear.hear(&event)?;
                // Nobody asks which numbers messages have, and a host may send any number of them.
                self.ear.reader.pairs.clear();
            }
            self.up.wire.consume(used);
            if self.client.wire.out().len() >= QUEUED {
                self.watch.unless_lost(Waiting::Writing, self.client.flush()).await??;
            }
            if more {
                let filled = self.up.wire.fill();
                let filled = self.pace.wait((self.watch, self.client), Waiting::Upstream, filled).await?;
                if !matches!(filled, Ok(1..)) {
                    return Err(Ended::UpstreamGone);
                }
            }
        }
    }

    /// Reads to the tagged answer; what there is of the messages asked for, by UID.
    pub(super) async fn describe(
        &mut self,
        asked: &UidSet,
    ) -> Result<(Answer, BTreeMap<u32, Described>), Ended> {
        let mut all = BTreeMap::new();
        let (mut uid, mut this) = (None, Described::default());
        let (mut flags, mut date) = (false, false);
        loop {
            match self.word().await? {
                Word::Message => (uid, this, flags, date) = (None, Described::default(), false, false),
                Word::Uid(told) => uid = Some(told),
                Word::Flags(told) => (this.flags, flags) = (told, true),
                Word::Date(told) => (this.date, date) = (told, true),
                // One without a date tells of flags that somebody has changed.
                Word::MessageEnd if date && flags => {
                    let uid = uid.filter(|uid| asked.contains(*uid));
                    all.extend(uid.map(|uid| (uid, std::mem::take(&mut this))));
                }
                Word::MessageEnd => {}
                Word::Begin(_) | Word::Short(_) => return Err(Ended::UpstreamUnparseable),
                Word::Answer(answer) => return Ok((answer, all)),
            }
        }
    }

    /// The octets of the message that has begun, and what is needed to wait for them.
    pub(super) fn body(&mut self, size: u64) -> (Body<'_>, &mut Pace, (&mut Watch, &mut Client)) {
        let sleep = Box::pin(sleep(self.patience));
        let body = Body { up: self.up, left: size, patience: self.patience, sleep, flaw: None };
        (body, self.pace, (self.watch, self.client))
    }

    /// Reads the rest of a message over, for nobody.
    pub(super) async fn skip(&mut self, octets: u64) -> Result<(), Ended> {
        let mut left = octets;
        while left > 0 {
            if self.up.wire.buffered().is_empty() {
                let filled = self.up.wire.fill();
                let filled = self.pace.wait((self.watch, self.client), Waiting::Upstream, filled).await?;
                if !matches!(filled, Ok(1..)) {
                    return Err(Ended::UpstreamGone);
                }
            }
            let here = self.up.wire.buffered().len();
            let taken = usize::try_from(left).map_or(here, |left| left.min(here));
            left -= taken as u64;
            self.up.scanner.passed(taken as u64);
            self.up.wire.consume(taken);
        }
        Ok(())
    }
}

/// Why a message could not be read to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    /// No message may have one (RFC 3501 §9, CHAR8).
    Nul,
    Gone,
    Slow,
}

/// A message's octets as they come: the connection's own buffer is all that is kept of them.
pub(super) struct Body<'a> {
    up: &'a mut Connection,
    /// Octets still to come.
    pub(super) left: u64,
    patience: Duration,
    sleep: Pin<Box<Sleep>>,
    pub(super) flaw: Option<Flaw>,
}

impl AsyncRead for Body<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.left > 0 && this.up.wire.buffered().is_empty() {
            match this.up.wire.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => this.sleep.as_mut().reset(Instant::now() + this.patience),
                Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(this.fail(Flaw::Gone)),
                Poll::Pending => {
                    ready!(this.sleep.as_mut().poll(cx));
                    return Poll::Ready(this.fail(Flaw::Slow));
                }
            }
        }
        let here = this.up.wire.buffered();
        let most = here.len().min(out.remaining());
        let taken = usize::try_from(this.left).map_or(most, |left| left.min(most));
        if memchr::memchr(0, &here[..taken]).is_some() {
            return Poll::Ready(this.fail(Flaw::Nul));
        }
        out.put_slice(&here[..taken]);
        this.left -= taken as u64;
        this.up.scanner.passed(taken as u64);
        this.up.wire.consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl Body<'_> {
    fn fail(&mut self, flaw: Flaw) -> io::Result<()> {
        self.flaw = Some(flaw);
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn a_message_may_come_without_a_literal() {
        for (text, message) in [
            ("\"a: b\"", Some("a: b")),
            ("\"a \\\"b\\\\\"", Some("a \"b\\")),
            ("\"\"", Some("")),
            ("{0}\r\n", Some("")),
            ("NIL", None),
            ("\"a\\\"", None),
        ] {
            assert_eq!(unquoted(text.as_bytes()).as_deref(), message.map(str::as_bytes), "{text}");
        }
    }
}
