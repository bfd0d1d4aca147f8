//! How much may be sent: each refusal has its codes and its sentence.

use super::world::{Temper, World};
use crate::proxy::smtp::Settings;
use crate::smtp::header::MAX_GROWTH;

const MESSAGE: &str = "From: support@example.org\r\n\r\nbody\r\n";

#[tokio::test]
async fn recipients_of_a_message() {
    let world = World::new("responder", Temper::default()).await;
    world.set("recipients", "2").await;
    let mut client = world.log_in("alice@example.org/support").await;
    client.ask("MAIL FROM:<support@example.org>").await;
    for n in 0..2 {
        assert!(client.ask(&format!("RCPT TO:<b{n}@example.net>")).await.starts_with("250"));
    }
    let heard = client.ask("RCPT TO:<b3@example.net>").await;
    assert_eq!(heard, "452 4.5.3 A message has at most 2 recipients; send it again to the others\r\n");
    assert!(client.ask("DATA").await.starts_with("354"));
    client.say(MESSAGE.as_bytes()).await;
    assert!(client.ask(".").await.starts_with("250 "), "the two get it");
    // The next message counts anew, and the session's own limit holds above the mailbox's.
    world.set("recipients", "1000").await;
    client.ask("MAIL FROM:<support@example.org>").await;
    for n in 0..100 {
        assert!(client.ask(&format!("RCPT TO:<b{n}@example.net>")).await.starts_with("250"), "{n}");
    }
    assert!(
        client.ask("RCPT TO:<more@example.net>").await.starts_with("452 4.5.3 A message has at most 100")
    );
}

#[tokio::test]
async fn messages_in_an_hour_and_a_day_also_after_a_restart() {
    for (key, time) in [("messages_per_hour", "hour"), ("messages_per_day", "day")] {
        let mut world = World::new("responder", Temper::default()).await;
        world.set(key, "2").await;
        let mut client = world.log_in("alice@example.org/support").await;
        for _ in 0..2 {
            assert!(client.send("support@example.org", MESSAGE).await.starts_with("250 "));
        }
        let wanted = format!(
            "451 4.7.28 You have sent 2 messages as Support@example.org within the {time}, the most allowed; \
             please try later\r\n"
        );
        assert_eq!(client.send("support@example.org", MESSAGE).await, wanted);
        drop(client);
        world.restart().await;
        let mut client = world.log_in("alice@example.org/support").await;
        assert_eq!(client.send("support@example.org", MESSAGE).await, wanted, "after a restart");
        world.set(key, "3").await;
        assert!(client.send("support@example.org", MESSAGE).await.starts_with("250 "));
        assert_eq!(world.messages().len(), 3);
    }
}

/// Two sessions that begin below the limit do not end above it.
#[tokio::test]
async fn the_last_message_is_sent_once() {
    let world = World::new("responder", Temper::default()).await;
    world.set("messages_per_hour", "1").await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = world.log_in("alice@example.org/support").await;
        assert!(client.ask("MAIL FROM:<support@example.org>").await.starts_with("250 "));
        assert!(client.ask("RCPT TO:<bob@example.net>").await.starts_with("250 "));
        assert!(client.ask("DATA").await.starts_with("354"));
        clients.push(client);
    }
    let mut sent = 0;
    for client in &mut clients {
        client.say(MESSAGE.as_bytes()).await;
        let heard = client.ask(".").await;
        sent += usize::from(heard.starts_with("250 "));
        assert!(heard.starts_with("250 ") || heard.starts_with("451 4.7.28 "), "{heard}");
    }
    assert_eq!((sent, world.messages().len()), (1, 1));
}

#[tokio::test]
async fn what_was_refused_is_not_counted() {
    let temper = Temper { replies: vec![("DATA.", "554 5.7.1 spam")], ..Temper::default() };
    let world = World::new("responder", temper).await;
    world.set("messages_per_hour", "1").await;
    let mut client = world.log_in("alice@example.org/support").await;
    for _ in 0..3 {
        let heard = client.send("support@example.org", MESSAGE).await;
        assert!(heard.starts_with("554 5.7.1 "), "{heard}");
        world.uncounted().await;
    }
}

#[tokio::test]
async fn size_leaves_room_for_our_fields() {
    let ehlo = Some("250-host\r\n250 SIZE 20000");
    let world = World::with("responder", Temper { ehlo, ..Temper::default() }, Settings::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    let most = 20_000 - MAX_GROWTH;
    let mail = |size| format!("MAIL FROM:<support@example.org> SIZE={size}");
    let heard = client.ask(&mail(most + 1)).await;
    assert_eq!(heard, "552 5.3.4 The message is too large for the mail host\r\n");
    assert!(client.ask(&mail(most)).await.starts_with("250 "));
    assert_eq!(world.commands().pop().unwrap(), "MAIL FROM:<Support@example.org> SIZE=20000");
    // Known now, it is what the next EHLO says.
    assert!(client.ask("EHLO laptop").await.contains(&format!("250-SIZE {most}\r\n")));
    // Who announces nothing learns it at the end.
    let long = format!("{MESSAGE}{}", "0123456789\r\n".repeat(2_000));
    let heard = client.send("support@example.org", &long).await;
    assert_eq!(heard, "552 5.3.4 A message has at most 11808 octets here\r\n");
    assert!(world.messages().is_empty());
}
