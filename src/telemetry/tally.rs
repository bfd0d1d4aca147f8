//! Counting what must not fill the journal: failed logins and refusals, a line a minute.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;

use super::event::Service;
use crate::types::{MailboxId, UserId};

/// Something that may be repeated without end by somebody who gets nothing by it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Counted {
    /// A login that failed; `user` only if the name is a user's.
    LoginRefused { service: Service, peer: IpAddr, user: Option<UserId>, why: &'static str },
    /// An act that policy denied.
    Refused { user: UserId, mailbox: MailboxId, verb: &'static str, why: &'static str },
}

/// Different things counted within one minute. A stranger with a network of addresses
/// fills it and then adds to one line; each line is about 300 octets, so that a minute
/// costs at most 80 KB.
pub(super) const MAX_KEYS: usize = 256;

/// As the journal shows a [`Counted`]; nothing of it when it stands for all others.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Service>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl Counted {
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::LoginRefused { .. } => "login_refused",
            Self::Refused { .. } => "refused",
        }
    }

    pub(super) fn shown(&self) -> Shown {
        match self {
            Self::LoginRefused { service, peer, user, why } => Shown {
                service: Some(*service),
                peer: Some(*peer),
                user: user.map(|user| user.to_string()),
                why: Some(why),
                ..Shown::default()
            },
            Self::Refused { user, mailbox, verb, why } => Shown {
                user: Some(user.to_string()),
                mailbox: Some(mailbox.to_string()),
                verb: Some(verb),
                why: Some(why),
                ..Shown::default()
            },
        }
    }
}

/// How often, first and last (milliseconds since 1970).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Count {
    pub times: u64,
    pub first: i64,
    pub last: i64,
}

/// The counts of the running minute; its size is bounded by [`MAX_KEYS`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: HashMap<Counted, Count>,
    /// By [`Counted::what`]: what came when the table was full.
    others: HashMap<&'static str, Count>,
}

impl Tally {
    pub(super) fn add(&mut self, counted: Counted, now: i64) {
        let one = Count { times: 0, first: now, last: now };
        let full = self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&counted);
        let count = match full {
            true => self.others.entry(counted.what()).or_insert(one),
            false => self.counts.entry(counted).or_insert(one),
        };
        count.times = count.times.saturating_add(1);
        count.last = now;
    }

    /// Empties the table, in the order in which things first happened.
    pub(super) fn take(&mut self) -> Vec<(&'static str, Shown, Count)> {
        let counts = self.counts.drain().map(|(counted, count)| (counted.what(), counted.shown(), count));
        let mut lines: Vec<_> = counts.collect();
        lines.extend(self.others.drain().map(|(what, count)| (what, Shown::default(), count)));
        lines.sort_by_key(|(_, _, count)| count.first);
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Counted, MAX_KEYS, Tally};
    use crate::telemetry::event::Service;

    #[test]
    fn a_stranger_cannot_grow_it() {
        let mut tally = Tally::default();
        for n in 0..100_000u32 {
            let peer = IpAddr::V4(Ipv4Addr::from(n));
            tally.add(
                Counted::LoginRefused { service: Service::Imap, peer, user: None, why: "credentials" },
                i64::from(n),
            );
        }
        let lines = tally.take();
        assert_eq!(lines.len(), MAX_KEYS + 1);
        assert_eq!(lines.iter().map(|(_, _, count)| count.times).sum::<u64>(), 100_000);
        assert!(tally.take().is_empty());
    }
}
