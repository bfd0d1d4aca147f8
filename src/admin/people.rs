//! Users and groups.

use super::names::{self, Reader};
use super::own;
use super::record::record;
use super::{Actor, Answer, Failure, GroupRow, NewUser, Services, UserRow};
use crate::auth;
use crate::policy::Holder;
use crate::store;
use crate::types::{Address, GroupId, Secret, UserId};

pub(super) async fn add_user(services: &Services, actor: Actor, new: NewUser) -> Result<Answer, Failure> {
    let mut reader = Reader::default();
    let login = reader.login(&new.login);
    let mut addresses = reader.addresses(&new.addresses);
    let Some(login) = login else { return Err(reader.failure()) };
    reader.finish()?;
    if new.addresses.is_empty() {
        addresses.extend(Address::parse(&new.login).ok());
    }
    if services.store.snapshot().find_user(&new.login).is_some() {
        return Err(exists(format!("there is a user {login} already")));
    }
    let password = Some(hash(services, new.password).await?);
    let name = login.clone();
    let user = store::NewUser { login, display: new.display, password, addresses };
    let id = services.store.add_user(user).await?;
    record(services, actor, "user add", &[&id]).await?;
    Ok(Answer::done(format!("user {name} added")))
}

pub(super) async fn set_password(
    services: &Services,
    actor: Actor,
    login: &str,
    password: Secret,
) -> Result<Answer, Failure> {
    let (id, name) = find(services, login)?;
    services.store.set_password(id, Some(hash(services, password).await?)).await?;
    record(services, actor, "user passwd", &[&id]).await?;
    Ok(Answer::done(format!("the password of {name} is changed; sessions that are open stay open")))
}

pub(super) async fn set_disabled(
    services: &Services,
    actor: Actor,
    login: &str,
    disabled: bool,
) -> Result<Answer, Failure> {
    let (id, name) = find(services, login)?;
    services.store.set_disabled(id, disabled).await?;
    let (verb, sentence) = match disabled {
        true => ("user disable", format!("{name} is disabled, in open sessions too")),
        false => ("user enable", format!("{name} is enabled")),
    };
    record(services, actor, verb, &[&id]).await?;
    Ok(Answer::done(sentence))
}

pub(super) async fn remove_user(services: &Services, actor: Actor, login: &str) -> Result<Answer, Failure> {
    let (id, name) = find(services, login)?;
    let grants = services.store.snapshot().grants_of(id).count();
    services.store.remove_user(id).await?;
    record(services, actor, "user remove", &[&id]).await?;
    Ok(Answer::done(format!("user {name} removed; {grants} grants reached them")))
}

pub(super) fn list_users(services: &Services) -> Answer {
    let snapshot = services.store.snapshot();
    let rows = snapshot.users().map(|user| UserRow {
        login: user.login.to_string(),
        display: user.display.clone(),
        addresses: user.addresses.iter().map(ToString::to_string).collect(),
        groups: snapshot.groups_of(user.id).map(|group| group.name.to_string()).collect(),
        host: snapshot.personal(user.id).map(own::line),
        disabled: user.disabled,
    });
    let mut rows: Vec<UserRow> = rows.collect();
    rows.sort_by(|a, b| a.login.cmp(&b.login));
    Answer::Users(rows)
}

pub(super) async fn add_group(services: &Services, actor: Actor, name: &str) -> Result<Answer, Failure> {
    let mut reader = Reader::default();
    let Some(short) = reader.short(name) else { return Err(reader.failure()) };
    reader.finish()?;
    let sentence = format!("group {short} added; grants name it @{short}");
    let id = services.store.add_group(short).await?;
    record(services, actor, "group add", &[&id]).await?;
    Ok(Answer::done(sentence))
}

pub(super) async fn join(
    services: &Services,
    actor: Actor,
    group: &str,
    logins: &[String],
) -> Result<Answer, Failure> {
    let Members { id, name, users } = members(services, group, logins)?;
    let mut sentences = Vec::new();
    for (user, login) in users {
        services.store.join(id, user).await?;
        record(services, actor, "group join", &[&id, &user]).await?;
        sentences.push(format!("{login} is in group {name}"));
    }
    Ok(Answer::Done(sentences))
}

pub(super) async fn leave(
    services: &Services,
    actor: Actor,
    group: &str,
    logins: &[String],
) -> Result<Answer, Failure> {
    let Members { id, name, users } = members(services, group, logins)?;
    let snapshot = services.store.snapshot();
    let is_member = |user: &UserId| snapshot.group(id).is_some_and(|group| group.members.contains(user));
    let strangers = users.iter().filter(|(user, _)| !is_member(user));
    let messages: Vec<_> = strangers.map(|(_, login)| format!("{login} is not in group {name}")).collect();
    if !messages.is_empty() {
        return Err(Failure { kind: super::FailureKind::Data, messages });
    }
    let mailboxes: Vec<_> = snapshot.grants().filter(|grant| grant.holder == Holder::Group(id)).collect();
    let mut sentences = Vec::new();
    for (user, login) in users {
        services.store.leave(id, user).await?;
        record(services, actor, "group leave", &[&id, &user]).await?;
        sentences.push(format!("{login} is no longer in group {name}, in open sessions too"));
        let now = services.store.snapshot();
        let mut of: Vec<_> = mailboxes.iter().map(|grant| grant.mailbox).collect();
        of.dedup();
        sentences.extend(of.into_iter().flat_map(|mailbox| super::grants::still(&now, user, mailbox)));
    }
    Ok(Answer::Done(sentences))
}

pub(super) fn list_groups(services: &Services) -> Answer {
    let snapshot = services.store.snapshot();
    let login = |id: &UserId| snapshot.user(*id).map(|user| user.login.to_string());
    let rows = snapshot.groups().map(|group| GroupRow {
        name: group.name.to_string(),
        members: group.members.iter().filter_map(login).collect(),
    });
    let mut rows: Vec<GroupRow> = rows.collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Answer::Groups(rows)
}

pub(super) async fn remove_group(services: &Services, actor: Actor, name: &str) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let group = names::group(&snapshot, name)?;
    services.store.remove_group(group.id).await?;
    record(services, actor, "group remove", &[&group.id]).await?;
    Ok(Answer::done(format!("group {} removed, with its grants", group.name)))
}

/// A group, and the people of a request.
struct Members {
    id: GroupId,
    name: String,
    users: Vec<(UserId, String)>,
}

/// All of the people named, or a failure that names all who are unknown.
fn members(services: &Services, group: &str, logins: &[String]) -> Result<Members, Failure> {
    let snapshot = services.store.snapshot();
    let mut reader = Reader::default();
    let group = reader.take(names::group(&snapshot, group));
    let users: Vec<_> =
        logins.iter().filter_map(|login| reader.take(names::user(&snapshot, login))).collect();
    let Some(group) = group else { return Err(reader.failure()) };
    reader.finish()?;
    let users = users.into_iter().map(|user| (user.id, user.login.to_string())).collect();
    Ok(Members { id: group.id, name: group.name.to_string(), users })
}

pub(super) fn find(services: &Services, login: &str) -> Result<(UserId, String), Failure> {
    let snapshot = services.store.snapshot();
    let user = names::user(&snapshot, login)?;
    Ok((user.id, user.login.to_string()))
}

fn exists(message: String) -> Failure {
    Failure::new(super::FailureKind::Exists, message)
}

/// Argon2 takes its time and memory: not on a thread that serves sessions.
async fn hash(services: &Services, password: Secret) -> Result<store::PasswordHash, Failure> {
    let settings = services.hashing.clone();
    let hashing = tokio::task::spawn_blocking(move || auth::hash_password(&password, &settings));
    match hashing.await {
        Ok(hash) => hash.map_err(|error| Failure::data(error.to_string())),
        Err(error) => Err(Failure::new(super::FailureKind::Internal, format!("hashing failed: {error}"))),
    }
}
