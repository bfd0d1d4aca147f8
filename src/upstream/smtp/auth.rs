//! AUTH with our own credential (RFC 4954, RFC 4616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{SmtpConnection, words};
use crate::smtp::Reply;
use crate::types::{Account, Secret};
use crate::upstream::error::ConnectError;

/// Longest command line in octets without CRLF: longer initial responses go after a
/// prompt of the host's (RFC 4954 §4, RFC 5321 §4.5.3.1.4).
const MAX_COMMAND: usize = 510;

/// PLAIN where it is offered, LOGIN otherwise.
pub(super) async fn log_in(
    host: &mut SmtpConnection,
    account: &Account,
    password: &Secret,
    deadline: Instant,
) -> Result<(), ConnectError> {
    let reply = if host.extensions.auth_plain {
        plain(host, account, password, deadline).await?
    } else if host.extensions.auth_login && account.authzid.is_none() {
        login(host, account, password, deadline).await?
    } else {
        return Err(ConnectError::Protocol("the host offers no AUTH that fits the account"));
    };
    match reply.code() {
        235 => Ok(()),
        400..=499 => Err(ConnectError::Bye(words(&reply))),
        _ => Err(ConnectError::Credential(words(&reply))),
    }
}

async fn plain(
    host: &mut SmtpConnection,
    account: &Account,
    password: &Secret,
    deadline: Instant,
) -> Result<Reply, ConnectError> {
    let mut message = Zeroizing::new(Vec::new());
    message.extend_from_slice(account.authzid.as_deref().unwrap_or_default().as_bytes());
    message.push(0);
    message.extend_from_slice(account.authcid.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose());
    let response = Zeroizing::new(STANDARD.encode(&*message));
    let command = Zeroizing::new(format!("AUTH PLAIN {}", *response));
    if command.len() <= MAX_COMMAND {
        return ask(host, command.as_bytes(), deadline).await;
    }
    let prompt = ask(host, b"AUTH PLAIN", deadline).await?;
    answer(host, prompt, response.as_bytes(), deadline).await
}

/// The prompts' texts are not looked at: they are always user name, then password.
async fn login(
    host: &mut SmtpConnection,
    account: &Account,
    password: &Secret,
    deadline: Instant,
) -> Result<Reply, ConnectError> {
    let prompt = ask(host, b"AUTH LOGIN", deadline).await?;
    let name = STANDARD.encode(&account.authcid);
    let prompt = answer(host, prompt, name.as_bytes(), deadline).await?;
    let password = Zeroizing::new(STANDARD.encode(password.expose()));
    answer(host, prompt, password.as_bytes(), deadline).await
}

/// Nothing is said to a host that did not ask: its reply is the result.
async fn answer(
    host: &mut SmtpConnection,
    prompt: Reply,
    line: &[u8],
    deadline: Instant,
) -> Result<Reply, ConnectError> {
    if prompt.code() == 334 { ask(host, line, deadline).await } else { Ok(prompt) }
}

async fn ask(host: &mut SmtpConnection, line: &[u8], deadline: Instant) -> Result<Reply, ConnectError> {
    host.line(line).await?;
    host.reply_by(deadline, "AUTH").await
}
