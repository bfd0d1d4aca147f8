//! One upstream command and its answer: sent, scanned, and shown as far as it may be seen.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::client::Client;
use super::ended::Ended;
use super::lines::Lines;
use super::reader::Reader;
use super::session::Selected;
use super::watch::{Waiting, Watch};
use crate::imap::command::Tag;
use crate::imap::response::{self, Code, Condition, Copies, Response};
use crate::imap::scan::{Event, Listing, Numbers};
use crate::imap::writer::Outgoing;
use crate::net::Wire;
use crate::policy::Copied;
use crate::telemetry::{Counter, Counters};
use crate::types::{UidSet, UidValidity};
use crate::upstream::Connection;

/// Value octets that are written to the client without being copied first. Fewer are worth
/// more in one write with what follows them: a 20 KB message is one write, not two.
const DIRECT: usize = 32 * 1024;

/// Output that is queued before it is written.
pub(super) const QUEUED: usize = 32 * 1024;

/// Octets of SELECT's answer that are held until upstream says OK: FLAGS of thousands of
/// keywords fit.
const MAX_HELD: usize = 256 * 1024;

/// How long a command that changes something is waited for after its session has ended.
const READ_OUT: Duration = Duration::from_secs(60);

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
    /// The client was told flags besides what the step asked for.
    pub(super) told_flags: bool,
    /// Numbers of a SEARCH answer.
    pub(super) uids: UidSet,
    /// MODSEQ of a SEARCH answer (RFC 7162 §3.1.5).
    pub(super) search_mod_seq: Option<u64>,
    /// APPENDUID, and COPYUID's target.
    pub(super) stored: Option<(UidValidity, UidSet)>,
    /// Which copy each message has, where COPYUID says so.
    pub(super) copies: Option<Copies>,
    /// UIDs of which a FETCH has handed over text.
    pub(super) read: UidSet,
    /// Of the UIDs found, those that are in Trash already.
    pub(super) copied_before: UidSet,
    /// All of COPYUID.
    pub(super) copied: Option<Copied>,
    /// UIDVALIDITY, at SELECT.
    pub(super) validity: Option<UidValidity>,
    /// SELECT told which flags are permanent.
    pub(super) permanent: bool,
    /// SELECT's data for the client, held until upstream says OK.
    pub(super) held: Vec<u8>,
    /// Messages have come or gone.
    pub(super) moved: bool,
    /// Octets of the command are on their way.
    pub(super) sent: bool,
    /// How the command ended upstream, where the session ended before it.
    pub(super) ended: Option<Condition>,
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

    /// An answer to a command that has not been sent whole: upstream may refuse it, but
    /// cannot have carried it out.
    pub(super) fn before_the_end(self) -> Result<Self, Ended> {
        if self.is_ok() { Err(Ended::UpstreamUnparseable) } else { Ok(self) }
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
    /// The client has enabled QRESYNC; [`Session::exchanging`] sees to it.
    ///
    /// [`Session::exchanging`]: super::session::Session
    pub(super) qresync: bool,
    /// The step is a SEARCH, SORT or THREAD of the client's.
    pub(super) searches: Option<Listing>,
    /// The client numbers by UID.
    pub(super) by_uid: bool,
    /// The client may learn where messages went: it may read the target.
    pub(super) tells_uids: bool,
    pub(super) as_rfc822: bool,
    pub(super) as_rfc822_text: bool,
}

impl Manner {
    /// For commands of our own: nobody sees their answers, but for changes in the folder.
    pub(super) const fn of_ours() -> Self {
        Self {
            show: Show::Changes,
            opening: false,
            no_expunge: false,
            condstore: false,
            qresync: false,
            searches: None,
            by_uid: false,
            tells_uids: false,
            as_rfc822: false,
            as_rfc822_text: false,
        }
    }
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
    pub(super) async fn run(
        &mut self,
        outgoing: &Outgoing,
        ours: &Tag,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        self.begin(ours, found).await?;
        let last = outgoing.parts.len().saturating_sub(1);
        for (i, part) in outgoing.parts.iter().enumerate() {
            self.watch.refresh()?;
            found.sent = true;
            self.send(part).await?;
            if i < last
                && let Stop::Tagged(answer) = self.read(ours, found).await?
            {
                return answer.before_the_end();
            }
        }
        match self.read(ours, found).await? {
            Stop::Tagged(answer) => Ok(answer),
            Stop::Continue | Stop::Dry => Err(Ended::UpstreamUnparseable),
        }
    }

    /// Takes in what upstream has said since the last command. An answer under the tag that
    /// is about to be used would be taken for the command's own.
    pub(super) async fn begin(&mut self, ours: &Tag, found: &mut Found) -> Result<(), Ended> {
        if matches!(fill_at_once(&mut self.up.wire).await, Some(Ok(0) | Err(_))) {
            return Err(Ended::UpstreamGone);
        }
        match self.take_in(ours, found).await? {
            Stop::Dry => Ok(()),
            Stop::Continue | Stop::Tagged(_) => Err(Ended::UpstreamUnparseable),
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
            let did = match event {
                Event::More => Did::More,
                Event::Value(octets)
                    if octets.len() >= DIRECT && reader.streams() && !self.manner.opening =>
                {
                    let passed = pass(&mut self.client.wire, octets);
                    let passed = self.watch.unless_lost(Waiting::Writing, passed).await;
                    passed.and_then(|passed| passed).map_or_else(Did::Fail, |()| Did::Go)
                }
                Event::Line(line) => {
                    let out = if self.manner.opening { &mut found.held } else { self.client.wire.out() };
                    let selected = self.selected.as_deref_mut();
                    let mut lines = Lines { selected, watch: self.watch, manner: self.manner, out };
                    let read = lines.read(line, ours)?;
                    self.counters.add(Counter::ResponsesDropped, u64::from(read.dropped));
                    read.tell(found)
                }
                event => {
                    let out = if self.manner.opening { &mut found.held } else { self.client.wire.out() };
                    let dropped = reader.event(&event, self.selected.as_deref(), out)?;
                    // A counter costs as much as the rest of an event, and most drop nothing.
                    if dropped > 0 {
                        self.counters.add(Counter::ResponsesDropped, dropped);
                    }
                    Did::Go
                }
            };
            self.up.wire.consume(used);
            if found.held.len() > MAX_HELD && self.manner.qresync && found.validity.is_some() {
                // The folder is open: changes since the client last looked may be told as they come.
                self.client.wire.queue(&std::mem::take(&mut found.held));
            }
            if found.held.len() > MAX_HELD || reader.pairs.len() > Numbers::MAX_NUMBERS {
                return Err(Ended::UpstreamUnparseable);
            }
            match did {
                Did::Go => {}
                // Only now: scanner and wire must stand at the same octet, whatever follows.
                Did::Fail(ended) => return Err(ended),
                Did::Stop(stop) => {
                    reader.tell(found)?;
                    if matches!(stop, Stop::Tagged(_)) {
                        self.up.answered();
                    }
                    return Ok(stop);
                }
                Did::More if self.up.scanner.is_between_responses() => {
                    reader.tell(found)?;
                    return Ok(Stop::Dry);
                }
                Did::More => self.fill().await?,
            }
            if self.client.wire.out().len() >= QUEUED {
                self.flush_client().await?;
            }
        }
    }

    /// Waits for more from upstream; if that takes time, the client gets what there is.
    pub(super) async fn fill(&mut self) -> Result<(), Ended> {
        let filled = match fill_at_once(&mut self.up.wire).await {
            Some(filled) => filled,
            None => {
                self.flush_client().await?;
                self.watch.unless_lost(Waiting::Upstream, self.up.wire.fill()).await?
            }
        };
        match filled {
            Ok(0) | Err(_) => Err(Ended::UpstreamGone),
            Ok(_) => Ok(()),
        }
    }

    pub(super) async fn flush_client(&mut self) -> Result<(), Ended> {
        self.watch.unless_lost(Waiting::Writing, self.client.flush()).await?
    }
}

pub(super) enum Did {
    More,
    Go,
    Fail(Ended),
    Stop(Stop),
}

/// Octets that have arrived already; `None` if upstream must be waited for.
async fn fill_at_once(wire: &mut Wire) -> Option<std::io::Result<usize>> {
    poll_fn(|cx| {
        Poll::Ready(match wire.poll_fill(cx) {
            Poll::Ready(filled) => Some(filled),
            Poll::Pending => None,
        })
    })
    .await
}

/// Writes octets to the client without copying them. Not resumable: who is interrupted here
/// must end the session.
async fn pass(wire: &mut Wire, octets: &[u8]) -> Result<(), Ended> {
    let mut rest = octets;
    while !rest.is_empty() {
        let taken = wire.write_some(rest).await.map_err(|_| Ended::ClientGone)?;
        rest = &rest[taken..];
    }
    Ok(())
}

/// Reads a command's answer to its end for nobody but the journal and the store: the client
/// is gone. `found.ended` stays `None` if upstream does not end it in a minute.
pub(super) async fn read_out(up: &mut Connection, ours: &Tag, found: &mut Found) {
    let read = async {
        // What has begun to go up goes up whole.
        up.wire.flush().await.ok()?;
        loop {
            let (used, event) = up.scanner.next(up.wire.buffered());
            let (mut ended, mut dry) = (None, false);
            match event {
                Event::More => dry = true,
                Event::Fault(_) => return None,
                Event::Line(line) => {
                    let response = response::parse(line).ok()?;
                    found.stored = stored(&response).or(found.stored.take());
                    if let Response::Tagged { tag, status } = response
                        && tag == *ours
                    {
                        ended = Some(status.condition);
                    }
                }
                _ => {}
            }
            up.wire.consume(used);
            if ended.is_some() {
                return ended;
            }
            if dry && !matches!(up.wire.fill().await, Ok(1..)) {
                return None;
            }
        }
    };
    found.ended = tokio::time::timeout(READ_OUT, read).await.ok().flatten();
}

/// Where messages went, if the response says so.
fn stored(response: &Response<'_>) -> Option<(UidValidity, UidSet)> {
    let (Response::Tagged { status, .. } | Response::Status(status)) = response else { return None };
    match &status.code {
        Some(Code::AppendUid { validity, uids }) => Some((*validity, uids.clone())),
        Some(Code::CopyUid { validity, to, .. }) => Some((*validity, to.clone())),
        _ => None,
    }
}
