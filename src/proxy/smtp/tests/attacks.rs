//! Clients that mean harm, or know no better: one clear answer, nothing upstream.

use super::world::{Temper, World};
use crate::proxy::smtp::Settings;

/// Each end-of-data variant, with a transaction smuggled behind it: one message is refused,
/// and the host sees neither it nor the other.
#[tokio::test]
async fn smuggled_transactions_do_not_exist() {
    let world = World::new("responder", Temper::default()).await;
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r\n.\r\r\n",
        "\r\r\n.\r\r\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
    ] {
        let mut client = world.log_in("alice@example.org/support").await;
        let message = format!(
            "From: support@example.org\r\n\r\nx{end}MAIL FROM:<eve@example.org>\r\n\
             RCPT TO:<bob@example.net>\r\nDATA\r\nFrom: eve@example.org\r\n\r\ny\r\n"
        );
        let heard = client.send("support@example.org", &message).await;
        assert!(heard.starts_with("550 5.6.11 "), "{end:?}: {heard}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n", "{end:?}");
    }
    assert!(world.messages().is_empty());
    assert!(!world.commands().iter().any(|line| line.contains("eve")));
}

#[tokio::test]
async fn lines_that_are_none_end_the_session() {
    let world = World::new("responder", Temper::default()).await;
    let long = format!("NOOP {}\r\n", "x".repeat(20_000));
    for (line, code) in
        [("NOOP\n", "5.5.2"), ("NO\rOP\r\n", "5.5.2"), ("NO\0OP\r\n", "5.5.2"), (&long, "5.5.6")]
    {
        let mut client = world.connect().await;
        client.say(line.as_bytes()).await;
        let heard = client.rest().await;
        assert!(heard.starts_with(&format!("500 {code} ")), "{heard}");
        assert_eq!(heard.lines().count(), 1);
    }
}

#[tokio::test]
async fn browsers_and_guessers_are_shown_out() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.connect().await;
    client.say(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<x@y>\r\n").await;
    assert_eq!(client.rest().await, "500 5.5.1 This is a mail submission service\r\n");

    let mut client = world.connect().await;
    client.say(b"FOO\r\nBAR\r\nBAZ\r\nQUUX\r\n").await;
    let heard = client.rest().await;
    assert!(heard.ends_with("421 4.7.0 Too many errors\r\n") && heard.lines().count() == 3, "{heard}");

    let mut client = world.log_in("alice@example.org/support").await;
    client.say("FOO\r\n".repeat(30).as_bytes()).await;
    assert_eq!(client.rest().await.lines().count(), 20);
}

#[tokio::test]
async fn who_does_not_log_in_in_time_is_told_so() {
    let settings = Settings { login_seconds: 0, ..Settings::default() };
    let world = World::with("responder", Temper::default(), settings).await;
    let mut client = world.connect().await;
    assert_eq!(client.rest().await, "421 4.4.2 No login in time; please connect again\r\n");
}

#[tokio::test]
async fn silence_ends_a_session_and_a_message() {
    let settings = Settings { command_seconds: 1, data_seconds: 1, ..Settings::default() };
    let world = World::with("responder", Temper::default(), settings).await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert!(client.rest().await.starts_with("421 4.4.2 "));
    let mut client = world.log_in("alice@example.org/support").await;
    client.say(b"MAIL FROM:<support@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n").await;
    client.say(b"From: support@example.org\r\n\r\nbegun\r\n").await;
    assert!(client.rest().await.contains("421 4.4.2 "));
    world.until(|seen| seen.closed == 1).await;
    assert!(world.messages().is_empty());
}

#[tokio::test]
async fn headers_that_are_read_in_two_ways_are_refused() {
    let world = World::new("responder", Temper::default()).await;
    let mut client = world.log_in("alice@example.org/support").await;
    for (header, code) in [
        ("Subject: none\r\n", "550 5.7.1"),
        ("From: support@example.org\r\nFrom: eve@example.org\r\n", "550 5.7.1"),
        ("From: support@example.org, eve@example.org\r\n", "550 5.7.1"),
        ("From : eve@example.org\r\nFrom: support@example.org\r\n", "550 5.6.0"),
        ("From: support@example.org\r\nno field\r\n", "550 5.6.0"),
        ("From: support@example.org\r\nSubject: b\u{fc}\r\n", "550 5.6.7"),
    ] {
        let heard = client.send("support@example.org", &format!("{header}\r\nbody\r\n")).await;
        assert!(heard.starts_with(code), "{header:?}: {heard}");
    }
    let long = format!("From: support@example.org\r\n{}\r\nbody\r\n", "X-Y: z\r\n".repeat(40_000));
    let heard = client.send("support@example.org", &long).await;
    assert!(heard.starts_with("552 5.3.4 "), "{heard}");
    assert!(world.messages().is_empty());
}
