//! Sessions against a submission host that does as it is told, with the real store, journal
//! and authenticator.

mod attacks;
mod identity;
mod lifetime;
mod relay;
mod world;
