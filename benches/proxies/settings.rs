//! What the environment may choose about a run.

use std::env;
use std::time::Duration;

use crate::peers::Kind;

/// | variable | meaning | default |
/// |---|---|---|
/// | `BENCH_QUICK=1` | a minute instead of six: shows trends, not figures | off |
/// | `BENCH_ONLY=noop,idle` | only cases whose name contains one of these | all |
/// | `BENCH_PEERS=haproxy,mandate` | only these proxies | all |
/// | `BENCH_ROUNDS=5` | how often each case is measured; the median counts | 5, quick 2 |
/// | `BENCH_SESSIONS=5000` | idle sessions whose memory is measured | 1000, quick 200 |
#[derive(Clone, Debug)]
pub struct Settings {
    pub only: Vec<String>,
    pub peers: Vec<String>,
    pub rounds: u32,
    pub sessions: u32,
    /// What part of a case's full amount a round does.
    pub share: f64,
    /// Where a round ends even if not all is done.
    pub round: Duration,
    /// After this long no further round begins.
    pub total: Duration,
}

impl Settings {
    pub fn from_environment() -> Settings {
        let quick = env::var("BENCH_QUICK").is_ok_and(|value| value == "1");
        let full = Settings {
            only: list("BENCH_ONLY"),
            peers: list("BENCH_PEERS"),
            rounds: number("BENCH_ROUNDS", if quick { 2 } else { 5 }),
            sessions: number("BENCH_SESSIONS", if quick { 200 } else { 1000 }),
            share: 1.0,
            round: Duration::from_secs(5),
            total: Duration::from_secs(300),
        };
        if !quick {
            return full;
        }
        Settings { share: 0.25, round: Duration::from_secs(1), total: Duration::from_secs(45), ..full }
    }

    /// The proxies to compare, in the order of the table.
    pub fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.peers.is_empty() || self.peers.iter().any(|name| name == kind.name());
        Kind::ALL.into_iter().filter(wanted).collect()
    }
}

fn list(variable: &str) -> Vec<String> {
    let value = env::var(variable).unwrap_or_default();
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number(variable: &str, default: u32) -> u32 {
    let Ok(value) = env::var(variable) else { return default };
    value
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .unwrap_or_else(|| panic!("{variable} is a number above 0"))
}
