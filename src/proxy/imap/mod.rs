//! IMAP sessions. In the account view the client's account *is* one mailbox; in the combined
//! view it shows the person's own and all that are shared with them.
//!
//! [`serve`] logs a client in (`login`), resolves mailbox and rights, and runs the session
//! (`session`): each command becomes an act (`imap::action`), is decided, and is carried out
//! step by step (`run`), one upstream command and its answer at a time (`exchange`).
//! `watch` ends it from outside; `record` writes the journal.

mod across;
mod append;
mod arrange;
mod client;
mod counts;
mod drafts;
mod ended;
mod exchange;
mod focus;
mod folders;
mod idle;
mod kinds;
mod lease;
mod lines;
mod local;
mod login;
mod naming;
mod nowhere;
mod open;
mod overlay;
mod park;
mod quota;
mod reader;
mod record;
mod reduced;
mod run;
mod saved;
mod scene;
mod sent;
mod session;
mod several;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use self::client::Client;
use self::ended::Ended;
use self::focus::granted;
use self::login::{LoggedIn, Stranger};
use self::record::Recorder;
use self::session::Session;
use self::watch::Watch;
use super::outbox::Outbox;
use super::{Peer, Targets, clock};
use crate::auth::{Authenticator, LoginSeparator};
use crate::imap::capability::Capabilities;
use crate::imap::realm::{Prefix, Realm};
use crate::imap::reply::{self, Outcome};
use crate::net::{Admission, Draining, Gate, Wire};
use crate::store::{Store, StoreError};
use crate::telemetry::{Counter, Counters, Durability, Event, Journal, Service};
use crate::types::{MailboxId, Secret, UserId};
use crate::upstream::{Catalogues, ConnectError, LeaseError, Mirrors, Pools, Target};

/// `[imap]`: limits of IMAP sessions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Largest message that APPEND takes, in octets. Default 52,428,800 (50 MiB), what mail
    /// hosts commonly accept; the host's own APPENDLIMIT counts if it is smaller.
    pub append_limit: u64,
    /// Seconds from the connection to a login. Default 60.
    pub login_seconds: u32,
    /// Seconds without a command. Default 1,800, the least that RFC 3501 §5.4 allows.
    pub autologout_seconds: u32,
    /// Seconds without an octet of a literal that has begun. Default 300.
    pub literal_seconds: u32,
    /// Seconds without progress in writing to a client. Default 60: it holds a connection
    /// that others may wait for.
    pub write_seconds: u32,
    /// The level below which the combined view shows shared mailboxes. Default `Shared`.
    pub shared_prefix: Prefix,
    /// Seconds without an octet from upstream while an answer is due. Default 300: SEARCH in
    /// bodies takes minutes on a large folder.
    pub upstream_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            append_limit: 50 << 20,
            shared_prefix: Prefix::default(),
            login_seconds: 60,
            autologout_seconds: 1_800,
            literal_seconds: 300,
            write_seconds: 60,
            upstream_seconds: 300,
        }
    }
}

/// What all IMAP sessions share.
pub struct Services {
    pub settings: Settings,
    pub separator: LoginSeparator,
    pub store: Store,
    pub authenticator: Arc<Authenticator>,
    pub pools: Arc<Pools>,
    pub catalogues: Arc<Catalogues>,
    /// Folders watched for sessions without a connection.
    pub mirrors: Arc<Mirrors>,
    pub outbox: Arc<Outbox>,
    pub journal: Journal,
    pub counters: Arc<Counters>,
    /// Counts each user's sessions.
    pub gate: Arc<Gate>,
    pub targets: Arc<Targets>,
}

impl Services {
    /// What is needed to reach a mailbox's host; see [`Targets::of`].
    ///
    /// # Errors
    /// There is no credential, or it cannot be opened.
    pub fn target(&self, mailbox: MailboxId, typed: Option<&Secret>) -> Result<Target, StoreError> {
        self.targets.of(&self.store, mailbox, typed)
    }

    /// Forgets people's own accounts that are no more, and those that a typed password opened
    /// when nobody of theirs is here: a look that was under way when the last one left may
    /// have held it.
    async fn tidy_homes(&self) {
        let snapshot = self.store.snapshot();
        for (home, typed) in self.targets.homes() {
            if home.home_user().is_none_or(|user| snapshot.personal(user).is_none()) {
                self.catalogues.forget(home);
                self.forget_home(home).await;
            } else if typed {
                self.forget_unused_home(home).await;
            }
        }
    }

    /// Forgets a person's own account, its password too, unless somebody of theirs is here.
    async fn forget_unused_home(&self, home: MailboxId) {
        if self.catalogues.forget_unused(home) {
            self.forget_home(home).await;
        }
    }

    async fn forget_home(&self, home: MailboxId) {
        self.targets.forget(home);
        self.mirrors.forget(home);
        self.pools.forget(home).await;
    }
}

/// How often idle upstream connections are looked through.
const TIDY: Duration = Duration::from_secs(5);

/// Closes upstream connections that nobody has used for a while, and forgets mailboxes that
/// are gone; until the daemon drains.
pub async fn keep_house(services: Arc<Services>, mut drain: Draining) {
    let mut changes = services.store.changes();
    let mut known: Vec<MailboxId> = services.store.snapshot().mailboxes().map(|mailbox| mailbox.id).collect();
    loop {
        tokio::select! {
            () = drain.requested() => return,
            () = tokio::time::sleep(TIDY) => {
                services.pools.tidy().await;
                services.tidy_homes().await;
            }
            Ok(()) = changes.changed() => {
                let snapshot = services.store.snapshot();
                for gone in known.iter().filter(|id| snapshot.mailbox(**id).is_none()) {
                    services.catalogues.forget(*gone);
                    services.mirrors.forget(*gone);
                    services.pools.forget(*gone).await;
                }
                known = snapshot.mailboxes().map(|mailbox| mailbox.id).collect();
            }
        }
    }
}

/// Longest wait for a mailbox's folders at login.
const FOLDERS: Duration = Duration::from_secs(20);

/// Serves one connection, secured already, to its end.
pub async fn serve(wire: Wire, peer: Peer, admission: Admission, drain: Draining, services: Arc<Services>) {
    let mut client = Client::new(wire);
    let deadline = Duration::from_secs(services.settings.login_seconds.into());
    let before = Box::pin(timeout(deadline, begin(&mut client, peer, drain, &services))).await;
    let ended = match before.unwrap_or(Err(Ended::Slow)) {
        Ok(parts) => return run(client, parts, admission, peer, services).await,
        Err(ended) => ended,
    };
    tracing::debug!(%ended, "a connection ended before login");
    client.say_farewell(ended, None).await;
    client.shut_down().await;
}

/// Everything a session needs before its first command; see [`Session`].
struct Beginning {
    logged_in: LoggedIn,
    watch: Watch,
    session: Resolved,
}

struct Resolved {
    changes: tokio::sync::watch::Receiver<u64>,
    realm: Realm,
    homeless: bool,
    catalogue: Arc<crate::upstream::Catalogue>,
    folders: Arc<crate::upstream::Snapshot>,
    place: crate::net::Place<UserId>,
}

/// Greets; authenticates; resolves: who, which mailbox, with which rights; connects as far as
/// to know the mailbox's folders. A login that fails in any of these may be tried again.
async fn begin(
    client: &mut Client,
    peer: Peer,
    mut drain: Draining,
    services: &Arc<Services>,
) -> Result<Beginning, Ended> {
    let mut greeted = false;
    loop {
        let mut stranger = Stranger { client, services, peer, greeted };
        let ending = drain.clone();
        let logged_in = tokio::select! {
            logged_in = stranger.log_in() => logged_in?,
            () = drain.requested() => return Err(Ended::Draining),
        };
        greeted = true;
        match resolve(&logged_in, services).await {
            Ok((effective, session)) => {
                let changes = session.changes.clone();
                let watch =
                    Watch::new(services.store.clone(), changes, ending, effective, &services.settings);
                return Ok(Beginning { logged_in, watch, session });
            }
            Err(sentence) => {
                let out = client.wire.out();
                reply::tagged(out, &logged_in.tag, Outcome::No, "UNAVAILABLE", &sentence);
            }
        }
    }
}

/// The user's rights and the mailbox's folders, or the sentence that says why there are none.
async fn resolve(
    logged_in: &LoggedIn,
    services: &Arc<Services>,
) -> Result<(Arc<crate::policy::Effective>, Resolved), String> {
    let changes = services.store.changes();
    let snapshot = services.store.snapshot();
    let user = logged_in.welcome.user;
    let id = logged_in.mailbox.unwrap_or(MailboxId::home_of(user));
    let Some(effective) = snapshot.effective(user, id, clock::now()) else {
        return Err(login::NO_ACCESS.to_owned());
    };
    let Ok(place) = services.gate.admit_user(user) else {
        return Err("You have too many sessions open; please close some".to_owned());
    };
    let homeless = logged_in.mailbox.is_none() && snapshot.personal(user).is_none();
    let catalogue = if homeless {
        services.catalogues.of_nobody(Capabilities::all_shared())
    } else {
        let target = services.target(id, logged_in.password.as_ref()).map_err(|error| {
            tracing::error!(%error, mailbox = %effective.address, "the mailbox's credential cannot be used");
            unreachable(&effective)
        })?;
        services.catalogues.of(&target)
    };
    let folders = catalogue.view(Instant::now() + FOLDERS).await.map_err(|error| {
        services.counters.count(Counter::UpstreamFailures);
        tracing::warn!(%error, mailbox = %effective.address, "the mailbox's folders cannot be listed");
        match error {
            LeaseError::Connect(ConnectError::Credential(_)) if logged_in.password.is_some() => {
                "The mail host of your own account does not accept this password; please set both to the same one"
                    .to_owned()
            }
            LeaseError::Connect(_) | LeaseError::Command(_) | LeaseError::Full => unreachable(&effective),
        }
    })?;
    let realm = match logged_in.mailbox {
        Some(_) => Realm::Account,
        None => Realm::Combined(Arc::new(granted(&snapshot, &services.settings.shared_prefix, user))),
    };
    Ok((Arc::new(effective), Resolved { changes, realm, homeless, catalogue, folders, place }))
}

fn unreachable(effective: &crate::policy::Effective) -> String {
    format!("The mail host of {} cannot be reached; please try again later", effective.address)
}

/// A session from its login's answer to its end.
async fn run(
    client: Client,
    parts: Beginning,
    mut admission: Admission,
    peer: Peer,
    services: Arc<Services>,
) {
    let Beginning { logged_in, watch, session } = parts;
    let LoggedIn { tag, welcome, mailbox, password } = logged_in;
    let typed = password.is_some().then(|| (services.clone(), MailboxId::home_of(welcome.user)));
    let event = Event::Login {
        service: Service::Imap,
        session: peer.session,
        peer: peer.address,
        user: welcome.user,
        mailbox,
    };
    let journalled = services.journal.record(event, Durability::Grouped).await;
    let mut session = Session {
        recorder: Recorder::new(services.journal.clone(), peer.session, peer.address),
        services,
        client,
        watch,
        home: mailbox.is_none().then(|| (session.catalogue.clone(), session.folders.clone())),
        homeless: session.homeless,
        in_nowhere: false,
        instead: None,
        realm: session.realm,
        aside: None,
        catalogue: session.catalogue,
        folders: session.folders,
        password,
        lease: None,
        selected: None,
        condstore: false,
        qresync: false,
        tainted: false,
        stripper: None,
        _place: session.place,
    };
    let ended = if journalled.is_ok() {
        admission.authenticated();
        session.services.counters.count(Counter::Logins);
        session.client.logged_in();
        let code = format!("CAPABILITY {}", session.capabilities());
        reply::tagged(session.client.wire.out(), &tag, Outcome::Ok, &code, "Logged in");
        session.run().await
    } else {
        Ended::JournalFailed
    };
    // Boxed: an ending needs more room than all that a session does before it.
    Box::pin(session.end(ended)).await;
    if let Some((services, home)) = typed {
        services.forget_unused_home(home).await;
    }
}
