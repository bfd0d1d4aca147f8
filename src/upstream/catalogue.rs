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

use super::connection::Connection;
use super::error::{CommandError, LeaseError};
use super::pool::Pools;
use super::status::{Ask, Board, Reply, StatusValues};
use super::target::Target;
use crate::imap::command::StatusItem;
use crate::imap::inventory::Inventory;
use crate::imap::writer::Housekeeping;
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

/// Longest wait for STATUS values; they are left out then.
const STATUS: Duration = Duration::from_secs(5);

/// STATUS batches before the connection is given back for others to use.
const BATCHES: usize = 8;

/// A mailbox's folders at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// Differs between two snapshots of a mailbox that differ in anything.
    pub version: u64,
    pub inventory: Arc<Inventory>,
    /// Of the folders that were opened or asked about so far.
    pub uid_validity: Arc<HashMap<FolderName, UidValidity>>,
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
}

struct State {
    target: Target,
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
    fn new(pools: Arc<Pools>, target: Target) -> Arc<Self> {
        let state = State { target, known: None, background: Background::Idle };
        Arc::new(Self {
            pools,
            state: Mutex::new(state),
            taking: tokio::sync::Mutex::default(),
            tickets: AtomicU64::new(1),
            board: Board::default(),
        })
    }

    /// The folders as far as known; asks the host only if nothing recent enough is.
    pub async fn view(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Snapshot>, LeaseError> {
        let known = self.lock().known.as_ref().map(|known| (known.snapshot.clone(), known.taken.elapsed()));
        match known {
            Some((snapshot, age)) if age < FRESH => Ok(snapshot),
            Some((snapshot, age)) if age < STALE => {
                self.refresh_soon();
                Ok(snapshot)
            }
            Some(_) | None => self.refresh(deadline).await,
        }
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
        let target = self.lock().target.clone();
        let mut lease = self.pools.housekeeping_lease(&target, deadline).await?;
        let ticket = self.ticket();
        let inventory = take_inventory(&mut lease, deadline).await?;
        lease.give_back().await;
        Ok(self.adopt(inventory, ticket, target.generation))
    }

    /// Takes the inventory again in the background: somebody asked for an unknown name.
    pub fn refresh_soon(self: &Arc<Self>) {
        let mut state = self.lock();
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
                    tracing::warn!(mailbox = %catalogue.mailbox(), %error, "folders could not be listed");
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
        let answer = match self.board.ask(wire_name, items) {
            Reply::Known(values) => return Some(values),
            Reply::Wait(answer) => answer,
            Reply::Work(answer) => {
                let catalogue = self.clone();
                tokio::spawn(async move { catalogue.work().await });
                answer
            }
        };
        let mut values = tokio::time::timeout(STATUS, answer).await.ok()?.ok()??;
        values.retain(|(item, _)| items.contains(item));
        Some(values)
    }

    /// Something of ours changed the folder: its STATUS is asked anew.
    pub fn changed(&self, wire_name: &[u8]) {
        self.board.forget(wire_name);
    }

    /// Answers everything on the board.
    async fn work(&self) {
        let _stopped = GiveUp(&self.board);
        let target = self.lock().target.clone();
        loop {
            let deadline = Instant::now() + STATUS;
            let mut lease = match self.pools.housekeeping_lease(&target, deadline).await {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::warn!(mailbox = %target.mailbox, %error, "folder status could not be asked");
                    return;
                }
            };
            for _ in 0..BATCHES {
                let batch = self.board.next_batch();
                if batch.is_empty() {
                    return lease.give_back().await;
                }
                if let Err(error) = self.ask(&mut lease, &batch).await {
                    tracing::warn!(mailbox = %target.mailbox, %error, "folder status was not answered");
                    return;
                }
            }
            lease.give_back().await;
        }
    }
}
