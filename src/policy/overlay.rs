//! Flags that a user has to oneself: kept in our store, never upstream's.

use std::collections::VecDeque;

use super::{Delete, Effective, FolderClass, Place, ReadState, Rights, StepKind, StoreMode};
use crate::types::{Flag, Flags, SystemFlag, UidSet};

/// Which flags are a user's own in a folder; or some of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnFlags {
    /// `\Seen`: what this user has read.
    pub seen: bool,
    /// `\Deleted`: what goes to Trash when this user expunges.
    pub deleted: bool,
}

impl OwnFlags {
    pub fn any(self) -> bool {
        self.seen || self.deleted
    }

    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { seen: self.seen || other.seen, deleted: self.deleted || other.deleted }
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { seen: self.seen && other.seen, deleted: self.deleted && other.deleted }
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self { seen: self.seen && !other.seen, deleted: self.deleted && !other.deleted }
    }

    /// Those of them that are among `flags`.
    #[must_use]
    pub fn among(self, flags: &Flags) -> Self {
        let there = Self { seen: flags.has(SystemFlag::Seen), deleted: flags.has(SystemFlag::Deleted) };
        self.and(there)
    }

    pub fn has(self, flag: &Flag) -> bool {
        match flag {
            Flag::System(SystemFlag::Seen) => self.seen,
            Flag::System(SystemFlag::Deleted) => self.deleted,
            Flag::System(SystemFlag::Answered | SystemFlag::Flagged | SystemFlag::Draft)
            | Flag::Keyword(_) => false,
        }
    }
}

/// What a search takes the user's own flags for: set, not set, or not asked about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Assumed {
    pub seen: Option<bool>,
    pub deleted: Option<bool>,
}

impl Assumed {
    /// Every state that the flags can have: one question each.
    pub(super) fn every(own: OwnFlags) -> Vec<Self> {
        let states = |own: bool| if own { vec![Some(true), Some(false)] } else { vec![None] };
        let of = |seen| states(own.deleted).into_iter().map(move |deleted| Self { seen, deleted });
        states(own.seen).into_iter().flat_map(of).collect()
    }
}

impl Effective {
    /// Which flags in this folder are the user's own.
    pub fn own_flags(&self, place: &Place) -> OwnFlags {
        let reads = self.rights_on(place).has(Rights::READ);
        OwnFlags { seen: reads && self.read_state() == ReadState::Personal, deleted: self.discards(place) }
    }

    /// Those that the user may set and clear; none in a folder opened by EXAMINE.
    pub(super) fn markable(&self, place: &Place) -> OwnFlags {
        if place.read_only { OwnFlags::default() } else { self.own_flags(place) }
    }

    /// Whether messages here go to Trash where they may not be removed: the mailbox's
    /// `delete = "trash"`, for who may change flags, in folders that mail is worked on in.
    pub fn discards(&self, place: &Place) -> bool {
        self.delete() == Delete::Trash && discards_in(place.class, self.rights_on(place))
    }

    /// Whether a message may be moved from there to Trash under `delete = "trash"`.
    pub fn may_discard(&self, from: &Place) -> bool {
        !from.read_only && self.discards(from)
    }
}

/// Whether these rights, in a folder of this class, are such that messages go to Trash.
pub(super) fn discards_in(class: FolderClass, held: Rights) -> bool {
    let works_here = match class {
        FolderClass::Inbox
        | FolderClass::Ordinary
        | FolderClass::Sent
        | FolderClass::Archive
        | FolderClass::Junk => true,
        // Only managers remove what is in Trash; a draft is removed by who wrote it.
        FolderClass::Trash | FolderClass::Drafts | FolderClass::Aggregate | FolderClass::Hidden => false,
    };
    let removes = held & (Rights::DELETED | Rights::EXPUNGE);
    works_here && held.has(Rights::READ | Rights::WRITE) && removes.is_empty()
}

/// What of a STORE concerns the user's own flags.
pub(super) struct Marking {
    pub(super) own: OwnFlags,
    /// The step that does it, if there is anything to do.
    pub(super) step: Option<StepKind>,
}

impl Marking {
    pub(super) fn of(own: OwnFlags, mode: StoreMode, flags: &Flags) -> Self {
        let none = OwnFlags::default();
        let asked = own.among(flags);
        let (set, clear) = match mode {
            StoreMode::Add => (asked, none),
            StoreMode::Remove => (none, asked),
            StoreMode::Replace => (asked, own.without(asked)),
        };
        Self { own, step: set.or(clear).any().then_some(StepKind::Mark { set, clear }) }
    }
}

/// The steps of an expunge that goes to Trash. What was copied there before is removed instead:
/// a second copy would come back to whoever restores the first.
pub(super) fn discards(discard: &VecDeque<UidSet>, copied: &VecDeque<UidSet>) -> VecDeque<StepKind> {
    let moves = discard.iter().cloned().map(StepKind::Discard);
    moves.chain(copied.iter().cloned().map(StepKind::RemoveCopied)).collect()
}
