//! All state of one CPU: packets, commands and time go in, verdicts, packets and events come out.

mod control;
mod moving;
mod packet;
#[cfg(test)]
mod tests;
mod time;
mod voices;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use crate::coders::Coders;
use crate::comfort::Comfort;
use crate::command::{Command, Event, Port, SessionId};
use crate::leg::{SILENT, SessionSlot, Slot};
use crate::pending::Pending;
use crate::prompt::Prompts;
use crate::rtcp::Ntp;
use crate::seed::Seed;
use crate::table::Table;
use crate::timers::Timers;
use crate::verdict::{Reason, Transmit, Verdict};

pub use crate::session::LEGS_PLACED_MAX;
pub use moving::{Departure, Parcel};

/// What a core is made with. All memory is taken here, none later.
#[derive(Clone, Debug)]
pub struct Config {
    /// The lowest RTP port, even; RTCP is on the odd port above each.
    pub first_port: Port,
    /// How many pairs of ports.
    pub pairs: u16,
    /// Legs that it can have beside those of its own ports, in sessions that come from other cores.
    pub guests: u16,
    /// How many sessions at the most.
    pub sessions: usize,
    /// Packets that wait for a buffer at the most (copies for second listeners, ends of digits, RTCP).
    pub pending: usize,
    /// Everything that can be played.
    pub prompts: Arc<Prompts>,
    /// States for codecs with a memory, shared with other cores. Without any, rows relay, or put one law of G.711 into the other.
    pub coders: Arc<Coders>,
    /// Canonical name in RTCP SDES (RFC 3550 §6.5.1).
    pub cname: String,
    /// SSRCs, first sequence numbers and timestamps come from it.
    pub seed: u64,
    /// A leg that should send and has not for so long is told to be silent. [`SILENCE`] where nobody wishes otherwise.
    pub silence: Duration,
    /// The most that a packet may wait in the jitter buffer of a mix. [`ADDED_LATENCY`] where nobody wishes otherwise.
    pub added_latency: Duration,
}

/// The usual [`Config::added_latency`].
pub const ADDED_LATENCY: Duration = Duration::from_millis(80);

/// The usual [`Config::silence`].
pub const SILENCE: Duration = Duration::from_secs(1);

/// All state of one CPU.
#[derive(Debug)]
pub struct Core {
    start: Instant,
    table: Table,
    /// Legs by their place, then sessions by theirs.
    timers: Timers,
    pending: Pending,
    /// Legs that have something ready, each once.
    ready: VecDeque<Slot>,
    /// Sessions whose mailbox is not empty, each once.
    mailboxes: VecDeque<SessionSlot>,
    /// Answers to commands about sessions that do not exist.
    strays: ArrayVec<Event, STRAYS_MAX>,
    /// Places of legs.
    places: usize,
    comfort: Comfort,
    prompts: Arc<Prompts>,
    coders: Arc<Coders>,
    cname: String,
    seed: Seed,
    /// The most that a packet may wait in a mix, ns.
    added_latency: u64,
    /// ns.
    silence: u64,
    /// ns.
    comfort_after: u64,
    counters: Counters,
}

/// Answers to commands about sessions that do not exist, as many as wait to be fetched; the control plane repeats what was
/// not answered.
const STRAYS_MAX: usize = 64;

/// Packets that were lost between the wire and the core, or between the core and the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The kernel dropped this many at the socket of this port (SO_RXQ_OVFL, SO_MEMINFO).
    Received(Port, u32),
    /// This many sends from this port completed with an error.
    Sent(Port, u32),
}

impl Core {
    /// Takes all the memory that it will ever use. `now` is the start of its time.
    pub fn new(config: Config, now: Instant) -> Core {
        let places = usize::from(config.pairs) + usize::from(config.guests);
        let mut seed = Seed::new(config.seed);
        Core {
            start: now,
            table: Table::new(config.first_port, config.pairs, config.guests, config.sessions),
            timers: Timers::new(places + config.sessions),
            pending: Pending::new(config.pending),
            ready: VecDeque::with_capacity(places),
            mailboxes: VecDeque::with_capacity(config.sessions),
            strays: ArrayVec::new(),
            places,
            comfort: Comfort::new(seed.next()),
            prompts: config.prompts,
            coders: config.coders,
            cname: config.cname,
            seed,
            added_latency: config.added_latency.as_nanos() as u64,
            silence: config.silence.as_nanos() as u64,
            comfort_after: SILENT,
            counters: Counters::new(),
        }
    }

    /// Legs that come from now on get comfort noise only when their source has been silent for so long, instead of for [`SILENT_AFTER`]: for whoever
    /// relays what is sent at other distances than speech.
    ///
    /// [`SILENT_AFTER`]: crate::command::SILENT_AFTER
    #[must_use]
    pub fn with_comfort_after(mut self, comfort_after: Duration) -> Core {
        self.comfort_after = comfort_after.as_nanos() as u64;
        self
    }

    /// One received packet: `buffer[..len]` holds it, and on [`Verdict::Send`] what is to be sent.
    /// The buffer should have room to grow (a digit of 16 bytes may become a tone of 172).
    pub fn handle_packet(
        &mut self,
        now: Instant,
        port: Port,
        from: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Verdict {
        self.counters.received += 1;
        match self.receive(now, port, from, buffer, len) {
            Ok(verdict) => verdict,
            Err(reason) => {
                self.counters.dropped[reason as usize] += 1;
                Verdict::Drop(reason)
            }
        }
    }

    /// One command.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Set {
                session,
                generation,
                spec,
            } => self.set(now, session, generation, &spec),
            Command::End { session } => self.end(now, session),
        }
    }

    /// Packets that the kernel lost for us.
    pub fn handle_loss(&mut self, _now: Instant, loss: Loss) {
        let (Loss::Received(port, count) | Loss::Sent(port, count)) = loss;
        self.counters.lost += u64::from(count);
        let Some(slot) = self.table.slot(port).filter(|_| port.0.is_multiple_of(2)) else {
            return;
        };
        let Some(leg) = self.table.leg_mut(slot) else {
            return;
        };
        match loss {
            Loss::Sent(..) => leg.meter.lost_after(count),
            Loss::Received(..) => {
                for listener in leg.source.listeners.clone() {
                    let listener = self.table.leg_mut(listener);
                    if let Some(leg) = listener.filter(|leg| leg.row.is_fed_by(slot)) {
                        leg.meter.lost_before(count);
                    }
                }
            }
        }
    }

    /// The RTP ports of a session's legs, those of a state that waits included.
    pub fn ports(&self, session: SessionId) -> ArrayVec<Port, LEGS_PLACED_MAX> {
        let session = self.table.find(session).and_then(|slot| self.table.session(slot));
        let legs = session.into_iter().flat_map(|session| &session.legs);
        legs.filter_map(|&(_, leg)| Some(self.table.leg(leg)?.port)).collect()
    }

    /// The only address from which this RTP port's leg can be heard until a command about its session comes: whatever else is sent to the port would be
    /// dropped as a [`Reason::Stranger`]. `None` where there is no such address (yet), or no leg.
    pub fn peer(&self, port: Port) -> Option<SocketAddr> {
        let leg = self.table.leg(self.table.slot(port)?)?;
        leg.latch.sole().filter(|_| leg.port == port)
    }

    /// Time has passed. Afterwards ask [`Core::poll_transmit`] until it has nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.fire(now);
    }

    /// The next packet that the core makes itself, written into `buffer` (at least 1,944 bytes).
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        self.transmit(now, buffer)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.strays.pop_at(0) {
            return Some(event);
        }
        while let Some(slot) = self.mailboxes.pop_front() {
            let start = self.start;
            let Some(session) = self.table.session_mut(slot) else {
                continue;
            };
            let event = session.mailbox.next(session.id, start);
            session.mailbox.queued = !session.mailbox.is_empty();
            if session.mailbox.queued {
                // Behind the others: one session's events do not hold up another's.
                self.mailboxes.push_back(slot);
            } else if session.ended {
                self.table.free_session(slot);
            }
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// When [`Core::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers
            .next()
            .map(|(due, _)| self.start + Duration::from_nanos(due))
    }

    /// Running totals.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is taken now of what was taken at the start. All zero once every session has ended and its
    /// packets and events were fetched.
    pub fn alive(&self) -> Alive {
        Alive {
            sessions: self.table.sessions(),
            legs: self.table.legs(),
            pending: self.pending.len(),
            ready: self.ready.len(),
            timers: self.timers.len(),
        }
    }

    /// Time since the start, ns.
    fn ns(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_nanos() as u64
    }

    /// The clock of our sender reports is the core's own: RFC 3550 §4 allows one that knows no date. It starts at 1 s,
    /// so that no report says 0, which means none.
    fn ntp(&self, now: Instant) -> Ntp {
        Ntp(1 << 32).plus(now.saturating_duration_since(self.start))
    }
}

/// What is taken of a core's fixed memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Alive {
    /// Sessions, those included of which only events are left.
    pub sessions: usize,
    /// Legs.
    pub legs: usize,
    /// Packets that wait for a buffer.
    pub pending: usize,
    /// Legs with something to send.
    pub ready: usize,
    /// Deadlines.
    pub timers: usize,
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
    /// Packets of several sources made.
    pub mixed: u64,
    /// Comfort noise packets made.
    pub comfort: u64,
    /// RTCP packets made.
    pub rtcp: u64,
    /// Lost inside the host: kernel drops and failed sends.
    pub lost: u64,
    /// Sessions alive now.
    pub sessions: u64,
    /// Digits and ends of prompts that found their session's mailbox full: nobody had fetched 32 of them.
    pub overflowed: u64,
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
            mixed: 0,
            comfort: 0,
            rtcp: 0,
            lost: 0,
            sessions: 0,
            overflowed: 0,
            dropped: [0; Reason::ALL.len()],
        }
    }
}
