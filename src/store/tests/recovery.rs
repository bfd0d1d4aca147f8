//! Files that are older, newer, damaged, missing or in use.

use std::fs;
use std::path::Path;
use std::task::Poll;

use serde_json::json;

use super::{alice_and_support, grant, open, sealer, try_open};
use crate::policy::{FolderClass, Holder};
use crate::store::disk::{Disk, Raw};
use crate::store::schema::{self, Schema};
use crate::store::{Pin, QUEUE, Settings, Store, StoreError, User};
use crate::types::FolderName;

/// A closed store with a user, a mailbox and a grant; and its export.
async fn filled(dir: &Path) -> String {
    let store = open(dir);
    let (alice, support) = alice_and_support(&store).await;
    store.add_grant(grant(Holder::User(alice), support, "responder")).await.unwrap();
    let export = store.export();
    store.close().await.unwrap();
    export
}

/// An export without its first line, whose numbers differ.
fn records(export: &str) -> &str {
    export.split_once('\n').unwrap().1
}

fn refusal(result: Result<Store, StoreError>) -> StoreError {
    match result {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_export_goes_into_another_store() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let export = filled(dir.path()).await;
    let store = open(other.path());
    store.apply(&export, false).await.unwrap();
    assert_eq!(records(&store.export()), records(&export));
    assert!(matches!(store.apply(&export, false).await, Err(StoreError::Refused(_))), "holds records");
    let (mut changes, alice) = (store.changes(), store.snapshot().find_user("alice@example.org").unwrap().id);
    store.add_user(super::user("carol", &[])).await.unwrap();
    changes.mark_unchanged();
    store.apply(&export, true).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert!(store.snapshot().find_user("carol").is_none());
    assert!(
        store.add_user(super::user("bob", &[])).await.unwrap().0 > alice.0 + 1,
        "carol's number is spent"
    );
    let before = store.export();
    store.close().await.unwrap();
    assert_eq!(records(&open(other.path()).export()), records(&before));
}

#[tokio::test]
async fn a_bad_export_changes_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let export = filled(dir.path()).await;
    let store = open(other.path());
    let lines: Vec<&str> = export.lines().collect();
    for bad in [
        String::new(),
        "{}\n".into(),
        export.replace("alice", "carol"),
        lines[..lines.len() - 1].join("\n") + "\n",
        export[..export.len() - 1].to_owned(),
        format!("{export}{}\n", lines[1]),
    ] {
        let error = store.apply(&bad, true).await.unwrap_err();
        assert!(error.to_string().contains("export cannot be used"), "{error}");
    }
    assert_eq!(store.snapshot().users().count(), 0);
}

#[tokio::test]
async fn a_long_log_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (_, support) = alice_and_support(&store).await;
    for n in 0..20 {
        let pin = move |i: usize| Pin {
            folder: FolderName::parse(&format!("{n}/{i}/{}", "x/".repeat(13) + &"y".repeat(200)), Some('/'))
                .unwrap(),
            uid_validity: None,
            class: FolderClass::Ordinary,
        };
        store
            .update_mailbox(support, move |mailbox| mailbox.pins = (0..100).map(pin).collect())
            .await
            .unwrap();
    }
    let export = store.export();
    store.close().await.unwrap();
    let len = fs::metadata(dir.path().join("export.jsonl")).unwrap().len();
    assert!(len < 200 << 10, "{len} octets");
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    assert_eq!(records(&open(dir.path()).export()), records(&export));
}

#[tokio::test]
async fn a_writer_that_panics_leaves_a_store_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, support) = alice_and_support(&store).await;
    store.add_grant(grant(Holder::User(alice), support, "reader")).await.unwrap();
    let panicked = store.update_user(alice, |_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(StoreError::ReadOnly)));
    assert!(matches!(store.set_disabled(alice, true).await, Err(StoreError::ReadOnly)));
    assert!(store.is_read_only());
    assert!(store.snapshot().effective(alice, support, super::NOW).is_some());
}

#[tokio::test]
async fn a_full_queue_is_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (alice, _) = alice_and_support(&store).await;
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let first = store.clone();
    let hold = move |_: &mut User| {
        begun.send(()).unwrap();
        gone.recv().unwrap();
    };
    let first = tokio::spawn(async move { first.update_user(alice, hold).await });
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..QUEUE {
        let mut change = Box::pin(store.set_disabled(alice, false));
        assert!(poll_once(change.as_mut()).await.is_none(), "it waits");
        waiting.push(change);
    }
    assert!(matches!(store.set_disabled(alice, true).await, Err(StoreError::Busy)));
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    for change in waiting {
        change.await.unwrap();
    }
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn a_second_opener_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = refusal(try_open(dir.path()));
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    store.close().await.unwrap();
    assert!(matches!(store.add_group(super::short("team")).await, Err(StoreError::ReadOnly)));
    open(dir.path());
}

#[tokio::test]
async fn whichever_file_is_gone_comes_back_from_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let export = filled(dir.path()).await;
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let store = open(dir.path());
    assert_eq!(records(&store.export()), records(&export));
    store.close().await.unwrap();
    fs::remove_file(dir.path().join("export.jsonl")).unwrap();
    let store = open(dir.path());
    assert_eq!(records(&store.export()), records(&export));
    store.close().await.unwrap();
    assert!(fs::read_to_string(dir.path().join("export.jsonl")).unwrap().contains("alice@example.org"));
}

#[tokio::test]
async fn a_store_behind_its_export_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("sled"), &old.path().join("sled"));
    let store = open(dir.path());
    store.add_user(super::user("bob", &[])).await.unwrap();
    store.close().await.unwrap();
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    copy(&old.path().join("sled"), &dir.path().join("sled"));
    assert!(open(dir.path()).snapshot().find_user("bob").is_some());
}

#[tokio::test]
async fn a_damaged_file_is_named_or_mended() {
    let dir = tempfile::tempdir().unwrap();
    let export = filled(dir.path()).await;
    let db = dir.path().join("sled/db");
    let whole = fs::read(&db).unwrap();
    let used = whole.iter().rposition(|octet| *octet != 0).unwrap();
    for at in (0..used).step_by(used / 40) {
        let mut octets = whole.clone();
        octets[at..(at + 16).min(used)].iter_mut().for_each(|octet| *octet ^= 0xff);
        fs::remove_dir_all(dir.path().join("sled")).unwrap();
        fs::create_dir(dir.path().join("sled")).unwrap();
        fs::write(&db, octets).unwrap();
        match try_open(dir.path()) {
            Ok(store) => {
                assert_eq!(records(&store.export()), records(&export), "at {at}");
                store.close().await.unwrap();
            }
            Err(error) => {
                let text = error.to_string();
                assert!(matches!(error, StoreError::Damaged { .. }), "at {at}: {text}");
                assert!(text.contains("sled") && text.contains("export.jsonl"), "{text}");
            }
        }
    }
    // The advice given works.
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    assert_eq!(records(&open(dir.path()).export()), records(&export));
}

#[tokio::test]
async fn a_damaged_export_is_made_anew_if_the_store_knows_all() {
    let dir = tempfile::tempdir().unwrap();
    let export = filled(dir.path()).await;
    let log = dir.path().join("export.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let damaged = text.replacen("alice", "malice", 1);
    fs::write(&log, &damaged).unwrap();
    let store = open(dir.path());
    assert_eq!(records(&store.export()), records(&export));
    store.close().await.unwrap();
    assert!(dir.path().join("export.damaged").exists());

    fs::write(&log, &damaged).unwrap();
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let error = refusal(try_open(dir.path()));
    assert!(matches!(&error, StoreError::Damaged { path, .. } if *path == log), "{error}");
}

/// A step that needs every record to have what schema 1 had.
fn rename_field(raw: &mut Raw) -> Result<(), String> {
    for (key, value) in &mut raw.records {
        if key.starts_with("group/") {
            value["name"] = json!(value.get("called").cloned().ok_or("no name")?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_older_schema_is_migrated_and_a_newer_refused() {
    let dir = tempfile::tempdir().unwrap();
    let old = Raw {
        schema: 1,
        n: 7,
        records: [("group/1".into(), json!({"id": 1, "called": "team", "members": []}))].into(),
    };
    Disk::open(dir.path(), 1 << 20).unwrap().replace(&old).unwrap();
    let two = Schema { version: 2, migrations: &[rename_field] };
    for _ in 0..2 {
        let opened = schema::open(dir.path(), 1 << 20, &two).unwrap();
        assert_eq!((opened.tables.groups.len(), opened.files.n), (1, 7));
    }
    let error = refusal(Store::open(dir.path(), sealer(), Settings::default()));
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("later Mandate"));

    let failing = Schema { version: 3, migrations: &[rename_field, |_| Err("not like this".into())] };
    let error = schema::open(dir.path(), 1 << 20, &failing).err().unwrap();
    assert!(error.to_string().contains("from schema 2 to 3: not like this"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
