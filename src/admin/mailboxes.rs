//! Shared mailboxes: added only after a login upstream, folders classed and pinned.

use std::sync::Arc;

use super::discard;
use super::folders;
use super::names::{self, Reader};
use super::record::record;
use super::{
    Actor, Answer, Failure, FailureKind, MailboxDetail, MailboxRow, NewMailbox, Services, Submission,
};
use super::{grants, hosts};
use crate::policy::{FolderPattern, Narrowing};
use crate::store::{self, AddressHolder, Mailbox, Purpose, Snapshot};
use crate::types::{Account, Address, Endpoint, Secret, Security, ShortName, Trust, UserId};

pub(super) async fn add(services: &Services, actor: Actor, new: NewMailbox) -> Result<Answer, Failure> {
    let names = read_names(services, &new)?;
    let found = services.hosts.folders(&new.imap).await?;
    let submission = match new.submission {
        Some(submission) => Some(try_submission(services, &new.imap, submission).await?),
        None => None,
    };
    let mut credentials = vec![(Purpose::Imap, new.imap.password)];
    let submission = submission.map(|(submission, password)| {
        credentials.extend(password.map(|password| (Purpose::Smtp, password)));
        submission
    });
    let (pins, table) = folders::suggested(&names.address, &found);
    let short = names.short.clone();
    let mailbox = store::NewMailbox {
        address: names.address,
        aliases: names.aliases,
        short: names.short,
        display: new.display,
        owner: names.owner,
        imap: new.imap.endpoint,
        imap_account: new.imap.account,
        submission,
        max_connections: new.max_connections,
        pins,
        separator: found.separator,
        options: store::Options::default(),
    };
    let id = services.store.add_mailbox(mailbox, credentials).await?;
    record(services, actor, "mailbox add", &[&id]).await?;
    tracing::info!(mailbox = %id, "mailbox {short} added");
    Ok(Answer::Folders(table))
}

/// What a request's texts mean, before anybody is asked upstream.
struct Names {
    address: Address,
    aliases: Vec<Address>,
    short: ShortName,
    owner: Option<UserId>,
}

fn read_names(services: &Services, new: &NewMailbox) -> Result<Names, Failure> {
    let snapshot = services.store.snapshot();
    let mut reader = Reader::default();
    let address = reader.address(&new.address);
    let aliases = reader.addresses(&new.aliases);
    let short = match (&new.short, &address) {
        (Some(short), _) => reader.short(short),
        (None, Some(address)) => reader.short(address.local()),
        (None, None) => None,
    };
    let owner = new.owner.as_deref().and_then(|owner| reader.take(names::user(&snapshot, owner)));
    let (Some(address), Some(short)) = (address, short) else { return Err(reader.failure()) };
    reader.finish()?;
    let names = Names { address, aliases, short, owner: owner.map(|owner| owner.id) };
    check_free(&snapshot, &names)?;
    Ok(names)
}

/// The store refuses these too; told here before a login upstream takes its time.
fn check_free(snapshot: &Snapshot, names: &Names) -> Result<(), Failure> {
    let mut messages = Vec::new();
    for address in std::iter::once(&names.address).chain(&names.aliases) {
        let holder = match snapshot.holder_of(address) {
            None => continue,
            Some(AddressHolder::User(id)) => snapshot.user(id).map(|user| format!("user {}", user.login)),
            Some(AddressHolder::Mailbox(id)) => {
                snapshot.mailbox(id).map(|mailbox| format!("mailbox {}", mailbox.short))
            }
        };
        messages.push(format!("{address} belongs to {} already", holder.unwrap_or_default()));
    }
    if let Some(other) = snapshot.mailboxes().find(|mailbox| mailbox.short == names.short) {
        let (short, address) = (&names.short, &other.address);
        messages.push(format!("{short} is the short name of {address} already; give another with --short"));
    }
    if messages.is_empty() { Ok(()) } else { Err(Failure { kind: FailureKind::Exists, messages }) }
}

/// Logs in to the submission host, and says what the store keeps of it.
async fn try_submission(
    services: &Services,
    imap: &super::Login,
    submission: Submission,
) -> Result<(store::Submission, Option<Secret>), Failure> {
    let (endpoint, login) = match submission {
        Submission::Relay(endpoint) => (endpoint, None),
        Submission::SameLogin(endpoint) => (endpoint, Some((imap.account.clone(), imap.password.clone()))),
        Submission::OwnLogin(login) => (login.endpoint, Some((login.account, login.password))),
    };
    services.hosts.submission(&endpoint, login.clone()).await?;
    let (account, password) = login.unzip();
    Ok((store::Submission { endpoint, account }, password))
}

pub(super) fn list(services: &Services) -> Answer {
    let snapshot = services.store.snapshot();
    let rows = snapshot.mailboxes().map(|mailbox| MailboxRow {
        short: mailbox.short.to_string(),
        address: mailbox.address.to_string(),
        owner: owner(&snapshot, mailbox),
        imap: mailbox.imap.to_string(),
        submission: mailbox.submission.as_ref().map(|submission| submission.endpoint.to_string()),
        grants: snapshot.grants_on(mailbox.id).count(),
    });
    let mut rows: Vec<MailboxRow> = rows.collect();
    rows.sort_by(|a, b| a.short.cmp(&b.short));
    Answer::Mailboxes(rows)
}

pub(super) fn show(services: &Services, name: &str) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mailbox = names::mailbox(&snapshot, name)?;
    let submission = mailbox.submission.as_ref();
    let detail = MailboxDetail {
        short: mailbox.short.to_string(),
        address: mailbox.address.to_string(),
        aliases: mailbox.aliases.iter().map(ToString::to_string).collect(),
        display: mailbox.display.clone(),
        owner: owner(&snapshot, mailbox),
        imap: host_line(&mailbox.imap, Some(&mailbox.imap_account)),
        submission: submission.map(|submission| host_line(&submission.endpoint, submission.account.as_ref())),
        max_connections: mailbox.max_connections,
        options: mailbox.options.pairs(),
        folders: folders::pinned(mailbox),
        grants: snapshot.grants_on(mailbox.id).map(|grant| grants::row(&snapshot, grant)).collect(),
    };
    Ok(Answer::Mailbox(Box::new(detail)))
}

pub(super) async fn remove(services: &Services, actor: Actor, name: &str) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mailbox = names::mailbox(&snapshot, name)?;
    let grants = snapshot.grants_on(mailbox.id).count();
    services.store.remove_mailbox(mailbox.id).await?;
    record(services, actor, "mailbox remove", &[&mailbox.id]).await?;
    let address = &mailbox.address;
    Ok(Answer::done(format!("mailbox {address} removed with its {grants} grants; upstream is as it was")))
}

/// Logs in again with what the store holds.
pub(super) async fn test(services: &Services, name: &str) -> Result<Answer, Failure> {
    let snapshot = services.store.snapshot();
    let mailbox = names::mailbox(&snapshot, name)?;
    let found = services.hosts.folders(&login(services, mailbox)?).await?;
    discard::check(services, mailbox).await?;
    let mut sentences = vec![format!("{}: logged in, {} folders", mailbox.imap, found.folders.len())];
    if let Some(submission) = &mailbox.submission {
        let password = |account: &Account| -> Result<_, Failure> {
            Ok((account.clone(), services.store.credential(mailbox.id, Purpose::Smtp)?))
        };
        let login = submission.account.as_ref().map(password).transpose()?;
        let how = if login.is_some() { "logged in" } else { "reached, without a login" };
        services.hosts.submission(&submission.endpoint, login).await?;
        sentences.push(format!("{}: {how}", submission.endpoint));
    }
    Ok(Answer::Done(sentences))
}

/// Shows the classes of the folders that the host has now, after setting those of `pins`.
pub(super) async fn folders(
    services: &Services,
    actor: Actor,
    name: &str,
    pins: &[super::Pin],
) -> Result<Answer, Failure> {
    let mailbox = Arc::clone(names::mailbox(&services.store.snapshot(), name)?);
    let found = services.hosts.folders(&login(services, &mailbox)?).await?;
    if pins.is_empty() {
        return Ok(Answer::Folders(folders::current(&mailbox, &found)));
    }
    let (pins, notes) = folders::repinned(&mailbox, &found, pins)?;
    services.store.update_mailbox(mailbox.id, move |mailbox| mailbox.pins = pins).await?;
    record(services, actor, "mailbox folders", &[&mailbox.id]).await?;
    let snapshot = services.store.snapshot();
    let mut table = folders::current(snapshot.mailbox(mailbox.id).unwrap_or(&mailbox), &found);
    table.notes.extend(notes);
    Ok(Answer::Folders(table))
}

/// Pins the folders that there are now, each as it counts now: a narrowed grant reaches no
/// folder that the mailbox does not know. Says which patterns match none of them.
pub(super) async fn make_known(
    services: &Services,
    actor: Actor,
    mailbox: &Mailbox,
    narrowing: &Narrowing,
) -> Result<Vec<String>, Failure> {
    let found = services.hosts.folders(&login(services, mailbox)?).await?;
    let pins = folders::unpinned_as_they_are(mailbox, &found);
    if !pins.is_empty() {
        let add = move |mailbox: &mut Mailbox| {
            for pin in pins {
                if mailbox.pin(&pin.folder).is_none() {
                    mailbox.pins.push(pin);
                }
            }
        };
        services.store.update_mailbox(mailbox.id, add).await?;
        record(services, actor, "mailbox folders", &[&mailbox.id]).await?;
    }
    let none = |pattern: &&FolderPattern| {
        !found.folders.iter().any(|found| pattern.covers(&found.name, mailbox.separator))
    };
    let unmatched = narrowing.only.iter().chain(&narrowing.except).filter(none);
    Ok(unmatched.map(|pattern| format!("{pattern} matches no folder that is there now")).collect())
}

pub(super) fn login(services: &Services, mailbox: &Mailbox) -> Result<super::Login, Failure> {
    Ok(super::Login {
        endpoint: mailbox.imap.clone(),
        account: mailbox.imap_account.clone(),
        password: services.store.credential(mailbox.id, Purpose::Imap)?,
    })
}

fn owner(snapshot: &Snapshot, mailbox: &Mailbox) -> Option<String> {
    Some(snapshot.user(mailbox.owner?)?.login.to_string())
}

/// `imap.example.org:993, TLS, as support@example.org`.
pub(super) fn host_line(endpoint: &Endpoint, account: Option<&Account>) -> String {
    let security = match endpoint.security {
        Security::Implicit => "TLS",
        Security::StartTls => "STARTTLS",
        Security::Plaintext => "no TLS",
    };
    let trust = match &endpoint.trust {
        Trust::System => String::new(),
        Trust::CaFile(file) => format!(" trusting {}", file.display()),
        Trust::Spki(pin) => format!(" pinned to {}", hosts::hex(pin)),
    };
    let who = match account {
        Some(Account { authcid, authzid: None }) => format!("as {authcid}"),
        Some(Account { authcid, authzid: Some(authzid) }) => format!("as {authcid} for {authzid}"),
        None => "without a login".into(),
    };
    format!("{endpoint}, {security}{trust}, {who}")
}
