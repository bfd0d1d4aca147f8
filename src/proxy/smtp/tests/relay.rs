//! The ordinary way, and upstream's refusals.

use std::sync::Arc;

use tokio::sync::Notify;

use super::world::{Temper, World, plain};
use crate::proxy::smtp::Settings;
use crate::telemetry::Counter;

const MESSAGE: &str = "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nMessage-ID: <1@laptop>\r\n\
    Date: x\r\nSubject: hello\r\n\r\nHello.\r\n..dot\r\n";

#[tokio::test]
async fn a_message_goes_out_from_the_mailbox() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    let heard = client.send("alice@example.org", MESSAGE).await;
    assert_eq!(heard, "250 2.0.0 The mail host has taken the message\r\n");
    assert_eq!(
        world.commands(),
        ["EHLO mx.example.org", "MAIL FROM:<Support@example.org>", "RCPT TO:<bob@example.net>", "DATA"]
    );
    let message = world.messages().remove(0);
    let (header, body) = message.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "Hello.\r\n..dot\r\n");
    assert!(header.contains("From: \"Example Support\"\r\n <Support@example.org>\r\nTo: "), "{header}");
    assert!(header.contains("Message-ID: <1@laptop>") && !header.contains("alice"), "{header}");

    let sent = world.journal("send").await;
    assert_eq!((&sent[0]["from"], &sent[0]["recipients"]), (&"Support@example.org".into(), &1.into()));
    let outcome = world.journal("outcome").await;
    assert_eq!((&outcome[0]["outcome"], &outcome[0]["queue_id"]), (&"done".into(), &"ABC123".into()));
    assert_eq!(outcome[0]["intent"], sent[0]["seq"]);
    assert_eq!(world.journal("login").await.len(), 1);
    assert_eq!(world.services.counters.value(Counter::MessagesSubmitted), 1);
    assert_eq!(client.ask("QUIT").await, "221 2.0.0 Goodbye\r\n");
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_kept_session_uses_one_connection() {
    let world = World::new("manager", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    for _ in 0..3 {
        assert!(client.send("support@example.org", MESSAGE).await.starts_with("250"));
    }
    assert_eq!(world.commands().iter().filter(|line| line.starts_with("EHLO")).count(), 1);
    assert_eq!(world.messages().len(), 3);
}

#[tokio::test]
async fn what_is_offered() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.connect().await;
    assert_eq!(
        client.ask("EHLO laptop").await,
        "250-mx.example.org\r\n250-SIZE 52428800\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n\
         250-8BITMIME\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n"
    );
    assert_eq!(client.ask("HELO laptop").await, "250 mx.example.org\r\n");
    assert!(client.ask("STARTTLS").await.starts_with("502 5.5.1"));
}

#[tokio::test]
async fn logins() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.connect().await;
    assert!(
        client.ask(&format!("AUTH PLAIN {}", plain("alice@example.org", "secret"))).await.starts_with("503")
    );
    client.ask("EHLO laptop").await;
    assert_eq!(client.ask("AUTH LOGIN").await, "334 VXNlcm5hbWU6\r\n");
    assert_eq!(client.ask("YWxpY2VAZXhhbXBsZS5vcmcvc3VwcG9ydA==").await, "334 UGFzc3dvcmQ6\r\n");
    assert_eq!(client.ask("c2VjcmV0").await, "235 2.7.0 Welcome\r\n");
    assert!(client.ask("AUTH LOGIN").await.starts_with("503"));

    let mut client = world.connect().await;
    client.ask("EHLO laptop").await;
    assert_eq!(client.ask("AUTH PLAIN").await, "334 \r\n");
    assert_eq!(client.ask("*").await, "501 5.7.0 The login was cancelled\r\n");
    let nothing = client.ask(&format!("AUTH PLAIN {}", plain("alice@example.org/other", "secret"))).await;
    assert!(nothing.starts_with("454 4.7.0 You have no access"), "{nothing}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_one_answer() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.connect().await;
    client.ask("EHLO laptop").await;
    for login in ["alice@example.org", "nobody@example.org"] {
        let heard = client.ask(&format!("AUTH PLAIN {}", plain(login, "wrong"))).await;
        assert_eq!(heard, "535 5.7.8 The user name or password is wrong\r\n", "{login}");
    }
    assert_eq!(world.services.counters.value(Counter::LoginsRefused), 2);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let temper = Temper { replies: vec![("RCPT TO:<no", "550 5.1.1 <secret> unknown")], ..Temper::default() };
    let world = World::new("responder", temper).await;
    let mut client = world.log_in("alice@example.org/support").await;
    client
        .say(
            b"MAIL FROM:<support@example.org>\r\nRCPT TO:<no@example.net>\r\nNOOP\r\n\
              RCPT TO:<bob@example.net>\r\nFOO\r\nDATA\r\n",
        )
        .await;
    for wanted in [
        "250 2.1.0 Sender accepted\r\n",
        "550 5.1.1 There is no such recipient\r\n",
        "250 2.0.0 Nothing done\r\n",
        "250 2.1.5 Recipient accepted\r\n",
        "500 5.5.2 Unknown command\r\n",
    ] {
        assert_eq!(client.hear().await, wanted);
    }
    assert!(client.hear().await.starts_with("354"));
    client.say(MESSAGE.as_bytes()).await;
    client.say(b".\r\nQUIT\r\n").await;
    assert!(client.hear().await.starts_with("250"));
    assert!(client.hear().await.starts_with("221"));
}

#[tokio::test]
async fn a_host_without_pipelining_gets_one_command_at_a_time() {
    let world = World::new("responder", Temper { ehlo: Some("250 host"), ..Temper::default() }).await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert!(client.ask("MAIL FROM:<help@example.org> SIZE=5 RET=HDRS").await.starts_with("250"));
    assert!(client.ask("RCPT TO:<bob@example.net> NOTIFY=NEVER").await.starts_with("250"));
    let commands = world.commands();
    assert_eq!(commands[1..], ["MAIL FROM:<help@example.org>", "RCPT TO:<bob@example.net>"]);
    assert_eq!(client.ask("RSET").await, "250 2.0.0 Forgotten\r\n");
    assert!(client.ask("MAIL FROM:<help@example.org> BODY=8BITMIME").await.starts_with("554 5.6.3"));
}

#[tokio::test]
async fn refusals_keep_their_code_and_lose_their_words() {
    for (at, reply, wanted) in [
        (
            "MAIL",
            "550 5.7.1 you are secret",
            "550 5.7.1 The mail host refuses messages from this mailbox\r\n",
        ),
        ("MAIL", "421 4.3.2 bye", "451 4.3.0 The mail host cannot take messages"),
        ("DATA.", "554 5.7.1 secret spam", "554 5.7.1 The mail host refuses the message\r\n"),
        ("DATA.", "452 4.2.2 secret", "452 4.2.2 The recipient's mailbox is full\r\n"),
        ("DATA", "451 4.3.0 secret", "451 4.3.0 The mail host cannot take the message now"),
    ] {
        let world = World::new("responder", Temper { replies: vec![(at, reply)], ..Temper::default() }).await;
        let mut client = world.log_in("alice@example.org/support").await;
        let heard = client.send("support@example.org", MESSAGE).await;
        assert!(heard.starts_with(wanted), "{at} {reply}: {heard}");
        if at.starts_with("DATA") {
            assert_eq!(world.journal("outcome").await[0]["outcome"], "refused");
        }
        // The session goes on.
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n");
    }
}

#[tokio::test]
async fn a_host_that_hangs_up_is_a_temporary_answer() {
    for at in ["EHLO", "MAIL", "RCPT", "DATA"] {
        let world = World::new("responder", Temper { hangs_up_at: Some(at), ..Temper::default() }).await;
        let mut client = world.log_in("alice@example.org/support").await;
        let mut heard = client.ask("MAIL FROM:<support@example.org>").await;
        if at == "RCPT" || at == "DATA" {
            heard = client.ask("RCPT TO:<bob@example.net>").await;
        }
        if at == "DATA" {
            client.ask("DATA").await;
            client.say(MESSAGE.as_bytes()).await;
            heard = client.ask(".").await;
        }
        assert!(heard.starts_with("451 4.4."), "{at}: {heard}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n");
    }
}

#[tokio::test]
async fn a_host_that_has_gone_meanwhile_is_dialled_again() {
    let temper = Temper { replies: vec![("RSET", "421 4.4.2 timeout")], ..Temper::default() };
    let world = World::new("responder", temper).await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert!(client.ask("MAIL FROM:<support@example.org>").await.starts_with("250"));
    assert!(client.ask("RSET").await.starts_with("250"));
    assert!(client.send("support@example.org", MESSAGE).await.starts_with("250"));
    assert_eq!(world.commands().iter().filter(|line| line.starts_with("EHLO")).count(), 2);
}

#[tokio::test]
async fn a_large_message_streams() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    client.say(b"MAIL FROM:<support@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n").await;
    for wanted in ["250", "250", "354"] {
        assert!(client.hear().await.starts_with(wanted));
    }
    client.say(b"From: support@example.org\r\n\r\n").await;
    let piece = b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(1_000);
    for _ in 0..280 {
        client.say(&piece).await;
    }
    assert!(client.ask(".").await.starts_with("250"));
    assert!(world.seen.lock().unwrap().octets > 280 * piece.len());
}

#[tokio::test]
async fn a_message_over_the_limit_is_read_to_its_end_and_refused() {
    let mut settings = Settings::default();
    settings.limits.message_octets = 1 << 20;
    let world = World::with("responder", Temper::default(), settings).await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert!(client.ask("MAIL FROM:<support@example.org> SIZE=1048577").await.starts_with("552 5.3.4"));
    let message = format!("From: support@example.org\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    let heard = client.send("support@example.org", &message).await;
    assert!(heard.starts_with("552 5.3.4 A message has at most 1 MiB"), "{heard}");
    world.until(|seen| seen.closed == 1).await;
    assert!(world.messages().is_empty());
    assert!(client.send("support@example.org", MESSAGE).await.starts_with("250"));
}

#[tokio::test]
async fn the_answer_waits_for_upstreams() {
    let hold = Arc::new(Notify::new());
    let world = World::new("responder", Temper { hold: Some(Arc::clone(&hold)), ..Temper::default() }).await;
    let mut client = world.log_in("alice@example.org/support").await;
    client.say(b"MAIL FROM:<support@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n").await;
    for wanted in ["250", "250", "354"] {
        assert!(client.hear().await.starts_with(wanted));
    }
    client.say(MESSAGE.as_bytes()).await;
    client.say(b".\r\n").await;
    world.until(|seen| seen.messages.len() == 1).await;
    assert!(world.journal("outcome").await.is_empty());
    assert_eq!(world.journal("send").await.len(), 1);
    hold.notify_one();
    assert!(client.hear().await.starts_with("250"));
}
