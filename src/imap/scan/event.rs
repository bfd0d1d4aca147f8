//! What the scanner finds.

use std::fmt;

/// One thing found. Slices lie in the input, or in the scanner until its next call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// All input is used; more is needed.
    More,
    /// A complete response other than FETCH, SEARCH and ESEARCH, with its literals and CRLF:
    /// for [`crate::imap::response::parse`].
    Line(&'a [u8]),

    /// `* n FETCH (`. Items follow, then [`Event::FetchEnd`].
    Fetch(u32),
    Uid(u32),
    ModSeq(u64),
    /// FLAGS, without the parentheses; separated by spaces, not checked further.
    Flags(&'a [u8]),
    /// Any other item on the allow-list; its value follows.
    Item(Item<'a>),
    /// Octets of the current item's value, as they stand: parentheses, quotes, literals.
    Value(&'a [u8]),
    /// So many literal octets follow, as [`Event::Value`]; or the caller moves them itself and
    /// says so by [`super::Scanner::passed`].
    Literal(u64),
    /// An item that is not on the allow-list; its value is skipped.
    Dropped,
    FetchEnd,

    /// `* SEARCH`, `* SORT` or `* THREAD`. Numbers follow, then [`Event::SearchEnd`].
    Search(Listing),
    /// `* ESEARCH`, with the tag of its correlator (RFC 4466 §2.6.2); empty if it has none.
    Esearch(&'a [u8]),
    SearchWord(SearchWord),
    /// Digits, spaces, colons and commas, which [`super::Numbers`] reads; in THREAD digits,
    /// spaces and parentheses.
    SearchNumbers(&'a [u8]),
    SearchEnd,

    Fault(Fault),
}

/// A FETCH item's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Item<'a> {
    pub kind: ItemKind,
    /// As upstream wrote it, with section and origin: `BODY[HEADER.FIELDS ("To")]<0>`.
    /// May hold literals.
    pub name: &'a [u8],
}

/// The items whose values pass through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ItemKind {
    InternalDate,
    Rfc822Size,
    Envelope,
    /// BODY without section.
    Body,
    BodyStructure,
    /// `BODY[section]`.
    Section,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

/// What a list of numbers answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listing {
    Search,
    /// RFC 5256 §4: in the order asked for.
    Sort,
    /// RFC 5256 §4: with parentheses.
    Thread,
}

impl Listing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "SEARCH",
            Self::Sort => "SORT",
            Self::Thread => "THREAD",
        }
    }
}

/// What may stand among the numbers of SEARCH and ESEARCH (RFC 4731 §3.1, RFC 7162 §3.1.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SearchWord {
    Uid,
    Min,
    Max,
    All,
    Count,
    ModSeq,
}

impl SearchWord {
    pub const ALL_WORDS: [Self; 6] = [Self::Uid, Self::Min, Self::Max, Self::All, Self::Count, Self::ModSeq];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uid => "UID",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::All => "ALL",
            Self::Count => "COUNT",
            Self::ModSeq => "MODSEQ",
        }
    }
}

/// Why upstream's octets make no sense. There is no way on from here: the connection, and the
/// session on it, must be closed (invariant 10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Bare CR, bare LF, or a line end where there can be none.
    LineEnd,
    /// NUL outside a literal.
    Nul,
    /// A token beyond its limit.
    TooLong,
    /// Parentheses deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// A literal's size is no number, or larger than [`super::MAX_LITERAL`].
    LiteralSize,
    /// A number that is none, is 0, or does not fit.
    Number,
    Structure,
    /// Something else than numbers and known words in an answer to SEARCH.
    Search,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineEnd => "upstream sent a bare CR or LF, or a line end inside a response",
            Self::Nul => "upstream sent NUL outside a literal",
            Self::TooLong => "upstream sent a response or name beyond the limit",
            Self::TooDeep => "upstream sent parentheses too deep",
            Self::LiteralSize => "upstream sent a literal with an impossible size",
            Self::Number => "upstream sent a number that is none",
            Self::Structure => "upstream sent a response that is not IMAP",
            Self::Search => "upstream sent a search result that is none",
        })
    }
}

impl std::error::Error for Fault {}

/// Where a token lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Span {
    Held,
    Input(usize, usize),
}

impl Span {
    pub(super) fn octets<'a>(self, input: &'a [u8], held: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Held => held,
            Self::Input(from, to) => &input[from..to],
        }
    }
}

/// An [`Event`] before it borrows anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    More,
    Line(Span),
    Fetch(u32),
    Uid(u32),
    ModSeq(u64),
    Flags(Span),
    Item(ItemKind, Span),
    Value(Span),
    Literal(u64),
    Dropped,
    FetchEnd,
    Search(Listing),
    Esearch,
    SearchWord(SearchWord),
    SearchNumbers(Span),
    SearchEnd,
    Fault(Fault),
}

impl Found {
    pub(super) fn event<'a>(self, input: &'a [u8], held: &'a [u8]) -> Event<'a> {
        match self {
            Self::More => Event::More,
            Self::Line(span) => Event::Line(span.octets(input, held)),
            Self::Fetch(number) => Event::Fetch(number),
            Self::Uid(uid) => Event::Uid(uid),
            Self::ModSeq(value) => Event::ModSeq(value),
            Self::Flags(span) => Event::Flags(super::name::inner(span.octets(input, held))),
            Self::Item(kind, span) => Event::Item(Item { kind, name: span.octets(input, held) }),
            Self::Value(span) => Event::Value(span.octets(input, held)),
            Self::Literal(left) => Event::Literal(left),
            Self::Dropped => Event::Dropped,
            Self::FetchEnd => Event::FetchEnd,
            Self::Search(listing) => Event::Search(listing),
            Self::Esearch => Event::Esearch(held),
            Self::SearchWord(word) => Event::SearchWord(word),
            Self::SearchNumbers(span) => Event::SearchNumbers(span.octets(input, held)),
            Self::SearchEnd => Event::SearchEnd,
            Self::Fault(fault) => Event::Fault(fault),
        }
    }
}
