//! The store as others see it; what each file does by itself is tested there.

mod crash;
mod decisions;
mod names;
mod recovery;

use std::path::Path;

use super::{NewGrant, NewMailbox, NewUser, Options, Sealer, Settings, Store, StoreError};
use crate::policy::{Holder, Narrowing, RoleName};
use crate::types::{
    Account, Address, Endpoint, LoginName, MailboxId, Security, ShortName, Timestamp, Trust, UserId,
};

fn sealer() -> Sealer {
    Sealer::new(&[3; 32]).unwrap()
}

fn try_open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, sealer(), Settings { cache_capacity: 1 << 20, ..Settings::default() })
}

pub(super) fn open(dir: &Path) -> Store {
    try_open(dir).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn short(text: &str) -> ShortName {
    ShortName::parse(text).unwrap()
}

pub(super) fn user(login: &str, addresses: &[&str]) -> NewUser {
    NewUser {
        login: LoginName::parse(login).unwrap(),
        display: "Alice Example".into(),
        password: None,
        addresses: addresses.iter().map(|text| address(text)).collect(),
    }
}

fn mailbox(name: &str, of: &str, aliases: &[&str]) -> NewMailbox {
    NewMailbox {
        address: address(of),
        aliases: aliases.iter().map(|text| address(text)).collect(),
        short: short(name),
        display: "Example Support".into(),
        owner: None,
        imap: Endpoint {
            host: "imap.example.org".into(),
            port: 993,
            security: Security::Implicit,
            trust: Trust::System,
        },
        imap_account: Account { authcid: of.into(), authzid: None },
        submission: None,
        max_connections: 10,
        pins: Vec::new(),
        separator: Some('/'),
        options: Options::default(),
    }
}

fn grant(holder: Holder, mailbox: MailboxId, role: &str) -> NewGrant {
    NewGrant {
        holder,
        mailbox,
        role: RoleName(role.into()),
        send: None,
        from: None,
        until: None,
        narrowing: Narrowing::default(),
        note: String::new(),
        granted_by: "uid:0".into(),
    }
}

async fn alice_and_support(store: &Store) -> (UserId, MailboxId) {
    let alice = store.add_user(user("alice@example.org", &["alice@example.org"])).await.unwrap();
    let support =
        store.add_mailbox(mailbox("support", "support@example.org", &[]), Vec::new()).await.unwrap();
    (alice, support)
}

const NOW: Timestamp = Timestamp(1_000_000);
