//! `make demo`: Mandate at work in front of a private Dovecot and Postfix.
//!
//! A short tour first, in which each claim is checked against the mail host itself;
//! then everything stays up, with logins and commands to try, until Ctrl-C.
//! `DEMO_ONESHOT=1` ends after the tour. The exit code is 1 if a claim did not hold.

mod guide;
mod invitation;
mod tour;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use support::{Scene, process};

fn main() -> ExitCode {
    if !process::is_root() {
        eprintln!("demo: Postfix runs only when root starts it: run this as root or with sudo");
        return ExitCode::FAILURE;
    }
    let interrupted = interrupt();
    println!("Starting a private Dovecot, a private Postfix, and Mandate in front of them ...");
    let scene = Scene::open();
    let failed = tour::run(&scene);
    if failed > 0 {
        println!("\n{failed} of the tour's claims did not hold. The daemon's log:\n{}", scene.proxy.log());
        return ExitCode::FAILURE;
    }
    println!("\nEvery claim held.");
    let once = std::env::var_os("DEMO_ONESHOT").is_some_and(|value| !value.is_empty());
    if !once {
        invitation::print(&scene);
        report_mail(&scene, &interrupted);
    }
    ExitCode::SUCCESS
}

/// Tells of Ctrl-C and SIGTERM, so that servers and their directories are removed in order.
fn interrupt() -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminate = signal(SignalKind::terminate()).unwrap();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        let _ = sender.send(());
    });
    receiver
}

/// Shows what leaves the mail host, until interrupted.
fn report_mail(scene: &Scene, interrupted: &Receiver<()>) {
    let mut seen = scene.sink.deliveries().len();
    while interrupted.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
        for delivery in scene.sink.deliveries().iter().skip(seen) {
            seen += 1;
            println!("\nThe mail host has sent a message, MAIL FROM:{}", delivery.mail_from);
            for line in delivery.text().lines() {
                println!("    {line}");
            }
        }
    }
    println!("\nStopping.");
}
