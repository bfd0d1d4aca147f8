//! GETQUOTA and GETQUOTAROOT (RFC 9208).

use super::cursor::{Cursor, Parsed};
use crate::imap::command::Command;

pub(super) fn quota(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let root = cursor.text()?;
    cursor.end()?;
    Ok(Command::GetQuota { root })
}

pub(super) fn root(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let folder = cursor.folder()?;
    cursor.end()?;
    Ok(Command::GetQuotaRoot(folder))
}
