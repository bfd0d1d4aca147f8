//! One upstream command and its answer: sent, scanned, and shown as far as it may be seen.

use std::future::poll_fn;
use std::task::Poll;

use super::client::Client;
use super::ended::Ended;
use super::session::Selected;
use super::watch::{Waiting, Watch};
use crate::imap::command::Tag;
use crate::imap::filter::{self, FetchWriter, SearchWriter, Window};
use crate::imap::response::{self, Code, Condition, Response, Status};
use crate::imap::scan::{Event, Numbers};
use crate::imap::writer::Outgoing;
use crate::net::Wire;
use crate::telemetry::{Counter, Counters};
use crate::types::{Flag, UidSet, UidValidity};
use crate::upstream::Connection;

/// Value octets that are written to the client without being copied first.
const DIRECT: usize = 8 * 1024;

/// Output that is queued before it is written.
const QUEUED: usize = 32 * 1024;

/// What the client sees of the answer to a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Show {
    /// The answer to its command, and changes in the folder.
    Answer,
    /// Changes in the folder: what the step asks for is for us.
    Changes,
    /// Nothing: the folder is being closed, or not yet open.
    Nothing,
}

/// What an answer brought to light.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// (sequence number, UID) of FETCH answers.
    pub(super) numbers: Vec<(u32, u32)>,
    /// Numbers of a SEARCH answer.
    pub(super) uids: UidSet,
    /// APPENDUID, and COPYUID's target.
    pub(super) stored: Option<(UidValidity, UidSet)>,
    /// UIDVALIDITY, at SELECT.
    pub(super) validity: Option<UidValidity>,
    /// SELECT told which flags are permanent.
    pub(super) permanent: bool,
    /// SELECT's data for the client, held until upstream says OK.
    pub(super) held: Vec<u8>,
}

/// The tagged answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) condition: Condition,
    /// The code that the client may see, in our words.
    pub(super) code: Option<String>,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.condition == Condition::Ok
    }
}

/// The two connections and what is known of the folder between them, for one step.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a mut Client,
    pub(super) watch: &'a mut Watch,
    pub(super) up: &'a mut Connection,
    /// The folder that is open, or is being opened.
    pub(super) selected: Option<&'a mut Selected>,
    pub(super) counters: &'a Counters,
    /// The client's tag: ESEARCH repeats it.
    pub(super) tag: &'a Tag,
    pub(super) manner: Manner,
}

/// How the answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) show: Show,
    /// The step opens a folder.
    pub(super) opening: bool,
    /// The step is a FETCH, STORE or SEARCH by sequence number (RFC 3501 §7.4.1).
    pub(super) no_expunge: bool,
    pub(super) condstore: bool,
    /// The client numbers by UID.
    pub(super) by_uid: bool,
    /// The client may learn where messages went: it may read the target.
    pub(super) tells_uids: bool,
    pub(super) as_rfc822: bool,
    pub(super) as_rfc822_text: bool,
}

/// Where reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// `+`.
    Continue,
    Tagged(Answer),
    /// All that has arrived is read, and no response is cut off.
    Dry,
}

impl Exchange<'_> {
    /// Sends a command and reads to its tagged answer.
    pub(super) async fn run(&mut self, outgoing: &Outgoing, ours: &Tag, found: &mut Found) -> Result<Answer, Ended> {
        let last = outgoing.parts.len().saturating_sub(1);
        for (i, part) in outgoing.parts.iter().enumerate() {
            self.send(part).await?;
            if i < last
                && let Stop::Tagged(answer) = self.read(ours, found).await?
            {
                return Ok(answer);
            }
        }
        match self.read(ours, found).await? {
            Stop::Tagged(answer) => Ok(answer),
            Stop::Continue | Stop::Dry => Err(Ended::UpstreamUnparseable),
        }
    }

    /// Sends octets that the writer made.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), Ended> {
        self.up.wire.queue(octets);
        let flushed = self.watch.unless_lost(Waiting::Upstream, self.up.wire.flush()).await?;
        flushed.map_err(|_| Ended::UpstreamGone)
    }

    /// Reads to the tagged answer or a `+`.
    pub(super) async fn read(&mut self, ours: &Tag, found: &mut Found) -> Result<Stop, Ended> {
        loop {
            match self.take_in(ours, found).await? {
                Stop::Dry => self.fill().await?,
                stop @ (Stop::Continue | Stop::Tagged(_)) => return Ok(stop),
            }
        }
    }

    /// Reads what has arrived, and on to the end of a response that has begun.
    pub(super) async fn take_in(&mut self, ours: &Tag, found: &mut Found) -> Result<Stop, Ended> {
        let mut reader = Reader::new(self.manner, ours, self.tag);
        loop {
            let up = &mut *self.up;
            let (used, event) = up.scanner.next(up.wire.buffered());
            let out = if self.manner.opening { &mut found.held } else { self.client.wire.out() };
            let mut stop = None;
            match event {
                Event::More if up.scanner_is_between(used) => stop = Some(Stop::Dry),
                Event::More => {}
                Event::Line(line) => {
                    let response = response::parse(line).map_err(|_| Ended::UpstreamUnparseable)?;
                    stop = self.line(&response, ours, found)?;
                }
                Event::Fault(fault) => {
                    tracing::warn!(%fault, "upstream cannot be understood");
                    return Err(Ended::UpstreamUnparseable);
                }
                Event::Value(octets) if octets.len() >= DIRECT && reader.streams() => {
                    let passed = pass(&mut self.client.wire, octets);
                    self.watch.unless_lost(Waiting::Writing, passed).await??;
                }
                event => {
                    let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
                    let dropped = reader.event(&event, messages, out)?;
                    self.counters.add(Counter::ResponsesDropped, dropped);
                }
            }
            let more = matches!(event, Event::More);
            self.up.wire.consume(used);
        }
    }
}
