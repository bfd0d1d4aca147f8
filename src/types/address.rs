//! Mail addresses that this proxy's own people and mailboxes hold.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// An address as configured: `Support@example.org`.
///
/// The local part is a dot-atom (RFC 5321 §4.1.2), the domain is kept in A-label
/// form (RFC 5890), lower case. Two addresses are equal when they differ in ASCII
/// case only; what is sent is always the configured spelling.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressError {
    NoAt,
    Local,
    Domain,
    TooLong,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAt => "an address has the form local@domain",
            Self::Local => "the part before @ must be letters, digits, dots and !#$&'+-=?^_`{|}~",
            Self::Domain => "the part after @ is not a domain name",
            Self::TooLong => "an address has at most 64 octets before @ and 254 in all",
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Parses `local@domain`; the domain may be given in Unicode.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        if !is_dot_atom(local) {
            return Err(AddressError::Local);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
        if domain.is_empty() || domain.ends_with('.') {
            return Err(AddressError::Domain);
        }
        if local.len() > 64 || local.len() + 1 + domain.len() > 254 {
            return Err(AddressError::TooLong);
        }
        Ok(Self { local: local.to_owned(), domain })
    }

    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain in A-label form, lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// `%`, `/` and `*` are legal in RFC 5321's atext, but hosts route or log in by them
/// (the percent hack, master users): an address that we hold has none.
fn is_dot_atom(text: &str) -> bool {
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'+-=?^_`{|}~".contains(&b);
    !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local.eq_ignore_ascii_case(&other.local)
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.local.to_ascii_lowercase().hash(state);
        self.domain.hash(state);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError};

    #[test]
    fn equal_in_another_case_and_as_u_label() {
        let a = Address::parse("Support@Bücher.example").unwrap();
        assert_eq!(a, Address::parse("support@xn--bcher-kva.example").unwrap());
        assert_eq!(a.to_string(), "Support@xn--bcher-kva.example");
    }

    #[test]
    fn refuses_what_a_header_or_host_would_read_otherwise() {
        for (text, error) in [
            ("support", AddressError::NoAt),
            ("@example.org", AddressError::Local),
            ("a b@example.org", AddressError::Local),
            ("a%b@example.org", AddressError::Local),
            ("a..b@example.org", AddressError::Local),
            ("a\r\n@example.org", AddressError::Local),
            ("a<b@example.org", AddressError::Local),
            ("a@", AddressError::Domain),
            ("a@exa mple.org", AddressError::Domain),
            ("a@example.org.", AddressError::Domain),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
    }
}
