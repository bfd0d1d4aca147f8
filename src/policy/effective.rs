//! What one user holds in one mailbox: the union of the live grants.

use super::{DraftScope, FolderClass, ReadState, Rights, Role, RoleName, SendRight};
use crate::types::{Address, GrantId, LoginName, MailboxId, Timestamp, UserId};

/// Effective rights, as the store's snapshot computes them at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    pub user: UserId,
    pub login: LoginName,
    pub mailbox: MailboxId,
    pub address: Address,
    /// When the set of live grants changes by itself next (a start or an end).
    pub good_until: Option<Timestamp>,
    /// The grants it is made of, for the journal.
    pub grants: Vec<GrantId>,
    roles: Vec<RoleName>,
    standing: Standing,
}

/// What decisions rest on, small enough to keep with a permit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    rights: [Rights; FolderClass::ALL.len()],
    drafts: DraftScope,
    send: SendRight,
    read_state: ReadState,
}

impl Effective {
    /// The union of what `grants` give; `None` if there are none.
    ///
    /// `hides`: the mailbox has a Hidden folder, so an Aggregate would show what is in it
    /// and is hidden too.
    pub fn union<'a>(
        user: (UserId, LoginName),
        mailbox: (MailboxId, Address),
        grants: impl Iterator<Item = (GrantId, &'a Role)>,
        (read_state, hides): (ReadState, bool),
        good_until: Option<Timestamp>,
    ) -> Option<Self> {
        let mut all = Self {
            user: user.0,
            login: user.1,
            mailbox: mailbox.0,
            address: mailbox.1,
            good_until,
            grants: Vec::new(),
            roles: Vec::new(),
            standing: Standing {
                rights: FolderClass::ALL.map(|_| Rights::NONE),
                drafts: DraftScope::Own,
                send: SendRight::None,
                read_state,
            },
        };
        for (id, role) in grants {
            all.add(id, role, hides);
        }
        (!all.grants.is_empty()).then_some(all)
    }

    fn add(&mut self, id: GrantId, role: &Role, hides: bool) {
        self.grants.push(id);
        if !self.roles.contains(&role.name) {
            self.roles.push(role.name.clone());
        }
        let standing = &mut self.standing;
        standing.send = standing.send.max(role.send);
        let deletes = Rights::DELETED | Rights::EXPUNGE;
        if !(role.rights_on(FolderClass::Drafts) & deletes).is_empty() {
            standing.drafts = standing.drafts.max(role.drafts);
        }
        for class in FolderClass::ALL {
            if class != FolderClass::Aggregate || !hides {
                standing.rights[class as usize] = standing.rights[class as usize] | role.rights_on(class);
            }
        }
    }

    pub fn rights_on(&self, class: FolderClass) -> Rights {
        self.standing.rights[class as usize]
    }

    /// The same on a host that removes what is marked `\Deleted` at once: `t` is nothing
    /// without `e` there.
    #[must_use]
    pub fn where_deleted_is_final(mut self) -> Self {
        for rights in &mut self.standing.rights {
            if !rights.has(Rights::EXPUNGE) {
                *rights = rights.without(Rights::DELETED);
            }
        }
        self
    }

    /// How the user may send mail from the mailbox.
    pub fn send(&self) -> SendRight {
        self.standing.send
    }

    /// Whose `\Seen` the mailbox's folders show.
    pub fn read_state(&self) -> ReadState {
        self.standing.read_state
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether folders of this class exist for the user at all (invariant 11).
    pub fn sees(&self, class: FolderClass) -> bool {
        let rights = self.rights_on(class);
        rights.has(Rights::LOOKUP) || rights.has(Rights::READ)
    }

    /// Rights on the top of the hierarchy: those on an ordinary folder.
    pub fn rights_on_root(&self) -> Rights {
        self.rights_on(FolderClass::Ordinary)
    }

    /// Whether `t` and `e` in this class reach only the user's own messages.
    pub fn only_own(&self, class: FolderClass) -> bool {
        class == FolderClass::Drafts && self.standing.drafts == DraftScope::Own
    }

    /// The role names, for sentences and the journal: `reader` or `reader+responder`.
    pub fn role_text(&self) -> String {
        self.roles.iter().map(|role| role.0.as_str()).collect::<Vec<_>>().join("+")
    }

    /// Whether a session decided under `self` must be told of `other`.
    pub fn same_rights(&self, other: &Self) -> bool {
        self.standing == other.standing
    }
}
