//! The outbox, as the admin's verbs see it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::admin::{OutboxRow, OutboxSource};
use crate::proxy::outbox::{Outbox, Row, State};
use crate::store::{Filing, ParentMark, Snapshot, Store};
use crate::types::OutboxId;

pub(super) struct Window {
    pub(super) outbox: Arc<Outbox>,
    pub(super) store: Store,
}

impl OutboxSource for Window {
    fn rows(&self, all: bool) -> Vec<OutboxRow> {
        let rows = if all { self.outbox.rows() } else { self.outbox.open_rows() };
        let snapshot = self.store.snapshot();
        rows.into_iter().map(|row| shown(&snapshot, row)).collect()
    }

    fn retry(&self, id: OutboxId) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(self.outbox.retry(id))
    }

    fn forget(&self, id: OutboxId) -> Result<String, String> {
        let dropped = self.outbox.drop_message(id)?;
        Ok(match dropped.copy {
            Filing::Wanted if dropped.claimed => {
                format!("{id} is dropped; its copy is filed nowhere, though the client was told that it is")
            }
            Filing::Wanted => format!("{id} is dropped; its copy is filed nowhere"),
            Filing::Filed(_) | Filing::SameAs(_) | Filing::Client | Filing::Upstream => {
                format!("{id} is dropped; what was done for it stays")
            }
        })
    }
}

fn shown(snapshot: &Snapshot, row: Row) -> OutboxRow {
    let Row { record, state, tries, next, why } = row;
    let state = match state {
        State::Sending => "sending",
        State::Unknown => "unknown",
        State::Filing => "filing",
        State::Marking => "marking",
        State::GivenUp => "given up",
        State::Done => "done",
    };
    let copy = match &record.copy {
        Filing::Wanted => "to be filed".to_owned(),
        Filing::Filed(Some(place)) => format!("{} {}", place.folder, place.uid),
        Filing::Filed(None) => "filed".to_owned(),
        Filing::SameAs(other) => format!("that of {other}"),
        Filing::Client => "the client's".to_owned(),
        Filing::Upstream => "the mail host's".to_owned(),
    };
    let parent = record.answers.as_ref().map(|answers| match answers.marking {
        ParentMark::Wanted => "to be marked",
        ParentMark::Done => "marked",
        ParentMark::NotFound => "not here",
        ParentMark::Refused => "refused",
    });
    let mailbox = snapshot.mailbox(record.mailbox);
    let user = snapshot.user(record.user);
    OutboxRow {
        id: record.id,
        state: state.to_owned(),
        mailbox: mailbox.map_or_else(|| record.mailbox.to_string(), |mailbox| mailbox.address.to_string()),
        user: user.map_or_else(|| record.user.to_string(), |user| user.login.to_string()),
        at: record.at,
        message_id: record.message_id.map(|id| id.to_string()),
        octets: record.octets,
        copy,
        parent: parent.map(str::to_owned),
        tries,
        next,
        why,
    }
}
