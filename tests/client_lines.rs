//! Every command that real clients were seen to send is understood, or refused on purpose.

use std::fs;
use std::path::Path;

use mandate::imap::Tagged;
use mandate::imap::frame::{Event, Framer, Limits};
use mandate::imap::parse::{self, AppendHead, Bad};

/// Commands outside the grammar, by how they go on after the tag, and why that is right.
const REFUSED: &[(&str, &str)] = &[
    ("NOTIFY SET", "reports on every folder, hidden ones too; not offered"),
    ("LOGIN BOB*SALES", "`*` is no astring, and no name of ours has it"),
    ("LOGIN BOB%SALES", "`%` is no astring, and no name of ours has it"),
    ("LOGIN BOB\\SALES", "`\\` is no astring, and no name of ours has it"),
];

/// The commands of a transcript; the messages of its APPENDs are left out.
fn commands(transcript: &str) -> Vec<(String, Result<Tagged, Bad>)> {
    let octets = transcript.replace('\n', "\r\n").into_bytes();
    let (mut rest, mut framer, mut found) =
        (octets.as_slice(), Framer::new(Limits::after_login()), Vec::new());
    while !rest.is_empty() {
        let (taken, event) = framer.push(rest);
        rest = &rest[taken..];
        let result = match event {
            Some(Event::Line) => parse::command(framer.line(), Some('/')),
            Some(Event::Literal(announced)) => {
                match parse::append_head(framer.line(), announced, Some('/')) {
                    AppendHead::Message(tagged) => Ok(tagged),
                    AppendHead::Bad(bad) => Err(bad),
                    AppendHead::Argument => {
                        framer.accept_literal().expect("clients' arguments are within limits");
                        continue;
                    }
                }
            }
            Some(Event::Fault(fault)) => panic!("{fault}: {}", framer.line().escape_ascii()),
            None => panic!("a transcript ends with a command: {}", framer.line().escape_ascii()),
        };
        found.push((String::from_utf8_lossy(framer.line()).trim_end().to_owned(), result));
        framer.begin_next();
    }
    found
}

#[test]
fn clients_are_understood() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/clients");
    let (mut understood, mut unexpected, mut used) = (0, Vec::new(), vec![false; REFUSED.len()]);
    for entry in fs::read_dir(folder).expect("the transcripts are part of the source") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        for (line, result) in commands(&fs::read_to_string(&path).expect("UTF-8")) {
            let words = line.split_once(' ').map_or("", |(_tag, words)| words).to_ascii_uppercase();
            let refused = REFUSED.iter().position(|(start, _why)| words.starts_with(start));
            match (result, refused) {
                (Ok(_), None) => understood += 1,
                (Err(_), Some(which)) => used[which] = true,
                (Ok(_), Some(_)) => unexpected.push(format!("understood: {line}")),
                (Err(bad), None) => unexpected.push(format!("{path:?} refused ({}): {line}", bad.why)),
            }
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    assert!(used.iter().all(|used| *used), "a refusal that no client meets any more");
    assert!(understood > 700, "only {understood} commands were read");
}
