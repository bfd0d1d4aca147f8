//! The folders as the user sees them at one moment: inventory, pinned classes and rights together.

use std::sync::Arc;

use super::session::Selected;
use crate::imap::action::{self, Scene};
use crate::imap::capability::Capabilities;
use crate::imap::inventory::{Entry, Inventory};
use crate::policy::{Effective, Place, Site};
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
    /// The folder as pinned, seen or not.
    pub(super) fn pinned(&self, folder: &FolderName) -> Place {
        self.snapshot.place_of(self.mailbox, folder)
    }

    /// The folder's entry, if it exists and the user sees it.
    pub(super) fn entry(&self, folder: &FolderName) -> Option<(&Entry, Place)> {
        let place = self.pinned(folder);
        let entry = self.inventory.find(folder)?;
        self.effective.sees(&place).then_some((entry, place))
    }

    fn nearest_above(&self, folder: &FolderName, seen: bool) -> Option<Place> {
        let separator = self.inventory.separator;
        let mut above = folder.parent(separator);
        while let Some(name) = above {
            let place = self.pinned(&name);
            // A level that is no folder says nothing of what may be made below, unless it is pinned.
            let says = |entry: &Entry| entry.attributes.is_selectable() || place.known.is_some();
            if self.inventory.find(&name).is_some_and(says) && (!seen || self.effective.sees(&place)) {
                return Some(place);
            }
            above = name.parent(separator);
        }
        None
    }
}

impl Scene for View<'_> {
    fn selected(&self) -> Option<action::Selected<'_>> {
        let selected = self.selected?;
        let place = Place { read_only: selected.read_only, ..self.pinned(&selected.name) };
        Some(action::Selected { place, known: &selected.known, kept: selected.kept.as_ref() })
    }

    fn place_of(&self, folder: &FolderName) -> Option<Place> {
        let (entry, place) = self.entry(folder)?;
        entry.attributes.is_selectable().then_some(place)
    }

    fn site_of(&self, folder: &FolderName) -> Site {
        Site { parent: self.nearest_above(folder, false), name: Some(folder.clone()) }
    }

    fn visible_site_of(&self, folder: &FolderName) -> Site {
        Site { parent: self.nearest_above(folder, true), name: Some(folder.clone()) }
    }

    fn places_below(&self, folder: &FolderName) -> Vec<Place> {
        self.inventory.below(folder).map(|entry| self.pinned(&entry.name)).collect()
    }

    fn hides_below(&self, folder: &FolderName) -> bool {
        self.inventory.below(folder).any(|entry| !self.effective.sees(&self.pinned(&entry.name)))
    }

    fn uidplus(&self) -> bool {
        self.can.has("UIDPLUS")
    }

    fn has_move(&self) -> bool {
        self.can.has("MOVE")
    }

    fn has(&self, capability: &str) -> bool {
        self.can.has(capability)
    }
}
