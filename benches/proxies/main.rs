//! `make bench`: Mandate beside haproxy, same run, same certificate, same upstream.
//!
//! | part | what it is |
//! |---|---|
//! | [`upstream`] | a mail host that answers from memory |
//! | [`peers`] | haproxy, the floor (a copy loop in Rust) and the release build of Mandate |
//! | [`client`] | the load |
//! | [`cases`] | what is measured, and what Mandate must reach |
//! | [`settings`] | what the environment may choose |
//!
//! CPU time is that of the proxy's process, from `/proc`; wall time on a shared machine
//! says little. Each case lets the proxies take turns for several rounds, and the
//! median counts.
#![allow(unreachable_pub, reason = "a program: nobody imports it")]

mod cases;
mod client;
mod machine;
mod peers;
mod settings;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod upstream;
mod usage;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use cases::{CASES, Case, Sample};
use peers::{Kind, Peer, Scene};
use settings::Settings;
use support::Ca;
use table::{Measured, Row};
use upstream::Upstream;

/// A measurement that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((peers::FLOOR, rest)) = arguments.split_first().map(|(role, rest)| (role.as_str(), rest)) {
        peers::run_floor(rest);
        return ExitCode::SUCCESS;
    }
    for fact in machine::facts() {
        println!("{fact}");
    }
    machine::raise_open_files();
    let settings = Settings::from_environment();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let rows = runtime.block_on(Run::new(settings).all());
    println!("took     {} s\n", start.elapsed().as_secs());
    table::print(&rows);
    let failed = rows.iter().any(|row| row.results.iter().flatten().any(Result::is_err));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Run {
    settings: Settings,
    scene: Scene,
    /// The proxies that run, by kind. One that failed is started anew.
    peers: [Option<Peer>; Kind::ALL.len()],
    end: Instant,
}

impl Run {
    fn new(settings: Settings) -> Run {
        let ca = Ca::new();
        let certificate = ca.localhost();
        let scene = Scene { ca, certificate, upstream: Upstream::start() };
        let end = Instant::now() + settings.total;
        Run { settings, scene, peers: [const { None }; Kind::ALL.len()], end }
    }

    async fn all(mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in CASES {
            let only = &self.settings.only;
            if only.is_empty() || only.iter().any(|word| case.name.contains(word.as_str())) {
                eprint!("{} ", case.name);
                rows.push(self.case(case).await);
            }
        }
        eprintln!();
        rows
    }

    /// All rounds of a case; the proxies take turns.
    async fn case(&mut self, case: &'static Case) -> Row {
        let mut row = Row { case, results: [const { None }; Kind::ALL.len()] };
        // A proxy with nothing to forget gives the same answer each time.
        let rounds = if case.wants_fresh_peer() { 1 } else { self.settings.rounds };
        for round in 0..rounds {
            if round > 0 && Instant::now() > self.end {
                break;
            }
            for kind in self.settings.kinds() {
                let result = row.results[kind as usize].take().unwrap_or_else(|| Ok(Vec::new()));
                row.results[kind as usize] = Some(self.round(case, kind, result).await);
            }
        }
        row
    }

    /// One more sample to those there are. A proxy that failed once is done with the case.
    async fn round(&mut self, case: &Case, kind: Kind, samples: Measured) -> Measured {
        let mut samples = samples?;
        let peer = match self.peers[kind as usize].take().filter(|_| !case.wants_fresh_peer()) {
            Some(peer) => peer,
            None => Peer::start(kind, &self.scene)?,
        };
        samples.push(self.measure(case, &peer).await?);
        self.peers[kind as usize] = Some(peer);
        Ok(samples)
    }

    async fn measure(&self, case: &Case, peer: &Peer) -> Result<Sample, String> {
        let measured = case.measure(peer, &self.scene, &self.settings);
        match tokio::time::timeout(PATIENCE, measured).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("hangs: not done after {} s", PATIENCE.as_secs())),
        }
    }
}
