//! What a session asks for, whatever the protocol.

use super::{FolderClass, OwnFlags, across};
use crate::types::{Flags, FolderName};

/// A folder as policy sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    pub class: FolderClass,
    /// Its name, if the mailbox knows it: pinned, or INBOX. A narrowed grant reaches no
    /// folder that turned up unasked.
    pub known: Option<FolderName>,
    /// The client opened it with EXAMINE.
    pub read_only: bool,
}

impl Place {
    /// A folder of this class whose name does not matter.
    pub fn of(class: FolderClass) -> Self {
        Self { class, known: None, read_only: false }
    }

    /// The same, opened read-only.
    #[must_use]
    pub fn examined(self) -> Self {
        Self { read_only: true, ..self }
    }
}

/// Where a folder is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Site {
    /// The nearest existing level above; `None` is the top.
    pub parent: Option<Place>,
    /// What it is to be called; `None`: by a name that no narrowed grant reaches.
    pub name: Option<FolderName>,
}

impl Site {
    /// Below a folder of this class, or at the top; by a name that does not matter.
    pub fn below(parent: Option<FolderClass>) -> Self {
        Self { parent: parent.map(Place::of), name: None }
    }
}

/// How STORE changes flags (RFC 3501 §6.4.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreMode {
    Add,
    Remove,
    Replace,
}

/// Whether a submission answers one of the mailbox's messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answering {
    /// Its header has not come yet: sender and recipients may be given, and no more.
    Unread,
    /// It answers a message of the mailbox that the user may read.
    Known,
    /// It answers nothing that is known, or nobody looked.
    New,
    /// It could not be found out.
    Unsure,
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
    Status(Place),
    /// NOOP, CHECK, IDLE on the selected folder.
    Poll(Place),
    Fetch {
        place: Place,
        /// An item sets `\Seen` by itself (BODY[..] without PEEK, RFC822, RFC822.TEXT).
        marks_seen: bool,
    },
    Search {
        place: Place,
        /// The flags that the search asks about, as far as they can be a user's own.
        asked: OwnFlags,
        /// SORT or THREAD: what is found is put in order.
        ordered: bool,
    },
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
        /// .SILENT was given: who asks does not want to be told what is permitted.
        silent: bool,
    },
    Append {
        place: Place,
        flags: Flags,
    },
    Copy {
        from: Place,
        to: Place,
        /// Upstream has UIDPLUS (RFC 4315).
        uidplus: bool,
    },
    Move {
        from: Place,
        to: Place,
        means: Means,
    },
    /// COPY into another mailbox: this one's part. What arrives there is an [`Action::Append`].
    CopyOut(Place),
    /// MOVE into another mailbox, likewise.
    MoveOut {
        from: Place,
        /// Upstream has UIDPLUS (RFC 4315): just what has arrived can be removed.
        uidplus: bool,
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
    Create(Site),
    Delete {
        place: Place,
        /// A folder below that the user does not see.
        hides_below: bool,
    },
    Rename {
        place: Place,
        /// All folders below; they move along.
        below: Vec<Place>,
        to: Site,
    },
    /// SETACL, DELETEACL, GETACL, LISTRIGHTS of others.
    Administer,
    /// A message from the mailbox.
    Submit(Answering),
}

impl Action {
    /// The act as refusals name it: "does not allow ...".
    pub fn gerund(&self) -> &'static str {
        match self {
            Self::Open(_) => "opening this folder",
            Self::Status(_) | Self::Poll(_) | Self::Fetch { .. } | Self::Search { .. } => {
                "reading this folder"
            }
            Self::Store { .. } => "changing these flags",
            Self::Append { .. } => "storing messages in this folder",
            Self::Copy { .. } => "copying messages into this folder",
            Self::Move { .. } => "moving these messages",
            Self::CopyOut(_) => across::gerund(false),
            Self::MoveOut { .. } => across::gerund(true),
            Self::Expunge { .. } | Self::Close { .. } => "removing messages",
            Self::Unselect => "leaving the folder",
            Self::Create(_) => "creating folders here",
            Self::Delete { .. } => "deleting this folder",
            Self::Rename { .. } => "renaming this folder",
            Self::Administer => "giving or showing rights",
            Self::Submit(_) => "sending mail",
        }
    }
}
