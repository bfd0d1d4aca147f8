//! Before login: a stranger, a deadline, and the few commands that a stranger may give.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Services;
use super::client::{Client, Input};
use super::ended::Ended;
use crate::auth::{Attempt, Outcome as Verdict, View, Welcome};
use crate::imap::capability::BEFORE_LOGIN;
use crate::imap::command::{Command, Tag, Tagged};
use crate::imap::reply::{self, Outcome};
use crate::proxy::{Peer, clock};
use crate::sasl::{Credentials, Exchange, Mechanism, Progress};
use crate::store::OwnLogin;
use crate::telemetry::{Counted, Counter, Service};
use crate::types::{Authcid, MailboxId, Secret};

/// Commands before login; the busiest client seen sends five.
const MAX_COMMANDS: u32 = 10;

/// Wrong passwords on one connection: Thunderbird tries once, K-9 twice.
const MAX_FAILURES: u32 = 3;

/// No grant and no such mailbox are one sentence: it tells nobody which mailboxes exist.
pub(super) const NO_ACCESS: &str = "You have no access to this mailbox, or there is no such mailbox";

/// Somebody who has logged in and named a mailbox that they may open.
pub(super) struct LoggedIn {
    pub(super) tag: Tag,
    pub(super) welcome: Welcome,
    /// `None`: the combined view.
    pub(super) mailbox: Option<MailboxId>,
    /// What they have typed, where their own account is opened with it.
    pub(super) password: Option<Secret>,
}

/// A client that has not logged in yet.
pub(super) struct Stranger<'a> {
    pub(super) client: &'a mut Client,
    pub(super) services: &'a Arc<Services>,
    pub(super) peer: Peer,
    pub(super) greeted: bool,
}

impl Stranger<'_> {
    /// Greets and answers until somebody has logged in.
    pub(super) async fn log_in(&mut self) -> Result<LoggedIn, Ended> {
        if !self.greeted {
            let code = format!("CAPABILITY {BEFORE_LOGIN}");
            reply::untagged(self.client.wire.out(), Outcome::Ok, &code, "Mandate ready");
        }
        let mut failures = 0;
        for _ in 0..MAX_COMMANDS {
            let Tagged { tag, command } = match self.client.next(None).await? {
                Input::Command(tagged) => tagged,
                Input::Append(tagged, announced) => {
                    self.client.drop_literal(announced).await?;
                    tagged
                }
            };
            let credentials = match command {
                Command::Login { user, password } => {
                    Some(Credentials { authzid: None, authcid: Authcid(user), password })
                }
                Command::Authenticate { mechanism, initial } => {
                    self.sasl(&tag, &mechanism, initial.as_ref().map(|initial| initial.expose())).await?
                }
                other => {
                    self.answer(&tag, &other)?;
                    continue;
                }
            };
            let Some(credentials) = credentials else { continue };
            if let Some(logged_in) = self.verify(tag, credentials).await? {
                return Ok(logged_in);
            }
            failures += 1;
            if failures >= MAX_FAILURES {
                break;
            }
        }
        Err(Ended::NoLogin)
    }

    fn answer(&mut self, tag: &Tag, command: &Command) -> Result<(), Ended> {
        let out = self.client.wire.out();
        match command {
            Command::Capability => reply::capability(out, BEFORE_LOGIN),
            Command::Noop => {}
            Command::Id { .. } => reply::id(out),
            Command::Logout => {
                reply::bye(out, "", "Logging out");
                reply::tagged(out, tag, Outcome::Ok, "", "LOGOUT completed");
                return Err(Ended::LoggedOut);
            }
            _ => {
                reply::tagged(out, tag, Outcome::Bad, "", "Log in first");
                return self.client.count_bad();
            }
        }
        let verb = super::record::verb(command);
        reply::completed(self.client.wire.out(), tag, "", verb);
        Ok(())
    }

    /// A SASL exchange. `None`: it was cancelled or is not offered, and the client knows.
    async fn sasl(
        &mut self,
        tag: &Tag,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<Option<Credentials>, Ended> {
        let Some(mechanism @ Mechanism::Plain) = Mechanism::parse(mechanism.as_bytes()) else {
            reply::tagged(self.client.wire.out(), tag, Outcome::No, "CANNOT", "Use AUTHENTICATE PLAIN");
            return Ok(None);
        };
        let mut progress = Exchange::start_decoded(mechanism, initial);
        loop {
            match progress {
                Progress::Challenge { challenge, exchange } => {
                    reply::challenge(self.client.wire.out(), challenge);
                    let line = self.client.plain_line(Exchange::MAX_LINE).await?;
                    progress = exchange.respond(&line);
                }
                Progress::Done(credentials) => return Ok(Some(credentials)),
                Progress::Failed(failure) => {
                    reply::tagged(self.client.wire.out(), tag, Outcome::Bad, "", &failure.to_string());
                    self.client.count_bad()?;
                    return Ok(None);
                }
            }
        }
    }

    async fn verify(&mut self, tag: Tag, credentials: Credentials) -> Result<Option<LoggedIn>, Ended> {
        let snapshot = self.services.store.snapshot();
        let now = clock::now();
        let password = credentials.password.clone();
        let attempt = Attempt { service: Service::Imap, peer: self.peer.address, credentials, now };
        let login = self.services.authenticator.authenticate(&snapshot, attempt).await;
        sleep(Duration::from_millis(clock::now().millis_until(login.answer_at))).await;
        match login.outcome {
            Verdict::Welcome(welcome) => Ok(self.welcome(tag, welcome, password)),
            Verdict::Busy => {
                self.refuse(
                    &tag,
                    "UNAVAILABLE",
                    "Too many people log in at once; please try again in a moment",
                );
                Ok(None)
            }
            Verdict::Refused(refusal) => {
                self.services.counters.count(Counter::LoginsRefused);
                let (user, why) = (refusal.user, refusal.why.label());
                let refused =
                    Counted::LoginRefused { service: Service::Imap, peer: self.peer.address, user, why };
                self.services.journal.count(refused);
                self.refuse(&tag, "AUTHENTICATIONFAILED", "The user name or the password is wrong");
                Ok(None)
            }
        }
    }

    /// Right password; but a mailbox needs a grant.
    fn welcome(&mut self, tag: Tag, welcome: Welcome, password: Secret) -> Option<LoggedIn> {
        match &welcome.view {
            View::Mailbox(mailbox) => {
                Some(LoggedIn { tag, mailbox: Some(*mailbox), welcome, password: None })
            }
            View::Personal => {
                let snapshot = self.services.store.snapshot();
                let personal = snapshot.personal(welcome.user);
                let passed = personal.is_some_and(|own| matches!(own.imap.login, OwnLogin::PassThrough(_)));
                Some(LoggedIn { tag, mailbox: None, welcome, password: passed.then_some(password) })
            }
            View::NoAccess(_) => {
                self.services.counters.count(Counter::LoginsWithoutGrant);
                self.refuse(&tag, "UNAVAILABLE", NO_ACCESS);
                None
            }
        }
    }

    fn refuse(&mut self, tag: &Tag, code: &str, text: &str) {
        reply::tagged(self.client.wire.out(), tag, Outcome::No, code, text);
    }
}
