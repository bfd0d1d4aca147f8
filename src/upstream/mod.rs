//! stub
mod connect;
mod error;
mod pool;
pub mod smtp;
mod status;
mod target;
#[cfg(test)]
mod testing;
pub use connect::{ConnectSettings, Connector};
pub use error::{CommandError, ConnectError, LeaseError};
pub use pool::{Host, Lease, Pools, Settings as PoolSettings};
pub use target::{EnabledSet, Target};
