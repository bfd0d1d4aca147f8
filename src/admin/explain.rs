//! What would happen, and why: asked of the policy itself, with an act of each kind.

use super::grants::{narrowed, state, way};
use super::{Answer, Case, Explained, Failure, Services, Verdict, names, now};
use crate::imap::filter;
use crate::policy::{
    Action, Answering, Decision, Effective, Fact, Facts, FolderClass, Means, Next, Permit, Place, Site,
    StepKind, StoreMode, Target, decide,
};
use crate::store::{Mailbox, Snapshot, User};
use crate::types::{Flags, FolderName, SystemFlag, Timestamp, UidSet};

/// An act that stands for its kind, in a folder.
struct Sample {
    name: &'static str,
    action: fn(Place, &Scene<'_>) -> Action,
}

/// What an act needs to know besides its folder.
struct Scene<'m> {
    mailbox: &'m Mailbox,
    effective: &'m Effective,
    /// Folders that acts elsewhere come from or lead to.
    inbox: Place,
    archive: Place,
    trash: Place,
}

const SAMPLES: [Sample; 14] = [
    Sample { name: "open", action: |place, _| Action::Open(place) },
    Sample { name: "read", action: |place, _| Action::Fetch { place, marks_seen: false } },
    Sample { name: "mark-read", action: |place, _| flag(place, SystemFlag::Seen) },
    Sample { name: "flag", action: |place, _| flag(place, SystemFlag::Flagged) },
    Sample { name: "mark-deleted", action: |place, _| flag(place, SystemFlag::Deleted) },
    Sample { name: "expunge", action: |place, _| Action::Expunge { place, uidplus: true } },
    Sample { name: "store", action: |place, _| Action::Append { place, flags: Flags::default() } },
    Sample {
        name: "copy-here",
        action: |to, scene| Action::Copy { from: scene.inbox.clone(), to, uidplus: true },
    },
    Sample { name: "file", action: |from, scene| moving(from, &scene.archive) },
    Sample { name: "move-to-trash", action: |from, scene| moving(from, &scene.trash) },
    Sample { name: "create-below", action: |place, scene| Action::Create(scene.below(place)) },
    Sample {
        name: "delete-folder",
        action: |place, scene| {
            let hides_below = scene.inside(&place).iter().any(|inner| !scene.effective.sees(inner));
            Action::Delete { place, hides_below }
        },
    },
    Sample {
        name: "rename-folder",
        action: |place, scene| Action::Rename {
            below: scene.inside(&place),
            to: scene.beside(&place),
            place,
        },
    },
    Sample { name: "send", action: |_, _| Action::Submit(Answering::Known) },
];

impl<'m> Scene<'m> {
    fn of(mailbox: &'m Mailbox, effective: &'m Effective) -> Self {
        let first = |class: FolderClass| {
            let pin = mailbox.pins.iter().find(|pin| pin.class == class);
            pin.map_or_else(|| Place::of(class), |pin| mailbox.place_of(&pin.folder))
        };
        Self {
            mailbox,
            effective,
            inbox: mailbox.place_of(&FolderName::inbox()),
            archive: first(FolderClass::Archive),
            trash: first(FolderClass::Trash),
        }
    }

    /// A new folder inside.
    fn below(&self, place: Place) -> Site {
        let named = |name: &FolderName| {
            let separator = self.mailbox.separator?;
            FolderName::parse(&format!("{name}{separator}{NEW}"), self.mailbox.separator).ok()
        };
        Site { name: place.known.as_ref().and_then(named), parent: Some(place) }
    }

    /// A new name on the same level.
    fn beside(&self, place: &Place) -> Site {
        let separator = self.mailbox.separator;
        let name = place.known.as_ref();
        let parent = name.and_then(|name| name.parent(separator)).map(|name| self.mailbox.place_of(&name));
        Site {
            parent,
            name: name.and_then(|name| FolderName::parse(&format!("{name}-{NEW}"), separator).ok()),
        }
    }

    /// The folders inside that the mailbox knows.
    fn inside(&self, place: &Place) -> Vec<Place> {
        let Some(name) = &place.known else { return Vec::new() };
        let inner = self.mailbox.pins.iter().filter(|pin| pin.folder.is_below(name, self.mailbox.separator));
        inner.map(|pin| self.mailbox.place_of(&pin.folder)).collect()
    }
}

/// A name that stands for any new one.
const NEW: &str = "new";

fn moving(from: Place, to: &Place) -> Action {
    Action::Move { from, to: to.clone(), means: Means::Move }
}

fn flag(place: Place, flag: SystemFlag) -> Action {
    Action::Store {
        place,
        mode: StoreMode::Add,
        flags: flag.into(),
        known: Flags::default(),
        unkept: Flags::default(),
        conditional: false,
        silent: false,
    }
}

pub(super) fn explain(
    services: &Services,
    (user, mailbox): (&str, &str),
    folder: Option<&str>,
    action: Option<&str>,
) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let user = names::user(&snapshot, user)?;
    let mailbox = names::mailbox(&snapshot, mailbox)?;
    let samples = samples(action)?;
    let (places, now) = (places(&snapshot, user, mailbox, folder)?, now());
    let mut explained = Explained {
        user: user.login.to_string(),
        mailbox: mailbox.address.to_string(),
        summary: summary(&snapshot, user, mailbox, now),
        cases: Vec::new(),
    };
    let Some(effective) = snapshot.effective(user.id, mailbox.id, now) else {
        return Ok(Answer::Explained(explained));
    };
    let scene = Scene::of(mailbox, &effective);
    for (name, place) in places {
        for sample in &samples {
            let action = (sample.action)(place.clone(), &scene);
            let (verdict, why) = judge(&effective, &place, &action, now);
            explained.cases.push(Case { place: name.clone(), action: sample.name.into(), verdict, why });
        }
    }
    Ok(Answer::Explained(explained))
}

fn samples(action: Option<&str>) -> Result<Vec<&'static Sample>, Failure> {
    let Some(action) = action else { return Ok(SAMPLES.iter().collect()) };
    let found = SAMPLES.iter().find(|sample| sample.name == action);
    let known = || SAMPLES.iter().map(|sample| sample.name).collect::<Vec<_>>().join(", ");
    let message = || format!("there is no action {action:?}; there are {}", known());
    found.map(|sample| vec![sample]).ok_or_else(|| Failure::data(message()))
}

/// The folder asked about; or one of each class; or, where a grant is for some folders only,
/// every folder that the mailbox knows.
fn places(
    snapshot: &Snapshot,
    user: &User,
    mailbox: &Mailbox,
    folder: Option<&str>,
) -> Result<Vec<(String, Place)>, Failure> {
    let named = |place: Place| {
        let class = place.class;
        (place.known.as_ref().map_or_else(|| format!("({class})"), |name| format!("{name} ({class})")), place)
    };
    let Some(folder) = folder else {
        let mut grants = snapshot.grants_of(user.id).filter(|grant| grant.mailbox == mailbox.id);
        if !grants.any(|grant| !grant.narrowing.is_none()) {
            return Ok(FolderClass::ALL.into_iter().map(|class| named(Place::of(class))).collect());
        }
        let inbox = FolderName::inbox();
        let pinned = mailbox.pins.iter().map(|pin| &pin.folder).filter(|folder| !folder.is_inbox());
        return Ok(std::iter::once(&inbox).chain(pinned).map(|name| named(mailbox.place_of(name))).collect());
    };
    let name = FolderName::parse(folder, mailbox.separator)
        .map_err(|_| Failure::data(format!("{folder:?} cannot be a folder's name")))?;
    let place = mailbox.place_of(&name);
    Ok(vec![(format!("{name} ({})", place.class), place)])
}

/// Which roles by which grants; or why there are none.
fn summary(snapshot: &Snapshot, user: &User, mailbox: &Mailbox, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if user.disabled {
        lines.push(format!("{} is disabled: whatever is granted, they cannot log in", user.login));
    }
    for grant in snapshot.grants_of(user.id).filter(|grant| grant.mailbox == mailbox.id) {
        let counts = match state(grant, now) {
            "live" if snapshot.role(&grant.role).is_none() => ", a role that is configured no more".into(),
            "live" => String::new(),
            state => format!(" (does not count: {state})"),
        };
        let way = way(snapshot, grant);
        lines.push(format!(
            "{} has {} in {}{} through {way}{counts}",
            user.login,
            grant.role,
            mailbox.address,
            narrowed(&grant.narrowing)
        ));
    }
    if lines.is_empty() {
        lines.push(format!("{} has no grant in {}", user.login, mailbox.address));
    }
    lines
}

/// The policy's answer, in a word and a sentence.
fn judge(effective: &Effective, place: &Place, action: &Action, now: Timestamp) -> (Verdict, String) {
    // A folder that is not seen is answered as one that does not exist (invariant 11). What is
    // made below one asks for the level above alone.
    let needs_folder = !matches!(action, Action::Submit(_) | Action::Create(_));
    if needs_folder && !effective.sees(place) {
        return (Verdict::No, "such a folder does not exist for them".into());
    }
    match decide(effective, action, now) {
        Decision::Deny(denial) => (Verdict::No, denial.sentence().to_owned()),
        Decision::Undecided(_) => (Verdict::No, "the grants are changing at this moment; ask again".into()),
        Decision::Permit(permit) => reach(effective, place, permit),
    }
}

/// How far a permit goes, by the first step of its plan.
fn reach(effective: &Effective, place: &Place, mut permit: Permit) -> (Verdict, String) {
    let facts = Facts { last: Fact::Start, effective, own: &UidSet::new(), by_uid: true };
    let own = effective.only_own(place);
    let yes = || (Verdict::Yes, String::new());
    let step = match permit.next(&facts) {
        Next::Run(step) => step,
        Next::Refuse(denial) => return (Verdict::No, denial.sentence().to_owned()),
        Next::Done => return (Verdict::No, "nothing happens; the client is told OK".into()),
    };
    match step.kind() {
        // What the client is told: `i` alone makes it READ-WRITE, though nothing there may change.
        StepKind::Open { .. } if filter::access(effective, place) == "READ-ONLY" => {
            (Verdict::Yes, "for reading only".into())
        }
        StepKind::Fetch { marks: true, .. } | StepKind::Mark { .. } => {
            (Verdict::Yes, "for themselves alone; nobody else sees it".into())
        }
        StepKind::FindMarked | StepKind::Discard(_) | StepKind::Move { discards: true, .. } => {
            (Verdict::Yes, "messages go to the mailbox's Trash".into())
        }
        StepKind::Fetch { peek: true, .. } => (Verdict::Yes, "without marking as read".into()),
        StepKind::Uids | StepKind::FindDeleted if own => (Verdict::Partly, "their own drafts only".into()),
        StepKind::Submit { .. } if effective.reply_only() => (Verdict::Partly, "answers only".into()),
        StepKind::Submit { on_behalf: true } => (Verdict::Yes, "on behalf: Sender names them".into()),
        StepKind::Store { target: Target::Asked, silent: false, .. } => yes(),
        StepKind::Store { .. } => {
            (Verdict::Partly, "the permitted flags; the client is shown the true ones".into())
        }
        StepKind::Flags => (Verdict::No, "nothing changes; the client is shown the true flags".into()),
        StepKind::Carry
        | StepKind::Open { .. }
        | StepKind::Ask(_)
        | StepKind::Fetch { peek: false, .. }
        | StepKind::Uids
        | StepKind::FindDeleted
        | StepKind::Remove(_)
        | StepKind::RemoveAll(_)
        | StepKind::Append { .. }
        | StepKind::FindFlagged(_)
        | StepKind::Copy
        | StepKind::CopyThese(_)
        | StepKind::Describe(_)
        | StepKind::ReadOut(_)
        | StepKind::TakeBack { .. }
        | StepKind::RemoveCopied(_)
        | StepKind::Move { .. }
        | StepKind::Strip { .. }
        | StepKind::DeleteFolder
        | StepKind::Unselect
        | StepKind::Address
        | StepKind::File
        | StepKind::Parent(_)
        | StepKind::Submit { on_behalf: false } => yes(),
    }
}
