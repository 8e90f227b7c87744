//! Packets to a core with two sessions: one whose peers send whatever they like, one that must not notice.
//!
//! The input is a row of records: where it goes and comes from, milliseconds passed, a length of two bytes, the datagram.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::command::{
    Codec, Command, Dtmf, Event, EventFormat, Format, Generation, Hears, Latch, LegId, LegSpec, Port, SessionId,
    SessionSpec, Watch, WindowId,
};
use media::core::{ADDED_LATENCY, Config, Core, SILENCE};
use media::prompt::Prompts;
use media::rtp::{Header, Packet, Seq};
use media::verdict::Verdict;

use crate::rtp::START;

/// The session of the peers that send what they like has legs 0–2 on the first three pairs; the other one has legs 3 and 4.
const FIRST: u16 = 10_000;
const LOUD: u16 = 3;
const QUIET: u16 = 4;
const FRAME: Duration = Duration::from_millis(20);
const EVENTS_MAX: usize = 200;

pub(crate) fn messages(data: &[u8]) -> u64 {
    records(data).count().max(1) as u64
}

fn records(mut data: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[to, passed, high, low], rest) = data.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        data = rest;
        Some((to, passed, datagram))
    })
}

pub(crate) fn target(data: &[u8]) {
    let mut world = World::new();
    for (to, passed, datagram) in records(data).take(64) {
        world.pass(Duration::from_millis(u64::from(passed)));
        let leg = u16::from(to & 3) % 3;
        let port = Port(FIRST + 2 * leg + u16::from(to >> 2 & 1));
        let from = match to >> 4 {
            0 => remote(LOUD),
            1 => ([198, 51, 100, 1], 4000).into(),
            2 => SocketAddr::new(remote(leg).ip(), 9),
            _ => remote(leg),
        };
        world.packet(port, from, datagram);
    }
    world.pass(Duration::from_millis(200));
    world.finish();
}

struct World {
    core: Core,
    now: Instant,
    /// When the bystander speaks next.
    next: Instant,
    said: u16,
    /// What its listener got last.
    heard: Option<(u32, u16, u32)>,
    /// SSRC by our port.
    lines: BTreeMap<u16, u32>,
    verdicts: [u64; 3],
}

fn remote(leg: u16) -> SocketAddr {
    ([192, 0, 2, 10 + leg as u8], 4000).into()
}

fn leg(leg: u16, codec: Codec, dtmf: Dtmf, hears: u16) -> LegSpec {
    let payload_type = if codec == Codec::Pcmu { 0 } else { 8 };
    LegSpec {
        leg: LegId(leg),
        port: Port(FIRST + 2 * leg),
        remote: Some(remote(leg)),
        remote_rtcp: Some(remote(leg)),
        exchange: 1,
        format: Format {
            codec,
            send: payload_type,
            receive: payload_type,
            events: (leg != 1).then_some(EventFormat {
                send: 101,
                receive: 101,
                clock_hz: 8_000,
            }),
            comfort_noise: Some(13),
        },
        also: None,
        opus: Default::default(),
        pressed: Default::default(),
        ptime_ms: 20,
        maxptime_ms: None,
        latch: Latch::SignalledIp,
        dtmf,
        send: true,
        receive: true,
        hears: Hears::legs([LegId(hears)]),
    }
}

impl World {
    fn new() -> World {
        let config = Config {
            first_port: Port(FIRST),
            pairs: 5,
            guests: 0,
            sessions: 2,
            pending: 32,
            prompts: Arc::new(Prompts::new()),
            cname: "fuzz".into(),
            seed: 5,
            coders: Arc::default(),
            silence: SILENCE,
            added_latency: ADDED_LATENCY,
        };
        let now = *START;
        let mut core = Core::new(config, now);
        let set = |session, legs: &[LegSpec], watch| Command::Set {
            session: SessionId(session),
            generation: Generation(1),
            spec: SessionSpec {
                legs: legs.iter().cloned().collect(),
                watch,
            },
        };
        let watch = Watch {
            window: WindowId(1),
            first_word_of: Some(LegId(2)),
        };
        let wild = [
            leg(0, Codec::Pcmu, Dtmf::Relay, 2),
            leg(1, Codec::Pcma, Dtmf::Take, 0),
            leg(2, Codec::Pcma, Dtmf::Relay, 0),
        ];
        core.handle_command(now, set(1, &wild, Some(watch)));
        let calm = [
            leg(LOUD, Codec::Pcmu, Dtmf::Relay, QUIET),
            leg(QUIET, Codec::Pcmu, Dtmf::Relay, LOUD),
        ];
        core.handle_command(now, set(2, &calm, None));
        World {
            core,
            now,
            next: now,
            said: 65_500,
            heard: None,
            lines: BTreeMap::new(),
            verdicts: [0; 3],
        }
    }

    /// Time passes; the bystander goes on speaking, and every timer fires when it is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.core.poll_timeout().unwrap_or(end);
            let at = timer.min(self.next).max(self.now);
            if at > end {
                break;
            }
            self.now = at;
            if self.next <= self.now {
                self.speak();
            }
            self.core.handle_timeout(self.now);
            self.drain();
            if at == end && self.next > end && self.core.poll_timeout().is_none_or(|due| due > end) {
                break;
            }
        }
        self.now = end;
    }

    /// The bystander's next packet reaches its listener at once, and their line has no break.
    fn speak(&mut self) {
        self.next += FRAME;
        self.said = self.said.wrapping_add(1);
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: Seq(self.said),
            timestamp: u32::from(self.said) * 160,
            ssrc: 77,
        };
        let mut buffer = [0x55; 256];
        header.write(&mut buffer);
        self.verdicts[0] += 1;
        let port = Port(FIRST + 2 * LOUD);
        let verdict = self.core.handle_packet(self.now, port, remote(LOUD), &mut buffer, 172);
        let Verdict::Send { from, to, len } = verdict else {
            panic!("the bystander's packet was not relayed: {verdict:?}");
        };
        assert_eq!((from, to, len), (Port(FIRST + 2 * QUIET), remote(QUIET), 172));
        self.line(from, &buffer[..len]);
        let packet = Packet::parse(&mut buffer[..len]).expect("we sent RTP");
        let got = (packet.ssrc(), packet.sequence().0, packet.timestamp());
        if let Some((ssrc, sequence, timestamp)) = self.heard {
            // The bystander's sequence numbers wrap, its timestamps do not follow.
            let step = if self.said == 0 {
                got.2.wrapping_sub(timestamp)
            } else {
                160
            };
            let expected = (ssrc, sequence.wrapping_add(1), timestamp.wrapping_add(step));
            assert_eq!(got, expected, "the bystander's line broke");
        }
        self.heard = Some(got);
    }

    fn packet(&mut self, port: Port, from: SocketAddr, datagram: &[u8]) {
        let mut buffer = [0; 2048];
        let len = datagram.len().min(1500);
        buffer[..len].copy_from_slice(&datagram[..len]);
        self.verdicts[0] += 1;
        match self.core.handle_packet(self.now, port, from, &mut buffer, len) {
            Verdict::Send { from, to, len } => {
                assert!(len <= buffer.len() && to != remote(LOUD) && to != remote(QUIET));
                self.line(from, &buffer[..len]);
            }
            Verdict::Consumed => {}
            Verdict::Drop(_) => self.verdicts[1] += 1,
        }
        self.drain();
    }

    /// Fetches what the core makes itself.
    fn drain(&mut self) {
        let mut buffer = [0; 2048];
        let mut made = 0;
        while let Some(transmit) = self.core.poll_transmit(self.now, &mut buffer) {
            made += 1;
            assert!(made <= 64, "the core sends without end");
            self.line(transmit.from, &buffer[..transmit.len]);
        }
        let events = std::iter::from_fn(|| self.core.poll_event())
            .take(EVENTS_MAX)
            .collect::<Vec<_>>();
        assert!(events.len() < EVENTS_MAX, "the core tells without end");
        for event in events {
            assert!(
                !matches!(event, Event::Refused { .. } | Event::Ended { .. }),
                "{event:?}"
            );
        }
        self.verdicts[2] += made;
    }

    /// What leaves a port is one stream for ever.
    fn line(&mut self, from: Port, sent: &[u8]) {
        if !from.0.is_multiple_of(2) || sent.get(1).is_some_and(|c| (192..=223).contains(c)) {
            return;
        }
        let mut sent = sent.to_vec();
        let ssrc = Packet::parse(&mut sent).expect("we sent RTP").ssrc();
        assert_eq!(
            *self.lines.entry(from.0).or_insert(ssrc),
            ssrc,
            "a line changed its SSRC"
        );
    }

    fn finish(mut self) {
        let counters = *self.core.counters();
        assert_eq!(counters.received, self.verdicts[0], "every packet is counted");
        let dropped: u64 = counters.dropped.iter().sum();
        assert!(dropped >= self.verdicts[1], "{counters:?}");
        for session in [SessionId(1), SessionId(2)] {
            self.core.handle_command(self.now, Command::End { session });
        }
        let mut buffer = [0; 2048];
        let mut ended = 0;
        for _ in 0..100 {
            while self.core.poll_transmit(self.now, &mut buffer).is_some() {}
            while let Some(event) = self.core.poll_event() {
                ended += usize::from(matches!(event, Event::Ended { .. }));
            }
            let Some(at) = self.core.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
        }
        assert_eq!(ended, 2);
        assert_eq!(self.core.alive(), media::core::Alive::default());
    }
}
