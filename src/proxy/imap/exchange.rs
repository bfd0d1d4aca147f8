//! One upstream command and its answer: sent, scanned, and shown as far as it may be seen.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::client::Client;
use super::ended::Ended;
use super::session::Selected;
use super::watch::{Waiting, Watch};
use crate::imap::command::Tag;
use crate::imap::filter::{self, FetchView, FetchWriter, SearchWriter, Window};
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
    /// The step is a SEARCH of the client's.
    pub(super) searches: bool,
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
    pub(super) async fn run(
        &mut self,
        outgoing: &Outgoing,
        ours: &Tag,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        self.begin(ours, found).await?;
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
                Event::Value(octets) if octets.len() >= DIRECT && reader.streams() => {
                    let passed = pass(&mut self.client.wire, octets);
                    self.watch.unless_lost(Waiting::Writing, passed).await??;
                    Did::Go
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
                    let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
                    let dropped = reader.event(&event, messages, self.client.wire.out())?;
                    self.counters.add(Counter::ResponsesDropped, dropped);
                    Did::Go
                }
            };
            self.up.wire.consume(used);
            match did {
                Did::Go => {}
                Did::Stop(stop) => {
                    reader.tell(found)?;
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

enum Did {
    More,
    Go,
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

/// Reads a command's answer to its end for nobody but the journal: the client is gone.
/// `None` if upstream does not end it in a minute.
pub(super) async fn read_out(up: &mut Connection, ours: &Tag) -> Option<Condition> {
    let read = async {
        loop {
            let (used, event) = up.scanner.next(up.wire.buffered());
            let (mut ended, mut dry) = (None, false);
            match event {
                Event::More => dry = true,
                Event::Fault(_) => return None,
                Event::Line(line) => {
                    if let Ok(Response::Tagged { tag, status }) = response::parse(line)
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
    tokio::time::timeout(READ_OUT, read).await.ok().flatten()
}

/// Makes client data of FETCH and SEARCH answers, or facts for us.
struct Reader<'a> {
    manner: Manner,
    fetch: FetchWriter,
    search: SearchWriter<'a>,
    number: u32,
    uid: Option<u32>,
    has_flags: bool,
    /// A FETCH answer that is the client's only if it carries flags.
    aside: Vec<u8>,
    pairs: Vec<(u32, u32)>,
    numbers: Numbers,
    searched: bool,
}

impl<'a> Reader<'a> {
    fn new(manner: Manner, ours: &'a Tag, client: &'a Tag) -> Self {
        let fetch = FetchWriter::new(FetchView {
            condstore: manner.condstore,
            as_rfc822: manner.as_rfc822,
            as_rfc822_text: manner.as_rfc822_text,
            hide_uid: manner.show == Show::Changes && !manner.by_uid,
        });
        Self {
            manner,
            fetch,
            search: SearchWriter::new(ours, client, manner.condstore),
            number: 0,
            uid: None,
            has_flags: false,
            aside: Vec::new(),
            pairs: Vec::new(),
            numbers: Numbers::default(),
            searched: false,
        }
    }

    /// Whether values go to the client as they come.
    fn streams(&self) -> bool {
        self.manner.show == Show::Answer
    }

    /// Takes one event in; says how many things were dropped.
    fn event(&mut self, event: &Event<'_>, messages: u32, out: &mut Vec<u8>) -> Result<u64, Ended> {
        match event {
            Event::Fault(fault) => {
                tracing::warn!(%fault, "upstream cannot be understood");
                Err(Ended::UpstreamUnparseable)
            }
            Event::Search
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
            | Event::Search
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
            if !self.manner.searches {
                return Ok(u64::from(matches!(event, Event::Search | Event::Esearch(_))));
            }
            return Ok(self.search.event(event, out).map_or(0, |_| 1));
        }
        if let Event::SearchNumbers(text) = event {
            self.searched = true;
            self.numbers.read(text).map_err(|_| Ended::UpstreamUnparseable)?;
        }
        Ok(0)
    }

    /// Hands over what was found so far.
    fn tell(&mut self, found: &mut Found) -> Result<(), Ended> {
        found.numbers.append(&mut self.pairs);
        if std::mem::take(&mut self.searched) {
            let numbers = std::mem::take(&mut self.numbers);
            let uids = numbers.finish().map_err(|_| Ended::UpstreamUnparseable)?;
            uids.ranges().for_each(|(a, b)| found.uids.insert_range(a, b));
        }
        Ok(())
    }
}

/// Reads lines: keeps our idea of the folder in step, and tells the client what it may know.
struct Lines<'a> {
    selected: Option<&'a mut Selected>,
    watch: &'a Watch,
    manner: Manner,
    out: &'a mut Vec<u8>,
}

/// What a line meant.
#[derive(Default)]
struct Read {
    stop: Option<Stop>,
    stored: Option<(UidValidity, UidSet)>,
    validity: Option<UidValidity>,
    permanent: bool,
    dropped: bool,
}

impl Read {
    fn tell(self, found: &mut Found) -> Did {
        found.stored = self.stored.or(found.stored.take());
        found.validity = self.validity.or(found.validity);
        found.permanent |= self.permanent;
        self.stop.map_or(Did::Go, Did::Stop)
    }
}

impl Lines<'_> {
    fn read(&mut self, line: &[u8], ours: &Tag) -> Result<Read, Ended> {
        let Ok(response) = response::parse(line) else {
            // An untagged line that makes no sense is data that nobody may see.
            let untagged = line.starts_with(b"* ");
            return if untagged {
                Ok(Read { dropped: true, ..Read::default() })
            } else {
                Err(Ended::UpstreamUnparseable)
            };
        };
        match &response {
            Response::Tagged { tag, status } if tag == ours => Ok(self.tagged(status)),
            Response::Continue(_) => Ok(Read { stop: Some(Stop::Continue), ..Read::default() }),
            Response::Tagged { .. } => Err(Ended::UpstreamUnparseable),
            Response::Status(_)
            | Response::Exists(_)
            | Response::Recent(_)
            | Response::Expunge(_)
            | Response::Flags(_)
            | Response::Capability(_)
            | Response::Enabled(_)
            | Response::List(_)
            | Response::Lsub(_)
            | Response::StatusData(_)
            | Response::Vanished { .. }
            | Response::Unknown => self.untagged(&response),
        }
    }

    fn tagged(&self, status: &Status<'_>) -> Read {
        let mut read = Read::default();
        let code = match &status.code {
            Some(Code::AppendUid { validity, uids }) => {
                read.stored = Some((*validity, uids.clone()));
                self.manner.tells_uids.then(|| format!("APPENDUID {} {uids}", validity.0))
            }
            Some(Code::CopyUid { validity, to, pairs, .. }) => {
                read.stored = Some((*validity, to.clone()));
                let text = |set: &[u8]| String::from_utf8_lossy(set).into_owned();
                let copied = || format!("COPYUID {} {} {}", validity.0, text(pairs.from), text(pairs.to));
                self.manner.tells_uids.then(copied)
            }
            Some(Code::Modified(set)) => Some(format!("MODIFIED {set}")),
            Some(Code::HighestModSeq(value)) if self.manner.condstore => {
                Some(format!("HIGHESTMODSEQ {value}"))
            }
            Some(Code::OverQuota) => Some("OVERQUOTA".to_owned()),
            Some(Code::AlreadyExists) => Some("ALREADYEXISTS".to_owned()),
            Some(Code::InUse) => Some("INUSE".to_owned()),
            Some(Code::Limit) => Some("LIMIT".to_owned()),
            Some(Code::Unavailable) => Some("UNAVAILABLE".to_owned()),
            Some(
                Code::Alert
                | Code::AuthenticationFailed
                | Code::AuthorizationFailed
                | Code::Capability(_)
                | Code::Closed
                | Code::HighestModSeq(_)
                | Code::NoModSeq
                | Code::NonExistent
                | Code::NoPerm
                | Code::PermanentFlags(_)
                | Code::ReadOnly
                | Code::ReadWrite
                | Code::TryCreate
                | Code::UidNext(_)
                | Code::UidValidity(_)
                | Code::Unseen(_)
                | Code::Other,
            )
            | None => None,
        };
        read.stop = Some(Stop::Tagged(Answer { condition: status.condition, code }));
        read
    }

    fn untagged(&mut self, response: &Response<'_>) -> Result<Read, Ended> {
        let mut read = Read::default();
        if let Response::Status(status) = response {
            match &status.code {
                Some(Code::CopyUid { validity, to, .. }) => read.stored = Some((*validity, to.clone())),
                Some(Code::UidValidity(validity)) => read.validity = Some(*validity),
                Some(Code::PermanentFlags(_)) => read.permanent = true,
                Some(_) | None => {}
            }
        }
        self.keep_up(response)?;
        if self.manner.show == Show::Nothing {
            return Ok(read);
        }
        let folder = self.selected.as_deref().map(|selected| filter::Folder {
            effective: self.watch.effective(),
            place: selected.place(self.watch),
        });
        let window = Window {
            folder,
            opening: self.manner.opening,
            no_expunge: self.manner.no_expunge,
            status: None,
            copy_uid: self.manner.tells_uids,
        };
        match filter::untagged(response, &window, self.out) {
            Ok(dropped) => read.dropped = dropped.is_some(),
            Err(doubt) => {
                tracing::warn!(%doubt, "upstream puts the session in doubt");
                return Err(match doubt {
                    filter::Doubt::Bye => Ended::UpstreamGone,
                    filter::Doubt::UidValidity | filter::Doubt::Closed => Ended::FolderChanged,
                    filter::Doubt::Expunge | filter::Doubt::Vanished | filter::Doubt::OutOfTurn => {
                        Ended::UpstreamUnparseable
                    }
                });
            }
        }
        Ok(read)
    }

    /// Our idea of the folder: how many messages, which keywords.
    fn keep_up(&mut self, response: &Response<'_>) -> Result<(), Ended> {
        let Some(selected) = self.selected.as_deref_mut() else { return Ok(()) };
        let known = |flags: &[&[u8]]| {
            let text = flags.iter().filter_map(|flag| std::str::from_utf8(flag).ok());
            text.filter_map(Flag::parse).filter(|flag| matches!(flag, Flag::Keyword(_))).collect()
        };
        match response {
            Response::Exists(messages) if self.manner.opening || *messages >= selected.messages => {
                selected.messages = *messages;
            }
            Response::Expunge(number) if (1..=selected.messages).contains(number) => selected.messages -= 1,
            Response::Exists(_) | Response::Expunge(_) => {
                tracing::warn!("upstream's message numbers make no sense");
                return Err(Ended::UpstreamUnparseable);
            }
            Response::Flags(flags) => {
                selected.known = known(flags);
                selected.flags = filter::defined_flags(flags);
            }
            Response::Status(Status { code: Some(Code::PermanentFlags(flags)), .. }) => {
                selected.permanent = flags.iter().map(|flag| flag.to_vec()).collect();
            }
            Response::Status(_)
            | Response::Recent(_)
            | Response::Tagged { .. }
            | Response::Continue(_)
            | Response::Capability(_)
            | Response::Enabled(_)
            | Response::List(_)
            | Response::Lsub(_)
            | Response::StatusData(_)
            | Response::Vanished { .. }
            | Response::Unknown => {}
        }
        Ok(())
    }
}
