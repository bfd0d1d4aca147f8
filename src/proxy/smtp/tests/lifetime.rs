//! Ends from outside: a withdrawn right, a client that goes, a drain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::world::{Client, Temper, World};
use crate::policy::{Grant, SendRight};

async fn half_a_message(world: &World) -> Client {
    let mut client = world.log_in("alice@example.org/support").await;
    client.say(b"MAIL FROM:<support@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n").await;
    for wanted in ["250", "250", "354"] {
        assert!(client.hear().await.starts_with(wanted));
    }
    let lines = "0123456789\r\n".repeat(4_000);
    client.say(format!("From: support@example.org\r\n\r\n{lines}").as_bytes()).await;
    world.until(|seen| seen.octets > 0).await;
    client
}

#[tokio::test]
async fn a_withdrawn_grant_ends_an_idle_session_at_once() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n");
    world.services.store.remove_grant(world.grant).await.unwrap();
    let since = Instant::now();
    assert_eq!(client.rest().await, "421 4.3.2 Your right to send as this mailbox has ended\r\n");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(world.journal("session_ended").await[0]["why"], "revoked");
}

#[tokio::test]
async fn a_disabled_user_is_out_and_a_personal_login_too() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org").await;
    world.services.store.set_disabled(world.alice, true).await.unwrap();
    assert!(client.rest().await.starts_with("421 4.3.2 "));
}

#[tokio::test]
async fn a_withdrawn_grant_cuts_a_message_in_the_middle() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = half_a_message(&world).await;
    world.services.store.suspend(world.grant, true).await.unwrap();
    assert_eq!(client.rest().await, "", "cut without a word");
    world.until(|seen| seen.closed == 1).await;
    assert!(world.messages().is_empty());
    assert_eq!(world.journal("outcome").await[0]["outcome"], "refused");
}

/// What the message looks like, and whether it must be an answer, was decided at its header.
#[tokio::test]
async fn a_lesser_right_to_send_stops_a_message_before_its_end() {
    for lesser in ["on-behalf", "answers only"] {
        let world = World::new("responder", Temper::default()).await;
        let mut client = half_a_message(&world).await;
        if lesser == "on-behalf" {
            let edit = |grant: &mut Grant| grant.send = Some(SendRight::OnBehalf);
            world.services.store.update_grant(world.grant, edit).await.unwrap();
        } else {
            world.set("reply_only", "yes").await;
        }
        let heard = client.ask(".").await;
        assert!(heard.starts_with("451 4.3.0 Your right to send has changed"), "{lesser}: {heard}");
        world.until(|seen| seen.closed == 1).await;
        assert!(world.messages().is_empty(), "{lesser}");
        assert_eq!(world.journal("outcome").await[0]["outcome"], "refused", "{lesser}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n", "{lesser}");
    }
}

#[tokio::test]
async fn a_grant_withdrawn_while_the_host_thinks_about_data_is_on_record_and_not_counted() {
    let world = World::new("responder", Temper { silent_at: Some("DATA"), ..Temper::default() }).await;
    world.set("messages_per_hour", "1").await;
    let mut client = world.log_in("alice@example.org/support").await;
    client.say(b"MAIL FROM:<support@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n").await;
    for wanted in ["250", "250", "354"] {
        assert!(client.hear().await.starts_with(wanted));
    }
    client.say(b"From: support@example.org\r\n\r\nbody\r\n").await;
    world.until(|seen| seen.commands.iter().any(|line| line == "DATA")).await;
    world.services.store.suspend(world.grant, true).await.unwrap();
    assert_eq!(client.rest().await, "", "cut without a word");
    assert_eq!(world.journal("outcome").await[0]["outcome"], "refused");
    world.uncounted().await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_end_sends_nothing() {
    let world = World::new("responder", Temper::default()).await;
    half_a_message(&world).await.hang_up().await;
    world.until(|seen| seen.closed == 1).await;
    assert!(world.messages().is_empty());
    assert_eq!(world.journal("outcome").await[0]["outcome"], "refused");
}

#[tokio::test]
async fn a_client_that_goes_after_the_end_has_sent_and_it_is_recorded() {
    let hold = Arc::new(Notify::new());
    let world = World::new("responder", Temper { hold: Some(Arc::clone(&hold)), ..Temper::default() }).await;
    let mut client = half_a_message(&world).await;
    client.say(b".\r\n").await;
    world.until(|seen| seen.messages.len() == 1).await;
    let gone = tokio::spawn(client.hang_up());
    hold.notify_one();
    gone.await.unwrap();
    let outcome = world.journal("outcome").await;
    assert_eq!((&outcome[0]["outcome"], &outcome[0]["queue_id"]), (&"done".into(), &"ABC123".into()));
}

#[tokio::test]
async fn a_drain_waits_for_the_message_and_then_says_goodbye() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = half_a_message(&world).await;
    world.drain.start();
    assert!(client.ask(".").await.starts_with("250"));
    assert_eq!(client.rest().await, "421 4.3.2 The service restarts; please connect again\r\n");
}
