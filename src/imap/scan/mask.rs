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
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        Self {
            quote: bits(block, |octet| octet == b'"'),
            open: bits(block, |octet| octet == b'('),
            close: bits(block, |octet| octet == b')'),
            rare: bits(block, |octet| octet < 0x20 || octet == b'\\' || octet == b'{'),
        }
    }
}

/// One bit for each octet that passes the test.
///
/// The compiler makes vector instructions of the first loop: each octet becomes 0 or its own
/// bit within a byte. A multiplication by 0x0101.. then adds the eight bytes of a word into
/// the highest one; no two have a bit in common, so nothing carries.
#[inline(always)]
fn bits(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> u64 {
    let mut lanes = [0; BLOCK];
    for (i, (lane, octet)) in lanes.iter_mut().zip(block).enumerate() {
        *lane = if test(*octet) { 1 << (i % 8) } else { 0 };
    }
    let mut mask = 0;
    for (i, word) in lanes.as_chunks::<8>().0.iter().enumerate() {
        let byte = u64::from_le_bytes(*word).wrapping_mul(0x0101_0101_0101_0101) >> 56;
        mask |= byte << (8 * i);
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

#[cfg(test)]
mod tests {
    use super::{BLOCK, Masks, parity};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bit_for_every_octet(block in prop::array::uniform32(any::<[u8; 2]>())) {
            let mut octets = [0u8; BLOCK];
            octets.iter_mut().zip(block.iter().flatten()).for_each(|(to, from)| *to = *from);
            let masks = Masks::of(&octets);
            let mut inside = false;
            for (i, octet) in octets.iter().enumerate() {
                let bit = |mask: u64| mask >> i & 1 == 1;
                prop_assert_eq!(bit(masks.quote), *octet == b'"');
                prop_assert_eq!(bit(masks.open), *octet == b'(');
                prop_assert_eq!(bit(masks.close), *octet == b')');
                prop_assert_eq!(bit(masks.rare), *octet < b' ' || *octet == b'\\' || *octet == b'{');
                inside ^= *octet == b'"';
                prop_assert_eq!(bit(parity(masks.quote)), inside);
            }
        }
    }
}
