//! FLAGS and PERMANENTFLAGS as the user's rights make them (RFC 4314 §5.1.1, docs/rights.md).

use std::borrow::Cow;

use super::flag;
use crate::policy::{Effective, Place, Rights};
use crate::types::{Flag, FlagKind, SystemFlag};

/// The rights that MYRIGHTS shows: with a read state of one's own, `s` is always among them,
/// and `t` and `e` where what is expunged goes to Trash.
pub fn shown_rights(effective: &Effective, place: &Place) -> Rights {
    let (rights, own) = (effective.rights_on(place), effective.own_flags(place));
    let seen = if own.seen { Rights::SEEN } else { Rights::NONE };
    let deleted = if own.deleted { Rights::DELETED | Rights::EXPUNGE } else { Rights::NONE };
    rights | seen | deleted
}

/// The same for an open folder; EXAMINE leaves reading alone.
fn rights_in(effective: &Effective, place: &Place) -> Rights {
    let rights = shown_rights(effective, place);
    if place.read_only { rights & (Rights::LOOKUP | Rights::READ) } else { rights }
}

/// SELECT's last code: `READ-ONLY` where nothing at all may be changed (RFC 4314 §5.2).
pub fn access(effective: &Effective, place: &Place) -> &'static str {
    let changing = Rights::SEEN | Rights::WRITE | Rights::DELETED | Rights::INSERT | Rights::EXPUNGE;
    if (rights_in(effective, place) & changing).is_empty() { "READ-ONLY" } else { "READ-WRITE" }
}

/// PERMANENTFLAGS, with parentheses: those of upstream's that the user may set and clear;
/// `\*` where keywords are among them and upstream takes new ones.
///
/// `upstream` is its PERMANENTFLAGS, or its FLAGS where it sent none (RFC 3501 §7.1).
pub fn permanent_flags(effective: &Effective, place: &Place, upstream: &[&[u8]]) -> String {
    let rights = rights_in(effective, place);
    let mut flags: Vec<Cow<'_, str>> = Vec::new();
    for octets in upstream {
        match flag(octets) {
            Some(flag) if rights.allow_flag(flag.kind()) => flags.push(flag.to_string().into()),
            None if *octets == b"\\*" && rights.allow_flag(FlagKind::Other) => flags.push("\\*".into()),
            Some(_) | None => {}
        }
    }
    let own = effective.own_flags(place);
    for (own, right, flag) in [
        (own.deleted, Rights::DELETED, SystemFlag::Deleted.as_str()),
        (own.seen, Rights::SEEN, SystemFlag::Seen.as_str()),
    ] {
        if own && rights.has(right) && !flags.iter().any(|known| known == flag) {
            flags.insert(0, flag.into());
        }
    }
    format!("({})", flags.join(" "))
}

/// FLAGS, with parentheses: the flags that messages here may carry, whoever set them.
pub fn defined_flags(upstream: &[&[u8]]) -> String {
    let flags: Vec<_> = upstream.iter().filter_map(|octets| flag(octets)).map(|f| f.to_string()).collect();
    format!("({})", flags.join(" "))
}

/// A message's flags for the client: what upstream sent, unless something in it is no flag.
pub fn clean(flags: &[u8]) -> Cow<'_, [u8]> {
    if flags.split(|octet| *octet == b' ').all(is_shown) {
        return Cow::Borrowed(flags);
    }
    let fine = flags.split(|octet| *octet == b' ').filter(|flag| !flag.is_empty() && is_shown(flag));
    Cow::Owned(fine.collect::<Vec<_>>().join(&b' '))
}

/// `\Recent` is the server's alone, but clients are shown it. The empty list is one too.
fn is_shown(flag: &[u8]) -> bool {
    match flag {
        [] => true,
        [b'\\', name @ ..] => {
            name.eq_ignore_ascii_case(b"Recent") || matches!(self::flag(flag), Some(Flag::System(_)))
        }
        keyword => keyword.iter().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(b)),
    }
}
