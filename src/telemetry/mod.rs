//! What the daemon says about itself: the log, the counters, and the audit journal.
//!
//! Layer 2. [`log`] is for operators and may be lost; [`journal`] is the record of acts
//! (invariant 12) and may not. Neither ever holds a secret, a subject or a body; text
//! from outside goes through [`Quoted`].

pub mod counters;
pub mod event;
pub mod journal;
pub mod log;
mod tally;

pub use counters::{Counter, Counters};
pub use event::{Act, Actor, End, Event, GrantChange, Outcome, Service, SessionId};
pub use journal::{Durability, Journal, JournalError, Seq};
pub use log::Quoted;
pub use tally::Counted;
