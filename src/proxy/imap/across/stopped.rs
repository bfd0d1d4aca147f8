//! Why messages did not get into another mailbox, and how many did: what the client is told.

use crate::imap::response::{Code, Status};
use crate::policy::Denial;
use crate::types::Address;
use crate::upstream::LeaseError;

/// What stopped a COPY or MOVE.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The rights of this moment, in either mailbox.
    Denied(Denial),
    /// The host of the open folder has refused.
    Unread,
    /// No connection to the other host.
    NoConnection(LeaseError),
    /// Its credential cannot be used.
    NoCredential,
    /// The other host has refused a message; the code that the client may see.
    NotTaken(Option<&'static str>),
    /// The connection to the other host broke; `doubtful`: a message had gone up whole.
    Lost { doubtful: bool },
    /// A message has a NUL octet.
    Nul,
    /// A message has more octets than this.
    TooLarge(u64),
    /// The copies are there, and their originals could not be removed.
    NotRemoved,
    /// The journal, or what is needed to write a command.
    Unable,
}

impl Stopped {
    /// The other host's refusal.
    pub(super) fn of(status: Option<Status<'_>>) -> Self {
        let code = match status.and_then(|status| status.code) {
            Some(Code::OverQuota) => Some("OVERQUOTA"),
            Some(Code::InUse) => Some("INUSE"),
            Some(Code::Limit) => Some("LIMIT"),
            Some(Code::Unavailable) => Some("UNAVAILABLE"),
            Some(_) | None => None,
        };
        Self::NotTaken(code)
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) if denial.is_of_host() => "CANNOT",
            Self::Denied(_) => "NOPERM",
            Self::NotTaken(code) => code.unwrap_or_default(),
            Self::Nul => "CANNOT",
            Self::TooLarge(_) => "TOOBIG",
            Self::Unread | Self::NotRemoved => "",
            Self::NoConnection(_) | Self::NoCredential | Self::Lost { .. } | Self::Unable => "UNAVAILABLE",
        }
    }

    /// The reason in words; `there`: the other mailbox.
    pub(super) fn reason(&self, there: &Address) -> String {
        match self {
            Self::Denied(denial) => denial.sentence().to_owned(),
            Self::Unread => "the mail host has refused this".to_owned(),
            Self::NoConnection(LeaseError::Full) => {
                format!("too many folders of {there} are open at once; please close some, or try again later")
            }
            Self::NoConnection(_) | Self::NoCredential => {
                format!("the mail host of {there} cannot be reached; please try again later")
            }
            Self::NotTaken(Some("OVERQUOTA")) => format!("{there} has no room for more"),
            Self::NotTaken(_) => format!("the mail host of {there} has refused this"),
            Self::Lost { .. } => {
                format!("the connection to the mail host of {there} broke; please try again")
            }
            Self::Nul => "a message has a NUL octet, which cannot be passed on".to_owned(),
            Self::TooLarge(limit) => format!("a message may have at most {limit} octets there"),
            Self::NotRemoved => "the mail host has refused to remove the rest".to_owned(),
            Self::Unable => "the service has a problem; please try again later".to_owned(),
        }
    }

    /// Whether a copy may be there of which nothing is known.
    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self, Self::Lost { doubtful: true })
    }
}

/// How far a command got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Messages that it means.
    pub(super) total: u64,
    /// Copies in the other mailbox.
    pub(super) there: u64,
    /// Messages that are no longer in the open folder.
    pub(super) removed: u64,
}

impl Tally {
    /// How many of how many.
    pub(super) fn sentence(self, moves: bool, why: &str) -> String {
        let Self { total, there, removed } = self;
        match (moves, there) {
            (false, _) => format!("{there} of {total} messages were copied: {why}"),
            (true, 0) => format!("0 of {total} messages were moved: {why}"),
            (true, _) if removed == 0 => {
                format!(
                    "0 of {total} messages were moved, and {there} of them are in both folders now: {why}"
                )
            }
            (true, _) => {
                format!(
                    "{removed} of {total} messages were moved, and the others are in both folders now: {why}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_client_is_told_how_many_of_how_many() {
        for (moves, there, removed, told) in [
            (false, 0, 0, "0 of 3 messages were copied: x"),
            (false, 2, 0, "2 of 3 messages were copied: x"),
            (true, 0, 0, "0 of 3 messages were moved: x"),
            (true, 2, 0, "0 of 3 messages were moved, and 2 of them are in both folders now: x"),
            (true, 3, 1, "1 of 3 messages were moved, and the others are in both folders now: x"),
        ] {
            assert_eq!(Tally { total: 3, there, removed }.sentence(moves, "x"), told);
        }
    }
}
