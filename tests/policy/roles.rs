//! The second truth table: roles from the configuration, narrowed grants, unions, and options of a
//! mailbox together. `roles.txt` was written from docs/rights.md, a line a case.

use std::collections::BTreeSet;

use mandate::policy::RoleSettings;

use super::*;

/// Letters by class, whose drafts, and what a mailbox does with deletions.
fn holders() -> Vec<(&'static str, Effective)> {
    let shared = Ground { read_state: ReadChoice::Shared, ..Ground::default() };
    let trash = Ground { delete: Delete::Trash, ..shared };
    let personal = Ground { read_state: ReadChoice::Personal, ..trash };
    let filer = "rights = { inbox = 'lrswm', ordinary = 'lrswm', archive = 'lrswm', drafts = 'lrswite', sent = 'lr', trash = 'lr' }";
    let whole = |role: &Role, ground| union([Held::whole(GrantId(1), role)].into_iter(), ground).unwrap();
    let only = narrowing(&["INBOX", "Projects"], &[]);
    let except = narrowing(&[], &["HR"]);
    let (reader, responder, manager) = (Role::reader(), Role::responder(), Role::manager());
    fn narrow<'a>(role: &'a Role, narrowing: &'a Narrowing) -> Held<'a> {
        Held { narrowing, ..Held::whole(GrantId(2), role) }
    }
    vec![
        ("filer", whole(&configured(filer), shared)),
        ("filer-trash", whole(&configured(filer), trash)),
        ("dropper", whole(&configured("rights = { inbox = 'lr', junk = 'i', archive = 'li' }"), shared)),
        (
            "team",
            whole(&configured("drafts = 'team'\nrights = { drafts = 'lrswite', sent = 'lrsi' }"), shared),
        ),
        ("marker", whole(&configured("rights = { inbox = 'lrt' }"), shared)),
        ("sweeper", whole(&configured("rights = { inbox = 'lre' }"), shared)),
        ("half-trash", whole(&configured("rights = { inbox = 'lrswt', trash = 'lrsw' }"), trash)),
        ("blind-trash", whole(&configured("rights = { inbox = 'lrsw' }"), trash)),
        ("own-trash", whole(&responder, personal)),
        ("only", union([narrow(&responder, &only)].into_iter(), shared).unwrap()),
        ("except", union([narrow(&manager, &except)].into_iter(), shared).unwrap()),
        (
            "both",
            union([Held::whole(GrantId(1), &reader), narrow(&responder, &only)].into_iter(), shared).unwrap(),
        ),
    ]
}

fn configured(settings: &str) -> Role {
    let settings: RoleSettings = toml::from_str(settings).unwrap();
    Role::configured("tried", &settings).unwrap()
}

/// `inbox`, or `ordinary=Projects/a` where the name matters.
fn place(text: &str) -> Place {
    let (class, name) = text.split_once('=').map_or((text, None), |(class, name)| (class, Some(name)));
    let class = FolderClass::parse(class).unwrap_or_else(|| panic!("{class}"));
    Place { known: name.map(folder), ..Place::of(class) }
}

#[test]
fn the_table_of_other_roles_holds() {
    let (holders, mut wrong, mut seen) = (holders(), Vec::new(), BTreeSet::new());
    let lines = include_str!("roles.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in lines {
        let (case, expected) = line.split_once(" : ").unwrap_or_else(|| panic!("no answer in {line:?}"));
        assert!(seen.insert(case), "twice: {case}");
        let [holder, at, act] = case.split(' ').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let found = holders.iter().find(|(name, _)| *name == holder);
        let (_, effective) = found.unwrap_or_else(|| panic!("nobody is {holder}"));
        let acts = actions(&place(at));
        let action = acts.iter().find(|(name, _)| *name == act).unwrap_or_else(|| panic!("no act {act}"));
        let said = answer(effective, &action.1);
        if said != expected {
            wrong.push(format!("{case} : {said}   (table: {expected})"));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    let tried = |holder: &str| seen.iter().any(|case| case.starts_with(&format!("{holder} ")));
    assert!(holders.iter().all(|(name, _)| tried(name)), "somebody has no line");
}
