//! STATUS values, asked once for all who want them.
//!
//! Clients ask STATUS of every folder every few minutes, several of a mailbox's users at
//! once. What was answered a moment ago is told again, what is being asked is waited for,
//! and the rest goes upstream in small batches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::imap::command::StatusItem;

/// How long an answer is told again: 2 s covers a burst of LIST-STATUS from several
/// clients, and nobody notices that counts are that old.
pub(super) const SHARED: Duration = Duration::from_secs(2);

/// Longest wait for STATUS values; they are left out then.
pub const WAIT: Duration = Duration::from_secs(5);

/// Most STATUS commands under way: 8 hide a far host's round trip and leave the host
/// time for others (a STATUS may read a whole index).
pub(super) const BATCH: usize = 8;

/// Answers remembered, at most; they are all older than [`SHARED`] soon.
const MAX_KNOWN: usize = 10_000;

/// Values by item; an item that the host did not tell is missing.
pub type StatusValues = Vec<(StatusItem, u64)>;

/// What somebody waits for.
pub(super) type Answer = oneshot::Receiver<Option<StatusValues>>;

/// One STATUS to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ask {
    /// The folder's name as the host wrote it.
    pub(super) folder: Vec<u8>,
    pub(super) items: Vec<StatusItem>,
}

/// Known answers and open questions of one mailbox.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Vec<u8>, Known>,
    asks: Vec<Asked>,
    /// Somebody is at work on `asks`.
    worked_on: bool,
}

struct Known {
    values: StatusValues,
    items: Vec<StatusItem>,
    at: Instant,
}

struct Asked {
    ask: Ask,
    sent: bool,
    waiting: Vec<oneshot::Sender<Option<StatusValues>>>,
}

/// What the board says to a question.
pub(super) enum Reply {
    Known(StatusValues),
    Wait(Answer),
    /// Wait, and see to it that [`Board::next_batch`] is worked on: nobody does.
    Work(Answer),
}

impl Board {
    pub(super) fn ask(&self, folder: &[u8], items: &[StatusItem]) -> Reply {
        let mut state = self.lock();
        if let Some(known) = state.known.get(folder)
            && known.at.elapsed() < SHARED
            && has_all(&known.items, items)
        {
            let wanted = known.values.iter().filter(|(item, _)| items.contains(item));
            return Reply::Known(wanted.copied().collect());
        }
        let (sender, receiver) = oneshot::channel();
        let fits = |asked: &&mut Asked| {
            asked.ask.folder == folder && (!asked.sent || has_all(&asked.ask.items, items))
        };
        match state.asks.iter_mut().find(fits) {
            Some(asked) => {
                let missing: Vec<_> = items.iter().filter(|item| !asked.ask.items.contains(item)).collect();
                asked.ask.items.extend(missing);
                asked.waiting.push(sender);
            }
            None => {
                let ask = Ask { folder: folder.to_vec(), items: items.to_vec() };
                state.asks.push(Asked { ask, sent: false, waiting: vec![sender] });
            }
        }
        if std::mem::replace(&mut state.worked_on, true) {
            Reply::Wait(receiver)
        } else {
            Reply::Work(receiver)
        }
    }

    /// What to ask next; none means that the work is done, and the next question starts it again.
    pub(super) fn next_batch(&self) -> Vec<Ask> {
        let mut state = self.lock();
        state.asks.retain(|asked| asked.sent || asked.waiting.iter().any(|waiting| !waiting.is_closed()));
        let unsent = state.asks.iter_mut().filter(|asked| !asked.sent).take(BATCH);
        let batch: Vec<Ask> = unsent
            .map(|asked| {
                asked.sent = true;
                asked.ask.clone()
            })
            .collect();
        state.worked_on = !batch.is_empty();
        batch
    }

    /// The host's answer to one of the batch; `None` if it refused.
    pub(super) fn answer(&self, ask: &Ask, values: Option<StatusValues>) {
        let mut state = self.lock();
        if let Some(values) = &values {
            if state.known.len() >= MAX_KNOWN {
                state.known.retain(|_, known| known.at.elapsed() < SHARED);
            }
            let known = Known { values: values.clone(), items: ask.items.clone(), at: Instant::now() };
            if state.known.len() < MAX_KNOWN {
                state.known.insert(ask.folder.clone(), known);
            }
        }
        let Some(at) = state.asks.iter().position(|asked| asked.sent && asked.ask == *ask) else { return };
        for waiting in state.asks.remove(at).waiting {
            // Whoever does not wait any longer needs no answer.
            let _ = waiting.send(values.clone());
        }
    }

    /// The host could not be asked: everybody goes without, and the next question starts anew.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.asks.clear();
        state.worked_on = false;
    }

    /// A change of ours in the folder: what is known of it is old.
    pub(super) fn forget(&self, folder: &[u8]) {
        self.lock().known.remove(folder);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_all(items: &[StatusItem], wanted: &[StatusItem]) -> bool {
    wanted.iter().all(|item| items.contains(item))
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Board, Reply, SHARED};
    use crate::imap::command::StatusItem::{Messages, UidNext, Unseen};

    fn folders(board: &Board) -> Vec<Vec<u8>> {
        board.next_batch().into_iter().map(|ask| ask.folder).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_serves_all_who_ask_it() {
        let board = Board::default();
        let Reply::Work(first) = board.ask(b"INBOX", &[Messages, Unseen]) else { panic!("no work") };
        let Reply::Wait(second) = board.ask(b"INBOX", &[UidNext]) else { panic!("no wait") };
        let batch = board.next_batch();
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0].items, [Messages, Unseen, UidNext]);
        let Reply::Wait(third) = board.ask(b"INBOX", &[Unseen]) else { panic!("asked twice") };
        let values = vec![(Messages, 3), (Unseen, 1), (UidNext, 9)];
        board.answer(&batch[0], Some(values.clone()));
        for answer in [first, second, third] {
            assert_eq!(answer.await.unwrap(), Some(values.clone()));
        }
        let Reply::Known(known) = board.ask(b"INBOX", &[Unseen]) else { panic!("forgotten") };
        assert_eq!(known, [(Unseen, 1)]);
        assert!(board.next_batch().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_grows_old() {
        let board = Board::default();
        let _answer = board.ask(b"INBOX", &[Unseen]);
        board.answer(&board.next_batch()[0], Some(vec![(Unseen, 1)]));
        assert!(board.next_batch().is_empty());
        tokio::time::advance(SHARED).await;
        assert!(matches!(board.ask(b"INBOX", &[Unseen]), Reply::Work(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_change_makes_it_old_at_once() {
        let board = Board::default();
        let _answer = board.ask(b"INBOX", &[Unseen]);
        board.answer(&board.next_batch()[0], Some(vec![(Unseen, 1)]));
        board.forget(b"INBOX");
        assert!(matches!(board.ask(b"INBOX", &[Unseen]), Reply::Wait(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_small_and_leave_out_whoever_left() {
        let board = Board::default();
        let waiting: Vec<_> = (0..20).map(|n| board.ask(format!("f{n}").as_bytes(), &[Unseen])).collect();
        assert_eq!(folders(&board).len(), BATCH);
        drop(waiting);
        assert!(folders(&board).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_leaves_nobody_waiting() {
        let board = Board::default();
        let Reply::Work(answer) = board.ask(b"INBOX", &[Unseen]) else { panic!("no work") };
        board.next_batch();
        board.give_up();
        assert!(answer.await.is_err());
        assert!(matches!(board.ask(b"INBOX", &[Unseen]), Reply::Work(_)));
    }
}
