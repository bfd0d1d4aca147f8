//! FETCH from its typed items, and its form that leaves `\Seen` alone.

use super::encoder::{Encoder, Outgoing};
use super::verb;
use crate::imap::command::{Command, Fetch, FetchItem, Section, SectionText};

/// A response item that comes under another name than the client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rename {
    /// As upstream answers.
    pub upstream: &'static str,
    /// As the client asked.
    pub client: &'static str,
}

const RFC822: Rename = Rename { upstream: "BODY[]", client: "RFC822" };
const RFC822_TEXT: Rename = Rename { upstream: "BODY[TEXT]", client: "RFC822.TEXT" };

/// The renames that a FETCH step with `peek` brings about: RFC 3501 knows no form of RFC822
/// and RFC822.TEXT that leaves `\Seen` alone, so BODY.PEEK is asked instead.
///
/// Who asks for RFC822 and BODY\[\] in one command (nobody does) gets one answer, BODY\[\],
/// not renamed; the same for RFC822.TEXT and BODY\[TEXT\].
pub fn peek_renames(fetch: &Fetch) -> Vec<Rename> {
    let mut renames = Vec::new();
    for (item, text, rename) in [
        (FetchItem::Rfc822, SectionText::Whole, RFC822),
        (FetchItem::Rfc822Text, SectionText::Text, RFC822_TEXT),
    ] {
        let same = |other: &FetchItem| {
            matches!(other, FetchItem::Section(section)
                if section.part.is_empty() && section.partial.is_none() && section.text == text)
        };
        if fetch.items.contains(&item) && !fetch.items.iter().any(same) {
            renames.push(rename);
        }
    }
    renames
}

pub(super) fn fetch(line: Encoder, (peek, marks): (bool, bool), command: &Command) -> Option<Outgoing> {
    let Command::Fetch { uid, fetch } = command else { return None };
    let mut line = verb(line, *uid, "FETCH").set(&fetch.set).word("(");
    let mut asked: Vec<FetchItem> = Vec::new();
    // A message that becomes read by this says so (RFC 3501 §6.4.5).
    for item in fetch.items.iter().chain(marks.then_some(&FetchItem::Flags)) {
        let item = if peek { peeking(item) } else { item.clone() };
        if asked.contains(&item) {
            continue;
        }
        line = self::item(if asked.is_empty() { line } else { line.raw(" ") }, &item)?;
        asked.push(item);
    }
    if asked.is_empty() {
        return None;
    }
    line = line.raw(")");
    if let Some(modseq) = fetch.changed_since {
        let vanished = if fetch.vanished { " VANISHED" } else { "" };
        line = line.word(format_args!("(CHANGEDSINCE {modseq}{vanished})"));
    }
    line.end()
}

/// The form of an item that does not set `\Seen`.
fn peeking(item: &FetchItem) -> FetchItem {
    let section = |text| Section { peek: true, part: Vec::new(), text, partial: None };
    match item {
        FetchItem::Rfc822 => FetchItem::Section(section(SectionText::Whole)),
        FetchItem::Rfc822Text => FetchItem::Section(section(SectionText::Text)),
        FetchItem::Section(section) => FetchItem::Section(Section { peek: true, ..section.clone() }),
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822Size
        | FetchItem::Envelope
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::ModSeq
        | FetchItem::Rfc822Header => item.clone(),
    }
}

fn item(line: Encoder, item: &FetchItem) -> Option<Encoder> {
    Some(match item {
        FetchItem::Uid => line.raw("UID"),
        FetchItem::Flags => line.raw("FLAGS"),
        FetchItem::InternalDate => line.raw("INTERNALDATE"),
        FetchItem::Rfc822Size => line.raw("RFC822.SIZE"),
        FetchItem::Envelope => line.raw("ENVELOPE"),
        FetchItem::Body => line.raw("BODY"),
        FetchItem::BodyStructure => line.raw("BODYSTRUCTURE"),
        FetchItem::ModSeq => line.raw("MODSEQ"),
        FetchItem::Rfc822 => line.raw("RFC822"),
        FetchItem::Rfc822Header => line.raw("RFC822.HEADER"),
        FetchItem::Rfc822Text => line.raw("RFC822.TEXT"),
        FetchItem::Section(section) => self::section(line, section)?,
    })
}

fn section(line: Encoder, section: &Section) -> Option<Encoder> {
    let mut line = line.raw(if section.peek { "BODY.PEEK[" } else { "BODY[" });
    for (i, number) in section.part.iter().enumerate() {
        line = if i == 0 { line.raw(number) } else { line.raw(format_args!(".{number}")) };
    }
    let dot = if section.part.is_empty() { "" } else { "." };
    line = match &section.text {
        SectionText::Whole => line,
        SectionText::Header => line.raw(dot).raw("HEADER"),
        SectionText::HeaderFields(names) => fields(line.raw(dot).raw("HEADER.FIELDS ("), names)?,
        SectionText::HeaderFieldsNot(names) => fields(line.raw(dot).raw("HEADER.FIELDS.NOT ("), names)?,
        SectionText::Text => line.raw(dot).raw("TEXT"),
        SectionText::Mime => line.raw(dot).raw("MIME"),
    };
    line = line.raw("]");
    Some(match section.partial {
        Some((first, count)) => line.raw(format_args!("<{first}.{count}>")),
        None => line,
    })
}

/// Names as atoms where they are atoms, as clients write them and servers echo them.
fn fields(line: Encoder, names: &[String]) -> Option<Encoder> {
    let mut line = line;
    for (i, name) in names.iter().enumerate() {
        line = if i == 0 { line } else { line.raw(" ") };
        let atom = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        line = if atom { line.raw(name) } else { line.bare_string(name.as_bytes()) };
    }
    (!names.is_empty()).then(|| line.raw(")"))
}
