//! Whether two bodies are the same.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Octets at the end that are looked at before they count: line ends there do not, since some
/// clients store an empty line more than they sent.
const TAIL: usize = 4;

/// SHA-256 of a body, taken as it streams by.
pub(in crate::proxy) struct BodyPrint {
    context: Context,
    tail: Vec<u8>,
}

impl Default for BodyPrint {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), tail: Vec::with_capacity(2 * TAIL) }
    }
}

impl BodyPrint {
    pub(in crate::proxy) fn push(&mut self, octets: &[u8]) {
        let (sure, last) = octets.split_at(octets.len().saturating_sub(TAIL));
        if !sure.is_empty() {
            self.context.update(&self.tail);
            self.tail.clear();
            self.context.update(sure);
        }
        self.tail.extend_from_slice(last);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.context.update(&self.tail[..surplus]);
        self.tail.drain(..surplus);
    }

    /// In base64url.
    pub(in crate::proxy) fn finish(mut self) -> String {
        let end = self.tail.iter().rposition(|octet| !b"\r\n".contains(octet)).map_or(0, |at| at + 1);
        self.context.update(&self.tail[..end]);
        URL_SAFE_NO_PAD.encode(self.context.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::BodyPrint;

    fn print(pieces: &[&[u8]]) -> String {
        let mut print = BodyPrint::default();
        pieces.iter().for_each(|piece| print.push(piece));
        print.finish()
    }

    #[test]
    fn cuts_and_an_empty_line_at_the_end_make_no_difference() {
        let body = b"one\r\ntwo\r\n";
        let whole = print(&[body]);
        for at in 0..body.len() {
            assert_eq!(print(&[&body[..at], &body[at..]]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(print(&single), whole);
        assert_eq!(print(&[b"one\r\ntwo\r\n\r\n"]), whole);
        assert_eq!(print(&[b"one\r\ntwo"]), whole);
        for other in [&b"one\r\ntw0\r\n"[..], b"one\r\ntwo.\r\n", b"0ne\r\ntwo\r\n", b""] {
            assert_ne!(print(&[other]), whole);
        }
    }
}
