//! Message-IDs, as far as one can be looked for (RFC 5322 §3.6.4).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Message-ID with its angle brackets, in printable ASCII without spaces.
///
/// Compared octet for octet: nothing between here and a mail host changes its case.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// Longest in octets: what fits a header line (RFC 5322 §2.1.1) with the field's name.
    pub const MAX: usize = 980;

    /// `None` unless the text, with no more than space around it, is one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let inner = text.strip_prefix('<')?.strip_suffix('>')?;
        let fine = |b: u8| b.is_ascii_graphic() && !b"<>\"\\".contains(&b);
        (!inner.is_empty() && text.len() <= Self::MAX && inner.bytes().all(fine)).then(|| Self(text.into()))
    }

    /// All that stand in a list of them (In-Reply-To, References); what is none is left out.
    pub fn all(text: &str) -> impl DoubleEndedIterator<Item = Self> {
        let ids: Vec<Self> = text
            .split_inclusive('>')
            .filter_map(|part| part.rfind('<').and_then(|at| Self::parse(&part[at..])))
            .collect();
        ids.into_iter()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::MessageId;

    #[test]
    fn what_is_one() {
        assert_eq!(MessageId::parse(" <1@x>\r\n").unwrap().as_str(), "<1@x>");
        for bad in ["", "<>", "1@x", "<1 @x>", "<1@x", "<a\"b@x>", "<a\\b@x>", "<é@x>", "<a><b>"] {
            assert_eq!(MessageId::parse(bad), None, "{bad}");
        }
        assert_eq!(MessageId::parse(&format!("<{}>", "a".repeat(MessageId::MAX))), None);
    }

    #[test]
    fn lists() {
        let all = |text: &str| MessageId::all(text).map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(all("<1@x>\t<2@x><3@x>"), ["<1@x>", "<2@x>", "<3@x>"]);
        assert_eq!(all("Message of Monday <1@x> (a comment) junk> <2@x"), ["<1@x>"]);
        assert!(all("").is_empty());
    }
}
