//! The control socket: one request and one answer a connection, as JSON lines.
//!
//! ```text
//! daemon:  mandate-control 1
//! asker:   mandate-control 1
//! asker:   {"group-add":{"name":"team"}}
//! daemon:  {"done":["group team added"]}
//! ```
//!
//! Who may connect is a matter of the socket's mode and group (0660, `root:mandate-admin`);
//! the uid that the kernel names for the peer goes into the journal with every change.

use std::future::Future;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::UnixStream as Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{Actor, Answer, Failure, FailureKind, Request, Services, perform};

/// What both sides say first; the number is the protocol's version.
const HELLO: &str = "mandate-control 1\n";
/// Longest hello in octets: another version's may differ from ours.
const MAX_HELLO: u64 = 64;
/// Largest request in octets: `apply` carries a whole file, about 300 octets a grant.
const MAX_REQUEST: u64 = 16 << 20;
/// Largest answer in octets: `export` of the largest file that `apply` takes, with room.
const MAX_ANSWER: u64 = 64 << 20;
/// Requests at once: admins are few, and `mailbox add` holds one for as long as upstream takes.
const MAX_AT_ONCE: usize = 16;
/// How long an asker may take to send its request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer may take: above all of `mailbox add`'s own deadlines upstream.
const ANSWER_DEADLINE: Duration = Duration::from_secs(300);
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `stop` resolves; those under way are finished by their own tasks.
pub async fn serve(listener: UnixListener, services: Arc<Services>, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "control socket: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("control socket: {MAX_AT_ONCE} requests are under way; one more was turned away");
            continue;
        };
        let services = Arc::clone(&services);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &services).await {
                tracing::info!(%error, "control socket: a connection ended early");
            }
            drop(place);
        });
    }
}

async fn converse(stream: UnixStream, services: &Services) -> io::Result<()> {
    let actor = Actor { uid: stream.peer_cred()?.uid() };
    let mut stream = BufReader::new(stream);
    stream.write_all(HELLO.as_bytes()).await?;
    let read = tokio::time::timeout(REQUEST_DEADLINE, read_request(&mut stream));
    let answer = match read.await?? {
        Ok(request) => perform(services, actor, request).await,
        Err(failure) => failure.into(),
    };
    let line = encode(&answer);
    stream.write_all(&line).await?;
    stream.shutdown().await
}

/// The request, or what is wrong with it, to be told to the asker.
async fn read_request(stream: &mut BufReader<UnixStream>) -> io::Result<Result<Request, Failure>> {
    let hello = read_line(stream, MAX_HELLO).await?;
    if hello.as_slice() != HELLO.as_bytes() {
        return Ok(Err(Failure::data(OTHER_VERSION)));
    }
    let line = read_line(stream, MAX_REQUEST).await?;
    if line.last() != Some(&b'\n') {
        return Ok(Err(Failure::data(format!(
            "the request is cut off, or larger than {MAX_REQUEST} octets"
        ))));
    }
    // NOTE: serde_json's messages can quote a value; requests hold passwords, so only the place is told.
    Ok(serde_json::from_slice(&line).map_err(|error| {
        Failure::data(format!("the request cannot be understood (at octet {})", error.column()))
    }))
}

async fn read_line(stream: &mut BufReader<UnixStream>, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::new());
    stream.take(limit).read_until(b'\n', &mut line).await?;
    Ok(line)
}

fn encode(answer: &Answer) -> Vec<u8> {
    let text = |answer: &Answer| serde_json::to_vec(answer).unwrap_or_default();
    let mut line = text(answer);
    if line.is_empty() || line.len() as u64 >= MAX_ANSWER {
        let message = format!("the answer is larger than {MAX_ANSWER} octets");
        line = text(&Failure::new(FailureKind::Internal, message).into());
    }
    line.push(b'\n');
    line
}

const OTHER_VERSION: &str = "this mandate and the running daemon are of different versions; restart the daemon, or use its own program";

/// Why the daemon could not be asked.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens there.
    NoDaemon,
    /// The socket's mode or group keeps this uid out.
    NotAllowed,
    Version,
    Io(io::Error),
}

/// Asks the daemon whose control socket is at `path`.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, AskError> {
    let mut stream = Connection::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoDaemon,
        io::ErrorKind::PermissionDenied => AskError::NotAllowed,
        _ => AskError::Io(error),
    })?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.set_write_timeout(Some(REQUEST_DEADLINE))?;
    let mut reader = io::BufReader::new(stream.try_clone()?);
    let mut hello = String::new();
    reader.by_ref().take(MAX_HELLO).read_line(&mut hello)?;
    if hello != HELLO {
        return Err(if hello.is_empty() { AskError::Io(busy()) } else { AskError::Version });
    }
    let mut line = Zeroizing::new(Vec::new());
    line.extend_from_slice(HELLO.as_bytes());
    serde_json::to_writer(&mut *line, request).map_err(io::Error::from)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    reader.take(MAX_ANSWER).read_until(b'\n', &mut answer)?;
    Ok(serde_json::from_slice(&answer).map_err(io::Error::from)?)
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the daemon has no place for another request now")
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
