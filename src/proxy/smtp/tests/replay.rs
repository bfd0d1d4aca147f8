//! From names another mailbox than MAIL did: the transaction begins anew, at that one's host.

use super::world::{Temper, World, until};

const FROM_SALES: &str = "From: sales@example.net\r\n\r\nbody\r\n";

async fn begun(world: &World) -> super::world::Client {
    let mut client = world.log_in("alice@example.org").await;
    for line in
        ["MAIL FROM:<support@example.org> RET=HDRS", "RCPT TO:<b@example.net>", "RCPT TO:<c@example.net>"]
    {
        assert!(client.ask(line).await.starts_with("250 "), "{line}");
    }
    assert!(client.ask("DATA").await.starts_with("354"));
    client.say(FROM_SALES.as_bytes()).await;
    client
}

#[tokio::test]
async fn it_goes_by_the_host_of_its_from() {
    let world = World::new("responder", Temper::default()).await;
    let sales = world.second("sales@example.net", Temper::default()).await;
    let mut client = begun(&world).await;
    assert!(client.ask(".").await.starts_with("250 "));
    assert!(world.messages().is_empty());
    assert!(world.commands().contains(&"RSET".to_owned()));
    assert!(!world.commands().contains(&"DATA".to_owned()));
    let sent = world.journal("send").await;
    assert_eq!((&sent[0]["from"], &sent[0]["recipients"]), (&"sales@example.net".into(), &2.into()));
    let sales = sales.lock().unwrap();
    assert_eq!(
        sales.commands[1..],
        [
            "MAIL FROM:<sales@example.net> RET=HDRS",
            "RCPT TO:<b@example.net>",
            "RCPT TO:<c@example.net>",
            "DATA"
        ]
    );
    assert_eq!(sales.messages.len(), 1);
}

/// The host that was asked first is lost at RSET: what the other one gets is watched all the same.
#[tokio::test]
async fn a_withdrawn_grant_cuts_it_also_when_the_first_host_is_lost() {
    let world = World::new("responder", Temper { hangs_up_at: Some("RSET"), ..Temper::default() }).await;
    let sales = world.second("sales@example.net", Temper::default()).await;
    let mut client = begun(&world).await;
    client.say("0123456789\r\n".repeat(4_000).as_bytes()).await;
    until(&sales, |seen| seen.octets > 0).await;
    let snapshot = world.services.store.snapshot();
    let grants: Vec<_> = snapshot.grants_of(world.alice).map(|grant| grant.id).collect();
    let other = grants.into_iter().find(|id| *id != world.grant).unwrap();
    world.services.store.suspend(other, true).await.unwrap();
    assert_eq!(client.rest().await, "", "cut without a word");
    until(&sales, |seen| seen.closed == 1).await;
    assert!(sales.lock().unwrap().messages.is_empty() && world.messages().is_empty());
    assert_eq!(world.journal("send").await[0]["recipients"], 2);
    assert_eq!(world.journal("outcome").await[0]["outcome"], "refused");
}

#[tokio::test]
async fn one_recipient_refused_there_is_all_refused() {
    let world = World::new("responder", Temper::default()).await;
    let temper = Temper { replies: vec![("RCPT TO:<c", "550 5.1.1 secret")], ..Temper::default() };
    let sales = world.second("sales@example.net", temper).await;
    let mut client = begun(&world).await;
    assert_eq!(
        client.ask(".").await,
        "550 5.1.1 There is no such recipient (c@example.net), so it was sent to nobody\r\n"
    );
    assert!(world.messages().is_empty());
    {
        let sales = sales.lock().unwrap();
        assert!(sales.messages.is_empty() && !sales.commands.contains(&"DATA".to_owned()));
        assert_eq!(sales.commands.last().unwrap(), "RSET");
    }
    assert!(world.journal("send").await.is_empty());
    assert!(
        client.send("support@example.org", "From: support@example.org\r\n\r\nx\r\n").await.starts_with("250")
    );
    assert_eq!(world.messages().len(), 1);
}

/// Aliases in two domains: the envelope follows From, so that SPF and DMARC agree.
#[tokio::test]
async fn the_envelope_follows_from_into_its_domain() {
    let world = World::new("responder", Temper::default()).await;
    world.alias("support@example.com").await;
    let mut client = world.log_in("alice@example.org/support").await;
    let heard = client.send("alice@example.org", "From: support@example.com\r\n\r\nx\r\n").await;
    assert!(heard.starts_with("250 "), "{heard}");
    let commands = world.commands();
    let mails: Vec<_> = commands.iter().filter(|line| line.starts_with("MAIL")).collect();
    assert_eq!(mails, ["MAIL FROM:<Support@example.org>", "MAIL FROM:<support@example.com>"]);
    assert_eq!(world.messages().len(), 1);
}
