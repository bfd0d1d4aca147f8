//! RFC 4314 §3: MYRIGHTS and LISTRIGHTS are answered from the policy, the rest is refused.

use super::cursor::{Cursor, Parsed};
use crate::imap::command::Command;

pub(super) fn my_rights(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.end()?;
    Ok(Command::MyRights(folder))
}

pub(super) fn list_rights(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.space()?;
    let identifier = cursor.astring()?;
    cursor.end()?;
    Ok(Command::ListRights { folder, identifier })
}

pub(super) fn get(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.end()?;
    Ok(Command::GetAcl(folder))
}

pub(super) fn set(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    for _identifier_and_rights in 0..2 {
        cursor.space()?;
        cursor.astring()?;
    }
    cursor.end()?;
    Ok(Command::SetAcl(folder))
}

pub(super) fn delete(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.space()?;
    cursor.astring()?;
    cursor.end()?;
    Ok(Command::DeleteAcl(folder))
}
