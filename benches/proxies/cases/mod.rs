//! What is measured, in the order of the table.

mod drive;
mod idle;
mod reading;
mod sending;

use std::io;

use rustls::client::Resumption;

use crate::client::Application;
use crate::peers::{Peer, Scene};
use crate::settings::Settings;

/// One line of the table.
pub struct Case {
    /// What `BENCH_ONLY` selects by.
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    pub target: Target,
    work: Work,
}

/// What a cost is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// CPU seconds for 10^9 octets.
    SecondsPerGigabyte,
    /// CPU microseconds for one.
    Microseconds,
    /// CPU milliseconds for one.
    Milliseconds,
    /// KiB of PSS for one session.
    Kibibytes,
}

/// What Mandate must reach.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At most this many times what haproxy needs in the same run.
    TimesHaproxy(f64),
    /// At most this much.
    AtMost(f64),
}

/// One measurement, in the case's unit.
#[derive(Clone, Debug)]
pub struct Sample {
    pub cost: f64,
    /// What a reader of the table should know about it.
    pub note: Option<String>,
}

enum Work {
    /// UID FETCH BODY.PEEK[] of this many messages of a folder, on so many connections.
    Download { folder: &'static str, connections: u32, messages: u32 },
    /// What a client reads first of INBOX, so many times.
    Headers { times: u32 },
    /// NOOP in a selected folder.
    Noop { connections: u32, commands: u32 },
    /// TLS handshake, LOGIN, LOGOUT.
    Login { resumed: bool, times: u32 },
    /// Sessions in IDLE, after a download of 1 MB each or at once.
    Idle { download: bool },
    /// Messages of a size, on kept sessions or with a session each. `file`: Mandate files the copy,
    /// which no other proxy does, and is measured until that is done.
    Submit { octets: usize, kept: bool, file: bool, messages: u32 },
}

const KB: usize = 1 << 10;

/// A full round takes haproxy about half a second of CPU time, so that a tick of 10 ms is 2 %.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case {
        name: "large-1", title: "download 1 MB messages, 1 connection", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(0.55), work: Work::Download { folder: "Large", connections: 1, messages: 800 },
    },
    Case {
        name: "large-8", title: "the same, 8 connections", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(0.55), work: Work::Download { folder: "Large", connections: 8, messages: 1000 },
    },
    Case {
        name: "small-8", title: "download 20 KB messages, 8 connections", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(0.8), work: Work::Download { folder: "Small", connections: 8, messages: 20_000 },
    },
    Case {
        name: "headers", title: "header sync of 50,000 messages", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(1.1), work: Work::Headers { times: 16 },
    },
    Case {
        name: "noop", title: "NOOP, 64 connections", unit: Unit::Microseconds,
        target: Target::TimesHaproxy(1.0), work: Work::Noop { connections: 64, commands: 40_000 },
    },
    Case {
        name: "login-full", title: "login, full handshake", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(0.8), work: Work::Login { resumed: false, times: 1_500 },
    },
    Case {
        name: "login-resumed", title: "login, resumed", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(0.8), work: Work::Login { resumed: true, times: 1_500 },
    },
    Case {
        name: "idle-cold", title: "session in IDLE", unit: Unit::Kibibytes,
        target: Target::AtMost(15.0), work: Work::Idle { download: false },
    },
    Case {
        name: "idle-used", title: "session in IDLE after 1 MB", unit: Unit::Kibibytes,
        target: Target::AtMost(15.0), work: Work::Idle { download: true },
    },
    Case {
        name: "submit-kept", title: "submit 5 KB, kept session", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(1.5), work: Work::Submit { octets: 5 * KB, kept: true, file: false, messages: 6_000 },
    },
    Case {
        name: "submit-each", title: "submit 5 KB, a session each", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(0.8), work: Work::Submit { octets: 5 * KB, kept: false, file: false, messages: 1_000 },
    },
    Case {
        name: "submit-10mb", title: "submit 10 MB", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(0.8), work: Work::Submit { octets: 10 * KB * KB, kept: true, file: false, messages: 50 },
    },
    Case {
        name: "file-kept", title: "submit 5 KB and file the copy", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(1.5), work: Work::Submit { octets: 5 * KB, kept: true, file: true, messages: 6_000 },
    },
    Case {
        name: "file-each", title: "the same, a session each", unit: Unit::Milliseconds,
        target: Target::TimesHaproxy(0.8), work: Work::Submit { octets: 5 * KB, kept: false, file: true, messages: 1_000 },
    },
    Case {
        name: "file-10mb", title: "submit 10 MB and file the copy", unit: Unit::SecondsPerGigabyte,
        target: Target::TimesHaproxy(0.8), work: Work::Submit { octets: 10 * KB * KB, kept: true, file: true, messages: 50 },
    },
];

impl Case {
    /// Whether the case needs a proxy that has served nobody yet.
    pub fn wants_fresh_peer(&self) -> bool {
        matches!(self.work, Work::Idle { .. })
    }

    /// Measures once.
    pub async fn measure(&self, peer: &Peer, scene: &Scene, settings: &Settings) -> io::Result<Sample> {
        let application = |resumption| Application::new(&scene.ca.file(), resumption);
        let stranger = application(Resumption::disabled());
        match self.work {
            Work::Download { folder, connections, messages } => {
                reading::download(peer, &stranger, folder, connections, settings.budget(messages)).await
            }
            Work::Headers { times } => reading::headers(peer, &stranger, settings.budget(times)).await,
            Work::Noop { connections, commands } => {
                reading::noop(peer, &stranger, connections, settings.budget(commands)).await
            }
            Work::Login { resumed, times } => {
                // Tickets are used once: each worker is an application of its own.
                let tickets =
                    || if resumed { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
                let applications = (0..4).map(|_| application(tickets())).collect();
                reading::login(peer, applications, resumed, settings.budget(times)).await
            }
            Work::Idle { download } => idle::memory(peer, &stranger, settings.sessions, download).await,
            Work::Submit { octets, kept: true, file, messages } => {
                let filed = peer.files(file).then_some(scene.upstream);
                sending::kept(peer, &stranger, octets, settings.budget(messages), filed).await
            }
            Work::Submit { octets, kept: false, file, messages } => {
                let filed = peer.files(file).then_some(scene.upstream);
                sending::each(peer, &stranger, octets, settings.budget(messages), filed).await
            }
        }
    }
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::SecondsPerGigabyte => "s/GB",
            Unit::Microseconds => "\u{b5}s",
            Unit::Milliseconds => "ms",
            Unit::Kibibytes => "KiB",
        }
    }
}

impl Target {
    /// Whether a cost reaches it; `None` where haproxy was not measured.
    pub fn is_met(self, cost: f64, haproxy: Option<f64>) -> Option<bool> {
        match self {
            Target::TimesHaproxy(times) => haproxy.map(|haproxy| cost <= times * haproxy),
            Target::AtMost(most) => Some(cost <= most),
        }
    }
}
