//! A mail host that follows a script, on loopback.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::connect::{ConnectSettings, Connector};
use super::target::Target;
use crate::net::{DialSettings, Dialer};
use crate::types::{Account, Endpoint, MailboxId, Secret, Security, Trust};

/// Listens for one connection per script.
///
/// A script has a line `S: ..` for what the host says (in one piece, also over a written
/// `\r\n`), `C: ..` for each line that it expects next. At its end the host waits for the close, and for nothing before it;
/// after `X:` it closes by itself, after `...` it says nothing and waits for the close.
pub(super) async fn host(scripts: &[&str]) -> (Endpoint, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let scripts: Vec<String> = scripts.iter().map(|&script| script.to_owned()).collect();
    let playing = tokio::spawn(async move {
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            play(stream, &script).await;
        }
    });
    let endpoint =
        Endpoint { host: "127.0.0.1".to_owned(), port, security: Security::Plaintext, trust: Trust::System };
    (endpoint, playing)
}

async fn play(stream: TcpStream, script: &str) {
    let mut stream = BufReader::new(stream);
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        if let Some(line) = step.strip_prefix("S: ") {
            // The client may have hung up, as it should on some of what it hears.
            let line = line.replace("\\r\\n", "\r\n");
            let _ = stream.write_all(format!("{line}\r\n").as_bytes()).await;
        } else if let Some(expected) = step.strip_prefix("C: ") {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            assert_eq!(line, format!("{expected}\r\n"), "in script {script}");
        } else if step == "X:" {
            return;
        } else {
            assert_eq!(step, "...");
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "", "after script {script}");
}

pub(super) fn connector() -> Connector {
    let dialer = Dialer::new(DialSettings::default());
    Connector::new(Arc::new(dialer), ConnectSettings { login_seconds: 1 })
}

pub(super) fn target(endpoint: Endpoint) -> Target {
    Target {
        mailbox: MailboxId(1),
        generation: 1,
        endpoint,
        account: Account { authcid: "support@example.org".to_owned(), authzid: None },
        password: Secret::new("secret"),
        max_connections: 3,
    }
}
