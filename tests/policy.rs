//! The policy's truth table: role × read state × folder class × action, one line a case.
//!
//! `tests/policy/truth.txt` was written from docs/rights.md, not from the code. Each line
//! says which upstream steps a permit yields, or `deny` and what is missing. Every
//! combination must be there exactly once.
//!
//! The scene: messages 1 and 2 (UIDs 11 and 12) are meant and marked `\Deleted`; 12 is the
//! user's own draft; copies get UID 21.

use std::collections::BTreeMap;

use mandate::policy::{
    Action, Answering, Assumed, Copied, Decision, Delete, Effective, Fact, Facts, FolderClass, FolderPattern,
    Ground, Held, Means, Narrowing, Next, OwnFlags, Place, ReadChoice, ReadState, Reason, Rights, Role,
    SendRight, Site, StepKind, StoreMode, Target, decide,
};
use mandate::types::{
    Address, Flag, Flags, FolderName, GrantId, LoginName, MailboxId, Timestamp, UidSet, UidValidity, UserId,
};

#[path = "policy/roles.rs"]
mod roles;

const NOW: Timestamp = Timestamp(1_000);

#[test]
fn the_truth_table_holds() {
    let text = include_str!("policy/truth.txt");
    let mut table = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (case, answer) = line.split_once(" : ").unwrap_or_else(|| panic!("no answer in {line:?}"));
        let case: Vec<&str> = case.split_whitespace().collect();
        assert!(table.insert(case.join(" "), answer.trim()).is_none(), "twice: {line}");
    }
    let mut wrong = Vec::new();
    for role in Role::built_in() {
        for (state, rules) in scenes() {
            for class in FolderClass::ALL {
                for (name, action) in actions(&Place::of(class)) {
                    let case = format!("{} {state} {class} {name}", role.name);
                    let said = answer(&under(&role, rules), &action);
                    match table.remove(&case) {
                        Some(expected) if expected == said => {}
                        expected => wrong.push(format!("{case} : {said}   (table: {expected:?})")),
                    }
                }
            }
        }
    }
    wrong.extend(table.keys().map(|case| format!("no such case: {case}")));
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// How somebody may send: role × the grant's own word × what the mailbox lets be sent × what
/// the message answers, and whether MYRIGHTS shows `p` on the Inbox. From docs/rights.md.
#[test]
fn the_table_of_sending_holds() {
    let text = include_str!("policy/send.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let table: BTreeMap<&str, &str> = lines.map(|line| line.split_once(" : ").expect("an answer")).collect();
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for role in Role::built_in() {
        for send in [None, Some(SendRight::None), Some(SendRight::OnBehalf), Some(SendRight::As)] {
            for reply_only in [false, true] {
                let granted = role.sending(send);
                let effective = effective(&granted, ReadChoice::Shared).answering_only(reply_only);
                let post = effective.rights_on(&Place::of(FolderClass::Inbox)).has(Rights::POST);
                for answering in [Answering::Unread, Answering::Known, Answering::New, Answering::Unsure] {
                    let mailbox = if reply_only { "answers" } else { "anything" };
                    let send = send.map_or("-", SendRight::as_str);
                    let case = format!("{} {send} {mailbox} {answering:?}", role.name).to_lowercase();
                    let said = format!(
                        "{}{}",
                        answer(&effective, &Action::Submit(answering)),
                        if post { ", p" } else { "" }
                    );
                    cases += 1;
                    if table.get(case.as_str()) != Some(&said.as_str()) {
                        wrong.push(format!("{case} : {said}   (table: {:?})", table.get(case.as_str())));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(table.len(), cases, "each case once");
}

#[test]
fn rights_that_ended_are_undecided() {
    let mut effective = effective(&Role::manager(), ReadChoice::Shared);
    effective.good_until = Some(NOW);
    assert!(matches!(decide(&effective, &Action::Submit(Answering::New), NOW), Decision::Undecided(_)));
    assert!(matches!(
        decide(&effective, &Action::Submit(Answering::New), NOW.plus_millis(-1)),
        Decision::Permit(_)
    ));
}

#[test]
fn a_removing_step_asks_the_rights_of_its_moment() {
    let (manager, reader) =
        (effective(&Role::manager(), ReadChoice::Shared), effective(&Role::reader(), ReadChoice::Shared));
    for action in [
        Action::Expunge { place: Place::of(FolderClass::Inbox), uidplus: true },
        Action::Expunge { place: Place::of(FolderClass::Inbox), uidplus: false },
        r#move(Place::of(FolderClass::Inbox), Place::of(FolderClass::Trash), Means::Move),
        r#move(Place::of(FolderClass::Inbox), Place::of(FolderClass::Trash), Means::CopyAndExpunge),
    ] {
        let Decision::Permit(mut permit) = decide(&manager, &action, NOW) else { panic!("{action:?}") };
        let own = UidSet::new();
        let facts = |last, effective| Facts { last, effective, own: &own, by_uid: true };
        let Next::Run(step) = permit.next(&facts(Fact::Start, &manager)) else { panic!("{action:?}") };
        assert!(!step.removes());
        let Next::Refuse(denial) = permit.next(&facts(found(step.kind()), &reader)) else {
            panic!("{action:?}")
        };
        assert_eq!(denial.reason, Reason::Withdrawn);
    }
}

#[test]
fn nothing_begins_under_rights_that_have_changed() {
    let (manager, reader) =
        (effective(&Role::manager(), ReadChoice::Shared), effective(&Role::reader(), ReadChoice::Shared));
    for action in [
        Action::Delete { place: Place::of(FolderClass::Ordinary), hides_below: false },
        Action::Append { place: Place::of(FolderClass::Sent), flags: Flags::default() },
        Action::Poll(Place::of(FolderClass::Inbox)),
    ] {
        let Decision::Permit(mut permit) = decide(&manager, &action, NOW) else { panic!("{action:?}") };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: &reader, own: &own, by_uid: true };
        let Next::Refuse(denial) = permit.next(&facts) else { panic!("{action:?}") };
        assert_eq!(denial.reason, Reason::Withdrawn);
    }
}

#[test]
fn a_permit_is_good_in_its_own_mailbox_alone() {
    let here = effective(&Role::manager(), ReadChoice::Shared);
    let mut elsewhere = here.clone();
    elsewhere.mailbox = MailboxId(2);
    let expunge = Action::Expunge { place: Place::of(FolderClass::Inbox), uidplus: true };
    let own = UidSet::new();
    let facts = |last, effective| Facts { last, effective, own: &own, by_uid: true };
    let Decision::Permit(mut at_start) = decide(&here, &expunge, NOW) else { panic!() };
    assert!(matches!(at_start.next(&facts(Fact::Start, &elsewhere)), Next::Refuse(_)));
    let Decision::Permit(mut under_way) = decide(&here, &expunge, NOW) else { panic!() };
    assert!(matches!(under_way.next(&facts(Fact::Start, &here)), Next::Run(_)));
    let found = Fact::Deleted(UidSet::range(1, 2));
    assert!(matches!(under_way.next(&facts(found, &elsewhere)), Next::Refuse(_)));
}

#[test]
fn a_long_expunge_stops_at_own_drafts_when_the_role_narrows() {
    let (manager, responder) =
        (effective(&Role::manager(), ReadChoice::Shared), effective(&Role::responder(), ReadChoice::Shared));
    let action = Action::Expunge { place: Place::of(FolderClass::Drafts), uidplus: true };
    let Decision::Permit(mut permit) = decide(&manager, &action, NOW) else { panic!() };
    // Every other UID: far more than one command line holds.
    let marked: UidSet = (1..9_000).filter(|uid| uid % 2 == 1).collect();
    let (none, own) = (UidSet::new(), UidSet::range(8_999, 8_999));
    let facts = |last, effective, own| Facts { last, effective, own, by_uid: true };
    assert!(matches!(permit.next(&facts(Fact::Start, &manager, &none)), Next::Run(_)));
    let Next::Run(first) = permit.next(&facts(Fact::Deleted(marked), &manager, &none)) else { panic!() };
    assert!(matches!(first.kind(), StepKind::Remove(uids) if uids.contains(1) && !uids.contains(8_999)));
    let Next::Run(last) = permit.next(&facts(Fact::Done, &responder, &own)) else { panic!() };
    assert_eq!(*last.kind(), StepKind::Remove(own.clone()));
    assert!(matches!(permit.next(&facts(Fact::Done, &responder, &own)), Next::Done));
}

#[test]
fn several_grants_give_their_union() {
    let (reader, manager) = (Role::reader(), Role::responder());
    let grants = [Held::whole(GrantId(1), &reader), Held::whole(GrantId(2), &manager)];
    let both = union(grants.into_iter(), Ground::default()).unwrap();
    assert_eq!(both.role_text(), "reader+responder");
    assert_eq!(both.rights_on(&Place::of(FolderClass::Inbox)).to_string(), "lrswp");
    assert!(union(std::iter::empty(), Ground::default()).is_none());
}

#[test]
fn who_may_not_mark_as_read_for_all_marks_for_oneself() {
    let (reader, responder) = (Role::reader(), Role::responder());
    let state = |roles: &[&Role], read_state| {
        let grants = roles.iter().enumerate().map(|(id, role)| Held::whole(GrantId(id as u64), role));
        union(grants, Ground { read_state, ..Ground::default() }).unwrap().read_state()
    };
    for (roles, by_role) in [
        (vec![&reader], ReadState::Personal),
        (vec![&responder], ReadState::Shared),
        // Shared beats personal, whichever grant came first.
        (vec![&reader, &responder], ReadState::Shared),
        (vec![&responder, &reader], ReadState::Shared),
    ] {
        assert_eq!(state(&roles, ReadChoice::ByRole), by_role);
        assert_eq!(state(&roles, ReadChoice::Shared), ReadState::Shared);
        assert_eq!(state(&roles, ReadChoice::Personal), ReadState::Personal);
    }
}

#[test]
fn both_own_flags_are_asked_about_in_four_questions() {
    let rules = Ground {
        read_state: ReadChoice::Personal,
        delete: Delete::Trash,
        separator: Some('/'),
        ..Ground::default()
    };
    let effective = under(&Role::responder(), rules);
    let place = Place::of(FolderClass::Inbox);
    let said = |seen, deleted| {
        answer(
            &effective,
            &Action::Search { place: place.clone(), asked: OwnFlags { seen, deleted }, ordered: false },
        )
    };
    assert_eq!(
        said(true, true),
        "ask seen deleted; ask seen !deleted; ask !seen deleted; ask !seen !deleted"
    );
    assert_eq!(said(false, true), "ask deleted; ask !deleted");
    let sort = Action::Search {
        place: place.clone(),
        asked: OwnFlags { seen: true, deleted: false },
        ordered: true,
    };
    assert_eq!(answer(&effective, &sort), "ask seen; ask !seen; carry");
    assert_eq!(said(false, false), "carry");
}

#[test]
fn what_was_to_go_to_trash_stays_when_the_role_narrows() {
    let rules = Ground { delete: Delete::Trash, ..Ground::default() };
    let (responder, reader, manager) =
        (under(&Role::responder(), rules), under(&Role::reader(), rules), under(&Role::manager(), rules));
    let own = UidSet::new();
    let facts = |last, effective| Facts { last, effective, own: &own, by_uid: true };
    let marked = || Fact::Marked { discard: UidSet::range(1, 2), copied: UidSet::new() };
    let action = Action::Expunge { place: Place::of(FolderClass::Inbox), uidplus: true };
    for (then, goes) in [(&reader, false), (&responder, true), (&manager, true)] {
        let Decision::Permit(mut permit) = decide(&responder, &action, NOW) else { panic!() };
        assert!(matches!(permit.next(&facts(Fact::Start, &responder)), Next::Run(_)));
        assert_eq!(matches!(permit.next(&facts(marked(), then)), Next::Run(_)), goes);
    }
    // And a manager's expunge does not go on as one to Trash: it removes, or nothing does.
    let Decision::Permit(mut permit) = decide(&manager, &action, NOW) else { panic!() };
    assert!(matches!(permit.next(&facts(Fact::Start, &manager)), Next::Run(_)));
    let deleted = Fact::Deleted(UidSet::range(1, 2));
    assert!(matches!(permit.next(&facts(deleted, &responder)), Next::Refuse(_)));
}

fn folder(name: &str) -> FolderName {
    FolderName::parse(name, Some('/')).unwrap()
}

/// An ordinary folder that the mailbox knows.
fn known(name: &str) -> Place {
    Place { known: Some(folder(name)), ..Place::of(FolderClass::Ordinary) }
}

fn narrowing(only: &[&str], except: &[&str]) -> Narrowing {
    let read = |texts: &[&str]| texts.iter().map(|text| FolderPattern::parse(text).unwrap()).collect();
    Narrowing { only: read(only), except: read(except) }
}

/// Reader everywhere, manager in Projects but not in Projects/secret.
fn narrowed(check: impl FnOnce(&Effective)) {
    let (reader, manager) = (Role::reader(), Role::manager());
    let narrowing = narrowing(&["Projects"], &["Projects/secret"]);
    let grants = [
        Held::whole(GrantId(1), &reader),
        Held { narrowing: &narrowing, ..Held::whole(GrantId(2), &manager) },
    ];
    check(&union(grants.into_iter(), Ground::default()).unwrap());
}

#[test]
fn the_union_is_taken_folder_by_folder() {
    narrowed(|effective| {
        let held = |name: &str| effective.rights_on(&known(name)).to_string();
        assert_eq!(held("Projects"), "lrswipkxte");
        assert_eq!(held("Projects/a/b"), "lrswipkxte");
        assert_eq!(held("Projects/secret"), "lr");
        assert_eq!(held("Projects/secret/x"), "lr");
        assert_eq!(held("Other"), "lr");
    });
    let manager = Role::manager();
    let narrowing = narrowing(&[], &["HR"]);
    let alone = [Held { narrowing: &narrowing, ..Held::whole(GrantId(1), &manager) }];
    let effective = union(alone.into_iter(), Ground::default()).unwrap();
    assert!(effective.sees(&known("Projects")) && !effective.sees(&known("HR/Pay")));
    // Nobody has said what it is: a narrowed grant does not reach it, whatever its name.
    assert!(!effective.sees(&Place::of(FolderClass::Ordinary)));
    // It shows messages of HR as well.
    assert!(!effective.sees(&Place { class: FolderClass::Aggregate, ..known("All") }));
}

#[test]
fn a_narrowed_grant_makes_folders_within_its_bounds_only() {
    narrowed(|effective| {
        let site =
            |parent: Option<&str>, name: &str| Site { parent: parent.map(known), name: Some(folder(name)) };
        let may = |action: &Action| matches!(decide(effective, action, NOW), Decision::Permit(_));
        assert!(may(&Action::Create(site(Some("Projects"), "Projects/new"))));
        assert!(may(&Action::Create(site(None, "Projects"))));
        assert!(!may(&Action::Create(site(None, "Other"))));
        assert!(!may(&Action::Create(site(Some("Projects"), "Projects/secret"))));
        let unknown = Site { parent: Some(Place::of(FolderClass::Ordinary)), ..site(None, "Projects/x/y") };
        assert!(!may(&Action::Create(unknown)));
        let rename = |below: &[&str], to| Action::Rename {
            place: known("Projects/a"),
            below: below.iter().map(|name| known(name)).collect(),
            to,
        };
        assert!(may(&rename(&["Projects/a/x"], site(Some("Projects"), "Projects/b"))));
        assert!(!may(&rename(&["Other/x"], site(Some("Projects"), "Projects/b"))));
        assert!(!may(&rename(&[], site(None, "Elsewhere"))));
        let moving = |from: &str, to: &str| r#move(known(from), known(to), Means::Move);
        assert!(may(&moving("Projects/a", "Projects/b")));
        assert!(!may(&moving("Projects/a", "Other")) && !may(&moving("Other", "Projects/a")));
    });
}

#[test]
fn own_and_all_drafts_are_told_apart_folder_by_folder() {
    let (responder, manager) = (Role::responder(), Role::manager());
    let narrowing = narrowing(&["Drafts"], &[]);
    let grants = [
        Held::whole(GrantId(1), &responder),
        Held { narrowing: &narrowing, ..Held::whole(GrantId(2), &manager) },
    ];
    let effective = union(grants.into_iter(), Ground::default()).unwrap();
    let drafts = |name| Place { class: FolderClass::Drafts, ..known(name) };
    assert!(!effective.only_own(&drafts("Drafts")) && effective.only_own(&drafts("Brouillons")));
    assert!(effective.rights_on(&drafts("Brouillons")).has(Rights::EXPUNGE));
}

fn r#move(from: Place, to: Place, means: Means) -> Action {
    Action::Move { from, to, means }
}

/// Every action that concerns a folder, by the table's name for it.
fn actions(at: &Place) -> Vec<(&'static str, Action)> {
    let place = || at.clone();
    let read_only = || at.clone().examined();
    let inbox = || Place { known: Some(FolderName::inbox()), ..Place::of(FolderClass::Inbox) };
    let other = |class: FolderClass| Place { class, ..known(class.as_str()) };
    let inside = || at.known.as_ref().map(|name| folder(&format!("{name}/new")));
    let store = |mode, names: &[&str]| Action::Store {
        place: place(),
        mode,
        flags: flags(names),
        known: flags(&["$Label1"]),
        unkept: Flags::default(),
        conditional: false,
        silent: false,
    };
    let rename = |below: Vec<FolderClass>, parent| Action::Rename {
        place: place(),
        below: below.into_iter().map(Place::of).collect(),
        to: Site::below(parent),
    };
    let copy = |from, to, uidplus| Action::Copy { from, to, uidplus };
    use StoreMode::{Add, Remove, Replace};
    vec![
        ("open", Action::Open(place())),
        ("examine", Action::Open(read_only())),
        ("status", Action::Status(place())),
        ("poll", Action::Poll(place())),
        ("fetch", Action::Fetch { place: place(), marks_seen: false }),
        ("fetch-body", Action::Fetch { place: place(), marks_seen: true }),
        ("fetch-body-ro", Action::Fetch { place: read_only(), marks_seen: true }),
        ("search", Action::Search { place: place(), asked: OwnFlags::default(), ordered: false }),
        (
            "search-own",
            Action::Search { place: place(), asked: OwnFlags { seen: true, deleted: true }, ordered: false },
        ),
        ("+seen", store(Add, &["\\Seen"])),
        ("-seen", store(Remove, &["\\Seen"])),
        ("+flagged", store(Add, &["\\Flagged"])),
        ("+label", store(Add, &["$Label1"])),
        ("+deleted", store(Add, &["\\Deleted"])),
        ("-deleted", store(Remove, &["\\Deleted"])),
        ("+seen+deleted", store(Add, &["\\Seen", "\\Deleted"])),
        ("=flagged", store(Replace, &["\\Flagged"])),
        ("=deleted", store(Replace, &["\\Deleted"])),
        (
            "+seen-ro",
            Action::Store {
                place: read_only(),
                mode: Add,
                flags: flags(&["\\Seen"]),
                known: Flags::default(),
                unkept: Flags::default(),
                conditional: false,
                silent: false,
            },
        ),
        (
            "+seen-silent",
            Action::Store {
                place: place(),
                mode: Add,
                flags: flags(&["\\Seen"]),
                known: Flags::default(),
                unkept: Flags::default(),
                conditional: false,
                silent: true,
            },
        ),
        (
            "=flagged-if",
            Action::Store {
                place: place(),
                mode: Replace,
                flags: flags(&["\\Flagged"]),
                known: flags(&["$Label1"]),
                unkept: Flags::default(),
                conditional: true,
                silent: false,
            },
        ),
        ("append", Action::Append { place: place(), flags: flags(&["\\Seen", "\\Deleted", "\\Draft"]) }),
        ("copy-in", copy(inbox(), place(), true)),
        ("copy-in-old", copy(inbox(), place(), false)),
        ("copy-out", copy(place(), other(FolderClass::Drafts), true)),
        ("copy-across", Action::CopyOut(place())),
        ("move-in", r#move(inbox(), place(), Means::Move)),
        ("move-in-old", r#move(inbox(), place(), Means::CopyAndExpunge)),
        ("move-out", r#move(place(), other(FolderClass::Sent), Means::Move)),
        ("move-out-old", r#move(place(), other(FolderClass::Sent), Means::CopyAndExpunge)),
        ("move-out-older", r#move(place(), other(FolderClass::Sent), Means::Nothing)),
        ("move-out-ro", r#move(read_only(), other(FolderClass::Sent), Means::Move)),
        ("move-across", Action::MoveOut { from: place(), uidplus: true }),
        ("move-across-old", Action::MoveOut { from: place(), uidplus: false }),
        ("move-across-ro", Action::MoveOut { from: read_only(), uidplus: true }),
        ("move-to-trash", r#move(place(), other(FolderClass::Trash), Means::Move)),
        ("move-to-trash-old", r#move(place(), other(FolderClass::Trash), Means::CopyAndExpunge)),
        ("expunge", Action::Expunge { place: place(), uidplus: true }),
        ("expunge-old", Action::Expunge { place: place(), uidplus: false }),
        ("expunge-ro", Action::Expunge { place: read_only(), uidplus: true }),
        ("close", Action::Close { place: place(), uidplus: true }),
        ("unselect", Action::Unselect),
        ("create-below", Action::Create(Site { parent: Some(place()), name: inside() })),
        ("create-top", Action::Create(Site::below(None))),
        ("delete", Action::Delete { place: place(), hides_below: false }),
        ("delete-hiding", Action::Delete { place: place(), hides_below: true }),
        ("rename", rename(vec![FolderClass::Ordinary], None)),
        ("rename-with-sent", rename(vec![FolderClass::Sent], None)),
        ("rename-into-trash", rename(vec![], Some(FolderClass::Trash))),
        ("administer", Action::Administer),
        ("submit", Action::Submit(Answering::New)),
    ]
}

/// Runs the whole plan and writes its steps down.
fn answer(effective: &Effective, action: &Action) -> String {
    let mut permit = match decide(effective, action, NOW) {
        Decision::Permit(permit) => permit,
        Decision::Deny(denial) => return format!("deny {}", reason(denial.reason)),
        Decision::Undecided(doubt) => return format!("undecided {doubt:?}"),
    };
    let own = UidSet::range(12, 12);
    let (mut last, mut steps) = (Fact::Start, Vec::new());
    loop {
        match permit.next(&Facts { last, effective, own: &own, by_uid: false }) {
            Next::Run(step) => {
                last = found(step.kind());
                if let StepKind::ReadOut(uid) = step.kind() {
                    permit.arrived(*uid, None);
                }
                steps.push(describe(step.kind()));
            }
            Next::Refuse(denial) => {
                steps.push(format!("deny {}", reason(denial.reason)));
                break;
            }
            Next::Done => break,
        }
    }
    if steps.is_empty() { "nothing".into() } else { steps.join("; ") }
}

fn found(step: &StepKind) -> Fact {
    match step {
        StepKind::Uids => Fact::Numbers(vec![(1, 11), (2, 12)]),
        StepKind::FindDeleted => Fact::Deleted(UidSet::range(11, 12)),
        StepKind::FindMarked => {
            Fact::Marked { discard: UidSet::range(11, 11), copied: UidSet::range(12, 12) }
        }
        StepKind::FindFlagged(_) => Fact::Flagged(false),
        StepKind::Describe(uids) => Fact::Described(uids.clone()),
        StepKind::ReadOut(_) => Fact::Done,
        StepKind::Copy | StepKind::CopyThese(_) | StepKind::Move { .. } => Fact::Copied(Some(Copied {
            validity: UidValidity(7),
            from: UidSet::range(11, 11),
            to: UidSet::range(21, 21),
        })),
        _ => Fact::Done,
    }
}

fn reason(reason: Reason) -> String {
    match reason {
        Reason::Right(rights) => rights.to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn describe(step: &StepKind) -> String {
    match step {
        StepKind::Carry => "carry".into(),
        StepKind::Open { read_only } => if *read_only { "examine" } else { "select" }.into(),
        StepKind::Fetch { peek: false, marks: false } => "fetch".into(),
        StepKind::Fetch { peek: true, marks: false } => "fetch peek".into(),
        StepKind::Fetch { peek, marks: true } => format!("fetch{} marking", if *peek { " peek" } else { "" }),
        StepKind::Ask(Assumed { seen, deleted }) => {
            let word = |state: Option<bool>, name: &str| match state {
                Some(true) => format!(" {name}"),
                Some(false) => format!(" !{name}"),
                None => String::new(),
            };
            format!("ask{}{}", word(*seen, "seen"), word(*deleted, "deleted"))
        }
        StepKind::Mark { set, clear } => {
            let names = |sign, own: OwnFlags| {
                let names = [(own.seen, "seen"), (own.deleted, "deleted")];
                names
                    .iter()
                    .filter(|(on, _)| *on)
                    .map(|(_, name)| format!(" {sign}{name}"))
                    .collect::<String>()
            };
            format!("mark{}{}", names('+', *set), names('-', *clear))
        }
        StepKind::FindMarked => "find own".into(),
        StepKind::Discard(uids) => format!("trash {uids}"),
        StepKind::Uids => "uids".into(),
        StepKind::Flags => "flags".into(),
        StepKind::Store { target, mode, flags, silent } => {
            let sign = match mode {
                StoreMode::Add => "+",
                StoreMode::Remove => "-",
                StoreMode::Replace => "=",
            };
            let set = match target {
                Target::Asked => "asked".into(),
                Target::Numbers(set) => set.to_string(),
                Target::Uids(set) => format!("uid {set}"),
            };
            let silent = if *silent { " silent" } else { "" };
            format!("store {set} {sign}({flags}){silent}")
        }
        StepKind::FindDeleted => "find".into(),
        StepKind::Remove(uids) => format!("remove {uids}"),
        StepKind::RemoveAll(uids) => format!("expunge {uids}"),
        StepKind::Append { flags } => format!("append ({flags})"),
        StepKind::FindFlagged(flags) => format!("find ({flags})"),
        StepKind::Copy => "copy".into(),
        StepKind::CopyThese(uids) => format!("copy {uids}"),
        StepKind::Describe(uids) => format!("describe {uids}"),
        StepKind::ReadOut(uid) => format!("read {uid}"),
        StepKind::TakeBack { uids, .. } => format!("take back {uids}"),
        StepKind::RemoveCopied(uids) => format!("mark and remove {uids}"),
        StepKind::Move { uids, exact, discards } => {
            let (exact, trash) =
                (if *exact { " exact" } else { "" }, if *discards { " to trash" } else { "" });
            format!("move {uids}{exact}{trash}")
        }
        StepKind::Strip { uids, flags, .. } => format!("strip {uids} ({flags})"),
        StepKind::DeleteFolder => "delete".into(),
        StepKind::Unselect => "unselect".into(),
        StepKind::Address => "address".into(),
        StepKind::Submit { on_behalf } => if *on_behalf { "submit on behalf" } else { "submit" }.into(),
        StepKind::File => "file".into(),
        StepKind::Parent(mark) => format!("mark {}", mark.as_str()),
    }
}

fn flags(names: &[&str]) -> Flags {
    names.iter().map(|name| Flag::parse(name).expect("a flag")).collect()
}

/// The table's names for what a mailbox's options may say.
fn scenes() -> [(&'static str, Ground); 3] {
    let rules = |read_state, delete| Ground { read_state, delete, separator: Some('/'), ..Ground::default() };
    [
        ("shared", rules(ReadChoice::Shared, Delete::Refuse)),
        ("personal", rules(ReadChoice::Personal, Delete::Refuse)),
        ("trash", rules(ReadChoice::Shared, Delete::Trash)),
    ]
}

fn effective(role: &Role, read_state: ReadChoice) -> Effective {
    under(role, Ground { read_state, ..Ground::default() })
}

fn under(role: &Role, rules: Ground) -> Effective {
    union([Held::whole(GrantId(1), role)].into_iter(), rules).expect("one grant")
}

fn union<'a>(grants: impl Iterator<Item = Held<'a>>, rules: Ground) -> Option<Effective> {
    Effective::union(
        (UserId(1), LoginName::parse("alice@example.org").unwrap()),
        (MailboxId(1), Address::parse("support@example.org").unwrap()),
        grants,
        Ground { separator: Some('/'), ..rules },
        None,
    )
}
