//! Running totals of each worker in a page of its own, which anyone may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use media::core::Counters;
use media::verdict::Reason;

macro_rules! page {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The figures of one worker at one moment. Totals since the start, where nothing else is said.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// Packets that the core threw away, by [`Reason`] in the order of [`Reason::ALL`].
            pub dropped: [u64; Reason::ALL.len()],
        }

        /// The same, as the worker writes it and others read it. Aligned so that two workers share no cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Page {
            $($name: AtomicU64,)*
            dropped: [AtomicU64; Reason::ALL.len()],
        }

        impl Page {
            pub(crate) fn read(&self) -> Snapshot {
                Snapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    dropped: std::array::from_fn(|at| self.dropped[at].load(Ordering::Relaxed)),
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
        self.comfort = comfort;
        self.rtcp = rtcp;
        self.lost = lost;
        self.sessions = sessions;
        self.overflowed = overflowed;
        self.dropped = dropped;
    }
}
