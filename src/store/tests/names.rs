//! Every name and address has one holder and one reading.

use super::{address, alice_and_support, mailbox, open, short, user};
use crate::store::{LookupError, Store, StoreError};
use crate::types::LoginName;

async fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.add_user(user("alice@example.org", &["alice@example.org", "a.example@example.org"])).await.unwrap();
    store.add_user(user("bob", &["bob@example.net"])).await.unwrap();
    store
        .add_mailbox(mailbox("support", "support@example.org", &["help@example.org"]), vec![])
        .await
        .unwrap();
    store.add_group(short("team")).await.unwrap();
    (dir, store)
}

fn sentence<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result.unwrap_err() {
        StoreError::Conflict(sentence) => sentence,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn users_that_would_collide() {
    let (_dir, store) = filled().await;
    for (login, addresses, says) in [
        ("ALICE@example.org", &[][..], "is the login name of u1 already"),
        ("carol", &["A.Example@EXAMPLE.org"], "belong to both user alice@example.org and user carol"),
        ("carol", &["Help@example.org"], "belong to both user carol and mailbox support@example.org"),
        ("carol", &["c@example.org", "C@example.org"], "is given twice for user carol"),
        ("help@example.org", &[], "is the address of somebody else or of a mailbox"),
        ("a.example@example.org", &[], "is the address of somebody else or of a mailbox"),
        ("support", &[], "is a user's login name"),
        ("team", &[], "is a user's login name"),
    ] {
        let refused = sentence(store.add_user(user(login, addresses)).await);
        assert!(refused.contains(says), "{login}: {refused}");
    }
    assert_eq!(store.snapshot().users().count(), 2);
    store.add_user(user("carol", &["carol@example.org"])).await.unwrap();
}

#[tokio::test]
async fn mailboxes_and_groups_that_would_collide() {
    let (_dir, store) = filled().await;
    for (name, of, aliases, says) in [
        (
            "other",
            "SUPPORT@example.org",
            &[][..],
            "belong to both mailbox support@example.org and mailbox SUPPORT@",
        ),
        (
            "other",
            "other@example.org",
            &["help@example.org"],
            "belong to both mailbox support@example.org and mailbox other@",
        ),
        (
            "other",
            "other@example.org",
            &["Other@example.org"],
            "is given twice for mailbox other@example.org",
        ),
        (
            "other",
            "alice@example.org",
            &[],
            "belong to both user alice@example.org and mailbox alice@example.org",
        ),
        (
            "Support",
            "other@example.org",
            &[],
            "be the short name of both support@example.org and other@example.org",
        ),
        ("bob", "other@example.org", &[], "is a user's login name"),
        ("help", "other@example.org", &[], "could also mean help@example.org"),
        ("x@example.org", "other@example.org", &[], "must not contain @"),
    ] {
        let refused = sentence(store.add_mailbox(mailbox(name, of, aliases), vec![]).await);
        assert!(refused.contains(says), "{name} {of}: {refused}");
    }
    assert!(sentence(store.add_group(short("bob")).await).contains("login name"));
    assert!(sentence(store.add_group(short("Team")).await).contains("there is a group team already"));
    assert!(sentence(store.add_group(short("a@b")).await).contains("must not contain @"));
    // An update is held to the same.
    let support = store.snapshot().find_mailbox("support", None).unwrap().id;
    let taken =
        store.update_mailbox(support, |mailbox| mailbox.aliases.push(address("bob@example.net"))).await;
    assert!(sentence(taken).contains("belong to both user bob and mailbox support@example.org"));
    assert_eq!(store.snapshot().mailbox(support).unwrap().aliases.len(), 1);
    // What was given up is free.
    store.update_mailbox(support, |mailbox| mailbox.aliases.clear()).await.unwrap();
    store.add_user(user("help@example.org", &["help@example.org"])).await.unwrap();
}

#[tokio::test]
async fn names_are_looked_up() {
    let (_dir, store) = filled().await;
    let second = store.add_mailbox(mailbox("sales", "support@example.net", &[]), vec![]).await.unwrap();
    let snapshot = store.snapshot();
    let find = |name, domain| snapshot.find_mailbox(name, domain).map(|mailbox| mailbox.id.0);
    assert_eq!(find("support", Some("example.org")), Ok(1));
    assert_eq!(find("SUPPORT", None), Ok(1));
    assert_eq!(find("help", Some("example.org")), Ok(1));
    assert_eq!(find("help", Some("example.net")), Err(LookupError::Unknown));
    assert_eq!(find("Help@Example.ORG", None), Ok(1));
    assert_eq!(find("sales", Some("example.org")), Ok(second.0));
    assert_eq!(find("support", Some("example.net")), Err(LookupError::Ambiguous));
    assert_eq!(find("support@example.net", Some("example.org")), Ok(second.0));
    for name in ["", "@", "alice@example.org", "bob", "sup/port", "support\0", "*"] {
        assert_eq!(find(name, Some("example.org")), Err(LookupError::Unknown), "{name:?}");
    }
    let user = |name| snapshot.find_user(name).map(|user| user.login.to_string());
    assert_eq!(user("Alice@EXAMPLE.org").as_deref(), Some("alice@example.org"));
    assert_eq!(user("a.example@example.org").as_deref(), Some("alice@example.org"));
    assert_eq!(user("bob@example.net").as_deref(), Some("bob"));
    assert_eq!(user("support@example.org"), None);
    assert_eq!(snapshot.find_user("bob").unwrap().domain(), Some("example.net"));
    assert_eq!(snapshot.find_user("alice@example.org").unwrap().domain(), Some("example.org"));
}

#[tokio::test]
async fn numbers_are_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    store.remove_user(alice).await.unwrap();
    store.remove_mailbox(support).await.unwrap();
    store.close().await.unwrap();
    let store = open(dir.path());
    let (again, support_again) = alice_and_support(&store).await;
    assert!(again > alice && support_again > support);
    // A refused change uses up none either.
    let login = LoginName::parse("alice@example.org").unwrap();
    store.add_user(user(login.as_str(), &[])).await.unwrap_err();
    let carol = store.add_user(user("carol", &[])).await.unwrap();
    assert_eq!(carol.0, again.0 + 1);
}
