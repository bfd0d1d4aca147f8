use std::io;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{ROOM, Wire};
use crate::net::pool;
use crate::net::stream::Stream;

fn wire(pipe: usize) -> (Wire, DuplexStream) {
    let (near, far) = duplex(pipe);
    (Wire::new(Stream::Other(Box::new(near))), far)
}

fn poll_fill(wire: &mut Wire) -> Poll<io::Result<usize>> {
    wire.poll_fill(&mut Context::from_waker(Waker::noop()))
}

fn owns_nothing(wire: &Wire) -> bool {
    wire.input.buffer.is_none() && wire.output.buffer.capacity() == 0
}

#[tokio::test]
async fn an_idle_wire_owns_no_buffer() {
    let (mut wire, mut far) = wire(1024);
    assert!(poll_fill(&mut wire).is_pending());
    assert!(owns_nothing(&wire) && wire.is_idle());
    far.write_all(b"a1 NOOP\r\n").await.unwrap();
    assert_eq!(wire.fill().await.unwrap(), 9);
    assert!(!wire.is_idle());
    wire.consume(9);
    wire.queue(b"a1 OK\r\n");
    assert!(wire.has_output() && !wire.is_idle());
    wire.flush().await.unwrap();
    assert!(owns_nothing(&wire) && wire.is_idle());
}

#[tokio::test]
async fn octets_stay_until_consumed() {
    let (mut wire, mut far) = wire(1024);
    far.write_all(b"one two").await.unwrap();
    wire.fill().await.unwrap();
    wire.consume(4);
    far.write_all(b" three").await.unwrap();
    assert_eq!(wire.fill().await.unwrap(), 6);
    assert_eq!(wire.buffered(), b"two three");
    wire.consume(usize::MAX);
    assert_eq!(wire.buffered(), b"");
}

#[tokio::test]
async fn the_buffer_has_its_limit() {
    let (mut wire, mut far) = wire(2 * Wire::CAPACITY);
    let sent: Vec<u8> = (0..=250).cycle().take(2 * Wire::CAPACITY).collect();
    far.write_all(&sent).await.unwrap();
    while wire.buffered().len() < Wire::CAPACITY {
        wire.fill().await.unwrap();
    }
    assert_eq!(wire.fill().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    // What is left moves to the front when room is scarce, and stays itself.
    wire.consume(Wire::CAPACITY - 10);
    assert!(wire.fill().await.unwrap() > ROOM);
    let at = Wire::CAPACITY - 10;
    assert_eq!(wire.buffered(), &sent[at..at + wire.buffered().len()]);
}

#[tokio::test]
async fn the_end_stays_the_end() {
    let (mut wire, mut far) = wire(1024);
    far.write_all(b"bye").await.unwrap();
    drop(far);
    assert_eq!(wire.fill().await.unwrap(), 3);
    assert_eq!(wire.fill().await.unwrap(), 0);
    assert_eq!(wire.fill().await.unwrap(), 0);
    assert_eq!(wire.buffered(), b"bye");
    wire.consume(3);
    assert!(!wire.is_idle(), "a connection that ended is no good for another command");
}

#[tokio::test]
async fn writes_in_order_whatever_the_way() {
    let (mut wire, mut far) = wire(7);
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        all
    });
    let long = vec![b'x'; 1000];
    wire.queue(b"queued ");
    wire.write_direct(&long).await.unwrap();
    wire.queue(b" then ");
    let mut rest = &b"some"[..];
    while !rest.is_empty() {
        let taken = wire.write_some(rest).await.unwrap();
        assert!(taken > 0);
        rest = &rest[taken..];
    }
    wire.out().extend_from_slice(b" end");
    wire.shutdown().await.unwrap();
    let expected = [&b"queued "[..], &long, b" then some end"].concat();
    assert_eq!(reader.await.unwrap(), expected);
}

#[tokio::test]
async fn a_write_cut_short_goes_on_where_it_was() {
    let (mut wire, mut far) = wire(4);
    wire.queue(b"abcdefgh");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(wire.poll_flush(&mut cx).is_pending());
    let mut read = [0; 4];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"abcd");
    wire.flush().await.unwrap();
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"efgh");
}

#[tokio::test]
async fn an_upgrade_wants_an_empty_wire() {
    let (mut early, mut far) = wire(1024);
    far.write_all(b"a1 STARTTLS\r\na2 LOGIN alice secret\r\n").await.unwrap();
    early.fill().await.unwrap();
    early.consume(13);
    assert!(early.into_stream().is_none());
    let (mut late, _far) = wire(1024);
    late.queue(b"a1 OK\r\n");
    assert!(late.into_stream().is_none());
    let (idle, _far) = wire(1024);
    assert!(idle.into_stream().is_some());
}

/// The pool is the thread's, and this test's runtime has one thread.
#[tokio::test]
async fn buffers_forget_passwords() {
    let holds = |buffer: &[u8]| buffer.windows(6).any(|w| w == b"secret");
    for wiped in [true, false] {
        let (mut wire, mut far) = wire(1024);
        if !wiped {
            wire.end_secrets();
        }
        far.write_all(b"a1 LOGIN alice secret\r\n").await.unwrap();
        wire.fill().await.unwrap();
        wire.consume(usize::MAX);
        let buffer = pool::take_input();
        assert_eq!(holds(&buffer), !wiped);
    }
}
