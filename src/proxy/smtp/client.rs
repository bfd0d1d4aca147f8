//! The client's end of a session: lines in, answers out.

use std::time::Duration;

use tokio::time::timeout;

use super::ended::Ended;
use crate::net::Wire;
use crate::smtp::Answer;
use crate::smtp::frame::{Fault, LineReader, MAX_AUTH_LINE, MAX_COMMAND_LINE};

/// The client's connection.
pub(super) struct Client {
    pub(super) wire: Wire,
    lines: LineReader,
    /// No password comes any more.
    logged_in: bool,
}

impl Client {
    /// Before login a line may be an AUTH with its initial response.
    pub(super) fn new(wire: Wire) -> Self {
        let mut lines = LineReader::new();
        lines.set_limit(MAX_AUTH_LINE + b"\r\n".len());
        Self { wire, lines, logged_in: false }
    }

    pub(super) fn logged_in(&mut self) {
        self.logged_in = true;
        self.lines.set_limit(MAX_COMMAND_LINE);
        self.wire.end_secrets();
    }

    pub(super) fn answer(&mut self, answer: &Answer) {
        answer.write(self.wire.out());
    }

    /// Whether a whole line is here, without waiting for it. It is [`Client::line`] then.
    ///
    /// # Errors
    /// [`Ended::Unparseable`], answered, for what is no line: there is no place at which
    /// reading could go on.
    pub(super) fn take_line(&mut self) -> Result<bool, Ended> {
        if self.wire.buffered().is_empty() {
            return Ok(false);
        }
        match self.lines.push(self.wire.buffered()) {
            Ok((used, whole)) => {
                self.wire.consume(used);
                Ok(whole)
            }
            Err(fault) => {
                // Only a login has lines that long before it (RFC 4954 §6 has a code for it).
                let long_login = fault == Fault::TooLong && !self.logged_in;
                self.answer(&Answer::new(500, 5, if long_login { 6 } else { 2 }, fault.to_string()));
                Err(Ended::Unparseable)
            }
        }
    }

    /// The line that was taken, without its CRLF.
    pub(super) fn line(&self) -> &[u8] {
        self.lines.line()
    }

    /// Overwrites a line that held a password.
    pub(super) fn wipe_line(&mut self) {
        self.lines.wipe();
    }

    /// Writes what is queued and waits for octets.
    pub(super) async fn fill(&mut self) -> Result<(), Ended> {
        self.flush().await?;
        match self.wire.fill().await {
            Ok(0) | Err(_) => Err(Ended::ClientGone),
            Ok(_) => Ok(()),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        self.wire.flush().await.map_err(|_| Ended::ClientGone)
    }

    /// Resolves when the client has gone. Octets that come meanwhile stay for later.
    pub(super) async fn gone(&mut self) {
        loop {
            match self.wire.fill().await {
                Ok(0) => return,
                Ok(_) => {}
                // More than the buffer holds waits in the socket, and so does its end.
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => std::future::pending().await,
                Err(_) => return,
            }
        }
    }

    /// The last words, and the end.
    pub(super) async fn close(self, ended: Ended, seconds: u64) {
        let Self { mut wire, .. } = self;
        if ended == Ended::Cut {
            return wire.abort();
        }
        if let Some(answer) = ended.farewell() {
            answer.write(wire.out());
        }
        // A client that does not read its farewell goes without.
        let _ = timeout(Duration::from_secs(seconds), wire.shutdown()).await;
    }
}
