//! A private Postfix: the real submission host.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::process::{Process, free_port, is_root, need, open_directory};
use super::{Certificate, Dovecot, Sink, eventually};

/// A running Postfix that relays whatever it accepts to a [`Sink`]. Dropping it
/// stops it and removes its queue.
pub struct Postfix {
    process: Process,
    certificate: Certificate,
    ports: Ports,
    directory: TempDir,
}

#[derive(Clone, Copy)]
struct Ports {
    relay: u16,
    submissions: u16,
}

impl Postfix {
    /// A Postfix with two doors: a relay without AUTH for loopback, and
    /// submission with implicit TLS for users of `dovecot`.
    pub fn start(sink: &Sink, dovecot: &Dovecot, certificate: &Certificate) -> Postfix {
        need("/usr/sbin/postfix");
        assert!(
            is_root(),
            "Postfix runs only when started by root: run the tests as root, \
             in a container for one, or with `sudo -E make test`"
        );
        let mut directory = open_directory("mandate-postfix");
        for _ in 0..5 {
            let ports = Ports { relay: free_port(), submissions: free_port() };
            configure(directory.path(), sink, dovecot, certificate, ports);
            let process = launch(directory.path());
            let certificate = certificate.clone();
            let mut postfix = Postfix { process, certificate, ports, directory };
            if postfix.is_up() {
                return postfix;
            }
            directory = postfix.directory;
        }
        panic!("Postfix finds no free port");
    }

    /// Where anybody on loopback may relay, without TLS and AUTH.
    pub fn relay(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.relay))
    }

    /// Where Dovecot's users submit, with implicit TLS and AUTH.
    pub fn submissions(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.submissions))
    }

    /// What Postfix wrote to its mail log.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("mail.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned() + &self.process.output()
    }

    /// Stops it as an outage would.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Waits for the listener; false if another process took the port.
    fn is_up(&mut self) -> bool {
        eventually("Postfix listens", || {
            if self.process.ended().is_some() {
                let log = self.log();
                assert!(log.contains("Address already in use"), "Postfix does not start:\n{log}");
                return Some(false);
            }
            let mut socket = TcpStream::connect(self.relay()).ok()?;
            (socket.read(&mut [0; 64]).ok()? > 0).then_some(true)
        })
    }
}

fn launch(directory: &Path) -> Process {
    // master itself rather than `postfix start`: the process that we start is
    // then the one that we stop. -d keeps it in the foreground.
    let master = need("/usr/lib/postfix/sbin/master");
    let arguments = ["-d", "-c", directory.to_str().unwrap()];
    Process::start(master, &arguments, &directory.join("output.log"))
}

fn configure(directory: &Path, sink: &Sink, dovecot: &Dovecot, certificate: &Certificate, ports: Ports) {
    // Postfix sleeps until a file that it reads is a few seconds old.
    let past = SystemTime::now() - Duration::from_secs(60);
    let write = |name: &str, text: String| {
        let mut file = File::create(directory.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(past).unwrap();
    };
    write("main.cf", main_cf(directory, sink, dovecot, certificate));
    write("master.cf", master_cf(ports));
    let postfix = user_id("postfix");
    for name in QUEUE {
        let place = directory.join("queue").join(name);
        std::fs::create_dir_all(&place).unwrap();
        chown(&place, Some(postfix), None).unwrap();
    }
    let data = directory.join("data");
    std::fs::create_dir_all(&data).unwrap();
    chown(&data, Some(postfix), None).unwrap();
}

/// What `postfix check` would make; made here, it costs no dozen of processes.
const QUEUE: &[&str] = &[
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "pid",
    "private", "public", "saved", "trace",
];

fn user_id(name: &str) -> u32 {
    let output = Command::new("id").args(["-u", name]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

fn main_cf(directory: &Path, sink: &Sink, dovecot: &Dovecot, certificate: &Certificate) -> String {
    let place = directory.display();
    let sink = sink.address().port();
    let auth_socket = dovecot.auth_socket().display().to_string();
    let certificate_file = certificate.certificate.display();
    let key_file = certificate.key.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {place}/mail.log
maillog_file_prefixes = {place}
myhostname = upstream.example.org
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_tls_cert_file = {certificate_file}
smtpd_tls_key_file = {key_file}
smtpd_tls_security_level = may
message_size_limit = 104857600
mailbox_size_limit = 0
disable_dns_lookups = yes
in_flow_delay = 0
smtpd_error_sleep_time = 0
"
    )
}

fn master_cf(Ports { relay, submissions }: Ports) -> String {
    format!(
        "127.0.0.1:{relay} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
