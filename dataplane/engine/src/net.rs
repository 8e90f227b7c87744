//! Which way into the kernel a worker takes.
//!
//! There is one: io_uring. Where it is forbidden, [`Engine::start`](crate::Engine::start) says so with its remedy.

use std::net::SocketAddr;

use crate::buffers::Buffer;
pub(crate) use crate::uring::Uring as Net;

/// What has come out of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// A packet was received.
    Received(Received),
    /// A send from this socket was refused. Its buffer is free again.
    SendFailed { socket: u16 },
    /// Something that only the ring itself cares about.
    Done,
}

/// A received packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// The index of its socket.
    pub(crate) socket: u16,
    pub(crate) from: SocketAddr,
    /// Bytes, at the start of the buffer's packet.
    pub(crate) len: usize,
    pub(crate) buffer: Buffer,
    /// Packets that the kernel dropped at this socket since that was told last.
    pub(crate) lost: u32,
}

/// Running totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) completions: u64,
    pub(crate) receive_rearms: u64,
    pub(crate) receive_errors: u64,
    pub(crate) truncated: u64,
    pub(crate) sent: u64,
    pub(crate) send_errors: u64,
    pub(crate) kernel_drops: u64,
}

#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traced {
    Received,
    Sent,
}
