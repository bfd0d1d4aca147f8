//! stub
mod error; mod pool; mod target;
mod connect { pub struct Connector; }
pub use error::{CommandError, ConnectError, LeaseError};
pub use pool::{Host, Lease, Pools, Settings as PoolSettings};
pub use target::{EnabledSet, Target};
