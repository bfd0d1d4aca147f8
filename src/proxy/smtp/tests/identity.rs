//! Whose sender it is: at MAIL, and in the header.

use super::world::{Temper, World, address};
use crate::policy::{Grant, SendRight};
use crate::store::{NewUser, User};
use crate::types::LoginName;

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
    // Whether it is a receipt, the header says.
    let heard = client.send("", &message("support@example.org")).await;
    assert!(heard.starts_with("550 5.7.1 A message without a sender"), "{heard}");
}

fn receipt(from: &str) -> String {
    format!(
        "From: {from}\r\nSubject: read\r\nContent-Type: multipart/report;\r\n \
         report-type=disposition-notification; boundary=x\r\n\r\n--x\r\n\r\nread\r\n--x--\r\n"
    )
}

#[tokio::test]
async fn receipts_have_no_sender_and_an_allowed_from() {
    let world = World::new("responder", Temper::default()).await;
    for login in ["alice@example.org/support", "alice@example.org"] {
        let mut client = world.log_in(login).await;
        let before = world.messages().len();
        assert!(client.send("", &receipt("eve@example.org")).await.starts_with("550 5.7.1 "), "{login}");
        assert_eq!(world.messages().len(), before);
        let heard = client.send("", &receipt("help@example.org")).await;
        assert!(heard.starts_with("250 "), "{login}: {heard}");
        assert!(world.messages().pop().unwrap().contains("<help@example.org>"));
        let commands = world.commands();
        assert_eq!(commands.iter().rfind(|line| line.starts_with("MAIL")).unwrap(), "MAIL FROM:<>");
    }
}

#[tokio::test]
async fn on_behalf_names_the_person_and_a_grant_may_say_so() {
    let world = World::new("responder", Temper::default()).await;
    let send = |send| move |grant: &mut Grant| grant.send = send;
    let mut client = world.log_in("alice@example.org/support").await;
    for (how, sender, word) in [
        (Some(SendRight::OnBehalf), Some("Sender: alice@example.org\r\n"), "on-behalf"),
        (Some(SendRight::As), None, "as"),
        (None, None, "as"),
    ] {
        world.services.store.update_grant(world.grant, send(how)).await.unwrap();
        let heard = client.send("support@example.org", &message("alice@example.org")).await;
        assert!(heard.starts_with("250 "), "{how:?}: {heard}");
        let last = world.messages().pop().unwrap();
        assert!(sender.is_none_or(|sender| last.contains(sender)), "{last}");
        assert_eq!(last.contains("alice"), sender.is_some(), "{last}");
        assert_eq!(world.journal("send").await.last().unwrap()["how"], word);
    }
    world.services.store.update_grant(world.grant, send(Some(SendRight::None))).await.unwrap();
    assert!(client.rest().await.starts_with("421 4.3.2 "));
    let mut client = world.log_in("alice@example.org/support").await;
    assert!(client.ask("MAIL FROM:<support@example.org>").await.starts_with("550 5.7.1 Your role"));
}

#[tokio::test]
async fn display_names_come_from_the_template() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    for (template, name) in [
        ("{mailbox}", "From: \"Example Support\"\r\n <Support@example.org>"),
        ("{user} at {mailbox}", "From: \"Alice Example at Example Support\"\r\n <Support@example.org>"),
        ("", "From: Support@example.org"),
    ] {
        world.set("send_name", template).await;
        assert!(client.send("support@example.org", &message("alice@example.org")).await.starts_with("250 "));
        let last = world.messages().pop().unwrap();
        assert!(last.contains(&format!("{name}\r\n")), "{last}");
    }
}

#[tokio::test]
async fn a_tag_counts_where_the_mailbox_says_so() {
    let world = World::new("responder", Temper::default()).await;
    for login in ["alice@example.org/support", "alice@example.org"] {
        world.set("plus_tags", "no").await;
        let mut client = world.log_in(login).await;
        let heard = client.send("support+case7@example.org", &message("support+case7@example.org")).await;
        assert!(heard.starts_with("550 5.7.1 "), "{login}: {heard}");
        world.set("plus_tags", "yes").await;
        let heard = client.send("support+case7@example.org", &message("support+case7@example.org")).await;
        assert!(heard.starts_with("250 "), "{login}: {heard}");
        assert!(world.messages().pop().unwrap().contains("<Support+case7@example.org>"));
        assert!(client.send("alice+x@example.org", "").await.starts_with("550 5.7.1 "));
    }
}

/// A tagged address that somebody has is theirs; the person's own becomes the mailbox's.
#[tokio::test]
async fn a_tag_is_not_somebody_elses_address() {
    let world = World::new("responder", Temper::default()).await;
    world.set("plus_tags", "yes").await;
    let bob = NewUser {
        login: LoginName::parse("bob@example.org").unwrap(),
        display: String::new(),
        password: None,
        addresses: vec![address("support+vip@example.org")],
    };
    world.services.store.add_user(bob).await.unwrap();
    let eve = NewUser {
        login: LoginName::parse("support+eve@example.org").unwrap(),
        display: String::new(),
        password: None,
        addresses: Vec::new(),
    };
    world.services.store.add_user(eve).await.unwrap();
    for login in ["alice@example.org/support", "alice@example.org"] {
        let sender = "support+Eve@example.org";
        let heard = world.log_in(login).await.send(sender, &message(sender)).await;
        assert!(heard.starts_with("550 5.7.1 You may not send as "), "{login}, a login name: {heard}");
    }
    let edit = |user: &mut User| user.addresses.push(address("support+me@example.org"));
    world.services.store.update_user(world.alice, edit).await.unwrap();
    let mut client = world.log_in("alice@example.org/support").await;
    for (mail, from) in [
        ("support+vip@example.org", "support@example.org"),
        ("support@example.org", "Support+VIP@example.org"),
    ] {
        let heard = client.send(mail, &message(from)).await;
        assert!(heard.starts_with("550 5.7.1 You may not send as "), "{mail} {from}: {heard}");
    }
    assert!(world.messages().is_empty());
    let heard = client.send("support+me@example.org", &message("support+me@example.org")).await;
    assert!(heard.starts_with("250 "), "{heard}");
    assert!(world.messages().pop().unwrap().contains("<Support@example.org>"));
}

#[tokio::test]
async fn a_signature_that_is_taken_out_is_on_record() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    for (signature, removed) in [("DKIM-Signature: v=1; b=x\r\n", true), ("", false)] {
        let text = format!("{signature}From: support@example.org\r\n\r\nbody\r\n");
        assert!(client.send("support@example.org", &text).await.starts_with("250 "));
        assert!(!world.messages().pop().unwrap().contains("DKIM"));
        assert_eq!(world.journal("send").await.pop().unwrap()["signature_removed"] == true, removed);
    }
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
