//! SIGHUP: what can change while sessions are open.

use std::path::{Path, PathBuf};

use super::parts::{Parts, warn_of_lost_roles};
use crate::config::Config;
use crate::telemetry::log;

/// The file, and the configuration in force.
pub(super) struct Reload {
    file: PathBuf,
    current: Config,
}

impl Reload {
    pub(super) fn new(file: &Path, config: &Config) -> Self {
        Self { file: file.to_owned(), current: config.clone() }
    }

    /// Reads the file again. Whatever is wrong with it, what runs goes on as it was.
    pub(super) async fn run(&mut self, parts: &Parts) {
        let fresh = match Config::load(&self.file) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!("reload: {error}; the running configuration stays");
                return;
            }
        };
        if let Err(error) = parts.identity.reload(&fresh.tls) {
            tracing::error!(%error, "reload: certificate not usable; the running configuration stays");
            return;
        }
        parts.dialer.forget_roots();
        for section in self.waiting(&fresh) {
            tracing::warn!("reload: [{section}] has changed, which takes a restart");
        }
        if let Err(error) = log::change(&fresh.log.settings()) {
            tracing::error!("reload: {error}; the running configuration stays");
            return;
        }
        if self.current.roles != fresh.roles {
            // Open sessions see it as they see a changed grant.
            match parts.store.set_roles(fresh.roles()).await {
                Ok(()) => self.current.roles = fresh.roles,
                Err(error) => {
                    tracing::error!(%error, "reload: [roles] cannot be taken over and stay as they were")
                }
            }
            warn_of_lost_roles(&parts.store);
        }
        parts.gate.change(fresh.limits.clone());
        (self.current.tls, self.current.log, self.current.limits) = (fresh.tls, fresh.log, fresh.limits);
        tracing::info!(file = %self.file.display(), "reload: certificates, [limits], [log] and [roles] are taken over");
    }

    /// The sections that differ from what runs and cannot be taken over.
    fn waiting(&self, fresh: &Config) -> Vec<&'static str> {
        let old = &self.current;
        let handshake = old.tls.handshake_seconds != fresh.tls.handshake_seconds;
        [
            ("state", old.state != fresh.state),
            ("imap", old.imap != fresh.imap),
            ("submission", old.submission != fresh.submission),
            ("tls", handshake),
            ("login", old.login != fresh.login),
            ("upstream", old.upstream != fresh.upstream),
            ("outbox", old.outbox != fresh.outbox),
            ("admin", old.admin != fresh.admin),
            ("daemon", old.daemon != fresh.daemon),
        ]
        .into_iter()
        .filter_map(|(section, differs)| differs.then_some(section))
        .collect()
    }
}
