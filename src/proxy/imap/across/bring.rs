//! One message, from the connection here to the one there, a buffer at a time.

use super::Target;
use super::journey::Journey;
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
use crate::upstream::{Answered, Unfinished};

/// What became of a message.
pub(super) enum Brought {
    /// It is not in the folder any more.
    Vanished,
    /// The other host has confirmed it, and said what it is called there.
    Stored(Option<(UidValidity, u32)>),
}

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
    ) -> Result<Result<Brought, Stopped>, Ended> {
        let Some(this) = journey.described.remove(&uid) else { return Ok(Ok(Brought::Vanished)) };
        let head = match self.may_store(&journey.there, &this.flags)? {
            Ok(step) => Head { step, date: this.date },
            Err(stopped) => return Ok(Err(stopped)),
        };
        let Some((outgoing, ours)) = self.write(step, journey.command) else {
            return Ok(Err(Stopped::Unable));
        };
        self.ask_here(journey, (&outgoing, &ours)).await?;
        let mut source = self.source((journey.tag, journey.command), &ours, &mut journey.pace)?;
        let brought = source.carry(uid, &mut journey.there, &head).await?;
        if let Ok(Brought::Stored(stored)) = &brought {
            journey.pace.arrived += 1;
            if let Some((_, copy)) = stored.filter(|_| this.flags.has(SystemFlag::Seen)) {
                journey.read.insert(copy);
            }
        }
        Ok(brought)
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
    /// Reads the answer to a FETCH of the message, and stores it as it comes.
    async fn carry(
        &mut self,
        uid: u32,
        there: &mut Target,
        head: &Head,
    ) -> Result<Result<Brought, Stopped>, Ended> {
        let mut brought = None;
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
                    let vanished = if answer.is_ok() { Ok(Brought::Vanished) } else { Err(Stopped::Unread) };
                    return Ok(brought.unwrap_or(vanished));
                }
                Word::Begin(size) => Ok(size),
                Word::Short(octets) => Err(octets),
            };
            if brought.is_some() || of.is_some_and(|told| told != uid) {
                tracing::warn!("upstream sent another message than it was asked for");
                return Err(Ended::UpstreamUnparseable);
            }
            here = true;
            brought = Some(match size {
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
        let sent = pace.wait(ends, Waiting::Idle, lease.append(&outgoing, &tag, &mut body, size)).await;
        let (left, flaw) = (body.left, body.flaw);
        let sent = sent.inspect_err(|_| there.lease = None)?;
        if sent.is_err() {
            // Cut off in the middle: the host must not take it for whole.
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
        Ok(outcome(sent))
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
        let sending = lease.append(&outgoing, &tag, &mut message, octets.len() as u64);
        let sent = self.pace.wait((self.watch, self.client), Waiting::Idle, sending).await;
        let sent = sent.inspect_err(|_| there.lease = None)?;
        if sent.is_err() {
            there.lease = None;
        }
        Ok(outcome(sent))
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

fn outcome(sent: Result<Answered, Unfinished>) -> Result<Brought, Stopped> {
    match sent {
        Ok(answered) if answered.is_ok() => Ok(Brought::Stored(stored(answered.status()))),
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
