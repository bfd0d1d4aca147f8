//! Sixty-four octets at a time: which of them are structure.

/// How many octets are looked at together.
pub(super) const BLOCK: usize = 64;

/// One bit an octet, the first octet lowest.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Masks {
    pub quote: u64,
    pub open: u64,
    pub close: u64,
    /// Backslash, `{` and controls: what a block cannot decide.
    pub rare: u64,
}

impl Masks {
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        Self {
            quote: bits(block, |octet| octet == b'"'),
            open: bits(block, |octet| octet == b'('),
            close: bits(block, |octet| octet == b')'),
            rare: bits(block, |octet| octet < 0x20 || octet == b'\\' || octet == b'{'),
        }
    }
}

#[inline(always)]
fn bits(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> u64 {
    let mut mask = 0;
    for (i, octet) in block.iter().enumerate() {
        mask |= u64::from(test(*octet)) << i;
    }
    mask
}

/// Bit n of the result is the parity of bits 0..=n: inside quotes, from each opening
/// quote up to, not including, the closing one.
pub(super) fn parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}
