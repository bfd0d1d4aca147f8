//! Mandate between real clients and real servers: what happens upstream is compared
//! before and after. One binary, so that the whole is linked once.

mod support;

#[path = "real/across.rs"]
mod across;
#[path = "real/clients.rs"]
mod clients;
#[path = "real/combined.rs"]
mod combined;
#[path = "real/crash.rs"]
mod crash;
#[path = "real/day.rs"]
mod day;
#[path = "real/doubles.rs"]
mod doubles;
#[path = "real/explain.rs"]
mod explain;
#[path = "real/furnished.rs"]
mod furnished;
#[path = "real/hosts.rs"]
mod hosts;
#[path = "hostile/journal.rs"]
#[allow(dead_code, reason = "the proof of no mutation asks for more")]
mod journal;
#[path = "real/large.rs"]
mod large;
#[path = "real/limits.rs"]
mod limits;
#[path = "real/loss.rs"]
mod loss;
#[path = "real/maildir.rs"]
mod maildir;
#[path = "real/many.rs"]
mod many;
#[path = "real/clients/marionette.rs"]
mod marionette;
#[path = "real/outbox.rs"]
mod outbox;
#[path = "real/own_flags.rs"]
mod own_flags;
#[path = "real/parking.rs"]
mod parking;
#[path = "real/refusals.rs"]
mod refusals;
#[path = "real/resync.rs"]
mod resync;
#[path = "real/revocation.rs"]
mod revocation;
#[path = "real/searching.rs"]
mod searching;
#[path = "real/spoofing.rs"]
mod spoofing;
#[path = "real/streaming.rs"]
mod streaming;
#[path = "real/submissions.rs"]
mod submissions;
#[path = "real/subtle.rs"]
mod subtle;
#[path = "real/team.rs"]
mod team;
#[path = "real/thunderbird.rs"]
mod thunderbird;
#[path = "real/clients/thunderbird.rs"]
mod thunderbird_client;
#[path = "real/traps.rs"]
mod traps;
#[path = "real/upstreams.rs"]
mod upstreams;
