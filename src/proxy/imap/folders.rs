//! Folders as a whole: STATUS, CREATE, DELETE, RENAME; and the flags of copies in another folder.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ended::Ended;
use super::exchange::Answer;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::action::Scene as _;
use crate::imap::command::{Command, FolderArg, StatusItem, Tag};
use crate::imap::filter;
use crate::imap::reply::{self, Outcome};
use crate::imap::response::{Code, Condition, Response, Status};
use crate::imap::writer;
use crate::policy::{FolderClass, Permit, Step, StepKind};
use crate::store::{Mailbox, Pin};
use crate::types::{FolderName, Separator};
use crate::upstream::{Answered, EnabledSet, Party};

/// Longest wait for the folders after a change to them; the answer is given anyway.
const REFRESH: Duration = Duration::from_secs(10);

impl Session {
    /// STATUS: values that all users of the mailbox share for a moment.
    pub(super) async fn status(
        &mut self,
        tag: &Tag,
        folder: &FolderArg,
        items: &[StatusItem],
    ) -> Result<(), Ended> {
        let entry = folder.as_ref().ok().and_then(|name| self.folders.inventory.find(name));
        let Some(entry) = entry else {
            self.unavailable(tag);
            return Ok(());
        };
        self.condstore |=
            items.contains(&StatusItem::HighestModSeq) && self.folders.capabilities.has_condstore();
        let (name, wire) = (entry.name.clone(), entry.wire.clone());
        let counts = self.counts();
        let told = counts.of((&name, &wire), items);
        let Some(data) = self.watch.unless_lost(Waiting::Upstream, told).await? else {
            self.unavailable(tag);
            return Ok(());
        };
        let client = self.client_wire(&name);
        let out = self.client.wire.out();
        filter::status_line(out, client.as_bytes(), items, &data);
        reply::tagged(out, tag, Outcome::Ok, "", "STATUS completed");
        Ok(())
    }

    /// CREATE, DELETE and RENAME, on whatever connection the session has or gets.
    pub(super) async fn change_folders(
        &mut self,
        tag: &Tag,
        command: &Command,
        permit: Permit,
    ) -> Result<(), Ended> {
        if let Some(new) = new_name(command)
            && let Some(why) = self.name_taken(new, command)
        {
            reply::tagged(self.client.wire.out(), tag, Outcome::No, "ALREADYEXISTS", why);
            return Ok(());
        }
        if let Command::Delete(Ok(name)) = command
            && self.selected.as_ref().is_some_and(|selected| selected.name == *name)
        {
            self.leave().await?;
        }
        if !self.lease(tag, EnabledSet::Plain).await? {
            return Ok(());
        }
        match self.steps(tag, command, permit, Vec::new()).await? {
            Ok(done) => {
                if done.condition == Condition::Ok {
                    self.folders_changed(command).await?;
                }
                self.finish(tag, command, &done);
            }
            Err(denial) => self.deny(tag, command, &denial).await?,
        }
        if !self.holds_folder() {
            self.release().await?;
        }
        Ok(())
    }

    /// The new name must differ from every folder's, hidden ones too, by more than case or
    /// Unicode form: hosts and people take such names for the same.
    fn name_taken(&self, new: &FolderName, command: &Command) -> Option<&'static str> {
        let renamed = match command {
            Command::Rename { from, .. } => from.as_ref().ok(),
            _ => None,
        };
        // A level that upstream lists, but which is no folder, may become one.
        let folders = self.folders.inventory.entries().iter();
        let folders = folders.filter(|entry| entry.name != *new || entry.attributes.is_selectable());
        let others = folders.map(|entry| &entry.name).filter(|name| Some(*name) != renamed);
        let taken = is_taken(new, others, self.folders.inventory.separator);
        taken.then_some("A folder of this or a very similar name exists")
    }

    /// Pins move with a renamed folder; everybody sees the folders as they are now.
    async fn folders_changed(&mut self, command: &Command) -> Result<(), Ended> {
        if let Command::Rename { from: Ok(from), to: Ok(to) } = command {
            let (old, new) = (from.clone(), to.clone());
            let moved = self.services.store.rename_folder(self.watch.mailbox(), old, new);
            if let Err(error) = moved.await {
                tracing::error!(%error, "the pinned classes of a renamed folder cannot be moved");
            }
            self.move_marks(from, Some(to)).await;
            self.rename_selected(from, to);
        }
        if let Command::Create { folder: Ok(folder), .. } = command {
            self.pin_new(folder).await;
        }
        if let Some(new) = new_name(command) {
            // Dovecot 2.3 can leave a folder that another connection has made out of LIST, after
            // a RENAME for good; asked about it by name, it looks for itself.
            let wire = new.to_wire();
            let asked = self.catalogue.status(wire.as_bytes(), &[StatusItem::UidNext]);
            self.watch.unless_lost(Waiting::Upstream, asked).await?;
        }
        if let Command::Delete(Ok(folder)) = command {
            self.unpin(folder).await;
            self.move_marks(folder, None).await;
        }
        let refresh = self.catalogue.refresh(Instant::now() + REFRESH);
        match Box::pin(self.watch.unless_lost(Waiting::Upstream, refresh)).await? {
            Ok(folders) => self.folders = folders,
            Err(error) => tracing::warn!(%error, "folders cannot be listed after a change"),
        }
        Ok(())
    }

    /// What users have marked follows a renamed folder, or goes with a deleted one.
    async fn move_marks(&self, from: &FolderName, to: Option<&FolderName>) {
        let (mailbox, separator) = (self.watch.effective().mailbox, self.folders.inventory.separator);
        let moved = self.services.store.move_marks(mailbox, from.clone(), to.cloned(), separator);
        if let Err(error) = moved.await {
            tracing::error!(%error, "users' own flags do not follow a renamed or deleted folder");
        }
    }

    /// A folder that is gone needs no class.
    async fn unpin(&self, folder: &FolderName) {
        let snapshot = self.services.store.snapshot();
        if snapshot.mailbox(self.watch.mailbox()).is_none_or(|mailbox| mailbox.pin(folder).is_none()) {
            return;
        }
        let gone = folder.clone();
        let unpin = move |mailbox: &mut Mailbox| mailbox.pins.retain(|pin| pin.folder != gone);
        if let Err(error) = self.services.store.update_mailbox(self.watch.mailbox(), unpin).await {
            tracing::error!(%error, "the pin of a deleted folder stays");
        }
    }

    /// Where something is hidden, from all or from a narrowed grant, unknown names are hidden
    /// too: a folder made through us is known.
    async fn pin_new(&mut self, folder: &FolderName) {
        let snapshot = self.services.store.snapshot();
        let unknown_are_hidden = |mailbox: &Mailbox| mailbox.hides() || snapshot.narrows(mailbox.id);
        let needs_pin = |mailbox: &Arc<Mailbox>| unknown_are_hidden(mailbox) && mailbox.pin(folder).is_none();
        if !snapshot.mailbox(self.watch.mailbox()).is_some_and(needs_pin) {
            return;
        }
        let above = self.view().site_of(folder).parent;
        let class = above.map_or(FolderClass::Ordinary, |above| above.class.of_child());
        let pin = Pin { folder: folder.clone(), uid_validity: None, class };
        let pinned =
            self.services.store.update_mailbox(self.watch.mailbox(), move |mailbox| mailbox.pins.push(pin));
        if let Err(error) = pinned.await {
            tracing::error!(%error, "a new folder cannot be pinned and stays hidden");
        }
    }

    /// The open folder follows its own renaming, or that of a level above it.
    fn rename_selected(&mut self, from: &FolderName, to: &FolderName) {
        let separator = self.folders.inventory.separator;
        let Some(selected) = self.selected.as_mut() else { return };
        let Some(name) = renamed(&selected.name, from, to, separator) else { return };
        selected.wire = name.to_wire().into_bytes();
        selected.name = name.clone();
        self.watch.select(Some(name));
    }

    /// Has the connection at hand that takes flags off copies, before there are any: one that
    /// cannot be had then would leave the flags. `false` if there is none.
    pub(super) async fn prepare_strip(&mut self) -> Result<bool, Ended> {
        let Ok(target) = self.target() else { return Ok(false) };
        let party = Party(self.watch.effective().user.0);
        let lease = self.services.pools.working_lease(&target, party, Instant::now() + REFRESH);
        self.stripper = match self.watch.unless_lost(Waiting::Upstream, lease).await? {
            Ok(lease) => Some(lease),
            Err(error) => {
                tracing::warn!(%error, "nothing is copied: no upstream connection to take flags off the copies");
                None
            }
        };
        Ok(self.stripper.is_some())
    }

    /// Takes flags off copies in the target folder. The session's own connection has another
    /// folder open, so this is done on one beside it.
    pub(super) async fn strip(&mut self, command: &Command, step: &Step) -> Result<Answer, Ended> {
        let failed = Ok(Answer { condition: Condition::No, code: None });
        let wire = super::record::target(command).and_then(|name| self.folders.inventory.find(name));
        let Some(wire) = wire.map(|entry| entry.wire.clone()) else { return failed };
        // One that failed before is lost: this is for what is still to be stripped.
        if self.stripper.is_none() && !self.prepare_strip().await? {
            return failed;
        }
        let Some(mut lease) = self.stripper.take() else { return failed };
        let tags = [lease.tag(), lease.tag()];
        let Some(commands) = writer::strip(step, &wire, [&tags[0], &tags[1]]) else { return failed };
        lease.set_selected(true);
        for (outgoing, tag) in commands.iter().zip(&tags) {
            let perform = lease.perform(outgoing, tag, Instant::now() + REFRESH);
            match self.watch.unless_lost(Waiting::Upstream, perform).await? {
                // Another folder of this name has other messages under these UIDs.
                Ok(answered) if tells_other_validity(&answered, step) => {
                    tracing::warn!("flags stay on copies: their folder has been replaced");
                    self.stripper = Some(lease);
                    return failed;
                }
                Ok(answered) if answered.is_ok() => {}
                Ok(_) | Err(_) => {
                    tracing::warn!("flags stay on copies: the mail host refused");
                    return failed;
                }
            }
        }
        self.stripper = Some(lease);
        Ok(Answer { condition: Condition::Ok, code: None })
    }
}

/// Whether SELECT opened another folder than the copies are in, as its UIDVALIDITY tells.
fn tells_other_validity(answered: &Answered, step: &Step) -> bool {
    let StepKind::Strip { validity, .. } = step.kind() else { return true };
    answered.responses().any(|response| match response {
        Response::Status(Status { code: Some(Code::UidValidity(told)), .. }) => told != *validity,
        _ => false,
    })
}

/// Whether a folder exists under the new name, or anything of a very similar name.
///
/// Levels may exist, above the new folder or above others, but only in the very same
/// spelling: `trash/x` must not become a folder below Trash without being asked about as one.
/// A level that is no folder itself may become one.
fn is_taken<'a>(
    new: &FolderName,
    others: impl Iterator<Item = &'a FolderName>,
    separator: Separator,
) -> bool {
    let own: Vec<_> = levels(new, separator).map(|level| (level.look_alike_key(), level)).collect();
    let similar = |existing: FolderName| {
        let key = existing.look_alike_key();
        own.iter().any(|(own, level)| *own == key && *level != existing)
    };
    others.into_iter().any(|name| name == new || levels(name, separator).any(similar))
}

/// A folder's name and those of all levels above it.
fn levels(name: &FolderName, separator: Separator) -> impl Iterator<Item = FolderName> {
    std::iter::successors(Some(name.clone()), move |name| name.parent(separator))
}

/// The name that CREATE or RENAME makes.
fn new_name(command: &Command) -> Option<&FolderName> {
    match command {
        Command::Create { folder, .. } => folder.as_ref().ok(),
        Command::Rename { to, .. } => to.as_ref().ok(),
        _ => None,
    }
}

/// What a folder is called after `from` became `to`; `None` if it is neither that nor below it.
fn renamed(
    name: &FolderName,
    from: &FolderName,
    to: &FolderName,
    separator: Separator,
) -> Option<FolderName> {
    if name == from {
        return Some(to.clone());
    }
    if !name.is_below(from, separator) {
        return None;
    }
    FolderName::parse(&format!("{to}{}", &name.as_str()[from.as_str().len()..]), separator).ok()
}

#[cfg(test)]
mod tests {
    use super::{is_taken, renamed};
    use crate::types::FolderName;

    #[test]
    fn folders_below_are_renamed_along() {
        let name = |text| FolderName::parse(text, Some('/')).unwrap();
        let after = |text| renamed(&name(text), &name("A"), &name("B/C"), Some('/'));
        assert_eq!(after("A"), Some(name("B/C")));
        assert_eq!(after("A/x"), Some(name("B/C/x")));
        assert_eq!(after("Ax"), None);
    }

    #[test]
    fn a_name_is_taken_in_every_spelling_and_at_every_level() {
        let name = |text| FolderName::parse(text, Some('/')).unwrap();
        let existing = ["INBOX", "Trash", "Work/2026/May", "Caf\u{e9}"].map(name);
        for (new, taken) in [
            ("Trash", true),
            ("trash", true),
            ("trash/x", true),
            ("Trash/x", false),
            ("CAF\u{c9}", true),
            ("Work/2026/May", true),
            ("Work/2026/June", false),
            ("work/2027", true),
            // Levels without a folder of their own may get one.
            ("Work", false),
            ("Work/2026", false),
            ("WORK", true),
        ] {
            assert_eq!(is_taken(&name(new), existing.iter(), Some('/')), taken, "{new}");
        }
    }
}
