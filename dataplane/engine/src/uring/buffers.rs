//! The packet buffers of a worker: most belong to a ring of which the kernel takes one for each received packet,
//! a few are for packets that the core makes itself. A packet is sent from the buffer that it was received in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, RecvMsgOut};

use crate::buffers::{Buffer, CONTROL_BYTES, Memory, NAME_BYTES, PACKET_BYTES, Region};
use crate::config::BUFFER_BYTES;
use crate::socket;

/// What the kernel reads beside packets. It stays where it is for the worker's life.
#[repr(C)]
struct Beside {
    /// What every receive with a sender is armed with.
    receive: libc::msghdr,
    /// Nobody but the kernel uses it: what the wake-up's eventfd is read into.
    wake: u64,
}

/// What the kernel reports about a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Its length, bytes.
    pub(crate) len: usize,
    pub(crate) beside: socket::Beside,
    /// It was longer than the buffer.
    pub(crate) truncated: bool,
}

impl Packet {
    /// One of which only its length is told.
    pub(crate) fn plain(from: SocketAddr, len: usize) -> Packet {
        Packet {
            from,
            len,
            beside: socket::Beside::default(),
            truncated: len > PACKET_BYTES,
        }
    }
}

/// Buffers that the kernel is shown at first, and at the least.
const SHOWN_MIN: u16 = 256;

/// After so many turns it is looked whether fewer would do.
const SHOWN_FOR: u32 = 4096;

/// All buffers of a worker.
///
/// The kernel takes them in the order in which it was given them, so all that it is shown go through the processor's cache in turn. It is
/// shown only as many as it needs, and those that were used last: with all 4,096 of them (8 MiB) each packet cost 4 to 6 % more.
pub(crate) struct Buffers {
    /// `entries + spares` buffers.
    memory: Memory,
    /// The ring that the kernel takes buffers from: `entries` entries.
    ring: Region,
    /// A [`Beside`], then for each buffer the address that it is sent to.
    beside: Region,
    entries: u16,
    tail: u16,
    /// Buffers in the ring.
    free: u16,
    /// As many as there should be in the ring.
    shown: u16,
    /// The fewest that were left in the ring at the end of a turn, of the last so many turns.
    left: u16,
    turns: u32,
    /// Receive buffers that are free and not in the ring: the last used on top.
    stack: Vec<Buffer>,
    /// Transmit buffers in our hands.
    spare: Vec<Buffer>,
}

impl Buffers {
    /// Takes all memory. `entries` (a power of two) are to receive into, `spares` for packets of our own.
    pub(crate) fn new(entries: u16, spares: u16) -> io::Result<Buffers> {
        let total = usize::from(entries) + usize::from(spares);
        debug_assert!(entries.is_power_of_two() && total <= usize::from(u16::MAX));
        let mut buffers = Buffers {
            memory: Memory::new(total)?,
            ring: Region::new(usize::from(entries) * size_of::<BufRingEntry>())?,
            beside: Region::new(size_of::<Beside>() + total * size_of::<libc::sockaddr_in6>())?,
            entries,
            tail: 0,
            free: 0,
            shown: entries.min(SHOWN_MIN),
            left: entries,
            turns: 0,
            // SAFETY: each id is taken once, before the kernel knows of any.
            stack: (0..entries).rev().map(|id| unsafe { Buffer::take(id) }).collect(),
            // SAFETY: each id is taken once, before the kernel knows of any.
            spare: (entries..total as u16)
                .rev()
                .map(|id| unsafe { Buffer::take(id) })
                .collect(),
        };
        let beside = buffers.beside.start().as_ptr().cast::<Beside>();
        // SAFETY: it is our own zeroed region, which begins with one and is aligned to a page; nobody else has it yet. All bits zero is a
        // valid `msghdr`.
        unsafe {
            (*beside).receive.msg_namelen = NAME_BYTES as libc::socklen_t;
            (*beside).receive.msg_controllen = CONTROL_BYTES as _;
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Where the ring of free buffers begins: to be registered.
    pub(crate) fn ring_address(&self) -> u64 {
        self.ring.start().as_ptr() as u64
    }

    /// How many buffers the ring has.
    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// Receive buffers that are neither received into nor being sent.
    pub(crate) fn free(&self) -> u16 {
        self.free + self.stack.len() as u16
    }

    /// Of these, those that the kernel can take now.
    pub(crate) fn in_ring(&self) -> u16 {
        self.free
    }

    /// The kernel found none: it was shown too few.
    pub(crate) fn ran_dry(&mut self) {
        self.shown = self.shown.saturating_mul(2).min(self.entries);
        (self.left, self.turns) = (self.entries, 0);
    }

    /// Transmit buffers that can be taken now.
    pub(crate) fn spares(&self) -> usize {
        self.spare.len()
    }

    /// The message header that every multishot receive with a sender is armed with.
    pub(crate) fn receive_message(&self) -> *const libc::msghdr {
        let beside = self.beside.start().as_ptr().cast::<Beside>();
        // SAFETY: the region begins with it; no reference is made, only the field's address taken.
        unsafe { &raw const (*beside).receive }
    }

    /// 8 bytes that nobody but the kernel uses: what the wake-up's eventfd is read into.
    pub(crate) fn wake_count(&self) -> *mut u8 {
        let beside = self.beside.start().as_ptr().cast::<Beside>();
        // SAFETY: as in `receive_message`.
        unsafe { (&raw mut (*beside).wake).cast() }
    }

    /// A transmit buffer, if one is free.
    pub(crate) fn take_spare(&mut self) -> Option<Buffer> {
        self.spare.pop()
    }

    /// The kernel has filled this buffer: it is ours again. `plain`: with the packet and nothing else.
    ///
    /// # Safety
    /// `id` must come from a completion that gives this buffer back, once for each completion.
    pub(crate) unsafe fn received(&mut self, id: u16, plain: bool) -> Buffer {
        debug_assert!(id < self.entries && self.free > 0);
        self.free -= 1;
        // SAFETY: promised by the caller.
        unsafe {
            match plain {
                true => Buffer::take_plain(id),
                false => Buffer::take(id),
            }
        }
    }

    /// The kernel has sent this buffer, or has refused to: it is ours again.
    ///
    /// # Safety
    /// As [`Buffers::received`].
    pub(crate) unsafe fn sent(&mut self, id: u16) -> Buffer {
        // SAFETY: promised by the caller.
        unsafe { Buffer::take(id) }
    }

    /// The buffer is free again.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        match buffer.id() < self.entries {
            true => self.stack.push(buffer),
            false => self.spare.push(buffer),
        }
    }

    /// Puts free buffers into the ring, as many as it should have, and shows them to the kernel.
    pub(crate) fn publish(&mut self) {
        self.left = self.left.min(self.free);
        self.turns += 1;
        if self.turns == SHOWN_FOR {
            if self.left > self.shown / 4 * 3 && self.shown > SHOWN_MIN {
                self.shown /= 2;
            }
            (self.left, self.turns) = (self.entries, 0);
        }
        while self.free < self.shown
            && let Some(buffer) = self.stack.pop()
        {
            self.put(buffer.id());
        }
        // SAFETY: the region begins with the ring's first entry, is aligned to a page and was zeroed, as `tail` demands;
        // the field is 16 bits, aligned, and the kernel reads it as an atomic.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.ring.start().as_ptr().cast());
            AtomicU16::from_ptr(tail.cast_mut())
        };
        // The kernel's acquire of the tail sees the entries that were written before.
        tail.store(self.tail, Ordering::Release);
    }

    fn put(&mut self, id: u16) {
        let at = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `at` is below `entries`, so the entry lies in our region. The kernel reads entries only below the
        // published tail and at most `entries` behind it; this one is at the tail, as no more than `entries` buffers exist.
        // The setters do not touch the field of entry 0 that holds the tail.
        unsafe {
            let entry = &mut *self.ring.start().as_ptr().cast::<BufRingEntry>().add(at);
            entry.set_addr(self.memory.address(id));
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.free += 1;
    }

    /// The packet's place: what was received, with room to grow to [`PACKET_BYTES`].
    pub(crate) fn packet_mut(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.memory.packet_mut(buffer)
    }

    /// Reads what the kernel wrote before the packet. `written`: the completion's result. `None`: not a datagram of IP.
    pub(crate) fn parse(&self, buffer: &Buffer, written: usize) -> Option<Packet> {
        let whole = self.memory.whole(buffer).get(..written.min(BUFFER_BYTES))?;
        // SAFETY: the shared header is written at start only, and then only read, by us and by the kernel.
        let out = RecvMsgOut::parse(whole, unsafe { &*self.receive_message() }).ok()?;
        Some(Packet {
            from: socket::read_address(out.name_data())?,
            len: out.payload_data().len(),
            beside: socket::read_control(out.control_data()),
            truncated: out.is_payload_truncated(),
        })
    }

    /// Writes down where this buffer is sent to, and says where that stands: for the kernel, which has read it once the request was handed over.
    pub(crate) fn address(&mut self, buffer: &Buffer, to: SocketAddr) -> (*const libc::sockaddr, libc::socklen_t) {
        let (name, len) = socket::write_address(to);
        let at = size_of::<Beside>() + usize::from(buffer.id()) * size_of_val(&name);
        debug_assert!(at + size_of_val(&name) <= self.beside.bytes());
        // SAFETY: the region has room for an address of each buffer behind the first structure, whose size is a multiple of their alignment. This
        // one is the buffer's own, and as the buffer is in our hands the kernel does not read it. Raw pointers only: no reference lives on.
        unsafe {
            let place = self.beside.start().as_ptr().add(at).cast::<libc::sockaddr_in6>();
            place.write(name);
            (place.cast_const().cast(), len)
        }
    }
}

const _: () = assert!(size_of::<Beside>().is_multiple_of(align_of::<libc::sockaddr_in6>()));
