//! Flags that this user alone has: what is known of the open folder for their sake, and the
//! steps that happen in our store instead of upstream.

use std::sync::Arc;

use super::ended::Ended;
use super::exchange::{Answer, Found, Manner, Show};
use super::session::Session;
use crate::imap::command::{Command, Tag};
use crate::imap::overlay::{Folder, Marked, assuming};
use crate::imap::reply::{self, Outcome};
use crate::imap::response::Condition;
use crate::imap::writer::{self, Housekeeping};
use crate::policy::{Assumed, FolderClass, OwnFlags, Step, StepKind};
use crate::proxy::clock;
use crate::store::{Marking, Marks, MarksOf};
use crate::types::{Flag, Flags, FolderName, NumberSet, Numbering, SystemFlag, UidSet, UidValidity};

/// How often the messages of a folder are numbered anew when some vanish meanwhile.
const TRIES: usize = 3;

/// What is known of an open folder in which the user has flags to oneself.
pub(super) struct Overlay {
    own: OwnFlags,
    pub(super) numbering: Numbering,
    /// Messages that have vanished so far.
    pub(super) vanished: u64,
    marks: Option<Arc<Marks>>,
    /// Read by the user, or about to be by the FETCH under way.
    seen: UidSet,
    deleted: UidSet,
    /// While a SORT goes over more messages than it is about: those that it is about.
    pub(super) among: Option<UidSet>,
}

impl Overlay {
    fn new(own: OwnFlags) -> Self {
        Self {
            own,
            numbering: Numbering::default(),
            vanished: 0,
            marks: None,
            seen: UidSet::new(),
            deleted: UidSet::new(),
            among: None,
        }
    }

    pub(super) fn folder(&self) -> Folder<'_> {
        Folder { marked: self.marked(), numbering: &self.numbering }
    }

    fn marked(&self) -> Marked<'_> {
        Marked { own: self.own, seen: &self.seen, deleted: &self.deleted }
    }

    /// A message's flags for another mailbox: as the user has read it, and without the user's
    /// own `\Deleted`, which means the Trash of this one.
    pub(super) fn outside(&self, uid: u32, flags: &Flags) -> Flags {
        let mut flags = flags.filter(|flag| !self.own.has(flag));
        if self.own.seen && self.seen.contains(uid) {
            flags.insert(Flag::System(SystemFlag::Seen));
        }
        flags
    }

    /// The message with this number is gone.
    pub(super) fn expunge(&mut self, number: u32) {
        self.vanished += 1;
        self.numbering.expunge(number);
    }

    /// These messages are gone.
    pub(super) fn vanish(&mut self, uids: &UidSet) {
        self.vanished += uids.len();
        let numbers: Vec<_> = self.numbering.numbers_of(uids).ranges().collect();
        for number in numbers.into_iter().rev().flat_map(|(a, b)| (a..=b).rev()) {
            self.numbering.expunge(number);
        }
    }

    fn adopt(&mut self, own: OwnFlags, marks: Option<Arc<Marks>>) {
        let same = match (&self.marks, &marks) {
            (Some(known), Some(new)) => Arc::ptr_eq(known, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.own = own;
        if !same {
            self.seen = marks.as_ref().map(|marks| marks.seen().clone()).unwrap_or_default();
            self.deleted = marks.as_ref().map(|marks| marks.deleted(clock::now())).unwrap_or_default();
            self.marks = marks;
        }
    }

    /// The UIDs that a set in a command means, of the messages that there are.
    fn meant(&self, set: &NumberSet, by_uid: bool) -> UidSet {
        if by_uid {
            let last = self.numbering.last_uid().unwrap_or(0);
            set.resolve(last).intersect(&self.numbering.uids())
        } else {
            self.numbering.uids_of(&set.resolve(self.numbering.len()))
        }
    }

    /// Of what upstream found under an assumption, by UID or by number, that of which it is true.
    fn pick(&self, found: &UidSet, assumed: Assumed, by_uid: bool) -> UidSet {
        if by_uid {
            return self.marked().pick(found, assumed);
        }
        let known = UidSet::range(1, self.numbering.len());
        let picked = self.marked().pick(&self.numbering.uids_of(&found.intersect(&known)), assumed);
        // What has come since is not numbered yet, and not marked.
        let newer = found.minus(&known);
        let holds = assumed.seen != Some(true) && assumed.deleted != Some(true);
        let newer = if holds { newer } else { UidSet::new() };
        self.numbering.numbers_of(&picked).union(&newer)
    }
}

/// What the client is to be told of an open folder's state of one's own.
impl Session {
    pub(super) fn has_overlay(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.overlay.is_some())
    }

    /// Whether mod-sequences are told: in a folder with a state of one's own they would not
    /// change with it (RFC 7162 §3.1.2.2).
    pub(super) fn tells_mod_seq(&self) -> bool {
        self.condstore && !self.has_overlay()
    }

    /// The user's marks as they are now: another session of theirs may have changed them.
    pub(super) fn look_at_marks(&mut self) {
        let Some(selected) = self.selected.as_deref_mut() else { return };
        let effective = self.watch.effective();
        let own = effective.own_flags(&selected.place(&self.watch));
        if !own.any() {
            selected.overlay = None;
            return;
        }
        let of = MarksOf {
            user: effective.user,
            mailbox: effective.mailbox,
            folder: selected.name.clone(),
            validity: selected.validity,
        };
        let marks = self.services.store.snapshot().marks(&of).cloned();
        selected.overlay.get_or_insert_with(|| Box::new(Overlay::new(own))).adopt(own, marks);
    }

    /// Numbers the messages of a folder that has just been opened, and tells where the user's
    /// unread ones begin.
    pub(super) async fn begin_overlay(&mut self, tag: &Tag) -> Result<(), Ended> {
        self.look_at_marks();
        if !self.has_overlay() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let before = self.overlay().map(|overlay| overlay.vanished);
            let mut found = Found::default();
            let esearch = self.lease.as_ref().is_some_and(|lease| lease.capabilities().has("ESEARCH"));
            let all = Housekeeping::Uids { esearch };
            let answer = self.help(tag, &all, Show::Nothing, &mut found).await?;
            let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
            let Some(overlay) = self.overlay() else { return Ok(()) };
            // A message that vanishes meanwhile leaves in doubt which numbers were told.
            if !answer.is_ok() || before != Some(overlay.vanished) {
                continue;
            }
            overlay.numbering = Numbering::from(&found.uids);
            if overlay.numbering.len() > messages {
                break;
            }
            return self.prune().await;
        }
        tracing::warn!("upstream does not say which messages there are");
        Err(Ended::UpstreamUnparseable)
    }

    /// Forgets marks of messages that are gone.
    async fn prune(&mut self) -> Result<(), Ended> {
        let now = clock::now();
        let Some(overlay) = self.overlay() else { return Ok(()) };
        let exist = Marking::Exist(overlay.numbering.uids(), now);
        if overlay.marks.as_ref().is_some_and(|marks| marks.after(&exist) != **marks) {
            // Kept longer where it cannot be written: nobody sees a difference.
            let _ = self.mark_here(vec![exist]).await;
        }
        Ok(())
    }

    /// What SELECT says of the first message that the user has not read (RFC 3501 §7.1).
    pub(super) fn tell_unseen(&mut self) {
        let Some(overlay) = self.overlay() else { return };
        if !overlay.own.seen {
            return;
        }
        let unread = overlay.numbering.uids().minus(&overlay.seen).first();
        if let Some(number) = unread.and_then(|uid| overlay.numbering.number(uid)) {
            let code = format!("UNSEEN {number}");
            reply::untagged(self.client.wire.out(), Outcome::Ok, &code, "First unseen");
        }
    }

    /// Numbers what has come since. By FETCH, during which nothing vanishes (RFC 3501 §7.4.1):
    /// the client's command may be by number. `false`: some stay without number for now.
    pub(super) async fn number_new_messages(&mut self, tag: &Tag) -> Result<bool, Ended> {
        self.look_at_marks();
        let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
        let Some(overlay) = self.overlay() else { return Ok(true) };
        let known = overlay.numbering.len();
        let from = std::num::NonZeroU32::MIN.saturating_add(known);
        if known >= messages {
            return Ok(true);
        }
        let mut found = Found::default();
        let answer = self.help(tag, &Housekeeping::NewUids { from }, Show::Changes, &mut found).await?;
        if !answer.is_ok() {
            return Ok(false);
        }
        found.numbers.sort_unstable();
        let Some(overlay) = self.overlay() else { return Ok(true) };
        for (number, uid) in found.numbers.into_iter().filter(|(number, _)| *number > known) {
            if number != overlay.numbering.len() + 1 || !overlay.numbering.push(uid) {
                tracing::warn!("upstream's UIDs make no sense");
                return Err(Ended::UpstreamUnparseable);
            }
        }
        Ok(overlay.numbering.len() >= messages)
    }

    /// Asks upstream something for our own sake, within a command of the client's.
    pub(super) async fn help(
        &mut self,
        tag: &Tag,
        what: &Housekeeping<'_>,
        show: Show,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        let ours = lease.tag();
        let written = writer::housekeeping(what, &ours).zip(Tag::parse(ours.as_bytes()));
        let Some((outgoing, ours)) = written else { return Err(Ended::UpstreamUnparseable) };
        let manner = Manner { show, no_expunge: show == Show::Changes, ..Manner::of_ours() };
        Box::pin(self.exchange(tag, manner, (&outgoing, &ours), found)).await
    }

    pub(super) fn overlay(&mut self) -> Option<&mut Overlay> {
        self.selected.as_deref_mut()?.overlay.as_deref_mut()
    }

    /// Messages that a FETCH is about to mark as read are told so in its answers.
    pub(super) fn begin_reading(&mut self, step: &Step, command: &Command) {
        if let (StepKind::Fetch { marks: true, .. }, Command::Fetch { uid, fetch }) = (step.kind(), command)
            && let Some(overlay) = self.overlay()
        {
            let reading = overlay.meant(&fetch.set, *uid);
            overlay.seen = overlay.seen.union(&reading);
            // What is really read is known afterwards; until then this is no stored state.
            overlay.marks = overlay.marks.take().map(|marks| Arc::new(Marks::clone(&marks)));
        }
    }

    /// STORE of the user's own flags.
    pub(super) async fn mark(
        &mut self,
        command: &Command,
        set: OwnFlags,
        clear: OwnFlags,
    ) -> Result<Answer, Ended> {
        let Command::Store { uid, store } = command else { return Ok(refused()) };
        let Some(overlay) = self.overlay() else { return Ok(refused()) };
        let uids = overlay.meant(&store.set, *uid);
        let now = clock::now();
        let changes = [
            (set.seen, Marking::Seen(uids.clone())),
            (clear.seen, Marking::Unseen(uids.clone())),
            (set.deleted, Marking::Deleted(uids.clone(), now)),
            (clear.deleted, Marking::Undeleted(uids)),
        ];
        let changes = changes.into_iter().filter(|(on, _)| *on).map(|(_, change)| change).collect();
        Ok(if self.mark_here(changes).await { done() } else { refused() })
    }

    /// What the user has marked as deleted, within a UID EXPUNGE's set.
    pub(super) fn find_marked(&mut self, command: &Command, found: &mut Found) -> Answer {
        let Some(overlay) = self.overlay() else { return refused() };
        let marked = overlay.deleted.intersect(&overlay.numbering.uids());
        found.uids = match command {
            Command::UidExpunge(set) => marked.intersect(&overlay.meant(set, true)),
            _ => marked,
        };
        let copied = overlay.marks.as_ref().map(|marks| marks.copied(clock::now()));
        found.copied_before = copied.unwrap_or_default().intersect(&found.uids);
        done()
    }

    /// A SEARCH under an assumption; without a question if nothing can match.
    pub(super) async fn search_assuming(
        &mut self,
        tag: &Tag,
        (command, step): (&Command, &Step),
        assumed: Assumed,
        found: &mut Found,
    ) -> Result<Answer, Ended> {
        let Some((uid, search)) = command.search() else { return Ok(refused()) };
        let answer = match assuming(search, assumed) {
            Some(_) => self.step(tag, command, step, found).await?,
            None => done(),
        };
        let uids = std::mem::take(&mut found.uids);
        if let Some(overlay) = self.overlay() {
            found.uids = overlay.pick(&uids, assumed, uid);
        }
        Ok(answer)
    }

    /// The folder to which `delete = "trash"` moves messages.
    pub(super) fn trash(&self) -> Option<(FolderName, Vec<u8>)> {
        self.pinned_as(FolderClass::Trash, |_| true)
    }

    /// The mailbox's first folder of a class that is there, and that `may` be it.
    pub(super) fn pinned_as(
        &self,
        class: FolderClass,
        may: impl Fn(&FolderName) -> bool,
    ) -> Option<(FolderName, Vec<u8>)> {
        let snapshot = self.services.store.snapshot();
        let mailbox = snapshot.mailbox(self.watch.effective().mailbox)?;
        let pins = mailbox.pins.iter().filter(|pin| pin.class == class && may(&pin.folder));
        pins.filter_map(|pin| {
            let entry = self.folders.inventory.find(&pin.folder)?;
            entry.attributes.is_selectable().then(|| (pin.folder.clone(), entry.wire.clone()))
        })
        .next()
    }

    /// After a step: the user's flags follow the messages. Also what was read by a FETCH that
    /// did not come to its end.
    pub(super) async fn keep_marks(
        &mut self,
        step: &Step,
        command: &Command,
        found: &Found,
        carried_out: bool,
    ) {
        let here = self.changes_here(step, command, found, carried_out);
        if !here.is_empty() {
            self.mark_here(here).await;
        }
        if !carried_out {
            return;
        }
        let seen = self.seen_there(step, command, found);
        let folder = match step.kind() {
            StepKind::Discard(_) => self.trash().map(|(folder, _)| folder),
            _ => super::record::target(command).cloned(),
        };
        if let (Some(folder), Some((validity, uids))) = (folder, seen.filter(|(_, uids)| !uids.is_empty()))
            && self.watch.effective().own_flags(&self.watch.place_of(&folder)).seen
        {
            self.store_marks((folder, validity), vec![Marking::Seen(uids)]).await;
        }
    }

    fn changes_here(
        &mut self,
        step: &Step,
        command: &Command,
        found: &Found,
        carried_out: bool,
    ) -> Vec<Marking> {
        let to_trash = super::record::target(command)
            .is_some_and(|folder| self.watch.place_of(folder).class == FolderClass::Trash);
        let Some(overlay) = self.overlay() else { return Vec::new() };
        let known = overlay.marks.as_ref().map(|marks| marks.seen().clone()).unwrap_or_default();
        let marks = matches!(step.kind(), StepKind::Fetch { marks: true, .. });
        let read = if marks { found.read.minus(&known) } else { UidSet::new() };
        let mut changes = Vec::new();
        if !read.is_empty() {
            changes.push(Marking::Seen(read));
        }
        if overlay.own.deleted && carried_out {
            let copies = found.copies.as_ref().filter(|_| to_trash && *step.kind() == StepKind::Copy);
            changes.extend(copies.map(|copies| Marking::Copied(copies.sources(), clock::now())));
            let gone = super::kinds::step_removes(step);
            changes.extend(gone.map(|uids| Marking::Undeleted(uids.clone())));
        }
        changes
    }

    /// Which of the messages that a step has put into another folder the user has read.
    fn seen_there(&mut self, step: &Step, command: &Command, found: &Found) -> Option<(UidValidity, UidSet)> {
        let (validity, uids) = found.stored.as_ref()?;
        if let (StepKind::Append { .. }, Command::Append(append)) = (step.kind(), command) {
            return append.flags.has(SystemFlag::Seen).then(|| (*validity, uids.clone()));
        }
        let overlay = self.overlay().filter(|overlay| overlay.own.seen)?;
        Some((*validity, found.copies.as_ref()?.of(&overlay.seen)))
    }

    async fn mark_here(&mut self, changes: Vec<Marking>) -> bool {
        let Some(selected) = self.selected.as_deref() else { return false };
        let of = (selected.name.clone(), selected.validity);
        let marked = self.store_marks(of, changes).await;
        self.look_at_marks();
        marked
    }

    async fn store_marks(
        &self,
        (folder, validity): (FolderName, UidValidity),
        changes: Vec<Marking>,
    ) -> bool {
        let effective = self.watch.effective();
        let of = MarksOf { user: effective.user, mailbox: effective.mailbox, folder, validity };
        let marked = self.services.store.mark(of, changes).await;
        if let Err(error) = &marked {
            tracing::error!(%error, "a user's own flags cannot be stored");
        }
        marked.is_ok()
    }
}

fn done() -> Answer {
    Answer { condition: Condition::Ok, code: None }
}

/// Temporary: the store takes nothing now.
fn refused() -> Answer {
    Answer { condition: Condition::No, code: Some("UNAVAILABLE".to_owned()) }
}
