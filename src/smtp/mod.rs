//! Submission (RFC 6409, RFC 5321) as seen by a proxy between unequal rights. Layer 3, sans-IO.
//!
//! Client to upstream: [`frame`] cuts lines, [`command`] makes a typed [`Command`],
//! [`session`] says what it means where the session stands, [`identity`] as whom it sends,
//! and [`writer`] turns a [`crate::policy::Step`] and the command into upstream octets.
//! Nothing else does. The message goes through [`data`], which finds its end and refuses
//! what hosts read in different ways; [`header`] reads its header section and rewrites it once.
//!
//! Upstream to client: [`reply`] reads upstream's replies and writes our own answers.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod action;
pub mod command;
pub mod data;
pub mod frame;
pub mod header;
pub mod identity;
mod path;
pub mod reply;
pub mod session;
mod syntax;
mod unstuff;
pub mod writer;

pub use action::action;
pub use command::Command;
pub use identity::Identity;
pub use path::{Path, PathFault};
pub use reply::{Answer, Enhanced, Reply, ReplyReader};
pub use session::Session;
pub use syntax::Bad;
pub use unstuff::Unstuffer;
