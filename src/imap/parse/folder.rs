//! CREATE and STATUS: what they can carry goes beyond imap-codec.

use super::cursor::{Cursor, Parsed, Wrong};
use crate::imap::command::{Command, StatusItem};
use crate::types::FolderName;

/// Most special uses in CREATE's USE; there are ten registered.
const MAX_USES: usize = 10;
/// Most items in a STATUS list; each is kept once.
const MAX_STATUS_ITEMS: usize = 32;

const STATUS_ITEMS: [(&str, StatusItem); 8] = [
    ("MESSAGES", StatusItem::Messages),
    ("RECENT", StatusItem::Recent),
    ("UIDNEXT", StatusItem::UidNext),
    ("UIDVALIDITY", StatusItem::UidValidity),
    ("UNSEEN", StatusItem::Unseen),
    ("SIZE", StatusItem::Size),
    ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
    ("APPENDLIMIT", StatusItem::AppendLimit),
];

/// RFC 3501 §6.3.3 with the USE of RFC 6154 §3. A separator at the end only says that
/// folders will be created below.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let name = cursor.astring()?;
    let mut octets = [0; 4];
    let separator = cursor.separator().map(|c| c.encode_utf8(&mut octets).as_bytes());
    let trimmed = separator.and_then(|separator| name.strip_suffix(separator)).unwrap_or(&name);
    let folder = FolderName::from_wire(trimmed, cursor.separator());
    let special_use = cursor.take(b' ');
    if special_use {
        create_use(cursor)?;
    }
    cursor.end()?;
    Ok(Command::Create { folder, special_use })
}

/// `(USE (\Drafts ..))`; which uses does not matter, as classes are pinned and never asked for.
fn create_use(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.list((false, 1), |cursor| {
        cursor.word(&[("USE", ())]).ok_or(Wrong::Syntax("Unknown parameter of CREATE"))?;
        cursor.space()?;
        cursor.list((true, MAX_USES), |cursor| {
            cursor.demand(b'\\', "A special use was expected")?;
            cursor.atom().map(|_| ())
        })
    })
}

/// RFC 3501 §6.3.10.
pub(super) fn status(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.space()?;
    let items = status_items(cursor)?;
    cursor.end()?;
    Ok(Command::Status { folder, items })
}

/// The list of items, each once; also LIST's (RFC 5819).
pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let mut items = Vec::new();
    cursor.list((false, MAX_STATUS_ITEMS), |cursor| {
        let item = cursor.word(&STATUS_ITEMS).ok_or(Wrong::Syntax("Unknown STATUS item"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}
