//! Which of a session's mailboxes is in focus: the one that the command at hand is about.
//!
//! Rights, folders, connection and open folder change together or not at all, so that no
//! command is decided by one mailbox's rights and carried out in another.

use std::sync::Arc;

use super::session::{Selected, Session};
use crate::types::Separator;
use crate::upstream::{Catalogue, Lease, Snapshot};

/// What a session holds of one mailbox, but for the rights, which its watch knows.
pub(super) struct Seat {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) folders: Arc<Snapshot>,
    pub(super) lease: Option<Lease>,
    pub(super) selected: Option<Box<Selected>>,
    pub(super) tainted: bool,
}

impl Session {
    /// The hierarchy separator of the names that the client uses.
    pub(super) fn separator(&self) -> Separator {
        self.realm.separator(self.folders.inventory.separator)
    }

    /// After a command that was about another mailbox, the one with the open folder is in focus
    /// again. A connection that the command has left behind is closed.
    pub(super) fn return_to_open_folder(&mut self) {
        if let Some(seat) = self.aside.take() {
            self.sit_down(*seat);
            self.watch.attend_open();
        }
    }

    fn sit_down(&mut self, seat: Seat) {
        let Seat { catalogue, folders, lease, selected, tainted } = seat;
        self.catalogue = catalogue;
        self.folders = folders;
        self.lease = lease;
        self.selected = selected;
        self.tainted = tainted;
    }
}
