//! COPY and MOVE from the open folder into a folder of another mailbox.
//!
//! | part | answers |
//! |---|---|
//! | here | may it be, in both mailboxes? |
//! | [`instead`] | is it the user's own Trash, where shared mail is not to go? |
//! | [`journey`] | the messages, one after the other; then, at MOVE, their removal |
//! | [`bring`] | one message: FETCH here, APPEND there, nothing kept |
//! | [`source`] | the connection here |
//! | [`back`] | what is taken back, what is recorded |
//! | [`pace`] | what the client hears meanwhile |
//! | [`stopped`] | how many of how many, and why |
//!
//! Both mailboxes' policies decide: this one what leaves it (`Action::CopyOut`, `MoveOut`), the
//! other one each message as an APPEND. The connection here is the session's own, with the
//! folder open; the one there is leased for the command, and waited for no longer than any.

mod back;
mod bring;
mod instead;
mod journey;
mod pace;
mod source;
mod stopped;

use std::sync::Arc;

use tokio::time::Instant;

use super::ended::Ended;
use super::scene::View;
use super::session::{LOOK, Session};
use super::watch::Waiting;
use crate::imap::action::Scene;
use crate::imap::command::{Command, FolderArg, Tag};
use crate::imap::realm::Combined;
use crate::imap::reply::{self, Outcome};
use crate::policy::{Action, Decision, Denial, Effective, Permit, Rights, decide};
use crate::proxy::clock;
use crate::telemetry::Counter;
use crate::types::{Address, Flags, FolderName, MailboxId, NotCanonical};
use crate::upstream::{Catalogue, Lease, Snapshot};

/// The other mailbox, and the folder there.
struct There {
    mailbox: MailboxId,
    catalogue: Arc<Catalogue>,
    folders: Arc<Snapshot>,
    /// The rights there when the command was looked at; later ones are the watch's.
    effective: Arc<Effective>,
    /// In the other mailbox's own form.
    folder: FolderArg,
}

/// The folder in the other mailbox, once it is known to be there for the user.
struct Target {
    mailbox: MailboxId,
    address: Address,
    catalogue: Arc<Catalogue>,
    folder: FolderName,
    /// The name in its host's own octets.
    wire: Vec<u8>,
    /// Largest message that it takes.
    limit: u64,
    lease: Option<Lease>,
}

impl Session {
    /// Carries out a COPY or MOVE whose target is in the mailbox `there`. `true`: it is to go
    /// to another folder of this mailbox, and has been changed so; otherwise the client has its
    /// answer.
    pub(super) async fn across(
        &mut self,
        tag: &Tag,
        command: &mut Command,
        there: MailboxId,
        combined: &Combined,
    ) -> Result<bool, Ended> {
        let Some(to) = instead::aim(command, Err(NotCanonical)) else { return Ok(true) };
        let Some(there) = self.look_there(there, to, combined).await? else {
            self.unreachable(tag, there);
            return Ok(false);
        };
        if self.watch.mailbox().home_user().is_none()
            && let Some(class) = self.own_bin(&there)
        {
            return self.go_instead(tag, command, class, combined);
        }
        self.take_in_changes()?;
        self.look_at_marks();
        if let Some(permit) = self.permit_here(tag, command).await?
            && let Some(target) = self.permit_there(tag, command, &there)
        {
            self.watch.carry_to(Some((target.folder.clone(), there.effective)));
            let travelled = self.journey(tag, command, permit, target).await;
            self.watch.carry_to(None);
            travelled?;
        }
        Ok(false)
    }

    /// `None`: its folders cannot be known now, or its grant is gone.
    async fn look_there(
        &mut self,
        mailbox: MailboxId,
        to: FolderArg,
        combined: &Combined,
    ) -> Result<Option<There>, Ended> {
        let Some(catalogue) = self.catalogue_of(mailbox) else { return Ok(None) };
        let view = catalogue.view(Instant::now() + LOOK);
        let folders = match self.watch.unless_lost(Waiting::Upstream, view).await? {
            Ok(folders) => folders,
            Err(error) => {
                self.services.counters.count(Counter::UpstreamFailures);
                tracing::warn!(%error, %mailbox, "the mailbox's folders cannot be listed");
                return Ok(None);
            }
        };
        let user = self.watch.effective().user;
        let effective = self.services.store.snapshot().effective(user, mailbox, clock::now());
        let folder = to.and_then(|to| combined.local(&to, folders.inventory.separator));
        Ok(effective.map(|effective| There {
            mailbox,
            catalogue,
            folders,
            effective: Arc::new(effective),
            folder,
        }))
    }

    /// What leaves this mailbox; `None`: the client has its answer. Nothing of the other one is
    /// told before.
    async fn permit_here(&mut self, tag: &Tag, command: &Command) -> Result<Option<Permit>, Ended> {
        let Some(selected) = self.selected.as_deref() else { return Ok(None) };
        let from = selected.place(&self.watch);
        let uidplus = self.view().uidplus();
        let leaving = match command {
            Command::Move { .. } => Action::MoveOut { from, uidplus },
            Command::Copy { .. } => Action::CopyOut(from),
            _ => {
                // Whatever else may name a target one day is not decided as these.
                let text = "This cannot be done from one mailbox to another";
                reply::tagged(self.client.wire.out(), tag, Outcome::No, "CANNOT", text);
                return Ok(None);
            }
        };
        match self.decide(&leaving)? {
            Ok(permit) => Ok(Some(permit)),
            Err(denial) => {
                self.deny(tag, command, &denial).await?;
                Ok(None)
            }
        }
    }

    /// What the other mailbox takes in, as far as that can be said before there is a message.
    fn permit_there(&mut self, tag: &Tag, command: &Command, there: &There) -> Option<Target> {
        let view = View {
            effective: &there.effective,
            snapshot: self.services.store.snapshot(),
            mailbox: there.mailbox,
            inventory: &there.folders.inventory,
            selected: None,
            can: &there.folders.capabilities,
        };
        let folder = there.folder.as_ref().ok();
        let found = folder.and_then(|name| Some((name, view.entry(name)?.0, view.place_of(name)?)));
        let Some((folder, entry, place)) = found else {
            // Hidden and absent alike, as in [`Session::not_found`].
            let site = folder.map(|folder| view.visible_site_of(folder));
            let create = site.is_some_and(|site| there.effective.rights_at(&site).has(Rights::CREATE));
            let code = if create { "TRYCREATE" } else { "NONEXISTENT" };
            there.catalogue.refresh_soon();
            reply::tagged(self.client.wire.out(), tag, Outcome::No, code, "There is no such folder");
            return None;
        };
        let storing = Action::Append { place, flags: Flags::default() };
        match decide(&there.effective, &storing, clock::now()) {
            Decision::Permit(_) => Some(Target {
                mailbox: there.mailbox,
                address: there.effective.address.clone(),
                catalogue: there.catalogue.clone(),
                folder: folder.clone(),
                wire: entry.wire.clone(),
                limit: self.append_limit_of(&there.folders.capabilities),
                lease: None,
            }),
            Decision::Deny(denial) => {
                self.refuse_there(tag, command, &there.effective, &denial);
                None
            }
            Decision::Undecided(_) => {
                self.unreachable(tag, there.mailbox);
                None
            }
        }
    }

    fn refuse_there(&mut self, tag: &Tag, command: &Command, effective: &Effective, denial: &Denial) {
        self.services.counters.count(Counter::ActsDenied);
        self.recorder.refused(effective, command, denial);
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "NOPERM", denial.sentence());
    }
}
