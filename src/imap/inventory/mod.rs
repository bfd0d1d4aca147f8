//! The folders that upstream has, by their one canonical name (invariant 6).
//!
//! A name that has no canonical form, or shares it with another folder, is not in here: it
//! does not exist for anybody. What goes upstream is the octets that upstream used itself.

mod class;

pub use class::suggest_class;

use crate::imap::response::Listed;
use crate::types::{FolderName, Separator};

/// One folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub name: FolderName,
    /// The name as upstream spells it, decoded from quotes or literal.
    pub wire: Vec<u8>,
    pub attributes: Attributes,
}

/// What upstream says of a folder (RFC 3501 §7.2.2, RFC 5258 §3.4, RFC 6154 §2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    pub noselect: bool,
    pub nonexistent: bool,
    pub noinferiors: bool,
    pub has_children: bool,
    pub special: Option<Special>,
}

/// SPECIAL-USE, and what it tells of a folder that shows other folders' messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Special {
    Drafts,
    Sent,
    Trash,
    Archive,
    Junk,
    /// `\All`, `\Flagged`, `\Important` (RFC 8457).
    Aggregate,
}

impl Attributes {
    fn parse(words: &[String]) -> Self {
        let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
        // An aggregate is one whatever else it is: a write there hits other folders.
        let special = [
            ("\\All", Special::Aggregate),
            ("\\AllMail", Special::Aggregate),
            ("\\Flagged", Special::Aggregate),
            ("\\Starred", Special::Aggregate),
            ("\\Important", Special::Aggregate),
            ("\\Drafts", Special::Drafts),
            ("\\Sent", Special::Sent),
            ("\\Trash", Special::Trash),
            ("\\Archive", Special::Archive),
            ("\\Junk", Special::Junk),
            ("\\Spam", Special::Junk),
        ];
        Self {
            noselect: has("\\Noselect"),
            nonexistent: has("\\NonExistent"),
            noinferiors: has("\\Noinferiors"),
            has_children: has("\\HasChildren"),
            special: special.into_iter().find(|(name, _)| has(name)).map(|(_, special)| special),
        }
    }

    /// Whether SELECT can work. `\NonExistent` implies `\Noselect` (RFC 5258 §3.4).
    pub fn is_selectable(&self) -> bool {
        !self.noselect && !self.nonexistent
    }
}

/// All folders of an account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inventory {
    pub separator: Separator,
    /// By name, ascending; each name once.
    entries: Vec<Entry>,
    /// Names left out: not canonical, double, or beyond [`Inventory::MAX`].
    pub excluded: usize,
}

impl Inventory {
    /// Most folders of one account; hosts stop at 10,000 (Exchange Online) or earlier.
    pub const MAX: usize = 20_000;

    /// From upstream's answers to `LIST "" "*"`.
    pub fn build(listed: impl IntoIterator<Item = Listed>) -> Self {
        let listed: Vec<Listed> = listed.into_iter().collect();
        let octet = listed.iter().find_map(|listed| listed.separator);
        let separator = octet.map(char::from).filter(char::is_ascii_graphic);
        let mut inventory = Self { separator, ..Self::default() };
        for listed in listed {
            inventory.add(listed, octet);
        }
        inventory.drop_doubles();
        inventory
    }

    fn add(&mut self, listed: Listed, octet: Option<u8>) {
        let same = listed.separator.is_none() || listed.separator == octet;
        let name = FolderName::from_wire(&listed.name, self.separator);
        match name {
            Ok(name) if same && self.entries.len() < Self::MAX => {
                let attributes = Attributes::parse(&listed.attributes);
                self.entries.push(Entry { name, wire: listed.name, attributes });
            }
            Ok(_) | Err(_) => self.excluded += 1,
        }
    }

    /// Of `INBOX/a` and `inbox/a` the one that is spelt canonically stays. The same line twice
    /// is one folder.
    fn drop_doubles(&mut self) {
        self.entries.sort_by(|a, b| {
            let canonical = |entry: &Entry| entry.wire != entry.name.to_wire().into_bytes();
            (&a.name, canonical(a), &a.wire).cmp(&(&b.name, canonical(b), &b.wire))
        });
        let excluded = &mut self.excluded;
        self.entries.dedup_by(|later, first| {
            let double = later.name == first.name;
            *excluded += usize::from(double && later.wire != first.wire);
            double
        });
    }

    /// All folders, by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn find(&self, name: &FolderName) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// The folders anywhere below this one.
    pub fn below<'a>(&'a self, name: &'a FolderName) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|entry| entry.name.is_below(name, self.separator))
    }
}

/// Whether an account keeps all these folders below INBOX, as Courier does: it lets nobody make
/// one beside it.
pub fn stand_below_inbox<'a>(names: impl Iterator<Item = &'a FolderName>, separator: Separator) -> bool {
    let inbox = FolderName::inbox();
    let mut others = names.filter(|name| !name.is_inbox()).peekable();
    others.peek().is_some() && others.all(|name| name.is_below(&inbox, separator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::response::{Response, parse};
    use crate::policy::FolderClass;

    fn inventory(lines: &[&str]) -> Inventory {
        Inventory::build(lines.iter().map(|line| {
            let line = format!("* LIST {line}\r\n");
            match parse(line.as_bytes()).unwrap() {
                Response::List(listed) => listed,
                other => panic!("{other:?}"),
            }
        }))
    }

    #[test]
    fn only_canonical_names_exist_and_each_once() {
        let all = inventory(&[
            "() \"/\" inbox",
            "() \"/\" INBOX",
            "() \"/\" INBOX/a",
            "() \"/\" Inbox/a",
            "() \"/\" caf&AOk-",
            "() \"/\" caf&AOl-",
            "() \"/\" cafe&AwE-",
            "() \"/\" a//b",
            "() \"/\" /a",
            "() \".\" other",
            "() NIL flat",
            "(\\Noselect) \"/\" \"a b\"",
            "(\\Noselect) \"/\" \"a b\"",
        ]);
        let names: Vec<_> = all.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["INBOX", "INBOX/a", "a b", "café", "flat"]);
        assert_eq!(all.excluded, 7);
        let inbox = all.find(&FolderName::inbox()).unwrap();
        assert_eq!(inbox.wire, b"INBOX");
        assert_eq!(all.below(&FolderName::inbox()).count(), 1);
        assert!(!all.find(&FolderName::parse("a b", Some('/')).unwrap()).unwrap().attributes.is_selectable());
    }

    #[test]
    fn some_hosts_keep_everything_below_inbox() {
        let below = |lines: &[&str]| {
            let all = inventory(lines);
            stand_below_inbox(all.entries().iter().map(|entry| &entry.name), all.separator)
        };
        let (inbox, sent, work) = ("() \".\" INBOX", "() \".\" INBOX.Sent", "() \".\" Work");
        assert!(below(&[inbox, sent]));
        assert!(!below(&[inbox, sent, work]) && !below(&[inbox]) && !below(&["() NIL INBOX", "() NIL Work"]));
    }

    #[test]
    fn upstreams_own_spelling_is_kept() {
        let all = inventory(&["() \".\" Inbox", "() \".\" Inbox.Sub"]);
        let names: Vec<_> = all.entries().iter().map(|e| (e.name.as_str(), e.wire.as_slice())).collect();
        assert_eq!(names, [("INBOX", b"Inbox".as_slice()), ("INBOX.Sub", b"Inbox.Sub")]);
    }

    #[test]
    fn classes_are_suggested() {
        use FolderClass::*;
        let cases = [
            ("() \"/\" inbox", Inbox),
            ("() \"/\" INBOX/Sent", Sent),
            ("() \"/\" \"Sent Items\"", Sent),
            ("(\\Sent) \"/\" \"Out\"", Sent),
            ("(\\Sent \\All) \"/\" \"Out\"", Aggregate),
            ("() \"/\" Concepten", Drafts),
            ("() \"/\" Entw&APw-rfe", Drafts),
            ("() \"/\" Brouillons", Drafts),
            ("() \"/\" \"Verzonden items\"", Sent),
            ("() \"/\" \"Gesendete Elemente\"", Sent),
            ("() \"/\" \"&AMk-l&AOk-ments envoy&AOk-s\"", Sent),
            ("() \"/\" Prullenbak", Trash),
            ("() \"/\" \"Deleted Items\"", Trash),
            ("() \"/\" Papierkorb", Trash),
            ("() \"/\" Corbeille", Trash),
            ("() \"/\" Archief", Archive),
            ("() \"/\" Archiv", Archive),
            ("() \"/\" Archives", Archive),
            ("() \"/\" Archive/2026", Ordinary),
            ("() \"/\" Ongewenst", Junk),
            ("() \"/\" Spam", Junk),
            ("() \"/\" \"Courrier ind&AOk-sirable\"", Junk),
            ("() \"/\" \"[Gmail]/All Mail\"", Aggregate),
            ("() \"/\" \"[Gmail]/Sent Mail\"", Sent),
            ("() \"/\" \"[Google Mail]/Bin\"", Trash),
            ("() \"/\" Virtual/All", Aggregate),
            ("() \"/\" Clients/Sent", Ordinary),
            ("() \"/\" Invoices", Ordinary),
            ("(\\Noselect \\HasChildren) \"/\" [Gmail]", Ordinary),
            ("(\\Trash \\Noselect) \"/\" x", Ordinary),
        ];
        for (line, class) in cases {
            let all = inventory(&[line]);
            assert_eq!(suggest_class(&all.entries()[0], all.separator), class, "{line}");
        }
    }
}
