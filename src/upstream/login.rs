//! From the first octet to "logged in, nothing selected".
//!
//! Whatever the host says before TLS is forgotten; a host that claims we are logged in
//! already (PREAUTH) could have been put there to keep us from TLS, and is left.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Connector;
use super::connection::{Answered, Connection, words};
use super::error::{CommandError, ConnectError};
use super::pool::Host;
use super::target::{EnabledSet, Target};
use crate::imap::capability::Capabilities;
use crate::imap::response::{self, Code, Condition, Response, Status};
use crate::imap::writer::Housekeeping;
use crate::types::{Account, Endpoint, Secret, Security};

/// Longest wait for NOOP on an idle connection; then a new one is quicker.
const ALIVE: Duration = Duration::from_secs(2);
/// Longest wait for UNSELECT or NOOP when a connection is given back.
const RELEASE: Duration = Duration::from_secs(5);
/// Longest wait for the answer to LOGOUT: a courtesy that frees the host's count in time.
const CLOSE: Duration = Duration::from_secs(1);

impl Host for Connector {
    type Link = Connection;

    async fn connect(&self, target: &Target, enabled: EnabledSet) -> Result<Connection, ConnectError> {
        let mut connection = self.open(&target.endpoint).await?;
        let deadline = self.login_deadline();
        let work = async {
            log_in(&mut connection, &target.account, &target.password).await?;
            enable(&mut connection, enabled).await?;
            Ok(connection)
        };
        by(deadline, "log-in", work).await
    }

    async fn is_alive(&self, connection: &mut Connection) -> bool {
        let deadline = Instant::now() + ALIVE;
        let answered = connection.command_by(&Housekeeping::Noop, deadline).await;
        answered.is_ok_and(|answered| answered.is_ok()) && connection.is_quiet()
    }

    async fn release(&self, connection: &mut Connection) -> bool {
        // A relayed command is still under way: its answer, or the rest of a literal, could be
        // taken for the answer to ours.
        if !connection.is_in_step() || !connection.scanner.is_between_responses() {
            return false;
        }
        if connection.is_selected() && !connection.capabilities().has("UNSELECT") {
            return false;
        }
        let step = if connection.is_selected() { Housekeeping::Unselect } else { Housekeeping::Noop };
        if connection.is_selected() || !connection.is_quiet() {
            let answered = connection.command_by(&step, Instant::now() + RELEASE).await;
            if !answered.is_ok_and(|answered| answered.is_ok()) {
                return false;
            }
            connection.set_selected(false);
        }
        connection.is_quiet()
    }

    async fn close(&self, mut connection: Connection) {
        let farewell = async {
            // The answer to LOGOUT begins with BYE, which is an error to any other command.
            let _ = connection.command(&Housekeeping::Logout).await;
            connection.wire.shutdown().await
        };
        let _ = tokio::time::timeout(CLOSE, farewell).await;
    }
}

impl Connector {
    /// A secured connection that has greeted us, not logged in.
    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, ConnectError> {
        let mut connection = Connection::new(self.dial(endpoint).await?);
        let deadline = self.login_deadline();
        by(deadline, "greeting", greet(&mut connection)).await?;
        if endpoint.security != Security::StartTls {
            return Ok(connection);
        }
        by(deadline, "STARTTLS", start_tls(&mut connection)).await?;
        // A new connection: nothing learned in the clear goes with it.
        Ok(Connection::new(self.secure(connection.wire, endpoint).await?))
    }
}

async fn by<T>(
    deadline: Instant,
    step: &'static str,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(ConnectError::Slow(step)))
}

async fn greet(connection: &mut Connection) -> Result<(), ConnectError> {
    let line = connection.greeting().await?;
    let Ok(Response::Status(status)) = response::parse(&line) else {
        return Err(ConnectError::Protocol("the greeting is no IMAP"));
    };
    match status.condition {
        Condition::Ok => {
            if let Some(Code::Capability(words)) = &status.code {
                connection.capabilities = Capabilities::parse(words);
            }
            Ok(())
        }
        Condition::PreAuth => Err(ConnectError::Preauth),
        Condition::Bye => Err(turned_away(words(&line))),
        Condition::No | Condition::Bad => Err(ConnectError::Protocol("the greeting is neither OK nor BYE")),
    }
}

/// RFC 3501 §6.2.1. Not offered, refused or followed by anything: no password goes out.
async fn start_tls(connection: &mut Connection) -> Result<(), ConnectError> {
    know_capabilities(connection).await?;
    if !connection.capabilities().has("STARTTLS") {
        return Err(ConnectError::Tls("the host offers no STARTTLS".to_owned()));
    }
    let answered = connection.command(&Housekeeping::StartTls).await?;
    if !answered.is_ok() {
        return Err(ConnectError::Tls("the host refused STARTTLS".to_owned()));
    }
    Ok(())
}

/// AUTHENTICATE PLAIN where it is offered: unlike LOGIN's, its octets are UTF-8 by
/// definition, and it can name another account (RFC 4616).
async fn log_in(
    connection: &mut Connection,
    account: &Account,
    password: &Secret,
) -> Result<(), ConnectError> {
    know_capabilities(connection).await?;
    let can = connection.capabilities();
    let authzid = account.authzid.as_deref();
    let command = if can.has_auth("PLAIN") {
        let (authzid, initial) = (authzid.unwrap_or_default(), can.has("SASL-IR"));
        Housekeeping::AuthenticatePlain { authzid, authcid: &account.authcid, password, initial }
    } else if can.has("LOGINDISABLED") || authzid.is_some() {
        return Err(ConnectError::Protocol("the host offers no way to log in that fits the account"));
    } else {
        Housekeeping::Login { user: &account.authcid, password }
    };
    let answered = connection.command(&command).await?;
    connection.wire.end_secrets();
    if let Some(status) = answered.status()
        && !answered.is_ok()
    {
        return Err(refused(&status, words(answered.tagged_line())));
    }
    connection.capabilities = announced(&answered).unwrap_or_default();
    connection.alert = alert(&answered);
    know_capabilities(connection).await
}

/// RFC 5161. A host with CONDSTORE but without ENABLE switches it on at SELECT.
async fn enable(connection: &mut Connection, wanted: EnabledSet) -> Result<(), ConnectError> {
    let can = connection.capabilities();
    let (name, qresync) = match wanted {
        EnabledSet::Plain => return Ok(()),
        EnabledSet::Condstore => ("CONDSTORE", false),
        EnabledSet::CondstoreQresync => ("QRESYNC", true),
    };
    if !(can.has(name) || !qresync && can.has_condstore()) {
        return Err(ConnectError::Protocol("the host does not offer what was to be enabled"));
    }
    let at_select = !qresync && !can.has("ENABLE");
    connection.enabled = wanted;
    if at_select {
        return Ok(());
    }
    let answered = connection.command(&Housekeeping::Enable { qresync }).await?;
    let listed = |response: Response<'_>| match response {
        Response::Enabled(names) => names.iter().any(|enabled| enabled.eq_ignore_ascii_case(name.as_bytes())),
        _ => false,
    };
    if !answered.is_ok() || !answered.responses().any(listed) {
        return Err(ConnectError::Protocol("the host did not enable what it offers"));
    }
    Ok(())
}

/// Asks for them if the host has not told them by itself.
async fn know_capabilities(connection: &mut Connection) -> Result<(), ConnectError> {
    if !connection.capabilities().is_empty() {
        return Ok(());
    }
    let answered = connection.command(&Housekeeping::Capability).await?;
    let told = announced(&answered).filter(|capabilities| capabilities.has("IMAP4rev1"));
    connection.capabilities = told.ok_or(ConnectError::Protocol("the host does not say IMAP4rev1"))?;
    Ok(())
}

/// From an untagged CAPABILITY, or the tagged answer's code, which is the later one.
fn announced(answered: &Answered) -> Option<Capabilities> {
    let untagged = answered.responses().filter_map(|response| match response {
        Response::Capability(words) => Some(Capabilities::parse(&words)),
        _ => None,
    });
    match answered.status()?.code {
        Some(Code::Capability(words)) => Some(Capabilities::parse(&words)),
        _ => untagged.last(),
    }
}

fn alert(answered: &Answered) -> Option<String> {
    let is_alert = |status: &Status<'_>| status.code == Some(Code::Alert);
    let untagged = answered.responses().filter_map(|response| match response {
        Response::Status(status) => Some(status),
        _ => None,
    });
    let status = untagged.chain(answered.status()).find(is_alert)?;
    Some(response::alert_text(status.text))
}

/// Why a log-in was answered NO or BAD.
fn refused(status: &Status<'_>, words: String) -> ConnectError {
    match (&status.condition, &status.code) {
        (Condition::Bad, _) => ConnectError::Protocol("the host did not understand the log-in"),
        _ if speaks_of_a_limit(&words) => ConnectError::Limit(words),
        (_, Some(Code::Unavailable | Code::InUse)) => ConnectError::Bye(words),
        _ => ConnectError::Credential(words),
    }
}

fn turned_away(words: String) -> ConnectError {
    if speaks_of_a_limit(&words) { ConnectError::Limit(words) } else { ConnectError::Bye(words) }
}

/// The code LIMIT, or the words of hosts that do not know it.
///
/// Dovecot: "Maximum number of connections from user+IP exceeded"; Gmail: "Too many
/// simultaneous connections"; Courier: "Maximum connection limit reached".
fn speaks_of_a_limit(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let of_connections = |word: &&str| text.contains(word) && text.contains("connection");
    text.contains("[limit]") || ["maximum", "too many", "limit"].iter().any(of_connections)
}

impl From<CommandError> for ConnectError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Dead(error) => Self::Dead(error),
            CommandError::Bye(words) => turned_away(words),
            CommandError::Slow => Self::Slow("answering"),
            CommandError::Unreadable(_) => Self::Protocol("what it says is no IMAP"),
            CommandError::Unwritable => Self::Protocol("our account or password cannot be written in IMAP"),
            CommandError::Protocol(what) => Self::Protocol(what),
        }
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
