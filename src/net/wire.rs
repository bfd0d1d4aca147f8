//! A stream with one buffer each way, held only while octets are in it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool;
use super::stream::Stream;

/// Free room below which unread octets are moved to the front before reading:
/// one TLS record's worth (RFC 8446 §5.1).
const ROOM: usize = 16 * 1024;

/// One side of a session: reads into a buffer, writes out of a buffer.
///
/// Every method but [`write_direct`](Self::write_direct) is cancel-safe: dropped between
/// polls, it loses and repeats no octet. Buffers come from the thread's pool and go back
/// as soon as they are empty, so an idle session holds the stream's own memory only.
/// They are overwritten before they go back until [`end_secrets`](Self::end_secrets) says
/// that no password travels any more.
///
/// End of stream is the peer's close, with or without TLS close_notify (mail clients
/// seldom send it): whoever waits for a literal's end knows how many octets are missing.
pub struct Wire {
    stream: Stream,
    input: Input,
    output: Output,
}

/// Octets read and not yet consumed: `buffer[start..end]`.
struct Input {
    buffer: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    /// The peer has closed, or failed, after the octets at hand.
    ended: bool,
    wipe: bool,
}

/// Octets queued and not yet written: `buffer[written..]`.
struct Output {
    buffer: Vec<u8>,
    written: usize,
    wipe: bool,
}

impl Wire {
    /// Most octets that [`buffered`](Self::buffered) can hold.
    pub const CAPACITY: usize = pool::BUFFER;

    pub fn new(stream: Stream) -> Self {
        let input = Input { buffer: None, start: 0, end: 0, ended: false, wipe: true };
        let output = Output { buffer: Vec::new(), written: 0, wipe: true };
        Self { stream, input, output }
    }

    /// From here on no credential travels in either direction: buffers need no wiping.
    pub fn end_secrets(&mut self) {
        self.input.wipe = false;
        self.output.wipe = false;
    }

    pub fn is_secure(&self) -> bool {
        self.stream.is_secure()
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    /// Nothing read ahead, nothing left to write: the stream stands between two commands.
    pub fn is_idle(&self) -> bool {
        self.buffered().is_empty() && !self.has_output() && !self.input.ended && !self.stream.holds_input()
    }

    /// The stream itself, for an upgrade to TLS: `None` (and the stream is closed) if
    /// anything was read ahead or is still to be written. What a peer sent in the clear must
    /// not count as sent under TLS (CVE-2011-0411, CVE-2021-33515).
    pub fn into_stream(self) -> Option<Stream> {
        self.is_idle().then_some(self.stream)
    }

    // --- reading

    /// What has been read and not consumed.
    pub fn buffered(&self) -> &[u8] {
        self.input.unread()
    }

    /// Takes `n` octets off the front of [`buffered`](Self::buffered); more than there are
    /// takes all of them.
    pub fn consume(&mut self, n: usize) {
        self.input.start = self.input.end.min(self.input.start.saturating_add(n));
        self.input.release_if_empty();
    }

    /// Waits for more octets; says how many came, 0 at the end of the stream.
    ///
    /// # Errors
    /// Those of the stream; and [`io::ErrorKind::StorageFull`] if
    /// [`CAPACITY`](Self::CAPACITY) octets are waiting to be consumed.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// As [`fill`](Self::fill).
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.ended {
            return Poll::Ready(Ok(0));
        }
        let before = self.input.unread().len();
        if before == Self::CAPACITY {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        self.input.make_room();
        let result = self.read_available(cx);
        let read = self.input.unread().len() - before;
        self.input.release_if_empty();
        match result {
            _ if read > 0 => Poll::Ready(Ok(read)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(0)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads until the buffer is full or nothing is there. TLS hands out a record at a
    /// time, so several reads make one fill; a socket that gave less than was asked for is
    /// known to be empty and costs no further system call.
    fn read_available(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let buffer = self.input.buffer.get_or_insert_with(pool::take_input);
        loop {
            let mut room = ReadBuf::new(&mut buffer[self.input.end..]);
            let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room));
            let read = room.filled().len();
            self.input.end += read;
            match result {
                Ok(()) if read == 0 => self.input.ended = true,
                Ok(()) if self.input.end < buffer.len() && self.stream.is_secure() => continue,
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.input.ended = true,
                Err(error) => {
                    self.input.ended = true;
                    return Poll::Ready(Err(error));
                }
            }
            return Poll::Ready(Ok(()));
        }
    }

    // --- writing

    /// Appends to what the next [`flush`](Self::flush) writes.
    pub fn queue(&mut self, octets: &[u8]) {
        self.out().extend_from_slice(octets);
    }

    /// The output buffer, to append to. Keep it small: what is long goes through
    /// [`write_some`](Self::write_some).
    pub fn out(&mut self) -> &mut Vec<u8> {
        if self.output.buffer.capacity() == 0 {
            self.output.buffer = pool::take_output();
        }
        &mut self.output.buffer
    }

    /// Is anything queued that is not yet written?
    pub fn has_output(&self) -> bool {
        self.output.written < self.output.buffer.len()
    }

    /// Writes what is queued and hands it to the network.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_output() {
            ready!(self.poll_write_with(cx, &[]))?;
        }
        self.output.release();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Writes what is queued, then some of `octets` without copying them; says how many of
    /// them were taken (at least one, unless `octets` is empty). Cancelled, it has taken none.
    /// A [`flush`](Self::flush) must follow before waiting for an answer.
    pub async fn write_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_some(cx, octets)).await
    }

    /// As [`write_some`](Self::write_some).
    pub fn poll_write_some(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let taken = ready!(self.poll_write_with(cx, octets))?;
            if taken > 0 || octets.is_empty() && !self.has_output() {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    /// Writes what is queued, then all of `octets`, and flushes. **Not** cancel-safe: dropped
    /// half-way, nobody knows how much was written, and the connection must be closed.
    pub async fn write_direct(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let taken = self.write_some(rest).await?;
            rest = &rest[taken..];
        }
        self.flush().await
    }

    /// One write of what is queued, with `octets` behind it in the same system call and TLS
    /// record. Says how many of `octets` were taken.
    fn poll_write_with(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let queued = &self.output.buffer[self.output.written..];
        if queued.is_empty() && octets.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let stream = Pin::new(&mut self.stream);
        let written = if queued.is_empty() {
            ready!(stream.poll_write(cx, octets))?
        } else if octets.is_empty() {
            ready!(stream.poll_write(cx, queued))?
        } else {
            ready!(stream.poll_write_vectored(cx, &[IoSlice::new(queued), IoSlice::new(octets)]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_queued = written.min(queued.len());
        self.output.written += of_queued;
        if !self.has_output() {
            self.output.release();
        }
        Poll::Ready(Ok(written - of_queued))
    }

    // --- closing

    /// Writes what is queued, says goodbye (close_notify, then FIN) and closes.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.say_goodbye().await
    }

    /// The same for the peer, while the owner still has something else to do.
    pub async fn say_goodbye(&mut self) -> io::Result<()> {
        self.flush().await?;
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await
    }

    /// [`Wire::abort`] for the peer, while the owner still has something else to do.
    pub fn hang_up(&self) {
        self.stream.discard_unsent();
        self.stream.end();
    }

    /// Closes at once: no close_notify, and what the kernel holds unsent is thrown away.
    /// The peer sees a truncated stream, never a complete one.
    pub fn abort(self) {
        self.stream.discard_unsent();
    }
}

impl Input {
    fn unread(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.end])
    }

    fn release_if_empty(&mut self) {
        if self.start == self.end {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            pool::give_input(buffer, if self.wipe { self.end } else { 0 });
        }
        (self.start, self.end) = (0, 0);
    }

    /// Moves unread octets to the front if the room behind them is scarce.
    fn make_room(&mut self) {
        if let Some(buffer) = &mut self.buffer
            && self.start > 0
            && buffer.len() - self.end < ROOM
        {
            buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.release();
    }
}

impl Output {
    fn release(&mut self) {
        pool::give_output(std::mem::take(&mut self.buffer), self.wipe);
        self.written = 0;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests;
