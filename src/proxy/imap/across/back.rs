//! The end of a journey: what is recorded, what is taken back, what the client is told.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Target;
use super::journey::Journey;
use super::stopped::Stopped;
use crate::imap::reply::{self, Outcome};
use crate::imap::response::{Code, Condition, Response, Status};
use crate::imap::writer;
use crate::policy::{FolderClass, Step, StepKind};
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::record::verb;
use crate::proxy::imap::run::Done;
use crate::proxy::imap::session::Session;
use crate::store::{Marking, MarksOf};
use crate::telemetry::{Act, Outcome as Came};
use crate::types::{UidSet, UidValidity};
use crate::upstream::Answered;

/// Longest time for taking copies back, the connection included: the client waits for it.
const TAKING_BACK: Duration = Duration::from_secs(20);

impl Session {
    /// What the journal knows before the first octet goes: from where and to where.
    pub(super) async fn record_departure(
        &mut self,
        journey: &mut Journey<'_>,
        uids: UidSet,
    ) -> Result<(), Ended> {
        let here = self.watch.effective().clone();
        let Some(there) = self.watch.there().cloned() else { return Err(Ended::Revoked) };
        let (verb, count) = (verb(journey.command), uids.len());
        let folder = self.selected.as_ref().map(|selected| (selected.name.clone(), selected.validity));
        let leaving = Act {
            verb,
            right: if journey.removes() { "rte" } else { "r" }.to_owned(),
            uidvalidity: folder.as_ref().map(|(_, validity)| *validity),
            folder: folder.map(|(name, _)| name),
            uids: Some(uids),
            target: Some(journey.there.folder.clone()),
            to_mailbox: Some(journey.there.mailbox),
            ..Act::default()
        };
        let coming = Act {
            verb,
            right: "i".to_owned(),
            folder: Some(journey.there.folder.clone()),
            count: Some(count),
            from_mailbox: Some(here.mailbox),
            ..Act::default()
        };
        let leaving = self.recorder.intent(&here, leaving).await?;
        let coming = self.recorder.intent(&there, coming).await?;
        journey.intents = Some((leaving, coming));
        Ok(())
    }

    /// What became of it: how many copies are in the other mailbox, and which.
    async fn record_end(
        &mut self,
        journey: &Journey<'_>,
        came: Came,
        (count, uids): (u64, Option<UidSet>),
    ) -> Result<(), Ended> {
        if let Some((leaving, coming)) = journey.intents {
            self.recorder.arrival(leaving, came, (count, uids.clone())).await?;
            self.recorder.arrival(coming, came, (count, uids)).await?;
        }
        Ok(())
    }

    /// Every message has arrived, and at MOVE left.
    pub(super) async fn arrive(&mut self, mut journey: Journey<'_>) -> Result<(), Ended> {
        self.keep_there(&journey).await;
        let known = journey.permit.arrivals().and_then(|arrivals| arrivals.known());
        let end = (journey.pace.arrived, known.map(|(_, uids)| uids.clone()));
        self.record_end(&journey, Came::Done, end).await?;
        let code = journey.copy_uid().filter(|_| !journey.removes() && self.tells_uids(&journey.there));
        if let Some(lease) = journey.there.lease.take() {
            lease.give_back().await;
        }
        self.finish(journey.tag, journey.command, &Done { condition: Condition::Ok, code });
        Ok(())
    }

    /// Something stopped it: the copies are taken back, and the client hears how many of how
    /// many, and why.
    pub(super) async fn turn_back(
        &mut self,
        mut journey: Journey<'_>,
        stopped: &Stopped,
    ) -> Result<(), Ended> {
        // Its place is wanted for taking back, where a host allows few.
        if let Some(lease) = journey.there.lease.take() {
            lease.give_back().await;
        }
        let left = self.undo(&mut journey, stopped.is_doubtful()).await?;
        let why = stopped.reason(&journey.there.address);
        let text = match journey.pace.total {
            0 => why,
            _ => journey.tally(left).sentence(journey.removes(), &why),
        };
        reply::tagged(self.client.wire.out(), journey.tag, Outcome::No, stopped.code(), &text);
        Ok(())
    }

    /// The session ends in the middle of it. The client hears that first, but where it is the
    /// host of the open folder that is lost: then there is a NO before the BYE.
    pub(super) async fn abandon(&mut self, mut journey: Journey<'_>, ended: Ended) -> Ended {
        journey.there.lease = None;
        // A message may be half-way down: nobody has been told of it.
        if self.lease.as_ref().is_some_and(|lease| !lease.scanner.is_between_responses()) {
            self.lease = None;
        }
        let answers = ended.is_fault_of_upstream();
        if !answers {
            self.farewell(ended).await;
            self.client.shut_down().await;
        }
        let left = match self.undo(&mut journey, false).await {
            Ok(left) => left,
            Err(ended) => return ended,
        };
        if answers && journey.pace.total > 0 {
            let why = "the connection to the mail host broke";
            let text = journey.tally(left).sentence(journey.removes(), why);
            reply::tagged(self.client.wire.out(), journey.tag, Outcome::No, "UNAVAILABLE", &text);
        }
        ended
    }

    /// Takes back what can be; says how many copies are left in the other mailbox.
    async fn undo(&mut self, journey: &mut Journey<'_>, doubtful: bool) -> Result<u64, Ended> {
        let (arrived, steps) = (journey.pace.arrived, journey.permit.take_back());
        let mut taken = UidSet::new();
        for step in &steps {
            let StepKind::TakeBack { validity, uids } = step.kind() else { continue };
            if self.take_back(journey, step, (*validity, uids)).await? {
                taken = taken.union(uids);
            }
        }
        let left = arrived - taken.len().min(arrived);
        let known = journey.permit.arrivals().and_then(|arrivals| arrivals.known());
        let there = known.map(|(_, uids)| uids.minus(&taken)).filter(|uids| !uids.is_empty());
        if left > 0 {
            self.keep_there(journey).await;
        }
        // What is there has come, whatever the client was told.
        let came = if doubtful || left > 0 { Came::Unknown } else { Came::Refused };
        self.record_end(journey, came, (left, there)).await?;
        Ok(left)
    }

    /// Removes copies of this command's making, on the daemon's own connection; with an intent
    /// and an outcome, as whatever removes mail.
    async fn take_back(
        &mut self,
        journey: &Journey<'_>,
        step: &Step,
        (validity, uids): (UidValidity, &UidSet),
    ) -> Result<bool, Ended> {
        let there = self.watch.there().unwrap_or(self.watch.effective()).clone();
        let act = Act {
            verb: verb(journey.command),
            right: "take back".to_owned(),
            folder: Some(journey.there.folder.clone()),
            uidvalidity: Some(validity),
            uids: Some(uids.clone()),
            ..Act::default()
        };
        let intent = self.recorder.intent(&there, act).await?;
        // Not ended by a changed grant: it is the daemon's to clean up.
        let removed = timeout(TAKING_BACK, self.remove_there(&journey.there, step, validity)).await;
        let came = match removed {
            Ok(Some(true)) => Came::Done,
            Ok(Some(false)) => Came::Refused,
            Ok(None) | Err(_) => Came::Unknown,
        };
        if came != Came::Done {
            tracing::warn!(mailbox = %journey.there.mailbox, %uids, "copies of a command that failed are left");
        }
        self.recorder.arrival(intent, came, (uids.len(), None)).await?;
        Ok(came == Came::Done)
    }

    /// Whether the host has removed them; `None`: nobody knows.
    async fn remove_there(&self, there: &Target, step: &Step, validity: UidValidity) -> Option<bool> {
        let target = self.services.target(there.mailbox, self.password.as_ref()).ok()?;
        let deadline = Instant::now() + TAKING_BACK;
        let mut lease = self.services.pools.housekeeping_lease(&target, deadline).await.ok()?;
        let tags = [lease.tag(), lease.tag(), lease.tag()];
        let commands = writer::take_back(step, &there.wire, [&tags[0], &tags[1], &tags[2]])?;
        lease.set_selected(true);
        let mut opened = false;
        for (outgoing, tag) in commands.iter().zip(&tags) {
            let answered = lease.perform(outgoing, tag, deadline).await.ok()?;
            let mut told = validities(&answered);
            opened |= told.next() == Some(validity);
            // Nothing is removed unless SELECT, the first, has named the very folder.
            if !answered.is_ok() || !opened || told.any(|told| told != validity) {
                return Some(false);
            }
        }
        there.catalogue.changed(&there.wire);
        lease.give_back().await;
        Some(true)
    }

    /// What the store keeps of messages that have come into a folder: who has read them, whose
    /// drafts they are.
    async fn keep_there(&self, journey: &Journey<'_>) {
        let (there, user) = (&journey.there, self.watch.effective().user);
        there.catalogue.changed(&there.wire);
        let known = journey.permit.arrivals().and_then(|arrivals| arrivals.known());
        let (Some((validity, uids)), Some(effective)) = (known, self.watch.there()) else { return };
        let store = &self.services.store;
        let place = store.snapshot().place_of(there.mailbox, &there.folder);
        let (mailbox, folder) = (there.mailbox, there.folder.clone());
        let mut kept = Ok(());
        if effective.own_flags(&place).seen && !journey.read.is_empty() {
            let of = MarksOf { user, mailbox, folder: folder.clone(), validity };
            kept = store.mark(of, vec![Marking::Seen(journey.read.clone())]).await;
        }
        if place.class == FolderClass::Drafts {
            kept = kept.and(store.own_drafts_add(user, mailbox, folder, validity, uids.clone()).await);
        }
        if let Err(error) = kept {
            tracing::error!(%error, "what a user has of copied messages cannot be stored");
        }
    }
}

/// Of the folder that SELECT opened.
fn validities(answered: &Answered) -> impl Iterator<Item = UidValidity> {
    answered.responses().filter_map(|response| match response {
        Response::Status(Status { code: Some(Code::UidValidity(told)), .. }) => Some(told),
        _ => None,
    })
}
