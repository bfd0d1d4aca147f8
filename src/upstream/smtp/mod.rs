//! A submission host, ready for a transaction (RFC 5321, RFC 6409).
//!
//! One connection serves one client session and ends with it.

mod auth;
mod extensions;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Connector;
use super::error::ConnectError;
use crate::net::Wire;
use crate::smtp::{Reply, ReplyReader};
use crate::types::{Account, Endpoint, Secret, Security};

pub use extensions::Extensions;

/// Where a mailbox's mail is handed in, and as whom.
#[derive(Clone, Debug)]
pub struct Submission {
    pub endpoint: Endpoint,
    /// `None` for a relay that trusts our address: loopback or a configured network only.
    pub login: Option<(Account, Secret)>,
    /// The name we greet with: a domain name, or an address literal (RFC 5321 §4.1.3).
    pub helo: String,
}

/// A connection that has greeted, and logged in where it must.
pub struct SmtpConnection {
    /// For message data; commands go through [`SmtpConnection::line`].
    pub wire: Wire,
    reader: ReplyReader,
    extensions: Extensions,
}

impl Connector {
    /// Dials a submission host, secures the connection, and logs in.
    pub async fn submit(&self, submission: &Submission) -> Result<SmtpConnection, ConnectError> {
        let endpoint = &submission.endpoint;
        let mut host = SmtpConnection::new(self.dial(endpoint).await?);
        if submission.login.is_none() && !self.is_near(host.wire.peer()) {
            return Err(ConnectError::RelayForbidden);
        }
        let deadline = self.login_deadline();
        let greeting = host.reply_by(deadline, "greeting").await?;
        expect(&greeting, 220)?;
        host.hello(&submission.helo, deadline).await?;
        if endpoint.security == Security::StartTls {
            host = host.start_tls(self, endpoint, deadline).await?;
            host.hello(&submission.helo, deadline).await?;
        }
        if let Some((account, password)) = &submission.login {
            auth::log_in(&mut host, account, password, deadline).await?;
        }
        host.wire.end_secrets();
        Ok(host)
    }
}

impl SmtpConnection {
    fn new(wire: Wire) -> Self {
        Self { wire, reader: ReplyReader::new(), extensions: Extensions::default() }
    }

    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Sends one command line; CR LF is added. `line` must have none.
    pub async fn line(&mut self, line: &[u8]) -> Result<(), ConnectError> {
        debug_assert!(!line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
        self.wire.queue(line);
        self.wire.queue(b"\r\n");
        Ok(self.wire.flush().await?)
    }

    /// The next reply, whole. Cancel-safe.
    pub async fn reply(&mut self) -> Result<Reply, ConnectError> {
        loop {
            let (used, reply) = match self.reader.push(self.wire.buffered()) {
                Ok(read) => read,
                Err(fault) => {
                    tracing::warn!(%fault, "the submission host sent no SMTP reply");
                    return Err(ConnectError::Protocol("a reply is no SMTP"));
                }
            };
            self.wire.consume(used);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            if self.wire.fill().await? == 0 {
                return Err(ConnectError::Dead(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Says QUIT and closes, without waiting long for an answer.
    pub async fn quit(mut self) {
        /// RFC 5321 §4.1.1.10 wants the reply awaited; nothing hangs on it.
        const PATIENCE: Duration = Duration::from_secs(2);
        let farewell = async {
            self.line(b"QUIT").await?;
            self.reply().await
        };
        // The session is over either way.
        let _ = tokio::time::timeout(PATIENCE, farewell).await;
    }

    /// Whether nothing lies unread: no reply that nobody asked for.
    pub fn is_in_step(&self) -> bool {
        self.reader.is_idle() && self.wire.buffered().is_empty()
    }

    async fn hello(&mut self, name: &str, deadline: Instant) -> Result<(), ConnectError> {
        self.line(format!("EHLO {name}").as_bytes()).await?;
        let reply = self.reply_by(deadline, "EHLO").await?;
        expect(&reply, 250)?;
        self.extensions =
            Extensions::of(&reply).ok_or(ConnectError::Protocol("the reply to EHLO is none"))?;
        Ok(())
    }

    /// What was said in the clear is forgotten, and nothing may have been said too early.
    async fn start_tls(
        mut self,
        connector: &Connector,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        if !self.extensions.start_tls {
            return Err(ConnectError::Tls("the host offers no STARTTLS".to_owned()));
        }
        self.line(b"STARTTLS").await?;
        let reply = self.reply_by(deadline, "STARTTLS").await?;
        if reply.code() != 220 {
            return Err(ConnectError::Tls(format!("the host refused STARTTLS with {}", reply.code())));
        }
        Ok(Self::new(connector.secure(self.wire, endpoint).await?))
    }

    async fn reply_by(&mut self, deadline: Instant, step: &'static str) -> Result<Reply, ConnectError> {
        by(deadline, step, self.reply()).await
    }
}

async fn by<T>(
    deadline: Instant,
    step: &'static str,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(ConnectError::Slow(step)))
}

/// Any other code than `code` is the host's refusal to go on.
fn expect(reply: &Reply, code: u16) -> Result<(), ConnectError> {
    if reply.code() == code { Ok(()) } else { Err(ConnectError::Bye(words(reply))) }
}

/// Code and first line, for the log.
fn words(reply: &Reply) -> String {
    let text = reply.lines().next().map(String::from_utf8_lossy).unwrap_or_default();
    format!("{} {text}", reply.code())
}

#[cfg(test)]
mod tests;
