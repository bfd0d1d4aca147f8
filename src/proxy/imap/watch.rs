//! What can end a session from outside: a changed grant, a drain, a deadline.
//!
//! A session waits for its client, its upstream or its own writes only together with
//! [`Watch::lost`]. So a withdrawn grant acts at once wherever the session is: in IDLE, in
//! the middle of a download, with a command in the queue (invariant 13).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Settings;
use super::ended::Ended;
use crate::net::Draining;
use crate::policy::{Effective, Place, Rights};
use crate::proxy::clock;
use crate::store::{Snapshot, Store};
use crate::types::{FolderName, MailboxId, Timestamp};

/// How often deadlines are looked at. One coarse tick for each session, never re-armed by
/// traffic, instead of a timer for each wait.
const TICK: Duration = Duration::from_secs(10);

/// What a session waits for; each has its own patience.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    /// The next command.
    Command,
    /// The rest of a command, a literal's octets.
    Rest,
    /// The client's DONE.
    Idle,
    /// Room to write to the client.
    Writing,
    /// Upstream.
    Upstream,
}

/// A session's eyes on the outside.
pub(super) struct Watch {
    store: Store,
    changes: watch::Receiver<u64>,
    drain: Draining,
    /// The rights in the mailbox in focus: the one that the command at hand is about.
    effective: Arc<Effective>,
    /// The folder that is open, the one that a message is being stored into, and the one in
    /// another mailbox that messages of the open one go to.
    uses: [Option<Use>; 3],
    /// The rights in the open folder's mailbox changed, and the client has not been told.
    changed: bool,
    /// What was lost, once that ends the session.
    lost: Option<Arc<Effective>>,
    patience: Patience,
    tick: Pin<Box<Sleep>>,
}

/// A folder in use, with the right without which the session must end.
struct Use {
    folder: FolderName,
    right: Rights,
    /// The rights in its mailbox, as of the last look.
    effective: Arc<Effective>,
}

impl Use {
    /// The rights in its mailbox now, if they still allow the use.
    fn renewed(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Arc<Effective>> {
        let effective = renewed(&self.effective, snapshot, now)?;
        let place = snapshot.place_of(effective.mailbox, &self.folder);
        effective.rights_on(&place).has(self.right).then_some(effective)
    }
}

/// How long each kind of waiting may last.
#[derive(Clone, Copy, Debug)]
struct Patience {
    command: Duration,
    rest: Duration,
    writing: Duration,
    upstream: Duration,
}

impl Watch {
    /// `changes` was subscribed to before `effective` was computed: what came in between is
    /// seen as a change.
    pub(super) fn new(
        store: Store,
        changes: watch::Receiver<u64>,
        drain: Draining,
        effective: Arc<Effective>,
        settings: &Settings,
    ) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Self {
            changes,
            store,
            drain,
            effective,
            uses: [None, None, None],
            changed: false,
            lost: None,
            patience: Patience {
                command: seconds(settings.autologout_seconds),
                rest: seconds(settings.literal_seconds),
                writing: seconds(settings.write_seconds),
                upstream: seconds(settings.upstream_seconds),
            },
            tick: Box::pin(sleep(TICK)),
        }
    }

    /// The rights in the mailbox in focus, as of the last look.
    pub(super) fn effective(&self) -> &Arc<Effective> {
        &self.effective
    }

    /// The mailbox in focus.
    pub(super) fn mailbox(&self) -> MailboxId {
        self.effective.mailbox
    }

    /// Brings another mailbox into focus, under the rights of this moment; `false` if there
    /// are none, and then the focus stays. What is in use stays watched.
    #[must_use]
    pub(super) fn attend(&mut self, mailbox: MailboxId) -> bool {
        let effective = self.store.snapshot().effective(self.effective.user, mailbox, clock::now());
        effective.is_some_and(|effective| {
            self.effective = Arc::new(effective);
            true
        })
    }

    /// Brings the mailbox with the open folder back into focus.
    pub(super) fn attend_open(&mut self) {
        if let Some(open) = &self.uses[0] {
            self.effective = open.effective.clone();
        }
    }

    /// Whose loss ended the session; the mailbox in focus where nothing did.
    pub(super) fn concerned(&self) -> &Arc<Effective> {
        self.lost.as_ref().unwrap_or(&self.effective)
    }

    /// The session holds this folder of the mailbox in focus open; it ends when the folder
    /// may no longer be read.
    pub(super) fn select(&mut self, folder: Option<FolderName>) {
        self.uses[0] = folder.map(|folder| self.used(folder, Rights::READ));
    }

    /// The session is storing a message into this folder of the mailbox in focus; it ends
    /// when it no longer may.
    pub(super) fn append(&mut self, folder: Option<FolderName>) {
        self.uses[1] = folder.map(|folder| self.used(folder, Rights::INSERT));
    }

    /// Messages of the open folder are on their way into this folder of another mailbox, under
    /// these rights there; the session ends when they may no longer be put there.
    pub(super) fn carry_to(&mut self, there: Option<(FolderName, Arc<Effective>)>) {
        let right = Rights::INSERT;
        self.uses[2] = there.map(|(folder, effective)| Use { folder, right, effective });
    }

    /// The rights in that other mailbox, as of the last look.
    pub(super) fn there(&self) -> Option<&Arc<Effective>> {
        self.uses[2].as_ref().map(|used| &used.effective)
    }

    fn used(&self, folder: FolderName, right: Rights) -> Use {
        Use { folder, right, effective: self.effective.clone() }
    }

    /// A message is being stored: its octets are under way.
    pub(super) fn is_appending(&self) -> bool {
        self.uses[1].is_some()
    }

    /// Whether the rights have changed since the client was last told.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A folder of the mailbox in focus, as pinned at this moment.
    pub(super) fn place_of(&self, folder: &FolderName) -> Place {
        self.store.snapshot().place_of(self.mailbox(), folder)
    }

    /// Takes in what has changed since the last look.
    ///
    /// # Errors
    /// [`Ended::Revoked`] if the mailbox in focus, or a folder in use, is lost.
    pub(super) fn refresh(&mut self) -> Result<&Arc<Effective>, Ended> {
        let stale = self.good_until().is_some_and(|end| end <= clock::now());
        if stale || self.changes.has_changed().unwrap_or(true) {
            self.look(clock::now())?;
        }
        Ok(&self.effective)
    }

    /// Checks again, for a folder that has just come into use.
    pub(super) fn look_again(&mut self) -> Result<(), Ended> {
        self.look(clock::now())
    }

    fn look(&mut self, now: Timestamp) -> Result<(), Ended> {
        self.changes.mark_unchanged();
        let snapshot = self.store.snapshot();
        for at in 0..self.uses.len() {
            let Some(used) = &mut self.uses[at] else { continue };
            let Some(effective) = used.renewed(&snapshot, now) else {
                self.lost = Some(used.effective.clone());
                return Err(Ended::Revoked);
            };
            self.changed |= at == 0 && !effective.same_rights(&used.effective);
            used.effective = effective;
        }
        let Some(effective) = renewed(&self.effective, &snapshot, now) else {
            self.lost = Some(self.effective.clone());
            return Err(Ended::Revoked);
        };
        self.effective = effective;
        Ok(())
    }

    /// When the rights change by themselves next.
    fn good_until(&self) -> Option<Timestamp> {
        let used = self.uses.iter().flatten().filter_map(|used| used.effective.good_until);
        used.chain(self.effective.good_until).min()
    }

    /// Resolves when the session must end; until then, `waiting` goes on.
    pub(super) async fn lost(&mut self, waiting: Waiting) -> Ended {
        let since = Instant::now();
        loop {
            let end = self.good_until().map(|end| clock::now().millis_until(end));
            tokio::select! {
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return Ended::Draining;
                    }
                    if let Err(ended) = self.look(clock::now()) {
                        return ended;
                    }
                }
                () = grant_end(end) => {
                    if let Err(ended) = self.look(clock::now()) {
                        return ended;
                    }
                }
                () = self.drain.requested() => return Ended::Draining,
                () = self.tick.as_mut() => {
                    self.tick.as_mut().reset(Instant::now() + TICK);
                    if let Some(ended) = self.patience.over(waiting, since) {
                        return ended;
                    }
                }
            }
        }
    }

    /// Waits for `work`, unless the session must end first.
    pub(super) async fn unless_lost<T>(
        &mut self,
        waiting: Waiting,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        // A peer that is always ready would never let the other branch be looked at.
        if self.changes.has_changed().unwrap_or(true) {
            self.look(clock::now())?;
        }
        tokio::select! {
            biased;
            done = work => Ok(done),
            ended = self.lost(waiting) => Err(ended),
        }
    }
}

/// The same user's rights in the same mailbox, now.
fn renewed(before: &Effective, snapshot: &Snapshot, now: Timestamp) -> Option<Arc<Effective>> {
    let now = snapshot.effective(before.user, before.mailbox, now)?;
    // An own account that has come or gone is another one: what was opened is not in it.
    let is_home = before.mailbox.home_user().is_some();
    (!is_home || now.same_rights(before)).then(|| Arc::new(now))
}

impl Patience {
    fn over(&self, waiting: Waiting, since: Instant) -> Option<Ended> {
        let (limit, ended) = match waiting {
            Waiting::Command => (self.command, Ended::Autologout),
            Waiting::Rest => (self.rest, Ended::Slow),
            Waiting::Writing => (self.writing, Ended::Slow),
            Waiting::Upstream => (self.upstream, Ended::UpstreamSlow),
            Waiting::Idle => return None,
        };
        (since.elapsed() >= limit).then_some(ended)
    }
}

/// Sleeps until a grant starts or ends; for ever where none does.
async fn grant_end(millis: Option<u64>) {
    match millis {
        // A far end is looked at again every day: timers have a range, grants do not.
        Some(millis) => sleep_until(Instant::now() + Duration::from_millis(millis.min(86_400_000))).await,
        None => std::future::pending().await,
    }
}
