//! The ring of one worker: a multishot receive for each socket into one ring of provided buffers, and sends of the same
//! buffers.
//!
//! A packet costs no system call of its own: all that is queued goes to the kernel, and all that has come is fetched,
//! with one io_uring_enter(2) for each turn of the worker's loop.

mod buffers;
mod op;
pub(crate) mod probe;
mod ring;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{cqueue, opcode};

use crate::buffers::Buffer;
use crate::channel::Channel;
use crate::config::{StartError, TaskRun};
#[cfg(test)]
use crate::net::Traced;
use crate::net::{Completion, QUEUED_WITHIN, Received, SPARES, Totals};
use crate::socket::Socket;
use buffers::{Buffers, Packet};
use op::Op;
use ring::Ring;

/// Requests that can be queued before they are handed over: more than one turn of the loop makes.
const SUBMISSIONS: u32 = 1024;

/// Buffers that should be free for each receive that is armed anew: the kernel takes up to 32 packets of a socket before it looks at the
/// next one.
const BUFFERS_EACH: u16 = 16;

/// Our only group of provided buffers.
const GROUP: u16 = 0;

/// While sends are on their way, their completions are looked at no later than this, even where nothing is received.
const SENDS_LOOKED_AT: Duration = Duration::from_millis(5);

/// How long a receive rests that ended with an error other than "no buffer", or has taken more than its share; at the most.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Packets that one socket may take in each [`SHARE_WITHIN`]: 30 times what a leg is sent. More wait in the socket, and where that
/// is full the kernel drops them.
const SHARE: u16 = 64;

const SHARE_WITHIN: Duration = Duration::from_millis(20);

/// So often at the most it is looked whether a socket that was connected is empty: one that is flooded never is.
const LOOKS_MAX: u8 = 4;

/// How long cancelled requests may take to end: far more than they need.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A socket and what it has taken.
struct Row {
    socket: Socket,
    /// When its last packet came, where that is not told with what was dropped.
    last: Option<Instant>,
    /// Packets since `since`.
    taken: u16,
    since: Instant,
    /// It has had its share: its receive is being cancelled, or rests.
    rests: bool,
    /// Its receive that is in the kernel's hands.
    armed: Option<Armed>,
    /// It is to go to another worker: its receive ends, and is not armed again.
    leaves: bool,
    /// The end of its receive was asked for.
    cancelled: bool,
    /// The ring has it under its index.
    registered: bool,
    /// Who is to be the only one who can send to it.
    peer: Option<SocketAddr>,
    /// Its peer has refused what we sent: it is not connected to it again.
    refused: bool,
    /// How often it was looked whether nothing is left of before it was connected.
    looks: u8,
}

/// A multishot receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    /// With the sender of each packet and what else the kernel says of it.
    WithSender,
    /// The packet and nothing else: only the peer can send.
    Plain,
}

impl Row {
    fn new(socket: Socket) -> Row {
        Row {
            peer: socket.peer(),
            refused: false,
            looks: 0,
            socket,
            last: None,
            taken: 0,
            since: crate::clock::now(),
            rests: false,
            armed: None,
            leaves: false,
            cancelled: false,
            registered: false,
        }
    }
}

/// The ring of one worker with its sockets and buffers.
pub(crate) struct Uring {
    ring: Ring,
    buffers: Buffers,
    /// By their index; a worker gives and takes them.
    sockets: Vec<Option<Row>>,
    channel: Arc<Channel>,
    wake_armed: bool,
    /// Sockets whose receive has ended, to be armed in this order as buffers are free. Each is in one list at most.
    rearm: VecDeque<u16>,
    /// The same after an error: not before `retry_at`.
    retry: Vec<u16>,
    retry_at: Option<Instant>,
    /// Receives in the kernel's hands.
    receives: usize,
    /// Sends in the kernel's hands.
    sends: usize,
    /// Sends queued since the kernel was entered last.
    queued: usize,
    closing: bool,
    totals: Totals,
    /// For tests: buffers in the order in which they were received and sent, with the packet's address.
    #[cfg(test)]
    pub(crate) trace: Vec<(Traced, u16, usize)>,
}

impl Uring {
    /// Makes the ring, in the thread that will use it, with room for this many sockets.
    pub(crate) fn new(sockets: usize, entries: u16, mode: TaskRun, channel: Arc<Channel>) -> Result<Uring, StartError> {
        let system = |what: &'static str| move |source: io::Error| StartError::System { what, source };
        // Each completion stands for a buffer (received, or sent), the end of a socket's receive, the wake-up or the
        // cancellation: with room for all of them at once the queue cannot overflow.
        let completions = usize::from(entries) + usize::from(SPARES) + sockets + 2;
        let completions = (completions.next_power_of_two() as u32).max(2 * SUBMISSIONS);
        let ring = Ring::new(SUBMISSIONS, completions, mode)?;
        let buffers = Buffers::new(entries, SPARES).map_err(system("mmap of the packet buffers"))?;
        // SAFETY: the ring of buffers is `entries` long, aligned to a page, and lives until `Drop` below has seen the
        // last request end.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(buffers.ring_address(), entries, GROUP, 0)
        }
        .map_err(|error| probe::explain_buffers(error, usize::from(entries) * 16))?;
        // Where that is refused they are asked for by their descriptors.
        let _ = ring.submitter().register_files_sparse(sockets as u32);
        Ok(Uring {
            ring,
            buffers,
            sockets: Vec::with_capacity(sockets),
            channel,
            wake_armed: false,
            rearm: VecDeque::with_capacity(sockets),
            retry: Vec::with_capacity(sockets),
            retry_at: None,
            receives: 0,
            sends: 0,
            queued: 0,
            closing: false,
            totals: Totals::default(),
            #[cfg(test)]
            trace: Vec::new(),
        })
    }

    /// Takes the sockets over and arms the receive of each.
    pub(crate) fn open(&mut self, sockets: Vec<OwnedFd>) -> Result<(), StartError> {
        let system = |what: &'static str| move |source: io::Error| StartError::System { what, source };
        for fd in sockets {
            let socket = Socket::new(fd).map_err(system("getsockopt(SO_DOMAIN)"))?;
            self.sockets.push(Some(Row::new(socket)));
            self.register(self.sockets.len() as u16 - 1);
        }
        self.rearm.extend(0..self.sockets.len() as u16);
        self.arm_receives(usize::MAX);
        self.arm_wake();
        self.ring
            .enter(1, Some(Duration::ZERO))
            .map_err(system("io_uring_enter"))
    }

    /// `Defer` or `Coop`.
    pub(crate) fn mode(&self) -> TaskRun {
        self.ring.mode()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn enters(&self) -> u64 {
        self.ring.enters()
    }

    pub(crate) fn overflows(&self) -> u32 {
        self.ring.overflows()
    }

    /// Receive buffers that the kernel can take now.
    pub(crate) fn buffers_free(&self) -> u16 {
        self.buffers.free()
    }

    /// Transmit buffers that can be taken now.
    pub(crate) fn spares_free(&self) -> usize {
        self.buffers.spares()
    }

    /// Hands over what is queued and waits until something comes, `timeout` is over or the worker is woken.
    pub(crate) fn enter(&mut self, now: Instant, timeout: Option<Duration>) -> io::Result<()> {
        self.buffers.publish();
        let retry = self.retry_at.map(|at| at.saturating_duration_since(now));
        if retry == Some(Duration::ZERO) {
            self.rearm.extend(self.retry.drain(..));
            self.retry_at = None;
        }
        // One that has waited may take many buffers at once, and who then finds none has to be armed again.
        self.arm_receives(usize::from(self.buffers.in_ring() / BUFFERS_EACH).max(1));
        if !self.wake_armed {
            self.arm_wake();
        }
        let mut timeout = earlier(timeout, retry.filter(|rest| !rest.is_zero()));
        // The kernel sends while it takes the requests over, so their completions are no reason to come back at once,
        // unless buffers are short: the receives would starve.
        let short = self.buffers.free() < self.buffers.entries() / 2 || self.buffers.spares() == 0;
        let want = match self.ring.ready() {
            0 if self.queued > 0 && !short => {
                timeout = earlier(timeout, Some(SENDS_LOOKED_AT));
                self.queued + 1
            }
            _ => 1,
        };
        self.queued = 0;
        self.ring.enter(want, timeout)
    }

    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.sends == 0
            && self.rearm.is_empty()
            && self.retry.is_empty()
            && self.receives == self.sockets.iter().flatten().count()
    }

    /// The next completion.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Completion> {
        let completion = self.ring.next()?;
        self.totals.completions += 1;
        let result = completion.result();
        Some(match Op::unpack(completion.user_data()) {
            Op::Receive { socket } => self.receive_done(now, socket, result, completion.flags()),
            Op::Send { socket, buffer } => {
                self.sends -= 1;
                // SAFETY: the completion of this buffer's send; a send has exactly one.
                let buffer = unsafe { self.buffers.sent(buffer) };
                self.recycle(buffer);
                if result < 0 {
                    self.totals.send_errors += 1;
                    Completion::SendFailed { socket }
                } else {
                    self.totals.sent += 1;
                    Completion::Done
                }
            }
            Op::Wake => {
                self.wake_armed = false;
                Completion::Done
            }
            Op::Cancel => Completion::Done,
        })
    }

    fn receive_done(&mut self, now: Instant, socket: u16, result: i32, flags: u32) -> Completion {
        let row = self.sockets[usize::from(socket)].as_mut();
        let plain = row.is_some_and(|row| row.armed == Some(Armed::Plain));
        if !cqueue::more(flags) {
            self.receives -= 1;
            let row = self.sockets[usize::from(socket)].as_mut();
            let (leaves, rests, cancelled, peer) = row.map_or((true, false, false, None), |row| {
                row.armed = None;
                let cancelled = std::mem::take(&mut row.cancelled);
                (row.leaves, row.rests, cancelled, row.socket.peer())
            });
            if leaves {
                // Nobody arms it again.
            } else if rests {
                self.totals.receive_rests += 1;
                self.retry.push(socket);
                self.retry_at.get_or_insert(now + RETRY_AFTER);
            } else if result >= 0 || result == -libc::ENOBUFS {
                if result == -libc::ENOBUFS {
                    self.buffers.ran_dry();
                }
                self.totals.receive_rearms += 1;
                self.rearm.push_back(socket);
            } else if result == -libc::ECANCELED && cancelled {
                // For another one.
                self.rearm.push_back(socket);
            } else if peer.is_some() && !self.closing {
                // What ICMP says of the peer. Nobody is to be lost to that: its socket is as if it had never been connected.
                self.totals.receive_errors += 1;
                self.rearm.push_back(socket);
                if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
                    (row.peer, row.refused) = (None, true);
                }
            } else if !self.closing {
                self.totals.receive_errors += 1;
                self.retry.push(socket);
                self.retry_at.get_or_insert(now + RETRY_AFTER);
            }
        }
        let Some(id) = cqueue::buffer_select(flags) else {
            return Completion::Done;
        };
        // SAFETY: the completion hands this buffer out of the ring.
        let buffer = unsafe { self.buffers.received(id, plain) };
        let peer = self.sockets[usize::from(socket)]
            .as_ref()
            .and_then(|row| row.socket.peer());
        let written = usize::try_from(result).ok();
        let packet = written.and_then(|written| match plain {
            true => Some(Packet::plain(peer?, written)),
            false => self.buffers.parse(&buffer, written),
        });
        let Some(packet) = packet else {
            self.recycle(buffer);
            return Completion::Done;
        };
        if packet.truncated {
            self.totals.truncated += 1;
            self.recycle(buffer);
            return Completion::Done;
        }
        let Some(row) = self.sockets[usize::from(socket)].as_mut() else {
            debug_assert!(false, "a packet of a socket that has gone");
            self.recycle(buffer);
            return Completion::Done;
        };
        let mut lost = packet.beside.drops.map_or(0, |drops| row.socket.newly_lost(drops));
        let mut again = false;
        if plain {
            // The kernel tells of drops only with what else it says of a packet.
            if row.last.replace(now).is_some_and(|last| now - last < QUEUED_WITHIN) {
                lost = row.socket.ask_drops();
            }
        } else if row.armed.is_some() && row.socket.may_be_plain() && !row.cancelled && row.looks < LOOKS_MAX {
            row.looks += 1;
            again = true;
        }
        self.totals.kernel_drops += u64::from(lost);
        if now - row.since > SHARE_WITHIN {
            (row.since, row.taken) = (now, 0);
        }
        row.taken = row.taken.saturating_add(1);
        if row.taken >= SHARE && !row.rests && !row.leaves {
            // It would take the buffers, and the worker's time, of the others.
            let rests = row.cancelled || self.cancel(socket);
            if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
                row.rests = rests;
            }
        } else if again {
            self.cancel(socket);
        }
        #[cfg(test)]
        {
            let place = self.buffers.packet_mut(&buffer).as_ptr() as usize;
            self.trace.push((Traced::Received, buffer.id(), place));
        }
        Completion::Received(Received {
            socket,
            from: packet.from,
            len: packet.len,
            buffer,
            lost,
            arrival: packet.beside.arrival,
        })
    }

    /// The kernel then finds it by its index, and need not count for each packet who has it open: 3 % of its cost.
    fn register(&mut self, socket: u16) {
        if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
            let place = u32::from(socket);
            let registered = self.ring.submitter().register_files_update(place, &[row.socket.fd()]);
            row.registered = matches!(registered, Ok(1));
        }
    }

    /// Asks for the end of a socket's receive. `false` where that was impossible.
    fn cancel(&mut self, socket: u16) -> bool {
        let receive = CancelBuilder::user_data(Op::Receive { socket }.pack());
        let entry = opcode::AsyncCancel2::new(receive).build().user_data(Op::Cancel.pack());
        // SAFETY: the entry points to nothing.
        let asked = unsafe { self.ring.push(&entry) };
        if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
            row.cancelled = asked;
        }
        asked
    }

    /// Whether anybody may send to it, and that could be bounded.
    pub(crate) fn is_open(&self, socket: u16) -> bool {
        let row = self.sockets.get(usize::from(socket)).and_then(Option::as_ref);
        row.is_some_and(|row| row.socket.is_connectable() && row.peer.is_none() && !row.refused)
    }

    /// Bounds who may send to it, or lets in everybody again.
    ///
    /// A receive without senders ends before anybody else gets in, and begins once nothing is left that another may have sent: whose each packet is
    /// stays certain.
    pub(crate) fn follow(&mut self, socket: u16, peer: Option<SocketAddr>) {
        let Some(Some(row)) = self.sockets.get_mut(usize::from(socket)) else {
            return;
        };
        row.refused &= peer.is_some();
        if !row.socket.is_connectable() || row.peer == peer || row.refused {
            return;
        }
        (row.peer, row.looks) = (peer, 0);
        if row.armed != Some(Armed::Plain) {
            self.connect(socket);
        }
        let row = self.sockets[usize::from(socket)].as_ref();
        let ends = row.is_some_and(|row| match row.armed {
            Some(Armed::Plain) => !row.cancelled,
            Some(Armed::WithSender) => !row.cancelled && row.socket.may_be_plain(),
            None => false,
        });
        if ends {
            self.cancel(socket);
        }
    }

    /// Connects it to whom it is to be connected to.
    fn connect(&mut self, socket: u16) {
        let Some(Some(row)) = self.sockets.get_mut(usize::from(socket)) else {
            return;
        };
        if row.peer == row.socket.peer() {
            return;
        }
        if row.socket.peer().is_some() {
            // What was queued for the peer has no address.
            self.ring.submit();
        }
        if !row.socket.connect(row.peer) {
            (row.peer, row.refused) = (None, true);
        }
    }

    #[cfg(test)]
    pub(crate) fn peer(&self, socket: u16) -> Option<SocketAddr> {
        self.sockets[usize::from(socket)].as_ref()?.socket.peer()
    }

    /// Ends the receive of a socket that is to go; to be called in each turn until it is `true`: then all that it brought was handed out.
    pub(crate) fn quiesce(&mut self, socket: u16) -> bool {
        let Some(row) = self.sockets[usize::from(socket)].as_mut() else {
            return true;
        };
        if !row.leaves {
            row.leaves = true;
            self.rearm.retain(|other| *other != socket);
            self.retry.retain(|other| *other != socket);
        }
        let (armed, cancelled) = (row.armed.is_some(), row.cancelled);
        if armed && !cancelled {
            self.cancel(socket);
        }
        !armed
    }

    /// It stays.
    pub(crate) fn resume(&mut self, socket: u16) {
        if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
            row.leaves = false;
            if row.armed.is_none() {
                self.rearm.push_back(socket);
            } else if row.cancelled {
                // Its end is on the way: then it is armed as after a rest.
                row.rests = true;
            }
        }
    }

    /// It goes, once it is quiet.
    pub(crate) fn release(&mut self, socket: u16) -> Option<Socket> {
        let row = self.sockets[usize::from(socket)].take_if(|row| row.leaves && row.armed.is_none())?;
        if row.registered {
            // Or the ring would keep it open.
            let _ = self.ring.submitter().register_files_update(u32::from(socket), &[-1]);
        }
        Some(row.socket)
    }

    /// A socket comes from another worker; its receive is armed with the next entry into the kernel.
    pub(crate) fn adopt(&mut self, socket: u16, it: Socket) {
        let place = usize::from(socket);
        while self.sockets.len() <= place {
            self.sockets.push(None);
        }
        self.sockets[place] = Some(Row::new(it));
        self.register(socket);
        self.rearm.push_back(socket);
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
        self.buffers.packet_mut(buffer)
    }

    /// A buffer for a packet of our own.
    pub(crate) fn take_spare(&mut self) -> Option<Buffer> {
        self.buffers.take_spare()
    }

    /// Gives a buffer back that is not sent.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer);
    }

    /// Queues a send of the buffer's first `len` bytes; its completion makes the buffer free again.
    /// `false` where that was impossible; the buffer is free then, and the failure is counted.
    pub(crate) fn send(&mut self, socket: u16, to: SocketAddr, buffer: Buffer, len: usize) -> bool {
        let Some(Some(from)) = self.sockets.get(usize::from(socket)) else {
            debug_assert!(false, "a send from a socket that is not ours");
            self.recycle(buffer);
            self.totals.send_errors += 1;
            return false;
        };
        let (fd, registered) = (from.socket.fd(), from.registered);
        let to = (!from.socket.is_to_peer(to)).then(|| from.socket.as_it_takes(to));
        let (address, address_len) = match to {
            Some(to) => self.buffers.address(&buffer, to),
            None => (std::ptr::null(), 0),
        };
        let packet = &mut self.buffers.packet_mut(&buffer)[..len];
        let (packet, len) = (packet.as_ptr(), packet.len() as u32);
        #[cfg(test)]
        self.trace.push((Traced::Sent, buffer.id(), packet as usize));
        let op = Op::Send {
            socket,
            buffer: buffer.id(),
        };
        // DONTWAIT: where the socket's queue is full the send fails at once; it never goes to a thread of the kernel.
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let send = match registered {
            true => opcode::Send::new(Fixed(u32::from(socket)), packet, len),
            false => opcode::Send::new(Fd(fd), packet, len),
        };
        let entry = send.flags(flags).dest_addr(address).dest_addr_len(address_len);
        let entry = entry.build().user_data(op.pack());
        // SAFETY: address and packet lie in regions that live until the last request has ended; `buffer` ends
        // here, so that nobody writes to them before the completion makes a new one.
        if unsafe { self.ring.push(&entry) } {
            self.sends += 1;
            self.queued += 1;
            return true;
        }
        self.recycle(buffer);
        self.totals.send_errors += 1;
        false
    }

    /// Arms the receives that wait for it, so many at the most.
    fn arm_receives(&mut self, most: usize) {
        for _ in 0..most {
            // Without a free buffer a receive would end at once, and again and again.
            if self.buffers.in_ring() == 0 {
                return;
            }
            let Some(socket) = self.rearm.pop_front() else { return };
            self.connect(socket);
            let Some(row) = self.sockets[usize::from(socket)].as_mut() else {
                continue;
            };
            if std::mem::take(&mut row.rests) {
                row.taken = 0;
            }
            row.socket.look();
            let armed = match row.socket.is_plain() {
                true => Armed::Plain,
                false => Armed::WithSender,
            };
            row.armed = Some(armed);
            let message = self.buffers.receive_message();
            let (place, fd) = (Fixed(u32::from(socket)), Fd(row.socket.fd()));
            let entry = match (armed, row.registered) {
                (Armed::WithSender, true) => opcode::RecvMsgMulti::new(place, message, GROUP).build(),
                (Armed::WithSender, false) => opcode::RecvMsgMulti::new(fd, message, GROUP).build(),
                (Armed::Plain, true) => opcode::RecvMulti::new(place, GROUP).build(),
                (Armed::Plain, false) => opcode::RecvMulti::new(fd, GROUP).build(),
            };
            let entry = entry.user_data(Op::Receive { socket }.pack());
            // SAFETY: the message header and the buffers of the group live until the last request has ended, and the
            // kernel writes only to buffers that lie in the ring: those have no `Buffer`.
            if !unsafe { self.ring.push(&entry) } {
                self.rearm.push_front(socket);
                if let Some(row) = self.sockets[usize::from(socket)].as_mut() {
                    row.armed = None;
                }
                return;
            }
            self.receives += 1;
        }
    }

    fn arm_wake(&mut self) {
        let fd = Fd(self.channel.wake_fd().as_raw_fd());
        let entry = opcode::Read::new(fd, self.buffers.wake_count(), 8)
            .build()
            .user_data(Op::Wake.pack());
        // SAFETY: the 8 bytes live until the last request has ended, and nobody else uses them.
        self.wake_armed = unsafe { self.ring.push(&entry) };
    }

    /// Cancels everything and waits for the end of it. `false` where the kernel still holds requests.
    fn close(&mut self) -> bool {
        self.closing = true;
        let sockets = self.sockets.len() as u16;
        let start = crate::clock::now();
        loop {
            // Each by what it was asked with: the kernel finds that at once. Cancelled together, by what they have in common, it looks for
            // the next one behind all that it has found before: 2 s for 5,600 sockets.
            let receives = (0..sockets).map(|socket| Op::Receive { socket });
            for op in receives.chain([Op::Wake]) {
                let entry = opcode::AsyncCancel::new(op.pack()).build().user_data(Op::Cancel.pack());
                // SAFETY: the entry points to nothing.
                unsafe { self.ring.push(&entry) };
                self.drain();
            }
            // Sends are under way for no longer than the kernel takes them over, and need no cancelling.
            if self.ring.enter(1, Some(Duration::from_millis(50))).is_err() {
                return false;
            }
            self.drain();
            if self.receives == 0 && self.sends == 0 && !self.wake_armed {
                return true;
            }
            if crate::clock::now().duration_since(start) > CLOSE_WITHIN {
                return false;
            }
        }
    }

    /// Walks the completions, for their buffers.
    fn drain(&mut self) {
        let now = crate::clock::now();
        while let Some(completion) = self.next(now) {
            if let Completion::Received(packet) = completion {
                self.recycle(packet.buffer);
            }
        }
    }
}

impl Drop for Uring {
    /// No memory goes while the kernel may still use it, and no port stays bound behind our back.
    fn drop(&mut self) {
        let ended = self.close();
        // The ring would have the sockets, and with them their ports, until the kernel clears it away some time later.
        let _ = self.ring.submitter().unregister_files();
        if !ended {
            // The memory must outlive the requests, whenever they end: it is lost on purpose.
            tracing::error!("the kernel did not end all requests of a ring; its buffers stay allocated");
            match Buffers::new(1, 0) {
                Ok(empty) => std::mem::forget(std::mem::replace(&mut self.buffers, empty)),
                Err(_) => std::process::abort(),
            }
        }
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
