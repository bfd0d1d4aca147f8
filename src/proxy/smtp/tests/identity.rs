//! Whose sender it is: at MAIL, and in the header.

use super::world::{Temper, World};

fn message(from: &str) -> String {
    format!("From: {from}\r\nSubject: x\r\n\r\nbody\r\n")
}

#[tokio::test]
async fn the_account_view_keeps_replaces_refuses() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    for (sender, header, sent_as) in [
        ("SUPPORT@example.org", "support@example.org", Some("Support@example.org")),
        ("help@example.org", "Help <HELP@example.org>", Some("help@example.org")),
        ("alice@example.org", "alice@example.org", Some("Support@example.org")),
        ("alice@example.org", "bob@example.org", None),
        ("support@example.org", "Team: support@example.org;", None),
        ("bob@example.org", "", None),
        ("support@example.net", "", None),
    ] {
        let before = world.messages().len();
        let heard = client.send(sender, &message(header)).await;
        let Some(sent_as) = sent_as else {
            assert!(heard.starts_with("550 5.7.1 "), "{sender} {header}: {heard}");
            assert_eq!(world.messages().len(), before);
            continue;
        };
        assert!(heard.starts_with("250"), "{sender} {header}: {heard}");
        let last = world.messages().pop().unwrap();
        assert!(last.contains(&format!("<{sent_as}>")), "{last}");
        let commands = world.commands();
        let mail = commands.iter().rfind(|line| line.starts_with("MAIL"));
        assert_eq!(*mail.unwrap(), format!("MAIL FROM:<{sent_as}>"));
    }
    assert_eq!(client.ask("MAIL FROM:<>").await.get(..9), Some("550 5.7.1"));
}

#[tokio::test]
async fn a_reader_is_told_at_mail_and_upstream_hears_nothing() {
    let world = World::new("reader", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    let heard = client.ask("MAIL FROM:<support@example.org>").await;
    assert_eq!(
        heard,
        "550 5.7.1 Your role \"reader\" in Support@example.org does not allow sending mail\r\n"
    );
    assert!(client.ask("RCPT TO:<bob@example.net>").await.starts_with("503"));
    assert!(world.commands().is_empty());
}

#[tokio::test]
async fn a_personal_login_sends_only_in_the_mailboxs_own_name() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org").await;
    assert!(client.send("support@example.org", &message("Support@example.org")).await.starts_with("250"));
    for (sender, header) in [
        ("alice@example.org", ""),
        ("bob@example.org", ""),
        ("support@example.org", "alice@example.org"),
        ("support@example.org", "bob@example.org"),
    ] {
        let heard = client.send(sender, &message(header)).await;
        assert!(heard.starts_with("550 5.7.1 "), "{sender} {header}: {heard}");
    }
    assert_eq!(world.messages().len(), 1);
}

#[tokio::test]
async fn a_refused_header_ends_upstreams_transaction_and_the_session_goes_on() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    let heard = client.send("support@example.org", "From: eve@example.org\r\n\r\nMAIL FROM:<x@y>\r\n").await;
    assert_eq!(
        heard,
        "550 5.7.1 You may not send as eve@example.org here; this account sends as Support@example.org\r\n"
    );
    assert_eq!(world.commands().last().unwrap(), "RSET");
    assert!(!world.commands().contains(&"DATA".to_owned()));
    assert!(world.journal("send").await.is_empty());
    assert!(client.send("support@example.org", &message("support@example.org")).await.starts_with("250"));
}
