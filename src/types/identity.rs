//! Who logs in, and as whom: RFC 4422's two identities are two types.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A person's stable number; survives renaming and pseudonymising.
    UserId, "u"
);
id!(
    /// A group's stable number.
    GroupId, "g"
);
id!(
    /// A shared mailbox's stable number.
    MailboxId, "m"
);
id!(
    /// A grant's stable number; the journal names it with every act it allowed.
    GrantId, "t"
);
id!(
    /// The number of a message that was handed in, in the outbox.
    OutboxId, "o"
);

impl MailboxId {
    /// Numbers from here on are homes. JSON's readers know integers up to 2^53 - 1.
    const HOME: u64 = 1 << 52;

    /// The number under which a person's own account goes, whether or not there is one.
    pub fn home_of(user: UserId) -> Self {
        Self(Self::HOME | user.0)
    }

    /// Whose home it is; `None` for a shared mailbox.
    pub fn home_user(self) -> Option<UserId> {
        (self.0 & Self::HOME != 0).then_some(UserId(self.0 & !Self::HOME))
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameError {
    Empty,
    TooLong,
    Forbidden(char),
    Whitespace,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong => write!(f, "a name must be at most {MAX_NAME} octets"),
            Self::Forbidden(c) => write!(f, "a name must not contain {c:?}"),
            Self::Whitespace => f.write_str("a name must not contain spaces or control characters"),
        }
    }
}

impl std::error::Error for NameError {}

/// Longest login or short name in octets: a local part of 64, `@`, and a domain of 190.
pub(super) const MAX_NAME: usize = 255;

/// Characters that mail hosts and clients give a meaning inside login names:
/// Dovecot's master user (`*`), Courier's and IMAP's patterns (`%`, `*`), quoting
/// (`\`, `"`) and our own separator between person and mailbox (`/`).
const RESERVED: &[char] = &['/', '*', '%', '\\', '"'];

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    for c in name.chars() {
        if c.is_whitespace() || c.is_control() {
            return Err(NameError::Whitespace);
        }
        if RESERVED.contains(&c) {
            return Err(NameError::Forbidden(c));
        }
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and normalises: NFC, then lower case.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                use unicode_normalization::UnicodeNormalization;
                let folded: String = text.nfc().flat_map(char::to_lowercase).collect();
                check(&folded)?;
                Ok(Self(folded))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A person's login name: `alice@example.org` or `alice`.
    LoginName
);
name!(
    /// A mailbox's or group's short name: `support`.
    ShortName
);

/// Authentication identity (RFC 4422 §2): who presents the password. Unverified text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authcid(pub String);

/// Authorization identity (RFC 4422 §2): as whom the session acts; a mailbox. Unverified text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authzid(pub String);

#[cfg(test)]
mod tests {
    use super::{LoginName, NameError};

    #[test]
    fn names_fold_case() {
        assert_eq!(LoginName::parse("Alice@Example.ORG").unwrap().as_str(), "alice@example.org");
    }

    #[test]
    fn names_refuse_what_hosts_interpret() {
        for bad in ["a/b", "a*b", "a%b", "a\\b", "a\"b"] {
            assert!(matches!(LoginName::parse(bad), Err(NameError::Forbidden(_))), "{bad}");
        }
        for bad in ["a b", "a\r\nb", "a\0b", "a\u{a0}b"] {
            assert_eq!(LoginName::parse(bad), Err(NameError::Whitespace), "{bad:?}");
        }
        assert_eq!(LoginName::parse(""), Err(NameError::Empty));
    }
}
