//! The messages' way into another mailbox, step by step.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Target;
use super::bring::Brought;
use super::pace::Pace;
use super::source::{Described, Ear, Source};
use super::stopped::{Stopped, Tally};
use crate::imap::command::{Command, Tag};
use crate::imap::reply::{self, Outcome};
use crate::imap::response::Condition;
use crate::imap::writer::Outgoing;
use crate::policy::{Fact, Facts, Next, Permit, Step, StepKind};
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::exchange::{Found, Manner};
use crate::proxy::imap::kinds::numbers_by_uid;
use crate::proxy::imap::lease::CONNECT;
use crate::proxy::imap::run::Done;
use crate::proxy::imap::saved::Recalled;
use crate::proxy::imap::session::Session;
use crate::proxy::imap::watch::Waiting;
use crate::telemetry::Seq;
use crate::types::{UidSet, UidValidity};
use crate::upstream::{EnabledSet, Party};

/// One COPY or MOVE under way.
pub(super) struct Journey<'a> {
    pub(super) tag: &'a Tag,
    pub(super) command: &'a Command,
    pub(super) permit: Permit,
    pub(super) there: Target,
    pub(super) pace: Pace,
    pub(super) described: BTreeMap<u32, Described>,
    /// Copies of messages that the user has read.
    pub(super) read: UidSet,
    pub(super) removed: u64,
    /// What the journal was told before the first octet went: here, and there.
    pub(super) intents: Option<(Seq, Seq)>,
}

impl Journey<'_> {
    pub(super) fn removes(&self) -> bool {
        matches!(self.command, Command::Move { .. })
    }

    /// `there`: copies that are in the other mailbox.
    pub(super) fn tally(&self, there: u64) -> Tally {
        Tally { total: self.pace.total, there, removed: self.removed }
    }

    /// COPYUID (RFC 4315 §3), where all UIDs are known.
    pub(super) fn copy_uid(&self) -> Option<String> {
        let arrivals = self.permit.arrivals()?;
        let (UidValidity(validity), to) = arrivals.all_known()?;
        Some(format!("COPYUID {validity} {} {to}", arrivals.from()))
    }
}

impl Session {
    /// Takes the messages there, answers the client.
    pub(super) async fn journey(
        &mut self,
        tag: &Tag,
        command: &mut Command,
        permit: Permit,
        there: Target,
    ) -> Result<(), Ended> {
        if let Err(done) = self.name(tag, command, &permit).await? {
            self.finish(tag, command, &done);
            return Ok(());
        }
        let mut journey = Journey {
            tag,
            command,
            permit,
            there,
            pace: Pace::new(),
            described: BTreeMap::new(),
            read: UidSet::new(),
            removed: 0,
            intents: None,
        };
        match self.travel(&mut journey).await {
            Ok(Ok(())) => self.arrive(journey).await,
            Ok(Err(stopped)) => self.turn_back(journey, &stopped).await,
            Err(ended) => Err(self.abandon(journey, ended).await),
        }
    }

    /// What the client's numbers, `*` and `$` mean; or the end, where that is nothing, or
    /// nobody knows.
    async fn name(
        &mut self,
        tag: &Tag,
        command: &mut Command,
        permit: &Permit,
    ) -> Result<Result<(), Done>, Ended> {
        let unavailable = || Done { condition: Condition::No, code: Some("UNAVAILABLE".to_owned()) };
        if self.has_overlay() && !self.number_new_messages(tag).await? {
            return Ok(Err(unavailable()));
        }
        match self.recall(tag, command).await? {
            Recalled::Named => Ok(self.name_messages(tag, command, permit).await?.map(|_| ())),
            Recalled::Nothing => Ok(Err(Done { condition: Condition::Ok, code: None })),
            Recalled::Unknown => Ok(Err(unavailable())),
        }
    }

    /// The steps of the permit, until it is done or something stops them.
    async fn travel(&mut self, journey: &mut Journey<'_>) -> Result<Result<(), Stopped>, Ended> {
        let mut last = Fact::Start;
        loop {
            self.watch.refresh()?;
            let own = self.own_drafts();
            let facts = Facts { last, effective: self.watch.effective(), own: &own, by_uid: true };
            let step = match journey.permit.next(&facts) {
                Next::Run(step) => step,
                Next::Refuse(denial) => return Ok(Err(Stopped::Denied(denial))),
                Next::Done => return Ok(Ok(())),
            };
            let fact = match step.kind() {
                StepKind::Uids => self.which(journey, &step).await?,
                StepKind::Describe(uids) => self.describe(journey, (&step, uids)).await?,
                StepKind::ReadOut(uid) => {
                    self.bring(journey, &step, *uid).await?.map(|brought| match brought {
                        Brought::Vanished => Fact::Done,
                        Brought::Stored(stored) => Fact::Arrived { from: *uid, stored },
                    })
                }
                StepKind::RemoveCopied(uids) => self.remove(journey, &step, uids).await?,
                // No other belongs to this plan.
                StepKind::Carry
                | StepKind::Ask(_)
                | StepKind::Open { .. }
                | StepKind::Fetch { .. }
                | StepKind::Flags
                | StepKind::Store { .. }
                | StepKind::Mark { .. }
                | StepKind::FindDeleted
                | StepKind::FindMarked
                | StepKind::FindFlagged(_)
                | StepKind::Discard(_)
                | StepKind::Remove(_)
                | StepKind::RemoveAll(_)
                | StepKind::Append { .. }
                | StepKind::Copy
                | StepKind::CopyThese(_)
                | StepKind::TakeBack { .. }
                | StepKind::Move { .. }
                | StepKind::Strip { .. }
                | StepKind::Unselect
                | StepKind::DeleteFolder
                | StepKind::Address
                | StepKind::Submit { .. }
                | StepKind::File
                | StepKind::Parent(_) => Err(Stopped::Unable),
            };
            match fact {
                Ok(fact) => last = fact,
                Err(stopped) => return Ok(Err(stopped)),
            }
        }
    }

    /// Which messages the command means; then all is made ready for them.
    async fn which(
        &mut self,
        journey: &mut Journey<'_>,
        step: &Step,
    ) -> Result<Result<Fact, Stopped>, Ended> {
        let mut found = Found::default();
        let answer = self.step(journey.tag, journey.command, step, &mut found).await?;
        if !answer.is_ok() {
            return Ok(Err(Stopped::Unread));
        }
        let numbers = self.asked(journey.command, found.numbers);
        let uids: UidSet = numbers.iter().map(|(_, uid)| *uid).collect();
        journey.pace.total = uids.len();
        if !uids.is_empty() {
            if let Err(stopped) = self.lease_there(journey).await? {
                return Ok(Err(stopped));
            }
            self.record_departure(journey, uids).await?;
        }
        Ok(Ok(Fact::Numbers(numbers)))
    }

    /// A connection to the other mailbox. Who holds one waits for another no longer than
    /// anybody, so two full mailboxes do not wait for each other.
    async fn lease_there(&mut self, journey: &mut Journey<'_>) -> Result<Result<(), Stopped>, Ended> {
        let target = match self.services.target(journey.there.mailbox, self.password.as_ref()) {
            Ok(target) => target,
            Err(error) => {
                tracing::error!(%error, "the mailbox's credential cannot be used");
                return Ok(Err(Stopped::NoCredential));
            }
        };
        let party = Party(self.watch.effective().user.0);
        let lease = self.services.pools.lease(&target, EnabledSet::Plain, party, Instant::now() + CONNECT);
        let lease = journey
            .pace
            .wait((&mut self.watch, &mut self.client), Waiting::Upstream, Box::pin(lease))
            .await?;
        Ok(match lease {
            Ok(lease) => {
                journey.there.lease = Some(lease);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "no upstream connection");
                Err(Stopped::NoConnection(error))
            }
        })
    }

    /// Flags and dates of the next messages, as the user sees them.
    async fn describe(
        &mut self,
        journey: &mut Journey<'_>,
        (step, uids): (&Step, &UidSet),
    ) -> Result<Result<Fact, Stopped>, Ended> {
        let Some((outgoing, ours)) = self.write(step, journey.command) else {
            return Ok(Err(Stopped::Unable));
        };
        self.ask_here(journey, (&outgoing, &ours)).await?;
        let mut source = self.source((journey.tag, journey.command), &ours, &mut journey.pace)?;
        let (answer, mut described) = source.describe(uids).await?;
        if !answer.is_ok() {
            return Ok(Err(Stopped::Unread));
        }
        if let Some(overlay) = self.selected.as_deref().and_then(|selected| selected.overlay.as_deref()) {
            described.iter_mut().for_each(|(uid, this)| this.flags = overlay.outside(*uid, &this.flags));
        }
        let uids = described.keys().copied().collect();
        journey.described = described;
        Ok(Ok(Fact::Described(uids)))
    }

    /// The last part of a MOVE: nothing of it happens before everything has arrived.
    async fn remove(
        &mut self,
        journey: &mut Journey<'_>,
        step: &Step,
        uids: &UidSet,
    ) -> Result<Result<Fact, Stopped>, Ended> {
        if journey.removed == 0
            && self.tells_uids(&journey.there)
            && let Some(code) = journey.copy_uid()
        {
            // Before the EXPUNGEs that follow (RFC 6851 §4.3).
            reply::untagged(self.client.wire.out(), Outcome::Ok, &code, "Messages have been copied");
        }
        let mut found = Found::default();
        let answer = self.recorded_step(journey.tag, journey.command, (step, &[]), &mut found).await?;
        if !answer.is_ok() {
            return Ok(Err(Stopped::NotRemoved));
        }
        journey.removed += uids.len();
        Ok(Ok(Fact::Done))
    }

    /// Sends a FETCH of ours on the connection on which the folder is open.
    pub(super) async fn ask_here(
        &mut self,
        journey: &Journey<'_>,
        (outgoing, ours): (&Outgoing, &Tag),
    ) -> Result<(), Ended> {
        let mut found = Found::default();
        let mut exchange = self.exchanging(journey.tag, self.manner_of_ours())?;
        exchange.begin(ours, &mut found).await?;
        for part in &outgoing.parts {
            exchange.send(part).await?;
        }
        Ok(())
    }

    /// That connection, while the FETCH is answered.
    pub(super) fn source<'s>(
        &'s mut self,
        (tag, command): (&'s Tag, &Command),
        ours: &'s Tag,
        pace: &'s mut Pace,
    ) -> Result<Source<'s>, Ended> {
        let manner = Manner { by_uid: numbers_by_uid(command), ..self.manner_of_ours() };
        let patience = std::time::Duration::from_secs(self.services.settings.upstream_seconds.into());
        let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        Ok(Source {
            client: &mut self.client,
            watch: &mut self.watch,
            up: lease,
            selected: self.selected.as_deref_mut(),
            counters: &self.services.counters,
            pace,
            ear: Ear::new(manner, ours, tag),
            patience,
        })
    }

    /// Whether the client may learn where messages went: the user may read there.
    pub(super) fn tells_uids(&self, there: &Target) -> bool {
        let place = self.services.store.snapshot().place_of(there.mailbox, &there.folder);
        self.watch.there().is_some_and(|effective| effective.reads(&place))
    }
}
