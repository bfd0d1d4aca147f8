//! What can go wrong in the store, in sentences for an admin.

use std::fmt;
use std::path::PathBuf;

/// Why the store did not do as asked. Nothing was changed then; only after
/// [`StoreError::ReadOnly`] the change may turn out to be there at the next start.
#[derive(Debug)]
pub enum StoreError {
    /// A name or address has a holder already, or would have two readings; the sentence says whose.
    Conflict(String),
    /// There is no such user, group, mailbox, grant or credential.
    Unknown(String),
    /// What was asked makes no sense, or a limit is reached; the sentence says why.
    Refused(String),
    /// The writer has failed earlier: what was decided stays, nothing new is taken.
    ReadOnly,
    /// More than [`super::QUEUE`] changes are waiting.
    Busy,
    /// A file is not as we wrote it.
    Damaged { path: PathBuf, why: String },
    /// The files are of a later Mandate.
    Newer { path: PathBuf, found: u32, known: u32 },
    /// Another process has the store open.
    Locked { path: PathBuf },
    /// The operating system refused.
    Io { path: PathBuf, error: std::io::Error },
    /// The key for sealed credentials cannot be used.
    Key { path: PathBuf, why: String },
    /// A sealed credential does not open: another key, or another mailbox, host or port.
    Sealed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(why) | Self::Unknown(why) | Self::Refused(why) | Self::Sealed(why) => f.write_str(why),
            Self::ReadOnly => f.write_str(
                "the store takes no changes since a write to it failed; the log says why; restart when that is mended",
            ),
            Self::Busy => f.write_str("too many changes are waiting for the store; try again"),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged ({why}): move the store directory away and rebuild it with `mandate apply` \
                 from its export.jsonl or from a backup",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a later Mandate (schema {found}; this one knows {known}): use that version",
                path.display()
            ),
            Self::Locked { path } => {
                write!(f, "{} is in use by another process: the daemon is its only opener", path.display())
            }
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Key { path, why } => write!(f, "key {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}
