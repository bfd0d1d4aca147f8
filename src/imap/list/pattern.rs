//! `*` and `%` (RFC 3501 §6.3.8), in time proportional to pattern × name, whatever the pattern.

/// What one position of a pattern matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Octet(u8),
    /// `%`: anything but the separator.
    Level,
    /// `*`: anything.
    Any,
}

/// A reference and a pattern, joined.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// How many of the parts are octets: no shorter name matches.
    octets: usize,
    separator: Option<u8>,
}

/// Longest pattern, reference included, in octets: a name has at most 16 levels of 255.
const MAX_PATTERN: usize = 8 * 1024;

impl Pattern {
    /// A reference is prepended as it is; one that is longer than any name matches nothing.
    pub(super) fn new(reference: &[u8], pattern: &[u8], separator: Option<u8>) -> Self {
        let mut parts: Vec<Part> = Vec::with_capacity(reference.len() + pattern.len());
        for octet in reference.iter().chain(pattern).take(MAX_PATTERN) {
            let part = match octet {
                b'*' => Part::Any,
                b'%' => Part::Level,
                octet => Part::Octet(*octet),
            };
            // A run of wildcards is its strongest one.
            match (parts.last_mut(), part) {
                (Some(Part::Any), Part::Any | Part::Level) | (Some(Part::Level), Part::Level) => {}
                (Some(last @ Part::Level), Part::Any) => *last = Part::Any,
                _ => parts.push(part),
            }
        }
        let octets = parts.iter().filter(|part| matches!(part, Part::Octet(_))).count();
        Self { parts, octets, separator }
    }

    /// Whether levels without a folder of their own are listed: a `%` is the last character.
    pub(super) fn lists_levels(&self) -> bool {
        self.parts.last() == Some(&Part::Level)
    }

    /// Whether the whole name matches. INBOX, also as the first level, has no case.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        if self.octets > name.len() {
            return false;
        }
        let rest = name.strip_prefix(b"INBOX");
        let inbox = rest.is_some_and(|rest| rest.is_empty() || rest.first().copied() == self.separator);
        // alive[i]: the octets read so far can have used up the first i parts.
        let mut alive = vec![false; self.parts.len() + 1];
        alive[0] = true;
        self.skip_wildcards(&mut alive);
        for (at, octet) in name.iter().enumerate() {
            self.step(&mut alive, *octet, inbox && at < 5);
            self.skip_wildcards(&mut alive);
            if !alive.contains(&true) {
                return false;
            }
        }
        alive[self.parts.len()]
    }

    /// Reads one octet: a wildcard stays where it is, an equal octet moves on.
    fn step(&self, alive: &mut [bool], octet: u8, no_case: bool) {
        let equal = |wanted: u8| wanted == octet || (no_case && wanted.eq_ignore_ascii_case(&octet));
        for i in (0..alive.len()).rev() {
            let stays = match self.parts.get(i) {
                Some(Part::Any) => true,
                Some(Part::Level) => Some(octet) != self.separator,
                Some(Part::Octet(_)) | None => false,
            };
            let before = i.checked_sub(1).filter(|before| alive[*before]);
            let arrives = before.is_some_and(|i| matches!(self.parts[i], Part::Octet(o) if equal(o)));
            alive[i] = (alive[i] && stays) || arrives;
        }
    }

    /// A wildcard may match nothing.
    fn skip_wildcards(&self, alive: &mut [bool]) {
        for (i, part) in self.parts.iter().enumerate() {
            if alive[i] && matches!(part, Part::Any | Part::Level) {
                alive[i + 1] = true;
            }
        }
    }
}
