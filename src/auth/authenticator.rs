//! From credentials to a user and a view.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::{Claim, LoginSeparator, NoReading, claim, folded};
use super::keyed::{Keyed, Tag};
use super::password::{HashSettings, PasswordError, QueueFull, Verifier, is_app_password};
use super::table::Table;
use super::throttle::{Throttle, ThrottleSettings, Who, after};
use crate::sasl::Credentials;
use crate::store::{LookupError, PasswordHash, Snapshot, User};
use crate::telemetry::{Quoted, Service};
use crate::types::{LoginName, MailboxId, Secret, Timestamp, UserId};

/// Verified credentials that are remembered.
const REMEMBERED: usize = 10_000;

/// `[login]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// What stands between person and mailbox in a login name. Default `/`.
    pub separator: LoginSeparator,
    /// Seconds for which a verified password is known without hashing it again; a changed
    /// password ends that at once. Default 300, which is also the most; 0 is never. Clients
    /// open five connections at a time and come back every few minutes.
    pub remember_seconds: u64,
    pub hashing: HashSettings,
    pub throttle: ThrottleSettings,
}

impl LoginSettings {
    const REMEMBER_AT_MOST: u64 = 300;
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            separator: LoginSeparator::default(),
            remember_seconds: Self::REMEMBER_AT_MOST,
            hashing: HashSettings::default(),
            throttle: ThrottleSettings::default(),
        }
    }
}

/// One login attempt.
#[derive(Debug)]
pub struct Attempt {
    pub service: Service,
    pub peer: IpAddr,
    pub credentials: Credentials,
    /// When the request arrived.
    pub now: Timestamp,
}

/// What came of it, and when the client may hear of it.
#[derive(Debug)]
pub struct Login {
    pub outcome: Outcome,
    /// No answer before that: it hides how long hashing took, and slows guessing down.
    pub answer_at: Timestamp,
}

#[derive(Debug)]
pub enum Outcome {
    /// One text, one code, whatever the reason.
    Refused(Refusal),
    /// Too many at once: a temporary answer.
    Busy,
    Welcome(Welcome),
}

/// For the journal and the log; the client learns none of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub user: Option<UserId>,
    pub why: Why,
}

/// Why a login was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    UnknownUser,
    Disabled,
    WrongPassword,
    /// The same wrong password as before: not counted again.
    Repeated,
    /// The login name has no reading, or two; or login name and authzid disagree.
    NoReading,
    /// App passwords do not exist yet.
    AppPassword,
}

impl Why {
    /// For the journal and the counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown user",
            Self::Disabled => "disabled",
            Self::WrongPassword => "wrong password",
            Self::Repeated => "wrong password, again",
            Self::NoReading => "login name without a reading",
            Self::AppPassword => "app password",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Somebody is who they say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Welcome {
    pub user: UserId,
    pub login: LoginName,
    pub view: View,
}

/// What the login shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum View {
    /// The person's own account.
    Personal,
    /// One mailbox as if it were an account; there is a live grant.
    Mailbox(MailboxId),
    /// No grant, or no such mailbox: one sentence. The name as the client wrote it.
    NoAccess(String),
}

/// Verifies logins, for all services together.
pub struct Authenticator {
    settings: LoginSettings,
    verifier: Verifier,
    keyed: Keyed,
    verified: Mutex<Table<Tag, ()>>,
    throttle: Mutex<Throttle>,
}

/// An attempt taken apart, before any password is looked at.
struct Tried<'a> {
    claim: Result<Claim, NoReading>,
    user: Option<&'a User>,
    /// The hash to verify with; `None` verifies nobody's.
    hash: Option<&'a PasswordHash>,
    who: Who,
    /// This password, for the hash that the user has: wrong once, it stays wrong.
    guess: Tag,
    /// This password, in this login form, as the records are now: refused though right
    /// (disabled, two readings), it may be good after the next change of the store.
    guess_now: Tag,
}

impl Authenticator {
    /// # Errors
    /// Hashing settings out of argon2's range.
    pub fn new(settings: LoginSettings) -> Result<Self, PasswordError> {
        let keyed = Keyed::new()
            .map_err(|_| PasswordError::Settings("the system gives no random numbers".to_owned()))?;
        Ok(Self {
            verifier: Verifier::new(&settings.hashing)?,
            keyed,
            verified: Mutex::new(Table::new(REMEMBERED)),
            throttle: Mutex::new(Throttle::new(settings.throttle.clone())),
            settings,
        })
    }

    /// Verifies an attempt against the records as they are now. The caller answers at
    /// [`Login::answer_at`], not before.
    pub async fn authenticate(&self, snapshot: &Snapshot, attempt: Attempt) -> Login {
        let tried = self.take_apart(snapshot, &attempt.credentials);
        let outcome = self.decide(snapshot, &attempt, &tried).await;
        let mut throttle = lock(&self.throttle);
        let delay = match &outcome {
            Outcome::Refused(refusal) => {
                throttle.failed(attempt.peer, tried.who, tried.counted(refusal.why), attempt.now)
            }
            Outcome::Busy => throttle.delay(attempt.peer, tried.who, attempt.now),
            Outcome::Welcome(welcome) => {
                let delay = throttle.delay(attempt.peer, tried.who, attempt.now);
                throttle.succeeded(attempt.peer, welcome.user, attempt.now);
                delay
            }
        };
        drop(throttle);
        log(&attempt, &outcome);
        Login { outcome, answer_at: after(attempt.now, delay) }
    }

    fn take_apart<'a>(&self, snapshot: &'a Snapshot, credentials: &Credentials) -> Tried<'a> {
        let claim = claim(&credentials.authcid, credentials.authzid.as_ref(), self.settings.separator);
        let user = claim.as_ref().ok().and_then(|claim| snapshot.find_user(&claim.user));
        let user = user.map(AsRef::as_ref);
        let hash = user.and_then(|user: &User| user.password.as_ref());
        let hash = hash.filter(|_| !is_app_password(&credentials.password));
        let who = match user {
            Some(user) => Who::Known(user.id),
            None => {
                let name = claim.as_ref().map_or(&credentials.authcid.0, |claim| &claim.user);
                Who::Unknown(self.keyed.tag(&[b"name", folded(name).as_bytes()]))
            }
        };
        let generation = hash.map_or("", PasswordHash::as_str).as_bytes();
        let guess = self.keyed.tag(&[b"guess", generation, credentials.password.expose()]);
        let guess_now = self.keyed.tag(&[
            b"guess now",
            &snapshot.version().to_be_bytes(),
            credentials.authcid.0.as_bytes(),
            credentials.authzid.as_ref().map_or("", |authzid| &authzid.0).as_bytes(),
            &guess,
        ]);
        Tried { claim, user, hash, who, guess, guess_now }
    }

    async fn decide(&self, snapshot: &Snapshot, attempt: &Attempt, tried: &Tried<'_>) -> Outcome {
        let refused = |why| Outcome::Refused(Refusal { user: tried.user.map(|user| user.id), why });
        if self.is_repeated(tried, attempt.now) {
            return refused(Why::Repeated);
        }
        match self.verify(attempt, tried).await {
            Ok(true) => {}
            Ok(false) => return refused(why_wrong(tried, &attempt.credentials.password)),
            Err(QueueFull) => return Outcome::Busy,
        }
        let (Some(user), Ok(claim)) = (tried.user, &tried.claim) else {
            return refused(Why::UnknownUser);
        };
        if user.disabled {
            return refused(Why::Disabled);
        }
        match view(snapshot, user, claim, attempt.now) {
            Ok(view) => Outcome::Welcome(Welcome { user: user.id, login: user.login.clone(), view }),
            Err(NoReading) => refused(Why::NoReading),
        }
    }

    fn is_repeated(&self, tried: &Tried<'_>, now: Timestamp) -> bool {
        let throttle = lock(&self.throttle);
        [&tried.guess, &tried.guess_now].into_iter().any(|guess| throttle.is_repeated(tried.who, guess, now))
    }

    /// Is it the user's password? Known from a moment ago, or by hashing.
    async fn verify(&self, attempt: &Attempt, tried: &Tried<'_>) -> Result<bool, QueueFull> {
        let password = &attempt.credentials.password;
        let (Some(user), Some(hash)) = (tried.user, tried.hash) else {
            return self.verifier.verify(password, None).await;
        };
        let tag = self.keyed.tag(&[
            b"verified",
            service_name(attempt.service).as_bytes(),
            &user.id.0.to_be_bytes(),
            b"password",
            &[],
            hash.as_str().as_bytes(),
            password.expose(),
        ]);
        if lock(&self.verified).get(&tag, attempt.now).is_some() {
            return Ok(true);
        }
        let right = self.verifier.verify(password, Some(hash)).await?;
        if right {
            let seconds = self.settings.remember_seconds.min(LoginSettings::REMEMBER_AT_MOST);
            let until = after(attempt.now, Duration::from_secs(seconds));
            lock(&self.verified).insert(tag, (), until, attempt.now);
        }
        Ok(right)
    }
}

impl Tried<'_> {
    /// What counts against the client when it is refused, once.
    fn counted(&self, why: Why) -> Option<Tag> {
        match why {
            Why::UnknownUser | Why::WrongPassword | Why::AppPassword => Some(self.guess),
            Why::Disabled | Why::NoReading => Some(self.guess_now),
            Why::Repeated => None,
        }
    }
}

fn why_wrong(tried: &Tried<'_>, password: &Secret) -> Why {
    match (&tried.claim, tried.user) {
        (Err(NoReading), _) => Why::NoReading,
        (Ok(_), _) if is_app_password(password) => Why::AppPassword,
        (Ok(_), None) => Why::UnknownUser,
        (Ok(_), Some(_)) => Why::WrongPassword,
    }
}

/// Which account a verified user asked for.
fn view(snapshot: &Snapshot, user: &User, claim: &Claim, now: Timestamp) -> Result<View, NoReading> {
    let Some(asked) = claim.mailboxes.first() else { return Ok(View::Personal) };
    if claim.authzid_may_be_user && snapshot.find_user(asked).is_some_and(|named| named.id == user.id) {
        return Ok(View::Personal);
    }
    let find = |name: &String| snapshot.find_mailbox(name, user.domain()).map(|mailbox| mailbox.id);
    let found = find(asked);
    // Two names must be known to mean one mailbox; two unknown ones are not.
    let agree = claim.mailboxes.iter().skip(1).all(|other| found.is_ok() && find(other) == found);
    if !agree {
        return Err(NoReading);
    }
    match found {
        Ok(mailbox) if snapshot.effective(user.id, mailbox, now).is_some() => Ok(View::Mailbox(mailbox)),
        Ok(_) | Err(LookupError::Unknown) => Ok(View::NoAccess(asked.clone())),
        Err(LookupError::Ambiguous) => Err(NoReading),
    }
}

/// The line that fail2ban and its like read; its form does not change. A repeated wrong
/// password is somebody's telephone, and has a line of its own.
fn log(attempt: &Attempt, outcome: &Outcome) {
    let from = origin(attempt);
    match outcome {
        Outcome::Refused(Refusal { why: Why::Repeated, .. }) => tracing::info!("auth-again {from}"),
        Outcome::Refused(Refusal { why, .. }) => tracing::warn!("auth-fail {from} why=\"{why}\""),
        Outcome::Busy => tracing::warn!("auth-busy {from}"),
        Outcome::Welcome(welcome) => tracing::info!("auth-ok {from} id={}", welcome.user),
    }
}

fn origin(attempt: &Attempt) -> String {
    let user = Quoted::new(&attempt.credentials.authcid.0);
    format!("rip={} user={user} svc={}", attempt.peer.to_canonical(), service_name(attempt.service))
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Imap => "imap",
        Service::Submission => "submission",
        Service::Control => "control",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
