//! People's own accounts upstream: set only after a login there, where we hold the password.

use super::mailboxes::host_line;
use super::people::find;
use super::record::record;
use super::request::{OwnAccount, OwnHost, OwnLogin};
use super::{Actor, Answer, Failure, Login, Services};
use crate::store::{self, Personal, Purpose};
use crate::types::Secret;

/// Sets where a person's own mail is; `None`: nowhere.
pub(super) async fn set(
    services: &Services,
    actor: Actor,
    login: &str,
    account: Option<OwnAccount>,
) -> Result<Answer, Failure> {
    let (id, name) = find(services, login)?;
    let Some(account) = account else {
        services.store.set_personal(id, None, Vec::new()).await?;
        record(services, actor, "user host", &[&id]).await?;
        return Ok(Answer::done(format!("{name} has no mail of their own here")));
    };
    let tried = try_hosts(services, &account).await?;
    let mut credentials = Vec::new();
    let imap = keep(account.imap, Purpose::Imap, &mut credentials);
    let submission = account.submission.map(|host| keep(host, Purpose::Smtp, &mut credentials));
    let personal = Personal { imap, submission, max_connections: account.max_connections };
    let mut sentences = vec![format!("{name}: {}", line(&personal))];
    services.store.set_personal(id, Some(personal), credentials).await?;
    record(services, actor, "user host", &[&id]).await?;
    sentences.extend(tried);
    Ok(Answer::Done(sentences))
}

/// Logs in where a password is given. With pass-through only the person can.
async fn try_hosts(services: &Services, account: &OwnAccount) -> Result<Vec<String>, Failure> {
    let mut sentences = Vec::new();
    if let OwnLogin::Stored { account: who, password } = &account.imap.login {
        let login = Login {
            endpoint: account.imap.endpoint.clone(),
            account: who.clone(),
            password: password.clone(),
        };
        let found = services.hosts.folders(&login).await?;
        sentences.push(format!("{}: logged in, {} folders", login.endpoint, found.folders.len()));
    } else {
        sentences.push("not tried: only their own login opens it".to_owned());
    }
    let Some(OwnHost { endpoint, login }) = &account.submission else { return Ok(sentences) };
    let login = match login {
        OwnLogin::Stored { account, password } => Some((account.clone(), password.clone())),
        OwnLogin::Relay => None,
        OwnLogin::PassThrough(_) => return Ok(sentences),
    };
    services.hosts.submission(endpoint, login).await?;
    sentences.push(format!("{endpoint}: reached"));
    Ok(sentences)
}

/// What the store keeps of a host; its password goes to the others to be sealed.
fn keep(host: OwnHost, purpose: Purpose, credentials: &mut Vec<(Purpose, Secret)>) -> store::OwnHost {
    let login = match host.login {
        OwnLogin::PassThrough(account) => store::OwnLogin::PassThrough(account),
        OwnLogin::Stored { account, password } => {
            credentials.push((purpose, password));
            store::OwnLogin::Stored(account)
        }
        OwnLogin::Relay => store::OwnLogin::Relay,
    };
    store::OwnHost { endpoint: host.endpoint, login }
}

/// `imap.example.org:993, TLS, as alice, with the password of their login`.
pub(super) fn line(personal: &Personal) -> String {
    let host = |host: &store::OwnHost| {
        let with = match &host.login {
            store::OwnLogin::PassThrough(_) => ", with the password of their login",
            store::OwnLogin::Stored(_) | store::OwnLogin::Relay => "",
        };
        format!("{}{with}", host_line(&host.endpoint, host.login.account()))
    };
    let submission = personal.submission.as_ref().map(|of| format!("; sends by {}", host(of)));
    format!("{}{}", host(&personal.imap), submission.unwrap_or_default())
}
