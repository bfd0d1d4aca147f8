//! The unit file keeps its promise: at most 1.5 on systemd's scale of exposure.

mod support;

use std::process::Command;

use support::process::need;

/// In tenths, as `--threshold` counts. Debian's Dovecot has 87.
const PROMISE: &str = "15";

#[test]
fn the_unit_is_hardened() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/mandate.service");
    let analyze = need("/usr/bin/systemd-analyze");
    let threshold = format!("--threshold={PROMISE}");
    let output = Command::new(analyze)
        .args(["security", "--offline=true", "--no-pager", &threshold, unit])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("Overall exposure level for mandate.service"), "no verdict: {output:?}");
    let open: Vec<&str> = report.lines().filter(|line| line.starts_with('✗')).collect();
    assert!(output.status.success(), "more exposed than promised:\n{}", open.join("\n"));
}

#[test]
fn the_unit_has_no_misspelt_line() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/mandate.service");
    let output =
        Command::new(need("/usr/bin/systemd-analyze")).args(["verify", "--man=no", unit]).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    // The binary is not installed where the tests run; nothing else is excused.
    let complaints: Vec<&str> = complaints
        .lines()
        .filter(|line| {
            line.contains("mandate.service") && !line.contains("/usr/bin/mandate is not executable")
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
