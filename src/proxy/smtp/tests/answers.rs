//! A mailbox that sends answers only.

use std::sync::Arc;

use super::world::{Temper, World};
use crate::policy::{Among, FolderClass};
use crate::proxy::smtp::{Finding, Found, Parents};
use crate::types::{MailboxId, UserId};

/// Knows one message, one in Sent, and a host that does not answer.
pub(super) struct Known;

impl Parents for Known {
    fn find<'a>(&'a self, _: UserId, _: MailboxId, ids: &'a [String], among: Among) -> Finding<'a> {
        let found = match ids {
            _ if among.classes().contains(&FolderClass::Sent)
                && ids.iter().any(|id| id == "<sent@example.org>") =>
            {
                Found::Parent("<sent@example.org>".into())
            }
            _ if ids.iter().any(|id| id == "<asked@example.net>") => {
                Found::Parent("<asked@example.net>".into())
            }
            _ if ids.iter().any(|id| id == "<slow@example.net>") => Found::Undecided,
            _ => Found::Nowhere,
        };
        Box::pin(std::future::ready(found))
    }
}

fn message(answers: &str) -> String {
    format!("From: support@example.org\r\nMessage-ID: <1@laptop>\r\n{answers}\r\nbody\r\n")
}

#[tokio::test]
async fn a_responder_answers_and_a_manager_writes() {
    for (role, new, unsure) in [("responder", "550 5.7.1 ", "451 4.3.0 "), ("manager", "250 ", "250 ")] {
        let world = World::knowing(role, Temper::default(), Arc::new(Known)).await;
        world.set("reply_only", "yes").await;
        let mut client = world.log_in("alice@example.org/support").await;
        for (answers, wanted) in [
            ("", new),
            ("In-Reply-To: <other@example.net>\r\n", new),
            // In Sent anybody who sends could have put it.
            ("In-Reply-To: <sent@example.org>\r\n", new),
            ("In-Reply-To: <asked@example.net>\r\n", "250 "),
            ("References: <asked@example.net> <other@example.net>\r\n", "250 "),
            ("In-Reply-To: <slow@example.net>\r\n", unsure),
        ] {
            let before = world.messages().len();
            let heard = client.send("support@example.org", &message(answers)).await;
            assert!(heard.starts_with(wanted), "{role} {answers:?}: {heard}");
            assert_eq!(world.messages().len() - before, usize::from(wanted == "250 "), "{role} {answers:?}");
        }
    }
}

#[tokio::test]
async fn the_sentence_says_what_may_be_sent() {
    let world = World::knowing("responder", Temper::default(), Arc::new(Known)).await;
    world.set("reply_only", "yes").await;
    let mut client = world.log_in("alice@example.org/support").await;
    assert_eq!(
        client.send("support@example.org", &message("")).await,
        "550 5.7.1 In Support@example.org your role \"responder\" sends answers to its messages only, and this is none\r\n"
    );
}
