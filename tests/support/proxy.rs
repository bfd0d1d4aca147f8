//! The real `mandate` binary: a daemon of the test's own, and its command line.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use mandate::admin::{Answer, Request};
use tempfile::TempDir;

use super::process::{Process, free_port, open_directory};
use super::{Ca, Certificate, Imap, Smtp, eventually};

/// A running daemon with its configuration, store and socket in a temporary
/// directory. Dropping it stops it and removes all of that.
pub struct Proxy {
    process: Option<Process>,
    settings: Settings,
    ports: Ports,
    directory: TempDir,
}

/// What a test may choose about its daemon.
#[derive(Clone, Debug)]
pub struct Settings {
    pub certificate: Certificate,
    /// More lines for `proxy.toml`: whole tables that [`Proxy`] does not write.
    pub extra: String,
}

#[derive(Clone, Copy)]
struct Ports {
    imap: u16,
    submission: u16,
}

impl Proxy {
    /// A daemon with default settings, a certificate of `ca` and an empty store.
    pub fn start(ca: &Ca) -> Proxy {
        Proxy::with(Settings { certificate: ca.localhost(), extra: String::new() })
    }

    /// A daemon with settings of the test's own.
    pub fn with(settings: Settings) -> Proxy {
        let directory = open_directory("mandate-proxy");
        let ports = Ports { imap: free_port(), submission: free_port() };
        let mut proxy = Proxy { process: None, settings, ports, directory };
        proxy.configure();
        proxy.run(&["init"], "");
        for _ in 0..5 {
            if proxy.serve() {
                return proxy;
            }
            proxy.ports = Ports { imap: free_port(), submission: free_port() };
            proxy.configure();
        }
        panic!("mandate finds no free port");
    }

    /// The binary: built by cargo for tests, named by `MANDATE_BINARY` otherwise.
    pub fn binary() -> PathBuf {
        let built = option_env!("CARGO_BIN_EXE_mandate").map(PathBuf::from);
        let named = || std::env::var_os("MANDATE_BINARY").map(PathBuf::from);
        built.or_else(named).expect("MANDATE_BINARY names the mandate binary")
    }

    /// Where it takes IMAP over implicit TLS.
    pub fn imaps(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.imap))
    }

    /// Where it takes submission over implicit TLS.
    pub fn submissions(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.submission))
    }

    /// An IMAP connection that is logged in: `alice@example.org/support`.
    #[track_caller]
    pub fn imap(&self, ca: &Ca, login: &str, password: &str) -> Imap {
        let mut imap = Imap::tls(self.imaps(), ca);
        imap.login(login, password);
        imap
    }

    /// A submission connection that is logged in.
    #[track_caller]
    pub fn smtp(&self, ca: &Ca, login: &str, password: &str) -> Smtp {
        let mut smtp = Smtp::tls(self.submissions(), ca);
        smtp.expect(250, "EHLO client.example.org");
        let reply = smtp.login(login, password);
        assert_eq!(reply.code, 235, "{reply}\n{}", smtp.wire.trace());
        smtp
    }

    /// Runs a `mandate` command with this daemon's configuration.
    pub fn command(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(Proxy::binary())
            .arg("--config")
            .arg(self.configuration_file())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a `mandate` command that must succeed and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], input: &str) -> String {
        let output = self.command(arguments, input);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mandate {}: {complaint}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Asks the running daemon what the command line would, without its start.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Answer {
        match mandate::admin::ask(&self.directory.path().join("admin.sock"), request) {
            Ok(Answer::Failed(failure)) => panic!("{}: {failure:?}", request.verb()),
            Ok(answer) => answer,
            Err(error) => panic!("{}: {error:?}", request.verb()),
        }
    }

    /// The configuration, for tests that change it and reload.
    pub fn configuration_file(&self) -> PathBuf {
        self.directory.path().join("proxy.toml")
    }

    /// The directory of the store and the audit journal.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The daemon's process id.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the daemon runs").id()
    }

    /// Sends a signal by name: `"HUP"`, `"TERM"`.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("the daemon runs").signal(name);
    }

    /// Ends the daemon as a crash would (SIGKILL).
    pub fn kill(&mut self) {
        self.process.take().expect("the daemon runs").kill();
    }

    /// Ends the daemon in order (SIGTERM) and returns how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("the daemon runs").stop()
    }

    /// Starts the daemon again, on the same ports and store.
    pub fn restart(&mut self) {
        assert!(self.serve(), "mandate does not come back:\n{}", self.log());
    }

    /// Starts the daemon and waits until it answers everywhere; false if another
    /// process took a port.
    fn serve(&mut self) -> bool {
        let config = self.configuration_file();
        let arguments = ["--config", config.to_str().unwrap(), "serve"];
        let log = self.directory.path().join("log");
        let mut process = Process::start(&Proxy::binary(), &arguments, &log);
        let doors = [self.imaps(), self.submissions()];
        let control = self.directory.path().join("admin.sock");
        let up = eventually("mandate listens", || {
            if process.ended().is_some() {
                let log = process.output();
                assert!(log.contains("in use"), "mandate does not start:\n{log}");
                return Some(false);
            }
            let open = doors.iter().all(|door| TcpStream::connect(door).is_ok());
            // Last of all comes the control socket; without it a command opens the store itself.
            (open && UnixStream::connect(&control).is_ok()).then_some(true)
        });
        self.process = up.then_some(process);
        up
    }

    fn configure(&self) {
        let text = configuration(self.directory.path(), &self.settings, self.ports);
        std::fs::write(self.configuration_file(), text).unwrap();
    }
}

fn configuration(directory: &Path, settings: &Settings, ports: Ports) -> String {
    let place = directory.display();
    let certificate = settings.certificate.certificate.display();
    let key = settings.certificate.key.display();
    let Ports { imap, submission } = ports;
    format!(
        r#"
[state]
directory = "{place}/state"

[admin]
socket = "{place}/admin.sock"

[tls]
certificate = "{certificate}"
key = "{key}"

[imap]
listen = ["127.0.0.1:{imap}"]

[submission]
listen = ["127.0.0.1:{submission}"]

{extra}
"#,
        extra = settings.extra
    )
}
