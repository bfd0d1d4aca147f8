//! A buffer that may have held a password.

use std::fmt;

use zeroize::Zeroize;

/// Octets that are overwritten before their memory is given back.
#[derive(Default)]
pub(super) struct Wiped(pub(super) Vec<u8>);

impl Wiped {
    pub(super) fn extend(&mut self, octets: &[u8]) {
        let needed = self.0.len() + octets.len();
        if needed > self.0.capacity() {
            // `Vec` would move and leave the old octets behind.
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(256));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(octets);
    }

    pub(super) fn clear(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}
