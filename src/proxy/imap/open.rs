//! SELECT and EXAMINE; what a folder says of itself to somebody with these rights.

use super::ended::Ended;
use super::exchange::{Found, Manner, Show};
use super::session::{Selected, Session};
use crate::imap::command::{Command, Tag};
use crate::imap::realm::Realm;
use crate::imap::reply::{self, Outcome};
use crate::imap::{filter, response::Condition};
use crate::policy::{Fact, Facts, Next, Permit};
use crate::types::{UidSet, UidValidity};
use crate::upstream::EnabledSet;

impl Selected {
    /// Where SELECT told no PERMANENTFLAGS, all its FLAGS are (RFC 3501 §7.1).
    pub(super) fn know_permanent(&mut self, found: &Found) {
        if self.permanent.is_empty() && !found.permanent {
            let flags = self.flags.trim_matches(['(', ')']).split(' ').filter(|flag| !flag.is_empty());
            let flags = flags.map(|flag| flag.as_bytes().to_vec()).collect();
            self.set_permanent(flags);
        }
    }
}

impl Session {
    /// Opens a folder under its permit; whatever was open is left, without expunging.
    pub(super) async fn open(
        &mut self,
        tag: &Tag,
        command: &Command,
        mut permit: Permit,
    ) -> Result<(), Ended> {
        let (Command::Select(open) | Command::Examine(open)) = command else { return Ok(()) };
        let Ok(name) = &open.folder else { return self.not_found(tag, command, None).await };
        let Some(wire) = self.folders.inventory.find(name).map(|entry| entry.wire.clone()) else {
            return self.not_found(tag, command, None).await;
        };
        self.condstore |= open.condstore && self.folders.capabilities.has_condstore();
        if self.selected.take().is_some() && self.condstore {
            // RFC 7162 §3.2.11: what follows is about the next folder.
            let out = self.client.wire.out();
            reply::untagged(out, Outcome::Ok, "CLOSED", "The folder before is closed");
        }
        self.watch.select(None);
        if self.qresync && !self.folders.capabilities.has("QRESYNC") {
            self.leave().await?;
            let text =
                "The host of this mailbox has no QRESYNC, which your client has enabled; please log in again";
            reply::tagged(self.client.wire.out(), tag, Outcome::No, "CANNOT", text);
            return Ok(());
        }
        if !self.lease_for_opening(tag).await? {
            return Ok(());
        }
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: self.watch.effective(), own: &own, by_uid: true };
        let step = match permit.next(&facts) {
            Next::Run(step) => step,
            Next::Refuse(denial) => return self.deny(tag, command, &denial).await,
            Next::Done => return self.leave().await,
        };
        let Some((outgoing, ours)) = self.write(&step, command) else {
            return self.not_found(tag, command, None).await;
        };
        if let Some(lease) = self.lease.as_mut() {
            lease.set_selected(true);
        }
        let read_only = matches!(command, Command::Examine(_));
        self.selected = Some(Box::new(Selected::new(name.clone(), wire, read_only)));
        self.watch.select(Some(name.clone()));
        let mut found = Found::default();
        let answer = self.exchange(tag, self.manner_of_opening(), (&outgoing, &ours), &mut found).await?;
        match found.validity {
            Some(validity) if answer.condition == Condition::Ok => {
                let told = self.selected.as_mut().map(|selected| {
                    selected.validity = validity;
                    selected.messages
                });
                Box::pin(self.begin_overlay(tag)).await?;
                self.opened(tag, command, (validity, told), &found);
            }
            Some(_) | None => {
                self.leave().await?;
                self.catalogue.refresh_soon();
                let text = "The mail host cannot open this folder now";
                reply::tagged(self.client.wire.out(), tag, Outcome::No, "UNAVAILABLE", text);
            }
        }
        Ok(())
    }

    /// `told`: how many messages the answer to SELECT says there are.
    fn opened(
        &mut self,
        tag: &Tag,
        command: &Command,
        (validity, told): (UidValidity, Option<u32>),
        found: &Found,
    ) {
        let Some(selected) = self.selected.as_mut() else { return };
        self.catalogue.learned(&selected.name, validity);
        selected.know_permanent(found);
        let place = selected.place(&self.watch);
        let effective = self.watch.effective().clone();
        let now = selected.messages;
        self.client.wire.queue(&found.held);
        if matches!(self.realm, Realm::Combined(_)) && !self.folders.capabilities.has_condstore() {
            // RFC 7162 §3.1.2.2: other mailboxes may have them.
            let out = self.client.wire.out();
            reply::untagged(out, Outcome::Ok, "NOMODSEQ", "This folder has no mod-sequences");
        }
        if told != Some(now) {
            reply::number(self.client.wire.out(), now, "EXISTS");
        }
        self.tell_unseen();
        if !found.permanent {
            self.announce_permanent();
        }
        let code = filter::access(&effective, &place);
        let verb = super::record::verb(command);
        reply::completed(self.client.wire.out(), tag, code, verb);
    }

    /// The flags that exist and those that may be changed, as the rights of now make them.
    pub(super) fn announce_flags(&mut self) {
        let Some(selected) = &self.selected else { return };
        reply::flags(self.client.wire.out(), &selected.flags);
        self.announce_permanent();
    }

    fn announce_permanent(&mut self) {
        let Some(selected) = &self.selected else { return };
        let upstream: Vec<&[u8]> = selected.permanent.iter().map(Vec::as_slice).collect();
        let flags = filter::permanent_flags(self.watch.effective(), &selected.place(&self.watch), &upstream);
        let code = format!("PERMANENTFLAGS {flags}");
        reply::untagged(self.client.wire.out(), Outcome::Ok, &code, "Flags you may change");
    }

    /// A connection with what this session has enabled; the one at hand if it fits. Answers
    /// the client and returns `false` if there is none.
    pub(super) async fn lease_for_opening(&mut self, tag: &Tag) -> Result<bool, Ended> {
        let wanted = match self.condstore && self.folders.capabilities.has_condstore() {
            true if self.qresync => EnabledSet::CondstoreQresync,
            true => EnabledSet::Condstore,
            false => EnabledSet::Plain,
        };
        if self.tainted || self.lease.as_ref().is_some_and(|lease| lease.enabled() != wanted) {
            self.release().await?;
        }
        self.lease(tag, wanted).await
    }

    pub(super) fn manner_of_opening(&self) -> Manner {
        Manner { show: Show::Answer, opening: true, condstore: self.condstore, ..Manner::of_ours() }
    }
}
