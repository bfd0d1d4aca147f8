//! What folders a mailbox has, known once for all its users.
//!
//! The daemon's own connection takes the inventory, at most every minute and when
//! somebody has reason to think that it changed. Whoever asks meanwhile is served from
//! what is known.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ask::{ask_status, take_inventory};
use super::error::LeaseError;
use super::pool::{Lease, Pools};
use super::present::Present;
use super::status::{Board, Reply, StatusValues, WAIT};
use super::target::Target;
use crate::imap::capability::Capabilities;
use crate::imap::command::StatusItem;
use crate::imap::inventory::Inventory;
use crate::imap::response::Listed;
use crate::types::{FolderName, MailboxId, UidValidity};

/// Age at which an inventory is taken again, in the background: clients list folders
/// every few minutes, and changes through us are seen at once anyway.
const FRESH: Duration = Duration::from_secs(60);

/// Age beyond which an inventory is no answer any more: the host has been out of reach for
/// so long that "temporarily unavailable" is truer.
const STALE: Duration = Duration::from_secs(600);

/// Shortest time between two background refreshes: unknown names cost the host one LIST
/// a second at most, however fast they are asked for.
const GAP: Duration = Duration::from_secs(1);

/// Longest time for a background refresh, waiting for the connection included.
const REFRESH: Duration = Duration::from_secs(30);

/// STATUS batches before the connection is given back for others to use.
const BATCHES: usize = 8;

/// A mailbox's folders at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// Differs between two snapshots of a mailbox that differ in anything.
    pub version: u64,
    pub inventory: Arc<Inventory>,
    /// What the host can, as the connection that took the inventory was told.
    pub capabilities: Arc<Capabilities>,
    /// Of the folders that were opened or asked about so far.
    pub uid_validity: Arc<HashMap<FolderName, UidValidity>>,
}

/// Every mailbox's catalogue.
pub struct Catalogues {
    pools: Arc<Pools>,
    known: Mutex<HashMap<MailboxId, Arc<Catalogue>>>,
}

impl Catalogues {
    pub fn new(pools: Arc<Pools>) -> Self {
        Self { pools, known: Mutex::default() }
    }

    /// The folders of somebody who has no mail host: an INBOX that stays empty. Every host is
    /// taken for able to do what `can` says.
    pub fn of_nobody(&self, can: Capabilities) -> Arc<Catalogue> {
        let inbox = Listed { attributes: Vec::new(), separator: Some(b'/'), name: b"INBOX".to_vec() };
        let snapshot = Snapshot {
            version: 0,
            inventory: Arc::new(Inventory::build(std::iter::once(inbox))),
            capabilities: Arc::new(can),
            uid_validity: Arc::default(),
        };
        let known = Known { snapshot: Arc::new(snapshot), taken: Instant::now(), ticket: 0 };
        Catalogue::new(self.pools.clone(), None, Some(known))
    }

    /// The mailbox's catalogue, by the newest target seen.
    pub fn of(&self, target: &Target) -> Arc<Catalogue> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let catalogue = known
            .entry(target.mailbox)
            .or_insert_with(|| Catalogue::new(self.pools.clone(), Some(target.clone()), None))
            .clone();
        drop(known);
        catalogue.follow(target);
        catalogue
    }

    /// Forgets a mailbox that no session uses; says whether it did.
    pub fn forget_unused(&self, mailbox: MailboxId) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Others get theirs here or from one who has it: nobody can while this is locked.
        let unused = known.get(&mailbox).is_none_or(|catalogue| Arc::strong_count(catalogue) == 1);
        if unused {
            known.remove(&mailbox);
        }
        unused
    }

    /// The mailbox is gone.
    pub fn forget(&self, mailbox: MailboxId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&mailbox);
    }
}

/// One mailbox's folders, shared by all its users.
pub struct Catalogue {
    pools: Arc<Pools>,
    state: Mutex<State>,
    /// Held by whoever takes the inventory.
    taking: tokio::sync::Mutex<()>,
    /// Orders questions and inventories: an inventory answers the questions before it.
    tickets: AtomicU64,
    board: Board,
    pub(super) present: Present,
}

struct State {
    /// `None`: there is no host to ask; what is known stays so.
    target: Option<Target>,
    known: Option<Known>,
    background: Background,
}

struct Known {
    snapshot: Arc<Snapshot>,
    taken: Instant,
    ticket: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Background {
    Idle,
    Busy,
    /// Busy, and somebody has asked again since.
    Again,
}

impl Catalogue {
    fn new(pools: Arc<Pools>, target: Option<Target>, known: Option<Known>) -> Arc<Self> {
        let state = State { target, known, background: Background::Idle };
        Arc::new(Self {
            pools,
            state: Mutex::new(state),
            taking: tokio::sync::Mutex::default(),
            tickets: AtomicU64::new(1),
            board: Board::default(),
            present: Present::default(),
        })
    }

    /// The folders as far as known; asks the host only if nothing recent enough is.
    pub async fn view(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Snapshot>, LeaseError> {
        match self.glance() {
            Some(snapshot) => Ok(snapshot),
            None => self.refresh(deadline).await,
        }
    }

    /// The folders, if what is known is recent enough: the host is asked in the background at most.
    pub fn glance(self: &Arc<Self>) -> Option<Arc<Snapshot>> {
        let (snapshot, age) = {
            let state = self.lock();
            let known = state.known.as_ref()?;
            let age = if state.target.is_some() { known.taken.elapsed() } else { Duration::ZERO };
            (known.snapshot.clone(), age)
        };
        if age >= FRESH {
            self.refresh_soon();
        }
        (age < STALE).then_some(snapshot)
    }

    /// The folders as they were when the host was last heard of, however long ago.
    pub fn last_known(&self) -> Option<Arc<Snapshot>> {
        self.lock().known.as_ref().map(|known| known.snapshot.clone())
    }

    /// The folders as they are now: after CREATE, DELETE or RENAME, before the answer.
    ///
    /// Any number of callers cause one LIST, as long as it began after all of them asked.
    pub async fn refresh(&self, deadline: Instant) -> Result<Arc<Snapshot>, LeaseError> {
        let asked = self.ticket();
        let taking = tokio::time::timeout_at(deadline, self.taking.lock()).await;
        let _taking = taking.map_err(|_| LeaseError::Full)?;
        if let Some(known) = &self.lock().known
            && known.ticket > asked
        {
            return Ok(known.snapshot.clone());
        }
        let target = {
            let state = self.lock();
            match (&state.target, &state.known) {
                (Some(target), _) => target.clone(),
                (None, Some(known)) => return Ok(known.snapshot.clone()),
                (None, None) => return Err(LeaseError::Full),
            }
        };
        let mut lease = self.pools.housekeeping_lease(&target, deadline).await?;
        let ticket = self.ticket();
        let inventory = take_inventory(&mut lease, deadline).await?;
        let capabilities = lease.capabilities().clone();
        lease.give_back().await;
        Ok(self.adopt((inventory, capabilities), ticket, target.generation))
    }

    /// Takes the inventory again in the background: somebody asked for an unknown name.
    pub fn refresh_soon(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.target.is_none() {
            return;
        }
        if state.background != Background::Idle {
            state.background = Background::Again;
            return;
        }
        state.background = Background::Busy;
        drop(state);
        let catalogue = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(catalogue) = catalogue.upgrade() {
                if let Err(error) = catalogue.refresh(Instant::now() + REFRESH).await {
                    let mailbox = catalogue.lock().target.as_ref().map(|target| target.mailbox);
                    tracing::warn!(?mailbox, %error, "folders could not be listed");
                }
                tokio::time::sleep(GAP).await;
                if !catalogue.goes_on() {
                    return;
                }
            }
        });
    }

    /// Whether another background refresh is wanted.
    fn goes_on(&self) -> bool {
        let mut state = self.lock();
        let again = state.background == Background::Again;
        state.background = if again { Background::Busy } else { Background::Idle };
        again
    }

    /// SELECT or STATUS told a folder's UIDVALIDITY.
    pub fn learned(&self, folder: &FolderName, value: UidValidity) {
        let ticket = self.ticket();
        let mut state = self.lock();
        let Some(known) = &mut state.known else { return };
        if known.snapshot.uid_validity.get(folder) == Some(&value) {
            return;
        }
        let mut snapshot = Snapshot::clone(&known.snapshot);
        Arc::make_mut(&mut snapshot.uid_validity).insert(folder.clone(), value);
        snapshot.version = ticket;
        known.snapshot = Arc::new(snapshot);
    }

    /// STATUS values of a folder, by the name that the host itself uses for it.
    ///
    /// At most 2 s old. `None` if the host refused or took more than 5 s; items that it
    /// did not tell are missing.
    pub async fn status(self: &Arc<Self>, wire_name: &[u8], items: &[StatusItem]) -> Option<StatusValues> {
        if items.is_empty() {
            return Some(StatusValues::new());
        }
        if self.lock().target.is_none() {
            return Some(items.iter().map(|item| (*item, of_nothing(*item))).collect());
        }
        let answer = match self.board.ask(wire_name, items) {
            Reply::Known(values) => return Some(values),
            Reply::Wait(answer) => answer,
            Reply::Work(answer) => {
                let catalogue = self.clone();
                tokio::spawn(async move { catalogue.work().await });
                answer
            }
        };
        let mut values = tokio::time::timeout(WAIT, answer).await.ok()?.ok()??;
        values.retain(|(item, _)| items.contains(item));
        Some(values)
    }

    /// Something of ours changed the folder: its STATUS is asked anew.
    pub fn changed(&self, wire_name: &[u8]) {
        self.board.forget(wire_name);
    }

    /// The daemon's own connection to the mailbox.
    pub(super) async fn housekeeping(&self, deadline: Instant) -> Result<Lease, LeaseError> {
        let target = self.lock().target.clone().ok_or(LeaseError::Full)?;
        self.pools.housekeeping_lease(&target, deadline).await
    }

    /// Answers everything on the board.
    async fn work(&self) {
        let mut unanswered = GiveUp(Some(&self.board));
        let Some(target) = self.lock().target.clone() else { return };
        loop {
            match self.serve(&target).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(mailbox = %target.mailbox, %error, "folder status was not answered");
                    return;
                }
            }
        }
        unanswered.0 = None;
    }

    /// Asks the host for a while; says whether nothing is left to ask.
    async fn serve(&self, target: &Target) -> Result<bool, LeaseError> {
        let mut lease = self.pools.housekeeping_lease(target, Instant::now() + WAIT).await?;
        for _ in 0..BATCHES {
            let batch = self.board.next_batch();
            if batch.is_empty() {
                lease.give_back().await;
                return Ok(true);
            }
            ask_status(&mut lease, &self.board, &batch).await?;
        }
        lease.give_back().await;
        Ok(false)
    }

    /// Makes an inventory the known one, if the mailbox is still the one that it was taken of.
    fn adopt(
        &self,
        (inventory, capabilities): (Inventory, Capabilities),
        ticket: u64,
        generation: u64,
    ) -> Arc<Snapshot> {
        let mut state = self.lock();
        let before = state.known.as_ref().map(|known| &known.snapshot);
        let (inventory, capabilities) = (Arc::new(inventory), Arc::new(capabilities));
        let snapshot = match before {
            Some(before) if before.inventory == inventory && before.capabilities == capabilities => {
                before.clone()
            }
            Some(before) => {
                let mut uid_validity = HashMap::clone(&before.uid_validity);
                uid_validity.retain(|folder, _| inventory.find(folder).is_some());
                let uid_validity = Arc::new(uid_validity);
                Arc::new(Snapshot { version: ticket, inventory, capabilities, uid_validity })
            }
            None => {
                let uid_validity = Arc::default();
                Arc::new(Snapshot { version: ticket, inventory, capabilities, uid_validity })
            }
        };
        if state.target.as_ref().is_some_and(|target| target.generation == generation) {
            state.known = Some(Known { snapshot: snapshot.clone(), taken: Instant::now(), ticket });
        }
        snapshot
    }

    /// A newer endpoint, account or password; another account has other folders.
    fn follow(&self, target: &Target) {
        let mut state = self.lock();
        let before = state.target.as_ref().map_or(0, |target| target.generation);
        if before < target.generation {
            state.known = None;
            self.present.forget();
        }
        if before <= target.generation {
            state.target = Some(target.clone());
        }
    }

    fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// STATUS of a folder that is empty and stays so.
fn of_nothing(item: StatusItem) -> u64 {
    match item {
        StatusItem::UidNext | StatusItem::UidValidity | StatusItem::HighestModSeq => 1,
        StatusItem::Messages
        | StatusItem::Recent
        | StatusItem::Unseen
        | StatusItem::Size
        | StatusItem::AppendLimit => 0,
    }
}

/// Leaves nobody waiting for a worker that is no more.
struct GiveUp<'a>(Option<&'a Board>);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if let Some(board) = self.0 {
            board.give_up();
        }
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
