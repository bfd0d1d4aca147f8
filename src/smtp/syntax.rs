//! The shape of a command line, before its values are read.
//!
//! smtp-proto reads the values, and is lenient about everything around them: it strips
//! quotes from addresses, drops routes, skips spaces, takes a parameter twice and arguments
//! where none belong. So a line is let through to it only in the one shape that leaves it
//! no choice, and what it read is compared with what stood there (`command`).

use super::Answer;

/// Why a line is no command of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bad {
    pub answer: Answer,
    /// It speaks another protocol: close without another word.
    pub hang_up: bool,
}

impl Bad {
    pub(super) fn new(code: u16, subject: u16, detail: u16, sentence: &'static str) -> Self {
        Self { answer: Answer::new(code, subject, detail, sentence), hang_up: false }
    }

    pub(super) fn syntax(sentence: &'static str) -> Self {
        Self::new(501, 5, 4, sentence)
    }
}

/// The verbs that this proxy knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Auth,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    StartTls,
}

const VERBS: &[(&str, Verb)] = &[
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("AUTH", Verb::Auth),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("VRFY", Verb::Vrfy),
    ("HELP", Verb::Help),
    ("QUIT", Verb::Quit),
    ("STARTTLS", Verb::StartTls),
];

/// Known to the world, never offered here (RFC 5321 §4.2.4: 502).
const NOT_HERE: &[&str] = &[
    "LHLO", "BDAT", "BURL", "ETRN", "ATRN", "EXPN", "TURN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD",
    "XEXCH50",
];

/// First words of a browser that was led here (ALPACA: cross-protocol requests).
const FOREIGN: &[&str] =
    &["GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE", "DELETE", "PATCH", "HOST:"];

/// A line's verb and what follows the space after it.
pub(super) fn verb(line: &str) -> Result<(Verb, Option<&str>), Bad> {
    let (word, rest) = match line.split_once(' ') {
        Some((word, rest)) => (word, Some(rest)),
        None => (line, None),
    };
    let is = |name: &&str| word.eq_ignore_ascii_case(name);
    if FOREIGN.iter().any(&is) {
        let answer = Answer::new(500, 5, 1, "This is a mail submission service");
        return Err(Bad { answer, hang_up: true });
    }
    if let Some((_, verb)) = VERBS.iter().find(|(name, _)| is(name)) {
        return Ok((*verb, rest));
    }
    if NOT_HERE.iter().any(is) {
        return Err(Bad::new(502, 5, 1, "This command is not offered here"));
    }
    Err(Bad::new(500, 5, 2, "Unknown command"))
}

/// Printable text in UTF-8: no control characters (a tab is one), no NUL.
pub(super) fn text(line: &[u8]) -> Result<&str, Bad> {
    let text = std::str::from_utf8(line).map_err(|_| Bad::new(500, 5, 2, "The line is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(Bad::new(500, 5, 2, "The line has a control character"));
    }
    Ok(text)
}

/// `FROM:<path> KEY=value KEY`: the path's text and the parameters.
pub(super) struct Envelope<'a> {
    pub path: &'a str,
    pub params: Vec<(&'a str, Option<&'a str>)>,
}

/// Splits the argument of MAIL or RCPT; `allowed` are its parameters and whether each has a value.
pub(super) fn envelope<'a>(
    rest: Option<&'a str>,
    word: &str,
    allowed: &[(&str, bool)],
) -> Result<Envelope<'a>, Bad> {
    let bad = || Bad::syntax("The form is MAIL FROM:<address> or RCPT TO:<address>, without spaces");
    let rest = rest.ok_or_else(bad)?;
    let (head, tail) = rest.split_at_checked(word.len()).ok_or_else(bad)?;
    if !head.eq_ignore_ascii_case(word) {
        return Err(bad());
    }
    let (path, tail) = tail.strip_prefix('<').and_then(|tail| tail.split_once('>')).ok_or_else(bad)?;
    let mut params: Vec<(&str, Option<&str>)> = Vec::new();
    let mut tail = tail;
    while !tail.is_empty() {
        tail = tail.strip_prefix(' ').ok_or_else(bad)?;
        let (param, next) = tail.split_at(tail.find(' ').unwrap_or(tail.len()));
        params.push(parameter(param, allowed, &params)?);
        tail = next;
    }
    Ok(Envelope { path, params })
}

fn parameter<'a>(
    param: &'a str,
    allowed: &[(&str, bool)],
    before: &[(&str, Option<&str>)],
) -> Result<(&'a str, Option<&'a str>), Bad> {
    let (key, value) = match param.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (param, None),
    };
    if key.is_empty() {
        return Err(Bad::syntax("A parameter is empty"));
    }
    let known = allowed.iter().find(|(name, _)| key.eq_ignore_ascii_case(name));
    let (_, valued) = known.ok_or_else(|| Bad::new(555, 5, 4, "A parameter is not offered here"))?;
    if value.is_some_and(|value| !value.is_empty()) != *valued || value == Some("") {
        return Err(Bad::syntax("A parameter has no value, or one that does not belong"));
    }
    if before.iter().any(|(other, _)| key.eq_ignore_ascii_case(other)) {
        return Err(Bad::syntax("A parameter stands twice"));
    }
    Ok((key, value))
}

/// xtext (RFC 3461 §4): printable ASCII without `+` and `=`, or `+` and two upper-case hex
/// digits; decoded it must be printable ASCII too, so that no line end hides in it.
pub(super) fn is_xtext(value: &str) -> bool {
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => {
                let Some((digits, tail)) = tail.split_at_checked(2) else { return false };
                let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
                // 20 to 7E, by its digits.
                let printable = matches!(digits[0], b'2'..=b'7') && digits != b"7F";
                if !digits.iter().all(hex) || !printable {
                    return false;
                }
                rest = tail;
            }
            b'!'..=b'~' if *first != b'=' => {}
            _ => return false,
        }
    }
    !value.is_empty()
}

/// Writes printable ASCII as xtext.
pub(super) fn xtext(value: &str, out: &mut Vec<u8>) {
    for b in value.bytes() {
        match b {
            b'!'..=b'~' if b != b'+' && b != b'=' => out.push(b),
            _ => out.extend_from_slice(format!("+{b:02X}").as_bytes()),
        }
    }
}
