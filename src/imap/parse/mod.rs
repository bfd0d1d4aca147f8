//! Turns framed octets into a typed [`Command`], or refuses them.
//!
//! An allow-list (invariant 3): verbs, arguments, options and items that are not named
//! here do not exist. Each verb has exactly one parser; `docs/grammar.md` lists which.

mod acl;
mod append;
mod codec;
mod cursor;
mod date;
mod fetch;
mod folder;
mod list;
mod login;
mod messages;
mod quota;
mod search;
mod select;
mod sort;

use crate::types::Separator;

use super::command::{Command, Tag, Tagged};
use super::frame::Announced;
use cursor::{Cursor, Parsed, Wrong, wrong};

pub use login::continuation;
pub use search::{MAX_DEPTH, MAX_KEYS};

/// Why a command was refused: tagged BAD, or NO \[BADCHARSET\].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bad {
    /// If one could be read; otherwise the BAD is untagged.
    pub tag: Option<Tag>,
    pub kind: BadKind,
    /// For the client; never repeats what it sent.
    pub why: &'static str,
}

/// Which answer fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadKind {
    /// No such command: BAD.
    Unknown,
    /// Not of the grammar: BAD.
    Syntax,
    /// `NO [BADCHARSET (US-ASCII UTF-8)]` (RFC 3501 §6.4.4).
    Charset {
        /// The SEARCH was to keep what it finds: after a NO nothing is kept (RFC 5182 §2.1).
        saves: bool,
    },
}

/// What a literal at the end of an unfinished command is.
#[derive(Debug)]
pub enum AppendHead {
    /// The message of an APPEND whose head is whole and sound.
    Message(Tagged),
    /// An argument: [`super::frame::Framer::accept_literal`].
    Argument,
    /// An APPEND that will be refused whatever follows. A synchronising literal gets the
    /// BAD instead of `+`; another must be dropped first.
    Bad(Bad),
}

/// Every verb of the grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Copy,
    Create,
    Delete,
    DeleteAcl,
    Enable,
    Examine,
    Expunge,
    Fetch,
    GetAcl,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    List,
    ListRights,
    Login,
    Logout,
    Lsub,
    Move,
    MyRights,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    SetAcl,
    Sort,
    Status,
    Store,
    Subscribe,
    Thread,
    Uid,
    Unselect,
    Unsubscribe,
}

const VERBS: [(&str, Verb); 39] = [
    ("APPEND", Verb::Append),
    ("AUTHENTICATE", Verb::Authenticate),
    ("CAPABILITY", Verb::Capability),
    ("CHECK", Verb::Check),
    ("CLOSE", Verb::Close),
    ("COPY", Verb::Copy),
    ("CREATE", Verb::Create),
    ("DELETE", Verb::Delete),
    ("DELETEACL", Verb::DeleteAcl),
    ("ENABLE", Verb::Enable),
    ("EXAMINE", Verb::Examine),
    ("EXPUNGE", Verb::Expunge),
    ("FETCH", Verb::Fetch),
    ("GETACL", Verb::GetAcl),
    ("GETQUOTA", Verb::GetQuota),
    ("GETQUOTAROOT", Verb::GetQuotaRoot),
    ("ID", Verb::Id),
    ("IDLE", Verb::Idle),
    ("LIST", Verb::List),
    ("LISTRIGHTS", Verb::ListRights),
    ("LOGIN", Verb::Login),
    ("LOGOUT", Verb::Logout),
    ("LSUB", Verb::Lsub),
    ("MOVE", Verb::Move),
    ("MYRIGHTS", Verb::MyRights),
    ("NAMESPACE", Verb::Namespace),
    ("NOOP", Verb::Noop),
    ("RENAME", Verb::Rename),
    ("SEARCH", Verb::Search),
    ("SELECT", Verb::Select),
    ("SETACL", Verb::SetAcl),
    ("SORT", Verb::Sort),
    ("STATUS", Verb::Status),
    ("STORE", Verb::Store),
    ("SUBSCRIBE", Verb::Subscribe),
    ("THREAD", Verb::Thread),
    ("UID", Verb::Uid),
    ("UNSELECT", Verb::Unselect),
    ("UNSUBSCRIBE", Verb::Unsubscribe),
];

/// Verbs after `UID` (RFC 3501 §6.4.8, RFC 4315, RFC 6851, RFC 5256).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UidVerb {
    Copy,
    Expunge,
    Fetch,
    Move,
    Search,
    Sort,
    Store,
    Thread,
}

const UID_VERBS: [(&str, UidVerb); 8] = [
    ("COPY", UidVerb::Copy),
    ("EXPUNGE", UidVerb::Expunge),
    ("FETCH", UidVerb::Fetch),
    ("MOVE", UidVerb::Move),
    ("SEARCH", UidVerb::Search),
    ("SORT", UidVerb::Sort),
    ("STORE", UidVerb::Store),
    ("THREAD", UidVerb::Thread),
];

/// Reads a whole command, as [`super::frame::Framer::line`] holds it.
///
/// # Errors
/// Whatever is not of the grammar; nothing of it may go upstream.
pub fn command(line: &[u8], separator: Separator) -> Result<Tagged, Bad> {
    let (tag, mut cursor) = tagged(line, separator)?;
    match verb(&mut cursor, line) {
        Ok(Some(command)) => Ok(Tagged { tag, command }),
        Ok(None) => Err(Bad { tag: Some(tag), kind: BadKind::Unknown, why: "Unknown command" }),
        Err(error) => Err(bad(tag, error)),
    }
}

/// Says what the literal is that ends the unfinished command `so_far`.
pub fn append_head(so_far: &[u8], announced: Announced, separator: Separator) -> AppendHead {
    let Ok((tag, mut cursor)) = tagged(so_far, separator) else { return AppendHead::Argument };
    if cursor.word(&VERBS) != Some(Verb::Append) {
        return AppendHead::Argument;
    }
    match append::head(&mut cursor, announced) {
        Ok(Some(append)) => AppendHead::Message(Tagged { tag, command: Command::Append(append) }),
        Ok(None) => AppendHead::Argument,
        Err(error) => AppendHead::Bad(bad(tag, error)),
    }
}

/// The value of INTERNALDATE as APPEND takes it; `None` if it is no date.
pub fn internal_date(value: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(value, None);
    let date = date::date_time(&mut cursor).ok()?;
    cursor.rest().is_empty().then_some(date)
}

/// Whether a line is a web browser's: somebody makes it talk to us (threats: ALPACA), so
/// the connection is closed at once.
pub fn looks_like_http(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"Host:"];
    STARTS.iter().any(|start| line.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

fn tagged(line: &[u8], separator: Separator) -> Result<(Tag, Cursor<'_>), Bad> {
    let untagged = Bad { tag: None, kind: BadKind::Syntax, why: "A tag and a command were expected" };
    let at = memchr::memchr(b' ', line).ok_or(untagged.clone())?;
    let tag = Tag::parse(&line[..at]).ok_or(untagged)?;
    Ok((tag, Cursor::new(&line[at + 1..], separator)))
}

fn bad(tag: Tag, error: Wrong) -> Bad {
    let (kind, why) = match error {
        Wrong::Syntax(why) => (BadKind::Syntax, why),
        Wrong::Charset { saves } => (BadKind::Charset { saves }, "Only US-ASCII and UTF-8 are searched"),
    };
    Bad { tag: Some(tag), kind, why }
}

/// The one table of which parser reads which verb; `None` is a verb that does not exist.
fn verb(cursor: &mut Cursor<'_>, line: &[u8]) -> Parsed<Option<Command>> {
    let Some(verb) = cursor.word(&VERBS) else { return Ok(None) };
    let command = match verb {
        Verb::Capability
        | Verb::Check
        | Verb::Close
        | Verb::Delete
        | Verb::Enable
        | Verb::Expunge
        | Verb::Idle
        | Verb::Logout
        | Verb::Namespace
        | Verb::Noop
        | Verb::Rename
        | Verb::Subscribe
        | Verb::Unselect
        | Verb::Unsubscribe => codec::command(line, cursor.separator())?,
        Verb::Append => return wrong("APPEND needs a message as a literal"),
        Verb::Authenticate => login::authenticate(cursor)?,
        Verb::Copy => messages::copy(cursor, false)?,
        Verb::Create => folder::create(cursor)?,
        Verb::DeleteAcl => acl::delete(cursor)?,
        Verb::Examine => Command::Examine(select::open(cursor)?),
        Verb::Fetch => fetch::fetch(cursor, false)?,
        Verb::GetAcl => acl::get(cursor)?,
        Verb::GetQuota => quota::quota(cursor)?,
        Verb::GetQuotaRoot => quota::root(cursor)?,
        Verb::Id => login::id(cursor)?,
        Verb::List => list::list(cursor)?,
        Verb::ListRights => acl::list_rights(cursor)?,
        Verb::Login => login::login(cursor)?,
        Verb::Lsub => list::lsub(cursor)?,
        Verb::Move => messages::r#move(cursor, false)?,
        Verb::MyRights => acl::my_rights(cursor)?,
        Verb::Search => search::search(cursor, false)?,
        Verb::Select => Command::Select(select::open(cursor)?),
        Verb::SetAcl => acl::set(cursor)?,
        Verb::Sort => sort::sort(cursor, false)?,
        Verb::Store => messages::store(cursor, false)?,
        Verb::Status => folder::status(cursor)?,
        Verb::Thread => sort::thread(cursor, false)?,
        Verb::Uid => return uid_verb(cursor),
    };
    Ok(Some(command))
}

fn uid_verb(cursor: &mut Cursor<'_>) -> Parsed<Option<Command>> {
    cursor.space()?;
    let Some(verb) = cursor.word(&UID_VERBS) else { return Ok(None) };
    let command = match verb {
        UidVerb::Copy => messages::copy(cursor, true)?,
        UidVerb::Expunge => messages::uid_expunge(cursor)?,
        UidVerb::Move => messages::r#move(cursor, true)?,
        UidVerb::Store => messages::store(cursor, true)?,
        UidVerb::Fetch => fetch::fetch(cursor, true)?,
        UidVerb::Search => search::search(cursor, true)?,
        UidVerb::Sort => sort::sort(cursor, true)?,
        UidVerb::Thread => sort::thread(cursor, true)?,
    };
    Ok(Some(command))
}

#[cfg(test)]
mod tests;
