//! From what an admin writes to what the store holds.

use std::sync::Arc;

use super::{Failure, FailureKind};
use crate::policy::{FolderPattern, Holder, Narrowing, RoleName};
use crate::store::{Group, LookupError, Mailbox, Snapshot, User};
use crate::types::{Address, LoginName, ShortName};

pub(super) fn user<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<User>, Failure> {
    snapshot.find_user(name).ok_or_else(|| Failure::data(format!("there is no user {name:?}")))
}

pub(super) fn group<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Group>, Failure> {
    let plain = name.strip_prefix('@').unwrap_or(name);
    snapshot.find_group(plain).ok_or_else(|| Failure::data(format!("there is no group {plain:?}")))
}

/// By address, alias or short name.
pub(super) fn mailbox<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Mailbox>, Failure> {
    snapshot.find_mailbox(name, None).map_err(|error| match error {
        LookupError::Unknown => Failure::data(format!("there is no mailbox {name:?}")),
        LookupError::Ambiguous => Failure::data(format!("{name:?}: {error}")),
    })
}

/// A login name, or `@group`.
pub(super) fn holder(snapshot: &Snapshot, name: &str) -> Result<Holder, Failure> {
    if name.starts_with('@') {
        return Ok(Holder::Group(group(snapshot, name)?.id));
    }
    let user = user(snapshot, name).map_err(|failure| match snapshot.find_group(name) {
        Some(_) => Failure::data(format!("{name:?} is a group: write @{name}")),
        None => failure,
    })?;
    Ok(Holder::User(user.id))
}

pub(super) fn role(snapshot: &Snapshot, name: &str) -> Result<RoleName, Failure> {
    let known = || {
        let names: Vec<_> = snapshot.roles().iter().map(|role| role.name.0.as_str()).collect();
        names.join(", ")
    };
    let role = snapshot.roles().iter().find(|role| role.name.0 == name);
    let role =
        role.ok_or_else(|| Failure::data(format!("there is no role {name:?}; there are {}", known())))?;
    Ok(role.name.clone())
}

/// The folders that a grant is for, as patterns.
pub(super) fn narrowing(only: &[String], except: &[String]) -> Result<Narrowing, Failure> {
    let mut messages = Vec::new();
    let mut read = |texts: &[String]| {
        let mut patterns = Vec::new();
        for text in texts {
            match FolderPattern::parse(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(why) => messages.push(format!("{text:?} cannot stand for folders: {why}")),
            }
        }
        patterns
    };
    let narrowing = Narrowing { only: read(only), except: read(except) };
    if only.len() + except.len() > Narrowing::MAX {
        messages.push(format!("a grant has at most {} patterns", Narrowing::MAX));
    }
    if messages.is_empty() { Ok(narrowing) } else { Err(Failure { kind: FailureKind::Data, messages }) }
}

/// A grant's holder as admins write it.
pub(super) fn of_holder(snapshot: &Snapshot, holder: Holder) -> String {
    match holder {
        Holder::User(id) => snapshot.user(id).map_or_else(|| id.to_string(), |user| user.login.to_string()),
        Holder::Group(id) => {
            snapshot.group(id).map_or_else(|| id.to_string(), |group| format!("@{}", group.name))
        }
    }
}

/// Reads the parts of a request, and keeps everything that is wrong with them: an admin
/// is told all of it at once.
#[derive(Default)]
pub(super) struct Reader {
    wrong: Vec<String>,
}

impl Reader {
    pub(super) fn login(&mut self, text: &str) -> Option<LoginName> {
        LoginName::parse(text).map_err(|error| self.wrong(text, &error)).ok()
    }

    pub(super) fn short(&mut self, text: &str) -> Option<ShortName> {
        ShortName::parse(text).map_err(|error| self.wrong(text, &error)).ok()
    }

    pub(super) fn address(&mut self, text: &str) -> Option<Address> {
        Address::parse(text).map_err(|error| self.wrong(text, &error)).ok()
    }

    pub(super) fn addresses(&mut self, texts: &[String]) -> Vec<Address> {
        texts.iter().filter_map(|text| self.address(text)).collect()
    }

    /// Keeps the failure, if it is one.
    pub(super) fn take<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.wrong.extend(failure.messages)).ok()
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.failure()) }
    }

    /// What is wrong, for a caller that knows something is.
    pub(super) fn failure(self) -> Failure {
        Failure { kind: FailureKind::Data, messages: self.wrong }
    }

    fn wrong(&mut self, text: &str, error: &dyn std::fmt::Display) {
        self.wrong.push(format!("{text:?}: {error}"));
    }
}
