//! Running totals of each worker in a page of its own, which anyone may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use media::core::Counters;
use media::verdict::Reason;

use crate::config::Backend;

/// Buckets of times: up to 4 µs, 8 µs and so on to 131 ms, and above.
pub const TIMES: usize = 17;

/// Buckets of batches: 1, 2, up to 4, 8 and so on to 256, and above.
pub const BATCHES: usize = 10;

/// The upper bounds of [`TIMES`], µs; the last bucket has none.
pub const TIME_BOUNDS_US: [u64; TIMES - 1] = doubled(4);

/// The upper bounds of [`BATCHES`]; the last bucket has none.
pub const BATCH_BOUNDS: [u64; BATCHES - 1] = doubled(1);

const fn doubled<const N: usize>(first: u64) -> [u64; N] {
    let mut bounds = [first; N];
    let mut at = 1;
    while at < N {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
}

/// How many values there were of each size. The buckets do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    /// For each bucket, how many.
    pub counts: [u64; N],
    /// All of them together.
    pub sum: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Histogram<N> {
        let counts = [0; N];
        Histogram { counts, sum: 0 }
    }
}

/// The same, as the worker writes it and others read it.
#[derive(Debug)]
pub(crate) struct Cells<const N: usize> {
    counts: [AtomicU64; N],
    sum: AtomicU64,
}

impl<const N: usize> Default for Cells<N> {
    fn default() -> Cells<N> {
        Cells {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Cells<N> {
    fn read(&self) -> Histogram<N> {
        Histogram {
            counts: std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }

    /// Only the worker itself writes: plain loads and stores. The first bucket ends at `1 << first`, each other at twice its
    /// predecessor's end.
    fn add(&self, size: u64, first: u32, value: u64) {
        let above = size.saturating_sub(1) >> first;
        let bucket = (u64::BITS - above.leading_zeros()) as usize;
        let plus = |cell: &AtomicU64, value| cell.store(cell.load(Ordering::Relaxed) + value, Ordering::Relaxed);
        plus(&self.counts[bucket.min(N - 1)], 1);
        plus(&self.sum, value);
    }
}

impl Cells<TIMES> {
    /// A time has passed.
    pub(crate) fn passed(&self, time: Duration) {
        let ns = time.as_nanos() as u64;
        self.add(ns.div_ceil(1_000), 2, ns);
    }
}

impl Cells<BATCHES> {
    /// So many came together.
    pub(crate) fn came(&self, count: u64) {
        self.add(count, 0, count);
    }
}

macro_rules! page {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The figures of one worker at one moment. Totals since the start, where nothing else is said.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// Packets that the core threw away, by [`Reason`] in the order of [`Reason::ALL`].
            pub dropped: [u64; Reason::ALL.len()],
            /// How long forwarded packets were in this host, ns: from the stamp that the kernel gives a packet as it takes it from
            /// the device (SO_TIMESTAMPNS) to the hand-over for sending, which is the return of sendto(2), or the end of the turn in
            /// which io_uring is given the send. Measured on every sixteenth port; a step of the host's clock is in it.
            pub latency: Histogram<TIMES>,
            /// How long turns of the loop took, from the return of the kernel to the next wait, ns. With epoll the system calls of
            /// packets are in it, with io_uring they are in the wait.
            pub loop_time: Histogram<TIMES>,
            /// Packets received in one turn, where there were any.
            pub batch: Histogram<BATCHES>,
            /// The way that its packets take.
            pub backend: Backend,
            /// Commands that wait for the worker now.
            pub commands_waiting: u64,
            /// Events that wait to be read now.
            pub events_waiting: u64,
            /// Time of the worker's thread on a processor, in the kernel included, ns.
            pub cpu_ns: u64,
        }

        /// The same, as the worker writes it and others read it. Aligned so that two workers share no cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Page {
            $($name: AtomicU64,)*
            dropped: [AtomicU64; Reason::ALL.len()],
            pub(crate) latency: Cells<TIMES>,
            pub(crate) loop_time: Cells<TIMES>,
            pub(crate) batch: Cells<BATCHES>,
        }

        impl Page {
            pub(crate) fn read(&self) -> Snapshot {
                Snapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    dropped: std::array::from_fn(|at| self.dropped[at].load(Ordering::Relaxed)),
                    latency: self.latency.read(),
                    loop_time: self.loop_time.read(),
                    batch: self.batch.read(),
                    // What the worker need not be asked for.
                    backend: Backend::Auto,
                    commands_waiting: 0,
                    events_waiting: 0,
                    cpu_ns: 0,
                }
            }

            /// Only the worker itself writes: plain stores, no read-modify-write.
            pub(crate) fn write(&self, snapshot: &Snapshot) {
                $(self.$name.store(snapshot.$name, Ordering::Relaxed);)*
                for (cell, value) in self.dropped.iter().zip(snapshot.dropped) {
                    cell.store(value, Ordering::Relaxed);
                }
            }
        }
    };
}

page! {
    /// RTP and RTCP packets that the core was given.
    received,
    /// Packets relayed or transcoded.
    forwarded,
    /// Of these, transcoded.
    transcoded,
    /// Prompt packets made.
    played,
    /// Packets of several sources made.
    mixed,
    /// Comfort noise packets made.
    comfort,
    /// RTCP packets made.
    rtcp,
    /// Packets lost inside the host: kernel drops and failed sends.
    lost,
    /// Sessions alive now.
    sessions,
    /// Digits and ends of prompts that found their session's mailbox full.
    overflowed,
    /// Turns of the worker's loop.
    loops,
    /// System calls that packets cost: io_uring_enter(2); with epoll its waits, each receive and each send.
    enters,
    /// Completions walked; with epoll, sockets that were ready.
    completions,
    /// Times that a receive ended because no buffer was free, and was armed again.
    receive_rearms,
    /// Receives that ended with another error, and were armed again.
    receive_errors,
    /// Times that the receive of a socket was ended for some milliseconds, since it had taken more than its share: 64 packets
    /// within 20 ms. With epoll a socket's share is one packet of each round.
    receive_rests,
    /// Received packets that did not fit into a buffer and were thrown away.
    truncated,
    /// Packets that the kernel accepted for sending.
    sent,
    /// Sends that the kernel refused.
    send_errors,
    /// Packets that the kernel dropped at our sockets (SO_RXQ_OVFL, SO_MEMINFO).
    kernel_drops,
    /// Completions that did not fit into the completion queue at once. None is lost, but it must be 0.
    completion_overflows,
    /// Times that a packet of the core's own had to wait for a free transmit buffer.
    transmit_waits,
    /// Times that the queue of events was full: they waited in the core's mailboxes.
    event_waits,
    /// Receive buffers that are free now: in the kernel's hands, ready for a packet. With epoll the same as the transmit buffers.
    buffers_free,
    /// Transmit buffers that are free now.
    transmit_buffers_free,
    /// The longest time that one turn of the loop took, from the return of the kernel to the next call, µs.
    loop_us_max,
}

impl Snapshot {
    /// Takes over what the core counts.
    pub(crate) fn take_core(&mut self, counters: &Counters) {
        // Every field is named, so that a counter that the core gets cannot stay unpublished.
        let Counters {
            received,
            forwarded,
            transcoded,
            played,
            mixed,
            comfort,
            rtcp,
            lost,
            sessions,
            overflowed,
            dropped,
        } = *counters;
        self.received = received;
        self.forwarded = forwarded;
        self.transcoded = transcoded;
        self.played = played;
        self.mixed = mixed;
        self.comfort = comfort;
        self.rtcp = rtcp;
        self.lost = lost;
        self.sessions = sessions;
        self.overflowed = overflowed;
        self.dropped = dropped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        for us in (0..400).chain([131_071, 131_072, 131_073, 10_000_000]) {
            let cells = Cells::<TIMES>::default();
            cells.passed(Duration::from_micros(us));
            let wanted = TIME_BOUNDS_US.iter().position(|bound| us <= *bound);
            let read = cells.read();
            let found = read.counts.iter().position(|count| *count == 1);
            assert_eq!(found, wanted.or(Some(TIMES - 1)), "{us} µs");
            assert_eq!(read.sum, us * 1_000);
        }
        let cells = Cells::<TIMES>::default();
        cells.passed(Duration::from_nanos(4_001));
        assert_eq!(cells.read().counts[1], 1, "4.001 µs is more than 4");
        for count in 1..=300 {
            let cells = Cells::<BATCHES>::default();
            cells.came(count);
            let wanted = BATCH_BOUNDS.iter().position(|bound| count <= *bound);
            let found = cells.read().counts.iter().position(|count| *count == 1);
            assert_eq!(found, wanted.or(Some(BATCHES - 1)), "{count}");
        }
        assert_eq!((TIME_BOUNDS_US[15], BATCH_BOUNDS[8]), (131_072, 256));
    }
}
