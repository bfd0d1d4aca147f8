//! Folder names: Unicode inside, modified UTF-7 on the wire (RFC 3501 §5.1.3).
//!
//! Servers accept several spellings of one folder (pad bits in modified UTF-7,
//! trailing NUL, doubled separators, case of INBOX). A policy that compares spellings
//! can be walked around, so a name exists here only in its one canonical form.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use unicode_normalization::is_nfc;

/// An upstream's hierarchy separator; `None` where the host has a flat name space (RFC 3501 §7.2.2).
pub type Separator = Option<char>;

/// Longest level in octets of UTF-8; the file systems below most mail stores allow no more.
const MAX_LEVEL: usize = 255;
/// Deepest hierarchy; Dovecot stops at 16 by default for new folders.
const MAX_LEVELS: usize = 16;

/// A folder's canonical name, levels joined by the upstream's own separator.
///
/// INBOX, in any case, is `INBOX`, also as the first level. Equality is exact. A clone costs
/// no memory.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FolderName(Arc<str>);

/// The name has no canonical form, or is not written in it: such a folder does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotCanonical;

impl FolderName {
    /// The name of every account's first folder (RFC 3501 §5.1).
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// From Unicode text; the same demands as on the wire.
    pub fn parse(text: &str, separator: Separator) -> Result<Self, NotCanonical> {
        let levels: Vec<&str> = match separator {
            Some(separator) => text.split(separator).collect(),
            None => vec![text],
        };
        let fine = |level: &&str| {
            !level.is_empty()
                && level.len() <= MAX_LEVEL
                && is_nfc(level)
                && !level.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
        };
        if levels.len() > MAX_LEVELS || !levels.iter().all(fine) {
            return Err(NotCanonical);
        }
        let rest = &text[levels[0].len()..];
        if levels[0].eq_ignore_ascii_case("INBOX") {
            return Ok(Self(format!("INBOX{rest}").into()));
        }
        Ok(Self(text.into()))
    }

    /// From the wire: canonical modified UTF-7 or nothing.
    pub fn from_wire(octets: &[u8], separator: Separator) -> Result<Self, NotCanonical> {
        Self::parse(&decode_mutf7(octets)?, separator)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Modified UTF-7, for answers to a client.
    pub fn to_wire(&self) -> String {
        encode_mutf7(&self.0)
    }

    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The level above, if there is one.
    pub fn parent(&self, separator: Separator) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once(separator?)?;
        Some(Self(parent.into()))
    }

    /// The last level.
    pub fn leaf(&self, separator: Separator) -> &str {
        separator.and_then(|s| self.0.rsplit_once(s)).map_or(&self.0, |(_, leaf)| leaf)
    }

    /// Whether this folder lies anywhere below `other`.
    pub fn is_below(&self, other: &Self, separator: Separator) -> bool {
        let rest = self.0.strip_prefix(&*other.0);
        separator.is_some_and(|s| rest.is_some_and(|rest| rest.starts_with(s)))
    }

    /// The key under which two names look alike to a person or a host: NFKC, case folded.
    /// New folders must differ in it from every folder that exists.
    pub fn look_alike_key(&self) -> String {
        use unicode_normalization::UnicodeNormalization;
        self.0.nfkc().flat_map(char::to_lowercase).nfkc().collect()
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 3501 §5.1.3: base64 with `,` for `/`, no padding, pad bits zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Decodes modified UTF-7; anything that another spelling could also mean is an error.
pub fn decode_mutf7(octets: &[u8]) -> Result<String, NotCanonical> {
    let text = std::str::from_utf8(octets).map_err(|_| NotCanonical)?;
    if !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(NotCanonical);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (code, after) = shifted.split_once('-').ok_or(NotCanonical)?;
        if code.is_empty() {
            out.push('&');
        } else {
            decode_shift(code, &mut out)?;
        }
        rest = after;
    }
    out.push_str(rest);
    // Adjacent shifts, encoded ASCII, lone surrogates: one comparison refuses them all.
    if encode_mutf7(&out) == text { Ok(out) } else { Err(NotCanonical) }
}

fn decode_shift(code: &str, out: &mut String) -> Result<(), NotCanonical> {
    let octets = BASE64.decode(code).map_err(|_| NotCanonical)?;
    if octets.len() % 2 != 0 {
        return Err(NotCanonical);
    }
    let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    for c in char::decode_utf16(units) {
        out.push(c.map_err(|_| NotCanonical)?);
    }
    Ok(())
}

/// Encodes Unicode as modified UTF-7.
pub fn encode_mutf7(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, out: &mut String| {
        if !shifted.is_empty() {
            out.push('&');
            BASE64.encode_string(&*shifted, out);
            out.push('-');
            shifted.clear();
        }
    };
    for c in text.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut shifted, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::{FolderName, NotCanonical, decode_mutf7, encode_mutf7};
    use proptest::prelude::*;

    const SLASH: Option<char> = Some('/');

    #[test]
    fn canonical_names_decode() {
        for (wire, text) in [
            ("caf&AOk-", "café"),
            ("&ZeVnLIqe-", "日本語"),
            ("Gr&APYA3w-e &- Ma&AN8-e", "Größe & Maße"),
            ("&2D3eAA-", "😀"),
            ("inbox", "INBOX"),
            ("iNbOx/x", "INBOX/x"),
        ] {
            assert_eq!(FolderName::from_wire(wire.as_bytes(), SLASH).unwrap().as_str(), text);
        }
    }

    #[test]
    fn every_alias_of_a_name_is_refused() {
        let aliases: &[&[u8]] = &[
            b"caf&AOl-",
            b"caf&AOk",
            b"caf&AOk=-",
            b"&AFM-ecret",
            b"&AOk-&AOk-",
            b"&ACY-",
            b"&AAo-",
            b"a&AC8-b",
            b"&2D0-",
            b"&3gA-",
            b"&-\0",
            b"Secret\0",
            b"Secret\0DRAFT",
            b"cafe&AwE-",
            b"/Secret",
            b"Secret/",
            b"Secret//Sub",
            b"INBOX/",
            b"",
            b"a\rb",
            b"a\nb",
            b"caf\xc3\xa9",
            b"&!-",
        ];
        for alias in aliases {
            assert_eq!(FolderName::from_wire(alias, SLASH), Err(NotCanonical), "{}", alias.escape_ascii());
        }
    }

    #[test]
    fn look_alikes_share_a_key() {
        let key = |text| FolderName::parse(text, SLASH).unwrap().look_alike_key();
        assert_eq!(key("Secret"), key("SECRET"));
        assert_eq!(key("ﬁle"), key("file"));
        assert_ne!(key("Secret"), key("Secrets"));
    }

    proptest! {
        #[test]
        fn encoding_inverts(text in "\\PC{0,20}") {
            prop_assert_eq!(decode_mutf7(encode_mutf7(&text).as_bytes()), Ok(text));
        }

        #[test]
        fn one_spelling_only(wire in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(text) = decode_mutf7(&wire) {
                prop_assert_eq!(encode_mutf7(&text).into_bytes(), wire);
            }
        }
    }
}
