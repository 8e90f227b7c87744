//! The packet buffers of a worker: most belong to a ring of which the kernel takes one for each received packet,
//! a few are for packets that the core makes itself. A packet is sent from the buffer that it was received in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, RecvMsgOut};

use crate::buffers::{Buffer, CONTROL_BYTES, Memory, NAME_BYTES, PACKET_BYTES, Region};
use crate::config::BUFFER_BYTES;
use crate::socket::{self, Beside};

/// What `sendmsg` is given for one buffer. It stays where it is for the worker's life.
#[repr(C)]
struct Slot {
    message: libc::msghdr,
    vector: libc::iovec,
    address: libc::sockaddr_storage,
}

/// What the kernel reports about a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Its length, bytes.
    pub(crate) len: usize,
    pub(crate) beside: Beside,
    /// It was longer than the buffer.
    pub(crate) truncated: bool,
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
    /// A slot for each buffer, and one more for the message header that all receives share.
    slots: Region,
    entries: u16,
    spares: u16,
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
            slots: Region::new((total + 1) * size_of::<Slot>())?,
            entries,
            spares,
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
        let template = buffers.slot(total as u16);
        // SAFETY: `slot` points into our own zeroed region; nobody else has it yet. All bits zero is a valid `msghdr`.
        unsafe {
            (*template).message.msg_namelen = NAME_BYTES as libc::socklen_t;
            (*template).message.msg_controllen = CONTROL_BYTES as _;
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

    /// The message header that every multishot receive is armed with.
    pub(crate) fn receive_message(&self) -> *const libc::msghdr {
        let slot = self.slot(self.entries + self.spares);
        // SAFETY: `slot` points into our region; no reference is made, only the field's address taken.
        unsafe { &raw const (*slot).message }
    }

    /// 8 bytes that nobody but the kernel uses: what the wake-up's eventfd is read into.
    pub(crate) fn wake_count(&self) -> *mut u8 {
        let slot = self.slot(self.entries + self.spares);
        // SAFETY: as in `receive_message`. Receives do not use this field: the address comes with the packet.
        unsafe { (&raw mut (*slot).address).cast() }
    }

    /// A transmit buffer, if one is free.
    pub(crate) fn take_spare(&mut self) -> Option<Buffer> {
        self.spare.pop()
    }

    /// The kernel has filled this buffer, or has sent it: it is ours again.
    ///
    /// # Safety
    /// `id` must come from a completion that gives this buffer back, once for each completion.
    pub(crate) unsafe fn received(&mut self, id: u16) -> Buffer {
        debug_assert!(id < self.entries && self.free > 0);
        self.free -= 1;
        // SAFETY: promised by the caller.
        unsafe { Buffer::take(id) }
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

    /// Makes the message header for a send of this buffer's first `len` bytes and gives its address, which stays valid
    /// for the worker's life.
    pub(crate) fn address(&mut self, buffer: &Buffer, to: SocketAddr, len: usize) -> *const libc::msghdr {
        debug_assert!(len <= PACKET_BYTES);
        let packet = self.packet_mut(buffer).as_mut_ptr();
        let slot = self.slot(buffer.id());
        // SAFETY: the slot is this buffer's own, and as the buffer is in our hands the kernel does not read it.
        // Raw pointers only: no reference lives on while the kernel reads. All bits zero is valid for all three structures.
        unsafe {
            let namelen = socket::write_address(to, &mut (*slot).address);
            (*slot).vector = libc::iovec {
                iov_base: packet.cast(),
                iov_len: len.min(PACKET_BYTES),
            };
            (*slot).message.msg_name = (&raw mut (*slot).address).cast();
            (*slot).message.msg_namelen = namelen;
            (*slot).message.msg_iov = &raw mut (*slot).vector;
            (*slot).message.msg_iovlen = 1;
            &raw const (*slot).message
        }
    }

    fn slot(&self, id: u16) -> *mut Slot {
        let slot = self.slots.start().as_ptr().cast::<Slot>();
        debug_assert!((usize::from(id) + 1) * size_of::<Slot>() <= self.slots.bytes());
        // SAFETY: the region has a slot for each buffer and one more; ids are not greater.
        unsafe { slot.add(usize::from(id)) }
    }
}
