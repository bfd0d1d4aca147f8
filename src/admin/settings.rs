//! `mandate mailbox set`: what can change without the mailbox's grants being lost.

use super::discard;
use super::names::{self, Reader};
use super::record::record;
use super::{Actor, Answer, Failure, FailureKind, Services, Setting};
use crate::store::{Mailbox, Snapshot};

/// Sets all of `settings`, or none.
pub(super) async fn set(
    services: &Services,
    actor: Actor,
    name: &str,
    settings: Vec<Setting>,
) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mailbox = names::mailbox(&snapshot, name)?;
    let mut changed = Mailbox::clone(mailbox);
    for setting in &settings {
        apply(&snapshot, &mut changed, setting)?;
    }
    // Only where it is being set: other settings need no host that answers.
    if settings.iter().any(|setting| setting.key == "delete") {
        discard::check(services, &changed).await?;
    }
    let (id, address) = (mailbox.id, mailbox.address.clone());
    let keys: Vec<String> = settings.iter().map(|setting| setting.key.clone()).collect();
    // Once more on the record of that moment: somebody else may be changing it too.
    let edit = move |mailbox: &mut Mailbox| {
        for setting in &settings {
            // It was good a moment ago; what has become wrong since is left as it is.
            let _ = apply(&snapshot, mailbox, setting);
        }
    };
    services.store.update_mailbox(id, edit).await?;
    record(services, actor, "mailbox set", &[&id]).await?;
    Ok(Answer::done(format!("mailbox {address}: {} set", keys.join(", "))))
}

fn apply(snapshot: &Snapshot, mailbox: &mut Mailbox, setting: &Setting) -> Result<(), Failure> {
    let Setting { key, value } = setting;
    let wrong = |sentence: String| Failure { kind: FailureKind::Data, messages: vec![sentence] };
    match key.as_str() {
        "display" => mailbox.display.clone_from(value),
        "owner" if value.is_empty() => mailbox.owner = None,
        "owner" => mailbox.owner = Some(names::user(snapshot, value)?.id),
        "max_connections" => {
            let number = value.parse().map_err(|_| wrong(format!("{key} is a number, not {value:?}")))?;
            mailbox.max_connections = number;
        }
        "aliases" => {
            let mut reader = Reader::default();
            let texts: Vec<String> =
                value.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
            let aliases = reader.addresses(&texts);
            reader.finish()?;
            mailbox.aliases = aliases;
        }
        _ => mailbox.options.set(key, value).map_err(wrong)?,
    }
    Ok(())
}
