//! A value that is never shown and does not outlive its use.

use std::fmt;

use zeroize::Zeroize;

/// Octets that must not be printed, logged or kept: passwords, tokens, keys.
///
/// `Debug` says nothing in any build, there is no `Display` and no `Serialize`,
/// and the octets are overwritten on drop. Comparison is left out on purpose:
/// whoever compares secrets does it in constant time, through `auth`.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the octets over; the caller keeps no copy.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(octets.into())
    }

    /// The octets themselves, for the one place that must send or hash them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
