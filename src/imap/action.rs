//! From a client command to an act of policy, without a wildcard arm.

use super::command::{Append, Command, FolderArg, Search, Sort, SortBy, SortKey};
use super::overlay;
use crate::policy::{Action, Means, Place, Site};
use crate::types::{Flag, Flags, FolderName};

/// What the session knows when a command leaves the queue.
pub trait Scene {
    /// The selected folder, if there is one.
    fn selected(&self) -> Option<Selected<'_>>;
    /// A folder that exists and that the user sees; hidden and absent are both `None`.
    fn place_of(&self, folder: &FolderName) -> Option<Place>;
    /// Where a new folder of this name would be.
    fn site_of(&self, folder: &FolderName) -> Site;
    /// The same among the folders that the user sees.
    fn visible_site_of(&self, folder: &FolderName) -> Site;
    /// All folders below, hidden ones too.
    fn places_below(&self, folder: &FolderName) -> Vec<Place>;
    /// Whether a folder below is hidden from the user.
    fn hides_below(&self, folder: &FolderName) -> bool;
    /// Upstream has UIDPLUS (RFC 4315).
    fn uidplus(&self) -> bool;
    /// Upstream announced this capability.
    fn has(&self, capability: &str) -> bool;
    /// Upstream has MOVE (RFC 6851).
    fn has_move(&self) -> bool;
}

/// The selected folder as an act needs it.
#[derive(Clone, Debug)]
pub struct Selected<'a> {
    pub place: Place,
    /// The keywords that its FLAGS response named.
    pub known: &'a Flags,
    /// The keywords that upstream keeps; `None` if it keeps any (PERMANENTFLAGS with `\*`).
    pub kept: Option<&'a Flags>,
}

/// What is to be done with a command.
#[derive(Debug)]
pub enum Ask {
    /// Policy decides; upstream may be asked.
    Act(Action),
    /// We answer from what we hold; nothing goes upstream.
    Answer,
    /// The folder is hidden, absent or not canonically named: one answer for the three.
    NotFound,
    /// A target of COPY, MOVE or APPEND that is hidden or absent: the same, with TRYCREATE
    /// if the user may create a folder at `site` (RFC 3501 §6.3.11).
    NoTarget { site: Site },
    /// The command belongs to another state (RFC 3501 §3).
    WrongState,
    /// Upstream lacks what the command needs, and it was not advertised.
    Unsupported,
}

/// Maps a command of the authenticated and selected states.
pub fn ask(command: &Command, scene: &dyn Scene) -> Ask {
    match command {
        Command::Capability
        | Command::Logout
        | Command::Id { .. }
        | Command::Enable(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::MyRights(_)
        | Command::ListRights { .. } => Ask::Answer,
        Command::Login { .. } | Command::Authenticate { .. } => Ask::WrongState,
        Command::Noop | Command::Idle => match scene.selected() {
            Some(at) => Ask::Act(Action::Poll(at.place)),
            None => Ask::Answer,
        },
        Command::Select(open) => on(scene, &open.folder, Action::Open),
        Command::Examine(open) => on(scene, &open.folder, |place| Action::Open(place.examined())),
        // The usage is the whole mailbox's: whoever reads its INBOX, and has nothing hidden from
        // them, is told it; for the others no folder has a root.
        Command::GetQuota { .. } => match scene.has("QUOTA") {
            true => on(scene, &Ok(FolderName::inbox()), Action::Status),
            false => Ask::Unsupported,
        },
        Command::GetQuotaRoot(folder) => match scene.has("QUOTA") {
            true => on(scene, folder, Action::Status),
            false => Ask::Unsupported,
        },
        Command::Status { folder, .. } => on(scene, folder, Action::Status),
        Command::Create { folder, .. } => create(scene, folder),
        Command::Delete(folder) => delete(scene, folder),
        Command::Rename { from, to } => rename(scene, from, to),
        Command::GetAcl(folder) | Command::SetAcl(folder) | Command::DeleteAcl(folder) => {
            on(scene, folder, |_| Action::Administer)
        }
        Command::Append(append) => insert(scene, &append.folder, |place| appending(append, place)),
        Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge
        | Command::UidExpunge(_)
        | Command::Search { .. }
        | Command::Sort { .. }
        | Command::Thread { .. }
        | Command::Fetch { .. }
        | Command::Store { .. }
        | Command::Copy { .. }
        | Command::Move { .. } => match scene.selected() {
            Some(at) => in_folder(command, at, scene),
            None => Ask::WrongState,
        },
    }
}

/// Commands of the selected state (RFC 3501 §6.4); any other is in the wrong place here.
fn in_folder(command: &Command, at: Selected<'_>, scene: &dyn Scene) -> Ask {
    let (place, uidplus) = (at.place, scene.uidplus());
    match command {
        Command::Check => Ask::Act(Action::Poll(place)),
        Command::Close => Ask::Act(Action::Close { place, uidplus }),
        Command::Unselect => Ask::Act(Action::Unselect),
        // Without UIDPLUS, only the EXPUNGE that removes everything marked could carry it out.
        Command::UidExpunge(_) if !uidplus => Ask::Unsupported,
        Command::Expunge | Command::UidExpunge(_) => Ask::Act(Action::Expunge { place, uidplus }),
        Command::Sort { sort, .. } if !sortable(scene, sort) => Ask::Unsupported,
        Command::Thread { thread, .. } if !scene.has(thread.by.capability()) => Ask::Unsupported,
        Command::Search { search, .. } => Ask::Act(searching(place, search, false)),
        Command::Sort { sort, .. } => Ask::Act(searching(place, &sort.search, true)),
        Command::Thread { thread, .. } => Ask::Act(searching(place, &thread.search, true)),
        Command::Fetch { fetch, .. } => Ask::Act(Action::Fetch { place, marks_seen: fetch.marks_seen() }),
        Command::Store { store, .. } => Ask::Act(Action::Store {
            place,
            mode: store.mode,
            flags: store.flags.clone(),
            known: at.known.clone(),
            unkept: unkept(at.kept, &store.flags),
            conditional: store.unchanged_since.is_some(),
            silent: store.silent,
        }),
        Command::Copy { to, .. } => insert(scene, to, |to| Action::Copy { from: place, to, uidplus }),
        Command::Move { to, .. } => {
            insert(scene, to, |to| Action::Move { from: place, to, means: means(scene) })
        }
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::Id { .. }
        | Command::Login { .. }
        | Command::Authenticate { .. }
        | Command::Enable(_)
        | Command::Select(_)
        | Command::Examine(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::Append(_)
        | Command::Idle
        | Command::MyRights(_)
        | Command::ListRights { .. }
        | Command::GetAcl(_)
        | Command::SetAcl(_)
        | Command::DeleteAcl(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot(_) => Ask::WrongState,
    }
}

/// What a host without keywords of its users' own would drop, or refuse the whole STORE for.
fn unkept(kept: Option<&Flags>, flags: &Flags) -> Flags {
    let is_kept = |flag: &Flag| kept.is_none_or(|kept| kept.contains(flag));
    flags.filter(|flag| matches!(flag, Flag::Keyword(_)) && !is_kept(flag))
}

/// Whether upstream has every key; the display keys are an extension of their own.
fn sortable(scene: &dyn Scene, sort: &Sort) -> bool {
    let display = |key: &SortKey| matches!(key.by, SortBy::DisplayFrom | SortBy::DisplayTo);
    scene.has("SORT") && (scene.has("SORT=DISPLAY") || !sort.keys.iter().any(display))
}

fn searching(place: Place, search: &Search, ordered: bool) -> Action {
    Action::Search { place, asked: overlay::asks_about(&search.keys), ordered }
}

fn means(scene: &dyn Scene) -> Means {
    match (scene.has_move(), scene.uidplus()) {
        (true, _) => Means::Move,
        (false, true) => Means::CopyAndExpunge,
        (false, false) => Means::Nothing,
    }
}

fn appending(append: &Append, place: Place) -> Action {
    Action::Append { place, flags: append.flags.clone() }
}

fn on(scene: &dyn Scene, folder: &FolderArg, act: impl FnOnce(Place) -> Action) -> Ask {
    let place = folder.as_ref().ok().and_then(|folder| scene.place_of(folder));
    place.map_or(Ask::NotFound, |place| Ask::Act(act(place)))
}

fn insert(scene: &dyn Scene, folder: &FolderArg, act: impl FnOnce(Place) -> Action) -> Ask {
    let Ok(folder) = folder else { return Ask::NotFound };
    match scene.place_of(folder) {
        Some(place) => Ask::Act(act(place)),
        None => Ask::NoTarget { site: scene.visible_site_of(folder) },
    }
}

/// CREATE asks for the level above alone: what lies at the name itself, hidden or not, is found
/// out afterwards, by those who may create there (invariant 11's one exception).
fn create(scene: &dyn Scene, folder: &FolderArg) -> Ask {
    let Ok(folder) = folder else { return Ask::NotFound };
    Ask::Act(Action::Create(scene.site_of(folder)))
}

fn delete(scene: &dyn Scene, folder: &FolderArg) -> Ask {
    let Ok(name) = folder else { return Ask::NotFound };
    let hides_below = scene.hides_below(name);
    on(scene, folder, |place| Action::Delete { place, hides_below })
}

fn rename(scene: &dyn Scene, from: &FolderArg, to: &FolderArg) -> Ask {
    let (Ok(name), Ok(target)) = (from, to) else { return Ask::NotFound };
    let (below, to) = (scene.places_below(name), scene.site_of(target));
    on(scene, from, |place| Action::Rename { place, below, to })
}
