//! How much a client may send before it is a command.

/// Longest answer to a `+` of AUTHENTICATE, in octets before CRLF (RFC 4959 §3 leaves it
/// open; Dovecot's limit is 8,192 of base64, OAuth tokens with groups reach 10,000).
pub const MAX_SASL_LINE: usize = 12_288;

/// Longest line where only `DONE` can come (RFC 2177).
pub const MAX_DONE_LINE: usize = 64;

/// Largest literal that a client may send without waiting (LITERAL-, RFC 7888 §5).
pub const MAX_NON_SYNC: u64 = 4_096;

/// How large a command may get; see [`Limits::before_login`] and [`Limits::after_login`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a command without its literals.
    pub line: usize,
    /// Octets of one argument literal; messages are not arguments.
    pub literal: u64,
    /// Argument literals in one command (CVE-2024-34055 was thousands of them).
    pub literals: usize,
    /// Octets of all argument literals of one command.
    pub literal_total: u64,
}

impl Limits {
    /// A stranger: enough for LOGIN with literals, AUTHENTICATE with a token, and ID.
    pub const fn before_login() -> Self {
        Self { line: 8_192, literal: 1_024, literals: 8, literal_total: 4_096 }
    }

    /// A user: enough for a FETCH of scattered UIDs and a SEARCH in many words.
    pub const fn after_login() -> Self {
        Self { line: 65_536, literal: 65_536, literals: 32, literal_total: 65_536 }
    }
}
