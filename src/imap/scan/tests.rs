//! What comes in, what is found; and the same however it is cut.

use super::{Event, Fault, Scanner};
use proptest::prelude::*;

/// ASCII as it is, everything else escaped.
fn text(octets: &[u8]) -> String {
    let one = |octet: &u8| match octet {
        b' '..=b'~' => char::from(*octet).to_string(),
        other => other.escape_ascii().to_string(),
    };
    octets.iter().map(one).collect()
}

/// All events of `pieces` as lines of text; neighbouring spans are joined.
fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut scanner = Scanner::new();
    let mut found: Vec<String> = Vec::new();
    for piece in pieces {
        let mut at = 0;
        loop {
            let (used, event) = scanner.next(&piece[at..]);
            at += used;
            let line = match event {
                Event::More => break,
                Event::Value(octets) => {
                    let text = text(octets);
                    match found.last_mut().filter(|last| last.starts_with("Value ")) {
                        Some(last) => last.push_str(&text),
                        None => found.push(format!("Value {text}")),
                    }
                    continue;
                }
                Event::SearchNumbers(octets) => {
                    let text = text(octets);
                    match found.last_mut().filter(|last| last.starts_with("Numbers")) {
                        Some(last) => last.push_str(&text),
                        None => found.push(format!("Numbers{text}")),
                    }
                    continue;
                }
                Event::Fault(fault) => {
                    found.push(format!("{fault:?}"));
                    return found;
                }
                Event::Line(line) => format!("Line {}", text(line)),
                Event::Flags(flags) => format!("Flags {}", text(flags)),
                Event::Item(item) => format!("{:?} {}", item.kind, text(item.name)),
                Event::Esearch(tag) => format!("Esearch {}", text(tag)),
                other => format!("{other:?}"),
            };
            found.push(line);
        }
        assert_eq!(at, piece.len(), "More, but not all was used");
    }
    found
}

fn whole(input: &[u8]) -> Vec<String> {
    scan(std::iter::once(input))
}

const CASES: &[(&[u8], &[&str])] = &[
    (b"* OK ready\r\n", &["Line * OK ready\\r\\n"]),
    (b"* OK say {5}\r\n* BYE\r\n", &["Line * OK say {5}\\r\\n", "Line * BYE\\r\\n"]),
    (b"a1 NO foo {24}\r\n* 1 EXISTS\r\n", &["Line a1 NO foo {24}\\r\\n", "Line * 1 EXISTS\\r\\n"]),
    (b"+ {3}\r\n+\r\n", &["Line + {3}\\r\\n", "Line +\\r\\n"]),
    (b"* ok \"\r\n", &["Line * ok \"\\r\\n"]),
    (b"a1 OK gr\xc3\xbc\xdfe\r\n", &["Line a1 OK gr\\xc3\\xbc\\xdfe\\r\\n"]),
    (b"* LIST () \"/\" {5}\r\na\r\nb)\r\n", &["Line * LIST () \"/\" {5}\\r\\na\\r\\nb)\\r\\n"]),
    (b"* LIST () \"/\" \"{5}\"\r\n", &["Line * LIST () \"/\" \"{5}\"\\r\\n"]),
    (b"* LIST () \"\\\\\" \"a\\\"{3}\"\r\n", &["Line * LIST () \"\\\\\" \"a\\\"{3}\"\\r\\n"]),
    (b"* 3 EXISTS\r\n* 1 EXPUNGE\r\n", &["Line * 3 EXISTS\\r\\n", "Line * 1 EXPUNGE\\r\\n"]),
    (
        b"* 12 FETCH (UID 7 FLAGS (\\Seen $x) MODSEQ (9))\r\n",
        &["Fetch(12)", "Uid(7)", "Flags \\Seen $x", "ModSeq(9)", "FetchEnd"],
    ),
    (b"* 1 FETCH ()\r\n", &["Fetch(1)", "FetchEnd"]),
    (
        b"* 1 fetch (body[] {6}\r\n)\r\n* 1 uid 3)\r\n",
        &[
            "Fetch(1)",
            "Section body[]",
            "Value {6}\\r\\n",
            "Literal(6)",
            "Value )\\r\\n* 1",
            "Uid(3)",
            "FetchEnd",
        ],
    ),
    (b"* 1 FETCH (BODY[] {0}\r\n)\r\n", &["Fetch(1)", "Section BODY[]", "Value {0}\\r\\n", "FetchEnd"]),
    (
        b"* 1 FETCH (BODY[HEADER.FIELDS ({3}\r\nf] \"b ar\")]<0> NIL UID 1)\r\n",
        &[
            "Fetch(1)",
            "Section BODY[HEADER.FIELDS ({3}\\r\\nf] \"b ar\")]<0>",
            "Value NIL",
            "Uid(1)",
            "FetchEnd",
        ],
    ),
    (
        b"* 1 FETCH (ENVELOPE (\"a)\\\\\" {3}\r\n)))(NIL \"\\\"\")) RFC822.SIZE 4)\r\n",
        &[
            "Fetch(1)",
            "Envelope ENVELOPE",
            "Value (\"a)\\\\\" {3}\\r\\n",
            "Literal(3)",
            "Value )))(NIL \"\\\"\"))",
            "Rfc822Size RFC822.SIZE",
            "Value 4",
            "FetchEnd",
        ],
    ),
    (
        b"* 1 FETCH (X-GM-LABELS (\\Inbox \"a)\" {2}\r\n))) X-A {1}\r\n) UID 2)\r\n",
        &["Fetch(1)", "Dropped", "Dropped", "Uid(2)", "FetchEnd"],
    ),
    (
        b"* 1 FETCH (INTERNALDATE \" 1-Jan-2026 00:00:00 +0000\" BINARY[1] ~{0}\r\n)\r\n",
        &[
            "Fetch(1)",
            "InternalDate INTERNALDATE",
            "Value \" 1-Jan-2026 00:00:00 +0000\"",
            "Dropped",
            "Structure",
        ],
    ),
    (b"* SEARCH\r\n", &["Search(Search)", "SearchEnd"]),
    (
        b"* SEARCH 1 2 30 (MODSEQ 917)\r\n",
        &["Search(Search)", "Numbers 1 2 30 ", "SearchWord(ModSeq)", "Numbers 917", "SearchEnd"],
    ),
    (
        b"* ESEARCH (TAG \"P1\") UID MIN 1 ALL 1:3,5\r\n",
        &[
            "Esearch P1",
            "Numbers ",
            "SearchWord(Uid)",
            "Numbers ",
            "SearchWord(Min)",
            "Numbers 1 ",
            "SearchWord(All)",
            "Numbers 1:3,5",
            "SearchEnd",
        ],
    ),
    (
        b"* ESEARCH\r\n* ESEARCH COUNT 0\r\n",
        &["Esearch ", "SearchEnd", "Esearch ", "SearchWord(Count)", "Numbers 0", "SearchEnd"],
    ),
    // What cannot be.
    (b"* OK a\nb\r\n", &["LineEnd"]),
    (b"* OK a\rb\r\n", &["LineEnd"]),
    (b"* OK a\0\r\n", &["Nul"]),
    (b"* LIST () \"/\" \"a\r\nb\"\r\n", &["LineEnd"]),
    (b"* LIST () \"/\" a\n", &["LineEnd"]),
    (b"* LIST () \"/\" a{3}\r\nabc\r\n", &["Structure"]),
    (b"* LIST () \"/\" {3+}\r\nabc\r\n", &["LiteralSize"]),
    (b"* LIST () \"/\" {03}\r\nabc\r\n", &["LiteralSize"]),
    (b"* LIST () \"/\" {300000}\r\n", &["TooLong"]),
    (b"* 0 FETCH (UID 1)\r\n", &["Number"]),
    (b"* 4294967296 FETCH (UID 1)\r\n", &["Number"]),
    (b"* 1 FETCH UID 1\r\n", &["Structure"]),
    (b"* 1 FETCH (UID x)\r\n", &["Fetch(1)", "Number"]),
    (b"* 1 FETCH (UID 1))\r\n", &["Fetch(1)", "Uid(1)", "LineEnd"]),
    (b"* 1 FETCH (UID 1)\n", &["Fetch(1)", "Uid(1)", "LineEnd"]),
    (b"* 1 FETCH (FLAGS (\\Seen\r\n", &["Fetch(1)", "Structure"]),
    (b"* 1 FETCH (RFC822.SIZE )\r\n", &["Fetch(1)", "Rfc822Size RFC822.SIZE", "Structure"]),
    (b"* 1 FETCH (BODY[] {4294967296}\r\n", &["Fetch(1)", "Section BODY[]", "LiteralSize"]),
    (b"* 1 FETCH (BODY[] {}\r\n", &["Fetch(1)", "Section BODY[]", "LiteralSize"]),
    (b"* SEARCH 1 x\r\n", &["Search(Search)", "Numbers 1 ", "Search"]),
    (b"* SORT 3 1\r\n", &["Search(Sort)", "Numbers 3 1", "SearchEnd"]),
    (b"* thread (2)(3 (4)(5))\r\n", &["Search(Thread)", "Numbers (2)(3 (4)(5))", "SearchEnd"]),
    (b"* THREAD (2\r\n", &["Search(Thread)", "Numbers (2", "LineEnd"]),
    (b"* THREAD 2)\r\n", &["Search(Thread)", "Numbers ", "Search"]),
    (b"* THREAD (2))\r\n", &["Search(Thread)", "Search"]),
    (b"\r\n", &["Structure"]),
    (b"*OK\r\n", &["Structure"]),
];

#[test]
fn every_case_in_one_piece() {
    for (input, expected) in CASES {
        let found = whole(input);
        // A value that ends in a fault may have shown its beginning.
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, *expected, "{}", input.escape_ascii());
    }
}

/// Values up to a fault may be cut off sooner or later; everything else must be equal.
fn without_lost_values(mut events: Vec<String>) -> Vec<String> {
    if events.len() >= 2 && !events[events.len() - 1].starts_with("Value") {
        let before = events.len() - 2;
        let faulted =
            ["LineEnd", "Nul", "TooLong", "TooDeep", "LiteralSize", "Number", "Structure", "Search"];
        let cut = events[before].starts_with("Value ") || events[before].starts_with("Numbers");
        if cut && faulted.contains(&events[before + 1].as_str()) {
            events.remove(before);
        }
    }
    events
}

#[test]
fn every_case_cut_at_every_place() {
    for (input, _) in CASES {
        let expected = without_lost_values(whole(input));
        for cut in 0..=input.len() {
            let (a, b) = input.split_at(cut);
            assert_eq!(
                without_lost_values(scan([a, b].into_iter())),
                expected,
                "{} at {cut}",
                input.escape_ascii()
            );
        }
        assert_eq!(without_lost_values(scan(input.chunks(1))), expected, "{}", input.escape_ascii());
    }
}

/// Structure-rich octets: parentheses, quotes, escapes and small literals in any order.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-z0-9 ()]{1,70}".prop_map(String::into_bytes),
        4 => "\"[a-z() {}\\[\\]]{0,90}\"".prop_map(String::into_bytes),
        2 => Just(b"\"a\\\"b\\\\\"".to_vec()),
        2 => Just(b" {4}\r\n)\"\r\n".to_vec()),
        1 => Just(b")".to_vec()),
        1 => Just(b" BODY[HEADER.FIELDS (\"a b\")] ".to_vec()),
        1 => Just(b")\r\n* 1 FETCH (ENVELOPE (".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cut_finds_the_same(rest in octets(), cuts in prop::collection::vec(1usize..90, 1..40)) {
        let input = [b"* 9 FETCH (UID 4 BODYSTRUCTURE (", rest.as_slice(), b"))\r\n"].concat();
        let expected = without_lost_values(whole(&input));
        let mut pieces = Vec::new();
        let mut left = input.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, rest) = left.split_at((*cut).min(left.len()));
            pieces.push(piece);
            left = rest;
            if left.is_empty() { break; }
        }
        prop_assert_eq!(without_lost_values(scan(pieces.into_iter())), expected);
    }

    #[test]
    fn never_panics(input in prop::collection::vec(any::<u8>(), 0..200)) {
        whole(&input);
    }
}

#[test]
fn limits_hold() {
    let long = [b"* X ".as_slice(), &vec![b'a'; super::MAX_LINE], b"\r\n"].concat();
    assert_eq!(whole(&long), ["TooLong"]);
    assert_eq!(scan(long.chunks(1000)), ["TooLong"]);
    let deep = [b"* 1 FETCH (ENVELOPE ".as_slice(), &vec![b'('; super::MAX_DEPTH as usize + 1]].concat();
    assert_eq!(whole(&deep).last().map(String::as_str), Some("TooDeep"));
    let fine = [b"* 1 FETCH (ENVELOPE ".as_slice(), &vec![b'('; super::MAX_DEPTH as usize]].concat();
    assert!(whole(&fine).last().is_some_and(|last| last.starts_with("Value")));
    let flags = [b"* 1 FETCH (FLAGS (".as_slice(), &vec![b'a'; super::MAX_FLAGS]].concat();
    assert_eq!(whole(&flags), ["Fetch(1)", "TooLong"]);
    let name = [b"* 1 FETCH (BODY[".as_slice(), &vec![b'a'; super::MAX_NAME]].concat();
    assert_eq!(whole(&name), ["Fetch(1)", "TooLong"]);
}

#[test]
fn a_vanished_too_long_for_a_line_comes_in_several() {
    for head in ["* VANISHED (EARLIER) ", "* vanished "] {
        let uids: Vec<String> = (1u32..60_000).map(|n| (n * 70_001).to_string()).collect();
        let input = format!("{head}{}\r\n* 1 EXISTS\r\n", uids.join(","));
        let found = whole(input.as_bytes());
        for size in [1, 7, 1000, super::MAX_LINE - 1, super::MAX_LINE + 1] {
            assert_eq!(scan(input.as_bytes().chunks(size)), found, "{size}");
        }
        let (last, pieces) = found.split_last().unwrap();
        assert_eq!((last.as_str(), pieces.len()), ("Line * 1 EXISTS\\r\\n", 3));
        let told = pieces.iter().map(|piece| {
            assert!(piece.len() <= super::MAX_LINE + "Line \\r\\n".len(), "{}", piece.len());
            let said = piece.to_uppercase();
            let said = said.strip_prefix(&format!("LINE {}", head.to_uppercase()));
            said.and_then(|said| said.strip_suffix("\\R\\N")).unwrap().to_owned()
        });
        assert_eq!(told.collect::<Vec<_>>().join(","), uids.join(","));
    }
    // A number alone is none of that length.
    let number = [b"* VANISHED ".as_slice(), &vec![b'1'; super::MAX_LINE]].concat();
    assert_eq!(whole(&number), ["TooLong"]);
}

#[test]
fn the_caller_may_move_literal_octets_itself() {
    let mut scanner = Scanner::new();
    let input = b"* 1 FETCH (BODY[] {1000}\r\n";
    let mut at = 0;
    loop {
        let (used, event) = scanner.next(&input[at..]);
        at += used;
        if event == Event::Literal(1000) {
            break;
        }
        assert!(!matches!(event, Event::More | Event::Fault(_)));
    }
    assert_eq!(scanner.literal_left(), 1000);
    scanner.passed(999);
    assert_eq!(scanner.next(b"x UID 5)\r\n"), (1, Event::Value(b"x")));
    assert_eq!(scanner.next(b" UID 5)\r\n"), (6, Event::Uid(5)));
    assert_eq!(scanner.next(b")\r\n"), (3, Event::FetchEnd));
    assert!(scanner.is_between_responses());
}

#[test]
fn a_fault_is_for_good() {
    let mut scanner = Scanner::new();
    assert_eq!(scanner.next(b"\0").1, Event::Fault(Fault::Structure));
    assert_eq!(scanner.next(b"* OK\r\n").1, Event::Fault(Fault::Structure));
}
