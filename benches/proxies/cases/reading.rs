//! IMAP: bulk, small commands, logins.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use crate::client::{Application, Imap};
use crate::peers::Peer;

use super::Sample;
use super::drive::{Budget, drive};

pub async fn download(
    peer: &Peer,
    application: &Application,
    folder: &str,
    connections: u32,
    budget: Budget,
) -> io::Result<Sample> {
    let sessions = readers(peer, application, folder, connections).await?;
    let done = drive(
        peer,
        sessions,
        budget,
        async |reader: &mut Reader| {
            reader.uid = reader.uid % 1000 + 1;
            reader.imap.command(&format!("UID FETCH {} BODY.PEEK[]", reader.uid)).await
        },
        None,
    );
    Ok(done.await?.per_gigabyte())
}

pub async fn headers(peer: &Peer, application: &Application, budget: Budget) -> io::Result<Sample> {
    let sessions = readers(peer, application, "INBOX", 1).await?;
    let done = drive(
        peer,
        sessions,
        budget,
        async |reader: &mut Reader| {
            reader.imap.command("UID FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)").await
        },
        None,
    );
    Ok(done.await?.per_gigabyte())
}

pub async fn noop(
    peer: &Peer,
    application: &Application,
    connections: u32,
    budget: Budget,
) -> io::Result<Sample> {
    let sessions = readers(peer, application, "INBOX", connections).await?;
    let done = drive(
        peer,
        sessions,
        budget,
        async |reader: &mut Reader| reader.imap.command("NOOP").await.map(|_| 1),
        None,
    );
    Ok(done.await?.microseconds())
}

pub async fn login(
    peer: &Peer,
    applications: Vec<Application>,
    resumed: bool,
    budget: Budget,
) -> io::Result<Sample> {
    // The first login of each gets the tickets, and warms what a proxy remembers of a
    // verified password.
    let door = peer.door;
    for application in &applications {
        Imap::login(application, door).await?.logout().await?;
    }
    let full = Rc::new(Cell::new(0_u64));
    let counted = Rc::clone(&full);
    let work = async move |application: &mut Application| {
        let imap = Imap::login(application, door).await?;
        if !imap.resumed() {
            counted.set(counted.get() + 1);
        }
        imap.logout().await.map(|()| 1)
    };
    let mut sample = drive(peer, applications, budget, work, None).await?.milliseconds();
    if resumed && full.get() > 0 {
        sample.note = Some(format!("{} handshakes were full ones", full.get()));
    }
    Ok(sample)
}

struct Reader {
    imap: Imap,
    /// The message read last.
    uid: u32,
}

async fn readers(
    peer: &Peer,
    application: &Application,
    folder: &str,
    connections: u32,
) -> io::Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for number in 0..connections {
        let mut imap = Imap::login(application, peer.door).await?;
        imap.command(&format!("SELECT {folder}")).await?;
        readers.push(Reader { imap, uid: number * 100 });
    }
    Ok(readers)
}
