//! The store as a whole: put back from an export, counted.

use super::record::record;
use super::{Actor, Answer, Failure, Services, Status};

pub(super) async fn apply(
    services: &Services,
    actor: Actor,
    lines: &str,
    replace: bool,
) -> Result<Answer, Failure> {
    let records = services.store.apply(lines, replace).await?;
    record(services, actor, "apply", &[]).await?;
    Ok(Answer::done(format!("the store holds what the file says: {records} records")))
}

pub(super) fn status(services: &Services) -> Answer {
    let snapshot = services.store.snapshot();
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").into(),
        users: snapshot.users().count(),
        groups: snapshot.groups().count(),
        mailboxes: snapshot.mailboxes().count(),
        grants: snapshot.grants().count(),
        ..Status::default()
    };
    if services.store.is_read_only() {
        status
            .warnings
            .push("the store takes no changes since a write to it failed; the log says why".into());
    }
    services.status.report(&mut status);
    Answer::Status(Box::new(status))
}
