//! STATUS values as this user has them: upstream's, except for what is one's own.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::session::Session;
use crate::imap::command::StatusItem;
use crate::imap::response::StatusData;
use crate::policy::{Effective, ReadState};
use crate::proxy::clock;
use crate::store::{MarksOf, Store};
use crate::types::{FolderName, MailboxId, UidSet, UidValidity};
use crate::upstream::{Catalogue, FolderState, STATUS_WAIT, StatusValues};

/// What upstream is asked for in place of UNSEEN.
const STATE: [StatusItem; 3] = [StatusItem::UidValidity, StatusItem::UidNext, StatusItem::Messages];

/// Counts what a user is told of folders; may outlive the command that asked.
#[derive(Clone)]
pub(super) struct Counts {
    catalogue: Arc<Catalogue>,
    store: Store,
    effective: Arc<Effective>,
    append_limit: u64,
}

impl Session {
    pub(super) fn counts(&self) -> Counts {
        Counts {
            catalogue: self.catalogue.clone(),
            store: self.services.store.clone(),
            effective: self.watch.effective().clone(),
            append_limit: self.append_limit(),
        }
    }

    /// The same in another mailbox; `None` without rights there.
    pub(super) fn counts_of(&self, mailbox: MailboxId, catalogue: Arc<Catalogue>) -> Option<Counts> {
        let user = self.watch.effective().user;
        let effective = Arc::new(self.services.store.snapshot().effective(user, mailbox, clock::now())?);
        Some(Counts { catalogue, effective, ..self.counts() })
    }
}

impl Counts {
    /// The values of one folder, at least those asked for that can be told; `None` if upstream
    /// tells nothing.
    pub(super) async fn of(
        &self,
        (name, wire): (&FolderName, &[u8]),
        items: &[StatusItem],
    ) -> Option<StatusData> {
        let deadline = Instant::now() + STATUS_WAIT;
        let personal = self.effective.read_state() == ReadState::Personal;
        let mut values = self.catalogue.status(wire, &upstream_items(items, personal)).await?;
        if personal {
            values.retain(|(item, _)| *item != StatusItem::Unseen);
            // Such folders have no mod-sequences (RFC 7162 §3.1.2.2).
            let modseq = values.iter_mut().filter(|(item, _)| *item == StatusItem::HighestModSeq);
            modseq.for_each(|(_, value)| *value = 0);
            if items.contains(&StatusItem::Unseen) {
                let unread = timeout_at(deadline, self.unread(name, wire, &values)).await;
                values.extend(unread.ok().flatten().map(|unread| (StatusItem::Unseen, unread)));
            }
        }
        if items.contains(&StatusItem::AppendLimit) {
            values.push((StatusItem::AppendLimit, self.append_limit));
        }
        Some(StatusData { name: Vec::new(), items: values })
    }

    /// The same of several folders at a time.
    pub(super) async fn of_each(
        &self,
        folders: &[(FolderName, Vec<u8>)],
        items: &[StatusItem],
    ) -> Vec<Option<StatusData>> {
        let mut asking = JoinSet::new();
        for (at, (name, wire)) in folders.iter().enumerate() {
            let (counts, name, wire, items) = (self.clone(), name.clone(), wire.clone(), items.to_vec());
            asking.spawn(async move { (at, counts.of((&name, &wire), &items).await) });
        }
        let mut told = vec![None; folders.len()];
        while let Some(answer) = asking.join_next().await {
            if let Ok((at, values)) = answer {
                told[at] = values;
            }
        }
        told
    }

    /// How many messages this user has not read; without looking into the folder where the
    /// numbers say enough.
    async fn unread(&self, name: &FolderName, wire: &[u8], values: &StatusValues) -> Option<u64> {
        let state = state(values)?;
        let (user, mailbox) = (self.effective.user, self.effective.mailbox);
        let of = MarksOf { user, mailbox, folder: name.clone(), validity: state.validity };
        let snapshot = self.store.snapshot();
        let Some(marks) = snapshot.marks(&of) else { return Some(state.messages.into()) };
        if let Some(unread) = evident(marks.seen(), state) {
            return Some(unread);
        }
        let present = self.catalogue.present(wire, state).await?;
        // Not more than there are, though something may have come since they were counted.
        Some(present.minus(marks.seen()).len().min(state.messages.into()))
    }
}

/// Unread messages where all or none of the UIDs given out so far were read.
fn evident(seen: &UidSet, state: FolderState) -> Option<u64> {
    let given = match state.uid_next.checked_sub(1)? {
        0 => UidSet::new(),
        last => UidSet::range(1, last),
    };
    if given.minus(seen).is_empty() {
        return Some(0);
    }
    given.intersect(seen).is_empty().then(|| state.messages.into())
}

fn state(values: &StatusValues) -> Option<FolderState> {
    let value = |wanted: StatusItem| {
        let value = values.iter().find(|(item, _)| *item == wanted)?.1;
        u32::try_from(value).ok()
    };
    Some(FolderState {
        validity: UidValidity(value(StatusItem::UidValidity)?),
        uid_next: value(StatusItem::UidNext)?,
        messages: value(StatusItem::Messages)?,
    })
}

/// The items that upstream is asked for.
fn upstream_items(items: &[StatusItem], personal: bool) -> Vec<StatusItem> {
    let counted = personal && items.contains(&StatusItem::Unseen);
    let ours =
        |item: &StatusItem| *item == StatusItem::AppendLimit || (counted && *item == StatusItem::Unseen);
    let mut asked: Vec<_> = items.iter().copied().filter(|item| !ours(item)).collect();
    if counted {
        asked.extend(STATE.iter().filter(|item| !items.contains(item)));
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::{evident, upstream_items};
    use crate::imap::command::StatusItem;
    use crate::imap::command::StatusItem::{AppendLimit, Messages, UidNext, Unseen};
    use crate::types::{UidSet, UidValidity};
    use crate::upstream::FolderState;

    #[test]
    fn unseen_is_counted_from_what_is_asked_instead() {
        assert_eq!(upstream_items(&[Unseen, AppendLimit], false), [Unseen]);
        assert_eq!(upstream_items(&[Unseen, Messages], true), [Messages, StatusItem::UidValidity, UidNext]);
        assert_eq!(upstream_items(&[Messages, AppendLimit], true), [Messages]);
    }

    #[test]
    fn all_or_nothing_read_needs_no_look_into_the_folder() {
        let state = |uid_next, messages| FolderState { validity: UidValidity(7), uid_next, messages };
        let read = |a, b| UidSet::range(a, b);
        assert_eq!(evident(&read(1, 99), state(100, 5)), Some(0));
        assert_eq!(evident(&read(1, 98), state(100, 5)), None);
        assert_eq!(evident(&read(100, 120), state(100, 5)), Some(5));
        assert_eq!(evident(&UidSet::new(), state(1, 0)), Some(0));
    }
}
