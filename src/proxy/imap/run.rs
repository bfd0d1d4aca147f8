//! Carrying out a permit: its steps, one upstream command each, and the client's answer.

use super::ended::Ended;
use super::exchange::{Answer, Exchange, Found, Manner, Show, read_out};
use super::kinds::{counts_messages, listing, needs_condstore, numbers_by_uid};
use super::saved::Recalled;
use super::session::Session;
use crate::imap::command::{Command, Tag};
use crate::imap::reply::{self, Outcome};
use crate::imap::response::Condition;
use crate::imap::writer::{self, Context, Outgoing};
use crate::policy::{Denial, Fact, Facts, Next, Permit, Rights, Step, StepKind};
use crate::types::FolderName;
use crate::upstream::EnabledSet;

/// How a permit came out, for the tagged answer.
pub(super) struct Done {
    pub(super) condition: Condition,
    pub(super) code: Option<String>,
}

impl Session {
    /// Takes the steps of a permit and answers the client.
    pub(super) async fn carry_out(
        &mut self,
        tag: &Tag,
        command: Command,
        permit: Permit,
    ) -> Result<(), Ended> {
        match &command {
            Command::Select(_) | Command::Examine(_) => Box::pin(self.open(tag, &command, permit)).await,
            Command::Status { folder, items } => Box::pin(self.status(tag, folder, items)).await,
            Command::GetQuota { .. } | Command::GetQuotaRoot(_) => {
                Box::pin(self.quota(tag, &command, permit)).await
            }
            Command::Idle => Box::pin(self.idle(tag, &command, permit)).await,
            Command::Create { .. } | Command::Delete(_) | Command::Rename { .. } => {
                Box::pin(self.change_folders(tag, &command, permit)).await
            }
            Command::Close | Command::Unselect => Box::pin(self.close(tag, &command, permit)).await,
            Command::Noop
            | Command::Check
            | Command::Expunge
            | Command::UidExpunge(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. } => self.in_folder(tag, command, permit).await,
            Command::Capability
            | Command::Logout
            | Command::Id { .. }
            | Command::Login { .. }
            | Command::Authenticate { .. }
            | Command::Enable(_)
            | Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::List(_)
            | Command::Lsub { .. }
            | Command::Namespace
            | Command::Append(_)
            | Command::MyRights(_)
            | Command::ListRights { .. }
            | Command::GetAcl(_)
            | Command::SetAcl(_)
            | Command::DeleteAcl(_) => self.client.wrong_state(tag, &command),
        }
    }

    /// A command on the open folder.
    async fn in_folder(&mut self, tag: &Tag, mut command: Command, permit: Permit) -> Result<(), Ended> {
        if needs_condstore(&command) {
            self.condstore_used();
        }
        if self.is_parked() && matches!(command, Command::Noop | Command::Check) {
            self.poll_parked(tag).await?;
            self.finish(tag, &command, &Done { condition: Condition::Ok, code: None });
            return Ok(());
        }
        // In doubt about the numbers, nothing is done but what takes in the news.
        let polls = matches!(command, Command::Noop | Command::Check);
        if self.has_overlay() && !Box::pin(self.number_new_messages(tag)).await? && !polls {
            let code = Some("UNAVAILABLE".to_owned());
            self.finish(tag, &command, &Done { condition: Condition::No, code });
            return Ok(());
        }
        match Box::pin(self.recall(tag, &mut command)).await? {
            Recalled::Named => {}
            Recalled::Nothing => {
                self.finish(tag, &command, &Done { condition: Condition::Ok, code: None });
                return Ok(());
            }
            Recalled::Unknown => {
                let code = Some("UNAVAILABLE".to_owned());
                self.finish(tag, &command, &Done { condition: Condition::No, code });
                return Ok(());
            }
        }
        let named = match self.name_messages(tag, &mut command, &permit).await? {
            Ok(named) => named,
            Err(done) => {
                self.finish(tag, &command, &done);
                return Ok(());
            }
        };
        if permit.may_strip() && !Box::pin(self.prepare_strip()).await? {
            self.unavailable(tag);
            return Ok(());
        }
        let done = self.steps(tag, &command, permit, named).await?;
        if let Some(lease) = self.stripper.take() {
            lease.give_back().await;
        }
        match done {
            Ok(done) => self.finish(tag, &command, &done),
            Err(denial) => return self.deny(tag, &command, &denial).await,
        }
        Ok(())
    }

    /// The tagged answer, in our words: upstream's may name what the user must not see.
    pub(super) fn finish(&mut self, tag: &Tag, command: &Command, done: &Done) {
        let code = done.code.as_deref().unwrap_or_default();
        let out = self.client.wire.out();
        match done.condition {
            Condition::Ok => match &self.instead {
                None => reply::completed(out, tag, code, super::record::verb(command)),
                Some(folder) => {
                    let text = format!("{} completed: into {folder}", super::record::verb(command));
                    reply::tagged(out, tag, Outcome::Ok, code, &text);
                }
            },
            Condition::No | Condition::Bad | Condition::Bye | Condition::PreAuth => {
                let why = match (code, command) {
                    // Ours: upstream's own CANNOT is not passed on.
                    ("CANNOT", Command::Append(_)) => "A message must not contain NUL octets",
                    ("CANNOT", Command::Thread { .. }) => {
                        "These messages are too scattered to be threaded by marks that only you see"
                    }
                    ("NOTSAVED", _) => "These messages are too scattered to be remembered",
                    ("CANNOT", _) => "This cannot be passed on to the mail host",
                    _ => "The mail host has refused this",
                };
                reply::tagged(out, tag, Outcome::No, code, why);
            }
        }
    }

    /// The steps, until the plan is done, upstream refuses one, or the facts forbid the next.
    pub(super) async fn steps(
        &mut self,
        tag: &Tag,
        command: &Command,
        mut permit: Permit,
        mut named: Vec<(u32, u32)>,
    ) -> Result<Result<Done, Denial>, Ended> {
        let mut last = Fact::Start;
        let mut done = Done { condition: Condition::Ok, code: None };
        let mut searched = None;
        loop {
            self.watch.refresh()?;
            let own = self.own_drafts();
            let by_uid = numbers_by_uid(command);
            let facts = Facts { last, effective: self.watch.effective(), own: &own, by_uid };
            let step = match permit.next(&facts) {
                Next::Run(step) => step,
                Next::Refuse(denial) => return Ok(Err(denial)),
                Next::Done => {
                    if let (Command::Search { search, .. }, Some(found)) = (command, searched) {
                        let found = (by_uid, &found, None);
                        done = Box::pin(self.tell_found(tag, search.ret, found)).await?.unwrap_or(done);
                    }
                    return Ok(Ok(done));
                }
            };
            if let (StepKind::Carry, Some(found)) = (step.kind(), &searched) {
                return Ok(Ok(Box::pin(self.arrange(tag, command, &step, found.clone())).await?));
            }
            let mut found = Found::default();
            let mut answer = self.recorded_step(tag, command, (&step, &named), &mut found).await?;
            if let StepKind::CopyThese(_) = step.kind()
                && let Some(code) = answer.code.take_if(|code| code.starts_with("COPYUID"))
            {
                // Before the EXPUNGEs that follow (RFC 6851 §4.3).
                reply::untagged(self.client.wire.out(), Outcome::Ok, &code, "Messages have been copied");
            }
            if answer.is_ok()
                && let Some(ret) = self.computes(&step, command)
            {
                let found = (by_uid, &found.uids, found.search_mod_seq);
                if let Some(refused) = Box::pin(self.tell_found(tag, Some(ret), found)).await? {
                    return Ok(Ok(refused));
                }
            }
            if !matches!(step.kind(), StepKind::Strip { .. }) {
                done.condition = answer.condition;
                done.code = answer.code.or(done.code);
                if done.condition != Condition::Ok {
                    return Ok(Ok(done));
                }
            }
            if let StepKind::Ask(_) = step.kind() {
                searched = Some(found.uids.union(&searched.unwrap_or_default()));
            }
            last = self.fact(&step, command, found);
            if let Fact::Numbers(numbers) = &last {
                named.clone_from(numbers);
            }
        }
    }

    /// One step between its intent and its outcome in the journal (invariant 12).
    pub(super) async fn recorded_step(
        &mut self,
        tag: &Tag,
        command: &Command,
        (step, named): (&Step, &[(u32, u32)]),
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let effective = self.watch.effective().clone();
        let act = super::record::act(step, command, self.selected.as_deref(), named);
        let intent = match &act {
            Some(act) if step.removes() || self.removes_by_marking(step) => {
                Some(Box::pin(self.recorder.intent(&effective, act.clone())).await?)
            }
            Some(_) | None => None,
        };
        let taken = match step.kind() {
            StepKind::Strip { .. } => Box::pin(self.strip(command, step)).await,
            StepKind::Mark { set, clear } => Box::pin(self.mark(command, *set, *clear)).await,
            StepKind::FindMarked => Ok(self.find_marked(command, found)),
            StepKind::Ask(assumed) => {
                Box::pin(self.search_assuming(tag, (command, step), *assumed, found)).await
            }
            StepKind::RemoveCopied(_) => Box::pin(self.remove_copied(tag, command, step, found)).await,
            StepKind::Carry
            | StepKind::Open { .. }
            | StepKind::Fetch { .. }
            | StepKind::Uids
            | StepKind::Flags
            | StepKind::Store { .. }
            | StepKind::FindDeleted
            | StepKind::Discard(_)
            | StepKind::Remove(_)
            | StepKind::RemoveAll(_)
            | StepKind::Append { .. }
            | StepKind::FindFlagged(_)
            | StepKind::Copy
            | StepKind::CopyThese(_)
            | StepKind::Describe(_)
            | StepKind::ReadOut(_)
            | StepKind::TakeBack { .. }
            | StepKind::Move { .. }
            | StepKind::DeleteFolder
            | StepKind::Unselect
            | StepKind::Address
            | StepKind::Submit { .. }
            | StepKind::File
            | StepKind::Parent(_) => self.step(tag, command, step, found).await,
        };
        let outcome = super::record::outcome(&taken, found);
        match (intent, act) {
            (Some(intent), _) => Box::pin(self.recorder.outcome(intent, outcome, found)).await?,
            (None, Some(act)) => Box::pin(self.recorder.change(&effective, act, outcome, found)).await?,
            (None, None) => {}
        }
        let carried_out = outcome == crate::telemetry::Outcome::Done;
        if carried_out {
            Box::pin(self.keep_drafts(step, command, found)).await;
        }
        if carried_out || !found.read.is_empty() {
            Box::pin(self.keep_marks(step, command, found, carried_out)).await;
        }
        taken
    }

    /// One step: written, sent, and its answer read.
    pub(super) async fn step(
        &mut self,
        tag: &Tag,
        command: &Command,
        step: &Step,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let Some((outgoing, ours)) = self.write(step, command) else {
            tracing::error!(?step, "a permitted step cannot be written");
            return Ok(Answer { condition: Condition::No, code: Some("CANNOT".to_owned()) });
        };
        self.send_step((tag, command), step, (&outgoing, &ours), found).await
    }

    /// Sends what a step became and reads its answer, to the end if it changes something.
    pub(super) async fn send_step(
        &mut self,
        (tag, command): (&Tag, &Command),
        step: &Step,
        (outgoing, ours): (&Outgoing, &Tag),
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let manner = self.manner(step, command);
        self.begin_reading(step, command);
        let changes = super::record::act(step, command, self.selected.as_deref(), &[]).is_some();
        // Nobody waits for the rest of a message that nobody reads.
        let changes = changes && !matches!(step.kind(), StepKind::Fetch { .. });
        match self.exchange(tag, manner, (outgoing, ours), found).await {
            // The client is gone or has lost its right, but the command is under way: it is
            // read to its end, so that the journal can say what became of it.
            Err(ended) if changes && found.sent && !ended.is_fault_of_upstream() => {
                Err(Box::pin(self.read_to_its_end(ended, ours, found)).await)
            }
            answer => answer,
        }
    }

    async fn read_to_its_end(&mut self, ended: Ended, ours: &Tag, found: &mut Found) -> Ended {
        self.farewell(ended).await;
        self.client.shut_down().await;
        if let Some(lease) = self.lease.as_mut() {
            read_out(lease, ours, found).await;
        }
        ended
    }

    /// The step's octets, and the tag under which they go.
    ///
    /// `None` also if the connection is not to the mailbox by whose rights the step was
    /// permitted: the last of the places that keep the two together.
    pub(super) fn write(&mut self, step: &Step, command: &Command) -> Option<(Outgoing, Tag)> {
        let decided_in = self.watch.mailbox();
        let ours = self.lease.as_mut().filter(|lease| lease.mailbox() == decided_in)?.tag();
        let (folder, new_folder) = self.folders_of(command);
        let trash =
            self.trash().map(|(_, wire)| wire).filter(|_| matches!(step.kind(), StepKind::Discard(_)));
        let capabilities = self.lease.as_ref()?.capabilities();
        let context = Context {
            folder: folder.as_deref(),
            new_folder,
            selected: self.selected.as_ref().map(|selected| selected.wire.as_slice()),
            unselect: capabilities.has("UNSELECT"),
            condstore: capabilities.has_condstore(),
            trash: trash.as_deref().filter(|_| capabilities.has("MOVE")),
            esearch: capabilities.has("ESEARCH"),
            modseq: self.tells_mod_seq() && self.lease.as_ref()?.enabled() != EnabledSet::Plain,
            qresync: self.lease.as_ref()?.enabled() == EnabledSet::CondstoreQresync
                && !self.own_flags_in(command),
        };
        let outgoing = writer::step(step, command, &context, &ours)?;
        Some((outgoing, Tag::parse(ours.as_bytes())?))
    }

    /// Whether the folder that a command opens has flags of the user's own: no mod-sequences.
    fn own_flags_in(&self, command: &Command) -> bool {
        let opened = super::record::target(command);
        opened.is_some_and(|name| self.watch.effective().own_flags(&self.watch.place_of(name)).any())
    }

    /// The folder that a command names in upstream's octets, and the new name if it makes one.
    fn folders_of<'c>(&self, command: &'c Command) -> (Option<Vec<u8>>, Option<&'c FolderName>) {
        let wire = |name: &FolderName| Some(self.folders.inventory.find(name)?.wire.clone());
        match command {
            Command::Create { folder, .. } => (None, folder.as_ref().ok()),
            Command::Rename { from, to } => (from.as_ref().ok().and_then(wire), to.as_ref().ok()),
            _ => (super::record::target(command).and_then(wire), None),
        }
    }

    /// Sends a written step and reads its answer; with what must follow it.
    pub(super) async fn exchange(
        &mut self,
        tag: &Tag,
        manner: Manner,
        (outgoing, ours): (&Outgoing, &Tag),
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        self.exchanging(tag, manner)?.run(outgoing, ours, found).await
    }

    /// The two connections, for one step.
    pub(super) fn exchanging<'s>(&'s mut self, tag: &'s Tag, manner: Manner) -> Result<Exchange<'s>, Ended> {
        let manner = Manner { qresync: self.qresync, ..manner };
        let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        Ok(Exchange {
            client: &mut self.client,
            watch: &mut self.watch,
            up: lease,
            selected: self.selected.as_deref_mut(),
            counters: &self.services.counters,
            tag,
            manner,
        })
    }

    /// For commands of our own in the open folder, on whatever way they go.
    pub(super) fn manner_of_ours(&self) -> Manner {
        Manner { condstore: self.tells_mod_seq(), qresync: self.qresync, ..Manner::of_ours() }
    }

    pub(super) fn manner(&self, step: &Step, command: &Command) -> Manner {
        let by_uid = numbers_by_uid(command);
        let computes = self.computes(step, command).is_some();
        let show = match step.kind() {
            _ if computes => Show::Changes,
            _ if matches!(command, Command::Close) => Show::Nothing,
            StepKind::Unselect => Show::Nothing,
            StepKind::Uids
            | StepKind::FindDeleted
            | StepKind::FindFlagged(_)
            | StepKind::RemoveCopied(_)
            | StepKind::Ask(_) => Show::Changes,
            StepKind::Carry
            | StepKind::Open { .. }
            | StepKind::Fetch { .. }
            | StepKind::Flags
            | StepKind::Store { .. }
            | StepKind::Mark { .. }
            | StepKind::FindMarked
            | StepKind::Discard(_)
            | StepKind::Remove(_)
            | StepKind::RemoveAll(_)
            | StepKind::Append { .. }
            | StepKind::Copy
            | StepKind::CopyThese(_)
            | StepKind::Describe(_)
            | StepKind::ReadOut(_)
            | StepKind::TakeBack { .. }
            | StepKind::Move { .. }
            | StepKind::Strip { .. }
            | StepKind::DeleteFolder
            | StepKind::Address
            | StepKind::Submit { .. }
            | StepKind::File
            | StepKind::Parent(_) => Show::Answer,
        };
        let no_expunge = match command {
            // Gmail tells what it removes in the middle of STORE (docs/upstreams.md).
            Command::Store { .. } if self.removes_by_marking(step) => false,
            Command::Copy { .. } | Command::Move { .. } => {
                counts_messages(command) && matches!(step.kind(), StepKind::Uids | StepKind::FindFlagged(_))
            }
            _ => counts_messages(command),
        };
        let renames = match (step.kind(), command) {
            (StepKind::Fetch { peek: true, .. }, Command::Fetch { fetch, .. }) => writer::peek_renames(fetch),
            _ => Vec::new(),
        };
        let renamed = |item: &str| renames.iter().any(|rename| rename.client == item);
        let readable = super::record::target(command).is_some_and(|folder| {
            self.watch.effective().rights_on(&self.watch.place_of(folder)).has(Rights::READ)
        });
        Manner {
            show,
            opening: false,
            no_expunge,
            condstore: self.tells_mod_seq(),
            qresync: self.qresync,
            searches: listing(command),
            by_uid,
            // UIDs in another folder than the client named would be taken for that one's.
            tells_uids: readable && self.instead.is_none(),
            as_rfc822: renamed("RFC822"),
            as_rfc822_text: renamed("RFC822.TEXT"),
        }
    }

    /// What a step has brought to light, for the plan.
    fn fact(&self, step: &Step, command: &Command, found: Found) -> Fact {
        match step.kind() {
            StepKind::Uids => Fact::Numbers(self.asked(command, found.numbers)),
            StepKind::FindDeleted => Fact::Deleted(found.uids),
            StepKind::FindMarked => {
                Fact::Marked { discard: found.uids.minus(&found.copied_before), copied: found.copied_before }
            }
            StepKind::FindFlagged(_) => Fact::Flagged(!found.uids.is_empty()),
            StepKind::Copy | StepKind::CopyThese(_) | StepKind::Move { .. } => Fact::Copied(found.copied),
            StepKind::Carry
            | StepKind::Open { .. }
            | StepKind::Fetch { .. }
            | StepKind::Flags
            | StepKind::Store { .. }
            | StepKind::Mark { .. }
            | StepKind::Ask(_)
            | StepKind::Discard(_)
            | StepKind::Remove(_)
            | StepKind::RemoveAll(_)
            | StepKind::RemoveCopied(_)
            | StepKind::Append { .. }
            | StepKind::Describe(_)
            | StepKind::ReadOut(_)
            | StepKind::TakeBack { .. }
            | StepKind::Strip { .. }
            | StepKind::DeleteFolder
            | StepKind::Unselect
            | StepKind::Address
            | StepKind::Submit { .. }
            | StepKind::File
            | StepKind::Parent(_) => Fact::Done,
        }
    }

    /// STATUS values that others share are out of date.
    pub(super) fn changed_folders(&self, step: &Step, command: &Command) {
        if super::record::act(step, command, self.selected.as_deref(), &[]).is_none() {
            return;
        }
        if let Some(selected) = &self.selected {
            self.catalogue.changed(&selected.wire);
        }
        if let Some(entry) = super::record::target(command).and_then(|name| self.folders.inventory.find(name))
        {
            self.catalogue.changed(&entry.wire);
        }
    }

    /// CLOSE and UNSELECT.
    async fn close(&mut self, tag: &Tag, command: &Command, permit: Permit) -> Result<(), Ended> {
        let mut permit = permit;
        let mut last = Fact::Start;
        loop {
            let own = self.own_drafts();
            let facts = Facts { last, effective: self.watch.effective(), own: &own, by_uid: true };
            let step = match permit.next(&facts) {
                Next::Run(step) => step,
                Next::Refuse(_) | Next::Done => break,
            };
            // The pool leaves the folder by the same words when the connection is returned.
            if *step.kind() == StepKind::Unselect {
                break;
            }
            let mut found = Found::default();
            let answer = self.recorded_step(tag, command, (&step, &[]), &mut found).await?;
            if !answer.is_ok() {
                break;
            }
            last = self.fact(&step, command, found);
            self.watch.refresh()?;
        }
        self.leave().await?;
        // No HIGHESTMODSEQ: others' changes that were heard on the way have not been told, and the
        // client, coming back with that number, would never hear of them.
        reply::completed(self.client.wire.out(), tag, "", super::record::verb(command));
        Ok(())
    }
}
