//! What a process costs, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// CPU time of a process so far, user and system, threads that ended included.
///
/// proc(5) counts in ticks of 10 ms (USER_HZ is 100 on all of Linux's usual machines);
/// the sum behind them is exact, so a case must only be long enough.
pub fn cpu(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The second field, the name, may hold anything but ends with the last parenthesis.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    // utime and stime are fields 14 and 15.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Memory of a process, its share of what it shares (PSS), in KiB.
pub fn memory(id: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
