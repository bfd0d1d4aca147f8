//! What the fake host holds: bodies and headers, prepared once.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// The INBOX has this many messages: what a client reads when it meets an account first.
pub const HEADERS: u32 = 50_000;
/// Octets of each message in the folder `Large`.
const LARGE: usize = 1 << 20;
/// Octets of each message in the folder `Small`.
const SMALL: usize = 20 << 10;

/// All mail of the one account there is.
pub struct Mail {
    pub large: Vec<u8>,
    pub small: Vec<u8>,
    headers: Vec<u8>,
    /// Where in `headers` each message's response begins, and the end of the last.
    starts: Vec<usize>,
}

impl Mail {
    pub fn new() -> Mail {
        let mut headers = String::new();
        let mut starts = vec![0];
        for uid in 1..=HEADERS {
            header(&mut headers, uid);
            starts.push(headers.len());
        }
        Mail { large: message(LARGE), small: message(SMALL), headers: headers.into_bytes(), starts }
    }

    /// FETCH responses to (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE).
    pub fn headers(&self, uids: &RangeInclusive<u32>) -> &[u8] {
        let last = (*uids.end()).min(HEADERS) as usize;
        let first = (*uids.start()).max(1) as usize;
        if first > last {
            return &[];
        }
        &self.headers[self.starts[first - 1]..self.starts[last]]
    }
}

/// A message of exactly `size` octets, from the shared mailbox: a header, then lines of
/// base64 as an attachment has them.
pub fn message(size: usize) -> Vec<u8> {
    let mut octets = b"From: Example Support <support@example.org>\r\n\
        To: bob@example.org\r\n\
        Subject: The papers you asked for\r\n\
        Date: Tue, 01 Sep 2026 10:00:00 +0200\r\n\
        Message-ID: <000000000000@example.org>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: application/octet-stream; name=\"papers.bin\"\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n"
        .to_vec();
    let line = b"qL7ZbGl0dGxlIGJ5IGxpdHRsZSBhIG1lc3NhZ2UgZ3Jvd3MgdG8gdGhlIHNpemUgd2FudGVkLg==\r\n";
    octets.reserve(size);
    while octets.len() + line.len() <= size {
        octets.extend_from_slice(line);
    }
    // The last line takes up what is left.
    octets.truncate(octets.len() - 2);
    octets.resize(size - 2, b'=');
    octets.extend_from_slice(b"\r\n");
    octets
}

/// One FETCH response, of the kinds that a business mailbox holds.
fn header(out: &mut String, uid: u32) {
    let flags = ["", "\\Seen", "\\Seen", "\\Answered \\Seen", "\\Seen $Forwarded", "\\Flagged NonJunk"];
    let flags = flags[uid as usize % flags.len()];
    let (day, hour, minute) = (uid % 28 + 1, uid % 24, uid % 60);
    let body = match uid % 4 {
        0 => PLAIN.to_owned(),
        1 => ATTACHMENT.replace("00000", &format!("{uid:05}")),
        _ => ALTERNATIVE.replace("00000", &format!("{uid:05}")),
    };
    let size = 2_000 + u64::from(uid) * 7919 % 90_000;
    write!(
        out,
        "* {uid} FETCH (UID {uid} FLAGS ({flags}) ENVELOPE (\"Tue, {day:02} Sep 2026 {hour:02}:{minute:02}:07 +0200\" \
         {subject} ((\"Alice Example (Sales)\" NIL \"alice\" \"example.org\")) \
         ((\"Alice Example (Sales)\" NIL \"alice\" \"example.org\")) \
         ((NIL NIL \"alice\" \"example.org\")) \
         ((\"Example Support\" NIL \"support\" \"example.org\")(NIL NIL \"bob\" \"example.org\")) NIL NIL \
         \"<20260901.{uid}.5f1c@mail.example.org>\" \"<{uid}.77a0bd31@mail.example.org>\") \
         BODYSTRUCTURE {body} RFC822.SIZE {size})\r\n",
        subject = subject(uid),
    )
    .unwrap();
}

/// Mostly quoted strings, some with what must be escaped; 8-bit ones are literals.
fn subject(uid: u32) -> String {
    match uid % 50 {
        0 => {
            let text = format!("Angebot f\u{fc}r B\u{fc}ro {uid}");
            format!("{{{}}}\r\n{text}", text.len())
        }
        1..=5 => format!("\"Re: \\\"quoted\\\" (order {uid})\""),
        6..=20 => format!("\"=?utf-8?Q?Re:_Ihre_Anfrage_=C3=BCber_B=C3=BCrom=C3=B6bel_{uid}?=\""),
        _ => format!("\"Re: Delivery of order {uid} to the new address\""),
    }
}

const PLAIN: &str =
    "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 1510 38 NIL NIL NIL NIL)";

const ALTERNATIVE: &str = "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 1510 38 NIL NIL NIL NIL)\
     (\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 6210 120 NIL NIL NIL NIL) \
     \"alternative\" (\"boundary\" \"----=_Part_00000_83.1788\") NIL NIL NIL)";

const ATTACHMENT: &str = "((\"text\" \"plain\" (\"charset\" \"utf-8\" \"format\" \"flowed\") NIL NIL \"7bit\" 420 12 NIL NIL NIL NIL)\
     (\"application\" \"pdf\" (\"name\" \"offer-00000.pdf\") NIL NIL \"base64\" 81204 NIL \
     (\"attachment\" (\"filename\" \"offer-00000.pdf\")) NIL NIL) \
     \"mixed\" (\"boundary\" \"------------00000BOUNDARY\") NIL NIL NIL)";
