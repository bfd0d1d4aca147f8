//! Why a session ended: what the client is told, and what the log says.

use std::fmt;

use crate::smtp::Answer;

/// The end of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// QUIT, or an answer that said that it is the last.
    Closed,
    /// The client closed, or its connection broke.
    ClientGone,
    /// The client neither sends nor reads.
    Slow,
    /// No login in time.
    LoginSlow,
    /// The right to send was withdrawn.
    Revoked,
    /// It was withdrawn in the middle of a message: the connection is cut without a word,
    /// which the client would not hear while it is sending.
    Cut,
    Draining,
    /// The user has as many sessions as one may have.
    TooMany,
    /// Octets that are no command lines; said already.
    Unparseable,
}

impl Ended {
    /// The last answer, where there is still something to say and somebody who hears it.
    pub(super) fn farewell(self) -> Option<Answer> {
        let (detail, sentence) = match self {
            Self::Closed | Self::ClientGone | Self::Cut | Self::Unparseable => return None,
            Self::Slow => (2, "Nothing was heard for a long time; please connect again"),
            Self::LoginSlow => (2, "No login in time; please connect again"),
            Self::Revoked => (2, "Your right to send as this mailbox has ended"),
            Self::Draining => (2, "The service restarts; please connect again"),
            Self::TooMany => (2, "You have too many connections open; please close some"),
        };
        // 4.4.2 is a bad connection, 4.3.2 a service that is not available (RFC 3463 §3).
        let subject = if matches!(self, Self::Slow | Self::LoginSlow) { 4 } else { 3 };
        Some(Answer::new(421, subject, detail, sentence))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::ClientGone => "client gone",
            Self::Slow => "client too slow",
            Self::LoginSlow => "no login in time",
            Self::Revoked | Self::Cut => "grant withdrawn",
            Self::Draining => "draining",
            Self::TooMany => "too many sessions of the user",
            Self::Unparseable => "client unparseable",
        })
    }
}
