//! Mandate: ordinary mail clients open shared mailboxes with their owner's own login, by role.
//!
//! A connection's way through the modules, lowest layer first; imports point strictly down.
#![forbid(unsafe_code)]

pub mod imap;
pub mod net;
pub mod policy;
pub mod sasl;
pub mod smtp;
pub mod types;
pub mod upstream;
pub mod telemetry {
    pub struct Quoted<'a>(pub &'a [u8]);
    impl std::fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?}", String::from_utf8_lossy(self.0))
        }
    }
}
