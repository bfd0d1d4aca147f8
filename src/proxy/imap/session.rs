//! One logged-in session: the loop, and what every command goes through.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Services;
use super::client::{Client, Input};
use super::ended::Ended;
use super::focus::Seat;
use super::overlay::Overlay;
use super::park::Parked;
use super::record::Recorder;
use super::scene::View;
use super::watch::{Waiting, Watch};
use crate::imap::action::{Ask, ask};
use crate::imap::command::{Command, Tag, Tagged};
use crate::imap::realm::Realm;
use crate::imap::reply::{self, Outcome};
use crate::net::Place;
use crate::policy::{Action, Decision, Denial, Doubt, Permit, Place as PolicyPlace, decide};
use crate::proxy::clock;
use crate::telemetry::Counter;
use crate::types::{Flag, Flags, FolderName, Secret, UidSet, UidValidity, UserId};
use crate::upstream::{Catalogue, Lease, Snapshot};

/// A session, with the mailbox that the command at hand is about in focus: rights, folders and
/// connection are that one's (see `focus`).
pub(super) struct Session {
    pub(super) services: Arc<Services>,
    pub(super) client: Client,
    /// Knows the mailbox in focus, and the rights there.
    pub(super) watch: Watch,
    /// Which mailboxes the client sees, and under which names.
    pub(super) realm: Realm,
    /// What is held of another mailbox than the one in focus: the one with the open folder.
    pub(super) aside: Option<Box<Seat>>,
    /// In the combined view, the folders of the person's own account.
    pub(super) home: Option<(Arc<Catalogue>, Arc<Snapshot>)>,
    /// There is no such account.
    pub(super) homeless: bool,
    /// The client has opened the empty INBOX that is shown instead.
    pub(super) in_nowhere: bool,
    /// Where the messages of the command at hand go instead of the user's own folder, as the
    /// client calls it (see `across::instead`).
    pub(super) instead: Option<String>,
    pub(super) catalogue: Arc<Catalogue>,
    /// The folders as last looked at.
    pub(super) folders: Arc<Snapshot>,
    pub(super) recorder: Recorder,
    /// The password of the login, where the person's own account is opened with it.
    pub(super) password: Option<Secret>,
    /// Upstream, while a folder is open or a command needs it.
    pub(super) lease: Option<Lease>,
    pub(super) selected: Option<Box<Selected>>,
    /// The client has asked for mod-sequences (RFC 7162 §3.1).
    pub(super) condstore: bool,
    /// The client has enabled QRESYNC: it is told VANISHED instead of EXPUNGE (RFC 7162 §3.2.3).
    pub(super) qresync: bool,
    /// The connection sends mod-sequences although its pool does not know.
    pub(super) tainted: bool,
    /// The daemon's own connection, held while copies may have to lose flags.
    pub(super) stripper: Option<Lease>,
    /// One of the user's sessions.
    pub(super) _place: Place<UserId>,
}

/// The folder that is open.
pub(super) struct Selected {
    pub(super) name: FolderName,
    /// The name in upstream's own octets.
    pub(super) wire: Vec<u8>,
    /// The client used EXAMINE.
    pub(super) read_only: bool,
    pub(super) validity: UidValidity,
    pub(super) messages: u32,
    /// The keywords of upstream's last FLAGS.
    pub(super) known: Flags,
    /// Upstream's FLAGS as the client was told them.
    pub(super) flags: String,
    /// Upstream's PERMANENTFLAGS as written; its FLAGS if it sent none (RFC 3501 §7.1).
    pub(super) permanent: Vec<Vec<u8>>,
    /// Its keywords; `None` if upstream keeps any (`\*`).
    pub(super) kept: Option<Flags>,
    /// Flags that this user alone has.
    pub(super) overlay: Option<Box<Overlay>>,
    /// `$`, as UIDs (RFC 5182).
    pub(super) saved: UidSet,
    /// The session has no connection on which the folder is open; see `park`.
    pub(super) parked: Option<Box<Parked>>,
}

impl Selected {
    /// A folder of which nothing is known yet.
    pub(super) fn new(name: FolderName, wire: Vec<u8>, read_only: bool) -> Self {
        Self {
            name,
            wire,
            read_only,
            validity: UidValidity(0),
            messages: 0,
            known: Flags::default(),
            flags: "()".to_owned(),
            permanent: Vec::new(),
            kept: None,
            overlay: None,
            saved: UidSet::new(),
            parked: None,
        }
    }

    pub(super) fn set_permanent(&mut self, flags: Vec<Vec<u8>>) {
        let any = flags.iter().any(|flag| flag == b"\\*");
        let text = flags.iter().filter_map(|flag| std::str::from_utf8(flag).ok());
        self.kept = (!any).then(|| text.filter_map(Flag::parse).collect());
        self.permanent = flags;
    }

    /// What policy needs to know of it, as pinned at this moment.
    pub(super) fn place(&self, watch: &Watch) -> PolicyPlace {
        PolicyPlace { read_only: self.read_only, ..watch.place_of(&self.name) }
    }
}

impl Session {
    /// Serves the client until one side ends it.
    pub(super) async fn run(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.give_way_in_silence().await {
                return ended;
            }
            let separator = self.separator();
            let next = self.watch.unless_lost(Waiting::Command, self.client.next(separator)).await;
            let input = match next.and_then(|input| input) {
                Ok(input) => input,
                Err(ended) => return ended,
            };
            self.services.counters.count(Counter::Commands);
            let done = match input {
                Input::Command(tagged) => self.command(tagged).await,
                Input::Append(tagged, announced) => Box::pin(self.append(tagged, announced)).await,
            };
            if let Err(ended) = done {
                return ended;
            }
            self.return_to_open_folder();
        }
    }

    /// Says goodbye, unless octets of a literal are under way: they would swallow it, and
    /// nobody may take what was cut off for whole (invariants 10 and 13).
    pub(super) async fn end(mut self, ended: Ended) {
        let counters = &self.services.counters;
        counters.count(Counter::SessionsEnded);
        if ended == Ended::Revoked {
            counters.count(Counter::SessionsRevoked);
            let effective = self.watch.concerned().clone();
            self.recorder.revoked(&effective).await;
        }
        tracing::info!(%ended, "session ended");
        self.farewell(ended).await;
        self.return_to_open_folder();
        if !ended.is_fault_of_upstream() && ended != Ended::Revoked {
            // The session ends either way; a connection that is not returned is closed.
            let _ = self.release().await;
        }
        self.client.shut_down().await;
    }

    /// The last words, where they can still be understood.
    pub(super) async fn farewell(&mut self, ended: Ended) {
        let answering = self.lease.as_ref().is_some_and(|lease| !lease.scanner.is_between_responses());
        if answering || self.watch.is_appending() {
            self.client.cut();
        }
        self.client.say_farewell(ended, Some(&self.watch.concerned().address)).await;
    }

    async fn command(&mut self, tagged: Tagged) -> Result<(), Ended> {
        let Tagged { tag, mut command } = tagged;
        self.forget_refused();
        self.take_in_changes()?;
        if !self.recall_in_search(&tag, &mut command) {
            return Ok(());
        }
        if !Box::pin(self.come_back(&tag, &command)).await? {
            return Ok(());
        }
        if !Box::pin(self.attend_to(&tag, &mut command)).await? {
            return Ok(());
        }
        self.look_at_folders(&command).await?;
        self.take_in_changes()?;
        if self.answer_nowhere(&tag, &command) {
            return Ok(());
        }
        self.look_at_marks();
        if self.has_overlay() && super::kinds::needs_condstore(&command) {
            return self.client.no_mod_seq(&tag);
        }
        if !self.qresync && super::kinds::needs_qresync(&command) {
            return self.client.not_enabled(&tag);
        }
        let asked = ask(&command, &self.view());
        match asked {
            Ask::Answer => Box::pin(self.answer(&tag, command)).await,
            Ask::WrongState => self.client.wrong_state(&tag, &command),
            Ask::Unsupported => self.client.unsupported(&tag),
            Ask::NotFound => self.not_found(&tag, &command, None).await,
            Ask::NoTarget { site } => {
                let code = self.try_create(&site);
                self.not_found(&tag, &command, code).await
            }
            Ask::Act(action) => match self.decide(&action)? {
                Ok(permit) => self.carry_out(&tag, command, permit).await,
                Err(denial) => self.deny(&tag, &command, &denial).await,
            },
        }
    }

    /// Decides under the rights of this moment; a grant that has just started or ended is
    /// looked at again, once.
    pub(super) fn decide(&mut self, action: &Action) -> Result<Result<Permit, Denial>, Ended> {
        for _ in 0..2 {
            match decide(self.watch.effective(), action, clock::now()) {
                Decision::Permit(permit) => {
                    self.services.counters.count(Counter::ActsPermitted);
                    return Ok(Ok(permit));
                }
                Decision::Deny(denial) => return Ok(Err(denial)),
                Decision::Undecided(Doubt::Stale | Doubt::Parent) => {
                    self.services.counters.count(Counter::ActsUndecided);
                    self.watch.refresh()?;
                }
            }
        }
        Err(Ended::Revoked)
    }

    /// What the session is now told of the world: pinned classes, rights, folders.
    pub(super) fn view(&self) -> View<'_> {
        View {
            effective: self.watch.effective(),
            snapshot: self.services.store.snapshot(),
            mailbox: self.watch.mailbox(),
            inventory: &self.folders.inventory,
            selected: self.selected.as_deref(),
            can: self.lease.as_ref().map_or(&self.folders.capabilities, |lease| lease.capabilities()),
        }
    }

    /// The folders as they are now, for a command that names one. Those last seen stay good
    /// for a while where upstream cannot be reached.
    pub(super) async fn look_at_folders(&mut self, command: &Command) -> Result<(), Ended> {
        if names_folders(command) {
            let look = self.catalogue.view(Instant::now() + LOOK);
            if let Ok(folders) = Box::pin(self.watch.unless_lost(Waiting::Upstream, look)).await? {
                self.folders = folders;
            }
        }
        Ok(())
    }

    /// Ends the session if its rights are gone; tells the client if they have changed
    /// (RFC 4314 §5.1.1). While the open folder is aside, the telling waits until it is back.
    pub(super) fn take_in_changes(&mut self) -> Result<(), Ended> {
        self.watch.refresh()?;
        if self.aside.is_none() && self.watch.take_changed() {
            self.announce_flags();
        }
        Ok(())
    }

    /// A refusal by policy. SELECT that is refused leaves no folder open (RFC 3501 §6.3.1).
    pub(super) async fn deny(&mut self, tag: &Tag, command: &Command, denial: &Denial) -> Result<(), Ended> {
        self.services.counters.count(Counter::ActsDenied);
        self.recorder.refused(self.watch.effective(), command, denial);
        if matches!(command, Command::Select(_) | Command::Examine(_)) {
            self.leave().await?;
        }
        let code = if denial.is_of_host() { "CANNOT" } else { "NOPERM" };
        reply::tagged(self.client.wire.out(), tag, Outcome::No, code, denial.sentence());
        Ok(())
    }

    /// Hidden, absent, or not canonically named: one answer, from memory (invariant 11).
    pub(super) async fn not_found(
        &mut self,
        tag: &Tag,
        command: &Command,
        code: Option<&'static str>,
    ) -> Result<(), Ended> {
        self.catalogue.refresh_soon();
        if matches!(command, Command::Select(_) | Command::Examine(_)) {
            self.leave().await?;
        }
        let code = code.unwrap_or("NONEXISTENT");
        reply::tagged(self.client.wire.out(), tag, Outcome::No, code, "There is no such folder");
        Ok(())
    }
}

/// Longest wait for the list of folders where none is known.
pub(super) const LOOK: Duration = Duration::from_secs(20);

/// Commands whose answer depends on which folders there are.
pub(super) fn names_folders(command: &Command) -> bool {
    match command {
        Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Status { .. }
        | Command::Append(_)
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuotaRoot(_)
        | Command::Copy { .. }
        | Command::Move { .. } => true,
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Namespace
        | Command::Idle
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::GetQuota { .. }
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. }
        | Command::Fetch { .. }
        | Command::Store { .. } => false,
    }
}
