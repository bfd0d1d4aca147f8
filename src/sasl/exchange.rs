//! The dialogue of one AUTHENTICATE or AUTH command.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::credentials::{Credentials, Malformed};

/// The mechanisms offered. Both send the password itself: under TLS only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login-00; older clients of submission know nothing else.
    Login,
}

impl Mechanism {
    /// By its registered name, in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        [Self::Plain, Self::Login].into_iter().find(|m| name.eq_ignore_ascii_case(m.as_str().as_bytes()))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// What the client is to say next.
#[derive(Debug)]
pub struct Exchange(Expects);

#[derive(Debug)]
enum Expects {
    PlainMessage,
    LoginName,
    LoginPassword { name: Zeroizing<Vec<u8>> },
}

/// Where the dialogue stands.
#[derive(Debug)]
pub enum Progress {
    /// Send `challenge`, base64 already, behind `+ ` or `334 `; then give the client's
    /// line to [`Exchange::respond`].
    Challenge {
        exchange: Exchange,
        challenge: &'static str,
    },
    Done(Credentials),
    Failed(Failure),
}

/// Why an exchange ended without credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The client sent `*` (RFC 4422 §3.5).
    Cancelled,
    /// A line is longer than [`Exchange::MAX_LINE`].
    TooLong,
    /// Not canonical base64 (RFC 4648 §3.3, §3.5).
    Base64,
    /// Decoded, but no name and password.
    Malformed(Malformed),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled by the client"),
            Self::TooLong => f.write_str("an authentication line that is too long"),
            Self::Base64 => f.write_str("not base64"),
            Self::Malformed(what) => what.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl Exchange {
    /// Longest line in octets, CRLF not counted (RFC 4954 §4, which lets us stop there).
    pub const MAX_LINE: usize = 12_288;

    /// Begins. `initial` is the initial response as it stands in the command, `=` for an
    /// empty one (RFC 4959 §3, RFC 4954 §4).
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Progress {
        let first = match mechanism {
            Mechanism::Plain => Self(Expects::PlainMessage),
            Mechanism::Login => Self(Expects::LoginName),
        };
        match initial {
            None => first.ask(),
            Some(b"=") => first.take(&[]),
            // An empty argument is no base64; `*` is data that happens to be none either.
            Some(b"" | b"*") => Progress::Failed(Failure::Base64),
            Some(line) => first.respond(line),
        }
    }

    /// Begins with an initial response that its command's parser has decoded already.
    pub fn start_decoded(mechanism: Mechanism, initial: Option<&[u8]>) -> Progress {
        let first = match mechanism {
            Mechanism::Plain => Self(Expects::PlainMessage),
            Mechanism::Login => Self(Expects::LoginName),
        };
        match initial {
            None => first.ask(),
            Some(message) => first.take(message),
        }
    }

    /// Takes the client's answer to a challenge: one line without its CRLF.
    pub fn respond(self, line: &[u8]) -> Progress {
        if line == b"*" {
            return Progress::Failed(Failure::Cancelled);
        }
        if line.len() > Self::MAX_LINE {
            return Progress::Failed(Failure::TooLong);
        }
        match STANDARD.decode(line).map(Zeroizing::new) {
            Ok(message) => self.take(&message),
            Err(_) => Progress::Failed(Failure::Base64),
        }
    }

    fn ask(self) -> Progress {
        let challenge = match self.0 {
            Expects::PlainMessage => "",
            Expects::LoginName => "VXNlcm5hbWU6",
            Expects::LoginPassword { .. } => "UGFzc3dvcmQ6",
        };
        Progress::Challenge { exchange: self, challenge }
    }

    fn take(self, message: &[u8]) -> Progress {
        let credentials = match self.0 {
            Expects::PlainMessage => Credentials::parse_plain(message),
            Expects::LoginName => {
                let name = Zeroizing::new(message.to_vec());
                return Self(Expects::LoginPassword { name }).ask();
            }
            Expects::LoginPassword { name } => Credentials::parse(&[], &name, message),
        };
        match credentials {
            Ok(credentials) => Progress::Done(credentials),
            Err(what) => Progress::Failed(Failure::Malformed(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Failure, Mechanism, Progress};
    use crate::sasl::credentials::Malformed;

    /// Plays the client's lines and tells the end: `authzid|authcid|password`.
    fn play(mechanism: Mechanism, initial: Option<&str>, lines: &[&str]) -> Result<String, Failure> {
        let mut lines = lines.iter();
        let mut progress = Exchange::start(mechanism, initial.map(str::as_bytes));
        loop {
            match progress {
                Progress::Challenge { exchange, .. } => {
                    progress = exchange.respond(lines.next().expect("another line").as_bytes());
                }
                Progress::Done(found) => {
                    assert_eq!(lines.next(), None, "a line was not asked for");
                    let authzid = found.authzid.map(|z| z.0).unwrap_or_default();
                    let password = String::from_utf8_lossy(found.password.expose()).into_owned();
                    return Ok(format!("{authzid}|{}|{password}", found.authcid.0));
                }
                Progress::Failed(failure) => return Err(failure),
            }
        }
    }

    #[test]
    fn plain() {
        use Mechanism::Plain;
        // "\0alice\0secret", "support\0alice\0secret"
        let (own, other) = ("AGFsaWNlAHNlY3JldA==", "c3VwcG9ydABhbGljZQBzZWNyZXQ=");
        for (initial, lines, expected) in [
            (Some(own), &[][..], Ok("|alice|secret")),
            (None, &[own], Ok("|alice|secret")),
            (None, &[other], Ok("support|alice|secret")),
            (None, &["*"], Err(Failure::Cancelled)),
            (Some("="), &[], Err(Failure::Malformed(Malformed::Parts))),
            (None, &[""], Err(Failure::Malformed(Malformed::Parts))),
            (None, &["="], Err(Failure::Base64)),
            (Some("*"), &[], Err(Failure::Base64)),
            (Some(""), &[], Err(Failure::Base64)),
            // Padding missing, one too many, bits left over, a blank, a line break, URL alphabet.
            (None, &["AGFsaWNlAHNlY3JldA"], Err(Failure::Base64)),
            (None, &["AGFsaWNlAHNlY3JldA==="], Err(Failure::Base64)),
            (None, &["AGFsaWNlAHNlY3JldB=="], Err(Failure::Base64)),
            (None, &[" AGFsaWNlAHNlY3JldA=="], Err(Failure::Base64)),
            (None, &["AGFsaWNl\r\nAHNlY3JldA=="], Err(Failure::Base64)),
            (None, &["AGFsaWNlAHNlY3Jl-_=="], Err(Failure::Base64)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(play(Plain, initial, lines), expected, "{initial:?} {lines:?}");
        }
    }

    #[test]
    fn login() {
        use Mechanism::Login;
        for (initial, lines, expected) in [
            (None, &["YWxpY2U=", "c2VjcmV0"][..], Ok("|alice|secret")),
            (Some("YWxpY2U="), &["c2VjcmV0"], Ok("|alice|secret")),
            (None, &["*"], Err(Failure::Cancelled)),
            (None, &["YWxpY2U=", "*"], Err(Failure::Cancelled)),
            (None, &["", "c2VjcmV0"], Err(Failure::Malformed(Malformed::Empty))),
            (Some("="), &["c2VjcmV0"], Err(Failure::Malformed(Malformed::Empty))),
            (None, &["YWxpY2U=", ""], Err(Failure::Malformed(Malformed::Empty))),
            (None, &["YWwAaWNl", "c2VjcmV0"], Err(Failure::Malformed(Malformed::Nul))),
            (None, &["YWxpY2U=", "c2UAY3Jl"], Err(Failure::Malformed(Malformed::Nul))),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(play(Login, initial, lines), expected, "{initial:?} {lines:?}");
        }
    }

    #[test]
    fn challenges_are_those_clients_know() {
        let Progress::Challenge { exchange, challenge } = Exchange::start(Mechanism::Login, None) else {
            panic!("LOGIN asks first");
        };
        assert_eq!(challenge, "VXNlcm5hbWU6");
        let Progress::Challenge { challenge, .. } = exchange.respond(b"YWxpY2U=") else {
            panic!("LOGIN asks twice");
        };
        assert_eq!(challenge, "UGFzc3dvcmQ6");
    }

    #[test]
    fn a_line_has_its_limit() {
        let line = "A".repeat(Exchange::MAX_LINE);
        // Three NULs and more: decoded, and then refused.
        assert_eq!(play(Mechanism::Plain, None, &[&line]), Err(Failure::Malformed(Malformed::Parts)));
        let longer = line + "AAAA";
        assert_eq!(play(Mechanism::Plain, None, &[&longer]), Err(Failure::TooLong));
        assert_eq!(play(Mechanism::Plain, Some(&longer), &[]), Err(Failure::TooLong));
    }

    #[test]
    fn mechanism_names() {
        assert_eq!(Mechanism::parse(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::parse(b"LoGiN"), Some(Mechanism::Login));
        for other in [&b""[..], b"PLAI", b"PLAIN ", b"CRAM-MD5", b"XOAUTH2"] {
            assert_eq!(Mechanism::parse(other), None);
        }
    }
}
