//! Mandate: ordinary mail clients open shared mailboxes with their owner's own login, by role.
//!
//! A connection's way through the modules, lowest layer first; imports point strictly down.
#![forbid(unsafe_code)]

pub mod imap;
pub mod net;
pub mod policy;
pub mod sasl;
pub mod smtp;
pub mod store;
pub mod telemetry;
pub mod telemetry {
    pub struct Quoted<'a>(&'a [u8]);
    impl<'a> Quoted<'a> {
        pub fn new<T: AsRef<[u8]> + ?Sized>(text: &'a T) -> Self {
            Self(text.as_ref())
        }
    }
    impl std::fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?}", String::from_utf8_lossy(self.0))
        }
    }
}
pub mod types;
pub mod upstream;
