//! A raw IMAP client: it sends exactly what a test says, and takes responses
//! apart only as far as lines and literals.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Ca, Closing, PATIENCE, Read, Wire};

/// An IMAP connection whose greeting has been read.
pub struct Imap {
    pub wire: Wire,
    /// The greeting, without CRLF.
    pub greeting: String,
    tags: u32,
}

/// The answer to one command.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Untagged responses and continuation requests in order, each whole: with
    /// its literals, without the last CRLF.
    pub untagged: Vec<Vec<u8>>,
    /// The tagged line after the tag: `OK [READ-WRITE] Select completed`.
    pub tagged: String,
}

impl Imap {
    pub fn plain(address: SocketAddr) -> Imap {
        Imap::greeted(Wire::plain(address))
    }

    pub fn tls(address: SocketAddr, ca: &Ca) -> Imap {
        Imap::greeted(Wire::tls(address, ca))
    }

    fn greeted(wire: Wire) -> Imap {
        let mut imap = Imap { wire, greeting: String::new(), tags: 0 };
        imap.greeting = text(&imap.response());
        imap
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.wire.send(octets);
    }

    /// Sends a command under a tag of our own, which is returned.
    pub fn start(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n"));
        tag
    }

    /// Sends a command and reads to its tagged response.
    pub fn command(&mut self, command: &str) -> Reply {
        let tag = self.start(command);
        self.finish(&tag)
    }

    /// Sends a command that must succeed.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Reply {
        let reply = self.command(command);
        assert!(reply.is_ok(), "{command}: {reply}\n{}", self.wire.trace());
        reply
    }

    /// Logs in; both arguments are sent as quoted strings.
    #[track_caller]
    pub fn login(&mut self, user: &str, password: &str) -> Reply {
        self.ok(&format!("LOGIN {} {}", quoted(user), quoted(password)))
    }

    /// Reads to the response that carries `tag`.
    pub fn finish(&mut self, tag: &str) -> Reply {
        let mut untagged = Vec::new();
        loop {
            let response = self.response();
            match response.strip_prefix(format!("{tag} ").as_bytes()) {
                Some(tagged) => return Reply { untagged, tagged: text(tagged) },
                None => untagged.push(response),
            }
        }
    }

    /// Appends a message with a synchronising literal.
    pub fn append(&mut self, folder: &str, flags: &str, message: &[u8]) -> Reply {
        let command = format!("APPEND {} ({flags}) {{{}}}", quoted(folder), message.len());
        let tag = self.start(&command);
        let go_ahead = self.response();
        if let Some(tagged) = go_ahead.strip_prefix(format!("{tag} ").as_bytes()) {
            return Reply { untagged: Vec::new(), tagged: text(tagged) };
        }
        assert!(go_ahead.starts_with(b"+"), "no go-ahead\n{}", self.wire.trace());
        self.send(message);
        self.send("\r\n");
        self.finish(&tag)
    }

    /// The next whole response, literals included, without its last CRLF.
    #[track_caller]
    pub fn response(&mut self) -> Vec<u8> {
        match self.response_within(PATIENCE) {
            Read::Octets(response) => response,
            other => panic!("a response was due: {other:?}\n{}", self.wire.trace()),
        }
    }

    /// The next whole response, if one begins within the time given.
    pub fn response_within(&mut self, within: Duration) -> Read {
        let mut response = match self.wire.line(within) {
            Read::Octets(line) => line,
            other => return other,
        };
        while let Some(length) = literal_length(&response) {
            for part in [self.wire.octets(length, PATIENCE), self.wire.line(PATIENCE)] {
                match part {
                    Read::Octets(octets) => response.extend(octets),
                    other => return other,
                }
            }
        }
        assert!(response.ends_with(b"\r\n"), "a bare LF\n{}", self.wire.trace());
        response.truncate(response.len() - 2);
        Read::Octets(response)
    }

    /// Reads `* BYE` and the end of the connection; returns the text after BYE.
    #[track_caller]
    pub fn bye(&mut self) -> (String, Closing) {
        loop {
            if let Some(words) = text(&self.response()).strip_prefix("* BYE ") {
                return (words.to_owned(), self.wire.closing());
            }
        }
    }
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK ")
    }

    pub fn is_no(&self) -> bool {
        self.tagged.starts_with("NO ")
    }

    pub fn is_bad(&self) -> bool {
        self.tagged.starts_with("BAD ")
    }

    /// The untagged responses as text, one a line.
    pub fn lines(&self) -> Vec<String> {
        self.untagged.iter().map(|response| text(response)).collect()
    }

    /// Whether some untagged response contains `words`.
    pub fn has(&self, words: &str) -> bool {
        self.lines().iter().any(|line| line.contains(words))
    }

    /// The octets of the first literal in the untagged responses.
    pub fn literal(&self) -> Option<Vec<u8>> {
        self.untagged.iter().find_map(|response| {
            let end = memchr::memchr(b'\n', response)? + 1;
            let length = literal_length(&response[..end])?;
            Some(response[end..end + length].to_vec())
        })
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        f.write_str(&self.tagged)
    }
}

/// An IMAP quoted string (RFC 9051 section 4.3).
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The count of a literal announced at the end of a line: `{12}` or `{12+}`.
pub fn literal_length(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let digits = line.strip_suffix(b"+").unwrap_or(line);
    let open = digits.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&digits[open + 1..]).ok()?.parse().ok()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
