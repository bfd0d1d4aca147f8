//! The verbs that imap-codec reads: those whose whole grammar it knows and we police.
//!
//! Its value is never used as it is: what it lets through and we do not is refused here,
//! and flags and folder names become our own types.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_types::command::{CommandBody, SelectParameter, StoreModifier};
use imap_types::flag::{StoreResponse, StoreType};
use imap_types::mailbox::Mailbox;
use imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};

use super::append::MAX_FLAGS;
use super::cursor::{Parsed, Wrong, wrong};
use crate::imap::command::{Command, FolderArg, Open, Store};
use crate::policy::StoreMode;
use crate::types::{Bound, Flag, Flags, FolderName, NumberSet, Separator};

/// Reads a whole line, tag and CRLF included.
pub(super) fn command(line: &[u8], separator: Separator) -> Parsed<Command> {
    let Ok((b"", decoded)) = CommandCodec::default().decode(line) else {
        return wrong("The arguments are malformed");
    };
    let folder = |mailbox: &Mailbox<'_>| folder(mailbox, separator);
    Ok(match decoded.body {
        CommandBody::Capability => Command::Capability,
        CommandBody::Noop => Command::Noop,
        CommandBody::Logout => Command::Logout,
        CommandBody::Namespace => Command::Namespace,
        CommandBody::Idle => Command::Idle,
        CommandBody::Check => Command::Check,
        CommandBody::Close => Command::Close,
        CommandBody::Unselect => Command::Unselect,
        CommandBody::Expunge => Command::Expunge,
        CommandBody::Select { mailbox, parameters } => Command::Select(open(folder(&mailbox), &parameters)?),
        CommandBody::Examine { mailbox, parameters } => {
            Command::Examine(open(folder(&mailbox), &parameters)?)
        }
        CommandBody::Delete { mailbox } => Command::Delete(folder(&mailbox)),
        CommandBody::Rename { from, to } => Command::Rename { from: folder(&from), to: folder(&to) },
        CommandBody::Subscribe { mailbox } => Command::Subscribe(folder(&mailbox)),
        CommandBody::Unsubscribe { mailbox } => Command::Unsubscribe(folder(&mailbox)),
        CommandBody::Enable { capabilities } => Command::Enable(
            capabilities.as_ref().iter().map(|c| c.to_string().to_ascii_uppercase()).collect(),
        ),
        CommandBody::ExpungeUid { sequence_set } => Command::UidExpunge(set(line, &sequence_set)?),
        CommandBody::Copy { sequence_set, mailbox, uid } => {
            Command::Copy { uid, set: set(line, &sequence_set)?, to: folder(&mailbox) }
        }
        CommandBody::Move { sequence_set, mailbox, uid } => {
            Command::Move { uid, set: set(line, &sequence_set)?, to: folder(&mailbox) }
        }
        CommandBody::Store { sequence_set, kind, response, flags, uid, modifiers } => {
            let store = Store {
                set: set(line, &sequence_set)?,
                unchanged_since: unchanged_since(&modifiers)?,
                mode: mode(kind),
                silent: response == StoreResponse::Silent,
                flags: settable(&flags)?,
            };
            Command::Store { uid, store }
        }
        // Verbs with a parser of our own, and verbs that do not exist here.
        CommandBody::Append { .. }
        | CommandBody::Authenticate { .. }
        | CommandBody::Compress { .. }
        | CommandBody::Create { .. }
        | CommandBody::Fetch { .. }
        | CommandBody::GetQuota { .. }
        | CommandBody::GetQuotaRoot { .. }
        | CommandBody::Id { .. }
        | CommandBody::List { .. }
        | CommandBody::Login { .. }
        | CommandBody::Lsub { .. }
        | CommandBody::Search { .. }
        | CommandBody::SetQuota { .. }
        | CommandBody::Sort { .. }
        | CommandBody::Status { .. }
        | CommandBody::Thread { .. } => return wrong("Unknown command"),
    })
}

fn folder(mailbox: &Mailbox<'_>, separator: Separator) -> FolderArg {
    match mailbox {
        Mailbox::Inbox => Ok(FolderName::inbox()),
        Mailbox::Other(name) => FolderName::from_wire(name.as_ref(), separator),
    }
}

/// CONDSTORE at most once; QRESYNC is not offered.
fn open(folder: FolderArg, parameters: &[SelectParameter]) -> Parsed<Open> {
    match parameters {
        [] => Ok(Open { folder, condstore: false }),
        [SelectParameter::CondStore] => Ok(Open { folder, condstore: true }),
        _ => wrong("Unknown parameter"),
    }
}

fn unchanged_since(modifiers: &[StoreModifier]) -> Parsed<Option<u64>> {
    match modifiers {
        [] => Ok(None),
        // Mod-sequences have 63 bits (RFC 7162 §7).
        [StoreModifier::UnchangedSince(value)] if i64::try_from(*value).is_ok() => Ok(Some(*value)),
        _ => wrong("The STORE modifier is malformed"),
    }
}

fn mode(kind: StoreType) -> StoreMode {
    match kind {
        StoreType::Add => StoreMode::Add,
        StoreType::Remove => StoreMode::Remove,
        StoreType::Replace => StoreMode::Replace,
    }
}

fn settable(flags: &[imap_types::flag::Flag<'_>]) -> Parsed<Flags> {
    if flags.len() > MAX_FLAGS {
        return wrong("Too many flags");
    }
    let parsed: Option<Flags> = flags.iter().map(|flag| Flag::parse(&flag.to_string())).collect();
    parsed.ok_or(Wrong::Syntax("This flag cannot be set"))
}

fn set(line: &[u8], set: &SequenceSet) -> Parsed<NumberSet> {
    if has_leading_zero(line) {
        return wrong("The message set is malformed");
    }
    let bound = |end: &SeqOrUid| match end {
        SeqOrUid::Value(number) => Bound::Number(*number),
        SeqOrUid::Asterisk => Bound::Last,
    };
    let range = |sequence: &Sequence| match sequence {
        Sequence::Single(a) => (bound(a), bound(a)),
        Sequence::Range(a, b) => (bound(a), bound(b)),
    };
    let ranges = set.0.as_ref().iter().map(range).collect();
    NumberSet::new(ranges).ok_or(Wrong::Syntax("The message set is malformed"))
}

/// Whether a number of the set has a leading zero, which imap-codec lets through (RFC 3501 §9,
/// nz-number). The set is the word after the verb.
fn has_leading_zero(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ').skip(1);
    let verb = words.next();
    let verb = if verb.is_some_and(|word| word.eq_ignore_ascii_case(b"UID")) { words.next() } else { verb };
    let set = verb.and_then(|_| words.next()).unwrap_or_default();
    set.split(|b| b",:".contains(b)).any(|number| number.starts_with(b"0"))
}
