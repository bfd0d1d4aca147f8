//! The fake IMAP host: what a Dovecot would say, as far as a proxy or a client asks.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::imap::literal_length;

use super::STORED;
use super::mail::{HEADERS, Mail};

const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT THREAD=REFERENCES \
    MULTIAPPEND CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED CONDSTORE ESEARCH SEARCHRES WITHIN SPECIAL-USE \
    LIST-STATUS STATUS=SIZE UNSELECT MOVE BINARY AUTH=PLAIN AUTH=LOGIN";

const FOLDERS: &[(&str, &str)] = &[
    ("INBOX", "\\HasNoChildren"),
    ("Drafts", "\\HasNoChildren \\Drafts"),
    ("Sent", "\\HasNoChildren \\Sent"),
    ("Trash", "\\HasNoChildren \\Trash"),
    ("Archive", "\\HasNoChildren \\Archive"),
    ("Junk", "\\HasNoChildren \\Junk"),
    ("Large", "\\HasNoChildren"),
    ("Small", "\\HasNoChildren"),
];

/// Messages in each folder but INBOX.
const FEW: u32 = 1_000;

/// A buffer that grew larger than this is not kept by an idle connection.
const KEPT: usize = 64 << 10;

/// Answers one connection until it ends.
pub async fn serve(socket: TcpStream, mail: Arc<Mail>) -> io::Result<()> {
    let mut session = Session { socket: BufReader::with_capacity(4096, socket), mail, folder: String::new() };
    session.say(&format!("* OK [CAPABILITY {CAPABILITIES}] ready\r\n")).await?;
    while let Some(command) = session.command().await? {
        let done = session.answer(&command).await?;
        if done {
            break;
        }
    }
    Ok(())
}

struct Session {
    socket: BufReader<TcpStream>,
    mail: Arc<Mail>,
    /// The selected folder, empty for none.
    folder: String,
}

impl Session {
    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.socket.get_mut().write_all(text.as_bytes()).await
    }

    /// The next command with its literals in place; `None` when the client is gone.
    async fn command(&mut self) -> io::Result<Option<String>> {
        let mut command = Vec::new();
        loop {
            let start = command.len();
            if self.socket.read_until(b'\n', &mut command).await? == 0 {
                return Ok(None);
            }
            let line = &command[start..];
            let unasked = line.ends_with(b"+}\r\n");
            let Some(length) = literal_length(line) else {
                return Ok(Some(String::from_utf8_lossy(&command).trim_end().to_owned()));
            };
            if !unasked {
                self.say("+ go on\r\n").await?;
            }
            let start = command.len();
            command.resize(start + length, 0);
            self.socket.read_exact(&mut command[start..]).await?;
        }
    }

    /// Answers one command; true when it was the last.
    async fn answer(&mut self, command: &str) -> io::Result<bool> {
        let (tag, command) = command.split_once(' ').unwrap_or((command, ""));
        let command = command.strip_prefix("UID ").unwrap_or(command);
        let (verb, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let mut out = Vec::new();
        let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
        let mut code = String::new();
        match verb.to_ascii_uppercase().as_str() {
            "CAPABILITY" => say(&format!("* CAPABILITY {CAPABILITIES}\r\n")),
            "LOGIN" => code = format!("[CAPABILITY {CAPABILITIES}] "),
            "AUTHENTICATE" => {
                if !arguments.contains(' ') {
                    self.say("+ \r\n").await?;
                    self.command().await?;
                }
                code = format!("[CAPABILITY {CAPABILITIES}] ");
            }
            "ENABLE" => say(&format!("* ENABLED {arguments}\r\n")),
            "ID" => say("* ID (\"name\" \"memory\")\r\n"),
            "NAMESPACE" => say("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"),
            "LIST" | "LSUB" => list(verb, arguments, &mut say),
            "STATUS" => say(&status(arguments)),
            "SELECT" | "EXAMINE" => {
                self.folder = name(arguments);
                select(&self.folder, &mut say);
                code = (if verb == "SELECT" { "[READ-WRITE] " } else { "[READ-ONLY] " }).to_owned();
            }
            "FETCH" => return self.fetch(tag, arguments).await.map(|()| false),
            "SEARCH" if arguments.contains("RETURN") => say(&format!("* ESEARCH (TAG \"{tag}\") UID\r\n")),
            "SEARCH" => say("* SEARCH\r\n"),
            "IDLE" => {
                self.say("+ idling\r\n").await?;
                if self.command().await?.is_none() {
                    return Ok(true);
                }
            }
            "APPEND" => {
                STORED.fetch_add(1, Ordering::Relaxed);
                code = "[APPENDUID 1 1001] ".to_owned();
            }
            "NOOP" | "CHECK" | "STORE" | "EXPUNGE" | "SUBSCRIBE" | "UNSUBSCRIBE" => {}
            "UNSELECT" | "CLOSE" => self.folder.clear(),
            "LOGOUT" => say("* BYE Logging out\r\n"),
            _ => {
                self.say(&format!("{tag} BAD Unknown command\r\n")).await?;
                return Ok(false);
            }
        }
        out.extend_from_slice(format!("{tag} OK {code}done.\r\n").as_bytes());
        self.socket.get_mut().write_all(&out).await?;
        Ok(verb == "LOGOUT")
    }

    async fn fetch(&mut self, tag: &str, arguments: &str) -> io::Result<()> {
        let (set, items) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let last = if self.folder == "INBOX" { HEADERS } else { FEW };
        let tagged = format!("{tag} OK Fetch completed.\r\n");
        let mut out = Vec::new();
        for uids in set.split(',').map(|part| range(part, last)) {
            if items.contains("ENVELOPE") {
                self.socket.get_mut().write_all(self.mail.headers(&uids)).await?;
                continue;
            }
            for uid in uids {
                self.message(&mut out, uid, items);
                if out.len() > KEPT {
                    self.socket.get_mut().write_all(&out).await?;
                    out.clear();
                }
            }
        }
        out.extend_from_slice(tagged.as_bytes());
        self.socket.get_mut().write_all(&out).await
    }

    fn message(&self, out: &mut Vec<u8>, uid: u32, items: &str) {
        let body = if self.folder == "Large" { &self.mail.large } else { &self.mail.small };
        let mut head = format!("* {uid} FETCH (UID {uid}");
        if items.contains("FLAGS") {
            head += " FLAGS (\\Seen)";
        }
        if items.contains("RFC822.SIZE") {
            head += &format!(" RFC822.SIZE {}", body.len());
        }
        out.extend_from_slice(head.as_bytes());
        if items.contains("[]") {
            out.extend_from_slice(format!(" BODY[] {{{}}}\r\n", body.len()).as_bytes());
            out.extend_from_slice(body);
        }
        out.extend_from_slice(b")\r\n");
    }
}

fn list(verb: &str, arguments: &str, say: &mut impl FnMut(&str)) {
    let (arguments, returned) = arguments.split_once(" RETURN ").unwrap_or((arguments, ""));
    let pattern = name(arguments.rsplit(' ').next().unwrap_or_default());
    if pattern.is_empty() {
        say(&format!("* {verb} (\\Noselect) \"/\" \"\"\r\n"));
        return;
    }
    let everything = pattern.contains(['*', '%']);
    for (folder, attributes) in FOLDERS.iter().filter(|(folder, _)| everything || *folder == pattern) {
        say(&format!("* {verb} ({attributes}) \"/\" {folder}\r\n"));
        if let Some((_, items)) = returned.split_once("STATUS ") {
            say(&status(&format!("{folder} {items}")));
        }
    }
}

fn select(folder: &str, say: &mut impl FnMut(&str)) {
    let count = count(folder);
    say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded NonJunk)\r\n");
    say(
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded NonJunk \\*)] Flags.\r\n",
    );
    say(&format!("* {count} EXISTS\r\n* 0 RECENT\r\n"));
    say("* OK [UIDVALIDITY 1] UIDs valid\r\n");
    say(&format!("* OK [UIDNEXT {}] Predicted next UID\r\n", count + 1));
    say("* OK [HIGHESTMODSEQ 1] Highest\r\n");
}

/// `INBOX (MESSAGES UNSEEN)` answered in the order asked.
fn status(arguments: &str) -> String {
    let (folder, items) = arguments.split_once(" (").unwrap_or((arguments, ""));
    let folder = name(folder);
    let items = items.split(')').next().unwrap_or_default();
    let values = items.split(' ').filter(|item| !item.is_empty()).map(|item| {
        let value = match item {
            "MESSAGES" => count(&folder),
            "UIDNEXT" => count(&folder) + 1,
            "UIDVALIDITY" | "HIGHESTMODSEQ" => 1,
            "SIZE" => 1 << 30,
            _ => 0,
        };
        format!("{item} {value}")
    });
    format!("* STATUS {folder} ({})\r\n", values.collect::<Vec<_>>().join(" "))
}

fn count(folder: &str) -> u32 {
    if folder == "INBOX" { HEADERS } else { FEW }
}

/// A folder's name without quotes and select parameters.
fn name(argument: &str) -> String {
    argument.split(" (").next().unwrap_or_default().trim_matches('"').to_owned()
}

/// `7`, `1:50000` or `1:*`.
fn range(part: &str, last: u32) -> RangeInclusive<u32> {
    let number = |text: &str| text.parse().unwrap_or(last);
    match part.split_once(':') {
        Some((first, end)) => number(first)..=number(end).min(last),
        None => number(part)..=number(part),
    }
}
