//! Dovecot's own ACLs as the oracle of Mandate's rights: see docs/proofs.md.

mod support;

#[path = "oracle/answer.rs"]
mod answer;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/generate.rs"]
mod generate;
#[path = "oracle/run.rs"]
mod run;
#[path = "oracle/world.rs"]
mod world;

use generate::Grammar;

/// The seed of a run, unless `ORACLE_SEED` names one session's.
const SEED: u64 = 4314;

#[test]
fn three_hundred_sessions_agree_with_the_oracle() {
    run::sessions(SEED, 300, Grammar::Plain);
}

#[test]
fn a_hundred_sessions_with_extensions_agree_with_the_oracle() {
    run::sessions(SEED, 100, Grammar::Wide);
}

#[test]
#[ignore = "nightly: ten thousand sessions take half an hour"]
fn ten_thousand_sessions_agree_with_the_oracle() {
    run::sessions(SEED + 1_000_000, 10_000, Grammar::Plain);
}
