//! SEARCH (RFC 3501 §6.4.4) with RETURN (RFC 4731, RFC 5182), OLDER and YOUNGER (RFC 5032), MODSEQ (RFC 7162).

use super::cursor::{Cursor, Parsed, Wrong, wrong};
use super::date::date;
use crate::imap::command::{Command, Search, SearchKey, SearchReturn};
use crate::types::Keyword;

/// Deepest nesting of NOT, OR and parentheses: a bound for the stack; clients reach 12.
pub const MAX_DEPTH: usize = 32;
/// Most keys in one SEARCH, inner ones included.
pub const MAX_KEYS: usize = 2_000;
/// Most RETURN options; there are five.
const MAX_RETURN: usize = 8;

pub(super) fn search(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let mut ret = None;
    if cursor.word(&[("RETURN", ())]).is_some() {
        cursor.space()?;
        ret = Some(return_options(cursor)?);
        cursor.space()?;
    }
    let mut charset = None;
    if cursor.word(&[("CHARSET", ())]).is_some() {
        cursor.space()?;
        let saves = ret.is_some_and(|ret| ret.save);
        charset = Some(known_charset(&cursor.astring()?).ok_or(Wrong::Charset { saves })?);
        cursor.space()?;
    }
    let keys = keys(cursor, charset)?;
    Ok(Command::Search { uid, search: Search { ret, charset, keys } })
}

/// The keys, up to the command's end.
pub(super) fn keys(cursor: &mut Cursor<'_>, charset: Option<&'static str>) -> Parsed<Vec<SearchKey>> {
    let mut reader = Reader { cursor, left: MAX_KEYS, ascii: charset == Some(US_ASCII) };
    let mut keys = vec![reader.key(MAX_DEPTH)?];
    while reader.cursor.take(b' ') {
        keys.push(reader.key(MAX_DEPTH)?);
    }
    cursor.end()?;
    Ok(keys)
}

const US_ASCII: &str = "US-ASCII";

pub(super) fn known_charset(name: &[u8]) -> Option<&'static str> {
    [US_ASCII, "UTF-8"].into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

#[derive(Clone, Copy)]
enum Return {
    Min,
    Max,
    All,
    Count,
    Save,
}

const RETURN: [(&str, Return); 5] = [
    ("MIN", Return::Min),
    ("MAX", Return::Max),
    ("ALL", Return::All),
    ("COUNT", Return::Count),
    ("SAVE", Return::Save),
];

fn return_options(cursor: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let mut options = SearchReturn::default();
    cursor.list((true, MAX_RETURN), |cursor| {
        match cursor.word(&RETURN).ok_or(Wrong::Syntax("Unknown return option"))? {
            Return::Min => options.min = true,
            Return::Max => options.max = true,
            Return::All => options.all = true,
            Return::Count => options.count = true,
            Return::Save => options.save = true,
        }
        Ok(())
    })?;
    Ok(options)
}

/// What follows a key's name.
#[derive(Clone, Copy)]
enum Kind {
    Plain(Plain),
    Text(fn(Vec<u8>) -> SearchKey),
    Date(fn(String) -> SearchKey),
    Size(fn(u32) -> SearchKey),
    Interval(fn(u32) -> SearchKey),
    Keyword(fn(Keyword) -> SearchKey),
    Header,
    ModSeq,
    Uid,
    Not,
    Or,
}

#[derive(Clone, Copy)]
enum Plain {
    All,
    Answered,
    Deleted,
    Draft,
    Flagged,
    New,
    Old,
    Recent,
    Seen,
    Unanswered,
    Undeleted,
    Undraft,
    Unflagged,
    Unseen,
}

const KEYS: [(&str, Kind); 38] = [
    ("ALL", Kind::Plain(Plain::All)),
    ("ANSWERED", Kind::Plain(Plain::Answered)),
    ("BCC", Kind::Text(SearchKey::Bcc)),
    ("BEFORE", Kind::Date(SearchKey::Before)),
    ("BODY", Kind::Text(SearchKey::Body)),
    ("CC", Kind::Text(SearchKey::Cc)),
    ("DELETED", Kind::Plain(Plain::Deleted)),
    ("DRAFT", Kind::Plain(Plain::Draft)),
    ("FLAGGED", Kind::Plain(Plain::Flagged)),
    ("FROM", Kind::Text(SearchKey::From)),
    ("HEADER", Kind::Header),
    ("KEYWORD", Kind::Keyword(SearchKey::Keyword)),
    ("LARGER", Kind::Size(SearchKey::Larger)),
    ("MODSEQ", Kind::ModSeq),
    ("NEW", Kind::Plain(Plain::New)),
    ("NOT", Kind::Not),
    ("OLD", Kind::Plain(Plain::Old)),
    ("OLDER", Kind::Interval(SearchKey::Older)),
    ("ON", Kind::Date(SearchKey::On)),
    ("OR", Kind::Or),
    ("RECENT", Kind::Plain(Plain::Recent)),
    ("SEEN", Kind::Plain(Plain::Seen)),
    ("SENTBEFORE", Kind::Date(SearchKey::SentBefore)),
    ("SENTON", Kind::Date(SearchKey::SentOn)),
    ("SENTSINCE", Kind::Date(SearchKey::SentSince)),
    ("SINCE", Kind::Date(SearchKey::Since)),
    ("SMALLER", Kind::Size(SearchKey::Smaller)),
    ("SUBJECT", Kind::Text(SearchKey::Subject)),
    ("TEXT", Kind::Text(SearchKey::Text)),
    ("TO", Kind::Text(SearchKey::To)),
    ("UID", Kind::Uid),
    ("UNANSWERED", Kind::Plain(Plain::Unanswered)),
    ("UNDELETED", Kind::Plain(Plain::Undeleted)),
    ("UNDRAFT", Kind::Plain(Plain::Undraft)),
    ("UNFLAGGED", Kind::Plain(Plain::Unflagged)),
    ("UNKEYWORD", Kind::Keyword(SearchKey::Unkeyword)),
    ("UNSEEN", Kind::Plain(Plain::Unseen)),
    ("YOUNGER", Kind::Interval(SearchKey::Younger)),
];

struct Reader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    left: usize,
    ascii: bool,
}

impl Reader<'_, '_> {
    fn key(&mut self, depth: usize) -> Parsed<SearchKey> {
        if depth == 0 {
            return wrong("The search is nested too deeply");
        }
        self.left = self.left.checked_sub(1).ok_or(Wrong::Syntax("The search has too many keys"))?;
        match self.cursor.peek() {
            Some(b'(') => self.group(depth),
            Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Numbers(self.cursor.set()?)),
            _ => {
                let kind = self.cursor.word(&KEYS).ok_or(Wrong::Syntax("Unknown search key"))?;
                self.arguments(kind, depth)
            }
        }
    }

    fn group(&mut self, depth: usize) -> Parsed<SearchKey> {
        let mut keys = Vec::new();
        self.cursor.demand(b'(', "A list was expected")?;
        loop {
            keys.push(self.key(depth - 1)?);
            if self.cursor.take(b')') {
                return Ok(SearchKey::And(keys));
            }
            self.cursor.space()?;
        }
    }

    fn arguments(&mut self, kind: Kind, depth: usize) -> Parsed<SearchKey> {
        if let Kind::Plain(plain) = kind {
            return Ok(plain.key());
        }
        self.cursor.space()?;
        Ok(match kind {
            Kind::Plain(plain) => plain.key(),
            Kind::Text(make) => make(self.text()?),
            Kind::Date(make) => make(date(self.cursor)?),
            Kind::Size(make) => make(self.cursor.number()?),
            Kind::Interval(make) => make(self.cursor.nz_number()?),
            Kind::Keyword(make) => {
                make(Keyword::parse(self.cursor.atom()?).ok_or(Wrong::Syntax("The keyword is too long"))?)
            }
            Kind::Header => self.header()?,
            // Without RFC 7162's entry name and type: flags have no mod-sequences of their own here.
            Kind::ModSeq => SearchKey::ModSeq(self.cursor.number64()?),
            Kind::Uid => SearchKey::Uid(self.cursor.set()?),
            Kind::Not => SearchKey::Not(Box::new(self.key(depth - 1)?)),
            Kind::Or => {
                let first = Box::new(self.key(depth - 1)?);
                self.cursor.space()?;
                SearchKey::Or(first, Box::new(self.key(depth - 1)?))
            }
        })
    }

    fn header(&mut self) -> Parsed<SearchKey> {
        let name = header_name(self.cursor)?;
        self.cursor.space()?;
        Ok(SearchKey::Header { name, value: self.text()? })
    }

    /// A string to look for: no line ends, and what is not ASCII is UTF-8.
    fn text(&mut self) -> Parsed<Vec<u8>> {
        let octets = self.cursor.text()?;
        if octets.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return wrong("A search string has line ends");
        }
        if !octets.is_ascii() && (self.ascii || std::str::from_utf8(&octets).is_err()) {
            return wrong("A search string is not of its charset");
        }
        Ok(octets)
    }
}

impl Plain {
    fn key(self) -> SearchKey {
        match self {
            Self::All => SearchKey::All,
            Self::Answered => SearchKey::Answered,
            Self::Deleted => SearchKey::Deleted,
            Self::Draft => SearchKey::Draft,
            Self::Flagged => SearchKey::Flagged,
            Self::New => SearchKey::New,
            Self::Old => SearchKey::Old,
            Self::Recent => SearchKey::Recent,
            Self::Seen => SearchKey::Seen,
            Self::Unanswered => SearchKey::Unanswered,
            Self::Undeleted => SearchKey::Undeleted,
            Self::Undraft => SearchKey::Undraft,
            Self::Unflagged => SearchKey::Unflagged,
            Self::Unseen => SearchKey::Unseen,
        }
    }
}

/// A header field's name (RFC 5322 §2.2): printable ASCII without colon.
pub(super) fn header_name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let name = cursor.astring()?;
    let fine = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && *b != b':');
    match String::from_utf8(name) {
        Ok(name) if fine => Ok(name),
        _ => wrong("This is no name of a header field"),
    }
}
