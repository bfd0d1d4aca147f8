//! How long an answer is held back, by address and by user.
//!
//! A delay, never a lock-out: whoever knows the password gets in. Failures count by the
//! client's address (IPv4; IPv6 /64 and, four times as patient, /56) and by user. What does
//! not hold back others: a wrong password sent once more (phones do so for days), and an
//! address from which the user has logged in before, which answers for itself alone.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keyed::Tag;
use super::table::Table;
use crate::types::{Network, Timestamp, UserId};

/// Entries in each of the tables. At about 100 octets each, strangers who fill them all
/// cost some 10 MiB; an office has fewer.
const ENTRIES: usize = 20_000;

/// Wrong passwords remembered for a user: an old one in each of several devices.
const WRONG: usize = 10;

/// How long a place of successful logins is remembered: over a weekend and a holiday.
const GOOD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// `[login.throttle]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleSettings {
    /// Seconds that an answer waits after the first failure, the second, and so on; the
    /// last goes for all that follow. Default 2, 4, 8, 15, as Dovecot does: less than a
    /// client's own time limit.
    pub delays_seconds: Vec<u64>,
    /// Seconds after the last failure until it is forgotten. Default 900.
    pub forget_seconds: u64,
    /// Networks whose addresses stand for many people (webmail, Microsoft's cloud):
    /// counted by user only, apart from what the same user's failures elsewhere count.
    /// Default none.
    pub trusted_clients: Vec<Network>,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self { delays_seconds: vec![2, 4, 8, 15], forget_seconds: 900, trusted_clients: Vec::new() }
    }
}

/// Whom an attempt is for. Names of nobody are counted like users, apart from them, so
/// that invented ones push no user's entry out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Who {
    Known(UserId),
    Unknown(Tag),
}

/// Failures, remembered for [`ThrottleSettings::forget_seconds`].
pub(super) struct Throttle {
    settings: ThrottleSettings,
    addresses: Table<Network, u32>,
    /// By user, and whether the attempts came from a trusted client.
    users: Table<(UserId, bool), u32>,
    nobodies: Table<(Tag, bool), u32>,
    /// Where a user has logged in before.
    good: Table<(Network, UserId), ()>,
    /// Failures there.
    pairs: Table<(Network, UserId), u32>,
    wrong: Table<Who, Vec<Tag>>,
}

impl Throttle {
    pub(super) fn new(settings: ThrottleSettings) -> Self {
        Self {
            settings,
            addresses: Table::new(ENTRIES),
            users: Table::new(ENTRIES),
            nobodies: Table::new(ENTRIES),
            good: Table::new(ENTRIES),
            pairs: Table::new(ENTRIES),
            wrong: Table::new(ENTRIES),
        }
    }

    /// How long after its arrival an attempt may be answered, as things stand.
    pub(super) fn delay(&self, peer: IpAddr, who: Who, now: Timestamp) -> Duration {
        let place = Network::around(peer, 64);
        let trusted = self.is_trusted(peer);
        if let Who::Known(user) = who
            && !trusted
            && self.good.get(&(place, user), now).is_some()
        {
            return self.step(count(&self.pairs, &(place, user), now));
        }
        let of_user = match who {
            Who::Known(user) => count(&self.users, &(user, trusted), now),
            Who::Unknown(name) => count(&self.nobodies, &(name, trusted), now),
        };
        let of_address = match trusted {
            true => 0,
            false => count(&self.addresses, &place, now).max(self.of_site(peer, now)),
        };
        self.step(of_user.max(of_address))
    }

    /// Was this guess made for this user before?
    pub(super) fn is_repeated(&self, who: Who, guess: &Tag, now: Timestamp) -> bool {
        self.wrong.get(&who, now).is_some_and(|tags| tags.contains(guess))
    }

    /// Counts a failure, unless the guess was counted before (or is `None`, which says so);
    /// says how long after the arrival it is to be answered.
    pub(super) fn failed(&mut self, peer: IpAddr, who: Who, guess: Option<Tag>, now: Timestamp) -> Duration {
        if let Some(guess) = guess
            && !self.is_repeated(who, &guess, now)
        {
            self.remember_wrong(who, guess, now);
            self.count(peer, who, now);
        }
        // Repeated, and everything else forgotten: still never at once.
        self.delay(peer, who, now).max(self.step(1))
    }

    /// The user logged in from there.
    pub(super) fn succeeded(&mut self, peer: IpAddr, user: UserId, now: Timestamp) {
        if self.is_trusted(peer) {
            return;
        }
        let pair = (Network::around(peer, 64), user);
        self.pairs.remove(&pair);
        self.good.insert(pair, (), after(now, GOOD_FOR), now);
    }

    fn count(&mut self, peer: IpAddr, who: Who, now: Timestamp) {
        let until = after(now, self.forget());
        let place = Network::around(peer, 64);
        let trusted = self.is_trusted(peer);
        if !trusted {
            add(&mut self.addresses, place, until, now);
            if peer.to_canonical().is_ipv6() {
                add(&mut self.addresses, Network::around(peer, 56), until, now);
            }
        }
        match who {
            Who::Known(user) => {
                add(&mut self.users, (user, trusted), until, now);
                if !trusted {
                    add(&mut self.pairs, (place, user), until, now);
                }
            }
            Who::Unknown(name) => add(&mut self.nobodies, (name, trusted), until, now),
        }
    }

    fn remember_wrong(&mut self, who: Who, guess: Tag, now: Timestamp) {
        let until = after(now, GOOD_FOR);
        let tags = self.wrong.touch(who, until, now);
        if tags.len() == WRONG {
            tags.remove(0);
        }
        tags.push(guess);
    }

    /// A /56 is one customer or many: it counts a quarter.
    fn of_site(&self, peer: IpAddr, now: Timestamp) -> u32 {
        if peer.to_canonical().is_ipv4() {
            return 0;
        }
        count(&self.addresses, &Network::around(peer, 56), now) / 4
    }

    fn is_trusted(&self, peer: IpAddr) -> bool {
        self.settings.trusted_clients.iter().any(|network| network.contains(peer))
    }

    fn forget(&self) -> Duration {
        Duration::from_secs(self.settings.forget_seconds)
    }

    fn step(&self, failures: u32) -> Duration {
        let steps = &self.settings.delays_seconds;
        let at = usize::try_from(failures).unwrap_or(usize::MAX).min(steps.len());
        Duration::from_secs(at.checked_sub(1).map_or(0, |at| steps[at]))
    }
}

fn count<K: Clone + Eq + std::hash::Hash>(table: &Table<K, u32>, key: &K, now: Timestamp) -> u32 {
    table.get(key, now).copied().unwrap_or(0)
}

fn add<K: Clone + Eq + std::hash::Hash>(table: &mut Table<K, u32>, key: K, until: Timestamp, now: Timestamp) {
    let failures = table.touch(key, until, now);
    *failures = failures.saturating_add(1);
}

pub(super) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{ENTRIES, Throttle, ThrottleSettings, WRONG, Who};
    use crate::types::{Network, Timestamp, UserId};

    const ALICE: Who = Who::Known(UserId(1));
    const BOB: Who = Who::Known(UserId(2));
    const NOW: Timestamp = Timestamp(1_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn throttle() -> Throttle {
        Throttle::new(ThrottleSettings {
            trusted_clients: vec![Network::parse("198.51.100.0/24").unwrap()],
            ..ThrottleSettings::default()
        })
    }

    /// Fails with another password each time; the seconds to wait.
    fn fail(throttle: &mut Throttle, peer: &str, who: Who, n: u8) -> u64 {
        throttle.failed(ip(peer), who, Some([n; 32]), NOW).as_secs()
    }

    fn wait(throttle: &Throttle, peer: &str, who: Who) -> u64 {
        throttle.delay(ip(peer), who, NOW).as_secs()
    }

    #[test]
    fn grows_to_its_last_step_and_is_forgotten() {
        let mut t = throttle();
        assert_eq!(wait(&t, "192.0.2.1", ALICE), 0);
        let steps: Vec<u64> = (0..6).map(|n| fail(&mut t, "192.0.2.1", ALICE, n)).collect();
        assert_eq!(steps, [2, 4, 8, 15, 15, 15]);
        let later = NOW.plus_millis(899_999);
        assert_eq!(t.delay(ip("192.0.2.1"), ALICE, later).as_secs(), 15);
        assert_eq!(t.delay(ip("192.0.2.1"), ALICE, later.plus_millis(1)).as_secs(), 0);
    }

    #[test]
    fn by_address_and_by_user() {
        let mut t = throttle();
        fail(&mut t, "192.0.2.1", ALICE, 0);
        fail(&mut t, "192.0.2.1", Who::Unknown([7; 32]), 1);
        assert_eq!(wait(&t, "192.0.2.1", BOB), 4, "same address");
        assert_eq!(wait(&t, "192.0.2.9", ALICE), 2, "same user");
        assert_eq!(wait(&t, "192.0.2.9", Who::Unknown([7; 32])), 2, "nobody like somebody");
        assert_eq!(wait(&t, "192.0.2.9", BOB), 0);
    }

    #[test]
    fn the_same_wrong_password_counts_once() {
        let mut t = throttle();
        for _ in 0..50 {
            assert_eq!(fail(&mut t, "192.0.2.1", ALICE, 7), 2);
        }
        assert_eq!(fail(&mut t, "192.0.2.1", ALICE, 8), 4);
        // Another user's is another one.
        assert_eq!(fail(&mut t, "192.0.2.1", BOB, 7), 8);
        // Only so many are remembered.
        for n in 0..u8::try_from(WRONG).unwrap() {
            fail(&mut t, "192.0.2.1", ALICE, 100 + n);
        }
        assert!(!t.is_repeated(ALICE, &[7; 32], NOW));
    }

    #[test]
    fn a_known_place_answers_for_itself() {
        let mut t = throttle();
        t.succeeded(ip("192.0.2.1"), UserId(1), NOW);
        for n in 0..9 {
            fail(&mut t, "203.0.113.5", ALICE, n);
            fail(&mut t, "192.0.2.1", BOB, n);
        }
        assert_eq!(wait(&t, "192.0.2.1", ALICE), 0, "others' failures");
        assert_eq!(wait(&t, "192.0.2.2", ALICE), 15);
        assert_eq!(fail(&mut t, "192.0.2.1", ALICE, 20), 2, "its own");
        t.succeeded(ip("192.0.2.1"), UserId(1), NOW);
        assert_eq!(wait(&t, "192.0.2.1", ALICE), 0);
        let after_a_week = NOW.plus_millis(7 * 24 * 3600 * 1000);
        assert!(t.good.get(&(Network::around(ip("192.0.2.1"), 64), UserId(1)), after_a_week).is_none());
    }

    #[test]
    fn trusted_clients_by_user_only() {
        let mut t = throttle();
        t.succeeded(ip("198.51.100.7"), UserId(2), NOW);
        for n in 0..4 {
            fail(&mut t, "198.51.100.7", ALICE, n);
        }
        assert_eq!(wait(&t, "198.51.100.7", BOB), 0, "the address does not count");
        assert_eq!(wait(&t, "198.51.100.8", ALICE), 15, "the user does");
        assert_eq!(wait(&t, "192.0.2.1", ALICE), 0, "and there only");
        for n in 10..14 {
            fail(&mut t, "203.0.113.5", BOB, n);
        }
        assert_eq!(wait(&t, "198.51.100.7", BOB), 0, "nor does what happens elsewhere");
        fail(&mut t, "198.51.100.7", BOB, 20);
        assert_eq!(wait(&t, "198.51.100.7", BOB), 2, "no place there is known as good");
    }

    #[test]
    fn ipv6_by_network_and_site() {
        let mut t = throttle();
        assert_eq!(fail(&mut t, "2001:db8::1", Who::Unknown([1; 32]), 1), 2);
        assert_eq!(wait(&t, "2001:db8::2", BOB), 2, "same /64");
        assert_eq!(wait(&t, "2001:db8:0:1::1", BOB), 0, "another /64");
        for n in 2..10 {
            fail(&mut t, &format!("2001:db8:0:{n}::1"), Who::Unknown([n; 32]), n);
        }
        assert_eq!(wait(&t, "2001:db8:0:aa::1", BOB), 4, "nine failures in the /56");
        assert_eq!(wait(&t, "2001:db8:0:100::1", BOB), 0, "another /56");
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut t = throttle();
        fail(&mut t, "192.0.2.1", ALICE, 1);
        for n in 0..50_000u32 {
            let peer = IpAddr::from(0x0a00_0000_u32.wrapping_add(n).to_be_bytes());
            let mut name = [0; 32];
            name[..4].copy_from_slice(&n.to_be_bytes());
            t.failed(peer, Who::Unknown(name), Some(name), NOW);
        }
        assert!(t.addresses.len() <= ENTRIES && t.nobodies.len() <= ENTRIES && t.wrong.len() <= ENTRIES);
        assert_eq!(wait(&t, "203.0.113.1", ALICE), 2, "a user's count survives");
    }
}
