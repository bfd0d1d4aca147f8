//! What a client presents.

use std::fmt;

use crate::types::{Authcid, Authzid, Secret};

/// A claim, not yet verified: somebody says who they are and as whom they want to act.
#[derive(Debug)]
pub struct Credentials {
    /// As whom; `None` if the client left that to its login name.
    pub authzid: Option<Authzid>,
    pub authcid: Authcid,
    pub password: Secret,
}

/// Why a text cannot be a name or password; never said to the client in such detail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Not the three parts of RFC 4616 §2.
    Parts,
    Utf8,
    /// A name or password is empty (RFC 4616 §2: `1*SAFE`). An empty password would be an
    /// anonymous bind at some directories (RFC 4513 §5.1.2).
    Empty,
    TooLong,
    /// Some mechanisms stop reading a password at NUL.
    Nul,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parts => "not authzid NUL authcid NUL password",
            Self::Utf8 => "not UTF-8",
            Self::Empty => "an empty name or password",
            Self::TooLong => "a name or password that is too long",
            Self::Nul => "NUL in a name or password",
        })
    }
}

impl std::error::Error for Malformed {}

impl Credentials {
    /// Longest name in octets: a login name, a separator and a mailbox's address.
    pub const MAX_NAME: usize = 512;
    /// Longest password in octets: hashing must not become a way to keep us busy.
    pub const MAX_PASSWORD: usize = 1024;

    /// From the octets of a command; an empty `authzid` is none (RFC 4616 §2).
    pub fn parse(authzid: &[u8], authcid: &[u8], password: &[u8]) -> Result<Self, Malformed> {
        let authzid = if authzid.is_empty() { None } else { Some(Authzid(name(authzid)?)) };
        let authcid = Authcid(name(authcid)?);
        text(password, Self::MAX_PASSWORD)?;
        Ok(Self { authzid, authcid, password: Secret::new(password) })
    }

    /// The PLAIN message: `[authzid] NUL authcid NUL password` (RFC 4616 §2), exactly two NULs.
    pub fn parse_plain(message: &[u8]) -> Result<Self, Malformed> {
        let mut parts = message.split(|octet| *octet == 0);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authzid), Some(authcid), Some(password), None) => Self::parse(authzid, authcid, password),
            _ => Err(Malformed::Parts),
        }
    }
}

fn name(octets: &[u8]) -> Result<String, Malformed> {
    text(octets, Credentials::MAX_NAME).map(str::to_owned)
}

fn text(octets: &[u8], limit: usize) -> Result<&str, Malformed> {
    if octets.is_empty() {
        return Err(Malformed::Empty);
    }
    if octets.len() > limit {
        return Err(Malformed::TooLong);
    }
    if octets.contains(&0) {
        return Err(Malformed::Nul);
    }
    str::from_utf8(octets).map_err(|_| Malformed::Utf8)
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Malformed};

    #[test]
    fn plain_has_three_parts() {
        for (message, expected) in [
            (&b"\0alice\0secret"[..], Ok((None, "alice", "secret"))),
            (b"support\0alice\0secret", Ok((Some("support"), "alice", "secret"))),
            ("\0ælice\0sécret".as_bytes(), Ok((None, "ælice", "sécret"))),
            (b"", Err(Malformed::Parts)),
            (b"alice", Err(Malformed::Parts)),
            (b"alice\0secret", Err(Malformed::Parts)),
            (b"\0alice\0sec\0ret", Err(Malformed::Parts)),
            (b"\0alice\0secret\0", Err(Malformed::Parts)),
            (b"\0\0secret", Err(Malformed::Empty)),
            (b"\0alice\0", Err(Malformed::Empty)),
            (b"\0al\xffice\0secret", Err(Malformed::Utf8)),
            (b"\0alice\0s\xc3", Err(Malformed::Utf8)),
            (b"\xed\xa0\x80\0alice\0secret", Err(Malformed::Utf8)),
        ] {
            let found = Credentials::parse_plain(message).map(|c| {
                let password = String::from_utf8(c.password.expose().to_vec()).unwrap();
                (c.authzid.map(|z| z.0), c.authcid.0, password)
            });
            let expected = expected.map(|(z, c, p)| (z.map(str::to_owned), c.to_owned(), p.to_owned()));
            assert_eq!(found, expected, "{message:?}");
        }
    }

    #[test]
    fn each_part_has_its_limit() {
        let name = "n".repeat(Credentials::MAX_NAME);
        let password = "p".repeat(Credentials::MAX_PASSWORD);
        let parse =
            |z: &str, c: &str, p: &str| Credentials::parse(z.as_bytes(), c.as_bytes(), p.as_bytes()).err();
        assert_eq!(parse(&name, &name, &password), None);
        assert_eq!(parse(&(name.clone() + "n"), "c", "p"), Some(Malformed::TooLong));
        assert_eq!(parse("", &(name + "n"), "p"), Some(Malformed::TooLong));
        assert_eq!(parse("", "c", &(password + "p")), Some(Malformed::TooLong));
        assert_eq!(parse("", "c", "a\0b"), Some(Malformed::Nul));
    }
}
