//! What the daemon asks a mail host for its catalogue: folders, and STATUS of some.

use tokio::time::Instant;

use super::connect::Connector;
use super::connection::{ANSWER, Answered, Connection};
use super::error::{CommandError, LeaseError};
use super::pool::Host as _;
use super::status::{Ask, Board, StatusValues, WAIT};
use super::target::{EnabledSet, Target};
use crate::imap::capability::Capabilities;
use crate::imap::command::StatusItem;
use crate::imap::inventory::Inventory;
use crate::imap::response::Response;
use crate::imap::writer::Housekeeping;

impl Connector {
    /// Logs in once, lists the folders and logs out: for an admin who adds or tests a mailbox.
    pub async fn survey(&self, target: &Target) -> Result<Inventory, LeaseError> {
        let mut connection = self.connect(target, EnabledSet::Plain).await?;
        let inventory = take_inventory(&mut connection, Instant::now() + ANSWER).await?;
        self.close(connection).await;
        Ok(inventory)
    }
}

/// Lists every folder, with special uses where the host tells them on request.
pub(super) async fn take_inventory(
    connection: &mut Connection,
    deadline: Instant,
) -> Result<Inventory, CommandError> {
    let can = connection.capabilities();
    let special_use = can.has("SPECIAL-USE") && can.has("LIST-EXTENDED");
    let answered = connection.command_by(&Housekeeping::Inventory { special_use }, deadline).await?;
    if !answered.is_ok() {
        return Err(CommandError::Protocol("the host refuses to list its folders"));
    }
    let listed = |response| match response {
        Response::List(listed) => Some(listed),
        _ => None,
    };
    let inventory = Inventory::build(answered.responses().filter_map(listed));
    if inventory.excluded > 0 {
        tracing::debug!(excluded = inventory.excluded, "folder names without a canonical form were left out");
    }
    Ok(inventory)
}

/// Sends a batch of STATUS and puts the answers on the board.
///
/// Items that the host does not know are not asked: it would refuse the others with them.
pub(super) async fn ask_status(
    connection: &mut Connection,
    board: &Board,
    batch: &[Ask],
) -> Result<(), CommandError> {
    let (asked, unasked) = known_items(connection.capabilities(), batch);
    for ask in unasked {
        board.answer(ask, Some(StatusValues::new()));
    }
    let status = asked.iter().map(|(ask, items)| Housekeeping::Status { folder: &ask.folder, items });
    let commands: Vec<_> = status.collect();
    let answered = connection.commands_by(&commands, Instant::now() + WAIT).await?;
    let told = |name: &[u8]| {
        let mut responses = answered.iter().flat_map(Answered::responses);
        responses.find_map(|response| match response {
            Response::StatusData(data) if data.name == name => Some(data.items),
            _ => None,
        })
    };
    for ((ask, _), answered) in asked.iter().zip(&answered) {
        board.answer(ask, told(&ask.folder).filter(|_| answered.is_ok()));
    }
    Ok(())
}

/// The questions with those of their items that the host knows; and those without any.
fn known_items<'a>(host: &Capabilities, batch: &'a [Ask]) -> (Vec<(&'a Ask, Vec<StatusItem>)>, Vec<&'a Ask>) {
    let (mut asked, mut unasked) = (Vec::new(), Vec::new());
    for ask in batch {
        let items: Vec<_> = ask.items.iter().copied().filter(|item| knows(host, *item)).collect();
        if items.is_empty() { unasked.push(ask) } else { asked.push((ask, items)) }
    }
    (asked, unasked)
}

fn knows(host: &Capabilities, item: StatusItem) -> bool {
    match item {
        StatusItem::Messages
        | StatusItem::Recent
        | StatusItem::UidNext
        | StatusItem::UidValidity
        | StatusItem::Unseen => true,
        StatusItem::Size => host.has("STATUS=SIZE"),
        StatusItem::HighestModSeq => host.has_condstore(),
        StatusItem::AppendLimit => host.has("APPENDLIMIT"),
    }
}
