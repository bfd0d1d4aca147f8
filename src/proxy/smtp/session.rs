//! A logged-in session: the loop, and the answers in the order of the commands.

use std::sync::Arc;

use super::client::Client;
use super::ended::Ended;
use super::host::{Host, Lost};
use super::record::Recorder;
use super::transaction::Transaction;
use super::watch::Watch;
use super::words::{self, About};
use super::{Peer, Services, Settings};
use crate::smtp::command::{self, Command};
use crate::smtp::reply::write_lines;
use crate::smtp::session::Next;
use crate::smtp::{Answer, Bad, Reply, Session as Machine, writer};
use crate::telemetry::Counter;
use crate::types::{LoginName, MailboxId, Secret, UserId};

/// Somebody is who they say, and what the session knows of them.
pub(super) struct LoggedIn {
    pub(super) user: UserId,
    pub(super) login: LoginName,
    /// The login name as it was typed.
    pub(super) typed: String,
    /// The mailbox that the session is; `None`: a personal login.
    pub(super) mailbox: Option<MailboxId>,
    /// What they logged in with, where their own host wants it too.
    pub(super) password: Option<Secret>,
    pub(super) watch: Watch,
    pub(super) machine: Machine,
}

/// An answer that is due: ours, or upstream's to come.
enum Due {
    Ours(Answer),
    Sender,
    Recipient,
}

pub(super) struct Session<'a> {
    pub(super) services: Arc<Services>,
    pub(super) client: &'a mut Client,
    pub(super) user: UserId,
    pub(super) login: LoginName,
    pub(super) typed: String,
    pub(super) mailbox: Option<MailboxId>,
    pub(super) password: Option<Secret>,
    pub(super) watch: Watch,
    pub(super) machine: Machine,
    pub(super) recorder: Recorder,
    pub(super) host: Option<Host>,
    pub(super) transaction: Option<Transaction>,
    /// The message under way is counted for this mailbox's limits.
    pub(super) counted: Option<MailboxId>,
    due: Vec<Due>,
}

impl<'a> Session<'a> {
    pub(super) fn new(services: &Arc<Services>, client: &'a mut Client, peer: Peer, who: LoggedIn) -> Self {
        let LoggedIn { user, login, typed, mailbox, password, watch, machine } = who;
        Self {
            services: Arc::clone(services),
            client,
            user,
            login,
            typed,
            mailbox,
            password,
            watch,
            machine,
            recorder: Recorder::new(Arc::clone(services), peer, user),
            host: None,
            transaction: None,
            counted: None,
            due: Vec::new(),
        }
    }

    /// Serves the client until one side ends it.
    pub(super) async fn run(mut self) -> Ended {
        let ended = loop {
            if let Err(ended) = self.turn().await {
                break ended;
            }
        };
        match self.host.take() {
            Some(host) if host.is_open() => host.abort(),
            // Nobody waits for it: the client's end comes first.
            Some(host) => drop(tokio::spawn(host.quit())),
            None => {}
        }
        if let (Ended::Revoked | Ended::Cut, Some(effective)) = (ended, self.watch.held()) {
            self.recorder.ended(effective).await;
        }
        ended
    }

    /// One line, or a wait for more once everything is answered.
    async fn turn(&mut self) -> Result<(), Ended> {
        if self.client.take_line()? {
            self.services.counters.count(Counter::Commands);
            return self.line(command::parse(self.client.line())).await;
        }
        self.settle().await?;
        self.watch.set_busy(self.transaction.is_some());
        let seconds = self.services.settings.command_seconds;
        self.watch.unless_lost(seconds, Ended::Slow, self.client.fill()).await?
    }

    async fn line(&mut self, parsed: Result<Command, Bad>) -> Result<(), Ended> {
        let next = match parsed {
            Ok(command) => {
                if !may_be_pipelined(&command) {
                    self.settle().await?;
                }
                self.machine.command(command)
            }
            Err(bad) => {
                self.services.counters.count(Counter::CommandsBad);
                self.machine.bad(bad)
            }
        };
        match next {
            Next::Answer(answer) => self.answer(answer),
            Next::Close(answer) => {
                self.settle().await?;
                self.client.answer(&answer);
                return Err(Ended::Closed);
            }
            Next::Reset(answer) => {
                self.forget().await?;
                self.answer(answer);
            }
            Next::Hello { extended } => {
                self.forget().await?;
                hello(&self.services.settings, extended, self.host.as_ref(), false, self.client.wire.out());
            }
            // The machine has refused it: who is logged in stays who they are.
            Next::Authenticate { .. } => self.answer(Answer::new(503, 5, 1, "You are logged in already")),
            Next::Mail(mail) => self.mail(mail).await?,
            Next::Rcpt(rcpt) => self.rcpt(rcpt).await?,
            Next::Data => self.message().await?,
        }
        Ok(())
    }

    /// Answers in turn: behind those that upstream owes.
    pub(super) fn answer(&mut self, answer: Answer) {
        if self.due.is_empty() {
            self.client.answer(&answer);
        } else {
            self.due.push(Due::Ours(answer));
        }
    }

    /// Upstream was sent MAIL or RCPT, in `host.out()`.
    pub(super) async fn owe(&mut self, recipient: bool) -> Result<(), Ended> {
        self.due.push(if recipient { Due::Recipient } else { Due::Sender });
        match &self.host {
            Some(host) if host.pipelines() => Ok(()),
            Some(_) | None => self.settle().await,
        }
    }

    /// Writes what upstream is to have, reads what it owes, and queues the answers.
    pub(super) async fn settle(&mut self) -> Result<(), Ended> {
        if self.due.is_empty() {
            return Ok(());
        }
        if let Some(host) = &mut self.host
            && host.flush().await == Err(Lost)
        {
            self.lose_host();
        }
        for due in std::mem::take(&mut self.due) {
            let answer = match due {
                Due::Ours(answer) => answer,
                Due::Sender => self.sender_answered().await?,
                Due::Recipient => self.recipient_answered().await?,
            };
            self.client.answer(&answer);
        }
        Ok(())
    }

    async fn sender_answered(&mut self) -> Result<Answer, Ended> {
        let Some(reply) = self.reply().await? else { return Ok(words::confused()) };
        if reply.is_done() {
            return Ok(Answer::new(250, 1, 0, "Sender accepted"));
        }
        self.over();
        if let Some(host) = &mut self.host {
            host.set_open(false);
        }
        Ok(words::refusal(&reply, About::Sender))
    }

    async fn recipient_answered(&mut self) -> Result<Answer, Ended> {
        let Some(reply) = self.reply().await? else { return Ok(words::confused()) };
        if self.transaction.is_none() {
            // Upstream refused the sender, and now a recipient without one.
            return Ok(Answer::new(503, 5, 1, "A recipient needs a sender first"));
        }
        self.machine.recipient_answered(reply.is_done());
        if let Some(transaction) = &mut self.transaction {
            transaction.answered(reply.is_done());
        }
        if reply.is_done() {
            return Ok(Answer::new(250, 1, 5, "Recipient accepted"));
        }
        Ok(words::refusal(&reply, About::Recipient))
    }

    /// Upstream's next reply; `None` if upstream is lost, and with it the transaction.
    pub(super) async fn reply(&mut self) -> Result<Option<Reply>, Ended> {
        let Some(host) = &mut self.host else { return Ok(None) };
        // The host has a deadline of its own, a shorter one.
        match self.watch.unless_lost(u64::from(u32::MAX), Ended::Slow, host.reply()).await? {
            Ok(reply) => Ok(Some(reply)),
            Err(Lost) => {
                self.lose_host();
                Ok(None)
            }
        }
    }

    pub(super) fn lose_host(&mut self) {
        if let Some(host) = self.host.take() {
            host.abort();
        }
        self.machine.transaction_lost();
        self.drop_transaction();
    }

    /// The transaction is over for the client.
    pub(super) fn over(&mut self) {
        self.machine.transaction_over();
        self.drop_transaction();
    }

    fn drop_transaction(&mut self) {
        self.transaction = None;
        if self.mailbox.is_none() {
            self.watch.let_go();
        }
    }

    /// Forgets the transaction, upstream too.
    pub(super) async fn forget(&mut self) -> Result<(), Ended> {
        self.over();
        self.reset().await
    }

    /// Ends what upstream has of a transaction.
    pub(super) async fn reset(&mut self) -> Result<(), Ended> {
        let Some(host) = self.host.as_mut().filter(|host| host.is_open()) else { return Ok(()) };
        writer::reset(host.out());
        host.set_open(false);
        if host.flush().await == Err(Lost) {
            self.lose_host();
            return Ok(());
        }
        if self.reply().await?.is_some_and(|reply| !reply.is_done()) {
            self.lose_host();
        }
        Ok(())
    }
}

/// RFC 2920 §3.1, of what goes upstream: the others wait until all before them is answered.
fn may_be_pipelined(command: &Command) -> bool {
    match command {
        Command::Mail(_) | Command::Rcpt(_) | Command::Noop | Command::Vrfy | Command::Help => true,
        Command::Hello { .. }
        | Command::Auth { .. }
        | Command::Data
        | Command::Rset
        | Command::Quit
        | Command::StartTls => false,
    }
}

/// The answer to EHLO or HELO: what this proxy offers, and what upstream does not lack.
pub(super) fn hello(
    settings: &Settings,
    extended: bool,
    host: Option<&Host>,
    before_login: bool,
    out: &mut Vec<u8>,
) {
    let offers = host.map(Host::offers);
    let size = settings.limits.message_octets;
    let size = host.and_then(Host::most_octets).map_or(size, |limit| limit.min(size));
    let mut lines = vec![settings.host_name.clone()];
    if extended {
        lines.extend([format!("SIZE {size}"), "PIPELINING".to_owned(), "ENHANCEDSTATUSCODES".to_owned()]);
        let both = |ours: bool, theirs: Option<bool>| theirs.unwrap_or(true) && ours;
        for (offered, keyword) in [
            (both(settings.eight_bit_mime, offers.map(|o| o.eight_bit_mime)), "8BITMIME"),
            (both(settings.smtp_utf8, offers.map(|o| o.smtp_utf8)), "SMTPUTF8"),
            (both(settings.dsn, offers.map(|o| o.dsn)), "DSN"),
            (before_login, "AUTH PLAIN LOGIN"),
        ] {
            if offered {
                lines.push(keyword.to_owned());
            }
        }
    }
    write_lines(250, &lines, out);
}
