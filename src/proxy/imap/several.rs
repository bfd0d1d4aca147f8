//! LIST and LSUB over all mailboxes of the combined view, from their catalogues.
//!
//! A mailbox's host is asked only where its folders are not known, eight at a time and not for
//! long: a host that is out of reach hides nothing of the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::ended::Ended;
use super::local::STATUS_AT_ONCE;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::{List, StatusItem};
use crate::imap::filter;
use crate::imap::inventory::{Entry, Inventory, suggest_class};
use crate::imap::list::{View as Listing, Visible};
use crate::imap::realm::{Combined, SEPARATOR};
use crate::imap::response::StatusData;
use crate::policy::{Action, Decision, Effective, Place, decide};
use crate::proxy::clock;
use crate::store::Snapshot;
use crate::types::{FolderName, MailboxId};
use crate::upstream::Catalogue;

/// Mailboxes whose hosts are asked at once.
const AT_ONCE: usize = 8;

/// Longest wait for folders and for STATUS values of all mailboxes together; clients give up
/// after 30 s, and what is known is worth more than what is not.
const TOGETHER: Duration = Duration::from_secs(5);

/// One mailbox, as far as it is known.
struct Part {
    mailbox: MailboxId,
    /// `None`: its credential cannot be used.
    catalogue: Option<Arc<Catalogue>>,
    /// `None`: its host could not be asked.
    folders: Option<Arc<crate::upstream::Snapshot>>,
}

/// One folder that the user sees.
struct Row {
    part: usize,
    name: FolderName,
    /// What the client is told.
    wire: String,
    /// Its name in the mailbox, and what the host is asked for; `None` where it is not known.
    upstream: Option<(FolderName, Vec<u8>)>,
    special_use: Option<&'static str>,
    subscribed: bool,
    selectable: bool,
    /// The user may ask for its STATUS.
    readable: bool,
}

impl Session {
    /// LIST over all mailboxes.
    pub(super) async fn list_several(&mut self, list: &List, combined: &Combined) -> Result<(), Ended> {
        let parts = self.parts(combined).await?;
        let rows = self.rows(&parts, combined);
        let mut out = Vec::new();
        let visible = visible(&rows);
        let asked = Listing::new(&visible, Some(SEPARATOR)).list(list, &mut out);
        self.client.wire.queue(&out);
        self.status_of_several(&parts, &rows, &asked, &list.ret.status).await
    }

    /// LSUB over all mailboxes.
    pub(super) async fn lsub_several(
        &mut self,
        reference: &[u8],
        pattern: &[u8],
        combined: &Combined,
    ) -> Result<(), Ended> {
        let parts = self.parts(combined).await?;
        let rows = self.rows(&parts, combined);
        let mut out = Vec::new();
        Listing::new(&visible(&rows), Some(SEPARATOR)).lsub(reference, pattern, &mut out);
        self.client.wire.queue(&out);
        Ok(())
    }

    /// What is known of every mailbox, after a short while for those of which nothing is.
    async fn parts(&mut self, combined: &Combined) -> Result<Vec<Part>, Ended> {
        let mut parts: Vec<Part> = combined
            .mailboxes()
            .map(|mailbox| {
                let catalogue = self.catalogue_of(mailbox);
                let folders = catalogue.as_ref().and_then(Catalogue::glance);
                Part { mailbox, catalogue, folders }
            })
            .collect();
        let deadline = Instant::now() + TOGETHER;
        let unknown: Vec<_> = parts.iter().enumerate().filter(|(_, part)| part.folders.is_none()).collect();
        let asking = unknown.into_iter().filter_map(|(at, part)| Some((at, part.catalogue.clone()?)));
        let asking = asking.map(|(at, catalogue)| async move { (at, catalogue.view(deadline).await) });
        let asked = some_at_a_time(asking.collect(), deadline);
        for (at, folders) in self.watch.unless_lost(Waiting::Upstream, asked).await? {
            match folders {
                Ok(folders) => parts[at].folders = Some(folders),
                Err(error) => {
                    tracing::warn!(mailbox = %parts[at].mailbox, %error, "folders left out of LIST")
                }
            }
        }
        for part in parts.iter_mut().filter(|part| part.folders.is_none()) {
            part.folders = part.catalogue.as_ref().and_then(|catalogue| catalogue.last_known());
        }
        Ok(parts)
    }

    /// The folders of all mailboxes, under the rights of this moment.
    fn rows(&self, parts: &[Part], combined: &Combined) -> Vec<Row> {
        let snapshot = self.services.store.snapshot();
        let (user, now) = (self.watch.effective().user, clock::now());
        let mut rows = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let Some(effective) = snapshot.effective(user, part.mailbox, now) else { continue };
            match &part.folders {
                Some(folders) => {
                    add_rows(&mut rows, (at, &folders.inventory), (&effective, &snapshot), combined);
                }
                None => rows.extend(top_row(at, (&effective, &snapshot), combined)),
            }
        }
        rows
    }

    /// LIST-STATUS (RFC 5819): what is not told in time is left out, never invented.
    async fn status_of_several(
        &mut self,
        parts: &[Part],
        rows: &[Row],
        asked: &[usize],
        items: &[StatusItem],
    ) -> Result<(), Ended> {
        if asked.is_empty() {
            return Ok(());
        }
        self.condstore |=
            items.contains(&StatusItem::HighestModSeq) && self.common_capabilities().has_condstore();
        let mut by_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in asked.iter().filter(|at| rows[**at].readable) {
            by_part.entry(rows[*at].part).or_default().push(*at);
        }
        let (sender, mut told) = mpsc::unbounded_channel();
        let asking = by_part.into_iter().filter_map(|(part, asked)| {
            let known = |at: &usize| rows[*at].upstream.clone().map(|folder| (*at, folder));
            let (at, folders): (Vec<_>, Vec<_>) = asked.iter().filter_map(known).unzip();
            let Part { mailbox, catalogue, folders: known } = &parts[part];
            let can = &known.as_ref()?.capabilities;
            let counts = self.counts_of(*mailbox, catalogue.clone()?, can)?;
            let (sender, mut items) = (sender.clone(), items.to_vec());
            items.retain(|item| *item != StatusItem::HighestModSeq || can.has_condstore());
            Some(async move {
                for (at, some) in at.chunks(STATUS_AT_ONCE).zip(folders.chunks(STATUS_AT_ONCE)) {
                    let values = counts.of_each(some, &items).await;
                    let told = at.iter().copied().zip(values);
                    // Nobody takes them any more once the time is over.
                    told.for_each(|told| drop(sender.send(told)));
                }
            })
        });
        let asking = some_at_a_time(asking.collect(), Instant::now() + TOGETHER);
        self.watch.unless_lost(Waiting::Upstream, asking).await?;
        told.close();
        let mut values: HashMap<usize, Option<StatusData>> = HashMap::new();
        while let Ok((at, told)) = told.try_recv() {
            values.insert(at, told);
        }
        // Not what has been withdrawn or pinned anew meanwhile.
        let (snapshot, user, now) =
            (self.services.store.snapshot(), self.watch.effective().user, clock::now());
        let rights: Vec<_> = parts.iter().map(|part| snapshot.effective(user, part.mailbox, now)).collect();
        let is_readable = |row: &Row| {
            let effective = rights[row.part].as_ref();
            let folder = row.upstream.as_ref().map(|(name, _)| name);
            effective.zip(folder).is_some_and(|(effective, name)| {
                is_readable(effective, snapshot.place_of(effective.mailbox, name))
            })
        };
        for at in asked.iter().filter(|at| is_readable(&rows[**at])) {
            if let Some(data) = values.remove(at).flatten() {
                filter::status_line(self.client.wire.out(), rows[*at].wire.as_bytes(), items, &data);
            }
        }
        Ok(())
    }
}

fn visible(rows: &[Row]) -> Vec<Visible<'_>> {
    let visible = rows.iter().map(|row| Visible {
        name: &row.name,
        wire: row.wire.as_bytes(),
        special_use: row.special_use,
        subscribed: row.subscribed,
        selectable: row.selectable,
    });
    visible.collect()
}

/// The folders of one mailbox that the user sees and that have a name in this view.
fn add_rows(
    rows: &mut Vec<Row>,
    (part, inventory): (usize, &Inventory),
    (effective, snapshot): (&Effective, &Snapshot),
    combined: &Combined,
) {
    let mailbox = effective.mailbox;
    let subscriptions = snapshot.subscriptions(effective.user, mailbox);
    // Clients take the first \Sent that they see: those of shared mailboxes are not told.
    let special = if mailbox == combined.home() { special_uses(inventory) } else { HashMap::new() };
    for entry in inventory.entries() {
        let place = snapshot.place_of(mailbox, &entry.name);
        if !effective.lists(&place) {
            continue;
        }
        let Some(name) = combined.client_name(mailbox, &entry.name, inventory.separator) else { continue };
        rows.push(Row {
            part,
            wire: name.to_wire(),
            name,
            upstream: Some((entry.name.clone(), entry.wire.clone())),
            special_use: special.get(&entry.name).copied(),
            subscribed: subscriptions.is_subscribed(&entry.name),
            // Listed and not read: nobody is to try (RFC 5819 §2).
            selectable: entry.attributes.is_selectable() && effective.reads(&place),
            readable: is_readable(effective, place),
        });
    }
}

/// Of a mailbox whose host is out of reach, its name alone.
fn top_row(part: usize, (effective, snapshot): (&Effective, &Snapshot), combined: &Combined) -> Option<Row> {
    let inbox = FolderName::inbox();
    let place = snapshot.place_of(effective.mailbox, &inbox);
    let name = combined.client_name(effective.mailbox, &inbox, Some(SEPARATOR))?;
    effective.lists(&place).then(|| Row {
        part,
        wire: name.to_wire(),
        name,
        upstream: None,
        special_use: None,
        subscribed: snapshot.subscriptions(effective.user, effective.mailbox).is_subscribed(&inbox),
        selectable: effective.reads(&place),
        readable: false,
    })
}

fn is_readable(effective: &Effective, place: Place) -> bool {
    matches!(decide(effective, &Action::Status(place), clock::now()), Decision::Permit(_))
}

/// One folder for each special use: the one that the host says, else the first by name.
fn special_uses(inventory: &Inventory) -> HashMap<&FolderName, &'static str> {
    let mut uses: HashMap<&'static str, &Entry> = HashMap::new();
    for entry in inventory.entries() {
        let Some(special) = suggest_class(entry, inventory.separator).special_use() else { continue };
        let said = entry.attributes.special.is_some();
        let before = uses.get(special).map(|before| before.attributes.special.is_some());
        if before.is_none_or(|before_said| said && !before_said) {
            uses.insert(special, entry);
        }
    }
    uses.into_iter().map(|(special, entry)| (&entry.name, special)).collect()
}

/// Does work, eight pieces at a time, until the deadline; what is not done then stays undone.
async fn some_at_a_time<T: Send + 'static>(
    work: Vec<impl Future<Output = T> + Send + 'static>,
    deadline: Instant,
) -> Vec<T> {
    let (mut work, mut running, mut done) = (work.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE {
            let Some(piece) = work.next() else { break };
            running.spawn(piece);
        }
        match timeout_at(deadline, running.join_next()).await {
            Ok(Some(Ok(piece))) => done.push(piece),
            Ok(Some(Err(error))) => tracing::error!(%error, "a mailbox could not be asked"),
            Ok(None) | Err(_) => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{AT_ONCE, TOGETHER, some_at_a_time, special_uses};
    use crate::imap::inventory::Inventory;
    use crate::imap::response::Listed;

    #[tokio::test(start_paused = true)]
    async fn eight_at_a_time_and_no_longer_than_the_deadline() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = |seconds| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_secs(seconds)).await;
                running.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let begun = Instant::now();
        let quick = some_at_a_time((0..50).map(|_| work(0)).collect(), begun + TOGETHER).await;
        assert_eq!((quick.len(), most.load(Ordering::SeqCst) <= AT_ONCE), (50, true));
        let mixed = (0..7).map(|_| work(60)).chain((0..20).map(|_| work(0))).collect();
        assert_eq!(some_at_a_time(mixed, begun + TOGETHER).await.len(), 20, "one is left for the quick");
        assert_eq!(begun.elapsed(), TOGETHER);
    }

    #[test]
    fn each_special_use_is_told_once() {
        let listed = |name: &str, attributes: &[&str]| Listed {
            attributes: attributes.iter().map(|text| (*text).to_owned()).collect(),
            separator: Some(b'/'),
            name: name.as_bytes().to_vec(),
        };
        let folders = [
            listed("INBOX", &[]),
            listed("Sent", &[]),
            listed("Sent Items", &["\\Sent"]),
            listed("Trash", &[]),
            listed("Deleted Items", &[]),
        ];
        let inventory = Inventory::build(folders);
        let mut uses: Vec<_> =
            special_uses(&inventory).into_iter().map(|(name, special)| (name.as_str(), special)).collect();
        uses.sort_unstable();
        assert_eq!(uses.len(), 2);
        assert!(uses.contains(&("Sent Items", "\\Sent")), "{uses:?}");
        assert!(uses.iter().any(|(_, special)| *special == "\\Trash"), "{uses:?}");
    }
}
