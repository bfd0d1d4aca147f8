//! What would happen, and why: asked of the policy itself, with an act of each kind.

use super::grants::{state, way};
use super::{Answer, Case, Explained, Failure, Services, Verdict, names, now};
use crate::policy::{
    Action, Decision, Effective, Fact, Facts, FolderClass, Means, Next, Permit, Place, StepKind, StoreMode,
    Target, decide,
};
use crate::store::{Mailbox, Snapshot, User};
use crate::types::{Flags, FolderName, SystemFlag, Timestamp, UidSet};

/// An act that stands for its kind, in a folder of a class.
struct Sample {
    name: &'static str,
    action: fn(FolderClass) -> Action,
}

const SAMPLES: [Sample; 13] = [
    Sample { name: "open", action: |class| Action::Open(Place::of(class)) },
    Sample { name: "read", action: |class| Action::Fetch { place: Place::of(class), marks_seen: false } },
    Sample { name: "mark-read", action: |class| flag(class, SystemFlag::Seen) },
    Sample { name: "flag", action: |class| flag(class, SystemFlag::Flagged) },
    Sample { name: "mark-deleted", action: |class| flag(class, SystemFlag::Deleted) },
    Sample { name: "expunge", action: |class| Action::Expunge { place: Place::of(class), uidplus: true } },
    Sample { name: "store", action: |class| Action::Append { class, flags: Flags::default() } },
    Sample {
        name: "copy-here",
        action: |class| Action::Copy { from: Place::of(FolderClass::Inbox), to: class, uidplus: true },
    },
    Sample {
        name: "move-to-trash",
        action: |class| Action::Move { from: Place::of(class), to: FolderClass::Trash, means: Means::Move },
    },
    Sample { name: "create-below", action: |class| Action::Create { parent: Some(class) } },
    Sample { name: "delete-folder", action: |class| Action::Delete { class, hides_below: false } },
    Sample {
        name: "rename-folder",
        action: |class| Action::Rename { class, below: Vec::new(), parent: None },
    },
    Sample { name: "send", action: |_| Action::Submit },
];

fn flag(class: FolderClass, flag: SystemFlag) -> Action {
    Action::Store {
        place: Place::of(class),
        mode: StoreMode::Add,
        flags: flag.into(),
        known: Flags::default(),
        unkept: Flags::default(),
        conditional: false,
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
    let places = places(mailbox, folder)?;
    let now = now();
    let mut explained = Explained {
        user: user.login.to_string(),
        mailbox: mailbox.address.to_string(),
        summary: summary(&snapshot, user, mailbox, now),
        cases: Vec::new(),
    };
    let Some(effective) = snapshot.effective(user.id, mailbox.id, now) else {
        return Ok(Answer::Explained(explained));
    };
    for (place, class) in places {
        for sample in &samples {
            let (verdict, why) = judge(&effective, class, sample, now);
            explained.cases.push(Case { place: place.clone(), action: sample.name.into(), verdict, why });
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

/// The folder asked about, or one of each class.
fn places(mailbox: &Mailbox, folder: Option<&str>) -> Result<Vec<(String, FolderClass)>, Failure> {
    let Some(folder) = folder else {
        return Ok(FolderClass::ALL.into_iter().map(|class| (format!("({class})"), class)).collect());
    };
    let name = FolderName::parse(folder, mailbox.separator)
        .map_err(|_| Failure::data(format!("{folder:?} cannot be a folder's name")))?;
    let class = mailbox.class_of(&name);
    Ok(vec![(format!("{name} ({class})"), class)])
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
        lines.push(format!("{} has {} in {} through {way}{counts}", user.login, grant.role, mailbox.address));
    }
    if lines.is_empty() {
        lines.push(format!("{} has no grant in {}", user.login, mailbox.address));
    }
    lines
}

/// The policy's answer, in a word and a sentence.
fn judge(effective: &Effective, class: FolderClass, sample: &Sample, now: Timestamp) -> (Verdict, String) {
    let action = (sample.action)(class);
    // A folder that is not seen is answered as one that does not exist (invariant 11).
    let needs_folder = !matches!(action, Action::Submit);
    if needs_folder && !effective.sees(class) {
        return (Verdict::No, "such a folder does not exist for them".into());
    }
    match decide(effective, &action, now) {
        Decision::Deny(denial) => (Verdict::No, denial.sentence().to_owned()),
        Decision::Undecided(_) => (Verdict::No, "the grants are changing at this moment; ask again".into()),
        Decision::Permit(permit) => reach(effective, class, permit),
    }
}

/// How far a permit goes, by the first step of its plan.
fn reach(effective: &Effective, class: FolderClass, mut permit: Permit) -> (Verdict, String) {
    let facts = Facts { last: Fact::Start, effective, own: &UidSet::new(), by_uid: true };
    let own = effective.only_own(class);
    let yes = || (Verdict::Yes, String::new());
    let step = match permit.next(&facts) {
        Next::Run(step) => step,
        Next::Refuse(denial) => return (Verdict::No, denial.sentence().to_owned()),
        Next::Done => return (Verdict::No, "nothing happens; the client is told OK".into()),
    };
    match step.kind() {
        StepKind::Open { read_only: true } => (Verdict::Yes, "for reading only".into()),
        StepKind::Fetch { peek: true } => (Verdict::Yes, "without marking as read".into()),
        StepKind::Uids | StepKind::FindDeleted if own => (Verdict::Partly, "their own drafts only".into()),
        StepKind::Store { target: Target::Asked, silent: false, .. } => yes(),
        StepKind::Store { .. } => {
            (Verdict::Partly, "the permitted flags; the client is shown the true ones".into())
        }
        StepKind::Flags => (Verdict::No, "nothing changes; the client is shown the true flags".into()),
        StepKind::Carry
        | StepKind::Open { read_only: false }
        | StepKind::Fetch { peek: false }
        | StepKind::Uids
        | StepKind::FindDeleted
        | StepKind::Remove(_)
        | StepKind::RemoveAll(_)
        | StepKind::Append { .. }
        | StepKind::FindFlagged(_)
        | StepKind::Copy
        | StepKind::CopyThese(_)
        | StepKind::RemoveCopied(_)
        | StepKind::Move { .. }
        | StepKind::Strip { .. }
        | StepKind::DeleteFolder
        | StepKind::Unselect
        | StepKind::Submit => yes(),
    }
}
