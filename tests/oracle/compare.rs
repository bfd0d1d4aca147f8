//! The comparison, and every difference that is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::answer::{Answer, Items, Said};
use crate::generate::{Act, Command};
use crate::support::Snapshot;

/// What Mandate does otherwise than an RFC 4314 server: name, and the rule of docs/rights.md or
/// docs/grammar.md that it rests on.
const DEVIATIONS: [(&str, &str); 21] = [
    ("store-revert", "a STORE that the role does not allow in full is answered with the true flags"),
    ("own-drafts", "a responder marks and removes the drafts that the same user stored"),
    ("own-subscriptions", "subscriptions are a user's own, and all folders are subscribed at first"),
    ("new-folder-class", "a new folder is Ordinary, whatever its parent gives"),
    ("strict-grammar", "a command that the grammar does not have is BAD and does nothing"),
    ("listrights", "LISTRIGHTS is answered for the user's own name only"),
    (
        "absent-rights",
        "MYRIGHTS of a folder that does not exist, or is a level only, is NO; Dovecot tells its parent's",
    ),
    ("refusal-code", "a refusal's code is NOPERM, or NONEXISTENT for hidden and absent alike"),
    ("keywords-known", "FLAGS names the keywords that the host knows, used or not"),
    ("list-unasked", "LIST tells of children and special use without being asked (RFC 5258, 6154)"),
    ("message-number", "a number beyond the last message is NO, or is not looked at before the right"),
    (
        "deleted-while-open",
        "who has a folder open that somebody deletes goes on; Dovecot ends the connection",
    ),
    ("examine-move", "nothing moves out of a folder that was opened with EXAMINE"),
    ("status-of-open", "STATUS of the open folder tells what the host has, not what this session was told"),
    ("expunged-meanwhile", "of messages that others have removed nothing is told where Dovecot tells NIL"),
    ("gone-while-open", "who has a folder open that another session renames or deletes is disconnected"),
    ("expunge-found", "EXPUNGE and CLOSE remove what was found marked just before, and is on record"),
    ("left-untold", "of removals in a folder that is left, one side has told and the other not yet"),
    ("expunge-nothing", "without `e`, EXPUNGE is OK and does nothing at all"),
    ("levels", "LIST with `*` leaves out levels that are no folders, and they are not renamed"),
    ("own-words", "CAPABILITY, ID and ENABLE tell of Mandate"),
];

/// What a run has shown.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) sessions: u64,
    pub(crate) commands: u64,
    pub(crate) used: BTreeMap<&'static str, u64>,
    pub(crate) differences: Vec<String>,
}

impl Report {
    pub(crate) fn used(&mut self, name: &'static str) {
        debug_assert!(DEVIATIONS.iter().any(|(known, _)| *known == name), "{name}");
        *self.used.entry(name).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Report) {
        self.sessions += other.sessions;
        self.commands += other.commands;
        for (name, count) in other.used {
            *self.used.entry(name).or_default() += count;
        }
        self.differences.extend(other.differences);
    }

    pub(crate) fn table(&self, seed: u64, took: Duration) -> String {
        let last = seed + self.sessions.max(1) - 1;
        let (sessions, commands, differ) = (self.sessions, self.commands, self.differences.len());
        let mut text = format!(
            "oracle: seeds {seed} to {last}, {took:.0?}\n| sessions | {sessions} |\n| commands | {commands} |\n\
             | sessions that differ | {differ} |\n"
        );
        for (name, rule) in DEVIATIONS {
            let count = self.used.get(name).copied().unwrap_or_default();
            writeln!(text, "| {name}: {rule} | {count} |").unwrap();
        }
        text
    }
}

impl Act {
    /// Whether the untagged data are compared.
    pub(crate) fn is_compared(&self) -> bool {
        !matches!(
            self,
            Act::OurOwn
                | Act::ListRights
                | Act::Subscriptions
                | Act::Subscribe { .. }
                | Act::Odd
                | Act::Malformed
        )
    }
}

/// Condition and code of one command.
pub(crate) fn command(
    command: &Command,
    ours: &Answer,
    theirs: &Answer,
    report: &mut Report,
) -> Result<(), String> {
    if ours.condition != theirs.condition {
        match &command.act {
            Act::Odd if ours.condition == "BAD" || theirs.condition == "BAD" => report.used("strict-grammar"),
            Act::ListRights => {}
            // It hangs up a moment earlier on who had a folder open that was deleted.
            Act::Logout if theirs.condition == "BYE" => report.used("deleted-while-open"),
            _ if ours.condition == "NO" && theirs.raw.iter().any(|line| no_such_message(line)) => {
                report.used("message-number");
            }
            _ => return Err(format!("{} instead of {}", ours.condition, theirs.condition)),
        }
        return Ok(());
    }
    match &command.act {
        Act::OurOwn => report.used("own-words"),
        Act::Subscriptions => {
            let names = |answer: &Answer| -> BTreeSet<String> {
                answer.data().into_iter().map(|text| listed_name(text).to_owned()).collect()
            };
            let (ours, theirs) = (names(ours), names(theirs));
            if ours != theirs {
                return Err(format!("subscribed {ours:?} instead of {theirs:?}"));
            }
        }
        _ => {}
    }
    if command.act.is_compared() {
        data(ours, theirs, report)?;
    }
    if let Act::Store { mode, flags, .. } = &command.act {
        told_the_truth(*mode, flags, ours, theirs)?;
    }
    codes(ours, theirs, report)
}

/// A message that does not have the flags which a STORE asked for: the client must hear which it
/// has, `.SILENT` or not.
fn told_the_truth(mode: char, flags: &[&str], ours: &Answer, theirs: &Answer) -> Result<(), String> {
    let moves = |said: &Said| matches!(said, Said::Expunge(_) | Said::Exists(_));
    if [ours, theirs].iter().any(|answer| answer.said.iter().any(moves)) {
        // The numbers mean other messages at the end, or more.
        return Ok(());
    }
    let asked: BTreeSet<String> = flags.iter().map(|flag| flag.to_ascii_uppercase()).collect();
    for said in &theirs.said {
        let Said::Fetch(number, items) = said else { continue };
        let Some(truth) = items.get("FLAGS").filter(|_| items.contains_key("(TRUE)")) else { continue };
        let truth: BTreeSet<String> = truth.split_whitespace().map(str::to_owned).collect();
        let is_so = match mode {
            '+' => asked.is_subset(&truth),
            '-' => asked.is_disjoint(&truth),
            _ => asked == truth,
        };
        let told =
            |said: &Said| matches!(said, Said::Fetch(n, items) if n == number && items.contains_key("FLAGS"));
        if !is_so && !ours.said.iter().any(told) {
            return Err(format!("message {number} has {truth:?}, and the client does not hear of it"));
        }
    }
    Ok(())
}

/// What was asked for.
fn data(ours: &Answer, theirs: &Answer, report: &mut Report) -> Result<(), String> {
    let (mut missing, mut surplus) = (theirs.data(), Vec::new());
    for line in ours.data() {
        let equal = missing.iter().position(|their| *their == line);
        let found = equal.or_else(|| missing.iter().position(|their| tells_more(line, their)));
        match found {
            Some(at) => drop(missing.remove(at)),
            None => surplus.push(line),
        }
        if found.is_some() && equal.is_none() {
            report.used("list-unasked");
        }
    }
    let all = missing.len();
    missing.retain(|line| !(line.starts_with("LIST (") && line.contains("\\NOSELECT")));
    if missing.len() < all {
        report.used("levels");
    }
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(format!("{surplus:#?} instead of {missing:#?}"))
}

/// Dovecot looks at the numbers first.
fn no_such_message(line: &str) -> bool {
    line.contains("Invalid messageset") || line.contains("No messages found")
}

/// A responder's Drafts shows `\Deleted` and `te`, which are good for own drafts. The oracle has
/// no such right: it is taken off, where it stands.
pub(crate) fn show_own_drafts(command: &Command, in_drafts: bool, ours: &mut Answer, report: &mut Report) {
    for said in &mut ours.said {
        match said {
            Said::Flags("PERMANENTFLAGS", flags) if in_drafts && flags.contains("\\DELETED") => {
                flags.remove("\\DELETED");
                report.used("own-drafts");
            }
            Said::Data(text)
                if matches!(&command.act, Act::MyRights(folder) if folder == "Drafts")
                    && *text == "MYRIGHTS Drafts eilrstw" =>
            {
                *text = "MYRIGHTS Drafts ilrsw".to_owned();
                report.used("own-drafts");
            }
            _ => {}
        }
    }
}

fn codes(ours: &Answer, theirs: &Answer, report: &mut Report) -> Result<(), String> {
    let without_validity = |code: &str| {
        let words: Vec<&str> = code.split(' ').collect();
        match words[..] {
            [name @ ("APPENDUID" | "COPYUID"), _, ..] => format!("{name} {}", words[2..].join(" ")),
            _ => code.to_owned(),
        }
    };
    let (our, their) = (without_validity(&ours.code), without_validity(&theirs.code));
    // What was not asked of the oracle has no code; two are advice that Mandate drops, one is a fault of Dovecot's.
    if theirs.raw.is_empty() || ["CLIENTBUG", "EXPUNGEISSUED", "SERVERBUG"].contains(&theirs.code_name()) {
        return Ok(());
    }
    let names = [ours.code_name(), theirs.code_name()];
    if our == their || our.starts_with("CAPABILITY") || names == ["BADCHARSET"; 2] {
        return Ok(());
    }
    if ours.condition == "NO" {
        let fine = match ours.code_name() {
            // The right is looked at before the name.
            "NOPERM" => matches!(theirs.code_name(), "" | "ALREADYEXISTS"),
            "NONEXISTENT" => {
                matches!(theirs.code_name(), "" | "TRYCREATE" | "NOPERM" | "CANNOT" | "ALREADYEXISTS")
            }
            _ => false,
        };
        if fine {
            report.used("refusal-code");
            return Ok(());
        }
    }
    if ours.condition == "BAD" && our.is_empty() {
        return Ok(());
    }
    Err(format!("[{our}] instead of [{their}]"))
}

/// STATUS of the folder that is open (RFC 3501 section 6.3.10 advises against it).
pub(crate) fn drop_status_of(open: &str, ours: &mut Answer, theirs: &mut Answer, report: &mut Report) {
    let open = if open.eq_ignore_ascii_case("INBOX") { "INBOX" } else { open };
    let is_of_open =
        |said: &Said| matches!(said, Said::Data(text) if text.starts_with(&format!("STATUS {open} ")));
    let differ = ours.said.iter().any(|said| is_of_open(said) && !theirs.said.contains(said));
    if differ {
        report.used("status-of-open");
        ours.said.retain(|said| !is_of_open(said));
        theirs.said.retain(|said| !is_of_open(said));
    }
}

/// What was told of a folder before another was opened in the same piece: its numbers are over. A
/// removal by another session is told with this command or the next.
pub(crate) fn drop_left(ours: &mut Answer, theirs: &mut Answer, report: &mut Report) {
    let removed = |answer: &Answer| -> Vec<u32> {
        let number = |said: &Said| match said {
            Said::Expunge(number) => Some(*number),
            Said::Exists(_) | Said::Fetch(..) | Said::Flags(..) | Said::Data(_) => None,
        };
        answer.said.iter().filter_map(number).collect()
    };
    if removed(ours) != removed(theirs) {
        report.used("left-untold");
        ours.said.clear();
        theirs.said.clear();
    }
}

/// FETCH of messages that another session has removed: Dovecot may still know some of it.
pub(crate) fn drop_removed(ours: &mut Answer, theirs: &mut Answer, report: &mut Report) {
    if theirs.code_name() == "EXPUNGEISSUED" {
        report.used("expunged-meanwhile");
        ours.said.retain(|said| !matches!(said, Said::Fetch(..)));
        theirs.said.retain(|said| !matches!(said, Said::Fetch(..)));
    }
}

/// The name in a canonical LIST or LSUB.
pub(crate) fn listed_name(text: &str) -> &str {
    text.split_once(") ").and_then(|(_, rest)| rest.split_once(' ')).map_or("", |(_, name)| name.trim_end())
}

/// What a client has been told of the open folder on both sides, over the whole session.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    messages: (u32, u32),
}

/// What one side said in a batch.
#[derive(Debug, Default)]
struct Told {
    messages: u32,
    expunged: Vec<u32>,
    /// By number at the end of the batch; messages that went away behind them.
    fetched: BTreeMap<u32, Items>,
    gone: Vec<Items>,
    /// Only what a STORE's follow-up at the oracle found.
    truth: BTreeMap<u32, Vec<String>>,
    flags: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Pairing {
    /// `helped`: drafts were marked at the oracle in the person's stead, which tells the person.
    pub(crate) fn compare(
        &mut self,
        ours: &Answer,
        theirs: &Answer,
        helped: bool,
        report: &mut Report,
    ) -> Result<(), String> {
        let (ours, theirs) = (Told::of(ours, self.messages.0), Told::of(theirs, self.messages.1));
        self.messages = (ours.messages, theirs.messages);
        if ours.messages != theirs.messages || ours.expunged != theirs.expunged {
            let shown = |told: &Told| format!("{} messages, without {:?}", told.messages, told.expunged);
            return Err(format!("{} instead of {}", shown(&ours), shown(&theirs)));
        }
        announced(&ours, &theirs, report)?;
        fetched(&ours, &theirs, helped, report)
    }
}

/// Whether two LIST lines are of one folder, and the first has such attributes besides as tell of
/// children and special use.
fn tells_more(ours: &str, theirs: &str) -> bool {
    let parts = |line: &str| -> Option<(BTreeSet<String>, String)> {
        let (attributes, rest) = line.strip_prefix("LIST (")?.split_once(')')?;
        Some((attributes.split_whitespace().map(str::to_owned).collect(), rest.to_owned()))
    };
    let (Some((ours, our_rest)), Some((theirs, their_rest))) = (parts(ours), parts(theirs)) else {
        return false;
    };
    let may = ["CHILDREN", "DRAFTS", "SENT", "TRASH", "ARCHIVE", "JUNK", "NONEXISTENT"];
    let more = ours.difference(&theirs).all(|one| may.iter().any(|ending| one.ends_with(ending)));
    our_rest == their_rest && theirs.is_subset(&ours) && more
}

/// FLAGS and PERMANENTFLAGS: system flags and `\*` are equal. Which keywords a host still
/// remembers is its own affair; those of messages are compared with the messages.
fn announced(ours: &Told, theirs: &Told, report: &mut Report) -> Result<(), String> {
    for (kind, our) in &ours.flags {
        // New keywords are announced when they come up, which may be in another batch.
        let Some(their) = theirs.flags.get(kind) else { continue };
        let system = |flags: &BTreeSet<String>| -> BTreeSet<String> {
            flags.iter().filter(|flag| flag.starts_with('\\')).cloned().collect()
        };
        if system(our) != system(their) {
            return Err(format!("{kind} {our:?} instead of {their:?}"));
        }
        if our != their {
            report.used("keywords-known");
        }
    }
    Ok(())
}

fn fetched(ours: &Told, theirs: &Told, helped: bool, report: &mut Report) -> Result<(), String> {
    let mut reverted = false;
    for number in ours.fetched.keys().chain(theirs.fetched.keys()).chain(theirs.truth.keys()) {
        let none = Items::new();
        let (our, their) =
            (ours.fetched.get(number).unwrap_or(&none), theirs.fetched.get(number).unwrap_or(&none));
        for name in our.keys().chain(their.keys()) {
            let (mine, yours) = (our.get(name), their.get(name));
            if mine == yours || (name == "UID" && (mine.is_none() || yours.is_none())) {
                continue;
            }
            if name == "FLAGS" && mine.is_none() && helped {
                continue;
            }
            // The true flags, as the oracle has them too.
            let truth = theirs.truth.get(number);
            if name == "FLAGS" && mine.is_some_and(|mine| truth.is_some_and(|truth| truth.contains(mine))) {
                reverted = true;
                continue;
            }
            return Err(format!("message {number}: {name} {mine:?} instead of {yours:?}"));
        }
    }
    // Flags of what is gone are of no use to anybody.
    let asked = |told: &Told| {
        let of_use = |items: &&Items| items.keys().any(|name| !["FLAGS", "UID"].contains(&name.as_str()));
        told.gone.iter().filter(of_use).count()
    };
    if asked(ours) != asked(theirs) {
        return Err(format!("of messages now gone {:?} instead of {:?}", ours.gone, theirs.gone));
    }
    if reverted {
        report.used("store-revert");
    }
    Ok(())
}

impl Told {
    fn of(answer: &Answer, messages: u32) -> Told {
        let mut told = Told { messages, ..Told::default() };
        for said in &answer.said {
            match said {
                Said::Exists(count) => told.messages = *count,
                Said::Expunge(number) => told.expunge(*number),
                Said::Fetch(number, items) if items.contains_key("(TRUE)") => {
                    told.truth.entry(*number).or_default().extend(items.get("FLAGS").cloned());
                }
                Said::Fetch(number, items) => {
                    told.fetched.entry(*number).or_default().extend(items.clone());
                }
                Said::Flags(kind, flags) => {
                    told.flags.insert(kind, flags.clone());
                }
                Said::Data(_) => {}
            }
        }
        told
    }

    fn expunge(&mut self, number: u32) {
        self.messages = self.messages.saturating_sub(1);
        self.expunged.push(number);
        self.gone.extend(self.fetched.remove(&number));
        self.fetched = shifted(std::mem::take(&mut self.fetched), number);
        self.truth.remove(&number);
        self.truth = shifted(std::mem::take(&mut self.truth), number);
    }
}

fn shifted<T>(map: BTreeMap<u32, T>, gone: u32) -> BTreeMap<u32, T> {
    map.into_iter().map(|(number, value)| (if number > gone { number - 1 } else { number }, value)).collect()
}

/// The two stores at a session's end.
pub(crate) fn states(
    prepared: &Snapshot,
    ours: &Snapshot,
    theirs: &Snapshot,
    _report: &mut Report,
) -> Result<(), String> {
    let mut theirs = theirs.clone();
    for (name, folder) in &mut theirs.folders {
        let Some(our) = ours.folders.get(name) else { continue };
        if !prepared.folders.contains_key(name) {
            // Made a moment apart.
            folder.uid_validity = our.uid_validity;
        }
        let before = prepared.folders.get(name);
        for (uid, message) in &mut folder.messages {
            let is_new = before.is_none_or(|before| !before.messages.contains_key(uid));
            if let Some(our) = our.messages.get(uid).filter(|_| is_new) {
                // Stored a moment apart.
                message.internal_date.clone_from(&our.internal_date);
            }
        }
    }
    // Nothing subscribes upstream.
    theirs.subscribed.clone_from(&prepared.subscribed);
    let changes = theirs.changes(ours);
    if changes.is_empty() { Ok(()) } else { Err(changes.join("\n")) }
}
