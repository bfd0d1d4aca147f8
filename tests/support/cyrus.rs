//! A private Cyrus: a real upstream that has nearly everything, and its own ideas of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::dovecot::SUPPORT_PASSWORD;
use super::process::{Process, free_port, is_root, need, open_directory, user_name};
use super::{Imap, eventually};

/// Where `scripts/deps` unpacks it: Debian lets no two IMAP hosts be installed together.
const PLACE: &str = "/usr/local/lib/mandate-hosts/cyrus";

/// The account's name there; its realm is the host's own.
pub const ACCOUNT: &str = "support";

/// Debian's `nobody` and `nogroup`, whom root hands its data to.
const NOBODY: u32 = 65534;

/// A running Cyrus with one account. Dropping it stops it and removes its mail.
pub struct Cyrus {
    _process: Process,
    port: u16,
    _directory: TempDir,
}

impl Cyrus {
    pub fn start() -> Cyrus {
        need(&format!("{PLACE}/usr/lib/cyrus/bin/imapd"));
        let mut directory = open_directory("mandate-cyrus");
        for _ in 0..5 {
            let port = free_port();
            prepare(directory.path(), port);
            let mut process = launch(directory.path());
            if is_up(&mut process, port) {
                return Cyrus { _process: process, port, _directory: directory };
            }
            drop(process);
            directory = open_directory("mandate-cyrus");
        }
        panic!("Cyrus finds no free port");
    }

    pub fn imap(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A connection straight to the account, past the proxy.
    pub fn login(&self) -> Imap {
        let mut imap = Imap::plain(self.imap());
        imap.login(ACCOUNT, SUPPORT_PASSWORD);
        imap
    }
}

fn launch(directory: &Path) -> Process {
    let place = directory.display();
    let libraries = format!("LD_LIBRARY_PATH={PLACE}/usr/lib/x86_64-linux-gnu");
    let arguments = [
        libraries,
        format!("{PLACE}/usr/lib/cyrus/bin/master"),
        "-D".to_owned(),
        format!("-C{place}/imapd.conf"),
        format!("-M{place}/cyrus.conf"),
        format!("-p{place}/run/pid"),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::start(need("/usr/bin/env"), &arguments, &directory.join("cyrus.log"))
}

fn is_up(process: &mut Process, port: u16) -> bool {
    eventually("Cyrus greets", || {
        if process.ended().is_some() {
            return Some(false);
        }
        let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        (socket.read(&mut [0; 64]).ok()? > 0).then_some(true)
    })
}

fn prepare(directory: &Path, port: u16) {
    let parts = ["mail", "run", "conf", "conf/socket", "conf/db", "conf/proc", "conf/lock", "conf/msg"];
    for part in parts {
        std::fs::create_dir_all(directory.join(part)).unwrap();
    }
    let place = directory.display();
    let user = if is_root() { "nobody".to_owned() } else { user_name() };
    let imapd = format!(
        "configdirectory: {place}/conf\npartition-default: {place}/mail\ndefaultpartition: default\n\
         cyrus_user: {user}\nservername: mail.example.org\nadmins: cyrus\nvirtdomains: off\n\
         unixhierarchysep: yes\naltnamespace: yes\nallowplaintext: yes\n\
         sasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\nsasl_sasldb_path: {place}/sasldb\n\
         sasl_mech_list: PLAIN LOGIN\nlmtpsocket: {place}/run/lmtp\nidlesocket: {place}/run/idle\n\
         notifysocket: {place}/run/notify\nimapidlepoll: 1\nautocreate_quota: 0\n\
         autocreate_inbox_folders: Drafts|Sent|Trash|Archive|Junk\n\
         xlist-drafts: Drafts\nxlist-sent: Sent\nxlist-trash: Trash\nxlist-archive: Archive\nxlist-junk: Junk\n"
    );
    std::fs::write(directory.join("imapd.conf"), imapd).unwrap();
    let services = format!(
        "START {{\n}}\nSERVICES {{\n imap cmd=\"{PLACE}/usr/lib/cyrus/bin/imapd -C {place}/imapd.conf\" \
         listen=\"127.0.0.1:{port}\" prefork=0\n}}\nEVENTS {{\n}}\n"
    );
    std::fs::write(directory.join("cyrus.conf"), services).unwrap();
    password(&directory.join("sasldb"));
    if is_root() {
        let parts = parts.map(|part| directory.join(part)).into_iter();
        for part in parts.chain([directory.to_owned(), directory.join("sasldb")]) {
            chown(part, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn password(database: &Path) {
    let mut command = Command::new(need("/usr/sbin/saslpasswd2"));
    command.args(["-p", "-c", "-u", "mail.example.org", "-f"]).arg(database).arg(ACCOUNT);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(SUPPORT_PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "saslpasswd2");
}
