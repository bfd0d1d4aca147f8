//! A wire between two hosts that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

/// Passes octets on to a server, as long as it is told to.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Octets, of all connections and both directions, until the cut.
    left: AtomicI64,
    /// Whether a cut is mended at once; otherwise nobody gets through until [`Relay::mend`].
    mends_itself: AtomicBool,
    /// Nothing is cut: the octets wait.
    holds: AtomicBool,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            left: AtomicI64::new(i64::MAX),
            mends_itself: AtomicBool::new(false),
            holds: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.left.load(Ordering::SeqCst) <= 0 && !shared.holds.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = shared.clone();
                    thread::spawn(move || pass(from, to, &state));
                }
            }
        });
        Relay { address, state }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All connections that carry anything are cut once so many octets have passed.
    pub fn cut_after(&self, octets: i64, mends_itself: bool) {
        self.state.holds.store(false, Ordering::SeqCst);
        self.state.mends_itself.store(mends_itself, Ordering::SeqCst);
        self.state.left.store(octets, Ordering::SeqCst);
    }

    /// All octets wait once so many have passed, until [`Relay::mend`].
    pub fn hold_after(&self, octets: i64) {
        self.state.holds.store(true, Ordering::SeqCst);
        self.state.left.store(octets, Ordering::SeqCst);
    }

    /// Whether it has come to that.
    pub fn is_through(&self) -> bool {
        self.state.left.load(Ordering::SeqCst) <= 0
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        self.state.left.store(i64::MAX, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut octets = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut octets) {
        let left = state.left.fetch_sub(read as i64, Ordering::SeqCst) - read as i64;
        while state.holds.load(Ordering::SeqCst) && state.left.load(Ordering::SeqCst) <= 0 {
            thread::sleep(Duration::from_millis(5));
        }
        if left <= 0 && !state.holds.load(Ordering::SeqCst) {
            if state.mends_itself.load(Ordering::SeqCst) {
                state.left.store(i64::MAX, Ordering::SeqCst);
            }
            break;
        }
        if to.write_all(&octets[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
