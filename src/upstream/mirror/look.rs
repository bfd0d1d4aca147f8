//! Asking a connection what is in the folder that it has open.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::imap::response::{self, Code, Condition, Response, Status};
use crate::imap::scan::{Event, Numbers};
use crate::imap::writer::{self, Housekeeping};
use crate::types::{UidSet, UidValidity};
use crate::upstream::connection::{ANSWER, Connection, words};
use crate::upstream::error::CommandError;

/// Most messages whose flags one answer may bring; as many as [`Numbers`] reads.
const MAX_FLAGGED: usize = Numbers::MAX_NUMBERS;

/// How often UIDs are asked for until nothing comes or goes meanwhile.
const ATTEMPTS: usize = 8;

/// A message's flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Flagged {
    pub(super) uid: u32,
    pub(super) mod_seq: Option<u64>,
    pub(super) flags: Arc<[u8]>,
}

/// What a look has found in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) uids: UidSet,
    /// Those that changed, or all.
    pub(super) flags: Vec<Flagged>,
    /// HIGHESTMODSEQ, if the folder was opened for the look.
    pub(super) highest: Option<u64>,
}

/// What an answer said of the open folder.
#[derive(Debug, Default)]
pub(super) struct Seen {
    uids: UidSet,
    flags: Vec<Flagged>,
    pub(super) validity: Option<UidValidity>,
    /// HIGHESTMODSEQ.
    pub(super) highest: Option<u64>,
    pub(super) ok: bool,
    /// Messages have come or gone, or flags were told unasked.
    news: bool,
    exists: Option<u32>,
    numbers: Numbers,
    uid: Option<u32>,
    mod_seq: Option<u64>,
    told: Option<Arc<[u8]>>,
}

/// What a piece of an answer meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    /// All that has arrived is read.
    Dry,
    Data,
    Prompt,
    Tagged,
}

impl Connection {
    /// Opens a folder for reading. `seen.ok` is false if the host refused.
    pub(super) async fn examine(&mut self, folder: &[u8], condstore: bool) -> Result<Seen, CommandError> {
        self.set_selected(true);
        self.ask(&Housekeeping::Examine { folder, condstore }).await
    }

    /// The UIDs in the open folder, at one moment: asked for again while messages come or go.
    pub(super) async fn uids(&mut self) -> Result<UidSet, CommandError> {
        let esearch = self.capabilities().has("ESEARCH");
        for _ in 0..ATTEMPTS {
            let seen = self.ask(&Housekeeping::Uids { esearch }).await?;
            if !seen.ok {
                return Err(CommandError::Protocol("the host refuses to list what is in a folder"));
            }
            if seen.exists.is_none() {
                return Ok(seen.uids);
            }
        }
        Err(CommandError::Slow)
    }

    /// Flags that have changed `since` a mod-sequence; all where there are none.
    pub(super) async fn changed_flags(&mut self, since: Option<u64>) -> Result<Vec<Flagged>, CommandError> {
        let seen = self.ask(&Housekeeping::AllFlags { since }).await?;
        if !seen.ok {
            return Err(CommandError::Protocol("the host refuses to tell flags"));
        }
        Ok(seen.flags)
    }

    /// Brings the open folder up to date; says whether there was anything new.
    pub(super) async fn poll(&mut self) -> Result<bool, CommandError> {
        Ok(self.ask(&Housekeeping::Noop).await?.news)
    }

    /// IDLE until there is news, `wake` resolves or the time has come; says whether there was
    /// news.
    pub(super) async fn idle(
        &mut self,
        wake: impl Future<Output = ()>,
        until: Instant,
    ) -> Result<bool, CommandError> {
        let tag = self.tag();
        let mut seen = Seen::default();
        self.say(&Housekeeping::Idle, &tag).await?;
        let prompted = timeout_at(Instant::now() + ANSWER, self.read(&tag, &mut seen)).await;
        if prompted.unwrap_or(Err(CommandError::Slow))? == Heard::Tagged {
            self.answered();
            return Err(CommandError::Protocol("the host offers IDLE and refuses it"));
        }
        tokio::select! {
            idled = self.until_news(&tag, &mut seen) => idled?,
            () = wake => {}
            () = sleep_until(until) => {}
        }
        self.say(&Housekeeping::Done, &tag).await?;
        let ended = timeout_at(Instant::now() + ANSWER, self.read(&tag, &mut seen)).await;
        if ended.unwrap_or(Err(CommandError::Slow))? != Heard::Tagged {
            return Err(CommandError::Protocol("a prompt out of place"));
        }
        self.answered();
        Ok(seen.news)
    }

    /// Reads until something is new and nothing more has arrived. Cancel-safe.
    async fn until_news(&mut self, tag: &str, seen: &mut Seen) -> Result<(), CommandError> {
        loop {
            match self.hear(tag, seen)? {
                Heard::Data => {}
                Heard::Dry if seen.news && self.scanner.is_between_responses() => return Ok(()),
                Heard::Dry => self.more().await?,
                Heard::Prompt | Heard::Tagged => {
                    return Err(CommandError::Protocol("an answer before DONE"));
                }
            }
        }
    }

    /// A command of ours on the open folder, to its end.
    async fn ask(&mut self, what: &Housekeeping<'_>) -> Result<Seen, CommandError> {
        let work = async {
            let tag = self.tag();
            let mut seen = Seen::default();
            self.say(what, &tag).await?;
            if self.read(&tag, &mut seen).await? == Heard::Prompt {
                return Err(CommandError::Protocol("a prompt out of place"));
            }
            self.answered();
            seen.uids = std::mem::take(&mut seen.numbers).finish().map_err(CommandError::Unreadable)?;
            Ok(seen)
        };
        timeout_at(Instant::now() + ANSWER, work).await.unwrap_or(Err(CommandError::Slow))
    }

    async fn say(&mut self, what: &Housekeeping<'_>, tag: &str) -> Result<(), CommandError> {
        let outgoing = writer::housekeeping(what, tag).ok_or(CommandError::Unwritable)?;
        // A folder's name may need a literal, and that a prompt.
        for (i, part) in outgoing.parts.iter().enumerate() {
            self.wire.queue(part);
            self.wire.flush().await?;
            if i + 1 < outgoing.parts.len() && self.read(tag, &mut Seen::default()).await? != Heard::Prompt {
                return Err(CommandError::Protocol("the host refuses a folder's name"));
            }
        }
        Ok(())
    }

    /// Reads to the tagged answer or a prompt.
    async fn read(&mut self, tag: &str, seen: &mut Seen) -> Result<Heard, CommandError> {
        loop {
            match self.hear(tag, seen)? {
                Heard::Dry => self.more().await?,
                Heard::Data => {}
                heard @ (Heard::Prompt | Heard::Tagged) => return Ok(heard),
            }
        }
    }

    async fn more(&mut self) -> Result<(), CommandError> {
        match self.wire.fill().await? {
            0 => Err(CommandError::Dead(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    fn hear(&mut self, tag: &str, seen: &mut Seen) -> Result<Heard, CommandError> {
        let (used, event) = self.scanner.next(self.wire.buffered());
        let heard = seen.take(&event, tag);
        self.wire.consume(used);
        heard
    }
}

impl Seen {
    fn take(&mut self, event: &Event<'_>, tag: &str) -> Result<Heard, CommandError> {
        match event {
            Event::More => return Ok(Heard::Dry),
            Event::Fault(fault) => return Err(CommandError::Unreadable(*fault)),
            Event::Line(line) => return self.line(line, tag),
            Event::Fetch(_) => (self.uid, self.mod_seq, self.told) = (None, None, None),
            Event::Uid(uid) => self.uid = Some(*uid),
            Event::ModSeq(value) => self.mod_seq = Some(*value),
            Event::Flags(flags) => self.told = Some(without_recent(flags)),
            Event::FetchEnd => self.fetched()?,
            Event::SearchNumbers(octets) => self.numbers.read(octets).map_err(CommandError::Unreadable)?,
            Event::Item(_)
            | Event::Value(_)
            | Event::Literal(_)
            | Event::Dropped
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchEnd => {}
        }
        Ok(Heard::Data)
    }

    fn fetched(&mut self) -> Result<(), CommandError> {
        self.news = true;
        if let (Some(uid), Some(flags)) = (self.uid, self.told.take()) {
            self.flags.push(Flagged { uid, mod_seq: self.mod_seq, flags });
        }
        match self.flags.len() {
            0..=MAX_FLAGGED => Ok(()),
            _ => Err(CommandError::Protocol("an answer without end")),
        }
    }

    fn line(&mut self, line: &[u8], tag: &str) -> Result<Heard, CommandError> {
        match response::parse(line) {
            Ok(Response::Tagged { tag: theirs, status }) if theirs.as_str() == tag => {
                self.ok = status.condition == Condition::Ok;
                return Ok(Heard::Tagged);
            }
            Ok(Response::Tagged { .. }) => {
                return Err(CommandError::Protocol("an answer to nothing that was asked"));
            }
            Ok(Response::Continue(_)) => return Ok(Heard::Prompt),
            Ok(Response::Status(Status { condition: Condition::Bye, .. })) => {
                return Err(CommandError::Bye(words(line)));
            }
            Ok(Response::Status(status)) => match status.code {
                Some(Code::UidValidity(value)) => self.validity = Some(value),
                Some(Code::HighestModSeq(value)) => self.highest = Some(value),
                _ => {}
            },
            Ok(Response::Exists(number) | Response::Expunge(number)) => {
                (self.exists, self.news) = (Some(number), true);
            }
            Ok(Response::Vanished { .. }) => (self.exists, self.news) = (Some(0), true),
            Ok(_) => {}
            Err(_) if line.starts_with(b"* ") => {}
            Err(_) => return Err(CommandError::Protocol("a line that is no answer")),
        }
        Ok(Heard::Data)
    }
}

fn without_recent(flags: &[u8]) -> Arc<[u8]> {
    let told = flags.split(|octet| *octet == b' ').filter(|flag| !flag.eq_ignore_ascii_case(b"\\Recent"));
    told.collect::<Vec<_>>().join(&b' ').into()
}
