//! Mandate: ordinary mail clients open shared mailboxes with their owner's own login, by role.
//!
//! A connection's way through the modules; imports point strictly down, and `tests/layers.rs`
//! keeps it so:
//!
//! * [`cli`] reads the command line, [`config`] the file; [`daemon`] puts the parts together.
//! * [`net`] accepts a connection, within limits, and secures it.
//! * [`proxy`] drives it from there to its end: [`proxy::serve`] is the promise in one function.
//! * [`sasl`] and [`auth`] find out who it is; [`store`] knows what they were granted.
//! * [`imap`] and [`smtp`] make typed commands of octets, and octets of permitted steps. They
//!   touch no socket and no clock.
//! * [`policy`] decides each command: [`policy::decide`] is pure, and a [`policy::Permit`] is the
//!   one thing that opens the way upstream.
//! * [`upstream`] lends connections to the mail host, and knows no user and no grant.
//! * [`telemetry`] writes down what was done.
//! * [`admin`] changes the store, and the store tells the sessions.
//! * [`types`] are the words that all of these share.
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
