//! What a message that went out entitles the daemon to, when nobody is logged in any more.

use serde::{Deserialize, Serialize};

use super::plan::{Mark, Step, StepKind};
use super::{Effective, FolderClass, Place, Rights};
use crate::types::{MailboxId, UserId};

/// That a user was permitted to send from a mailbox, kept with the message until its copy is
/// filed and its parent marked (invariant 1: both are permits of the submission).
///
/// Made of the permitted step only, and read back from the records of our own that hold it. The rest of
/// a submission goes on under the rights of its moment: who loses the mailbox an hour later
/// has still sent the message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    user: UserId,
    mailbox: MailboxId,
}

/// Among which messages a parent is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Among {
    /// Where answered mail is, and what went out.
    All,
    /// What others wrote: what somebody may only answer. Whoever sends puts messages into Sent,
    /// and with a role of its own (`i`) into other folders, and would answer their own.
    FromOthers,
}

impl Among {
    /// The classes of folders, the likeliest first.
    pub fn classes(self) -> &'static [FolderClass] {
        match self {
            Self::All => &[FolderClass::Inbox, FolderClass::Sent, FolderClass::Archive],
            Self::FromOthers => &[FolderClass::Inbox, FolderClass::Archive],
        }
    }
}

impl Receipt {
    /// `None` for a step of another kind.
    pub fn of(step: &Step, effective: &Effective) -> Option<Self> {
        let StepKind::Submit { .. } = step.kind() else { return None };
        Some(Self { user: effective.user, mailbox: effective.mailbox })
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Whether a parent may be looked for in this folder: of one of the classes `among`, and
    /// read by the sender at this moment. Where only what others wrote counts, nobody may have
    /// put it there who could have been the sender.
    pub fn may_look_in(effective: &Effective, place: &Place, among: Among) -> bool {
        let rights = effective.rights_on(place);
        let from_others = match among {
            Among::All => true,
            Among::FromOthers => !rights.has(Rights::INSERT),
        };
        among.classes().contains(&place.class) && rights.has(Rights::READ) && from_others
    }

    /// Leave to file the copy.
    pub fn file(&self) -> Step {
        Step::of_receipt(StepKind::File)
    }

    /// Leave to mark the parent.
    pub fn mark(&self, mark: Mark) -> Step {
        Step::of_receipt(StepKind::Parent(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{DraftScope, Ground, Held, Role, RoleName, SendRight};
    use crate::types::{Address, GrantId, LoginName};

    fn looks_in(role: &Role, class: FolderClass, among: Among) -> bool {
        let user = (UserId(1), LoginName::parse("bob@example.org").unwrap());
        let mailbox = (MailboxId(1), Address::parse("support@example.org").unwrap());
        let held = std::iter::once(Held::whole(GrantId(1), role));
        let effective = Effective::union(user, mailbox, held, Ground::default(), None).unwrap();
        Receipt::may_look_in(&effective, &Place::of(class), among)
    }

    #[test]
    fn who_can_put_a_message_there_does_not_answer_it() {
        let responder = Role::responder();
        let rights = FolderClass::ALL.map(|class| match class {
            FolderClass::Archive => responder.rights_on(FolderClass::Sent),
            other => responder.rights_on(other),
        });
        let files = Role::new(RoleName("files".into()), rights, DraftScope::Own, SendRight::As);
        for (role, class, all, from_others) in [
            (&responder, FolderClass::Inbox, true, true),
            (&responder, FolderClass::Archive, true, true),
            (&responder, FolderClass::Sent, true, false),
            (&responder, FolderClass::Trash, false, false),
            (&files, FolderClass::Inbox, true, true),
            (&files, FolderClass::Archive, true, false),
        ] {
            let found = [Among::All, Among::FromOthers].map(|among| looks_in(role, class, among));
            assert_eq!(found, [all, from_others], "{} {class:?}", role.name);
        }
    }
}
