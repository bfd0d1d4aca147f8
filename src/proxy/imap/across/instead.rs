//! A shared message that a client throws away, archives or calls junk: the folder for that is
//! the mailbox's own, not the user's.
//!
//! In the combined view clients know one Trash, one Archive and one Junk, and put everything
//! there. What goes into the user's own would be lost for the team (docs/views.md).

use super::There;
use crate::imap::command::{Command, FolderArg, Tag};
use crate::imap::inventory::suggest_class;
use crate::imap::realm::{Combined, Named};
use crate::imap::reply::{self, Outcome};
use crate::policy::FolderClass;
use crate::proxy::imap::ended::Ended;
use crate::proxy::imap::session::Session;
use crate::types::FolderName;

impl Session {
    /// What the user's own folder is for, or the level above it, where shared mail is not to go.
    pub(super) fn own_bin(&self, there: &There) -> Option<FolderClass> {
        let folder = there.folder.as_ref().ok().filter(|_| there.mailbox.home_user().is_some())?;
        let (inventory, mut level) = (&there.folders.inventory, Some(folder.clone()));
        inventory.find(folder)?;
        while let Some(name) = level {
            let class = inventory.find(&name).map(|entry| suggest_class(entry, inventory.separator));
            if let Some(class @ (FolderClass::Trash | FolderClass::Archive | FolderClass::Junk)) = class {
                return Some(class);
            }
            level = name.parent(inventory.separator);
        }
        None
    }

    /// The command goes to the mailbox's own folder of that class, as any other to that folder
    /// would; `false`: there is none, and the client has its answer.
    pub(super) fn go_instead(
        &mut self,
        tag: &Tag,
        command: &mut Command,
        class: FolderClass,
        combined: &Combined,
    ) -> Result<bool, Ended> {
        let address = self.watch.effective().address.clone();
        let here = self.selected.as_ref().map(|selected| selected.name.clone());
        // One that is hidden from the user is as good as none.
        let seen = |folder: &FolderName| self.view().entry(folder).is_some();
        let (code, text) = match self.pinned_as(class, seen) {
            Some((folder, _)) if Some(&folder) == here.as_ref() => {
                ("CANNOT", format!("These messages are in the {class} folder of {address} already"))
            }
            Some((folder, _)) => {
                self.instead = Some(self.called(&folder, combined));
                aim(command, Ok(folder));
                return Ok(true);
            }
            None => (
                "NOPERM",
                format!(
                    "The messages of {address} do not go into your own {class} folder, and it has none that you see"
                ),
            ),
        };
        reply::tagged(self.client.wire.out(), tag, Outcome::No, code, &text);
        Ok(false)
    }

    fn called(&self, folder: &FolderName, combined: &Combined) -> String {
        let separator = self.folders.inventory.separator;
        let name = combined.client_name(self.watch.mailbox(), folder, separator);
        name.as_ref().unwrap_or(folder).as_str().to_owned()
    }
}

/// Gives COPY or MOVE another target; the one before.
pub(super) fn aim(command: &mut Command, folder: FolderArg) -> Option<FolderArg> {
    let Named::Target(to) = command.named() else { return None };
    Some(std::mem::replace(to, folder))
}
