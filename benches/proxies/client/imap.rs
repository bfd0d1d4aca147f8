//! An IMAP client that reads everything and keeps nothing.

use std::io;

use crate::peers::Door;
use crate::support::imap::literal_length;

use super::{Application, Wire, unexpected};

/// A session that is logged in.
pub struct Imap {
    wire: Wire,
    tags: u32,
}

impl Imap {
    /// Connects and logs in.
    pub async fn login(application: &Application, door: Door) -> io::Result<Imap> {
        let mut wire = application.connect(door.imaps).await?;
        let greeting = wire.line().await?;
        if !greeting.starts_with(b"* OK") {
            return Err(unexpected(greeting));
        }
        let mut imap = Imap { wire, tags: 0 };
        imap.command(&format!("LOGIN {} {}", door.login, door.password)).await?;
        Ok(imap)
    }

    /// Whether TLS took up an earlier session.
    pub fn resumed(&self) -> bool {
        self.wire.resumed()
    }

    /// Sends a command, reads to its tagged OK and returns how many octets that took.
    pub async fn command(&mut self, command: &str) -> io::Result<u64> {
        self.tags += 1;
        let tag = format!("a{} ", self.tags);
        self.wire.send(format!("{tag}{command}\r\n").as_bytes()).await?;
        let mut octets = 0;
        let mut in_response = false;
        loop {
            let line = self.wire.line().await?;
            octets += line.len() as u64;
            if let Some(length) = literal_length(line) {
                self.wire.skip(length).await?;
                octets += length as u64;
                in_response = true;
                continue;
            }
            if !in_response && line.starts_with(tag.as_bytes()) {
                let ok = line[tag.len()..].starts_with(b"OK");
                return if ok { Ok(octets) } else { Err(unexpected(line)) };
            }
            in_response = false;
        }
    }

    /// Begins IDLE, and stays in it until the session is dropped.
    pub async fn idle(&mut self) -> io::Result<()> {
        self.wire.send(b"idle IDLE\r\n").await?;
        loop {
            let line = self.wire.line().await?;
            match line.first() {
                Some(b'+') => return Ok(()),
                Some(b'*') => {}
                _ => return Err(unexpected(line)),
            }
        }
    }

    pub async fn logout(mut self) -> io::Result<()> {
        self.command("LOGOUT").await?;
        self.wire.close().await
    }
}
