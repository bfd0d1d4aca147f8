//! A raw SMTP client: it sends exactly what a test says.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Ca, PATIENCE, Read, Wire};

/// An SMTP connection whose greeting has been read.
pub struct Smtp {
    pub wire: Wire,
    pub greeting: SmtpReply,
}

/// A reply of one or more lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpReply {
    pub code: u16,
    /// The text of each line, without code and CRLF.
    pub lines: Vec<String>,
}

impl Smtp {
    pub fn plain(address: SocketAddr) -> Smtp {
        Smtp::greeted(Wire::plain(address))
    }

    pub fn tls(address: SocketAddr, ca: &Ca) -> Smtp {
        Smtp::greeted(Wire::tls(address, ca))
    }

    fn greeted(wire: Wire) -> Smtp {
        let greeting = SmtpReply { code: 0, lines: Vec::new() };
        let mut smtp = Smtp { wire, greeting };
        smtp.greeting = smtp.reply();
        smtp
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.wire.send(octets);
    }

    /// Sends a command line and reads its reply.
    pub fn command(&mut self, line: &str) -> SmtpReply {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends a command that must be answered with `code`.
    #[track_caller]
    pub fn expect(&mut self, code: u16, line: &str) -> SmtpReply {
        let reply = self.command(line);
        assert_eq!(reply.code, code, "{line}: {reply}\n{}", self.wire.trace());
        reply
    }

    /// AUTH PLAIN with an initial response (RFC 4616).
    pub fn login(&mut self, user: &str, password: &str) -> SmtpReply {
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {response}"))
    }

    /// Sends a message after MAIL and RCPT: DATA, the octets with dots stuffed,
    /// the end. Returns the first reply that is not 354.
    pub fn data(&mut self, message: &[u8]) -> SmtpReply {
        let go_ahead = self.command("DATA");
        if go_ahead.code != 354 {
            return go_ahead;
        }
        self.send(stuffed(message));
        self.send(".\r\n");
        self.reply()
    }

    /// The next reply.
    #[track_caller]
    pub fn reply(&mut self) -> SmtpReply {
        let mut lines = Vec::new();
        loop {
            let line = match self.wire.line(PATIENCE) {
                Read::Octets(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
                other => panic!("a reply was due: {other:?}\n{}", self.wire.trace()),
            };
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.unwrap_or_else(|| panic!("no reply: {line}"));
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return SmtpReply { code, lines };
            }
        }
    }
}

impl SmtpReply {
    /// The text of all lines, separated by newlines.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl std::fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

/// A message of CRLF lines with leading dots doubled (RFC 5321 section 4.5.2).
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    if !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets
}

/// The inverse of [`stuffed`].
pub fn unstuffed(data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(data.len());
    for line in data.split_inclusive(|octet| *octet == b'\n') {
        octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    octets
}
