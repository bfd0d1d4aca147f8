//! What `delete = "trash"` needs of a mailbox: a Trash folder, and a host that can move messages.

use super::mailboxes::login;
use super::{Failure, FailureKind, Services};
use crate::imap::capability::Capabilities;
use crate::policy::{Delete, FolderClass};
use crate::store::Mailbox;

/// Refuses a mailbox whose deletions cannot go to Trash; asks its host only where they are to.
pub(super) async fn check(services: &Services, mailbox: &Mailbox) -> Result<(), Failure> {
    if mailbox.options.delete != Delete::Trash {
        return Ok(());
    }
    let can = services.hosts.capabilities(&login(services, mailbox)?).await?;
    let has_trash = mailbox.pins.iter().any(|pin| pin.class == FolderClass::Trash);
    let messages = lacking(&can, has_trash);
    if messages.is_empty() { Ok(()) } else { Err(Failure { kind: FailureKind::Data, messages }) }
}

/// A sentence for each thing that is missing.
fn lacking(can: &Capabilities, has_trash: bool) -> Vec<String> {
    let host = [("MOVE", can.has("MOVE")), ("UIDPLUS", can.has("UIDPLUS"))];
    let missing = host.iter().filter(|(_, there)| !there);
    let mut lacking: Vec<_> = missing
        .map(|(name, _)| format!("delete = trash needs {name}, which the mail host has not"))
        .collect();
    if !has_trash {
        lacking
            .push("delete = trash needs a folder of class trash; see `mandate mailbox folders`".to_owned());
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::lacking;
    use crate::imap::capability::Capabilities;

    #[test]
    fn everything_that_is_missing_is_named() {
        let all = Capabilities::parse(&[b"IMAP4rev1", b"UIDPLUS", b"MOVE"]);
        assert!(lacking(&all, true).is_empty());
        assert_eq!(lacking(&all, false).len(), 1);
        let plain = lacking(&Capabilities::parse(&[b"IMAP4rev1"]), true);
        assert!(plain[0].contains("MOVE") && plain[1].contains("UIDPLUS"), "{plain:?}");
    }
}
