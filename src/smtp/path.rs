//! Envelope addresses: what may stand between `<` and `>` (RFC 5321 §4.1.2), and be written again.
//!
//! Accepted is dot-atom@domain alone. Refused on purpose: quoted local parts (no mail
//! client lets a person type one, and hosts disagree on where their quotes end), address
//! literals, source routes, and the routing characters `%` and `|`.
//! So a path is written as it was read, and nothing in it can end it early.

use std::fmt;

use crate::types::Address;

/// RFC 5321 §4.5.3.1.1 to §4.5.3.1.3.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;
const MAX_PATH: usize = 254;

/// A forward or reverse path, without its angle brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path(String);

/// Why a text is no path that we take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathFault {
    /// No `@`, or nothing before it.
    Form,
    Quoted,
    Literal,
    Route,
    /// `%` or `|`, or what is no atext.
    Character,
    Domain,
    TooLong,
}

impl PathFault {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Form => "An address has the form name@example.org",
            Self::Quoted => "Addresses with quotes are not accepted here",
            Self::Literal => "Addresses with an IP address instead of a domain are not accepted here",
            Self::Route => "Addresses with a route are not accepted here",
            Self::Character => "The part before @ has a character that is not accepted here",
            Self::Domain => "The part after @ is not a domain name",
            Self::TooLong => "The address is too long",
        }
    }
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.starts_with('@') {
            return Err(PathFault::Route);
        }
        if text.contains('"') || text.contains('\\') {
            return Err(PathFault::Quoted);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(PathFault::Form)?;
        if local.is_empty() {
            return Err(PathFault::Form);
        }
        if local.len() > MAX_LOCAL || domain.len() > MAX_DOMAIN || text.len() > MAX_PATH {
            return Err(PathFault::TooLong);
        }
        if domain.starts_with('[') {
            return Err(PathFault::Literal);
        }
        if !is_dot_atom(local) {
            return Err(PathFault::Character);
        }
        if !is_domain(domain) {
            return Err(PathFault::Domain);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without SMTPUTF8 (RFC 6531) only these may be used.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The same address as the types of our own people and mailboxes, if it can be one.
    pub fn address(&self) -> Option<Address> {
        Address::parse(&self.0).ok()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the octet may stand in a local part: atext of RFC 5322 §3.2.3 without `%` and `|`.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$&'*+-/=?^_`{}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

pub(super) fn is_dot_atom(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

pub(super) fn is_domain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let label = |label: &str| {
        let fits = (1..=63).contains(&label.len());
        fits && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(plain)
    };
    if text.is_ascii() {
        return text.split('.').all(label);
    }
    idna::domain_to_ascii_strict(text).is_ok_and(|ascii| ascii.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::{Path, PathFault};

    #[test]
    fn accepts() {
        for text in ["bob@example.org", "b.o+b/x=y@a-b.example", "o'neil@example.org", "büro@bücher.example"]
        {
            assert_eq!(Path::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses() {
        for (text, fault) in [
            ("", PathFault::Form),
            ("postmaster", PathFault::Form),
            ("\"\"@example.org", PathFault::Quoted),
            ("\"a b\"@example.org", PathFault::Quoted),
            ("x@evil.example> NOTIFY=NEVER <@c.example", PathFault::Character),
            ("@a,@b:c@d.example", PathFault::Route),
            ("a@[127.0.0.1]", PathFault::Literal),
            ("a%b@example.org", PathFault::Character),
            ("|sh@example.org", PathFault::Character),
            ("a..b@example.org", PathFault::Character),
            (".a@example.org", PathFault::Character),
            ("a b@example.org", PathFault::Character),
            ("a@b@example.org", PathFault::Character),
            ("a@", PathFault::Domain),
            ("a@-b.example", PathFault::Domain),
            ("a@b..example", PathFault::Domain),
            ("a@b.example.", PathFault::Domain),
            ("a@b_c.example", PathFault::Domain),
            ("a\u{85}@example.org", PathFault::Character),
        ] {
            assert_eq!(Path::parse(text), Err(fault), "{text:?}");
        }
        assert_eq!(Path::parse(&format!("{}@b.example", "a".repeat(65))), Err(PathFault::TooLong));
    }
}
