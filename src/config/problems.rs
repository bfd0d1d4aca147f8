//! What reads well and means nothing good.

use toml::de::{DeTable, DeValue};

use super::sections::is_host_name;
use super::{Config, Problem};
use crate::policy::Role;

/// Longest path of a unix socket: `sun_path` holds 108 octets with its NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// Most worker threads: more than any machine's cores is a slip of the keyboard.
const MAX_THREADS: usize = 1024;

/// Everything that is wrong, in the file's order of sections.
pub(super) fn of(config: &Config, text: &str) -> Vec<Problem> {
    let mut problems = Problems { text, found: Vec::new() };
    problems.listeners(config);
    problems.limits(config);
    problems.rest(config);
    problems.roles(config);
    problems.found
}

struct Problems<'a> {
    text: &'a str,
    found: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, section: &str, key: &str, message: impl Into<String>) {
        let line = line_of(self.text, section, key);
        self.found.push(Problem { line, key: format!("[{section}] {key}"), message: message.into() });
    }

    fn require(&mut self, holds: bool, section: &str, key: &str, message: &str) {
        if !holds {
            self.add(section, key, message);
        }
    }

    fn listeners(&mut self, config: &Config) {
        let (imap, submission) = (&config.imap.listen, &config.submission.listen);
        let message = "nothing listens: neither IMAP nor submission has an address";
        self.require(!imap.is_empty() || !submission.is_empty(), "imap", "listen", message);
        for address in submission.iter().filter(|address| address.port() != 0 && imap.contains(address)) {
            self.add("submission", "listen", format!("{address} is IMAP's already"));
        }
        for (section, list) in [("imap", imap), ("submission", submission)] {
            for (at, address) in list.iter().enumerate() {
                if address.port() != 0 && list[..at].contains(address) {
                    self.add(section, "listen", format!("{address} is there twice"));
                }
            }
        }
    }

    fn limits(&mut self, config: &Config) {
        let (limits, upstream) = (&config.limits, &config.upstream);
        for (key, value) in [
            ("unauthenticated_per_address", limits.unauthenticated_per_address),
            ("unauthenticated", limits.unauthenticated),
            ("per_address", limits.per_address),
            ("per_user", limits.per_user),
            ("connections", limits.connections),
        ] {
            self.require(value >= 1, "limits", key, ABOVE_ZERO);
        }
        for (section, key, seconds) in [
            ("tls", "handshake_seconds", config.tls.handshake_seconds),
            ("upstream", "connect_seconds", upstream.connect_seconds),
            ("upstream", "login_seconds", upstream.login_seconds),
            ("upstream", "wait_seconds", upstream.wait_seconds),
        ] {
            let message = "must be from 1 to 3600";
            self.require((1..=3600).contains(&seconds), section, key, message);
        }
    }

    fn rest(&mut self, config: &Config) {
        if let Err(message) = check_filter(&config.log.level) {
            self.add("log", "level", message);
        }
        let name = &config.submission.session.host_name;
        let message = "must be a host name: letters, digits, hyphens and dots";
        self.require(is_host_name(name), "submission.session", "host_name", message);
        let long = config.admin.socket.as_os_str().len() > MAX_SOCKET_PATH;
        let message = "the path of a unix socket has at most 107 octets, with the directory it starts at";
        self.require(!long, "admin", "socket", message);
        let name = &config.state.credential;
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        self.require(plain, "state", "credential", "must be a file's name without a directory");
        let threads = config.daemon.worker_threads;
        self.require(
            threads <= MAX_THREADS,
            "daemon",
            "worker_threads",
            "must be at most 1024; 0 is one a core",
        );
    }
}

impl Problems<'_> {
    fn roles(&mut self, config: &Config) {
        for (name, settings) in &config.roles {
            for problem in Role::configured(name, settings).err().unwrap_or_default() {
                match &problem.class {
                    Some(class) => self.add(&format!("roles.{name}.rights"), class, problem.message),
                    None => self.add(&format!("roles.{name}"), problem.key, problem.message),
                }
            }
        }
    }
}

const ABOVE_ZERO: &str = "must be at least 1";

fn check_filter(level: &str) -> Result<(), String> {
    let wanted = "write error, warn, info, debug or trace, or with modules: info,mandate::auth=debug";
    // EnvFilter takes any word for a target's name, so that "inof" would silence the log.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in level.split(',') {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim();
        if !levels.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!("{level:?} is no level; {wanted}"));
        }
    }
    level.parse::<tracing_subscriber::EnvFilter>().map(drop).map_err(|error| format!("{error}; {wanted}"))
}

/// The line on which the file sets the key, counted from 1. `section` may be a path.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    for part in section.split('.') {
        let (_, value) = table.iter().find(|(name, _)| name.get_ref().as_ref() == part)?;
        let DeValue::Table(below) = value.get_ref() else { return None };
        table = below;
    }
    let (name, _) = table.iter().find(|(name, _)| name.get_ref().as_ref() == key)?;
    Some(text.get(..name.span().start)?.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{check_filter, line_of};

    #[test]
    fn a_key_has_a_line() {
        let text = "# sample\n[imap]\n\nlisten = []\n[log]\nlevel = \"x\"\n";
        assert_eq!(line_of(text, "imap", "listen"), Some(4));
        assert_eq!(line_of(text, "log", "level"), Some(6));
        assert_eq!(line_of(text, "log", "listen"), None);
    }

    #[test]
    fn a_misspelt_level_does_not_silence_the_log() {
        for good in ["info", "WARN", "info,mandate::auth=debug"] {
            check_filter(good).unwrap();
        }
        for bad in ["inof", "", "mandate", "info,auth=loud"] {
            assert!(check_filter(bad).unwrap_err().contains("error, warn"), "{bad}");
        }
    }
}
