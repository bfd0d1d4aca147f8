//! Networks in CIDR form, and what counts as one client address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A network: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkError {
    Address,
    Prefix,
    /// Bits are set behind the prefix: 192.0.2.1/24 may mean either of two things.
    HostBits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "a network has the form 192.0.2.0/24 or 2001:db8::/32",
            Self::Prefix => "the number after / is at most 32 for IPv4, 128 for IPv6",
            Self::HostBits => "the address has bits set behind its prefix",
        })
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Parses `address/prefix`, or an address alone for a network of one.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits.parse().map_err(|_| NetworkError::Prefix)?,
            None => width,
        };
        if prefix > width {
            return Err(NetworkError::Prefix);
        }
        if truncated(base, prefix) != base {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { base, prefix })
    }

    /// The network of `prefix` bits that `address` is in; a longer prefix than the
    /// address has bits means the address alone.
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
        Self { base: truncated(address, prefix), prefix }
    }

    /// Is it in there? An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.base.is_ipv4() == address.is_ipv4() && truncated(address, self.prefix) == self.base
    }
}

fn truncated(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, NetworkError};

    #[test]
    fn contains_by_prefix() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.1", false),
        ] {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, inside, "{address} in {network}");
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("192.0.2/24", NetworkError::Address),
            ("192.0.2.0/33", NetworkError::Prefix),
            ("192.0.2.0/", NetworkError::Prefix),
            ("2001:db8::/129", NetworkError::Prefix),
            ("192.0.2.1/24", NetworkError::HostBits),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_client_is_known_by_its_network() {
        let key = |text: &str, prefix| Network::around(text.parse().unwrap(), prefix).to_string();
        assert_eq!(key("2001:db8:1:2:3::4", 64), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2ff:3::4", 56), "2001:db8:1:200::/56");
        assert_eq!(key("::ffff:192.0.2.9", 64), "192.0.2.9/32");
    }
}
