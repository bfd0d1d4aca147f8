//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root for each mailbox, named by its address.

use super::ended::Ended;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::{Command, Tag};
use crate::imap::reply::{self, Outcome};
use crate::policy::{Fact, Facts, Next, Permit};
use crate::types::{FolderName, UidSet};

impl Session {
    /// Upstream's names of roots stay upstream: they may be account names.
    pub(super) async fn quota(
        &mut self,
        tag: &Tag,
        command: &Command,
        mut permit: Permit,
    ) -> Result<(), Ended> {
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: self.watch.effective(), own: &own, by_uid: true };
        match permit.next(&facts) {
            Next::Run(_) => {}
            Next::Refuse(denial) => return self.deny(tag, command, &denial).await,
            Next::Done => return Ok(()),
        }
        let root = self.watch.effective().address.to_string();
        let inbox = FolderName::inbox();
        let tells = self.tells_quota();
        if let Command::GetQuota { root: asked } = command
            && (!tells || *asked != root.as_bytes())
        {
            reply::tagged(self.client.wire.out(), tag, Outcome::No, "", "There is no such quota root");
            return Ok(());
        }
        let folder = if let Command::GetQuotaRoot(Ok(folder)) = command { folder } else { &inbox };
        let Some(entry) = self.folders.inventory.find(folder) else {
            self.unavailable(tag);
            return Ok(());
        };
        let mailbox = self.watch.effective().mailbox;
        let separator = self.folders.inventory.separator;
        let Some(name) = self.realm.client_name(mailbox, &entry.name, separator) else {
            self.unavailable(tag);
            return Ok(());
        };
        let (wire, name) = (entry.wire.clone(), name.to_wire());
        if !tells {
            let out = self.client.wire.out();
            reply::quota_root(out, name.as_bytes(), None);
            reply::completed(out, tag, "", super::record::verb(command));
            return Ok(());
        }
        let asking = self.catalogue.quota(&wire);
        let Some(quotas) = Box::pin(self.watch.unless_lost(Waiting::Upstream, asking)).await? else {
            self.unavailable(tag);
            return Ok(());
        };
        // Not to whom it has been withdrawn meanwhile.
        self.watch.refresh()?;
        if !self.tells_quota() {
            self.unavailable(tag);
            return Ok(());
        }
        let out = self.client.wire.out();
        if matches!(command, Command::GetQuotaRoot(_)) {
            reply::quota_root(out, name.as_bytes(), (!quotas.is_empty()).then_some(&root));
        }
        if !quotas.is_empty() {
            reply::quota(out, &root, &quotas);
        }
        reply::completed(out, tag, "", super::record::verb(command));
        Ok(())
    }

    /// Whether the user may know how full the mailbox is: the figures count every folder, so
    /// there must be none to hide, and INBOX must be readable.
    fn tells_quota(&self) -> bool {
        let effective = self.watch.effective();
        let snapshot = self.services.store.snapshot();
        let hides = snapshot.mailbox(effective.mailbox).is_some_and(|mailbox| mailbox.hides());
        let inbox = self.watch.place_of(&FolderName::inbox());
        !hides && !effective.is_narrowed() && effective.reads(&inbox)
    }
}
