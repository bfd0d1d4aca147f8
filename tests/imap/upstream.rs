//! The mail host: logs everybody in and lists its folders by itself; for the rest it does
//! what the transcript says, and keeps what the transcript does not expect.

use std::io;
use std::net::Ipv4Addr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};

/// What Dovecot announces, as far as it matters here.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE SORT MULTIAPPEND CATENATE UNSELECT CHILDREN \
    NAMESPACE UIDPLUS LIST-EXTENDED CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN LIST-STATUS MOVE STATUS=SIZE \
    NOTIFY SPECIAL-USE AUTH=PLAIN";

/// `support@example.org` and its password, as AUTHENTICATE PLAIN has them.
const SASL: &str = "AHN1cHBvcnRAZXhhbXBsZS5vcmcAdXBzdHJlYW0tc2VjcmV0";

/// Turns of the runtime between two octets: the proxy has read the first by then.
const TURNS: u8 = 3;

/// A folder as LIST tells it.
struct Folder {
    name: String,
    attributes: String,
}

pub(crate) struct Upstream {
    listener: TcpListener,
    capabilities: Vec<String>,
    folders: Vec<Folder>,
    pub(crate) separator: char,
    links: Vec<Link>,
    /// The connection of the last command that the transcript expected.
    current: usize,
    octet_by_octet: bool,
    /// Default answers also to what ends a session.
    pub(crate) winding_down: bool,
    pub(crate) log: Vec<String>,
}

struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    turns: u8,
    tag: String,
    literal: usize,
    in_command: bool,
    selected: bool,
    closing: bool,
    gone: bool,
}

impl Upstream {
    pub(crate) async fn new(octet_by_octet: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let folder = |(name, attributes): (&str, &str)| Folder {
            name: name.to_owned(),
            attributes: attributes.to_owned(),
        };
        let folders = [
            ("INBOX", "\\HasNoChildren"),
            ("Archive", "\\HasNoChildren \\Archive"),
            ("Drafts", "\\HasNoChildren \\Drafts"),
            ("Junk", "\\HasNoChildren \\Junk"),
            ("Projects", "\\HasChildren"),
            ("Projects/North", "\\HasNoChildren"),
            ("Secret", "\\HasNoChildren"),
            ("Sent", "\\HasNoChildren \\Sent"),
            ("Trash", "\\HasNoChildren \\Trash"),
        ];
        Self {
            listener,
            capabilities: CAPABILITIES.split_whitespace().map(str::to_owned).collect(),
            folders: folders.map(folder).into(),
            separator: '/',
            links: Vec::new(),
            current: usize::MAX,
            octet_by_octet,
            winding_down: false,
            log: Vec::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) fn with(&mut self, capabilities: &str) {
        self.capabilities.extend(capabilities.split(' ').map(str::to_owned));
    }

    pub(crate) fn without(&mut self, capabilities: &str) {
        self.capabilities.retain(|word| !capabilities.split(' ').any(|without| without == word));
    }

    pub(crate) fn add_folder(&mut self, name: &str, attributes: &str) {
        self.folders.push(Folder { name: name.to_owned(), attributes: attributes.to_owned() });
    }

    pub(crate) fn remove_folder(&mut self, name: &str) {
        self.folders.retain(|folder| folder.name != name);
    }

    /// Says something on the connection of the last expected command.
    pub(crate) fn say(&mut self, octets: &[u8]) {
        let link = &mut self.links[self.current];
        if octets.starts_with(b"@ ") {
            // Refused: a literal that was announced does not come.
            (link.literal, link.in_command) = (0, false);
        }
        let text = with_tag(octets, &link.tag);
        link.output.extend_from_slice(&text);
    }

    /// Closes it, after what is still to be said.
    pub(crate) fn close(&mut self) {
        self.links[self.current].closing = true;
    }

    /// Whether everything has been said.
    pub(crate) fn is_silent(&self) -> bool {
        self.links.iter().all(|link| link.output.is_empty() && !link.closing)
    }

    /// What waits for the transcript, its tag as `@`.
    pub(crate) fn waiting(&self) -> Vec<Vec<u8>> {
        let waiting = self.links.iter().filter(|link| !link.input.is_empty());
        waiting.map(|link| link.shown(&link.input)).collect()
    }

    /// The next line that the transcript has to expect, its tag as `@`; without CRLF.
    pub(crate) fn take_line(&mut self) -> Option<Vec<u8>> {
        let at = self.links.iter().position(|link| link.line_length().is_some())?;
        let link = &mut self.links[at];
        let line = link.take_line()?;
        self.current = at;
        Some(self.links[at].shown(&line))
    }

    /// Octets on the connection of the last command.
    pub(crate) fn take_exact(&mut self, length: usize) -> Option<Vec<u8>> {
        let link = self.links.get_mut(self.current)?;
        let taken: Vec<u8> = (link.input.len() >= length).then(|| link.input.drain(..length).collect())?;
        link.literal = link.literal.saturating_sub(length);
        Some(taken)
    }

    /// Accepts, reads, writes; and does by itself what is not the transcript's business.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Ok((stream, _))) = self.listener.poll_accept(cx) {
            stream.set_nodelay(true).unwrap();
            let greeting = format!("* OK [CAPABILITY {}] host ready\r\n", self.capabilities.join(" "));
            self.links.push(Link::new(stream, greeting));
        }
        for at in 0..self.links.len() {
            self.links[at].read(cx);
            while let Some(answer) = self.by_itself(at) {
                self.links[at].output.extend_from_slice(answer.as_bytes());
            }
            self.links[at].write(cx, self.octet_by_octet);
        }
    }

    /// Reads what the kernel has, without a runtime: the proxy has ended, nothing more comes.
    pub(crate) fn read_the_rest(&mut self) {
        for at in 0..self.links.len() {
            self.links[at].read_now();
            while self.by_itself(at).is_some() {}
        }
    }

    fn by_itself(&mut self, at: usize) -> Option<String> {
        let link = &self.links[at];
        let line = link.command_line()?;
        let line = String::from_utf8_lossy(line).into_owned();
        let (tag, command) = line.split_once(' ').unwrap_or(("", &line));
        let capabilities = self.capabilities.join(" ");
        let idle = !link.selected;
        let answer = match command {
            _ if command == format!("AUTHENTICATE PLAIN {SASL}") => {
                format!("{tag} OK [CAPABILITY {capabilities}] Logged in\r\n")
            }
            "LIST \"\" \"*\" RETURN (SPECIAL-USE)" | "LIST \"\" \"*\"" => {
                let list = self.folders.iter().map(|Folder { name, attributes }| {
                    format!("* LIST ({attributes}) \"{}\" \"{name}\"\r\n", self.separator)
                });
                format!("{}{tag} OK List completed\r\n", list.collect::<String>())
            }
            "ENABLE CONDSTORE" => format!("* ENABLED CONDSTORE\r\n{tag} OK Enabled\r\n"),
            "ENABLE CONDSTORE QRESYNC" => format!("* ENABLED CONDSTORE QRESYNC\r\n{tag} OK Enabled\r\n"),
            "NOOP" if idle => format!("{tag} OK NOOP completed\r\n"),
            "UNSELECT" | "NOOP" if self.winding_down => format!("{tag} OK Completed\r\n"),
            "LOGOUT" => format!("* BYE Logging out\r\n{tag} OK Logout completed\r\n"),
            _ if self.winding_down && line == "DONE" => format!("{} OK Idle completed\r\n", link.tag),
            _ => return None,
        };
        self.log.push(format!("(upstream by itself: {line})"));
        self.links[at].take_line();
        Some(answer)
    }
}

impl Link {
    fn new(stream: TcpStream, greeting: String) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: greeting.into_bytes(),
            turns: 0,
            tag: String::new(),
            literal: 0,
            in_command: false,
            selected: false,
            closing: false,
            gone: false,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        while !self.gone && self.stream.poll_read_ready(cx).is_ready() {
            self.read_now();
        }
    }

    fn read_now(&mut self) {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => self.gone = true,
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            return;
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, octet_by_octet: bool) {
        if self.turns > 0 {
            self.turns -= 1;
            cx.waker().wake_by_ref();
            return;
        }
        let most = if octet_by_octet { 1 } else { self.output.len() };
        while !self.output.is_empty() && !self.gone {
            match self.stream.try_write(&self.output[..most.min(self.output.len())]) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.poll_write_ready(cx).is_pending() {
                        return;
                    }
                    continue;
                }
                Err(_) => self.gone = true,
            }
            if octet_by_octet {
                self.turns = TURNS;
                cx.waker().wake_by_ref();
                return;
            }
        }
        if self.gone {
            self.output.clear();
        }
        if self.output.is_empty() && std::mem::take(&mut self.closing) {
            let _ = socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
        }
    }

    fn line_length(&self) -> Option<usize> {
        self.input.windows(2).position(|pair| pair == b"\r\n")
    }

    /// The line at hand, if it begins a command.
    fn command_line(&self) -> Option<&[u8]> {
        let length = self.line_length().filter(|_| !self.in_command && self.literal == 0)?;
        Some(&self.input[..length])
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let length = self.line_length()?;
        let line: Vec<u8> = self.input.drain(..length + 2).take(length).collect();
        let begins = !self.in_command && self.literal == 0;
        if begins
            && let Some((tag, command)) =
                std::str::from_utf8(&line).ok().and_then(|line| line.split_once(' '))
        {
            self.tag = tag.to_owned();
            let verb = command.split(' ').next().unwrap_or_default();
            self.selected |= matches!(verb, "SELECT" | "EXAMINE");
            self.selected &= verb != "UNSELECT";
        }
        if self.literal >= length + 2 {
            self.literal -= length + 2;
            return Some(line);
        }
        self.literal = announced(&line).unwrap_or(0);
        self.in_command = self.literal > 0;
        Some(line)
    }

    fn shown(&self, line: &[u8]) -> Vec<u8> {
        let tag = format!("{} ", self.tag);
        match line.strip_prefix(tag.as_bytes()) {
            Some(rest) => [b"@ ", rest].concat(),
            None => line.to_vec(),
        }
    }
}

/// The size of the literal that a line announces.
fn announced(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('}')?;
    line.rsplit_once('{')?.1.parse().ok()
}

/// Puts the tag where the transcript writes `@`.
fn with_tag(octets: &[u8], tag: &str) -> Vec<u8> {
    if let Some(rest) = octets.strip_prefix(b"@ ") {
        return [tag.as_bytes(), b" ", rest].concat();
    }
    match octets.windows(3).position(|three| three == b"\"@\"") {
        Some(at) => [&octets[..=at], tag.as_bytes(), &octets[at + 2..]].concat(),
        None => octets.to_vec(),
    }
}
