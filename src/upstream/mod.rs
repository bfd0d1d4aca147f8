//! stub
mod connect;
mod error; mod pool; mod target; mod status;
pub mod smtp;
#[cfg(test)] mod testing;
pub use connect::{Connector, ConnectSettings};
pub use error::{CommandError, ConnectError, LeaseError};
pub use pool::{Host, Lease, Pools, Settings as PoolSettings};
pub use target::{EnabledSet, Target};
