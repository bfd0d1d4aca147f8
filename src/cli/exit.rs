//! Exit codes, after BSD's sysexits.h.

use std::process::ExitCode;

use crate::admin::FailureKind;

/// How a run of `mandate` ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// The command line makes no sense.
    Usage = 64,
    /// The request names what does not exist, or a file's content is wrong.
    Data = 65,
    /// Upstream, or the daemon, cannot be reached.
    Unavailable = 69,
    /// A fault of ours.
    Software = 70,
    /// It exists already, or cannot be made.
    CantCreate = 73,
    /// Try again later.
    TempFail = 75,
    /// This uid may not.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Data => Self::Data,
            FailureKind::Exists => Self::CantCreate,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::Temporary => Self::TempFail,
            FailureKind::Permission => Self::NoPermission,
            FailureKind::Internal => Self::Software,
        }
    }
}

/// A run that failed: what standard error says, and the code.
#[derive(Debug)]
pub struct Fault {
    pub exit: Exit,
    pub message: String,
}

impl Fault {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}
