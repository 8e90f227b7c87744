//! The core from outside, on virtual time: talkers send RTP bytes, listeners record what they are sent.

mod changes;
mod coders;
mod control;
mod dtmf;
mod evidence;
mod fading;
mod handoff;
mod hears;
mod latch;
mod lending;
mod mixing;
mod model;
mod moving;
mod order;
mod patience;
mod presses;
mod random;
mod repacking;
mod rtcp;
mod silence;
mod tones;
mod unruly;
mod wishes;
mod words;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use super::{ADDED_LATENCY, Alive, Config, Core, Departure, Parcel, SILENCE};
use crate::command::{
    Codec, Command, Dtmf, Event, EventFormat, Format, Generation, Hears, Latch, LegId, LegSpec, Play, PlayId, Port,
    PromptId, Refusal, SessionId, SessionSpec,
};
use crate::prompt::Prompts;
use crate::rtp::{Header, Packet, Seq, timestamp_distance};
use crate::verdict::{Reason, Verdict};
use crate::voice::tests::said;

const CALL: SessionId = SessionId(1);
const CALLER: LegId = LegId(0);
const AI: LegId = LegId(1);
const HUMAN: LegId = LegId(2);
const MS: u64 = 1_000_000;

/// A G.711 µ-law byte of about −10 dBm0 when alternating with its negative: clearly speech.
const LOUD: [u8; 2] = [0x90, 0x10];

/// What somebody was sent.
#[derive(Clone, Debug)]
struct Sent {
    at: u64,
    from: Port,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn header(&self) -> Header {
        Packet::parse(&mut self.bytes.clone()).unwrap().header()
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[12..]
    }
}

/// Somebody who sends a packet every 20 ms, or whatever is set.
#[derive(Clone, Debug)]
struct Talker {
    leg: LegId,
    next: u64,
    /// Length of a packet, ns.
    every: u64,
    until: u64,
    header: Header,
    payload: Vec<u8>,
    /// What it says instead, over and over, and what comes next.
    packets: (Vec<Vec<u8>>, usize),
    codec: Codec,
}

struct Rig {
    core: Core,
    /// Another one, to which the session can go.
    away: Core,
    start: Instant,
    now: u64,
    talkers: Vec<Talker>,
    sent: Vec<Sent>,
    verdicts: Vec<(u64, LegId, Verdict)>,
    events: Vec<(u64, Event)>,
    generation: u64,
    /// Packets that the talkers have sent.
    talked: u64,
}

/// Prompts of the library: half a second of tone, one second of another, and 30 ms.
const BRIEF: PromptId = PromptId(0);
const HOLD: PromptId = PromptId(1);
const SHORT: PromptId = PromptId(2);

fn prompts() -> Arc<Prompts> {
    static MADE: LazyLock<Arc<Prompts>> = LazyLock::new(make_prompts);
    MADE.clone()
}

fn make_prompts() -> Arc<Prompts> {
    let mut prompts = Prompts::new();
    let tone = |len: usize, level: i16| {
        (0..len)
            .map(|n| if n % 8 < 4 { level } else { -level })
            .collect::<Vec<_>>()
    };
    assert_eq!(prompts.add("brief", &tone(4_000, 8_000)), Some(BRIEF));
    assert_eq!(prompts.add("hold", &tone(8_000, 4_000)), Some(HOLD));
    assert_eq!(prompts.add("short", &tone(240, 6_000)), Some(SHORT));
    Arc::new(prompts)
}

fn config() -> Config {
    Config {
        first_port: Port(10_000),
        pairs: 8,
        guests: 0,
        sessions: 4,
        pending: 16,
        prompts: prompts(),
        cname: "test@baton".to_owned(),
        seed: 42,
        coders: Arc::default(),
        silence: SILENCE,
        added_latency: ADDED_LATENCY,
    }
}

fn port(leg: LegId) -> Port {
    Port(10_000 + 2 * leg.0)
}

fn remote(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + leg.0 as u8], 4_000 + leg.0))
}

fn pcmu() -> Format {
    Format {
        codec: Codec::Pcmu,
        send: 0,
        receive: 0,
        events: Some(EventFormat {
            send: 101,
            receive: 101,
            clock_hz: 8_000,
        }),
        comfort_noise: None,
    }
}

/// A payload type.
fn number(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16 => 96,
        Codec::L16Wide => 97,
        Codec::Opus => 98,
    }
}

/// A leg of another codec.
fn leg_in(id: LegId, codec: Codec, hears: Hears) -> LegSpec {
    LegSpec {
        format: Format {
            codec,
            send: number(codec),
            receive: number(codec),
            events: Some(EventFormat {
                send: 101,
                receive: 101,
                clock_hz: codec.clock_hz(),
            }),
            comfort_noise: None,
        },
        ..leg(id, hears)
    }
}

fn leg(leg: LegId, hears: Hears) -> LegSpec {
    LegSpec {
        leg,
        port: port(leg),
        remote: Some(remote(leg)),
        remote_rtcp: None,
        exchange: 1,
        format: pcmu(),
        also: None,
        opus: Default::default(),
        pressed: Default::default(),
        ptime_ms: 20,
        maxptime_ms: None,
        latch: Latch::SignalledIp,
        dtmf: Dtmf::Relay,
        send: true,
        receive: true,
        hears,
    }
}

fn hears(leg: LegId) -> Hears {
    Hears::legs([leg])
}

/// The leg, once it is heard.
fn awaits(leg: LegId, ms: u64) -> Hears {
    Hears {
        patience: Duration::from_millis(ms),
        ..hears(leg)
    }
}

fn nobody() -> Hears {
    Hears::default()
}

fn plays(id: u64, queue: &[PromptId], repeat_last: bool) -> Hears {
    let queue = queue.iter().copied().collect();
    Hears {
        play: Some(Play {
            id: PlayId(id),
            queue,
            repeat_last,
        }),
        ..Hears::default()
    }
}

fn spec(legs: &[LegSpec]) -> SessionSpec {
    SessionSpec {
        legs: legs.iter().cloned().collect(),
        watch: None,
    }
}

impl Rig {
    fn new() -> Rig {
        Rig::with(config())
    }

    fn with(config: Config) -> Rig {
        let start = Instant::now();
        // The other core has its own ports and places for the session's, and makes other numbers.
        let away = Config {
            first_port: Port(30_000),
            pairs: 1,
            guests: 8,
            seed: !config.seed,
            ..config.clone()
        };
        Rig {
            core: Core::new(config, start),
            away: Core::new(away, start),
            start,
            now: 0,
            talkers: Vec::new(),
            sent: Vec::new(),
            verdicts: Vec::new(),
            events: Vec::new(),
            generation: 0,
            talked: 0,
        }
    }

    /// The session goes to the other core; from then on that is the one that everybody means.
    fn hop(&mut self) {
        let mut parcel = Parcel::default();
        assert!(self.away.expect(), "there is room");
        match self.core.depart(CALL, &mut parcel) {
            Departure::Gone => assert!(!parcel.is_empty()),
            Departure::Unknown => self.away.expect_no_more(),
            Departure::NotYet => panic!("everything was fetched"),
        }
        if !parcel.is_empty() {
            assert_eq!(self.core.alive(), Alive::default(), "nothing of it is left");
            self.away.arrive(&mut parcel);
            assert!(parcel.is_empty());
            // A leg that comes later has its port here all the same, whoever the core is.
            for leg in (0..4).map(LegId) {
                if let Some(slot) = self.core.table.slot(port(leg)) {
                    self.core.table.own(slot, false);
                    self.away.table.own(slot, true);
                }
            }
            std::mem::swap(&mut self.core, &mut self.away);
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_nanos(self.now)
    }

    /// Applies a whole state with the next generation.
    fn set(&mut self, spec: SessionSpec) -> Generation {
        self.generation += 1;
        let generation = Generation(self.generation);
        self.command(Command::Set {
            session: CALL,
            generation,
            spec,
        });
        generation
    }

    fn command(&mut self, command: Command) {
        let now = self.instant();
        self.core.handle_command(now, command);
        self.drain();
    }

    fn end(&mut self) {
        self.command(Command::End { session: CALL });
    }

    /// A talker on a leg from `phase` ms on, with two bytes that alternate.
    fn talk(&mut self, leg: LegId, phase_ms: u64, bytes: [u8; 2]) {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: Seq(1_000 * (leg.0 + 1)),
            timestamp: 77_000 * (u32::from(leg.0) + 1),
            ssrc: 0xa000 + u32::from(leg.0),
        };
        let payload = bytes.iter().copied().cycle().take(160).collect();
        let next = self.now + phase_ms * MS;
        self.talkers.push(Talker {
            leg,
            next,
            every: 20 * MS,
            until: u64::MAX,
            header,
            payload,
            packets: (Vec::new(), 0),
            codec: Codec::Pcmu,
        });
    }

    /// A talker of another codec: a tone of 1 kHz, in packets of 20 ms.
    fn talk_in(&mut self, leg: LegId, phase_ms: u64, codec: Codec) {
        self.talk(leg, phase_ms, LOUD);
        let talker = self.talker(leg);
        talker.codec = codec;
        talker.header.payload_type = number(codec);
        static SAID: LazyLock<Vec<Vec<Vec<u8>>>> =
            LazyLock::new(|| Codec::ALL.into_iter().map(|codec| said(codec, 50, 20)).collect());
        talker.packets.0.clone_from(&SAID[codec as usize]);
    }

    /// Stops a talker now.
    fn hush(&mut self, leg: LegId) {
        let now = self.now;
        self.talker(leg).until = now;
    }

    fn talker(&mut self, leg: LegId) -> &mut Talker {
        self.talkers.iter_mut().find(|talker| talker.leg == leg).unwrap()
    }

    /// Runs the virtual time `ms` further.
    fn run(&mut self, ms: u64) {
        self.run_ns(ms * MS);
    }

    fn run_ns(&mut self, ns: u64) {
        let end = self.now + ns;
        loop {
            let talker = self
                .talkers
                .iter()
                .enumerate()
                .filter(|(_, talker)| talker.next < talker.until);
            let talker = talker.map(|(n, talker)| (talker.next, n)).min();
            let timeout = self
                .core
                .poll_timeout()
                .map(|due| due.duration_since(self.start).as_nanos() as u64);
            match (talker, timeout) {
                (Some((at, n)), timeout) if at < end && timeout.is_none_or(|due| at <= due) => {
                    self.now = self.now.max(at);
                    self.speak(n);
                }
                (_, Some(due)) if due < end => {
                    self.now = self.now.max(due);
                    let now = self.instant();
                    self.core.handle_timeout(now);
                    self.drain();
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn speak(&mut self, n: usize) {
        let talker = &mut self.talkers[n];
        talker.next += talker.every;
        let (packets, next) = &mut talker.packets;
        let payload = packets.get(*next).unwrap_or(&talker.payload).clone();
        *next = (*next + 1) % packets.len().max(1);
        let (leg, header) = (talker.leg, talker.header);
        talker.header.sequence = header.sequence.next();
        let ticks = talker.codec.duration(&payload).unwrap_or(0);
        talker.header.timestamp = header.timestamp.wrapping_add(ticks);
        self.talked += 1;
        self.packet(leg, &header, &payload);
    }

    /// One packet from the leg's peer.
    fn packet(&mut self, leg: LegId, header: &Header, payload: &[u8]) -> Verdict {
        self.packet_from(port(leg), remote(leg), header, payload)
    }

    fn packet_from(&mut self, port: Port, from: SocketAddr, header: &Header, payload: &[u8]) -> Verdict {
        let mut bytes = vec![0; 12 + payload.len()];
        header.write(&mut bytes).unwrap().copy_from_slice(payload);
        self.datagram(port, from, &bytes)
    }

    fn datagram(&mut self, port: Port, from: SocketAddr, bytes: &[u8]) -> Verdict {
        let mut buffer = [0; 2048];
        buffer[..bytes.len()].copy_from_slice(bytes);
        let now = self.instant();
        let verdict = self.core.handle_packet(now, port, from, &mut buffer, bytes.len());
        if let Verdict::Send { from, to, len } = verdict {
            self.sent.push(Sent {
                at: self.now,
                from,
                to,
                bytes: buffer[..len].to_vec(),
            });
        }
        let leg = LegId((port.0 - 10_000) / 2);
        self.verdicts.push((self.now, leg, verdict));
        self.drain();
        verdict
    }

    fn drain(&mut self) {
        let now = self.instant();
        let mut buffer = [0; 2048];
        while let Some(transmit) = self.core.poll_transmit(now, &mut buffer) {
            let bytes = buffer[..transmit.len].to_vec();
            self.sent.push(Sent {
                at: self.now,
                from: transmit.from,
                to: transmit.to,
                bytes,
            });
        }
        while let Some(event) = self.core.poll_event() {
            self.events.push((self.now, event));
        }
    }

    /// The RTP that a leg was sent.
    fn heard(&self, leg: LegId) -> Vec<Sent> {
        let rtp = |sent: &&Sent| sent.from == port(leg) && !(192..=223).contains(&sent.bytes[1]);
        self.sent.iter().filter(rtp).cloned().collect()
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
        self.verdicts.clear();
    }

    fn applied(&self, generation: Generation) -> Option<u64> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Applied { generation: g, at, .. } if *g == generation => {
                Some(at.duration_since(self.start).as_nanos() as u64)
            }
            _ => None,
        })
    }

    /// What was refused for a leg's silence, and when that was said.
    fn refused_silent(&self, generation: Generation) -> Option<u64> {
        self.events.iter().find_map(|(at, event)| match event {
            Event::Refused {
                generation: g,
                reason: Refusal::Silent,
                ..
            } if *g == generation => Some(*at),
            _ => None,
        })
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.core.counters().dropped[reason as usize]
    }
}

/// One line without a break: one SSRC, each number once and in order, timestamps that do not overlap, no gap over the limit.
fn assert_unbroken(heard: &[Sent], gap_max: u64) {
    for pair in heard.windows(2) {
        let (a, b) = (pair[0].header(), pair[1].header());
        assert_eq!(a.ssrc, b.ssrc);
        assert_eq!(b.sequence, a.sequence.next(), "at {} ms", pair[1].at / MS);
        let step = timestamp_distance(b.timestamp, a.timestamp);
        assert!(
            step >= pair[0].payload().len() as i32,
            "timestamps overlap by {step} at {} ms",
            pair[1].at / MS
        );
        let gap = pair[1].at - pair[0].at;
        assert!(gap <= gap_max, "a gap of {} ms at {} ms", gap / MS, pair[1].at / MS);
    }
}

/// Nothing is left after the end.
fn assert_conserved(rig: &mut Rig) {
    rig.end();
    rig.drain();
    assert_eq!(rig.core.alive(), Alive::default());
    assert_eq!(rig.core.counters().sessions, 0);
}
