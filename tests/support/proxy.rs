//! The real `mandate` binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::process::{Process, open_directory};

/// A directory of Mandate's own, with the daemon that serves from it.
pub struct Proxy {
    process: Option<Process>,
    directory: TempDir,
}

impl Proxy {
    /// The binary: built by cargo for tests, named by `MANDATE_BINARY` otherwise.
    pub fn binary() -> PathBuf {
        let built = option_env!("CARGO_BIN_EXE_mandate").map(PathBuf::from);
        let named = || std::env::var_os("MANDATE_BINARY").map(PathBuf::from);
        built.or_else(named).expect("MANDATE_BINARY names the mandate binary")
    }
}
