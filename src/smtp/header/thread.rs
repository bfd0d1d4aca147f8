//! What a message says of the one that it answers or forwards.

use super::{Field, Header};
use crate::types::MessageId;

/// The message that this one comes after.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parent {
    pub id: MessageId,
    /// It is handed on, not answered.
    pub forwarded: bool,
}

/// How subjects of forwarded messages begin, in the languages of the common clients.
const FORWARDS: [&str; 8] = ["fwd:", "fw:", "wg:", "tr:", "rv:", "enc:", "doorst:", "vs:"];

/// How subjects of answers begin, in the same languages.
const ANSWERS: [&str; 8] = ["re:", "aw:", "sv:", "antw:", "res:", "ref:", "odp:", "ynt:"];

impl Header<'_> {
    /// The parent, if the message names one.
    ///
    /// X-Forwarded-Message-Id (Thunderbird) names a forwarded message; else the first of
    /// In-Reply-To, or the last of References, is the parent (RFC 5322 §3.6.4), and the
    /// subject says whether it is forwarded: clients put the same fields into both.
    pub fn parent(&self) -> Option<Parent> {
        let first = |name: &str| self.value(name).and_then(|text| MessageId::all(&text).next());
        let last = |name: &str| self.value(name).and_then(|text| MessageId::all(&text).next_back());
        if let Some(id) = first("X-Forwarded-Message-Id") {
            return Some(Parent { id, forwarded: true });
        }
        let id = first("In-Reply-To").or_else(|| last("References"))?;
        let subject = self.value("Subject").unwrap_or_default().to_lowercase();
        let forwarded = FORWARDS.iter().any(|start| subject.starts_with(start));
        Some(Parent { id, forwarded })
    }

    /// The Date as it stands.
    pub fn date(&self) -> Option<String> {
        self.value("Date")
    }

    /// Whether an address stands in To or Cc, in whatever syntax: its recipient is no secret.
    pub fn shows(&self, address: &str) -> bool {
        let address = address.to_ascii_lowercase();
        let shown = |field: &&Field<'_>| field.is("To") || field.is("Cc");
        self.fields.iter().filter(shown).any(|field| names(&field.unfolded().to_ascii_lowercase(), &address))
    }
}

/// Whether the text has this address, and not merely one that ends or begins like it.
fn names(text: &str, address: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    text.match_indices(address).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + address.len()..].chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// Whether a subject says that the message is an answer.
pub(super) fn is_answer(subject: &str) -> bool {
    let subject = subject.to_lowercase();
    ANSWERS.iter().any(|start| subject.starts_with(start))
}

/// The Message-ID in a header section of any quality: of a message that is stored, not sent.
pub fn message_id(section: &[u8]) -> Option<MessageId> {
    MessageId::parse(&String::from_utf8_lossy(&field(section, b"Message-ID:")?))
}

/// The value of a section's first field of a name, which ends in a colon; folded as it stands.
pub(super) fn field(section: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut lines = section.split_inclusive(|b| *b == b'\n').peekable();
    let is_it = |line: &&[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let mut value = lines.find(is_it)?[name.len()..].to_vec();
    while let Some(more) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
        value.extend_from_slice(more);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(fields: &str) -> Option<(String, bool)> {
        let section = format!("From: a@b.example\r\n{fields}\r\n");
        let parent = Header::parse(section.as_bytes(), false).unwrap().parent();
        parent.map(|parent| (parent.id.to_string(), parent.forwarded))
    }

    #[test]
    fn replies_and_forwards() {
        let one = |forwarded| Some(("<1@x>".to_owned(), forwarded));
        for (fields, wanted) in [
            ("Subject: Re: x\r\nIn-Reply-To: <1@x>\r\nReferences: <0@x> <1@x>\r\n", one(false)),
            ("Subject: Re: x\r\nReferences: <0@x>\r\n <1@x>\r\n", one(false)),
            ("Subject: FW: x\r\nIn-Reply-To: <1@x>\r\n", one(true)),
            ("Subject: Wg: x\r\nReferences: <1@x>\r\n", one(true)),
            ("Subject: x\r\nX-Forwarded-Message-Id: <1@x>\r\nReferences: <2@x>\r\n", one(true)),
            ("Subject: Re: Fwd: x\r\nIn-Reply-To: <1@x>\r\n", one(false)),
            ("Subject: Re: x\r\n", None),
            ("In-Reply-To: nonsense\r\n", None),
        ] {
            assert_eq!(parent(fields), wanted, "{fields}");
        }
    }

    #[test]
    fn who_is_named() {
        let section =
            "From: a@b.example\r\nTo: Bob <Bob@example.org>,\r\n x.carol@example.org\r\nCc: d@e.example\r\n";
        let header = Header::parse(section.as_bytes(), false).unwrap();
        for (address, shown) in [
            ("bob@example.org", true),
            ("D@e.example", true),
            ("carol@example.org", false),
            ("a@b.example", false),
        ] {
            assert_eq!(header.shows(address), shown, "{address}");
        }
    }

    #[test]
    fn ids_of_stored_messages() {
        let id = |text: &str| message_id(text.as_bytes()).map(|id| id.to_string());
        assert_eq!(id("Subject: x\nmessage-id:\n <1@x>\nTo: y\n\n").as_deref(), Some("<1@x>"));
        assert_eq!(id("Message-Id: <1@x>\r\n").as_deref(), Some("<1@x>"));
        assert_eq!(id("X: y\r\n\r\n"), None);
    }
}
