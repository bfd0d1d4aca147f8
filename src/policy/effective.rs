//! What one user holds in one mailbox: the union of the live grants.

use std::borrow::Cow;
use std::sync::Arc;

use super::overlay::discards_in;
use super::{
    CopyOut, Delete, DraftScope, FolderClass, Narrowing, Place, ReadChoice, ReadState, Rights, Role,
    RoleName, SendRight, Site,
};
use crate::types::{Address, FolderName, GrantId, LoginName, MailboxId, Separator, Timestamp, UserId};

/// Effective rights, as the store's snapshot computes them at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    pub user: UserId,
    pub login: LoginName,
    pub mailbox: MailboxId,
    pub address: Address,
    /// When the set of live grants changes by itself next (a start or an end).
    pub good_until: Option<Timestamp>,
    /// The grants it is made of, for the journal.
    pub grants: Vec<GrantId>,
    roles: Vec<RoleName>,
    standing: Arc<Standing>,
}

/// A live grant, as [`Effective::union`] takes it.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    pub id: GrantId,
    pub role: Cow<'a, Role>,
    pub narrowing: &'a Narrowing,
}

impl<'a> Held<'a> {
    /// A grant for the whole mailbox.
    pub fn whole(id: GrantId, role: &'a Role) -> Self {
        Self { id, role: Cow::Borrowed(role), narrowing: Narrowing::whole() }
    }
}

/// What the mailbox itself adds to the rights in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ground {
    pub read_state: ReadChoice,
    pub delete: Delete,
    pub copy_out: CopyOut,
    /// It has a Hidden folder: an Aggregate would show what is in it, and is hidden too.
    pub hides: bool,
    /// The host's, for narrowed grants.
    pub separator: Separator,
}

/// What decisions rest on; a permit keeps it, to see whether it still holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    /// Of the grants for the whole mailbox: most users hold no others, and one look at the
    /// table is all that their rights cost.
    whole: Powers,
    /// Of each grant that is narrowed.
    narrowed: Vec<(Narrowing, Powers)>,
    separator: Separator,
    send: SendRight,
    read_state: ReadState,
    delete: Delete,
    copy_out: CopyOut,
    /// Somewhere, what the user expunges goes to Trash.
    trashes: bool,
    reply_only: bool,
    deleted_is_final: bool,
}

/// What one or several roles allow, by folder class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Powers {
    rights: [Rights; FolderClass::ALL.len()],
    drafts: DraftScope,
}

impl Effective {
    /// The union of what `grants` give; `None` if there are none.
    pub fn union<'a>(
        user: (UserId, LoginName),
        mailbox: (MailboxId, Address),
        grants: impl Iterator<Item = Held<'a>>,
        ground: Ground,
        good_until: Option<Timestamp>,
    ) -> Option<Self> {
        let (mut ids, mut roles) = (Vec::new(), Vec::new());
        let mut standing = Standing {
            whole: Powers::NONE,
            narrowed: Vec::new(),
            separator: ground.separator,
            send: SendRight::None,
            read_state: ReadState::Shared,
            delete: ground.delete,
            copy_out: ground.copy_out,
            trashes: false,
            reply_only: false,
            deleted_is_final: false,
        };
        for Held { id, role, narrowing } in grants {
            ids.push(id);
            if !roles.contains(&role.name) {
                roles.push(role.name.clone());
            }
            standing.add(&role, narrowing, ground.hides);
        }
        standing.apply(ground);
        (!ids.is_empty()).then(|| Self {
            user: user.0,
            login: user.1,
            mailbox: mailbox.0,
            address: mailbox.1,
            good_until,
            grants: ids,
            roles,
            standing: Arc::new(standing),
        })
    }

    /// The owner's rights in the own account; without one upstream, an INBOX to look at.
    pub fn at_home((user, login): (UserId, LoginName), address: Address, has_account: bool) -> Self {
        let role = if has_account { Role::at_home() } else { Role::nowhere() };
        let mut whole = Powers::NONE;
        whole.add(&role, true);
        Self {
            user,
            login,
            mailbox: MailboxId::home_of(user),
            address,
            good_until: None,
            grants: Vec::new(),
            standing: Arc::new(Standing {
                whole,
                narrowed: Vec::new(),
                separator: None,
                send: role.send,
                read_state: ReadState::Shared,
                delete: Delete::Refuse,
                copy_out: CopyOut::Allow,
                trashes: false,
                reply_only: false,
                deleted_is_final: false,
            }),
            roles: vec![role.name],
        }
    }

    /// The rights on a folder. Opening it read-only takes none of them away here.
    pub fn rights_on(&self, place: &Place) -> Rights {
        let powers = self.standing.powers_on(place);
        let held = powers.fold(Rights::NONE, |held, powers| held | powers.rights[place.class as usize]);
        let trashes = self.standing.trashes && place.class == FolderClass::Trash;
        let sees = !(held & (Rights::LOOKUP | Rights::READ)).is_empty();
        let held = if trashes && sees { held | Rights::INSERT } else { held };
        if self.standing.deleted_is_final && !held.has(Rights::EXPUNGE) {
            return held.without(Rights::DELETED);
        }
        held
    }

    /// The rights on a folder that is to be made: those on the level above, where the
    /// grant reaches the new name too.
    pub fn rights_at(&self, site: &Site) -> Rights {
        let class = site.parent.as_ref().map_or(FolderClass::Ordinary, |parent| parent.class);
        let powers = self.standing.powers_at(site);
        powers.fold(Rights::NONE, |held, powers| held | powers.rights[class as usize])
    }

    /// The same on a host that removes what is marked `\Deleted` at once: `t` is nothing
    /// without `e` there.
    #[must_use]
    pub fn where_deleted_is_final(mut self, is_final: bool) -> Self {
        Arc::make_mut(&mut self.standing).deleted_is_final = is_final;
        self
    }

    /// How the user may send mail from the mailbox.
    pub fn send(&self) -> SendRight {
        self.standing.send
    }

    /// The mailbox lets those send new messages who work on all its drafts, and others
    /// answers only. So a manager writes as before.
    #[must_use]
    pub fn answering_only(mut self, reply_only: bool) -> Self {
        let standing = Arc::make_mut(&mut self.standing);
        standing.reply_only = reply_only && standing.whole.drafts == DraftScope::Own;
        self
    }

    /// Whether only answers to messages of the mailbox may be sent.
    pub fn reply_only(&self) -> bool {
        self.standing.reply_only
    }

    /// Whose `\Seen` the mailbox's folders show.
    pub fn read_state(&self) -> ReadState {
        self.standing.read_state
    }

    /// What becomes of messages that the user may not remove.
    pub(super) fn delete(&self) -> Delete {
        self.standing.delete
    }

    /// Whether messages may be copied and moved into other mailboxes, by who may read them.
    pub fn copies_out(&self) -> bool {
        self.standing.copy_out == CopyOut::Allow
    }

    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Whether all that is held is for certain folders.
    pub fn is_narrowed(&self) -> bool {
        self.standing.whole == Powers::NONE
    }

    /// Whether setting `\Deleted` removes messages at once, on this host.
    pub(super) fn deleted_is_final(&self) -> bool {
        self.standing.deleted_is_final
    }

    /// Whether the folder exists for the user at all (invariant 11): it is listed or read, or
    /// takes messages in, as a drop folder does.
    pub fn sees(&self, place: &Place) -> bool {
        !(self.rights_on(place) & (Rights::LOOKUP | Rights::READ | Rights::INSERT)).is_empty()
    }

    /// Whether it may be opened, and its messages read.
    pub fn reads(&self, place: &Place) -> bool {
        self.rights_on(place).has(Rights::READ)
    }

    /// Whether LIST and LSUB name it (RFC 4314 §4).
    pub fn lists(&self, place: &Place) -> bool {
        self.rights_on(place).has(Rights::LOOKUP)
    }

    /// Whether `t` and `e` in this folder reach only the user's own messages.
    pub fn only_own(&self, place: &Place) -> bool {
        place.class == FolderClass::Drafts
            && self.standing.powers_on(place).all(|powers| powers.drafts == DraftScope::Own)
    }

    /// The role names, for sentences and the journal: `reader` or `reader+responder`.
    pub fn role_text(&self) -> String {
        self.roles.iter().map(|role| role.0.as_str()).collect::<Vec<_>>().join("+")
    }

    /// Whether a submission permitted under `other` would be permitted under `self` in the same way.
    pub fn sends_like(&self, other: &Self) -> bool {
        self.send() == other.send() && self.reply_only() == other.reply_only()
    }

    /// Whether a session decided under `self` must be told of `other`.
    pub fn same_rights(&self, other: &Self) -> bool {
        self.standing == other.standing
    }
}

impl Standing {
    /// What the mailbox's options make of the rights.
    fn apply(&mut self, ground: Ground) {
        let all = || std::iter::once(&self.whole).chain(self.narrowed.iter().map(|(_, powers)| powers));
        let marks_seen = all().any(|powers| powers.rights.iter().any(|held| held.has(Rights::SEEN)));
        let discards = |class| all().any(|powers| discards_in(class, powers.rights[class as usize]));
        self.trashes = ground.delete == Delete::Trash && FolderClass::ALL.into_iter().any(discards);
        self.read_state = match ground.read_state {
            ReadChoice::Personal => ReadState::Personal,
            // One grant with `s` is enough: shared beats personal.
            ReadChoice::ByRole if !marks_seen => ReadState::Personal,
            ReadChoice::ByRole | ReadChoice::Shared => ReadState::Shared,
        };
    }

    fn add(&mut self, role: &Role, narrowing: &Narrowing, hides: bool) {
        self.send = self.send.max(role.send);
        if narrowing.is_none() {
            self.whole.add(role, !hides);
        } else {
            // An Aggregate shows the folders that the grant does not reach, too.
            let mut powers = Powers::NONE;
            powers.add(role, false);
            self.narrowed.push((narrowing.clone(), powers));
        }
    }

    /// What is held in a folder. A narrowed grant reaches folders that are known by name.
    fn powers_on<'s>(&'s self, place: &'s Place) -> impl Iterator<Item = &'s Powers> {
        let reaches = |name: &FolderName, narrowing: &Narrowing| narrowing.covers(name, self.separator);
        let narrowed = self
            .narrowed
            .iter()
            .filter(move |(narrowing, _)| place.known.as_ref().is_some_and(|name| reaches(name, narrowing)));
        std::iter::once(&self.whole).chain(narrowed.map(|(_, powers)| powers))
    }

    /// The same for a folder that is to be made below one that is known, or at the top.
    fn powers_at<'s>(&'s self, site: &'s Site) -> impl Iterator<Item = &'s Powers> {
        let below_known = site.parent.as_ref().is_none_or(|parent| parent.known.is_some());
        let narrowed = self.narrowed.iter().filter(move |(narrowing, _)| {
            let name = site.name.as_ref().filter(|_| below_known);
            name.is_some_and(|name| narrowing.covers(name, self.separator))
        });
        std::iter::once(&self.whole).chain(narrowed.map(|(_, powers)| powers))
    }
}

impl Powers {
    const NONE: Self = Self { rights: [Rights::NONE; FolderClass::ALL.len()], drafts: DraftScope::Own };

    fn add(&mut self, role: &Role, aggregates: bool) {
        let deletes = Rights::DELETED | Rights::EXPUNGE;
        if !(role.rights_on(FolderClass::Drafts) & deletes).is_empty() {
            self.drafts = self.drafts.max(role.drafts);
        }
        for class in FolderClass::ALL {
            if class != FolderClass::Aggregate || aggregates {
                self.rights[class as usize] = self.rights[class as usize] | role.rights_on(class);
            }
        }
    }
}
