//! A mailbox's folders and their classes: suggested, shown, corrected.

use super::hosts::{Found, Inventory};
use super::{Failure, FailureKind, FolderRow, FolderTable, Pin};
use crate::policy::FolderClass;
use crate::store::{self, Mailbox};
use crate::types::{Address, FolderName, Separator};

/// Classes for a new mailbox's folders, from SPECIAL-USE and well-known names; the table
/// for the admin. Only what a folder would not be by itself is pinned.
pub(super) fn suggested(address: &Address, inventory: &Inventory) -> (Vec<store::Pin>, FolderTable) {
    let special: Vec<&Found> = inventory.folders.iter().filter(|found| found.suggested.is_some()).collect();
    let pins: Vec<_> = special.iter().filter_map(|found| Some(pin(&found.name, found.suggested?))).collect();
    let rows = inventory.folders.iter().map(|found| FolderRow {
        folder: found.name.to_string(),
        class: class_of(&pins, inventory.separator, &found.name),
        reason: reason(found, &pins, inventory.separator).into(),
    });
    let mut notes = vec![format!(
        "Correct a class with: mandate mailbox folders {} FOLDER=CLASS",
        shell_word(&address.to_string())
    )];
    notes.extend(missing(&pins));
    notes.extend(left_out(inventory));
    (pins.clone(), FolderTable { mailbox: address.to_string(), folders: rows.collect(), notes })
}

/// The pins alone, without asking upstream.
pub(super) fn pinned(mailbox: &Mailbox) -> FolderTable {
    let row = |pin: &store::Pin| FolderRow {
        folder: pin.folder.to_string(),
        class: pin.class,
        reason: "pinned".into(),
    };
    FolderTable {
        mailbox: mailbox.address.to_string(),
        folders: mailbox.pins.iter().map(row).collect(),
        notes: hiding(mailbox).into_iter().collect(),
    }
}

/// The folders that the host has, as they count now, and pins whose folder is gone.
pub(super) fn current(mailbox: &Mailbox, inventory: &Inventory) -> FolderTable {
    let row = |found: &Found| {
        let pinned = mailbox.pin(&found.name).is_some();
        let reason = if pinned { "pinned" } else { unpinned(mailbox, &found.name) };
        FolderRow {
            folder: found.name.to_string(),
            class: mailbox.class_of(&found.name),
            reason: reason.into(),
        }
    };
    let mut notes: Vec<String> = hiding(mailbox).into_iter().collect();
    for pin in &mailbox.pins {
        if !inventory.has(&pin.folder) {
            notes.push(format!("{} is pinned {}, but the host has no such folder", pin.folder, pin.class));
        }
    }
    notes.extend(left_out(inventory));
    let folders = inventory.folders.iter().map(row).collect();
    FolderTable { mailbox: mailbox.address.to_string(), folders, notes }
}

/// The mailbox's pins with those of the request, and what the admin should know.
///
/// The first folder that is hidden makes unknown names hidden too: every folder there is
/// now is pinned as it counts at this moment, so that only the named one vanishes.
pub(super) fn repinned(
    mailbox: &Mailbox,
    inventory: &Inventory,
    wanted: &[Pin],
) -> Result<(Vec<store::Pin>, Vec<String>), Failure> {
    let wanted = read(mailbox, inventory, wanted)?;
    let mut pins = mailbox.pins.clone();
    let mut notes = Vec::new();
    let hides = wanted.iter().any(|(_, class)| *class == FolderClass::Hidden);
    if hides && !mailbox.hides() {
        pins.extend(unpinned_as_they_are(mailbox, inventory));
        notes.push(
            "the other folders are pinned as they were; new ones are hidden until they are pinned".into(),
        );
    }
    for (folder, class) in wanted {
        match pins.iter_mut().find(|pin| pin.folder == folder) {
            Some(pin) => pin.class = class,
            None => pins.push(pin(&folder, class)),
        }
    }
    Ok((pins, notes))
}

/// Pins for the folders that have none, of the class they have without one.
pub(super) fn unpinned_as_they_are(mailbox: &Mailbox, inventory: &Inventory) -> Vec<store::Pin> {
    let others = inventory.folders.iter().filter(|found| mailbox.pin(&found.name).is_none());
    others.map(|found| pin(&found.name, mailbox.class_of(&found.name))).collect()
}

fn read(
    mailbox: &Mailbox,
    inventory: &Inventory,
    wanted: &[Pin],
) -> Result<Vec<(FolderName, FolderClass)>, Failure> {
    let (mut read, mut messages) = (Vec::new(), Vec::new());
    for Pin { folder, class } in wanted {
        match FolderName::parse(folder, mailbox.separator) {
            Ok(name) if name.is_inbox() && *class != FolderClass::Inbox && *class != FolderClass::Hidden => {
                messages.push("INBOX is of class inbox, or hidden".into());
            }
            Ok(name) if inventory.has(&name) => read.push((name, *class)),
            Ok(name) => messages.push(format!("the host has no folder {name}")),
            Err(_) => messages.push(format!("{folder:?} cannot be a folder's name")),
        }
    }
    if messages.is_empty() { Ok(read) } else { Err(Failure { kind: FailureKind::Data, messages }) }
}

fn pin(folder: &FolderName, class: FolderClass) -> store::Pin {
    store::Pin { folder: folder.clone(), uid_validity: None, class }
}

/// As [`Mailbox::class_of`] will say once the mailbox exists with these pins.
fn class_of(pins: &[store::Pin], separator: Separator, folder: &FolderName) -> FolderClass {
    let pinned = |name: &FolderName| pins.iter().find(|pin| pin.folder == *name).map(|pin| pin.class);
    if let Some(class) = pinned(folder) {
        return class;
    }
    if folder.is_inbox() {
        return FolderClass::Inbox;
    }
    let above = std::iter::successors(folder.parent(separator), |name| name.parent(separator));
    above.filter_map(|name| pinned(&name)).map(FolderClass::of_child).next().unwrap_or(FolderClass::Ordinary)
}

fn reason(found: &Found, pins: &[store::Pin], separator: Separator) -> &'static str {
    if found.suggested.is_some() {
        return if found.special_use { "special use" } else { "name" };
    }
    let plain = class_of(pins, separator, &found.name);
    if matches!(plain, FolderClass::Ordinary | FolderClass::Inbox) { "-" } else { "folder above" }
}

fn unpinned(mailbox: &Mailbox, folder: &FolderName) -> &'static str {
    match mailbox.class_of(folder) {
        FolderClass::Ordinary | FolderClass::Inbox => "-",
        FolderClass::Hidden => "not pinned",
        FolderClass::Drafts
        | FolderClass::Sent
        | FolderClass::Trash
        | FolderClass::Archive
        | FolderClass::Junk
        | FolderClass::Aggregate => "folder above",
    }
}

/// Without these, roles and clients have nowhere to put things.
fn missing(pins: &[store::Pin]) -> Vec<String> {
    let wanted = [FolderClass::Drafts, FolderClass::Sent, FolderClass::Trash];
    let has = |class: FolderClass| pins.iter().any(|pin| pin.class == class);
    let note = |class| format!("No folder of class {class} was recognised; pin one, or make one and pin it.");
    wanted.into_iter().filter(|class| !has(*class)).map(note).collect()
}

fn left_out(inventory: &Inventory) -> Option<String> {
    let n = inventory.unusable;
    (n > 0)
        .then(|| format!("{n} folders have names without a canonical form: for clients they do not exist."))
}

fn hiding(mailbox: &Mailbox) -> Option<String> {
    mailbox.hides().then(|| "A folder is hidden here, so folders that are not pinned are hidden too.".into())
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@.-_+=".contains(c);
    if text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
