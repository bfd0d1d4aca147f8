//! An APPEND of our own: a message goes up from a file, in constant memory.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout};

use super::connection::{Answered, Connection};
use super::error::CommandError;
use crate::imap::writer::Outgoing;

/// Octets read from the file at once: as many as a TLS record or four.
const CHUNK: usize = 64 * 1024;

/// Longest time in which the host takes nothing of what is written.
const STALL: Duration = Duration::from_secs(60);

/// Longest time from the end of the message to the host's answer: large ones are searched
/// for viruses and indexed meanwhile.
const STORED: Duration = Duration::from_secs(300);

/// An APPEND without an answer.
#[derive(Debug)]
pub struct Unfinished {
    pub error: CommandError,
    /// The message went up whole: it may have been stored.
    pub doubtful: bool,
}

impl Connection {
    /// Sends an APPEND whose message is `octets` long, and reads up to its tagged answer,
    /// whatever that is. `tag` is the command's own.
    ///
    /// # Errors
    /// The connection is of no more use, and must be dropped.
    pub async fn append<R: AsyncRead + Unpin>(
        &mut self,
        head: &Outgoing,
        tag: &str,
        message: &mut R,
        octets: u64,
    ) -> Result<Answered, Unfinished> {
        let before = |error| Unfinished { error, doubtful: false };
        let deadline = Instant::now() + STALL;
        if let Some(refused) = self.announce(head, tag, deadline).await.map_err(before)? {
            if refused.is_ok() {
                // It says that it has stored what it has not got.
                let error = CommandError::Protocol("an OK before the message");
                return Err(Unfinished { error, doubtful: true });
            }
            return Ok(refused);
        }
        self.pass(message, octets).await.map_err(before)?;
        self.wire.queue(b"\r\n");
        let ended = self.conclude(tag, Instant::now() + STORED).await;
        ended.map_err(|error| Unfinished { error, doubtful: true })
    }

    async fn pass<R: AsyncRead + Unpin>(&mut self, message: &mut R, octets: u64) -> Result<(), CommandError> {
        let mut chunk = vec![0; CHUNK];
        let mut left = octets;
        while left > 0 {
            let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let read = message.read(&mut chunk[..most]).await?;
            if read == 0 {
                // Shorter than announced: the host must not take it for whole.
                return Err(CommandError::Protocol("the message is shorter than it was"));
            }
            left -= read as u64;
            let mut rest = &chunk[..read];
            while !rest.is_empty() {
                let taken = timeout(STALL, self.wire.write_some(rest)).await;
                rest = &rest[taken.map_err(|_| CommandError::Slow)??..];
            }
        }
        Ok(())
    }
}
