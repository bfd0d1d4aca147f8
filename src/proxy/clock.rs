//! The one place where the proxy reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::types::Timestamp;

/// Now, in milliseconds since the epoch; 0 on a clock before 1970.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
