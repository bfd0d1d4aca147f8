//! FETCH responses, written anew item by item.

use super::{Drop, flags};
use crate::imap::scan::{Event, Item, ItemKind};

/// How the client's FETCH differs from what upstream was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchView {
    /// The client is CONDSTORE-aware: MODSEQ may be told.
    pub condstore: bool,
    /// The client asked RFC822, upstream was asked `BODY.PEEK[]`.
    pub as_rfc822: bool,
    /// The client asked RFC822.TEXT, upstream was asked `BODY.PEEK[TEXT]`.
    pub as_rfc822_text: bool,
    /// UIDs were asked for our own sake only.
    pub hide_uid: bool,
}

/// Writes what the scanner finds of FETCH responses. One serves any number of them.
#[derive(Clone, Copy, Debug)]
pub struct FetchWriter {
    view: FetchView,
    number: u32,
    /// Something of the current response is in the output.
    begun: bool,
}

impl FetchWriter {
    pub fn new(view: FetchView) -> Self {
        Self { view, number: 0, begun: false }
    }

    /// Writes one event. Literal octets may also be moved by the caller, right behind what is
    /// in `out` by then. A response of which nothing may be told leaves nothing behind.
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Option<Drop> {
        match event {
            Event::Fetch(number) => {
                (self.number, self.begun) = (*number, false);
                None
            }
            Event::Uid(_) if self.view.hide_uid => None,
            Event::Uid(uid) => {
                self.name(b"UID ", out);
                decimal(out, u64::from(*uid));
                None
            }
            Event::ModSeq(_) if !self.view.condstore => Some(Drop::Item),
            Event::ModSeq(value) => {
                self.name(b"MODSEQ (", out);
                decimal(out, *value);
                out.push(b')');
                None
            }
            Event::Flags(flags) => {
                self.flags(&flags::clean(flags), out);
                None
            }
            Event::Item(item) => {
                self.item(item, out);
                None
            }
            Event::Value(octets) => {
                out.extend_from_slice(octets);
                None
            }
            Event::FetchEnd => {
                if self.begun {
                    out.extend_from_slice(b")\r\n");
                }
                None
            }
            Event::Dropped => Some(Drop::Item),
            Event::More
            | Event::Literal(_)
            | Event::Line(_)
            | Event::Search(_)
            | Event::Esearch(_)
            | Event::SearchWord(_)
            | Event::SearchNumbers(_)
            | Event::SearchEnd
            | Event::Fault(_) => None,
        }
    }

    /// FLAGS as the caller wants them told, in place of an [`Event::Flags`].
    pub fn flags(&mut self, flags: &[u8], out: &mut Vec<u8>) {
        self.name(b"FLAGS (", out);
        out.extend_from_slice(flags);
        out.push(b')');
    }

    fn item(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        let is = |name: &[u8]| item.name.eq_ignore_ascii_case(name);
        let name = match item.kind {
            ItemKind::Section if self.view.as_rfc822 && is(b"BODY[]") => b"RFC822".as_slice(),
            ItemKind::Section if self.view.as_rfc822_text && is(b"BODY[TEXT]") => b"RFC822.TEXT",
            ItemKind::InternalDate
            | ItemKind::Rfc822Size
            | ItemKind::Envelope
            | ItemKind::Body
            | ItemKind::BodyStructure
            | ItemKind::Section
            | ItemKind::Rfc822
            | ItemKind::Rfc822Header
            | ItemKind::Rfc822Text => item.name,
        };
        self.name(name, out);
        out.push(b' ');
    }

    /// The response's head or a space, then the name.
    fn name(&mut self, name: &[u8], out: &mut Vec<u8>) {
        if self.begun {
            out.push(b' ');
        } else {
            self.begun = true;
            out.extend_from_slice(b"* ");
            decimal(out, u64::from(self.number));
            out.extend_from_slice(b" FETCH (");
        }
        out.extend_from_slice(name);
    }
}

/// Writes a number without going through a formatter: this is done three times a message.
fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
