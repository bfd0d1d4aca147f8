//! Names of FETCH items (RFC 3501 §7.4.2).

use super::lexer::{Lexer, Token};
use super::{Fault, ItemKind};

/// Where in a name we are. A section may hold spaces, quoted strings and literals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    lexer: Lexer,
    section: bool,
}

impl Cursor {
    /// Moves over `input`; where the name ends in it, at the space behind it.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<Option<usize>, Fault> {
        let mut at = 0;
        if !self.section {
            // Most names are plain words.
            at = input.iter().position(|octet| !WORD[usize::from(*octet)]).unwrap_or(input.len());
            if input.get(at) == Some(&b' ') {
                return Ok(Some(at));
            }
        }
        while at < input.len() {
            if self.lexer.left() > 0 {
                at += self.lexer.skip_in(&input[at..]);
                continue;
            }
            match self.lexer.feed(input[at])? {
                Token::Plain(b' ') if !self.section => return Ok(Some(at)),
                Token::Plain(b'[') if !self.section => self.section = true,
                Token::Plain(b']') if self.section => self.section = false,
                Token::Plain(b'\r' | b'\n') => return Err(Fault::LineEnd),
                Token::Plain(b'[' | b']' | 1..=0x1f | 0x7f..) => return Err(Fault::Structure),
                Token::Plain(b'(' | b')') if !self.section => return Err(Fault::Structure),
                Token::Plain(_) => {}
                Token::Data | Token::Unquoted | Token::Literal(_) if self.section => {}
                Token::Data | Token::Unquoted | Token::Literal(_) => return Err(Fault::Structure),
            }
            at += 1;
        }
        Ok(None)
    }
}

/// What most names are made of.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0u8;
    loop {
        table[octet as usize] = octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-');
        if octet == u8::MAX {
            break;
        }
        octet += 1;
    }
    table
};

/// What the client may see of an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Uid,
    Flags,
    ModSeq,
    Item(ItemKind),
    /// Not on the allow-list.
    Unknown,
}

pub(super) fn classify(name: &[u8]) -> Class {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    if name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"BODY[")) {
        return if section_ends_well(name) { Class::Item(ItemKind::Section) } else { Class::Unknown };
    }
    match name.len() {
        3 if is("UID") => Class::Uid,
        4 if is("BODY") => Class::Item(ItemKind::Body),
        5 if is("FLAGS") => Class::Flags,
        6 if is("MODSEQ") => Class::ModSeq,
        6 if is("RFC822") => Class::Item(ItemKind::Rfc822),
        8 if is("ENVELOPE") => Class::Item(ItemKind::Envelope),
        11 if is("RFC822.SIZE") => Class::Item(ItemKind::Rfc822Size),
        11 if is("RFC822.TEXT") => Class::Item(ItemKind::Rfc822Text),
        12 if is("INTERNALDATE") => Class::Item(ItemKind::InternalDate),
        13 if is("RFC822.HEADER") => Class::Item(ItemKind::Rfc822Header),
        13 if is("BODYSTRUCTURE") => Class::Item(ItemKind::BodyStructure),
        _ => Class::Unknown,
    }
}

/// `]`, or `]<n>`.
fn section_ends_well(name: &[u8]) -> bool {
    match name.strip_suffix(b">") {
        None => name.ends_with(b"]"),
        Some(rest) => {
            let digits = rest.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
            digits > 0 && rest[..rest.len() - digits].ends_with(b"]<")
        }
    }
}

/// What stands between the first and the last octet, which are parentheses.
pub(super) fn inner(list: &[u8]) -> &[u8] {
    match list {
        [_, inner @ .., _] => inner,
        _ => &[],
    }
}
