//! Every change by an admin is a line of the journal, on disk before it is acknowledged.

use std::fmt::Display;

use super::{Actor, Failure, FailureKind, Services};
use crate::policy::Grant;
use crate::telemetry::{Durability, Event, GrantChange, Outcome};

/// Records a change that is not about one grant. `about` names stable numbers: `u1`, `m2`.
pub(super) async fn record(
    services: &Services,
    actor: Actor,
    verb: &'static str,
    about: &[&(dyn Display + Sync)],
) -> Result<(), Failure> {
    let about = about.iter().map(|id| id.to_string()).collect();
    write(services, Event::Admin { by: actor.to_string(), verb, about, outcome: Outcome::Done }).await
}

pub(super) async fn record_grant(
    services: &Services,
    actor: Actor,
    change: GrantChange,
    grant: &Grant,
) -> Result<(), Failure> {
    let event = Event::Grant {
        by: actor.to_string(),
        change,
        grant: grant.id,
        holder: grant.holder,
        mailbox: grant.mailbox,
        role: grant.role.clone(),
        narrowing: grant.narrowing.clone(),
        from: grant.from,
        until: grant.until,
    };
    write(services, event).await
}

/// The change stands by now: the admin must learn that it has no record.
async fn write(services: &Services, event: Event) -> Result<(), Failure> {
    services.journal.record(event, Durability::Flushed).await.map(drop).map_err(|error| {
        tracing::error!(%error, "an admin's change was made, and could not be recorded");
        Failure::new(
            FailureKind::Internal,
            format!("the change was made, but not recorded in the journal: {error}"),
        )
    })
}
