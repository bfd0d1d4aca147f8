//! Takes the dots off that stand on the wire alone (RFC 5321 §4.5.2).

/// Follows the spans of [`super::data::DataReader`], which are clean: each dot that begins a
/// line is a stuffed one.
#[derive(Debug)]
pub struct Unstuffer {
    line_start: bool,
}

impl Default for Unstuffer {
    fn default() -> Self {
        Self { line_start: true }
    }
}

impl Unstuffer {
    /// Hands on the message's own octets, in pieces.
    pub fn push<'a>(&mut self, span: &'a [u8], mut out: impl FnMut(&'a [u8])) {
        let mut rest = span;
        if self.line_start && rest.first() == Some(&b'.') {
            rest = &rest[1..];
        }
        if let Some(last) = span.last() {
            self.line_start = *last == b'\n';
        }
        while let Some(at) = memchr::memmem::find(rest, b"\n.") {
            out(&rest[..=at]);
            rest = &rest[at + 2..];
        }
        if !rest.is_empty() {
            out(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unstuffer;

    #[test]
    fn dots_at_the_start_of_lines_over_any_cut() {
        let wire = b"..a\r\nb.\r\n...\r\n..\r\nc\r\n";
        for cut in 0..=wire.len() {
            for second in cut..=wire.len() {
                let (mut unstuffer, mut got) = (Unstuffer::default(), Vec::new());
                for span in [&wire[..cut], &wire[cut..second], &wire[second..]] {
                    unstuffer.push(span, |piece| got.extend_from_slice(piece));
                }
                assert_eq!(got, b".a\r\nb.\r\n..\r\n.\r\nc\r\n", "{cut} {second}");
            }
        }
    }
}
