//! What the journal learns of a submission (invariant 12).

use std::sync::Arc;

use super::{Peer, Services};
use crate::policy::{Denial, Effective, Reason, SendRight};
use crate::proxy::clock;
use crate::telemetry::{Actor, Counted, Counter, Durability, End, Event, Outcome, Seq};
use crate::types::{Address, MailboxId, UserId};

/// The journal could not be written: what must be recorded is not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoRecord;

/// Writes one session's lines.
pub(super) struct Recorder {
    services: Arc<Services>,
    peer: Peer,
    user: UserId,
}

/// A message that is about to go.
pub(super) struct Sending<'a> {
    pub(super) effective: &'a Effective,
    pub(super) from: &'a Address,
    pub(super) on_behalf: bool,
    pub(super) recipients: usize,
    pub(super) message_id: &'a str,
    pub(super) size: Option<u64>,
    pub(super) signature_removed: bool,
}

impl Recorder {
    pub(super) fn new(services: Arc<Services>, peer: Peer, user: UserId) -> Self {
        Self { services, peer, user }
    }

    /// The intent, on disk when this returns.
    pub(super) async fn intent(&self, sending: Sending<'_>) -> Result<Seq, NoRecord> {
        let event = Event::Send {
            actor: self.actor(sending.effective),
            from: sending.from.clone(),
            how: if sending.on_behalf { SendRight::OnBehalf } else { SendRight::As },
            recipients: u32::try_from(sending.recipients).unwrap_or(u32::MAX),
            message_id: Some(self.services.journal.fingerprint(sending.message_id.as_bytes())),
            size: sending.size,
            signature_removed: sending.signature_removed,
        };
        self.write(event, Durability::Flushed).await
    }

    /// How it came out, written before the client hears of it. If that fails the message is
    /// where it is all the same, and the log says so.
    pub(super) async fn outcome(&self, intent: Seq, outcome: Outcome, queue_id: Option<String>) {
        let (session, count, target_uids) = (self.peer.session, None, None);
        let event = Event::Outcome { session, intent, outcome, target_uids, count, queue_id };
        // Lost in a power cut it leaves an intent without outcome: unknown, which is true.
        if self.write(event, Durability::Grouped).await.is_err() {
            tracing::error!(%session, intent = intent.0, "outcome not recorded: {outcome:?}");
        }
    }

    /// A refusal by policy, counted into a line a minute.
    pub(super) fn denied(&self, mailbox: MailboxId, denial: &Denial) {
        let why = match denial.reason {
            Reason::Right(_) => "right",
            Reason::ReadOnly => "read only",
            Reason::NotOwn => "not own",
            Reason::Send => "role sends nothing",
            Reason::NotAnAnswer => "no answer",
            Reason::NoMeans | Reason::Unconfirmed => "host",
            Reason::FlagsStay => "flags",
            Reason::StaysHere => "stays",
            Reason::Withdrawn => "withdrawn",
        };
        self.refused(mailbox, why);
    }

    /// A sender that is not theirs, or a message that was refused before it could go.
    pub(super) fn refused(&self, mailbox: MailboxId, why: &'static str) {
        self.services.counters.count(Counter::ActsDenied);
        self.services.journal.count(Counted::Refused { user: self.user, mailbox, verb: "send", why });
    }

    /// The session ends because its right has ended.
    pub(super) async fn ended(&self, effective: &Effective) {
        let expired = effective.good_until.is_some_and(|end| end <= clock::now());
        let why = if expired { End::Expired } else { End::Revoked };
        let event = Event::SessionEnded { actor: self.actor(effective), why };
        // Nothing hangs on it: the session ends either way, and the failure is counted.
        let _ = self.write(event, Durability::Grouped).await;
    }

    fn actor(&self, effective: &Effective) -> Arc<Actor> {
        Arc::new(Actor {
            session: self.peer.session,
            peer: self.peer.address,
            user: self.user,
            mailbox: effective.mailbox,
            role: effective.role_text(),
            grants: effective.grants.clone(),
        })
    }

    async fn write(&self, event: Event, durability: Durability) -> Result<Seq, NoRecord> {
        self.services.journal.record(event, durability).await.map_err(|error| {
            self.services.counters.count(Counter::JournalFailures);
            tracing::error!("the journal cannot be written: {error}");
            NoRecord
        })
    }
}
