//! A message attached to another one, found as the body passes: what some clients forward by.

use memchr::memmem::Finder;

use super::thread::{field, is_answer};
use super::{Collected, Collector, Header};
use crate::types::MessageId;

/// Longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Looks for the first part of a `multipart/mixed` that is a message with a Message-ID.
///
/// Takes the spans of [`super::super::data::DataReader`] as they come. It keeps a header
/// section, [`super::MAX_HEADER`] octets, at most. Only the outermost parts are looked at:
/// what lies within another message was not attached by the sender.
#[derive(Debug)]
pub struct Attached {
    /// CR LF, two hyphens, the boundary, CR LF: the end of the message's last part has two
    /// more hyphens, and begins none.
    delimiter: Finder<'static>,
    state: State,
    /// What the message itself names as its parents.
    named: Vec<MessageId>,
}

#[derive(Debug)]
enum State {
    /// Between two delimiters; the last octets, fewer than a delimiter has.
    Between(Vec<u8>),
    /// In the header of a part.
    Part(Collector),
    /// In the header of a part that is a message.
    Message(Collector),
    Found(MessageId),
    /// A header that is none: nothing is looked for any more.
    Lost,
}

impl Header<'_> {
    /// Where it may turn out to be a forward by what is attached: its subject calls it neither
    /// an answer nor a forward. (To an answer, too, some clients attach what is answered.)
    pub fn may_attach(&self) -> Option<Attached> {
        if is_answer(&self.value("Subject").unwrap_or_default())
            || self.parent().is_some_and(|parent| parent.forwarded)
        {
            return None;
        }
        let value = self.value("Content-Type")?;
        let (kind, parameters) = value.split_once(';')?;
        let is_boundary = |name: &str| name.trim().eq_ignore_ascii_case("boundary");
        let mut parameters = parameters.split(';').filter_map(|part| part.split_once('='));
        let (_, boundary) = parameters.find(|(name, _)| is_boundary(name))?;
        let boundary = boundary.trim().trim_matches('"');
        let good = (1..=MAX_BOUNDARY).contains(&boundary.len());
        let named = self.answered().iter().filter_map(|id| MessageId::parse(id)).collect();
        (good && kind.trim().eq_ignore_ascii_case("multipart/mixed")).then(|| Attached::new(boundary, named))
    }
}

impl Attached {
    fn new(boundary: &str, named: Vec<MessageId>) -> Self {
        let delimiter = Finder::new(format!("\r\n--{boundary}\r\n").as_bytes()).into_owned();
        // The empty line before the body ends where the first delimiter may begin.
        Self { delimiter, state: between(), named }
    }

    /// The message that is forwarded by being attached, as far as the body has come: one that
    /// the header names as the parent, or any where it names none.
    pub fn forwarded(&self) -> Option<&MessageId> {
        match &self.state {
            State::Found(id) => Some(id).filter(|id| self.named.is_empty() || self.named.contains(id)),
            State::Between(_) | State::Part(_) | State::Message(_) | State::Lost => None,
        }
    }

    pub fn push(&mut self, span: &[u8]) {
        let mut rest = span;
        while !rest.is_empty() {
            let (used, next) = match &mut self.state {
                State::Between(last) => match seek(&self.delimiter, last, rest) {
                    Some(used) => (used, Some(State::Part(Collector::default()))),
                    None => return,
                },
                State::Part(collector) => match collector.push(rest) {
                    Collected::More => return,
                    Collected::TooLong => (rest.len(), Some(State::Lost)),
                    Collected::Whole(used) if is_message(collector.section()) => {
                        (used, Some(State::Message(Collector::default())))
                    }
                    Collected::Whole(used) => (used, Some(between())),
                },
                State::Message(collector) => match collector.push(rest) {
                    Collected::More => return,
                    Collected::TooLong => (rest.len(), Some(State::Lost)),
                    Collected::Whole(used) => {
                        let id = super::message_id(collector.section());
                        (used, Some(id.map_or_else(between, State::Found)))
                    }
                },
                State::Found(_) | State::Lost => return,
            };
            rest = &rest[used..];
            if let Some(next) = next {
                self.state = next;
            }
        }
    }
}

/// After a header: the empty line may be the delimiter's CR LF.
fn between() -> State {
    State::Between(b"\r\n".to_vec())
}

fn is_message(part: &[u8]) -> bool {
    let kind = field(part, b"Content-Type:").unwrap_or_default();
    let kind = kind.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    [&b"message/rfc822"[..], b"message/global"].iter().any(|message| kind.eq_ignore_ascii_case(message))
}

/// How many octets of the span it is to behind the delimiter; if there is none, `last` keeps
/// what may be the begin of one.
fn seek(delimiter: &Finder<'_>, last: &mut Vec<u8>, span: &[u8]) -> Option<usize> {
    let longest = delimiter.needle().len() - 1;
    // Across the border first: a few octets of the span are enough to end what `last` begins.
    let before = last.len();
    last.extend_from_slice(&span[..span.len().min(longest)]);
    if let Some(at) = delimiter.find(last) {
        return Some(at + longest + 1 - before);
    }
    if let Some(at) = delimiter.find(span) {
        return Some(at + longest + 1);
    }
    if span.len() >= longest {
        last.clear();
        last.extend_from_slice(&span[span.len() - longest..]);
    } else {
        last.drain(..last.len().saturating_sub(longest));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Header;

    fn found(subject: &str, kind: &str, body: &str) -> Option<String> {
        let section = format!("From: a@b.example\r\nSubject: {subject}\r\nContent-Type: {kind}\r\n\r\n");
        let header = Header::parse(section.as_bytes(), false).unwrap();
        let mut all = None;
        for size in [1, 2, 7, 64, body.len().max(1)] {
            let mut attached = header.may_attach()?;
            body.as_bytes().chunks(size).for_each(|piece| attached.push(piece));
            let id = attached.forwarded().map(ToString::to_string);
            if let Some(all) = &all {
                assert_eq!(&id, all, "in pieces of {size}");
            }
            all = Some(id);
        }
        all.flatten()
    }

    const MIXED: &str = "multipart/mixed;\r\n boundary=\"=_b\"";

    fn with(part: &str) -> String {
        format!(
            "preamble\r\n--=_b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--=_bc\r\n--=_b\r\n{part}--=_b--\r\n"
        )
    }

    #[test]
    fn attached_messages() {
        let message = "Content-Type: MESSAGE/RFC822; name=\"x.eml\"\r\nContent-Disposition: attachment\r\n\r\n\
            Subject: x\r\nMessage-ID:\r\n <1@x>\r\n\r\nbody\r\n";
        let one = Some("<1@x>".to_owned());
        for (subject, kind, body, wanted) in [
            ("a question", MIXED, with(message), one.clone()),
            ("a question", "Multipart/Mixed; charset=x; BOUNDARY==_b", with(message), one.clone()),
            // The very first octets of the body.
            ("", MIXED, format!("--=_b\r\n{message}"), one),
            ("Re: a question", MIXED, with(message), None),
            ("AW: a question", MIXED, with(message), None),
            ("Fwd: x", "text/plain", with(message), None),
            ("x", "multipart/alternative; boundary==_b", with(message), None),
            ("x", "multipart/mixed", with(message), None),
            ("x", "multipart/mixed; boundary=", with(message), None),
            // Within another message, or another part.
            ("x", "multipart/mixed; boundary=other", with(message), None),
            ("x", MIXED, with("\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <2@x>\r\n\r\n"), None),
            ("x", MIXED, with("Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <2@x>\r\n\r\n"), None),
            ("x", MIXED, with("Content-Type: message/rfc822\r\n\r\nSubject: none\r\n\r\n"), None),
            ("x", MIXED, String::new(), None),
        ] {
            assert_eq!(found(subject, kind, &body), wanted, "{subject} {kind} {body}");
        }
    }

    #[test]
    fn a_parent_that_is_named_is_the_one_that_counts() {
        let part = "Content-Type: message/rfc822\r\n\r\nMessage-ID: <2@x>\r\n\r\nbody\r\n";
        for (named, wanted) in
            [("<1@x>", None), ("<2@x>", Some("<2@x>".to_owned())), ("", Some("<2@x>".to_owned()))]
        {
            let kind = format!("{MIXED}\r\nReferences: <0@x> {named}");
            let kind = if named.is_empty() { MIXED.to_owned() } else { kind };
            assert_eq!(found("x", &kind, &with(part)), wanted, "{named}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let header = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
        let mut attached = Header::parse(header.as_bytes(), false).unwrap().may_attach().unwrap();
        attached.push(b"--b\r\nContent-Type: message/rfc822\r\n\r\n");
        (0..1_000).for_each(|_| attached.push(&b"X: y\r\n".repeat(100)));
        attached.push(b"Message-ID: <1@x>\r\n\r\n");
        assert!(attached.forwarded().is_none() && matches!(attached.state, super::State::Lost));
    }
}
