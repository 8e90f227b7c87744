//! All state of one CPU: packets, commands and time go in, verdicts, packets and events come out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::command::{Command, Event, Port};
use crate::prompt::Prompts;
use crate::verdict::{Reason, Transmit, Verdict};

/// What a core is made with. All memory is taken here, none later.
#[derive(Clone, Debug)]
pub struct Config {
    /// The lowest RTP port, even. RTP of leg n is on `first_port + 2n`, RTCP on the odd port above.
    pub first_port: Port,
    /// How many pairs of ports.
    pub pairs: u16,
    /// How many sessions at the most.
    pub sessions: usize,
    /// Packets that wait for a buffer at the most (copies for second listeners, ends of digits, RTCP).
    pub pending: usize,
    /// Everything that can be played.
    pub prompts: Arc<Prompts>,
    /// Canonical name in RTCP SDES (RFC 3550 §6.5.1).
    pub cname: String,
    /// SSRCs, first sequence numbers and timestamps come from it.
    pub seed: u64,
}

/// All state of one CPU.
#[derive(Debug)]
pub struct Core {}

/// Packets that were lost between the wire and the core, or between the core and the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The kernel dropped this many at the socket of this port (SO_RXQ_OVFL).
    Received(Port, u32),
    /// This many sends from this port completed with an error.
    Sent(Port, u32),
}

impl Core {
    /// Takes all the memory that it will ever use. `now` is the start of its time.
    pub fn new(_config: Config, _now: Instant) -> Core {
        Core {}
    }

    /// One received packet: `buffer[..len]` holds it, and on [`Verdict::Send`] what is to be sent.
    /// The buffer should have room to grow (a digit of 16 bytes may become a tone of 172).
    pub fn handle_packet(
        &mut self,
        _now: Instant,
        _port: Port,
        _from: SocketAddr,
        _buffer: &mut [u8],
        _len: usize,
    ) -> Verdict {
        Verdict::Consumed
    }

    /// One command.
    pub fn handle_command(&mut self, _now: Instant, _command: Command) {}

    /// Packets that the kernel lost for us.
    pub fn handle_loss(&mut self, _now: Instant, _loss: Loss) {}

    /// Time has passed. Afterwards ask [`Core::poll_transmit`] until it has nothing.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next packet that the core makes itself, written into `buffer` (at least 1,500 bytes).
    pub fn poll_transmit(&mut self, _now: Instant, _buffer: &mut [u8]) -> Option<Transmit> {
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When [`Core::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Running totals.
    pub fn counters(&self) -> &Counters {
        const NONE: Counters = Counters::new();
        &NONE
    }
}

/// Running totals of one core: plain numbers that the engine publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// RTP and RTCP packets received.
    pub received: u64,
    /// Packets relayed or transcoded.
    pub forwarded: u64,
    /// Of these, transcoded.
    pub transcoded: u64,
    /// Prompt packets made.
    pub played: u64,
    /// Comfort noise packets made.
    pub comfort: u64,
    /// RTCP packets made.
    pub rtcp: u64,
    /// Lost inside the host: kernel drops and failed sends.
    pub lost: u64,
    /// Sessions alive now.
    pub sessions: u64,
    /// Dropped packets, by [`Reason`] in the order of [`Reason::ALL`].
    pub dropped: [u64; Reason::ALL.len()],
}

impl Counters {
    /// All zero.
    pub const fn new() -> Counters {
        Counters {
            received: 0,
            forwarded: 0,
            transcoded: 0,
            played: 0,
            comfort: 0,
            rtcp: 0,
            lost: 0,
            sessions: 0,
            dropped: [0; Reason::ALL.len()],
        }
    }
}
