//! Why a session ended: what the client is told, and what the log says.

use std::fmt;

use crate::types::Address;

/// The end of a session. Every way out has a name, so that counters and logs agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// LOGOUT.
    LoggedOut,
    /// The client closed, or its connection broke.
    ClientGone,
    /// The grant, or the right to what the session was doing, was withdrawn.
    Revoked,
    /// The daemon stops.
    Draining,
    /// No command for as long as the settings allow.
    Autologout,
    /// The client neither sends nor reads.
    Slow,
    /// Too many commands or wrong passwords before a login.
    NoLogin,
    /// Too many commands that are none, or octets that are no commands.
    Unparseable,
    /// Upstream closed, or its connection broke.
    UpstreamGone,
    /// Upstream does not answer.
    UpstreamSlow,
    /// Upstream's answer cannot be understood: nothing more of it may be passed on.
    UpstreamUnparseable,
    /// The folder is no longer the one that was selected (UIDVALIDITY).
    FolderChanged,
    /// The journal cannot be written: what must be recorded is not done.
    JournalFailed,
}

impl Ended {
    /// The BYE's code and sentence; `None` where nobody listens or LOGOUT has said it.
    pub(super) fn farewell(self, mailbox: Option<&Address>) -> Option<(Option<&'static str>, String)> {
        let unavailable = Some("UNAVAILABLE");
        let whose = mailbox.map_or_else(|| "the mailbox".to_owned(), ToString::to_string);
        let (code, text) = match self {
            Self::LoggedOut | Self::ClientGone => return None,
            Self::Revoked => (unavailable, format!("Your access to {whose} has ended")),
            Self::Draining => (unavailable, "The service restarts; please connect again".to_owned()),
            Self::Autologout => (None, "Logged out: no command for a long time".to_owned()),
            Self::Slow => (None, "The connection is too slow; please connect again".to_owned()),
            Self::NoLogin => (None, "Too many attempts without a login; please connect again".to_owned()),
            Self::Unparseable => (None, "Too many commands that are not understood".to_owned()),
            Self::UpstreamGone | Self::UpstreamSlow | Self::UpstreamUnparseable => {
                (unavailable, format!("The mail host of {whose} has a problem; please connect again"))
            }
            Self::FolderChanged => (unavailable, "The folder was replaced; please open it again".to_owned()),
            Self::JournalFailed => {
                (unavailable, "The service has a problem; please try again later".to_owned())
            }
        };
        Some((code, text))
    }

    /// Whether the connection is cut without a word where a literal is under way: a BYE would
    /// be taken for message octets.
    pub(super) fn is_fault_of_upstream(self) -> bool {
        match self {
            Self::UpstreamGone | Self::UpstreamSlow | Self::UpstreamUnparseable | Self::FolderChanged => true,
            Self::LoggedOut
            | Self::ClientGone
            | Self::Revoked
            | Self::Draining
            | Self::Autologout
            | Self::Slow
            | Self::NoLogin
            | Self::Unparseable
            | Self::JournalFailed => false,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoggedOut => "logged out",
            Self::ClientGone => "client closed",
            Self::Revoked => "grant withdrawn",
            Self::Draining => "draining",
            Self::Autologout => "autologout",
            Self::Slow => "client too slow",
            Self::NoLogin => "no login",
            Self::Unparseable => "client unparseable",
            Self::UpstreamGone => "upstream closed",
            Self::UpstreamSlow => "upstream too slow",
            Self::UpstreamUnparseable => "upstream unparseable",
            Self::FolderChanged => "folder replaced",
            Self::JournalFailed => "journal failed",
        })
    }
}
