//! The header that goes out: From the mailbox, and without what names the person.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Field, Header};
use crate::types::Address;

/// All that a rewrite needs; dates and names are the caller's, nothing is read or invented here.
#[derive(Clone, Debug)]
pub struct Rewrite<'a> {
    /// From, in the spelling that goes out.
    pub mailbox: &'a Address,
    /// The mailbox's display name; none leaves the address alone.
    pub display: Option<&'a str>,
    /// `on behalf`: the person, as Sender (RFC 5322 §3.6.2). `None`: as the mailbox itself.
    pub sender: Option<&'a Address>,
    /// The person's addresses: fields for answers and receipts that name one name the mailbox instead.
    pub person: &'a [Address],
    /// The host name in our Received field.
    pub host: &'a str,
    /// Our number for the submission: printable ASCII.
    pub id: &'a str,
    /// The moment (RFC 5322 §3.3), for Received, and for Date if there is none.
    pub date: &'a str,
    /// Message-ID with its angle brackets, if there is none.
    pub message_id: &'a str,
}

/// What came of a rewrite.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rewritten {
    /// The section with its empty line, ready for the wire: no line begins with a dot.
    pub section: Vec<u8>,
    /// The client's Message-ID, or ours.
    pub message_id: String,
    /// A signature was taken off, because it would no longer hold.
    pub signature_removed: bool,
}

/// Longest display name in characters: escaped or encoded, it stays within a line.
const MAX_DISPLAY: usize = 128;

/// What happens to a field.
enum Fate {
    Keep,
    Remove,
    /// From.
    Replace,
    /// Names where answers or receipts go.
    Redirect,
    /// Removed, and the caller is told.
    Signature,
}

/// Names the person or their machine, or is for a mail host to write.
const REMOVED: &[&str] = &[
    "Sender",
    "X-Sender",
    "X-X-Sender",
    "X-Env-Sender",
    "X-Envelope-From",
    "X-Identity-Key",
    "X-Account-Key",
    "X-Google-Original-From",
    "X-User",
    "Return-Path",
    "Errors-To",
    "Apparently-From",
    "Bcc",
    "Authentication-Results",
    "Delivered-To",
];

/// The same, by how they begin.
const REMOVED_FAMILIES: &[&str] = &["X-Originating-", "X-Authenticated-", "X-Auth-", "Resent-", "ARC-"];

/// Where answers or receipts go.
const REDIRECTED: &[&str] = &[
    "Reply-To",
    "Mail-Reply-To",
    "Mail-Followup-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "X-Confirm-Reading-To",
    "Read-Receipt-To",
    "Generate-Delivery-Report",
];

impl Header<'_> {
    /// Writes the section anew; fields that stay are copied octet for octet, in their order.
    pub fn rewrite(&self, to: &Rewrite<'_>) -> Rewritten {
        let mut section = Vec::with_capacity(1_024 + self.fields.iter().map(|f| f.raw.len()).sum::<usize>());
        let Rewrite { host, id, date, .. } = to;
        put(&mut section, format!("Received: by {host} (Mandate) with ESMTPSA id {id};\r\n {date}"));
        let mut signature_removed = false;
        for field in &self.fields {
            match fate(field) {
                Fate::Keep => section.extend_from_slice(field.raw),
                Fate::Remove => {}
                Fate::Signature => signature_removed = true,
                Fate::Replace => from(to, &mut section),
                Fate::Redirect if names(field, to.person) => {
                    put(&mut section, format!("{}: {}", field.name, to.mailbox));
                }
                Fate::Redirect => section.extend_from_slice(field.raw),
            }
        }
        if self.value("Date").is_none() {
            put(&mut section, format!("Date: {date}"));
        }
        let message_id = self.message_id().unwrap_or_else(|| {
            put(&mut section, format!("Message-ID: {}", to.message_id));
            to.message_id.to_owned()
        });
        section.extend_from_slice(b"\r\n");
        Rewritten { section, message_id, signature_removed }
    }
}

fn put(section: &mut Vec<u8>, field: String) {
    section.extend_from_slice(field.as_bytes());
    section.extend_from_slice(b"\r\n");
}

fn fate(field: &Field<'_>) -> Fate {
    let starts = |family: &&str| {
        field.name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
    };
    if field.is("From") {
        Fate::Replace
    } else if field.is("DKIM-Signature") || field.is("DomainKey-Signature") {
        Fate::Signature
    } else if REMOVED.iter().any(|name| field.is(name)) || REMOVED_FAMILIES.iter().any(starts) {
        Fate::Remove
    } else if REDIRECTED.iter().any(|name| field.is(name)) {
        Fate::Redirect
    } else {
        Fate::Keep
    }
}

/// Whether one of the addresses stands in the field, in whatever syntax.
fn names(field: &Field<'_>, person: &[Address]) -> bool {
    let text = field.unfolded().to_ascii_lowercase();
    person.iter().any(|address| text.contains(&address.to_string().to_ascii_lowercase()))
}

fn from(to: &Rewrite<'_>, section: &mut Vec<u8>) {
    put(
        section,
        match to.display.map(display).filter(|name| !name.is_empty()) {
            Some(name) => format!("From: {name}\r\n <{}>", to.mailbox),
            None => format!("From: {}", to.mailbox),
        },
    );
    if let Some(person) = to.sender {
        put(section, format!("Sender: {person}"));
    }
}

/// A display name as a quoted string, or as encoded words (RFC 2047) if it is not ASCII.
fn display(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_DISPLAY).collect();
    if name.is_ascii() {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        return if name.is_empty() { name } else { format!("\"{escaped}\"") };
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in name.chars() {
        // An encoded word has 75 characters at most, 12 of them its frame: 45 octets in base64.
        if words.last().is_none_or(|word| word.len() + c.len_utf8() > 45) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let encoded: Vec<String> =
        words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Header;
    use super::{Rewrite, Rewritten, display};
    use crate::types::Address;

    fn rewritten(section: &str, sender: bool) -> Rewritten {
        let support = Address::parse("Support@example.org").unwrap();
        let alice = Address::parse("alice@example.org").unwrap();
        let to = Rewrite {
            mailbox: &support,
            display: Some("Support"),
            sender: sender.then_some(&alice),
            person: std::slice::from_ref(&alice),
            host: "mx.example.org",
            id: "1-2",
            date: "Sat, 21 Nov 2026 12:00:00 +0000",
            message_id: "<new@example.org>",
        };
        Header::parse(section.as_bytes(), true).unwrap().rewrite(&to)
    }

    fn text(section: &str) -> String {
        String::from_utf8(rewritten(section, false).section).unwrap()
    }

    const RECEIVED: &str =
        "Received: by mx.example.org (Mandate) with ESMTPSA id 1-2;\r\n Sat, 21 Nov 2026 12:00:00 +0000\r\n";

    #[test]
    fn from_the_mailbox_without_the_person() {
        let out = text(
            "X-Originating-IP: [10.0.0.1]\r\nsender: alice@example.org\r\nFrom: Alice <alice@example.org>\r\n\
             Resent-From: alice@example.org\r\nReply-To: \"A\" <ALICE@example.org>\r\nBcc: c@example.org\r\n\
             Return-Path: <alice@example.org>\r\nAuthentication-Results: x; spf=pass\r\nSubject: a\r\n b\r\n\
             Disposition-Notification-To: alice@example.org\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n",
        );
        let wanted = "From: \"Support\"\r\n <Support@example.org>\r\nReply-To: Support@example.org\r\n\
             Subject: a\r\n b\r\nDisposition-Notification-To: Support@example.org\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n";
        assert_eq!(out, format!("{RECEIVED}{wanted}"));
    }

    #[test]
    fn on_behalf_names_the_person_as_sender() {
        let out = rewritten("Sender: x@y.example\r\nFrom: support@example.org\r\n\r\n", true).section;
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("<Support@example.org>\r\nSender: alice@example.org\r\n"), "{out}");
        assert!(!out.contains("x@y.example"));
    }

    #[test]
    fn adds_what_is_missing_only() {
        let new = rewritten("From: support@example.org\r\n", false);
        assert!(new.message_id == "<new@example.org>" && !new.signature_removed);
        let new = rewritten(
            "From: support@example.org\r\nReply-To: bob@example.org\r\nDKIM-Signature: v=1;\r\n b=x\r\n",
            false,
        );
        let out = String::from_utf8(new.section).unwrap();
        assert!(
            out.ends_with("Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <new@example.org>\r\n\r\n")
        );
        assert!(
            new.signature_removed && !out.contains("DKIM") && out.contains("Reply-To: bob@example.org\r\n")
        );
    }

    #[test]
    fn display_names() {
        assert_eq!(display("a \"b\" \\ c"), "\"a \\\"b\\\" \\\\ c\"");
        assert_eq!(display("x\r\nBcc: y"), "\"xBcc: y\"");
        assert_eq!(display("B\u{fc}ro"), "=?UTF-8?B?QsO8cm8=?=");
        assert!(display(&"\u{fc}".repeat(100)).split("\r\n ").all(|word| word.len() <= 75));
    }

    proptest! {
        /// Whatever the names and fields: what goes out has one From, ours, and reads strictly again.
        #[test]
        fn reads_back(name in "\\PC{0,80}", subject in "[ -~]{0,60}", field in "[A-Za-z-]{1,12}") {
            let mailbox = Address::parse("support@example.org").unwrap();
            let section = format!("{field}: {subject}\r\nFrom: alice@example.org\r\nSubject: x{subject}\r\n\r\n");
            let Ok(header) = Header::parse(section.as_bytes(), false) else { return Ok(()) };
            let to = Rewrite {
                mailbox: &mailbox, display: Some(&name), sender: None, person: &[], host: "h", id: "1",
                date: "d", message_id: "<m@h>",
            };
            let out = header.rewrite(&to);
            let again = Header::parse(&out.section, false).unwrap();
            prop_assert_eq!(again.from().path.as_str(), "support@example.org");
            let text = String::from_utf8(out.section).unwrap();
            let kept = format!("Subject: x{}\r\n", subject);
            prop_assert!(text.contains(&kept));
        }
    }
}
