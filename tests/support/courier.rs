//! A private Courier: the plainest real upstream.
//!
//! Debian's imapd as Courier's own listener would start it: the socket as its standard input
//! and output, the account in its environment. Listening and the login are done here, since
//! Courier's own parts keep their sockets and accounts in places of the system's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::Imap;
use super::dovecot::{SUPPORT, SUPPORT_PASSWORD};
use super::process::{need, open_directory, spawn};

/// Where `scripts/deps` unpacks it: Debian lets no two IMAP hosts be installed together.
const PLACE: &str = "/usr/local/lib/mandate-hosts/courier";

/// As Debian ships it.
const CAPABILITIES: &str =
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE";

/// A running Courier with one account. Dropping it ends its sessions and removes its mail.
pub struct Courier {
    address: SocketAddr,
    sessions: Arc<Mutex<Vec<Child>>>,
    _directory: TempDir,
}

impl Courier {
    pub fn start() -> Courier {
        need(&format!("{PLACE}/usr/bin/imapd"));
        let directory = open_directory("mandate-courier");
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(directory.path().join("Maildir").join(part)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let (home, started) = (directory.path().to_owned(), Arc::downgrade(&sessions));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Some(sessions) = started.upgrade() else { return };
                let home = home.clone();
                std::thread::spawn(move || {
                    if let Some(session) = serve(socket, &home) {
                        sessions.lock().unwrap().push(session);
                    }
                });
            }
        });
        Courier { address, sessions, _directory: directory }
    }

    pub fn imap(&self) -> SocketAddr {
        self.address
    }

    /// A connection straight to the account, past the proxy.
    pub fn login(&self) -> Imap {
        let mut imap = Imap::plain(self.address);
        imap.login(SUPPORT, SUPPORT_PASSWORD);
        imap
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            // Ours, and not yet waited for.
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}

/// Greets, takes LOGIN, and leaves the rest to imapd. `None` if it does not come to that.
fn serve(mut socket: TcpStream, home: &Path) -> Option<Child> {
    write!(socket, "* OK [CAPABILITY {CAPABILITIES}] Courier-IMAP ready.\r\n").ok()?;
    loop {
        let line = line(&mut socket)?;
        let (tag, command) = line.split_once(' ')?;
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb.to_ascii_uppercase().as_str() {
            "CAPABILITY" => write!(socket, "* CAPABILITY {CAPABILITIES}\r\n{tag} OK done\r\n").ok()?,
            "LOGIN" if rest == format!("\"{SUPPORT}\" \"{SUPPORT_PASSWORD}\"") => {
                return Some(imapd(&socket, home, tag));
            }
            "LOGIN" => write!(socket, "{tag} NO Login failed.\r\n").ok()?,
            _ => write!(socket, "{tag} NO Error in IMAP command received by server.\r\n").ok()?,
        }
    }
}

/// Octet by octet: what follows belongs to imapd.
fn line(socket: &mut TcpStream) -> Option<String> {
    let (mut line, mut octet) = (Vec::new(), [0]);
    while octet != *b"\n" {
        socket.read_exact(&mut octet).ok()?;
        line.push(octet[0]);
    }
    Some(String::from_utf8(line).ok()?.trim_end().to_owned())
}

fn imapd(socket: &TcpStream, home: &Path, tag: &str) -> Child {
    let stream = || Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    let program: PathBuf = Path::new(PLACE).join("usr/bin/imapd");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "--"])
        .arg(program)
        .arg("Maildir")
        .current_dir(home)
        .env("HOME", home)
        .env("LD_LIBRARY_PATH", Path::new(PLACE).join("usr/lib"))
        .env("MAILDIR", "Maildir")
        .env("AUTHENTICATED", SUPPORT)
        .env("IMAPLOGINTAG", tag)
        .env("IMAP_CAPABILITY", CAPABILITIES)
        .env("IMAP_KEYWORDS", "1")
        .env("IMAP_ACL", "1")
        // How often it looks while a client is in IDLE: 60 s by default.
        .env("IMAP_IDLE_TIMEOUT", "1")
        .env("PROTOCOL", "IMAP")
        .env("TCPREMOTEIP", "127.0.0.1")
        .env("TCPREMOTEPORT", "1")
        .stdin(stream())
        .stdout(stream())
        .stderr(Stdio::null());
    spawn(command)
}
