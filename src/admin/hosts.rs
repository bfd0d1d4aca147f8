//! Mail hosts, as an admin tries them: log in, look, leave.

use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, FailureKind, Login};
use crate::imap::capability::Capabilities;
use crate::imap::inventory::{self, Entry, suggest_class};
use crate::imap::response::Response;
use crate::imap::writer::Housekeeping;
use crate::policy::FolderClass;
use crate::types::{Account, Endpoint, FolderName, MailboxId, Secret, Separator};
use crate::upstream::smtp::Submission;
use crate::upstream::{ConnectError, Connection, Connector, EnabledSet, Host as _, Target};

/// Longest trial of one host: an admin watches, and clients wait no longer either.
const TRIAL: Duration = Duration::from_secs(60);

/// Makes trial connections, apart from those that serve sessions.
pub struct Hosts {
    connector: Connector,
    /// The name we greet a submission host with.
    helo: String,
}

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

impl Hosts {
    pub fn new(connector: Connector, helo: String) -> Self {
        Self { connector, helo }
    }

    /// Logs in by IMAP, and takes the inventory of folders.
    pub(super) async fn folders(&self, login: &Login) -> Result<Inventory, Failure> {
        let deadline = Instant::now() + TRIAL;
        let mut connection = self.connect(login, deadline).await?;
        let inventory = take_inventory(&mut connection, deadline).await;
        self.connector.close(connection).await;
        inventory.map_err(|error| failure("IMAP", &login.endpoint, &error))
    }

    /// Logs in by IMAP; what the host says that it can.
    pub(super) async fn capabilities(&self, login: &Login) -> Result<Capabilities, Failure> {
        let connection = self.connect(login, Instant::now() + TRIAL).await?;
        let capabilities = connection.capabilities().clone();
        self.connector.close(connection).await;
        Ok(capabilities)
    }

    async fn connect(&self, login: &Login, deadline: Instant) -> Result<Connection, Failure> {
        let target = Target {
            // No mailbox yet, or not this connection's business: it is shared with nobody.
            mailbox: MailboxId(0),
            generation: 0,
            endpoint: login.endpoint.clone(),
            account: login.account.clone(),
            password: login.password.clone(),
            max_connections: 1,
        };
        let connected =
            tokio::time::timeout_at(deadline, self.connector.connect(&target, EnabledSet::Plain)).await;
        let connected = connected.unwrap_or(Err(ConnectError::Slow("connecting")));
        connected.map_err(|error| failure("IMAP", &login.endpoint, &error))
    }

    /// Logs in to a submission host, or greets it if it wants no login.
    pub(super) async fn submission(
        &self,
        endpoint: &Endpoint,
        login: Option<(Account, Secret)>,
    ) -> Result<(), Failure> {
        let submission = Submission { endpoint: endpoint.clone(), login, helo: self.helo.clone() };
        let connected = tokio::time::timeout(TRIAL, self.connector.submit(&submission)).await;
        let connected = connected.unwrap_or(Err(ConnectError::Slow("connecting")));
        let connection = connected.map_err(|error| failure("submission", endpoint, &error))?;
        connection.quit().await;
        Ok(())
    }
}

fn failure(service: &str, endpoint: &Endpoint, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Unavailable, format!("{service} at {endpoint}: {error}"))
}

async fn take_inventory(connection: &mut Connection, deadline: Instant) -> Result<Inventory, String> {
    let can = connection.capabilities();
    let special_use = can.has("SPECIAL-USE") && can.has("LIST-EXTENDED");
    let answered = connection.command_by(&Housekeeping::Inventory { special_use }, deadline).await;
    let answered = answered.map_err(|error| error.to_string())?;
    if !answered.is_ok() {
        return Err("the mail host does not list its folders".into());
    }
    let listed = answered.responses().filter_map(|response| match response {
        Response::List(listed) => Some(listed),
        _ => None,
    });
    Ok(Inventory::of(&inventory::Inventory::build(listed)))
}

impl Inventory {
    /// INBOX first; levels that hold no messages are left out.
    fn of(all: &inventory::Inventory) -> Self {
        let found = |entry: &Entry| {
            let class = suggest_class(entry, all.separator);
            let plain = matches!(class, FolderClass::Ordinary | FolderClass::Inbox);
            Found {
                name: entry.name.clone(),
                suggested: (!plain).then_some(class),
                special_use: entry.attributes.special.is_some(),
            }
        };
        let entries = all.entries().iter().filter(|entry| entry.attributes.is_selectable());
        let mut folders: Vec<Found> = entries.map(found).collect();
        folders.sort_by_key(|found| !found.name.is_inbox());
        Self { separator: all.separator, folders, unusable: all.excluded }
    }

    pub(super) fn has(&self, folder: &FolderName) -> bool {
        self.folders.iter().any(|found| found.name == *folder)
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
