//! A server process that ends with its owner.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running program whose output goes to a file. Dropping it stops it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with both output streams appended to `log`.
    ///
    /// The process is told to end when this test process dies in whatever way,
    /// so that no server outlives an interrupted run.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> Process {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        // A group of its own: a Ctrl-C at the terminal is for the owner, who then
        // stops its servers in order. Postfix also signals its whole group.
        command.process_group(0);
        Process { child: spawn(command), log: log.to_owned() }
    }

    /// The process id, for signals and `/proc`.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the program printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The exit status, if the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal by name: `"HUP"`, `"TERM"`.
    pub fn signal(&self, name: &str) {
        kill(name, &self.id().to_string());
    }

    /// Sends a signal to the program and all it started.
    pub fn signal_group(&self, name: &str) {
        kill(name, &format!("-{}", self.id()));
    }

    /// Ends the program and all it started without a chance to clean up, as a
    /// crash would.
    pub fn kill(&mut self) {
        // Not yet waited for, the id is still ours and nobody else's.
        if self.ended().is_none() {
            self.signal_group("KILL");
            let _ = self.child.wait();
        }
    }

    /// Asks the program to end and returns how it did. Kills it after 10 s.
    pub fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing of it is kept, and an orderly end of Dovecot takes a second.
        self.kill();
    }
}

/// Fails the test when a program it needs is not installed.
pub fn need(program: &str) -> &Path {
    let path = Path::new(program);
    assert!(
        path.exists(),
        "{program} is not installed, and this test runs against the real one. \
         Install what the tests need with `make deps`."
    );
    path
}

/// A temporary directory that servers under other user ids may pass through.
pub fn open_directory(prefix: &str) -> TempDir {
    let directory = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    directory
}

/// A TCP port on loopback that nobody listens on. Another process may take it
/// before its user does: whoever starts a server on it tries again with another.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether the tests run as root: servers then drop privileges by themselves.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn kill(signal: &str, target: &str) {
    let mut command = Command::new("kill");
    command.args(["-s", signal, "--", target]).stderr(Stdio::null());
    command.status().expect("kill(1) is part of every Debian");
}

/// The name of the user that runs the tests.
pub fn user_name() -> String {
    identity("-un")
}

/// The name of that user's group.
pub fn group_name() -> String {
    identity("-gn")
}

fn identity(which: &str) -> String {
    let output = Command::new("id").arg(which).output().expect("id(1) is part of every Debian");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Spawns from a thread that lives as long as this process. The kernel sends
/// the parent-death signal when the *thread* that spawned ends, and a test's own
/// thread ends before a server that several tests share.
pub(super) fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).unwrap();
    child.recv().unwrap().expect("setpriv(1) is part of every Debian")
}
