//! Message flags (RFC 3501 §2.3.2).

use std::fmt;

/// The five system flags a client may set; `\Recent` is the server's alone.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SystemFlag {
    Answered,
    Flagged,
    Deleted,
    Seen,
    Draft,
}

impl SystemFlag {
    pub const ALL: [Self; 5] = [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which RFC 4314 right a flag falls under: `s`, `t` or `w`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlagKind {
    Seen,
    Deleted,
    Other,
}

/// A keyword: an atom of at most 64 octets, compared without ASCII case.
#[derive(Clone, Debug)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// Longest keyword in octets; Dovecot's own limit is 50, Cyrus' 1,024.
    pub const MAX: usize = 64;

    /// `None` unless the text is an RFC 3501 atom within the limit.
    pub fn parse(text: &str) -> Option<Self> {
        let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        (!text.is_empty() && text.len() <= Self::MAX && text.bytes().all(atom)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

/// One flag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Flag {
    System(SystemFlag),
    Keyword(Keyword),
}

impl Flag {
    /// `None` for `\Recent`, `\*`, unknown `\Flags` and what is no atom.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('\\') {
            return Keyword::parse(text).map(Self::Keyword);
        }
        let system = SystemFlag::ALL.into_iter().find(|f| f.as_str().eq_ignore_ascii_case(text));
        system.map(Self::System)
    }

    pub fn kind(&self) -> FlagKind {
        match self {
            Self::System(SystemFlag::Seen) => FlagKind::Seen,
            Self::System(SystemFlag::Deleted) => FlagKind::Deleted,
            Self::System(SystemFlag::Answered | SystemFlag::Flagged | SystemFlag::Draft)
            | Self::Keyword(_) => FlagKind::Other,
        }
    }
}

/// A set of flags; keywords keep their order and spelling.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    system: u8,
    keywords: Vec<Keyword>,
}

impl Flags {
    pub fn insert(&mut self, flag: Flag) {
        match flag {
            Flag::System(system) => self.system |= system.bit(),
            Flag::Keyword(keyword) => {
                if !self.keywords.contains(&keyword) {
                    self.keywords.push(keyword);
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    pub fn len(&self) -> usize {
        self.system.count_ones() as usize + self.keywords.len()
    }

    pub fn has(&self, system: SystemFlag) -> bool {
        self.system & system.bit() != 0
    }

    pub fn contains(&self, flag: &Flag) -> bool {
        match flag {
            Flag::System(system) => self.has(*system),
            Flag::Keyword(keyword) => self.keywords.contains(keyword),
        }
    }

    /// System flags first, in RFC order, then keywords.
    pub fn iter(&self) -> impl Iterator<Item = Flag> + '_ {
        let system = SystemFlag::ALL.into_iter().filter(|f| self.has(*f)).map(Flag::System);
        system.chain(self.keywords.iter().cloned().map(Flag::Keyword))
    }

    /// Those flags for which `keep` holds.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&Flag) -> bool) -> Self {
        self.iter().filter(|flag| keep(flag)).collect()
    }

    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.filter(|flag| !other.contains(flag))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<T: IntoIterator<Item = Flag>>(flags: T) -> Self {
        let mut set = Self::default();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

impl From<SystemFlag> for Flags {
    fn from(system: SystemFlag) -> Self {
        Self { system: system.bit(), keywords: Vec::new() }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(system) => f.write_str(system.as_str()),
            Self::Keyword(keyword) => f.write_str(keyword.as_str()),
        }
    }
}

/// Separated by spaces, without parentheses.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, flag) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            flag.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Flag, Flags, SystemFlag};

    #[test]
    fn only_settable_flags_parse() {
        for bad in ["\\Recent", "\\*", "\\Foo", "", "a b", "a]", "a(b", "a\"b", "kéy", "a\0"] {
            assert_eq!(Flag::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Flag::parse("\\sEEN"), Some(Flag::System(SystemFlag::Seen)));
    }

    #[test]
    fn a_set_ignores_case_and_repeats() {
        let flags: Flags =
            ["$Label1", "\\Deleted", "$label1", "\\Seen"].iter().filter_map(|t| Flag::parse(t)).collect();
        assert_eq!(flags.to_string(), "\\Deleted \\Seen $Label1");
    }
}
