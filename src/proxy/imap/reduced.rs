//! What is done for hosts that lack an extension, or have ways of their own (docs/upstreams.md).

use super::ended::Ended;
use super::exchange::{Answer, Found};
use super::session::Session;
use crate::imap::command::{Command, SearchReturn, Tag};
use crate::imap::writer;
use crate::policy::{Step, StepKind, StoreMode};
use crate::types::SystemFlag;

impl Session {
    /// Marks messages that have been copied, then removes exactly those.
    pub(super) async fn remove_copied(
        &mut self,
        tag: &Tag,
        command: &Command,
        step: &Step,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let ours = self.lease.as_mut().and_then(|lease| Tag::parse(lease.tag().as_bytes()));
        let mark = ours.and_then(|ours| Some((writer::mark_copied(step, command, ours.as_str())?, ours)));
        let Some((outgoing, ours)) = mark else { return Err(Ended::UpstreamGone) };
        let marked = self.send_step((tag, command), step, (&outgoing, &ours), found).await?;
        if !marked.is_ok() {
            return Ok(marked);
        }
        self.step(tag, command, step, found).await
    }

    /// The RETURN options that a SEARCH is answered with by us: its result is kept, or the host
    /// has no ESEARCH.
    pub(super) fn computes(&self, step: &Step, command: &Command) -> Option<SearchReturn> {
        let Command::Search { search, .. } = command else { return None };
        let esearch = self.lease.as_ref().is_some_and(|lease| lease.capabilities().has("ESEARCH"));
        search.ret.filter(|ret| *step.kind() == StepKind::Carry && (ret.save || !esearch))
    }

    /// Whether a STORE removes messages, because the host takes `\Deleted` for an order.
    pub(super) fn removes_by_marking(&self, step: &Step) -> bool {
        let StepKind::Store { mode: StoreMode::Add | StoreMode::Replace, flags, .. } = step.kind() else {
            return false;
        };
        let snapshot = self.services.store.snapshot();
        let mailbox = snapshot.mailbox(self.watch.effective().mailbox);
        flags.has(SystemFlag::Deleted) && mailbox.is_some_and(|mailbox| mailbox.options.deleted_is_final)
    }
}
