//! What a folder is for: pinned per mailbox, never read live from upstream.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The class that decides a role's rights on a folder.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FolderClass {
    Inbox,
    Ordinary,
    Drafts,
    Sent,
    Trash,
    Archive,
    Junk,
    /// Shows messages of other folders (`\All`, `\Flagged`, virtual folders): a write there hits them.
    Aggregate,
    /// Does not exist for anybody.
    Hidden,
}

impl FolderClass {
    pub const ALL: [Self; 9] = [
        Self::Inbox,
        Self::Ordinary,
        Self::Drafts,
        Self::Sent,
        Self::Trash,
        Self::Archive,
        Self::Junk,
        Self::Aggregate,
        Self::Hidden,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Ordinary => "ordinary",
            Self::Drafts => "drafts",
            Self::Sent => "sent",
            Self::Trash => "trash",
            Self::Archive => "archive",
            Self::Junk => "junk",
            Self::Aggregate => "aggregate",
            Self::Hidden => "hidden",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The class of an unpinned folder below one of this class: what is in the bin, hidden
    /// or a view stays so; everything else is an ordinary folder (a folder below Drafts
    /// does not become one of drafts: that would hand out the right to delete there).
    pub fn of_child(self) -> Self {
        match self {
            Self::Trash | Self::Junk | Self::Aggregate | Self::Hidden => self,
            Self::Inbox | Self::Ordinary | Self::Drafts | Self::Sent | Self::Archive => Self::Ordinary,
        }
    }

    /// Whether mail stays in such a folder, and is one with itself: what may be filed goes
    /// from one of these to another (right `m`).
    pub fn keeps(self) -> bool {
        match self {
            Self::Inbox | Self::Ordinary | Self::Archive => true,
            Self::Drafts | Self::Sent | Self::Trash | Self::Junk | Self::Aggregate | Self::Hidden => false,
        }
    }

    /// The SPECIAL-USE attribute (RFC 6154 §2) that announces the class.
    pub fn special_use(self) -> Option<&'static str> {
        match self {
            Self::Drafts => Some("\\Drafts"),
            Self::Sent => Some("\\Sent"),
            Self::Trash => Some("\\Trash"),
            Self::Archive => Some("\\Archive"),
            Self::Junk => Some("\\Junk"),
            Self::Inbox | Self::Ordinary | Self::Aggregate | Self::Hidden => None,
        }
    }
}

impl fmt::Display for FolderClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
