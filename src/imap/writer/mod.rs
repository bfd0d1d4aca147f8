//! The only place where upstream command octets are made (invariants 1, 2 and 5).
//!
//! [`step`] writes what a permit allows, from the step and the client's typed command;
//! [`housekeeping()`] writes what we send for ourselves, and has no words for changing mail.
//! Folder names are the upstream's own octets; literals are always synchronising.

mod encoder;
mod fetch;
mod housekeeping;
mod outbox;
mod search;

use crate::policy::{Step, StepKind, StoreMode, Target};
use crate::types::{Flag, Flags, FolderName, NumberSet, SystemFlag, UidSet};

use super::command::{Append, Command, Resync, Search, SearchReturn, StatusItem, Store};
use super::overlay;
use encoder::Encoder;

pub use encoder::{Examined, FollowUp, Outgoing};
pub use fetch::{Rename, peek_renames};
pub use housekeeping::{Housekeeping, housekeeping};
pub use outbox::{file, mark};

/// Longest set that replaces the client's own: servers refuse long lines.
const MAX_SET: usize = 7_000;

/// What a step needs to know beyond the command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The command's folder (SELECT, STATUS, DELETE, RENAME's source, the target of APPEND,
    /// COPY and MOVE) in the octets that upstream used in LIST.
    pub folder: Option<&'a [u8]>,
    /// CREATE's folder and RENAME's target: upstream has no octets for it yet.
    pub new_folder: Option<&'a FolderName>,
    /// The folder selected upstream, in upstream's octets.
    pub selected: Option<&'a [u8]>,
    /// Upstream has UNSELECT (RFC 3691).
    pub unselect: bool,
    /// Upstream has CONDSTORE (RFC 7162); otherwise SELECT's parameter is left out.
    pub condstore: bool,
    /// The mailbox's Trash in upstream's octets, where upstream has MOVE (RFC 6851).
    pub trash: Option<&'a [u8]>,
    /// Upstream has ESEARCH (RFC 4731): a hundred thousand numbers in a short line. Otherwise
    /// SEARCH goes without RETURN.
    pub esearch: bool,
    /// CONDSTORE is on for this session: flags that we ask for come with MODSEQ.
    pub modseq: bool,
    /// The connection has QRESYNC on, and the folder may tell mod-sequences.
    pub qresync: bool,
}

/// Writes one permitted step of a client's command.
///
/// For [`StepKind::Append`] the last part ends in the message's announcement: the caller
/// sends, after `+`, exactly that many octets and CRLF.
///
/// `None` if the step does not belong to the command, something of the context is missing
/// or a value could not be written safely: nothing may be sent then.
pub fn step(step: &Step, command: &Command, context: &Context<'_>, tag: &str) -> Option<Outgoing> {
    write(step.kind(), command, context, tag)
}

fn write(kind: &StepKind, command: &Command, context: &Context<'_>, tag: &str) -> Option<Outgoing> {
    let line = Encoder::new(tag);
    match kind {
        StepKind::Carry => carry(line, command, context),
        StepKind::Open { read_only } => open(line, *read_only, command, context),
        StepKind::Ask(assumed) => {
            let (uid, search) = command.search()?;
            let ret = context.esearch.then_some(SearchReturn { all: true, ..SearchReturn::default() });
            let search = Search { ret, ..overlay::assuming(search, *assumed)? };
            self::search(verb(line, uid, "SEARCH"), &search, context.esearch)
        }
        StepKind::Fetch { peek, marks } => fetch::fetch(line, (*peek, *marks), command),
        StepKind::Uids => {
            let (uid, set) = command.named_messages()?;
            verb(line, uid, "FETCH").set(set).word("(UID)").end()
        }
        StepKind::Flags => {
            let (uid, set) = command.named_messages()?;
            let items = if context.modseq { "(FLAGS MODSEQ)" } else { "(FLAGS)" };
            verb(line, uid, "FETCH").set(set).word(items).end()
        }
        StepKind::Store { target, mode, flags, silent } => {
            let Command::Store { uid, store } = command else { return None };
            let by_uid = *uid || matches!(target, Target::Uids(_));
            self::store(verb(line, by_uid, "STORE"), store, target, (*mode, flags, *silent))
        }
        // In our own store.
        StepKind::Mark { .. } | StepKind::FindMarked => None,
        StepKind::Discard(uids) => {
            expunging(command)?;
            line.word("UID MOVE").word(written(uids)?).string(context.trash?).end()
        }
        StepKind::FindDeleted => {
            expunging(command)?;
            match command {
                // `*` means what upstream takes it for: we do not know the highest UID.
                Command::UidExpunge(set) => line.word("UID SEARCH UID").set(set).word("DELETED").end(),
                _ => line.word("UID SEARCH DELETED").end(),
            }
        }
        StepKind::Remove(uids) => {
            expunging(command)?;
            line.word("UID EXPUNGE").word(written(uids)?).end()
        }
        StepKind::RemoveAll(_) => {
            // Not for UID EXPUNGE: it would take along what is marked outside its set.
            let (Command::Expunge | Command::Close) = command else { return None };
            line.word("EXPUNGE").end()
        }
        StepKind::Append { flags } => {
            let Command::Append(append) = command else { return None };
            self::append(line, append, flags, context.folder?)
        }
        StepKind::FindFlagged(flags) => find_flagged(line, flags, command),
        StepKind::Copy => {
            let Command::Copy { uid, set, .. } = command else { return None };
            verb(line, *uid, "COPY").set(set).string(context.folder?).end()
        }
        StepKind::CopyThese(uids) => {
            let Command::Move { .. } = command else { return None };
            line.word("UID COPY").word(written(uids)?).string(context.folder?).end()
        }
        StepKind::Describe(uids) => {
            going_across(command)?;
            line.word("UID FETCH").word(written(uids)?).word("(FLAGS INTERNALDATE)").end()
        }
        StepKind::ReadOut(uid) => {
            going_across(command)?;
            line.word("UID FETCH").word(uid).word("(BODY.PEEK[])").end()
        }
        // In another mailbox, and of another command: see [`take_back`].
        StepKind::TakeBack { .. } => None,
        // After [`mark_copied`].
        StepKind::RemoveCopied(uids) => {
            removing_copied(command)?;
            line.word("UID EXPUNGE").word(written(uids)?).end()
        }
        StepKind::Move { uids, exact, discards: _ } => {
            let Command::Move { uid, set, .. } = command else { return None };
            r#move(line, (*uid, set), (uids, *exact), context.folder?)
        }
        // On another connection: see [`strip`].
        StepKind::Strip { .. } => None,
        StepKind::DeleteFolder => {
            let Command::Delete(_) = command else { return None };
            line.word("DELETE").string(context.folder?).end()
        }
        StepKind::Unselect => {
            let (Command::Close | Command::Unselect | Command::Select(_) | Command::Examine(_)) = command
            else {
                return None;
            };
            unselect(line, context)
        }
        // By the outbox: see [`file`] and [`mark`].
        StepKind::Address | StepKind::Submit { .. } | StepKind::File | StepKind::Parent(_) => None,
    }
}

/// What goes before [`StepKind::RemoveCopied`]: marks exactly its messages.
pub fn mark_copied(step: &Step, command: &Command, tag: &str) -> Option<Outgoing> {
    write_mark_copied(step.kind(), command, tag)
}

fn write_mark_copied(kind: &StepKind, command: &Command, tag: &str) -> Option<Outgoing> {
    let StepKind::RemoveCopied(uids) = kind else { return None };
    removing_copied(command)?;
    Encoder::new(tag).word("UID STORE").word(written(uids)?).word("+FLAGS.SILENT (\\Deleted)").end()
}

/// The two commands of [`StepKind::Strip`], for a connection on which nothing is selected:
/// opens the folder of the copies, and takes the flags off them.
pub fn strip(step: &Step, folder: &[u8], tags: [&str; 2]) -> Option<[Outgoing; 2]> {
    write_strip(step.kind(), folder, tags)
}

fn write_strip(kind: &StepKind, folder: &[u8], tags: [&str; 2]) -> Option<[Outgoing; 2]> {
    let StepKind::Strip { uids, flags, .. } = kind else { return None };
    let open = Encoder::new(tags[0]).word("SELECT").string(folder).end()?;
    let line = Encoder::new(tags[1]).word("UID STORE").word(written(uids)?);
    Some([open, line.word(format_args!("-FLAGS.SILENT ({flags})")).end()?])
}

/// The three commands of [`StepKind::TakeBack`], for a connection on which nothing is selected:
/// opens the folder of the copies, marks them, and removes exactly those.
pub fn take_back(step: &Step, folder: &[u8], tags: [&str; 3]) -> Option<[Outgoing; 3]> {
    write_take_back(step.kind(), folder, tags)
}

fn write_take_back(kind: &StepKind, folder: &[u8], tags: [&str; 3]) -> Option<[Outgoing; 3]> {
    let StepKind::TakeBack { uids, .. } = kind else { return None };
    let uids = written(uids)?;
    let mark = Encoder::new(tags[1]).word("UID STORE").word(&uids).word("+FLAGS.SILENT (\\Deleted)");
    Some([
        Encoder::new(tags[0]).word("SELECT").string(folder).end()?,
        mark.end()?,
        Encoder::new(tags[2]).word("UID EXPUNGE").word(&uids).end()?,
    ])
}

/// The CLOSE after an EXAMINE, on hosts without UNSELECT.
pub fn close_examined(_proof: Examined, tag: &str) -> Option<Outgoing> {
    Encoder::new(tag).word("CLOSE").end()
}

/// The commands that may go as they were asked.
fn carry(line: Encoder, command: &Command, context: &Context<'_>) -> Option<Outgoing> {
    match command {
        Command::Noop => line.word("NOOP").end(),
        Command::Check => line.word("CHECK").end(),
        Command::Idle => line.word("IDLE").end(),
        Command::Search { uid, search } => self::search(verb(line, *uid, "SEARCH"), search, context.esearch),
        Command::Sort { uid, sort } => search::sort(verb(line, *uid, "SORT"), sort).end(),
        Command::Thread { uid, thread } => search::thread(verb(line, *uid, "THREAD"), thread).end(),
        Command::Status { items, .. } => status(line, context.folder?, items),
        // Never with USE: classes are pinned, and special uses are not for clients to give.
        Command::Create { .. } => line.word("CREATE").string(context.new_folder?.to_wire().as_bytes()).end(),
        Command::Rename { .. } => {
            let line = line.word("RENAME").string(context.folder?);
            line.string(context.new_folder?.to_wire().as_bytes()).end()
        }
        Command::Capability
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Delete(_)
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Append(_)
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_)
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Fetch { .. }
        | Command::Store { .. }
        | Command::Copy { .. }
        | Command::Move { .. } => None,
    }
}

fn open(line: Encoder, read_only: bool, command: &Command, context: &Context<'_>) -> Option<Outgoing> {
    let (read_only, open) = match command {
        Command::Select(open) => (read_only, open),
        Command::Examine(open) => (true, open),
        _ => return None,
    };
    let line = line.word(if read_only { "EXAMINE" } else { "SELECT" }).string(context.folder?);
    let line = match &open.resync {
        Some(resync) if context.qresync => line.word(format_args!("(QRESYNC ({}))", known(resync))),
        Some(_) | None if open.condstore && context.condstore => line.word("(CONDSTORE)"),
        Some(_) | None => line,
    };
    line.end()
}

/// What a client knows of a folder. The sets only make the answer shorter: where they would make
/// the line too long, they are left out.
fn known(resync: &Resync) -> String {
    let mut text = format!("{} {}", resync.validity.0, resync.mod_seq);
    let known = resync.known.as_ref().map(|known| format!(" {known}"));
    let matched = resync.matched.as_ref().map(|(numbers, uids)| format!(" ({numbers} {uids})"));
    for more in [known, matched].into_iter().flatten() {
        if text.len() + more.len() <= MAX_SET {
            text.push_str(&more);
        }
    }
    text
}

/// The commands that may remove what is marked.
fn expunging(command: &Command) -> Option<()> {
    matches!(command, Command::Expunge | Command::UidExpunge(_) | Command::Close).then_some(())
}

/// The commands that may take messages into another mailbox.
fn going_across(command: &Command) -> Option<()> {
    matches!(command, Command::Copy { .. } | Command::Move { .. }).then_some(())
}

/// The commands that may remove what has been copied: MOVE, or what goes to Trash.
fn removing_copied(command: &Command) -> Option<()> {
    matches!(command, Command::Move { .. }).then_some(()).or_else(|| expunging(command))
}

fn verb(line: Encoder, uid: bool, verb: &'static str) -> Encoder {
    let line = if uid { line.word("UID") } else { line };
    line.word(verb)
}

/// A set of ours; an empty one would be a syntax error upstream, or mean something else.
fn written(set: &UidSet) -> Option<String> {
    (!set.is_empty()).then(|| set.to_string())
}

fn store(
    line: Encoder,
    store: &Store,
    target: &Target,
    (mode, flags, silent): (StoreMode, &Flags, bool),
) -> Option<Outgoing> {
    let line = match target {
        Target::Asked => line.set(&store.set),
        Target::Numbers(set) | Target::Uids(set) => line.word(written(set)?),
    };
    let line = match store.unchanged_since {
        Some(modseq) => line.word(format_args!("(UNCHANGEDSINCE {modseq})")),
        None => line,
    };
    let sign = match mode {
        StoreMode::Add => "+",
        StoreMode::Remove => "-",
        StoreMode::Replace => "",
    };
    let silent = if silent || store.silent { ".SILENT" } else { "" };
    line.word(format_args!("{sign}FLAGS{silent} ({flags})")).end()
}

/// Any of the flags will do: `OR a OR b c`.
fn find_flagged(line: Encoder, flags: &Flags, command: &Command) -> Option<Outgoing> {
    let (uid, set) = command.named_messages()?;
    let line = verb(line, uid, "SEARCH");
    let line = if uid { line.word("UID").set(set) } else { line.set(set) };
    let mut left = flags.iter().count();
    let line = flags.iter().fold(line, |line, flag| {
        left -= 1;
        let line = if left > 0 { line.word("OR") } else { line };
        match flag {
            Flag::System(SystemFlag::Answered) => line.word("ANSWERED"),
            Flag::System(SystemFlag::Deleted) => line.word("DELETED"),
            Flag::System(SystemFlag::Draft) => line.word("DRAFT"),
            Flag::System(SystemFlag::Flagged) => line.word("FLAGGED"),
            Flag::System(SystemFlag::Seen) => line.word("SEEN"),
            Flag::Keyword(keyword) => line.word("KEYWORD").atom(keyword.as_str()),
        }
    });
    if flags.is_empty() { None } else { line.end() }
}

fn append(line: Encoder, append: &Append, flags: &Flags, folder: &[u8]) -> Option<Outgoing> {
    let line = line.word("APPEND").string(folder);
    let line = if flags.is_empty() { line } else { line.word(format_args!("({flags})")) };
    let line = match &append.date {
        Some(date) => line.quoted(date),
        None => line,
    };
    line.end_announcing(append.size)
}

/// By UID where only these messages may move; `1:*` could have grown since they were found.
fn r#move(
    line: Encoder,
    (uid, set): (bool, &NumberSet),
    (uids, exact): (&UidSet, bool),
    folder: &[u8],
) -> Option<Outgoing> {
    let found = written(uids)?;
    let line = if exact || (uid && found.len() <= MAX_SET) {
        line.word("UID MOVE").word(found)
    } else {
        verb(line, uid, "MOVE").set(set)
    };
    line.string(folder).end()
}

fn unselect(line: Encoder, context: &Context<'_>) -> Option<Outgoing> {
    if context.unselect {
        return line.word("UNSELECT").end();
    }
    let mut outgoing = line.word("EXAMINE").string(context.selected?).end()?;
    outgoing.then = Some(FollowUp::CloseExamined(Examined(())));
    Some(outgoing)
}

fn search(line: Encoder, search: &Search, esearch: bool) -> Option<Outgoing> {
    search::search(line, search, esearch).end()
}

fn status(line: Encoder, folder: &[u8], items: &[StatusItem]) -> Option<Outgoing> {
    if items.is_empty() {
        return None;
    }
    let names: Vec<&str> = items.iter().map(|item| status_name(*item)).collect();
    line.word("STATUS").string(folder).word(format_args!("({})", names.join(" "))).end()
}

fn status_name(item: StatusItem) -> &'static str {
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

#[cfg(test)]
mod tests;
