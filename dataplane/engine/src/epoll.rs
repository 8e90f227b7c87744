//! Plain epoll, where io_uring is forbidden: one epoll_wait(2) for each turn, and for each packet one recvfrom(2) and one sendto(2)
//! of the same buffer.
//!
//! A socket that is ready is read once, and comes behind the other ready ones if it has more: a flood at one port has one packet
//! in each round, as everybody has.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffers::{Buffer, Memory, PACKET_BYTES};
use crate::channel::Channel;
use crate::config::StartError;
#[cfg(test)]
use crate::net::Traced;
use crate::net::{Completion, QUEUED_WITHIN, Received, SPARES, Totals};
use crate::socket::{self, Beside, Socket};

/// Ready sockets that one call tells of: as many as a turn of the worker's loop reads.
const READY: usize = 256;

/// What stands for the eventfd among the indices of sockets.
const WAKE: u64 = u64::MAX;

/// The sockets and buffers of one worker, and what tells which sockets are ready.
pub(crate) struct Epoll {
    poll: OwnedFd,
    /// What the kernel told last: `ready[at..count]` is still to be looked at.
    ready: Box<[libc::epoll_event; READY]>,
    at: usize,
    count: usize,
    /// By their index; a worker gives and takes them.
    sockets: Vec<Option<Row>>,
    memory: Memory,
    /// A send is over when its call is: the same few buffers serve all packets, and stay in the cache.
    free: Vec<Buffer>,
    channel: Arc<Channel>,
    /// epoll_pwait2(2) is there (Linux 5.11): time-outs are not rounded.
    fine: bool,
    enters: u64,
    totals: Totals,
    #[cfg(test)]
    pub(crate) trace: Vec<(Traced, u16, usize)>,
}

/// A socket.
struct Row {
    socket: Socket,
    /// When its last packet came.
    last: Option<Instant>,
    /// It is to go to another worker.
    leaves: bool,
    /// Its peer has refused what we sent: it is not connected to it again.
    refused: bool,
}

impl Row {
    fn new(socket: Socket) -> Row {
        Row {
            socket,
            last: None,
            leaves: false,
            refused: false,
        }
    }
}

impl Epoll {
    /// `room`: sockets at the most.
    pub(crate) fn new(sockets: Vec<OwnedFd>, room: usize, channel: Arc<Channel>) -> Result<Epoll, StartError> {
        let system = |what: &'static str| move |source: io::Error| StartError::System { what, source };
        let memory = Memory::new(usize::from(SPARES)).map_err(system("mmap of the packet buffers"))?;
        // SAFETY: no pointer is passed.
        let poll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if poll < 0 {
            return Err(system("epoll_create1")(io::Error::last_os_error()));
        }
        let mut rows = Vec::with_capacity(room);
        for fd in sockets {
            let socket = Socket::new(fd).map_err(system("getsockopt(SO_DOMAIN)"))?;
            rows.push(Some(Row::new(socket)));
        }
        let epoll = Epoll {
            // SAFETY: the descriptor was made just now and nobody else has it.
            poll: unsafe { OwnedFd::from_raw_fd(poll) },
            ready: Box::new([libc::epoll_event { events: 0, u64: 0 }; READY]),
            at: 0,
            count: 0,
            sockets: rows,
            memory,
            // SAFETY: each id is taken once, and the kernel uses none beyond a call.
            free: (0..SPARES).rev().map(|id| unsafe { Buffer::take(id) }).collect(),
            channel,
            fine: true,
            enters: 0,
            totals: Totals::default(),
            #[cfg(test)]
            trace: Vec::new(),
        };
        let wake = std::iter::once((epoll.channel.wake_fd().as_raw_fd(), WAKE));
        let sockets = epoll.sockets.iter().flatten().zip(0..);
        for (fd, data) in sockets.map(|(row, at)| (row.socket.fd(), at)).chain(wake) {
            epoll
                .control(libc::EPOLL_CTL_ADD, fd, data)
                .map_err(system("epoll_ctl"))?;
        }
        Ok(epoll)
    }

    /// Level-triggered: what is not read is told again, behind what else is ready.
    fn control(&self, operation: libc::c_int, fd: RawFd, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: data,
        };
        // SAFETY: `event` is readable for the length of the call.
        let result = unsafe { libc::epoll_ctl(self.poll.as_raw_fd(), operation, fd, &raw mut event) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn enters(&self) -> u64 {
        self.enters
    }

    /// Buffers that are free: for packets that come, and for those that the core makes.
    pub(crate) fn buffers_free(&self) -> usize {
        self.free.len()
    }

    /// Waits until a socket is ready, `timeout` is over or the worker is woken.
    pub(crate) fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.at < self.count {
            return Ok(());
        }
        (self.at, self.count) = (0, 0);
        let result = match self.wait(timeout) {
            // Too old a kernel, or a filter of system calls that does not know it.
            Err(error) if self.fine && matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                self.fine = false;
                self.wait(timeout)
            }
            result => result,
        };
        match result {
            Ok(count) => self.count = count,
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.enters += 1;
        let (poll, ready, room) = (self.poll.as_raw_fd(), self.ready.as_mut_ptr(), READY as libc::c_int);
        let count = if self.fine {
            let time = timeout.map(|timeout| libc::timespec {
                tv_sec: timeout.as_secs() as libc::time_t,
                tv_nsec: timeout.subsec_nanos().into(),
            });
            let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            let no_mask = std::ptr::null::<libc::sigset_t>();
            // SAFETY: `ready` is writable for `room` events and `time` readable, or null, for the length of the call.
            // (The kernel's `timespec` is this one on 64 bits, and the call knows no other.)
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, poll, ready, room, time, no_mask, 8usize) as libc::c_int }
        } else {
            // Rounded up: a frame is late by less than 1 ms; rounded down, the core would be busy for as long.
            let milliseconds = timeout.map_or(-1, |timeout| {
                let rounded = timeout.as_nanos().div_ceil(1_000_000);
                libc::c_int::try_from(rounded).unwrap_or(libc::c_int::MAX)
            });
            // SAFETY: as above.
            unsafe { libc::epoll_wait(poll, ready, room, milliseconds) }
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// The next thing that has come: one read of the next socket that is ready.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Completion> {
        let event = self.ready[self.at..self.count].first()?;
        let data = event.u64;
        self.at += 1;
        self.totals.completions += 1;
        Some(match u16::try_from(data) {
            Ok(socket) => self.read(now, socket),
            Err(_) => {
                self.enters += 1;
                self.channel.woken();
                Completion::Done
            }
        })
    }

    fn read(&mut self, now: Instant, socket: u16) -> Completion {
        let Some(row) = self.sockets[usize::from(socket)].as_mut().filter(|row| !row.leaves) else {
            return Completion::Done;
        };
        let Some(buffer) = self.free.pop() else {
            // None of ours is on its way: somebody keeps them. The packet waits in its socket.
            self.totals.receive_rearms += 1;
            return Completion::Done;
        };
        let place = self.memory.packet_mut(&buffer);
        let known = &mut row.socket;
        self.enters += 1;
        let received = if known.is_stamped() {
            socket::receive_stamped(known.fd(), place)
        } else if known.is_plain() {
            socket::receive_plain(known.fd(), place).map(|len| (known.peer(), len, Beside::default()))
        } else {
            socket::receive(known.fd(), place).map(|(from, len)| (from, len, Beside::default()))
        };
        let (from, len, beside) = match received {
            Ok(received) => received,
            Err(error) => {
                self.free.push(buffer);
                // Somebody else may have taken what it was ready for: a check sum that was wrong.
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.totals.receive_errors += 1;
                    if known.peer().is_some() {
                        known.connect(None);
                        row.refused = true;
                    }
                }
                return Completion::Done;
            }
        };
        if known.may_be_plain() && !known.is_plain() {
            self.enters += 1;
            known.look();
        }
        let mut lost = 0;
        if row.last.replace(now).is_some_and(|last| now - last < QUEUED_WITHIN) {
            self.enters += 1;
            lost = known.ask_drops();
            self.totals.kernel_drops += u64::from(lost);
        }
        let Some(from) = from.filter(|_| len <= PACKET_BYTES) else {
            self.totals.truncated += u64::from(len > PACKET_BYTES);
            self.recycle(buffer);
            return Completion::Done;
        };
        #[cfg(test)]
        {
            let place = self.memory.packet_mut(&buffer).as_ptr() as usize;
            self.trace.push((Traced::Received, buffer.id(), place));
        }
        Completion::Received(Received {
            socket,
            from,
            len,
            buffer,
            lost,
            arrival: beside.arrival,
        })
    }

    /// Whether anybody may send to it, and that could be bounded.
    pub(crate) fn is_open(&self, socket: u16) -> bool {
        let row = self.sockets.get(usize::from(socket)).and_then(Option::as_ref);
        row.is_some_and(|row| row.socket.is_connectable() && row.socket.peer().is_none() && !row.refused)
    }

    /// Bounds who may send to it, or lets in everybody again.
    pub(crate) fn follow(&mut self, socket: u16, peer: Option<SocketAddr>) {
        let Some(Some(row)) = self.sockets.get_mut(usize::from(socket)) else {
            return;
        };
        row.refused &= peer.is_some();
        if row.socket.is_connectable() && row.socket.peer() != peer && !row.refused {
            self.enters += 1;
            row.refused = !row.socket.connect(peer);
        }
    }

    #[cfg(test)]
    pub(crate) fn peer(&self, socket: u16) -> Option<SocketAddr> {
        self.sockets[usize::from(socket)].as_ref()?.socket.peer()
    }

    /// A socket that is to go is not read any more; to be called in each turn until it is `true`.
    pub(crate) fn quiesce(&mut self, socket: u16) -> bool {
        let Some(row) = self.sockets[usize::from(socket)].as_mut() else {
            return true;
        };
        if !std::mem::replace(&mut row.leaves, true) {
            let fd = row.socket.fd();
            // It is watched, so that nothing can be wrong with it.
            let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0);
        }
        self.at >= self.count
    }

    /// It stays.
    pub(crate) fn resume(&mut self, socket: u16) {
        if let Some(row) = self.sockets[usize::from(socket)].as_mut()
            && std::mem::take(&mut row.leaves)
        {
            let fd = row.socket.fd();
            self.watch(socket, fd);
        }
    }

    /// It goes, once it is quiet.
    pub(crate) fn release(&mut self, socket: u16) -> Option<Socket> {
        let row = self.sockets[usize::from(socket)].take_if(|row| row.leaves)?;
        Some(row.socket)
    }

    /// A socket comes from another worker.
    pub(crate) fn adopt(&mut self, socket: u16, it: Socket) {
        let (place, fd) = (usize::from(socket), it.fd());
        while self.sockets.len() <= place {
            self.sockets.push(None);
        }
        self.sockets[place] = Some(Row::new(it));
        self.watch(socket, fd);
    }

    fn watch(&mut self, socket: u16, fd: RawFd) {
        if let Err(error) = self.control(libc::EPOLL_CTL_ADD, fd, socket.into()) {
            // Only the kernel's memory, or its limit of watches, can be at an end.
            self.totals.receive_errors += 1;
            tracing::error!(%error, "a socket cannot be watched: fs.epoll.max_user_watches");
        }
    }

    /// Packets that the kernel dropped at this socket and has told with none that came: one system call.
    pub(crate) fn ask_drops(&mut self, socket: u16) -> u32 {
        let found = self.sockets.get_mut(usize::from(socket));
        let lost = found.and_then(Option::as_mut).map_or(0, |row| row.socket.ask_drops());
        self.totals.kernel_drops += u64::from(lost);
        lost
    }

    /// The packet's place in the buffer: [`PACKET_BYTES`] long.
    pub(crate) fn packet_mut(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.memory.packet_mut(buffer)
    }

    /// A buffer for a packet of our own.
    pub(crate) fn take_spare(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    /// Gives a buffer back that is not sent.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// Sends the buffer's first `len` bytes, after which it is free again. `false` where the kernel refused; that is counted.
    pub(crate) fn send(&mut self, socket: u16, to: SocketAddr, buffer: Buffer, len: usize) -> bool {
        let Some(Some(Row { socket: from, .. })) = self.sockets.get(usize::from(socket)) else {
            debug_assert!(false, "a send from a socket that is not ours");
            self.recycle(buffer);
            self.totals.send_errors += 1;
            return false;
        };
        let place = self.memory.packet_mut(&buffer);
        #[cfg(test)]
        self.trace.push((Traced::Sent, buffer.id(), place.as_ptr() as usize));
        self.enters += 1;
        let packet = &place[..len.min(PACKET_BYTES)];
        let sent = match from.is_to_peer(to) {
            true => socket::send_plain(from.fd(), packet),
            false => socket::send(from.fd(), from.as_it_takes(to), packet),
        };
        if sent {
            self.totals.sent += 1;
        } else {
            self.totals.send_errors += 1;
        }
        self.recycle(buffer);
        sent
    }
}
