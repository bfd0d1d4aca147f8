//! The parts, made from the settings in the order in which they need each other.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::DaemonError;
use super::outbox::Window;
use super::status::Offline;
use crate::admin::{self, Hosts, StatusSource};
use crate::auth::Authenticator;
use crate::config::{Config, State};
use crate::net::{Acceptor, Dialer, Draining, Gate, ServerIdentity};
use crate::proxy::outbox::{self, Outbox};
use crate::proxy::{Door, Service, Targets, imap, smtp};
use crate::store::{self, Sealer, Store};
use crate::telemetry::{Counters, Journal};
use crate::types::Timestamp;
use crate::upstream::{Catalogues, Connector, Mirrors, Pools};

/// Everything that runs as long as the daemon does.
#[derive(Clone)]
pub(super) struct Parts {
    pub started: Timestamp,
    pub store: Store,
    pub journal: Journal,
    pub counters: Arc<Counters>,
    pub gate: Arc<Gate>,
    pub identity: Arc<ServerIdentity>,
    pub authenticator: Arc<Authenticator>,
    pub dialer: Arc<Dialer>,
    pub connector: Connector,
    pub pools: Arc<Pools>,
    pub catalogues: Arc<Catalogues>,
    pub targets: Arc<Targets>,
    pub outbox: Arc<Outbox>,
    pub config: Arc<Config>,
}

impl Parts {
    /// Opens what must be open before anybody may connect.
    pub(super) fn open(config: &Config) -> Result<Self, DaemonError> {
        let identity = ServerIdentity::load(&config.tls).map_err(DaemonError::Tls)?;
        let authenticator = Authenticator::new(config.login.clone())
            .map_err(|error| DaemonError::Config(format!("[login.hashing]: {error}")))?;
        let (store, journal) = open_state(config)?;
        let dialer = Arc::new(Dialer::new(config.upstream.dial()));
        let connector = Connector::new(Arc::clone(&dialer), config.upstream.login());
        let pools = Pools::new(connector.clone(), config.upstream.pool());
        let catalogues = Arc::new(Catalogues::new(Arc::clone(&pools)));
        let targets: Arc<Targets> = Arc::default();
        let needs = outbox::Needs {
            store: store.clone(),
            journal: journal.clone(),
            pools: Arc::clone(&pools),
            catalogues: Arc::clone(&catalogues),
            targets: Arc::clone(&targets),
        };
        let outbox = Outbox::open(&config.state.directory, config.outbox.clone(), needs)?;
        Ok(Self {
            started: now(),
            store,
            journal,
            counters: Arc::default(),
            gate: Arc::new(Gate::new(config.limits.clone())),
            identity,
            authenticator: Arc::new(authenticator),
            dialer,
            connector,
            pools,
            catalogues,
            targets,
            outbox,
            config: Arc::new(config.clone()),
        })
    }

    /// What the admin's verbs work with.
    pub(super) fn admin(&self, status: Box<dyn StatusSource>) -> admin::Services {
        admin::Services {
            store: self.store.clone(),
            journal: self.journal.clone(),
            hosts: Hosts::new(self.connector.clone(), self.config.submission.host_name()),
            status,
            outbox: Some(Box::new(Window { outbox: Arc::clone(&self.outbox), store: self.store.clone() })),
            journal_file: journal_file(&self.config.state),
            hashing: self.config.login.hashing.clone(),
        }
    }

    /// The door for IMAP, and what is behind it.
    pub(super) fn imap(&self, draining: &Draining) -> Result<Door, DaemonError> {
        let services = imap::Services {
            settings: self.config.imap.session.clone(),
            separator: self.config.login.separator,
            store: self.store.clone(),
            authenticator: Arc::clone(&self.authenticator),
            catalogues: Arc::clone(&self.catalogues),
            mirrors: Mirrors::new(Arc::clone(&self.pools)),
            pools: Arc::clone(&self.pools),
            outbox: Arc::clone(&self.outbox),
            journal: self.journal.clone(),
            counters: Arc::clone(&self.counters),
            gate: Arc::clone(&self.gate),
            targets: Arc::clone(&self.targets),
        };
        let services = Arc::new(services);
        tokio::spawn(Arc::clone(&self.outbox).run(draining.clone()));
        tokio::spawn(imap::keep_house(Arc::clone(&services), draining.clone()));
        self.door("imap", Service::Imap(services))
    }

    /// The door for submission, and what is behind it.
    pub(super) fn submission(&self) -> Result<Door, DaemonError> {
        let services = smtp::Services {
            settings: self.config.submission.session(),
            store: self.store.clone(),
            authenticator: Arc::clone(&self.authenticator),
            connector: self.connector.clone(),
            outbox: Arc::clone(&self.outbox),
            journal: self.journal.clone(),
            counters: Arc::clone(&self.counters),
            parents: Arc::clone(&self.outbox) as Arc<dyn smtp::Parents>,
            gate: Arc::clone(&self.gate),
        };
        self.door("smtp", Service::Submission(Arc::new(services)))
    }

    /// `alpn`: the service's name in a TLS handshake (RFC 7301).
    fn door(&self, alpn: &str, service: Service) -> Result<Door, DaemonError> {
        let identity = Arc::clone(&self.identity);
        let acceptor = Acceptor::new(identity, &self.config.tls, &[alpn]).map_err(DaemonError::Tls)?;
        Ok(Door { acceptor, service, counters: Arc::clone(&self.counters) })
    }

    /// Writes what is waiting, and gives the files free.
    pub(super) async fn close(&self) -> Result<(), DaemonError> {
        let journal = self.journal.close().await;
        let outbox = self.outbox.close().await;
        self.store.close().await?;
        outbox?;
        Ok(journal?)
    }
}

/// The admin's verbs without a daemon, on the store itself. The caller closes both.
pub fn offline(config: &Config) -> Result<admin::Services, DaemonError> {
    let (store, journal) = open_state(config)?;
    let dialer = Arc::new(Dialer::new(config.upstream.dial()));
    Ok(admin::Services {
        store,
        journal,
        hosts: Hosts::new(Connector::new(dialer, config.upstream.login()), config.submission.host_name()),
        status: Box::new(Offline),
        outbox: None,
        journal_file: journal_file(&config.state),
        hashing: config.login.hashing.clone(),
    })
}

/// The key that seals credentials: systemd's credential where there is one, else the key file.
pub fn sealer(state: &State) -> Result<Sealer, DaemonError> {
    Ok(match state.credential_file() {
        Some(file) => Sealer::from_credential(&file)?,
        None => Sealer::from_key_file(&state.key_file)?,
    })
}

/// Store and journal, below the state directory. Whoever opens them must own it: files of
/// another uid in there would keep the daemon from starting.
fn open_state(config: &Config) -> Result<(Store, Journal), DaemonError> {
    let state = &config.state;
    let directory = &state.directory;
    check_owner(directory)?;
    let sealer = sealer(state)?;
    let key = sealer.derive("audit journal");
    let settings = store::Settings { roles: config.roles(), ..store::Settings::default() };
    let store = Store::open(&directory.join("store"), sealer, settings)?;
    warn_of_lost_roles(&store);
    let journal = Journal::open(&journal_file(state), &key)?;
    Ok((store, journal))
}

/// Grants of a role that the configuration no longer has give nothing, and an operator should know.
pub(super) fn warn_of_lost_roles(store: &Store) {
    let snapshot = store.snapshot();
    for grant in snapshot.grants().filter(|grant| snapshot.role(&grant.role).is_none()) {
        tracing::warn!(grant = %grant.id, role = %grant.role, "a grant gives nothing: no such role is configured");
    }
}

fn journal_file(state: &State) -> PathBuf {
    state.directory.join("journal.jsonl")
}

fn check_owner(directory: &Path) -> Result<(), DaemonError> {
    let owner = owner_of(directory)?;
    let ours = own_uid()?;
    if owner == ours {
        return Ok(());
    }
    Err(DaemonError::Owner { directory: directory.to_owned(), owner, ours })
}

/// The effective uid of this process: that of its directory in /proc.
pub fn own_uid() -> Result<u32, DaemonError> {
    owner_of(Path::new("/proc/self"))
}

fn owner_of(path: &Path) -> Result<u32, DaemonError> {
    let found = std::fs::metadata(path).map_err(|error| DaemonError::File(path.to_owned(), error))?;
    Ok(found.uid())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
