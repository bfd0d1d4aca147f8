//! Ending in good order: sessions are asked to finish, and waited for.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The daemon's end: asks, and waits.
pub struct Drain(watch::Sender<bool>);

/// A session's end: held as long as the session runs.
#[derive(Clone)]
pub struct Draining(watch::Receiver<bool>);

impl Drain {
    pub fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Draining(receiver))
    }

    /// Asks every holder of a [`Draining`] to finish.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Waits until every [`Draining`] is dropped; `false` if `limit` passed before.
    pub async fn finished(&self, limit: Duration) -> bool {
        timeout(limit, self.0.closed()).await.is_ok()
    }
}

impl Draining {
    /// Returns when the daemon is ending, or its end of this is gone.
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|draining| *draining).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Drain;

    #[tokio::test]
    async fn waits_for_the_last_session() {
        let (drain, mut session) = Drain::new();
        assert!(!session.is_requested());
        drain.start();
        session.requested().await;
        assert!(!drain.finished(Duration::ZERO).await);
        drop(session);
        assert!(drain.finished(Duration::from_secs(60)).await);
    }
}
