//! Who somebody is: credentials in, a user and a view out. Layer 3.
//!
//! [`Authenticator`] is the only place that compares a secret. It takes the login name
//! apart (`claim`), verifies the password (`password`) or remembers that it has, holds back
//! answers (`throttle`), and looks up which mailbox is meant. Unknown, disabled and wrong
//! are one answer, after the same time.

mod authenticator;
mod claim;
mod keyed;
mod password;
mod table;
mod throttle;

pub use authenticator::{Attempt, Authenticator, Login, LoginSettings, Outcome, Refusal, View, Welcome, Why};
pub use claim::{LoginSeparator, NotASeparator};
pub use password::{HashSettings, PasswordError, hash_password};
pub use throttle::ThrottleSettings;
