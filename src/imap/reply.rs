//! Our own answers, as octets for the client.
//!
//! Every sentence passes [`sentence`]: no upstream or user text can end a line here.

use crate::imap::command::{SearchReturn, Tag};
use crate::imap::response::Quota;
use crate::policy::Rights;
use crate::types::{Separator, UidSet};

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Ok,
    No,
    Bad,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

/// `tag OK [code] text`. `code` is ours and without brackets; empty is none.
pub fn tagged(out: &mut Vec<u8>, tag: &Tag, outcome: Outcome, code: &str, text: &str) {
    status(out, tag.as_str(), outcome.as_str(), code, text);
}

/// Tagged OK: `a1 OK [code] NOOP completed`.
pub fn completed(out: &mut Vec<u8>, tag: &Tag, code: &str, verb: &'static str) {
    tagged(out, tag, Outcome::Ok, code, verb);
    out.truncate(out.len() - b"\r\n".len());
    out.extend_from_slice(b" completed\r\n");
}

/// `* OK [code] text`, and NO and BAD.
pub fn untagged(out: &mut Vec<u8>, outcome: Outcome, code: &str, text: &str) {
    status(out, "*", outcome.as_str(), code, text);
}

/// `* BYE [code] text`; the connection is closed behind it.
pub fn bye(out: &mut Vec<u8>, code: &str, text: &str) {
    status(out, "*", "BYE", code, text);
}

/// BAD for a command whose tag could not be read (RFC 3501 §7.1.3).
pub fn bad_without_tag(out: &mut Vec<u8>, text: &str) {
    status(out, "*", "BAD", "", text);
}

/// `+` with a SASL challenge in base64, which may be empty (RFC 3501 §7.5): no text then.
pub fn challenge(out: &mut Vec<u8>, base64: &str) {
    out.extend_from_slice(b"+ ");
    out.extend(base64.bytes().filter(|octet| octet.is_ascii_alphanumeric() || b"+/=".contains(octet)));
    out.extend_from_slice(b"\r\n");
}

/// `+ text`.
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"+ ");
    sentence(out, text);
    out.extend_from_slice(b"\r\n");
}

fn status(out: &mut Vec<u8>, tag: &str, condition: &str, code: &str, text: &str) {
    out.extend_from_slice(tag.as_bytes());
    out.push(b' ');
    out.extend_from_slice(condition.as_bytes());
    out.push(b' ');
    if !code.is_empty() {
        out.push(b'[');
        out.extend(code.bytes().filter(|octet| (0x20..0x7f).contains(octet) && *octet != b']'));
        out.extend_from_slice(b"] ");
    }
    sentence(out, text);
    out.extend_from_slice(b"\r\n");
}

/// Longest sentence in octets: a line of 512 with its tag and code is what old clients take.
const MAX_SENTENCE: usize = 400;

/// Printable ASCII; anything else becomes `?`, and an empty text `-` (RFC 3501 §9 wants one).
///
/// A text that began with `[` would be read as a code.
pub fn sentence(out: &mut Vec<u8>, text: &str) {
    let text = text.trim_start_matches([' ', '[']);
    let printable = |c: char| if (' '..='~').contains(&c) { c as u8 } else { b'?' };
    let before = out.len();
    out.extend(text.chars().take(MAX_SENTENCE).map(printable));
    if out.len() == before {
        out.push(b'-');
    }
}

/// A line of untagged data: `* ` in front, CRLF behind. `data` is ours.
pub fn data(out: &mut Vec<u8>, data: &str) {
    out.extend_from_slice(b"* ");
    out.extend(data.bytes().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)));
    out.extend_from_slice(b"\r\n");
}

/// The answer to a SEARCH whose result is ours: `* SEARCH`, or ESEARCH where RETURN was given
/// (RFC 4731 §3.1; without options it means ALL, and SAVE alone means silence), with MODSEQ where
/// there is one (RFC 7162 §3.1.10).
pub fn searched(
    out: &mut Vec<u8>,
    tag: &Tag,
    uid: bool,
    ret: Option<SearchReturn>,
    (found, mod_seq): (&UidSet, Option<u64>),
) {
    let Some(ret) = ret else {
        out.extend_from_slice(b"* SEARCH");
        found.iter().for_each(|number| out.extend_from_slice(format!(" {number}").as_bytes()));
        out.extend_from_slice(b"\r\n");
        return;
    };
    if !ret.tells() {
        return;
    }
    let all = ret.all || ret == SearchReturn::default();
    let mut line = format!("ESEARCH (TAG \"{}\"){}", tag.as_str(), if uid { " UID" } else { "" });
    let mut word = |on: bool, name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|_| on) {
            line.push_str(&format!(" {name} {value}"));
        }
    };
    word(ret.min, "MIN", found.first().map(|number| number.to_string()));
    word(ret.max, "MAX", found.last().map(|number| number.to_string()));
    word(all, "ALL", (!found.is_empty()).then(|| found.to_string()));
    word(ret.count, "COUNT", Some(found.len().to_string()));
    word(true, "MODSEQ", mod_seq.map(|value| value.to_string()));
    data(out, &line);
}

/// `* n EXISTS` and its like.
pub fn number(out: &mut Vec<u8>, number: u32, word: &str) {
    data(out, &format!("{number} {word}"));
}

/// An astring (RFC 3501 §9): quoted where that is possible, else a literal.
///
/// Never an atom: clients take `"INBOX"` as well, and nothing has to be known of them.
pub fn astring(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = |octet: &u8| (0x20..0x7f).contains(octet);
    if !text.iter().all(quotable) {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
}

/// `* FLAGS (..)`; `flags` as [`crate::imap::filter`] made it, parentheses included.
pub fn flags(out: &mut Vec<u8>, flags: &str) {
    data(out, &format!("FLAGS {flags}"));
}

/// `* CAPABILITY ..`.
pub fn capability(out: &mut Vec<u8>, list: &str) {
    data(out, &format!("CAPABILITY {list}"));
}

/// `* MYRIGHTS folder rights` (RFC 4314 §3.8); `wire`: the folder in modified UTF-7.
pub fn my_rights(out: &mut Vec<u8>, wire: &[u8], rights: Rights) {
    out.extend_from_slice(b"* MYRIGHTS ");
    astring(out, wire);
    out.push(b' ');
    out.extend_from_slice(rights.rfc_letters().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* LISTRIGHTS folder identifier rights` (RFC 4314 §3.7): the rights held always are, and
/// nothing can be given or taken.
pub fn list_rights(out: &mut Vec<u8>, wire: &[u8], identifier: &[u8], rights: Rights) {
    out.extend_from_slice(b"* LISTRIGHTS ");
    astring(out, wire);
    out.push(b' ');
    astring(out, identifier);
    out.push(b' ');
    let letters = rights.rfc_letters();
    if letters.is_empty() {
        out.extend_from_slice(b"\"\"");
    }
    out.extend_from_slice(letters.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* QUOTAROOT`: the folder's one root, or none (RFC 9208 §4.2.2).
pub fn quota_root(out: &mut Vec<u8>, wire: &[u8], root: Option<&str>) {
    out.extend_from_slice(b"* QUOTAROOT ");
    astring(out, wire);
    if let Some(root) = root {
        out.push(b' ');
        astring(out, root.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* QUOTA`: how much of each resource is used (RFC 9208 §4.2.1).
pub fn quota(out: &mut Vec<u8>, root: &str, quotas: &[Quota]) {
    out.extend_from_slice(b"* QUOTA ");
    astring(out, root.as_bytes());
    let told = |quota: &Quota| format!("{} {} {}", quota.resource.as_str(), quota.used, quota.limit);
    let told: Vec<String> = quotas.iter().map(told).collect();
    out.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
}

/// `* NAMESPACE (("INBOX." ".")) NIL NIL` (RFC 2342 §5): one personal name space, below `root`.
///
/// `shared` is the level of the combined view that holds the shared mailboxes:
/// `* NAMESPACE (("" "/")) NIL (("Shared/" "/"))`. Both are without the separator, in modified
/// UTF-7.
pub fn namespace(out: &mut Vec<u8>, of: Separator, root: Option<&str>, shared: Option<&str>) {
    out.extend_from_slice(b"* NAMESPACE ");
    name_space(out, of, root);
    out.extend_from_slice(b" NIL ");
    match shared {
        None => out.extend_from_slice(b"NIL"),
        Some(_) => name_space(out, of, shared),
    }
    out.extend_from_slice(b"\r\n");
}

fn name_space(out: &mut Vec<u8>, of: Separator, root: Option<&str>) {
    let prefix = root.map(|root| format!("{root}{}", of.map(String::from).unwrap_or_default()));
    out.extend_from_slice(b"((");
    astring(out, prefix.unwrap_or_default().as_bytes());
    out.push(b' ');
    separator(out, of);
    out.extend_from_slice(b"))");
}

/// A hierarchy separator in LIST and NAMESPACE: `"/"`, or NIL in a flat name space.
pub fn separator(out: &mut Vec<u8>, separator: Separator) {
    match separator {
        None => out.extend_from_slice(b"NIL"),
        Some(separator) => {
            let mut octets = [0; 4];
            astring(out, separator.encode_utf8(&mut octets).as_bytes());
        }
    }
}

/// `* ID (..)` (RFC 2971): the name only; versions help nobody but attackers.
pub fn id(out: &mut Vec<u8>) {
    data(out, "ID (\"name\" \"Mandate\")");
}

/// `* LIST (attributes) separator name` and LSUB; `extended` is what stands behind the name.
pub fn list(out: &mut Vec<u8>, verb: &str, attributes: &[&str], of: Separator, wire: &[u8], extended: &str) {
    out.extend_from_slice(format!("* {verb} ({}) ", attributes.join(" ")).as_bytes());
    separator(out, of);
    out.push(b' ');
    astring(out, wire);
    if !extended.is_empty() {
        out.push(b' ');
        out.extend_from_slice(extended.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_text_ends_a_line() {
        let tag = Tag::parse(b"a1").unwrap();
        for (text, line) in [
            ("Done", "a1 OK [X] Done\r\n"),
            ("a\r\n* BYE", "a1 OK [X] a??* BYE\r\n"),
            ("\0\u{7f}ü", "a1 OK [X] ???\r\n"),
            ("", "a1 OK [X] -\r\n"),
            ("[ALERT] x", "a1 OK [X] ALERT] x\r\n"),
        ] {
            assert_eq!(written(|out| tagged(out, &tag, Outcome::Ok, "X", text)), line);
        }
        assert_eq!(written(|out| bye(out, "A]\r\nB", "x")), "* BYE [AB] x\r\n");
        assert_eq!(written(|out| data(out, "X\r\ny")), "* Xy\r\n");
        assert!(written(|out| bye(out, "", &"x".repeat(9999))).len() < 512);
    }

    #[test]
    fn strings_are_quoted_or_counted() {
        for (text, expected) in [
            (b"INBOX".as_slice(), "\"INBOX\""),
            (b"a\"b\\c", "\"a\\\"b\\\\c\""),
            (b"", "\"\""),
            (b"a\r\nb", "{4}\r\na\r\nb"),
            ("ü".as_bytes(), "{2}\r\nü"),
        ] {
            assert_eq!(written(|out| astring(out, text)), expected);
        }
    }

    #[test]
    fn answers_from_policy() {
        let rights = Rights::letters("lrswite").unwrap();
        assert_eq!(written(|out| my_rights(out, b"Drafts", rights)), "* MYRIGHTS \"Drafts\" lrswited\r\n");
        assert_eq!(
            written(|out| list_rights(out, b"x", b"alice", Rights::NONE)),
            "* LISTRIGHTS \"x\" \"alice\" \"\"\r\n"
        );
        let cases = [
            ((Some('/'), None, None), r#"(("" "/")) NIL NIL"#),
            ((None, None, None), r#"(("" NIL)) NIL NIL"#),
            ((Some('.'), Some("INBOX"), None), r#"(("INBOX." ".")) NIL NIL"#),
            ((Some('/'), None, Some("Shared")), r#"(("" "/")) NIL (("Shared/" "/"))"#),
        ];
        for ((of, root, shared), words) in cases {
            assert_eq!(written(|out| namespace(out, of, root, shared)), format!("* NAMESPACE {words}\r\n"));
        }
        assert_eq!(
            written(|out| list(out, "LIST", &["\\Sent", "\\HasNoChildren"], Some('\\'), b"Sent", "")),
            "* LIST (\\Sent \\HasNoChildren) \"\\\\\" \"Sent\"\r\n"
        );
    }
}
