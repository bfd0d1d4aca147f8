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

impl Receipt {
    /// Classes in which a parent is looked for: where answered mail is, and what went out.
    pub const PARENTS: [FolderClass; 3] = [FolderClass::Inbox, FolderClass::Sent, FolderClass::Archive];

    /// Those of them that hold what others wrote: what somebody may only answer lies here. Who
    /// sends also puts messages into Sent, and would answer their own.
    pub const RECEIVED: [FolderClass; 2] = [FolderClass::Inbox, FolderClass::Archive];

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
    /// read by the sender at this moment.
    pub fn may_look_in(effective: &Effective, place: &Place, among: &[FolderClass]) -> bool {
        among.contains(&place.class) && effective.rights_on(place).has(Rights::READ)
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
