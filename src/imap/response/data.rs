//! LIST, LSUB, STATUS and VANISHED.

use super::Response;
use super::code;
use super::words::{Unparseable, Words};
use crate::imap::command::StatusItem;

/// A LIST or LSUB response (RFC 3501 §7.2.2, RFC 5258).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// As written: `\HasChildren`.
    pub attributes: Vec<String>,
    pub separator: Option<u8>,
    /// The name's octets as upstream uses them, without quotes.
    pub name: Vec<u8>,
}

/// A STATUS response (RFC 3501 §7.2.4); items that are unknown or no numbers are left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusData {
    pub name: Vec<u8>,
    pub items: Vec<(StatusItem, u64)>,
}

impl StatusData {
    pub fn item(&self, item: StatusItem) -> Option<u64> {
        self.items.iter().find(|(name, _)| *name == item).map(|(_, value)| *value)
    }
}

pub(super) fn listed(mut words: Words<'_>) -> Result<Listed, Unparseable> {
    words.space()?;
    let attributes = words.flag_list()?;
    let attributes = attributes.into_iter().map(|attribute| String::from_utf8_lossy(attribute).into_owned());
    words.space()?;
    let separator = separator(&mut words)?;
    words.space()?;
    let name = words.astring()?.into_owned();
    if !words.is_done() && !words.rest().starts_with(b" ") {
        return Err(Unparseable);
    }
    Ok(Listed { attributes: attributes.collect(), separator, name })
}

/// One quoted character, or NIL.
fn separator(words: &mut Words<'_>) -> Result<Option<u8>, Unparseable> {
    let quoted = words.rest().starts_with(b"\"");
    let text = words.astring()?;
    match text.as_ref() {
        [one] if quoted => Ok(Some(*one)),
        nil if !quoted && nil.eq_ignore_ascii_case(b"NIL") => Ok(None),
        _ => Err(Unparseable),
    }
}

pub(super) fn status_data(mut words: Words<'_>) -> Result<StatusData, Unparseable> {
    words.space()?;
    let name = words.astring()?.into_owned();
    words.space()?;
    words.demand(b'(')?;
    let mut items = Vec::new();
    while !words.take(b')') {
        while words.take(b' ') {}
        if words.take(b')') {
            break;
        }
        let item = status_item(words.atom()?);
        words.space()?;
        let digits = words.rest().first().is_some_and(u8::is_ascii_digit);
        match item {
            Some(item) if digits => items.push((item, words.number()?)),
            Some(_) | None => words.skip_value()?,
        }
    }
    Ok(StatusData { name, items })
}

fn status_item(name: &[u8]) -> Option<StatusItem> {
    let is = |item: &StatusItem| name.eq_ignore_ascii_case(status_item_name(*item).as_bytes());
    STATUS_ITEMS.into_iter().find(is)
}

const STATUS_ITEMS: [StatusItem; 8] = [
    StatusItem::Messages,
    StatusItem::Recent,
    StatusItem::UidNext,
    StatusItem::UidValidity,
    StatusItem::Unseen,
    StatusItem::Size,
    StatusItem::HighestModSeq,
    StatusItem::AppendLimit,
];

/// The item's name on the wire.
pub fn status_item_name(item: StatusItem) -> &'static str {
    match item {
        StatusItem::Messages => "MESSAGES",
        StatusItem::Recent => "RECENT",
        StatusItem::UidNext => "UIDNEXT",
        StatusItem::UidValidity => "UIDVALIDITY",
        StatusItem::Unseen => "UNSEEN",
        StatusItem::Size => "SIZE",
        StatusItem::HighestModSeq => "HIGHESTMODSEQ",
        StatusItem::AppendLimit => "APPENDLIMIT",
    }
}

pub(super) fn vanished(mut words: Words<'_>) -> Result<Response<'_>, Unparseable> {
    words.space()?;
    let earlier = words.rest().get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"(EARLIER)"));
    if earlier {
        words.until_space();
        words.space()?;
    }
    let uids = code::set(words.until_space())?;
    Ok(Response::Vanished { earlier, uids })
}

#[cfg(test)]
mod tests {
    use super::super::{Response, parse};
    use super::{Listed, StatusData};
    use crate::imap::command::StatusItem;

    #[test]
    fn list_lines() {
        let listed = |attributes: &[&str], separator: Option<u8>, name: &[u8]| Listed {
            attributes: attributes.iter().map(|text| (*text).to_owned()).collect(),
            separator,
            name: name.to_vec(),
        };
        for (line, expected) in [
            (b"* LIST () \"/\" INBOX\r\n".as_slice(), listed(&[], Some(b'/'), b"INBOX")),
            (b"* LIST (\\A \\b) \"\\\\\" \"a \\\"b\"\r\n", listed(&["\\A", "\\b"], Some(b'\\'), b"a \"b")),
            (b"* LIST () NIL {3}\r\na\r\n\r\n", listed(&[], None, b"a\r\n")),
            (b"* LIST () \".\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", listed(&[], Some(b'.'), b"x")),
        ] {
            assert_eq!(parse(line), Ok(Response::List(expected)));
        }
    }

    #[test]
    fn status_lines() {
        let line = b"* STATUS \"a b\" (MESSAGES 3 MAILBOXID (F1) X-A \"b)\" uidnext 4 SIZE 9999999999 )\r\n";
        let items =
            vec![(StatusItem::Messages, 3), (StatusItem::UidNext, 4), (StatusItem::Size, 9_999_999_999)];
        assert_eq!(parse(line), Ok(Response::StatusData(StatusData { name: b"a b".to_vec(), items })));
        assert!(parse(b"* STATUS a (MESSAGES\r\n").is_err());
        assert!(parse(b"* STATUS a (APPENDLIMIT NIL)\r\n").is_ok());
    }
}
