//! The header section of a message: read strictly, rewritten once (RFC 5322, RFC 6532).
//!
//! A person sends as a shared mailbox, so what stands in From matters as much as the
//! envelope. Mail clients and hosts disagree about doubtful headers ("Composition Kills",
//! USENIX Security 2020): a message with one is refused, not repaired.

mod attached;
mod mailbox;
mod rewrite;
mod thread;

use std::collections::BTreeSet;
use std::fmt;

use super::Answer;

pub use attached::Attached;
pub use mailbox::{Mailbox, MailboxFault};
pub use rewrite::{MAX_GROWTH, Rewrite, Rewritten, Style};
pub use thread::{Parent, message_id};

/// Longest header section in octets. Longer ones are seen with thousands of recipients in To only.
pub const MAX_HEADER: usize = 256 * 1024;

/// Most fields. What Thunderbird, Outlook and lists write has 20 to 80.
pub const MAX_FIELDS: usize = 500;

/// Longest line without CRLF (RFC 5322 §2.1.1).
pub const MAX_HEADER_LINE: usize = 998;

/// Most Received fields: a message that has more of them runs in circles (RFC 5321 §6.3
/// asks for a limit of at least 100 at a relay; what a person submits has none to a few).
pub const MAX_RECEIVED: usize = 50;

/// Fields that stand once at most (RFC 5322 §3.6, RFC 2045 §3): of two, readers take either.
/// To, Cc and Bcc twice come from old programs, and name nobody who sends.
const ONCE: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Most Message-IDs taken from In-Reply-To and References: a long thread's newest.
pub const MAX_ANSWERED: usize = 20;

/// Why a header section is refused. Positions are numbers of fields, from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderFault {
    TooLong,
    TooManyFields,
    /// A line of more than 998 octets.
    LongLine(usize),
    /// The first line is a continuation, or a continuation is empty.
    Folding(usize),
    /// No colon, nothing before it, or a space or other octet that no field name has.
    Name(usize),
    /// 8-bit octets without SMTPUTF8, or that are no UTF-8.
    EightBit(usize),
    Received,
    NoFrom,
    /// A field that may stand once only.
    Twice(&'static str),
    From(MailboxFault),
}

impl HeaderFault {
    /// What the person reads.
    pub fn answer(self) -> Answer {
        let sentence = format!("The message was not sent: {self}");
        match self {
            Self::NoFrom | Self::Twice(_) | Self::From(_) => Answer::new(550, 7, 1, sentence),
            Self::Received => Answer::new(554, 4, 6, sentence),
            Self::EightBit(_) => Answer::new(550, 6, 7, sentence),
            Self::TooLong | Self::TooManyFields => Answer::new(552, 3, 4, sentence),
            Self::LongLine(_) | Self::Folding(_) | Self::Name(_) => Answer::new(550, 6, 0, sentence),
        }
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "its header is longer than {} KiB", MAX_HEADER / 1024),
            Self::TooManyFields => write!(f, "its header has more than {MAX_FIELDS} fields"),
            Self::LongLine(n) => {
                write!(f, "field {n} of its header has a line over {MAX_HEADER_LINE} octets")
            }
            Self::Folding(n) => write!(f, "field {n} of its header is folded wrongly"),
            Self::Name(n) => write!(f, "line {n} of its header is not a field"),
            Self::EightBit(n) => write!(f, "field {n} of its header has characters that need encoding"),
            Self::Received => write!(f, "it has passed more than {MAX_RECEIVED} hosts"),
            Self::NoFrom => f.write_str("it has no From"),
            Self::Twice(name) => write!(f, "it has more than one {name}"),
            Self::From(fault) => write!(f, "its From {fault}"),
        }
    }
}

impl std::error::Error for HeaderFault {}

/// Gathers the header section out of the message's spans.
#[derive(Debug, Default)]
pub struct Collector {
    section: Vec<u8>,
}

/// What a span brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Collected {
    More,
    /// The empty line was found; this many octets of the span were header, the rest is body.
    Whole(usize),
    TooLong,
}

impl Collector {
    /// Takes a span, in the form it has on the wire.
    pub fn push(&mut self, span: &[u8]) -> Collected {
        let before = self.section.len();
        let room = MAX_HEADER.saturating_sub(before).min(span.len());
        self.section.extend_from_slice(&span[..room]);
        let Some(end) = self.end(before) else {
            return if room < span.len() { Collected::TooLong } else { Collected::More };
        };
        self.section.truncate(end);
        Collected::Whole(end - before)
    }

    /// The section, with the empty line if there was one.
    pub fn section(&self) -> &[u8] {
        &self.section
    }

    /// Where the section ends, looking at what came after `before` octets.
    fn end(&self, before: usize) -> Option<usize> {
        if self.section.starts_with(b"\r\n") {
            return Some(2);
        }
        let from = before.saturating_sub(3);
        memchr::memmem::find(&self.section[from..], b"\r\n\r\n").map(|at| from + at + 4)
    }
}

/// One field.
#[derive(Clone, Copy, Debug)]
struct Field<'a> {
    name: &'a str,
    /// After the colon, with its folding, without the last CRLF.
    value: &'a [u8],
    /// All of it, the last CRLF included.
    raw: &'a [u8],
}

impl Field<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value with its folding undone (RFC 5322 §2.2.3) and no space around it.
    fn unfolded(&self) -> String {
        let text = String::from_utf8_lossy(self.value);
        text.replace("\r\n", "").trim_matches([' ', '\t']).to_owned()
    }
}

/// A header section without a doubt in it.
#[derive(Debug)]
pub struct Header<'a> {
    fields: Vec<Field<'a>>,
    from: Mailbox,
}

impl<'a> Header<'a> {
    /// Reads a section, with or without the empty line at its end.
    ///
    /// `utf8`: the client announced SMTPUTF8, so that fields may have UTF-8 in them (RFC 6532).
    /// The section is free of NUL and of CR and LF but as pairs: [`super::data`] saw to that.
    pub fn parse(section: &'a [u8], utf8: bool) -> Result<Self, HeaderFault> {
        if section.len() > MAX_HEADER {
            return Err(HeaderFault::TooLong);
        }
        let fields = fields(section, utf8)?;
        let named = |name: &str| fields.iter().filter(|field| field.is(name)).count();
        if named("Received") > MAX_RECEIVED {
            return Err(HeaderFault::Received);
        }
        for name in ONCE {
            if named(name) > 1 {
                return Err(HeaderFault::Twice(name));
            }
        }
        let from = fields.iter().find(|field| field.is("From")).ok_or(HeaderFault::NoFrom)?;
        let from = Mailbox::parse(&from.unfolded()).map_err(HeaderFault::From)?;
        Ok(Self { fields, from })
    }

    /// The one mailbox in From.
    pub fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Message-ID as it stands, without space around it.
    pub fn message_id(&self) -> Option<String> {
        self.value("Message-ID")
    }

    /// The Message-IDs, with angle brackets, of what this answers: In-Reply-To's first, then
    /// those of References from the newest on (RFC 5322 §3.6.4). No more than [`MAX_ANSWERED`].
    pub fn answered(&self) -> Vec<String> {
        let ids = |name: &str| message_ids(&self.value(name).unwrap_or_default());
        let mut all = ids("In-Reply-To");
        all.extend(ids("References").into_iter().rev());
        let mut seen = BTreeSet::new();
        all.retain(|id| seen.insert(id.clone()));
        all.truncate(MAX_ANSWERED);
        all
    }

    /// Whether it says that it was read, or why not, what `MAIL FROM:<>` is for here (RFC 8098 §3).
    pub fn is_disposition_notification(&self) -> bool {
        let value = self.value("Content-Type").unwrap_or_default().to_ascii_lowercase();
        let mut parts = value.split(';').map(str::trim);
        parts.next() == Some("multipart/report")
            && parts.filter_map(|part| part.split_once('=')).any(|(name, value)| {
                name.trim() == "report-type" && value.trim().trim_matches('"') == "disposition-notification"
            })
    }

    fn value(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|field| field.is(name)).map(Field::unfolded)
    }
}

/// What stands in angle brackets and can be a Message-ID.
fn message_ids(text: &str) -> Vec<String> {
    let parts = text.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(id, _)| id);
    let good = |id: &&str| id.contains('@') && id.len() <= MAX_HEADER_LINE && id.chars().all(is_id);
    parts.filter(good).map(|id| format!("<{id}>")).collect()
}

fn is_id(c: char) -> bool {
    c.is_ascii_graphic() || !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

fn fields(section: &[u8], utf8: bool) -> Result<Vec<Field<'_>>, HeaderFault> {
    let mut fields = Vec::new();
    let mut rest = section;
    while !rest.is_empty() && rest != b"\r\n" {
        let number = fields.len() + 1;
        if number > MAX_FIELDS {
            return Err(HeaderFault::TooManyFields);
        }
        let length = field_length(rest, number)?;
        let (raw, after) = rest.split_at(length);
        fields.push(field(raw, number, utf8)?);
        rest = after;
    }
    Ok(fields)
}

/// The length of the field that begins here: its first line and all continuations.
fn field_length(rest: &[u8], number: usize) -> Result<usize, HeaderFault> {
    let mut length = 0;
    loop {
        let line = &rest[length..];
        let end = memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
        let text = line[..end].strip_suffix(b"\r\n").ok_or(HeaderFault::Name(number))?;
        if text.len() > MAX_HEADER_LINE {
            return Err(HeaderFault::LongLine(number));
        }
        // An empty continuation reads as the end of the header in some places.
        if length > 0 && text.iter().all(|b| matches!(b, b' ' | b'\t')) {
            return Err(HeaderFault::Folding(number));
        }
        length += end;
        if !matches!(rest.get(length), Some(b' ' | b'\t')) {
            return Ok(length);
        }
    }
}

fn field(raw: &[u8], number: usize, utf8: bool) -> Result<Field<'_>, HeaderFault> {
    if matches!(raw[0], b' ' | b'\t') {
        return Err(HeaderFault::Folding(number));
    }
    let bad = HeaderFault::Name(number);
    let colon = memchr::memchr(b':', raw).ok_or(bad)?;
    // ftext (RFC 5322 §3.6.8). A dot first would be a stuffed one: no field begins so.
    let (name, value) = (&raw[..colon], &raw[colon + 1..raw.len() - 2]);
    if name.is_empty() || name[0] == b'.' || !name.iter().all(u8::is_ascii_graphic) {
        return Err(bad);
    }
    let name = std::str::from_utf8(name).map_err(|_| bad)?;
    if !(value.is_ascii() || utf8 && std::str::from_utf8(value).is_ok()) {
        return Err(HeaderFault::EightBit(number));
    }
    Ok(Field { name, value, raw })
}

#[cfg(test)]
mod tests {
    use super::{Collected, Collector, Header, HeaderFault, MAX_FIELDS, MAX_HEADER, MailboxFault};

    fn fault(section: &str) -> Option<HeaderFault> {
        Header::parse(section.as_bytes(), false).err()
    }

    #[test]
    fn reads_an_ordinary_header() {
        let text = "Subject: x\r\nfrom:\r\n alice@example.org\r\nMessage-Id: <1@example.org>\r\n\r\n";
        let header = Header::parse(text.as_bytes(), false).unwrap();
        assert_eq!(header.from().path.as_str(), "alice@example.org");
        assert_eq!(header.message_id().as_deref(), Some("<1@example.org>"));
        assert_eq!(fault("From: a@b.example\r\n"), None, "no body, no empty line");
    }

    #[test]
    fn refuses_what_is_read_in_two_ways() {
        let from = "From: a@b.example\r\n";
        for (section, wanted) in [
            (String::new(), HeaderFault::NoFrom),
            ("\r\n".into(), HeaderFault::NoFrom),
            (format!("{from}FROM: c@d.example\r\n\r\n"), HeaderFault::Twice("From")),
            (
                format!("{from}Message-ID: <1@x>\r\nmessage-id: <2@x>\r\n\r\n"),
                HeaderFault::Twice("Message-ID"),
            ),
            (format!("{from}Sender: a@x\r\nsender: b@x\r\n\r\n"), HeaderFault::Twice("Sender")),
            (format!("{from}Reply-To: a@x\r\nREPLY-TO: b@x\r\n\r\n"), HeaderFault::Twice("Reply-To")),
            (format!("From : c@d.example\r\n{from}\r\n"), HeaderFault::Name(1)),
            (format!(" x\r\n{from}\r\n"), HeaderFault::Folding(1)),
            (format!("{from}no colon here\r\n\r\n"), HeaderFault::Name(2)),
            (format!("{from}: x\r\n\r\n"), HeaderFault::Name(2)),
            (format!("{from}..x: y\r\n\r\n"), HeaderFault::Name(2)),
            (format!("{from}Sub\u{7f}ject: y\r\n\r\n"), HeaderFault::Name(2)),
            (format!("{from}Subject: x\r\n \t\r\n y\r\n\r\n"), HeaderFault::Folding(2)),
            (format!("{from}Subject: b\u{fc}\r\n\r\n"), HeaderFault::EightBit(2)),
            (format!("{from}Subject: {}\r\n\r\n", "x".repeat(999)), HeaderFault::LongLine(2)),
            (format!("{from}{}\r\n", "Received: x\r\n".repeat(51)), HeaderFault::Received),
            (format!("{from}{}\r\n", "A: x\r\n".repeat(MAX_FIELDS)), HeaderFault::TooManyFields),
            ("From: a@b.example, c@d.example\r\n\r\n".into(), HeaderFault::From(MailboxFault::Several)),
        ] {
            assert_eq!(fault(&section), Some(wanted), "{section:?}");
        }
        let with_utf8 = Header::parse("From: a@b.example\r\nSubject: b\u{fc}\r\n".as_bytes(), true);
        assert!(with_utf8.is_ok());
    }

    #[test]
    fn answers_name_what_they_answer() {
        let of = |fields: &str| {
            let section = format!("From: a@b.example\r\n{fields}\r\n");
            Header::parse(section.as_bytes(), true).unwrap().answered()
        };
        assert_eq!(of(""), [""; 0]);
        assert_eq!(
            of("References: <1@x> <2@x>\r\n <3@x>\r\nin-reply-to: (of) <3@x>\r\n"),
            ["<3@x>", "<2@x>", "<1@x>"]
        );
        assert_eq!(of("In-Reply-To: Your message <no at> < 4@x> <5@x\r\n"), [""; 0]);
        let many = (0..100).map(|n| format!("<{n}@x>\r\n ")).collect::<String>();
        assert_eq!(of(&format!("References: {many}<z@x>\r\n")).len(), super::MAX_ANSWERED);
    }

    #[test]
    fn disposition_notifications_are_known() {
        for (value, is) in [
            ("multipart/report; report-type=disposition-notification; boundary=x", true),
            ("Multipart/Report;\r\n boundary=x;\r\n Report-Type=\"Disposition-Notification\"", true),
            ("multipart/report; report-type=delivery-status", false),
            ("multipart/mixed; report-type=disposition-notification", false),
            ("text/plain", false),
        ] {
            let section = format!("From: a@b.example\r\nContent-Type: {value}\r\n\r\n");
            let header = Header::parse(section.as_bytes(), false).unwrap();
            assert_eq!(header.is_disposition_notification(), is, "{value}");
        }
    }

    #[test]
    fn collects_over_any_cut() {
        let text = b"From: a@b.example\r\nX: y\r\n\r\nbody\r\n\r\nmore";
        let header = 27;
        for cut in 0..text.len() {
            let mut collector = Collector::default();
            let first = collector.push(&text[..cut]);
            if cut >= header {
                assert_eq!(first, Collected::Whole(header));
            } else {
                assert_eq!(first, Collected::More);
                assert_eq!(collector.push(&text[cut..]), Collected::Whole(header - cut));
            }
            assert_eq!(collector.section(), &text[..header], "{cut}");
        }
        let mut collector = Collector::default();
        assert_eq!(collector.push(b"\r\nbody"), Collected::Whole(2));
    }

    #[test]
    fn collects_no_more_than_the_limit() {
        let mut collector = Collector::default();
        assert_eq!(collector.push(&vec![b'x'; MAX_HEADER]), Collected::More);
        assert_eq!(collector.push(b"x"), Collected::TooLong);
        assert_eq!(collector.section().len(), MAX_HEADER);
    }
}
