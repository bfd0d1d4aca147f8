//! The header that goes out: From the mailbox, and without what names the person.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Field, Header, Mailbox};
use crate::types::Address;

/// All that a rewrite needs; dates and names are the caller's, nothing is read or invented here.
#[derive(Clone, Debug)]
pub struct Rewrite<'a> {
    pub style: Style<'a>,
    /// The host name in our Received field.
    pub host: &'a str,
    /// Our number for the submission: printable ASCII.
    pub id: &'a str,
    /// The moment (RFC 5322 §3.3), for Received, and for Date if there is none.
    pub date: &'a str,
    /// Message-ID with its angle brackets, if there is none.
    pub message_id: &'a str,
}

/// As whom it goes out.
#[derive(Clone, Copy, Debug)]
pub enum Style<'a> {
    /// From the mailbox, in the spelling that goes out; nothing names the person, except
    /// Sender where it goes out on the mailbox's behalf (RFC 5322 §3.6.2).
    Mailbox {
        address: &'a Address,
        /// The mailbox's address and aliases: answers and receipts go to one of them, and
        /// nowhere else.
        own: &'a [Address],
        /// The name before it; none leaves the address alone.
        display: Option<&'a str>,
        on_behalf: Option<&'a Address>,
    },
    /// From the person, as they wrote it; these addresses are theirs.
    Own(&'a [Address]),
}

/// What came of a rewrite.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rewritten {
    /// The section with its empty line, ready for the wire: no line begins with a dot.
    pub section: Vec<u8>,
    /// The client's Message-ID, or ours.
    pub message_id: String,
    /// The Bcc fields as they stood: they never leave, and a sent copy may keep them.
    pub bcc: Vec<u8>,
    /// A signature was taken off, because it would no longer hold: From is written anew, or a
    /// field that it covers is taken out.
    pub signature_removed: bool,
}

/// Most octets that a rewrite adds: our Received, From and Sender, Date and Message-ID, some
/// of each with long names, and what is written in place of shorter fields. A host that
/// takes `n` octets gets a client's message of `n` less this.
pub const MAX_GROWTH: u64 = 8 * 1_024;

/// Longest display name in characters: escaped or encoded, it stays within a line.
const MAX_DISPLAY: usize = 128;

/// What happens to a field.
enum Fate {
    Keep,
    Remove,
    Bcc,
    /// From.
    Replace,
    /// Names where answers or receipts go.
    Redirect,
    /// A station on the way here: who it was goes, that it was stays, so that loops are found.
    Neutral,
    /// Removed, and the caller is told.
    Signature,
}

/// Never the client's to write, whoever sends: what hosts say of a message, and Bcc again.
const HOSTS_OWN: &[&str] =
    &["Return-Path", "Apparently-From", "Authentication-Results", "Delivered-To", "Resent-Bcc"];

/// Names the person or their machine.
const REMOVED: &[&str] = &[
    "Sender",
    "X-X-Sender",
    "X-User",
    "X-From",
    "X-Original-From",
    "X-Google-Original-From",
    "X-Original-To",
    "X-Delivered-To",
    "X-Received",
    "X-PHP-Originating-Script",
    "X-PHP-Script",
    "Envelope-To",
    "Errors-To",
    "Abuse-Reports-To",
    "Organization",
    "Organisation",
    "Autocrypt",
    "OpenPGP",
    "Face",
    "X-Face",
    "X-Image-URL",
];

/// The same, by how they begin.
const REMOVED_FAMILIES: &[&str] = &[
    "X-Sender",
    "X-Env",
    "X-Identity",
    "X-Account",
    "X-Originating",
    "X-Authenticat",
    "X-Auth-",
    "X-AuthUser",
    "X-Mozilla-",
    "X-ClientAddr",
    "X-Client-",
    "X-Remote-",
    "X-Source",
    "X-Get-Message-Sender",
    "Resent-",
    "ARC-",
];

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
        put(&mut section, &format!("Received: by {host} (Mandate) with ESMTPSA id {id};\r\n {date}"));
        let (mut bcc, mut signature_removed) = (Vec::new(), false);
        let mut redirected: Vec<&str> = Vec::new();
        for field in &self.fields {
            match fate(field, &to.style) {
                Fate::Keep if is_signature(field) && covers(field, &self.taken(&to.style)) => {
                    signature_removed = true
                }
                Fate::Keep => section.extend_from_slice(field.raw),
                Fate::Remove => {}
                Fate::Bcc => bcc.extend_from_slice(field.raw),
                Fate::Signature => signature_removed = true,
                Fate::Replace => from(to, &mut section),
                Fate::Neutral => put(&mut section, &format!("Received: (before); {date}")),
                Fate::Redirect => {
                    let again = redirected.iter().any(|name| field.is(name));
                    redirected.push(field.name);
                    redirect(field, to, again, &mut section);
                }
            }
        }
        if self.value("Date").is_none() {
            put(&mut section, &format!("Date: {date}"));
        }
        let message_id = self.message_id().unwrap_or_else(|| {
            put(&mut section, &format!("Message-ID: {}", to.message_id));
            to.message_id.to_owned()
        });
        section.extend_from_slice(b"\r\n");
        Rewritten { section, message_id, bcc, signature_removed }
    }
}

impl Header<'_> {
    /// The names of the fields that do not leave as they are: a signature over one would break.
    fn taken(&self, style: &Style<'_>) -> Vec<&str> {
        let kept = |field: &Field<'_>| matches!(fate(field, style), Fate::Keep);
        let mut names: Vec<_> =
            self.fields.iter().filter(|field| !kept(field)).map(|field| field.name).collect();
        // What is added counts, where the signature says that there was none.
        names.extend(["Date", "Message-ID"].into_iter().filter(|name| self.value(name).is_none()));
        names
    }
}

fn put(section: &mut Vec<u8>, field: &str) {
    section.extend_from_slice(field.as_bytes());
    section.extend_from_slice(b"\r\n");
}

fn fate(field: &Field<'_>, style: &Style<'_>) -> Fate {
    if field.is("Bcc") {
        return Fate::Bcc;
    }
    if HOSTS_OWN.iter().any(|name| field.is(name)) {
        return Fate::Remove;
    }
    match style {
        Style::Mailbox { .. } => of_mailbox(field),
        Style::Own(own) => of_own(field, own),
    }
}

fn of_mailbox(field: &Field<'_>) -> Fate {
    let starts = |family: &&str| {
        field.name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
    };
    if field.is("From") {
        Fate::Replace
    } else if field.is("Received") {
        Fate::Neutral
    } else if is_signature(field) {
        Fate::Signature
    } else if REMOVED.iter().any(|name| field.is(name)) || REMOVED_FAMILIES.iter().any(starts) {
        Fate::Remove
    } else if REDIRECTED.iter().any(|name| field.is(name)) {
        Fate::Redirect
    } else {
        Fate::Keep
    }
}

fn is_signature(field: &Field<'_>) -> bool {
    field.is("DKIM-Signature") || field.is("DomainKey-Signature")
}

/// Somebody's own message stays as they wrote it, but for a Sender who is somebody else.
fn of_own(field: &Field<'_>, own: &[Address]) -> Fate {
    if !field.is("Sender") {
        return Fate::Keep;
    }
    let sender = Mailbox::parse(&field.unfolded()).ok().and_then(|sender| sender.path.address());
    if sender.is_some_and(|sender| own.contains(&sender)) { Fate::Keep } else { Fate::Remove }
}

/// The first of the mailbox's own addresses that the field names, else the one of From; of
/// two fields of a name the first. Whatever else stands in it is not the mailbox's: an address
/// unknown here may well be the person's private one.
fn redirect(field: &Field<'_>, to: &Rewrite<'_>, again: bool, section: &mut Vec<u8>) {
    match to.style {
        Style::Mailbox { .. } if again => {}
        Style::Mailbox { address, own, .. } => {
            let address = named(field, own).unwrap_or(address);
            put(section, &format!("{}: {address}", field.name));
        }
        Style::Own(_) => section.extend_from_slice(field.raw),
    }
}

/// A comma within quotes parts what belongs together; all that comes of it is one of `own`.
fn named<'a>(field: &Field<'_>, own: &'a [Address]) -> Option<&'a Address> {
    let text = field.unfolded();
    let mut named = text.split(',').filter_map(|one| Mailbox::parse(one.trim()).ok()?.path.address());
    named.find_map(|named| own.iter().find(|own| **own == named))
}

fn from(to: &Rewrite<'_>, section: &mut Vec<u8>) {
    let Style::Mailbox { address, display: name, on_behalf, .. } = to.style else { return };
    match name.map(display).filter(|name| !name.is_empty()) {
        Some(name) => put(section, &format!("From: {name}\r\n <{address}>")),
        None => put(section, &format!("From: {address}")),
    }
    if let Some(person) = on_behalf {
        put(section, &format!("Sender: {person}"));
    }
}

/// A display name as a quoted string, or as encoded words (RFC 2047) if it is not ASCII.
fn display(name: &str) -> String {
    let name: String = name.chars().filter(|c| !misleads(*c)).take(MAX_DISPLAY).collect();
    // Some readers decode encoded words within quotes, too.
    if name.is_ascii() && !name.contains("=?") {
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

/// Characters that break a line, or turn the direction of what follows.
fn misleads(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a signature covers one of these fields (RFC 6376 §3.5, `h=`).
fn covers(signature: &Field<'_>, names: &[&str]) -> bool {
    let text = signature.unfolded();
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let mut covered = tags.filter(|(tag, _)| tag.trim() == "h").flat_map(|(_, list)| list.split(':'));
    covered.any(|field| names.iter().any(|name| field.trim().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Header;
    use super::{MAX_GROWTH, Rewrite, Rewritten, Style, display};
    use crate::types::Address;

    fn rewritten(section: &str, sender: bool) -> Rewritten {
        let support = Address::parse("Support@example.org").unwrap();
        let alice = Address::parse("alice@example.org").unwrap();
        let style = Style::Mailbox {
            address: &support,
            own: &[support.clone(), Address::parse("help@example.org").unwrap()],
            display: Some("Support"),
            on_behalf: sender.then_some(&alice),
        };
        written(section, style)
    }

    fn written(section: &str, style: Style<'_>) -> Rewritten {
        let to = Rewrite {
            style,
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
            new.signature_removed
                && !out.contains("DKIM")
                && out.contains("Reply-To: Support@example.org\r\n")
        );
    }

    #[test]
    fn answers_and_receipts_go_to_the_mailbox() {
        for (value, wanted) in [
            ("HELP@example.org", "help@example.org"),
            ("\"Alice\" <help@example.org>", "help@example.org"),
            ("private@mail.example, Help\r\n <help@example.org>", "help@example.org"),
            ("private@mail.example", "Support@example.org"),
            ("Support <private@mail.example>", "Support@example.org"),
            ("\"help@example.org\" <private@mail.example>", "Support@example.org"),
            ("help@example.org.mail.example", "Support@example.org"),
            ("team: private@mail.example;", "Support@example.org"),
            ("", "Support@example.org"),
        ] {
            for name in super::REDIRECTED {
                let out = text(&format!("{name}: {value}\r\nFrom: support@example.org\r\n\r\n"));
                assert!(out.contains(&format!("\r\n{name}: {wanted}\r\n")), "{name}: {value}: {out}");
                assert!(!out.contains("private"), "{name}: {value}: {out}");
            }
        }
    }

    /// Each field that can name the person, with the person in it: gone, or the mailbox's.
    #[test]
    fn nothing_names_the_person() {
        let from = "From: support@example.org\r\nDate: x\r\nMessage-ID: <1@x>\r\n";
        let fields = super::REMOVED.iter().chain(super::REDIRECTED).chain(super::HOSTS_OWN);
        let families = super::REMOVED_FAMILIES.iter().map(|family| format!("{family}IP"));
        for name in fields.map(|name| (*name).to_owned()).chain(families).chain(["Received".into()]) {
            for who in
                ["<Alice@Example.org>", "alice/support@example.org", "=?utf-8?q?=61lice?= <x@y.example>"]
            {
                let out = text(&format!("{name}: {who}\r\n{from}\r\n")).to_ascii_lowercase();
                assert!(!out.contains("alice") && !out.contains("=61"), "{name}: {out}");
            }
        }
    }

    #[test]
    fn stations_stay_counted_and_lose_their_names() {
        let out = text(
            "Received: from laptop [10.0.0.1] by x; y\r\nReceived: z\r\nFrom: support@example.org\r\n\r\n",
        );
        let neutral = "Received: (before); Sat, 21 Nov 2026 12:00:00 +0000\r\n";
        assert!(out.starts_with(&format!("{RECEIVED}{neutral}{neutral}From: ")), "{out}");
    }

    #[test]
    fn bcc_never_leaves_and_is_handed_over() {
        let section =
            "Bcc: b@x.example,\r\n c@x.example\r\nFrom: alice@example.org\r\nbcc: d@x.example\r\n\r\n";
        let own = [Address::parse("alice@example.org").unwrap()];
        for out in [rewritten(section, false), written(section, Style::Own(&own))] {
            assert_eq!(out.bcc, b"Bcc: b@x.example,\r\n c@x.example\r\nbcc: d@x.example\r\n");
            assert!(!String::from_utf8(out.section).unwrap().to_ascii_lowercase().contains("bcc"));
        }
    }

    #[test]
    fn own_mail_stays_as_it_was_written() {
        let own = [Address::parse("alice@example.org").unwrap()];
        let kept = "From: \"Alice\" <alice@example.org>\r\nReply-To: x@y.example\r\nDKIM-Signature: v=1\r\n\
            Sender: alice@example.org\r\nX-Mozilla-News-Host: x\r\nDate: x\r\nMessage-ID: <1@x>\r\n";
        let out = written(&format!("Return-Path: <ceo@example.org>\r\n{kept}\r\n"), Style::Own(&own));
        assert_eq!(String::from_utf8(out.section).unwrap(), format!("{RECEIVED}{kept}\r\n"));
        assert!(!out.signature_removed);
        for (signature, removed) in
            [("h=From:To", false), ("c=x; h = from :\r\n bcc", true), ("h=Date", true)]
        {
            let out = written(
                &format!(
                    "DKIM-Signature: v=1; {signature}; b=x\r\nBcc: b@x\r\nFrom: alice@example.org\r\n\r\n"
                ),
                Style::Own(&own),
            );
            assert_eq!(out.signature_removed, removed, "{signature}");
            assert_eq!(String::from_utf8(out.section).unwrap().contains("DKIM"), !removed, "{signature}");
        }
        let forged = written("Sender: ceo@example.org\r\nFrom: alice@example.org\r\n\r\n", Style::Own(&own));
        assert!(!String::from_utf8(forged.section).unwrap().contains("ceo"));
    }

    /// The longest names, the shortest fields to be replaced: within what SIZE allows for.
    #[test]
    fn growth_is_bounded() {
        let local = "x".repeat(64);
        let domain = format!("{}.example", vec!["y".repeat(58); 3].join("."));
        let long = Address::parse(&format!("{local}@{domain}")).unwrap();
        let name = "\u{10348}".repeat(200);
        let style = Style::Mailbox { address: &long, own: &[], display: Some(&name), on_behalf: Some(&long) };
        let redirected: String = super::REDIRECTED.iter().map(|name| format!("{name}: a\r\n")).collect();
        let received = "Received:\r\n".repeat(super::super::MAX_RECEIVED);
        let section = format!("{received}{redirected}From: a@b.example\r\n");
        let to = Rewrite {
            style,
            host: &domain,
            id: &"i".repeat(64),
            date: "Sat, 21 Nov 2026 12:00:00 +0000",
            message_id: &format!("<{}@{domain}>", "i".repeat(64)),
        };
        let out = Header::parse(section.as_bytes(), true).unwrap().rewrite(&to);
        let growth = (out.section.len() - section.len()) as u64;
        assert!(growth > MAX_GROWTH / 2 && growth <= MAX_GROWTH, "{growth}");
    }

    #[test]
    fn display_names() {
        assert_eq!(display("a \"b\" \\ c"), "\"a \\\"b\\\" \\\\ c\"");
        assert_eq!(display("x\r\nBcc: y"), "\"xBcc: y\"");
        assert_eq!(display("B\u{fc}ro"), "=?UTF-8?B?QsO8cm8=?=");
        assert_eq!(display("CEO\" <ceo@example.org>, \"x"), "\"CEO\\\" <ceo@example.org>, \\\"x\"");
        assert_eq!(display("a\u{202e}b\u{2028}c\u{2066}d\0"), "\"abcd\"");
        assert_eq!(display("=?utf-8?q?ceo?="), "=?UTF-8?B?PT91dGYtOD9xP2Nlbz89?=");
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
                style: Style::Mailbox { address: &mailbox, own: &[], display: Some(&name), on_behalf: None },
                host: "h", id: "1",
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
