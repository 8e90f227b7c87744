//! The memory of packets: a packet is sent from the buffer that it was received in.

use std::ptr::NonNull;
use std::{io, ptr};

use crate::config::BUFFER_BYTES;

/// Room for the sender's address in a received buffer: `sockaddr_in6` rounded up.
pub(crate) const NAME_BYTES: usize = 32;

/// Room for two control messages: the count of SO_RXQ_OVFL, and the time of SO_TIMESTAMPNS.
// SAFETY: plain arithmetic; it is `unsafe` only because all macros of libc are.
pub(crate) const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE(4) + libc::CMSG_SPACE(16) } as usize;

/// Where the packet begins that came with its sender: after `struct io_uring_recvmsg_out` (four 32-bit fields), address and control message.
const HEADER_BYTES: usize = 16 + NAME_BYTES + CONTROL_BYTES;

/// The longest packet that can be received or made.
pub(crate) const PACKET_BYTES: usize = BUFFER_BYTES - HEADER_BYTES;

/// One buffer in our hands. There is one value of each id at most, and it can be neither copied nor made up:
/// who has it may write to the memory, and gives it away to send or recycle it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a buffer that is neither sent nor recycled is lost"]
pub(crate) struct Buffer {
    id: u16,
    /// Where the packet begins: [`HEADER_BYTES`], or 0 where the kernel has written nothing but the packet.
    start: u16,
}

impl Buffer {
    /// Takes this buffer into our hands.
    ///
    /// # Safety
    /// `id` must be below the number of buffers, nobody else may hold this one, and the kernel may neither read nor write it.
    pub(crate) unsafe fn take(id: u16) -> Buffer {
        let start = HEADER_BYTES as u16;
        Buffer { id, start }
    }

    /// The same, with the packet at its start.
    ///
    /// # Safety
    /// As [`Buffer::take`].
    pub(crate) unsafe fn take_plain(id: u16) -> Buffer {
        Buffer { id, start: 0 }
    }

    pub(crate) fn id(&self) -> u16 {
        self.id
    }
}

/// Buffers of [`BUFFER_BYTES`] each, one after the other.
pub(crate) struct Memory {
    region: Region,
}

impl Memory {
    pub(crate) fn new(buffers: usize) -> io::Result<Memory> {
        let region = Region::new(buffers * BUFFER_BYTES)?;
        Ok(Memory { region })
    }

    /// Where the buffer of this id begins.
    pub(crate) fn address(&self, id: u16) -> u64 {
        self.region.start().as_ptr() as u64 + u64::from(id) * BUFFER_BYTES as u64
    }

    /// The packet's place: what was received, with room to grow to [`PACKET_BYTES`].
    pub(crate) fn packet_mut(&mut self, buffer: &Buffer) -> &mut [u8] {
        let start = usize::from(buffer.id) * BUFFER_BYTES + usize::from(buffer.start);
        // SAFETY: the range lies in the region: ids are below the number of buffers, and header and packet are as long as a
        // buffer. The memory was zeroed by the kernel, so it is initialised. It is not shared: the kernel has only
        // buffers whose `Buffer` does not exist, and the borrow of `self` keeps others of us away.
        unsafe { std::slice::from_raw_parts_mut(self.region.start().as_ptr().add(start), PACKET_BYTES) }
    }

    /// The whole buffer, its header included.
    pub(crate) fn whole(&self, buffer: &Buffer) -> &[u8] {
        let start = usize::from(buffer.id) * BUFFER_BYTES;
        // SAFETY: as in `packet_mut`; here only to read.
        unsafe { std::slice::from_raw_parts(self.region.start().as_ptr().add(start), BUFFER_BYTES) }
    }
}

/// Zeroed memory of its own pages, present from the start so that no packet pays for a page fault.
pub(crate) struct Region {
    start: NonNull<u8>,
    bytes: usize,
}

impl Region {
    pub(crate) fn new(bytes: usize) -> io::Result<Region> {
        // SAFETY: an anonymous mapping at an address that the kernel chooses touches nothing that exists.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Region { start, bytes })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, as `new` made it. That the kernel has no request left which uses it is what
        // `Uring` sees to before it drops its
        // buffers; other calls of the kernel are over when they return.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
