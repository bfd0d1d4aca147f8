//! Which of a session's mailboxes is in focus: the one that the command at hand is about.
//!
//! Rights, folders, connection and open folder change together or not at all, so that no
//! command is decided by one mailbox's rights and carried out in another.

use std::sync::Arc;

use tokio::time::Instant;

use super::ended::Ended;
use super::session::{LOOK, Selected, Session, names_folders};
use super::watch::Waiting;
use crate::imap::capability::Capabilities;
use crate::imap::command::{Command, FolderArg, Tag};
use crate::imap::realm::{Combined, Named, Prefix, Realm};
use crate::imap::reply::{self, Outcome};
use crate::proxy::clock;
use crate::store;
use crate::telemetry::Counter;
use crate::types::{FolderName, MailboxId, NotCanonical, Separator, UserId};
use crate::upstream::{Catalogue, Lease, Snapshot};

/// What a session holds of one mailbox, but for the rights, which its watch knows.
pub(super) struct Seat {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) folders: Arc<Snapshot>,
    pub(super) lease: Option<Lease>,
    pub(super) selected: Option<Box<Selected>>,
    pub(super) tainted: bool,
}

impl Session {
    /// The hierarchy separator of the names that the client uses.
    pub(super) fn separator(&self) -> Separator {
        self.realm.separator(self.folders.inventory.separator)
    }

    /// After a command that was about another mailbox, the one with the open folder is in focus
    /// again, or the person's own. A connection that the command has left behind is closed.
    pub(super) fn return_to_open_folder(&mut self) {
        if let Some(seat) = self.aside.take() {
            self.watch.attend_open();
            drop(self.sit_down(*seat));
        } else if let Realm::Combined(combined) = &self.realm
            && self.selected.is_none()
            && self.watch.mailbox() != combined.home()
            && let Some((catalogue, folders)) = &self.home
        {
            let seat = Seat::empty(catalogue.clone(), folders.clone());
            // Without rights at home the user is disabled: the next look ends the session.
            if self.watch.attend(combined.home()) {
                drop(self.sit_down(seat));
            }
        }
    }

    /// Brings the mailbox into focus whose folder the command names, and the name into that
    /// mailbox's own form; a name that means nothing is none. `false`: the client has its answer.
    pub(super) async fn attend_to(&mut self, tag: &Tag, command: &mut Command) -> Result<bool, Ended> {
        self.instead = None;
        if matches!(self.realm, Realm::Account) {
            return Ok(true);
        }
        if names_folders(command) {
            self.renew_realm();
        }
        let Realm::Combined(combined) = &self.realm else { return Ok(true) };
        let combined = Arc::clone(combined);
        let opens = matches!(command, Command::Select(_) | Command::Examine(_));
        self.in_nowhere &= !opens;
        let mailbox_of = |folder: &FolderArg| combined.mailbox_of(folder.as_ref().ok()?);
        let of_root = self.mailbox_of_root(command, &combined);
        let wanted = match command.named() {
            Named::None if of_root.is_some() => of_root,
            Named::None => return Ok(true),
            Named::One(folder) => mailbox_of(folder),
            Named::Target(to) => {
                let there = mailbox_of(to).filter(|mailbox| *mailbox != self.watch.mailbox());
                if let Some(there) = there.filter(|_| self.selected.is_some()) {
                    return Box::pin(self.across(tag, command, there, &combined)).await;
                }
                Some(self.watch.mailbox())
            }
            Named::Rename(from, to) => match (mailbox_of(from), mailbox_of(to)) {
                (Some(a), Some(b)) if a != b => return Ok(self.not_across(tag)),
                (from, to) => from.and(to),
            },
        };
        if let Some(mailbox) = wanted
            && mailbox != self.watch.mailbox()
        {
            if opens {
                self.close_for_another().await?;
            }
            if !self.focus_on(mailbox).await? {
                self.unreachable(tag, mailbox);
                return Ok(false);
            }
        }
        let separator = self.folders.inventory.separator;
        let localise = |folder: &mut FolderArg| {
            let name = folder.as_ref().ok().filter(|_| wanted.is_some());
            *folder = name.map_or(Err(NotCanonical), |name| combined.local(name, separator));
        };
        match command.named() {
            Named::None => {}
            Named::One(folder) | Named::Target(folder) => localise(folder),
            Named::Rename(from, to) => [from, to].into_iter().for_each(localise),
        }
        Ok(true)
    }

    /// The mailbox whose quota root GETQUOTA names.
    fn mailbox_of_root(&self, command: &Command, combined: &Combined) -> Option<MailboxId> {
        let Command::GetQuota { root } = command else { return None };
        let (snapshot, user, now) =
            (self.services.store.snapshot(), self.watch.effective().user, clock::now());
        combined.mailboxes().find(|mailbox| {
            let effective = snapshot.effective(user, *mailbox, now);
            effective.is_some_and(|effective| effective.address.to_string().as_bytes() == root.as_slice())
        })
    }

    /// A mailbox whose folders cannot be known now.
    pub(super) fn unreachable(&mut self, tag: &Tag, mailbox: MailboxId) {
        let snapshot = self.services.store.snapshot();
        let whose = snapshot.mailbox(mailbox).map(|mailbox| mailbox.address.to_string());
        let whose = whose.unwrap_or_else(|| "the mailbox".to_owned());
        let text = format!("The mail host of {whose} cannot be reached; please try again later");
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "UNAVAILABLE", &text);
    }

    /// What is not done between two mailboxes. Whether the folders exist is not said.
    fn not_across(&mut self, tag: &Tag) -> bool {
        let text = "This is not possible from one mailbox to another; please do it within one";
        reply::tagged(self.client.wire.out(), tag, Outcome::No, "CANNOT", text);
        false
    }

    /// SELECT of a folder elsewhere closes the open one, whatever becomes of it (RFC 3501
    /// §6.3.1, RFC 7162 §3.2.11).
    async fn close_for_another(&mut self) -> Result<(), Ended> {
        if self.selected.is_some() {
            self.leave().await?;
            let out = self.client.wire.out();
            reply::untagged(out, Outcome::Ok, "CLOSED", "The folder before is closed");
        }
        Ok(())
    }

    /// Another mailbox in focus; `false` if its folders cannot be known, or its grant is gone.
    async fn focus_on(&mut self, mailbox: MailboxId) -> Result<bool, Ended> {
        let Some(catalogue) = self.catalogue_of(mailbox) else { return Ok(false) };
        let view = catalogue.view(Instant::now() + LOOK);
        let folders = match Box::pin(self.watch.unless_lost(Waiting::Upstream, view)).await? {
            Ok(folders) => folders,
            Err(error) => {
                self.services.counters.count(Counter::UpstreamFailures);
                tracing::warn!(%error, %mailbox, "the mailbox's folders cannot be listed");
                return Ok(false);
            }
        };
        if !self.watch.attend(mailbox) {
            return Ok(false);
        }
        let before = self.sit_down(Seat::empty(catalogue, folders));
        self.aside = before.selected.is_some().then(|| Box::new(before));
        Ok(true)
    }

    /// A mailbox's catalogue; `None` if its credential cannot be used.
    pub(super) fn catalogue_of(&self, mailbox: MailboxId) -> Option<Arc<Catalogue>> {
        if let Some((catalogue, _)) = self.home.as_ref().filter(|_| mailbox.home_user().is_some()) {
            return Some(catalogue.clone());
        }
        match self.services.target(mailbox, None) {
            Ok(target) => Some(self.services.catalogues.of(&target)),
            Err(error) => {
                tracing::error!(%error, %mailbox, "the mailbox's credential cannot be used");
                None
            }
        }
    }

    /// The mailboxes that are granted at this moment. A name belongs to whoever it means now.
    fn renew_realm(&mut self) {
        if let Realm::Combined(combined) = &mut self.realm {
            let user = self.watch.effective().user;
            let prefix = &self.services.settings.shared_prefix;
            let now = granted(&self.services.store.snapshot(), prefix, user);
            if **combined != now {
                *combined = Arc::new(now);
            }
        }
    }

    /// What all mailboxes' hosts can do, as far as they have been asked.
    pub(super) fn common_capabilities(&self) -> Capabilities {
        let Realm::Combined(combined) = &self.realm else {
            return Capabilities::clone(&self.folders.capabilities);
        };
        let mut common = Capabilities::all_shared();
        for mailbox in combined.mailboxes() {
            let known = self.catalogue_of(mailbox).and_then(|catalogue| catalogue.last_known());
            common = match known {
                Some(folders) => common.common(&folders.capabilities),
                // It would have to be kept up in folders of this host too.
                None => common.without("QRESYNC"),
            };
        }
        common
    }

    /// What the client calls a folder of the mailbox in focus, in modified UTF-7.
    pub(super) fn client_wire(&self, folder: &FolderName) -> String {
        let separator = self.folders.inventory.separator;
        let name = self.realm.client_name(self.watch.mailbox(), folder, separator);
        name.as_ref().unwrap_or(folder).to_wire()
    }

    /// Takes a seat; what was held of the mailbox before is the caller's.
    fn sit_down(&mut self, seat: Seat) -> Seat {
        let Seat { catalogue, folders, lease, selected, tainted } = seat;
        Seat {
            catalogue: std::mem::replace(&mut self.catalogue, catalogue),
            folders: std::mem::replace(&mut self.folders, folders),
            lease: std::mem::replace(&mut self.lease, lease),
            selected: std::mem::replace(&mut self.selected, selected),
            tainted: std::mem::replace(&mut self.tainted, tainted),
        }
    }
}

impl Seat {
    /// Nothing open, no connection.
    fn empty(catalogue: Arc<Catalogue>, folders: Arc<Snapshot>) -> Self {
        Self { catalogue, folders, lease: None, selected: None, tainted: false }
    }
}

/// The combined view that a user has at this moment; the mailboxes in the order of their names.
pub(super) fn granted(snapshot: &store::Snapshot, prefix: &Prefix, user: UserId) -> Combined {
    let now = clock::now();
    let mut mailboxes: Vec<_> = snapshot.grants_of(user).map(|grant| grant.mailbox).collect();
    mailboxes.sort_unstable();
    mailboxes.dedup();
    mailboxes.retain(|mailbox| snapshot.effective(user, *mailbox, now).is_some());
    let mut mailboxes: Vec<_> = mailboxes.into_iter().filter_map(|id| snapshot.mailbox(id)).collect();
    mailboxes.sort_by(|a, b| a.short.cmp(&b.short));
    let named = mailboxes.iter().map(|mailbox| (mailbox.id, &mailbox.short, &mailbox.address));
    Combined::new(prefix, MailboxId::home_of(user), named)
}
