//! What the snapshot answers, and when it is told.

use std::time::{Duration, Instant};

use super::{NOW, alice_and_support, grant, mailbox, open, short, user};
use crate::policy::{FolderClass, FolderPattern, Holder, Narrowing, SendRight};
use crate::store::{NewGrant, Pin, Purpose, StoreError};
use crate::types::{FolderName, Secret, UidSet, UidValidity};

fn folder(text: &str) -> FolderName {
    FolderName::parse(text, Some('/')).unwrap()
}

#[tokio::test]
async fn rights_are_the_union_of_live_grants() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    let effective = |now| store.snapshot().effective(alice, support, now);
    assert_eq!(effective(NOW), None);

    let own = store.add_grant(grant(Holder::User(alice), support, "reader")).await.unwrap();
    assert_eq!(effective(NOW).unwrap().role_text(), "reader");
    let team = store.add_group(short("team")).await.unwrap();
    let mut dated = grant(Holder::Group(team), support, "responder");
    (dated.from, dated.until) = (Some(NOW), Some(NOW.plus_millis(10)));
    let through = store.add_grant(dated).await.unwrap();
    assert_eq!(effective(NOW).unwrap().role_text(), "reader", "no member yet");
    store.join(team, alice).await.unwrap();
    assert_eq!(effective(NOW.plus_millis(-1)).unwrap().good_until, Some(NOW));
    let both = effective(NOW).unwrap();
    assert_eq!((both.role_text().as_str(), both.send()), ("reader+responder", SendRight::As));
    assert_eq!((both.grants.clone(), both.good_until), (vec![own, through], Some(NOW.plus_millis(10))));
    assert_eq!(effective(NOW.plus_millis(10)).unwrap().role_text(), "reader");

    store.suspend(own, true).await.unwrap();
    assert_eq!(effective(NOW).unwrap().role_text(), "responder");
    store.leave(team, alice).await.unwrap();
    assert_eq!(effective(NOW), None);
    store.suspend(own, false).await.unwrap();
    store.set_disabled(alice, true).await.unwrap();
    assert_eq!(effective(NOW), None);
    store.set_disabled(alice, false).await.unwrap();
    store.set_roles(Vec::new()).await.unwrap();
    assert_eq!(effective(NOW), None, "a role that is configured no more gives nothing");
}

#[tokio::test]
async fn a_change_is_announced_before_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut changes = store.changes();
    let (alice, support) = alice_and_support(&store).await;
    let id = store.add_grant(grant(Holder::User(alice), support, "manager")).await.unwrap();
    changes.mark_unchanged();
    store.remove_grant(id).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), store.snapshot().version());
    assert_eq!(store.snapshot().effective(alice, support, NOW), None);
    // What alters no decision wakes nobody.
    store.set_subscribed(alice, support, folder("Sent"), false).await.unwrap();
    store
        .own_drafts_add(alice, support, folder("Drafts"), UidValidity(1), UidSet::range(1, 1))
        .await
        .unwrap();
    assert!(!changes.has_changed().unwrap());
    assert!(!store.snapshot().subscriptions(alice, support).is_subscribed(&folder("Sent")));
}

#[tokio::test]
async fn classes_come_from_pins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (_, support) = alice_and_support(&store).await;
    let class = |name: &str| store.snapshot().place_of(support, &folder(name)).class;
    let pin = |name: &str, class| Pin { folder: folder(name), uid_validity: None, class };
    assert_eq!(class("Inbox"), FolderClass::Inbox);
    assert_eq!(class("INBOX/below"), FolderClass::Ordinary);
    assert_eq!(class("Trash"), FolderClass::Ordinary, "never by name");

    let pins = vec![
        pin("Trash", FolderClass::Trash),
        pin("Drafts", FolderClass::Drafts),
        pin("Trash/kept", FolderClass::Archive),
    ];
    store.update_mailbox(support, move |mailbox| mailbox.pins = pins).await.unwrap();
    for (name, is) in [
        ("Trash", FolderClass::Trash),
        ("Trash/old/older", FolderClass::Trash),
        ("Trashy", FolderClass::Ordinary),
        ("Trash/kept", FolderClass::Archive),
        ("Trash/kept/2026", FolderClass::Ordinary),
        ("Drafts/old", FolderClass::Ordinary),
        ("Projects", FolderClass::Ordinary),
    ] {
        assert_eq!(class(name), is, "{name}");
    }
    store
        .update_mailbox(support, |mailbox| drop(mailbox.move_pins(&folder("Trash"), &folder("Bin"))))
        .await
        .unwrap();
    assert_eq!(
        (class("Bin/kept"), class("Bin"), class("Trash")),
        (FolderClass::Archive, FolderClass::Trash, FolderClass::Ordinary)
    );

    let hidden = pin("Board", FolderClass::Hidden);
    store.update_mailbox(support, |mailbox| mailbox.pins.push(hidden)).await.unwrap();
    assert_eq!(class("Projects"), FolderClass::Hidden, "unknown");
    assert_eq!(class("Bin/old"), FolderClass::Hidden, "unknown");
    assert_eq!((class("INBOX"), class("Drafts")), (FolderClass::Inbox, FolderClass::Drafts));
}

#[tokio::test]
async fn a_rename_brings_nothing_into_a_narrowed_grant() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    let pattern = |text: &str| FolderPattern::parse(text).unwrap();
    let narrowing = Narrowing { only: Vec::new(), except: vec![pattern("HR"), pattern("Work/secret")] };
    let new = NewGrant { narrowing, ..grant(Holder::User(alice), support, "reader") };
    store.add_grant(new).await.unwrap();
    let pins = ["HR", "HR/Pay", "Work", "Work/secret"];
    let pin = |name: &str| Pin { folder: folder(name), uid_validity: None, class: FolderClass::Ordinary };
    store.update_mailbox(support, move |mailbox| mailbox.pins = pins.map(pin).into()).await.unwrap();
    let sees = |name: &str| {
        let snapshot = store.snapshot();
        let effective = snapshot.effective(alice, support, NOW).unwrap();
        effective.sees(&snapshot.place_of(support, &folder(name)))
    };
    assert!(sees("Work") && sees("INBOX") && !sees("HR") && !sees("HR/Pay") && !sees("Work/secret"));
    assert!(!sees("Unknown"), "not pinned");
    store.rename_folder(support, folder("HR"), folder("People")).await.unwrap();
    store.rename_folder(support, folder("Work"), folder("Play")).await.unwrap();
    for (name, expected) in
        [("People", false), ("People/Pay", false), ("Play", true), ("Play/secret", false), ("Work", false)]
    {
        assert_eq!(sees(name), expected, "{name}");
    }
}

#[tokio::test]
async fn removing_takes_along_what_hangs_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    let team = store.add_group(short("team")).await.unwrap();
    store.join(team, alice).await.unwrap();
    let secret = Secret::new("hunter2");
    store.set_credential(support, Purpose::Imap, secret).await.unwrap();
    for holder in [Holder::User(alice), Holder::Group(team)] {
        store.add_grant(grant(holder, support, "reader")).await.unwrap();
    }
    store
        .own_drafts_add(alice, support, folder("Drafts"), UidValidity(1), UidSet::range(1, 1))
        .await
        .unwrap();
    store.update_mailbox(support, move |mailbox| mailbox.owner = Some(alice)).await.unwrap();
    let refused = store.remove_user(alice).await.unwrap_err().to_string();
    assert!(refused.contains("owns mailbox support@example.org"), "{refused}");
    store.update_mailbox(support, |mailbox| mailbox.owner = None).await.unwrap();

    store.remove_group(team).await.unwrap();
    assert_eq!(store.snapshot().grants().count(), 1);
    store.remove_user(alice).await.unwrap();
    assert_eq!(store.snapshot().grants().count(), 0);
    assert!(store.snapshot().own_drafts(alice, support, &folder("Drafts"), UidValidity(1)).is_empty());
    store.remove_mailbox(support).await.unwrap();
    assert!(!store.has_credential(support, Purpose::Imap));
    assert!(matches!(store.remove_mailbox(support).await, Err(StoreError::Unknown(_))));
}

#[tokio::test]
async fn credentials_belong_to_their_mailbox_and_host() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let secret = vec![(Purpose::Imap, Secret::new("hunter2"))];
    let id = store.add_mailbox(mailbox("support", "support@example.org", &[]), secret).await.unwrap();
    assert_eq!(store.credential(id, Purpose::Imap).unwrap().expose(), b"hunter2");
    assert!(matches!(store.credential(id, Purpose::Smtp), Err(StoreError::Unknown(_))));
    store.update_mailbox(id, |mailbox| mailbox.imap.host = "evil.example.org".into()).await.unwrap();
    assert!(matches!(store.credential(id, Purpose::Imap), Err(StoreError::Sealed(_))));
    store.set_credential(id, Purpose::Imap, Secret::new("other")).await.unwrap();
    assert_eq!(store.credential(id, Purpose::Imap).unwrap().expose(), b"other");
    store.close().await.unwrap();
    for entry in ["sled/db", "export.jsonl"] {
        let octets = std::fs::read(dir.path().join(entry)).unwrap();
        assert!(memchr::memmem::find(&octets, b"hunter2").is_none(), "{entry} holds the password");
    }
}

#[tokio::test]
async fn texts_and_dates_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    let mut bad = user("carol", &[]);
    bad.display = "Carol\r\nBcc: x".into();
    assert!(matches!(store.add_user(bad).await, Err(StoreError::Refused(_))));
    let mut bad = mailbox("sales", "sales@example.org", &[]);
    bad.max_connections = 0;
    assert!(matches!(store.add_mailbox(bad, vec![]).await, Err(StoreError::Refused(_))));
    let mut bad = grant(Holder::User(alice), support, "reader");
    bad.note = "x".repeat(501);
    assert!(matches!(store.add_grant(bad).await, Err(StoreError::Refused(_))));
    let mut bad = grant(Holder::User(alice), support, "reader");
    (bad.from, bad.until) = (Some(NOW), Some(NOW));
    assert!(matches!(store.add_grant(bad).await, Err(StoreError::Refused(_))));
    let bad = grant(Holder::User(alice), support, "king");
    assert!(matches!(store.add_grant(bad).await, Err(StoreError::Unknown(_))));
}

#[tokio::test]
async fn subscriptions_reach_the_disk_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    store.set_subscribed(alice, support, folder("Sent"), false).await.unwrap();
    let logged =
        || std::fs::read_to_string(dir.path().join("export.jsonl")).unwrap().contains("subscriptions/1/1");
    assert!(!logged(), "not yet");
    let started = Instant::now();
    while !logged() {
        assert!(started.elapsed() < Duration::from_secs(5), "never");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
