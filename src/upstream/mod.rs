//! Mail hosts as this proxy meets them: dial, verify, log in, keep, share. Layer 4.
//!
//! Knows mailboxes, not users or grants: whoever holds a [`Lease`] has been permitted
//! elsewhere. A [`Connection`] leaves this module logged in, with nothing selected;
//! [`Pools`] decides who may have one, a [`Catalogue`] knows a mailbox's folders, [`Mirrors`]
//! watch folders for sessions without one, and [`smtp`] hands mail in.

mod ask;
mod catalogue;
mod connect;
mod connection;
mod error;
mod filing;
mod login;
mod mirror;
mod pool;
mod present;
mod quota;
pub mod smtp;
mod status;
mod target;

pub use catalogue::{Catalogue, Catalogues, Snapshot};
pub use connect::{ConnectSettings, Connector};
pub use connection::{Answered, Connection};
pub use error::{CommandError, ConnectError, LeaseError};
pub use filing::{STORED, Unfinished};
pub use mirror::{Change, Follower, Mirror, Mirrors, State as MirrorState};
pub use pool::{Host, Lease, Party, Pause, Pools, Settings as PoolSettings};
pub use present::FolderState;
pub use status::{StatusValues, WAIT as STATUS_WAIT};
pub use target::{EnabledSet, Target};

#[cfg(test)]
#[path = "host_for_tests.rs"]
mod testing;
