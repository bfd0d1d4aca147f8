use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Durability, Journal, JournalError, Seq, verify};
use crate::telemetry::event::{Act, Actor, Event, Outcome, Service, SessionId};
use crate::telemetry::tally::Counted;
use crate::types::{FolderName, GrantId, MailboxId, Secret, UidSet, UidValidity, UserId};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn key() -> Secret {
    Secret::new([1; 32])
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor {
        session: SessionId(4),
        peer: PEER,
        user: UserId(1),
        mailbox: MailboxId(2),
        role: "manager".into(),
        grants: vec![GrantId(7)],
    })
}

fn intent() -> Event {
    let act = Act {
        verb: "UID EXPUNGE",
        right: "e".into(),
        folder: Some(FolderName::parse("Entwürfe\u{202e}\"", Some('/')).unwrap()),
        uidvalidity: Some(UidValidity(9)),
        uids: Some(UidSet::range(1, 5)),
        ..Act::default()
    };
    Event::Intent { actor: actor(), act }
}

fn outcome(intent: Seq) -> Event {
    let session = SessionId(4);
    Event::Outcome {
        session,
        intent,
        outcome: Outcome::Done,
        target_uids: None,
        count: Some(5),
        queue_id: None,
    }
}

async fn written(dir: &Path) -> PathBuf {
    let path = dir.join("audit.jsonl");
    let journal = Journal::open(&path, &key()).unwrap();
    let seq = journal.record(intent(), Durability::Flushed).await.unwrap();
    assert_eq!(seq, Seq(2));
    assert_eq!(journal.record(outcome(seq), Durability::Grouped).await.unwrap(), Seq(3));
    journal.close().await.unwrap();
    path
}

#[tokio::test]
async fn lines_chain_and_go_on_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path()).await;
    let journal = Journal::open(&path, &key()).unwrap();
    assert_eq!(journal.record(intent(), Durability::Flushed).await.unwrap(), Seq(5));
    assert_eq!(verify(&path, &key()).unwrap(), Seq(5));
    let text = fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (
            &line["event"],
            &line["user"],
            &line["mailbox"],
            &line["grants"][0],
            &line["session"],
            &line["uids"]
        ),
        (&"intent".into(), &"u1".into(), &"m2".into(), &"t7".into(), &"s4".into(), &"1:5".into())
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn every_tampering_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path()).await;
    let text = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|octet| *octet == b'\n').collect();
    assert_eq!(lines.len(), 3);
    let line_of = |octets: &[u8]| {
        fs::write(&path, octets).unwrap();
        match verify(&path, &key()) {
            Err(JournalError::Damaged { line, .. }) => Some(line),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(line_of(&text), None);
    assert_eq!(line_of(&[lines[0], lines[2]].concat()), Some(2), "removed");
    assert_eq!(line_of(&[lines[1], lines[2]].concat()), Some(1), "removed at the start");
    assert_eq!(line_of(&[lines[0], lines[1], lines[1], lines[2]].concat()), Some(3), "doubled");
    assert_eq!(line_of(&[lines[0], lines[2], lines[1]].concat()), Some(2), "swapped");
    for at in (0..text.len()).step_by(3) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        let line = text[..at].iter().filter(|octet| **octet == b'\n').count() as u64 + 1;
        assert_eq!(line_of(&changed), Some(line), "octet {at}");
    }
    fs::write(&path, &text).unwrap();
    assert!(verify(&path, &Secret::new([2; 32])).is_err(), "another key");
    assert!(matches!(Journal::open(&path, &Secret::new([2; 32])), Err(JournalError::Damaged { .. })));
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path()).await;
    let text = fs::read(&path).unwrap();
    let last = text[..text.len() - 1].iter().rposition(|octet| *octet == b'\n').unwrap() + 1;
    for cut in [last + 1, (last + text.len()) / 2, text.len() - 1] {
        fs::write(&path, &text[..cut]).unwrap();
        let journal = Journal::open(&path, &key()).unwrap();
        journal.close().await.unwrap();
        assert_eq!(verify(&path, &key()).unwrap(), Seq(3));
        let note = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
        assert!(
            note.contains(&format!(
                "\"event\":\"opened\",\"version\":\"{}\",\"torn\":{}",
                env!("CARGO_PKG_VERSION"),
                cut - last
            )),
            "{note}"
        );
    }
    fs::write(&path, &text[..5]).unwrap();
    Journal::open(&path, &key()).unwrap().close().await.unwrap();
    assert_eq!(verify(&path, &key()).unwrap(), Seq(1));
}

#[tokio::test]
async fn counted_things_are_lines_at_the_end_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let journal = Journal::open(&path, &key()).unwrap();
    for n in 0..10_000u32 {
        let peer = IpAddr::V4(Ipv4Addr::from(n));
        journal.count(Counted::LoginRefused { service: Service::Imap, peer, user: None, why: "credentials" });
        let (user, mailbox) = (UserId(1), MailboxId(1));
        journal.count(Counted::Refused { user, mailbox, verb: "MOVE", why: "no right" });
    }
    journal.close().await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(verify(&path, &key()).unwrap(), Seq(text.lines().count() as u64));
    assert!(text.len() < 100_000, "{} octets", text.len());
    let counts: u64 = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["count"].as_u64())
        .sum();
    assert_eq!(counts, 20_000);
    assert!(matches!(journal.record(intent(), Durability::Grouped).await, Err(JournalError::Failed)));
}

#[tokio::test]
async fn many_callers_share_a_sync_and_keep_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let journal = Journal::open(&path, &key()).unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.record(intent(), Durability::Flushed).await.unwrap() })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.unwrap().0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=501).collect::<Vec<u64>>());
    assert_eq!(verify(&path, &key()).unwrap(), Seq(501));
}

#[tokio::test]
async fn counts_become_lines_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let journal = Journal::open_counting(&path, &key(), Duration::from_millis(30)).unwrap();
    let refused =
        || Counted::Refused { user: UserId(1), mailbox: MailboxId(1), verb: "MOVE", why: "no right" };
    let lines =
        || fs::read_to_string(&path).unwrap().matches("\"event\":\"counted\",\"what\":\"refused\"").count();
    for so_far in 0..3 {
        journal.count(refused());
        let deadline = Instant::now() + Duration::from_secs(10);
        while lines() == so_far {
            assert!(Instant::now() < deadline, "no line came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(verify(&path, &key()).unwrap(), Seq(4));
}

#[test]
fn a_fingerprint_needs_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let journal = |name: &str, key: Secret| Journal::open(&dir.path().join(name), &key).unwrap();
    let (one, same, other) = (journal("a", key()), journal("b", key()), journal("c", Secret::new([2; 32])));
    assert_eq!(one.fingerprint(b"<1@example.org>"), same.fingerprint(b"<1@example.org>"));
    assert_ne!(one.fingerprint(b"<1@example.org>"), one.fingerprint(b"<2@example.org>"));
    assert_ne!(one.fingerprint(b"<1@example.org>"), other.fingerprint(b"<1@example.org>"));
}
