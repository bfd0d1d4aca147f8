//! The client's connection, in memory: the proxy gets exactly the chunks that it is given.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the proxy's end was left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// In good order.
    Closed,
    /// Dropped without a word.
    Cut,
}

#[derive(Default)]
struct Shared {
    chunks: VecDeque<Vec<u8>>,
    /// A chunk was just given: the reader has to come back for the next one.
    gave: bool,
    client_gone: bool,
    heard: Vec<u8>,
    left: Option<Left>,
    reader: Option<Waker>,
    listener: Option<Waker>,
}

/// The proxy's end.
pub(crate) struct Far(Arc<Mutex<Shared>>);

/// The client's end.
pub(crate) struct Near(Arc<Mutex<Shared>>);

pub(crate) fn pair() -> (Near, Far) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    (Near(shared.clone()), Far(shared))
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Near {
    pub(crate) fn say(&self, chunk: Vec<u8>) {
        let mut shared = lock(&self.0);
        shared.chunks.push_back(chunk);
        wake(&mut shared.reader);
    }

    pub(crate) fn hang_up(&self) {
        let mut shared = lock(&self.0);
        shared.client_gone = true;
        wake(&mut shared.reader);
    }

    /// Takes what `take` finds in the octets heard so far. `Err`: it never will, as the
    /// proxy has left.
    pub(crate) fn poll_hear<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> Poll<Result<T, Left>> {
        let mut shared = lock(&self.0);
        if let Some(taken) = take(&mut shared.heard) {
            return Poll::Ready(Ok(taken));
        }
        if let Some(left) = shared.left {
            return Poll::Ready(Err(left));
        }
        shared.listener = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn forget(&self) {
        lock(&self.0).heard.clear();
    }

    /// What has been heard and not taken.
    pub(crate) fn rest(&self) -> Vec<u8> {
        lock(&self.0).heard.clone()
    }
}

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.0);
        if std::mem::take(&mut shared.gave) && !shared.chunks.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut chunk) = shared.chunks.pop_front() {
            let rest = chunk.split_off(chunk.len().min(buf.remaining()));
            buf.put_slice(&chunk);
            if !rest.is_empty() {
                shared.chunks.push_front(rest);
            }
            shared.gave = true;
            return Poll::Ready(Ok(()));
        }
        if shared.client_gone {
            return Poll::Ready(Ok(()));
        }
        shared.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = lock(&self.0);
        shared.heard.extend_from_slice(octets);
        wake(&mut shared.listener);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        leave(&self.0, Left::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        leave(&self.0, Left::Cut);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn leave(shared: &Mutex<Shared>, how: Left) {
    let mut shared = lock(shared);
    shared.left.get_or_insert(how);
    wake(&mut shared.listener);
}
