//! The rights letters of RFC 4314 §2.1, and one of our own.

use std::fmt;
use std::ops::{BitAnd, BitOr};

use crate::types::FlagKind;

/// A set of rights on a folder.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rights(u16);

impl Rights {
    pub const NONE: Self = Self(0);
    /// `l`: the folder is listed.
    pub const LOOKUP: Self = Self(1);
    /// `r`: open, read, search, status.
    pub const READ: Self = Self(1 << 1);
    /// `s`: set and clear `\Seen`.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: all flags but `\Seen` and `\Deleted`.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: APPEND, COPY and MOVE into the folder.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: submit mail as the mailbox; checked by submission, shown by MYRIGHTS.
    pub const POST: Self = Self(1 << 5);
    /// `k`: create folders below.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: delete or rename the folder.
    pub const DELETE: Self = Self(1 << 7);
    /// `t`: set and clear `\Deleted`.
    pub const DELETED: Self = Self(1 << 8);
    /// `e`: expunge.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: administer. Nobody holds it over IMAP.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// `m`: our own: file, that is move among Inbox, Ordinary and Archive without `t` and `e`.
    pub const FILE: Self = Self(1 << 11);

    /// The letters in the order in which servers print them (RFC 4314 §2.1).
    const LETTERS: [(char, Self); 12] = [
        ('l', Self::LOOKUP),
        ('r', Self::READ),
        ('s', Self::SEEN),
        ('w', Self::WRITE),
        ('i', Self::INSERT),
        ('p', Self::POST),
        ('k', Self::CREATE),
        ('x', Self::DELETE),
        ('t', Self::DELETED),
        ('e', Self::EXPUNGE),
        ('a', Self::ADMINISTER),
        ('m', Self::FILE),
    ];

    /// Reads letters such as `lrsw`; `None` at the first unknown one.
    pub const fn letters(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut rights = 0;
        let mut i = 0;
        while i < bytes.len() {
            let mut j = 0;
            while j < Self::LETTERS.len() && Self::LETTERS[j].0 as u8 != bytes[i] {
                j += 1;
            }
            if j == Self::LETTERS.len() {
                return None;
            }
            rights |= Self::LETTERS[j].1.0;
            i += 1;
        }
        Some(Self(rights))
    }

    /// Whether every right of `all` is held.
    pub const fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    /// The rights of both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether flags of this kind may be set and cleared.
    pub fn allow_flag(self, kind: FlagKind) -> bool {
        self.has(match kind {
            FlagKind::Seen => Self::SEEN,
            FlagKind::Deleted => Self::DELETED,
            FlagKind::Other => Self::WRITE,
        })
    }

    /// As MYRIGHTS shows them: RFC letters only, with the obsolete `c` (for `k`, `x`) and
    /// `d` (for `x`, `t`, `e`) that old clients look for (RFC 4314 §2.1.1).
    pub fn rfc_letters(self) -> String {
        let mut text: String = self.without(Self::FILE).to_string();
        let any = |rights: Self| self.0 & rights.0 != 0;
        if any(Self(Self::CREATE.0 | Self::DELETE.0)) {
            text.push('c');
        }
        if any(Self(Self::DELETED.0 | Self::EXPUNGE.0)) {
            text.push('d');
        }
        text
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::LETTERS.into_iter().filter(|(_, right)| self.has(*right));
        f.write_str(&held.map(|(letter, _)| letter).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::Rights;

    #[test]
    fn letters_read_and_print() {
        assert_eq!(Rights::letters("ets").unwrap().to_string(), "ste");
        assert_eq!(Rights::letters("lrz"), None);
        assert_eq!(Rights::letters("lrswitekxm").unwrap().rfc_letters(), "lrswikxtecd");
        assert_eq!(Rights::letters("lr").unwrap().rfc_letters(), "lr");
    }
}
