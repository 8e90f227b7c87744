//! One packet through the core, without the kernel: what each path of a row costs, and how often it allocates (never).
#![allow(unsafe_code, reason = "a global allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use media::codec::g711::Law;
use media::codec::opus::{Band, Encoder, Settings};
use media::coders::{Coders, Sizes};
use media::command::{
    Codec, Command, Dtmf, EventFormat, Format, Generation, Hears, Latch, LegId, LegSpec, Play, PlayId, Port, SessionId,
    SessionSpec, Watch, WindowId,
};
use media::core::{ADDED_LATENCY, Config, Core, SILENCE};
use media::prompt::Prompts;
use media::rtp::{HEADER, Header, Seq};
use media::verdict::Verdict;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed on unchanged to the system's allocator, whose contract is the same. The count is a
// thread-local of a type without a destructor, so touching it neither allocates nor outlives the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 4000);
const AI: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 4000);
const HUMAN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3)), 4000);
const FRAME: Duration = Duration::from_millis(20);

/// What the caller hears.
#[derive(Clone, Copy)]
enum Row {
    Relay {
        codec: Codec,
        watched: bool,
    },
    /// The AI and the human.
    Mix {
        codec: Codec,
        human: Codec,
    },
    Play,
    Comfort,
}

/// A core with one call, and the AI's packets.
struct Bench {
    core: Core,
    now: Instant,
    buffer: [u8; 2048],
    sequence: u16,
    /// What the AI says, 20 ms each.
    speech: Vec<[u8; 160]>,
    /// The same in Opus.
    opus: Vec<Vec<u8>>,
}

impl Bench {
    fn new(row: Row) -> Bench {
        let sizes = Sizes {
            wide: 2,
            opus_narrow: 2,
            opus_wide: 2,
            mixers: 2,
            listeners: 2,
            ..Sizes::default()
        };
        let coders = Coders::new(sizes, &Settings::default()).expect("settings that libopus has");
        let now = Instant::now();
        let mut prompts = Prompts::new();
        let hold = prompts.add("hold", &[1000; 16_000]).expect("room for a prompt");
        let config = Config {
            first_port: Port(40_000),
            pairs: 8,
            guests: 0,
            sessions: 4,
            pending: 16,
            prompts: Arc::new(prompts),
            cname: "baton".to_owned(),
            seed: 1,
            coders: Arc::new(coders),
            silence: SILENCE,
            added_latency: ADDED_LATENCY,
        };
        let mut core = Core::new(config, now);
        let (caller_codec, hears, watched) = match row {
            Row::Relay { codec, watched } => (codec, legs(&[LegId(1)]), watched),
            Row::Play => {
                let play = Play {
                    id: PlayId(1),
                    queue: [hold].into_iter().collect(),
                    repeat_last: true,
                };
                (
                    Codec::Pcmu,
                    Hears {
                        play: Some(play),
                        ..Hears::default()
                    },
                    false,
                )
            }
            Row::Mix { codec, .. } => (codec, legs(&[LegId(1), LegId(2)]), false),
            Row::Comfort => (Codec::Pcmu, Hears::default(), false),
        };
        let mut legs = vec![
            leg(LegId(0), 40_000, CALLER, caller_codec, hears),
            leg(LegId(1), 40_002, AI, Codec::Pcmu, legs(&[LegId(0)])),
        ];
        if let Row::Mix { human, .. } = row {
            legs.push(leg(LegId(2), 40_004, HUMAN, human, Hears::default()));
        }
        let watch = watched.then_some(Watch {
            window: WindowId(1),
            first_word_of: None,
        });
        let spec = SessionSpec {
            legs: legs.into_iter().collect(),
            watch,
        };
        core.handle_command(
            now,
            Command::Set {
                session: SessionId(1),
                generation: Generation(1),
                spec,
            },
        );
        Bench {
            core,
            now,
            buffer: [0x55; 2048],
            sequence: 0,
            opus: opus(&speech()),
            speech: speech(),
        }
    }

    /// A packet of the AI comes, and leaves in the same buffer.
    fn packet(&mut self) -> Verdict {
        self.now += FRAME;
        self.sequence = self.sequence.wrapping_add(1);
        self.said(Codec::Pcmu, Port(40_002), AI)
    }

    /// A packet of the AI and one of the human come, and what is made of them leaves.
    fn mix(&mut self, human: Codec) -> usize {
        self.sequence = self.sequence.wrapping_add(1);
        self.said(Codec::Pcmu, Port(40_002), AI);
        self.said(human, Port(40_004), HUMAN);
        self.tick()
    }

    fn said(&mut self, codec: Codec, port: Port, from: SocketAddr) -> Verdict {
        let header = Header {
            marker: false,
            payload_type: number(codec),
            sequence: Seq(self.sequence),
            timestamp: u32::from(self.sequence).wrapping_mul(codec.ticks(20)),
            ssrc: 7,
        };
        header.write(&mut self.buffer);
        let at = usize::from(self.sequence) % self.speech.len();
        let said = match codec {
            Codec::Opus => &self.opus[at][..],
            _ => &self.speech[at][..],
        };
        self.buffer[HEADER..HEADER + said.len()].copy_from_slice(said);
        let len = HEADER + said.len();
        self.core.handle_packet(self.now, port, from, &mut self.buffer, len)
    }

    /// The ticks of 20 ms: at least one packet is made.
    fn tick(&mut self) -> usize {
        self.now += FRAME;
        self.core.handle_timeout(self.now);
        let mut made = 0;
        while let Some(transmit) = self.core.poll_transmit(self.now, &mut self.buffer) {
            black_box(transmit);
            made += 1;
        }
        while let Some(event) = self.core.poll_event() {
            black_box(event);
        }
        made
    }
}

/// A second of something with pitch, noise and loudness that changes, in PCMU.
fn speech() -> Vec<[u8; 160]> {
    let mut state = 1u32;
    let samples: Vec<i16> = (0..8_000)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from((state >> 16) as i16) / 16.0;
            let time = f64::from(at) / 8_000.0;
            let pitch = (time * 150.0).fract() * 8_000.0 - 4_000.0;
            ((pitch + noise) * (time * 25.0).sin()) as i16
        })
        .collect();
    let coded = |samples: &[i16; 160]| {
        let mut payload = [0; 160];
        Law::Mu.encode(samples, &mut payload);
        payload
    };
    samples.as_chunks().0.iter().map(coded).collect()
}

fn opus(speech: &[[u8; 160]]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Band::Narrow, &Settings::default()).expect("settings that libopus has");
    let packet = |said: &[u8; 160]| {
        let (mut samples, mut packet) = ([0; 160], [0; 400]);
        Law::Mu.decode(said, &mut samples);
        let len = encoder.encode(&samples, &mut packet).expect("20 ms");
        packet[..len].to_vec()
    };
    speech.iter().map(packet).collect()
}

fn legs(heard: &[LegId]) -> Hears {
    Hears::legs(heard.iter().copied())
}

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

fn leg(leg: LegId, port: u16, remote: SocketAddr, codec: Codec, hears: Hears) -> LegSpec {
    let number = number(codec);
    LegSpec {
        leg,
        port: Port(port),
        remote: Some(remote),
        remote_rtcp: None,
        exchange: 1,
        format: Format {
            codec,
            send: number,
            receive: number,
            events: Some(EventFormat {
                send: 101,
                receive: 101,
                clock_hz: 8_000,
            }),
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
        receive: true,
        hears,
    }
}

#[expect(clippy::print_stderr, reason = "the count belongs beside the times")]
fn count(name: &str, mut once: impl FnMut()) {
    for _ in 0..100 {
        once();
    }
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..10_000 {
        once();
    }
    let allocated = ALLOCATIONS.with(Cell::get) - before;
    eprintln!("{name}: {allocated} allocations in 10,000 packets");
    assert_eq!(allocated, 0, "{name} allocates");
}

fn paths(criterion: &mut Criterion) {
    let relay = |codec, watched| Row::Relay { codec, watched };
    for (name, row) in [
        ("core relay", relay(Codec::Pcmu, false)),
        ("core relay, evidence window open", relay(Codec::Pcmu, true)),
        ("core transcode PCMU to PCMA", relay(Codec::Pcma, false)),
        ("core transcode PCMU to L16", relay(Codec::L16, false)),
        ("core transcode PCMU to G.722", relay(Codec::G722, false)),
        ("core transcode PCMU to Opus", relay(Codec::Opus, false)),
    ] {
        let mut bench = Bench::new(row);
        count(name, || assert!(matches!(bench.packet(), Verdict::Send { .. })));
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(bench.packet())));
    }
    for (name, codec, human) in [
        ("core mix of two, PCMU", Codec::Pcmu, Codec::Pcmu),
        ("core mix of two, PCMU and Opus to PCMU", Codec::Pcmu, Codec::Opus),
        ("core mix of two, PCMU to Opus", Codec::Opus, Codec::Pcmu),
    ] {
        let mut bench = Bench::new(Row::Mix { codec, human });
        count(name, || assert!(bench.mix(human) > 0));
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(bench.mix(human))));
    }
    for (name, row) in [
        ("core play (and noise to the AI)", Row::Play),
        ("core comfort noise (both)", Row::Comfort),
    ] {
        let mut bench = Bench::new(row);
        count(name, || assert!(bench.tick() > 0));
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(bench.tick())));
    }
}

criterion_group!(benches, paths);
criterion_main!(benches);
