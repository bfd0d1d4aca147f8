//! A mail host that answers from memory, so that nearly all time is the proxy's.
//!
//! Plaintext on loopback, one thread with a runtime of its own for both protocols.

mod imap;
mod mail;
mod smtp;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use tokio::net::{TcpListener, TcpStream};

use mail::Mail;
pub use mail::message;

/// Where the fake hosts listen. They run until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Upstream {
    pub imap: SocketAddr,
    pub smtp: SocketAddr,
}

/// Messages that APPEND has brought.
static STORED: AtomicU64 = AtomicU64::new(0);

impl Upstream {
    pub fn start() -> Upstream {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listeners = (listen().await, listen().await);
                let imap = listeners.0.local_addr().unwrap();
                let smtp = listeners.1.local_addr().unwrap();
                sender.send(Upstream { imap, smtp }).unwrap();
                let mail = Arc::new(Mail::new());
                let imap = accept(listeners.0, |socket| imap::serve(socket, Arc::clone(&mail)));
                let smtp = accept(listeners.1, smtp::serve);
                tokio::join!(imap, smtp);
            });
        });
        receiver.recv().unwrap()
    }

    /// How many messages were stored so far.
    pub fn stored(self) -> u64 {
        STORED.load(Ordering::Relaxed)
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        // A connection that breaks is seen, and reported, at the client's end.
        tokio::spawn(serve(socket));
    }
}
