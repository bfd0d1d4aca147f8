//! Who may hold a connection to one mailbox: a fair queue under a cap that can sink.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// The right to hold one connection; given back on drop.
pub(super) struct Slot {
    slots: Arc<Slots>,
}

/// The slots of one mailbox, given out in the order they were asked for.
pub(super) struct Slots {
    state: Mutex<State>,
}

struct State {
    cap: usize,
    /// The host said that fewer fit; believed until then.
    lowered: Option<(usize, Instant)>,
    held: usize,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

impl Slots {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        let state = State { cap, lowered: None, held: 0, waiting: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A slot, or `None` if none came free before `deadline`.
    pub(super) async fn acquire(self: &Arc<Self>, deadline: Instant) -> Option<Slot> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            state.waiting.retain(|waiter| !waiter.is_closed());
            state.waiting.push_back(sender);
        }
        self.hand_on();
        tokio::time::timeout_at(deadline, receiver).await.ok()?.ok()
    }

    /// The number that may be held now.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit()
    }

    pub(super) fn held(&self) -> usize {
        self.lock().held
    }

    pub(super) fn set_cap(self: &Arc<Self>, cap: usize) {
        self.lock().cap = cap;
        self.hand_on();
    }

    /// The host refused one more than `cap`: believe it until then.
    pub(super) fn lower(&self, cap: usize, until: Instant) {
        self.lock().lowered = Some((cap, until));
    }

    /// Gives free slots to those who wait.
    ///
    /// A waiter may have left: its slot is then dropped and comes back here, which must
    /// find the state unlocked.
    fn hand_on(self: &Arc<Self>) {
        loop {
            let waiter = {
                let mut state = self.lock();
                if state.held >= state.limit() {
                    return;
                }
                let Some(waiter) = state.waiting.pop_front() else { return };
                state.held += 1;
                waiter
            };
            drop(waiter.send(Slot { slots: self.clone() }));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn limit(&mut self) -> usize {
        if self.lowered.is_some_and(|(_, until)| until <= Instant::now()) {
            self.lowered = None;
        }
        self.lowered.map_or(self.cap, |(cap, _)| cap.min(self.cap))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().held -= 1;
        self.slots.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Slots;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_to_ask_is_the_first_to_get() {
        let slots = Slots::new(1);
        let held = slots.acquire(soon()).await.unwrap();
        let (order, mut seen) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..5 {
            let (asking, order) = (slots.clone(), order.clone());
            tokio::spawn(async move {
                let _slot = asking.acquire(soon()).await.unwrap();
                order.send(n).unwrap();
            });
            while slots.lock().waiting.len() <= n {
                tokio::task::yield_now().await;
            }
        }
        drop(held);
        for n in 0..5 {
            assert_eq!(seen.recv().await, Some(n));
        }
        while slots.held() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_deadline() {
        let slots = Slots::new(1);
        let held = slots.acquire(soon()).await.unwrap();
        let start = Instant::now();
        assert!(slots.acquire(soon()).await.is_none());
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        drop(held);
        assert!(slots.acquire(soon()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_sent_to_somebody_who_left_goes_to_the_next() {
        let slots = Slots::new(1);
        let held = slots.acquire(soon()).await.unwrap();
        let mut leaving = Box::pin(slots.acquire(soon()));
        let mut staying = Box::pin(slots.acquire(soon()));
        assert!(futures_are_pending(&mut leaving, &mut staying).await);
        drop(held);
        drop(leaving);
        assert!(staying.await.is_some());
        assert_eq!(slots.held(), 0);
    }

    async fn futures_are_pending<A: Future + Unpin, B: Future + Unpin>(a: &mut A, b: &mut B) -> bool {
        tokio::select! {
            biased;
            _ = a => false,
            _ = b => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lowered_cap_rises_again() {
        let slots = Slots::new(2);
        let first = slots.acquire(soon()).await.unwrap();
        slots.lower(1, Instant::now() + Duration::from_secs(60));
        assert!(slots.acquire(soon()).await.is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(slots.acquire(soon()).await.is_some());
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_cap_serves_those_who_wait() {
        let slots = Slots::new(1);
        let _held = slots.acquire(soon()).await.unwrap();
        let asking = slots.clone();
        let waiter = tokio::spawn(async move { asking.acquire(soon()).await });
        while slots.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        slots.set_cap(2);
        assert!(waiter.await.unwrap().is_some());
    }
}
