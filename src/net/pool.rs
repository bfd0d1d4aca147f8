//! Buffers that belong to the thread, not to a session.
//!
//! An idle session owns none: it takes a buffer when octets arrive and gives it back
//! when they are consumed. Thousands of sessions in IDLE share a handful.

use std::cell::RefCell;

use zeroize::Zeroize;

/// Size of a buffer: one read of this size keeps the cost of a bulk transfer at the
/// socket's own (32 KiB costs a few per cent more, 128 KiB gains nothing).
pub(super) const BUFFER: usize = 64 * 1024;

/// Buffers of each kind that a thread keeps. A wake-up needs at most two of each;
/// the rest serves sessions whose peer reads slowly.
const KEPT: usize = 8;

thread_local! {
    static INPUT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER`] octets of unknown content.
pub(super) fn take_input() -> Box<[u8]> {
    INPUT.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
}

/// Gives a buffer back; `wipe` overwrites its first octets first.
pub(super) fn give_input(mut buffer: Box<[u8]>, wipe: usize) {
    buffer[..wipe].zeroize();
    INPUT.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(buffer);
        }
    });
}

/// An empty buffer with some capacity.
pub(super) fn take_output() -> Vec<u8> {
    OUTPUT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(4096))
}

/// Gives a buffer back, empty; one that grew beyond [`BUFFER`] is dropped.
pub(super) fn give_output(mut buffer: Vec<u8>, wipe: bool) {
    if wipe {
        buffer.zeroize();
    }
    buffer.clear();
    if buffer.capacity() == 0 || buffer.capacity() > BUFFER {
        return;
    }
    OUTPUT.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(buffer);
        }
    });
}
