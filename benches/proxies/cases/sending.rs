//! Submission.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::{Application, Smtp};
use crate::peers::Peer;
use crate::upstream::{Upstream, message};

use super::Sample;
use super::drive::{Budget, drive};

/// How many senders work at once.
const SENDERS: u32 = 4;

/// Messages up to this size are counted one by one, larger ones by the octet.
const SMALL: usize = 100 << 10;

/// Messages on sessions that stay. `filed`: the host to which a copy of each goes.
pub async fn kept(
    peer: &Peer,
    application: &Application,
    octets: usize,
    budget: Budget,
    filed: Option<Upstream>,
) -> io::Result<Sample> {
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push((Smtp::login(application, peer.door).await?, Letter::new(octets)));
    }
    let work = async |(smtp, letter): &mut (Smtp, Letter)| {
        smtp.send(letter.next()).await?;
        Ok(letter.worth())
    };
    let done = drive(peer, senders, budget, work, filed).await?;
    Ok(if octets > SMALL { done.per_gigabyte() } else { done.milliseconds() })
}

/// A session for each message, TLS handshake and login included.
pub async fn each(
    peer: &Peer,
    application: &Application,
    octets: usize,
    budget: Budget,
    filed: Option<Upstream>,
) -> io::Result<Sample> {
    let senders = (0..SENDERS).map(|_| (application.clone(), Letter::new(octets))).collect();
    let door = peer.door;
    let work = async move |(application, letter): &mut (Application, Letter)| {
        let mut smtp = Smtp::login(application, door).await?;
        smtp.send(letter.next()).await?;
        smtp.quit().await.map(|()| 1)
    };
    Ok(drive(peer, senders, budget, work, filed).await?.milliseconds())
}

/// A message with the dot that ends it, sent under a new Message-ID each time.
struct Letter {
    data: Vec<u8>,
    id: std::ops::Range<usize>,
}

impl Letter {
    fn new(octets: usize) -> Letter {
        let mut data = message(octets);
        // The host that waits for a dot must not find one; no line of ours begins with it.
        data.extend_from_slice(b".\r\n");
        let id = b"<000000000000@";
        let start = data.windows(id.len()).position(|window| window == id).unwrap() + 1;
        Letter { data, id: start..start + 12 }
    }

    fn next(&mut self) -> &[u8] {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = format!("{:012}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.data[self.id.clone()].copy_from_slice(number.as_bytes());
        &self.data
    }

    /// What it counts as: its octets if it is large, one message otherwise.
    fn worth(&self) -> u64 {
        if self.data.len() > SMALL { self.data.len() as u64 } else { 1 }
    }
}
