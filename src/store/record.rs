//! What the store keeps: people, groups, mailboxes, and what each person made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::policy::{FolderClass, Ground, Holder, Narrowing, Place, RoleName, SendRight};
use crate::types::{
    Account, Address, Endpoint, FolderName, GroupId, LoginName, MailboxId, Separator, ShortName, Timestamp,
    UidSet, UidValidity, UserId,
};

/// A password's hash in PHC form: `$argon2id$v=19$...`. Never printed.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for the one place that verifies it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct User {
    pub id: UserId,
    pub login: LoginName,
    /// The name people read: `Alice Example`.
    pub display: String,
    /// `None`: cannot log in with a local password.
    pub password: Option<PasswordHash>,
    /// The person's own addresses; the first is the one to write to.
    pub addresses: Vec<Address>,
    pub disabled: bool,
    pub created_at: Timestamp,
}

impl User {
    /// What sentences call the person's own account.
    pub(super) fn home_address(&self) -> Address {
        let login = || Address::parse(self.login.as_str()).ok();
        let of_login = self.addresses.first().cloned().or_else(login);
        // NOTE(unwrap): a constant, and an address.
        of_login.unwrap_or_else(|| Address::parse("your-own@account.invalid").expect("an address"))
    }

    /// The domain in which a short mailbox name is looked up for this person:
    /// that of the login name, else of the first own address.
    pub fn domain(&self) -> Option<&str> {
        let of_login = self.login.as_str().rsplit_once('@').map(|(_, domain)| domain);
        of_login.or_else(|| self.addresses.first().map(Address::domain))
    }
}

/// What [`super::Store::add_user`] needs.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub login: LoginName,
    pub display: String,
    pub password: Option<PasswordHash>,
    pub addresses: Vec<Address>,
}

/// A set of users; a grant may name it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Group {
    pub id: GroupId,
    pub name: ShortName,
    pub members: BTreeSet<UserId>,
}

/// A folder's class, fixed by an admin; see [`super::Snapshot::place_of`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pin {
    pub folder: FolderName,
    /// Known once the folder was opened; a new name with it keeps the class.
    pub uid_validity: Option<UidValidity>,
    pub class: FolderClass,
}

/// Where mail from the mailbox is submitted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Submission {
    pub endpoint: Endpoint,
    /// `None`: a relay without AUTH.
    pub account: Option<Account>,
}

/// A shared upstream account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mailbox {
    pub id: MailboxId,
    pub address: Address,
    pub aliases: Vec<Address>,
    pub short: ShortName,
    /// The name recipients read: `Example Support`.
    pub display: String,
    pub owner: Option<UserId>,
    pub imap: Endpoint,
    pub imap_account: Account,
    pub submission: Option<Submission>,
    /// How many connections the host allows for this account.
    pub max_connections: u16,
    pub pins: Vec<Pin>,
    /// The upstream's hierarchy separator, as its LIST said when the mailbox was added.
    pub separator: Separator,
    #[serde(default)]
    pub options: Options,
    pub created_at: Timestamp,
}

/// What [`super::Store::add_mailbox`] needs; the fields are [`Mailbox`]'s.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    pub address: Address,
    pub aliases: Vec<Address>,
    pub short: ShortName,
    pub display: String,
    pub owner: Option<UserId>,
    pub imap: Endpoint,
    pub imap_account: Account,
    pub submission: Option<Submission>,
    pub max_connections: u16,
    pub pins: Vec<Pin>,
    pub separator: Separator,
    pub options: Options,
}

impl Mailbox {
    /// The address and its aliases.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.aliases)
    }

    /// What policy must know of the mailbox itself.
    pub fn ground(&self) -> Ground {
        let Options { read_state, delete, copy_out, .. } = self.options;
        Ground { read_state, delete, copy_out, hides: self.hides(), separator: self.separator }
    }

    /// Whether a folder is pinned Hidden: then every unpinned name is hidden too.
    pub fn hides(&self) -> bool {
        self.pins.iter().any(|pin| pin.class == FolderClass::Hidden)
    }

    pub fn pin(&self, folder: &FolderName) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.folder == *folder)
    }

    /// The class that decides a role's rights on `folder`: its pin; INBOX; else, in a
    /// mailbox that hides something, Hidden; else what the nearest pinned level above
    /// passes on ([`FolderClass::of_child`]); else Ordinary.
    pub fn class_of(&self, folder: &FolderName) -> FolderClass {
        if let Some(pin) = self.pin(folder) {
            return pin.class;
        }
        if folder.is_inbox() {
            return FolderClass::Inbox;
        }
        if self.hides() {
            return FolderClass::Hidden;
        }
        let above = std::iter::successors(folder.parent(self.separator), |name| name.parent(self.separator));
        let pinned = above.filter_map(|name| self.pin(&name)).map(|pin| pin.class.of_child()).next();
        pinned.unwrap_or(FolderClass::Ordinary)
    }

    /// The folder as policy sees it: what is pinned is known, and INBOX.
    pub fn place_of(&self, folder: &FolderName) -> Place {
        let known = folder.is_inbox() || self.pin(folder).is_some();
        Place { class: self.class_of(folder), known: known.then(|| folder.clone()), read_only: false }
    }

    /// Moves the pins of a renamed folder and of all folders below it; returns the old and new
    /// names of what is pinned.
    pub fn move_pins(&mut self, from: &FolderName, to: &FolderName) -> Vec<(FolderName, FolderName)> {
        let mut moved = Vec::new();
        // Nothing was called so, or it could not have been renamed: what is pinned there is stale.
        let separator = self.separator;
        self.pins.retain(|pin| pin.folder != *to && !pin.folder.is_below(to, separator));
        for pin in &mut self.pins {
            let rest = match pin.folder == *from {
                true => "",
                false if pin.folder.is_below(from, self.separator) => {
                    &pin.folder.as_str()[from.as_str().len()..]
                }
                false => continue,
            };
            // A name too long or deep after all keeps its old pin; upstream refused it as well.
            if let Ok(name) = FolderName::parse(&format!("{to}{rest}"), self.separator) {
                moved.push((std::mem::replace(&mut pin.folder, name.clone()), name));
            }
        }
        moved
    }
}

/// What [`super::Store::add_grant`] needs; the fields are [`crate::policy::Grant`]'s.
#[derive(Clone, Debug)]
pub struct NewGrant {
    pub holder: Holder,
    pub mailbox: MailboxId,
    pub role: RoleName,
    pub send: Option<SendRight>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub narrowing: Narrowing,
    pub note: String,
    pub granted_by: String,
}

/// What a user said about a mailbox's subscriptions (RFC 3501 §6.3.6).
///
/// A folder is subscribed until its user says otherwise.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subscriptions {
    /// Named in SUBSCRIBE, and listed by LSUB whether or not the folder exists.
    pub subscribed: BTreeSet<FolderName>,
    /// Named in UNSUBSCRIBE.
    pub unsubscribed: BTreeSet<FolderName>,
}

impl Subscriptions {
    /// Names that one user may set in one mailbox. Each may be 4 KB long, and a client
    /// that subscribes to invented names must not fill the disk.
    pub const MAX: usize = 1000;

    pub fn is_subscribed(&self, folder: &FolderName) -> bool {
        !self.unsubscribed.contains(folder)
    }

    /// `false`: there is no room for another name.
    #[must_use]
    pub fn set(&mut self, folder: FolderName, subscribed: bool) -> bool {
        let (to, from) = match subscribed {
            true => (&mut self.subscribed, &mut self.unsubscribed),
            false => (&mut self.unsubscribed, &mut self.subscribed),
        };
        from.remove(&folder);
        if !to.contains(&folder) && to.len() + from.len() >= Self::MAX {
            return false;
        }
        to.insert(folder);
        true
    }
}

/// The messages that a user put into a mailbox's Drafts through us: those that a role
/// with own drafts may remove.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OwnDrafts(BTreeMap<FolderName, (UidValidity, UidSet)>);

impl OwnDrafts {
    /// UIDs remembered per user and mailbox; beyond them the oldest (lowest) are
    /// forgotten, and only a manager removes those messages.
    pub const MAX: u64 = 5000;

    /// None if the folder's UIDVALIDITY is another now: UIDs mean nothing then.
    pub fn uids(&self, folder: &FolderName, validity: UidValidity) -> Option<&UidSet> {
        self.0.get(folder).filter(|(known, _)| *known == validity).map(|(_, uids)| uids)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `uids`; forgets what another UIDVALIDITY of the folder held.
    pub fn add(&mut self, folder: FolderName, validity: UidValidity, uids: &UidSet) {
        let entry = self.0.entry(folder).or_insert_with(|| (validity, UidSet::new()));
        if entry.0 != validity {
            *entry = (validity, UidSet::new());
        }
        uids.ranges().for_each(|(a, b)| entry.1.insert_range(a, b));
        self.trim();
    }

    pub fn remove(&mut self, folder: &FolderName, validity: UidValidity, uids: &UidSet) {
        let Some(entry) = self.0.get_mut(folder) else { return };
        entry.1 = if entry.0 == validity { entry.1.minus(uids) } else { UidSet::new() };
        self.0.retain(|_, (_, uids)| !uids.is_empty());
    }

    fn trim(&mut self) {
        let held = |drafts: &Self| drafts.0.values().map(|(_, uids)| uids.len()).sum::<u64>();
        let mut excess = held(self).saturating_sub(Self::MAX);
        while excess > 0 {
            let Some((_, uids)) = self.0.values_mut().max_by_key(|(_, uids)| uids.len()) else { return };
            let Some((a, b)) = uids.ranges().next() else { return };
            let drop = (u64::from(b - a) + 1).min(excess);
            // NOTE(cast): `drop` is at most the length of a u32 range that starts at `a`.
            let last = u32::try_from(u64::from(a) + drop - 1).unwrap_or(b);
            *uids = uids.minus(&UidSet::range(a, last));
            excess -= drop;
        }
        self.0.retain(|_, (_, uids)| !uids.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnDrafts, Subscriptions};
    use crate::types::{FolderName, UidSet, UidValidity};

    fn folder(text: &str) -> FolderName {
        FolderName::parse(text, Some('/')).unwrap()
    }

    #[test]
    fn drafts_are_bounded_and_forget_the_oldest() {
        let mut drafts = OwnDrafts::default();
        drafts.add(folder("Drafts"), UidValidity(1), &UidSet::range(1, u32::MAX));
        let uids = drafts.uids(&folder("Drafts"), UidValidity(1)).unwrap();
        assert_eq!(uids.to_string(), format!("{}:{}", u32::MAX - 4999, u32::MAX));
        drafts.add(folder("Entwürfe"), UidValidity(9), &UidSet::range(7, 8));
        assert_eq!(drafts.uids(&folder("Drafts"), UidValidity(1)).unwrap().len(), 4998);
        assert_eq!(drafts.uids(&folder("Entwürfe"), UidValidity(9)).unwrap().len(), 2);
    }

    #[test]
    fn another_uidvalidity_forgets_all() {
        let mut drafts = OwnDrafts::default();
        drafts.add(folder("Drafts"), UidValidity(1), &UidSet::range(1, 9));
        assert_eq!(drafts.uids(&folder("Drafts"), UidValidity(2)), None);
        drafts.add(folder("Drafts"), UidValidity(2), &UidSet::range(3, 3));
        assert_eq!(drafts.uids(&folder("Drafts"), UidValidity(2)), Some(&UidSet::range(3, 3)));
        assert_eq!(drafts.uids(&folder("Drafts"), UidValidity(1)), None);
        drafts.remove(&folder("Drafts"), UidValidity(2), &UidSet::range(1, 5));
        assert!(drafts.is_empty());
    }

    #[test]
    fn subscriptions_are_bounded() {
        let mut names = Subscriptions::default();
        assert!(names.is_subscribed(&folder("Any")));
        for n in 0..Subscriptions::MAX {
            assert!(names.set(folder(&format!("f{n}")), n % 2 == 0));
        }
        assert!(!names.set(folder("one more"), true));
        assert!(names.set(folder("f1"), true), "a known name still changes");
        assert!(names.is_subscribed(&folder("f1")) && !names.is_subscribed(&folder("f3")));
    }
}
