//! Mail hosts, as an admin tries them: log in, look, leave.

use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, FailureKind, Login};
use crate::policy::FolderClass;
use crate::types::{Account, Endpoint, FolderName, Secret, Separator};
use crate::upstream::{ConnectError, Connector, LeaseError};

/// Longest trial of one host: an admin watches, and clients wait no longer either.
const TRIAL: Duration = Duration::from_secs(60);

/// What a mailbox's host has.
pub(super) struct Inventory {
    pub separator: Separator,
    pub folders: Vec<Found>,
    /// Folders whose names have no canonical form.
    pub unusable: usize,
}

/// One folder.
pub(super) struct Found {
    pub name: FolderName,
    /// The class that SPECIAL-USE or its name suggests; `None`: an ordinary one.
    pub suggested: Option<FolderClass>,
    pub special_use: bool,
}

impl Inventory {
    pub(super) fn has(&self, folder: &FolderName) -> bool {
        self.folders.iter().any(|found| found.name == *folder)
    }
}
