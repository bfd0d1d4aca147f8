//! Greeting to login: EHLO, AUTH, and whose session it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::client::Client;
use super::ended::Ended;
use super::session::{LoggedIn, hello};
use super::watch::Watch;
use super::{Peer, Services};
use crate::auth::{Attempt, Outcome, Refusal, View, Why};
use crate::net::Draining;
use crate::proxy::clock;
use crate::sasl::{Credentials, Exchange, Failure, Malformed, Mechanism, Progress};
use crate::smtp::command;
use crate::smtp::session::Next;
use crate::smtp::{Answer, Session as Machine};
use crate::telemetry::{Counted, Counter, Durability, Event, Service};
use crate::types::{Secret, Timestamp};

/// Speaks with a stranger until they are somebody.
pub(super) async fn log_in(
    client: &mut Client,
    peer: Peer,
    mut drain: Draining,
    services: &Arc<Services>,
) -> Result<LoggedIn, Ended> {
    client.answer(&Answer::plain(220, format!("{} ESMTP Mandate", services.settings.host_name)));
    let deadline = Instant::now() + Duration::from_secs(services.settings.login_seconds);
    let machine = Machine::new(services.settings.limits);
    let draining = drain.clone();
    let stranger = Stranger { client, peer, services, machine, draining };
    tokio::select! {
        done = timeout_at(deadline, Box::pin(stranger.run())) => done.unwrap_or(Err(Ended::LoginSlow)),
        () = drain.requested() => Err(Ended::Draining),
    }
}

struct Stranger<'a> {
    client: &'a mut Client,
    peer: Peer,
    services: &'a Arc<Services>,
    machine: Machine,
    draining: Draining,
}

impl Stranger<'_> {
    async fn run(mut self) -> Result<LoggedIn, Ended> {
        loop {
            while !self.client.take_line()? {
                self.client.fill().await?;
            }
            let next = match command::parse(self.client.line()) {
                Ok(command) => self.machine.command(command),
                Err(bad) => self.machine.bad(bad),
            };
            self.client.wipe_line();
            match next {
                Next::Answer(answer) | Next::Reset(answer) => self.client.answer(&answer),
                Next::Close(answer) => return self.close(&answer),
                Next::Hello { extended } => {
                    hello(&self.services.settings, extended, None, true, self.client.wire.out());
                }
                Next::Authenticate { mechanism, initial } => {
                    if let Some(logged_in) = self.authenticate(mechanism, initial).await? {
                        return Ok(logged_in);
                    }
                }
                // The machine lets nobody here before login.
                Next::Mail(_) | Next::Rcpt(_) | Next::Data => {
                    self.client.answer(&Answer::new(530, 7, 0, "Please log in first"));
                }
            }
        }
    }

    fn close(&mut self, answer: &Answer) -> Result<LoggedIn, Ended> {
        self.client.answer(answer);
        Err(Ended::Closed)
    }

    /// The exchange, the check, the answer; `None`: still a stranger.
    async fn authenticate(
        &mut self,
        mechanism: Mechanism,
        initial: Option<Secret>,
    ) -> Result<Option<LoggedIn>, Ended> {
        // The deadline of an answer counts from here, so that hashing cannot be timed.
        let mut now = clock::now();
        let mut progress = Exchange::start(mechanism, initial.as_ref().map(Secret::expose));
        let credentials = loop {
            match progress {
                Progress::Done(credentials) => break credentials,
                Progress::Failed(failure) => return self.refuse(failed(failure)),
                Progress::Challenge { exchange, challenge } => {
                    self.client.answer(&Answer::plain(334, challenge));
                    while !self.client.take_line()? {
                        self.client.fill().await?;
                    }
                    now = clock::now();
                    progress = exchange.respond(self.client.line());
                    self.client.wipe_line();
                }
            }
        };
        self.verify(credentials, now).await
    }

    async fn verify(&mut self, credentials: Credentials, now: Timestamp) -> Result<Option<LoggedIn>, Ended> {
        // Before the records are read: a change between that and the session is seen.
        let changes = self.services.store.changes();
        let snapshot = self.services.store.snapshot();
        let typed = credentials.authcid.0.clone();
        let password = credentials.password.clone();
        let attempt = Attempt { service: Service::Submission, peer: self.peer.address, credentials, now };
        let login = self.services.authenticator.authenticate(&snapshot, attempt).await;
        sleep(Duration::from_millis(clock::now().millis_until(login.answer_at))).await;
        let welcome = match login.outcome {
            Outcome::Welcome(welcome) => welcome,
            Outcome::Busy => {
                self.services.counters.count(Counter::LoginsThrottled);
                return self.refuse(Answer::new(454, 7, 0, "Too many logins at once; please try again"));
            }
            Outcome::Refused(refusal) => {
                self.count_refusal(refusal);
                return self.refuse(Answer::new(535, 7, 8, "The user name or password is wrong"));
            }
        };
        let mailbox = match welcome.view {
            View::Personal => None,
            View::Mailbox(mailbox) => Some(mailbox),
            View::NoAccess(_) => {
                self.services.counters.count(Counter::LoginsWithoutGrant);
                return self.refuse(Answer::new(
                    454,
                    7,
                    0,
                    "You have no access to a mailbox of this name, or there is none",
                ));
            }
        };
        let store = self.services.store.clone();
        let mut watch = Watch::new(store, changes, self.draining.clone(), welcome.user);
        if let Some(mailbox) = mailbox {
            watch.hold(mailbox)?;
        }
        let logged_in = Event::Login {
            service: Service::Submission,
            session: self.peer.session,
            peer: self.peer.address,
            user: welcome.user,
            mailbox,
        };
        if self.services.journal.record(logged_in, Durability::Grouped).await.is_err() {
            self.services.counters.count(Counter::JournalFailures);
            return self.refuse(Answer::new(454, 3, 0, "The service has a problem; please try again later"));
        }
        self.services.counters.count(Counter::Logins);
        self.machine.logged_in();
        self.client.logged_in();
        self.client.answer(&Answer::new(235, 7, 0, "Welcome"));
        // Nothing of the stranger's is kept; the machine knows that EHLO was said.
        let machine = std::mem::replace(&mut self.machine, Machine::new(self.services.settings.limits));
        let user = snapshot.user(welcome.user);
        let needed = mailbox.is_none() && user.is_some_and(|user| self.services.needs_password(user));
        let password = Some(password).filter(|_| needed);
        let (user, login) = (welcome.user, welcome.login);
        Ok(Some(LoggedIn { user, login, typed, mailbox, password, watch, machine }))
    }

    fn refuse(&mut self, answer: Answer) -> Result<Option<LoggedIn>, Ended> {
        match self.machine.count_error() {
            None => {
                self.client.answer(&answer);
                Ok(None)
            }
            Some(last) => {
                self.client.answer(&last);
                Err(Ended::Closed)
            }
        }
    }

    fn count_refusal(&self, Refusal { user, why }: Refusal) {
        self.services.counters.count(Counter::LoginsRefused);
        let why = match why {
            Why::UnknownUser => "unknown user",
            Why::Disabled => "disabled",
            Why::WrongPassword => "wrong password",
            Why::Repeated => "repeated",
            Why::NoReading => "no reading",
            Why::AppPassword => "app password",
        };
        let (service, peer) = (Service::Submission, self.peer.address);
        self.services.journal.count(Counted::LoginRefused { service, peer, user, why });
    }
}

/// RFC 4954 §4: 501 for what cannot be decoded or was cancelled; §6: 500 for what is longer
/// than any name or password.
fn failed(failure: Failure) -> Answer {
    match failure {
        Failure::Cancelled => Answer::new(501, 7, 0, "The login was cancelled"),
        Failure::TooLong | Failure::Malformed(Malformed::TooLong) => {
            Answer::new(500, 5, 6, "The line is too long")
        }
        Failure::Base64 | Failure::Malformed(_) => Answer::new(501, 5, 2, "The login is not well formed"),
    }
}
