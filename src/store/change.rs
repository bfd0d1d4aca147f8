//! The changes that can be asked for. Each resolves when it is on disk, in the snapshot
//! and announced; an error means that nothing was changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::marks::Marks;
use super::record::{
    Group, Mailbox, NewGrant, NewMailbox, NewUser, OwnDrafts, PasswordHash, Subscriptions, User,
};
use super::sealed::{Purpose, Sealed};
use super::sent::{Exceeded, Sent};
use super::tables::{Draft, Key, Record, Row, Tables};
use super::writer::{Urgency, now};
use super::{Store, StoreError, export, identity, schema};
use crate::policy::{Grant, Holder, Narrowing, Role};
use crate::types::{
    FolderName, GrantId, GroupId, MailboxId, Secret, ShortName, Timestamp, UidSet, UidValidity, UserId,
};

/// Longest display name, note or granter in octets: they are shown in one line.
pub const MAX_TEXT: usize = 500;

/// Users.
impl Store {
    pub async fn add_user(&self, new: NewUser) -> Result<UserId, StoreError> {
        check_text("display name", &new.display)?;
        let NewUser { login, display, password, addresses } = new;
        self.change(move |draft| {
            let id = UserId(draft.next_id(|ids| &mut ids.user));
            let user = User { id, login, display, password, addresses, disabled: false, created_at: now() };
            draft.put(id, user);
            Ok(id)
        })
        .await
    }

    /// Changes whatever `edit` changes; the id stays.
    pub async fn update_user<F>(&self, id: UserId, edit: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut User) + Send + 'static,
    {
        self.change(move |draft| {
            let mut user: User = find(draft, &id)?;
            edit(&mut user);
            check_text("display name", &user.display)?;
            user.id = id;
            draft.put(id, user);
            Ok(())
        })
        .await
    }

    pub async fn set_password(&self, id: UserId, password: Option<PasswordHash>) -> Result<(), StoreError> {
        self.update_user(id, |user| user.password = password).await
    }

    pub async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<(), StoreError> {
        self.update_user(id, move |user| user.disabled = disabled).await
    }

    /// Removes the user with all memberships, grants, subscriptions and own drafts; an
    /// owner hands the mailbox over first.
    pub async fn remove_user(&self, id: UserId) -> Result<(), StoreError> {
        self.change(move |draft| {
            let user: User = find(draft, &id)?;
            let owned = draft.tables.mailboxes.values().find(|mailbox| mailbox.owner == Some(id));
            if let Some(mailbox) = owned {
                let (login, address) = (user.login, &mailbox.address);
                return refuse(format!("{login} owns mailbox {address}: give it another owner first"));
            }
            let groups = draft.tables.groups.values().filter(|group| group.members.contains(&id));
            for group in groups.map(|group| (**group).clone()).collect::<Vec<_>>() {
                draft.put(group.id, without(group, id));
            }
            draft.remove_where::<Grant>(|_, grant| grant.holder == Holder::User(id));
            draft.remove_where::<Subscriptions>(|(user, _), _| *user == id);
            draft.remove_where::<OwnDrafts>(|(user, _), _| *user == id);
            draft.remove_where::<Marks>(|(user, _), _| *user == id);
            draft.remove_personal(id);
            draft.remove_where::<Sent>(|(user, _), _| *user == id);
            draft.remove::<User>(&id);
            Ok(())
        })
        .await
    }
}

/// Groups.
impl Store {
    pub async fn add_group(&self, name: ShortName) -> Result<GroupId, StoreError> {
        self.change(move |draft| {
            let id = GroupId(draft.next_id(|ids| &mut ids.group));
            draft.put(id, Group { id, name, members: BTreeSet::new() });
            Ok(id)
        })
        .await
    }

    pub async fn join(&self, group: GroupId, user: UserId) -> Result<(), StoreError> {
        self.change(move |draft| {
            let mut record: Group = find(draft, &group)?;
            find::<User>(draft, &user)?;
            record.members.insert(user);
            draft.put(group, record);
            Ok(())
        })
        .await
    }

    pub async fn leave(&self, group: GroupId, user: UserId) -> Result<(), StoreError> {
        self.change(move |draft| {
            let record: Group = find(draft, &group)?;
            if !record.members.contains(&user) {
                return Err(StoreError::Unknown(format!("{user} is no member of group {}", record.name)));
            }
            draft.put(group, without(record, user));
            Ok(())
        })
        .await
    }

    /// Removes the group and the grants to it.
    pub async fn remove_group(&self, id: GroupId) -> Result<(), StoreError> {
        self.change(move |draft| {
            find::<Group>(draft, &id)?;
            draft.remove_where::<Grant>(|_, grant| grant.holder == Holder::Group(id));
            draft.remove::<Group>(&id);
            Ok(())
        })
        .await
    }
}

/// Mailboxes and their credentials.
impl Store {
    /// Adds the mailbox together with its upstream passwords, or neither.
    pub async fn add_mailbox(
        &self,
        new: NewMailbox,
        credentials: Vec<(Purpose, Secret)>,
    ) -> Result<MailboxId, StoreError> {
        check_mailbox(&new.display, new.max_connections)?;
        let shared = self.shared();
        self.change(move |draft| {
            let id = MailboxId(draft.next_id(|ids| &mut ids.mailbox));
            let mailbox = numbered(id, new);
            for (purpose, secret) in &credentials {
                let sealed = shared.sealer.seal(&identity(&mailbox, *purpose)?, secret)?;
                draft.put((id, *purpose), sealed);
            }
            draft.put(id, mailbox);
            Ok(id)
        })
        .await
    }

    /// Changes whatever `edit` changes; the id stays. After a change of host or port the
    /// credential must be set again: it was sealed for the other one.
    pub async fn update_mailbox<F>(&self, id: MailboxId, edit: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Mailbox) + Send + 'static,
    {
        self.change(move |draft| {
            let mut mailbox: Mailbox = find(draft, &id)?;
            edit(&mut mailbox);
            check_mailbox(&mailbox.display, mailbox.max_connections)?;
            mailbox.id = id;
            draft.put(id, mailbox);
            Ok(())
        })
        .await
    }

    /// Upstream has renamed a folder: its pins move along. A narrowed grant that did not reach
    /// it by its old name does not reach it by the new one either.
    pub async fn rename_folder(
        &self,
        id: MailboxId,
        from: FolderName,
        to: FolderName,
    ) -> Result<(), StoreError> {
        self.change(move |draft| {
            let mut mailbox: Mailbox = find(draft, &id)?;
            let moved = mailbox.move_pins(&from, &to);
            let narrowed = |grant: &&Arc<Grant>| grant.mailbox == id && !grant.narrowing.is_none();
            let grants: Vec<_> = draft.tables.grants.values().filter(narrowed).cloned().collect();
            for grant in grants {
                let mut kept = (*grant).clone();
                for (old, new) in &moved {
                    if !kept.narrowing.stay_out(old, new, mailbox.separator) {
                        // What can be named no more must be unknown instead.
                        mailbox.pins.retain(|pin| pin.folder != *new);
                    }
                }
                if kept != *grant {
                    draft.put(kept.id, kept);
                }
            }
            draft.put(id, mailbox);
            Ok(())
        })
        .await
    }

    pub async fn set_credential(
        &self,
        id: MailboxId,
        purpose: Purpose,
        secret: Secret,
    ) -> Result<(), StoreError> {
        let shared = self.shared();
        self.change(move |draft| {
            let mailbox: Mailbox = find(draft, &id)?;
            let sealed = shared.sealer.seal(&identity(&mailbox, purpose)?, &secret)?;
            draft.put((id, purpose), sealed);
            Ok(())
        })
        .await
    }

    /// Removes the mailbox here (never upstream) with its grants, credentials and whatever
    /// users said about it.
    pub async fn remove_mailbox(&self, id: MailboxId) -> Result<(), StoreError> {
        self.change(move |draft| {
            find::<Mailbox>(draft, &id)?;
            draft.remove_where::<Grant>(|_, grant| grant.mailbox == id);
            draft.remove_where::<Sealed>(|(mailbox, _), _| *mailbox == id);
            draft.remove_where::<Subscriptions>(|(_, mailbox), _| *mailbox == id);
            draft.remove_where::<OwnDrafts>(|(_, mailbox), _| *mailbox == id);
            draft.remove_where::<Marks>(|(_, (mailbox, _)), _| *mailbox == id);
            draft.remove_where::<Sent>(|(_, mailbox), _| *mailbox == id);
            draft.remove::<Mailbox>(&id);
            Ok(())
        })
        .await
    }
}

/// Grants and roles.
impl Store {
    /// Grants; the same role to the same holder on the same mailbox twice is two grants.
    pub async fn add_grant(&self, new: NewGrant) -> Result<GrantId, StoreError> {
        check_text("note", &new.note)?;
        check_text("granter", &new.granted_by)?;
        if let (Some(from), Some(until)) = (new.from, new.until)
            && until <= from
        {
            return refuse("a grant must end after it begins".into());
        }
        if new.narrowing.only.len() + new.narrowing.except.len() > Narrowing::MAX {
            return refuse(format!("a grant has at most {} patterns of folders", Narrowing::MAX));
        }
        if self.snapshot().role(&new.role).is_none() {
            return Err(StoreError::Unknown(format!("there is no role {}", new.role)));
        }
        self.change(move |draft| {
            match new.holder {
                Holder::User(id) => drop(find::<User>(draft, &id)?),
                Holder::Group(id) => drop(find::<Group>(draft, &id)?),
            }
            find::<Mailbox>(draft, &new.mailbox)?;
            let id = GrantId(draft.next_id(|ids| &mut ids.grant));
            let NewGrant { holder, mailbox, role, send, from, until, narrowing, note, granted_by } = new;
            let suspended = false;
            let granted_at = now();
            draft.put(
                id,
                Grant {
                    id,
                    holder,
                    mailbox,
                    role,
                    send,
                    from,
                    until,
                    suspended,
                    narrowing,
                    note,
                    granted_by,
                    granted_at,
                },
            );
            Ok(id)
        })
        .await
    }

    /// Changes whatever `edit` changes; the id stays.
    pub async fn update_grant<F>(&self, id: GrantId, edit: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Grant) + Send + 'static,
    {
        self.change(move |draft| {
            let mut grant: Grant = find(draft, &id)?;
            edit(&mut grant);
            grant.id = id;
            draft.put(id, grant);
            Ok(())
        })
        .await
    }

    pub async fn suspend(&self, id: GrantId, suspended: bool) -> Result<(), StoreError> {
        self.update_grant(id, move |grant| grant.suspended = suspended).await
    }

    pub async fn remove_grant(&self, id: GrantId) -> Result<(), StoreError> {
        self.change(move |draft| {
            find::<Grant>(draft, &id)?;
            draft.remove::<Grant>(&id);
            Ok(())
        })
        .await
    }

    /// Replaces the roles after a reload of the configuration; they are not stored here.
    pub async fn set_roles(&self, roles: Vec<Role>) -> Result<(), StoreError> {
        self.writer().set_roles(roles).await
    }
}

/// What users make of their mailboxes.
impl Store {
    /// SUBSCRIBE and UNSUBSCRIBE; seen at once, on disk within a second.
    pub async fn set_subscribed(
        &self,
        user: UserId,
        mailbox: MailboxId,
        folder: FolderName,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        self.personal(Urgency::Soon, user, mailbox, move |draft, key| {
            let mut names: Subscriptions = draft.copy(&key).unwrap_or_default();
            if !names.set(folder, subscribed) {
                let max = Subscriptions::MAX;
                return refuse(format!("at most {max} folder names can be subscribed or unsubscribed"));
            }
            draft.put(key, names);
            Ok(())
        })
        .await
    }

    /// Remembers messages that the user put into a Drafts folder.
    pub async fn own_drafts_add(
        &self,
        user: UserId,
        mailbox: MailboxId,
        folder: FolderName,
        validity: UidValidity,
        uids: UidSet,
    ) -> Result<(), StoreError> {
        self.personal(Urgency::Now, user, mailbox, move |draft, key| {
            let mut drafts: OwnDrafts = draft.copy(&key).unwrap_or_default();
            drafts.add(folder, validity, &uids);
            draft.put(key, drafts);
            Ok(())
        })
        .await
    }

    /// Forgets messages that have left the folder; seen at once, on disk within a second.
    pub async fn own_drafts_remove(
        &self,
        user: UserId,
        mailbox: MailboxId,
        folder: FolderName,
        validity: UidValidity,
        uids: UidSet,
    ) -> Result<(), StoreError> {
        self.personal(Urgency::Soon, user, mailbox, move |draft, key| {
            let Some(mut drafts) = draft.copy::<OwnDrafts>(&key) else { return Ok(()) };
            drafts.remove(&folder, validity, &uids);
            if drafts.is_empty() {
                draft.remove::<OwnDrafts>(&key);
            } else {
                draft.put(key, drafts);
            }
            Ok(())
        })
        .await
    }

    /// Counts a message that is about to be sent, unless that is one too many: then nothing
    /// is counted, and the limit is named.
    pub async fn count_sent(
        &self,
        user: UserId,
        mailbox: MailboxId,
        now: Timestamp,
    ) -> Result<Option<Exceeded>, StoreError> {
        let plan = move |draft: &mut Draft| {
            find::<User>(draft, &user)?;
            let options = find::<Mailbox>(draft, &mailbox)?.options;
            let mut sent: Sent = draft.copy(&(user, mailbox)).unwrap_or_default();
            if let Some(exceeded) = sent.exceeded(now, &options) {
                return Ok(Some(exceeded));
            }
            sent.add(now);
            draft.put((user, mailbox), sent);
            Ok(None)
        };
        self.writer().run(Urgency::Now, plan).await
    }

    /// Takes back one that was not sent after all; seen at once, on disk within a second.
    pub async fn uncount_sent(&self, user: UserId, mailbox: MailboxId) -> Result<(), StoreError> {
        self.personal(Urgency::Soon, user, mailbox, move |draft, key| {
            let Some(mut sent) = draft.copy::<Sent>(&key) else { return Ok(()) };
            sent.take_back();
            draft.put(key, sent);
            Ok(())
        })
        .await
    }

    pub(super) async fn personal(
        &self,
        urgency: Urgency,
        user: UserId,
        mailbox: MailboxId,
        plan: impl FnOnce(&mut Draft, (UserId, MailboxId)) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let plan = move |draft: &mut Draft| {
            find::<User>(draft, &user)?;
            if mailbox.home_user() != Some(user) {
                find::<Mailbox>(draft, &mailbox)?;
            }
            plan(draft, (user, mailbox))
        };
        self.writer().run(urgency, plan).await
    }
}

/// The whole.
impl Store {
    /// Puts back an export (also the store's own `export.jsonl`): all of it or nothing.
    /// Numbers given out here since are still not used again. Returns how many records
    /// there are then.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the store holds anything and `replace` is not set;
    /// [`StoreError::Damaged`] or [`StoreError::Newer`] for the export.
    pub async fn apply(&self, text: &str, replace: bool) -> Result<usize, StoreError> {
        let rows = schema::rows_of_export(text, &schema::CURRENT)?;
        self.change(move |draft| {
            let before = &draft.tables;
            let holds = [before.users.len(), before.groups.len(), before.mailboxes.len()];
            if !replace && holds != [0, 0, 0] {
                return refuse("the store holds records already: they would be replaced".into());
            }
            let before = draft.tables.rows();
            let last = draft.tables.last_ids();
            draft.tables = Tables::default();
            for row in &rows {
                draft.tables.load(row).map_err(export::damaged)?;
            }
            // A later row of the same key wins: what is gone is removed, the rest put back.
            draft.rows = before.into_iter().map(|row| Row { value: None, ..row }).collect();
            draft.rows.extend(rows);
            let applied = draft.tables.rows().len();
            let ids = draft.tables.last_ids().at_least(&last);
            draft.put((), ids);
            Ok(applied)
        })
        .await
    }

    /// Resolves when everything asked for so far is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.writer().run(Urgency::Now, |_| Ok(())).await
    }

    /// Writes what is waiting, ends the writer and gives the files free.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.writer().stop().await
    }

    pub(super) async fn change<T: Send + 'static>(
        &self,
        plan: impl FnOnce(&mut Draft) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer().run(Urgency::Now, plan).await
    }
}

/// A copy of the record with this key, or a sentence that there is none.
fn find<R: Record + Clone>(draft: &Draft, key: &R::Key) -> Result<R, StoreError> {
    let none = || StoreError::Unknown(format!("there is no {} {}", R::KIND, key.text()));
    draft.copy(key).ok_or_else(none)
}

fn without(mut group: Group, user: UserId) -> Group {
    group.members.remove(&user);
    group
}

fn numbered(id: MailboxId, new: NewMailbox) -> Mailbox {
    Mailbox {
        id,
        address: new.address,
        aliases: new.aliases,
        short: new.short,
        display: new.display,
        owner: new.owner,
        imap: new.imap,
        imap_account: new.imap_account,
        submission: new.submission,
        max_connections: new.max_connections,
        pins: new.pins,
        separator: new.separator,
        options: new.options,
        created_at: now(),
    }
}

fn check_mailbox(display: &str, max_connections: u16) -> Result<(), StoreError> {
    check_text("display name", display)?;
    if max_connections == 0 {
        return refuse("a mailbox needs at least one connection".into());
    }
    Ok(())
}

/// Such a text goes into a table, a sentence or a header: one line, no control characters.
fn check_text(what: &str, text: &str) -> Result<(), StoreError> {
    if text.len() > MAX_TEXT {
        return refuse(format!("a {what} has at most {MAX_TEXT} octets"));
    }
    if text.chars().any(char::is_control) {
        return refuse(format!("a {what} must not contain control characters"));
    }
    Ok(())
}

fn refuse<T>(sentence: String) -> Result<T, StoreError> {
    Err(StoreError::Refused(sentence))
}
