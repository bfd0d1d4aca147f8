use super::pattern::Pattern;
use super::*;
use crate::imap::command::{List, ListReturn, ListSelect, StatusItem};
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    Pattern::new(b"", text.as_bytes(), Some(b'/'))
}

#[test]
fn wildcards() {
    for (text, name, expected) in [
        ("*", "a/b/c", true),
        ("%", "a", true),
        ("%", "a/b", false),
        ("%/%", "a/b", true),
        ("a%", "abc", true),
        ("a%c", "abbc", true),
        ("a%c", "ab/c", false),
        ("a*c", "ab/c", true),
        ("*%", "a/b", true),
        ("%*", "a/b", true),
        ("", "", true),
        ("a", "ab", false),
        ("ab", "a", false),
        ("inbox", "INBOX", true),
        ("InB%", "INBOX", true),
        ("inbox/a", "INBOX/a", true),
        ("inbox/A", "INBOX/a", false),
        ("inboxx", "INBOXX", false),
        ("sent", "Sent", false),
        ("caf&AOk-", "caf&AOk-", true),
    ] {
        assert_eq!(pattern(text).matches(name.as_bytes()), expected, "{text} {name}");
    }
}

#[test]
fn no_pattern_takes_exponential_time() {
    let name = vec![b'a'; 4000];
    assert!(!pattern(&"*a".repeat(200)[..]).matches(&[name.as_slice(), b"c"].concat()));
    assert!(!pattern("*a*a*a*a*b").matches(&name));
    assert!(!pattern(&"%a".repeat(200)).matches(&[b"/".as_slice(), &name].concat()));
}

/// The definition, word by word; exponential.
fn naive(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) if naive(rest, name) => true,
        ([b'%', rest @ ..], _) if naive(rest, name) => true,
        ([b'*', ..], [_, left @ ..]) => naive(pattern, left),
        ([b'%', ..], [octet, left @ ..]) => *octet != b'/' && naive(pattern, left),
        ([p, rest @ ..], [n, left @ ..]) => p == n && naive(rest, left),
        _ => false,
    }
}

proptest! {
    #[test]
    fn matches_as_defined(text in "[ab/*%]{0,8}", name in "[ab/]{0,8}") {
        prop_assert_eq!(pattern(&text).matches(name.as_bytes()), naive(text.as_bytes(), name.as_bytes()));
    }
}

struct Folders(Vec<FolderName>);

impl Folders {
    /// INBOX, Drafts, Archive/2026 (Archive is hidden), Team, Team/a, Team/a/b.
    fn new() -> Self {
        let names = ["INBOX", "Drafts", "Archive/2026", "Team", "Team/a", "Team/a/b"];
        Self(names.iter().map(|name| FolderName::parse(name, Some('/')).unwrap()).collect())
    }

    fn answer(&self, ask: impl FnOnce(&View<'_>, &mut Vec<u8>)) -> Vec<String> {
        let visible: Vec<_> = self
            .0
            .iter()
            .map(|name| Visible {
                name,
                wire: name.as_str().as_bytes(),
                special_use: (name.as_str() == "Drafts").then_some("\\Drafts"),
                subscribed: ["INBOX", "Archive/2026", "Team/a/b"].contains(&name.as_str()),
                selectable: name.as_str() != "Team",
            })
            .collect();
        let mut out = Vec::new();
        ask(&View::new(&visible, Some('/')), &mut out);
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.replacen("* ", "", 1).replace(" \"/\"", "")).collect()
    }

    fn list(&self, patterns: &[&str], select: ListSelect, ret: ListReturn) -> Vec<String> {
        let patterns = patterns.iter().map(|text| text.as_bytes().to_vec()).collect();
        let list = List { reference: Vec::new(), patterns, select, ret, extended: false };
        self.answer(|view, out| {
            view.list(&list, out);
        })
    }
}

#[test]
fn list_shows_what_is_in_the_view() {
    let folders = Folders::new();
    let plain = |text: &str| folders.list(&[text], ListSelect::default(), ListReturn::default());
    assert_eq!(
        plain("*"),
        [
            r#"LIST (\HasNoChildren) "INBOX""#,
            r#"LIST (\HasNoChildren \Drafts) "Drafts""#,
            r#"LIST (\HasNoChildren) "Archive/2026""#,
            r#"LIST (\Noselect \HasChildren) "Team""#,
            r#"LIST (\HasChildren) "Team/a""#,
            r#"LIST (\HasNoChildren) "Team/a/b""#,
        ]
    );
    assert_eq!(
        plain("%"),
        [
            r#"LIST (\HasNoChildren) "INBOX""#,
            r#"LIST (\HasNoChildren \Drafts) "Drafts""#,
            r#"LIST (\Noselect \HasChildren) "Team""#,
            r#"LIST (\NonExistent \Noselect \HasChildren) "Archive""#,
        ]
    );
    assert_eq!(plain(""), [r#"LIST (\Noselect) """#]);
    assert_eq!(plain("inbox"), [r#"LIST (\HasNoChildren) "INBOX""#]);
    assert_eq!(plain("Archive"), [] as [&str; 0]);
    assert_eq!(plain("Secret"), [] as [&str; 0]);
}

#[test]
fn extended_options() {
    let folders = Folders::new();
    let none = ListSelect::default();
    let subscribed = ListSelect { subscribed: true, ..none };
    assert_eq!(
        folders.list(&["*"], subscribed, ListReturn::default()),
        [
            r#"LIST (\Subscribed \HasNoChildren) "INBOX""#,
            r#"LIST (\Subscribed \HasNoChildren) "Archive/2026""#,
            r#"LIST (\Subscribed \HasNoChildren) "Team/a/b""#,
        ]
    );
    let recursive = ListSelect { recursive_match: true, ..subscribed };
    assert_eq!(
        folders.list(&["%"], recursive, ListReturn::default()),
        [
            r#"LIST (\Subscribed \HasNoChildren) "INBOX""#,
            r#"LIST (\Noselect \HasChildren) "Team" ("CHILDINFO" ("SUBSCRIBED"))"#,
            r#"LIST (\NonExistent \Noselect \HasChildren) "Archive" ("CHILDINFO" ("SUBSCRIBED"))"#,
        ]
    );
    // Children that are listed themselves do not bring their parents in.
    assert_eq!(folders.list(&["*"], recursive, ListReturn::default()).len(), 3);
    let special = ListSelect { special_use: true, ..none };
    assert_eq!(
        folders.list(&["*"], special, ListReturn::default()),
        [r#"LIST (\HasNoChildren \Drafts) "Drafts""#]
    );
    let ret = ListReturn { subscribed: true, ..ListReturn::default() };
    assert_eq!(
        folders.list(&["INBOX", "Drafts", "Sec%"], none, ret),
        [r#"LIST (\Subscribed \HasNoChildren) "INBOX""#, r#"LIST (\HasNoChildren \Drafts) "Drafts""#]
    );
}

#[test]
fn status_is_due_for_what_can_be_opened() {
    let ret = ListReturn { status: vec![StatusItem::Messages], ..ListReturn::default() };
    for (ret, expected) in [(ret, vec![3 + 1, 5]), (ListReturn::default(), vec![])] {
        let patterns = vec![b"Team*".to_vec()];
        let list =
            List { reference: Vec::new(), patterns, select: ListSelect::default(), ret, extended: true };
        Folders::new().answer(|view, out| assert_eq!(view.list(&list, out), expected));
    }
}

#[test]
fn a_reference_is_put_in_front() {
    let list = List { reference: b"Team/".to_vec(), patterns: vec![b"%".to_vec()], ..List::default() };
    let found = Folders::new().answer(|view, out| {
        view.list(&list, out);
    });
    assert_eq!(found, [r#"LIST (\HasChildren) "Team/a""#]);
}

#[test]
fn lsub_lists_subscriptions_and_the_way_to_them() {
    let folders = Folders::new();
    let lsub = |text: &str| folders.answer(|view, out| view.lsub(b"", text.as_bytes(), out));
    assert_eq!(lsub("*"), [r#"LSUB () "INBOX""#, r#"LSUB () "Archive/2026""#, r#"LSUB () "Team/a/b""#]);
    assert_eq!(
        lsub("%"),
        [r#"LSUB () "INBOX""#, r#"LSUB (\Noselect) "Team""#, r#"LSUB (\Noselect) "Archive""#]
    );
    assert_eq!(lsub("Drafts"), [] as [&str; 0]);
    assert_eq!(lsub(""), [r#"LSUB (\Noselect) """#]);
}
