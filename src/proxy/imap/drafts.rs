//! Own drafts: what the user has put into Drafts, and may remove from there.

use super::exchange::Found;
use super::kinds::{puts_messages, step_removes};
use super::session::Session;
use crate::imap::command::Command;
use crate::policy::{FolderClass, Step};
use crate::types::{FolderName, UidSet};

impl Session {
    /// The user's own drafts in the open folder, where only they may be removed.
    pub(super) fn own_drafts(&self) -> UidSet {
        let Some(selected) = &self.selected else { return UidSet::new() };
        let effective = self.watch.effective();
        let snapshot = self.services.store.snapshot();
        if !effective.only_own(&snapshot.place_of(effective.mailbox, &selected.name)) {
            return UidSet::new();
        }
        snapshot.own_drafts(effective.user, effective.mailbox, &selected.name, selected.validity)
    }

    /// Remembers what the user has put into Drafts, forgets what has left it.
    pub(super) async fn keep_drafts(&mut self, step: &Step, command: &Command, found: &Found) {
        let effective = self.watch.effective().clone();
        let (user, mailbox) = (effective.user, effective.mailbox);
        let store = &self.services.store;
        let is_drafts = |folder: &FolderName| self.watch.place_of(folder).class == FolderClass::Drafts;
        let mut kept = Ok(());
        if let (Some(folder), Some((validity, uids))) = (super::record::target(command), &found.stored)
            && puts_messages(step)
            && is_drafts(folder)
        {
            kept = store.own_drafts_add(user, mailbox, folder.clone(), *validity, uids.clone()).await;
        }
        if let (Some(selected), Some(uids)) = (self.selected.as_deref(), step_removes(step))
            && is_drafts(&selected.name)
        {
            let name = selected.name.clone();
            kept =
                kept.and(store.own_drafts_remove(user, mailbox, name, selected.validity, uids.clone()).await);
        }
        if let Err(error) = kept {
            tracing::error!(%error, "own drafts cannot be recorded");
        }
        self.changed_folders(step, command);
    }
}
