//! A socket beside the kernel's network stack: AF_XDP, its four rings and its frames, in copy mode (what a veth has).

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a frame.
pub(crate) const FRAME: usize = 2048;

/// Frames of each direction, and entries of each ring.
const FRAMES: u32 = 4096;

/// Memory that is mapped for as long as this lives.
#[derive(Debug)]
struct Mapped {
    at: NonNull<u8>,
    len: usize,
}

impl Mapped {
    fn new(len: usize, flags: i32, descriptor: i32, offset: i64) -> io::Result<Mapped> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the place; nothing of ours is there.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, descriptor, offset) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("memory at address 0"))?;
        Ok(Mapped { at, len })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and whoever had pointers into it is gone.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// A ring that is shared with the kernel: one side moves the producer's index, the other the consumer's.
#[derive(Debug)]
struct Ring<T> {
    _memory: Mapped,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    entries: NonNull<T>,
}

impl<T: Copy> Ring<T> {
    fn map(socket: &OwnedFd, which: i64, offsets: &libc::xdp_ring_offset) -> io::Result<Ring<T>> {
        let len = offsets.desc as usize + FRAMES as usize * size_of::<T>();
        let memory = Mapped::new(len, libc::MAP_SHARED | libc::MAP_POPULATE, socket.as_raw_fd(), which)?;
        // SAFETY: the kernel says that these lie in what it has mapped, aligned.
        let (producer, consumer, entries) = unsafe {
            (
                memory.at.add(offsets.producer as usize).cast(),
                memory.at.add(offsets.consumer as usize).cast(),
                memory.at.add(offsets.desc as usize).cast(),
            )
        };
        Ok(Ring {
            _memory: memory,
            producer,
            consumer,
            entries,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: it lies in `_memory`.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: it lies in `_memory`.
        unsafe { self.consumer.as_ref() }
    }

    fn place(&self, index: u32) -> NonNull<T> {
        // SAFETY: there are FRAMES entries, a power of two.
        unsafe { self.entries.add((index & (FRAMES - 1)) as usize) }
    }

    /// We produce: so many may be put in.
    fn room(&self) -> u32 {
        FRAMES
            - self
                .producer()
                .load(Ordering::Relaxed)
                .wrapping_sub(self.consumer().load(Ordering::Acquire))
    }

    /// We produce: puts them in, as far as there is room.
    fn put(&mut self, entries: impl ExactSizeIterator<Item = T>) {
        let count = (entries.len() as u32).min(self.room());
        let first = self.producer().load(Ordering::Relaxed);
        for (index, entry) in (0..count).zip(entries) {
            // SAFETY: the kernel reads it only when the index below says so.
            unsafe { self.place(first.wrapping_add(index)).write(entry) };
        }
        self.producer().store(first.wrapping_add(count), Ordering::Release);
    }

    /// We consume: takes one out.
    fn take(&mut self) -> Option<T> {
        let next = self.consumer().load(Ordering::Relaxed);
        if next == self.producer().load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the kernel has written it, and leaves it until the index below says so.
        let entry = unsafe { self.place(next).read() };
        self.consumer().store(next.wrapping_add(1), Ordering::Release);
        Some(entry)
    }
}

/// The socket of the first queue of one interface.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
    /// The first FRAMES are for what comes, the others for what goes.
    frames: Mapped,
    fill: Ring<u64>,
    done: Ring<u64>,
    came: Ring<libc::xdp_desc>,
    goes: Ring<libc::xdp_desc>,
    /// Frames that may be written and sent.
    free: Vec<u64>,
    /// Sent, but not asked for yet that the kernel looks.
    unasked: bool,
}

impl Socket {
    /// # Errors
    /// Where the kernel refuses: it wants CAP_NET_RAW and locked memory.
    pub(crate) fn open(interface: u32) -> io::Result<Socket> {
        // SAFETY: no pointers.
        let descriptor = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new, and ours.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let frames = Mapped::new(2 * FRAMES as usize * FRAME, anonymous, -1, 0)?;
        let umem = libc::xdp_umem_reg {
            addr: frames.at.as_ptr() as u64,
            len: frames.len as u64,
            chunk_size: FRAME as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set(&descriptor, libc::XDP_UMEM_REG, &umem)?;
        for ring in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ] {
            set(&descriptor, ring, &FRAMES)?;
        }
        let offsets = offsets(&descriptor)?;
        let mut fill = Ring::map(&descriptor, libc::XDP_UMEM_PGOFF_FILL_RING as i64, &offsets.fr)?;
        let done = Ring::map(&descriptor, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64, &offsets.cr)?;
        let came = Ring::map(&descriptor, libc::XDP_PGOFF_RX_RING, &offsets.rx)?;
        let goes = Ring::map(&descriptor, libc::XDP_PGOFF_TX_RING, &offsets.tx)?;
        let place = |number: u32| u64::from(number) * FRAME as u64;
        fill.put((0..FRAMES).map(place).collect::<Vec<_>>().into_iter());
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: interface,
            sxdp_queue_id: 0,
            sxdp_shared_umem_fd: 0,
        };
        // SAFETY: the address is what AF_XDP wants, of that length.
        let bound = unsafe {
            libc::bind(
                descriptor.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            )
        };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Socket {
            descriptor,
            frames,
            fill,
            done,
            came,
            goes,
            free: (FRAMES..2 * FRAMES).map(place).collect(),
            unasked: false,
        })
    }

    /// For a map.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// Calls `take` with each packet that has come, `most` at the most; how many these were.
    pub(crate) fn receive(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        for count in 0..most {
            let Some(came) = self.came.take() else { return count };
            // SAFETY: the kernel has written so many bytes into a frame of ours, and has no part in it until it is given back.
            let packet = unsafe {
                let at = self.frames.at.add(came.addr as usize);
                std::slice::from_raw_parts(at.as_ptr(), came.len as usize)
            };
            take(packet);
            self.fill.put([came.addr & !(FRAME as u64 - 1)].into_iter());
        }
        most
    }

    /// Queues a packet that `write` writes; `false`: there is no frame left.
    pub(crate) fn send(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.free.is_empty() {
            self.reclaim();
        }
        let Some(place) = self.free.pop() else { return false };
        // SAFETY: the frame is ours until it is queued, and nobody else has a reference to it.
        let frame = unsafe {
            let at = self.frames.at.add(place as usize);
            std::slice::from_raw_parts_mut(at.as_ptr(), FRAME)
        };
        let len = write(frame) as u32;
        // There are as many entries as frames.
        let entry = libc::xdp_desc {
            addr: place,
            len,
            options: 0,
        };
        self.goes.put([entry].into_iter());
        self.unasked = true;
        true
    }

    /// Lets the kernel send what is queued, until it has taken all of it.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.unasked {
            self.ask()?;
            self.reclaim();
            self.unasked = self.goes.room() < FRAMES;
        }
        Ok(())
    }

    fn ask(&self) -> io::Result<()> {
        // SAFETY: no data, no address: only the doorbell.
        let asked = unsafe {
            libc::sendto(
                self.descriptor.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
        if asked < 0 {
            let error = io::Error::last_os_error();
            // It takes so many at one time, or has no room at the moment.
            if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS)) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets the kernel send what it has room for now; the rest stays queued for the next time.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        let mut room = self.goes.room();
        while self.unasked {
            self.ask()?;
            self.reclaim();
            let now = self.goes.room();
            self.unasked = now < FRAMES;
            if std::mem::replace(&mut room, now) == now {
                break;
            }
        }
        Ok(())
    }

    fn reclaim(&mut self) {
        while let Some(place) = self.done.take() {
            self.free.push(place);
        }
    }

    /// Packets that came and found no place with us.
    pub(crate) fn overruns(&self) -> u64 {
        // `struct xdp_statistics`: dropped, two of descriptors that were wrong, full ring, empty ring of free frames, empty ring to send.
        let mut figures = [0_u64; 6];
        let mut len = size_of_val(&figures) as u32;
        // SAFETY: the kernel writes at the most `len` bytes there.
        unsafe {
            libc::getsockopt(
                self.descriptor.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_STATISTICS,
                figures.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        figures[0] + figures[3]
    }
}

fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads so many bytes from it.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn offsets(socket: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: numbers, for which 0 is a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&offsets) as u32;
    // SAFETY: the kernel writes at the most `len` bytes there.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            libc::XDP_MMAP_OFFSETS,
            (&raw mut offsets).cast(),
            &raw mut len,
        )
    };
    match done {
        0 => Ok(offsets),
        _ => Err(io::Error::last_os_error()),
    }
}
