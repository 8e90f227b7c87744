//! Which way into the kernel a worker takes: io_uring, or plain epoll where that is forbidden or wished.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffers::Buffer;
use crate::channel::Channel;
use crate::config::{Backend, StartError, TaskRun};
use crate::epoll::Epoll;
use crate::socket::Socket;
use crate::uring::{Uring, probe};

/// Transmit buffers of each worker, for packets that the core makes itself.
pub(crate) const SPARES: u16 = 256;

/// Two packets of one socket within this time mean that a queue has formed: its drops are asked for. A peer that sends each
/// 10 ms never comes to that.
pub(crate) const QUEUED_WITHIN: Duration = Duration::from_millis(5);

/// The sockets and buffers of one worker. Which of the two it is costs a branch that always goes the same way.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each worker, and it never moves"
)]
pub(crate) enum Net {
    Uring(Uring),
    Epoll(Epoll),
}

/// Does the same to whichever it is.
macro_rules! either {
    ($net:expr, $it:ident => $does:expr) => {
        match $net {
            Net::Uring($it) => $does,
            Net::Epoll($it) => $does,
        }
    };
}

/// What is still possible of what is wished, before anything is bound: [`Backend::Auto`] stays where io_uring is there.
pub(crate) fn choose(wished: Backend) -> Result<Backend, StartError> {
    match wished {
        Backend::Epoll => Ok(Backend::Epoll),
        Backend::Uring => probe::require().map(|()| Backend::Uring),
        Backend::Auto => match probe::require() {
            Ok(()) => Ok(Backend::Auto),
            Err(why) => fall_back(why),
        },
    }
}

/// epoll, where `why` is that there is no io_uring for us.
fn fall_back(why: StartError) -> Result<Backend, StartError> {
    match why {
        StartError::Forbidden { .. } | StartError::Kernel { .. } | StartError::Memory { .. } => {
            tracing::warn!(%why, "packets go by epoll: near full load that takes more of a core than io_uring");
            Ok(Backend::Epoll)
        }
        _ => Err(why),
    }
}

impl Net {
    /// Takes the sockets over, in the thread that will use them; each has its place in the list as its index. `room`: sockets at the most, with
    /// those that come later. `buffers` and `mode` are for io_uring.
    pub(crate) fn new(
        sockets: Vec<OwnedFd>,
        room: usize,
        backend: Backend,
        buffers: u16,
        mode: TaskRun,
        channel: Arc<Channel>,
    ) -> Result<Net, StartError> {
        if backend != Backend::Epoll {
            match Uring::new(room, buffers, mode, channel.clone()) {
                Ok(mut uring) => {
                    uring.open(sockets)?;
                    return Ok(Net::Uring(uring));
                }
                Err(why) if backend == Backend::Auto => fall_back(why)?,
                Err(why) => return Err(why),
            };
        }
        Epoll::new(sockets, room, channel).map(Net::Epoll)
    }

    /// [`Backend::Uring`] or [`Backend::Epoll`].
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Net::Uring(_) => Backend::Uring,
            Net::Epoll(_) => Backend::Epoll,
        }
    }

    /// How completions reach the worker: [`TaskRun::Auto`] where that is no question.
    pub(crate) fn mode(&self) -> TaskRun {
        match self {
            Net::Uring(uring) => uring.mode(),
            Net::Epoll(_) => TaskRun::Auto,
        }
    }

    /// Hands over what is queued and waits until something comes, `timeout` is over or the worker is woken.
    pub(crate) fn enter(&mut self, now: Instant, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Net::Uring(uring) => uring.enter(now, timeout),
            Net::Epoll(epoll) => epoll.enter(timeout),
        }
    }

    /// The next completion.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Completion> {
        either!(self, net => net.next(now))
    }

    /// Packets that the kernel dropped at this socket and has told with none that came: one system call.
    pub(crate) fn ask_drops(&mut self, socket: u16) -> u32 {
        either!(self, net => net.ask_drops(socket))
    }

    /// Whether anybody may send to this socket, and that could be bounded: [`Net::follow`] has not been told of a peer, nor has one refused us.
    pub(crate) fn is_open(&self, socket: u16) -> bool {
        either!(self, net => net.is_open(socket))
    }

    /// `peer` is the only one who may send to this socket, or `None`: the kernel is to let in nobody else, or everybody again. At most two system
    /// calls; nothing if it is so already.
    pub(crate) fn follow(&mut self, socket: u16, peer: Option<SocketAddr>) {
        either!(self, net => net.follow(socket, peer));
    }

    /// Who is the only one that can send to this socket.
    #[cfg(test)]
    pub(crate) fn peer(&self, socket: u16) -> Option<SocketAddr> {
        either!(self, net => net.peer(socket))
    }

    /// Ends the receive of a socket that is to go; to be called in each turn until it is `true`: then all that it brought was handed out.
    pub(crate) fn quiesce(&mut self, socket: u16) -> bool {
        either!(self, net => net.quiesce(socket))
    }

    /// A socket that was to go stays.
    pub(crate) fn resume(&mut self, socket: u16) {
        either!(self, net => net.resume(socket));
    }

    /// Gives a socket away that is quiet.
    pub(crate) fn release(&mut self, socket: u16) -> Option<Socket> {
        either!(self, net => net.release(socket))
    }

    /// Takes over a socket of another worker, under an index that is free.
    pub(crate) fn adopt(&mut self, socket: u16, it: Socket) {
        either!(self, net => net.adopt(socket, it));
    }

    /// The packet's place in the buffer: [`PACKET_BYTES`](crate::buffers::PACKET_BYTES) long.
    pub(crate) fn packet_mut(&mut self, buffer: &Buffer) -> &mut [u8] {
        either!(self, net => net.packet_mut(buffer))
    }

    /// A buffer for a packet of our own.
    pub(crate) fn take_spare(&mut self) -> Option<Buffer> {
        either!(self, net => net.take_spare())
    }

    /// Gives a buffer back that is not sent.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        either!(self, net => net.recycle(buffer));
    }

    /// Sends the buffer's first `len` bytes, or queues that, after which it is free again. `false` where that was impossible; the
    /// failure is counted.
    pub(crate) fn send(&mut self, socket: u16, to: SocketAddr, buffer: Buffer, len: usize) -> bool {
        either!(self, net => net.send(socket, to, buffer, len))
    }

    pub(crate) fn totals(&self) -> Totals {
        either!(self, net => net.totals())
    }

    pub(crate) fn enters(&self) -> u64 {
        either!(self, net => net.enters())
    }

    /// Completions that did not fit into their queue at once.
    pub(crate) fn overflows(&self) -> u32 {
        match self {
            Net::Uring(uring) => uring.overflows(),
            Net::Epoll(_) => 0,
        }
    }

    /// Receive buffers that are free.
    pub(crate) fn buffers_free(&self) -> usize {
        match self {
            Net::Uring(uring) => usize::from(uring.buffers_free()),
            Net::Epoll(epoll) => epoll.buffers_free(),
        }
    }

    /// Transmit buffers that are free: with epoll the same ones.
    pub(crate) fn spares_free(&self) -> usize {
        match self {
            Net::Uring(uring) => uring.spares_free(),
            Net::Epoll(epoll) => epoll.buffers_free(),
        }
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        match self {
            Net::Uring(uring) => uring.is_at_rest(),
            Net::Epoll(_) => true,
        }
    }

    #[cfg(test)]
    pub(crate) fn trace(&mut self) -> &mut Vec<(Traced, u16, usize)> {
        either!(self, net => &mut net.trace)
    }
}

/// What has come out of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// A packet was received.
    Received(Received),
    /// A send from this socket was refused. Its buffer is free again.
    SendFailed { socket: u16 },
    /// Something that only the backend itself cares about.
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
    /// When the kernel took it from the device ([`crate::clock::wall`]), where the socket has it say so.
    pub(crate) arrival: Option<u64>,
}

/// Running totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) completions: u64,
    pub(crate) receive_rearms: u64,
    pub(crate) receive_errors: u64,
    pub(crate) receive_rests: u64,
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

#[cfg(test)]
mod tests;
