use super::{Announced, Event, Fault, Framer, KEEP, Limits, MAX_DONE_LINE, Recovery};
use proptest::prelude::*;

const SYNC: fn(u64) -> Announced = |size| Announced { size, synchronising: true };
const NON_SYNC: fn(u64) -> Announced = |size| Announced { size, synchronising: false };

/// The first event of an input, and what was taken up to it.
fn first(input: &[u8]) -> (usize, Option<Event>) {
    Framer::new(Limits::after_login()).push(input)
}

#[test]
fn lines_end_in_crlf_alone() {
    for (input, expected) in [
        (&b"a NOOP\r\nb CREATE x\r\n"[..], Event::Line),
        (b"a NOOP\nb CREATE x\r\n", Event::Fault(Fault::BareLf)),
        (b"\n", Event::Fault(Fault::BareLf)),
        (b"a NOOP\rb CREATE x\r\n", Event::Fault(Fault::BareCr)),
        (b"a NOOP\r\r\n", Event::Fault(Fault::BareCr)),
        (b"a LOGIN x y\0\r\n", Event::Fault(Fault::Nul)),
        (b"a SELECT \"Sec\0ret\"\r\n", Event::Fault(Fault::Nul)),
        (b"a SELECT \"Secret\r\nb CREATE x\r\n", Event::Fault(Fault::OpenQuote)),
        (b"a SELECT \"Secret\\\"\r\n", Event::Fault(Fault::OpenQuote)),
        (b"a SELECT \"Secret\\\r\n", Event::Fault(Fault::OpenQuote)),
        (b"a STORE 1:* +FLAGS (\\Foo\" {5+}\r\n", Event::Fault(Fault::OpenQuote)),
        (b"a SELECT {6+}\nSecret\r\n", Event::Fault(Fault::BareLf)),
        (b"\r\n", Event::Line),
    ] {
        assert_eq!(first(input).1, Some(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn a_literal_has_one_spelling() {
    for (ending, expected) in [
        ("{5}", Some(SYNC(5))),
        ("{5+}", Some(NON_SYNC(5))),
        ("{0}", Some(SYNC(0))),
        ("\"x{5\" {5}", Some(SYNC(5))),
        ("{9223372036854775807}", Some(SYNC(i64::MAX as u64))),
        ("{9223372036854775808}", None),
        ("{99999999999999999999}", None),
        ("{05}", None),
        ("{00}", None),
        ("{-1}", None),
        ("{+1}", None),
        ("{1 }", None),
        ("{ 1}", None),
        ("{}", None),
        ("{+}", None),
        ("{5++}", None),
        ("{5-}", None),
        ("{0x5}", None),
        ("~{5}", None),
        ("~{5+}", None),
    ] {
        let event = expected.map_or(Event::Fault(Fault::Announcement), Event::Literal);
        let line = format!("a SELECT {ending}\r\n");
        assert_eq!(first(line.as_bytes()), (line.len(), Some(event)), "{ending}");
    }
}

#[test]
fn what_is_no_announcement_is_a_line() {
    for line in ["a SELECT x}\r\n", "a SELECT \"{5}\"\r\n", "a SELECT {5} x\r\n", "a SELECT \"x{5\" y}\r\n"] {
        assert_eq!(first(line.as_bytes()), (line.len(), Some(Event::Line)), "{line}");
    }
}

#[test]
fn an_argument_literal_stays_in_place() {
    let mut framer = Framer::new(Limits::before_login());
    let input = b"a LOGIN {5}\r\nali\"e {3+}\r\n\r\nx\r\nb NOOP\r\n";
    let (first, event) = framer.push(input);
    assert_eq!((first, event), (13, Some(Event::Literal(SYNC(5)))));
    assert_eq!(framer.push(b"more"), (0, event), "an event must be acted upon");
    framer.accept_literal().unwrap();
    let (second, event) = framer.push(&input[first..]);
    assert_eq!(event, Some(Event::Literal(NON_SYNC(3))));
    framer.accept_literal().unwrap();
    let (third, event) = framer.push(&input[first + second..]);
    assert_eq!(event, Some(Event::Line));
    assert_eq!(framer.line(), b"a LOGIN {5}\r\nali\"e {3+}\r\n\r\nx\r\n");
    framer.begin_next();
    assert_eq!(framer.push(&input[first + second + third..]).1, Some(Event::Line));
    assert_eq!(framer.line(), b"b NOOP\r\n");
}

#[test]
fn an_empty_literal_needs_no_octets() {
    let mut framer = Framer::new(Limits::after_login());
    framer.push(b"a SELECT {0}\r\n");
    framer.accept_literal().unwrap();
    assert_eq!(framer.push(b"\r\n"), (2, Some(Event::Line)));
}

#[test]
fn nul_in_a_literal_is_a_fault() {
    let mut framer = Framer::new(Limits::after_login());
    framer.push(b"a DELETE {7+}\r\n");
    framer.accept_literal().unwrap();
    assert_eq!(framer.push(b"Secret\0\r\n").1, Some(Event::Fault(Fault::Nul)));
}

/// Accepts the announcements one after the other; the first refusal.
fn refusal(limits: Limits, announcements: &[&str]) -> Option<Fault> {
    let mut framer = Framer::new(limits);
    framer.push(b"a LOGIN");
    for announcement in announcements {
        let (_, event) = framer.push(format!(" {announcement}\r\n").as_bytes());
        let Some(Event::Literal(announced)) = event else { panic!("{event:?}") };
        if let Err(fault) = framer.accept_literal() {
            return Some(fault);
        }
        framer.push(&vec![b'x'; usize::try_from(announced.size).unwrap()]);
    }
    None
}

#[test]
fn literals_are_limited_each_and_together() {
    let (before, after) = (Limits::before_login(), Limits::after_login());
    for (limits, announcements, expected) in [
        (before, &["{1024}"][..], None),
        (before, &["{1025}"], Some(Fault::LiteralTooLong(SYNC(1025)))),
        (before, &["{1025+}"], Some(Fault::LiteralTooLong(NON_SYNC(1025)))),
        (before, &["{1024}", "{1024}", "{1024}", "{1024}"], None),
        (before, &["{1024}", "{1024}", "{1024}", "{1024}", "{1}"], Some(Fault::LiteralTooLong(SYNC(1)))),
        (before, &["{1}"; 8], None),
        (before, &["{0+}"; 9], Some(Fault::TooManyLiterals(NON_SYNC(0)))),
        (after, &["{4096+}"], None),
        (after, &["{4097+}"], Some(Fault::LiteralTooLong(NON_SYNC(4097)))),
        (after, &["{65536}"], None),
        (after, &["{65537}"], Some(Fault::LiteralTooLong(SYNC(65537)))),
        (after, &["{1}"; 32], None),
        (after, &["{1}"; 33], Some(Fault::TooManyLiterals(SYNC(1)))),
        (after, &["{65536}", "{9223372036854775807}"], Some(Fault::LiteralTooLong(SYNC(i64::MAX as u64)))),
    ] {
        assert_eq!(refusal(limits, announcements), expected, "{announcements:?}");
    }
}

#[test]
fn only_a_counted_frame_can_be_recovered() {
    assert_eq!(Fault::LiteralTooLong(SYNC(9)).recovery(), Recovery::Next);
    assert_eq!(Fault::TooManyLiterals(NON_SYNC(9)).recovery(), Recovery::Drain(9));
    for fault in [
        Fault::BareLf,
        Fault::BareCr,
        Fault::Nul,
        Fault::OpenQuote,
        Fault::Announcement,
        Fault::LineTooLong,
        Fault::AfterLiteral,
    ] {
        assert_eq!(fault.recovery(), Recovery::Close);
    }
}

#[test]
fn lines_are_limited() {
    for limits in [Limits::before_login(), Limits::after_login()] {
        let line = |octets: usize| [&vec![b'x'; octets - 2][..], b"\r\n"].concat();
        assert_eq!(Framer::new(limits).push(&line(limits.line)).1, Some(Event::Line));
        let too_long = Some(Event::Fault(Fault::LineTooLong));
        assert_eq!(Framer::new(limits).push(&line(limits.line + 1)).1, too_long);
        let mut framer = Framer::new(limits);
        assert_eq!(framer.push(&vec![b'x'; limits.line]), (limits.line, None));
        assert_eq!(framer.push(b"x").1, too_long, "without waiting for the line to end");
    }
}

#[test]
fn literals_do_not_refresh_the_line_limit() {
    let mut framer = Framer::new(Limits { line: 20, ..Limits::after_login() });
    framer.push(b"a SEARCH x {1}\r\n");
    framer.accept_literal().unwrap();
    assert_eq!(framer.push(b"y zzzzz\r\n").1, Some(Event::Fault(Fault::LineTooLong)));
}

#[test]
fn a_message_goes_past_the_framer() {
    let mut framer = Framer::new(Limits::after_login());
    framer.push(b"a APPEND x {1000000}\r\n");
    framer.skip_literal();
    assert_eq!(framer.push(b"\r"), (1, None));
    assert_eq!(framer.push(b"\nb NOOP\r\n"), (1, Some(Event::Line)));
    framer.begin_next();
    for after in [" {5+}\r\n", "\n", "\r\r\n", "x"] {
        let mut framer = Framer::new(Limits::after_login());
        framer.push(b"a APPEND x {10+}\r\n");
        framer.skip_literal();
        let (_, event) = framer.push(after.as_bytes());
        assert_eq!(event, Some(Event::Fault(Fault::AfterLiteral)), "{after:?}");
    }
}

#[test]
fn plain_lines_have_no_literals_and_no_quotes() {
    for (line, limit, expected) in [
        (&b"DONE\r\n"[..], MAX_DONE_LINE, Event::Line),
        (b"\"{5}\r\n", MAX_DONE_LINE, Event::Line),
        (b"DONE\n", MAX_DONE_LINE, Event::Fault(Fault::BareLf)),
        (b"DO\rNE\r\n", MAX_DONE_LINE, Event::Fault(Fault::BareCr)),
        (b"DONE\0\r\n", MAX_DONE_LINE, Event::Fault(Fault::Nul)),
        (b"1234\r\n", 4, Event::Line),
        (b"12345\r\n", 4, Event::Fault(Fault::LineTooLong)),
    ] {
        let mut framer = Framer::new(Limits::after_login());
        assert_eq!(framer.push_plain(line, limit).1, Some(expected), "{}", line.escape_ascii());
        if expected == Event::Line {
            assert_eq!(framer.plain(), &line[..line.len() - 2]);
        }
    }
}

#[test]
fn the_tag_of_a_poisoned_command_is_known() {
    let mut framer = Framer::new(Limits::after_login());
    framer.push(b"a7 NOOP\nb CREATE x\r\n");
    assert_eq!(framer.tag().unwrap().as_str(), "a7");
    let mut framer = Framer::new(Limits::after_login());
    framer.push(b"{5}\r\n");
    assert_eq!(framer.tag(), None);
}

#[test]
fn an_idle_framer_holds_no_large_buffer() {
    let mut framer = Framer::new(Limits::after_login());
    framer.push(&[vec![b'x'; 60_000], b"\r\n".to_vec()].concat());
    framer.begin_next();
    assert_eq!(framer.buffer.0.capacity(), 0);
    framer.push(b"a NOOP\r\n");
    framer.begin_next();
    assert!(framer.buffer.0.capacity() <= KEEP);
    framer.release();
    assert_eq!(framer.buffer.0.capacity(), 0);
    assert!(framer.is_idle());
}

#[test]
fn debug_shows_no_octets() {
    let mut framer = Framer::new(Limits::before_login());
    framer.push(b"a LOGIN alice hunter2\r\n");
    assert!(!format!("{framer:?}").contains("104"), "{framer:?}");
    assert!(!format!("{framer:?}").contains("hunter2"));
}

/// Everything the framer says about an input that comes in these pieces.
fn trace(pieces: &[&[u8]]) -> Vec<(Event, Vec<u8>)> {
    let mut framer = Framer::new(Limits::before_login());
    let mut events = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (taken, event) = framer.push(rest);
            rest = &rest[taken..];
            let Some(event) = event else { break };
            events.push((event, framer.line().to_vec()));
            match event {
                Event::Line => framer.begin_next(),
                Event::Literal(_) => match framer.accept_literal() {
                    Ok(()) => {}
                    Err(fault) if fault.recovery() == Recovery::Next => framer.begin_next(),
                    Err(_) => return events,
                },
                Event::Fault(_) => return events,
            }
        }
    }
    events
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        input in "([a-c \"\\\\{}+0-3x]{0,6}(\r\n|\n|\\{[0-9]{1,2}\\+?\\}\r\n)){0,6}",
        cuts in prop::collection::vec(0usize..80, 0..6),
    ) {
        let whole = trace(&[input.as_bytes()]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.push(0);
        cuts.push(input.len());
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &input.as_bytes()[w[0]..w[1]]).collect();
        let cut = trace(&pieces);
        // Of a poisoned line the octets kept may differ, never what is said.
        prop_assert_eq!(whole.len(), cut.len());
        for (a, b) in whole.iter().zip(&cut) {
            prop_assert_eq!(a.0, b.0);
            prop_assert!(matches!(a.0, Event::Fault(_)) || a.1 == b.1);
        }
    }
}
