//! A personal login: own mail by the own host, a mailbox's by the mailbox's.

use std::sync::Arc;

use super::answers::Known;
use super::world::{Temper, World, plain};
use crate::store::{OwnHost, OwnLogin, Personal};
use crate::types::{Account, Endpoint, Security, Trust};

const OWN: &str = "Sender: ceo@example.org\r\nFrom: \"Alice\" <alice@example.org>\r\nDate: x\r\n\
    Message-ID: <1@laptop>\r\nBcc: c@example.net\r\nDKIM-Signature: v=1\r\n\r\nHello.\r\n";

#[tokio::test]
async fn without_a_host_own_mail_is_refused_and_a_mailboxs_is_not() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org").await;
    assert_eq!(
        client.ask("MAIL FROM:<alice@example.org>").await,
        "550 5.7.1 Your own mail does not go through here; use your account at your mail host for it\r\n"
    );
    let heard = client.send("support@example.org", "From: support@example.org\r\n\r\nx\r\n").await;
    assert!(heard.starts_with("250 "), "{heard}");
}

#[tokio::test]
async fn own_mail_goes_by_the_default_host_as_it_was_written() {
    let mut world = World::new("reader", Temper::default()).await;
    let own = world.own(Temper::default(), false).await;
    let mut client = world.log_in("alice@example.org").await;
    assert!(client.send("ALICE@example.org", OWN).await.starts_with("250 "));
    assert!(client.send("bob@example.org", "").await.starts_with("550 5.7.1 You may not send as bob"));
    let heard = client.send("alice@example.org", "From: bob@example.org\r\n\r\nx\r\n").await;
    assert!(heard.starts_with("550 5.7.1 You may not send as bob"), "{heard}");
    assert!(world.commands().is_empty(), "the mailbox's host hears nothing");
    let recorded = world.journal("send").await;
    assert_eq!(recorded[0]["from"], "alice@example.org");
    let own = own.lock().unwrap();
    assert!(own.commands.contains(&"MAIL FROM:<alice@example.org>".to_owned()));
    let sent: Vec<_> =
        own.messages.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect();
    let (header, body) = sent[0].split_once("\r\n\r\n").unwrap();
    assert_eq!((sent.len(), body), (1, "Hello.\r\n"));
    let fields: Vec<_> = header.split("\r\n").skip(2).collect();
    assert_eq!(
        fields,
        ["From: \"Alice\" <alice@example.org>", "Date: x", "Message-ID: <1@laptop>", "DKIM-Signature: v=1"]
    );
}

#[tokio::test]
async fn from_decides_whose_host_it_is() {
    let mut world = World::new("responder", Temper::default()).await;
    let own = world.own(Temper::default(), false).await;
    let mut client = world.log_in("alice@example.org").await;
    let heard = client.send("alice@example.org", "From: support@example.org\r\n\r\nx\r\n").await;
    assert!(heard.starts_with("250 "), "{heard}");
    assert_eq!((world.messages().len(), own.lock().unwrap().messages.len()), (1, 0));
    assert!(world.commands().contains(&"MAIL FROM:<Support@example.org>".to_owned()));
    let heard = client.send("support@example.org", OWN).await;
    assert!(heard.starts_with("250 "), "{heard}");
    assert_eq!((world.messages().len(), own.lock().unwrap().messages.len()), (1, 1));
    // And a mailbox whose role sends nothing is refused by From, too.
    let mut world = World::new("reader", Temper::default()).await;
    let own = world.own(Temper::default(), false).await;
    let mut client = world.log_in("alice@example.org").await;
    let heard = client.send("alice@example.org", "From: support@example.org\r\n\r\nx\r\n").await;
    assert!(heard.starts_with("550 5.7.1 Your role \"reader\""), "{heard}");
    assert!(own.lock().unwrap().messages.is_empty() && world.messages().is_empty());
    assert_eq!(own.lock().unwrap().commands.last().unwrap(), "RSET");
}

#[tokio::test]
async fn the_password_is_passed_through_where_the_host_wants_it() {
    let temper = || Temper {
        ehlo: Some("250-host\r\n250 AUTH PLAIN"),
        replies: vec![("AUTH", "235 2.7.0 Ok")],
        ..Temper::default()
    };
    // To the default host by login name, to the own one by the account that it names.
    for account in [None, Some("alice.example")] {
        let mut world = World::new("responder", Temper::default()).await;
        let own = world.own(temper(), true).await;
        if let Some(account) = account {
            let endpoint = Endpoint {
                host: "127.0.0.1".into(),
                port: std::mem::take(&mut world.settings().own.port),
                security: Security::Plaintext,
                trust: Trust::System,
            };
            let login = OwnLogin::PassThrough(Account { authcid: account.into(), authzid: None });
            let host = OwnHost { endpoint, login };
            let personal = Personal { imap: host.clone(), submission: Some(host), max_connections: 10 };
            world.services.store.set_personal(world.alice, Some(personal), Vec::new()).await.unwrap();
        }
        let mut client = world.log_in("alice@example.org").await;
        assert!(client.send("alice@example.org", OWN).await.starts_with("250 "), "{account:?}");
        let auth = format!("AUTH PLAIN {}", plain(account.unwrap_or("alice@example.org"), "secret"));
        assert!(own.lock().unwrap().commands.contains(&auth), "{account:?}");
    }
}

#[tokio::test]
async fn a_personal_answer_to_a_mailboxs_message() {
    let answer = |id: &str| format!("In-Reply-To: {id}\r\n{OWN}");
    for (value, heard, by_support, by_own) in [
        ("leave", "250 ", 0, 1),
        ("rewrite", "250 ", 1, 0),
        ("refuse", "550 5.7.1 This answers a message to Support@example.org", 0, 0),
    ] {
        let mut world = World::knowing("responder", Temper::default(), Arc::new(Known)).await;
        let own = world.own(Temper::default(), false).await;
        world.set("reply_from", value).await;
        let mut client = world.log_in("alice@example.org").await;
        let said = client.send("alice@example.org", &answer("<asked@example.net>")).await;
        assert!(said.starts_with(heard), "{value}: {said}");
        assert_eq!(
            (world.messages().len(), own.lock().unwrap().messages.len()),
            (by_support, by_own),
            "{value}"
        );
        if let Some(message) = world.messages().first() {
            assert!(message.contains("<Support@example.org>") && !message.contains("alice"), "{message}");
        }
        let said = client.send("alice@example.org", &answer("<sent@example.org>")).await;
        assert!(said.starts_with(heard), "{value}: {said}");
        let by_own = own.lock().unwrap().messages.len();
        // What answers nothing of the mailbox's is the person's own.
        assert!(client.send("alice@example.org", &answer("<other@example.net>")).await.starts_with("250 "));
        assert_eq!(own.lock().unwrap().messages.len(), by_own + 1, "{value}");
        let said = client.send("alice@example.org", &answer("<slow@example.net>")).await;
        assert!(said.starts_with(if value == "leave" { "250 " } else { "451 4.3.0 " }), "{value}: {said}");
    }
}
