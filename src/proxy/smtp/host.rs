//! Upstream's end of a session: a connection per mailbox, made when the first MAIL needs it.

use std::time::Duration;

use tokio::time::timeout;

use super::Services;
use crate::smtp::Reply;
use crate::smtp::header::MAX_GROWTH;
use crate::smtp::writer::Offers;
use crate::store::{Purpose, StoreError};
use crate::telemetry::{Counter, Quoted};
use crate::types::{Account, Endpoint, MailboxId, Secret};
use crate::upstream::smtp::{Extensions, SmtpConnection, Submission as Target};

/// Where a message is handed in, and as whom we log in there; `None`: a relay.
pub(super) struct Route {
    /// The mailbox, or the home, whose mail goes there.
    pub(super) of: MailboxId,
    pub(super) endpoint: Endpoint,
    pub(super) login: Option<(Account, Secret)>,
}

/// A connection that is logged in, and what is known about it.
pub(super) struct Host {
    connection: SmtpConnection,
    /// As it was when the connection was made.
    of: MailboxId,
    endpoint: Endpoint,
    account: Option<Account>,
    /// MAIL went up and nothing has ended its transaction.
    open: bool,
    seconds: u64,
    write_seconds: u64,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoHost {
    /// No submission host is configured.
    NotConfigured,
    Credential(StoreError),
    /// Why is logged.
    Connect,
}

/// The connection is of no more use; why is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lost;

impl Host {
    pub(super) async fn connect(services: &Services, route: Route) -> Result<Self, NoHost> {
        let Route { of, endpoint, login } = route;
        let account = login.as_ref().map(|(account, _)| account.clone());
        let helo = services.settings.host_name.clone();
        let target = Target { endpoint: endpoint.clone(), login, helo };
        services.counters.count(Counter::UpstreamConnects);
        match services.connector.submit(&target).await {
            Ok(connection) => {
                let (seconds, write_seconds) =
                    (services.settings.upstream_seconds, services.settings.write_seconds);
                Ok(Self { connection, of, endpoint, account, open: false, seconds, write_seconds })
            }
            Err(error) => {
                services.counters.count(Counter::UpstreamFailures);
                tracing::warn!(mailbox = %of, "no submission host: {error}");
                Err(NoHost::Connect)
            }
        }
    }

    /// Whether a new transaction may begin on the connection: it is the same host and login,
    /// still there, and has said nothing unasked (a host that hangs up says 421 first).
    pub(super) async fn is_fit_for(&mut self, route: &Route) -> bool {
        let account = route.login.as_ref().map(|(account, _)| account);
        let same = self.of == route.of && self.endpoint == route.endpoint && self.account.as_ref() == account;
        if !same || self.open {
            return false;
        }
        let silent = tokio::select! {
            biased;
            _ = self.connection.wire.fill() => false,
            () = std::future::ready(()) => true,
        };
        silent && self.connection.is_in_step()
    }

    pub(super) fn offers(&self) -> Offers {
        let Extensions { declares_size, eight_bit_mime, smtp_utf8, dsn, .. } = *self.connection.extensions();
        Offers { size: declares_size, eight_bit_mime, smtp_utf8, dsn }
    }

    /// The largest message of a client's that upstream takes, where it says so.
    pub(super) fn most_octets(&self) -> Option<u64> {
        self.connection.extensions().size.map(|size| size.saturating_sub(MAX_GROWTH))
    }

    pub(super) fn pipelines(&self) -> bool {
        self.connection.extensions().pipelining
    }

    /// The output buffer, for what `smtp::writer` writes; [`Host::flush`] sends it.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.connection.wire.out()
    }

    pub(super) fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) async fn flush(&mut self) -> Result<(), Lost> {
        let flushed = timeout(Duration::from_secs(self.write_seconds), self.connection.wire.flush()).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(&format!("write: {error}"))),
            Err(_) => Err(lost("it does not read")),
        }
    }

    /// Passes octets on without copying them; what is queued goes first.
    pub(super) async fn pass(&mut self, octets: &[u8]) -> Result<(), Lost> {
        let mut rest = octets;
        while !rest.is_empty() {
            let some = self.connection.wire.write_some(rest);
            match timeout(Duration::from_secs(self.write_seconds), some).await {
                Ok(Ok(taken)) => rest = &rest[taken..],
                Ok(Err(error)) => return Err(lost(&format!("write: {error}"))),
                Err(_) => return Err(lost("it does not read")),
            }
        }
        Ok(())
    }

    /// The next reply, within the time for an answer to a command.
    pub(super) async fn reply(&mut self) -> Result<Reply, Lost> {
        self.reply_within(self.seconds).await
    }

    pub(super) async fn reply_within(&mut self, seconds: u64) -> Result<Reply, Lost> {
        match timeout(Duration::from_secs(seconds), self.connection.reply()).await {
            Ok(Ok(reply)) => {
                log_refusal(&reply);
                Ok(reply)
            }
            Ok(Err(error)) => Err(lost(&error.to_string())),
            Err(_) => Err(lost("no answer in time")),
        }
    }

    /// Says QUIT and closes.
    pub(super) async fn quit(self) {
        self.connection.quit().await;
    }

    /// Closes at once: a message that is under way has no end, and is not taken.
    pub(super) fn abort(self) {
        self.connection.wire.abort();
    }
}

/// The submission password; hosts that have one password for both keep it with IMAP's.
pub(super) fn password(services: &Services, mailbox: MailboxId) -> Result<Secret, StoreError> {
    let own = services.store.has_credential(mailbox, Purpose::Smtp);
    services.store.credential(mailbox, if own { Purpose::Smtp } else { Purpose::Imap })
}

fn lost(why: &str) -> Lost {
    tracing::warn!("the submission host was lost: {why}");
    Lost
}

/// Upstream's words go into the log, escaped; clients read ours.
fn log_refusal(reply: &Reply) {
    if reply.code() >= 400 {
        let text: Vec<u8> = reply.lines().collect::<Vec<_>>().join(&b' ');
        tracing::info!(code = reply.code(), "upstream refused: {}", Quoted::new(&text));
    }
}
