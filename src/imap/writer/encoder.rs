//! The one maker of upstream octets.

use std::fmt;

use zeroize::Zeroize;

use crate::types::NumberSet;

/// Longest string that goes in quotes; longer ones are literals, as servers limit quoted
/// strings more tightly than lines.
const MAX_QUOTED: usize = 512;

/// A command on its way upstream.
///
/// Every part but the last ends in a synchronising literal announcement (or is the line of
/// an AUTHENTICATE): the next part goes out only after upstream's `+`. When upstream
/// answers with a tagged line instead, the rest is dropped.
#[must_use]
pub struct Outgoing {
    pub parts: Vec<Vec<u8>>,
    /// What must follow once upstream answered this command OK.
    pub then: Option<FollowUp>,
}

/// A command that only its predecessor justifies.
#[derive(Debug)]
#[must_use]
pub enum FollowUp {
    /// The selected folder has been EXAMINEd anew, so that CLOSE removes nothing: see
    /// [`super::close_examined`].
    CloseExamined(Examined),
}

/// Proof that [`super::close_examined`] follows an EXAMINE made for it.
#[derive(Debug)]
pub struct Examined(pub(super) ());

/// Passwords pass through here.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.parts.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} parts)", self.parts.len())
    }
}

/// Builds one command. CR, LF and NUL cannot leave it outside a counted literal: whoever
/// tries gets no command at all.
pub(super) struct Encoder {
    parts: Vec<Vec<u8>>,
    line: Vec<u8>,
    sound: bool,
}

impl Encoder {
    /// Begins with the tag.
    pub(super) fn new(tag: &str) -> Self {
        let mut encoder = Self { parts: Vec::new(), line: Vec::with_capacity(512), sound: !tag.is_empty() };
        encoder.sound &= tag.bytes().all(|b| b.is_ascii_alphanumeric());
        encoder.raw(tag)
    }

    /// Without tag: DONE.
    pub(super) fn untagged(word: &str) -> Self {
        Self { parts: Vec::new(), line: Vec::new(), sound: true }.raw(word)
    }

    /// A space and these words; printable ASCII.
    pub(super) fn word(mut self, words: impl fmt::Display) -> Self {
        self.line.push(b' ');
        self.raw(words)
    }

    /// As they are; printable ASCII.
    pub(super) fn raw(mut self, words: impl fmt::Display) -> Self {
        use std::io::Write as _;
        let start = self.line.len();
        let written = write!(self.line, "{words}").is_ok();
        self.sound &= written && self.line[start..].iter().all(|b| (b' '..=b'~').contains(b));
        self
    }

    /// A space and a client's set.
    pub(super) fn set(self, set: &NumberSet) -> Self {
        self.raw(' ').bare_set(set)
    }

    /// A client's set. A `$` would be upstream's own, not ours: it spoils the command.
    pub(super) fn bare_set(mut self, set: &NumberSet) -> Self {
        self.sound &= !set.is_saved();
        self.raw(set)
    }

    /// A space and an atom; a value that is none spoils the command.
    pub(super) fn atom(mut self, atom: &str) -> Self {
        let fine = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        self.sound &= !atom.is_empty() && atom.bytes().all(fine);
        self.word(atom)
    }

    /// A space and a quoted string; a value that needs more spoils the command.
    pub(super) fn quoted(mut self, text: &str) -> Self {
        self.sound &= text.bytes().all(is_plain);
        self.word(format_args!("\"{text}\""))
    }

    /// A space and a string: quoted if short and plain, otherwise a literal.
    pub(super) fn string(mut self, octets: &[u8]) -> Self {
        self.line.push(b' ');
        self.bare_string(octets)
    }

    /// A string without the space.
    pub(super) fn bare_string(mut self, octets: &[u8]) -> Self {
        if octets.len() <= MAX_QUOTED && octets.iter().copied().all(is_plain) {
            self.line.push(b'"');
            self.line.extend_from_slice(octets);
            self.line.push(b'"');
            return self;
        }
        self.sound &= !octets.contains(&0);
        self = self.announce(octets.len() as u64);
        self.line.extend_from_slice(octets);
        self
    }

    /// `{n}`, CRLF, and the end of the part.
    fn announce(mut self, size: u64) -> Self {
        self = self.raw(format_args!("{{{size}}}"));
        self.next_part()
    }

    fn next_part(mut self) -> Self {
        self.line.extend_from_slice(b"\r\n");
        self.parts.push(std::mem::take(&mut self.line));
        self
    }

    /// The line is over and upstream's `+` is waited for, though no literal follows.
    pub(super) fn wait(self) -> Self {
        self.next_part()
    }

    /// Ends in the announcement of a message that somebody else sends, CRLF after it included.
    pub(super) fn end_announcing(mut self, size: u64) -> Option<Outgoing> {
        self.line.push(b' ');
        let done = self.announce(size);
        done.sound.then_some(Outgoing { parts: done.parts, then: None })
    }

    pub(super) fn end(self) -> Option<Outgoing> {
        let done = self.next_part();
        done.sound.then_some(Outgoing { parts: done.parts, then: None })
    }
}

/// Whether an octet may stand in quotes as it is.
fn is_plain(b: u8) -> bool {
    (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\'
}

#[cfg(test)]
mod tests {
    use super::Encoder;
    use crate::types::NumberSet;

    /// The guard behind the types: each way in, with what would break out of a line.
    #[test]
    fn no_line_end_gets_out() {
        for smuggled in ["\r\nP2 DELETE x", "\n", "\r", "\0", "é", "\u{7f}"] {
            let ways: [fn(Encoder, &str) -> Encoder; 4] =
                [|line, text| line.raw(text), |line, text| line.word(text), Encoder::atom, Encoder::quoted];
            for way in ways {
                assert!(way(Encoder::new("P1"), smuggled).end().is_none(), "{smuggled:?}");
            }
            assert!(Encoder::new(&format!("P1{smuggled}")).end().is_none(), "{smuggled:?}");
            assert!(Encoder::untagged(smuggled).end().is_none(), "{smuggled:?}");
        }
        for (spoiled, text) in [
            (Encoder::new("P1").atom("a b"), "an atom has no space"),
            (Encoder::new("P1").atom(""), "an atom is not empty"),
            (Encoder::new("P1").atom("{5}"), "an atom announces nothing"),
            (Encoder::new("P1").quoted("a\" {5}"), "quotes stay closed"),
            (Encoder::new("P1").quoted("a\\"), "quotes get closed"),
            (Encoder::new("P1").string(b"a\0"), "NUL is in no literal either"),
            (Encoder::new("P1").set(&NumberSet::saved()), "what is kept here is not kept upstream"),
            (Encoder::new("P 1"), "a tag is one word"),
            (Encoder::new(""), "a tag is a word"),
        ] {
            assert!(spoiled.end().is_none(), "{text}");
        }
    }
}
