//! The verbs that imap-codec reads: those whose whole grammar it knows and we police.
//!
//! Its value is never used as it is: what it lets through and we do not is refused here,
//! and folder names become our own type.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_types::command::CommandBody;
use imap_types::mailbox::Mailbox;

use super::cursor::{Parsed, wrong};
use crate::imap::command::{Command, FolderArg};
use crate::types::{FolderName, Separator};

/// Reads a whole line, tag and CRLF included.
pub(super) fn command(line: &[u8], separator: Separator) -> Parsed<Command> {
    let Ok((b"", decoded)) = CommandCodec::default().decode(line) else {
        return wrong("The arguments are malformed");
    };
    let folder = |mailbox: &Mailbox<'_>| folder(mailbox, separator);
    Ok(match decoded.body {
        CommandBody::Capability => Command::Capability,
        CommandBody::Noop => Command::Noop,
        CommandBody::Logout => Command::Logout,
        CommandBody::Namespace => Command::Namespace,
        CommandBody::Idle => Command::Idle,
        CommandBody::Check => Command::Check,
        CommandBody::Close => Command::Close,
        CommandBody::Unselect => Command::Unselect,
        CommandBody::Expunge => Command::Expunge,
        CommandBody::Delete { mailbox } => Command::Delete(folder(&mailbox)),
        CommandBody::Rename { from, to } => Command::Rename { from: folder(&from), to: folder(&to) },
        CommandBody::Subscribe { mailbox } => Command::Subscribe(folder(&mailbox)),
        CommandBody::Unsubscribe { mailbox } => Command::Unsubscribe(folder(&mailbox)),
        CommandBody::Enable { capabilities } => Command::Enable(
            capabilities.as_ref().iter().map(|c| c.to_string().to_ascii_uppercase()).collect(),
        ),
        // Verbs with a parser of our own, and verbs that do not exist here.
        CommandBody::Append { .. }
        | CommandBody::Authenticate { .. }
        | CommandBody::Compress { .. }
        | CommandBody::Copy { .. }
        | CommandBody::Create { .. }
        | CommandBody::Examine { .. }
        | CommandBody::ExpungeUid { .. }
        | CommandBody::Fetch { .. }
        | CommandBody::GetQuota { .. }
        | CommandBody::GetQuotaRoot { .. }
        | CommandBody::Id { .. }
        | CommandBody::List { .. }
        | CommandBody::Login { .. }
        | CommandBody::Lsub { .. }
        | CommandBody::Move { .. }
        | CommandBody::Search { .. }
        | CommandBody::Select { .. }
        | CommandBody::SetQuota { .. }
        | CommandBody::Sort { .. }
        | CommandBody::Status { .. }
        | CommandBody::Store { .. }
        | CommandBody::Thread { .. } => return wrong("Unknown command"),
    })
}

fn folder(mailbox: &Mailbox<'_>, separator: Separator) -> FolderArg {
    match mailbox {
        Mailbox::Inbox => Ok(FolderName::inbox()),
        Mailbox::Other(name) => FolderName::from_wire(name.as_ref(), separator),
    }
}
