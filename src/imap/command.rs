//! Client commands as typed values: what the grammar of this proxy can say.
//!
//! A verb that is not here does not exist (invariant 3). A value that is here has been
//! checked: folder names are canonical or known not to be, sets are not empty, flags
//! can be set, FETCH and SEARCH items are on the allow-list.

use crate::policy::StoreMode;
use crate::types::{Flags, FolderName, NumberSet, Secret, UidSet, UidValidity};

/// A client's tag (RFC 3501 §2.2.1): 1 to 64 octets of ASTRING-CHAR without `+`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag(Box<str>);

impl Tag {
    /// Longest tag in octets; real clients use up to 12.
    pub const MAX: usize = 64;

    pub fn parse(octets: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| b.is_ascii_graphic() && !b"(){%*\"\\+".contains(b);
        let fine = (1..=Self::MAX).contains(&octets.len()) && octets.iter().all(allowed);
        fine.then(|| Self(String::from_utf8_lossy(octets).into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A command with its tag.
#[derive(Debug)]
pub struct Tagged {
    pub tag: Tag,
    pub command: Command,
}

/// A folder as a command names it: canonical, or known not to be (and then it does not exist).
pub type FolderArg = Result<FolderName, crate::types::NotCanonical>;

/// Every command that a client may give.
#[derive(Debug)]
pub enum Command {
    // Any state, RFC 3501 §6.1.
    Capability,
    Noop,
    Logout,
    /// RFC 2971; the client's own words about itself, for the log: name and version.
    Id {
        client: Option<String>,
    },

    // Not authenticated, §6.2.
    Login {
        user: String,
        password: Secret,
    },
    /// RFC 4959; `initial` is the decoded initial response.
    Authenticate {
        mechanism: String,
        initial: Option<Secret>,
    },

    // Authenticated, §6.3.
    /// RFC 5161; names in upper case.
    Enable(Vec<String>),
    Select(Open),
    Examine(Open),
    Create {
        folder: FolderArg,
        special_use: bool,
    },
    Delete(FolderArg),
    Rename {
        from: FolderArg,
        to: FolderArg,
    },
    Subscribe(FolderArg),
    Unsubscribe(FolderArg),
    List(List),
    Lsub {
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Namespace,
    Status {
        folder: FolderArg,
        items: Vec<StatusItem>,
    },
    /// The head; the message follows as a literal.
    Append(Append),
    Idle,
    /// RFC 4314.
    MyRights(FolderArg),
    ListRights {
        folder: FolderArg,
        identifier: Vec<u8>,
    },
    GetAcl(FolderArg),
    SetAcl(FolderArg),
    DeleteAcl(FolderArg),
    /// RFC 9208; a root's name as a client wrote it.
    GetQuota {
        root: Vec<u8>,
    },
    GetQuotaRoot(FolderArg),

    // Selected, §6.4.
    Check,
    Close,
    Unselect,
    Expunge,
    UidExpunge(NumberSet),
    Search {
        uid: bool,
        search: Search,
    },
    /// RFC 5256.
    Sort {
        uid: bool,
        sort: Sort,
    },
    Thread {
        uid: bool,
        thread: Thread,
    },
    Fetch {
        uid: bool,
        fetch: Fetch,
    },
    Store {
        uid: bool,
        store: Store,
    },
    Copy {
        uid: bool,
        set: NumberSet,
        to: FolderArg,
    },
    Move {
        uid: bool,
        set: NumberSet,
        to: FolderArg,
    },
}

/// SELECT and EXAMINE.
#[derive(Debug)]
pub struct Open {
    pub folder: FolderArg,
    /// The CONDSTORE parameter (RFC 7162 §3.1.8).
    pub condstore: bool,
    /// The QRESYNC parameter (RFC 7162 §3.2.5).
    pub resync: Option<Resync>,
}

impl Open {
    /// As a client without extensions asks for it.
    pub fn plain(folder: FolderArg) -> Self {
        Self { folder, condstore: false, resync: None }
    }
}

/// What a client still knows of a folder; no `*` and no `$` in its sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resync {
    pub validity: UidValidity,
    /// At least 1.
    pub mod_seq: u64,
    /// The UIDs that it has.
    pub known: Option<NumberSet>,
    /// Some message numbers and the UIDs that they had.
    pub matched: Option<(NumberSet, NumberSet)>,
}

/// LIST in its extended form (RFC 5258); the basic form has one pattern and no options.
#[derive(Debug, Default)]
pub struct List {
    /// Decoded octets, still modified UTF-7.
    pub reference: Vec<u8>,
    /// Decoded octets, with `%` and `*`; never empty.
    pub patterns: Vec<Vec<u8>>,
    pub select: ListSelect,
    pub ret: ListReturn,
    /// Whether any extended syntax was used: then answers carry `\Subscribed` and so on.
    pub extended: bool,
}

/// Selection options (RFC 5258 §3.1, RFC 6154 §2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListSelect {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

/// Return options (RFC 5258 §3.2, RFC 6154 §2, RFC 5819, RFC 8440 is not offered).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListReturn {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub status: Vec<StatusItem>,
}

/// STATUS items that we answer (RFC 3501 §6.3.10, RFC 8438, RFC 7162, RFC 7889).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Size,
    HighestModSeq,
    AppendLimit,
}

/// APPEND's head (RFC 3501 §6.3.11).
#[derive(Debug)]
pub struct Append {
    pub folder: FolderArg,
    pub flags: Flags,
    /// INTERNALDATE as `dd-Mon-yyyy hh:mm:ss +zzzz`, every field in range.
    pub date: Option<String>,
    /// Octets of the message literal.
    pub size: u64,
    /// The client waits for `+` before it sends them.
    pub synchronising: bool,
}

/// STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3).
#[derive(Debug)]
pub struct Store {
    pub set: NumberSet,
    pub unchanged_since: Option<u64>,
    pub mode: StoreMode,
    pub silent: bool,
    pub flags: Flags,
}

/// FETCH (RFC 3501 §6.4.5); macros are expanded by the parser.
#[derive(Debug)]
pub struct Fetch {
    pub set: NumberSet,
    /// Never empty.
    pub items: Vec<FetchItem>,
    /// RFC 7162 §3.1.4.1.
    pub changed_since: Option<u64>,
    /// What is gone since is told too (RFC 7162 §3.2.6); only by UID.
    pub vanished: bool,
}

impl Fetch {
    /// Whether upstream sets `\Seen` when asked for this (RFC 3501 §6.4.5).
    pub fn marks_seen(&self) -> bool {
        self.items.iter().any(FetchItem::marks_seen)
    }
}

/// What FETCH may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FetchItem {
    Uid,
    Flags,
    InternalDate,
    Rfc822Size,
    Envelope,
    /// BODY without section.
    Body,
    BodyStructure,
    ModSeq,
    /// RFC822: sets `\Seen`.
    Rfc822,
    Rfc822Header,
    /// RFC822.TEXT: sets `\Seen`.
    Rfc822Text,
    Section(Section),
}

impl FetchItem {
    /// Whether upstream sets `\Seen` when asked for this (RFC 3501 §6.4.5).
    pub fn marks_seen(&self) -> bool {
        match self {
            Self::Rfc822 | Self::Rfc822Text => true,
            Self::Section(section) => !section.peek,
            Self::Uid
            | Self::Flags
            | Self::InternalDate
            | Self::Rfc822Size
            | Self::Envelope
            | Self::Body
            | Self::BodyStructure
            | Self::ModSeq
            | Self::Rfc822Header => false,
        }
    }
}

/// `BODY[section]<partial>` and its PEEK form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    pub peek: bool,
    /// MIME part numbers, each at least 1; at most 32 deep.
    pub part: Vec<u32>,
    pub text: SectionText,
    /// `<first.count>`; count at least 1.
    pub partial: Option<(u32, u32)>,
}

/// What of the part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SectionText {
    /// All of it.
    Whole,
    Header,
    /// Header field names: ASCII 33-126 without `:`; never empty.
    HeaderFields(Vec<String>),
    HeaderFieldsNot(Vec<String>),
    Text,
    /// Only with a part number.
    Mime,
}

/// SEARCH (RFC 3501 §6.4.4, RFC 4731).
#[derive(Debug)]
pub struct Search {
    /// RFC 4731's RETURN (..), if it was given; an empty list means ALL.
    pub ret: Option<SearchReturn>,
    /// As given: `US-ASCII` or `UTF-8`, upper case.
    pub charset: Option<&'static str>,
    /// All must hold; never empty.
    pub keys: Vec<SearchKey>,
}

/// ESEARCH return options (RFC 4731 §3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// RFC 5182: what is found is kept as `$`.
    pub save: bool,
}

impl SearchReturn {
    /// Whether there is an answer: SAVE alone is silent (RFC 5182 §2.1).
    pub fn tells(self) -> bool {
        self != Self { save: true, ..Self::default() }
    }

    /// Of what a search found, that which becomes `$` (RFC 5182 §2.4): MIN and MAX alone keep
    /// just those.
    pub fn saved(self, found: &UidSet) -> UidSet {
        if self.all || self.count || !(self.min || self.max) {
            return found.clone();
        }
        let ends = [found.first().filter(|_| self.min), found.last().filter(|_| self.max)];
        ends.into_iter().flatten().collect()
    }
}

/// SORT (RFC 5256 §3).
#[derive(Debug)]
pub struct Sort {
    /// Never empty.
    pub keys: Vec<SortKey>,
    /// Without RETURN; the charset is always given.
    pub search: Search,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SortKey {
    pub reverse: bool,
    pub by: SortBy,
}

/// What SORT sorts by; the display keys are those of RFC 5957.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SortBy {
    Arrival,
    Cc,
    Date,
    DisplayFrom,
    DisplayTo,
    From,
    Size,
    Subject,
    To,
}

/// THREAD (RFC 5256 §4).
#[derive(Debug)]
pub struct Thread {
    pub by: Threading,
    /// Without RETURN; the charset is always given.
    pub search: Search,
}

/// How messages are put into threads (RFC 5256 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Threading {
    OrderedSubject,
    References,
    /// Dovecot's, by references alone.
    Refs,
}

impl Threading {
    /// The capability that announces it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::OrderedSubject => "THREAD=ORDEREDSUBJECT",
            Self::References => "THREAD=REFERENCES",
            Self::Refs => "THREAD=REFS",
        }
    }
}

/// Search keys; strings are octets without NUL, CR and LF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SearchKey {
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
    Keyword(crate::types::Keyword),
    Unkeyword(crate::types::Keyword),
    Bcc(Vec<u8>),
    Body(Vec<u8>),
    Cc(Vec<u8>),
    From(Vec<u8>),
    Subject(Vec<u8>),
    Text(Vec<u8>),
    To(Vec<u8>),
    Header {
        name: String,
        value: Vec<u8>,
    },
    /// Dates as `d-Mon-yyyy`, in range.
    Before(String),
    On(String),
    Since(String),
    SentBefore(String),
    SentOn(String),
    SentSince(String),
    Larger(u32),
    Smaller(u32),
    /// RFC 5032, in seconds.
    Older(u32),
    Younger(u32),
    ModSeq(u64),
    Uid(NumberSet),
    Numbers(NumberSet),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Vec<Self>),
}

impl SearchKey {
    /// Whether a key is so, this one or one inside.
    pub fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let inside = match self {
            Self::Not(key) => key.any(is),
            Self::Or(a, b) => a.any(is) || b.any(is),
            Self::And(keys) => keys.iter().any(|key| key.any(is)),
            Self::All
            | Self::Answered
            | Self::Deleted
            | Self::Draft
            | Self::Flagged
            | Self::New
            | Self::Old
            | Self::Recent
            | Self::Seen
            | Self::Unanswered
            | Self::Undeleted
            | Self::Undraft
            | Self::Unflagged
            | Self::Unseen
            | Self::Keyword(_)
            | Self::Unkeyword(_)
            | Self::Bcc(_)
            | Self::Body(_)
            | Self::Cc(_)
            | Self::From(_)
            | Self::Subject(_)
            | Self::Text(_)
            | Self::To(_)
            | Self::Header { .. }
            | Self::Before(_)
            | Self::On(_)
            | Self::Since(_)
            | Self::SentBefore(_)
            | Self::SentOn(_)
            | Self::SentSince(_)
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::Older(_)
            | Self::Younger(_)
            | Self::ModSeq(_)
            | Self::Uid(_)
            | Self::Numbers(_) => false,
        };
        inside || is(self)
    }
}
