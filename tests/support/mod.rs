//! What the integration tests and the demo stand on: real servers, a recording
//! sink, raw clients and the real `mandate` binary.
//!
//! | part | what it is |
//! |---|---|
//! | [`Ca`] | a certificate authority for one test, on disk |
//! | [`Dovecot`] | a private Dovecot with its own mail, users and ports |
//! | [`Cyrus`], [`Courier`] | a private Cyrus, a private Courier, with one account |
//! | [`Snapshot`] | everything an upstream account holds, to compare before and after |
//! | [`Postfix`] | a private Postfix that relays whatever it accepts to a [`Sink`] |
//! | [`Sink`] | an SMTP server that records octets and answers as told |
//! | [`Proxy`] | the `mandate` binary with a configuration of its own |
//! | [`Scene`] | all of these, with alice, bob, carol and support@example.org |
//! | [`Relay`] | a wire to a server that can be cut |
//! | [`Random`] | chance that a seed repeats |
//! | [`Imap`], [`Smtp`] | clients that send exactly the octets they are given |
//!
//! Every server listens on loopback, on ports that the system chose, in a
//! temporary directory that goes with it; each is stopped by its own process id,
//! and by the kernel when the test process dies. A server that is not installed
//! fails the test and says what to do: nothing here skips.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses a part")]

pub mod ca;
pub mod courier;
pub mod cyrus;
pub mod dovecot;
pub mod imap;
pub mod postfix;
pub mod process;
pub mod proxy;
pub mod random;
pub mod relay;
pub mod scene;
pub mod sink;
pub mod smtp;
pub mod snapshot;
pub mod wire;

pub use ca::{Ca, Certificate};
pub use courier::Courier;
pub use cyrus::Cyrus;
pub use dovecot::{Dovecot, Storage};
pub use imap::{Imap, Reply};
pub use postfix::Postfix;
pub use proxy::Proxy;
pub use random::Random;
pub use relay::Relay;
pub use scene::{ALICE, BOB, CAROL, Scene};
pub use sink::{Answer, Delivery, Sink, Stage};
pub use smtp::Smtp;
pub use snapshot::Snapshot;
pub use wire::{Closing, Read, Wire};

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once. It only
/// bounds a failure: nothing sleeps this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks `probe` until it answers, and panics with `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
