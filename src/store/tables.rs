//! All records in memory, and the rows that a change to them leaves on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::marks::Marks;
use super::personal::Personal;
use super::record::{Group, Mailbox, OwnDrafts, Subscriptions, User};
use super::sealed::{Purpose, Sealed};
use super::sent::Sent;
use crate::policy::Grant;
use crate::types::{FolderName, GrantId, GroupId, MailboxId, UserId};

/// One table. Cloning costs one count; the first change to a clone copies its map.
pub(super) type Table<R> = Arc<BTreeMap<<R as Record>::Key, Arc<R>>>;

/// Every record, as one value: a clone is a consistent picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub users: Table<User>,
    pub groups: Table<Group>,
    pub mailboxes: Table<Mailbox>,
    pub grants: Table<Grant>,
    pub personals: Table<Personal>,
    pub credentials: Table<Sealed>,
    pub subscriptions: Table<Subscriptions>,
    pub drafts: Table<OwnDrafts>,
    pub marks: Table<Marks>,
    pub sent: Table<Sent>,
    pub ids: Table<LastIds>,
}

/// The highest numbers given out: none is used again, whatever was removed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct LastIds {
    pub user: u64,
    pub group: u64,
    pub mailbox: u64,
    pub grant: u64,
}

impl LastIds {
    /// The higher number of each kind.
    pub(super) fn at_least(&self, other: &Self) -> Self {
        Self {
            user: self.user.max(other.user),
            group: self.group.max(other.group),
            mailbox: self.mailbox.max(other.mailbox),
            grant: self.grant.max(other.grant),
        }
    }
}

/// A record as disk and export hold it; no value means that it was removed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Row {
    /// `user/1`, `draft/1/2`.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A kind of record and its table.
pub(super) trait Record: Serialize + DeserializeOwned + Sized {
    /// The first part of its rows' keys.
    const KIND: &'static str;
    type Key: Key;

    fn table(tables: &Tables) -> &Table<Self>;
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
}

/// The rest of a row's key.
pub(super) trait Key: Clone + Ord + Sized {
    fn text(&self) -> String;
    /// `None` unless `text` is what [`Key::text`] writes.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! record {
    ($type:ty, $kind:literal, $key:ty, $table:ident) => {
        impl Record for $type {
            const KIND: &'static str = $kind;
            type Key = $key;

            fn table(tables: &Tables) -> &Table<Self> {
                &tables.$table
            }

            fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
                &mut tables.$table
            }
        }
    };
}

record!(User, "user", UserId, users);
record!(Group, "group", GroupId, groups);
record!(Mailbox, "mailbox", MailboxId, mailboxes);
record!(Grant, "grant", GrantId, grants);
record!(Personal, "personal", UserId, personals);
record!(Sealed, "credential", (MailboxId, Purpose), credentials);
record!(Subscriptions, "subscriptions", (UserId, MailboxId), subscriptions);
record!(OwnDrafts, "drafts", (UserId, MailboxId), drafts);
record!(Marks, "marks", (UserId, (MailboxId, FolderName)), marks);
record!(Sent, "sent", (UserId, MailboxId), sent);
record!(LastIds, "ids", (), ids);

macro_rules! id_key {
    ($($id:ident)*) => {$(
        impl Key for $id {
            fn text(&self) -> String {
                self.0.to_string()
            }

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok().map(Self).filter(|id| id.text() == text)
            }
        }
    )*};
}

id_key!(UserId GroupId MailboxId GrantId);

impl Key for () {
    fn text(&self) -> String {
        "last".into()
    }

    fn parse(text: &str) -> Option<Self> {
        (text == "last").then_some(())
    }
}

impl Key for Purpose {
    fn text(&self) -> String {
        self.as_str().into()
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Imap, Self::Smtp].into_iter().find(|purpose| purpose.as_str() == text)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn text(&self) -> String {
        format!("{}/{}", self.0.text(), self.1.text())
    }

    fn parse(text: &str) -> Option<Self> {
        let (a, b) = text.split_once('/')?;
        Some((A::parse(a)?, B::parse(b)?))
    }
}

impl Tables {
    /// Takes a row from disk or export; the error names what is wrong with it.
    pub(super) fn load(&mut self, row: &Row) -> Result<(), String> {
        let (kind, key) = row.key.split_once('/').unwrap_or((&row.key, ""));
        let value = row.value.clone();
        let loaded = match kind {
            User::KIND => self.load_as::<User>(key, value),
            Group::KIND => self.load_as::<Group>(key, value),
            Mailbox::KIND => self.load_as::<Mailbox>(key, value),
            Grant::KIND => self.load_as::<Grant>(key, value),
            Personal::KIND => self.load_as::<Personal>(key, value),
            Sealed::KIND => self.load_as::<Sealed>(key, value),
            Subscriptions::KIND => self.load_as::<Subscriptions>(key, value),
            OwnDrafts::KIND => self.load_as::<OwnDrafts>(key, value),
            Marks::KIND => self.load_as::<Marks>(key, value),
            Sent::KIND => self.load_as::<Sent>(key, value),
            LastIds::KIND => self.load_as::<LastIds>(key, value),
            _ => Err("unknown kind of record".into()),
        };
        loaded.map_err(|why| format!("record {:?}: {why}", row.key))
    }

    fn load_as<R: Record>(&mut self, key: &str, value: Option<Value>) -> Result<(), String> {
        let key = R::Key::parse(key).ok_or("no such key")?;
        let table = Arc::make_mut(R::table_mut(self));
        match value {
            None => drop(table.remove(&key)),
            Some(value) => {
                let record = serde_json::from_value(value).map_err(|error| error.to_string())?;
                table.insert(key, Arc::new(record));
            }
        }
        Ok(())
    }

    /// Every record as a row.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        dump::<LastIds>(self, &mut rows);
        dump::<User>(self, &mut rows);
        dump::<Group>(self, &mut rows);
        dump::<Mailbox>(self, &mut rows);
        dump::<Personal>(self, &mut rows);
        dump::<Sealed>(self, &mut rows);
        dump::<Grant>(self, &mut rows);
        dump::<Subscriptions>(self, &mut rows);
        dump::<OwnDrafts>(self, &mut rows);
        dump::<Marks>(self, &mut rows);
        dump::<Sent>(self, &mut rows);
        rows
    }

    /// Whether what the snapshot's index is made of is the same.
    pub(super) fn same_directory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.users, &other.users)
            && Arc::ptr_eq(&self.groups, &other.groups)
            && Arc::ptr_eq(&self.mailboxes, &other.mailboxes)
            && Arc::ptr_eq(&self.grants, &other.grants)
    }

    pub(super) fn last_ids(&self) -> LastIds {
        self.ids.get(&()).map(|ids| (**ids).clone()).unwrap_or_default()
    }
}

fn dump<R: Record>(tables: &Tables, rows: &mut Vec<Row>) {
    rows.extend(R::table(tables).iter().map(|(key, record)| row::<R>(key, Some(record))));
}

fn row<R: Record>(key: &R::Key, record: Option<&R>) -> Row {
    // NOTE(unwrap): our records are structs with text keys; serde_json fails on neither.
    let value = record.map(|record| serde_json::to_value(record).expect("records serialise"));
    Row { key: format!("{}/{}", R::KIND, key.text()), value }
}

/// A change in the making: the tables as they will be, and the rows to write.
pub(super) struct Draft {
    pub tables: Tables,
    pub rows: Vec<Row>,
}

impl Draft {
    pub(super) fn of(tables: &Tables) -> Self {
        Self { tables: tables.clone(), rows: Vec::new() }
    }

    pub(super) fn find<R: Record>(&self, key: &R::Key) -> Option<&Arc<R>> {
        R::table(&self.tables).get(key)
    }

    /// A copy to change.
    pub(super) fn copy<R: Record + Clone>(&self, key: &R::Key) -> Option<R> {
        self.find::<R>(key).map(|record| (**record).clone())
    }

    pub(super) fn put<R: Record>(&mut self, key: R::Key, record: R) {
        self.rows.push(row(&key, Some(&record)));
        Arc::make_mut(R::table_mut(&mut self.tables)).insert(key, Arc::new(record));
    }

    pub(super) fn remove<R: Record>(&mut self, key: &R::Key) {
        if Arc::make_mut(R::table_mut(&mut self.tables)).remove(key).is_some() {
            self.rows.push(row::<R>(key, None));
        }
    }

    /// Removes every record whose key is `doomed`.
    pub(super) fn remove_where<R: Record>(&mut self, doomed: impl Fn(&R::Key, &R) -> bool) {
        let keys: Vec<_> = R::table(&self.tables)
            .iter()
            .filter(|(key, r)| doomed(key, r))
            .map(|(key, _)| key.clone())
            .collect();
        keys.iter().for_each(|key| self.remove::<R>(key));
    }

    /// The next number of the kind that `which` picks.
    pub(super) fn next_id(&mut self, which: impl Fn(&mut LastIds) -> &mut u64) -> u64 {
        let mut ids = self.tables.last_ids();
        let last = which(&mut ids);
        *last += 1;
        let id = *last;
        self.put((), ids);
        id
    }
}
