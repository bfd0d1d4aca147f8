//! Who may hold a connection to one mailbox: a fair queue under a cap that can sink.
//!
//! A host allows few connections, and clients that only wait for news want one each. So
//! whoever can do without for a while offers its slot, and is asked for it once somebody
//! else waits: nobody is asked in vain, and nobody who works is asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

/// Who holds connections, as far as sharing them fairly needs to know it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Party(pub u64);

impl Party {
    /// Mandate itself; no user has this number.
    pub const DAEMON: Self = Self(u64::MAX);

    /// The most that one party may hold: three quarters, so that nobody's click has to wait for a
    /// person with many folders open. Fewer than four slots are not worth dividing. Mandate's own
    /// work, for which nobody sits at a screen, has one, or the other quarter.
    fn share(self, limit: usize) -> usize {
        if self == Self::DAEMON { (limit / 4).max(1) } else { limit - limit / 4 }
    }
}

/// What a holder is doing that it could do without its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pause {
    /// The client idles: it waits for news, and for nothing else.
    Idle,
    /// The client says nothing. It may go on at any moment, so it is asked after all who
    /// idle, and not before [`SILENT`].
    Silent,
}

/// How long a client has been silent before its slot may be asked for: 1 s is longer than
/// the pauses within one act of a client, and shorter than the patience of those who wait.
const SILENT: Duration = Duration::from_secs(1);

/// How often a waiter looks for somebody new to ask.
const LOOK: Duration = Duration::from_millis(250);

/// The right to hold one connection; given back on drop.
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    wanted: Arc<Notify>,
}

/// The slots of one mailbox, given out in the order they were asked for.
pub(super) struct Slots {
    state: Mutex<State>,
}

struct State {
    cap: usize,
    /// The host said that fewer fit; believed until then.
    lowered: Option<(usize, Instant)>,
    /// The host let nobody in for work that can be done without: no slot is spared until then.
    none_spare: Option<Instant>,
    holders: BTreeMap<u64, Holder>,
    waiting: VecDeque<Waiter>,
    next: u64,
}

struct Holder {
    party: Party,
    offered: Option<(Pause, Instant)>,
    /// Somebody waits for this one's slot.
    asked: bool,
    wanted: Arc<Notify>,
}

struct Waiter {
    party: Party,
    sender: oneshot::Sender<Slot>,
}

impl Slots {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        let (holders, waiting) = (BTreeMap::new(), VecDeque::new());
        let state = State { cap, lowered: None, none_spare: None, holders, waiting, next: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A slot, or `None` if none came free before `deadline`.
    pub(super) async fn acquire(self: &Arc<Self>, party: Party, deadline: Instant) -> Option<Slot> {
        let (sender, mut receiver) = oneshot::channel();
        self.lock().waiting.push_back(Waiter { party, sender });
        self.hand_on();
        loop {
            self.lock().ask();
            match timeout_at(deadline.min(Instant::now() + LOOK), &mut receiver).await {
                Ok(slot) => return slot.ok(),
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => self.hand_on(),
            }
        }
    }

    /// A slot that nobody waits for, where one more is free beside it; never waits.
    pub(super) fn spare(self: &Arc<Self>, party: Party) -> Option<Slot> {
        let mut state = self.lock();
        if !state.can_spare(party) {
            return None;
        }
        let (id, wanted) = state.admit(party);
        drop(state);
        Some(Slot { slots: self.clone(), id, wanted })
    }

    /// The host let us in no more: nothing is spared until then.
    pub(super) fn spare_none(&self, until: Instant) {
        self.lock().none_spare = Some(until);
    }

    /// The number that may be held now.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit()
    }

    pub(super) fn held(&self) -> usize {
        self.lock().holders.len()
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
            let next = self.lock().next();
            let Some((sender, id, wanted)) = next else { return };
            drop(sender.send(Slot { slots: self.clone(), id, wanted }));
        }
    }

    fn is_asked(&self, id: u64) -> bool {
        self.lock().holders.get(&id).is_some_and(|holder| holder.asked)
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

    fn can_spare(&mut self, party: Party) -> bool {
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
        let limit = self.limit();
        self.waiting.is_empty()
            && self.none_spare.is_none_or(|until| until <= Instant::now())
            && self.holders.len() + 1 < limit
            && self.held_by(party) < party.share(limit)
    }

    fn held_by(&self, party: Party) -> usize {
        self.holders.values().filter(|holder| holder.party == party).count()
    }

    /// The first waiter who may have a slot, made a holder.
    fn next(&mut self) -> Option<(oneshot::Sender<Slot>, u64, Arc<Notify>)> {
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
        let limit = self.limit();
        if self.holders.len() >= limit {
            return None;
        }
        let has_room = |party: Party| self.held_by(party) < party.share(limit);
        let at = self.waiting.iter().position(|waiter| has_room(waiter.party))?;
        let Waiter { party, sender } = self.waiting.remove(at)?;
        let (id, wanted) = self.admit(party);
        Some((sender, id, wanted))
    }

    fn admit(&mut self, party: Party) -> (u64, Arc<Notify>) {
        let (id, wanted) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        let holder = Holder { party, offered: None, asked: false, wanted: wanted.clone() };
        self.holders.insert(id, holder);
        (id, wanted)
    }

    /// Asks for as many offered slots as there are waiters; a party that holds its share is
    /// served from its own.
    fn ask(&mut self) {
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
        let limit = self.limit();
        let asked = self.holders.values().filter(|holder| holder.asked);
        let mut asked: Vec<Party> = asked.map(|holder| holder.party).collect();
        let waiting: Vec<Party> = self.waiting.iter().map(|waiter| waiter.party).collect();
        for party in waiting {
            let own = self.held_by(party) >= party.share(limit);
            if let Some(at) = asked.iter().position(|holder| !own || *holder == party) {
                asked.swap_remove(at);
            } else if let Some(holder) = self.most_idle(own.then_some(party)) {
                holder.asked = true;
                holder.wanted.notify_one();
            }
        }
    }

    /// Of those who offer: who idles before who is silent, whose party holds most, who has
    /// paused for the longest time.
    fn most_idle(&mut self, of: Option<Party>) -> Option<&mut Holder> {
        let fits = |holder: &Holder| !holder.asked && of.is_none_or(|party| holder.party == party);
        let offers = self.holders.iter().filter(|(_, holder)| fits(holder)).filter_map(|(id, holder)| {
            let (pause, since) = holder.offered?;
            let ripe = pause == Pause::Idle || since.elapsed() >= SILENT;
            ripe.then(|| (pause == Pause::Idle, self.held_by(holder.party), since.elapsed(), *id))
        });
        let (.., id) = offers.max()?;
        self.holders.get_mut(&id)
    }
}

impl Slot {
    /// From now on the holder can do without; see [`Slot::wanted`].
    pub(super) fn offer(&self, pause: Pause) {
        let mut state = self.slots.lock();
        if let Some(holder) = state.holders.get_mut(&self.id) {
            holder.offered = Some((pause, Instant::now()));
        }
        if !state.waiting.is_empty() {
            state.ask();
        }
    }

    /// The holder needs it again. Whoever counted on it asks somebody else.
    pub(super) fn keep(&self) {
        let mut state = self.slots.lock();
        let Some(holder) = state.holders.get_mut(&self.id) else { return };
        holder.offered = None;
        if std::mem::take(&mut holder.asked) {
            state.ask();
        }
    }

    /// Resolves once somebody waits for what was offered. Cancel-safe.
    pub(super) fn wanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let (slots, id, wanted) = (self.slots.clone(), self.id, self.wanted.clone());
        async move {
            // A notice may stem from an offer that was taken back since.
            while !slots.is_asked(id) {
                wanted.notified().await;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().holders.remove(&self.id);
        self.slots.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Party, Pause, SILENT, Slots};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_to_ask_is_the_first_to_get() {
        let slots = Slots::new(1);
        let held = slots.acquire(Party(1), soon()).await.unwrap();
        let (order, mut seen) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..5 {
            let (asking, order) = (slots.clone(), order.clone());
            tokio::spawn(async move {
                let _slot = asking.acquire(Party(1), soon()).await.unwrap();
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
        let held = slots.acquire(Party(1), soon()).await.unwrap();
        let start = Instant::now();
        assert!(slots.acquire(Party(1), soon()).await.is_none());
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        drop(held);
        assert!(slots.acquire(Party(1), soon()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_sent_to_somebody_who_left_goes_to_the_next() {
        let slots = Slots::new(1);
        let held = slots.acquire(Party(1), soon()).await.unwrap();
        let mut leaving = Box::pin(slots.acquire(Party(1), soon()));
        let mut staying = Box::pin(slots.acquire(Party(1), soon()));
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
        let first = slots.acquire(Party(1), soon()).await.unwrap();
        slots.lower(1, Instant::now() + Duration::from_secs(60));
        assert!(slots.acquire(Party(2), soon()).await.is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(slots.acquire(Party(2), soon()).await.is_some());
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_cap_serves_those_who_wait() {
        let slots = Slots::new(1);
        let _held = slots.acquire(Party(1), soon()).await.unwrap();
        let asking = slots.clone();
        let waiter = tokio::spawn(async move { asking.acquire(Party(1), soon()).await });
        while slots.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        slots.set_cap(3);
        assert!(waiter.await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_party_never_holds_them_all() {
        for (limit, share) in [(4, 3), (8, 6), (13, 10)] {
            let slots = Slots::new(limit);
            let mut held = Vec::new();
            for _ in 0..share {
                held.push(slots.acquire(Party(1), soon()).await.unwrap());
            }
            assert!(slots.acquire(Party(1), soon()).await.is_none(), "{limit}");
            assert!(slots.acquire(Party(2), soon()).await.is_some(), "{limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spared_leaves_a_place_and_is_no_more_than_a_share() {
        for (limit, daemon, user) in [(1, 0, 0), (2, 1, 1), (4, 1, 3), (8, 2, 6)] {
            for (party, most) in [(Party::DAEMON, daemon), (Party(1), user)] {
                let slots = Slots::new(limit);
                let held: Vec<_> = std::iter::from_fn(|| slots.spare(party)).collect();
                assert_eq!(held.len(), most, "{party:?} of {limit}");
            }
        }
        let slots = Slots::new(3);
        let held = [slots.acquire(Party(1), soon()).await.unwrap(), slots.spare(Party::DAEMON).unwrap()];
        assert!(slots.spare(Party(2)).is_none(), "the last place is for whoever comes");
        drop(held);
        slots.spare_none(Instant::now() + Duration::from_secs(60));
        assert!(slots.spare(Party(2)).is_none() && slots.acquire(Party(2), soon()).await.is_some());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(slots.spare(Party(2)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_at_its_share_keeps_nobody_else_waiting() {
        let slots = Slots::new(4);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(slots.acquire(Party(1), soon()).await.unwrap());
        }
        let mut greedy = Box::pin(slots.acquire(Party(1), soon()));
        let mut other = Box::pin(slots.acquire(Party(2), soon()));
        tokio::select! {
            biased;
            _ = &mut greedy => panic!("four of four"),
            other = &mut other => assert!(other.is_some()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_idles_is_asked_and_nobody_else() {
        let slots = Slots::new(3);
        let working = slots.acquire(Party(1), soon()).await.unwrap();
        let silent = slots.acquire(Party(2), soon()).await.unwrap();
        let idle = slots.acquire(Party(3), soon()).await.unwrap();
        silent.offer(Pause::Silent);
        tokio::time::advance(SILENT * 2).await;
        idle.offer(Pause::Idle);
        let give = async {
            idle.wanted().await;
            assert!(!slots.is_asked(working.id) && !slots.is_asked(silent.id));
            drop(idle);
        };
        assert!(tokio::join!(slots.acquire(Party(4), soon()), give).0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_is_asked_after_a_while() {
        let slots = Slots::new(1);
        let silent = slots.acquire(Party(2), soon()).await.unwrap();
        silent.offer(Pause::Silent);
        let start = Instant::now();
        let give = async {
            silent.wanted().await;
            assert!(start.elapsed() >= SILENT && start.elapsed() <= SILENT * 3 / 2);
            drop(silent);
        };
        assert!(tokio::join!(slots.acquire(Party(4), soon()), give).0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_working_is_replaced_by_another_who_idles() {
        let slots = Slots::new(3);
        let first = slots.acquire(Party(2), soon()).await.unwrap();
        let second = slots.acquire(Party(3), soon()).await.unwrap();
        let _working = slots.acquire(Party(4), soon()).await.unwrap();
        first.offer(Pause::Idle);
        let give = async {
            first.wanted().await;
            first.keep();
            second.offer(Pause::Idle);
            second.wanted().await;
            drop(second);
        };
        assert!(tokio::join!(slots.acquire(Party(1), soon()), give).0.is_some());
        assert!(!slots.is_asked(first.id));
    }

    #[tokio::test(start_paused = true)]
    async fn a_party_at_its_share_is_served_from_its_own() {
        let slots = Slots::new(4);
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(slots.acquire(Party(1), soon()).await.unwrap());
        }
        let other = slots.acquire(Party(2), soon()).await.unwrap();
        other.offer(Pause::Idle);
        own[1].offer(Pause::Idle);
        let give = async {
            own[1].wanted().await;
            assert!(!slots.is_asked(other.id));
            drop(own.remove(1));
        };
        assert!(tokio::join!(slots.acquire(Party(1), soon()), give).0.is_some());
    }
}
