//! A private Dovecot: the real upstream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process::{Process, free_port, group_name, is_root, need, open_directory, user_name};
use super::{Ca, Certificate, Imap, Snapshot, eventually};

/// The upstream account that most tests share out.
pub const SUPPORT: &str = "support@example.org";
/// Its password, which no user of the proxy ever sees.
pub const SUPPORT_PASSWORD: &str = "an-upstream-password-that-nobody-needs-to-type";
/// May log in as anybody: `support@example.org*master`.
pub const MASTER: &str = "master";
pub const MASTER_PASSWORD: &str = "the-master-password-of-the-upstream-host";

/// Who reads mail when Dovecot runs as root, which it refuses to do as root:
/// Debian's `nobody`.
pub const NOBODY: u32 = 65534;

/// A running Dovecot. Dropping it stops it and removes its mail.
pub struct Dovecot {
    process: Process,
    settings: Settings,
    certificate: Certificate,
    ports: Ports,
    directory: TempDir,
}

/// What a test may choose about its Dovecot. See [`Dovecot::with`].
#[derive(Clone, Debug)]
pub struct Settings {
    pub storage: Storage,
    /// The hierarchy separator. Maildir with `/` still keeps `.` out of names.
    pub separator: char,
    /// `mail_max_userip_connections`; Dovecot's own default is 10.
    pub max_connections: u32,
    /// Accounts and their passwords.
    pub users: BTreeMap<String, String>,
    /// SPECIAL-USE folders, made at first login: name and attribute.
    pub special_use: Vec<(String, String)>,
    /// More lines for `dovecot.conf`.
    pub extra: String,
}

/// How mail is kept on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storage {
    Maildir,
    Sdbox,
}

#[derive(Clone, Copy)]
struct Ports {
    imap: u16,
    imaps: u16,
}

impl Default for Settings {
    fn default() -> Settings {
        let users = [(SUPPORT, SUPPORT_PASSWORD)];
        let special_use = ["Drafts", "Sent", "Trash", "Archive", "Junk"];
        Settings {
            storage: Storage::Sdbox,
            separator: '/',
            max_connections: 10,
            users: users.map(|(user, word)| (user.to_owned(), word.to_owned())).into(),
            special_use: special_use.map(|name| (name.to_owned(), format!("\\{name}"))).into(),
            extra: String::new(),
        }
    }
}

impl Dovecot {
    /// A Dovecot with the usual settings and a certificate of `ca`.
    pub fn start(ca: &Ca) -> Dovecot {
        Dovecot::with(ca.localhost(), Settings::default())
    }

    /// A Dovecot with settings of the test's own.
    pub fn with(mut certificate: Certificate, mut settings: Settings) -> Dovecot {
        need("/usr/lib/dovecot/imap");
        let mut directory = open_directory("mandate-dovecot");
        let mail = directory.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        if is_root() {
            chown(&mail, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        write_passwords(directory.path(), &settings);
        for _ in 0..5 {
            let ports = Ports { imap: free_port(), imaps: free_port() };
            let text = configuration(directory.path(), &settings, &certificate, ports);
            std::fs::write(directory.path().join("dovecot.conf"), text).unwrap();
            let process = launch(directory.path());
            let mut dovecot = Dovecot { process, settings, certificate, ports, directory };
            if dovecot.is_up() {
                return dovecot;
            }
            Dovecot { settings, certificate, directory, .. } = dovecot;
        }
        panic!("Dovecot finds no free port");
    }

    /// Where it takes plain IMAP.
    pub fn imap(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.imap))
    }

    /// Where it takes IMAP over implicit TLS.
    pub fn imaps(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.imaps))
    }

    /// The socket at which a [`Postfix`](super::Postfix) may ask for SASL.
    pub fn auth_socket(&self) -> PathBuf {
        self.directory.path().join("run/sasl")
    }

    /// Where an account's mail lies.
    pub fn home(&self, user: &str) -> PathBuf {
        self.directory.path().join("mail").join(user)
    }

    /// Gives `to` a copy of the mail of `from`, who must not be logged in.
    pub fn copy_mail(&self, from: &Path, to: &str) {
        copy_tree(from, &self.home(to));
    }

    /// A connection straight to the account, past the proxy.
    pub fn login(&self, user: &str) -> Imap {
        let mut imap = Imap::plain(self.imap());
        imap.login(user, &self.settings.users[user]);
        imap
    }

    /// Puts a message into a folder, with CRLF line ends, and returns its UID.
    pub fn deliver(&self, user: &str, folder: &str, message: &[u8]) -> u32 {
        let reply = self.login(user).append(folder, "", message);
        let uid = reply.tagged.split(&[' ', ']'][..]).nth(3).and_then(|uid| uid.parse().ok());
        uid.unwrap_or_else(|| panic!("APPEND: {reply}"))
    }

    /// Everything the account holds now.
    pub fn snapshot(&self, user: &str) -> Snapshot {
        Snapshot::take(&mut self.login(user))
    }

    /// What Dovecot wrote to its log: logins, commands of a failing session.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Changes an account's password; restarts, since Dovecot may know the old one still.
    pub fn set_password(&mut self, user: &str, password: &str) {
        self.stop();
        self.settings.users.insert(user.to_owned(), password.to_owned());
        write_passwords(self.directory.path(), &self.settings);
        self.resume();
    }

    /// How much all its processes have read from files and the like so far, in octets.
    pub fn octets_read(&self) -> u64 {
        let group = format!(" {} ", self.process.id());
        let of = |place: PathBuf| {
            let stat = std::fs::read_to_string(place.join("stat")).ok()?;
            // PID (NAME) STATE PPID PGRP: proc(5).
            let fields = stat.rsplit(") ").next()?;
            let pgrp = format!(" {} ", fields.split(' ').nth(2)?);
            let io = std::fs::read_to_string(place.join("io")).ok().filter(|_| pgrp == group)?;
            io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok())
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| of(entry.path())).sum()
    }

    /// Stops it as an outage would; [`Dovecot::resume`] brings it back.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Stops all its processes where they are, until [`Dovecot::thaw`]: it neither reads nor
    /// writes, and its connections stay open.
    pub fn freeze(&self) {
        self.process.signal_group("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal_group("CONT");
    }

    /// Starts it again on the same ports with the same mail.
    pub fn resume(&mut self) {
        self.process = launch(self.directory.path());
        assert!(self.is_up(), "Dovecot does not come back:\n{}", self.log());
    }

    /// Waits for the greeting; false if another process took the port.
    fn is_up(&mut self) -> bool {
        eventually("Dovecot greets", || {
            if self.process.ended().is_some() {
                let log = self.log();
                let taken = log.contains("Address already in use") || log.contains("duplicate listener");
                assert!(taken, "Dovecot does not start:\n{log}");
                return Some(false);
            }
            let mut socket = TcpStream::connect(self.imap()).ok()?;
            (socket.read(&mut [0; 64]).ok()? > 0).then_some(true)
        })
    }
}

/// Copies a directory with its owners.
fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy_tree(&entry.path(), &target),
            kind if kind.is_file() => std::fs::copy(entry.path(), &target).map(drop).unwrap(),
            _ => continue,
        }
        if is_root() {
            chown(&target, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    if is_root() {
        chown(to, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn launch(directory: &Path) -> Process {
    let config = directory.join("dovecot.conf");
    let arguments = ["-F", "-c", config.to_str().unwrap()];
    Process::start(need("/usr/sbin/dovecot"), &arguments, &directory.join("dovecot.log"))
}

fn write_passwords(directory: &Path, settings: &Settings) {
    let mut users = String::new();
    for (user, password) in &settings.users {
        writeln!(users, "{user}:{{PLAIN}}{password}").unwrap();
    }
    std::fs::write(directory.join("users"), users).unwrap();
    let masters = format!("{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n");
    std::fs::write(directory.join("masters"), masters).unwrap();
}

fn configuration(directory: &Path, settings: &Settings, certificate: &Certificate, ports: Ports) -> String {
    let Settings { separator, max_connections, extra, .. } = settings;
    let Ports { imap, imaps } = ports;
    let place = directory.display();
    let storage = match settings.storage {
        Storage::Maildir => "maildir:~/Maildir",
        Storage::Sdbox => "sdbox:~/sdbox",
    };
    let mut folders = String::new();
    for (name, attribute) in &settings.special_use {
        writeln!(folders, "mailbox \"{name}\" {{\n special_use = {attribute}\n auto = create\n}}").unwrap();
    }
    let certificate_file = certificate.certificate.display();
    let key_file = certificate.key.display();
    let identities = identities(directory);
    format!(
        r#"
base_dir = {place}/run
state_dir = {place}/run
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate_file}
ssl_key = <{key_file}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
auth_master_user_separator = *
{identities}
passdb {{
  driver = passwd-file
  args = {place}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = {place}/users
}}
mail_location = {storage}
mail_fsync = never
namespace inbox {{
  inbox = yes
  separator = {separator}
  {folders}
}}
protocol imap {{
  mail_max_userip_connections = {max_connections}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
# No growing delay after a wrong password: tests send many.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener sasl {{
    mode = 0666
  }}
}}
{extra}
"#
    )
}

/// Who runs what: Dovecot's own users when root, ourselves for everything if not.
fn identities(directory: &Path) -> String {
    let home = format!("{}/mail/%u", directory.display());
    if is_root() {
        return format!("userdb {{\n driver = static\n args = uid={NOBODY} gid={NOBODY} home={home}\n}}");
    }
    let user = user_name();
    format!(
        "default_internal_user = {user}\n\
         default_internal_group = {group}\n\
         default_login_user = {user}\n\
         userdb {{\n driver = static\n args = uid={user} gid={group} home={home}\n}}\n\
         service anvil {{\n chroot =\n}}\n\
         service imap-login {{\n chroot =\n}}",
        group = group_name(),
    )
}
