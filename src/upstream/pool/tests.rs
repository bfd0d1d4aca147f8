//! The pool against a host that lives in memory: it counts, refuses at a cap, and notes
//! who was closed.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{Host, Lease, Party, Pools, Settings};
use crate::types::{Account, Endpoint, MailboxId, Secret, Security, Trust};
use crate::upstream::error::{ConnectError, LeaseError};
use crate::upstream::target::{EnabledSet, Target};

/// What the host knows of all its connections.
#[derive(Default)]
struct Book {
    dialled: AtomicU32,
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// Beyond so many, the host refuses; 0 means never.
    limit: AtomicUsize,
    all_dead: AtomicBool,
    /// It says goodbye to whoever comes, in words that speak of no limit; or says nothing.
    turns_away: AtomicBool,
    mute: AtomicBool,
    asked: AtomicU32,
    unreleasable: AtomicBool,
    closed: Mutex<Vec<u32>>,
}

struct Fake(Arc<Book>);

/// Open as long as the value lives, as a socket is.
struct Link {
    number: u32,
    enabled: EnabledSet,
    book: Arc<Book>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.book.open.fetch_sub(1, SeqCst);
    }
}

impl Host for Fake {
    type Link = Link;

    async fn connect(&self, _: &Target, enabled: EnabledSet) -> Result<Link, ConnectError> {
        tokio::task::yield_now().await;
        self.0.asked.fetch_add(1, SeqCst);
        if self.0.mute.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.turns_away.load(SeqCst) {
            return Err(ConnectError::Bye("not now".to_owned()));
        }
        let (open, limit) = (self.0.open.load(SeqCst), self.0.limit.load(SeqCst));
        if limit > 0 && open >= limit {
            return Err(ConnectError::Limit("NO [LIMIT] enough".to_owned()));
        }
        self.0.most_open.fetch_max(self.0.open.fetch_add(1, SeqCst) + 1, SeqCst);
        let number = self.0.dialled.fetch_add(1, SeqCst) + 1;
        Ok(Link { number, enabled, book: self.0.clone() })
    }

    async fn is_alive(&self, _: &mut Link) -> bool {
        tokio::task::yield_now().await;
        !self.0.all_dead.load(SeqCst)
    }

    async fn release(&self, _: &mut Link) -> bool {
        tokio::task::yield_now().await;
        !self.0.unreleasable.load(SeqCst)
    }

    async fn close(&self, link: Link) {
        self.0.closed.lock().unwrap().push(link.number);
    }
}

fn target(max_connections: u16) -> Target {
    Target {
        mailbox: MailboxId(1),
        generation: 1,
        endpoint: Endpoint {
            host: "localhost".to_owned(),
            port: 143,
            security: Security::Plaintext,
            trust: Trust::System,
        },
        account: Account { authcid: "support@example.org".to_owned(), authzid: None },
        password: Secret::new("secret"),
        max_connections,
    }
}

fn pools() -> (Arc<Pools<Fake>>, Arc<Book>) {
    let book = Arc::new(Book::default());
    (Pools::new(Fake(book.clone()), Settings::default()), book)
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn plain(pools: &Arc<Pools<Fake>>, target: &Target) -> Result<Lease<Fake>, LeaseError> {
    pools.lease(target, EnabledSet::Plain, somebody_new(), later()).await
}

/// Every caller another party: fair shares are `slots`' own tests.
fn somebody_new() -> Party {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Party(NEXT.fetch_add(1, SeqCst).into())
}

#[tokio::test(start_paused = true)]
async fn a_connection_given_back_serves_the_next() {
    let (pools, book) = pools();
    let target = target(3);
    plain(&pools, &target).await.unwrap().give_back().await;
    assert_eq!(plain(&pools, &target).await.unwrap().number, 1);
    assert_eq!(book.dialled.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lease_is_closed_and_its_place_is_free() {
    let (pools, book) = pools();
    let target = target(2);
    drop(plain(&pools, &target).await.unwrap());
    assert_eq!(book.open.load(SeqCst), 0);
    assert_eq!(plain(&pools, &target).await.unwrap().number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_doubt_is_not_kept() {
    let (pools, book) = pools();
    let target = target(3);
    book.unreleasable.store(true, SeqCst);
    plain(&pools, &target).await.unwrap().give_back().await;
    assert_eq!(book.open.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_idle_connection_is_replaced_silently() {
    let (pools, book) = pools();
    let target = target(3);
    plain(&pools, &target).await.unwrap().give_back().await;
    book.all_dead.store(true, SeqCst);
    assert_eq!(plain(&pools, &target).await.unwrap().number, 2);
    assert_eq!(book.open.load(SeqCst), 0, "the lease just dropped was the only one left");
}

#[tokio::test(start_paused = true)]
async fn one_connection_stays_the_daemons_own() {
    let (pools, book) = pools();
    let target = target(3);
    let _sessions = (plain(&pools, &target).await.unwrap(), plain(&pools, &target).await.unwrap());
    let start = Instant::now();
    assert!(matches!(plain(&pools, &target).await, Err(LeaseError::Full)));
    assert_eq!(start.elapsed(), Settings::default().wait);
    pools.housekeeping_lease(&target, later()).await.unwrap().give_back().await;
    let again = pools.housekeeping_lease(&target, later()).await.unwrap();
    assert_eq!(again.number, 3, "kept between two uses");
    assert_eq!(book.open.load(SeqCst), 3);
    let soon = Instant::now() + Duration::from_secs(1);
    assert!(matches!(pools.housekeeping_lease(&target, soon).await, Err(LeaseError::Full)));
}

#[tokio::test(start_paused = true)]
async fn long_work_leaves_the_daemons_own_connection_alone_while_there_is_room() {
    let (pools, book) = pools();
    let target = target(6);
    let work = pools.working_lease(&target, Party::DAEMON, later()).await.unwrap();
    assert!(!work.is_own());
    assert!(pools.housekeeping_lease(&target, later()).await.is_ok(), "folders are listed meanwhile");
    // Four places: one is at work, and the last one is left to whoever comes.
    let first = plain(&pools, &target).await.unwrap();
    let second = plain(&pools, &target).await.unwrap();
    let own = pools.working_lease(&target, Party::DAEMON, later()).await.unwrap();
    assert!(own.is_own());
    let third = plain(&pools, &target).await.unwrap();
    drop((own, first, second, third));
    work.give_back().await;
    book.limit.store(book.open.load(SeqCst), SeqCst);
    let again = pools.working_lease(&target, Party::DAEMON, later()).await.unwrap();
    assert!(!again.is_own(), "an idle connection serves");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lets_nobody_in_once_more_is_worked_with_over_the_daemons_own_connection() {
    let (pools, book) = pools();
    let target = target(10);
    pools.housekeeping_lease(&target, later()).await.unwrap().give_back().await;
    for (state, what) in [(&book.turns_away, "turned away"), (&book.mute, "not answered")] {
        state.store(true, SeqCst);
        let before = book.asked.load(SeqCst);
        for _ in 0..3 {
            let work = pools.working_lease(&target, Party::DAEMON, later()).await.unwrap();
            assert!(work.is_own(), "{what}");
            work.give_back().await;
        }
        assert_eq!(book.asked.load(SeqCst), before + 1, "{what}: not asked again so soon");
        state.store(false, SeqCst);
        tokio::time::advance(Settings::default().lowered_for).await;
    }
    assert!(!pools.working_lease(&target, Party::DAEMON, later()).await.unwrap().is_own());
}

#[tokio::test(start_paused = true)]
async fn a_look_takes_what_is_warm() {
    let (pools, book) = pools();
    let target = target(10);
    pools.looking_lease(&target, later()).await.unwrap().give_back().await;
    let look = pools.looking_lease(&target, later()).await.unwrap();
    assert!(look.is_own() && book.dialled.load(SeqCst) == 1, "places are free, and yet nobody logs in");
    look.give_back().await;
    plain(&pools, &target).await.unwrap().give_back().await;
    let look = pools.looking_lease(&target, later()).await.unwrap();
    assert!(!look.is_own() && book.dialled.load(SeqCst) == 2, "an idle connection serves");
}

#[tokio::test(start_paused = true)]
async fn sets_never_mix_and_idle_ones_of_another_set_make_room() {
    let (pools, book) = pools();
    let target = target(2);
    plain(&pools, &target).await.unwrap().give_back().await;
    let lease = pools.lease(&target, EnabledSet::Condstore, somebody_new(), later()).await.unwrap();
    assert_eq!((lease.number, lease.enabled), (2, EnabledSet::Condstore));
    assert_eq!(*book.closed.lock().unwrap(), [1]);
    assert_eq!(book.most_open.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn many_sessions_never_exceed_the_cap_and_all_are_served() {
    let (pools, book) = pools();
    let target = target(4);
    let sessions: Vec<_> = (0..60)
        .map(|n| {
            let (pools, target) = (pools.clone(), target.clone());
            tokio::spawn(async move {
                let enabled = [EnabledSet::Plain, EnabledSet::Condstore, EnabledSet::CondstoreQresync][n % 3];
                let lease = pools.lease(&target, enabled, somebody_new(), later()).await.unwrap();
                assert_eq!(lease.enabled, enabled);
                tokio::task::yield_now().await;
                if n % 7 == 0 { drop(lease) } else { lease.give_back().await }
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
    assert!(book.most_open.load(SeqCst) <= 3, "{}", book.most_open.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn the_hosts_own_limit_counts_as_full_and_is_remembered() {
    let (pools, book) = pools();
    let target = target(10);
    book.limit.store(2, SeqCst);
    let first = plain(&pools, &target).await.unwrap();
    let _second = plain(&pools, &target).await.unwrap();
    assert!(matches!(plain(&pools, &target).await, Err(LeaseError::Full)));
    book.limit.store(0, SeqCst);
    assert!(matches!(plain(&pools, &target).await, Err(LeaseError::Full)), "not asked again so soon");
    drop(first);
    let _third = plain(&pools, &target).await.unwrap();
    tokio::time::advance(Settings::default().lowered_for).await;
    plain(&pools, &target).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_host_full_of_others_connections_is_full_at_once() {
    let (pools, book) = pools();
    book.limit.store(1, SeqCst);
    let _other = Fake(book.clone()).connect(&target(9), EnabledSet::Plain).await.unwrap();
    let start = Instant::now();
    assert!(matches!(plain(&pools, &target(9)).await, Err(LeaseError::Full)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_new_generation_closes_what_the_old_one_left() {
    let (pools, book) = pools();
    let old = target(3);
    let still_used = plain(&pools, &old).await.unwrap();
    plain(&pools, &old).await.unwrap().give_back().await;
    let new = Target { generation: 2, ..old };
    assert_eq!(plain(&pools, &new).await.unwrap().number, 3);
    assert_eq!(*book.closed.lock().unwrap(), [2]);
    still_used.give_back().await;
    assert_eq!(*book.closed.lock().unwrap(), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_mailbox_keeps_nothing() {
    let (pools, book) = pools();
    let target = target(4);
    let used = plain(&pools, &target).await.unwrap();
    plain(&pools, &target).await.unwrap().give_back().await;
    pools.housekeeping_lease(&target, later()).await.unwrap().give_back().await;
    pools.forget(target.mailbox).await;
    used.give_back().await;
    assert_eq!(book.open.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_few_and_short_lived() {
    let (pools, book) = pools();
    let target = target(9);
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(plain(&pools, &target).await.unwrap());
    }
    for lease in leases {
        lease.give_back().await;
    }
    assert_eq!(book.open.load(SeqCst), Settings::default().idle);
    pools.tidy().await;
    assert_eq!(book.open.load(SeqCst), 2);
    tokio::time::advance(Settings::default().idle_for).await;
    pools.tidy().await;
    assert_eq!(book.open.load(SeqCst), 0);
}
