//! Logins against a real store.

use std::net::IpAddr;

use tempfile::TempDir;

use super::{Attempt, Authenticator, Login, LoginSettings, Outcome, Refusal, View, Why, origin};
use crate::auth::password::{HashSettings, hash_password};
use crate::policy::{Holder, Narrowing, RoleName};
use crate::sasl::Credentials;
use crate::store::{KEY_LEN, NewGrant, NewMailbox, NewUser, Options, Sealer, Settings, Store};
use crate::telemetry::Service;
use crate::types::{
    Account, Address, Endpoint, LoginName, MailboxId, Secret, Security, ShortName, Timestamp, Trust, UserId,
};

const NOW: Timestamp = Timestamp(2_000_000_000_000);

/// The least argon2 allows.
const HASHING: HashSettings = HashSettings { memory_kib: 8, passes: 1, at_once: 2, queue: 50 };

/// alice may open support, and sales by nobody's leave; carol is disabled; dave has no
/// password; erin's domain gives `sales` a second reading.
struct Office {
    _dir: TempDir,
    store: Store,
    auth: Authenticator,
    alice: UserId,
    carol: UserId,
    support: MailboxId,
}

impl Office {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(&[7; KEY_LEN]).unwrap();
        let store = Store::open(&dir.path().join("store"), sealer, Settings::default()).unwrap();
        let alice = add_user(&store, "alice@example.org", Some("alice's"), &["alice.doe@example.org"]).await;
        let carol = add_user(&store, "carol@example.org", Some("carol's"), &[]).await;
        store.set_disabled(carol, true).await.unwrap();
        add_user(&store, "dave@example.org", None, &[]).await;
        let erin = add_user(&store, "erin@example.net", Some("erin's"), &[]).await;
        let support = add_mailbox(&store, "support@example.org", "help").await;
        add_mailbox(&store, "info@example.org", "info").await;
        let sales = add_mailbox(&store, "sales.team@example.org", "sales").await;
        add_mailbox(&store, "sales@example.net", "net").await;
        grant(&store, alice, support).await;
        grant(&store, erin, sales).await;
        let settings = LoginSettings { hashing: HASHING, ..LoginSettings::default() };
        let auth = Authenticator::new(settings).unwrap();
        Self { _dir: dir, store, auth, alice, carol, support }
    }

    async fn login(&self, attempt: Attempt) -> Login {
        self.auth.authenticate(&self.store.snapshot(), attempt).await
    }

    /// alice's own login, right password.
    async fn alice_at(&self, now: Timestamp) -> Outcome {
        self.login(Attempt { now, ..attempt("alice@example.org", "alice's") }).await.outcome
    }
}

async fn add_user(store: &Store, login: &str, password: Option<&str>, addresses: &[&str]) -> UserId {
    let password = password.map(|text| hash_password(&Secret::new(text), &HASHING).unwrap());
    let new = NewUser {
        login: LoginName::parse(login).unwrap(),
        display: login.to_owned(),
        password,
        addresses: addresses.iter().map(|text| Address::parse(text).unwrap()).collect(),
    };
    store.add_user(new).await.unwrap()
}

async fn add_mailbox(store: &Store, address: &str, short: &str) -> MailboxId {
    let imap =
        Endpoint { host: "localhost".into(), port: 993, security: Security::Implicit, trust: Trust::System };
    let new = NewMailbox {
        address: Address::parse(address).unwrap(),
        aliases: Vec::new(),
        short: ShortName::parse(short).unwrap(),
        display: short.to_owned(),
        owner: None,
        imap,
        imap_account: Account { authcid: address.to_owned(), authzid: None },
        submission: None,
        max_connections: 10,
        pins: Vec::new(),
        separator: Some('/'),
        options: Options::default(),
    };
    store.add_mailbox(new, Vec::new()).await.unwrap()
}

async fn grant(store: &Store, user: UserId, mailbox: MailboxId) {
    let new = NewGrant {
        holder: Holder::User(user),
        mailbox,
        role: RoleName("reader".into()),
        send: None,
        from: None,
        until: Some(NOW.plus_millis(1000)),
        narrowing: Narrowing::default(),
        note: String::new(),
        granted_by: "uid:0".into(),
    };
    store.add_grant(new).await.unwrap();
}

fn attempt(authcid: &str, password: &str) -> Attempt {
    attempt_as("", authcid, password)
}

fn attempt_as(authzid: &str, authcid: &str, password: &str) -> Attempt {
    let credentials =
        Credentials::parse(authzid.as_bytes(), authcid.as_bytes(), password.as_bytes()).unwrap();
    Attempt { service: Service::Imap, peer: "192.0.2.1".parse().unwrap(), credentials, now: NOW }
}

fn why(outcome: &Outcome) -> Option<Why> {
    match outcome {
        Outcome::Refused(Refusal { why, .. }) => Some(*why),
        Outcome::Busy | Outcome::Welcome(_) => None,
    }
}

fn is_welcome(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Welcome(_))
}

#[tokio::test]
async fn every_login_form() {
    let office = Office::new().await;
    let support = || Ok(View::Mailbox(office.support));
    let no_access = |name: &str| Ok(View::NoAccess(name.to_owned()));
    let no_reading = || Err(Why::NoReading);
    for (authcid, authzid, expected) in [
        ("alice@example.org", "", Ok(View::Personal)),
        ("ALICE@Example.org", "", Ok(View::Personal)),
        ("alice.doe@example.org", "", Ok(View::Personal)),
        ("alice@example.org", "Alice@example.org", Ok(View::Personal)),
        ("alice@example.org", "alice.doe@example.org", Ok(View::Personal)),
        // The mailbox by address, by short name, by local part in alice's own domain.
        ("alice@example.org/support@example.org", "", support()),
        ("alice@example.org/Support@EXAMPLE.org", "", support()),
        ("alice@example.org/help", "", support()),
        ("alice@example.org/support", "", support()),
        ("alice.doe@example.org/help", "", support()),
        ("alice@example.org", "support@example.org", support()),
        ("alice@example.org", "help", support()),
        ("alice@example.org/help", "alice@example.org/help", support()),
        ("alice@example.org/help", "support@example.org", support()),
        // No grant and no such mailbox.
        ("alice@example.org/info", "", no_access("info")),
        ("alice@example.org/nobody", "", no_access("nobody")),
        ("alice@example.org/support@example.net", "", no_access("support@example.net")),
        ("alice@example.org", "info", no_access("info")),
        // Another person is no mailbox.
        ("alice@example.org/carol@example.org", "", no_access("carol@example.org")),
        ("alice@example.org", "carol@example.org", no_access("carol@example.org")),
        // Two names that do not mean one mailbox, and what has no reading at all.
        ("alice@example.org/help", "info", no_reading()),
        ("alice@example.org/help", "alice@example.org", no_reading()),
        ("alice@example.org/nobody", "nowhere", no_reading()),
        ("alice@example.org/help/info", "", no_reading()),
        ("alice@example.org/", "", no_reading()),
        ("alice@example.org", "alice@example.org/help", no_reading()),
        ("/help", "", no_reading()),
        // A mailbox does not log in.
        ("support@example.org", "", Err(Why::UnknownUser)),
        ("help", "", Err(Why::UnknownUser)),
        ("alice", "", Err(Why::UnknownUser)),
    ] {
        let outcome = office.login(attempt_as(authzid, authcid, "alice's")).await.outcome;
        let found = match outcome {
            Outcome::Welcome(welcome) => {
                assert_eq!((welcome.user, welcome.login.as_str()), (office.alice, "alice@example.org"));
                Ok(welcome.view)
            }
            Outcome::Refused(refusal) => Err(refusal.why),
            Outcome::Busy => panic!("busy"),
        };
        assert_eq!(found, expected, "{authcid} as {authzid:?}");
    }
}

#[tokio::test]
async fn two_readings_are_refused_like_a_wrong_password() {
    let office = Office::new().await;
    let ambiguous = office.login(attempt("erin@example.net/sales", "erin's")).await;
    assert_eq!(why(&ambiguous.outcome), Some(Why::NoReading));
    let exact = office.login(attempt("erin@example.net/sales.team@example.org", "erin's")).await;
    assert!(is_welcome(&exact.outcome));
}

#[tokio::test]
async fn a_grant_that_ended_is_no_access() {
    let office = Office::new().await;
    let login = || Attempt { now: NOW.plus_millis(1000), ..attempt("alice@example.org/help", "alice's") };
    let Outcome::Welcome(welcome) = office.login(login()).await.outcome else { panic!("refused") };
    assert_eq!(welcome.view, View::NoAccess("help".into()));
}

#[tokio::test]
async fn whatever_is_wrong_is_answered_at_the_same_time() {
    for (authcid, password, reason) in [
        ("alice@example.org", "wrong", Why::WrongPassword),
        ("alice@example.org/help", "wrong", Why::WrongPassword),
        ("nobody@example.org", "wrong", Why::UnknownUser),
        ("carol@example.org", "carol's", Why::Disabled),
        ("carol@example.org", "wrong", Why::WrongPassword),
        ("dave@example.org", "wrong", Why::WrongPassword),
        ("alice@example.org/a/b", "alice's", Why::NoReading),
        ("alice@example.org", "mdt_17_secret", Why::AppPassword),
        ("support@example.org", "mdt_17_secret", Why::AppPassword),
    ] {
        let office = Office::new().await;
        let first = office.login(attempt(authcid, password)).await;
        assert_eq!(why(&first.outcome), Some(reason), "{authcid}");
        assert_eq!(first.answer_at, NOW.plus_millis(2000), "{authcid}");
        let again = office.login(attempt(authcid, password)).await;
        assert_eq!((why(&again.outcome), again.answer_at), (Some(Why::Repeated), NOW.plus_millis(2000)));
        let other = office.login(attempt(authcid, "other")).await;
        assert_eq!(other.answer_at, NOW.plus_millis(4000), "{authcid}");
    }
}

#[tokio::test]
async fn nobodys_password_is_hashed_too() {
    let office = Office::new().await;
    office.auth.verifier.stop();
    for (authcid, password) in [
        ("alice@example.org", "wrong"),
        ("nobody@example.org", "wrong"),
        ("carol@example.org", "carol's"),
        ("dave@example.org", "wrong"),
        ("alice@example.org/a/b", "alice's"),
        ("alice@example.org", "mdt_17_secret"),
    ] {
        let login = office.login(attempt(authcid, password)).await;
        assert!(matches!(login.outcome, Outcome::Busy), "{authcid}");
        assert_eq!(login.answer_at, NOW, "a full queue is nobody's failure");
    }
}

#[tokio::test]
async fn a_verified_password_is_remembered() {
    let office = Office::new().await;
    assert!(is_welcome(&office.alice_at(NOW).await));
    office.auth.verifier.stop();
    assert!(is_welcome(&office.alice_at(NOW.plus_millis(299_999)).await));
    let other_service = Attempt { service: Service::Submission, ..attempt("alice@example.org", "alice's") };
    assert!(matches!(office.login(other_service).await.outcome, Outcome::Busy));
    assert!(matches!(office.alice_at(NOW.plus_millis(300_000)).await, Outcome::Busy));
    // Changed, even to the same one: hashed again.
    let hash = hash_password(&Secret::new("alice's"), &HASHING).unwrap();
    office.store.set_password(office.alice, Some(hash)).await.unwrap();
    assert!(matches!(office.alice_at(NOW).await, Outcome::Busy));
}

#[tokio::test]
async fn a_disabled_user_is_not_remembered() {
    let office = Office::new().await;
    assert!(is_welcome(&office.alice_at(NOW).await));
    office.store.set_disabled(office.alice, true).await.unwrap();
    assert_eq!(why(&office.alice_at(NOW).await), Some(Why::Disabled));
    office.store.set_disabled(office.carol, false).await.unwrap();
    assert!(is_welcome(&office.login(attempt("carol@example.org", "carol's")).await.outcome));
}

#[tokio::test]
async fn remembering_has_its_limit() {
    let office = Office::new().await;
    let settings = LoginSettings { hashing: HASHING, remember_seconds: 86_400, ..LoginSettings::default() };
    let office = Office { auth: Authenticator::new(settings).unwrap(), ..office };
    assert!(is_welcome(&office.alice_at(NOW).await));
    office.auth.verifier.stop();
    assert!(matches!(office.alice_at(NOW.plus_millis(300_000)).await, Outcome::Busy));
}

#[tokio::test]
async fn a_wrong_password_that_becomes_right() {
    let office = Office::new().await;
    let login = || attempt("alice@example.org", "new one");
    assert_eq!(why(&office.login(login()).await.outcome), Some(Why::WrongPassword));
    let hash = hash_password(&Secret::new("new one"), &HASHING).unwrap();
    office.store.set_password(office.alice, Some(hash)).await.unwrap();
    assert!(is_welcome(&office.login(login()).await.outcome));
}

#[tokio::test]
async fn enabling_a_user_lets_the_waiting_telephone_in() {
    let office = Office::new().await;
    let login = || attempt("carol@example.org", "carol's");
    assert_eq!(why(&office.login(login()).await.outcome), Some(Why::Disabled));
    office.store.set_disabled(office.carol, false).await.unwrap();
    assert!(is_welcome(&office.login(login()).await.outcome));
}

#[tokio::test]
async fn a_form_that_gets_a_reading() {
    let office = Office::new().await;
    let login = || attempt("erin@example.net/sales", "erin's");
    assert_eq!(why(&office.login(login()).await.outcome), Some(Why::NoReading));
    assert_eq!(why(&office.login(login()).await.outcome), Some(Why::Repeated));
    let snapshot = office.store.snapshot();
    let net = snapshot.find_mailbox("net", None).unwrap().id;
    office.store.remove_mailbox(net).await.unwrap();
    assert!(is_welcome(&office.login(login()).await.outcome));
}

#[tokio::test]
async fn a_right_password_waits_where_others_failed() {
    let office = Office::new().await;
    let stranger: IpAddr = "203.0.113.5".parse().unwrap();
    for password in ["a", "b", "c"] {
        office.login(Attempt { peer: stranger, ..attempt("alice@example.org", password) }).await;
    }
    let login = office.login(attempt("alice@example.org", "alice's")).await;
    assert!(is_welcome(&login.outcome));
    assert_eq!(login.answer_at, NOW.plus_millis(8000), "a new place");
    let login = office.login(attempt("alice@example.org", "alice's")).await;
    assert_eq!(login.answer_at, NOW, "a known one");
}

#[test]
fn the_log_line_is_one_line() {
    let line = |authcid: &str| origin(&attempt(authcid, "secret"));
    assert_eq!(line("alice@example.org"), r#"rip=192.0.2.1 user="alice@example.org" svc=imap"#);
    assert_eq!(
        line("a\r\nauth-fail rip=198.51.100.1"),
        r#"rip=192.0.2.1 user="a\r\nauth-fail rip=198.51.100.1" svc=imap"#
    );
    assert!(line(&"\u{1b}".repeat(500)).len() < 600);
    let mapped = Attempt { peer: "::ffff:192.0.2.9".parse().unwrap(), ..attempt("a", "secret") };
    assert!(origin(&mapped).starts_with("rip=192.0.2.9 "));
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    let parse = |text: &str| toml::from_str::<LoginSettings>(text);
    assert_eq!(parse("").unwrap(), LoginSettings::default());
    assert!(parse("seperator = \"/\"").is_err());
    assert!(parse("separator = \"+\"").is_err());
    assert!(parse("[hashing]\nthreads = 2").is_err());
    assert!(parse("[throttle]\ntrusted_clients = [\"192.0.2.1/24\"]").is_err());
    let parsed = parse("separator = \"*\"\n[throttle]\ntrusted_clients = [\"192.0.2.0/24\"]").unwrap();
    assert_eq!(parsed.throttle.trusted_clients.len(), 1);
}
