//! An APPEND into a folder for sent mail: the copy of a message that was handed in through us
//! is not stored twice.
//!
//! The header is read before anything goes upstream (256 KiB at most, in memory); the body
//! streams. What is not recognised takes the ordinary way, with that header in front.

use super::ended::Ended;
use super::exchange::Found;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::{Append, Command, Tag};
use crate::imap::frame::Announced;
use crate::imap::reply;
use crate::imap::response::Condition;
use crate::policy::{FolderClass, SendRight};
use crate::proxy::outbox::{BodyPrint, Claim, Copy, Note, Recognised};
use crate::smtp::header::{Collected, Collector, message_id};
use crate::store::Place;
use crate::telemetry::{Act, Outcome};
use crate::types::{FolderName, UidSet};

/// A message that a client stores: announced, or with its beginning here.
pub(super) struct Coming {
    pub(super) announced: Announced,
    /// Its first octets, once the client was told to send.
    pub(super) held: Option<Vec<u8>>,
    /// Forgotten again unless the message is stored.
    note: Option<Note>,
    /// Of the body, where the message is noted.
    print: Option<BodyPrint>,
}

impl Coming {
    pub(super) fn new(announced: Announced) -> Self {
        Self { announced, held: None, note: None, print: None }
    }

    /// Octets that the client is still to send.
    pub(super) fn left(&self) -> u64 {
        let held = self.held.as_ref().map_or(0, Vec::len) as u64;
        self.announced.size.saturating_sub(held)
    }

    /// Octets of the body have gone by.
    pub(super) fn passed(&mut self, octets: &[u8]) {
        if let Some(print) = &mut self.print {
            print.push(octets);
        }
    }

    /// Upstream has stored it.
    pub(super) fn stored(&mut self, command: &Command, found: &Found) {
        let Some(note) = self.note.take() else { return };
        let folder = super::record::target(command).cloned();
        let place = folder.zip(found.stored.as_ref()).and_then(|(folder, (validity, uids))| {
            let uid = uids.ranges().next().map(|(uid, _)| uid)?;
            Some(Place { folder, validity: *validity, uid })
        });
        note.stored(place, self.print.take().unwrap_or_default().finish());
    }
}

impl Session {
    /// Looks at the message's header, if it may be the copy of one that was handed in. `None`:
    /// it is, and everything is answered.
    pub(super) async fn look_at_copy(
        &mut self,
        tag: &Tag,
        command: &Command,
        announced: Announced,
    ) -> Result<Option<Coming>, Ended> {
        let mut coming = Coming::new(announced);
        let Command::Append(Append { folder: Ok(folder), .. }) = command else { return Ok(Some(coming)) };
        let sends = self.watch.effective().send() != SendRight::None;
        if !sends || self.watch.place_of(folder).class != FolderClass::Sent {
            return Ok(Some(coming));
        }
        if announced.synchronising {
            reply::continuation(self.client.wire.out(), "OK");
        }
        self.client.take_literal();
        self.watch.append(Some(folder.clone()));
        let section = self.header(announced.size).await?;
        let (whole, held) = section;
        let body = announced.size.saturating_sub(held.len() as u64);
        let id = if whole { message_id(&held) } else { None };
        coming.held = Some(held);
        let Some(id) = id else { return Ok(Some(coming)) };
        let effective = self.watch.effective();
        let copy = Copy { mailbox: effective.mailbox, user: effective.user, id, body };
        let outbox = std::sync::Arc::clone(&self.services.outbox);
        let looked_up = Box::pin(outbox.recognise(copy));
        match self.watch.unless_lost(Waiting::Upstream, looked_up).await? {
            Recognised::Ours(claim) => {
                self.merged(tag, command, folder, (&coming, claim)).await?;
                Ok(None)
            }
            Recognised::Other(note) => {
                (coming.note, coming.print) = (Some(note), Some(BodyPrint::default()));
                Ok(Some(coming))
            }
        }
    }

    /// Reads the header section; whether its end is in it.
    async fn header(&mut self, size: u64) -> Result<(bool, Vec<u8>), Ended> {
        let mut collector = Collector::default();
        let mut left = size;
        while left > 0 {
            if self.client.wire.buffered().is_empty() {
                let fill = self.client.fill();
                self.watch.unless_lost(Waiting::Rest, fill).await??;
            }
            let octets = self.client.wire.buffered();
            let here = usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()));
            let before = collector.section().len();
            let collected = collector.push(&octets[..here]);
            // What it took, and no octet more, is taken from the wire.
            let taken = collector.section().len() - before;
            self.client.wire.consume(taken);
            left -= taken as u64;
            match collected {
                Collected::More => {}
                Collected::Whole(_) => return Ok((true, collector.section().to_vec())),
                Collected::TooLong => return Ok((false, collector.section().to_vec())),
            }
        }
        Ok((true, collector.section().to_vec()))
    }

    /// It is in the folder already, or will be: the client's octets are dropped.
    async fn merged(
        &mut self,
        tag: &Tag,
        command: &Command,
        folder: &FolderName,
        (coming, claim): (&Coming, Claim),
    ) -> Result<(), Ended> {
        let mut print = BodyPrint::default();
        let skip = self.client.skip_seeing(coming.left(), |octets| print.push(octets));
        self.watch.unless_lost(Waiting::Rest, skip).await??;
        let end = self.client.end_of_literal();
        self.watch.unless_lost(Waiting::Rest, end).await??;
        self.watch.append(None);
        let Ok(place) = claim.complete(&print.finish()) else {
            let text = "This differs from the message that was sent; please store it again";
            reply::tagged(self.client.wire.out(), tag, reply::Outcome::No, "UNAVAILABLE", text);
            return Ok(());
        };
        let place = place.filter(|place| place.folder == *folder);
        let found = Found {
            stored: place.as_ref().map(|place| (place.validity, UidSet::range(place.uid, place.uid))),
            ..Found::default()
        };
        let act = Act {
            verb: "APPEND (filed already)",
            right: "i".to_owned(),
            target: Some(folder.clone()),
            ..Act::default()
        };
        let effective = self.watch.effective().clone();
        self.recorder.change(&effective, act, Outcome::Done, &found).await?;
        let code = place.map(|place| format!("APPENDUID {} {}", place.validity.0, place.uid));
        self.finish(tag, command, &super::run::Done { condition: Condition::Ok, code });
        Ok(())
    }
}
