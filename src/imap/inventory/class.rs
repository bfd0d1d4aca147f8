//! What a folder seems to be for, as a suggestion to the admin who pins the classes.

use super::{Entry, Special};
use crate::policy::FolderClass;
use crate::types::Separator;

/// The class that attributes or name suggest. Never read live: classes are pinned.
pub fn suggest_class(entry: &Entry, separator: Separator) -> FolderClass {
    if entry.name.is_inbox() {
        return FolderClass::Inbox;
    }
    if !entry.attributes.is_selectable() {
        return FolderClass::Ordinary;
    }
    match entry.attributes.special {
        Some(Special::Drafts) => FolderClass::Drafts,
        Some(Special::Sent) => FolderClass::Sent,
        Some(Special::Trash) => FolderClass::Trash,
        Some(Special::Archive) => FolderClass::Archive,
        Some(Special::Junk) => FolderClass::Junk,
        Some(Special::Aggregate) => FolderClass::Aggregate,
        None => by_name(entry, separator),
    }
}

/// The first levels below which hosts keep the folders of an account.
const ROOTS: [&str; 3] = ["inbox", "[gmail]", "[google mail]"];
/// First levels of virtual folders (Dovecot's virtual plugin).
const VIRTUAL: [&str; 2] = ["virtual", "virtual folders"];

fn by_name(entry: &Entry, separator: Separator) -> FolderClass {
    let name = entry.name.as_str().to_lowercase();
    let levels: Vec<&str> = match separator {
        Some(separator) => name.split(separator).collect(),
        None => vec![&name],
    };
    let leaf = match levels.as_slice() {
        [first, ..] if VIRTUAL.contains(first) => return FolderClass::Aggregate,
        [leaf] => leaf,
        [root, leaf] if ROOTS.contains(root) => leaf,
        _ => return FolderClass::Ordinary,
    };
    let known = NAMES.iter().find(|(_, names)| names.contains(leaf));
    known.map_or(FolderClass::Ordinary, |(class, _)| *class)
}

/// The names that mail clients and hosts give, in lower case: English, Dutch, German, French.
const NAMES: [(FolderClass, &[&str]); 6] = [
    (FolderClass::Drafts, &["drafts", "draft", "concepten", "entwürfe", "brouillons", "brouillon"]),
    (
        FolderClass::Sent,
        &[
            "sent",
            "sent items",
            "sent messages",
            "sent mail",
            "verzonden",
            "verzonden items",
            "verzonden berichten",
            "gesendet",
            "gesendete elemente",
            "gesendete objekte",
            "gesendete nachrichten",
            "envoyés",
            "messages envoyés",
            "éléments envoyés",
            "courrier envoyé",
        ],
    ),
    (
        FolderClass::Trash,
        &[
            "trash",
            "bin",
            "deleted items",
            "deleted messages",
            "prullenbak",
            "prullenmand",
            "verwijderde items",
            "papierkorb",
            "gelöschte elemente",
            "gelöschte objekte",
            "corbeille",
            "éléments supprimés",
            "messages supprimés",
        ],
    ),
    (FolderClass::Archive, &["archive", "archives", "archief", "archiv"]),
    (
        FolderClass::Junk,
        &[
            "junk",
            "junk e-mail",
            "junk email",
            "junk mail",
            "spam",
            "bulk mail",
            "ongewenst",
            "ongewenste e-mail",
            "ongewenste reclame",
            "unerwünscht",
            "spamverdacht",
            "junk-e-mail",
            "indésirables",
            "courrier indésirable",
            "pourriel",
        ],
    ),
    (
        FolderClass::Aggregate,
        &["all mail", "starred", "important", "alle berichten", "alle nachrichten", "tous les messages"],
    ),
];
