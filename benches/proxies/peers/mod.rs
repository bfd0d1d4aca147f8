//! The proxies that are compared: same certificate, same upstream, two threads each.

mod floor;
mod haproxy;
mod mandate;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use floor::{ROLE as FLOOR, run as run_floor};

use crate::support::{Ca, Certificate, Proxy, process::Process};
use crate::upstream::Upstream;
use crate::usage;

/// What every proxy may use at once, whatever the machine has.
const THREADS: usize = 2;

/// The kinds of proxy, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// What all ratios refer to: Debian's own, tcp mode, TLS ended there.
    Haproxy,
    /// The least a proxy in Rust can do: tokio, rustls, a copy loop, no protocol.
    Floor,
    Mandate,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Haproxy, Kind::Floor, Kind::Mandate];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Haproxy => "haproxy",
            Kind::Floor => "floor",
            Kind::Mandate => "mandate",
        }
    }
}

/// The certificate and the upstream that all proxies share.
pub struct Scene {
    pub ca: Ca,
    pub certificate: Certificate,
    pub upstream: Upstream,
}

/// Where a proxy takes clients, and what they log in with.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub imaps: SocketAddr,
    pub submissions: SocketAddr,
    pub login: &'static str,
    pub password: &'static str,
}

/// A running proxy. Dropping it stops it.
pub struct Peer {
    pub door: Door,
    process: Running,
}

enum Running {
    /// The program and the directory it was started from.
    Program(Process, #[expect(dead_code, reason = "goes with the program")] tempfile::TempDir),
    Mandate(Box<Proxy>),
}

impl Door {
    /// A proxy that passes on whatever is said: the login is the upstream's own.
    fn through([imaps, submissions]: [SocketAddr; 2]) -> Door {
        Door { imaps, submissions, login: "support@example.org", password: "secret" }
    }
}

impl Peer {
    /// Starts a proxy. One that does not start is told as such: the others are compared
    /// all the same.
    pub fn start(kind: Kind, scene: &Scene) -> Result<Peer, String> {
        let started = catch_unwind(AssertUnwindSafe(|| match kind {
            Kind::Haproxy => haproxy::start(scene),
            Kind::Floor => floor::start(scene),
            Kind::Mandate => mandate::start(scene),
        }));
        started.map_err(|_| format!("{} does not start (see above)", kind.name()))
    }

    /// Says who files the copy of what is sent: Mandate itself, or nobody here. Proxies that know no
    /// protocol file nothing; false.
    pub fn files(&self, file: bool) -> bool {
        match &self.process {
            Running::Program(..) => false,
            Running::Mandate(proxy) => {
                let copy = if file { "sent_copy=file" } else { "sent_copy=upstream" };
                proxy.run(&["mailbox", "set", "support@example.org", copy], "");
                file
            }
        }
    }

    pub fn cpu(&self) -> std::time::Duration {
        usage::cpu(self.id())
    }

    pub fn memory(&self) -> u64 {
        usage::memory(self.id())
    }

    fn id(&self) -> u32 {
        match &self.process {
            Running::Program(process, _) => process.id(),
            Running::Mandate(proxy) => proxy.id(),
        }
    }
}
