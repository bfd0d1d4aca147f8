//! As whom a session sends: which senders are kept, replaced, refused.

use super::Path;
use crate::types::Address;

/// The senders of one mailbox for one person.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The mailbox's address, then its aliases, in their configured spelling.
    mailbox: Vec<Address>,
    person: Vec<Address>,
    /// What the person logged in with: webmail makes a sender of it (`alice/support@example.org`).
    logins: Vec<String>,
    /// Whether the login *is* the mailbox, so that the person's own addresses stand for it.
    replaces: bool,
    plus_tags: bool,
}

impl Identity {
    /// The account view: a client that knows one account, which is the mailbox.
    pub fn account(mailbox: Vec<Address>, person: Vec<Address>, logins: Vec<String>) -> Self {
        Self { mailbox, person, logins, replaces: true, plus_tags: false }
    }

    /// A personal login that sends as a mailbox: only in the mailbox's own name.
    pub fn personal(mailbox: Vec<Address>) -> Self {
        Self { mailbox, person: Vec::new(), logins: Vec::new(), replaces: false, plus_tags: false }
    }

    /// Whether `support+2026@example.org` stands for `support@example.org` (RFC 5233).
    #[must_use]
    pub fn with_plus_tags(self, plus_tags: bool) -> Self {
        Self { plus_tags, ..self }
    }

    /// The address that goes out for a sender, in its configured spelling; `None`: not theirs.
    pub fn outgoing(&self, sender: &Path) -> Option<Address> {
        let address = sender.address();
        let mine = |held: &&Address| address.as_ref().is_some_and(|address| address == *held);
        if let Some(kept) = self.mailbox.iter().find(mine) {
            return Some(kept.clone());
        }
        if let Some(tagged) = address.as_ref().filter(|_| self.plus_tags).and_then(|to| self.tagged(to)) {
            return Some(tagged);
        }
        let stands_for = self.person.iter().any(|held| mine(&held)) || self.is_login(sender.as_str());
        if self.replaces && stands_for { self.mailbox.first().cloned() } else { None }
    }

    /// One of the mailbox's addresses with a tag; the tag is the client's.
    fn tagged(&self, sender: &Address) -> Option<Address> {
        let (base, tag) = untagged(sender)?;
        let held = self.mailbox.iter().find(|held| **held == base)?;
        Address::parse(&format!("{}+{tag}@{}", held.local(), held.domain())).ok()
    }

    /// Whether the sender is a login name, or one without a domain with ours put behind it:
    /// what Roundcube makes of `alice/support`.
    fn is_login(&self, sender: &str) -> bool {
        let Some((local, domain)) = sender.rsplit_once('@') else { return false };
        let domains = || self.mailbox.iter().chain(&self.person).map(Address::domain);
        let ours = domains().any(|ours| ours.eq_ignore_ascii_case(domain));
        self.logins
            .iter()
            .any(|login| login.eq_ignore_ascii_case(sender) || (ours && login.eq_ignore_ascii_case(local)))
    }
}

/// An address without its tag, and the tag: `support@example.org` and `2026`.
pub fn untagged(address: &Address) -> Option<(Address, &str)> {
    let (base, tag) = address.local().split_once('+').filter(|(_, tag)| !tag.is_empty())?;
    Some((Address::parse(&format!("{base}@{}", address.domain())).ok()?, tag))
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use crate::smtp::Path;
    use crate::types::Address;

    #[test]
    fn kept_replaced_refused() {
        let all = |texts: &[&str]| texts.iter().map(|text| Address::parse(text).unwrap()).collect::<Vec<_>>();
        let mailbox = || all(&["Support@example.org", "help@example.org"]);
        let account = Identity::account(
            mailbox(),
            all(&["alice@example.org"]),
            vec!["alice/support".into(), "alice/help@example.org".into()],
        );
        let personal = Identity::personal(mailbox());
        for (sender, as_account, as_person) in [
            ("support@EXAMPLE.org", Some("Support@example.org"), Some("Support@example.org")),
            ("HELP@example.org", Some("help@example.org"), Some("help@example.org")),
            ("Alice@example.org", Some("Support@example.org"), None),
            ("alice/support@example.org", Some("Support@example.org"), None),
            ("alice/help@example.org", Some("Support@example.org"), None),
            ("alice/support@example.net", None, None),
            ("bob@example.org", None, None),
            ("support@example.net", None, None),
            ("support+x@example.org", None, None),
        ] {
            let path = Path::parse(sender).unwrap();
            let out = |identity: &Identity| identity.outgoing(&path).map(|out| out.to_string());
            assert_eq!(out(&account).as_deref(), as_account, "{sender}");
            assert_eq!(out(&personal).as_deref(), as_person, "{sender}");
        }
    }

    #[test]
    fn tags_count_where_they_may() {
        let all = |texts: &[&str]| texts.iter().map(|text| Address::parse(text).unwrap()).collect::<Vec<_>>();
        let identity = Identity::personal(all(&["Support@example.org", "help@example.net"]));
        let identity = identity.with_plus_tags(true);
        for (sender, out) in [
            ("support+Case42@EXAMPLE.org", Some("Support+Case42@example.org")),
            ("help+a+b@example.net", Some("help+a+b@example.net")),
            ("support+@example.org", None),
            ("support+x@example.net", None),
            ("supporter+x@example.org", None),
            ("+x@example.org", None),
        ] {
            let sent = identity.outgoing(&Path::parse(sender).unwrap());
            assert_eq!(sent.map(|sent| sent.to_string()).as_deref(), out, "{sender}");
        }
    }
}
