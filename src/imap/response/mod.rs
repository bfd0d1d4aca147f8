//! What upstream says, one typed value a line: everything but FETCH, SEARCH and ESEARCH,
//! which are streamed.
//!
//! Tolerant where servers differ (8-bit text, no text at all, unknown codes and data),
//! because what is unknown is dropped by [`crate::imap::filter`], never passed on.

mod code;
mod data;
mod quota;
mod words;

pub use code::{Code, Copies, Pairs};
pub use data::{Listed, StatusData, status_item_name};
pub use quota::{Quota, QuotaData, Resource};
pub use words::{Unparseable, Words};

use crate::imap::command::Tag;
use crate::types::UidSet;

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Response<'a> {
    /// The end of the command with this tag, which is ours; only OK, NO and BAD.
    Tagged {
        tag: Tag,
        status: Status<'a>,
    },
    /// `+`: upstream waits for a literal, a SASL response or DONE.
    Continue(&'a [u8]),
    /// An untagged status; a greeting is one too.
    Status(Status<'a>),
    Exists(u32),
    Recent(u32),
    Expunge(u32),
    /// The flags that the folder knows, as written, `\*` included.
    Flags(Vec<&'a [u8]>),
    Capability(Vec<&'a [u8]>),
    Enabled(Vec<&'a [u8]>),
    List(Listed),
    Lsub(Listed),
    StatusData(StatusData),
    Quota(QuotaData),
    /// The roots of a folder, by upstream's names.
    QuotaRoots(Vec<Vec<u8>>),
    /// RFC 7162 §3.2.10.
    Vanished {
        earlier: bool,
        uids: UidSet,
    },
    /// Any other untagged data: dropped.
    Unknown,
}

/// What a status response says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status<'a> {
    pub condition: Condition,
    pub code: Option<Code<'a>>,
    /// For people and in upstream's words: for the log, quoted, and never for a client.
    pub text: &'a [u8],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    Ok,
    No,
    Bad,
    /// Untagged only: upstream closes the connection.
    Bye,
    /// A greeting only: no log-in is needed.
    PreAuth,
}

/// Reads a complete line, CRLF included, as the scanner hands it on.
pub fn parse(line: &[u8]) -> Result<Response<'_>, Unparseable> {
    let line = line.strip_suffix(b"\r\n").ok_or(Unparseable)?;
    match line {
        [b'+'] => Ok(Response::Continue(b"")),
        [b'+', b' ', text @ ..] => Ok(Response::Continue(text)),
        [b'*', b' ', rest @ ..] => untagged(rest),
        _ => tagged(line),
    }
}

fn tagged(line: &[u8]) -> Result<Response<'_>, Unparseable> {
    let mut words = Words::new(line);
    let tag = Tag::parse(words.until_space()).ok_or(Unparseable)?;
    words.space()?;
    let condition = condition(words.until_space()).ok_or(Unparseable)?;
    match condition {
        Condition::Ok | Condition::No | Condition::Bad => {}
        Condition::Bye | Condition::PreAuth => return Err(Unparseable),
    }
    Ok(Response::Tagged { tag, status: status(condition, words.rest()) })
}

fn untagged(rest: &[u8]) -> Result<Response<'_>, Unparseable> {
    let mut words = Words::new(rest);
    let first = words.until_space();
    if first.first().is_some_and(u8::is_ascii_digit) {
        return numbered(first, words);
    }
    if let Some(condition) = condition(first) {
        return Ok(Response::Status(status(condition, words.rest())));
    }
    let is = |name: &str| first.eq_ignore_ascii_case(name.as_bytes());
    if is("CAPABILITY") {
        Ok(Response::Capability(words.atoms()))
    } else if is("ENABLED") {
        Ok(Response::Enabled(words.atoms()))
    } else if is("FLAGS") {
        words.space()?;
        Ok(Response::Flags(words.flag_list()?))
    } else if is("LIST") || is("XLIST") {
        Ok(Response::List(data::listed(words)?))
    } else if is("LSUB") {
        Ok(Response::Lsub(data::listed(words)?))
    } else if is("STATUS") {
        Ok(Response::StatusData(data::status_data(words)?))
    } else if is("QUOTA") {
        Ok(Response::Quota(quota::quota(words)?))
    } else if is("QUOTAROOT") {
        Ok(Response::QuotaRoots(quota::roots(words)?))
    } else if is("VANISHED") {
        data::vanished(words)
    } else {
        Ok(Response::Unknown)
    }
}

fn numbered<'a>(number: &[u8], mut words: Words<'a>) -> Result<Response<'a>, Unparseable> {
    let number = Words::new(number).number()?;
    let number = u32::try_from(number).map_err(|_| Unparseable)?;
    words.space()?;
    let word = words.until_space();
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("EXISTS") {
        Ok(Response::Exists(number))
    } else if is("RECENT") {
        Ok(Response::Recent(number))
    } else if is("EXPUNGE") && number > 0 {
        Ok(Response::Expunge(number))
    } else if is("EXPUNGE") {
        Err(Unparseable)
    } else {
        Ok(Response::Unknown)
    }
}

fn condition(word: &[u8]) -> Option<Condition> {
    let known = [
        ("OK", Condition::Ok),
        ("NO", Condition::No),
        ("BAD", Condition::Bad),
        ("BYE", Condition::Bye),
        ("PREAUTH", Condition::PreAuth),
    ];
    let found = known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, condition)| condition)
}

/// `[code] text`, both of which may be missing. A code that cannot be read is unknown.
fn status(condition: Condition, rest: &[u8]) -> Status<'_> {
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let (code, text) = code::split(rest);
    Status { condition, code: code.map(code::parse), text }
}

/// Longest alert text that a client is shown, in characters.
pub const MAX_ALERT: usize = 200;

/// Upstream's text after `[ALERT]`, fit to be shown to a person: printable characters only.
///
/// Bidirectional controls and the like are not printable here.
pub fn alert_text(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let printable = |c: char| {
        let invisible =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
        !c.is_control() && !invisible && !matches!(c, '\u{feff}' | '\u{fffd}' | '\u{ad}' | '\u{61c}')
    };
    text.chars().filter(|c| printable(*c)).take(MAX_ALERT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(line: &[u8]) -> Status<'_> {
        match parse(line).unwrap() {
            Response::Tagged { status, .. } | Response::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn statuses_with_any_text_or_none() {
        let cases = [
            (b"P1 OK done\r\n".as_slice(), Condition::Ok, None, b"done".as_slice()),
            (b"P1 ok\r\n", Condition::Ok, None, b""),
            (b"P1 OK \r\n", Condition::Ok, None, b""),
            (b"P1 NO gr\xfc\xdfe\r\n", Condition::No, None, b"gr\xfc\xdfe"),
            (b"* BYE\r\n", Condition::Bye, None, b""),
            (b"* PREAUTH hi\r\n", Condition::PreAuth, None, b"hi"),
            (b"* OK [HIGHESTMODSEQ 7]\r\n", Condition::Ok, Some(Code::HighestModSeq(7)), b""),
            (b"* OK [ALERT] a]b\r\n", Condition::Ok, Some(Code::Alert), b"a]b"),
            (b"* OK [UNTERMINATED\r\n", Condition::Ok, None, b"[UNTERMINATED"),
        ];
        for (line, condition, code, text) in cases {
            let status = status_of(line);
            assert_eq!((status.condition, status.code, status.text), (condition, code, text));
        }
    }

    #[test]
    fn untagged_data() {
        let cases: &[(&[u8], Response<'_>)] = &[
            (b"* 3 EXISTS\r\n", Response::Exists(3)),
            (b"* 0 exists\r\n", Response::Exists(0)),
            (b"* 3 RECENT\r\n", Response::Recent(3)),
            (b"* 3 EXPUNGE\r\n", Response::Expunge(3)),
            (b"* 3 XYZ 5\r\n", Response::Unknown),
            (b"* FLAGS ()\r\n", Response::Flags(vec![])),
            (b"* FLAGS (\\Seen $a \\*)\r\n", Response::Flags(vec![b"\\Seen", b"$a", b"\\*"])),
            (b"* CAPABILITY IMAP4rev1 IDLE \r\n", Response::Capability(vec![b"IMAP4rev1", b"IDLE"])),
            (b"* ENABLED\r\n", Response::Enabled(vec![])),
            (b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", Response::Unknown),
            (
                b"* VANISHED (EARLIER) 1:3,7\r\n",
                Response::Vanished { earlier: true, uids: [1, 2, 3, 7].into_iter().collect() },
            ),
            (b"+ idling\r\n", Response::Continue(b"idling")),
            (b"+\r\n", Response::Continue(b"")),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line).as_ref(), Ok(expected));
        }
    }

    #[test]
    fn quota_and_its_roots() {
        let storage = Quota { resource: Resource::Storage, used: 10, limit: 512 };
        let message = Quota { resource: Resource::Message, used: 1, limit: 9 };
        let data = |root: &[u8], resources: &[Quota]| {
            Response::Quota(QuotaData { root: root.to_vec(), resources: resources.to_vec() })
        };
        let cases: &[(&[u8], Response<'_>)] = &[
            (b"* QUOTA \"User quota\" (STORAGE 10 512)\r\n", data(b"User quota", &[storage])),
            (b"* quota a (X-FOO 1 2 message 1 9)\r\n", data(b"a", &[message])),
            (b"* QUOTA \"\" ()\r\n", data(b"", &[])),
            (b"* QUOTAROOT INBOX \"a b\" c\r\n", Response::QuotaRoots(vec![b"a b".to_vec(), b"c".to_vec()])),
            (b"* QUOTAROOT INBOX\r\n", Response::QuotaRoots(vec![])),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line).as_ref(), Ok(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            b"P1\r\n".as_slice(),
            b"P1 BYE x\r\n",
            b"P1 XX x\r\n",
            b"P1  OK\r\n",
            b"* 0 EXPUNGE\r\n",
            b"* 4294967296 EXISTS\r\n",
            b"* FLAGS (a\r\n",
            b"* LIST () \"/\"\r\n",
            b"* OK",
            b"* QUOTA a (STORAGE x 1)\r\n",
            b"* QUOTA a (STORAGE 1 2\r\n",
        ] {
            assert_eq!(parse(line), Err(Unparseable), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn an_alert_is_one_clean_line() {
        assert_eq!(alert_text("Quota \u{7}voll:\u{202e} größer\r\n".as_bytes()), "Quota voll: größer");
        assert_eq!(alert_text(&[b'a'; 500]).len(), MAX_ALERT);
        assert_eq!(alert_text(b"a\xffb"), "ab");
    }
}
