//! What a server said, in a form in which two servers can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::imap::literal_length;

/// The answer to one command, or to several in one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// `OK`, `NO`, `BAD`; `BYE` if the connection ended instead.
    pub(crate) condition: String,
    /// The tagged answer's code, in upper case, with its arguments: `COPYUID 1 2:3 4:5`.
    pub(crate) code: String,
    pub(crate) said: Vec<Said>,
    /// As they came, for the report of a difference.
    pub(crate) raw: Vec<String>,
}

/// An untagged response. Texts, `\Recent`, dates and numbers that mean nothing outside one server
/// are gone already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    Exists(u32),
    Expunge(u32),
    Fetch(u32, Items),
    /// FLAGS, and the code PERMANENTFLAGS.
    Flags(&'static str, BTreeSet<String>),
    /// Anything else, made canonical; the first word is its kind.
    Data(String),
}

pub(crate) type Items = BTreeMap<String, String>;

/// A value of RFC 3501's formal syntax.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Value {
    Word(String),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Answer {
    pub(crate) fn take(&mut self, response: &[u8]) {
        self.raw.push(String::from_utf8_lossy(response).into_owned());
        self.said.extend(said(response));
    }

    /// Takes what follows the tag.
    pub(crate) fn tagged(&mut self, rest: &[u8]) {
        let text = String::from_utf8_lossy(rest).into_owned();
        self.condition = text.split(' ').next().unwrap_or_default().to_owned();
        self.code = code(text.split_once(' ').map_or("", |(_, rest)| rest)).unwrap_or_default();
        self.raw.push(text);
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.condition == "OK"
    }

    /// The code's name.
    pub(crate) fn code_name(&self) -> &str {
        self.code.split(' ').next().unwrap_or_default()
    }

    /// The data of some kinds, in an order that does not matter.
    pub(crate) fn data(&self) -> Vec<&str> {
        let mut data: Vec<&str> = self.said.iter().filter_map(Said::data).collect();
        data.sort_unstable();
        data
    }
}

impl Said {
    fn data(&self) -> Option<&str> {
        match self {
            Said::Data(text) => Some(text),
            Said::Exists(_) | Said::Expunge(_) | Said::Fetch(..) | Said::Flags(..) => None,
        }
    }
}

fn said(response: &[u8]) -> Option<Said> {
    let rest = response.strip_prefix(b"* ")?;
    let line = String::from_utf8_lossy(rest).into_owned();
    let mut words = line.split(' ');
    let first = words.next()?.to_ascii_uppercase();
    if let Ok(number) = first.parse::<u32>() {
        return match words.next()?.to_ascii_uppercase().as_str() {
            "EXISTS" => Some(Said::Exists(number)),
            "EXPUNGE" => Some(Said::Expunge(number)),
            "FETCH" => {
                let at = memchr::memchr(b'(', rest)?;
                Some(Said::Fetch(number, items(&values(&rest[at..])?)?))
            }
            _ => None,
        };
    }
    match first.as_str() {
        "OK" | "NO" | "BAD" | "PREAUTH" => {
            let code = code(&line[first.len() + 1..])?;
            match code.split(' ').next()? {
                "PERMANENTFLAGS" => Some(Said::Flags("PERMANENTFLAGS", flags(&code))),
                // Numbers of one server, and what is said by one of them only.
                "UIDVALIDITY" | "HIGHESTMODSEQ" | "NOMODSEQ" | "CLOSED" => None,
                _ => Some(Said::Data(code)),
            }
        }
        "FLAGS" => Some(Said::Flags("FLAGS", flags(&line))),
        "BYE" => Some(Said::Data("BYE".to_owned())),
        _ => Some(Said::Data(canonical(&first, &values(&rest[first.len()..])?))),
    }
}

/// `[CODE ..] text` gives the code.
fn code(text: &str) -> Option<String> {
    let inner = text.strip_prefix('[')?;
    Some(inner[..inner.find(']')?].to_ascii_uppercase())
}

fn flags(text: &str) -> BTreeSet<String> {
    let inner = text.split_once('(').map_or("", |(_, rest)| rest).trim_end_matches(')');
    inner
        .split_whitespace()
        .filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"))
        .map(str::to_ascii_uppercase)
        .collect()
}

fn items(values: &[Value]) -> Option<Items> {
    let [Value::List(list)] = values else { return None };
    let mut items = Items::new();
    for pair in list.chunks(2) {
        let [Value::Word(name), value] = pair else { return None };
        let name = name.to_ascii_uppercase();
        let shown = match (name.as_str(), value) {
            ("FLAGS", Value::List(list)) => {
                let words: Vec<String> = list.iter().map(show).collect();
                flags(&format!("({})", words.join(" "))).into_iter().collect::<Vec<_>>().join(" ")
            }
            ("MODSEQ", _) => continue,
            _ => show(value),
        };
        items.insert(name, shown);
    }
    Some(items)
}

/// Data of other kinds, such that equal meanings are equal texts.
fn canonical(kind: &str, values: &[Value]) -> String {
    match (kind, values) {
        ("LIST" | "LSUB", [Value::List(attributes), separator, name, rest @ ..]) => {
            let dull = ["\\MARKED", "\\UNMARKED"];
            let attributes: BTreeSet<String> =
                attributes.iter().map(|value| show(value).to_ascii_uppercase()).collect();
            let attributes: Vec<String> =
                attributes.into_iter().filter(|one| !dull.contains(&one.as_str())).collect();
            let rest: Vec<String> = rest.iter().map(show).collect();
            format!("{kind} ({}) {} {} {}", attributes.join(" "), show(separator), show(name), rest.join(" "))
        }
        ("STATUS", [name, Value::List(pairs)]) => {
            let own = ["UIDVALIDITY", "RECENT", "HIGHESTMODSEQ"];
            let pairs: BTreeSet<String> = pairs
                .chunks(2)
                .filter(|pair| !own.contains(&show(&pair[0]).as_str()))
                .map(|pair| pair.iter().map(show).collect::<Vec<_>>().join(" "))
                .collect();
            format!("STATUS {} {}", show(name), pairs.into_iter().collect::<Vec<_>>().join(", "))
        }
        ("MYRIGHTS", [name, rights]) => format!("MYRIGHTS {} {}", show(name), letters(&show(rights))),
        ("SEARCH", values) => {
            let numbers = values.iter().filter(|value| !matches!(value, Value::List(_))).map(show);
            format!("SEARCH {}", numbers.collect::<Vec<_>>().join(" "))
        }
        _ => format!("{kind} {}", values.iter().map(show).collect::<Vec<_>>().join(" ")),
    }
}

/// Rights without `p`, which means nothing in IMAP, and the virtual ones.
pub(crate) fn letters(rights: &str) -> String {
    let letters: BTreeSet<char> = rights.chars().filter(|letter| !"pcd\"".contains(*letter)).collect();
    letters.into_iter().collect()
}

fn show(value: &Value) -> String {
    match value {
        Value::Word(word) if word.eq_ignore_ascii_case("INBOX") => "INBOX".to_owned(),
        Value::Word(word) => word.clone(),
        // A name may be written in either way.
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List(list) => format!("({})", list.iter().map(show).collect::<Vec<_>>().join(" ")),
    }
}

/// All values of a response's rest; `None` if it breaks the syntax.
fn values(mut rest: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(values);
        }
        let (value, after) = value(rest)?;
        values.push(value);
        rest = after;
    }
}

fn value(octets: &[u8]) -> Option<(Value, &[u8])> {
    match octets.first()? {
        b'(' => {
            let (mut list, mut rest) = (Vec::new(), &octets[1..]);
            loop {
                rest = rest.trim_ascii_start();
                if let Some(after) = rest.strip_prefix(b")") {
                    return Some((Value::List(list), after));
                }
                let (value, after) = value(rest)?;
                list.push(value);
                rest = after;
            }
        }
        b'"' => {
            let (mut text, mut at) = (Vec::new(), 1);
            while octets.get(at)? != &b'"' {
                at += usize::from(octets[at] == b'\\');
                text.push(*octets.get(at)?);
                at += 1;
            }
            Some((Value::Text(text), &octets[at + 1..]))
        }
        b'{' => {
            let end = memchr::memchr(b'\n', octets)? + 1;
            let length = literal_length(&octets[..end])?;
            let text = octets.get(end..end + length)?.to_vec();
            Some((Value::Text(text), &octets[end + length..]))
        }
        _ => {
            // A section is one word, spaces, brackets and all.
            let (mut depth, mut at) = (0, 0);
            while let Some(octet) = octets.get(at) {
                match octet {
                    b'[' => depth += 1,
                    b']' => depth -= 1,
                    b' ' | b'(' | b')' if depth == 0 => break,
                    _ => {}
                }
                at += 1;
            }
            (at > 0)
                .then(|| (Value::Word(String::from_utf8_lossy(&octets[..at]).into_owned()), &octets[at..]))
        }
    }
}
