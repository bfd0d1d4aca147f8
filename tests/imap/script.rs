//! Transcripts: what is said on both sides of the proxy, line by line.
//!
//! | line | means |
//! |---|---|
//! | `C: ..` | the client says this line; lines that follow each other come in one piece |
//! | `P: ..` | the proxy answers the client exactly this line; `...` is anything |
//! | `U: ..` | the proxy says exactly this line upstream; `@` is its tag |
//! | `S: ..` | upstream answers on the connection of the last `U:`; `@` is that tag |
//! | `C+ ..` `P+ ..` `U+ ..` `S+ ..` | the same without CRLF |
//! | `Cx N ..` `Px N ..` `Ux N ..` `Sx N ..` | the same, N times |
//! | `P* ..` | skips lines to the client until one is this |
//!
//! `\0`, `\r`, `\n` and `\xHH` are octets. Everything else is a directive, see [`Step`] and
//! [`Setting`]; `#` begins a comment. Settings stand before the dialogue.

use std::fmt;

/// A file, for one value of each of its `for` lines.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) name: String,
    pub(crate) settings: Vec<Setting>,
    pub(crate) steps: Vec<(usize, Step)>,
}

/// How the world is before the client connects.
#[derive(Clone, Debug)]
pub(crate) enum Setting {
    /// `pin FOLDER CLASS`: the folder's class in the mailbox.
    Pin(String, String),
    /// `with CAPABILITY ..`: upstream has these too.
    With(String),
    /// `without CAPABILITY ..`: upstream has not.
    Without(String),
    /// `option KEY VALUE`: an option of the mailbox's. Its `read_state` is `shared` otherwise.
    Option(String, String),
    /// `append limit N`: the proxy's limit.
    AppendLimit(u64),
    /// `separator c`: upstream's hierarchy separator.
    Separator(char),
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Client(Vec<u8>),
    Proxy(Pattern),
    ProxySkips(Pattern),
    ProxyPart(Vec<u8>),
    Upstream(Pattern),
    UpstreamPart(Vec<u8>),
    Server(Vec<u8>),
    /// `revoke USER`
    Revoke(String),
    /// `role USER ROLE`
    Role(String, String),
    /// `narrow USER [only PATTERN ..] [except PATTERN ..]`
    Narrow(String, Vec<String>),
    /// `folder "NAME" [ATTRIBUTES]`: upstream lists it from now on.
    Folder(String, String),
    /// `no folder "NAME"`
    NoFolder(String),
    /// `wait N`: seconds pass.
    Wait(u64),
    /// `drain`: the daemon is asked to stop.
    Drain,
    /// `close upstream`
    CloseUpstream,
    /// `close client`
    CloseClient,
    /// `expect closed`: the proxy closes in good order, and says nothing more.
    ExpectClosed,
    /// `expect cut`: it closes without a word.
    ExpectCut,
    /// `expect cut anyhow`: the same, perhaps after something that depends on the pieces.
    ExpectCutAnyhow,
    /// `nothing upstream`: nothing has been said there that was not expected.
    NothingUpstream,
}

/// A line with holes.
#[derive(Clone)]
pub(crate) struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    fn parse(text: &str) -> Self {
        Self(text.split("...").map(unescape).collect())
    }

    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(mut line) = line.strip_prefix(first.as_slice()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return line.is_empty() };
        for part in middle {
            let Some(at) = find(line, part) else { return false };
            line = &line[at + part.len()..];
        }
        line.ends_with(last)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|part| escape(part)).collect();
        f.write_str(&parts.join("..."))
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    (0..=text.len().checked_sub(part.len())?).find(|at| text[*at..].starts_with(part))
}

/// Octets as a transcript writes them.
pub(crate) fn escape(octets: &[u8]) -> String {
    let mut out = String::new();
    for octet in octets {
        match octet {
            0 => out.push_str("\\0"),
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b' '..=b'~' => out.push(char::from(*octet)),
            _ => out.push_str(&format!("\\x{octet:02x}")),
        }
    }
    out
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = || u8::from_str_radix(std::str::from_utf8(rest.get(2..4)?).ok()?, 16).ok();
        let (octet, length) = match (first, behind.first()) {
            (b'\\', Some(b'0')) => (0, 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'x')) if hex().is_some() => (hex().unwrap_or_default(), 4),
            _ => (*first, 1),
        };
        out.push(octet);
        rest = &rest[length..];
    }
    out
}

/// The transcripts in a file: one, or one for each value of its `for` lines.
///
/// # Panics
/// On a line that means nothing.
pub(crate) fn read(name: &str, text: &str) -> Vec<Transcript> {
    let mut variants = vec![(name.to_owned(), text.to_owned())];
    for line in text.lines().filter_map(|line| line.strip_prefix("for ")) {
        let (variable, values) = line.split_once(" = ").unwrap_or_else(|| panic!("{name}: for {line}"));
        variants = variants
            .iter()
            .flat_map(|(name, text)| {
                values.split(' ').map(move |value| {
                    (format!("{name} ({value})"), text.replace(&format!("${variable}"), value))
                })
            })
            .collect();
    }
    variants.iter().map(|(name, text)| one(name, text)).collect()
}

fn one(name: &str, text: &str) -> Transcript {
    let mut transcript = Transcript { name: name.to_owned(), settings: Vec::new(), steps: Vec::new() };
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#'])) {
        if line.starts_with("for ") {
            continue;
        }
        if let Some(setting) = setting(line) {
            assert!(transcript.steps.is_empty(), "{name}, line {at}: settings come first");
            transcript.settings.push(setting);
            continue;
        }
        let lines = prelude(line).unwrap_or_else(|| vec![line.to_owned()]);
        for line in lines {
            let step = said(&line).or_else(|| directive(&line));
            let step = step.unwrap_or_else(|| panic!("{name}, line {at}: {line:?} means nothing"));
            transcript.steps.push((at, step));
        }
    }
    transcript
}

fn setting(line: &str) -> Option<Setting> {
    let (word, rest) = line.split_once(' ')?;
    Some(match word {
        "pin" => {
            let (folder, class) = rest.rsplit_once(' ')?;
            Setting::Pin(folder.trim_matches('"').to_owned(), class.to_owned())
        }
        "option" => {
            let (key, value) = rest.split_once(' ')?;
            Setting::Option(key.to_owned(), value.to_owned())
        }
        "with" => Setting::With(rest.to_owned()),
        "without" => Setting::Without(rest.to_owned()),
        "append" => Setting::AppendLimit(rest.strip_prefix("limit ")?.parse().ok()?),
        "separator" => Setting::Separator(rest.chars().next()?),
        _ => return None,
    })
}

/// The standard dialogues, in short.
fn prelude(line: &str) -> Option<Vec<String>> {
    let (word, rest) = line.split_once(' ')?;
    let lines = match word {
        "login" => vec![
            format!("C: l1 LOGIN {rest}@example.org/support secret"),
            "P: l1 OK [CAPABILITY ...] Logged in".to_owned(),
        ],
        "select" | "empty" => {
            let messages = if word == "empty" { 0 } else { 5 };
            vec![
                format!("C: s1 SELECT {rest}"),
                format!("U: @ ... \"{rest}\""),
                "S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw)".to_owned(),
                "S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw \\*)] Flags."
                    .to_owned(),
                format!("S: * {messages} EXISTS"),
                "S: * 0 RECENT".to_owned(),
                "S: * OK [UIDVALIDITY 7] UIDs valid".to_owned(),
                "S: * OK [UIDNEXT 60] Predicted next UID".to_owned(),
                "S: @ OK [READ-WRITE] Select completed".to_owned(),
                "P* s1 OK [READ-...] SELECT completed".to_owned(),
            ]
        }
        _ => return None,
    };
    Some(lines)
}

fn said(line: &str) -> Option<Step> {
    let (who, rest) = line.split_at_checked(2)?;
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    let with_end = || [unescape(text), b"\r\n".to_vec()].concat();
    Some(match who {
        "C:" => Step::Client(with_end()),
        "C+" => Step::Client(unescape(text)),
        "P:" => Step::Proxy(Pattern::parse(text)),
        "P*" => Step::ProxySkips(Pattern::parse(text)),
        "P+" => Step::ProxyPart(unescape(text)),
        "U:" => Step::Upstream(Pattern::parse(text)),
        "U+" => Step::UpstreamPart(unescape(text)),
        "S:" => Step::Server(with_end()),
        "S+" => Step::Server(unescape(text)),
        "Cx" => Step::Client(repeated(text)?),
        "Px" => Step::ProxyPart(repeated(text)?),
        "Ux" => Step::UpstreamPart(repeated(text)?),
        "Sx" => Step::Server(repeated(text)?),
        _ => return None,
    })
}

fn repeated(text: &str) -> Option<Vec<u8>> {
    let (times, text) = text.split_once(' ')?;
    Some(unescape(text).repeat(times.parse().ok()?))
}

fn directive(line: &str) -> Option<Step> {
    if let Some(quoted) = line.strip_prefix("folder \"") {
        let (name, attributes) = quoted.split_once('"')?;
        return Some(Step::Folder(name.to_owned(), attributes.trim_start().to_owned()));
    }
    let words: Vec<&str> = line.split(' ').collect();
    Some(match *words.as_slice() {
        ["revoke", user] => Step::Revoke(user.to_owned()),
        ["role", user, role] => Step::Role(user.to_owned(), role.to_owned()),
        ["narrow", user, ref rest @ ..] => {
            Step::Narrow(user.to_owned(), rest.iter().map(|word| word.to_string()).collect())
        }
        ["no", "folder", name] => Step::NoFolder(name.to_owned()),
        ["folder", name] => Step::Folder(name.to_owned(), String::new()),
        ["folder", name, ref attributes @ ..] => Step::Folder(name.to_owned(), attributes.join(" ")),
        ["wait", seconds] => Step::Wait(seconds.parse().ok()?),
        ["drain"] => Step::Drain,
        ["close", "upstream"] => Step::CloseUpstream,
        ["close", "client"] => Step::CloseClient,
        ["expect", "closed"] => Step::ExpectClosed,
        ["expect", "cut"] => Step::ExpectCut,
        ["expect", "cut", "anyhow"] => Step::ExpectCutAnyhow,
        ["nothing", "upstream"] => Step::NothingUpstream,
        _ => return None,
    })
}
