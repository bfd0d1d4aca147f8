//! What a message that went out leaves to be done, on the daemon's own connection.

use super::encoder::{Encoder, Outgoing};
use crate::policy::{Step, StepKind};
use crate::types::UidSet;

/// The APPEND of a sent copy: `\Seen`, with the moment of sending as INTERNALDATE. After `+`
/// the caller sends `size` octets and CRLF. `None` for a step of another kind.
pub fn file(step: &Step, folder: &[u8], date: &str, size: u64, tag: &str) -> Option<Outgoing> {
    let StepKind::File = step.kind() else { return None };
    let line = Encoder::new(tag).word("APPEND").string(folder).word("(\\Seen)").quoted(date);
    line.end_announcing(size)
}

/// SELECT of a parent's folder, and the STORE that marks it (a few copies at most). `None` for a
/// step of another kind.
pub fn mark(step: &Step, folder: &[u8], uids: &UidSet, tags: [&str; 2]) -> Option<[Outgoing; 2]> {
    let StepKind::Parent(mark) = step.kind() else { return None };
    let open = Encoder::new(tags[0]).word("SELECT").string(folder).end()?;
    let flag = mark.as_str();
    let store = Encoder::new(tags[1]).word(format_args!("UID STORE {uids} +FLAGS.SILENT ({flag})"));
    Some([open, store.end()?])
}
