//! As whom a message goes out: what the address of MAIL, and later that of From, stands for.

use std::sync::Arc;

use super::session::Session;
use super::transaction::foreign;
use crate::proxy::clock;
use crate::smtp::{Answer, Identity, Path, identity::untagged};
use crate::store::{AddressHolder, Mailbox, Snapshot, User};
use crate::types::{Address, MailboxId};

/// Whose message it is, and so whose submission host takes it.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Mailbox(Arc<Mailbox>),
    /// The person themselves.
    Own(Arc<User>),
}

impl Origin {
    /// The shared mailbox that it goes out from; none for a person's own mail.
    pub(super) fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox),
            Self::Own(_) => None,
        }
    }

    /// The mailbox's number, or that of the person's home.
    pub(super) fn id(&self) -> MailboxId {
        match self {
            Self::Mailbox(mailbox) => mailbox.id,
            Self::Own(user) => MailboxId::home_of(user.id),
        }
    }

    /// Whose it is, for a sentence.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Mailbox(mailbox) => mailbox.address.to_string(),
            Self::Own(_) => "your own account".to_owned(),
        }
    }
}

/// A sender that may be: whose it is, and the address that goes out.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) origin: Origin,
    pub(super) address: Address,
}

impl Session<'_> {
    /// What an address stands for in this session. Whether it may send is policy's to say.
    pub(super) fn bind(&self, sender: &Path) -> Result<Bound, Answer> {
        let snapshot = self.services.store.snapshot();
        match self.mailbox {
            Some(id) => self.bind_account(&snapshot, id, sender),
            None => self.bind_personal(&snapshot, sender),
        }
    }

    /// The login is the mailbox: its addresses are kept, the person's are replaced.
    fn bind_account(&self, snapshot: &Snapshot, id: MailboxId, sender: &Path) -> Result<Bound, Answer> {
        let mailbox = snapshot.mailbox(id).ok_or_else(|| foreign(sender, None))?;
        let person = snapshot.user(self.user).map(|user: &Arc<User>| user.addresses.clone());
        let logins = vec![self.typed.clone(), self.login.as_str().to_owned()];
        let identity = Identity::account(addresses(mailbox), person.unwrap_or_default(), logins);
        // A tag is the mailbox's to give only where nobody has that very address.
        let held = sender.address().is_some_and(|address| holder(snapshot, &address).is_some());
        let address = identity.with_plus_tags(mailbox.options.plus_tags && !held).outgoing(sender);
        let address = address.ok_or_else(|| foreign(sender, Some(mailbox)))?;
        Ok(Bound { origin: Origin::Mailbox(Arc::clone(mailbox)), address })
    }

    /// A personal login: the address says which mailbox is meant. One without a grant, and
    /// one that nobody has, are told the same.
    fn bind_personal(&self, snapshot: &Snapshot, sender: &Path) -> Result<Bound, Answer> {
        let no = || foreign(sender, None);
        let address = sender.address().ok_or_else(no)?;
        let base = || untagged(&address).and_then(|(base, _)| snapshot.holder_of(&base));
        match holder(snapshot, &address).or_else(base) {
            Some(AddressHolder::Mailbox(id)) => {
                let held = snapshot.effective(self.user, id, clock::now());
                let mailbox = held.and_then(|_| snapshot.mailbox(id)).ok_or_else(no)?;
                let identity = Identity::personal(addresses(mailbox));
                let address = identity.with_plus_tags(mailbox.options.plus_tags).outgoing(sender);
                Ok(Bound { origin: Origin::Mailbox(Arc::clone(mailbox)), address: address.ok_or_else(no)? })
            }
            Some(AddressHolder::User(id)) if id == self.user => {
                let user = snapshot.user(id).ok_or_else(no)?;
                // One of the person's own, as it is configured; no tag of it.
                let address = user.addresses.iter().find(|own| **own == address).ok_or_else(no)?;
                Ok(Bound { origin: Origin::Own(Arc::clone(user)), address: address.clone() })
            }
            Some(AddressHolder::User(_)) | None => Err(no()),
        }
    }
}

/// Whose address it is; a login name is its user's, too.
fn holder(snapshot: &Snapshot, address: &Address) -> Option<AddressHolder> {
    let by_login = || snapshot.find_user(&address.to_string()).map(|user| AddressHolder::User(user.id));
    snapshot.holder_of(address).or_else(by_login)
}

fn addresses(mailbox: &Mailbox) -> Vec<Address> {
    mailbox.addresses().cloned().collect()
}
