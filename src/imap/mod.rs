//! IMAP4rev1 (RFC 3501) as a proxy between unequal rights sees it. Layer 3, sans-IO.
//!
//! Client to upstream: [`frame`] cuts lines and literals, [`parse`] makes a typed
//! [`Command`], `action` turns it into a [`crate::policy::Action`], and [`writer`] turns
//! a [`crate::policy::Step`] and the command into upstream octets. Nothing else does.
//!
//! Upstream to client: [`scan`] counts its way through responses, [`filter`] says what of
//! them the client may see, [`overlay`] adds what only this user sees, [`reply`] writes our own answers.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod action;
pub mod capability;
pub mod command;
pub mod difference;
pub mod filter;
pub mod frame;
pub mod inventory;
pub mod list;
pub mod overlay;
pub mod parse;
pub mod realm;
pub mod reply;
pub mod response;
pub mod scan;
pub mod subject;
pub mod writer;

pub use command::{Command, Tag, Tagged};
