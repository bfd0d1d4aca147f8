//! Fast keyed hashes under a key that lives and dies with the process.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// HMAC-SHA256 of some parts.
pub(super) type Tag = [u8; 32];

/// Makes tags that mean nothing outside this process.
pub(super) struct Keyed(hmac::Key);

/// 32 random octets.
pub(super) fn random_key() -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let mut key = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *key)?;
    Ok(key)
}

impl Keyed {
    pub(super) fn new() -> Result<Self, Unspecified> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &*random_key()?)))
    }

    /// The parts' tag. Each goes in behind its length: no two lists look alike.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = Tag::default();
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::Keyed;

    #[test]
    fn parts_do_not_run_together() {
        let keyed = Keyed::new().unwrap();
        assert_eq!(keyed.tag(&[b"ab", b"c"]), keyed.tag(&[b"ab", b"c"]));
        assert_ne!(keyed.tag(&[b"ab", b"c"]), keyed.tag(&[b"a", b"bc"]));
        assert_ne!(keyed.tag(&[b"ab"]), keyed.tag(&[b"ab", b""]));
        assert_ne!(keyed.tag(&[b"ab"]), Keyed::new().unwrap().tag(&[b"ab"]));
    }
}
