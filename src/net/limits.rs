//! How many connections there may be, and how many of them before login.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::types::{Network, UserId};

/// `[limits]`: connections at a time. An address is an IPv4 address or an IPv6 /64.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Connections that are not logged in, from one address. Default 10: a Thunderbird
    /// opens five at once, and an office behind one address starts work together.
    pub unauthenticated_per_address: usize,
    /// Connections that are not logged in, in all. Default 500: what 60 s of deadline and
    /// two argon2 at a time can serve.
    pub unauthenticated: usize,
    /// Connections from one address, logged in or not. Default 200.
    pub per_address: usize,
    /// Connections of one user, over all services and mailboxes. Default 50: a Thunderbird
    /// keeps five for each of its accounts, and a telephone a few more.
    pub per_user: usize,
    /// Connections in all. Default 10,000: at two sockets each, under the unit's LimitNOFILE.
    pub connections: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            unauthenticated_per_address: 10,
            unauthenticated: 500,
            per_address: 200,
            per_user: 50,
            connections: 10_000,
        }
    }
}

/// Which limit a connection ran into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    UnauthenticatedPerAddress,
    Unauthenticated,
    PerAddress,
    PerUser,
    Connections,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnauthenticatedPerAddress => "limits.unauthenticated_per_address",
            Self::Unauthenticated => "limits.unauthenticated",
            Self::PerAddress => "limits.per_address",
            Self::PerUser => "limits.per_user",
            Self::Connections => "limits.connections",
        })
    }
}

/// Counts connections, for all listeners together.
pub struct Gate {
    settings: ArcSwap<LimitSettings>,
    connections: Arc<AtomicUsize>,
    unauthenticated: Arc<AtomicUsize>,
    by_address: PerKey<Network>,
    unauthenticated_by_address: PerKey<Network>,
    by_user: PerKey<UserId>,
}

impl Gate {
    pub fn new(settings: LimitSettings) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            connections: Arc::default(),
            unauthenticated: Arc::default(),
            by_address: PerKey::default(),
            unauthenticated_by_address: PerKey::default(),
            by_user: PerKey::default(),
        }
    }

    /// Other limits, for whoever comes from here on.
    pub fn change(&self, settings: LimitSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// A place for one more session of a user who has just logged in; held by the session.
    pub fn admit_user(&self, user: UserId) -> Result<Place<UserId>, Refused> {
        self.by_user.take(user, self.settings.load().per_user).ok_or(Refused::PerUser)
    }

    /// A place for a connection from `address`, given back on drop.
    pub fn admit(&self, address: IpAddr) -> Result<Admission, Refused> {
        let key = Network::around(address, 64);
        let limits = self.settings.load();
        let connection = Counted::take(&self.connections, limits.connections).ok_or(Refused::Connections)?;
        let of_address = self.by_address.take(key, limits.per_address).ok_or(Refused::PerAddress)?;
        let before_login = BeforeLogin {
            _of_address: self
                .unauthenticated_by_address
                .take(key, limits.unauthenticated_per_address)
                .ok_or(Refused::UnauthenticatedPerAddress)?,
            _of_all: Counted::take(&self.unauthenticated, limits.unauthenticated)
                .ok_or(Refused::Unauthenticated)?,
        };
        Ok(Admission {
            _connection: connection,
            _of_address: of_address,
            before_login: Some(Box::new(before_login)),
        })
    }
}

/// A connection's place.
pub struct Admission {
    _connection: Counted,
    _of_address: Place<Network>,
    before_login: Option<Box<BeforeLogin>>,
}

struct BeforeLogin {
    _of_address: Place<Network>,
    _of_all: Counted,
}

impl Admission {
    /// The client is logged in: its place among those who are not is free again.
    pub fn authenticated(&mut self) {
        self.before_login = None;
    }
}

/// One of at most so many.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn take(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let up = |n: usize| (n < limit).then_some(n + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, up).ok()?;
        Some(Self(count.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts by key, for as long as a [`Place`] is held. Holds a key only while it is in use.
pub struct PerKey<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Eq + Hash> Default for PerKey<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> PerKey<K> {
    /// A place for `key` unless `limit` of them are taken.
    pub fn take(&self, key: K, limit: usize) -> Option<Place<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count >= limit {
            return None;
        }
        counts.insert(key, count + 1);
        Some(Place { counts: self.0.clone(), key })
    }

    /// Keys in use.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place in a [`PerKey`]; free again on drop.
pub struct Place<K: Copy + Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Gate, LimitSettings, Refused};
    use crate::types::UserId;

    fn gate() -> Gate {
        Gate::new(LimitSettings {
            unauthenticated_per_address: 2,
            unauthenticated: 4,
            per_address: 3,
            per_user: 2,
            connections: 6,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn other_limits_count_from_here_on() {
        let gate = gate();
        let _held = gate.admit_user(UserId(1)).unwrap();
        gate.change(LimitSettings { per_user: 1, ..LimitSettings::default() });
        assert_eq!(gate.admit_user(UserId(1)).err(), Some(Refused::PerUser));
    }

    #[test]
    fn before_login_by_address() {
        let gate = gate();
        let mut a = gate.admit(ip("192.0.2.1")).unwrap();
        let _b = gate.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(gate.admit(ip("192.0.2.1")).err(), Some(Refused::UnauthenticatedPerAddress));
        let _other = gate.admit(ip("192.0.2.2")).unwrap();
        a.authenticated();
        let _c = gate.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(gate.admit(ip("192.0.2.1")).err(), Some(Refused::PerAddress));
    }

    #[test]
    fn before_login_in_all() {
        let gate = gate();
        let mut held: Vec<_> = (1..=4).map(|n| gate.admit(ip(&format!("192.0.2.{n}"))).unwrap()).collect();
        assert_eq!(gate.admit(ip("192.0.2.9")).err(), Some(Refused::Unauthenticated));
        held[0].authenticated();
        held.push(gate.admit(ip("192.0.2.9")).unwrap());
    }

    #[test]
    fn connections_in_all() {
        let gate = gate();
        let mut held = Vec::new();
        for n in 1..=6 {
            let mut place = gate.admit(ip(&format!("192.0.2.{n}"))).unwrap();
            place.authenticated();
            held.push(place);
        }
        assert_eq!(gate.admit(ip("192.0.2.9")).err(), Some(Refused::Connections));
        held.clear();
        assert!(gate.admit(ip("192.0.2.9")).is_ok());
    }

    #[test]
    fn sessions_of_a_user() {
        let gate = gate();
        let mut held = vec![gate.admit_user(UserId(1)).ok(), gate.admit_user(UserId(1)).ok()];
        assert_eq!(gate.admit_user(UserId(1)).err(), Some(Refused::PerUser));
        assert!(gate.admit_user(UserId(2)).is_ok());
        held.pop();
        assert!(gate.admit_user(UserId(1)).is_ok());
    }

    #[test]
    fn a_refusal_takes_no_place_and_no_memory() {
        let gate = gate();
        let held: Vec<_> = (0..2).map(|_| gate.admit(ip("192.0.2.1")).unwrap()).collect();
        for _ in 0..100 {
            assert!(gate.admit(ip("192.0.2.1")).is_err());
        }
        drop(held);
        assert!(gate.by_address.is_empty() && gate.unauthenticated_by_address.is_empty());
        let _again: Vec<_> = (0..2).map(|_| gate.admit(ip("192.0.2.1")).unwrap()).collect();
    }

    #[test]
    fn one_ipv6_site_is_one_address() {
        let gate = gate();
        let _held = [gate.admit(ip("2001:db8::1")).unwrap(), gate.admit(ip("2001:db8::2")).unwrap()];
        assert_eq!(gate.admit(ip("2001:db8::3")).err(), Some(Refused::UnauthenticatedPerAddress));
        assert!(gate.admit(ip("2001:db8:0:1::1")).is_ok());
    }
}
