//! Grants: give, take back, list; and who still gets in through what.

use super::names::{self, Reader};
use super::record::record_grant;
use super::{Actor, Answer, Failure, FailureKind, GrantRow, NewGrant, Services, mailboxes, now};
use crate::policy::{Grant, Holder, Narrowing, SendRight};
use crate::store::{self, Snapshot};
use crate::telemetry::GrantChange;
use crate::types::{MailboxId, Timestamp, UserId};

/// Most people named one by one in an answer; a group may have thousands.
const MAX_NAMED: usize = 50;

pub(super) async fn add(services: &Services, actor: Actor, new: NewGrant) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mut reader = Reader::default();
    let holder = reader.take(names::holder(&snapshot, &new.holder));
    let mailbox = reader.take(names::mailbox(&snapshot, &new.mailbox));
    let role = reader.take(names::role(&snapshot, &new.role));
    let narrowing = reader.take(names::narrowing(&new.only, &new.except));
    if new.until.is_some_and(|until| until <= now()) {
        reader.take::<()>(Err(Failure::data("the end of the grant lies in the past")));
    }
    let (Some(holder), Some(mailbox), Some(role), Some(narrowing)) = (holder, mailbox, role, narrowing)
    else {
        return Err(reader.failure());
    };
    reader.finish()?;
    let name = names::of_holder(&snapshot, holder);
    let twin = snapshot.grants_on(mailbox.id).find(|grant| {
        (grant.holder, &grant.role, &grant.narrowing) == (holder, &role, &narrowing)
            && grant.until.is_none_or(|until| until > now())
    });
    if let Some(twin) = twin {
        let state = state(twin, now());
        let message = format!("{name} holds {role} in {} already ({state}): remove it first", mailbox.short);
        return Err(Failure::new(FailureKind::Exists, message));
    }
    let notes = match narrowing.is_none() {
        true => Vec::new(),
        false => mailboxes::make_known(services, actor, mailbox, &narrowing).await?,
    };
    let shown = narrowed(&narrowing);
    let grant = store::NewGrant {
        holder,
        mailbox: mailbox.id,
        role: role.clone(),
        send: new.send,
        from: new.from,
        until: new.until,
        narrowing,
        note: new.note,
        granted_by: actor.to_string(),
    };
    let id = services.store.add_grant(grant).await?;
    if let Some(grant) = services.store.snapshot().grant(id) {
        record_grant(services, actor, GrantChange::Added, grant).await?;
    }
    let send = new.send.map_or_else(String::new, |send| format!(", {}", sends(send)));
    let mut sentences = vec![format!("{name} is {role} in {}{send}{shown}", mailbox.address)];
    sentences.extend(notes);
    Ok(Answer::Done(sentences))
}

pub(super) async fn remove(
    services: &Services,
    actor: Actor,
    holder: &str,
    mailbox: &str,
    role: Option<&str>,
) -> Result<Answer, Failure> {
    let before = services.store.snapshot();
    let mut reader = Reader::default();
    let holder = reader.take(names::holder(&before, holder));
    let mailbox = reader.take(names::mailbox(&before, mailbox));
    let (Some(holder), Some(mailbox)) = (holder, mailbox) else { return Err(reader.failure()) };
    reader.finish()?;
    let meant = before
        .grants_on(mailbox.id)
        .filter(|grant| grant.holder == holder && role.is_none_or(|role| grant.role.0 == role));
    let meant: Vec<_> = meant.collect();
    let name = names::of_holder(&before, holder);
    if meant.is_empty() {
        return Err(nothing_to_remove(&before, &name, holder, mailbox.id, role));
    }
    let mut sentences = Vec::new();
    for grant in meant {
        services.store.remove_grant(grant.id).await?;
        record_grant(services, actor, GrantChange::Removed, grant).await?;
        let narrowed = narrowed(&grant.narrowing);
        sentences.push(format!("{name} is no longer {} in {}{narrowed}", grant.role, mailbox.address));
    }
    let after = services.store.snapshot();
    sentences.extend(still_of(&after, holder, mailbox.id));
    Ok(Answer::Done(sentences))
}

fn nothing_to_remove(
    snapshot: &Snapshot,
    name: &str,
    holder: Holder,
    mailbox: MailboxId,
    role: Option<&str>,
) -> Failure {
    let of = role.map_or_else(|| "grant".into(), |role| format!("grant of the role {role:?}"));
    let mut messages = vec![format!("{name} has no {of} of their own in this mailbox; nothing was changed")];
    messages.extend(still_of(snapshot, holder, mailbox));
    Failure { kind: FailureKind::Data, messages }
}

/// Who of the holder still gets in, through what.
fn still_of(snapshot: &Snapshot, holder: Holder, mailbox: MailboxId) -> Vec<String> {
    let users: Vec<UserId> = match holder {
        Holder::User(id) => vec![id],
        Holder::Group(id) => {
            snapshot.group(id).map(|group| group.members.iter().copied().collect()).unwrap_or_default()
        }
    };
    let mut sentences: Vec<_> = users.into_iter().flat_map(|user| still(snapshot, user, mailbox)).collect();
    if sentences.len() > MAX_NAMED {
        let more = sentences.len() - MAX_NAMED;
        sentences.truncate(MAX_NAMED);
        sentences.push(format!("and {more} more; `mandate grant list --mailbox` shows all"));
    }
    sentences
}

/// `bob still has responder through group team`, one sentence for each grant that is left.
pub(super) fn still(snapshot: &Snapshot, user: UserId, mailbox: MailboxId) -> Vec<String> {
    let Some(user) = snapshot.user(user) else { return Vec::new() };
    let Some(mailbox) = snapshot.mailbox(mailbox) else { return Vec::new() };
    let now = now();
    let left = snapshot.grants_of(user.id).filter(|grant| grant.mailbox == mailbox.id);
    let left = left.filter(|grant| grant.until.is_none_or(|until| until > now));
    let sentence = |grant: &Grant| {
        let verb = if grant.is_live(now) && !user.disabled { "still has" } else { "still holds" };
        let state = if grant.is_live(now) { String::new() } else { format!(" ({})", state(grant, now)) };
        format!(
            "{} {verb} {} in {}{} through {}{state}",
            user.login,
            grant.role,
            mailbox.short,
            narrowed(&grant.narrowing),
            way(snapshot, grant)
        )
    };
    left.map(|grant| sentence(grant)).collect()
}

/// `, only Projects/*`, behind the mailbox that a sentence names.
pub(super) fn narrowed(narrowing: &Narrowing) -> String {
    if narrowing.is_none() { String::new() } else { format!(", {narrowing}") }
}

/// How somebody sends from the mailbox, in words.
pub(super) fn sends(send: SendRight) -> &'static str {
    match send {
        SendRight::None => "and sends nothing",
        SendRight::OnBehalf => "sending on its behalf",
        SendRight::As => "sending as the mailbox",
    }
}

/// Through what a grant reaches somebody.
pub(super) fn way(snapshot: &Snapshot, grant: &Grant) -> String {
    match grant.holder {
        Holder::User(_) => "a grant of their own".into(),
        Holder::Group(id) => {
            let name = snapshot.group(id).map_or_else(|| id.to_string(), |group| group.name.to_string());
            format!("group {name}")
        }
    }
}

pub(super) fn state(grant: &Grant, now: Timestamp) -> &'static str {
    if grant.suspended {
        "suspended"
    } else if grant.until.is_some_and(|until| until <= now) {
        "ended"
    } else if grant.is_live(now) {
        "live"
    } else {
        "not yet"
    }
}

pub(super) fn list(
    services: &Services,
    mailbox: Option<&str>,
    user: Option<&str>,
) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mailbox = mailbox.map(|name| names::mailbox(&snapshot, name)).transpose()?.map(|mailbox| mailbox.id);
    let user = user.map(|name| names::user(&snapshot, name)).transpose()?.map(|user| user.id);
    let grants: Vec<_> = match user {
        Some(user) => snapshot.grants_of(user).collect(),
        None => snapshot.grants().collect(),
    };
    let mine = grants.into_iter().filter(|grant| mailbox.is_none_or(|mailbox| grant.mailbox == mailbox));
    Ok(Answer::Grants(mine.map(|grant| row(&snapshot, grant)).collect()))
}

pub(super) fn row(snapshot: &Snapshot, grant: &Grant) -> GrantRow {
    let mailbox = snapshot.mailbox(grant.mailbox);
    GrantRow {
        holder: names::of_holder(snapshot, grant.holder),
        mailbox: mailbox.map_or_else(|| grant.mailbox.to_string(), |mailbox| mailbox.short.to_string()),
        role: grant.role.to_string(),
        send: grant.send,
        from: grant.from,
        until: grant.until,
        folders: grant.narrowing.to_string(),
        state: match snapshot.role(&grant.role) {
            Some(_) => state(grant, now()).into(),
            None => "no such role".into(),
        },
        note: grant.note.clone(),
        granted_by: grant.granted_by.clone(),
        granted_at: grant.granted_at,
    }
}
