//! LIST and LSUB, answered from what the user may see and nothing else (invariant 11).
//!
//! Hidden folders are not in the view at all; whether a folder has children is computed
//! from the view. A level that is only the way to a visible folder is `\NonExistent`.

mod pattern;

use std::collections::{HashMap, HashSet};

use pattern::Pattern;

use crate::imap::command;
use crate::imap::reply;
use crate::types::{FolderName, Separator};

/// A folder that the user sees, as the client is to be told of it.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a> {
    pub name: &'a FolderName,
    /// The name in modified UTF-7, in the client's hierarchy.
    pub wire: &'a [u8],
    /// `\Sent` and the like; `None` also where it is not to be told.
    pub special_use: Option<&'static str>,
    pub subscribed: bool,
    /// SELECT and STATUS can work.
    pub selectable: bool,
}

/// A view, ready to be asked.
#[derive(Debug)]
pub struct View<'a> {
    folders: &'a [Visible<'a>],
    separator: Separator,
    /// For every level above a folder: is there a subscribed folder below it?
    parents: HashMap<&'a [u8], bool>,
    names: HashSet<&'a [u8]>,
}

impl<'a> View<'a> {
    /// `folders` in the order in which they are to be listed.
    pub fn new(folders: &'a [Visible<'a>], separator: Separator) -> Self {
        let mut parents = HashMap::new();
        for folder in folders {
            for parent in levels_above(folder.wire, separator) {
                *parents.entry(parent).or_insert(false) |= folder.subscribed;
            }
        }
        let names = folders.iter().map(|folder| folder.wire).collect();
        Self { folders, separator, parents, names }
    }

    pub fn separator(&self) -> Separator {
        self.separator
    }

    /// Answers LIST; returns the folders of which STATUS is to be told behind it, as indexes
    /// into the view, if the client asked for it (RFC 5819).
    pub fn list(&self, list: &command::List, out: &mut Vec<u8>) -> Vec<usize> {
        if is_separator_request(&list.patterns) {
            reply::list(out, "LIST", &["\\Noselect"], self.separator, b"", "");
            return Vec::new();
        }
        let patterns = self.patterns(&list.reference, &list.patterns);
        let matches = |wire: &[u8]| patterns.iter().any(|pattern| pattern.matches(wire));
        let recursive = list.select.recursive_match && list.select.subscribed;
        let unlisted = if recursive { self.levels_above_unlisted(&matches) } else { HashSet::new() };
        let mut status = Vec::new();
        for (at, folder) in self.folders.iter().enumerate() {
            if matches(folder.wire) && self.list_one(list, folder, &unlisted, out) && folder.selectable {
                status.push(at);
            }
        }
        let selective = list.select.subscribed || list.select.special_use;
        for level in self.missing_levels() {
            let shows = |pattern: &Pattern| pattern.lists_levels() && pattern.matches(level);
            if (!selective && patterns.iter().any(shows)) || (unlisted.contains(level) && matches(level)) {
                let attributes = ["\\NonExistent", "\\Noselect", "\\HasChildren"];
                reply::list(out, "LIST", &attributes, self.separator, level, child_info(recursive));
            }
        }
        if list.ret.status.is_empty() { Vec::new() } else { status }
    }

    /// Answers LSUB: subscribed folders, and with `%` the levels above them
    /// (RFC 3501 §6.3.9).
    pub fn lsub(&self, reference: &[u8], pattern: &[u8], out: &mut Vec<u8>) {
        if pattern.is_empty() {
            reply::list(out, "LSUB", &["\\Noselect"], self.separator, b"", "");
            return;
        }
        let patterns = self.patterns(reference, &[pattern.to_vec()]);
        let matches = |wire: &[u8]| patterns.iter().any(|pattern| pattern.matches(wire));
        let levels = |wire: &[u8]| patterns.iter().any(|p| p.lists_levels() && p.matches(wire));
        for folder in self.folders {
            if folder.subscribed && matches(folder.wire) {
                let attributes: &[&str] = if folder.selectable { &[] } else { &["\\Noselect"] };
                reply::list(out, "LSUB", attributes, self.separator, folder.wire, "");
            } else if self.has_subscribed_below(folder.wire) && levels(folder.wire) {
                reply::list(out, "LSUB", &["\\Noselect"], self.separator, folder.wire, "");
            }
        }
        for level in self.missing_levels() {
            if self.has_subscribed_below(level) && levels(level) {
                reply::list(out, "LSUB", &["\\Noselect"], self.separator, level, "");
            }
        }
    }

    fn patterns(&self, reference: &[u8], patterns: &[Vec<u8>]) -> Vec<Pattern> {
        let separator = self.separator.and_then(|separator| u8::try_from(separator).ok());
        patterns.iter().map(|pattern| Pattern::new(reference, pattern, separator)).collect()
    }

    /// A folder that the pattern names: listed if the options select it, or if `unlisted` says
    /// that it is the way to a folder that they select.
    fn list_one(
        &self,
        list: &command::List,
        folder: &Visible<'_>,
        unlisted: &HashSet<&[u8]>,
        out: &mut Vec<u8>,
    ) -> bool {
        let select = &list.select;
        let chosen = (!select.subscribed || folder.subscribed)
            && (!select.special_use || folder.special_use.is_some());
        if !chosen && !unlisted.contains(folder.wire) {
            return false;
        }
        let mut attributes = Vec::with_capacity(4);
        if !folder.selectable {
            attributes.push("\\Noselect");
        }
        if folder.subscribed && (select.subscribed || list.ret.subscribed) {
            attributes.push("\\Subscribed");
        }
        attributes.push(self.children(folder.wire));
        attributes.extend(folder.special_use);
        let below = select.recursive_match && select.subscribed && self.has_subscribed_below(folder.wire);
        reply::list(out, "LIST", &attributes, self.separator, folder.wire, child_info(below));
        true
    }

    /// The levels above subscribed folders that no pattern names: only these bring their
    /// parents in under RECURSIVEMATCH (RFC 5258 §3.5).
    fn levels_above_unlisted(&self, matches: &impl Fn(&[u8]) -> bool) -> HashSet<&'a [u8]> {
        let unlisted = self.folders.iter().filter(|folder| folder.subscribed && !matches(folder.wire));
        unlisted.flat_map(|folder| levels_above(folder.wire, self.separator)).collect()
    }

    /// RFC 3348; computed from what the user sees.
    fn children(&self, wire: &[u8]) -> &'static str {
        if self.parents.contains_key(wire) { "\\HasChildren" } else { "\\HasNoChildren" }
    }

    fn has_subscribed_below(&self, wire: &[u8]) -> bool {
        self.parents.get(wire).copied().unwrap_or(false)
    }

    /// Levels above visible folders that are no visible folders, each once, ascending.
    fn missing_levels(&self) -> Vec<&'a [u8]> {
        let missing = self.parents.keys().copied().filter(|level| !self.names.contains(level));
        let mut missing: Vec<_> = missing.collect();
        missing.sort_unstable();
        missing
    }
}

/// `LIST "" ""` asks for the separator (RFC 3501 §6.3.8).
fn is_separator_request(patterns: &[Vec<u8>]) -> bool {
    matches!(patterns, [pattern] if pattern.is_empty())
}

fn child_info(below: bool) -> &'static str {
    if below { "(\"CHILDINFO\" (\"SUBSCRIBED\"))" } else { "" }
}

/// `a`, `a/b` of `a/b/c`.
fn levels_above(wire: &[u8], separator: Separator) -> impl Iterator<Item = &[u8]> {
    let separator = separator.and_then(|separator| u8::try_from(separator).ok());
    let at = wire.iter().enumerate().filter(move |(_, octet)| Some(**octet) == separator);
    at.map(|(at, _)| &wire[..at])
}

#[cfg(test)]
mod tests;
