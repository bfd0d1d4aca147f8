//! Sessions against a submission host that does as it is told, with the real store, journal
//! and authenticator.

mod answers;
mod attacks;
mod auth;
mod identity;
mod lifetime;
mod limits;
mod own;
mod relay;
mod replay;
mod world;
