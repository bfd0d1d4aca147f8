//! The sections of `proxy.toml`, with their defaults. The sample file explains each key.
//!
//! A part that has settings owns them; what stands here is what only `daemon` needs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::LoginSettings;
use crate::net::{DialSettings, LimitSettings, TlsSettings};
use crate::policy::{Role, RoleSettings};
use crate::proxy::{imap, outbox, smtp};
use crate::telemetry::log;
use crate::types::Network;
use crate::upstream::{ConnectSettings, PoolSettings};

/// The whole configuration. After loading, relative paths start at the file's directory.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub state: State,
    pub imap: Imap,
    pub submission: Submission,
    pub tls: TlsSettings,
    pub login: LoginSettings,
    pub limits: LimitSettings,
    pub upstream: Upstream,
    pub outbox: outbox::Settings,
    pub log: Log,
    pub admin: Admin,
    pub daemon: Daemon,
    /// Roles besides the built-in ones, by name.
    pub roles: BTreeMap<String, RoleSettings>,
}

/// `[state]`: where the store and the journal are, and the key that seals credentials.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    pub directory: PathBuf,
    /// Relative to `directory`.
    pub key_file: PathBuf,
    /// The systemd credential that is used instead of `key_file` where there is one.
    pub credential: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            directory: "/var/lib/mandate".into(),
            key_file: "seal.key".into(),
            credential: "seal.key".into(),
        }
    }
}

impl State {
    /// The credential that systemd passed, if it did: `$CREDENTIALS_DIRECTORY/<credential>`.
    pub fn credential_file(&self) -> Option<PathBuf> {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
        Some(Path::new(&directory).join(&self.credential)).filter(|file| file.exists())
    }
}

/// `[imap]`: where clients read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Imap {
    pub listen: Vec<SocketAddr>,
    pub session: imap::Settings,
}

impl Default for Imap {
    fn default() -> Self {
        Self { listen: everywhere(993), session: imap::Settings::default() }
    }
}

/// `[submission]`: where clients send.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Submission {
    pub listen: Vec<SocketAddr>,
    pub session: smtp::Settings,
}

impl Default for Submission {
    fn default() -> Self {
        Self { listen: everywhere(465), session: smtp::Settings::default() }
    }
}

impl Submission {
    /// The name for greeting and EHLO (RFC 5321 §4.1.1.1): `localhost` stands for this
    /// machine's own name, if that is one.
    pub fn host_name(&self) -> String {
        let configured = &self.session.host_name;
        if configured != "localhost" {
            return configured.clone();
        }
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let own = own.trim();
        if is_host_name(own) { own.to_owned() } else { configured.clone() }
    }

    /// The sessions' settings, with that name.
    pub fn session(&self) -> smtp::Settings {
        smtp::Settings { host_name: self.host_name(), ..self.session.clone() }
    }
}

/// Letters, digits, hyphens and dots (RFC 1123 §2.1).
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// `[upstream]`: towards the mail hosts; [`DialSettings`], [`ConnectSettings`] and [`PoolSettings`] in one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    pub connect_seconds: u64,
    pub login_seconds: u64,
    pub plaintext_networks: Vec<Network>,
    pub wait_seconds: u64,
    pub idle_connections: usize,
    pub idle_seconds: u64,
    pub lowered_seconds: u64,
}

impl Default for Upstream {
    fn default() -> Self {
        let (dial, pool) = (DialSettings::default(), PoolSettings::default());
        Self {
            connect_seconds: dial.connect_seconds,
            login_seconds: ConnectSettings::default().login_seconds,
            plaintext_networks: dial.plaintext_networks,
            wait_seconds: pool.wait.as_secs(),
            idle_connections: pool.idle,
            idle_seconds: pool.idle_for.as_secs(),
            lowered_seconds: pool.lowered_for.as_secs(),
        }
    }
}

impl Upstream {
    pub fn dial(&self) -> DialSettings {
        DialSettings {
            connect_seconds: self.connect_seconds,
            plaintext_networks: self.plaintext_networks.clone(),
        }
    }

    pub fn login(&self) -> ConnectSettings {
        ConnectSettings { login_seconds: self.login_seconds }
    }

    pub fn pool(&self) -> PoolSettings {
        PoolSettings {
            wait: Duration::from_secs(self.wait_seconds),
            idle: self.idle_connections,
            idle_for: Duration::from_secs(self.idle_seconds),
            lowered_for: Duration::from_secs(self.lowered_seconds),
        }
    }
}

/// `[log]`: what goes to standard error.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or per module: `info,mandate::auth=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

impl Log {
    pub fn settings(&self) -> log::Settings {
        log::Settings { filter: self.level.clone() }
    }
}

/// `[admin]`: the command line's way to the daemon.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    pub socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: "/run/mandate/control.sock".into() }
    }
}

/// `[daemon]`: the process itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    /// 0: one for each core.
    pub worker_threads: usize,
    /// How long open sessions have to end after SIGTERM.
    pub drain_seconds: u64,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { worker_threads: 0, drain_seconds: 30 }
    }
}

/// Every address of the machine: `[::]` stands for IPv6 alone.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

impl Config {
    /// The lists, which an environment variable gives with commas between.
    pub(super) const LISTS: [&str; 5] = [
        "imap.listen",
        "submission.listen",
        "login.throttle.delays_seconds",
        "login.throttle.trusted_clients",
        "upstream.plaintext_networks",
    ];

    /// The built-in roles and those of `[roles]`; what is wrong there is no role, and
    /// [`Config::load`] has told of it.
    pub fn roles(&self) -> Vec<Role> {
        let custom = self.roles.iter().filter_map(|(name, settings)| Role::configured(name, settings).ok());
        Role::built_in().into_iter().chain(custom).collect()
    }

    /// Makes relative paths start at `directory`, the configuration file's own.
    pub(super) fn resolve(&mut self, directory: &Path) {
        self.state.directory = directory.join(&self.state.directory);
        self.state.key_file = self.state.directory.join(&self.state.key_file);
        let paths = [&mut self.tls.certificate, &mut self.tls.key, &mut self.admin.socket];
        for path in paths {
            *path = directory.join(&*path);
        }
    }
}
