//! What a real server said to fourteen real clients, response by response, each shape once.
//!
//! `tests/transcripts/servers/<client>.txt`: responses of Dovecot 2.3.19 with ACLs, CRLF kept
//! as LF.

use std::path::Path;

use mandate::imap::filter::{FetchView, FetchWriter};
use mandate::imap::response::{self, Response};
use mandate::imap::scan::{Event, Scanner};

/// How many responses each file holds.
const FILES: [(&str, usize); 14] = [
    ("evolution-camel", 190),
    ("fetchmail", 36),
    ("getmail", 630),
    ("imapflow", 64),
    ("jakarta-mail", 40),
    ("mbsync", 66),
    ("neomutt", 61),
    ("offlineimap", 255),
    ("python-aioimaplib", 41),
    ("python-imap_tools", 37),
    ("python-imapclient", 45),
    ("python-imaplib", 45),
    ("roundcube", 93),
    ("thunderbird", 184),
];

/// Untagged data that the proxy answers itself, if at all.
const NOT_READ: [&str; 5] = ["ID", "NAMESPACE", "MYRIGHTS", "ACL", "LISTRIGHTS"];

fn octets(client: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/servers/{client}.txt"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split_inclusive(|octet| *octet == b'\n')
        .flat_map(|line| [line.strip_suffix(b"\n").unwrap_or(line), b"\r\n"].concat())
        .collect()
}

/// Scans in pieces of `size`; returns the responses found and FETCH as it would be told.
fn scan(client: &str, input: &[u8], size: usize) -> (usize, Vec<u8>) {
    let (mut scanner, mut count, mut fetched) = (Scanner::new(), 0, Vec::new());
    let mut writer = FetchWriter::new(FetchView { condstore: true, ..FetchView::default() });
    for piece in input.chunks(size) {
        let mut at = 0;
        loop {
            let (used, event) = scanner.next(&piece[at..]);
            at += used;
            match event {
                Event::More => break,
                Event::Fault(fault) => panic!("{client}: {fault:?} after {count} responses"),
                Event::Line(line) => {
                    check(client, line);
                    count += 1;
                }
                Event::FetchEnd | Event::SearchEnd => count += 1,
                _ => {}
            }
            let dropped = writer.event(&event, &mut fetched);
            assert_eq!(dropped, None, "{client}: {event:?}");
        }
    }
    assert!(scanner.is_between_responses(), "{client}");
    (count, fetched)
}

fn check(client: &str, line: &[u8]) {
    let text = String::from_utf8_lossy(line);
    match response::parse(line) {
        Ok(Response::Unknown) => {
            let word = text.split([' ', '\r']).nth(1).unwrap_or_default();
            assert!(NOT_READ.contains(&word), "{client}: {text}");
        }
        Ok(_) => {}
        Err(error) => panic!("{client}: {error}: {text}"),
    }
}

/// The FETCH responses as the server sent them.
fn fetch_only(input: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::new();
    let (mut at, mut from, mut octets) = (0, 0, Vec::new());
    loop {
        let (used, event) = scanner.next(&input[at..]);
        at += used;
        match event {
            Event::More => return octets,
            Event::FetchEnd => octets.extend_from_slice(&input[from..at]),
            Event::Line(_) | Event::SearchEnd => {}
            _ => continue,
        }
        from = at;
    }
}

#[test]
fn every_response_is_understood() {
    for (client, responses) in FILES {
        let input = octets(client);
        let (count, fetched) = scan(client, &input, usize::MAX);
        assert_eq!(count, responses, "{client}");
        // Dovecot writes FETCH as we do: what passes is octet for octet the same.
        assert!(fetched == fetch_only(&input), "{client}");
        for size in [1, 7, 64, 1000] {
            assert_eq!(scan(client, &input, size), (count, fetched.clone()), "{client} in pieces of {size}");
        }
    }
}
