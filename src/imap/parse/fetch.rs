//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4). BINARY, PREVIEW and X- items do not exist.

use super::cursor::{Cursor, Parsed, Wrong, wrong};
use super::search::header_name;
use crate::imap::command::{Command, Fetch, FetchItem, Section, SectionText};

/// Most items in one FETCH; clients ask for up to 12.
const MAX_ITEMS: usize = 100;
/// Most header field names in one section; K-9 asks for 20.
const MAX_FIELDS: usize = 200;
/// Deepest MIME part.
const MAX_PARTS: usize = 32;

const MACROS: [(&str, Macro); 3] = [("ALL", Macro::All), ("FAST", Macro::Fast), ("FULL", Macro::Full)];

#[derive(Clone, Copy)]
enum Macro {
    All,
    Fast,
    Full,
}

#[derive(Clone, Copy)]
enum Name {
    Uid,
    Flags,
    InternalDate,
    Rfc822Size,
    Envelope,
    Body,
    BodyPeek,
    BodyStructure,
    ModSeq,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

const NAMES: [(&str, Name); 12] = [
    ("UID", Name::Uid),
    ("FLAGS", Name::Flags),
    ("INTERNALDATE", Name::InternalDate),
    ("RFC822.SIZE", Name::Rfc822Size),
    ("ENVELOPE", Name::Envelope),
    ("BODY", Name::Body),
    ("BODY.PEEK", Name::BodyPeek),
    ("BODYSTRUCTURE", Name::BodyStructure),
    ("MODSEQ", Name::ModSeq),
    ("RFC822", Name::Rfc822),
    ("RFC822.HEADER", Name::Rfc822Header),
    ("RFC822.TEXT", Name::Rfc822Text),
];

#[derive(Clone, Copy)]
enum Part {
    Header,
    HeaderFields,
    HeaderFieldsNot,
    Text,
    Mime,
}

const PARTS: [(&str, Part); 5] = [
    ("HEADER", Part::Header),
    ("HEADER.FIELDS", Part::HeaderFields),
    ("HEADER.FIELDS.NOT", Part::HeaderFieldsNot),
    ("TEXT", Part::Text),
    ("MIME", Part::Mime),
];

pub(super) fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Command> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.space()?;
    let items = items(cursor)?;
    let (mut changed_since, mut vanished) = (None, false);
    if cursor.take(b' ') {
        (changed_since, vanished) = modifiers(cursor)?;
    }
    cursor.end()?;
    if vanished && (!uid || changed_since.is_none()) {
        return wrong("VANISHED belongs to UID FETCH with CHANGEDSINCE");
    }
    Ok(Command::Fetch { uid, fetch: Fetch { set, items, changed_since, vanished } })
}

fn items(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    if let Some(name) = cursor.word(&MACROS) {
        return Ok(name.items());
    }
    if cursor.peek() != Some(b'(') {
        return Ok(vec![item(cursor)?]);
    }
    let mut items = Vec::new();
    cursor.list((false, MAX_ITEMS), |cursor| {
        items.push(item(cursor)?);
        Ok(())
    })?;
    Ok(items)
}

impl Macro {
    fn items(self) -> Vec<FetchItem> {
        let fast = [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size];
        let more: &[FetchItem] = match self {
            Self::Fast => &[],
            Self::All => &[FetchItem::Envelope],
            Self::Full => &[FetchItem::Envelope, FetchItem::Body],
        };
        fast.iter().chain(more).cloned().collect()
    }
}

fn item(cursor: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let name = cursor.word(&NAMES).ok_or(Wrong::Syntax("Unknown FETCH item"))?;
    Ok(match name {
        Name::Uid => FetchItem::Uid,
        Name::Flags => FetchItem::Flags,
        Name::InternalDate => FetchItem::InternalDate,
        Name::Rfc822Size => FetchItem::Rfc822Size,
        Name::Envelope => FetchItem::Envelope,
        Name::Body if cursor.peek() != Some(b'[') => FetchItem::Body,
        Name::Body => FetchItem::Section(section(cursor, false)?),
        Name::BodyPeek => FetchItem::Section(section(cursor, true)?),
        Name::BodyStructure => FetchItem::BodyStructure,
        Name::ModSeq => FetchItem::ModSeq,
        Name::Rfc822 => FetchItem::Rfc822,
        Name::Rfc822Header => FetchItem::Rfc822Header,
        Name::Rfc822Text => FetchItem::Rfc822Text,
    })
}

fn section(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<Section> {
    cursor.demand(b'[', "A section was expected")?;
    let (part, ends) = part(cursor)?;
    let whole = ends || (part.is_empty() && cursor.peek() == Some(b']'));
    let text = if whole { SectionText::Whole } else { section_text(cursor, !part.is_empty())? };
    cursor.demand(b']', "The section is malformed")?;
    let partial = if cursor.take(b'<') { Some(partial(cursor)?) } else { None };
    Ok(Section { peek, part, text, partial })
}

/// Part numbers, and whether the section must end with them: no dot follows the last.
fn part(cursor: &mut Cursor<'_>) -> Parsed<(Vec<u32>, bool)> {
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        if part.len() == MAX_PARTS {
            return wrong("The part number is too deep");
        }
        part.push(cursor.nz_number()?);
        if !cursor.take(b'.') {
            return Ok((part, true));
        }
    }
    Ok((part, false))
}

fn section_text(cursor: &mut Cursor<'_>, of_part: bool) -> Parsed<SectionText> {
    let text = cursor.word(&PARTS).ok_or(Wrong::Syntax("Unknown section"))?;
    Ok(match text {
        Part::Header => SectionText::Header,
        Part::HeaderFields => SectionText::HeaderFields(fields(cursor)?),
        Part::HeaderFieldsNot => SectionText::HeaderFieldsNot(fields(cursor)?),
        Part::Text => SectionText::Text,
        Part::Mime if of_part => SectionText::Mime,
        Part::Mime => return wrong("MIME needs a part number"),
    })
}

fn fields(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut names = Vec::new();
    cursor.space()?;
    cursor.list((false, MAX_FIELDS), |cursor| {
        names.push(header_name(cursor)?);
        Ok(())
    })?;
    Ok(names)
}

fn partial(cursor: &mut Cursor<'_>) -> Parsed<(u32, u32)> {
    let first = cursor.number()?;
    cursor.demand(b'.', "The partial range is malformed")?;
    let count = cursor.nz_number()?;
    cursor.demand(b'>', "The partial range is malformed")?;
    Ok((first, count))
}

#[derive(Clone, Copy)]
enum Modifier {
    ChangedSince,
    Vanished,
}

const MODIFIERS: [(&str, Modifier); 2] =
    [("CHANGEDSINCE", Modifier::ChangedSince), ("VANISHED", Modifier::Vanished)];

/// `(CHANGEDSINCE n VANISHED)` in any order, each once.
fn modifiers(cursor: &mut Cursor<'_>) -> Parsed<(Option<u64>, bool)> {
    let (mut since, mut vanished) = (None, false);
    cursor.list((false, MODIFIERS.len()), |cursor| {
        match cursor.word(&MODIFIERS).ok_or(Wrong::Syntax("Unknown FETCH modifier"))? {
            Modifier::ChangedSince if since.is_none() => {
                cursor.space()?;
                since = Some(cursor.number64()?);
            }
            Modifier::Vanished if !vanished => vanished = true,
            Modifier::ChangedSince | Modifier::Vanished => return wrong("A modifier stands there twice"),
        }
        if since == Some(0) { wrong("A mod-sequence is never 0") } else { Ok(()) }
    })?;
    Ok((since, vanished))
}
