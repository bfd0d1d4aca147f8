//! Which messages a folder has, by UID: what a read state of one's own is counted with.
//!
//! Known once for all users of the mailbox, and as good as the folder's UIDVALIDITY, UIDNEXT and
//! MESSAGES say. Where UIDNEXT and MESSAGES have grown by as much, nothing was removed and what
//! came has all the UIDs between (RFC 3501 §2.3.1.1); otherwise the folder is asked anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::catalogue::Catalogue;
use super::error::{CommandError, LeaseError};
use super::pool::Lease;
use super::status::WAIT;
use crate::imap::response::{Code, Response, Status};
use crate::imap::writer::Housekeeping;
use crate::types::{UidSet, UidValidity};

/// Folders remembered of one mailbox, at most; more than mailboxes have.
const MAX_FOLDERS: usize = 10_000;

/// UID ranges remembered of one mailbox, at most: 2 MB. A tidy folder has one, a much weeded
/// one some thousands.
const MAX_RANGES: usize = 250_000;

/// A folder's state as STATUS tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FolderState {
    pub validity: UidValidity,
    pub uid_next: u32,
    pub messages: u32,
}

impl FolderState {
    /// The UIDs of the messages where the numbers alone say them: none, or all that were given out.
    fn evident(&self) -> Option<UidSet> {
        let given = self.uid_next.checked_sub(1)?;
        match self.messages {
            0 => Some(UidSet::new()),
            messages if messages == given => Some(UidSet::range(1, given)),
            _ => None,
        }
    }
}

/// What is known of one mailbox's folders, by the names that the host uses.
#[derive(Default)]
pub(super) struct Present {
    known: Mutex<Table>,
    /// Held by whoever asks: one folder at a time, and nothing twice.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    folders: HashMap<Vec<u8>, Known>,
    ranges: usize,
}

#[derive(Clone)]
struct Known {
    state: FolderState,
    uids: Arc<UidSet>,
}

impl Known {
    fn ranges(&self) -> usize {
        self.uids.ranges().count()
    }

    /// The same folder later, if nothing was removed meanwhile.
    fn grown(&self, now: FolderState) -> Option<Self> {
        let came = now.uid_next.checked_sub(self.state.uid_next)?;
        let same = now.validity == self.state.validity;
        if !same || now.messages.checked_sub(self.state.messages)? != came {
            return None;
        }
        let mut uids = self.uids.clone();
        if came > 0 {
            Arc::make_mut(&mut uids).insert_range(self.state.uid_next, now.uid_next - 1);
        }
        Some(Self { state: now, uids })
    }
}

impl Present {
    fn find(&self, folder: &[u8], now: FolderState) -> Option<Arc<UidSet>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.folders.get(folder)?;
        let uids = before.uids.clone();
        if before.state != now {
            let grown = before.grown(now)?;
            let uids = grown.uids.clone();
            known.remember(folder, grown);
            return Some(uids);
        }
        Some(uids)
    }

    /// Another account may have other messages under the same numbers.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Table::default();
    }

    fn remember(&self, folder: &[u8], known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remember(folder, known);
    }
}

impl Table {
    /// Where there is no room, everything is forgotten: it is asked again when it is wanted.
    fn remember(&mut self, folder: &[u8], known: Known) {
        if let Some(old) = self.folders.remove(folder) {
            self.ranges -= old.ranges();
        }
        let ranges = known.ranges();
        if self.folders.len() >= MAX_FOLDERS || self.ranges + ranges > MAX_RANGES {
            *self = Self::default();
        }
        if ranges <= MAX_RANGES {
            self.ranges += ranges;
            self.folders.insert(folder.to_vec(), known);
        }
    }
}

impl Catalogue {
    /// The UIDs of the messages that a folder has in this state, by the name that the host itself
    /// uses for it. `None` if the host does not tell within 5 s.
    pub async fn present(self: &Arc<Self>, wire_name: &[u8], now: FolderState) -> Option<Arc<UidSet>> {
        if let Some(uids) = now.evident() {
            return Some(Arc::new(uids));
        }
        if let Some(uids) = self.present.find(wire_name, now) {
            return Some(uids);
        }
        // On its own: who does not wait for it to its end has it the next time.
        let (catalogue, folder) = (self.clone(), wire_name.to_vec());
        let asked = tokio::spawn(async move { catalogue.ask_present(&folder, now).await });
        tokio::time::timeout(WAIT, asked).await.ok()?.ok()?
    }

    async fn ask_present(&self, folder: &[u8], now: FolderState) -> Option<Arc<UidSet>> {
        let taking = tokio::time::timeout(WAIT, self.present.asking.lock()).await;
        let _asking = taking.ok()?;
        if let Some(uids) = self.present.find(folder, now) {
            return Some(uids);
        }
        match self.look_into(folder).await {
            Ok(Some(known)) => {
                let uids = known.uids.clone();
                self.present.remember(folder, known);
                Some(uids)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "unread messages were not counted");
                None
            }
        }
    }

    /// Opens a folder without a trace on the daemon's own connection; `None` if it is refused.
    async fn look_into(&self, folder: &[u8]) -> Result<Option<Known>, LeaseError> {
        let deadline = Instant::now() + WAIT;
        let mut lease = self.housekeeping(deadline).await?;
        let known = numbered(&mut lease, folder, deadline).await?;
        lease.give_back().await;
        Ok(known)
    }
}

async fn numbered(
    lease: &mut Lease,
    folder: &[u8],
    deadline: Instant,
) -> Result<Option<Known>, CommandError> {
    lease.set_selected(true);
    let opened = lease.command_by(&Housekeeping::Examine { folder, condstore: false }, deadline).await?;
    let (mut validity, mut next) = (None, 0);
    for response in opened.responses() {
        match response {
            Response::Status(Status { code: Some(Code::UidValidity(told)), .. }) => validity = Some(told),
            Response::Status(Status { code: Some(Code::UidNext(told)), .. }) => next = told,
            _ => {}
        }
    }
    let Some(validity) = validity.filter(|_| opened.is_ok()) else { return Ok(None) };
    let esearch = lease.capabilities().has("ESEARCH");
    let (answered, uids) = lease.find(&Housekeeping::Uids { esearch }, deadline).await?;
    let Some(messages) = u32::try_from(uids.len()).ok().filter(|_| answered.is_ok()) else { return Ok(None) };
    // Something may have come between the two answers.
    let uid_next = uids.last().map_or(next, |last| next.max(last.saturating_add(1)));
    let state = FolderState { validity, uid_next, messages };
    Ok(Some(Known { state, uids: Arc::new(uids) }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FolderState, Known, MAX_RANGES, Present, Table};
    use crate::types::{UidSet, UidValidity};

    fn state(uid_next: u32, messages: u32) -> FolderState {
        FolderState { validity: UidValidity(7), uid_next, messages }
    }

    fn known(uids: UidSet) -> Known {
        let state = state(uids.last().unwrap() + 1, u32::try_from(uids.len()).unwrap());
        Known { state, uids: Arc::new(uids) }
    }

    #[test]
    fn numbers_that_speak_for_themselves() {
        assert_eq!(state(9, 0).evident(), Some(UidSet::new()));
        assert_eq!(state(9, 8).evident(), Some(UidSet::range(1, 8)));
        assert_eq!(state(9, 7).evident(), None);
        assert_eq!(state(0, 7).evident(), None);
    }

    #[test]
    fn what_grew_is_known_and_what_shrank_is_not() {
        let present = Present::default();
        present.remember(b"INBOX", known([3, 5].into_iter().collect()));
        let find = |now| present.find(b"INBOX", now).map(|uids| uids.to_string());
        assert_eq!(find(state(6, 2)).as_deref(), Some("3,5"));
        assert_eq!(find(state(8, 4)).as_deref(), Some("3,5:7"));
        assert_eq!(find(state(8, 3)), None, "one was removed");
        assert_eq!(find(state(9, 4)), None, "one came, one was removed");
        assert_eq!(find(state(6, 2)), None, "older than what is known");
        assert_eq!(find(FolderState { validity: UidValidity(8), ..state(8, 4) }), None);
        assert_eq!(present.find(b"Sent", state(6, 2)), None);
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut table = Table::default();
        let half: UidSet = (1..u32::try_from(MAX_RANGES).unwrap()).step_by(2).collect();
        table.remember(b"a", known(half.clone()));
        table.remember(b"a", known(half.clone()));
        table.remember(b"b", known(half.clone()));
        assert_eq!((table.folders.len(), table.ranges), (2, MAX_RANGES));
        table.remember(b"c", known(UidSet::range(4, 5)));
        assert_eq!((table.folders.len(), table.ranges), (1, 1));
        let many: UidSet = (1..3 * u32::try_from(MAX_RANGES).unwrap()).step_by(2).collect();
        table.remember(b"d", known(many));
        assert_eq!((table.folders.len(), table.ranges), (0, 0));
    }
}
