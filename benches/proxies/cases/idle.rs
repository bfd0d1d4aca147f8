//! What a session costs that only waits.

use std::io;
use std::time::Duration;

use crate::client::{Application, Imap};
use crate::peers::Peer;

use super::Sample;

/// Sessions that come and go before anything is measured.
const FIRST: u32 = 8;

/// PSS of a session in IDLE, in KiB, over many sessions of a proxy that has just started.
pub async fn memory(
    peer: &Peer,
    application: &Application,
    sessions: u32,
    download: bool,
) -> io::Result<Sample> {
    // What a process needs once (pools, code, the first block of each thread) is not a
    // session's: a few that come and go pay for it.
    drop(open(peer, application, FIRST, download).await?);
    let before = settled(peer).await;
    let open = open(peer, application, sessions, download).await?;
    let after = settled(peer).await;
    drop(open);
    #[expect(clippy::cast_precision_loss, reason = "KiB of memory are far below 2^52")]
    let grown = after.saturating_sub(before) as f64;
    Ok(Sample { cost: grown / f64::from(sessions), note: None })
}

async fn open(
    peer: &Peer,
    application: &Application,
    sessions: u32,
    download: bool,
) -> io::Result<Vec<Imap>> {
    let mut all = Vec::new();
    for _ in 0..sessions {
        all.push(session(peer, application, download).await?);
    }
    Ok(all)
}

async fn session(peer: &Peer, application: &Application, download: bool) -> io::Result<Imap> {
    let mut imap = Imap::login(application, peer.door).await?;
    if download {
        imap.command("SELECT Large").await?;
        imap.command("UID FETCH 1 BODY.PEEK[]").await?;
    }
    imap.command("SELECT INBOX").await?;
    imap.idle().await?;
    Ok(imap)
}

/// Memory once it no longer changes: work that follows an answer is done by then.
async fn settled(peer: &Peer) -> u64 {
    let mut last = peer.memory();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = peer.memory();
        if now.abs_diff(last) * 500 <= now {
            return now;
        }
        last = now;
    }
    last
}
