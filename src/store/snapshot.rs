//! The picture that decisions are made from: immutable, in memory, never the disk.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::StoreError;
use super::marks::{Marks, MarksOf};
use super::record::{Group, Mailbox, OwnDrafts, Subscriptions, User};
use super::sent::Sent;
use super::tables::Tables;
use crate::policy::{Effective, FolderClass, Grant, Held, Holder, Place, Role, RoleName};
use crate::types::{
    Address, FolderName, GrantId, GroupId, LoginName, MailboxId, ShortName, Timestamp, UidSet, UidValidity,
    UserId,
};

/// Who holds an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressHolder {
    User(UserId),
    Mailbox(MailboxId),
}

/// Why a name leads to no mailbox. Towards a client both are one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LookupError {
    Unknown,
    /// The name is one mailbox's short name and, in the user's domain, another's address.
    Ambiguous,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no mailbox has this name",
            Self::Ambiguous => "two mailboxes may be meant; write the whole address",
        })
    }
}

impl std::error::Error for LookupError {}

/// All records at one moment.
#[derive(Debug)]
pub struct Snapshot {
    version: u64,
    pub(super) tables: Tables,
    pub(super) index: Arc<Index>,
    roles: Arc<Vec<Role>>,
}

/// Ways into the tables. That it could be built proves that every name and address
/// has one holder and one reading.
#[derive(Debug, Default)]
pub(super) struct Index {
    logins: HashMap<LoginName, UserId>,
    addresses: HashMap<Address, AddressHolder>,
    shorts: HashMap<ShortName, MailboxId>,
    group_names: HashMap<ShortName, GroupId>,
    groups_of: HashMap<UserId, Vec<GroupId>>,
    grants_on: HashMap<MailboxId, Vec<GrantId>>,
    grants_of: HashMap<Holder, Vec<GrantId>>,
}

impl Snapshot {
    pub(super) fn new(version: u64, tables: Tables, index: Arc<Index>, roles: Arc<Vec<Role>>) -> Self {
        Self { version, tables, index, roles }
    }

    pub(super) fn shared_roles(&self) -> Arc<Vec<Role>> {
        Arc::clone(&self.roles)
    }

    /// Counts the changes that may alter a decision; what [`super::Store::changes`] announces.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.tables.users.get(&id)
    }

    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.tables.users.values()
    }

    pub fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.tables.groups.get(&id)
    }

    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.tables.groups.values()
    }

    pub fn find_group(&self, name: &str) -> Option<&Arc<Group>> {
        let name = ShortName::parse(name).ok()?;
        self.group(*self.index.group_names.get(&name)?)
    }

    /// The groups that `user` is a member of.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Group>> {
        self.index.groups_of.get(&user).into_iter().flatten().filter_map(|id| self.group(*id))
    }

    pub fn mailbox(&self, id: MailboxId) -> Option<&Arc<Mailbox>> {
        self.tables.mailboxes.get(&id)
    }

    pub fn mailboxes(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.tables.mailboxes.values()
    }

    pub fn grant(&self, id: GrantId) -> Option<&Arc<Grant>> {
        self.tables.grants.get(&id)
    }

    pub fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.tables.grants.values()
    }

    /// All grants on a mailbox, live or not.
    pub fn grants_on(&self, mailbox: MailboxId) -> impl Iterator<Item = &Arc<Grant>> {
        self.index.grants_on.get(&mailbox).into_iter().flatten().filter_map(|id| self.grant(*id))
    }

    /// All grants that reach a user, by name or through a group, live or not.
    pub fn grants_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Grant>> {
        let groups = self.index.groups_of.get(&user).into_iter().flatten().map(|id| Holder::Group(*id));
        let holders = std::iter::once(Holder::User(user)).chain(groups);
        let ids = holders.filter_map(|holder| self.index.grants_of.get(&holder)).flatten();
        ids.filter_map(|id| self.grant(*id))
    }

    pub fn holder_of(&self, address: &Address) -> Option<AddressHolder> {
        self.index.addresses.get(address).copied()
    }

    /// The user with this login name or own address.
    pub fn find_user(&self, name: &str) -> Option<&Arc<User>> {
        let login = LoginName::parse(name).ok()?;
        if let Some(id) = self.index.logins.get(&login) {
            return self.user(*id);
        }
        match self.holder_of(&Address::parse(name).ok()?)? {
            AddressHolder::User(id) => self.user(id),
            AddressHolder::Mailbox(_) => None,
        }
    }

    /// The mailbox meant by `name`: an address or alias if it has an `@`; else a short
    /// name, or a local part in `domain` (the user's own, see [`User::domain`]).
    pub fn find_mailbox(&self, name: &str, domain: Option<&str>) -> Result<&Arc<Mailbox>, LookupError> {
        if name.contains('@') {
            return self.mailbox_of(name).ok_or(LookupError::Unknown);
        }
        let short = ShortName::parse(name).ok().and_then(|short| self.index.shorts.get(&short));
        let short = short.and_then(|id| self.mailbox(*id));
        let local = domain.and_then(|domain| self.mailbox_of(&format!("{name}@{domain}")));
        match (short, local) {
            (Some(short), Some(local)) if short.id != local.id => Err(LookupError::Ambiguous),
            (Some(mailbox), _) | (None, Some(mailbox)) => Ok(mailbox),
            (None, None) => Err(LookupError::Unknown),
        }
    }

    fn mailbox_of(&self, address: &str) -> Option<&Arc<Mailbox>> {
        match self.holder_of(&Address::parse(address).ok()?)? {
            AddressHolder::Mailbox(id) => self.mailbox(id),
            AddressHolder::User(_) => None,
        }
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == *name)
    }

    /// What `user` holds in `mailbox` at `now`: everything at home, else the union of the live grants to the user
    /// and to the user's groups. `None`: nothing, or disabled. A grant of a role that is
    /// configured no more gives nothing.
    pub fn effective(&self, user: UserId, mailbox: MailboxId, now: Timestamp) -> Option<Effective> {
        let user = self.user(user).filter(|user| !user.disabled)?;
        if let Some(owner) = mailbox.home_user() {
            return (owner == user.id).then(|| self.at_home(user));
        }
        let mailbox = self.mailbox(mailbox)?;
        let mine = || self.grants_of(user.id).filter(|grant| grant.mailbox == mailbox.id);
        let live = mine().filter(|grant| grant.is_live(now));
        let good_until = mine().filter_map(|grant| grant.next_change(now)).min();
        Effective::union(
            (user.id, user.login.clone()),
            (mailbox.id, mailbox.address.clone()),
            live.filter_map(|grant| {
                let role = self.role(&grant.role)?.sending(grant.send);
                Some(Held { id: grant.id, role, narrowing: &grant.narrowing })
            }),
            mailbox.ground(),
            good_until,
        )
        .map(|effective| effective.answering_only(mailbox.options.reply_only))
        .map(|effective| effective.where_deleted_is_final(mailbox.options.deleted_is_final))
    }

    /// In their own account people may do everything; where they have none, they see an INBOX.
    fn at_home(&self, user: &User) -> Effective {
        let whose = (user.id, user.login.clone());
        Effective::at_home(whose, user.home_address(), self.personal(user.id).is_some())
    }

    /// [`Mailbox::place_of`]; Hidden if the mailbox is gone. At home folders differ in
    /// nothing that policy asks for.
    pub fn place_of(&self, mailbox: MailboxId, folder: &FolderName) -> Place {
        if mailbox.home_user().is_some() {
            return Place::of(if folder.is_inbox() { FolderClass::Inbox } else { FolderClass::Ordinary });
        }
        let gone = || Place::of(FolderClass::Hidden);
        self.mailbox(mailbox).map_or_else(gone, |mailbox| mailbox.place_of(folder))
    }

    /// Whether a grant on the mailbox, live or not, is for some folders only: new folders
    /// are pinned then, so that it can reach them.
    pub fn narrows(&self, mailbox: MailboxId) -> bool {
        self.grants_on(mailbox).any(|grant| !grant.narrowing.is_none())
    }

    /// What the user said about subscriptions in the mailbox; nothing at first.
    pub fn subscriptions(&self, user: UserId, mailbox: MailboxId) -> Arc<Subscriptions> {
        self.tables.subscriptions.get(&(user, mailbox)).cloned().unwrap_or_default()
    }

    /// What the user has marked in a folder for nobody else.
    pub fn marks(&self, of: &MarksOf) -> Option<&Arc<Marks>> {
        let marks = self.tables.marks.get(&(of.user, (of.mailbox, of.folder.clone())))?;
        (marks.validity() == of.validity).then_some(marks)
    }

    /// What the user has sent as the mailbox of late.
    pub fn sent(&self, user: UserId, mailbox: MailboxId) -> Arc<Sent> {
        self.tables.sent.get(&(user, mailbox)).cloned().unwrap_or_default()
    }

    /// The user's own drafts in a folder, by the list of docs/rights.md, "Own drafts".
    pub fn own_drafts(
        &self,
        user: UserId,
        mailbox: MailboxId,
        folder: &FolderName,
        validity: UidValidity,
    ) -> UidSet {
        let drafts: Option<&Arc<OwnDrafts>> = self.tables.drafts.get(&(user, mailbox));
        drafts.and_then(|drafts| drafts.uids(folder, validity)).cloned().unwrap_or_default()
    }
}

impl Index {
    /// Refuses the tables with a sentence if a name or address has two holders or readings.
    pub(super) fn build(tables: &Tables) -> Result<Self, StoreError> {
        let mut index = Self::default();
        for user in tables.users.values() {
            index.add_user(tables, user)?;
        }
        for mailbox in tables.mailboxes.values() {
            index.add_mailbox(tables, mailbox)?;
        }
        for group in tables.groups.values() {
            index.add_group(tables, group)?;
        }
        for grant in tables.grants.values() {
            index.add_grant(tables, grant)?;
        }
        index.check_readings(tables)?;
        Ok(index)
    }

    fn add_user(&mut self, tables: &Tables, user: &User) -> Result<(), StoreError> {
        if let Some(other) = self.logins.insert(user.login.clone(), user.id) {
            return conflict(format!("{} is the login name of {other} already", user.login));
        }
        for address in &user.addresses {
            self.hold(tables, address, AddressHolder::User(user.id))?;
        }
        Ok(())
    }

    fn add_mailbox(&mut self, tables: &Tables, mailbox: &Mailbox) -> Result<(), StoreError> {
        if mailbox.short.as_str().contains('@') {
            return conflict(format!("the short name {} must not contain @", mailbox.short));
        }
        let other = self.shorts.insert(mailbox.short.clone(), mailbox.id);
        if let Some(other) = other.and_then(|other| tables.mailboxes.get(&other)) {
            let Mailbox { short, address, .. } = mailbox;
            return conflict(format!(
                "{short} would be the short name of both {} and {address}",
                other.address
            ));
        }
        for address in mailbox.addresses() {
            self.hold(tables, address, AddressHolder::Mailbox(mailbox.id))?;
        }
        if let Some(owner) = mailbox.owner.filter(|owner| !tables.users.contains_key(owner)) {
            return conflict(format!(
                "mailbox {} names an owner {owner} who does not exist",
                mailbox.address
            ));
        }
        Ok(())
    }

    fn hold(&mut self, tables: &Tables, address: &Address, holder: AddressHolder) -> Result<(), StoreError> {
        let name = |holder| match holder {
            AddressHolder::User(id) => {
                tables.users.get(&id).map(|user| format!("user {}", user.login)).unwrap_or_default()
            }
            AddressHolder::Mailbox(id) => tables
                .mailboxes
                .get(&id)
                .map(|mailbox| format!("mailbox {}", mailbox.address))
                .unwrap_or_default(),
        };
        match self.addresses.insert(address.clone(), holder) {
            None => Ok(()),
            Some(other) if other == holder => {
                conflict(format!("{address} is given twice for {}", name(holder)))
            }
            Some(other) => {
                conflict(format!("{address} would belong to both {} and {}", name(other), name(holder)))
            }
        }
    }

    fn add_group(&mut self, tables: &Tables, group: &Group) -> Result<(), StoreError> {
        if group.name.as_str().contains('@') {
            return conflict(format!("the group name {} must not contain @", group.name));
        }
        if self.group_names.insert(group.name.clone(), group.id).is_some() {
            return conflict(format!("there is a group {} already", group.name));
        }
        if self.is_login(group.name.as_str()) {
            return conflict(format!(
                "{} is a user's login name: a grant to it could mean either",
                group.name
            ));
        }
        for member in &group.members {
            if !tables.users.contains_key(member) {
                return conflict(format!("group {} names a member {member} who does not exist", group.name));
            }
            self.groups_of.entry(*member).or_default().push(group.id);
        }
        Ok(())
    }

    fn add_grant(&mut self, tables: &Tables, grant: &Grant) -> Result<(), StoreError> {
        let holder = match grant.holder {
            Holder::User(id) => tables.users.contains_key(&id),
            Holder::Group(id) => tables.groups.contains_key(&id),
        };
        if !holder || !tables.mailboxes.contains_key(&grant.mailbox) {
            return conflict(format!("grant {} names a holder or mailbox that does not exist", grant.id));
        }
        self.grants_on.entry(grant.mailbox).or_default().push(grant.id);
        self.grants_of.entry(grant.holder).or_default().push(grant.id);
        Ok(())
    }

    /// A text that a person logs in with, or names a mailbox by, must mean one thing.
    fn check_readings(&self, tables: &Tables) -> Result<(), StoreError> {
        for user in tables.users.values() {
            let login = user.login.as_str();
            let holder = Address::parse(login).ok().and_then(|address| self.addresses.get(&address));
            if holder.is_some_and(|holder| *holder != AddressHolder::User(user.id)) {
                return conflict(format!(
                    "the login name {login} is the address of somebody else or of a mailbox"
                ));
            }
        }
        for mailbox in tables.mailboxes.values() {
            let short = &mailbox.short;
            if self.is_login(short.as_str()) {
                return conflict(format!(
                    "{short} is a user's login name: a login with it could mean either"
                ));
            }
            let domains = mailbox.addresses().map(Address::domain);
            let readings = domains.filter_map(|domain| Address::parse(&format!("{short}@{domain}")).ok());
            for address in readings {
                match self.addresses.get(&address) {
                    Some(AddressHolder::Mailbox(id)) if *id != mailbox.id => {
                        return conflict(format!(
                            "the short name {short} of mailbox {} could also mean {address}",
                            mailbox.address
                        ));
                    }
                    Some(AddressHolder::Mailbox(_) | AddressHolder::User(_)) | None => {}
                }
            }
        }
        Ok(())
    }

    fn is_login(&self, name: &str) -> bool {
        LoginName::parse(name).is_ok_and(|login| self.logins.contains_key(&login))
    }
}

fn conflict<T>(sentence: String) -> Result<T, StoreError> {
    Err(StoreError::Conflict(sentence))
}
