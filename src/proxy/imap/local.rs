//! What we answer from what we hold: nothing of this goes upstream.

use super::ended::Ended;
use super::exchange::Found;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::{self, Command, FolderArg, StatusItem, Tag};
use crate::imap::filter;
use crate::imap::inventory::stand_below_inbox;
use crate::imap::list::{View as Listing, Visible};
use crate::imap::realm::Realm;
use crate::imap::reply::{self, Outcome};
use crate::policy::{Action, Decision, FolderClass, decide};
use crate::proxy::clock;
use crate::telemetry::{Act, Outcome as Came};
use crate::types::{FolderName, encode_mutf7};

/// Folders whose STATUS is asked for at a time; eight of them are under way upstream.
pub(super) const STATUS_AT_ONCE: usize = 64;

/// Why a command is answered NO.
type Refusal = (&'static str, String);

impl Session {
    /// Answers a command that [`crate::imap::action::ask`] leaves to us.
    pub(super) async fn answer(&mut self, tag: &Tag, command: Command) -> Result<(), Ended> {
        let mut refused = None;
        match &command {
            Command::Noop => {}
            Command::Capability => {
                let list = self.capabilities();
                reply::capability(self.client.wire.out(), &list);
            }
            Command::Logout => {
                reply::bye(self.client.wire.out(), "", "Logging out");
                reply::tagged(self.client.wire.out(), tag, Outcome::Ok, "", "LOGOUT completed");
                return Err(Ended::LoggedOut);
            }
            Command::Id { client } => self.greet(client.as_deref()),
            Command::Enable(names) => self.enable(names),
            Command::Namespace => self.namespace(),
            Command::List(list) => match self.realm.clone() {
                Realm::Account => self.list(list).await?,
                Realm::Combined(combined) => self.list_several(list, &combined).await?,
            },
            Command::Lsub { reference, pattern } => match self.realm.clone() {
                Realm::Account => self.lsub(reference, pattern),
                Realm::Combined(combined) => self.lsub_several(reference, pattern, &combined).await?,
            },
            Command::Subscribe(folder) => refused = self.subscribe(&command, folder, true).await?,
            Command::Unsubscribe(folder) => refused = self.subscribe(&command, folder, false).await?,
            Command::MyRights(folder) => refused = self.my_rights(folder, None).err(),
            Command::ListRights { folder, identifier } => {
                refused = self.my_rights(folder, Some(identifier)).err();
            }
            Command::Idle => return self.idle_nowhere(tag).await,
            Command::Login { .. }
            | Command::Authenticate { .. }
            | Command::Select(_)
            | Command::Examine(_)
            | Command::Create { .. }
            | Command::Delete(_)
            | Command::Rename { .. }
            | Command::Status { .. }
            | Command::Append(_)
            | Command::GetAcl(_)
            | Command::SetAcl(_)
            | Command::DeleteAcl(_)
            | Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge
            | Command::UidExpunge(_)
            | Command::GetQuota { .. }
            | Command::GetQuotaRoot(_)
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
            | Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Copy { .. }
            | Command::Move { .. } => return self.client.wrong_state(tag, &command),
        }
        match refused {
            None => {
                let verb = super::record::verb(&command);
                reply::completed(self.client.wire.out(), tag, "", verb);
            }
            Some((code, text)) => reply::tagged(self.client.wire.out(), tag, Outcome::No, code, &text),
        }
        Ok(())
    }

    /// What we police of what upstream has (invariant 4).
    pub(super) fn capabilities(&self) -> String {
        self.common_capabilities().for_client(self.services.settings.append_limit)
    }

    /// Where a client may make folders is what matters to it: on hosts that keep all below
    /// INBOX, there.
    fn namespace(&mut self) {
        let (shared, below_inbox) = match &self.realm {
            Realm::Account => {
                let stand_below = |listing: &Listing<'_>, folders: &[Visible<'_>]| {
                    stand_below_inbox(folders.iter().map(|folder| folder.name), listing.separator())
                };
                (None, self.with_listing(stand_below))
            }
            Realm::Combined(combined) => {
                let own = self.catalogue_of(combined.home()).and_then(|own| own.last_known());
                let stand_below = own.is_some_and(|own| {
                    let names = own.inventory.entries().iter().map(|entry| &entry.name);
                    stand_below_inbox(names, own.inventory.separator)
                });
                (Some(encode_mutf7(combined.prefix())), stand_below)
            }
        };
        let root = below_inbox.then_some("INBOX");
        let separator = self.separator();
        reply::namespace(self.client.wire.out(), separator, root, shared.as_deref());
    }

    fn greet(&mut self, client: Option<&str>) {
        if let Some(client) = client {
            tracing::info!(client = %crate::telemetry::Quoted::new(client), "the client says what it is");
        }
        reply::id(self.client.wire.out());
    }

    /// ENABLE (RFC 5161): CONDSTORE and QRESYNC, where upstream has them; everything else is not
    /// ours to enable. QRESYNC only where no folder is open (RFC 5161 §3.1): its connection would
    /// have to be another one.
    fn enable(&mut self, names: &[String]) {
        let wanted = |name: &str| names.iter().any(|named| named == name);
        let can = self.common_capabilities();
        let nothing_open = self.selected.is_none() && self.aside.is_none();
        let qresync = wanted("QRESYNC") && can.has("QRESYNC") && nothing_open;
        let condstore = wanted("CONDSTORE") && can.has_condstore();
        self.qresync |= qresync;
        self.condstore |= condstore || qresync;
        let mut enabled = "ENABLED".to_owned();
        for (_, name) in [(condstore, " CONDSTORE"), (qresync, " QRESYNC")].into_iter().filter(|(on, _)| *on)
        {
            enabled.push_str(name);
        }
        reply::data(self.client.wire.out(), &enabled);
    }

    async fn list(&mut self, list: &command::List) -> Result<(), Ended> {
        let mut out = Vec::new();
        let asked = self.with_listing(|listing, folders| {
            let status = listing.list(list, &mut out);
            status.into_iter().map(|at| folders[at].name.clone()).collect::<Vec<_>>()
        });
        self.client.wire.queue(&out);
        self.list_status(asked, &list.ret.status).await
    }

    /// LIST-STATUS (RFC 5819): what upstream does not tell in time is left out, never invented.
    async fn list_status(&mut self, folders: Vec<FolderName>, items: &[StatusItem]) -> Result<(), Ended> {
        self.condstore |=
            items.contains(&StatusItem::HighestModSeq) && self.folders.capabilities.has_condstore();
        let folders: Vec<_> = folders.into_iter().filter(|name| self.may_ask(name)).collect();
        let wires: Vec<_> = folders
            .iter()
            .filter_map(|name| Some((name.clone(), self.folders.inventory.find(name)?.wire.clone())))
            .collect();
        let counts = self.counts();
        for some in wires.chunks(STATUS_AT_ONCE) {
            let told = counts.of_each(some, items);
            let told = self.watch.unless_lost(Waiting::Upstream, told).await?;
            // Not what has been withdrawn or pinned anew meanwhile.
            self.watch.refresh()?;
            for ((name, _), data) in some.iter().zip(told) {
                if let Some(data) = data.filter(|_| self.may_ask(name)) {
                    filter::status_line(self.client.wire.out(), name.to_wire().as_bytes(), items, &data);
                }
            }
        }
        Ok(())
    }

    /// Whether the policy permits STATUS of a folder.
    fn may_ask(&self, folder: &FolderName) -> bool {
        let status = Action::Status(self.watch.place_of(folder));
        matches!(decide(self.watch.effective(), &status, clock::now()), Decision::Permit(_))
    }

    fn lsub(&mut self, reference: &[u8], pattern: &[u8]) {
        let mut out = Vec::new();
        self.with_listing(|listing, _| listing.lsub(reference, pattern, &mut out));
        self.client.wire.queue(&out);
    }

    /// The folders that this user sees, with their classes and this user's subscriptions.
    fn with_listing<T>(&self, answer: impl FnOnce(&Listing<'_>, &[Visible<'_>]) -> T) -> T {
        let view = self.view();
        let effective = self.watch.effective();
        let subscriptions = view.snapshot.subscriptions(effective.user, effective.mailbox);
        let seen = self.folders.inventory.entries().iter().filter_map(|entry| view.entry(&entry.name));
        let seen: Vec<_> = seen
            .filter(|(_, place)| effective.lists(place))
            .map(|(entry, place)| (entry, place.class, effective.reads(&place), entry.name.to_wire()))
            .collect();
        let folders: Vec<_> = seen
            .iter()
            .map(|(entry, class, readable, wire)| Visible {
                name: &entry.name,
                wire: wire.as_bytes(),
                special_use: class.special_use().filter(|_| is_pinned(&view, &entry.name)),
                subscribed: subscriptions.is_subscribed(&entry.name),
                // Listed and not read: nobody is to try (RFC 5819 §2).
                selectable: entry.attributes.is_selectable() && *readable,
            })
            .collect();
        answer(&Listing::new(&folders, self.folders.inventory.separator), &folders)
    }

    /// SUBSCRIBE and UNSUBSCRIBE: this user's, in our store, whether or not the folder exists.
    async fn subscribe(
        &mut self,
        command: &Command,
        folder: &FolderArg,
        subscribed: bool,
    ) -> Result<Option<Refusal>, Ended> {
        let Ok(folder) = folder else { return Ok(Some(no_such_folder())) };
        let effective = self.watch.effective().clone();
        let (user, mailbox) = (effective.user, effective.mailbox);
        if self.is_said(folder, subscribed) {
            return Ok(None);
        }
        let set = self.services.store.set_subscribed(user, mailbox, folder.clone(), subscribed);
        if let Err(error) = set.await {
            return Ok(Some(match error {
                crate::store::StoreError::Refused(why) => ("LIMIT", why),
                error => {
                    tracing::error!(%error, "subscriptions cannot be stored");
                    ("UNAVAILABLE", "This cannot be stored now; please try again later".to_owned())
                }
            }));
        }
        let verb = super::record::verb(command);
        let act = Act { verb, right: "l".to_owned(), folder: Some(folder.clone()), ..Act::default() };
        self.recorder.change(&effective, act, Came::Done, &Found::default()).await?;
        Ok(None)
    }

    /// Whether the user has said just this before: then there is nothing to store or record.
    fn is_said(&self, folder: &FolderName, subscribed: bool) -> bool {
        let effective = self.watch.effective();
        let said = self.services.store.snapshot().subscriptions(effective.user, effective.mailbox);
        if subscribed { said.subscribed.contains(folder) } else { said.unsubscribed.contains(folder) }
    }

    /// MYRIGHTS and LISTRIGHTS of one's own (RFC 4314 §3.7, §3.8), for any folder that is seen.
    fn my_rights(&mut self, folder: &FolderArg, identifier: Option<&Vec<u8>>) -> Result<(), Refusal> {
        let view = self.view();
        let seen = folder.as_ref().ok().and_then(|name| view.entry(name));
        let Some((entry, place)) = seen else { return Err(no_such_folder()) };
        let rights = filter::shown_rights(self.watch.effective(), &place);
        let wire = self.client_wire(&entry.name);
        let effective = self.watch.effective().clone();
        drop(view);
        let out = self.client.wire.out();
        match identifier {
            None => reply::my_rights(out, wire.as_bytes(), rights),
            Some(identifier) if identifier.eq_ignore_ascii_case(effective.login.as_str().as_bytes()) => {
                reply::list_rights(out, wire.as_bytes(), identifier, rights);
            }
            Some(_) => {
                let why = format!("Rights in {} are given and shown by its administrator", effective.address);
                return Err(("NOPERM", why));
            }
        }
        Ok(())
    }
}

/// SPECIAL-USE is told of the pinned folder itself, not of folders below that share its class:
/// clients take the first they see.
fn is_pinned(view: &super::scene::View<'_>, folder: &FolderName) -> bool {
    let mailbox = view.snapshot.mailbox(view.mailbox);
    mailbox.is_some_and(|mailbox| mailbox.pin(folder).is_some())
        || view.pinned(folder).class == FolderClass::Inbox
}

fn no_such_folder() -> Refusal {
    ("NONEXISTENT", "There is no such folder".to_owned())
}
