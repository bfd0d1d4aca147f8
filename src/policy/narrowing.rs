//! Which folders of a mailbox a grant reaches: all, only some, or all but some.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{FolderName, Separator};

/// A folder and all folders below it, as an admin writes them: `HR`, `Projects/*`.
///
/// Levels are joined by `/`, whatever the host's own separator is; `*` stands for any
/// characters of one level. `INBOX` alone is the inbox without the folders below it: many
/// hosts keep all folders there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderPattern(String);

/// The text cannot stand for folders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoPattern;

impl FolderPattern {
    /// Longest pattern in octets: three times the longest name that people were seen to give.
    pub const MAX_OCTETS: usize = 1000;

    /// # Errors
    /// An empty level, a control character, or more than [`Self::MAX_OCTETS`].
    pub fn parse(text: &str) -> Result<Self, NoPattern> {
        let empty = text.split('/').any(str::is_empty);
        if empty || text.len() > Self::MAX_OCTETS || text.chars().any(char::is_control) {
            return Err(NoPattern);
        }
        let (first, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        let first = if first.eq_ignore_ascii_case("INBOX") { "INBOX" } else { first };
        Ok(Self(format!("{first}{rest}")))
    }

    /// The pattern of exactly this folder and those below it. A `*` in the name stays a
    /// wildcard: it can match more than the folder, never less.
    pub fn of(folder: &FolderName, separator: Separator) -> Result<Self, NoPattern> {
        Self::parse(&levels(folder, separator).collect::<Vec<_>>().join("/"))
    }

    /// Whether `folder` is one of those meant.
    pub fn covers(&self, folder: &FolderName, separator: Separator) -> bool {
        if self.0 == "INBOX" {
            return folder.is_inbox();
        }
        let mut names = levels(folder, separator);
        self.0.split('/').all(|level| names.next().is_some_and(|name| matches(level, name)))
    }
}

impl TryFrom<String> for FolderPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, NoPattern> {
        Self::parse(&text)
    }
}

impl From<FolderPattern> for String {
    fn from(pattern: FolderPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for FolderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("levels are joined by /, none is empty, and * stands for any characters of one level")
    }
}

fn levels(folder: &FolderName, separator: Separator) -> impl Iterator<Item = &str> {
    // A flat name space has one level; NUL is in no name.
    folder.as_str().split(separator.unwrap_or('\0'))
}

/// One level against one level: each `*` takes as little as it can, and more when the rest
/// does not fit. At most pattern × name steps.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(octet), _) if *octet == name[n] => (p, n) = (p + 1, n + 1),
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|octet| *octet == b'*')
}

/// A grant's narrowing: nothing said is the whole mailbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Narrowing {
    /// These and no others; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<FolderPattern>,
    /// Not these, whatever `only` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<FolderPattern>,
}

impl Narrowing {
    /// Most patterns of one grant: each is looked at for each folder of a LIST.
    pub const MAX: usize = 100;

    /// The whole mailbox.
    pub fn whole() -> &'static Self {
        static WHOLE: Narrowing = Narrowing { only: Vec::new(), except: Vec::new() };
        &WHOLE
    }

    /// Whether the grant is for the whole mailbox.
    pub fn is_none(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// Whether the grant reaches the folder.
    pub fn covers(&self, folder: &FolderName, separator: Separator) -> bool {
        let any = |patterns: &[FolderPattern]| patterns.iter().any(|p| p.covers(folder, separator));
        (self.only.is_empty() || any(&self.only)) && !any(&self.except)
    }

    /// A folder is called `new` instead of `old`: what was not reached stays so. `false`:
    /// there is no room for another pattern, and the grant reaches it now.
    #[must_use]
    pub fn stay_out(&mut self, old: &FolderName, new: &FolderName, separator: Separator) -> bool {
        if self.covers(old, separator) || !self.covers(new, separator) {
            return true;
        }
        match FolderPattern::of(new, separator) {
            Ok(pattern) if self.only.len() + self.except.len() < Self::MAX && !new.is_inbox() => {
                self.except.push(pattern);
                !self.covers(new, separator)
            }
            Ok(_) | Err(NoPattern) => false,
        }
    }
}

/// `only Projects/*, except HR`; nothing for the whole mailbox.
impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = self.only.iter().map(|pattern| format!("only {pattern}"));
        let except = self.except.iter().map(|pattern| format!("except {pattern}"));
        f.write_str(&only.chain(except).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{FolderPattern, Narrowing};
    use crate::types::FolderName;

    fn covers(pattern: &str, name: &str, separator: char) -> bool {
        let name = FolderName::parse(name, Some(separator)).unwrap();
        FolderPattern::parse(pattern).unwrap().covers(&name, Some(separator))
    }

    #[test]
    fn a_pattern_means_a_folder_and_what_is_below() {
        for (pattern, name, expected) in [
            ("HR", "HR", true),
            ("HR", "HR/Pay/2026", true),
            ("HR", "HRx", false),
            ("HR", "hr", false),
            ("HR", "x/HR", false),
            ("Projects/*", "Projects", false),
            ("Projects/*", "Projects/a", true),
            ("Projects/*", "Projects/a/b", true),
            ("Projects/*", "Other/a", false),
            ("*/Pay", "HR/Pay", true),
            ("*/Pay", "HR/x/Pay", false),
            ("P*s", "Projects", true),
            ("P*s", "Ps/x", true),
            ("P*s", "Project", false),
            ("*a*b", "xaxab", true),
            ("*", "INBOX", true),
            ("inbox", "INBOX", true),
            ("INBOX", "INBOX/HR", false),
            ("inbox/HR", "INBOX/HR/x", true),
            ("caf*", "café", true),
        ] {
            assert_eq!(covers(pattern, name, '/'), expected, "{pattern} {name}");
        }
        assert!(covers("INBOX/Projects/*", "INBOX.Projects.a", '.'));
        assert!(!covers("a/b", "a/b", '.'), "here this is one level");
        let flat = FolderName::parse("a/b", None).unwrap();
        assert!(!FolderPattern::parse("a/b").unwrap().covers(&flat, None));
        assert!(FolderPattern::parse("a*").unwrap().covers(&flat, None));
    }

    #[test]
    fn except_wins_over_only() {
        let pattern = |text: &str| FolderPattern::parse(text).unwrap();
        let narrowing = Narrowing { only: vec![pattern("P")], except: vec![pattern("P/secret")] };
        let covered = |name: &str| narrowing.covers(&FolderName::parse(name, Some('/')).unwrap(), Some('/'));
        assert!(covered("P") && covered("P/x") && !covered("P/secret/x") && !covered("Q"));
        assert_eq!(narrowing.to_string(), "only P, except P/secret");
        assert!(Narrowing::default().is_none());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "/a", "a/", "a//b", "a\nb", &"x".repeat(FolderPattern::MAX_OCTETS + 1)] {
            assert!(FolderPattern::parse(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<FolderPattern>("\"a//b\"").is_err());
    }
}
