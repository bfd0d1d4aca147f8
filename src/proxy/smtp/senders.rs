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
}

impl Origin {
    pub(super) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mailbox(a), Self::Mailbox(b)) => a.id == b.id,
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
        let address = identity.with_plus_tags(mailbox.options.plus_tags).outgoing(sender);
        let address = address.ok_or_else(|| foreign(sender, Some(mailbox)))?;
        Ok(Bound { origin: Origin::Mailbox(Arc::clone(mailbox)), address })
    }

    /// A personal login: the address says which mailbox is meant. One without a grant, and
    /// one that nobody has, are told the same.
    fn bind_personal(&self, snapshot: &Snapshot, sender: &Path) -> Result<Bound, Answer> {
        let no = || foreign(sender, None);
        let address = sender.address().ok_or_else(no)?;
        let base = || untagged(&address).and_then(|(base, _)| snapshot.holder_of(&base));
        match snapshot.holder_of(&address).or_else(base) {
            Some(AddressHolder::Mailbox(id)) => {
                let held = snapshot.effective(self.user, id, clock::now());
                let mailbox = held.and_then(|_| snapshot.mailbox(id)).ok_or_else(no)?;
                let identity = Identity::personal(addresses(mailbox));
                let address = identity.with_plus_tags(mailbox.options.plus_tags).outgoing(sender);
                Ok(Bound { origin: Origin::Mailbox(Arc::clone(mailbox)), address: address.ok_or_else(no)? })
            }
            Some(AddressHolder::User(id)) if id == self.user => Err(Answer::new(
                550,
                7,
                1,
                "Your own mail does not go through here; use your account at your mail host for it",
            )),
            Some(AddressHolder::User(_)) | None => Err(no()),
        }
    }
}

fn addresses(mailbox: &Mailbox) -> Vec<Address> {
    mailbox.addresses().cloned().collect()
}
