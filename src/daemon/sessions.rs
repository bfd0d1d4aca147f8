//! The tasks that serve connections: counted, and ended by a panic alone, never with the daemon.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use crate::net::Draining;
use crate::telemetry::{Counter, Counters};

/// Starts sessions, and knows how many there are. Clones count together.
#[derive(Clone)]
pub(super) struct Sessions {
    open: Arc<AtomicU64>,
    counters: Arc<Counters>,
    draining: Draining,
}

impl Sessions {
    pub(super) fn new(counters: Arc<Counters>, draining: Draining) -> Self {
        Self { open: Arc::default(), counters, draining }
    }

    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// For what a session waits on, to end when the daemon does.
    pub(super) fn draining(&self) -> Draining {
        self.draining.clone()
    }

    /// Runs a session in a task of its own. Its sockets and leases close with it, however it ends.
    pub(super) fn start(&self, session: impl Future<Output = ()> + Send + 'static) {
        let place = Place::take(self);
        let counters = Arc::clone(&self.counters);
        // Before the task begins: moved into a box inside it, the session's room would be
        // there twice.
        let mut session = Box::pin(session);
        tokio::spawn(async move {
            let ended = poll_fn(move |context| {
                let polled = catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(context)));
                match polled {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                    Err(_) => Poll::Ready(Err(())),
                }
            });
            if ended.await.is_err() {
                counters.count(Counter::SessionPanics);
                tracing::error!("a session ended by a fault of ours; the others go on");
            }
            drop(place);
        });
    }
}

/// A session's place in the count, and its share in the drain.
struct Place {
    open: Arc<AtomicU64>,
    _draining: Draining,
}

impl Place {
    fn take(sessions: &Sessions) -> Self {
        sessions.open.fetch_add(1, Ordering::Relaxed);
        Self { open: Arc::clone(&sessions.open), _draining: sessions.draining.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Logs where a panic happened, and nothing of its message: that may quote what a client sent.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Sessions;
    use crate::net::Drain;
    use crate::telemetry::{Counter, Counters};

    #[tokio::test]
    async fn a_panic_ends_its_own_session_alone() {
        let (drain, draining) = Drain::new();
        let counters = Arc::new(Counters::default());
        let sessions = Sessions::new(Arc::clone(&counters), draining);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        sessions.start(async { panic!("what a client sent") });
        sessions.start(async move { drop(gone.await) });
        while counters.value(Counter::SessionPanics) == 0 {
            tokio::task::yield_now().await;
        }
        while sessions.open() > 1 {
            tokio::task::yield_now().await;
        }
        drain.start();
        drop(sessions);
        assert!(!drain.finished(Duration::from_millis(10)).await, "the other session goes on");
        go.send(()).unwrap();
        assert!(drain.finished(Duration::from_secs(10)).await);
    }
}
