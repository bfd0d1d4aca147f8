//! One attempt to file a copy.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;

use super::Outbox;
use super::work::{Failed, Hands};
use crate::imap::inventory::Inventory;
use crate::imap::response::Code;
use crate::imap::writer::{self, Housekeeping};
use crate::policy::FolderClass;
use crate::store::{Filing, Mailbox, Outgoing, Place};
use crate::types::{FolderName, MessageId, UidSet, UidValidity};
use crate::upstream::{Answered, CommandError, Lease, Unfinished};

/// Longest time for a look into folders: a search by header reads every message on a host
/// without an index.
const LOOK: Duration = Duration::from_secs(60);

/// The same on the daemon's own connection, at the first attempt; twice as long at each further
/// one. People's folder lists and counts wait for it 5 seconds.
const SHORT_LOOK: Duration = Duration::from_secs(4);

/// When a look must have come to an end.
pub(super) fn look_by(lease: &Lease, tries: u32) -> Instant {
    let patience = if lease.is_own() { SHORT_LOOK * (1 << tries.min(4)) } else { LOOK };
    Instant::now() + patience.min(LOOK)
}

/// A folder as the host calls it.
pub(super) struct Folder {
    pub(super) name: FolderName,
    pub(super) wire: Vec<u8>,
}

impl Outbox {
    /// Files the copy, if it is not there already; where, if the host says so.
    pub(super) async fn file(
        &self,
        hands: &mut Hands,
        mailbox: &Mailbox,
        record: &Outgoing,
    ) -> Result<Option<Place>, Failed> {
        let folder = sent_folder(&hands.folders, mailbox)?;
        let lease = &mut hands.lease;
        let (doubtful, tries) =
            self.book().get(record.id).map_or((false, 0), |entry| (entry.doubtful, entry.tries));
        if doubtful {
            let deadline = look_by(lease, tries);
            if let Some(place) = self.look(lease, &folder, record, deadline).await? {
                return Ok(Some(place));
            }
        }
        let file = match tokio::fs::File::open(self.spool.path(record.id)).await {
            Ok(file) => file,
            // Only a message that was filed is taken out of the spool.
            Err(error) if error.kind() == ErrorKind::NotFound && doubtful => return Ok(None),
            Err(error) => return Err(Failed::Refused(format!("its file cannot be read: {error}"))),
        };
        self.append(lease, folder, record, file).await
    }

    async fn append(
        &self,
        lease: &mut Lease,
        folder: Folder,
        record: &Outgoing,
        mut file: tokio::fs::File,
    ) -> Result<Option<Place>, Failed> {
        let tag = lease.tag();
        let (step, date) = (record.receipt.file(), internal_date(record));
        let head = writer::file(&step, &folder.wire, &date, record.octets, &tag);
        let head = head.ok_or_else(|| lost(&CommandError::Unwritable))?;
        let stored = lease.append(&head, &tag, &mut file, record.octets).await;
        let answered = stored
            .map_err(|Unfinished { error, doubtful }| Failed::Lost { why: error.to_string(), doubtful })?;
        if !answered.is_ok() {
            return Err(Failed::Refused(format!("the mail host refuses it: {}", answered.words())));
        }
        let place = match answered.status().and_then(|status| status.code) {
            Some(Code::AppendUid { validity, uids }) => {
                let uid = uids.ranges().next().map(|(uid, _)| uid);
                uid.map(|uid| Place { folder: folder.name, validity, uid })
            }
            Some(_) | None => None,
        };
        Ok(place)
    }

    /// The copy, where an earlier attempt may have stored it: a message in the folder with
    /// this Message-ID and, within 2 %, this size, that is not the copy of another message.
    pub(super) async fn look(
        &self,
        lease: &mut Lease,
        folder: &Folder,
        record: &Outgoing,
        deadline: Instant,
    ) -> Result<Option<Place>, Failed> {
        let Some(id) = &record.message_id else {
            let why = "it may be filed already, and has no Message-ID to look for: \
                       see, and `mandate outbox drop` it or `retry`";
            return Err(Failed::Refused(why.to_owned()));
        };
        let slack = record.octets / 50;
        let sizes = Some((record.octets - slack, record.octets + slack));
        let found = find(lease, folder, id, sizes, deadline).await.map_err(|error| lost(&error))?;
        let Some((validity, uids)) = found else {
            return Err(Failed::Refused("the mail host refuses to look into the folder".to_owned()));
        };
        let others: UidSet = self
            .book()
            .with_message(record.mailbox, id)
            .filter_map(|entry| match &entry.record.copy {
                Filing::Filed(Some(place)) if place.validity == validity => Some(place.uid),
                _ => None,
            })
            .collect();
        let uid = uids.minus(&others).ranges().next().map(|(uid, _)| uid);
        Ok(uid.map(|uid| Place { folder: folder.name.clone(), validity, uid }))
    }
}

/// The folder that is pinned as Sent and exists. It is not created: an admin pins it.
pub(super) fn sent_folder(folders: &Inventory, mailbox: &Mailbox) -> Result<Folder, Failed> {
    let pinned = mailbox.pins.iter().filter(|pin| pin.class == FolderClass::Sent);
    let mut entries = pinned.filter_map(|pin| folders.find(&pin.folder));
    let entry = entries.find(|entry| entry.attributes.is_selectable());
    let entry = entry.ok_or_else(|| {
        let short = &mailbox.short;
        Failed::Refused(format!(
            "no folder of {} that exists is pinned as sent: `mandate mailbox folders {short} FOLDER=sent`",
            mailbox.address
        ))
    })?;
    Ok(Folder { name: entry.name.clone(), wire: entry.wire.clone() })
}

/// Looks into a folder; `None` if the host refuses to.
pub(super) async fn find(
    lease: &mut Lease,
    folder: &Folder,
    id: &MessageId,
    sizes: Option<(u64, u64)>,
    deadline: Instant,
) -> Result<Option<(UidValidity, UidSet)>, CommandError> {
    lease.set_selected(true);
    let examine = Housekeeping::Examine { folder: &folder.wire, condstore: false };
    let opened = lease.command_by(&examine, deadline).await?;
    let Some(validity) = validity(&opened).filter(|_| opened.is_ok()) else { return Ok(None) };
    let (answered, uids) = lease.find(&Housekeeping::Find { id, sizes }, deadline).await?;
    Ok(answered.is_ok().then_some((validity, uids)))
}

pub(super) fn validity(opened: &Answered) -> Option<UidValidity> {
    opened.responses().find_map(|response| match response {
        crate::imap::response::Response::Status(status) => match status.code {
            Some(Code::UidValidity(validity)) => Some(validity),
            Some(_) | None => None,
        },
        _ => None,
    })
}

pub(super) fn lost(error: &CommandError) -> Failed {
    Failed::Lost { why: error.to_string(), doubtful: false }
}

/// When it was handed in, as APPEND writes it (RFC 3501 §9, date-time).
fn internal_date(record: &Outgoing) -> String {
    let at = jiff::Timestamp::from_millisecond(record.at.0).unwrap_or_default();
    at.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}
