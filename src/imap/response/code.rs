//! Response codes (RFC 3501 §7.1, RFC 4315, RFC 5530, RFC 7162 and friends).

use super::words::{Unparseable, Words};
use crate::types::{UidSet, UidValidity};

/// A response code. What is not here is dropped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Code<'a> {
    Alert,
    AlreadyExists,
    AppendUid {
        validity: UidValidity,
        uids: UidSet,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    Capability(Vec<&'a [u8]>),
    Closed,
    CopyUid {
        validity: UidValidity,
        from: UidSet,
        to: UidSet,
        pairs: Pairs<'a>,
    },
    HighestModSeq(u64),
    InUse,
    Limit,
    /// The messages that a conditional STORE left alone, numbered as the command numbers.
    Modified(UidSet),
    NoModSeq,
    NonExistent,
    NoPerm,
    OverQuota,
    /// As written, `\*` included.
    PermanentFlags(Vec<&'a [u8]>),
    ReadOnly,
    ReadWrite,
    TryCreate,
    UidNext(u32),
    UidValidity(UidValidity),
    Unavailable,
    Unseen(u32),
    Other,
}

/// COPYUID's two sets as written: their order pairs source and copy (RFC 4315 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pairs<'a> {
    pub from: &'a [u8],
    pub to: &'a [u8],
}

/// Which copy a message has: COPYUID's ranges, in pairs of one length.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Copies(Vec<Run>);

/// As many copies from `to` on as there are messages from `from` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    from: u32,
    to: u32,
    last: u32,
}

impl Pairs<'_> {
    /// `None` if the two sets differ in length.
    pub fn copies(&self) -> Option<Copies> {
        let (mut from, mut to) = (ranges(self.from)?.into_iter(), ranges(self.to)?.into_iter());
        let (mut next, mut runs) = ((from.next(), to.next()), Vec::new());
        while let (Some((a, b)), Some((c, d))) = next {
            let last = (b - a).min(d - c);
            runs.push(Run { from: a, to: c, last });
            // What is left of the longer one is paired with what follows the shorter.
            let rest = |start: u32, end: u32| (end - start > last).then(|| (start + last + 1, end));
            next = (rest(a, b).or_else(|| from.next()), rest(c, d).or_else(|| to.next()));
        }
        (next == (None, None)).then_some(Copies(runs))
    }
}

impl Copies {
    /// The copies of these messages.
    pub fn of(&self, messages: &UidSet) -> UidSet {
        let mut copies = UidSet::new();
        for run in &self.0 {
            let these = UidSet::range(run.from, run.from + run.last).intersect(messages);
            these
                .ranges()
                .for_each(|(a, b)| copies.insert_range(run.to + (a - run.from), run.to + (b - run.from)));
        }
        copies
    }

    /// The messages that were copied.
    pub fn sources(&self) -> UidSet {
        let mut sources = UidSet::new();
        self.0.iter().for_each(|run| sources.insert_range(run.from, run.from + run.last));
        sources
    }
}

/// Ranges in the order in which they are written.
fn ranges(set: &[u8]) -> Option<Vec<(u32, u32)>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let range = |text: &str| {
        let (a, b) = text.split_once(':').unwrap_or((text, text));
        let (a, b) = (number(a)?, number(b)?);
        Some((a.min(b), a.max(b)))
    };
    std::str::from_utf8(set).ok()?.split(',').map(range).collect()
}

/// Splits `[code] text`; quoted strings in a code may hold `]`.
pub(super) fn split(rest: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(inner) = rest.strip_prefix(b"[") else { return (None, rest) };
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in inner.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => {
                let text = &inner[at + 1..];
                return (Some(&inner[..at]), text.strip_prefix(b" ").unwrap_or(text));
            }
            _ => {}
        }
    }
    (None, rest)
}

/// Reads what stands in the brackets; a known code that is malformed counts as unknown.
pub(super) fn parse(code: &[u8]) -> Code<'_> {
    known(code).unwrap_or(Code::Other)
}

fn known(code: &[u8]) -> Result<Code<'_>, Unparseable> {
    let mut words = Words::new(code);
    let name = words.until_space();
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    Ok(match name.as_str() {
        "ALERT" => Code::Alert,
        "ALREADYEXISTS" => Code::AlreadyExists,
        "AUTHENTICATIONFAILED" => Code::AuthenticationFailed,
        "AUTHORIZATIONFAILED" => Code::AuthorizationFailed,
        "CAPABILITY" => Code::Capability(words.atoms()),
        "CLOSED" => Code::Closed,
        "INUSE" => Code::InUse,
        "LIMIT" => Code::Limit,
        "NOMODSEQ" => Code::NoModSeq,
        "NONEXISTENT" => Code::NonExistent,
        "NOPERM" => Code::NoPerm,
        "OVERQUOTA" => Code::OverQuota,
        "READ-ONLY" => Code::ReadOnly,
        "READ-WRITE" => Code::ReadWrite,
        "TRYCREATE" => Code::TryCreate,
        "UNAVAILABLE" => Code::Unavailable,
        "UIDNEXT" => Code::UidNext(number(&mut words)?),
        "UIDVALIDITY" => Code::UidValidity(UidValidity(number(&mut words)?)),
        "UNSEEN" => Code::Unseen(number(&mut words)?),
        "HIGHESTMODSEQ" => {
            words.space()?;
            Code::HighestModSeq(words.number()?)
        }
        "PERMANENTFLAGS" => {
            words.space()?;
            Code::PermanentFlags(words.flag_list()?)
        }
        "MODIFIED" => {
            words.space()?;
            Code::Modified(set(words.until_space())?)
        }
        "APPENDUID" => {
            let validity = UidValidity(number(&mut words)?);
            words.space()?;
            Code::AppendUid { validity, uids: set(words.until_space())? }
        }
        "COPYUID" => copy_uid(words)?,
        _ => Code::Other,
    })
}

fn copy_uid(mut words: Words<'_>) -> Result<Code<'_>, Unparseable> {
    let validity = UidValidity(number(&mut words)?);
    words.space()?;
    let from = words.until_space();
    words.space()?;
    let to = words.until_space();
    let pairs = Pairs { from, to };
    let (from, to) = (set(from)?, set(to)?);
    if from.len() == to.len() { Ok(Code::CopyUid { validity, from, to, pairs }) } else { Err(Unparseable) }
}

/// A space and an nz-number.
fn number(words: &mut Words<'_>) -> Result<u32, Unparseable> {
    words.space()?;
    u32::try_from(words.number()?).ok().filter(|number| *number > 0).ok_or(Unparseable)
}

/// A uid-set (RFC 4315 §4): numbers and ranges, no `*`.
pub(super) fn set(text: &[u8]) -> Result<UidSet, Unparseable> {
    let mut numbers = crate::imap::scan::Numbers::default();
    if text.contains(&b' ') {
        return Err(Unparseable);
    }
    numbers.read(text).map_err(|_| Unparseable)?;
    let set = numbers.finish().map_err(|_| Unparseable)?;
    if set.is_empty() { Err(Unparseable) } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use super::{Code, Pairs, parse, split};
    use crate::types::UidValidity;

    #[test]
    fn codes() {
        let set = |numbers: &[u32]| numbers.iter().copied().collect();
        let validity = UidValidity(7);
        for (text, code) in [
            ("UIDNEXT 5", Code::UidNext(5)),
            ("uidvalidity 7", Code::UidValidity(validity)),
            ("UNSEEN 2", Code::Unseen(2)),
            ("UIDNEXT 0", Code::Other),
            ("UIDNEXT", Code::Other),
            ("UIDNEXT x", Code::Other),
            ("PERMANENTFLAGS (\\Seen \\*)", Code::PermanentFlags(vec![b"\\Seen", b"\\*"])),
            ("HIGHESTMODSEQ 9223372036854775807", Code::HighestModSeq(i64::MAX as u64)),
            ("APPENDUID 7 3:4", Code::AppendUid { validity, uids: set(&[3, 4]) }),
            ("MODIFIED 1,3", Code::Modified(set(&[1, 3]))),
            (
                "COPYUID 7 5,1 8:9",
                Code::CopyUid {
                    validity,
                    from: set(&[1, 5]),
                    to: set(&[8, 9]),
                    pairs: Pairs { from: b"5,1", to: b"8:9" },
                },
            ),
            ("COPYUID 7 1:3 8:9", Code::Other),
            ("COPYUID 7 1 *", Code::Other),
            ("REFERRAL imap://x/", Code::Other),
            ("TRYCREATE", Code::TryCreate),
        ] {
            assert_eq!(parse(text.as_bytes()), code, "{text}");
        }
    }

    #[test]
    fn copies_are_paired_in_the_order_of_the_answer() {
        let copies = |from: &str, to: &str| Pairs { from: from.as_bytes(), to: to.as_bytes() }.copies();
        let set = |numbers: &[u32]| numbers.iter().copied().collect();
        let paired = copies("7,1:3,9", "20:22,40,30").unwrap();
        assert_eq!(paired.of(&set(&[7])), set(&[20]));
        assert_eq!(paired.of(&set(&[1, 2, 3, 5])), set(&[21, 22, 40]));
        assert_eq!(paired.of(&set(&[9])), set(&[30]));
        assert_eq!(paired.sources(), set(&[1, 2, 3, 7, 9]));
        assert_eq!(copies("1:2", "5"), None);
        assert_eq!(copies("1", "5,*"), None);
    }

    #[test]
    fn a_bracket_in_quotes_does_not_end_a_code() {
        assert_eq!(split(b"[X \"a]\\\"]\"] t"), (Some(b"X \"a]\\\"]\"".as_slice()), b"t".as_slice()));
        assert_eq!(split(b"no code] x"), (None, b"no code] x".as_slice()));
    }
}
