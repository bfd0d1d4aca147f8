//! One logged-in IMAP connection.
//!
//! [`Connection::command`] does what the daemon asks for itself. A session's relay drives
//! [`Connection::wire`] and [`Connection::scanner`] on its own, takes its tags from
//! [`Connection::tag`], and tells by [`Connection::set_selected`] whether a folder may be
//! open.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::error::CommandError;
use super::target::EnabledSet;
use crate::imap::capability::Capabilities;
use crate::imap::response::{self, Condition, Response, Status, Unparseable};
use crate::imap::scan::{Event, Numbers, Scanner};
use crate::imap::writer::{self, Housekeeping, Outgoing};
use crate::net::Wire;
use crate::telemetry::Quoted;
use crate::types::UidSet;

/// Longest wait for the answer to a command of our own: a LIST of 10,000 folders takes a
/// cold host some seconds.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Most octets of untagged lines kept for one command of our own: a LIST of 100,000
/// folders, more than hosts allow.
const MAX_KEPT: usize = 16 * 1024 * 1024;

/// A connection that is logged in.
pub struct Connection {
    pub wire: Wire,
    pub scanner: Scanner,
    pub(super) capabilities: Capabilities,
    pub(super) enabled: EnabledSet,
    /// What the host wants people to read (RFC 3501 §7.1), in its words, cleaned.
    pub(super) alert: Option<String>,
    /// A folder may be selected.
    selected: bool,
    /// Every command has had its tagged answer, as far as this side saw to it itself.
    in_step: bool,
    tags: u32,
    /// What a search of our own has found so far.
    searched: Option<Numbers>,
}

/// What a command of ours brought.
#[derive(Debug)]
pub struct Answered {
    condition: Condition,
    tagged: Vec<u8>,
    lines: Vec<Vec<u8>>,
}

impl Connection {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            scanner: Scanner::new(),
            capabilities: Capabilities::default(),
            enabled: EnabledSet::Plain,
            alert: None,
            selected: false,
            in_step: true,
            tags: 0,
            searched: None,
        }
    }

    /// What the host can, as it said after the login.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub fn enabled(&self) -> EnabledSet {
        self.enabled
    }

    /// The host's `[ALERT]` at login, once: at most 200 printable characters.
    pub fn take_alert(&mut self) -> Option<String> {
        self.alert.take()
    }

    /// A tag never used before on this connection, for a command that the caller sends and
    /// whose tagged answer the caller reads.
    pub fn tag(&mut self) -> String {
        self.in_step = false;
        self.tags += 1;
        format!("P{:08}", self.tags)
    }

    /// Whether a folder may be selected: to be said before SELECT goes out, and to be taken
    /// back only after UNSELECT was answered OK.
    pub fn set_selected(&mut self, selected: bool) {
        self.selected = selected;
    }

    pub fn is_selected(&self) -> bool {
        self.selected
    }

    /// Sends a command of our own and reads up to its tagged answer, whatever that is.
    ///
    /// Not cancel-safe, and of no more use after an error: the connection must be dropped.
    pub async fn command(&mut self, what: &Housekeeping<'_>) -> Result<Answered, CommandError> {
        self.command_by(what, Instant::now() + ANSWER).await
    }

    /// As [`Connection::command`], in less or more time.
    pub async fn command_by(
        &mut self,
        what: &Housekeeping<'_>,
        deadline: Instant,
    ) -> Result<Answered, CommandError> {
        let tag = self.tag();
        let outgoing = writer::housekeeping(what, &tag).ok_or(CommandError::Unwritable)?;
        let answered = tokio::time::timeout_at(deadline, self.exchange(&tag, &outgoing)).await;
        answered.unwrap_or(Err(CommandError::Slow))
    }

    /// Sends what a permitted step became, under a tag of [`Connection::tag`], and reads up to
    /// its tagged answer. As [`Connection::command`] otherwise.
    pub async fn perform(
        &mut self,
        outgoing: &Outgoing,
        tag: &str,
        deadline: Instant,
    ) -> Result<Answered, CommandError> {
        let answered = tokio::time::timeout_at(deadline, self.exchange(tag, outgoing)).await;
        answered.unwrap_or(Err(CommandError::Slow))
    }

    /// [`Housekeeping::Find`] and [`Housekeeping::Uids`]: the UIDs that the host names. As [`Connection::command`] otherwise.
    pub async fn find(
        &mut self,
        what: &Housekeeping<'_>,
        deadline: Instant,
    ) -> Result<(Answered, UidSet), CommandError> {
        self.searched = Some(Numbers::default());
        let answered = self.command_by(what, deadline).await;
        let found = self.searched.take().unwrap_or_default();
        Ok((answered?, found.finish().map_err(CommandError::Unreadable)?))
    }

    /// Several commands in one go; their answers in that order, the untagged lines of all of
    /// them with the first. A command that has to wait for `+` goes on its own.
    pub(super) async fn commands_by(
        &mut self,
        commands: &[Housekeeping<'_>],
        deadline: Instant,
    ) -> Result<Vec<Answered>, CommandError> {
        let mut tags = Vec::new();
        let mut alone = Vec::new();
        let mut slots: Vec<Option<Answered>> = Vec::new();
        for (at, command) in commands.iter().enumerate() {
            let tag = self.tag();
            let outgoing = writer::housekeeping(command, &tag).ok_or(CommandError::Unwritable)?;
            match outgoing.parts.as_slice() {
                [line] => {
                    self.wire.queue(line);
                    tags.push((at, tag));
                }
                _ => alone.push((at, tag, outgoing)),
            }
            slots.push(None);
        }
        let work = async {
            self.wire.flush().await?;
            let mut gathered = Gathered::new(tags.iter().map(|(_, tag)| tag.as_str()).collect());
            self.gather(&mut gathered, false).await?;
            for ((at, _), answered) in tags.iter().zip(gathered.finish()?) {
                slots[*at] = Some(answered);
            }
            for (at, tag, outgoing) in &alone {
                slots[*at] = Some(self.exchange(tag, outgoing).await?);
            }
            self.in_step = true;
            Ok(slots.into_iter().flatten().collect())
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(CommandError::Slow))
    }

    /// The greeting: the first line, not an answer to anything.
    pub(super) async fn greeting(&mut self) -> Result<Vec<u8>, CommandError> {
        self.line().await
    }

    /// The relay has read the tagged answer to what it sent under [`Connection::tag`].
    pub fn answered(&mut self) {
        self.in_step = true;
    }

    /// Whether every command has had its tagged answer: only then may another user get the
    /// connection.
    pub(super) fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Whether everything sent has been answered and everything received been read.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_step && self.scanner.is_between_responses() && self.wire.is_idle()
    }

    /// Sends one part after the other, each after the host's `+`. A tagged answer instead of
    /// `+` ends it: the rest is not sent.
    async fn exchange(&mut self, tag: &str, outgoing: &Outgoing) -> Result<Answered, CommandError> {
        let mut gathered = Gathered::new(vec![tag]);
        for (i, part) in outgoing.parts.iter().enumerate() {
            self.wire.queue(part);
            self.wire.flush().await?;
            let goes_on = i + 1 < outgoing.parts.len();
            if !self.gather(&mut gathered, goes_on).await? {
                break;
            }
        }
        self.in_step = true;
        gathered.finish()?.pop().ok_or(CommandError::Protocol("no answer"))
    }

    /// The parts of a command that announces a message, up to the host's last `+`; a tagged
    /// answer in its place is a refusal.
    pub(super) async fn announce(
        &mut self,
        head: &Outgoing,
        tag: &str,
        deadline: Instant,
    ) -> Result<Option<Answered>, CommandError> {
        let work = async {
            for part in &head.parts {
                let mut gathered = Gathered::new(vec![tag]);
                self.wire.queue(part);
                self.wire.flush().await?;
                if !self.gather(&mut gathered, true).await? {
                    self.in_step = true;
                    return Ok(gathered.finish()?.pop());
                }
            }
            Ok(None)
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(CommandError::Slow))
    }

    /// Writes what is queued, and reads up to the tagged answer.
    pub(super) async fn conclude(&mut self, tag: &str, deadline: Instant) -> Result<Answered, CommandError> {
        let work = async {
            self.wire.flush().await?;
            let mut gathered = Gathered::new(vec![tag]);
            self.gather(&mut gathered, false).await?;
            self.in_step = true;
            gathered.finish()?.pop().ok_or(CommandError::Protocol("no answer"))
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(CommandError::Slow))
    }

    /// Reads until everything is answered, or until `+` if it is waited for; says which.
    async fn gather(&mut self, gathered: &mut Gathered<'_>, prompt: bool) -> Result<bool, CommandError> {
        while !gathered.is_complete() {
            let line = self.line().await?;
            match response::parse(&line) {
                Ok(Response::Tagged { tag, status }) => {
                    let (tag, condition) = (tag.as_str().to_owned(), status.condition);
                    gathered.end(&tag, condition, line)?;
                }
                Ok(Response::Continue(_)) if prompt => return Ok(true),
                Ok(Response::Continue(_)) => return Err(CommandError::Protocol("a prompt out of place")),
                Ok(Response::Status(Status { condition: Condition::Bye, .. })) => {
                    return Err(CommandError::Bye(words(&line)));
                }
                Err(Unparseable) if !line.starts_with(b"* ") => {
                    return Err(CommandError::Protocol("a line that is no answer"));
                }
                // An untagged line that makes no sense is for whoever looks for it to miss.
                Ok(_) | Err(Unparseable) => gathered.keep(line)?,
            }
        }
        Ok(false)
    }

    /// The next whole line. What is streamed (FETCH, SEARCH) is read over, but for the numbers
    /// of a search of our own.
    async fn line(&mut self) -> Result<Vec<u8>, CommandError> {
        loop {
            let (used, event) = self.scanner.next(self.wire.buffered());
            let (line, more) = match event {
                Event::Line(line) => (Some(line.to_vec()), false),
                Event::Fault(fault) => return Err(CommandError::Unreadable(fault)),
                Event::More => (None, true),
                Event::SearchNumbers(numbers) => {
                    if let Some(searched) = &mut self.searched {
                        searched.read(numbers).map_err(CommandError::Unreadable)?;
                    }
                    (None, false)
                }
                Event::Fetch(_)
                | Event::Uid(_)
                | Event::ModSeq(_)
                | Event::Flags(_)
                | Event::Item(_)
                | Event::Value(_)
                | Event::Literal(_)
                | Event::Dropped
                | Event::FetchEnd
                | Event::Search(_)
                | Event::Esearch(_)
                | Event::SearchWord(_)
                | Event::SearchEnd => (None, false),
            };
            self.wire.consume(used);
            if let Some(line) = line {
                return Ok(line);
            }
            if more && self.wire.fill().await? == 0 {
                return Err(CommandError::Dead(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl Answered {
    pub fn is_ok(&self) -> bool {
        self.condition == Condition::Ok
    }

    pub(super) fn tagged_line(&self) -> &[u8] {
        &self.tagged
    }

    /// The tagged line in the host's words, escaped: for an admin, never for a client.
    pub fn words(&self) -> String {
        Quoted::new(&self.tagged).to_string()
    }

    /// The tagged answer.
    pub fn status(&self) -> Option<Status<'_>> {
        match response::parse(&self.tagged) {
            Ok(Response::Tagged { status, .. }) => Some(status),
            _ => None,
        }
    }

    /// The untagged responses in their order; lines that make no sense are left out.
    pub fn responses(&self) -> impl Iterator<Item = Response<'_>> {
        self.lines.iter().filter_map(|line| response::parse(line).ok())
    }
}

/// Answers to some commands, as they come in.
struct Gathered<'a> {
    awaited: Vec<Awaited<'a>>,
    lines: Vec<Vec<u8>>,
    kept: usize,
}

/// One command's tag, and its tagged line once it is there.
struct Awaited<'a> {
    tag: &'a str,
    answer: Option<(Condition, Vec<u8>)>,
}

impl<'a> Gathered<'a> {
    fn new(tags: Vec<&'a str>) -> Self {
        let awaited = tags.into_iter().map(|tag| Awaited { tag, answer: None }).collect();
        Self { awaited, lines: Vec::new(), kept: 0 }
    }

    fn is_complete(&self) -> bool {
        self.awaited.iter().all(|awaited| awaited.answer.is_some())
    }

    /// Each tag is answered once, and no other.
    fn end(&mut self, tag: &str, condition: Condition, line: Vec<u8>) -> Result<(), CommandError> {
        let mut open = self.awaited.iter_mut().filter(|awaited| awaited.answer.is_none());
        let awaited = open.find(|awaited| awaited.tag == tag);
        let awaited = awaited.ok_or(CommandError::Protocol("an answer to nothing that was asked"))?;
        awaited.answer = Some((condition, line));
        Ok(())
    }

    fn keep(&mut self, line: Vec<u8>) -> Result<(), CommandError> {
        self.kept += line.len();
        if self.kept > MAX_KEPT {
            return Err(CommandError::Protocol("an answer without end"));
        }
        self.lines.push(line);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Answered>, CommandError> {
        let mut lines = Some(self.lines);
        let answered = self.awaited.into_iter().map(|awaited| {
            let (condition, tagged) = awaited.answer?;
            Some(Answered { condition, tagged, lines: lines.take().unwrap_or_default() })
        });
        answered.collect::<Option<_>>().ok_or(CommandError::Protocol("no answer"))
    }
}

/// The host's line for our log, which escapes and cuts it.
pub(super) fn words(line: &[u8]) -> String {
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}
