//! Mail hosts as the daemon meets them: connections, leases and the folder catalogue
//! against a real Dovecot.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mandate::imap::command::StatusItem;
use mandate::imap::response::{Response, parse};
use mandate::imap::scan::Event;
use mandate::net::{DialSettings, Dialer};
use mandate::types::{Account, Endpoint, FolderName, MailboxId, Secret, Security, Trust};
use mandate::upstream::smtp::Submission;
use mandate::upstream::{
    Catalogues, ConnectError, ConnectSettings, Connector, EnabledSet, Lease, LeaseError, Party, PoolSettings,
    Pools, Target,
};
use support::dovecot::{MASTER, MASTER_PASSWORD, SUPPORT, SUPPORT_PASSWORD, Settings};
use support::{Ca, Dovecot, Postfix, Sink};
use tokio::time::Instant;

fn connector() -> Connector {
    Connector::new(Arc::new(Dialer::new(DialSettings::default())), ConnectSettings::default())
}

fn pools() -> Arc<Pools> {
    Pools::new(connector(), PoolSettings::default())
}

fn target(address: SocketAddr, security: Security, ca: &Ca) -> Target {
    Target {
        mailbox: MailboxId(1),
        generation: 1,
        endpoint: Endpoint {
            host: "localhost".to_owned(),
            port: address.port(),
            security,
            trust: Trust::CaFile(ca.file()),
        },
        account: Account { authcid: SUPPORT.to_owned(), authzid: None },
        password: Secret::new(SUPPORT_PASSWORD),
        max_connections: 10,
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn lease(pools: &Arc<Pools>, target: &Target) -> Result<Lease, LeaseError> {
    pools.lease(target, EnabledSet::Plain, Party(1), later()).await
}

/// Sends a command as a session's relay does, and reads to its tagged answer.
async fn relay(lease: &mut Lease, command: &str) -> String {
    let tag = lease.tag();
    lease.wire.queue(format!("{tag} {command}\r\n").as_bytes());
    lease.wire.flush().await.unwrap();
    loop {
        let connection = &mut **lease;
        let (used, event) = connection.scanner.next(connection.wire.buffered());
        let more = event == Event::More;
        let answer = match event {
            Event::Line(line) => match parse(line) {
                Ok(Response::Tagged { .. }) => Some(String::from_utf8_lossy(line).into_owned()),
                _ => None,
            },
            _ => None,
        };
        connection.wire.consume(used);
        if let Some(answer) = answer {
            connection.answered();
            return answer;
        }
        if more {
            assert!(connection.wire.fill().await.unwrap() > 0, "the host hung up");
        }
    }
}

#[tokio::test]
async fn logs_in_by_every_way_and_security() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let masters = format!("{SUPPORT}*{MASTER}");
    for (address, security) in [
        (dovecot.imaps(), Security::Implicit),
        (dovecot.imap(), Security::StartTls),
        (dovecot.imap(), Security::Plaintext),
    ] {
        for (authcid, authzid, password) in [
            (SUPPORT, None, SUPPORT_PASSWORD),
            (masters.as_str(), None, MASTER_PASSWORD),
            (MASTER, Some(SUPPORT), MASTER_PASSWORD),
        ] {
            let account = Account { authcid: authcid.to_owned(), authzid: authzid.map(str::to_owned) };
            let target =
                Target { account, password: Secret::new(password), ..target(address, security, &ca) };
            let lease = lease(&pools(), &target).await.unwrap();
            assert_eq!(lease.wire.is_secure(), security != Security::Plaintext);
            assert!(lease.capabilities().has("MOVE"));
            lease.give_back().await;
        }
    }
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let good = target(dovecot.imaps(), Security::Implicit, &ca);
    let with_host = |host: &str| Endpoint { host: host.to_owned(), ..good.endpoint.clone() };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (target, label) in [
        (Target { password: Secret::new("wrong"), ..good.clone() }, "credential"),
        (target(dovecot.imaps(), Security::Implicit, &Ca::new()), "tls"),
        (target(dovecot.imap(), Security::Implicit, &ca), "tls"),
        (target(closed, Security::Implicit, &ca), "unreachable"),
        (Target { endpoint: with_host("nowhere.invalid"), ..good.clone() }, "unreachable"),
    ] {
        match lease(&pools(), &target).await {
            Err(LeaseError::Connect(error)) => assert_eq!(error.label(), label, "{error}"),
            Err(error) => panic!("{label}: {error}"),
            Ok(_) => panic!("{label}: logged in"),
        }
    }
}

#[tokio::test]
async fn the_hosts_own_cap_is_full_not_an_error() {
    let ca = Ca::new();
    let settings = Settings { max_connections: 2, ..Settings::default() };
    let dovecot = Dovecot::with(ca.localhost(), settings);
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let pools = pools();
    let first = lease(&pools, &target).await.unwrap();
    let _second = lease(&pools, &target).await.unwrap();
    assert!(matches!(lease(&pools, &target).await, Err(LeaseError::Full)));
    let waiting = tokio::spawn({
        let (pools, target) = (pools.clone(), target.clone());
        async move { lease(&pools, &target).await.map(drop) }
    });
    first.give_back().await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_used_connection_is_handed_on_with_nothing_selected() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let pools = pools();
    let mut first = lease(&pools, &target).await.unwrap();
    first.set_selected(true);
    assert!(relay(&mut first, "SELECT INBOX").await.contains("OK"));
    let local = first.tag();
    // Nothing was sent under it.
    first.answered();
    first.give_back().await;
    let mut second = lease(&pools, &target).await.unwrap();
    assert!(second.tag() > local, "the same connection, its tags counted on");
    assert!(relay(&mut second, "CHECK").await.contains("BAD"), "a folder is still selected");
}

/// Nothing of ours may follow a command that is under way: here `P00000003 NOOP`, of fourteen
/// octets, would be stored as a message.
#[tokio::test]
async fn a_connection_with_a_command_under_way_is_closed_unused() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let pools = pools();
    let mut first = lease(&pools, &target).await.unwrap();
    let tag = first.tag();
    first.wire.queue(format!("{tag} APPEND INBOX {{14}}\r\n").as_bytes());
    first.wire.flush().await.unwrap();
    first.give_back().await;
    let mut second = lease(&pools, &target).await.unwrap();
    assert_eq!(second.tag(), tag, "another connection, its tags begun anew");
    let inbox = dovecot.snapshot(SUPPORT);
    assert_eq!(dovecot.deliver(SUPPORT, "INBOX", b"Subject: first\r\n\r\nx\r\n"), 1, "{inbox:?}");
}

#[tokio::test]
async fn an_outage_costs_one_login_and_no_error() {
    let ca = Ca::new();
    let mut dovecot = Dovecot::start(&ca);
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let pools = pools();
    lease(&pools, &target).await.unwrap().give_back().await;
    dovecot.stop();
    dovecot.resume();
    let mut lease = lease(&pools, &target).await.unwrap();
    assert!(relay(&mut lease, "NOOP").await.contains("OK"));
}

#[tokio::test]
async fn what_a_set_enables_is_on() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let pools = pools();
    for enabled in [EnabledSet::Condstore, EnabledSet::CondstoreQresync] {
        let lease = pools.lease(&target, enabled, Party(1), later()).await.unwrap();
        assert_eq!(lease.enabled(), enabled);
        lease.give_back().await;
    }
}

#[tokio::test]
async fn the_catalogue_knows_folders_and_their_status() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let mut imap = dovecot.login(SUPPORT);
    imap.ok("CREATE \"A \\\"quoted\\\" name\"");
    dovecot.deliver(SUPPORT, "INBOX", b"Subject: one\r\n\r\nbody\r\n");
    let target = target(dovecot.imap(), Security::Plaintext, &ca);
    let catalogue = Catalogues::new(pools()).of(&target);

    let view = catalogue.view(later()).await.unwrap();
    let find = |name: &str| view.inventory.find(&FolderName::parse(name, Some('/')).unwrap());
    assert!(find("Sent").unwrap().attributes.special.is_some());
    let odd = find("A \"quoted\" name").unwrap().wire.clone();

    let items = [StatusItem::Messages, StatusItem::Unseen, StatusItem::UidValidity];
    let value = |values: Vec<(StatusItem, u64)>, item| values.iter().find(|(i, _)| *i == item).map(|v| v.1);
    let (inbox, odd, gone) = tokio::join!(
        catalogue.status(b"INBOX", &items),
        catalogue.status(&odd, &items),
        catalogue.status(b"Gone", &items),
    );
    assert_eq!(value(inbox.unwrap(), StatusItem::Messages), Some(1));
    assert_eq!(value(odd.unwrap(), StatusItem::Messages), Some(0));
    assert_eq!(gone, None);

    let surveyed = connector().survey(&target).await.unwrap();
    assert_eq!(surveyed, *view.inventory);

    imap.ok("DELETE Sent");
    imap.ok("CREATE Later");
    let after = catalogue.refresh(later()).await.unwrap();
    let names: Vec<_> = after.inventory.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert!(names.contains(&"Later"), "{names:?}");
    assert_ne!(after.version, view.version);
}

#[tokio::test]
async fn a_connect_error_tells_the_admin_enough_and_no_secret() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let mut target = target(dovecot.imap(), Security::Plaintext, &ca);
    target.password = Secret::new("a wrong one");
    let Err(LeaseError::Connect(error)) = lease(&pools(), &target).await else { panic!("logged in") };
    assert!(matches!(error, ConnectError::Credential(_)));
    let sentence = error.to_string();
    assert!(sentence.contains("AUTHENTICATIONFAILED") && !sentence.contains("a wrong one"), "{sentence}");
}

#[tokio::test]
async fn mail_is_handed_in_with_and_without_login() {
    let ca = Ca::new();
    let (dovecot, sink) = (Dovecot::start(&ca), Sink::start());
    let postfix = Postfix::start(&sink, &dovecot, &ca.localhost());
    let submissions = target(postfix.submissions(), Security::Implicit, &ca);
    let relay = target(postfix.relay(), Security::Plaintext, &ca);
    for (target, login) in [(&submissions, true), (&relay, false)] {
        let submission = Submission {
            endpoint: target.endpoint.clone(),
            login: login.then(|| (target.account.clone(), target.password.clone())),
            helo: "mandate.example.org".to_owned(),
        };
        let mut host = connector().submit(&submission).await.unwrap();
        assert!(host.extensions().eight_bit_mime && host.extensions().pipelining);
        host.line(format!("MAIL FROM:<{SUPPORT}>").as_bytes()).await.unwrap();
        assert_eq!(host.reply().await.unwrap().code(), 250);
        host.quit().await;
    }
    let wrong = Submission {
        endpoint: submissions.endpoint.clone(),
        login: Some((submissions.account.clone(), Secret::new("wrong"))),
        helo: "mandate.example.org".to_owned(),
    };
    let error = connector().submit(&wrong).await.err().unwrap();
    assert_eq!(error.label(), "credential", "{error}");
}
