//! `mandate outbox` and `mandate message`: what became of what was sent.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::pin::Pin;

use serde_json::Value;

use super::record::record;
use super::{Actor, Answer, Failure, FailureKind, MessageRow, OutboxRow, Services};
use crate::store::Snapshot;
use crate::types::{MailboxId, MessageId, OutboxId, UserId};

/// Most lines that are shown of one message.
const MAX_ROWS: usize = 1_000;

/// Who has the outbox: the running daemon.
pub trait OutboxSource: Send + Sync {
    /// The messages that are not done with; or `all` that are known.
    fn rows(&self, all: bool) -> Vec<OutboxRow>;

    /// Has another attempt made at once. The error is a sentence.
    fn retry(&self, id: OutboxId) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;

    /// Forgets a message; says what that means. The error is a sentence.
    fn forget(&self, id: OutboxId) -> Result<String, String>;
}

pub(super) fn list(services: &Services, all: bool) -> Result<Answer, Failure> {
    Ok(Answer::Outbox(source(services)?.rows(all)))
}

pub(super) async fn retry(services: &Services, actor: Actor, id: OutboxId) -> Result<Answer, Failure> {
    source(services)?.retry(id).await.map_err(Failure::data)?;
    record(services, actor, "outbox retry", &[&id]).await?;
    Ok(Answer::done(format!("{id} is tried again now; see `mandate outbox list`")))
}

pub(super) async fn forget(services: &Services, actor: Actor, id: OutboxId) -> Result<Answer, Failure> {
    let sentence = source(services)?.forget(id).map_err(Failure::data)?;
    record(services, actor, "outbox drop", &[&id]).await?;
    Ok(Answer::done(sentence))
}

fn source(services: &Services) -> Result<&dyn OutboxSource, Failure> {
    let none = || Failure::new(FailureKind::Unavailable, "no daemon runs, and the outbox is the daemon's");
    services.outbox.as_deref().ok_or_else(none)
}

/// What the journal says of a message, found by the fingerprint of its Message-ID.
pub(super) fn message(services: &Services, text: &str) -> Result<Answer, Failure> {
    let bracketed = format!("<{}>", text.trim_start_matches('<').trim_end_matches('>'));
    let id = MessageId::parse(&bracketed)
        .ok_or_else(|| Failure::data(format!("{text:?} is no Message-ID: <something@example.org>")))?;
    let mark = services.journal.fingerprint(id.as_str().as_bytes());
    let wrong = |error: std::io::Error| {
        Failure::new(FailureKind::Internal, format!("{}: {error}", services.journal_file.display()))
    };
    let journal = File::open(&services.journal_file).map_err(wrong)?;
    let snapshot = services.store.snapshot();
    let mut found = Found { snapshot: &snapshot, mark, rows: Vec::new(), sends: HashMap::new() };
    for line in BufReader::new(journal).lines() {
        found.line(&line.map_err(wrong)?);
        if found.rows.len() > MAX_ROWS {
            break;
        }
    }
    if found.rows.is_empty() {
        let text = format!(
            "the journal knows nothing of a message {id}; \
             what a person may do is told by `mandate explain USER MAILBOX`"
        );
        return Err(Failure::data(text));
    }
    Ok(Answer::Message(found.rows))
}

struct Found<'a> {
    snapshot: &'a Snapshot,
    mark: String,
    rows: Vec<MessageRow>,
    /// Rows of messages that were sent, by the line of their intent.
    sends: HashMap<u64, usize>,
}

impl Found<'_> {
    fn line(&mut self, line: &str) {
        // Most lines are about something else, and need not be read.
        let about = line.contains(&self.mark);
        if !about && (self.sends.is_empty() || !line.contains("\"outcome\"")) {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let parent = text("parent") == self.mark;
        let what = match line["event"].as_str() {
            Some("send") => "sent it".to_owned(),
            Some("filed") if line["folder"].is_null() => "its copy is filed".to_owned(),
            Some("filed") => format!("its copy is filed in {}", text("folder")),
            Some("marked") if parent && text("flag") == "$Forwarded" => "forwarded it".to_owned(),
            Some("marked") if parent => "answered it".to_owned(),
            Some("marked") => "the message that it answers is marked".to_owned(),
            Some("lapsed") => "nobody told whether it went out, and it was forgotten".to_owned(),
            Some("outcome") => return self.outcome(&line),
            _ => return,
        };
        if let (Some("send"), Some(seq)) = (line["event"].as_str(), line["seq"].as_u64()) {
            self.sends.insert(seq, self.rows.len());
        }
        let (user, mailbox) = (self.user(&text("user")), self.mailbox(&text("mailbox")));
        self.rows.push(MessageRow { at: text("at"), user, mailbox, what });
    }

    fn outcome(&mut self, line: &Value) {
        let row = line["intent"].as_u64().and_then(|seq| self.sends.get(&seq).copied());
        if let Some(row) = row.and_then(|row| self.rows.get_mut(row)) {
            let outcome = line["outcome"].as_str().unwrap_or_default();
            row.what = match outcome {
                "done" => "sent it".to_owned(),
                "refused" => "tried to send it: refused".to_owned(),
                _ => "sent it: outcome unknown".to_owned(),
            };
        }
    }

    fn user(&self, text: &str) -> String {
        let id = text.strip_prefix('u').and_then(|id| id.parse().ok()).map(UserId);
        let user = id.and_then(|id| self.snapshot.user(id));
        user.map_or_else(|| text.to_owned(), |user| user.login.to_string())
    }

    fn mailbox(&self, text: &str) -> String {
        let id = text.strip_prefix('m').and_then(|id| id.parse().ok()).map(MailboxId);
        let mailbox = id.and_then(|id| self.snapshot.mailbox(id));
        mailbox.map_or_else(|| text.to_owned(), |mailbox| mailbox.address.to_string())
    }
}
