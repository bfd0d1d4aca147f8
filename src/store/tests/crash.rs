//! kill -9 and power cuts: what was acknowledged is there afterwards.
//!
//! The writer runs in a child process: this test binary, started with the name of
//! [`child_writes_until_killed`] and a directory in [`DIR`].

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{alice_and_support, grant, open, user};
use crate::policy::Holder;
use crate::store::Store;

const DIR: &str = "MANDATE_TEST_STORE";

/// The child: adds users and grants, removes every other grant, and says so when acknowledged.
#[tokio::test]
async fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = open(Path::new(&dir));
    let support = match store.snapshot().find_mailbox("support", None) {
        Ok(mailbox) => mailbox.id,
        Err(_) => alice_and_support(&store).await.1,
    };
    let mut out = std::io::stdout();
    let start = store.snapshot().users().count();
    for n in start.. {
        let id = store.add_user(user(&format!("user{n}@example.org"), &[])).await.unwrap();
        let kept = store.add_grant(grant(Holder::User(id), support, "reader")).await.unwrap();
        let gone = store.add_grant(grant(Holder::User(id), support, "manager")).await.unwrap();
        store.remove_grant(gone).await.unwrap();
        writeln!(out, "ACK {} {} {}", id.0, kept.0, gone.0).unwrap();
    }
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Writing {
    child: Running,
    acked: mpsc::Receiver<[u64; 3]>,
}

impl Writing {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::child_writes_until_killed", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, acked) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let Some((_, numbers)) = line.split_once("ACK ") else { continue };
                let numbers: Vec<u64> = numbers.split(' ').filter_map(|n| n.parse().ok()).collect();
                let Ok(ack) = numbers.try_into() else { continue };
                if sender.send(ack).is_err() {
                    return;
                }
            }
        });
        Self { child: Running(child), acked }
    }

    fn wait_for(&self, count: usize) -> Vec<[u64; 3]> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut acked = Vec::new();
        while acked.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            acked.push(self.acked.recv_timeout(left).expect("the child writes"));
        }
        acked
    }

    fn kill(self) -> Vec<[u64; 3]> {
        drop(self.child);
        self.acked.iter().collect()
    }
}

fn check(store: &Store, acked: &[[u64; 3]]) {
    let snapshot = store.snapshot();
    for [user, kept, gone] in acked {
        assert!(snapshot.user(crate::types::UserId(*user)).is_some(), "u{user} was acknowledged");
        assert!(snapshot.grant(crate::types::GrantId(*kept)).is_some(), "t{kept} was acknowledged");
        assert!(snapshot.grant(crate::types::GrantId(*gone)).is_none(), "t{gone} was removed");
    }
}

#[tokio::test]
async fn kill_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for round in 0..6 {
        let writing = Writing::start(dir.path());
        acked.extend(writing.wait_for(5 + round * 9));
        acked.extend(writing.kill());
        let store = open(dir.path());
        check(&store, &acked);
        store.close().await.unwrap();
    }
    assert!(acked.len() > 150);
}

/// Block-level copies of a file system while the writer is stopped are what a disk holds
/// after a power cut. Needs root, loop devices and mkfs.ext4; `make nightly` runs it.
#[tokio::test]
#[ignore = "nightly: needs root and loop devices"]
async fn power_cut_loses_nothing_acknowledged() {
    if fs::OpenOptions::new().write(true).open("/dev/loop-control").is_err() {
        return eprintln!("skipped: needs root and loop devices");
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, cut) = (dir.path().join("disk.img"), dir.path().join("cut.img"));
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    run(Command::new("mkfs.ext4").arg("-q").arg(&image));
    let disk = Mount::new(&image, dir.path().join("disk"));
    let mut acked = Vec::new();
    for round in 0..10 {
        let writing = Writing::start(&disk.0.join("store"));
        acked.extend(writing.wait_for(1 + round * 10));
        let pid = writing.child.0.id().to_string();
        run(Command::new("kill").args(["-STOP", &pid]));
        acked.extend(writing.acked.try_iter());
        fs::copy(&image, &cut).unwrap();
        writing.kill();

        let after = Mount::new(&cut, dir.path().join("after"));
        let store = open(&after.0.join("store"));
        check(&store, &acked);
        store.close().await.unwrap();
        drop(after);
    }
    assert!(acked.len() > 400, "{}", acked.len());
}

struct Mount(PathBuf);

impl Mount {
    fn new(image: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&at));
        Self(at)
    }
}

impl Drop for Mount {
    /// Lazily: a test that fails may still have files open here. Never panics, as it may
    /// run while the test does.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
