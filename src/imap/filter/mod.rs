//! What of upstream's untagged data a client is told, and when; always in our own words.
//!
//! Nothing passes that is not named here. What is dropped is counted by its [`Drop`]; what
//! puts our idea of the folder in doubt is a [`Doubt`] and ends the session (invariant 10).

mod fetch;
mod flags;
mod search;

use std::fmt;

pub use fetch::{FetchView, FetchWriter};
pub use flags::{access, clean, defined_flags, permanent_flags, shown_rights};
pub use search::{SearchWriter, Sieve};

use crate::imap::command::StatusItem;
use crate::imap::reply::{self, Outcome};
use crate::imap::response::{Code, Condition, Response, Status, StatusData, alert_text, status_item_name};
use crate::policy::{Effective, Place};
use crate::types::Flag;

/// What the client may be told at this moment.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    /// The folder that the client has open, or is opening by the command under way.
    pub folder: Option<Folder<'a>>,
    /// A SELECT or EXAMINE is under way.
    pub opening: bool,
    /// A FETCH, STORE or SEARCH by sequence number is under way, or nothing is: EXPUNGE must
    /// not be told (RFC 3501 §7.4.1).
    pub no_expunge: bool,
    /// The folder that the client asked STATUS of.
    pub status: Option<Asked<'a>>,
    /// A MOVE is under way whose target the user may read: COPYUID may be told.
    pub copy_uid: bool,
    /// The client has enabled QRESYNC (RFC 7162 §3.2.3): it understands VANISHED.
    pub qresync: bool,
}

/// A selected folder.
#[derive(Clone, Debug)]
pub struct Folder<'a> {
    pub effective: &'a Effective,
    pub place: Place,
}

/// A STATUS command under way.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The folder's octets as upstream uses them.
    pub upstream: &'a [u8],
    /// The folder as the client is told of it: modified UTF-7.
    pub client: &'a [u8],
    pub items: &'a [StatusItem],
}

/// Why something of upstream's was not told; the label of a counter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Drop {
    /// Data of a folder while none is open.
    NotSelected,
    /// CAPABILITY, ENABLED: ours are our own.
    Session,
    /// LIST, LSUB, QUOTA: answered by us.
    Folders,
    /// STATUS of a folder that was not asked for.
    Status,
    /// A status response without a code for the client, or with one that it must not see.
    Text,
    /// A FETCH item that is not on the allow-list, or not enabled.
    Item,
    /// A SEARCH answer without a SEARCH of the client's.
    Search,
    Unknown,
}

impl Drop {
    pub const ALL: [Self; 8] = [
        Self::NotSelected,
        Self::Session,
        Self::Folders,
        Self::Status,
        Self::Text,
        Self::Item,
        Self::Search,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSelected => "not_selected",
            Self::Session => "session",
            Self::Folders => "folders",
            Self::Status => "status",
            Self::Text => "text",
            Self::Item => "item",
            Self::Search => "search",
            Self::Unknown => "unknown",
        }
    }
}

/// What makes it impossible to go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// Upstream takes its leave.
    Bye,
    /// EXPUNGE where RFC 3501 §7.4.1 forbids it: the numbers that the client uses are void.
    Expunge,
    /// VANISHED, which nobody enabled: messages are gone under unknown numbers.
    Vanished,
    /// The folder was closed under the session's feet (RFC 7162 §3.2.11).
    Closed,
    /// Another UIDVALIDITY than at SELECT would be told.
    UidValidity,
    /// A tagged response, continuation or greeting where there can be none.
    OutOfTurn,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bye => "upstream said BYE",
            Self::Expunge => "upstream sent EXPUNGE during a command by sequence number",
            Self::Vanished => "upstream sent VANISHED without QRESYNC",
            Self::Closed => "upstream closed the folder",
            Self::UidValidity => "upstream changed UIDVALIDITY of the open folder",
            Self::OutOfTurn => "upstream answered what was not asked",
        })
    }
}

impl std::error::Error for Doubt {}

/// Tells the client of one untagged response, if it may know: then it is in `out`, in our
/// words. Tagged responses and continuations are the caller's and must not come here.
pub fn untagged(
    response: &Response<'_>,
    window: &Window<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Drop>, Doubt> {
    match response {
        Response::Tagged { .. } | Response::Continue(_) => Err(Doubt::OutOfTurn),
        Response::Status(status) => self::status(status, window, out),
        Response::Exists(number) => Ok(of_folder(window, out, *number, "EXISTS")),
        Response::Recent(number) => Ok(of_folder(window, out, *number, "RECENT")),
        Response::Expunge(_) if window.folder.is_some() && window.no_expunge => Err(Doubt::Expunge),
        Response::Expunge(number) => Ok(of_folder(window, out, *number, "EXPUNGE")),
        Response::Flags(flags) => {
            if window.folder.is_none() {
                return Ok(Some(Drop::NotSelected));
            }
            reply::flags(out, &defined_flags(flags));
            Ok(None)
        }
        Response::Capability(_) | Response::Enabled(_) => Ok(Some(Drop::Session)),
        Response::List(_) | Response::Lsub(_) | Response::Quota(_) | Response::QuotaRoots(_) => {
            Ok(Some(Drop::Folders))
        }
        Response::StatusData(data) => Ok(status_data(data, window, out)),
        Response::Vanished { .. } if window.folder.is_none() => Ok(Some(Drop::NotSelected)),
        Response::Vanished { .. } if !window.qresync => Err(Doubt::Vanished),
        // What was gone before the client looked moves no numbers.
        Response::Vanished { earlier: true, uids } => {
            reply::data(out, &format!("VANISHED (EARLIER) {uids}"));
            Ok(None)
        }
        Response::Vanished { .. } if window.no_expunge => Err(Doubt::Expunge),
        Response::Vanished { earlier: false, uids } => {
            reply::data(out, &format!("VANISHED {uids}"));
            Ok(None)
        }
        Response::Unknown => Ok(Some(Drop::Unknown)),
    }
}

fn of_folder(window: &Window<'_>, out: &mut Vec<u8>, number: u32, word: &str) -> Option<Drop> {
    if window.folder.is_none() {
        return Some(Drop::NotSelected);
    }
    reply::number(out, number, word);
    None
}

fn status(status: &Status<'_>, window: &Window<'_>, out: &mut Vec<u8>) -> Result<Option<Drop>, Doubt> {
    match status.condition {
        Condition::Bye => return Err(Doubt::Bye),
        Condition::PreAuth => return Err(Doubt::OutOfTurn),
        Condition::Ok | Condition::No | Condition::Bad => {}
    }
    let Some(code) = &status.code else { return Ok(Some(Drop::Text)) };
    if *code == Code::Closed && !window.opening && window.folder.is_some() {
        return Err(Doubt::Closed);
    }
    if let Code::UidValidity(_) = code
        && !window.opening
        && window.folder.is_some()
    {
        return Err(Doubt::UidValidity);
    }
    if *code == Code::Alert {
        alert(out, status.text);
        return Ok(None);
    }
    let Some((code, text)) = self::code(code, window) else { return Ok(Some(Drop::Text)) };
    reply::untagged(out, Outcome::Ok, &code, text);
    Ok(None)
}

/// `* OK [ALERT] text`: the one text of upstream's that a person gets to see (RFC 3501 §7.1).
pub fn alert(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"* OK [ALERT] ");
    let text = alert_text(text);
    let text = if text.is_empty() { "-" } else { &text };
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An untagged OK's code in our words, with the text behind it.
fn code(code: &Code<'_>, window: &Window<'_>) -> Option<(String, &'static str)> {
    let folder = window.folder.as_ref()?;
    let own = folder.effective.own_flags(&folder.place);
    match code {
        Code::UidValidity(value) => Some((format!("UIDVALIDITY {}", value.0), "UIDs valid")),
        Code::UidNext(uid) => Some((format!("UIDNEXT {uid}"), "Predicted next UID")),
        Code::Unseen(_) if own.seen => None,
        Code::Unseen(number) => Some((format!("UNSEEN {number}"), "First unseen")),
        Code::HighestModSeq(_) | Code::NoModSeq if own.any() => {
            Some(("NOMODSEQ".to_owned(), "No mod-sequences"))
        }
        Code::HighestModSeq(value) => Some((format!("HIGHESTMODSEQ {value}"), "Highest")),
        Code::NoModSeq => Some(("NOMODSEQ".to_owned(), "No mod-sequences")),
        Code::PermanentFlags(flags) => {
            let flags = permanent_flags(folder.effective, &folder.place, flags);
            Some((format!("PERMANENTFLAGS {flags}"), "Flags you may change"))
        }
        Code::CopyUid { validity, pairs, .. } if window.copy_uid => {
            let text = |set: &[u8]| String::from_utf8_lossy(set).into_owned();
            let (from, to) = (text(pairs.from), text(pairs.to));
            Some((format!("COPYUID {} {from} {to}", validity.0), "Moved UIDs"))
        }
        Code::Alert
        | Code::AlreadyExists
        | Code::AppendUid { .. }
        | Code::AuthenticationFailed
        | Code::AuthorizationFailed
        | Code::Capability(_)
        | Code::Closed
        | Code::CopyUid { .. }
        | Code::InUse
        | Code::Limit
        | Code::Modified(_)
        | Code::NonExistent
        | Code::NoPerm
        | Code::OverQuota
        | Code::ReadOnly
        | Code::ReadWrite
        | Code::TryCreate
        | Code::Unavailable
        | Code::Other => None,
    }
}

fn status_data(data: &StatusData, window: &Window<'_>, out: &mut Vec<u8>) -> Option<Drop> {
    let Some(asked) = window.status.filter(|asked| same_folder(asked.upstream, &data.name)) else {
        return Some(Drop::Status);
    };
    status_line(out, asked.client, asked.items, data);
    None
}

/// `* STATUS folder (..)`: the items asked for, as far as upstream told them.
pub fn status_line(out: &mut Vec<u8>, wire: &[u8], items: &[StatusItem], data: &StatusData) {
    out.extend_from_slice(b"* STATUS ");
    reply::astring(out, wire);
    let told = items.iter().filter_map(|item| Some((status_item_name(*item), data.item(*item)?)));
    let told: Vec<_> = told.map(|(name, value)| format!("{name} {value}")).collect();
    out.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
}

/// Upstream repeats the octets that we sent, except that INBOX has no case.
pub fn same_folder(ours: &[u8], theirs: &[u8]) -> bool {
    ours == theirs || (ours.eq_ignore_ascii_case(b"INBOX") && theirs.eq_ignore_ascii_case(b"INBOX"))
}

/// Flags that a client may be shown; `None` for what is no flag.
fn flag(octets: &[u8]) -> Option<Flag> {
    Flag::parse(std::str::from_utf8(octets).ok()?)
}

#[cfg(test)]
mod tests;
