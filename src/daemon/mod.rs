//! The composition root: settings become parts, parts run, and end in good order. Layer 7.
//!
//! Start: log, store, journal, certificates, listeners, control socket, READY.
//! SIGHUP: certificates and what can change; a bad file leaves all as it was.
//! SIGTERM: no new connections, BYE to the open ones, a deadline; then journal and store close.

mod control;
mod error;
mod listeners;
mod outbox;
mod parts;
mod reload;
mod sessions;
mod status;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::DaemonError;
pub use parts::{offline, own_uid, sealer};

use crate::config::Config;
use crate::net::{Drain, systemd};
use crate::telemetry::log;
use listeners::Listening;
use parts::Parts;
use reload::Reload;
use sessions::Sessions;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the proxy until SIGTERM or SIGINT. `file` is read again at SIGHUP.
pub fn serve(file: &Path, config: Config) -> Result<(), DaemonError> {
    log::start(&config.log.settings()).map_err(|error| DaemonError::Config(error.to_string()))?;
    sessions::log_panics();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("mandate");
    if config.daemon.worker_threads > 0 {
        builder.worker_threads(config.daemon.worker_threads);
    }
    let runtime = builder.build().map_err(DaemonError::Runtime)?;
    let result = runtime.block_on(run(file, config));
    // Sessions that outlived the deadline are dropped with the runtime.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn run(file: &Path, config: Config) -> Result<(), DaemonError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(DaemonError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Runtime)?;

    let parts = Parts::open(&config)?;
    let (drain, draining) = Drain::new();
    let sessions = Sessions::new(Arc::clone(&parts.counters), draining.clone());
    let listening = Listening::start(&config, &parts, &sessions)?;
    let control = control::start(&config, &parts, &sessions, listening.addresses(), draining)?;
    listening.publish(&config.state.directory)?;
    systemd::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "mandate serves");
    let watchdog = tokio::spawn(watchdog());

    let mut reload = Reload::new(file, &config);
    loop {
        tokio::select! {
            Some(()) = hangup.recv() => {
                systemd::reloading();
                reload.run(&parts).await;
                systemd::ready();
            }
            Some(()) = terminate.recv() => break,
            Some(()) = interrupt.recv() => break,
        }
    }

    systemd::stopping();
    let limit = Duration::from_secs(config.daemon.drain_seconds);
    tracing::info!(sessions = sessions.open(), seconds = limit.as_secs(), "draining");
    drain.start();
    drop((sessions, reload));
    if !drain.finished(limit).await {
        tracing::warn!("sessions were still open at the deadline, and are cut off");
    }
    watchdog.abort();
    control.remove();
    listening.retract(&config.state.directory);
    parts.close().await
}

/// Tells the service manager that we are alive, if it asks.
async fn watchdog() {
    let Some(interval) = systemd::watchdog_interval() else { return };
    loop {
        systemd::watchdog();
        tokio::time::sleep(interval).await;
    }
}
