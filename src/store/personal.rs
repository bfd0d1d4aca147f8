//! A person's own account upstream: what the combined view shows at the top.

use serde::{Deserialize, Serialize};

use super::record::User;
use super::sealed::{Identity, Purpose, Sealed};
use super::tables::Draft;
use super::{Snapshot, Store, StoreError};
use crate::types::{Account, Endpoint, MailboxId, Secret, UserId};

/// Where a person's own mail is. It belongs to that person alone: no grant reaches it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Personal {
    pub imap: OwnHost,
    /// Where the person's own mail is submitted.
    pub submission: Option<OwnHost>,
    /// How many IMAP connections the host allows for this account.
    pub max_connections: u16,
}

/// One host of a person's, and how we log in there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OwnHost {
    pub endpoint: Endpoint,
    pub login: OwnLogin,
}

/// As whom we log in for a person, and with which password.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnLogin {
    /// With the password that the person has just logged in with here.
    PassThrough(Account),
    /// With a sealed one: the account's own, or that of a master user whom the account names.
    Stored(Account),
    /// Not at all: a relay for submission.
    Relay,
}

impl OwnLogin {
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::PassThrough(account) | Self::Stored(account) => Some(account),
            Self::Relay => None,
        }
    }
}

impl Personal {
    pub fn host(&self, purpose: Purpose) -> Option<&OwnHost> {
        match purpose {
            Purpose::Imap => Some(&self.imap),
            Purpose::Smtp => self.submission.as_ref(),
        }
    }

    /// What a credential of `user`'s own host is sealed for.
    pub(super) fn identity(&self, user: UserId, purpose: Purpose) -> Option<Identity<'_>> {
        let host = self.host(purpose)?;
        Some(Identity { mailbox: MailboxId::home_of(user), purpose, endpoint: &host.endpoint })
    }
}

impl Snapshot {
    /// The person's own account upstream.
    pub fn personal(&self, user: UserId) -> Option<&Personal> {
        self.tables.personals.get(&user).map(AsRef::as_ref)
    }
}

impl Store {
    /// Sets a person's own account with the passwords that are to be stored, in place of what
    /// was there; `None` takes it away.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a password is given or missing against what the account says.
    pub async fn set_personal(
        &self,
        user: UserId,
        personal: Option<Personal>,
        credentials: Vec<(Purpose, Secret)>,
    ) -> Result<(), StoreError> {
        let shared = self.shared();
        self.change(move |draft| {
            if draft.find::<User>(&user).is_none() {
                return Err(StoreError::Unknown(format!("there is no user {user}")));
            }
            draft.remove_personal(user);
            let Some(personal) = personal else { return Ok(()) };
            check(&personal, &credentials)?;
            for (purpose, secret) in &credentials {
                let Some(identity) = personal.identity(user, *purpose) else { continue };
                let sealed = shared.sealer.seal(&identity, secret)?;
                draft.put((MailboxId::home_of(user), *purpose), sealed);
            }
            draft.put(user, personal);
            Ok(())
        })
        .await
    }
}

impl Draft {
    pub(super) fn remove_personal(&mut self, user: UserId) {
        let home = MailboxId::home_of(user);
        self.remove_where::<Sealed>(|(mailbox, _), _| *mailbox == home);
        self.remove::<Personal>(&user);
    }
}

/// A password is stored for exactly those hosts that say so.
fn check(personal: &Personal, credentials: &[(Purpose, Secret)]) -> Result<(), StoreError> {
    let refuse = |sentence: &str| Err(StoreError::Refused(sentence.to_owned()));
    if personal.max_connections < 2 {
        return refuse("an account needs at least 2 connections: one is the proxy's own");
    }
    if personal.imap.login == OwnLogin::Relay {
        return refuse("nobody reads mail without a login");
    }
    for purpose in [Purpose::Imap, Purpose::Smtp] {
        let stored = personal.host(purpose).is_some_and(|host| matches!(host.login, OwnLogin::Stored(_)));
        if stored != credentials.iter().any(|(of, _)| *of == purpose) {
            return refuse("a password is stored where the account says so, and nowhere else");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{OwnHost, OwnLogin, Personal};
    use crate::store::tests::{open, user};
    use crate::store::{Purpose, Store, StoreError};
    use crate::types::{Account, Endpoint, MailboxId, Secret, Security, Trust, UserId};

    fn host(login: fn(Account) -> OwnLogin) -> OwnHost {
        let account = Account { authcid: "alice*master".into(), authzid: None };
        let endpoint = Endpoint {
            host: "imap.example.org".into(),
            port: 993,
            security: Security::Implicit,
            trust: Trust::System,
        };
        OwnHost { endpoint, login: login(account) }
    }

    async fn add(store: &Store, login: &str) -> UserId {
        store.add_user(user(login, &[])).await.unwrap()
    }

    fn personal(login: fn(Account) -> OwnLogin) -> Personal {
        Personal { imap: host(login), submission: None, max_connections: 10 }
    }

    #[tokio::test]
    async fn an_own_password_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (alice, bob) = (add(&store, "alice").await, add(&store, "bob").await);
        let secret = || vec![(Purpose::Imap, Secret::new("hunter2"))];
        store.set_personal(alice, Some(personal(OwnLogin::Stored)), secret()).await.unwrap();
        let opened = store.credential(MailboxId::home_of(alice), Purpose::Imap).unwrap();
        assert_eq!(opened.expose(), b"hunter2");
        assert!(!store.export().contains("hunter2"));
        assert!(store.credential(MailboxId::home_of(bob), Purpose::Imap).is_err());

        let now = crate::types::Timestamp(0);
        let snapshot = store.snapshot();
        assert!(snapshot.effective(alice, MailboxId::home_of(alice), now).is_some());
        assert!(snapshot.effective(bob, MailboxId::home_of(alice), now).is_none());

        // Taken away, nothing of it stays; and it comes back from an export.
        let export = store.export();
        store.set_personal(alice, None, Vec::new()).await.unwrap();
        assert!(store.snapshot().personal(alice).is_none());
        assert!(!store.export().contains("credential"));
        store.apply(&export, true).await.unwrap();
        assert_eq!(store.snapshot().personal(alice), Some(&personal(OwnLogin::Stored)));
        store.credential(MailboxId::home_of(alice), Purpose::Imap).unwrap();
        store.remove_user(alice).await.unwrap();
        assert!(!store.export().contains("credential"));
    }

    #[tokio::test]
    async fn a_password_is_stored_where_the_account_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let alice = add(&store, "alice").await;
        let secret = vec![(Purpose::Imap, Secret::new("hunter2"))];
        for (login, credentials) in
            [(OwnLogin::Stored as fn(Account) -> OwnLogin, Vec::new()), (OwnLogin::PassThrough, secret)]
        {
            let set = store.set_personal(alice, Some(personal(login)), credentials).await;
            assert!(matches!(set, Err(StoreError::Refused(_))), "{set:?}");
        }
        store.set_personal(alice, Some(personal(OwnLogin::PassThrough)), Vec::new()).await.unwrap();
    }
}
