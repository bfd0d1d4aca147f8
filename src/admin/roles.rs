//! Roles, as configured: shown only, since proxy.toml defines them.

use super::{Answer, Failure, RoleRow, Services, names};
use crate::policy::{FolderClass, Role};

pub(super) fn list(services: &Services, name: Option<&str>) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let wanted = name.map(|name| names::role(&snapshot, name)).transpose()?;
    let roles = snapshot.roles().iter().filter(|role| wanted.as_ref().is_none_or(|name| role.name == *name));
    let row = |role: &Role| RoleRow {
        name: role.name.to_string(),
        rights: shown_classes().map(|class| (class, role.rights_on(class).to_string())).collect(),
        drafts: role.drafts,
        send: role.send,
        grants: snapshot.grants().filter(|grant| grant.role == role.name).count(),
    };
    Ok(Answer::Roles(roles.map(row).collect()))
}

/// Hidden gives nothing to anybody.
fn shown_classes() -> impl Iterator<Item = FolderClass> {
    FolderClass::ALL.into_iter().filter(|class| *class != FolderClass::Hidden)
}
