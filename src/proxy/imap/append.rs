//! APPEND: the head is decided before the message is asked for; the message streams.

use super::ended::Ended;
use super::exchange::{Answer, Found, Manner, Stop, read_out};
use super::sent::Coming;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::action::{Ask, ask};
use crate::imap::capability::Capabilities;
use crate::imap::command::{Command, Tag, Tagged};
use crate::imap::frame::Announced;
use crate::imap::reply::{self, Outcome};
use crate::imap::response::Condition;
use crate::policy::{Fact, Facts, Next, Permit, Rights, Site, Step};
use crate::telemetry::Outcome as Came;
use crate::types::UidSet;
use crate::upstream::EnabledSet;

impl Session {
    /// An APPEND whose message the client has announced.
    pub(super) async fn append(&mut self, tagged: Tagged, announced: Announced) -> Result<(), Ended> {
        let Tagged { tag, mut command } = tagged;
        self.take_in_changes()?;
        if !Box::pin(self.attend_to(&tag, &mut command)).await? {
            let answer = std::mem::take(self.client.wire.out());
            self.drop_message(announced).await?;
            self.client.wire.queue(&answer);
            return Ok(());
        }
        self.look_at_folders(&command).await?;
        self.take_in_changes()?;
        let permit = match ask(&command, &self.view()) {
            Ask::Act(action) => match self.decide(&action)? {
                Ok(permit) => permit,
                Err(denial) => {
                    self.drop_message(announced).await?;
                    return self.deny(&tag, &command, &denial).await;
                }
            },
            Ask::NoTarget { site } => {
                let code = self.try_create(&site);
                self.drop_message(announced).await?;
                return self.not_found(&tag, &command, code).await;
            }
            Ask::NotFound | Ask::Answer | Ask::WrongState | Ask::Unsupported => {
                self.drop_message(announced).await?;
                return self.not_found(&tag, &command, None).await;
            }
        };
        if announced.size > self.append_limit() {
            self.drop_message(announced).await?;
            let text = format!("A message may have at most {} octets", self.append_limit());
            reply::tagged(self.client.wire.out(), &tag, Outcome::No, "TOOBIG", &text);
            return Ok(());
        }
        if let Some(coming) = self.look_at_copy(&tag, &command, announced).await? {
            self.store_message(&tag, &command, permit, coming).await?;
        }
        self.watch.append(None);
        if !self.holds_folder() {
            self.release().await?;
        }
        Ok(())
    }

    async fn store_message(
        &mut self,
        tag: &Tag,
        command: &Command,
        mut permit: Permit,
        mut coming: Coming,
    ) -> Result<(), Ended> {
        // A refusal must come before the message, also where the connection is missing.
        if !self.lease(tag, EnabledSet::Plain).await? {
            let answer = std::mem::take(self.client.wire.out());
            self.drop_coming(&coming).await?;
            self.client.wire.queue(&answer);
            return Ok(());
        }
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: self.watch.effective(), own: &own, by_uid: false };
        let step = match permit.next(&facts) {
            Next::Run(step) => step,
            Next::Refuse(denial) => {
                self.drop_coming(&coming).await?;
                return self.deny(tag, command, &denial).await;
            }
            Next::Done => return self.drop_coming(&coming).await,
        };
        self.watch.append(super::record::target(command).cloned());
        self.watch.look_again()?;
        let mut found = Found::default();
        let sent = self.send_message(tag, command, &step, &mut coming, &mut found).await;
        let effective = self.watch.effective().clone();
        let outcome = super::record::outcome(&sent, &found);
        if let Some(act) = super::record::act(&step, command, None, &[]) {
            self.recorder.change(&effective, act, outcome, &found).await?;
        }
        if outcome == Came::Done {
            coming.stored(command, &found);
            self.keep_drafts(&step, command, &found).await;
            Box::pin(self.keep_marks(&step, command, &found, true)).await;
        }
        let answer = sent?;
        self.finish(tag, command, &super::run::Done { condition: answer.condition, code: answer.code });
        Ok(())
    }

    /// Head up, `+` from upstream, `+` to the client, octets through, CRLF, answer.
    async fn send_message(
        &mut self,
        tag: &Tag,
        command: &Command,
        step: &Step,
        coming: &mut Coming,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let refused = |code: &str| Answer { condition: Condition::No, code: Some(code.to_owned()) };
        let Some((outgoing, ours)) = self.write(step, command) else {
            self.drop_coming(coming).await?;
            return Ok(refused("CANNOT"));
        };
        let manner = self.manner(step, command);
        let mut exchange = self.exchanging(tag, manner)?;
        exchange.begin(&ours, found).await?;
        for part in &outgoing.parts {
            exchange.send(part).await?;
            if let Stop::Tagged(answer) = exchange.read(&ours, found).await? {
                let answer = answer.before_the_end()?;
                self.drop_coming(coming).await?;
                return Ok(answer);
            }
        }
        if coming.held.is_none() {
            if coming.announced.synchronising {
                reply::continuation(self.client.wire.out(), "OK");
            }
            self.client.take_literal();
        }
        if let Err(nul) = self.stream(coming).await? {
            return self.cut(nul).await;
        }
        let end = self.client.end_of_literal();
        let ended = self.watch.unless_lost(Waiting::Rest, end).await;
        if let Err(ended) = ended.and_then(|ended| ended) {
            self.lease = None;
            return Err(ended);
        }
        match self.complete(tag, manner, &ours, found).await {
            Err(ended) if !ended.is_fault_of_upstream() => {
                self.watch.append(None);
                self.farewell(ended).await;
                if let Some(lease) = self.lease.as_mut().filter(|_| found.sent) {
                    read_out(lease, &ours, found).await;
                }
                Err(ended)
            }
            answered => answered,
        }
    }

    /// The message is whole: the CRLF that makes upstream store it, and its answer.
    async fn complete(
        &mut self,
        tag: &Tag,
        manner: Manner,
        ours: &Tag,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let mut exchange = self.exchanging(tag, manner)?;
        exchange.watch.refresh()?;
        found.sent = true;
        exchange.send(b"\r\n").await?;
        match exchange.read(ours, found).await? {
            Stop::Tagged(answer) => Ok(answer),
            Stop::Continue | Stop::Dry => Err(Ended::UpstreamUnparseable),
        }
    }

    /// Moves the message's octets, as they come and go: nothing is kept. `Err` counts what of
    /// the message is still to come after a NUL, which no message may have (RFC 3501 §9, CHAR8).
    async fn stream(&mut self, coming: &mut Coming) -> Result<Result<(), u64>, Ended> {
        let mut left = coming.left();
        if let Some(held) = coming.held.take() {
            if memchr::memchr(0, &held).is_some() {
                return Ok(Err(left));
            }
            self.send_held(&held).await?;
        }
        while left > 0 {
            if self.client.wire.buffered().is_empty() {
                let fill = self.client.fill();
                self.watch.unless_lost(Waiting::Rest, fill).await.and_then(|filled| filled).inspect_err(
                    |_| {
                        // Cut off in the middle of a literal: upstream must not take it for whole.
                        self.lease = None;
                    },
                )?;
            }
            let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
            let octets = self.client.wire.buffered();
            let take = usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()));
            if memchr::memchr(0, &octets[..take]).is_some() {
                return Ok(Err(left));
            }
            let up = &mut lease.wire;
            let wrote = self.watch.unless_lost(Waiting::Upstream, up.write_some(&octets[..take])).await;
            match wrote {
                Ok(Ok(taken)) => {
                    coming.passed(&octets[..taken]);
                    self.client.wire.consume(taken);
                    left -= taken as u64;
                }
                Ok(Err(_)) => return Err(Ended::UpstreamGone),
                Err(ended) => {
                    self.lease = None;
                    return Err(ended);
                }
            }
        }
        Ok(Ok(()))
    }

    /// The beginning of a message that was looked at.
    async fn send_held(&mut self, held: &[u8]) -> Result<(), Ended> {
        let mut rest = held;
        while !rest.is_empty() {
            let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
            let wrote = self.watch.unless_lost(Waiting::Upstream, lease.wire.write_some(rest)).await;
            // Cut off in the middle of a literal: upstream must not take it for whole.
            match wrote.inspect_err(|_| self.lease = None)? {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => return Err(Ended::UpstreamGone),
            }
        }
        Ok(())
    }

    /// Forgets a message that may have begun.
    async fn drop_coming(&mut self, coming: &Coming) -> Result<(), Ended> {
        if coming.held.is_none() {
            return self.drop_message(coming.announced).await;
        }
        let skip = self.client.skip(coming.left());
        self.watch.unless_lost(Waiting::Rest, skip).await??;
        let end = self.client.end_of_literal();
        self.watch.unless_lost(Waiting::Rest, end).await?
    }

    /// A message that may not be stored was half-way up: upstream's connection is cut, so that
    /// it forgets it, and the client hears why.
    async fn cut(&mut self, left: u64) -> Result<Answer, Ended> {
        let holds_folder = self.holds_folder();
        self.lease = None;
        let skip = self.client.skip(left);
        self.watch.unless_lost(Waiting::Rest, skip).await??;
        let end = self.client.end_of_literal();
        self.watch.unless_lost(Waiting::Rest, end).await??;
        if holds_folder {
            // The open folder went with the connection.
            return Err(Ended::UpstreamGone);
        }
        Ok(Answer { condition: Condition::No, code: Some("CANNOT".to_owned()) })
    }

    async fn drop_message(&mut self, announced: Announced) -> Result<(), Ended> {
        let dropped = self.client.drop_literal(announced);
        self.watch.unless_lost(Waiting::Rest, dropped).await?
    }

    pub(super) fn try_create(&self, site: &Site) -> Option<&'static str> {
        self.watch.effective().rights_at(site).has(Rights::CREATE).then_some("TRYCREATE")
    }

    /// Ours, or upstream's if that is smaller (RFC 7889).
    pub(super) fn append_limit(&self) -> u64 {
        self.append_limit_of(&self.folders.capabilities)
    }

    /// The same for a host that can do this.
    pub(super) fn append_limit_of(&self, can: &Capabilities) -> u64 {
        let ours = self.services.settings.append_limit;
        can.append_limit().unwrap_or(ours).min(ours)
    }
}
