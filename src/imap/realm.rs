//! Which folder of which mailbox a client's folder name means, and back.
//!
//! In the account view a client's names are the mailbox's own. In the combined view they form
//! one hierarchy with `/` as separator: the person's own folders at the top, every shared
//! mailbox below a prefix. Each folder has exactly one name there: what a name leads to must
//! lead back to that very name, or the name means nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::imap::command::{Command, FolderArg};
use crate::types::{Address, FolderName, MailboxId, NotCanonical, Separator, ShortName};

/// The separator of the combined view, whatever upstream's is.
pub const SEPARATOR: char = '/';

/// The level that holds the shared mailboxes: one level of a name, and not INBOX.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

impl Prefix {
    pub fn parse(text: &str) -> Option<Self> {
        let name = FolderName::parse(text, Some(SEPARATOR)).ok()?;
        let level = name.parent(Some(SEPARATOR)).is_none() && !name.is_inbox();
        let plain = !text.contains(['*', '%', '\\', '"', SLASH_WITHIN]) && !text.ends_with(OWN);
        (level && plain).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("Shared".to_owned())
    }
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be one level of a folder name, and not INBOX")
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

/// What a `/` within a level is shown as, where it separates nothing upstream: DIVISION SLASH.
const SLASH_WITHIN: char = '\u{2215}';

/// What makes an own folder that is called like the prefix differ from it.
const OWN: &str = " (own)";

/// The mailboxes of a session under the names that the client uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Realm {
    /// One mailbox, under its own names.
    Account,
    Combined(Arc<Combined>),
}

/// The combined view's names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Combined {
    prefix: String,
    home: MailboxId,
    /// Each with the name of its level below the prefix, in the order in which they are listed.
    shared: Vec<(MailboxId, String)>,
}

impl Realm {
    /// The hierarchy separator of the client's names; `of_mailbox`: that of the mailbox in focus.
    pub fn separator(&self, of_mailbox: Separator) -> Separator {
        match self {
            Self::Account => of_mailbox,
            Self::Combined(_) => Some(SEPARATOR),
        }
    }

    /// What the client calls a folder; `None` if it has no name there.
    pub fn client_name(
        &self,
        mailbox: MailboxId,
        folder: &FolderName,
        separator: Separator,
    ) -> Option<FolderName> {
        match self {
            Self::Account => Some(folder.clone()),
            Self::Combined(combined) => combined.client_name(mailbox, folder, separator),
        }
    }
}

impl Combined {
    /// `shared` as they are to be listed.
    ///
    /// A mailbox goes by its short name; where two of those look alike, or one is no level of
    /// a name, by its address.
    pub fn new<'a>(
        prefix: &Prefix,
        home: MailboxId,
        shared: impl Iterator<Item = (MailboxId, &'a ShortName, &'a Address)>,
    ) -> Self {
        let shared: Vec<_> = shared.collect();
        let mut keys: Vec<_> = shared.iter().filter_map(|(_, short, _)| level_key(short.as_str())).collect();
        keys.sort_unstable();
        let unique = |key: &String| keys.iter().filter(|other| *other == key).count() == 1;
        let named = shared.iter().map(|(id, short, address)| {
            let name = match level_key(short.as_str()).filter(unique) {
                Some(_) => short.as_str().to_owned(),
                None => address.to_string(),
            };
            (*id, name)
        });
        Self { prefix: prefix.as_str().to_owned(), home, shared: named.collect() }
    }

    /// The level that holds the shared mailboxes; it is no folder.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn home(&self) -> MailboxId {
        self.home
    }

    /// The person's own account, then the shared mailboxes.
    pub fn mailboxes(&self) -> impl Iterator<Item = MailboxId> {
        std::iter::once(self.home).chain(self.shared.iter().map(|(id, _)| *id))
    }

    /// The mailbox that a name belongs to, whether or not it has such a folder.
    pub fn mailbox_of(&self, name: &FolderName) -> Option<MailboxId> {
        Some(self.split(name)?.0)
    }

    /// What the mailbox itself calls the folder; the mailbox is [`Combined::mailbox_of`] it,
    /// `separator` its own.
    pub fn local(&self, name: &FolderName, separator: Separator) -> Result<FolderName, NotCanonical> {
        let (mailbox, rest) = self.split(name).ok_or(NotCanonical)?;
        let folder = match rest {
            None => FolderName::inbox(),
            Some(rest) => FolderName::parse(&to_local(&rest, separator)?, separator)?,
        };
        let back = self.client_name(mailbox, &folder, separator);
        if back.as_ref() == Some(name) { Ok(folder) } else { Err(NotCanonical) }
    }

    /// What the client calls a folder; `None` if it has no name there.
    pub fn client_name(
        &self,
        mailbox: MailboxId,
        folder: &FolderName,
        separator: Separator,
    ) -> Option<FolderName> {
        let levels = to_client(folder, separator)?;
        let text = if mailbox == self.home {
            self.evade_prefix(levels)
        } else {
            let (_, level) = self.shared.iter().find(|(id, _)| *id == mailbox)?;
            let root = format!("{}{SEPARATOR}{level}", self.prefix);
            if folder.is_inbox() { root } else { format!("{root}{SEPARATOR}{levels}") }
        };
        FolderName::parse(&text, Some(SEPARATOR)).ok()
    }

    /// The mailbox, and what follows its root; `None` there is its INBOX.
    fn split(&self, name: &FolderName) -> Option<(MailboxId, Option<String>)> {
        let text = name.as_str();
        let (first, rest) = text.split_once(SEPARATOR).map_or((text, None), |(a, b)| (a, Some(b)));
        if first == self.prefix {
            let (level, rest) = rest?.split_once(SEPARATOR).map_or((rest?, None), |(a, b)| (a, Some(b)));
            let (mailbox, _) = self.shared.iter().find(|(_, name)| name == level)?;
            return Some((*mailbox, rest.map(str::to_owned)));
        }
        if !self.looks_like_prefix(first) {
            return Some((self.home, Some(text.to_owned())));
        }
        let own = first.strip_suffix(OWN)?;
        let rest = rest.map(|rest| format!("{SEPARATOR}{rest}")).unwrap_or_default();
        Some((self.home, Some(format!("{own}{rest}"))))
    }

    /// An own folder that looks like the prefix gets a mark more than it has.
    fn evade_prefix(&self, levels: String) -> String {
        let first = levels.split(SEPARATOR).next().unwrap_or_default();
        if !self.looks_like_prefix(first) {
            return levels;
        }
        let (first, rest) = levels.split_at(first.len());
        format!("{first}{OWN}{rest}")
    }

    /// The prefix, in any case and Unicode form, with any number of marks.
    fn looks_like_prefix(&self, level: &str) -> bool {
        let mut bare = level;
        while let Some(shorter) = bare.strip_suffix(OWN) {
            bare = shorter;
        }
        level_key(bare).is_some_and(|key| Some(key) == level_key(&self.prefix))
    }
}

/// The folders that a command names.
#[derive(Debug)]
pub enum Named<'c> {
    None,
    One(&'c mut FolderArg),
    /// Where messages of the open folder go.
    Target(&'c mut FolderArg),
    /// The name before, and the name after.
    Rename(&'c mut FolderArg, &'c mut FolderArg),
}

impl Command {
    /// The folders that it names, to be put into their mailbox's own form.
    pub fn named(&mut self) -> Named<'_> {
        match self {
            Self::Select(open) | Self::Examine(open) => Named::One(&mut open.folder),
            Self::Append(append) => Named::One(&mut append.folder),
            Self::Create { folder, .. }
            | Self::Delete(folder)
            | Self::Subscribe(folder)
            | Self::Unsubscribe(folder)
            | Self::Status { folder, .. }
            | Self::MyRights(folder)
            | Self::ListRights { folder, .. }
            | Self::GetQuotaRoot(folder)
            | Self::GetAcl(folder)
            | Self::SetAcl(folder)
            | Self::DeleteAcl(folder) => Named::One(folder),
            Self::Copy { to, .. } | Self::Move { to, .. } => Named::Target(to),
            Self::Rename { from, to } => Named::Rename(from, to),
            Self::Capability
            | Self::Noop
            | Self::Logout
            | Self::Id { .. }
            | Self::Login { .. }
            | Self::Authenticate { .. }
            | Self::Enable(_)
            | Self::List(_)
            | Self::Lsub { .. }
            | Self::Namespace
            | Self::Idle
            | Self::Check
            | Self::Close
            | Self::Unselect
            | Self::Expunge
            | Self::UidExpunge(_)
            | Self::Search { .. }
            | Self::GetQuota { .. }
            | Self::Sort { .. }
            | Self::Thread { .. }
            | Self::Fetch { .. }
            | Self::Store { .. } => Named::None,
        }
    }
}

/// What looks alike has the same; `None` if the text is no level of a name.
fn level_key(level: &str) -> Option<String> {
    let name = FolderName::parse(level, Some(SEPARATOR)).ok()?;
    name.parent(Some(SEPARATOR)).is_none().then(|| name.look_alike_key())
}

/// The levels of a mailbox's folder, joined our way.
fn to_client(folder: &FolderName, separator: Separator) -> Option<String> {
    if separator == Some(SEPARATOR) {
        return Some(folder.as_str().to_owned());
    }
    if folder.as_str().contains(SLASH_WITHIN) {
        return None;
    }
    let slashes = folder.as_str().replace(SEPARATOR, SLASH_WITHIN.encode_utf8(&mut [0; 4]));
    Some(separator.map_or(slashes.clone(), |own| slashes.replace(own, SEPARATOR.encode_utf8(&mut [0; 4]))))
}

/// The levels of a client's name, joined the mailbox's way.
fn to_local(levels: &str, separator: Separator) -> Result<String, NotCanonical> {
    let Some(own) = separator.filter(|own| *own != SEPARATOR) else {
        let flat = separator.is_none();
        return match flat {
            true if levels.contains(SEPARATOR) => Err(NotCanonical),
            true => Ok(levels.replace(SLASH_WITHIN, SEPARATOR.encode_utf8(&mut [0; 4]))),
            false => Ok(levels.to_owned()),
        };
    };
    // Within a level it would make two of it.
    if levels.contains(own) {
        return Err(NotCanonical);
    }
    let joined = levels.replace(SEPARATOR, own.encode_utf8(&mut [0; 4]));
    Ok(joined.replace(SLASH_WITHIN, SEPARATOR.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::{Combined, Prefix, SEPARATOR};
    use crate::types::{Address, FolderName, MailboxId, Separator, ShortName};
    use proptest::prelude::*;

    const HOME: MailboxId = MailboxId(100);
    const SUPPORT: MailboxId = MailboxId(1);
    const INFO: MailboxId = MailboxId(2);

    fn combined(mailboxes: &[(MailboxId, &str, &str)]) -> Combined {
        let parsed: Vec<_> = mailboxes
            .iter()
            .map(|(id, short, address)| {
                (*id, ShortName::parse(short).unwrap(), Address::parse(address).unwrap())
            })
            .collect();
        Combined::new(
            &Prefix::default(),
            HOME,
            parsed.iter().map(|(id, short, address)| (*id, short, address)),
        )
    }

    fn two() -> Combined {
        combined(&[(SUPPORT, "support", "support@example.org"), (INFO, "info", "info@example.org")])
    }

    /// What a name as it comes from the client means: mailbox and the mailbox's own name.
    fn means(realm: &Combined, wire: &str, separator: Separator) -> Option<(MailboxId, String)> {
        let name = FolderName::from_wire(wire.as_bytes(), Some(SEPARATOR)).ok()?;
        let mailbox = realm.mailbox_of(&name)?;
        Some((mailbox, realm.local(&name, separator).ok()?.to_wire()))
    }

    #[test]
    fn a_name_means_one_folder_or_none() {
        let (slash, dot, flat) = (Some('/'), Some('.'), None);
        for (wire, separator, expected) in [
            ("INBOX", slash, Some((HOME, "INBOX"))),
            ("iNboX", slash, Some((HOME, "INBOX"))),
            ("inbox/x", dot, Some((HOME, "INBOX.x"))),
            ("Sent", slash, Some((HOME, "Sent"))),
            ("Work/2026", dot, Some((HOME, "Work.2026"))),
            ("Work/2026", flat, None),
            ("Work/v1.2", dot, None),
            ("Work/v1.2", slash, Some((HOME, "Work/v1.2"))),
            ("a&IhU-b", dot, Some((HOME, "a/b"))),
            ("a&IhU-b", flat, Some((HOME, "a/b"))),
            ("a&IhU-b", slash, Some((HOME, "a&IhU-b"))),
            ("Entw&APw-rfe", dot, Some((HOME, "Entw&APw-rfe"))),
            // The shared mailboxes.
            ("Shared", slash, None),
            ("Shared/", slash, None),
            ("Shared//support", slash, None),
            ("Shared/support", slash, Some((SUPPORT, "INBOX"))),
            ("Shared/support", dot, Some((SUPPORT, "INBOX"))),
            ("Shared/support/", slash, None),
            ("Shared/Support", slash, None),
            ("shared/support", slash, None),
            ("SHARED", slash, None),
            ("shared/x", slash, None),
            ("Shared/info/Sent", slash, Some((INFO, "Sent"))),
            ("Shared/support/INBOX", slash, None),
            ("Shared/support/inbox", slash, None),
            ("Shared/support/INBOX/x", slash, Some((SUPPORT, "INBOX/x"))),
            ("Shared/support/INBOX/x", dot, Some((SUPPORT, "INBOX.x"))),
            ("Shared/support/inbox/x", slash, None),
            ("Shared/support/Work/2026", dot, Some((SUPPORT, "Work.2026"))),
            ("Shared/support/Work.2026", dot, None),
            ("Shared/support/Work.2026", slash, Some((SUPPORT, "Work.2026"))),
            ("Shared/support/../info", slash, Some((SUPPORT, "../info"))),
            ("Shared/support@example.org", slash, None),
            ("Shared/sales/Sent", slash, None),
            // Spellings that are none.
            ("Shared/&AHM-upport", slash, None),
            ("Shared&AC8-support", slash, None),
            ("Shared/support\0", slash, None),
            // Own folders that are called like the prefix.
            ("Shared (own)", slash, Some((HOME, "Shared"))),
            ("shared (own)/x", dot, Some((HOME, "shared.x"))),
            ("Shared (own)/support", slash, Some((HOME, "Shared/support"))),
            ("Shared (own) (own)", slash, Some((HOME, "Shared (own)"))),
            ("Sharedx", slash, Some((HOME, "Sharedx"))),
            ("x/Shared/support", slash, Some((HOME, "x/Shared/support"))),
        ] {
            let expected = expected.map(|(id, name)| (id, name.to_owned()));
            assert_eq!(means(&two(), wire, separator), expected, "{wire:?} with {separator:?}");
        }
    }

    #[test]
    fn names_without_a_client_name_are_left_out() {
        let client = |id, text, separator| {
            let name = FolderName::parse(text, separator).unwrap();
            two().client_name(id, &name, separator).map(|name| name.as_str().to_owned())
        };
        assert_eq!(client(SUPPORT, "a\u{2215}b", Some('.')), None, "it would be that of a/b");
        assert_eq!(client(SUPPORT, "a/b.c", Some('.')).as_deref(), Some("Shared/support/a\u{2215}b/c"));
        assert_eq!(client(MailboxId(9), "INBOX", Some('/')), None, "not one of this session's");
        assert_eq!(client(HOME, "Shared.support", Some('.')).as_deref(), Some("Shared (own)/support"));
    }

    #[test]
    fn mailboxes_that_look_alike_go_by_their_addresses() {
        let realm = combined(&[
            (SUPPORT, "\u{fb01}x", "fix@example.org"),
            (INFO, "fix", "repair@example.org"),
            (MailboxId(3), "sales", "sales@example.org"),
        ]);
        for (wire, id) in [
            ("Shared/fix@example.org", SUPPORT),
            ("Shared/repair@example.org", INFO),
            ("Shared/sales", MailboxId(3)),
        ] {
            assert_eq!(means(&realm, wire, Some('/')), Some((id, "INBOX".to_owned())), "{wire}");
        }
        assert_eq!(means(&realm, "Shared/fix", Some('/')), None);
    }

    #[test]
    fn prefixes_are_one_plain_level() {
        for (text, fine) in [
            ("Shared", true),
            ("Gedeeld", true),
            ("Team mail", true),
            ("", false),
            ("Shared/x", false),
            ("Shared/", false),
            ("inbox", false),
            ("a*", false),
            ("Shared (own)", false),
        ] {
            assert_eq!(Prefix::parse(text).is_some(), fine, "{text:?}");
        }
    }

    proptest! {
        /// No two folders have one name, whatever they are called.
        #[test]
        fn every_name_leads_back(
            text in "(INBOX|inbox|Shared( \\(own\\))?|shared|[a-z./\u{2215}]{1,3})([./](INBOX|Shared|[a-z./\u{2215}]{1,3})){0,2}",
            home in any::<bool>(),
            separator in prop::sample::select(vec![Some('/'), Some('.'), None]),
        ) {
            let (realm, id) = (two(), if home { HOME } else { SUPPORT });
            if let Ok(folder) = FolderName::parse(&text, separator)
                && let Some(name) = realm.client_name(id, &folder, separator)
            {
                prop_assert_eq!(realm.mailbox_of(&name), Some(id));
                prop_assert_eq!(realm.local(&name, separator), Ok(folder));
            }
        }
    }
}
