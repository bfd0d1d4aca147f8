//! The login forms: which person, and which mailbox if any, a login name means.
//!
//! The one place that takes a login name apart, for IMAP and submission alike.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::types::{Address, Authcid, Authzid};

/// What stands between person and mailbox in `alice@example.org/support`.
///
/// Only characters that no name may hold ([`crate::types::LoginName`]): a login name then
/// has one reading.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "char", into = "char")]
pub struct LoginSeparator(char);

/// The character may stand in names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotASeparator(char);

impl fmt::Display for NotASeparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the separator must be / * % or \\, not {:?}", self.0)
    }
}

impl std::error::Error for NotASeparator {}

impl Default for LoginSeparator {
    /// `/`: every client that was tried takes it.
    fn default() -> Self {
        Self('/')
    }
}

impl From<LoginSeparator> for char {
    fn from(separator: LoginSeparator) -> Self {
        separator.0
    }
}

impl TryFrom<char> for LoginSeparator {
    type Error = NotASeparator;

    fn try_from(c: char) -> Result<Self, NotASeparator> {
        if matches!(c, '/' | '*' | '%' | '\\') { Ok(Self(c)) } else { Err(NotASeparator(c)) }
    }
}

impl fmt::Display for LoginSeparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A login name taken apart; nobody has checked yet whether such a user or mailbox exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    pub user: String,
    /// Mailbox names that must all mean one and the same: from the login name, from the
    /// authzid, or from both. Empty: a personal login.
    pub mailboxes: Vec<String>,
    /// An authzid beside a plain login name: a mailbox, or another of the user's own names.
    pub authzid_may_be_user: bool,
}

/// The login name has no reading, or two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoReading;

/// Takes a login name and authzid apart:
///
/// | login name | authzid | means |
/// |---|---|---|
/// | `alice` | none, or the same | alice's own account |
/// | `alice/support` | none, or the same whole string | support, by alice |
/// | `alice` | `support` | support, by alice |
/// | `alice/support` | `support` | support, by alice |
/// | `alice/support` | anything else | nothing |
pub(super) fn claim(
    authcid: &Authcid,
    authzid: Option<&Authzid>,
    separator: LoginSeparator,
) -> Result<Claim, NoReading> {
    let mut parts = authcid.0.split(separator.0);
    let (user, mailbox) = match (parts.next(), parts.next(), parts.next()) {
        (Some(user), None, None) => (user, None),
        (Some(user), Some(mailbox), None) => (user, Some(mailbox)),
        _ => return Err(NoReading),
    };
    if user.is_empty() || mailbox.is_some_and(str::is_empty) {
        return Err(NoReading);
    }
    // mbsync and neomutt send the login name as authzid too.
    let authzid = authzid.map(|authzid| authzid.0.as_str()).filter(|name| !same(name, &authcid.0));
    if authzid.is_some_and(|name| name.contains(separator.0)) {
        return Err(NoReading);
    }
    // Said twice in one spelling is said once; in two, the look-up has to agree.
    let authzid = authzid.filter(|name| !mailbox.is_some_and(|mailbox| same(name, mailbox)));
    let authzid_may_be_user = mailbox.is_none() && authzid.is_some();
    let mailboxes = mailbox.into_iter().chain(authzid).map(str::to_owned).collect();
    Ok(Claim { user: user.to_owned(), mailboxes, authzid_may_be_user })
}

/// Are these two spellings of one name? As names are compared everywhere: after NFC,
/// without case, the domain in A-label form.
fn same(a: &str, b: &str) -> bool {
    if let (Ok(a), Ok(b)) = (Address::parse(a), Address::parse(b)) {
        return a == b;
    }
    folded(a) == folded(b)
}

/// As [`crate::types::LoginName`] folds names.
pub(super) fn folded(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{Claim, LoginSeparator, NoReading, claim};
    use crate::types::{Authcid, Authzid};

    #[test]
    fn login_forms() {
        let personal = |user: &str| Ok((user.to_owned(), vec![], false));
        let named = |user: &str, mailbox: &str| Ok((user.to_owned(), vec![mailbox.to_owned()], false));
        let by_authzid = |user: &str, mailbox: &str| Ok((user.to_owned(), vec![mailbox.to_owned()], true));
        let both =
            |user: &str, a: &str, b: &str| Ok((user.to_owned(), vec![a.to_owned(), b.to_owned()], false));
        let none = || Err(NoReading);
        for (authcid, authzid, expected) in [
            ("alice", None, personal("alice")),
            ("alice@example.org", None, personal("alice@example.org")),
            ("alice@example.org", Some("alice@example.org"), personal("alice@example.org")),
            ("Alice@example.org", Some("alice@EXAMPLE.org"), personal("Alice@example.org")),
            ("alice@bücher.example", Some("alice@xn--bcher-kva.example"), personal("alice@bücher.example")),
            ("ZOE\u{308}", Some("zo\u{eb}"), personal("ZOE\u{308}")),
            ("alice/support", None, named("alice", "support")),
            (
                "alice@example.org/support@example.org",
                None,
                named("alice@example.org", "support@example.org"),
            ),
            ("bob/info", Some("bob/info"), named("bob", "info")),
            ("bob/info", Some("BOB/Info"), named("bob", "info")),
            ("alice", Some("support"), by_authzid("alice", "support")),
            ("alice", Some("alice@example.org"), by_authzid("alice", "alice@example.org")),
            ("alice/support", Some("SUPPORT"), named("alice", "support")),
            // Whether these mean one mailbox is seen when both are looked up.
            ("alice/support", Some("support@example.org"), both("alice", "support", "support@example.org")),
            ("alice/support", Some("alice"), both("alice", "support", "alice")),
            ("alice/support", Some("bob/support"), none()),
            ("alice", Some("alice/support"), none()),
            ("alice/", None, none()),
            ("/support", None, none()),
            ("/", None, none()),
            ("alice//support", None, none()),
            ("alice/support/info", None, none()),
            ("alice/support/", None, none()),
        ] {
            let authzid = authzid.map(|text: &str| Authzid(text.to_owned()));
            let found = claim(&Authcid(authcid.to_owned()), authzid.as_ref(), LoginSeparator::default())
                .map(|Claim { user, mailboxes, authzid_may_be_user }| (user, mailboxes, authzid_may_be_user));
            assert_eq!(found, expected, "{authcid} as {authzid:?}");
        }
    }

    #[test]
    fn the_separator_is_never_part_of_a_name() {
        for c in ['/', '*', '%', '\\'] {
            let separator = LoginSeparator::try_from(c).unwrap();
            let found = claim(&Authcid(format!("alice{c}support")), None, separator).unwrap();
            assert_eq!(
                (found.user.as_str(), found.mailboxes.as_slice()),
                ("alice", &["support".to_owned()][..])
            );
        }
        for c in ['@', '+', '.', '-', 'a', ' ', '\0'] {
            assert!(LoginSeparator::try_from(c).is_err(), "{c:?}");
        }
    }
}
