//! The folders as the user sees them at one moment: inventory, pinned classes and rights together.

use std::sync::Arc;

use super::session::Selected;
use crate::imap::action::{self, Scene};
use crate::imap::capability::Capabilities;
use crate::imap::inventory::{Entry, Inventory};
use crate::policy::{Effective, FolderClass, Place};
use crate::store::Snapshot;
use crate::types::{FolderName, MailboxId};

/// A view for the length of one command.
pub(super) struct View<'a> {
    pub(super) effective: &'a Effective,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) mailbox: MailboxId,
    pub(super) inventory: &'a Inventory,
    pub(super) selected: Option<&'a Selected>,
    /// What the host can do.
    pub(super) can: &'a Capabilities,
}

impl View<'_> {
    pub(super) fn pinned_class(&self, folder: &FolderName) -> FolderClass {
        self.snapshot.class_of(self.mailbox, folder)
    }

    /// The folder's entry, if it exists and the user sees it.
    pub(super) fn entry(&self, folder: &FolderName) -> Option<(&Entry, FolderClass)> {
        let class = self.pinned_class(folder);
        let entry = self.inventory.find(folder)?;
        self.effective.sees(class).then_some((entry, class))
    }

    fn nearest_above(&self, folder: &FolderName, seen: bool) -> Option<FolderClass> {
        let separator = self.inventory.separator;
        let mut above = folder.parent(separator);
        while let Some(name) = above {
            let class = self.pinned_class(&name);
            if self.inventory.find(&name).is_some() && (!seen || self.effective.sees(class)) {
                return Some(class);
            }
            above = name.parent(separator);
        }
        None
    }
}

impl Scene for View<'_> {
    fn selected(&self) -> Option<action::Selected<'_>> {
        let selected = self.selected?;
        let class = self.pinned_class(&selected.name);
        let place = Place { class, read_only: selected.read_only };
        Some(action::Selected { place, known: &selected.known, kept: selected.kept.as_ref() })
    }

    fn class_of(&self, folder: &FolderName) -> Option<FolderClass> {
        let (entry, class) = self.entry(folder)?;
        entry.attributes.is_selectable().then_some(class)
    }

    fn class_above(&self, folder: &FolderName) -> Option<FolderClass> {
        self.nearest_above(folder, false)
    }

    fn visible_class_above(&self, folder: &FolderName) -> Option<FolderClass> {
        self.nearest_above(folder, true)
    }

    fn classes_below(&self, folder: &FolderName) -> Vec<FolderClass> {
        let below = self.inventory.below(folder);
        below.map(|entry| self.pinned_class(&entry.name)).collect()
    }

    fn uidplus(&self) -> bool {
        self.can.has("UIDPLUS")
    }

    fn has_move(&self) -> bool {
        self.can.has("MOVE")
    }
}
