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
}

impl Identity {
    /// The account view: a client that knows one account, which is the mailbox.
    pub fn account(mailbox: Vec<Address>, person: Vec<Address>, logins: Vec<String>) -> Self {
        Self { mailbox, person, logins, replaces: true }
    }

    /// A personal login that sends as a mailbox: only in the mailbox's own name.
    pub fn personal(mailbox: Vec<Address>, person: Vec<Address>) -> Self {
        Self { mailbox, person, logins: Vec::new(), replaces: false }
    }

    /// The address that goes out for a sender, in its configured spelling; `None`: not theirs.
    pub fn outgoing(&self, sender: &Path) -> Option<&Address> {
        let address = sender.address();
        let mine = |held: &&Address| address.as_ref().is_some_and(|address| address == *held);
        if let Some(kept) = self.mailbox.iter().find(mine) {
            return Some(kept);
        }
        let stands_for = self.person.iter().any(|held| mine(&held)) || self.is_login(sender.as_str());
        if self.replaces && stands_for { self.mailbox.first() } else { None }
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

    /// The person's own addresses, which must not go out.
    pub fn person(&self) -> &[Address] {
        &self.person
    }
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
        let personal = Identity::personal(mailbox(), all(&["alice@example.org"]));
        for (sender, as_account, as_person) in [
            ("support@EXAMPLE.org", Some("Support@example.org"), Some("Support@example.org")),
            ("HELP@example.org", Some("help@example.org"), Some("help@example.org")),
            ("Alice@example.org", Some("Support@example.org"), None),
            ("alice/support@example.org", Some("Support@example.org"), None),
            ("alice/help@example.org", Some("Support@example.org"), None),
            ("alice/support@example.net", None, None),
            ("bob@example.org", None, None),
            ("support@example.net", None, None),
        ] {
            let path = Path::parse(sender).unwrap();
            let out = |identity: &Identity| identity.outgoing(&path).map(ToString::to_string);
            assert_eq!(out(&account).as_deref(), as_account, "{sender}");
            assert_eq!(out(&personal).as_deref(), as_person, "{sender}");
        }
    }
}
