//! All that an account holds, so that a test can say what changed.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};

use super::Imap;
use super::imap::{literal_length, quoted};

/// The state of one upstream account.
///
/// `\Recent` is left out: it tells of sessions, not of mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    pub folders: BTreeMap<String, Folder>,
    pub subscribed: BTreeSet<String>,
}

/// A folder as EXAMINE and FETCH show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Folder {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub messages: BTreeMap<u32, Message>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub flags: BTreeSet<String>,
    pub size: u64,
    pub internal_date: String,
    /// SHA-256 of all octets.
    pub hash: Vec<u8>,
}

impl Snapshot {
    /// Reads everything through a logged-in connection of its own. It changes
    /// nothing: EXAMINE and BODY.PEEK only.
    pub fn take(imap: &mut Imap) -> Snapshot {
        let mut folders = BTreeMap::new();
        for name in names(imap, "LIST") {
            let state = folder(imap, &name);
            folders.insert(name, state);
        }
        Snapshot { folders, subscribed: names(imap, "LSUB") }
    }

    /// What is different in `later`, one sentence each; empty when nothing is.
    pub fn changes(&self, later: &Snapshot) -> Vec<String> {
        let mut changes = Vec::new();
        differences(&self.folders, &later.folders, |name, before, after| match (before, after) {
            (Some(_), None) => changes.push(format!("{name}: folder gone")),
            (None, _) => changes.push(format!("{name}: folder new")),
            (Some(before), Some(after)) => before.changes(name, after, &mut changes),
        });
        for name in self.subscribed.symmetric_difference(&later.subscribed) {
            let now = if later.subscribed.contains(name) { "new" } else { "gone" };
            changes.push(format!("{name}: subscription {now}"));
        }
        changes
    }
}

impl Folder {
    fn changes(&self, name: &str, later: &Folder, changes: &mut Vec<String>) {
        if self.uid_validity != later.uid_validity {
            changes.push(format!("{name}: UIDVALIDITY changed"));
        }
        differences(&self.messages, &later.messages, |uid, before, after| match (before, after) {
            (Some(_), None) => changes.push(format!("{name}: uid {uid} gone")),
            (None, _) => changes.push(format!("{name}: uid {uid} new")),
            (Some(before), Some(after)) if before.flags != after.flags => {
                changes.push(format!("{name}: uid {uid} flags {:?} -> {:?}", before.flags, after.flags))
            }
            (Some(_), Some(_)) => changes.push(format!("{name}: uid {uid} other content")),
        });
        let same_messages = self.messages.keys().eq(later.messages.keys());
        if self.uid_next != later.uid_next && same_messages {
            changes.push(format!("{name}: a message came and went"));
        }
    }
}

/// Calls `report` for each key whose values are not equal.
fn differences<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    mut report: impl FnMut(&K, Option<&V>, Option<&V>),
) {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        if old != new {
            report(key, old, new);
        }
    }
}

/// Folder names of a LIST or LSUB, as the server writes them.
fn names(imap: &mut Imap, verb: &str) -> BTreeSet<String> {
    let reply = imap.ok(&format!("{verb} \"\" \"*\""));
    let lines = reply.lines().into_iter().filter(|line| !line.contains("\\Noselect"));
    lines.filter_map(|line| last_string(&line)).collect()
}

/// The last word or quoted string of a response line.
fn last_string(line: &str) -> Option<String> {
    let Some(rest) = line.strip_suffix('"') else {
        return line.rsplit(' ').next().map(str::to_owned);
    };
    let mut quotes = rest.rmatch_indices('"').map(|(at, _)| at);
    let open = quotes.find(|at| !rest[..*at].ends_with('\\'))?;
    Some(rest[open + 1..].replace("\\\"", "\"").replace("\\\\", "\\"))
}

fn folder(imap: &mut Imap, name: &str) -> Folder {
    let examined = imap.ok(&format!("EXAMINE {}", quoted(name)));
    // Courier tells UIDNEXT in STATUS only.
    let examined = if examined.to_string().contains("UIDNEXT") {
        examined
    } else {
        let mut status = imap.ok(&format!("STATUS {} (UIDNEXT UIDVALIDITY MESSAGES)", quoted(name)));
        status.untagged.extend(examined.untagged);
        status
    };
    let number = |code: &str| {
        let line = examined.lines().into_iter().find(|line| line.contains(code));
        let line = line.unwrap_or_else(|| panic!("{name}: no {code} in {examined}"));
        number_after(&line, code)
    };
    let mut messages = BTreeMap::new();
    if !examined.has("* 0 EXISTS") {
        let items = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])";
        for response in imap.ok(&format!("FETCH 1:* {items}")).untagged {
            if let Some((uid, message)) = message(&response) {
                messages.insert(uid, message);
            }
        }
    }
    let (uid_validity, uid_next) = (number("UIDVALIDITY "), number("UIDNEXT "));
    Folder { uid_validity: narrow(uid_validity), uid_next: narrow(uid_next), messages }
}

fn message(response: &[u8]) -> Option<(u32, Message)> {
    let end = memchr::memchr(b'\n', response)? + 1;
    let octets = &response[end..end + literal_length(&response[..end])?];
    // Items may stand on either side of the literal.
    let rest = [&response[..end], &response[end + octets.len()..]].concat();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    let between = |open: &str, close: char| {
        let start = rest.find(open)? + open.len();
        rest[start..].split(close).next()
    };
    let flags = between("FLAGS (", ')')?.split_whitespace();
    let message = Message {
        flags: flags.filter(|flag| *flag != "\\Recent").map(str::to_owned).collect(),
        size: number_after(&rest, "RFC822.SIZE "),
        internal_date: between("INTERNALDATE \"", '"')?.to_owned(),
        hash: digest(&SHA256, octets).as_ref().to_vec(),
    };
    Some((narrow(number_after(&rest, "UID ")), message))
}

fn number_after(text: &str, word: &str) -> u64 {
    let start = text.find(word).unwrap_or_else(|| panic!("no {word}in {text}")) + word.len();
    let digits: String = text[start..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}
