//! The tool's end of the link, for packets.

use std::io;
use std::time::{Duration, Instant};

use crate::bpf::{Attached, Map};
use crate::lab::Lab;
use crate::xsk::Socket;

/// The socket with its program. What goes to lower ports than its own is the kernel's.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    clock: Clock,
    _map: Map,
    _program: Attached,
}

/// The kernel's CLOCK_MONOTONIC, which [`Instant`] is, but does not tell.
#[derive(Clone, Copy, Debug)]
struct Clock {
    at: Instant,
    then: Duration,
}

impl Clock {
    /// The one of several looks at both clocks that took the least time: what lies between them would be in every latency.
    fn new() -> Clock {
        let looks = (0..16).map(|_| {
            let begin = Instant::now();
            (Clock::look(), begin.elapsed())
        });
        let best = looks.min_by_key(|(_, took)| *took);
        best.map_or_else(Clock::look, |(clock, _)| clock)
    }

    fn look() -> Clock {
        let mut read = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut read) };
        Clock {
            at: Instant::now(),
            then: Duration::new(read.tv_sec.unsigned_abs(), read.tv_nsec as u32),
        }
    }

    fn instant(self, time: Duration) -> Instant {
        match time.checked_sub(self.then) {
            Some(since) => self.at + since,
            None => self.at - (self.then - time),
        }
    }
}

impl Wire {
    /// Takes what goes to this port of our end and to higher ones.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn open(lab: &Lab, first_port: u16) -> Result<Wire, String> {
        let interface = lab.interface()?;
        let open = || -> io::Result<Wire> {
            let map = Map::new()?;
            let program = Attached::to_socket(interface, first_port, &map)?;
            let socket = Socket::open(interface)?;
            map.set(socket.descriptor())?;
            Ok(Wire {
                socket,
                clock: Clock::new(),
                _map: map,
                _program: program,
            })
        };
        let wire = open()
            .map_err(|error| format!("AF_XDP: {error} (Linux 5.9 or newer, CAP_BPF and CAP_NET_RAW are wanted)"))?;
        lab.pin_receive_paths();
        Ok(wire)
    }

    /// Queues a frame that `write` writes, whose length it gives; `false`: there is no room left.
    pub fn send(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        self.socket.send(write)
    }

    /// Lets the kernel send what is queued, until it has taken all of it.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }

    /// Lets the kernel send what it has room for: it has none where the other end does not take what was sent before.
    ///
    /// # Errors
    /// Where the kernel fails.
    pub fn push(&mut self) -> io::Result<()> {
        self.socket.push()
    }

    /// Calls `take` with each frame that has come, and when the kernel took it from the link, `most` at the most; how many these were. The frames'
    /// addresses of Ethernet are gone.
    pub fn receive(&mut self, most: usize, mut take: impl FnMut(Instant, &[u8])) -> usize {
        let clock = self.clock;
        self.socket.receive(most, |frame| {
            let stamp = frame.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            take(clock.instant(Duration::from_nanos(stamp)), frame);
        })
    }

    /// Packets that came and found no place with us.
    pub fn overruns(&self) -> u64 {
        self.socket.overruns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_clock_is_that_of_instants() {
        let clock = Clock::new();
        let second = Duration::from_secs(1);
        assert_eq!(clock.instant(clock.then + second), clock.at + second);
        assert_eq!(clock.instant(clock.then - second), clock.at - second);
        // Whatever the time, both go on as far.
        let later = Clock::new();
        let off = later.at.duration_since(clock.at).abs_diff(later.then - clock.then);
        assert!(off < second, "{off:?}");
    }
}
