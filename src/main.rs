//! The `mandate` program: argv in, exit code out.

use std::process::ExitCode;

use mandate::cli::{self, Exit};

fn main() -> ExitCode {
    // First of all: every TLS object takes its cryptography from here.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Exit::Software.into();
    }
    cli::run(std::env::args_os()).into()
}
