//! While a command takes long, the client hears that it goes on.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::imap::reply::{self, Outcome};
use crate::proxy::imap::client::Client;
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::watch::{Waiting, Watch};

/// How often a client is told that its command goes on: clients and what lies between give a
/// silent connection up after 30 to 60 s.
pub(super) const STILL: Duration = Duration::from_secs(20);

/// Tells the client that the command goes on, and how far it is.
pub(super) struct Pace {
    next: Instant,
    pub(super) arrived: u64,
    pub(super) total: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { next: Instant::now() + STILL, arrived: 0, total: 0 }
    }

    /// Waits for `work`, unless the session must end first.
    pub(super) async fn wait<T>(
        &mut self,
        (watch, client): (&mut Watch, &mut Client),
        waiting: Waiting,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        let text = format_args!("Still at it: {} of {} messages", self.arrived, self.total).to_string();
        let say = |cx: &mut Context<'_>| {
            reply::untagged(client.wire.out(), Outcome::Ok, "", &text);
            // What it does not take now it gets with the rest; whether it is still there is
            // found out then.
            let _ = client.wire.poll_flush(cx);
        };
        watch.unless_lost(waiting, saying(&mut self.next, say, work)).await
    }
}

/// Does the work, and says something every [`STILL`].
async fn saying<T>(
    next: &mut Instant,
    mut say: impl FnMut(&mut Context<'_>),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        // Work that is always ready would never let the clock be looked at.
        if Instant::now() >= *next {
            poll_fn(|cx| {
                say(cx);
                Poll::Ready(())
            })
            .await;
            *next = Instant::now() + STILL;
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep_until(*next) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{STILL, saying};

    #[tokio::test(start_paused = true)]
    async fn a_client_hears_something_every_twenty_seconds() {
        let (begun, mut said) = (Instant::now(), Vec::new());
        let mut next = begun + STILL;
        let work = sleep(Duration::from_secs(70));
        saying(&mut next, |_| said.push(begun.elapsed().as_secs()), work).await;
        assert_eq!(said, [20, 40, 60]);
        // Many short pieces of work are as good as a long one.
        for _ in 0..35 {
            saying(&mut next, |_| said.push(begun.elapsed().as_secs()), sleep(Duration::from_secs(1))).await;
        }
        assert_eq!(said, [20, 40, 60, 80, 100]);
    }
}
