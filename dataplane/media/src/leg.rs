//! A leg: where its peer is, what we receive from it, and the line on which it is sent its row.

use std::net::SocketAddr;
use std::time::Instant;

use arrayvec::ArrayVec;

use crate::clock::Clock;
use crate::codec::opus::Wishes;
use crate::command::{Codec, Dtmf, Format, LEGS_MAX, LegId, LegSpec, PlayId, Port, SILENT_AFTER};
use crate::dtmf;
use crate::evidence::Meter;
use crate::keys::Keys;
use crate::latch::Latched;
use crate::line::Line;
use crate::listening::Listening;
use crate::presses::Presses;
use crate::route::Row;
use crate::rtcp::{Ntp, Reception, Report, ReportBlock, SenderInfo};
use crate::rtp::{Arrival, Header, Seq};
use crate::seed::Seed;
use crate::timers::NEVER;
use crate::voice::Voice;

/// A leg's pair of ports, the same on every core: half of its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u16);

/// A session's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionSlot(pub(crate) u32);

/// [`SILENT_AFTER`] in ns.
pub(crate) const SILENT: u64 = SILENT_AFTER.as_nanos() as u64;

/// Whose sound a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A leg's.
    Leg(Slot),
    /// A prompt's.
    Play(PlayId),
    /// Several legs'.
    Mix,
    /// Nobody's: the row is empty.
    Nothing,
    /// Nobody's: comfort noise for a source that the row holds and that is silent.
    StandIn,
}

/// What a packet sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// Samples of the codec.
    Audio,
    /// A telephone-event (RFC 4733).
    Event,
    /// A description of comfort noise (RFC 3389).
    Noise,
}

/// A packet on a line, and what upstream has to do with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    /// Line of the leg; a port may get another leg while a packet waits.
    pub(crate) ssrc: u32,
    pub(crate) sequence: Seq,
    pub(crate) timestamp: u32,
    /// The line's.
    pub(crate) clock: Clock,
    /// Ticks until its sound ends.
    pub(crate) duration: u32,
    pub(crate) sound: Sound,
    pub(crate) origin: Origin,
    /// Numbers that upstream passed over since the last packet of this source on the line, and those that found no buffer.
    pub(crate) missing: u16,
    /// Ticks of the line that upstream stepped since then, where that is known.
    pub(crate) ticks: Option<u32>,
    /// They come from another clock, and are a tick more or less.
    pub(crate) rounded: bool,
    /// What its number upstream says, where it came from there.
    pub(crate) arrival: Option<Arrival>,
    /// Mean square of its samples, where it is known already.
    pub(crate) level: Option<u32>,
}

/// A received packet, checked and understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbound {
    pub(crate) header: Header,
    pub(crate) content: Content,
    /// Where its payload lies in the buffer.
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) dtmf: Dtmf,
    /// How long a key was held before the segment that this is of, ticks.
    pub(crate) held: u32,
    pub(crate) format: Format,
    pub(crate) arrival: Arrival,
    /// Step of the timestamp from the packet that was ahead of all until now, for one that is ahead of it or late.
    pub(crate) ticks: u32,
}

impl Inbound {
    /// The clock in which its digits are counted.
    pub(crate) fn event_clock(&self) -> Clock {
        let events = self.format.events;
        events.map_or(Clock::of(self.format.codec), |events| Clock::hz(events.clock_hz))
    }

    /// How long its samples sound, ticks of another clock. `None` where they are none of its codec.
    pub(crate) fn duration(&self, clock: Clock, payload: &[u8]) -> Option<u32> {
        let codec = self.format.codec;
        Some(Clock::of(codec).to(clock, codec.duration(payload)?))
    }
}

/// What is in a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Samples of the leg's codec.
    Audio,
    /// A digit or another event.
    Event(dtmf::Event),
    /// Samples, with the tone of a key in them that nobody is to hear.
    Tone,
    /// Comfort noise.
    Noise,
    /// A payload type that was not negotiated, or nothing at all.
    Unmapped,
}

/// What a leg's timers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next frame that we make, or the check whether the source has fallen silent.
    Tick,
    /// The new source of the row has not come.
    Takeover,
    /// The next RTCP report.
    Report,
    /// The check whether the peer still sends.
    Silence,
}

/// What a leg has ready for [`crate::core::Core::poll_transmit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// A frame that was due at this time, ns.
    pub(crate) frame: Option<u64>,
    pub(crate) report: bool,
    /// It stands in the queue.
    pub(crate) queued: bool,
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) slot: Slot,
    pub(crate) session: SessionSlot,
    pub(crate) port: Port,
    pub(crate) format: Format,
    /// What it may send in besides: an offer's codec, before its answer.
    pub(crate) also: Option<Format>,
    /// What it spoke until its codec was changed, and may still be on its way: until its first packet in the new one.
    pub(crate) before: Option<Format>,
    /// How it wants Opus encoded.
    pub(crate) opus: Wishes,
    /// Keys that it is told beside what it hears.
    pub(crate) presses: Presses,
    pub(crate) ptime_ms: u8,
    pub(crate) dtmf: Dtmf,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) remote_rtcp: Option<SocketAddr>,
    pub(crate) send: bool,
    /// It belongs to a state that was carried out; until then its row is empty.
    pub(crate) in_force: bool,
    pub(crate) latch: Latched,
    pub(crate) line: Line,
    pub(crate) row: Row,
    pub(crate) source: Source,
    pub(crate) meter: Meter,
    /// While a window waits for the word of a leg that it hears.
    pub(crate) listening: Option<Listening>,
    /// Where its keys are in its sound, and are taken.
    pub(crate) keys: Option<Keys>,
    pub(crate) voice: Voice,
    pub(crate) timers: [u64; 4],
    pub(crate) ready: Ready,
    /// Its row is silent for so long before comfort noise takes its place, ns.
    pub(crate) comfort_after: u64,
    /// Packets of this line in [`crate::pending::Pending`]: what follows must not overtake them.
    pub(crate) waiting: u16,
    /// Packets on the line at the last report.
    reported: u32,
}

/// What we receive from a leg.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: Option<u32>,
    /// What its last samples were in.
    pub(crate) codec: Option<Codec>,
    pub(crate) reception: Reception,
    timestamp: u32,
    /// How long the last packet of audio is.
    pub(crate) packet_ms: Option<u8>,
    /// When the last packet came that a listener could hear, ns.
    pub(crate) heard_at: Option<u64>,
    /// The last digit and the one before.
    digits: [Option<Key>; 2],
    /// When the last packet came that is of use, ns.
    pub(crate) received_at: u64,
    /// Since when it should send, ns.
    expected: Option<u64>,
    /// It was told to be silent.
    pub(crate) told_silent: bool,
    /// A `Set` waits for its next packet.
    pub(crate) awaited: bool,
    /// Rows that hold it, or wait for it.
    pub(crate) listeners: ArrayVec<Slot, LEGS_MAX>,
}

impl Leg {
    pub(crate) fn new(
        spec: &LegSpec,
        slot: Slot,
        session: SessionSlot,
        now: u64,
        comfort_after: u64,
        seed: &mut Seed,
    ) -> Leg {
        Leg {
            id: spec.leg,
            slot,
            session,
            port: spec.port,
            format: spec.format,
            also: spec.also,
            before: None,
            opus: spec.opus,
            presses: Presses::default(),
            ptime_ms: spec.ptime_ms,
            dtmf: spec.dtmf,
            remote: None,
            remote_rtcp: None,
            send: false,
            in_force: false,
            latch: Latched::new(spec.latch),
            line: Line::new(seed, Clock::of(spec.format.codec)),
            row: Row::new(now),
            source: Source::new(spec.format),
            meter: Meter::default(),
            listening: None,
            keys: None,
            voice: Voice::default(),
            timers: [NEVER; 4],
            ready: Ready::default(),
            comfort_after,
            waiting: 0,
            reported: 0,
        }
    }

    /// Takes over what the control plane says about the peer.
    pub(crate) fn update(&mut self, now: Instant, spec: &LegSpec, seed: &mut Seed) {
        if self.format.codec != spec.format.codec {
            self.before = self.before(spec.format.codec);
            self.change_codec(spec.format.codec, seed);
        }
        let counts = |format: &Format| format.events.map(|events| events.clock_hz);
        if counts(&self.format) != counts(&spec.format) {
            self.presses.forget();
        }
        self.format = spec.format;
        self.also = spec.also;
        self.opus = spec.opus;
        self.presses.take(&spec.pressed);
        self.ptime_ms = match spec.format.codec {
            // Prompts and noise are coded once for all.
            Codec::Opus => 20,
            _ => spec.ptime_ms,
        };
        self.remote = spec.remote;
        self.remote_rtcp = spec.remote_rtcp;
        self.send = spec.send;
        self.latch.set(now, spec.latch, spec.remote, spec.exchange);
    }

    /// What it may speak until its first packet in the codec that it has, or is given.
    pub(crate) fn before(&self, codec: Codec) -> Option<Format> {
        if self.format.codec == codec {
            return self.before;
        }
        // One that came in the new codec already has changed.
        Some(self.format).filter(|_| self.source.codec != Some(codec))
    }

    /// Its peer wants another codec. With another clock the line begins anew (RFC 7160): nothing is known of how the two clocks go
    /// together at the far end.
    fn change_codec(&mut self, codec: Codec, seed: &mut Seed) {
        let clock = Clock::of(codec);
        if clock != self.line.clock {
            self.source.ssrc = None;
            self.line = Line::new(seed, clock);
            self.row.line_changed();
            self.presses.forget();
            self.meter.line_changed();
            // What waits belongs to the old line.
            self.waiting = 0;
            self.reported = 0;
        }
    }

    /// Where its row goes: nowhere before the peer's SDP, nor while it holds us.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        if self.send { self.latch.destination() } else { None }
    }

    /// The earliest of its timers.
    pub(crate) fn due(&self) -> u64 {
        self.timers.into_iter().min().unwrap_or(NEVER)
    }

    pub(crate) fn timer(&mut self, timer: Timer) -> &mut u64 {
        &mut self.timers[timer as usize]
    }

    /// One packet time of what we make, ns.
    pub(crate) fn packet_time(&self) -> u64 {
        u64::from(self.ptime_ms) * 1_000_000
    }

    /// Port and address of its RTCP.
    pub(crate) fn rtcp(&self) -> Option<(Port, SocketAddr)> {
        let to = self.remote_rtcp?;
        // RFC 5761: muxed onto the RTP port. RFC 3550 §11: otherwise the odd port above.
        let muxed = self.remote == Some(to);
        Some((Port(if muxed { self.port.0 } else { self.port.0 + 1 }), to))
    }

    /// Whether RTCP from this address is the peer's. It decides nothing else, least of all the latch.
    pub(crate) fn sends_rtcp(&self, from: SocketAddr) -> bool {
        let known = [self.remote_rtcp, self.remote, self.latch.destination()];
        let ip = from.ip().to_canonical();
        known
            .into_iter()
            .flatten()
            .any(|address| address.ip().to_canonical() == ip)
    }

    /// Writes a report: SR about our line where it sent since the last one, RR about what we received
    /// (RFC 3550 §6.4). `ntp` is the same moment as `now` and `at`.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        at: u64,
        ntp: Ntp,
        cname: &str,
        bye: bool,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let sent = self.line.packets != self.reported;
        self.reported = self.line.packets;
        let sender = sent.then(|| SenderInfo {
            ntp,
            rtp_timestamp: self.line.timestamp_at(at),
            packets: self.line.packets,
            octets: self.line.octets,
        });
        let block: Option<ReportBlock> = self
            .source
            .ssrc
            .and_then(|ssrc| self.source.reception.report(now, ssrc));
        let blocks = block.as_slice();
        Report {
            ssrc: self.line.ssrc,
            sender,
            blocks,
            cname,
            bye,
        }
        .write(buffer)
    }
}

impl Source {
    fn new(format: Format) -> Source {
        Source {
            ssrc: None,
            codec: None,
            reception: Reception::new(format.codec.clock_hz()),
            timestamp: 0,
            packet_ms: None,
            heard_at: None,
            digits: [None; 2],
            received_at: 0,
            expected: None,
            told_silent: false,
            awaited: false,
            listeners: ArrayVec::new(),
        }
    }

    /// Takes note of an accepted packet: what its number says, and the step of its timestamp.
    pub(crate) fn receive(&mut self, now: Instant, header: &Header, clock_hz: u32) -> (Arrival, u32) {
        if self.ssrc != Some(header.ssrc) {
            self.ssrc = Some(header.ssrc);
            self.reception = Reception::new(clock_hz);
            self.digits = [None; 2];
        }
        let arrival = self.reception.receive(now, header.sequence, header.timestamp);
        let ticks = match arrival {
            Arrival::Duplicate | Arrival::Wild => 0,
            Arrival::Late => header.timestamp.wrapping_sub(self.timestamp),
            Arrival::First | Arrival::Restart => {
                self.timestamp = header.timestamp;
                0
            }
            Arrival::Ahead { .. } => {
                let ticks = header.timestamp.wrapping_sub(self.timestamp);
                self.timestamp = header.timestamp;
                ticks
            }
        };
        (arrival, ticks)
    }

    /// Whether it should send from now on. Returns when its silence is to be looked at, if it is.
    pub(crate) fn expect(&mut self, now: u64, expected: bool, silence: u64) -> u64 {
        self.expected = match self.expected {
            _ if !expected => None,
            since => since.or(Some(now)),
        };
        self.silence_due(silence)
    }

    /// When it has been silent for so long, where that is still to be told.
    pub(crate) fn silence_due(&self, silence: u64) -> u64 {
        match self.expected {
            Some(since) if !self.told_silent => since.max(self.received_at).saturating_add(silence),
            _ => NEVER,
        }
    }

    /// Whether nothing came that a listener could hear for 60 ms.
    pub(crate) fn is_silent(&self, now: u64) -> bool {
        self.heard_at.is_none_or(|at| now.saturating_sub(at) >= SILENT)
    }

    /// Whether an event's packet is the first of a new digit, and the digit that it is part of: every digit has its own
    /// timestamp (RFC 4733 §2.5.1.2), and a late packet of an old one has an older. A digit stays what it was when it
    /// began: the rest of the key that accepted a call is not the caller's to hear.
    /// A key that is held for longer than a packet can say goes on with another timestamp, where the last segment ended (RFC 4733
    /// §2.5.1.3): 1.36 s in a clock of 48,000 Hz.
    pub(crate) fn digit(&mut self, timestamp: u32, event: dtmf::Event, mode: Dtmf, clock_hz: u32) -> (bool, Key) {
        /// A source does not send packets of a digit that was so long ago, s.
        const LATE_MAX: u32 = 10;
        let [last, _] = self.digits;
        let known = self.digits.into_iter().flatten().find(|key| key.timestamp == timestamp);
        let (new, key) = match (known, last) {
            (Some(key), _) => (false, key),
            (None, Some(last)) if last.full == Some(event.code) && timestamp == last.end() => {
                let goes_on = Key {
                    timestamp,
                    held: last.held.saturating_add(SEGMENT),
                    full: None,
                    ..last
                };
                self.digits = [Some(goes_on), last.into()];
                (false, goes_on)
            }
            (None, Some(last)) if last.timestamp.wrapping_sub(timestamp) <= LATE_MAX * clock_hz => {
                (false, Key::new(timestamp, mode))
            }
            (None, last) => {
                let key = Key::new(timestamp, mode);
                self.digits = [Some(key), last];
                (true, key)
            }
        };
        if let [Some(last), _] = &mut self.digits
            && last.timestamp == timestamp
            && u32::from(event.duration) == SEGMENT
            && !event.end
        {
            last.full = Some(event.code);
        }
        (new, key)
    }
}

/// The longest that a packet can say of a key, ticks.
const SEGMENT: u32 = u16::MAX as u32;

/// A key that is, or was, held; or a segment of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    timestamp: u32,
    /// What becomes of it.
    pub(crate) mode: Dtmf,
    /// How long it was held before this segment, ticks of the source.
    pub(crate) held: u32,
    /// Its code, where the segment is as long as it can be: the next one goes on with it.
    full: Option<u8>,
}

impl Key {
    fn new(timestamp: u32, mode: Dtmf) -> Key {
        Key {
            timestamp,
            mode,
            held: 0,
            full: None,
        }
    }

    fn end(&self) -> u32 {
        self.timestamp.wrapping_add(SEGMENT)
    }
}
