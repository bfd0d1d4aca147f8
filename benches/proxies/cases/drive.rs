//! Sessions at work, each as fast as it is answered, until the budget is spent.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::peers::Peer;
use crate::settings::Settings;
use crate::upstream::Upstream;

use super::Sample;

/// No unit of work is slow on loopback. One that waits as long as this waits for a
/// delayed acknowledgement: somebody forgot TCP_NODELAY.
const STALL: Duration = Duration::from_millis(35);

/// How much a round does: a count, and a time after which the count does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    amount: u64,
    time: Duration,
}

impl Settings {
    pub fn budget(&self, full: u32) -> Budget {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small number"
        )]
        let amount = (f64::from(full) * self.share).ceil() as u64;
        Budget { amount, time: self.round }
    }
}

/// What a round did and took.
pub struct Done {
    cpu: Duration,
    /// Sum of what the units of work returned: octets, or one each.
    total: u64,
    /// Wall time of one unit of work.
    each: Duration,
}

/// Lets each of `sessions` do `work` after `work` until the budget is spent, and counts
/// the proxy's CPU time; with `stored`, until that host has stored a message for each.
pub async fn drive<S: 'static>(
    peer: &Peer,
    sessions: Vec<S>,
    budget: Budget,
    work: impl AsyncFn(&mut S) -> io::Result<u64> + Clone + 'static,
    stored: Option<Upstream>,
) -> io::Result<Done> {
    let workers = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
    let begun = Rc::new(Cell::new(0_u64));
    let start = Instant::now();
    let before = stored.map_or(0, Upstream::stored);
    let cpu = peer.cpu();
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for mut session in sessions {
        let (begun, work) = (Rc::clone(&begun), work.clone());
        let task = async move {
            let mut total = 0;
            while begun.get() < budget.amount && start.elapsed() < budget.time {
                begun.set(begun.get() + 1);
                total += work(&mut session).await?;
            }
            // Kept to the end: closing is not what is measured.
            Ok((session, total))
        };
        tasks.spawn_local_on(task, &local);
    }
    let finished: Vec<io::Result<(S, u64)>> = local.run_until(tasks.join_all()).await;
    while stored.is_some_and(|host| host.stored() < before + begun.get()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (cpu, wall) = (peer.cpu().saturating_sub(cpu), start.elapsed());
    let mut total = 0;
    for worker in finished {
        total += worker?.1;
    }
    let done = u32::try_from(begun.get()).unwrap_or(u32::MAX);
    Ok(Done { cpu, total, each: wall * workers / done.max(1) })
}

impl Done {
    /// CPU seconds for 10^9 octets.
    pub fn per_gigabyte(&self) -> Sample {
        Sample { cost: self.cpu.as_secs_f64() / self.units() * 1e9, note: None }
    }

    /// CPU milliseconds for one.
    pub fn milliseconds(&self) -> Sample {
        Sample { cost: self.cpu.as_secs_f64() / self.units() * 1e3, note: self.stall() }
    }

    /// CPU microseconds for one.
    pub fn microseconds(&self) -> Sample {
        Sample { cost: self.cpu.as_secs_f64() / self.units() * 1e6, note: self.stall() }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn units(&self) -> f64 {
        self.total.max(1) as f64
    }

    fn stall(&self) -> Option<String> {
        (self.each >= STALL).then(|| format!("stalls: {} ms wall time each", self.each.as_millis()))
    }
}
