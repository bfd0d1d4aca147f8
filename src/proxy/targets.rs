//! Which host, account and password a mailbox has now; a new generation when any changes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::store::{Purpose, Store, StoreError};
use crate::types::MailboxId;
use crate::upstream::Target;

/// The targets of all mailboxes that were asked for.
#[derive(Default)]
pub struct Targets(Mutex<HashMap<MailboxId, Target>>);

impl Targets {
    /// What is needed to reach a mailbox's host, as the store has it at this moment.
    ///
    /// # Errors
    /// There is no such mailbox or no credential, or it cannot be opened.
    pub fn of(&self, store: &Store, mailbox: MailboxId) -> Result<Target, StoreError> {
        let snapshot = store.snapshot();
        let Some(record) = snapshot.mailbox(mailbox) else {
            return Err(StoreError::Unknown(format!("there is no mailbox {mailbox}")));
        };
        let mut target = Target {
            mailbox,
            generation: 1,
            endpoint: record.imap.clone(),
            account: record.imap_account.clone(),
            password: store.credential(mailbox, Purpose::Imap)?,
            max_connections: record.max_connections,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = known.get(&mailbox) {
            target.generation = before.generation + u64::from(!same_account(before, &target));
        }
        known.insert(mailbox, target.clone());
        Ok(target)
    }
}

/// Whether connections made for one serve the other. Neither password comes from a client:
/// comparing them takes no care about time.
fn same_account(a: &Target, b: &Target) -> bool {
    a.endpoint == b.endpoint && a.account == b.account && a.password.expose() == b.password.expose()
}
