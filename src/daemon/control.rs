//! The control socket: made, kept to those who may, taken away.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;

use super::DaemonError;
use super::listeners::Addresses;
use super::parts::Parts;
use super::sessions::Sessions;
use super::status::Running;
use crate::admin;
use crate::config::Config;
use crate::net::Draining;

/// Owner and group may connect: the service's user, and its group `mandate-admin`.
const MODE: u32 = 0o660;

pub(super) struct Control {
    path: PathBuf,
}

/// Listens and answers, also while sessions drain: an admin may want to know how many are left.
pub(super) fn start(
    config: &Config,
    parts: &Parts,
    sessions: &Sessions,
    addresses: &Addresses,
    mut draining: Draining,
) -> Result<Control, DaemonError> {
    let path = config.admin.socket.clone();
    let listener = bind(&path)?;
    let running = Running::new(addresses, sessions, parts);
    let services = Arc::new(parts.admin(Box::new(running)));
    tokio::spawn(
        async move { admin::serve(listener, services, async move { draining.requested().await }).await },
    );
    Ok(Control { path })
}

impl Control {
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket could not be removed");
        }
    }
}

/// Takes the place of a socket that nobody answers on, and of nothing else.
fn bind(path: &Path) -> Result<UnixListener, DaemonError> {
    let fault = |error| DaemonError::File(path.to_owned(), error);
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        fs::create_dir(directory).map_err(|error| DaemonError::File(directory.to_owned(), error))?;
    }
    match UnixStream::connect(path) {
        Ok(_) => return Err(DaemonError::Running(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(fault)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(fault)?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(fault)?;
    Ok(listener)
}
