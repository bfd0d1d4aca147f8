//! A submission client that waits for each reply, as most do.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::peers::Door;

use super::{Application, Wire, unexpected};

/// A session that is logged in.
pub struct Smtp {
    wire: Wire,
}

impl Smtp {
    /// Connects and logs in.
    pub async fn login(application: &Application, door: Door) -> io::Result<Smtp> {
        let wire = application.connect(door.submissions).await?;
        let mut smtp = Smtp { wire };
        smtp.reply(b"220").await?;
        smtp.command("EHLO client.example.org", b"250").await?;
        let response = BASE64_STANDARD.encode(format!("\0{}\0{}", door.login, door.password));
        smtp.command(&format!("AUTH PLAIN {response}"), b"235").await?;
        Ok(smtp)
    }

    /// Sends one message, `data` being its octets with dots stuffed and the final dot.
    pub async fn send(&mut self, data: &[u8]) -> io::Result<()> {
        self.command("MAIL FROM:<support@example.org>", b"250").await?;
        self.command("RCPT TO:<bob@example.org>", b"250").await?;
        self.command("DATA", b"354").await?;
        self.wire.send(data).await?;
        self.reply(b"250").await
    }

    pub async fn quit(mut self) -> io::Result<()> {
        self.command("QUIT", b"221").await?;
        self.wire.close().await
    }

    async fn command(&mut self, line: &str, code: &[u8]) -> io::Result<()> {
        self.wire.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply(code).await
    }

    async fn reply(&mut self, code: &[u8]) -> io::Result<()> {
        loop {
            let line = self.wire.line().await?;
            if !line.starts_with(code) {
                return Err(unexpected(line));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
