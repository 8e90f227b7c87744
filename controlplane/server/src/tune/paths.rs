//! The core and its codecs without the kernel: what one packet, or one frame, costs the processor.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::codec::g711::Law;
use media::command::{
    Codec, Command, Dtmf, Format, Generation, Hears, Latch, LegId, LegSpec, Play, PlayId, Port, PromptId, SessionId,
    SessionSpec,
};
use media::core::{ADDED_LATENCY, Config, Core, SILENCE};
use media::prompt::Prompts;
use media::rtp::{HEADER, Header, Seq};

/// Calls in the core: so many that their state does not lie in the nearest cache.
const CALLS: u16 = 500;

const FIRST_PORT: u16 = 10_000;

/// Bytes of a frame of G.711.
const FRAME: usize = 160;

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) name: &'static str,
    pub(super) ns: f64,
}

/// Each path of a row, ns a packet. `time`: for each.
pub(super) fn paths(time: Duration) -> Vec<Cost> {
    let relay = |codec| Row::Legs(codec);
    let mut costs = Vec::new();
    for (name, codec) in [("relay", Codec::Pcmu), ("transcode", Codec::Pcma)] {
        let mut bench = Bench::new(relay(codec));
        let ns = cost(time, || bench.packet());
        costs.push(Cost { name, ns });
    }
    for (name, row) in [("play", Row::Play), ("comfort", Row::Nothing)] {
        let mut bench = Bench::new(row);
        let ns = cost(time, || bench.tick());
        costs.push(Cost { name, ns });
    }
    let mut bench = Bench::new(relay(Codec::Pcmu));
    let ns = cost(time, || bench.report());
    costs.push(Cost { name: "rtcp", ns });
    costs
}

/// Each codec, ns a frame of 20 ms. `time`: for each.
pub(super) fn frames(time: Duration) -> Vec<Cost> {
    let mut payload = [0_u8; FRAME];
    let mut samples: [i16; FRAME] = std::array::from_fn(|at| (at as i16 - 80) * 300);
    let mut costs = Vec::new();
    for (name, law) in [("PCMU encode", Law::Mu), ("PCMA encode", Law::A)] {
        let ns = cost(time, || black_box(law.encode(black_box(&samples), &mut payload)).min(1));
        costs.push(Cost { name, ns });
    }
    for (name, law) in [("PCMU decode", Law::Mu), ("PCMA decode", Law::A)] {
        let ns = cost(time, || black_box(law.decode(black_box(&payload), &mut samples)).min(1));
        costs.push(Cost { name, ns });
    }
    let ns = cost(time, || {
        Law::Mu.transcode(Law::A, black_box(&mut payload));
        1
    });
    costs.push(Cost {
        name: "PCMU to PCMA",
        ns,
    });
    costs
}

/// ns for each of what `once` says to have done: the median of five parts of the time, after a first one that does not count.
fn cost(time: Duration, mut once: impl FnMut() -> usize) -> f64 {
    let mut parts: Vec<f64> = (0..6)
        .map(|_| {
            let (begin, mut done) = (Instant::now(), 0);
            loop {
                for _ in 0..64 {
                    done += once();
                }
                let passed = begin.elapsed();
                if passed >= time / 6 {
                    return passed.as_nanos() as f64 / done.max(1) as f64;
                }
            }
        })
        .skip(1)
        .collect();
    parts.sort_by(f64::total_cmp);
    parts[parts.len() / 2]
}

/// What both parties of each call hear.
#[derive(Clone, Copy)]
enum Row {
    /// Each other; the second one has this codec.
    Legs(Codec),
    Play,
    Nothing,
}

struct Bench {
    core: Core,
    now: Instant,
    buffer: [u8; 2048],
    call: u16,
    sequence: u16,
}

impl Bench {
    fn new(row: Row) -> Bench {
        let now = Instant::now();
        let mut prompts = Prompts::new();
        // A library of one prompt has room for it.
        let hold = prompts.add("hold", &[1000; 16_000]).unwrap_or(PromptId(0));
        let config = Config {
            first_port: Port(FIRST_PORT),
            pairs: 2 * CALLS,
            sessions: usize::from(CALLS),
            guests: 0,
            pending: 1024,
            prompts: Arc::new(prompts),
            cname: "baton".to_owned(),
            seed: 1,
            coders: Arc::default(),
            silence: SILENCE,
            added_latency: ADDED_LATENCY,
        };
        let mut core = Core::new(config, now);
        for call in 0..CALLS {
            let hears = |leg: u16| match row {
                Row::Legs(_) => heard(1 - leg),
                Row::Play => played(u64::from(leg), hold),
                Row::Nothing => Hears::default(),
            };
            let codec = match row {
                Row::Legs(codec) => codec,
                Row::Play | Row::Nothing => Codec::Pcmu,
            };
            let first = port(call);
            let legs = [
                leg(0, first, party(first), Codec::Pcmu, hears(0)),
                leg(1, first + 2, party(first + 2), codec, hears(1)),
            ];
            core.handle_command(now, set(u64::from(call), 1, legs));
        }
        while core.poll_event().is_some() {}
        Bench {
            core,
            now,
            buffer: [0x55; 2048],
            call: 0,
            sequence: 0,
        }
    }

    /// A packet of the next call's first party.
    fn packet(&mut self) -> usize {
        if self.call == 0 {
            self.now += Duration::from_millis(20);
            self.sequence = self.sequence.wrapping_add(1);
        }
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: Seq(self.sequence),
            timestamp: u32::from(self.sequence).wrapping_mul(FRAME as u32),
            ssrc: 7,
        };
        header.write(&mut self.buffer);
        let first = port(self.call);
        self.call = (self.call + 1) % CALLS;
        let verdict = self
            .core
            .handle_packet(self.now, Port(first), party(first), &mut self.buffer, HEADER + FRAME);
        black_box(verdict);
        1
    }

    /// All packets of the next 20 ms.
    fn tick(&mut self) -> usize {
        self.now += Duration::from_millis(20);
        let mut made = 0;
        while self.core.poll_timeout().is_some_and(|at| at <= self.now) {
            self.core.handle_timeout(self.now);
            while let Some(transmit) = self.core.poll_transmit(self.now, &mut self.buffer) {
                black_box(transmit);
                made += 1;
            }
        }
        while self.core.poll_event().is_some() {}
        made
    }

    /// A report of the next call's first party: RFC 3550 §6.4.1, then §6.5.
    fn report(&mut self) -> usize {
        if self.call == 0 {
            self.now += Duration::from_secs(5);
        }
        let mut report = [0_u8; 44];
        report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
        report[4..8].copy_from_slice(&7_u32.to_be_bytes());
        report[28..32].copy_from_slice(&[0x81, 202, 0, 3]);
        report[32..36].copy_from_slice(&7_u32.to_be_bytes());
        report[36..40].copy_from_slice(&[1, 4, b'c', b'o']);
        report[40..42].copy_from_slice(b"re");
        self.buffer[..44].copy_from_slice(&report);
        let first = port(self.call);
        self.call = (self.call + 1) % CALLS;
        let verdict = self
            .core
            .handle_packet(self.now, Port(first + 1), party(first), &mut self.buffer, 44);
        black_box(verdict);
        1
    }
}

fn port(call: u16) -> u16 {
    FIRST_PORT + 4 * call
}

/// Where the party is whose leg has this port.
fn party(port: u16) -> SocketAddr {
    SocketAddr::from((IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port))
}

/// A row that hears this leg.
pub(super) fn heard(leg: u16) -> Hears {
    Hears::legs([LegId(leg)])
}

/// A row that hears a prompt for ever.
pub(super) fn played(play: u64, prompt: PromptId) -> Hears {
    Hears {
        play: Some(Play {
            id: PlayId(play),
            queue: [prompt].into_iter().collect(),
            repeat_last: true,
        }),
        ..Hears::default()
    }
}

/// A leg of 20 ms packets.
pub(super) fn leg(leg: u16, port: u16, remote: SocketAddr, codec: Codec, hears: Hears) -> LegSpec {
    let number = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16 => 96,
        Codec::L16Wide => 97,
        Codec::Opus => 98,
    };
    LegSpec {
        leg: LegId(leg),
        port: Port(port),
        remote: Some(remote),
        remote_rtcp: None,
        exchange: 1,
        format: Format {
            codec,
            send: number,
            receive: number,
            events: None,
            comfort_noise: None,
        },
        also: None,
        opus: Default::default(),
        pressed: Default::default(),
        ptime_ms: 20,
        maxptime_ms: None,
        latch: Latch::SignalledIp,
        dtmf: Dtmf::Relay,
        send: true,
        receive: false,
        hears,
    }
}

pub(super) fn set(session: u64, generation: u64, legs: impl IntoIterator<Item = LegSpec>) -> Command {
    Command::Set {
        session: SessionId(session),
        generation: Generation(generation),
        spec: SessionSpec {
            legs: legs.into_iter().collect(),
            watch: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_the_one_that_is_meant() {
        let many = usize::from(CALLS);
        for (codec, transcoded) in [(Codec::Pcmu, 0), (Codec::Pcma, 1)] {
            let mut bench = Bench::new(Row::Legs(codec));
            (0..3 * many).for_each(|_| assert_eq!(bench.packet(), 1));
            let counters = bench.core.counters();
            assert_eq!(counters.forwarded, 3 * many as u64);
            assert_eq!(counters.transcoded, transcoded * counters.forwarded);
        }
        let mut bench = Bench::new(Row::Play);
        let made: usize = (0..10).map(|_| bench.tick()).sum();
        assert_eq!(
            (bench.core.counters().played, bench.core.counters().comfort),
            (made as u64, 0)
        );
        assert!(made >= 18 * many, "{made}");
        let mut bench = Bench::new(Row::Nothing);
        let made: usize = (0..10).map(|_| bench.tick()).sum();
        assert_eq!(
            (bench.core.counters().comfort, bench.core.counters().played),
            (made as u64, 0)
        );
        let mut bench = Bench::new(Row::Legs(Codec::Pcmu));
        (0..many).for_each(|_| assert_eq!(bench.report(), 1));
        assert_eq!(
            bench.core.counters().dropped.iter().sum::<u64>(),
            0,
            "a report that is none"
        );
    }

    #[test]
    fn a_cost_is_the_time_by_what_was_done() {
        let mut done = 0;
        let begin = Instant::now();
        let ns = cost(Duration::from_millis(6), || {
            done += 2;
            std::thread::yield_now();
            2
        });
        assert!(ns > 0.0 && done > 0);
        assert!(ns * done as f64 <= 12.0 * begin.elapsed().as_nanos() as f64);
    }
}
