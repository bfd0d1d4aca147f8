//! Sessions without a connection of their own: parked while their client only waits.
//!
//! A mail host allows an account few connections, and people leave many folders open. A session
//! whose client idles or is silent gives its connection to whoever waits for one; what changes
//! in its folder meanwhile is told by a mirror ([`crate::upstream::Mirrors`]).
//!
//! **A number means what the client takes it for.** `numbering` is the folder as the client
//! numbers it, and nothing but what the client is told changes it. No command reaches upstream
//! before the client has been told how the folder of the new connection differs; where it cannot
//! be told (EXPUNGE while a command by number is under way, RFC 3501 §7.4.1), the command is
//! refused with `[EXPUNGEISSUED]` (RFC 5530) and nothing is done.

use std::time::Duration;

use tokio::time::Instant;

use super::ended::Ended;
use super::exchange::{Found, Manner, Show, Stop};
use super::kinds::{Need, need};
use super::lines::Lines;
use super::reader::Reader;
use super::session::{Selected, Session};
use super::watch::Waiting;
use crate::imap::command::{Command, Open, Tag};
use crate::imap::difference::{self, Telling};
use crate::imap::reply::{self, Outcome};
use crate::imap::scan::{Event, Scanner};
use crate::imap::writer::{self, Housekeeping};
use crate::policy::{Action, Fact, Facts, Next};
use crate::types::{Numbering, UidSet};
use crate::upstream::{EnabledSet, Follower, Mirror, MirrorState, Pause};

/// Longest wait for a look at the folder before the connection is given up: whoever waits for
/// it does not wait longer either.
const SIGHT: Duration = Duration::from_secs(2);

/// The same for a session that comes back; clients give up after 30 to 60 s.
const RETURN: Duration = Duration::from_secs(10);

/// How often UIDs are asked for until nothing comes or goes meanwhile.
const ATTEMPTS: usize = 8;

/// Most messages in a folder whose silent session parks: their UIDs are asked for one by one.
const MAX_SILENT: u32 = 200_000;

/// Longest set in a command line of ours, in octets; beyond it all messages are meant.
const MAX_SET: usize = 7_000;

/// What a session without connection keeps of its folder.
pub(super) struct Parked {
    /// The folder as the client numbers it.
    numbering: Numbering,
    follower: Follower,
    /// Of the mirror: flags are told up to here.
    version: u64,
    /// Of the target: another account's folders are others.
    generation: u64,
}

/// Eyes on the folder, before the connection is given up.
pub(super) struct Sight {
    follower: Follower,
    version: u64,
    generation: u64,
}

/// What the mirror's news came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    Told,
    /// Too much has changed to be remembered: a connection must tell all flags.
    TooMuch,
}

impl Selected {
    /// While parked, the flags of one's own are numbered as everything is.
    fn number_overlay(&mut self) {
        if let (Some(parked), Some(overlay)) = (&self.parked, &mut self.overlay) {
            overlay.numbering.clone_from(&parked.numbering);
        }
    }
}

impl Session {
    /// Whether a folder is open without a connection.
    pub(super) fn is_parked(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.parked.is_some())
    }

    /// Whether the connection at hand is the one on which the folder is open.
    pub(super) fn holds_folder(&self) -> bool {
        self.selected.is_some() && !self.is_parked()
    }

    /// Waits for the client's next octets. A connection that somebody else needs meanwhile is
    /// given up; the client hears nothing of it.
    pub(super) async fn give_way_in_silence(&mut self) -> Result<(), Ended> {
        let Some(lease) = self.lease.as_ref().filter(|_| self.holds_folder()) else { return Ok(()) };
        if !self.client.wire.buffered().is_empty() {
            return Ok(());
        }
        lease.offer(Pause::Silent);
        let wanted = tokio::select! {
            biased;
            filled = self.client.fill() => filled.map(|()| false)?,
            () = lease.wanted() => true,
            ended = self.watch.lost(Waiting::Command) => return Err(ended),
        };
        lease.keep();
        if wanted && let Some(sight) = self.sight().await? {
            let numbering = self.numbering_in_silence().await?;
            self.park(sight, numbering).await?;
        }
        Ok(())
    }

    /// Has the open folder watched; `None` if that cannot be done now.
    pub(super) async fn sight(&mut self) -> Result<Option<Sight>, Ended> {
        let (Some(lease), Some(selected)) = (&self.lease, &self.selected) else { return Ok(None) };
        let Ok(target) = self.target() else { return Ok(None) };
        let (generation, validity) = (lease.generation(), selected.validity);
        if generation != target.generation {
            return Ok(None);
        }
        let condstore = self.folders.capabilities.has_condstore();
        let mut follower = self.services.mirrors.follow(&target, &selected.wire, condstore);
        let synced = follower.synced(Instant::now() + SIGHT);
        let mirror = Box::pin(self.watch.unless_lost(Waiting::Upstream, synced)).await?;
        let watched =
            |mirror: &Mirror| mirror.state == MirrorState::Watched && mirror.validity == Some(validity);
        Ok(mirror.filter(watched).map(|mirror| Sight { follower, version: mirror.version, generation }))
    }

    /// Gives the connection up; `numbering`: the folder as the client numbers it, if known.
    ///
    /// The mirror must have looked later than this session's connection did: otherwise it would
    /// take what is new for gone, and what is gone for new.
    pub(super) async fn park(&mut self, sight: Sight, numbering: Option<Numbering>) -> Result<bool, Ended> {
        let Some(numbering) = numbering else { return Ok(false) };
        let Sight { mut follower, version, generation } = sight;
        let synced = follower.synced(Instant::now() + SIGHT);
        if Box::pin(self.watch.unless_lost(Waiting::Upstream, synced)).await?.is_none() {
            return Ok(false);
        }
        let Some(selected) = self.selected.as_mut() else { return Ok(false) };
        selected.parked = Some(Box::new(Parked { numbering, follower, version, generation }));
        selected.number_overlay();
        self.release().await?;
        Ok(true)
    }

    /// The folder's UIDs by number, while the client idles: all changes are told on the way.
    pub(super) async fn numbering_in_idle(&mut self) -> Result<Option<Numbering>, Ended> {
        self.ask_own(&Housekeeping::Noop, CHANGES, &mut Found::default()).await?;
        let uids = self.uids(CHANGES).await?;
        Ok(uids.as_ref().map(Numbering::from))
    }

    /// The same between two commands, where EXPUNGE cannot be told: by number, so that no message
    /// can go meanwhile.
    async fn numbering_in_silence(&mut self) -> Result<Option<Numbering>, Ended> {
        let manner = Manner { no_expunge: true, by_uid: false, ..CHANGES };
        for _ in 0..ATTEMPTS {
            let Some(messages) = self.selected.as_ref().map(|selected| selected.messages) else { break };
            if messages == 0 {
                return Ok(Some(Numbering::default()));
            }
            let mut found = Found::default();
            if messages > MAX_SILENT || !self.ask_own(&Housekeeping::Numbers, manner, &mut found).await? {
                break;
            }
            let mut numbering = Numbering::default();
            let in_order = found
                .numbers
                .iter()
                .all(|(number, uid)| *number == numbering.len() + 1 && numbering.push(*uid));
            if in_order && !found.moved && numbering.len() == messages {
                return Ok(Some(numbering));
            }
        }
        Ok(None)
    }

    /// All UIDs of the folder that the connection has open, at one moment.
    async fn uids(&mut self, manner: Manner) -> Result<Option<UidSet>, Ended> {
        for _ in 0..ATTEMPTS {
            let mut found = Found::default();
            let esearch = self.lease.as_ref().is_some_and(|lease| lease.capabilities().has("ESEARCH"));
            let what = Housekeeping::Uids { esearch };
            let asked = self.ask_own(&what, manner, &mut found).await?;
            let messages = self.selected.as_ref().map_or(0, |selected| selected.messages);
            if asked && !found.moved && found.uids.len() == u64::from(messages) {
                return Ok(Some(found.uids));
            }
        }
        Ok(None)
    }

    /// A command of our own on the session's connection; whether it was answered OK.
    async fn ask_own(
        &mut self,
        what: &Housekeeping<'_>,
        manner: Manner,
        found: &mut Found,
    ) -> Result<bool, Ended> {
        let condstore = self.tells_mod_seq();
        let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        let ours = lease.tag();
        let written = writer::housekeeping(what, &ours).zip(Tag::parse(ours.as_bytes()));
        let Some((outgoing, ours)) = written else { return Err(Ended::UpstreamUnparseable) };
        let mut exchange = self.exchanging(&ours, Manner { condstore, ..manner })?;
        exchange.begin(&ours, found).await?;
        for part in &outgoing.parts {
            exchange.send(part).await?;
        }
        match exchange.read(&ours, found).await? {
            Stop::Tagged(answer) => Ok(answer.is_ok()),
            Stop::Continue | Stop::Dry => Err(Ended::UpstreamUnparseable),
        }
    }

    /// While the client idles: resolves when the mirror may have something new. Cancel-safe.
    pub(super) async fn mirror_changed(selected: Option<&mut Selected>) {
        match selected.and_then(|selected| selected.parked.as_mut()) {
            Some(parked) => parked.follower.changed().await,
            None => std::future::pending().await,
        }
    }

    /// NOOP and CHECK of a parked session: what is new at this moment, without a connection.
    pub(super) async fn poll_parked(&mut self, tag: &Tag) -> Result<(), Ended> {
        let Some(parked) = self.selected.as_mut().and_then(|selected| selected.parked.as_mut()) else {
            return Ok(());
        };
        let synced = parked.follower.synced(Instant::now() + RETURN);
        Box::pin(self.watch.unless_lost(Waiting::Upstream, synced)).await?.ok_or(Ended::UpstreamGone)?;
        // What is too much to be told now is told with the next command that needs a connection.
        self.tell_news(tag).map(|_| ())
    }

    /// Tells the client what the mirror has seen, where EXPUNGE may be told.
    pub(super) fn tell_news(&mut self, tag: &Tag) -> Result<News, Ended> {
        let Some(selected) = self.selected.as_mut() else { return Ok(News::Told) };
        let Some(parked) = selected.parked.as_mut() else { return Ok(News::Told) };
        let mirror = parked.follower.mirror();
        match mirror.state {
            MirrorState::Watched if mirror.validity == Some(selected.validity) => {}
            MirrorState::Watched | MirrorState::Gone => return Err(Ended::FolderChanged),
            MirrorState::Lost => return Err(Ended::UpstreamGone),
        }
        let known = parked.numbering.uids();
        let mut lines = Vec::new();
        let telling = if self.qresync { Telling::Vanished } else { Telling::Expunge };
        difference::write(&mut parked.numbering, &mirror.uids, telling, &mut lines).map_err(replaced)?;
        let news = match mirror.changes_since(parked.version) {
            Some(changes) => {
                for change in changes.filter(|change| known.contains(change.uid)) {
                    let Some(number) = parked.numbering.number(change.uid) else { continue };
                    difference::flags(number, change.uid, change.mod_seq, &change.flags, &mut lines);
                }
                parked.version = mirror.version;
                News::Told
            }
            None => News::TooMuch,
        };
        self.hear(tag, &lines)?;
        Ok(news)
    }

    /// Tells the client untagged responses of our own making, on the way that upstream's take.
    fn hear(&mut self, tag: &Tag, octets: &[u8]) -> Result<(), Ended> {
        let manner = Manner { condstore: self.tells_mod_seq(), qresync: self.qresync, ..TELLING };
        let (mut scanner, mut rest) = (Scanner::new(), octets);
        let mut reader = Reader::new(manner, tag, tag);
        loop {
            let (used, event) = scanner.next(rest);
            let out = self.client.wire.out();
            match event {
                Event::More => break,
                Event::Line(line) => {
                    let selected = self.selected.as_deref_mut();
                    Lines { selected, watch: &self.watch, manner, out }.read(line, tag)?;
                }
                event => {
                    reader.event(&event, self.selected.as_deref(), out)?;
                }
            }
            rest = &rest[used..];
        }
        if let Some(selected) = self.selected.as_mut() {
            selected.number_overlay();
        }
        Ok(())
    }

    /// Gives a parked session a connection again, if the command needs one. `false` if the client
    /// has been answered: there is none, or the command would mean other messages than the
    /// client thinks.
    pub(super) async fn come_back(&mut self, tag: &Tag, command: &Command) -> Result<bool, Ended> {
        if !self.is_parked() || need(command) == Need::Nothing {
            return Ok(true);
        }
        self.come_back_for(tag, command).await
    }

    pub(super) async fn come_back_for(&mut self, tag: &Tag, command: &Command) -> Result<bool, Ended> {
        self.take_in_changes()?;
        if !self.lease_for_opening(tag).await? {
            return Ok(false);
        }
        let now = self.open_again().await?;
        let Some(changed) = self.flags_changed().await? else { return Err(Ended::UpstreamGone) };
        let Some(selected) = self.selected.as_mut() else { return Ok(false) };
        let Some(parked) = selected.parked.as_mut() else { return Ok(false) };
        let refused = need(command) == Need::Numbers && difference::has_vanished(&parked.numbering, &now);
        if refused && !matches!(command, Command::Copy { .. } | Command::Move { .. }) {
            self.release().await?;
            self.refuse_numbers(tag);
            return Ok(false);
        }
        let changed = match changed {
            Changed::These(uids) => uids.intersect(&parked.numbering.uids()).intersect(&now),
            Changed::Any => parked.numbering.uids().intersect(&now),
        };
        let mut lines = Vec::new();
        let telling = if self.qresync { Telling::Vanished } else { Telling::Expunge };
        difference::write(&mut parked.numbering, &now, telling, &mut lines).map_err(replaced)?;
        let numbers = parked.numbering.numbers_of(&changed);
        self.hear(tag, &lines)?;
        if let Some(selected) = self.selected.as_mut() {
            selected.parked = None;
        }
        self.tell_flags(numbers).await?;
        if refused {
            self.refuse_numbers(tag);
        }
        Ok(!refused)
    }

    fn refuse_numbers(&mut self, tag: &Tag) {
        let text = "Messages were removed meanwhile; please look again";
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "EXPUNGEISSUED", text);
    }

    /// Opens the folder on the new connection, under the rights of now: the UIDs that it has
    /// there. The client's view of it stays as it is.
    async fn open_again(&mut self) -> Result<UidSet, Ended> {
        let Some(view) = self.selected.take() else { return Err(Ended::UpstreamGone) };
        let generation = view.parked.as_ref().map(|parked| parked.generation);
        let opened = self.open_beside(&view, generation).await;
        let fresh = self.selected.replace(view);
        let uids = opened?;
        let (Some(fresh), Some(view)) = (fresh, self.selected.as_mut()) else {
            return Err(Ended::UpstreamGone);
        };
        if (&fresh.flags, &fresh.permanent) != (&view.flags, &view.permanent) {
            (view.flags, view.known) = (fresh.flags, fresh.known);
            view.set_permanent(fresh.permanent);
            self.announce_flags();
        }
        Ok(uids)
    }

    async fn open_beside(&mut self, view: &Selected, generation: Option<u64>) -> Result<UidSet, Ended> {
        if self.lease.as_ref().map(|lease| lease.generation()) != generation {
            return Err(Ended::FolderChanged);
        }
        let open = Open { condstore: self.condstore, ..Open::plain(Ok(view.name.clone())) };
        let command = if view.read_only { Command::Examine(open) } else { Command::Select(open) };
        let Ok(mut permit) = self.decide(&Action::Open(view.place(&self.watch)))? else {
            return Err(Ended::Revoked);
        };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: self.watch.effective(), own: &own, by_uid: true };
        let Next::Run(step) = permit.next(&facts) else { return Err(Ended::Revoked) };
        let Some((outgoing, ours)) = self.write(&step, &command) else { return Err(Ended::FolderChanged) };
        if let Some(lease) = self.lease.as_mut() {
            lease.set_selected(true);
        }
        let fresh = Selected::new(view.name.clone(), view.wire.clone(), view.read_only);
        let fresh = self.selected.insert(Box::new(fresh));
        fresh.validity = view.validity;
        let manner = Manner { show: Show::Nothing, ..self.manner_of_opening() };
        let mut found = Found::default();
        let answer = self.exchange(&ours, manner, (&outgoing, &ours), &mut found).await?;
        if !answer.is_ok() || found.validity != Some(view.validity) {
            return Err(Ended::FolderChanged);
        }
        if let Some(fresh) = self.selected.as_mut() {
            fresh.know_permanent(&found);
        }
        self.uids(Manner { show: Show::Nothing, ..CHANGES }).await?.ok_or(Ended::UpstreamSlow)
    }

    /// Whose flags changed while the session was parked. The look at them begins only now, with
    /// the folder open on the new connection: what changes later that one tells.
    async fn flags_changed(&mut self) -> Result<Option<Changed>, Ended> {
        let Some(parked) = self.selected.as_mut().and_then(|selected| selected.parked.as_mut()) else {
            return Ok(None);
        };
        let synced = parked.follower.synced(Instant::now() + RETURN);
        let Some(mirror) = Box::pin(self.watch.unless_lost(Waiting::Upstream, synced)).await? else {
            return Ok(None);
        };
        let changes = mirror.changes_since(parked.version);
        Ok(Some(match changes {
            Some(changes) => Changed::These(changes.map(|change| change.uid).collect()),
            None => Changed::Any,
        }))
    }

    async fn tell_flags(&mut self, numbers: UidSet) -> Result<(), Ended> {
        let Some(last) = self.selected.as_ref().map(|selected| selected.messages) else { return Ok(()) };
        if numbers.is_empty() {
            return Ok(());
        }
        let numbers = if numbers.to_string().len() > MAX_SET { UidSet::range(1, last) } else { numbers };
        let modseq = self.lease.as_ref().is_some_and(|lease| lease.enabled() != EnabledSet::Plain);
        let manner = Manner { no_expunge: true, by_uid: false, ..CHANGES };
        let what = Housekeeping::Flags { numbers: &numbers, modseq: modseq && self.tells_mod_seq() };
        self.ask_own(&what, manner, &mut Found::default()).await?;
        Ok(())
    }
}

/// Whose flags changed.
enum Changed {
    These(UidSet),
    Any,
}

fn replaced(_: difference::NotAscending) -> Ended {
    tracing::warn!("a folder has new messages below its old ones");
    Ended::FolderChanged
}

/// Our own commands: changes in the folder are told, answers are for us.
const CHANGES: Manner = Manner {
    show: Show::Changes,
    opening: false,
    no_expunge: false,
    condstore: false,
    qresync: false,
    searches: None,
    by_uid: true,
    tells_uids: false,
    as_rfc822: false,
    as_rfc822_text: false,
};

/// Our own untagged responses.
const TELLING: Manner = Manner { show: Show::Answer, ..CHANGES };
