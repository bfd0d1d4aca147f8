//! The usual scene: one shared mailbox, three people, all servers.

use super::dovecot::{self, SUPPORT, SUPPORT_PASSWORD};
use super::proxy;
use super::{Ca, Dovecot, Imap, Postfix, Proxy, Sink, Smtp};

/// The manager of the shared mailbox, and its owner.
pub const ALICE: &str = "alice@example.org";
/// The responder.
pub const BOB: &str = "bob@example.org";
/// The reader.
pub const CAROL: &str = "carol@example.org";

/// support@example.org on a real Dovecot and Postfix, behind Mandate.
///
/// Fields are dropped in this order: Mandate before what it talks to.
pub struct Scene {
    pub proxy: Proxy,
    pub postfix: Postfix,
    pub dovecot: Dovecot,
    pub sink: Sink,
    pub ca: Ca,
}

impl Scene {
    /// Starts everything, and adds the people, the mailbox and the grants by the
    /// command line.
    pub fn open() -> Scene {
        Scene::with(dovecot::Settings::default(), "")
    }

    /// The same with an upstream of the test's own, and more lines for `proxy.toml`.
    pub fn with(upstream: dovecot::Settings, extra: &str) -> Scene {
        let ca = Ca::new();
        let dovecot = Dovecot::with(ca.localhost(), upstream);
        let sink = Sink::start();
        let postfix = Postfix::start(&sink, &dovecot, &ca.localhost());
        let settings = proxy::Settings { certificate: ca.localhost(), extra: extra.to_owned() };
        let proxy = Proxy::with(settings);
        let scene = Scene { proxy, postfix, dovecot, sink, ca };
        for person in [ALICE, BOB, CAROL] {
            scene.add_user(person);
        }
        scene.add_support();
        scene.grant(ALICE, "manager");
        scene.grant(BOB, "responder");
        scene.grant(CAROL, "reader");
        scene
    }

    /// Adds a person whose password is [`password`].
    pub fn add_user(&self, login: &str) {
        self.proxy.run(&["user", "add", login, "--password-stdin"], &format!("{}\n", password(login)));
    }

    /// Gives a role in the shared mailbox.
    #[track_caller]
    pub fn grant(&self, login: &str, role: &str) {
        self.proxy.run(&["grant", "add", login, SUPPORT, role], "");
    }

    /// A second mailbox on the same account of the mail host, handed in at `sink`, in which
    /// bob is a responder. `how`: what else `mandate mailbox add` is told.
    #[track_caller]
    pub fn add_mailbox(&self, address: &str, sink: &Sink, how: &[&str]) {
        let imap = format!("localhost:{}", self.dovecot.imaps().port());
        let smtp = format!("localhost:{}", sink.address().port());
        let ca_file = self.ca.file();
        let add = ["mailbox", "add", address, "--imap", &imap, "--imap-user", SUPPORT, "--smtp", &smtp];
        let trust = ["--ca-file", ca_file.to_str().unwrap(), "--password-stdin"];
        let arguments = [&add[..], &trust[..], how].concat();
        self.proxy.run(&arguments, &format!("{SUPPORT_PASSWORD}\n"));
        self.proxy.run(&["grant", "add", BOB, address, "responder"], "");
    }

    /// A submission session of bob's as such a mailbox.
    #[track_caller]
    pub fn smtp_as(&self, address: &str) -> Smtp {
        self.proxy.smtp(&self.ca, &format!("{BOB}/{address}"), &password(BOB))
    }

    /// Takes every role in the shared mailbox back.
    #[track_caller]
    pub fn revoke(&self, login: &str) {
        self.proxy.run(&["grant", "remove", login, SUPPORT], "");
    }

    /// The shared mailbox, opened by a person with their own password.
    #[track_caller]
    pub fn imap(&self, login: &str) -> Imap {
        self.proxy.imap(&self.ca, &format!("{login}/{SUPPORT}"), &password(login))
    }

    /// A submission session as the shared mailbox.
    #[track_caller]
    pub fn smtp(&self, login: &str) -> Smtp {
        self.proxy.smtp(&self.ca, &format!("{login}/{SUPPORT}"), &password(login))
    }

    fn add_support(&self) {
        let imap = format!("localhost:{}", self.dovecot.imaps().port());
        let smtp = format!("localhost:{}", self.postfix.submissions().port());
        let ca_file = self.ca.file();
        let arguments = ["mailbox", "add", SUPPORT, "--display", "Example Support", "--owner", ALICE];
        let upstream = ["--imap", &imap, "--smtp", &smtp, "--ca-file", ca_file.to_str().unwrap()];
        let arguments = [&arguments[..], &upstream[..], &["--password-stdin"]].concat();
        self.proxy.run(&arguments, &format!("{SUPPORT_PASSWORD}\n"));
    }
}

/// A person's own password: `alice's password`.
pub fn password(login: &str) -> String {
    format!("{}'s password", login.split('@').next().unwrap_or_default())
}
