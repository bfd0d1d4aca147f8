//! Roles: named sets of rights per folder class, and what may be sent.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FolderClass, Rights};

/// A role's name as grants and sentences carry it: `responder`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct RoleName(pub String);

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a role, or a grant that says so itself, may send mail from the mailbox; the later
/// variant includes the earlier.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendRight {
    None,
    /// From the mailbox, `Sender` the person (RFC 5322 §3.6.2).
    OnBehalf,
    /// From the mailbox; nothing names the person.
    As,
}

impl SendRight {
    pub const ALL: [Self; 3] = [Self::None, Self::OnBehalf, Self::As];

    /// As admins write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OnBehalf => "on-behalf",
            Self::As => "as",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|send| send.as_str() == text)
    }
}

/// Whose drafts the `t` and `e` of class Drafts reach.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DraftScope {
    /// Those that the user's own APPEND, COPY or MOVE through us made.
    Own,
    /// All drafts of the mailbox.
    Team,
}

/// Whose `\Seen` a folder shows to a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReadState {
    /// The mailbox's one `\Seen`.
    Shared,
    /// Each user's own; nothing of it goes upstream.
    Personal,
}

/// Whose `\Seen` a mailbox's folders show, as its admin chose.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadChoice {
    /// [`ReadState::Personal`] for roles that may not change the mailbox's (no `s` anywhere).
    #[default]
    ByRole,
    Shared,
    Personal,
}

/// What becomes of a message that a role without `t` and `e` wants deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delete {
    /// It stays where it is.
    #[default]
    Refuse,
    /// It goes to the mailbox's own Trash.
    Trash,
}

/// A role: data, so that further ones can be configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub drafts: DraftScope,
    pub send: SendRight,
    rights: [Rights; FolderClass::ALL.len()],
}

const fn letters(text: &str) -> Rights {
    match Rights::letters(text) {
        Some(rights) => rights,
        // NOTE(unwrap): called with literals of this file only; its tests call each.
        None => panic!("unknown right letter"),
    }
}

impl Role {
    pub(super) fn new(
        name: RoleName,
        rights: [Rights; FolderClass::ALL.len()],
        drafts: DraftScope,
        send: SendRight,
    ) -> Self {
        Self { name, drafts, send, rights }
    }

    /// The rights on a folder of this class. Hidden gives none, whatever a role says.
    pub fn rights_on(&self, class: FolderClass) -> Rights {
        if class == FolderClass::Hidden { Rights::NONE } else { self.rights[class as usize] }
    }

    /// The role with a grant's own word on sending, if it has one: less than the role gives,
    /// or more, since whoever grants says so. `p` follows it, so that MYRIGHTS shows it.
    pub fn sending(&self, send: Option<SendRight>) -> Cow<'_, Self> {
        let Some(send) = send.filter(|send| *send != self.send) else { return Cow::Borrowed(self) };
        let rights = self.rights.map(|rights| match send {
            SendRight::None => rights.without(Rights::POST),
            SendRight::OnBehalf | SendRight::As if rights.is_empty() => rights,
            SendRight::OnBehalf | SendRight::As => rights | Rights::POST,
        });
        Cow::Owned(Self { send, rights, ..self.clone() })
    }

    /// The built-in roles: reader, responder, manager.
    pub fn built_in() -> [Self; 3] {
        [Self::reader(), Self::responder(), Self::manager()]
    }

    /// Sees everything, changes nothing.
    pub fn reader() -> Self {
        Self {
            name: RoleName("reader".into()),
            drafts: DraftScope::Own,
            send: SendRight::None,
            rights: FolderClass::ALL.map(|_| letters("lr")),
        }
    }

    /// Reads, marks, answers as the mailbox; removes nothing but its own drafts.
    pub fn responder() -> Self {
        Self {
            name: RoleName("responder".into()),
            drafts: DraftScope::Own,
            send: SendRight::As,
            rights: FolderClass::ALL.map(|class| match class {
                FolderClass::Drafts => letters("lrswipte"),
                FolderClass::Sent => letters("lrswip"),
                FolderClass::Aggregate => letters("lrp"),
                FolderClass::Inbox
                | FolderClass::Ordinary
                | FolderClass::Trash
                | FolderClass::Archive
                | FolderClass::Junk
                | FolderClass::Hidden => letters("lrswp"),
            }),
        }
    }

    /// What people may do in their own account: everything but give rights
    /// and lose their INBOX. No grant names it.
    pub(super) fn at_home() -> Self {
        Self {
            name: RoleName("owner".into()),
            drafts: DraftScope::Team,
            send: SendRight::As,
            rights: FolderClass::ALL.map(|class| match class {
                FolderClass::Inbox => letters("lrswipkte"),
                FolderClass::Ordinary
                | FolderClass::Drafts
                | FolderClass::Sent
                | FolderClass::Trash
                | FolderClass::Archive
                | FolderClass::Junk
                | FolderClass::Aggregate
                | FolderClass::Hidden => letters("lrswipkxte"),
            }),
        }
    }

    /// What people may do who have no account of their own: look at an empty INBOX, and send
    /// their own mail where a host takes it.
    pub(super) fn nowhere() -> Self {
        Self {
            name: RoleName("nobody".into()),
            drafts: DraftScope::Own,
            send: SendRight::As,
            rights: FolderClass::ALL.map(|class| match class {
                FolderClass::Inbox => letters("lr"),
                FolderClass::Ordinary
                | FolderClass::Drafts
                | FolderClass::Sent
                | FolderClass::Trash
                | FolderClass::Archive
                | FolderClass::Junk
                | FolderClass::Aggregate
                | FolderClass::Hidden => Rights::NONE,
            }),
        }
    }

    /// All that a mailbox's owner would do in a mail client, except giving rights.
    pub fn manager() -> Self {
        Self {
            name: RoleName("manager".into()),
            drafts: DraftScope::Team,
            send: SendRight::As,
            rights: FolderClass::ALL.map(|class| match class {
                FolderClass::Inbox | FolderClass::Archive => letters("lrswipkte"),
                FolderClass::Ordinary => letters("lrswipkxte"),
                FolderClass::Drafts
                | FolderClass::Sent
                | FolderClass::Trash
                | FolderClass::Junk
                | FolderClass::Hidden => letters("lrswipte"),
                FolderClass::Aggregate => letters("lrp"),
            }),
        }
    }
}
