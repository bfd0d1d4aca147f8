//! The catalogue against scripted hosts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Catalogue, Catalogues};
use crate::imap::command::StatusItem::{HighestModSeq, Messages, Size, Unseen};
use crate::types::{FolderName, UidValidity};
use crate::upstream::error::LeaseError;
use crate::upstream::pool::{Pools, Settings};
use crate::upstream::target::Target;
use crate::upstream::testing;

/// Logged in.
const LOGIN: &str = "
    S: * OK [CAPABILITY IMAP4rev1] hello
    C: P00000001 LOGIN \"support@example.org\" \"secret\"
    S: P00000001 OK [CAPABILITY IMAP4rev1 SPECIAL-USE LIST-EXTENDED UNSELECT] welcome
";

/// Two folders.
const FIRST: &str = "
    C: P00000002 LIST \"\" \"*\" RETURN (SPECIAL-USE)
    S: * LIST (\\HasNoChildren) \"/\" INBOX
    S: * LIST (\\Sent) \"/\" \"Sent Items\"
    S: P00000002 OK done
";

async fn catalogue(script: &str) -> (Arc<Catalogue>, Target) {
    let (endpoint, _playing) = testing::host(&[&format!("{LOGIN}{script}")]).await;
    let target = testing::target(endpoint);
    let pools = Pools::new(testing::connector(), Settings::default());
    (Catalogues::new(pools).of(&target), target)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn names(snapshot: &super::Snapshot) -> Vec<&str> {
    snapshot.inventory.entries().iter().map(|entry| entry.name.as_str()).collect()
}

#[tokio::test]
async fn one_list_serves_all() {
    let (catalogue, _) = catalogue(&format!("{FIRST}...")).await;
    let asking: Vec<_> = (0..5)
        .map(|_| {
            let catalogue = catalogue.clone();
            tokio::spawn(async move { catalogue.view(soon()).await.unwrap() })
        })
        .collect();
    for asked in asking {
        assert_eq!(names(&asked.await.unwrap()), ["INBOX", "Sent Items"]);
    }
    assert_eq!(names(&catalogue.view(soon()).await.unwrap()).len(), 2);
}

#[tokio::test]
async fn a_change_is_seen_and_what_is_gone_is_forgotten() {
    let script = format!(
        "{FIRST}
         C: P00000003 NOOP
         S: P00000003 OK done
         C: P00000004 LIST \"\" \"*\" RETURN (SPECIAL-USE)
         S: * LIST () \"/\" INBOX
         S: * LIST () \"/\" Archive
         S: P00000004 OK done
         C: P00000005 NOOP
         S: P00000005 OK done
         C: P00000006 LIST \"\" \"*\" RETURN (SPECIAL-USE)
         S: * LIST () \"/\" Archive
         S: * LIST () \"/\" INBOX
         S: P00000006 OK done
         ..."
    );
    let (catalogue, _) = catalogue(&script).await;
    let first = catalogue.view(soon()).await.unwrap();
    let sent = FolderName::parse("Sent Items", Some('/')).unwrap();
    catalogue.learned(&sent, UidValidity(7));
    catalogue.learned(&FolderName::inbox(), UidValidity(8));
    let learned = catalogue.view(soon()).await.unwrap();
    assert_ne!(first.version, learned.version);
    assert_eq!(learned.uid_validity.get(&sent), Some(&UidValidity(7)));
    catalogue.learned(&sent, UidValidity(7));
    assert_eq!(catalogue.view(soon()).await.unwrap().version, learned.version);

    let second = catalogue.refresh(soon()).await.unwrap();
    assert_eq!(names(&second), ["Archive", "INBOX"]);
    assert_ne!(second.version, learned.version);
    assert_eq!(second.uid_validity.len(), 1);
    assert_eq!(catalogue.refresh(soon()).await.unwrap().version, second.version, "the same folders");
}

#[tokio::test]
async fn an_unknown_name_starts_one_refresh_and_at_most_one_more() {
    let again = |n: u32| {
        format!(
            "C: P{n:08} NOOP\nS: P{n:08} OK done\n\
             C: P{m:08} LIST \"\" \"*\" RETURN (SPECIAL-USE)\nS: * LIST () \"/\" x{n}\nS: P{m:08} OK done\n",
            m = n + 1
        )
    };
    let (catalogue, _) = catalogue(&format!("{FIRST}{}{}...", again(3), again(5))).await;
    catalogue.view(soon()).await.unwrap();
    for _ in 0..10 {
        catalogue.refresh_soon();
    }
    let deadline = soon();
    while names(&catalogue.view(soon()).await.unwrap()) != ["x5"] {
        assert!(Instant::now() < deadline, "never refreshed twice");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn status_goes_out_in_one_go_and_answers_find_their_folder() {
    // The odd name needs a literal, whose prompt nothing else may wait behind: it goes last.
    let script = "
        C: P00000002 STATUS \"INBOX\" (MESSAGES UNSEEN)
        C: P00000003 STATUS \"Sent Items\" (MESSAGES)
        C: P00000004 STATUS \"Gone\" (MESSAGES)
        S: * STATUS \"Sent Items\" (MESSAGES 5)
        S: P00000003 OK done
        S: P00000004 NO [NONEXISTENT] no such folder
        S: * STATUS INBOX (UNSEEN 1 MESSAGES 3 UIDNEXT 9)
        S: P00000002 OK done
        C: P00000005 STATUS {4}
        S: + go on
        C: a\"b\\ (MESSAGES)
        S: * STATUS \"a\\\"b\\\\\" (MESSAGES 6)
        S: P00000005 OK done
        ...";
    let (catalogue, _) = catalogue(script).await;
    let inbox = [Messages, Unseen];
    let (inbox, sent, gone, odd) = tokio::join!(
        catalogue.status(b"INBOX", &inbox),
        catalogue.status(b"Sent Items", &[Messages]),
        catalogue.status(b"Gone", &[Messages]),
        catalogue.status(b"a\"b\\", &[Messages]),
    );
    assert_eq!(inbox.unwrap(), [(Unseen, 1), (Messages, 3)]);
    assert_eq!(sent.unwrap(), [(Messages, 5)]);
    assert_eq!(gone, None);
    assert_eq!(odd.unwrap(), [(Messages, 6)]);
    assert_eq!(catalogue.status(b"INBOX", &[Unseen]).await.unwrap(), [(Unseen, 1)], "still fresh");
}

#[tokio::test]
async fn only_what_the_host_knows_is_asked() {
    let (catalogue, _) = catalogue(
        "C: P00000002 STATUS \"INBOX\" (MESSAGES)\nS: * STATUS INBOX (MESSAGES 3)\nS: P00000002 OK done\n...",
    )
    .await;
    let items = [Messages, Size, HighestModSeq];
    let (both, neither) =
        tokio::join!(catalogue.status(b"INBOX", &items), catalogue.status(b"Sent", &[Size, HighestModSeq]));
    assert_eq!((both.unwrap(), neither.unwrap()), (vec![(Messages, 3)], vec![]));
    assert_eq!(catalogue.status(b"INBOX", &[]).await.unwrap(), []);
}

#[tokio::test]
async fn status_of_a_host_that_hangs_is_left_out() {
    let (catalogue, _) = catalogue("C: P00000002 STATUS \"INBOX\" (MESSAGES)\n...").await;
    let start = std::time::Instant::now();
    assert_eq!(catalogue.status(b"INBOX", &[Messages]).await, None);
    assert!(start.elapsed() < Duration::from_secs(7));
}

#[tokio::test]
async fn status_of_a_host_that_dies_is_left_out_at_once() {
    let (catalogue, _) = catalogue("C: P00000002 STATUS \"INBOX\" (MESSAGES)\nX:").await;
    let start = std::time::Instant::now();
    assert_eq!(catalogue.status(b"INBOX", &[Messages]).await, None);
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_host_that_refuses_to_list_is_no_empty_mailbox() {
    let script = "C: P00000002 LIST \"\" \"*\" RETURN (SPECIAL-USE)\nS: P00000002 NO not today\n...";
    let (catalogue, _) = catalogue(script).await;
    assert!(matches!(catalogue.view(soon()).await.err(), Some(LeaseError::Command(_))));
}

#[tokio::test]
async fn another_account_has_other_folders() {
    let second = format!("{LOGIN}{}...", FIRST.replace("\"Sent Items\"", "Postausgang"));
    let (endpoint, _playing) = testing::host(&[&format!("{LOGIN}{FIRST}X:"), &second]).await;
    let target = testing::target(endpoint);
    let catalogues = Catalogues::new(Pools::new(testing::connector(), Settings::default()));
    let first = catalogues.of(&target).view(soon()).await.unwrap();
    let changed = Target { generation: 2, ..target.clone() };
    let second = catalogues.of(&changed).view(soon()).await.unwrap();
    assert_ne!((names(&first), first.version), (names(&second), second.version));
    let old = catalogues.of(&target).view(soon()).await.unwrap();
    assert_eq!(names(&old), ["INBOX", "Postausgang"], "an old target changes nothing back");
}
