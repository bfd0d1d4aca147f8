//! What the framer tells, and what can be done about it.

use std::fmt;

/// A literal that the client announced and did not send yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announced {
    /// Octets; at most 2⁶³ − 1.
    pub size: u64,
    /// The client waits for `+` (RFC 3501 §4.3); otherwise the octets follow anyway.
    pub synchronising: bool,
}

/// What [`super::Framer::push`] came upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// [`super::Framer::line`] is a whole command.
    Line,
    /// [`super::Framer::line`] ends in an announcement: [`super::Framer::accept_literal`],
    /// [`super::Framer::skip_literal`] or, for a synchronising one, [`super::Framer::begin_next`].
    Literal(Announced),
    /// The command is poisoned; nothing of it may be carried out.
    Fault(Fault),
}

/// Why a command is poisoned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    BareLf,
    BareCr,
    Nul,
    /// A quoted string that the end of the line cuts off.
    OpenQuote,
    /// `{05}`, `{-1}`, `{1 }`, `~{5}` and the like.
    Announcement,
    LineTooLong,
    /// Over [`super::Limits::literal`], [`super::Limits::literal_total`] or [`super::MAX_NON_SYNC`].
    LiteralTooLong(Announced),
    TooManyLiterals(Announced),
    /// Something other than CRLF after a message or a dropped literal.
    AfterLiteral,
}

/// Where the conversation may go on after a [`Fault`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recovery {
    /// Tagged BAD or NO instead of `+`, then [`super::Framer::begin_next`]: the client sends nothing more of it.
    Next,
    /// The client sends this many octets whatever we answer: drop them and call
    /// [`super::Framer::skip_literal`], or close.
    Drain(u64),
    /// Nobody can say where the next command begins: BAD, then close.
    Close,
}

impl Fault {
    pub fn recovery(self) -> Recovery {
        match self {
            Self::LiteralTooLong(announced) | Self::TooManyLiterals(announced) => {
                if announced.synchronising {
                    Recovery::Next
                } else {
                    Recovery::Drain(announced.size)
                }
            }
            Self::BareLf
            | Self::BareCr
            | Self::Nul
            | Self::OpenQuote
            | Self::Announcement
            | Self::LineTooLong
            | Self::AfterLiteral => Recovery::Close,
        }
    }
}

/// For the text of the BAD.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLf => "A line must end in CR and LF",
            Self::BareCr => "CR must be followed by LF",
            Self::Nul => "NUL is not allowed",
            Self::OpenQuote => "A quoted string must end on its line",
            Self::Announcement => "This is not how a literal is announced",
            Self::LineTooLong => "The command is too long",
            Self::LiteralTooLong(_) => "The literal is too long",
            Self::TooManyLiterals(_) => "The command has too many literals",
            Self::AfterLiteral => "Nothing may follow the literal",
        })
    }
}
