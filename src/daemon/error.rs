//! Why the daemon does not run.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::net::{BindError, TlsError};
use crate::store::StoreError;
use crate::telemetry::JournalError;

#[derive(Debug)]
pub enum DaemonError {
    /// The configuration reads well, and does not work.
    Config(String),
    Tls(TlsError),
    Bind(BindError),
    /// No address of a service could be listened on.
    NothingListens,
    /// The control socket, or a file of ours.
    File(PathBuf, io::Error),
    /// The state directory is another uid's.
    Owner {
        directory: PathBuf,
        owner: u32,
        ours: u32,
    },
    /// Another daemon answers on this control socket.
    Running(PathBuf),
    Store(StoreError),
    Journal(JournalError),
    Runtime(io::Error),
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(why) => f.write_str(why),
            Self::Tls(error) => write!(f, "certificate: {error}"),
            Self::Bind(error) => error.fmt(f),
            Self::NothingListens => f.write_str("none of the addresses can be listened on"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Owner { directory, owner, ours } => write!(
                f,
                "{} belongs to uid {owner}, and this is uid {ours}: run it as that user",
                directory.display()
            ),
            Self::Running(path) => write!(f, "a daemon answers on {} already", path.display()),
            Self::Store(error) => error.fmt(f),
            Self::Journal(error) => write!(f, "journal: {error}"),
            Self::Runtime(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for DaemonError {}

impl From<StoreError> for DaemonError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<JournalError> for DaemonError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
