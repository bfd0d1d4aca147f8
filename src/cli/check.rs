//! `mandate check`: everything that is wrong, at once, and nothing is changed.

use std::path::Path;

use super::client;
use super::exit::{Exit, Fault};
use super::table::clean;
use crate::admin::{self, Answer, AskError, GrantRow, MailboxRow, Request};
use crate::config::Config;
use crate::daemon;
use crate::net::ServerIdentity;

/// What was looked at, and what came of it.
#[derive(serde::Serialize)]
struct Finding {
    what: String,
    fine: bool,
    message: String,
}

pub(super) fn run(file: &Path, upstream: bool, json: bool) -> Result<Exit, Fault> {
    let mut findings = Vec::new();
    let config = match Config::load(file) {
        Ok(config) => {
            findings.push(fine("configuration", file.display().to_string()));
            Some(config)
        }
        Err(error) => {
            findings.push(wrong("configuration", error.to_string()));
            None
        }
    };
    if let Some(config) = &config {
        findings.push(match ServerIdentity::load(&config.tls) {
            Ok(_) => fine("certificate", "fits its key"),
            Err(error) => wrong("certificate", error.to_string()),
        });
        findings.extend(state(config));
        findings.extend(lost_roles(config));
        if upstream {
            findings.extend(hosts(config));
        }
    }
    print(&findings, json)
}

/// Key, store and journal; through the daemon if one has them.
fn state(config: &Config) -> Vec<Finding> {
    match admin::ask(&config.admin.socket, &Request::Status) {
        Ok(Answer::Status(status)) => {
            let mut findings = vec![fine("store", "in use by the running daemon")];
            findings.extend(status.warnings.into_iter().map(|warning| wrong("store", warning)));
            findings
        }
        Ok(_) => vec![wrong("daemon", "answers something else than was asked")],
        Err(AskError::NotAllowed) => vec![wrong("daemon", "runs, and does not let this user ask it")],
        Err(AskError::Version) => vec![wrong("daemon", "is of another version than this program")],
        Err(AskError::Io(error)) => vec![wrong("daemon", format!("does not answer: {error}"))],
        Err(AskError::NoDaemon) => {
            vec![match daemon::sealer(&config.state).and_then(|_| open_and_close(config)) {
                Ok(()) => fine("store", "opens"),
                Err(error) => wrong("store", error.to_string()),
            }]
        }
    }
}

/// Grants of roles that this file does not have: they give nothing.
fn lost_roles(config: &Config) -> Vec<Finding> {
    let Ok(Answer::Grants(grants)) = client::answer(config, Request::GrantList { mailbox: None, user: None })
    else {
        // Why the store cannot be asked is told already.
        return Vec::new();
    };
    let roles = config.roles();
    let lost = grants.iter().filter(|grant| roles.iter().all(|role| role.name.0 != grant.role));
    lost.map(|grant| {
        let GrantRow { holder, mailbox, role, .. } = grant;
        wrong(
            "roles",
            format!("{holder} has {role} in {mailbox}, which gives nothing: there is no such role"),
        )
    })
    .collect()
}

fn open_and_close(config: &Config) -> Result<(), daemon::DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(daemon::DaemonError::Runtime)?;
    runtime.block_on(async {
        let services = daemon::offline(config)?;
        services.journal.close().await?;
        Ok(services.store.close().await?)
    })
}

/// Logs in to every mailbox's hosts.
fn hosts(config: &Config) -> Vec<Finding> {
    let rows: Vec<MailboxRow> = match client::answer(config, Request::MailboxList) {
        Ok(Answer::Mailboxes(rows)) => rows,
        Ok(_) => return Vec::new(),
        Err(fault) => return vec![wrong("mailboxes", fault.message)],
    };
    let test = |row: &MailboxRow| {
        let what = format!("mailbox {}", row.short);
        match client::answer(config, Request::MailboxTest { mailbox: row.address.clone() }) {
            Ok(Answer::Done(sentences)) => fine(&what, sentences.join("; ")),
            Ok(Answer::Failed(failure)) => wrong(&what, failure.messages.join("; ")),
            Ok(_) => wrong(&what, "answers something else than was asked"),
            Err(fault) => wrong(&what, fault.message),
        }
    };
    rows.iter().map(test).collect()
}

fn print(findings: &[Finding], json: bool) -> Result<Exit, Fault> {
    if json {
        let text = serde_json::to_string_pretty(findings);
        println!("{}", text.map_err(|error| Fault::new(Exit::Software, error.to_string()))?);
    } else {
        for Finding { what, fine, message } in findings {
            let verdict = if *fine { "ok   " } else { "WRONG" };
            let message: Vec<_> = message.lines().map(clean).collect();
            println!("{verdict}  {what}: {}", message.join("\n       "));
        }
    }
    let good = findings.iter().all(|finding| finding.fine);
    Ok(if good { Exit::Ok } else { Exit::Config })
}

fn fine(what: &str, message: impl Into<String>) -> Finding {
    Finding { what: what.into(), fine: true, message: message.into() }
}

fn wrong(what: &str, message: impl Into<String>) -> Finding {
    Finding { what: what.into(), fine: false, message: message.into() }
}
