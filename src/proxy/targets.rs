//! Which host, account and password a mailbox has now; a new generation when any changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::store::{OwnLogin, Purpose, Store, StoreError};
use crate::types::{MailboxId, Secret, UserId};
use crate::upstream::Target;

/// The targets of all mailboxes that were asked for.
#[derive(Default)]
pub struct Targets {
    known: Mutex<HashMap<MailboxId, Known>>,
    /// The highest generation given out.
    generations: AtomicU64,
}

struct Known {
    target: Target,
    /// The password was typed at a login, and is nowhere else.
    typed: bool,
}

impl Targets {
    /// What is needed to reach a mailbox's host, as the store has it at this moment. `typed`:
    /// the password of the login at hand, which opens that person's own account alone, and
    /// only where it is passed through.
    ///
    /// # Errors
    /// There is no such mailbox or no credential, or it cannot be opened.
    pub fn of(
        &self,
        store: &Store,
        mailbox: MailboxId,
        typed: Option<&Secret>,
    ) -> Result<Target, StoreError> {
        let (mut target, typed) = match mailbox.home_user() {
            Some(user) => own(store, user, typed)?,
            None => (shared(store, mailbox)?, false),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        target.generation = match known.get(&mailbox) {
            Some(before) if same_account(&before.target, &target) => before.target.generation,
            // Never one that was given out before: connections are told apart by it.
            Some(_) | None => self.generations.fetch_add(1, Ordering::Relaxed) + 1,
        };
        known.insert(mailbox, Known { target: target.clone(), typed });
        Ok(target)
    }

    /// People's own accounts, and whether they are known by a password that was typed.
    pub fn homes(&self) -> Vec<(MailboxId, bool)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let homes = known.iter().filter(|(mailbox, _)| mailbox.home_user().is_some());
        homes.map(|(home, known)| (*home, known.typed)).collect()
    }

    /// Nobody is using the mailbox for now: a password that was typed is not kept.
    pub fn forget(&self, mailbox: MailboxId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&mailbox);
    }
}

fn shared(store: &Store, mailbox: MailboxId) -> Result<Target, StoreError> {
    let snapshot = store.snapshot();
    let Some(record) = snapshot.mailbox(mailbox) else {
        return Err(StoreError::Unknown(format!("there is no mailbox {mailbox}")));
    };
    Ok(Target {
        mailbox,
        generation: 0,
        endpoint: record.imap.clone(),
        account: record.imap_account.clone(),
        password: store.credential(mailbox, Purpose::Imap)?,
        max_connections: record.max_connections,
    })
}

/// A person's own account, and whether its password was typed.
fn own(store: &Store, user: UserId, typed: Option<&Secret>) -> Result<(Target, bool), StoreError> {
    let snapshot = store.snapshot();
    let none = |what: &str| StoreError::Unknown(format!("{user} has no {what}"));
    let personal = snapshot.personal(user).ok_or_else(|| none("account upstream"))?;
    let mailbox = MailboxId::home_of(user);
    let (account, password, is_typed) = match &personal.imap.login {
        OwnLogin::PassThrough(account) => {
            (account, typed.cloned().ok_or_else(|| none("password at hand"))?, true)
        }
        OwnLogin::Stored(account) => (account, store.credential(mailbox, Purpose::Imap)?, false),
        OwnLogin::Relay => return Err(none("login upstream")),
    };
    let target = Target {
        mailbox,
        generation: 0,
        endpoint: personal.imap.endpoint.clone(),
        account: account.clone(),
        password,
        max_connections: personal.max_connections,
    };
    Ok((target, is_typed))
}

/// Whether connections made for one serve the other. Neither password comes from a client:
/// comparing them takes no care about time.
fn same_account(a: &Target, b: &Target) -> bool {
    a.endpoint == b.endpoint && a.account == b.account && a.password.expose() == b.password.expose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, NewUser, OwnHost, Personal, Sealer};
    use crate::types::{Account, Endpoint, LoginName, Security, Trust};

    #[tokio::test]
    async fn it_is_known_which_passwords_were_typed() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(&[3; 32]).unwrap();
        let store = Store::open(&dir.path().join("store"), sealer, store::Settings::default()).unwrap();
        let login = LoginName::parse("alice@example.org").unwrap();
        let new = NewUser { login, display: String::new(), password: None, addresses: Vec::new() };
        let alice = store.add_user(new).await.unwrap();
        let (targets, typed) = (Targets::default(), Secret::new("typed"));
        let home = MailboxId::home_of(alice);
        let stored = vec![(Purpose::Imap, Secret::new("stored"))];
        for (own, credentials, is_typed) in [
            (OwnLogin::PassThrough as fn(Account) -> OwnLogin, Vec::new(), true),
            (OwnLogin::Stored, stored, false),
        ] {
            let account = Account { authcid: "alice".to_owned(), authzid: None };
            let endpoint = Endpoint {
                host: "localhost".to_owned(),
                port: 993,
                security: Security::Implicit,
                trust: Trust::System,
            };
            let imap = OwnHost { endpoint, login: own(account) };
            let personal = Personal { imap, submission: None, max_connections: 10 };
            store.set_personal(alice, Some(personal), credentials).await.unwrap();
            targets.of(&store, home, Some(&typed)).unwrap();
            assert_eq!(targets.homes(), [(home, is_typed)]);
        }
        targets.forget(home);
        assert_eq!(targets.homes(), []);
    }
}
