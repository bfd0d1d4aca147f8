//! AUTH lines as long as may be, longer ones, and what is pipelined behind them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::world::{Client, Temper, World, plain};
use crate::smtp::frame::MAX_AUTH_LINE;

const WELCOME: &str = "235 2.7.0 Welcome\r\n";
const WRONG: &str = "535 5.7.8 The user name or password is wrong\r\n";
const TOO_LONG: &str = "500 5.5.6 The line is too long\r\n";
const MALFORMED: &str = "501 5.5.2 The login is not well formed\r\n";

async fn greeted(world: &World) -> Client {
    let mut client = world.connect().await;
    client.ask("EHLO laptop").await;
    client
}

/// The longest line that may be, its CRLF not counted: `begin`, and what base64 can be behind it.
fn longest(begin: &str) -> String {
    let room = (MAX_AUTH_LINE - begin.len()) / 4 * 4;
    let line = format!("{begin}{}", "A".repeat(room));
    assert!(line.len() > MAX_AUTH_LINE - 4 && line.len() <= MAX_AUTH_LINE);
    line
}

#[tokio::test]
async fn lines_of_12288_octets_are_read_and_longer_ones_are_not() {
    let world = World::new("responder", Temper::default()).await;
    for (before, begin) in [
        (&[][..], "AUTH PLAIN "),
        (&[][..], "AUTH LOGIN "),
        (&["AUTH PLAIN"][..], ""),
        (&["AUTH LOGIN"][..], ""),
        (&["AUTH LOGIN", "YWxpY2VAZXhhbXBsZS5vcmc="][..], ""),
    ] {
        let mut client = greeted(&world).await;
        for line in before {
            assert!(client.ask(line).await.starts_with("334 "), "{before:?}");
        }
        // Nobody has a name or password of nine thousand octets; the session goes on.
        let mut heard = client.ask(&longest(begin)).await;
        if heard == "334 UGFzc3dvcmQ6\r\n" {
            heard = client.ask("c2VjcmV0").await;
        }
        assert!(heard == TOO_LONG || heard == MALFORMED, "{before:?} {begin}: {heard}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 Nothing done\r\n", "{before:?} {begin}");
        // One octet more, and the rest could be anything: the last answer.
        let mut client = greeted(&world).await;
        for line in before {
            client.ask(line).await;
        }
        let over = format!("{begin}{}", "A".repeat(MAX_AUTH_LINE + 1 - begin.len()));
        client.say(format!("{over}\r\nNOOP\r\n").as_bytes()).await;
        assert_eq!(client.rest().await, TOO_LONG, "{before:?} {begin}");
    }
}

#[tokio::test]
async fn the_longest_name_and_password_pass_each_way() {
    let world = World::new("responder", Temper::default()).await;
    let password = "p".repeat(1_024);
    let long = format!("{}@example.org/support@example.org", "n".repeat(480));
    let response = plain(&long, &password);
    let mut client = greeted(&world).await;
    assert_eq!(client.ask(&format!("AUTH PLAIN {response}")).await, WRONG);
    assert_eq!(client.ask("AUTH PLAIN").await, "334 \r\n");
    assert_eq!(client.ask(&response).await, WRONG);
    let mut client = greeted(&world).await;
    client.ask("AUTH LOGIN").await;
    assert_eq!(client.ask(&STANDARD.encode(&long)).await, "334 UGFzc3dvcmQ6\r\n");
    assert_eq!(client.ask(&STANDARD.encode(&password)).await, WRONG);
    // One octet too many is not hashed.
    let over = plain("alice@example.org", &format!("{password}p"));
    assert_eq!(client.ask(&format!("AUTH PLAIN {over}")).await, TOO_LONG);
}

#[tokio::test]
async fn a_cancelled_login_is_none_and_the_next_one_counts() {
    let world = World::new("responder", Temper::default()).await;
    let right = plain("alice@example.org/support", "secret");
    for before in [&["AUTH PLAIN"][..], &["AUTH LOGIN"], &["AUTH LOGIN", "YWxpY2VAZXhhbXBsZS5vcmc="]] {
        let mut client = greeted(&world).await;
        for line in before {
            client.ask(line).await;
        }
        assert_eq!(client.ask("*").await, "501 5.7.0 The login was cancelled\r\n", "{before:?}");
        assert_eq!(client.ask(&format!("AUTH PLAIN {right}")).await, WELCOME, "{before:?}");
    }
    // As an initial response it is no base64 (RFC 4954 section 4), and `=` an empty one.
    let mut client = greeted(&world).await;
    assert_eq!(client.ask("AUTH PLAIN *").await, MALFORMED);
    assert_eq!(client.ask("AUTH PLAIN =").await, MALFORMED);
}

#[tokio::test]
async fn what_is_pipelined_behind_auth() {
    let world = World::new("responder", Temper::default()).await;
    let right = plain("alice@example.org/support", "secret");
    let wrong = plain("alice@example.org/support", "wrong");
    for (sent, heard) in [
        // A command that comes where a response is due is no response, and no command.
        (
            "AUTH PLAIN\r\nMAIL FROM:<support@example.org>\r\nNOOP\r\n".to_owned(),
            vec!["334 \r\n", MALFORMED, "250 2.0.0 Nothing done\r\n"],
        ),
        (
            format!("AUTH PLAIN {wrong}\r\nMAIL FROM:<support@example.org>\r\n"),
            vec![WRONG, "530 5.7.0 Please log in first\r\n"],
        ),
        (
            format!("AUTH PLAIN {right}\r\nMAIL FROM:<support@example.org>\r\n"),
            vec![WELCOME, "250 2.1.0 Sender accepted\r\n"],
        ),
        (
            format!("AUTH PLAIN {right}\r\nAUTH PLAIN {wrong}\r\n"),
            vec![WELCOME, "503 5.5.1 You are logged in already\r\n"],
        ),
    ] {
        let mut client = greeted(&world).await;
        client.say(sent.as_bytes()).await;
        for wanted in heard {
            assert_eq!(client.hear().await, wanted, "{sent}");
        }
    }
}
