//! People's own mail: by their own submission host, else by the one that the configuration
//! names for everybody.

use serde::{Deserialize, Serialize};

use super::host::NoHost;
use super::session::Session;
use super::{OwnLogin, Services};
use crate::store::{Purpose, StoreError, User};
use crate::types::{Account, Endpoint, MailboxId, Secret, Security, Trust};

/// `[submission.session.own]`: the submission host for those who have none of their own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnHostSettings {
    /// A name or address; empty: there is none, and their own mail is refused.
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Whether we log in there as the person, by login name and the password they have just
    /// given us. If not, it is a relay without a login: on loopback or a configured network.
    pub pass_through: bool,
}

impl Default for OwnHostSettings {
    fn default() -> Self {
        Self { host: String::new(), port: 465, security: Security::Implicit, pass_through: true }
    }
}

impl Services {
    /// Whether a person's password is needed after their login: to hand in their own mail.
    pub(super) fn needs_password(&self, user: &User) -> bool {
        let snapshot = self.store.snapshot();
        match snapshot.personal(user.id).and_then(|personal| personal.submission.as_ref()) {
            Some(host) => matches!(host.login, OwnLogin::PassThrough(_)),
            None => !self.settings.own.host.is_empty() && self.settings.own.pass_through,
        }
    }
}

impl Session<'_> {
    /// Where the person's own mail is handed in, and as whom.
    pub(super) fn own_host(&self, user: &User) -> Result<(Endpoint, Option<(Account, Secret)>), NoHost> {
        let typed = || {
            let none = || StoreError::Unknown(format!("no password of {} is at hand", user.id));
            self.password.clone().ok_or_else(|| NoHost::Credential(none()))
        };
        let snapshot = self.services.store.snapshot();
        if let Some(host) = snapshot.personal(user.id).and_then(|personal| personal.submission.as_ref()) {
            let login = match &host.login {
                OwnLogin::PassThrough(account) => Some((account.clone(), typed()?)),
                OwnLogin::Stored(account) => {
                    let stored = self.services.store.credential(MailboxId::home_of(user.id), Purpose::Smtp);
                    Some((account.clone(), stored.map_err(NoHost::Credential)?))
                }
                OwnLogin::Relay => None,
            };
            return Ok((host.endpoint.clone(), login));
        }
        let OwnHostSettings { host, port, security, pass_through } = &self.services.settings.own;
        if host.is_empty() {
            return Err(NoHost::NotConfigured);
        }
        let endpoint =
            Endpoint { host: host.clone(), port: *port, security: *security, trust: Trust::System };
        let account = || Account { authcid: user.login.to_string(), authzid: None };
        let login = if *pass_through { Some((account(), typed()?)) } else { None };
        Ok((endpoint, login))
    }
}
