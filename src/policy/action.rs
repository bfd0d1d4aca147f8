//! What a session asks for, whatever the protocol.

use super::FolderClass;
use crate::types::Flags;

/// A folder as policy sees it: its class, and whether the client opened it read-only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    pub class: FolderClass,
    pub read_only: bool,
}

impl Place {
    pub fn of(class: FolderClass) -> Self {
        Self { class, read_only: false }
    }
}

/// How STORE changes flags (RFC 3501 §6.4.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreMode {
    Add,
    Remove,
    Replace,
}

/// What the host has for moving messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Means {
    /// MOVE (RFC 6851).
    Move,
    /// UIDPLUS alone (RFC 4315): COPYUID tells of each copy, UID EXPUNGE removes just these.
    CopyAndExpunge,
    /// Neither: what COPY has done is not known, and EXPUNGE removes too much.
    Nothing,
}

/// One act, in the words of policy.
///
/// A client command becomes exactly one of these (`imap::action`, `smtp::action`), or is
/// answered by us without an upstream byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// SELECT, EXAMINE.
    Open(Place),
    Status(FolderClass),
    /// NOOP, CHECK, IDLE on the selected folder.
    Poll(Place),
    Fetch {
        place: Place,
        /// An item sets `\Seen` by itself (BODY[..] without PEEK, RFC822, RFC822.TEXT).
        marks_seen: bool,
    },
    Search(Place),
    Store {
        place: Place,
        mode: StoreMode,
        flags: Flags,
        /// The keywords that the folder knows, which a replacing STORE would clear.
        known: Flags,
        /// The keywords among `flags` that the host does not keep: they are left out.
        unkept: Flags,
        /// UNCHANGEDSINCE was given (RFC 7162 §3.1.3).
        conditional: bool,
    },
    Append {
        class: FolderClass,
        flags: Flags,
    },
    Copy {
        from: Place,
        to: FolderClass,
        /// Upstream has UIDPLUS (RFC 4315).
        uidplus: bool,
    },
    Move {
        from: Place,
        to: FolderClass,
        means: Means,
    },
    Expunge {
        place: Place,
        /// Upstream has UIDPLUS (RFC 4315).
        uidplus: bool,
    },
    Close {
        place: Place,
        uidplus: bool,
    },
    /// UNSELECT, and the closing half of a SELECT that was refused.
    Unselect,
    Create {
        /// The nearest existing level above; `None` is the top.
        parent: Option<FolderClass>,
    },
    Delete {
        class: FolderClass,
        /// A folder below that the user does not see.
        hides_below: bool,
    },
    Rename {
        class: FolderClass,
        /// The classes of all folders below; they move along.
        below: Vec<FolderClass>,
        parent: Option<FolderClass>,
    },
    /// SETACL, DELETEACL, GETACL, LISTRIGHTS of others.
    Administer,
    /// A message from the mailbox.
    Submit,
}

impl Action {
    /// The act as refusals name it: "does not allow ...".
    pub fn gerund(&self) -> &'static str {
        match self {
            Self::Open(_) => "opening this folder",
            Self::Status(_) | Self::Poll(_) | Self::Fetch { .. } | Self::Search(_) => "reading this folder",
            Self::Store { .. } => "changing these flags",
            Self::Append { .. } => "storing messages in this folder",
            Self::Copy { .. } => "copying messages into this folder",
            Self::Move { .. } => "moving these messages",
            Self::Expunge { .. } | Self::Close { .. } => "removing messages",
            Self::Unselect => "leaving the folder",
            Self::Create { .. } => "creating folders here",
            Self::Delete { .. } => "deleting this folder",
            Self::Rename { .. } => "renaming this folder",
            Self::Administer => "giving or showing rights",
            Self::Submit => "sending mail",
        }
    }
}
