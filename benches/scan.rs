//! How fast upstream's responses are scanned: `cargo bench --bench scan`.
//!
//! Prints MB/s of CPU-bound scanning in 32 KiB pieces, as the relay reads them; `+ write` is
//! with FETCH written anew for the client.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mandate::imap::filter::{FetchView, FetchWriter};
use mandate::imap::scan::{Event, Scanner};

const PIECE: usize = 32 * 1024;

fn main() {
    let inputs = [
        ("headers (UID FLAGS ENVELOPE BODYSTRUCTURE)", headers(1_000)),
        ("flags (UID FLAGS)", flags(20_000)),
        ("20 KiB bodies", bodies(100, 20 << 10)),
        ("1 MiB bodies", bodies(4, 1 << 20)),
        ("SEARCH, 100,000 numbers", search(100_000)),
    ];
    println!("{:45} {:>10} {:>10}", "", "scan", "+ write");
    for (name, input) in inputs {
        let alone = best(&input, scan);
        let written = best(&input, write);
        println!("{name:45} {alone:>7.0} MB/s {written:>5.0} MB/s");
    }
}

/// The best of many short rounds within a second, in MB/s: short, so that other work on the
/// machine does not fall into every one of them.
fn best(input: &[u8], run: fn(&[u8])) -> f64 {
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < Duration::from_secs(1) {
        let round = Instant::now();
        run(black_box(input));
        best = best.min(round.elapsed());
    }
    input.len() as f64 / best.as_secs_f64() / 1e6
}

fn scan(input: &[u8]) {
    let mut scanner = Scanner::new();
    for piece in input.chunks(PIECE) {
        let mut at = 0;
        loop {
            let (used, event) = scanner.next(&piece[at..]);
            at += used;
            match black_box(event) {
                Event::More => break,
                Event::Fault(fault) => panic!("{fault:?}"),
                _ => {}
            }
        }
    }
}

fn write(input: &[u8]) {
    let mut scanner = Scanner::new();
    let mut writer = FetchWriter::new(FetchView::default());
    let mut out = Vec::with_capacity(2 * PIECE);
    for piece in input.chunks(PIECE) {
        let mut at = 0;
        loop {
            let (used, event) = scanner.next(&piece[at..]);
            at += used;
            if event == Event::More {
                break;
            }
            writer.event(&event, &mut out);
        }
        black_box(&out);
        out.clear();
    }
}

fn headers(messages: usize) -> Vec<u8> {
    let one = |n: usize| {
        format!(
            "* {n} FETCH (UID {uid} FLAGS (\\Seen $Label1) RFC822.SIZE {size} ENVELOPE \
             (\"Mon, 7 Sep 2026 10:{minute:02}:00 +0200\" \"Re: Order {n} (second reminder), please confirm\" \
             ((\"Bob (Accounts)\" NIL \"bob\" \"example.org\")) ((\"Bob (Accounts)\" NIL \"bob\" \"example.org\")) \
             ((NIL NIL \"bob\" \"example.org\")) ((\"Support\" NIL \"support\" \"example.org\")) \
             ((NIL NIL \"carol\" \"example.org\")(NIL NIL \"alice\" \"example.org\")) NIL \
             \"<{n}.previous@mail.example.org>\" \"<{n}.message@mail.example.org>\") BODYSTRUCTURE \
             (((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" {size} 40 NIL NIL NIL NIL)\
             (\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" {size} 90 NIL NIL NIL NIL) \
             \"alternative\" (\"boundary\" \"b1_{n}\") NIL NIL NIL)\
             (\"application\" \"pdf\" (\"name\" \"order {n}.pdf\") NIL NIL \"base64\" 80000 NIL \
             (\"attachment\" (\"filename\" \"order {n}.pdf\")) NIL NIL) \"mixed\" (\"boundary\" \"b2_{n}\") NIL NIL NIL))\r\n",
            uid = n * 3,
            size = 1000 + n,
            minute = n % 60,
        )
    };
    (1..=messages).map(one).collect::<String>().into_bytes()
}

fn flags(messages: usize) -> Vec<u8> {
    let one = |n: usize| format!("* {n} FETCH (UID {} FLAGS (\\Seen \\Answered))\r\n", n * 3);
    (1..=messages).map(one).collect::<String>().into_bytes()
}

fn bodies(messages: usize, octets: usize) -> Vec<u8> {
    let body = b"A line of text, as mail has them (more or less).\r\n".repeat(octets / 50 + 1);
    let one = |n: usize| {
        let head = format!("* {n} FETCH (UID {n} BODY[] {{{octets}}}\r\n");
        [head.as_bytes(), &body[..octets], b")\r\n"].concat()
    };
    (1..=messages).flat_map(one).collect()
}

fn search(numbers: usize) -> Vec<u8> {
    let numbers: Vec<_> = (1..=numbers).map(|n| (n * 3).to_string()).collect();
    format!("* SEARCH {}\r\n", numbers.join(" ")).into_bytes()
}
