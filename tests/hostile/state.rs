//! All that the mail host holds, and what of a change the journal names.

use crate::journal::Act;
use crate::support::dovecot::SUPPORT;
use crate::support::{CAROL, Scene, Snapshot, eventually};

/// ACLs and metadata exist upstream, so that they could be changed.
pub(crate) const EXTRA: &str = "mail_plugins = acl\n\
    mail_attribute_dict = file:%h/dovecot-attributes\n\
    protocol imap {\n mail_plugins = acl imap_acl\n imap_metadata = yes\n}\n\
    plugin {\n acl = vfile\n}\n";

pub(crate) struct State {
    snapshot: Snapshot,
    /// Answers to GETACL and GETMETADATA, folder by folder.
    besides: Vec<String>,
}

/// Fills the shared mailbox.
pub(crate) fn furnish(scene: &Scene) {
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("CREATE Projects");
    imap.ok("SUBSCRIBE Projects");
    imap.ok("SETACL Projects somebody lr");
    imap.ok("SETMETADATA INBOX (/private/comment \"as it was\")");
    for number in 0..24 {
        let folder =
            ["INBOX", "INBOX", "INBOX", "Drafts", "Sent", "Projects", "Trash", "Archive"][number % 8];
        let flags = ["", "\\Seen", "\\Deleted", "\\Flagged kw", "\\Draft"][number % 5];
        let text = format!(
            "From: customer{number}@example.net\r\nTo: {SUPPORT}\r\nSubject: question {number}\r\n\
             Message-ID: <q{number}@example.net>\r\n\r\na1 CREATE smug\r\n"
        );
        assert!(imap.append(folder, flags, text.as_bytes()).is_ok());
    }
    let mut reader = scene.imap(CAROL);
    eventually("Mandate sees the new folder", || reader.command("EXAMINE Projects").is_ok().then_some(()));
}

impl State {
    pub(crate) fn take(scene: &Scene) -> State {
        let mut imap = scene.dovecot.login(SUPPORT);
        let snapshot = Snapshot::take(&mut imap);
        let mut besides = Vec::new();
        for folder in snapshot.folders.keys() {
            besides.push(imap.ok(&format!("GETACL \"{folder}\"")).lines().join("\n"));
            let entries = "(DEPTH infinity) (/private /shared)";
            besides.push(imap.command(&format!("GETMETADATA {entries} \"{folder}\"")).to_string());
        }
        // Answers end with how long they took.
        besides.iter_mut().for_each(|text| text.truncate(text.find(" completed").unwrap_or(text.len())));
        State { snapshot, besides }
    }

    /// How many things are different in `later`.
    pub(crate) fn changes(&self, later: &State) -> usize {
        self.snapshot.changes(&later.snapshot).len()
    }

    /// What is different in `later` and no act accounts for.
    pub(crate) fn unnamed(&self, later: &State, acts: &[Act]) -> Vec<String> {
        let mut unnamed = Vec::new();
        if self.besides != later.besides {
            unnamed.push("ACLs or metadata".to_owned());
        }
        if self.snapshot.subscribed != later.snapshot.subscribed {
            unnamed.push("subscriptions".to_owned());
        }
        let (old, new) = (&self.snapshot.folders, &later.snapshot.folders);
        if !old.keys().eq(new.keys()) {
            unnamed.push(format!("folders {:?} instead of {:?}", new.keys(), old.keys()));
        }
        for (name, before) in old {
            let Some(after) = new.get(name) else { continue };
            if before.uid_validity != after.uid_validity {
                unnamed.push(format!("{name}: UIDVALIDITY"));
            }
            for uid in before.uid_next..after.uid_next {
                if !acts.iter().any(|act| act.puts(name, uid)) {
                    unnamed.push(format!("{name}: uid {uid} came"));
                }
            }
            for (uid, message) in &before.messages {
                let named = |act: &&Act| act.names(name, *uid);
                match after.messages.get(uid) {
                    None if acts.iter().filter(named).any(|act| act.removes) => {}
                    None => unnamed.push(format!("{name}: uid {uid} gone")),
                    Some(now) if now.hash != message.hash || now.internal_date != message.internal_date => {
                        unnamed.push(format!("{name}: uid {uid} content"));
                    }
                    Some(now) if now.flags == message.flags => {}
                    Some(_) if acts.iter().filter(named).any(|act| act.flags) => {}
                    Some(now) => {
                        unnamed
                            .push(format!("{name}: uid {uid} flags {:?} -> {:?}", message.flags, now.flags));
                    }
                }
            }
        }
        unnamed
    }
}
