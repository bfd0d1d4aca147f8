//! Where the numbers come from: a table without this is worth nothing.

use std::fs;
use std::process::Command;

/// The machine and the versions, one line each.
pub fn facts() -> Vec<String> {
    let cpuinfo = read("/proc/cpuinfo");
    let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let haproxy = output("/usr/sbin/haproxy", &["-vv"]);
    let line = |start: &str| haproxy.lines().find(|line| line.starts_with(start)).unwrap_or("unknown");
    vec![
        format!("cpu      {} ({cores} cores)", cpu.trim_start_matches([':', '\t', ' '])),
        format!("kernel   Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("load     {} (1, 5, 15 minutes, before the run)", load()),
        format!("haproxy  {}", line("HAProxy version").trim_start_matches("HAProxy version ")),
        format!("         {}", line("Running on OpenSSL")),
        format!("mandate  {} (release profile), rustls with aws-lc-rs", env!("CARGO_PKG_VERSION")),
        "tls      1.3, AES-128-GCM, X25519, P-256 certificate; plaintext upstream; all on loopback"
            .to_owned(),
    ]
}

/// Allows this process and those it starts as many open files as the hard limit does:
/// two for each idle session here, and two in the proxy.
pub fn raise_open_files() {
    let id = std::process::id().to_string();
    let hard = output("prlimit", &["--pid", &id, "--nofile", "--noheadings", "--output", "HARD"]);
    let limit = format!("--nofile={0}:{0}", hard.trim());
    output("prlimit", &["--pid", &id, &limit]);
}

fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
