//! Two people answer one message: the second is told, and may send again (experimental).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Outbox, clock};
use crate::policy::Mark;
use crate::store::{Fate, Outgoing};
use crate::types::{MailboxId, MessageId, Timestamp, UserId};

/// Most answered messages remembered, and most refusals: the oldest are forgotten first.
const KNOWN: usize = 10_000;

type Key = (MailboxId, MessageId);

/// Who has answered what.
#[derive(Default)]
pub(super) struct Answers {
    given: HashMap<Key, Vec<Given>>,
    order: VecDeque<Key>,
    refused: VecDeque<Refusal>,
    last: u64,
}

struct Given {
    number: u64,
    user: UserId,
    at: Timestamp,
    standing: Standing,
    recipients: Vec<String>,
}

/// Where an answer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::proxy) enum Standing {
    /// It is on its way and may still fail.
    UnderWay,
    Sent,
    /// Its end went up, and nobody knows what became of it.
    Unknown,
}

/// A message that was refused: the same user may send another one.
struct Refusal {
    key: Key,
    user: UserId,
    at: Timestamp,
    look: Look,
}

/// What tells a message that is sent again by hand from one that a queue sends again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::proxy) struct Look {
    pub(in crate::proxy) message_id: Option<String>,
    pub(in crate::proxy) date: Option<String>,
}

impl Look {
    /// Whether it is one that was refused before, sent again by a queue. Without a Message-ID
    /// the Date says nothing: it is the sending program's, written anew at each attempt (msmtp).
    fn is_again(&self, refused: &Self) -> bool {
        self.message_id == refused.message_id && (self.message_id.is_none() || self.date == refused.date)
    }
}

/// Somebody else's answer, lately.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::proxy) struct Answered {
    pub(in crate::proxy) user: UserId,
    pub(in crate::proxy) at: Timestamp,
    pub(in crate::proxy) standing: Standing,
    pub(in crate::proxy) recipients: Vec<String>,
}

impl Answers {
    /// What records of messages that went out, or may have, tell.
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a Outgoing>) -> Mutex<Self> {
        let mut answers = Self::default();
        for record in records {
            let Some(answer) = record.answers.as_ref().filter(|answer| answer.mark == Mark::Answered) else {
                continue;
            };
            let key = (record.mailbox, answer.parent.clone());
            let number = answers.add(key, record.user, record.at);
            match record.fate {
                Fate::Accepted => answers.stands(number, Standing::Sent, &record.recipients),
                Fate::Spooled => answers.stands(number, Standing::Unknown, &record.recipients),
            }
        }
        Mutex::new(answers)
    }

    /// Leave to answer, unless somebody else has within `window` milliseconds.
    fn reserve(
        &mut self,
        key: Key,
        user: UserId,
        look: &Look,
        (now, window): (Timestamp, i64),
    ) -> Result<u64, Answered> {
        let recent = |at: Timestamp| now.0 - at.0 <= window;
        let mut others = self.given.get(&key).into_iter().flatten();
        let counts = |given: &&Given| given.standing == Standing::UnderWay || recent(given.at);
        let other = others.rfind(|given| given.user != user && counts(given));
        let Some(other) = other else { return Ok(self.add(key, user, now)) };
        let answered = Answered {
            user: other.user,
            at: other.at,
            standing: other.standing,
            recipients: other.recipients.clone(),
        };
        let refusals = || self.refused.iter().filter(|refusal| refusal.key == key && refusal.user == user);
        let refused_so = refusals().any(|refusal| look.is_again(&refusal.look));
        // Who was told of this answer and sends another message means it.
        let told = refusals().any(|refusal| recent(refusal.at) && refusal.at.0 >= answered.at.0);
        if told && !refused_so {
            return Ok(self.add(key, user, now));
        }
        if !refused_so {
            if self.refused.len() >= KNOWN {
                self.refused.pop_front();
            }
            self.refused.push_back(Refusal { key, user, at: now, look: look.clone() });
        }
        Err(answered)
    }

    fn add(&mut self, key: Key, user: UserId, at: Timestamp) -> u64 {
        self.last += 1;
        let standing = Standing::UnderWay;
        let given = Given { number: self.last, user, at, standing, recipients: Vec::new() };
        self.order.push_back(key.clone());
        self.given.entry(key).or_default().push(given);
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
            && let Some(given) = self.given.get_mut(&oldest)
        {
            given.remove(0);
            if given.is_empty() {
                self.given.remove(&oldest);
            }
        }
        self.last
    }

    fn stands(&mut self, number: u64, standing: Standing, recipients: &[String]) {
        let mut given = self.given.values_mut().flatten();
        if let Some(given) = given.find(|given| given.number == number) {
            given.standing = standing;
            given.recipients = recipients.to_vec();
        }
    }

    /// An admin says that what was unknown of this user's did not go out.
    fn release_unknown(&mut self, key: &Key, user: UserId) {
        let given = self.given.get(key).into_iter().flatten();
        let unknown = given.filter(|given| given.user == user && given.standing == Standing::Unknown);
        for number in unknown.map(|given| given.number).collect::<Vec<_>>() {
            self.release(key, number);
        }
    }

    fn release(&mut self, key: &Key, number: u64) {
        let Some(given) = self.given.get_mut(key) else { return };
        let before = given.len();
        given.retain(|given| given.number != number);
        let removed = given.len() < before;
        if given.is_empty() {
            self.given.remove(key);
        }
        if let Some(at) = self.order.iter().rposition(|other| other == key).filter(|_| removed) {
            self.order.remove(at);
        }
    }
}

/// Leave to answer a message, for as long as the answer is on its way. Dropped before its end
/// goes up, the place is free again; after that, the answer may have gone out, and counts.
pub(in crate::proxy) struct Reservation {
    outbox: Arc<Outbox>,
    key: Key,
    number: Option<u64>,
    goes: bool,
}

impl Outbox {
    /// Reserves the answer to a message of the mailbox: of two at the same moment, one passes.
    pub(in crate::proxy) fn reserve(
        self: &Arc<Self>,
        mailbox: MailboxId,
        parent: &MessageId,
        user: UserId,
        look: &Look,
        minutes: u32,
    ) -> Result<Reservation, Answered> {
        let key = (mailbox, parent.clone());
        let window = i64::from(minutes) * 60_000;
        let number = self.answers().reserve(key.clone(), user, look, (clock::now(), window))?;
        Ok(Reservation { outbox: Arc::clone(self), key, number: Some(number), goes: false })
    }

    /// A message of unknown outcome is taken not to have gone out.
    pub(super) fn unanswered(&self, record: &Outgoing) {
        if let Some(answers) = record.answers.as_ref().filter(|_| record.fate == Fate::Spooled) {
            self.answers().release_unknown(&(record.mailbox, answers.parent.clone()), record.user);
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// The message's end goes up.
    pub(in crate::proxy) fn goes(&mut self) {
        self.goes = true;
    }

    /// The answer has gone out.
    pub(in crate::proxy) fn sent(mut self, recipients: &[String]) {
        if let Some(number) = self.number.take() {
            self.outbox.answers().stands(number, Standing::Sent, recipients);
        }
    }

    /// Upstream has refused it.
    pub(in crate::proxy) fn free(mut self) {
        self.goes = false;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(number) = self.number.take() else { return };
        if self.goes {
            self.outbox.answers().stands(number, Standing::Unknown, &[]);
        } else {
            self.outbox.answers().release(&self.key, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn key() -> Key {
        (MailboxId(1), MessageId::parse("<q@x>").unwrap())
    }

    fn look(id: &str) -> Look {
        Look { message_id: Some(id.to_owned()), date: None }
    }

    fn ask(answers: &mut Answers, user: UserId, id: &str, minute: i64) -> Result<u64, UserId> {
        let when = (Timestamp(minute * MINUTE), 10 * MINUTE);
        answers.reserve(key(), user, &look(id), when).map_err(|answered| answered.user)
    }

    #[test]
    fn the_second_is_refused_and_confirms_with_another_message() {
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Sent, &["customer@example.net".into()]);
        assert_eq!(ask(&mut answers, BOB, "<b1>", 1), Err(ALICE));
        assert_eq!(ask(&mut answers, BOB, "<b1>", 2), Err(ALICE), "a queue tries again");
        assert!(ask(&mut answers, BOB, "<b2>", 3).is_ok(), "a person means it");
        assert_eq!(ask(&mut answers, BOB, "<b1>", 4), Err(ALICE), "the queue still does not");
        assert_eq!(ask(&mut answers, ALICE, "<a2>", 5), Err(BOB), "she has not heard of his");
    }

    #[test]
    fn what_a_queue_sends_again_is_no_confirmation() {
        let look = |id: Option<&str>, date: &str| Look {
            message_id: id.map(str::to_owned),
            date: Some(date.into()),
        };
        for (first, second, again) in [
            (look(Some("<a>"), "Mon"), look(Some("<a>"), "Mon"), true),
            (look(Some("<a>"), "Mon"), look(Some("<a>"), "Tue"), false),
            (look(Some("<a>"), "Mon"), look(Some("<b>"), "Mon"), false),
            (look(None, "Mon"), look(Some("<b>"), "Mon"), false),
            (look(None, "Mon"), look(None, "Tue"), true),
        ] {
            assert_eq!(second.is_again(&first), again, "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_window_ends_and_ones_own_answer_is_none() {
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Sent, &[]);
        assert!(ask(&mut answers, ALICE, "<a2>", 1).is_ok());
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Sent, &[]);
        assert!(ask(&mut answers, BOB, "<b1>", 11).is_ok());
    }

    #[test]
    fn what_fails_frees_the_place() {
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        assert_eq!(ask(&mut answers, BOB, "<b1>", 0), Err(ALICE), "under way");
        answers.release(&key(), first);
        assert!(ask(&mut answers, BOB, "<b1>", 0).is_ok());
        assert_eq!(answers.order.len(), 1);
    }

    #[test]
    fn an_unknown_outcome_counts_until_it_is_known_or_the_window_is_over() {
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Unknown, &[]);
        assert_eq!(ask(&mut answers, BOB, "<b1>", 1), Err(ALICE));
        assert!(ask(&mut answers, ALICE, "<a1>", 1).is_ok(), "her own retry passes");
        answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Unknown, &[]);
        assert!(ask(&mut answers, BOB, "<b1>", 11).is_ok(), "the window is over");
        answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Unknown, &[]);
        answers.release_unknown(&key(), BOB);
        assert_eq!(ask(&mut answers, BOB, "<b1>", 1), Err(ALICE));
        answers.release_unknown(&key(), ALICE);
        assert!(ask(&mut answers, BOB, "<b1>", 1).is_ok(), "it did not go out");
        assert_eq!((answers.given.len(), answers.order.len()), (1, 1));
    }

    #[test]
    fn a_new_answer_is_told_of_too() {
        let mut answers = Answers::default();
        let first = ask(&mut answers, ALICE, "<a1>", 0).unwrap();
        answers.stands(first, Standing::Sent, &[]);
        assert_eq!(ask(&mut answers, BOB, "<b1>", 1), Err(ALICE));
        let third = answers.add(key(), UserId(3), Timestamp(2 * MINUTE));
        answers.stands(third, Standing::Sent, &[]);
        assert_eq!(ask(&mut answers, BOB, "<b2>", 3), Err(UserId(3)));
        assert!(ask(&mut answers, BOB, "<b3>", 4).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut answers = Answers::default();
        for n in 0..=KNOWN {
            let key = (MailboxId(1), MessageId::parse(&format!("<{n}@x>")).unwrap());
            answers.add(key, ALICE, Timestamp(0));
        }
        assert_eq!((answers.given.len(), answers.order.len()), (KNOWN, KNOWN));
    }
}
