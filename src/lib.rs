//! Mandate: ordinary mail clients open shared mailboxes with their owner's own login, by role.
//!
//! A connection's way through the modules, lowest layer first; imports point strictly down.
#![forbid(unsafe_code)]

pub mod admin;
pub mod auth;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod imap;
pub mod net;
pub mod policy;
pub mod proxy;
pub mod sasl;
pub mod smtp;
pub mod store;
pub mod telemetry;
pub mod types;
pub mod upstream;
