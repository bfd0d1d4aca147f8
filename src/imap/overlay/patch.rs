//! FETCH answers as one user sees them.

use super::Marked;
use crate::imap::filter::{Drop, FetchWriter, clean};
use crate::imap::scan::{Event, ItemKind};
use crate::types::Numbering;

/// The open folder, as far as the user's own flags need it.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    pub marked: Marked<'a>,
    pub numbering: &'a Numbering,
}

/// Upstream gave a message another UID than before (RFC 3501 §2.3.1.1 forbids it).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtherUid;

/// Stands between scanner and [`FetchWriter`] where a folder has flags of the user's own.
#[derive(Debug, Default)]
pub struct Patcher {
    number: u32,
    uid: Option<u32>,
    /// FLAGS that wait for the answer's UID.
    waiting: Option<Vec<u8>>,
    /// A part of the message itself is in the answer.
    text: bool,
}

impl Patcher {
    /// Writes one event. An unsolicited answer has no UID: it is known by its number. Only a
    /// message too new to be numbered waits for the UID in its own answer.
    pub fn event(
        &mut self,
        event: &Event<'_>,
        folder: Folder<'_>,
        writer: &mut FetchWriter,
        out: &mut Vec<u8>,
    ) -> Result<Option<Drop>, OtherUid> {
        match event {
            Event::Fetch(number) => {
                *self = Self { number: *number, uid: folder.numbering.uid(*number), ..Self::default() };
            }
            Event::Uid(uid) => {
                if self.uid.is_some_and(|known| known != *uid) {
                    return Err(OtherUid);
                }
                self.uid = Some(*uid);
            }
            Event::Flags(flags) if self.uid.is_none() => {
                self.waiting = Some(flags.to_vec());
                return Ok(None);
            }
            Event::Flags(flags) => {
                self.tell(flags, folder, writer, out);
                return Ok(None);
            }
            Event::Item(item) => match item.kind {
                ItemKind::Section | ItemKind::Rfc822 | ItemKind::Rfc822Text => self.text = true,
                ItemKind::InternalDate
                | ItemKind::Rfc822Size
                | ItemKind::Envelope
                | ItemKind::Body
                | ItemKind::BodyStructure
                | ItemKind::Rfc822Header => {}
            },
            Event::FetchEnd => {
                if let Some(flags) = self.waiting.take() {
                    self.tell(&flags, folder, writer, out);
                }
            }
            Event::ModSeq(_)
            | Event::Value(_)
            | Event::Literal(_)
            | Event::Dropped
            | Event::More
            | Event::Line(_)
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => {}
        }
        Ok(writer.event(event, out))
    }

    /// Number and UID of the answer's message, as far as known.
    pub fn message(&self) -> (u32, Option<u32>) {
        (self.number, self.uid)
    }

    /// Whether the answer holds a part of the message: then somebody reads it.
    pub fn has_text(&self) -> bool {
        self.text
    }

    fn tell(&self, flags: &[u8], folder: Folder<'_>, writer: &mut FetchWriter, out: &mut Vec<u8>) {
        let mut patched = Vec::with_capacity(flags.len() + 16);
        folder.marked.patch(&clean(flags), self.uid, &mut patched);
        writer.flags(&patched, out);
    }
}
