//! The question and its three answers.

use std::fmt;
use std::sync::Arc;

use super::across;
use super::effective::Standing;
use super::moving::discards;
use super::plan::Plan;
use super::{
    Action, Answering, Arrivals, Effective, Fact, Facts, Means, Next, Place, Rights, SendRight, Site, Step,
};
use crate::types::{MailboxId, Timestamp, UidValidity};

/// Permit, deny, or undecided; the last is temporary to the client, never a denial.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    Permit(Permit),
    Deny(Denial),
    Undecided(Doubt),
}

/// Why no decision could be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// The effective rights are older than a grant's start or end: compute them again.
    Stale,
    /// Whether a message is an answer could not be found out.
    Parent,
}

/// Leave to do one act, under the terms of a closed plan.
///
/// Only [`decide`] makes one; it is not `Clone`, and [`Permit::next`] uses it up.
#[derive(Debug)]
pub struct Permit {
    plan: Plan,
    /// Where, and what it was decided under.
    mailbox: MailboxId,
    standing: Arc<Standing>,
    /// What was asked, for the sentence if the rights change before it is done.
    act: &'static str,
}

impl Permit {
    /// The next upstream step, given what the last one brought to light.
    ///
    /// Nothing begins under rights that have changed since the decision: what takes time in
    /// between (a connection, a queue) would otherwise outlive a withdrawn right.
    /// Nothing goes on under the rights in another mailbox than the decision's.
    pub fn next(&mut self, facts: &Facts<'_>) -> Next {
        let elsewhere = facts.effective.mailbox != self.mailbox;
        if elsewhere || (facts.last == Fact::Start && *facts.effective.standing() != self.standing) {
            return Next::Refuse(Denial::new(facts.effective, self.act, Reason::Withdrawn));
        }
        self.plan.next(facts)
    }

    /// The other mailbox's host has confirmed the copy of the message `from`, and said what it is
    /// called there. Noted at once, so that it can be taken back whatever comes next.
    pub fn arrived(&mut self, from: u32, stored: Option<(UidValidity, u32)>) {
        self.plan.arrived(from, stored);
    }

    /// What has arrived in another mailbox so far.
    pub fn arrivals(&self) -> Option<&Arrivals> {
        self.plan.arrivals()
    }

    /// The steps that take back what this act has put into another mailbox: it will not be
    /// finished. None once messages have begun to leave the one that they come from.
    pub fn take_back(&mut self) -> Vec<Step> {
        self.plan.take_back()
    }

    /// Whether copies may have to lose flags: what that takes must be at hand before they are made.
    pub fn may_strip(&self) -> bool {
        self.plan.strips()
    }

    /// What finds the messages that the act changes, for a command that does not name them by
    /// UID: it uses nothing of the permit up. `last_number`: it says `*` for a sequence number.
    /// `None` if the plan looks for them itself, changes none, or would not begin under these
    /// rights.
    pub fn naming(&self, effective: &Effective, last_number: bool) -> Option<Step> {
        let same = effective.mailbox == self.mailbox && *effective.standing() == self.standing;
        self.plan.naming(last_number).filter(|_| same)
    }
}

/// What a denial rests on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The role lacks a right.
    Right(Rights),
    /// The client opened the folder with EXAMINE.
    ReadOnly,
    /// The messages are not all the user's own drafts.
    NotOwn,
    /// The role sends nothing.
    Send,
    /// Only answers may be sent, and this is none.
    NotAnAnswer,
    /// The mail host has nothing to do it with.
    NoMeans,
    /// The mail host does not say which messages it has copied: none is removed.
    Unconfirmed,
    /// The copies would carry flags that the user may not set there.
    FlagsStay,
    /// The mailbox's messages are not copied into others.
    StaysHere,
    /// The right was withdrawn while the act was under way.
    Withdrawn,
}

/// A refusal, with the sentence the person reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    pub reason: Reason,
    sentence: String,
}

impl Denial {
    pub(super) fn new(effective: &Effective, action: &'static str, reason: Reason) -> Self {
        let (role, mailbox) = (effective.role_text(), &effective.address);
        let sentence = match reason {
            Reason::Right(_) | Reason::Send => {
                format!("Your role \"{role}\" in {mailbox} does not allow {action}")
            }
            Reason::ReadOnly => format!("The folder is open for reading only, which does not allow {action}"),
            Reason::NotOwn => {
                format!("Your role \"{role}\" in {mailbox} allows this with your own drafts only")
            }
            Reason::NotAnAnswer => {
                format!(
                    "In {mailbox} your role \"{role}\" sends answers to its messages only, and this is none"
                )
            }
            Reason::NoMeans => {
                format!("The mail host of {mailbox} cannot do this safely: copy, then delete")
            }
            Reason::Unconfirmed => {
                format!("The mail host of {mailbox} does not confirm the copies: nothing was removed")
            }
            Reason::FlagsStay => format!(
                "Some of these messages are marked in ways that your role \"{role}\" in {mailbox} does not \
                 allow in that folder"
            ),
            Reason::StaysHere => {
                format!("The messages of {mailbox} may not be copied or moved into another mailbox")
            }
            Reason::Withdrawn => {
                format!("Your access to {mailbox} has just changed; please try again")
            }
        };
        Self { reason, sentence }
    }

    /// Whether it is the mail host that stands in the way, not a right.
    pub fn is_of_host(&self) -> bool {
        match self.reason {
            Reason::NoMeans | Reason::Unconfirmed => true,
            Reason::Right(_)
            | Reason::ReadOnly
            | Reason::NotOwn
            | Reason::FlagsStay
            | Reason::StaysHere
            | Reason::Send
            | Reason::NotAnAnswer
            | Reason::Withdrawn => false,
        }
    }

    /// One line for the person: what is refused, by which role, in which mailbox.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// May `action` happen under `effective` at `now`, and on what terms?
///
/// Pure. Called when the command leaves the queue, not when it is read.
pub fn decide(effective: &Effective, action: &Action, now: Timestamp) -> Decision {
    if effective.good_until.is_some_and(|end| end <= now) {
        return Decision::Undecided(Doubt::Stale);
    }
    if effective.reply_only() && *action == Action::Submit(Answering::Unsure) {
        return Decision::Undecided(Doubt::Parent);
    }
    match missing(effective, action) {
        Some(reason) => Decision::Deny(Denial::new(effective, action.gerund(), reason)),
        None => Decision::Permit(Permit {
            plan: Plan::of(effective, action),
            mailbox: effective.mailbox,
            standing: Arc::clone(effective.standing()),
            act: action.gerund(),
        }),
    }
}

/// The rights held in a place; an EXAMINEd folder keeps those that change nothing.
pub(super) fn rights_in(effective: &Effective, place: &Place) -> Rights {
    let rights = effective.rights_on(place);
    if place.read_only { rights & (Rights::LOOKUP | Rights::READ) } else { rights }
}

/// What MOVE needs in the folder that messages leave (RFC 6851 §4.2).
const TAKES: Rights = Rights::DELETED.and(Rights::EXPUNGE);

/// Whether messages may leave `from` for `to` at this moment.
pub(super) fn may_leave(effective: &Effective, from: &Place, to: &Place) -> bool {
    rights_in(effective, from).has(TAKES) || files(effective, from, to) || discards(effective, (from, to))
}

/// Whether moving from one to the other is filing (`m`): nothing is lost among folders whose
/// mail is kept.
fn files(effective: &Effective, from: &Place, to: &Place) -> bool {
    let keeps = |place: &Place| place.class.keeps() && effective.rights_on(place).has(Rights::FILE);
    keeps(from) && keeps(to)
}

/// Whether the mailbox keeps its messages to itself.
fn stays(effective: &Effective) -> Option<Reason> {
    (!effective.copies_out()).then_some(Reason::StaysHere)
}

/// What the action lacks, if it lacks something that refuses it as a whole.
///
/// STORE, EXPUNGE and CLOSE are never refused: their plans do the permitted part.
fn missing(effective: &Effective, action: &Action) -> Option<Reason> {
    let lacks =
        |held: Rights, needed: Rights| (!held.has(needed)).then(|| Reason::Right(needed.without(held)));
    let on = |place: &Place, needed| lacks(effective.rights_on(place), needed);
    let at = |site: &Site| lacks(effective.rights_at(site), Rights::CREATE);
    match action {
        Action::Open(place)
        | Action::Poll(place)
        | Action::Search { place, .. }
        | Action::Fetch { place, .. } => on(place, Rights::READ),
        Action::Status(place) => on(place, Rights::READ),
        Action::Store { place, .. } | Action::Expunge { place, .. } | Action::Close { place, .. } => {
            on(place, Rights::READ)
        }
        Action::Append { place, .. } => on(place, Rights::INSERT),
        Action::Copy { from, to, .. } => on(from, Rights::READ).or_else(|| on(to, Rights::INSERT)),
        Action::Move { from, to, means } => {
            let kept = files(effective, from, to) || discards(effective, (from, to));
            let takes = if kept { Rights::READ } else { Rights::READ | TAKES };
            on(from, takes)
                .or_else(|| on(to, Rights::INSERT))
                .or(from.read_only.then_some(Reason::ReadOnly))
                .or((*means == Means::Nothing).then_some(Reason::NoMeans))
        }
        Action::CopyOut(from) => stays(effective).or_else(|| on(from, across::needed(false))),
        Action::MoveOut { from, uidplus } => stays(effective)
            .or_else(|| on(from, across::needed(true)))
            .or(from.read_only.then_some(Reason::ReadOnly))
            .or((!uidplus).then_some(Reason::NoMeans)),
        Action::Unselect => None,
        Action::Create(site) => at(site),
        Action::Delete { place, hides_below } => {
            let needed = Rights::DELETE | Rights::DELETED | Rights::EXPUNGE;
            on(place, needed).or(hides_below.then_some(Reason::Right(Rights::DELETE)))
        }
        Action::Rename { place, below, to } => on(place, Rights::DELETE)
            .or_else(|| below.iter().find_map(|place| on(place, Rights::DELETE)))
            .or_else(|| at(to)),
        Action::Administer => Some(Reason::Right(Rights::ADMINISTER)),
        Action::Submit(_) if effective.send() == SendRight::None => Some(Reason::Send),
        Action::Submit(Answering::New) if effective.reply_only() => Some(Reason::NotAnAnswer),
        Action::Submit(Answering::Unread | Answering::Known | Answering::New | Answering::Unsure) => None,
    }
}
