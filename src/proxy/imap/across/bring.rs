//! One message, from the connection here to the one there, a buffer at a time.

use super::Target;
use super::journey::{Awaited, Journey};
use super::source::{Flaw, Source, Word};
use super::stopped::Stopped;
use crate::imap::command::{Append, Command};
use crate::imap::response::{Code, Status};
use crate::imap::writer::{self, Context, Outgoing};
use crate::policy::{Action, Fact, Facts, Next, Step};
use crate::policy::{Decision, Doubt, decide};
use crate::proxy::clock;
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::session::Session;
use crate::proxy::imap::watch::Waiting;
use crate::types::{Flags, SystemFlag, UidSet, UidValidity};
use crate::upstream::{Answered, STORED, Unfinished};

/// The other host has confirmed the copy, and perhaps said what it is called there.
type Brought = Option<(UidValidity, u32)>;

/// How a message is to be stored.
struct Head {
    /// The leave to store it, of the other mailbox's policy.
    step: Step,
    date: Option<String>,
}

impl Session {
    /// FETCH here, APPEND there. The size that is announced is that of the octets which come,
    /// whatever the host says of it elsewhere.
    pub(super) async fn bring(
        &mut self,
        journey: &mut Journey<'_>,
        step: &Step,
        uid: u32,
    ) -> Result<Result<(), Stopped>, Ended> {
        let Some(this) = journey.described.remove(&uid) else { return Ok(Ok(())) };
        let head = match self.may_store(&journey.there, &this.flags)? {
            Ok(step) => Head { step, date: this.date },
            Err(stopped) => return Ok(Err(stopped)),
        };
        let Some((outgoing, ours)) = self.write(step, journey.command) else {
            return Ok(Err(Stopped::Unable));
        };
        self.ask_here(journey, (&outgoing, &ours)).await?;
        let mut source = self.source((journey.tag, journey.command), &ours, &mut journey.pace)?;
        let mut brought = None;
        let carried = source.carry(uid, &mut journey.there, &head, &mut brought).await;
        let seen = this.flags.has(SystemFlag::Seen);
        // What has become of the copy holds, whatever became of the rest.
        match &brought {
            Some(Ok(stored)) => journey.arrived(uid, seen, *stored),
            Some(Err(stopped)) => journey.doubtful |= stopped.is_doubtful(),
            None => {}
        }
        journey.awaited = journey.there.awaited.take().map(|tag| Awaited { tag, uid, seen });
        let vanished = carried?;
        Ok(brought.map_or(vanished, |brought| brought.map(|_| ())))
    }

    /// The other mailbox's leave to store a message with these flags, as for an APPEND.
    fn may_store(&mut self, there: &Target, flags: &Flags) -> Result<Result<Step, Stopped>, Ended> {
        for _ in 0..2 {
            let place = self.services.store.snapshot().place_of(there.mailbox, &there.folder);
            let Some(effective) = self.watch.there() else { return Err(Ended::Revoked) };
            let storing = Action::Append { place, flags: flags.clone() };
            let mut permit = match decide(effective, &storing, clock::now()) {
                Decision::Permit(permit) => permit,
                Decision::Deny(denial) => return Ok(Err(Stopped::Denied(denial))),
                Decision::Undecided(Doubt::Stale | Doubt::Parent) => {
                    self.watch.refresh()?;
                    continue;
                }
            };
            let own = UidSet::new();
            return Ok(match permit.next(&Facts { last: Fact::Start, effective, own: &own, by_uid: true }) {
                Next::Run(step) => Ok(step),
                Next::Refuse(denial) => Err(Stopped::Denied(denial)),
                Next::Done => Err(Stopped::Unable),
            });
        }
        Err(Ended::Revoked)
    }
}

impl Source<'_> {
    /// Reads the answer to a FETCH of the message, and stores it as it comes. `brought` stays
    /// `None` where there is no such message any more.
    async fn carry(
        &mut self,
        uid: u32,
        there: &mut Target,
        head: &Head,
        brought: &mut Option<Result<Brought, Stopped>>,
    ) -> Result<Result<(), Stopped>, Ended> {
        let (mut of, mut here) = (None, false);
        loop {
            let size = match self.word().await? {
                Word::Message => {
                    (of, here) = (None, false);
                    continue;
                }
                Word::Uid(told) if here && told != uid => return Err(Ended::UpstreamUnparseable),
                Word::Uid(told) => {
                    of = Some(told);
                    continue;
                }
                Word::Flags(_) | Word::Date(_) | Word::MessageEnd => continue,
                Word::Answer(answer) => {
                    return Ok(if answer.is_ok() { Ok(()) } else { Err(Stopped::Unread) });
                }
                Word::Begin(size) => Ok(size),
                Word::Short(octets) => Err(octets),
            };
            if brought.is_some() || of.is_some_and(|told| told != uid) {
                tracing::warn!("upstream sent another message than it was asked for");
                return Err(Ended::UpstreamUnparseable);
            }
            here = true;
            *brought = Some(match size {
                Ok(size) => self.store(there, head, size).await?,
                Err(octets) => self.store_short(there, head, &octets).await?,
            });
        }
    }

    /// Stores a message while its octets come.
    async fn store(
        &mut self,
        there: &mut Target,
        head: &Head,
        size: u64,
    ) -> Result<Result<Brought, Stopped>, Ended> {
        let (outgoing, tag) = match there.announce(head, size) {
            Ok(announced) => announced,
            Err(stopped) => {
                self.skip(size).await?;
                return Ok(Err(stopped));
            }
        };
        let Some(lease) = there.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        let (mut body, pace, ends) = self.body(size);
        // Each side has its own patience for a host that does not go on.
        let sending = lease.append_octets(&outgoing, &tag, &mut body, size);
        let sent = pace.wait(ends, Waiting::Idle, sending).await;
        let (left, flaw) = (body.left, body.flaw);
        // Cut off in the middle: the host must not take it for whole.
        let sent = sent.inspect_err(|_| there.lease = None)?;
        if sent.is_err() {
            there.lease = None;
        }
        match flaw {
            Some(Flaw::Gone) => return Err(Ended::UpstreamGone),
            Some(Flaw::Slow) => return Err(Ended::UpstreamSlow),
            Some(Flaw::Nul) | None => self.skip(left).await?,
        }
        if flaw == Some(Flaw::Nul) {
            return Ok(Err(Stopped::Nul));
        }
        self.end(there, tag, sent).await
    }

    /// The message is up: the CRLF that makes the host store it, and its answer.
    async fn end(
        &mut self,
        there: &mut Target,
        tag: String,
        sent: Result<Option<Answered>, Unfinished>,
    ) -> Result<Result<Brought, Stopped>, Ended> {
        let answered = match sent {
            Ok(None) => {
                self.watch.refresh().inspect_err(|_| there.lease = None)?;
                let Some(lease) = there.lease.as_mut() else { return Err(Ended::UpstreamGone) };
                lease.append_end();
                there.awaited = Some(tag.clone());
                let answer = lease.append_answer(&tag, STORED);
                let answer = self.pace.wait((self.watch, self.client), Waiting::Idle, answer).await?;
                there.awaited = None;
                answer
            }
            Ok(Some(refused)) => Ok(refused),
            Err(unfinished) => Err(unfinished),
        };
        if answered.is_err() {
            there.lease = None;
        }
        Ok(outcome(answered))
    }

    /// The same for octets that are here.
    async fn store_short(
        &mut self,
        there: &mut Target,
        head: &Head,
        octets: &[u8],
    ) -> Result<Result<Brought, Stopped>, Ended> {
        if memchr::memchr(0, octets).is_some() {
            return Ok(Err(Stopped::Nul));
        }
        let (outgoing, tag) = match there.announce(head, octets.len() as u64) {
            Ok(announced) => announced,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let Some(lease) = there.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        let mut message = octets;
        let sending = lease.append_octets(&outgoing, &tag, &mut message, octets.len() as u64);
        let sent = self.pace.wait((self.watch, self.client), Waiting::Idle, sending).await;
        let sent = sent.inspect_err(|_| there.lease = None)?;
        self.end(there, tag, sent).await
    }
}

impl Target {
    /// The APPEND's head, and its tag. The last of the places that keep rights and connection
    /// together: a step goes to a connection of the mailbox that has permitted it.
    fn announce(&mut self, head: &Head, size: u64) -> Result<(Outgoing, String), Stopped> {
        if size > self.limit {
            return Err(Stopped::TooLarge(self.limit));
        }
        let mailbox = self.mailbox;
        let lease = self.lease.as_mut().filter(|lease| lease.mailbox() == mailbox);
        let Some(lease) = lease else { return Err(Stopped::Lost { doubtful: false }) };
        let append = Command::Append(Append {
            folder: Ok(self.folder.clone()),
            flags: Flags::default(),
            date: head.date.clone(),
            size,
            synchronising: true,
        });
        let tag = lease.tag();
        let context = Context { folder: Some(&self.wire), ..Context::default() };
        let outgoing = writer::step(&head.step, &append, &context, &tag).ok_or(Stopped::Unable)?;
        Ok((outgoing, tag))
    }
}

pub(super) fn outcome(sent: Result<Answered, Unfinished>) -> Result<Brought, Stopped> {
    match sent {
        Ok(answered) if answered.is_ok() => Ok(stored(answered.status())),
        Ok(answered) => Err(Stopped::of(answered.status())),
        Err(Unfinished { error, doubtful }) => {
            tracing::warn!(%error, doubtful, "a message did not get into the other mailbox");
            Err(Stopped::Lost { doubtful })
        }
    }
}

/// APPENDUID.
fn stored(status: Option<Status<'_>>) -> Option<(UidValidity, u32)> {
    match status?.code? {
        Code::AppendUid { validity, uids } if uids.len() == 1 => Some((validity, uids.first()?)),
        _ => None,
    }
}
