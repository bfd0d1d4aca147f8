//! The client's end of a session: commands in, answers out.

use std::time::Duration;

use zeroize::Zeroizing;

use super::ended::Ended;
use crate::imap::command::{Command, Tag, Tagged};
use crate::imap::frame::{Announced, Event, Fault, Framer, Limits, Recovery};
use crate::imap::parse::{self, AppendHead, Bad};
use crate::imap::reply::{self, Outcome};
use crate::net::Wire;
use crate::types::{Address, Separator};

/// How long the last words may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Commands in a row that are none, before the session ends: neomutt and K-9 send one or
/// two that we do not know, an attacker's script sends nothing else.
const MAX_BAD: u32 = 10;

/// The same before login: a browser, a scanner, or another protocol.
const MAX_BAD_BEFORE_LOGIN: u32 = 3;

/// Octets of a refused literal that are read and dropped: the largest message that a host
/// may be configured to take. A client that sends more unasked is cut off (RFC 7888 §4).
const MAX_DROPPED: u64 = 1 << 30;

/// The same before login, where no literal is large.
const MAX_DROPPED_BEFORE_LOGIN: u64 = 4_096;

/// What the client wants next.
#[derive(Debug)]
pub(super) enum Input {
    Command(Tagged),
    /// An APPEND; the client waits for `+`, or is sending the message already.
    Append(Tagged, Announced),
}

/// The client's connection.
pub(super) struct Client {
    pub(super) wire: Wire,
    framer: Framer,
    /// Commands in a row that were answered BAD.
    bad: u32,
    /// The same when the last command was handed out: one that is answered well ends the row.
    bad_before: u32,
    max_bad: u32,
    said_farewell: bool,
    closed: bool,
    /// Octets of a response are under way that will never be complete.
    cut: bool,
    /// A search that was to keep what it finds has been refused here.
    pub(super) refused_saving: bool,
}

impl Client {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            framer: Framer::new(Limits::before_login()),
            bad: 0,
            bad_before: 0,
            max_bad: MAX_BAD_BEFORE_LOGIN,
            said_farewell: false,
            closed: false,
            cut: false,
            refused_saving: false,
        }
    }

    /// From here on the client is somebody: larger commands, more patience.
    pub(super) fn logged_in(&mut self) {
        self.framer.set_limits(Limits::after_login());
        self.max_bad = MAX_BAD;
        self.bad = 0;
        self.wire.end_secrets();
    }

    /// Writes what is queued, then waits for the next command that can be understood.
    /// Those that cannot are answered here.
    pub(super) async fn next(&mut self, separator: Separator) -> Result<Input, Ended> {
        if self.bad == self.bad_before {
            self.bad = 0;
        }
        let input = self.input(separator).await?;
        self.bad_before = self.bad;
        Ok(input)
    }

    async fn input(&mut self, separator: Separator) -> Result<Input, Ended> {
        loop {
            match self.event().await? {
                Event::Line => {
                    if self.max_bad == MAX_BAD_BEFORE_LOGIN && parse::looks_like_http(self.framer.line()) {
                        // A browser, made to speak to us by somebody else's page: not a word.
                        return Err(Ended::ClientGone);
                    }
                    let parsed = parse::command(self.framer.line(), separator);
                    self.framer.begin_next();
                    match parsed {
                        Ok(tagged) => return Ok(Input::Command(tagged)),
                        Err(bad) => self.refuse(&bad)?,
                    }
                }
                Event::Literal(announced) => {
                    if let Some(append) = self.literal(announced, separator).await? {
                        return Ok(append);
                    }
                }
                Event::Fault(fault) => self.recover(fault).await?,
            }
        }
    }

    /// A literal was announced: the message of an APPEND, or an argument.
    async fn literal(&mut self, announced: Announced, separator: Separator) -> Result<Option<Input>, Ended> {
        match parse::append_head(self.framer.line(), announced, separator) {
            AppendHead::Message(tagged) => return Ok(Some(Input::Append(tagged, announced))),
            AppendHead::Argument => match self.framer.accept_literal() {
                Ok(()) if announced.synchronising => reply::continuation(self.wire.out(), "OK"),
                Ok(()) => {}
                Err(fault) => self.recover(fault).await?,
            },
            AppendHead::Bad(bad) => {
                self.drop_literal(announced).await?;
                self.refuse(&bad)?;
            }
        }
        Ok(None)
    }

    /// Answers a poisoned command and finds the next one, if there is one to be found.
    async fn recover(&mut self, fault: Fault) -> Result<(), Ended> {
        let tag = self.framer.tag();
        let bad = Bad { tag, kind: parse::BadKind::Syntax, why: "" };
        match fault.recovery() {
            Recovery::Next => self.framer.begin_next(),
            Recovery::Drain(size) => self.drop_literal(Announced { size, synchronising: false }).await?,
            Recovery::Close => {
                self.bad(bad.tag.as_ref(), &fault.to_string());
                return Err(Ended::Unparseable);
            }
        }
        self.bad(bad.tag.as_ref(), &fault.to_string());
        self.count_bad()
    }

    /// Forgets an announced literal: a synchronising one never comes, another is read and
    /// dropped, with the end of its command.
    pub(super) async fn drop_literal(&mut self, announced: Announced) -> Result<(), Ended> {
        if !announced.synchronising {
            let most = if self.max_bad == MAX_BAD { MAX_DROPPED } else { MAX_DROPPED_BEFORE_LOGIN };
            if announced.size > most {
                return Err(Ended::Unparseable);
            }
            self.skip(announced.size).await?;
            self.end_of_literal().await?;
        }
        self.framer.begin_next();
        Ok(())
    }

    /// Leaves the announced message to the caller, who takes `size` octets from the wire and
    /// then calls [`Client::end_of_literal`].
    pub(super) fn take_literal(&mut self) {
        self.framer.skip_literal();
    }

    /// The CRLF after a message; anything else ends the session, as nobody can say what it
    /// belongs to.
    pub(super) async fn end_of_literal(&mut self) -> Result<(), Ended> {
        self.framer.skip_literal();
        match self.event().await? {
            Event::Line => {
                self.framer.begin_next();
                Ok(())
            }
            Event::Literal(_) | Event::Fault(_) => {
                let tag = self.framer.tag();
                self.bad(tag.as_ref(), "One message at a time");
                Err(Ended::Unparseable)
            }
        }
    }

    pub(super) async fn skip(&mut self, octets: u64) -> Result<(), Ended> {
        self.skip_seeing(octets, |_| {}).await
    }

    /// The same, with a look at what is dropped.
    pub(super) async fn skip_seeing(&mut self, octets: u64, mut see: impl FnMut(&[u8])) -> Result<(), Ended> {
        let mut left = octets;
        while left > 0 {
            if self.wire.buffered().is_empty() {
                self.fill().await?;
            }
            let here = self.wire.buffered().len();
            let take = usize::try_from(left).map_or(here, |left| left.min(here));
            see(&self.wire.buffered()[..take]);
            self.wire.consume(take);
            left -= take as u64;
        }
        Ok(())
    }

    /// A line that is no command: the answer to a SASL challenge. Without CRLF.
    pub(super) async fn plain_line(&mut self, limit: usize) -> Result<Zeroizing<Vec<u8>>, Ended> {
        loop {
            if let Some(line) = self.plain_line_now(limit)? {
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    /// The same, if it has arrived already.
    pub(super) fn plain_line_now(&mut self, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, Ended> {
        let (used, event) = self.framer.push_plain(self.wire.buffered(), limit);
        self.wire.consume(used);
        match event {
            Some(Event::Line) => {
                let line = Zeroizing::new(self.framer.plain().to_vec());
                self.framer.begin_next();
                Ok(Some(line))
            }
            Some(Event::Literal(_) | Event::Fault(_)) => {
                reply::bad_without_tag(self.wire.out(), "This line is not expected here");
                Err(Ended::Unparseable)
            }
            None => Ok(None),
        }
    }

    async fn event(&mut self) -> Result<Event, Ended> {
        loop {
            let (used, event) = self.framer.push(self.wire.buffered());
            self.wire.consume(used);
            if let Some(event) = event {
                return Ok(event);
            }
            self.fill().await?;
        }
    }

    /// Writes what is queued and waits for octets.
    pub(super) async fn fill(&mut self) -> Result<(), Ended> {
        self.flush().await?;
        match self.wire.fill().await {
            Ok(0) | Err(_) => Err(Ended::ClientGone),
            Ok(_) => Ok(()),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        self.wire.flush().await.map_err(|_| Ended::ClientGone)
    }

    fn refuse(&mut self, bad: &Bad) -> Result<(), Ended> {
        match bad.kind {
            parse::BadKind::Charset { saves } => {
                self.refused_saving |= saves;
                let code = "BADCHARSET (US-ASCII UTF-8)";
                let tag = bad.tag.as_ref();
                let out = self.wire.out();
                tag.inspect(|tag| {
                    reply::tagged(out, tag, Outcome::No, code, "This charset is not supported")
                });
            }
            parse::BadKind::Unknown | parse::BadKind::Syntax => {
                self.bad(bad.tag.as_ref(), bad.why);
            }
        }
        self.count_bad()
    }

    /// A tagged BAD for a command in the wrong state.
    pub(super) fn wrong_state(&mut self, tag: &Tag, command: &Command) -> Result<(), Ended> {
        let why = match command {
            Command::Login { .. } | Command::Authenticate { .. } => "Already logged in",
            _ => "No folder is selected",
        };
        self.bad(Some(tag), why);
        self.count_bad()
    }

    /// A tagged BAD for what this mail host cannot do, and we did not advertise.
    pub(super) fn unsupported(&mut self, tag: &Tag) -> Result<(), Ended> {
        self.bad(Some(tag), "The mail host cannot do this");
        self.count_bad()
    }

    /// A tagged BAD for what needs ENABLE QRESYNC first (RFC 7162 §3.2.5, §3.2.6).
    pub(super) fn not_enabled(&mut self, tag: &Tag) -> Result<(), Ended> {
        self.bad(Some(tag), "QRESYNC has not been enabled");
        self.count_bad()
    }

    /// A tagged BAD for a CONDSTORE command in a folder that said NOMODSEQ (RFC 7162 §3.1.2.2).
    pub(super) fn no_mod_seq(&mut self, tag: &Tag) -> Result<(), Ended> {
        self.bad(Some(tag), "This folder has no mod-sequences");
        self.count_bad()
    }

    fn bad(&mut self, tag: Option<&Tag>, why: &str) {
        match tag {
            Some(tag) => reply::tagged(self.wire.out(), tag, Outcome::Bad, "", why),
            None => reply::bad_without_tag(self.wire.out(), why),
        }
    }

    /// A literal, or a response, stays cut off: no word more, and no close_notify, so that
    /// nobody takes it for whole.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// Tells the client why its session ends, once, and waits for it no longer than a moment.
    pub(super) async fn say_farewell(&mut self, ended: Ended, mailbox: Option<&Address>) {
        if self.cut || std::mem::replace(&mut self.said_farewell, true) {
            return;
        }
        if let Some((code, text)) = ended.farewell(mailbox) {
            reply::bye(self.wire.out(), code.unwrap_or_default(), &text);
        }
        let _ = tokio::time::timeout(FAREWELL, self.flush()).await;
    }

    /// Closes, in good order where nothing was cut; not for ever, and once. The session may
    /// have something to do yet.
    pub(super) async fn shut_down(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if self.cut {
            return self.wire.hang_up();
        }
        let _ = tokio::time::timeout(FAREWELL, self.wire.say_goodbye()).await;
    }

    pub(super) fn count_bad(&mut self) -> Result<(), Ended> {
        self.bad += 1;
        if self.bad >= self.max_bad { Err(Ended::Unparseable) } else { Ok(()) }
    }
}
