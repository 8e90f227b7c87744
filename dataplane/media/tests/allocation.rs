//! The core takes all its memory when it is made: afterwards nothing allocates or frees, neither packets nor commands
//! nor time. Counted with an allocator of our own, alone in its process.
#![allow(unsafe_code, reason = "an allocator that counts can only be written with it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_media::codec::opus::{Band, Encoder, Settings};
use baton_media::coders::{Coders, Sizes};
use baton_media::command::{
    Codec, Command, Dtmf, EventFormat, Format, Generation, Heard, Hears, Latch, LegId, LegSpec, Play, PlayId, Port,
    SessionId, SessionSpec, Watch, WindowId,
};
use baton_media::conceal::Concealer;
use baton_media::core::{ADDED_LATENCY, Alive, Config, Core, Loss, SILENCE};
use baton_media::dtmf::detect::Detector;
use baton_media::prompt::Prompts;
use baton_media::rtp::{Header, Seq};
use baton_media::stretch::{Need, lengthen, shorten};
use baton_media::vad::Ear;
use baton_media::verdict::Verdict;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Constant and without a destructor: reading it does not allocate.
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    COUNTED.set(COUNTED.get().map(|counted| counted + 1));
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    COUNTED.set(Some(0));
    work();
    COUNTED.take().unwrap_or(0)
}

const CALLER: u16 = 0;
const AI: u16 = 1;
const HUMAN: u16 = 2;

fn remote(leg: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + leg as u8], 4_000))
}

fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16 => 96,
        Codec::L16Wide => 97,
        Codec::Opus => 98,
    }
}

/// 20 ms of something loud.
fn spoken(codec: Codec) -> Vec<u8> {
    let Some(bytes) = codec.bytes_a_tick() else {
        let samples: Vec<i16> = (0..320).map(|at| (at % 40 - 20) * 500).collect();
        let mut packet = [0; 400];
        let mut encoder = Encoder::new(Band::Wide, &Settings::default()).expect("an encoder");
        let len = encoder.encode(&samples, &mut packet).expect("20 ms");
        return packet[..len].to_vec();
    };
    vec![0x2a; 160 * bytes]
}

fn leg(leg: u16, codec: Codec, dtmf: Dtmf, heard: Option<u16>, play: Option<Play>) -> LegSpec {
    let payload_type = payload_type(codec);
    LegSpec {
        leg: LegId(leg),
        port: Port(10_000 + 2 * leg),
        remote: Some(remote(leg)),
        remote_rtcp: Some(remote(leg)),
        exchange: 1,
        format: Format {
            codec,
            send: payload_type,
            receive: payload_type,
            // The AI is sent keys as tones, where its codec has any.
            events: (leg != AI || codec == Codec::Opus).then_some(EventFormat {
                send: 101,
                receive: 101,
                clock_hz: codec.clock_hz(),
            }),
            comfort_noise: None,
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
        hears: Hears {
            play,
            ..Hears::legs(heard.map(LegId))
        },
    }
}

struct World {
    core: Core,
    now: Instant,
    generation: u64,
    sequence: u16,
    timestamp: u32,
    ai: (Codec, Vec<u8>),
    sent: u64,
    events: u64,
}

impl World {
    fn set(&mut self, session: u64, watch: bool, legs: [LegSpec; 3]) {
        self.generation += 1;
        let spec = SessionSpec {
            legs: legs.into_iter().collect(),
            watch: watch.then_some(Watch {
                window: WindowId(session),
                first_word_of: Some(LegId(HUMAN)),
            }),
        };
        let command = Command::Set {
            session: SessionId(session),
            generation: Generation(self.generation),
            spec,
        };
        self.core.handle_command(self.now, command);
        self.drain();
    }

    /// 20 ms, in which each of these legs sends audio, or a key, or nothing.
    fn step(&mut self, talk: &[u16], key: Option<u16>) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        for &leg in talk {
            let (payload_type, payload): (u8, &[u8]) = match key {
                Some(duration) => (101, &[5, 10, (duration >> 8) as u8, duration as u8]),
                None if leg == AI => (payload_type(self.ai.0), &self.ai.1),
                None => (0, &[0x10; 160]),
            };
            let header = Header {
                marker: false,
                payload_type,
                sequence: Seq(self.sequence),
                timestamp: match key {
                    Some(duration) => self.timestamp.wrapping_sub(u32::from(duration)),
                    None if leg == AI => self.timestamp.wrapping_mul(self.ai.0.clock_hz() / 8_000),
                    None => self.timestamp,
                },
                ssrc: 0x100 + u32::from(leg),
            };
            let mut buffer = [0; 2048];
            if let Some(room) = header.write(&mut buffer) {
                room[..payload.len()].copy_from_slice(payload);
            }
            let (port, len) = (Port(10_000 + 2 * leg), 12 + payload.len());
            let verdict = self.core.handle_packet(self.now, port, remote(leg), &mut buffer, len);
            self.sent += u64::from(matches!(verdict, Verdict::Send { .. }));
            self.drain();
        }
        self.now += Duration::from_millis(20);
        while self.core.poll_timeout().is_some_and(|due| due <= self.now) {
            self.core.handle_timeout(self.now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; 2048];
        while self.core.poll_transmit(self.now, &mut buffer).is_some() {
            self.sent += 1;
        }
        while self.core.poll_event().is_some() {
            self.events += 1;
        }
    }

    /// A whole call: relay, transcode, two listeners of one leg, keys, prompts, noise, losses, reports, the end.
    fn call(&mut self, session: u64, hold: &Play) {
        let talk = |dtmf, heard| leg(CALLER, Codec::Pcmu, dtmf, heard, None);
        let codec = self.ai.0;
        let ai = |heard| leg(AI, codec, Dtmf::Relay, heard, None);
        let human = |dtmf, heard, play| leg(HUMAN, Codec::Pcmu, dtmf, heard, play);
        let held = leg(CALLER, Codec::Pcmu, Dtmf::Relay, None, Some(hold.clone()));
        let listens = human(Dtmf::Take, Some(CALLER), None);
        self.set(session, false, [talk(Dtmf::Relay, Some(AI)), ai(Some(CALLER)), listens]);
        for _ in 0..300 {
            self.step(&[CALLER, AI], None);
        }
        for packet in 1..=5 {
            self.step(&[CALLER], Some(160 * packet));
        }
        self.set(
            session,
            true,
            [held, ai(None), human(Dtmf::Take, None, Some(hold.clone()))],
        );
        for _ in 0..20 {
            self.step(&[HUMAN], None);
        }
        for packet in 1..=5 {
            self.step(&[HUMAN], Some(160 * packet));
        }
        // A join that waits in vain, and one that does not.
        let joined = || human(Dtmf::Relay, Some(CALLER), None);
        let mut waits = talk(Dtmf::Relay, Some(HUMAN));
        waits.hears.patience = Duration::from_millis(200);
        self.set(session, true, [waits.clone(), ai(None), joined()]);
        for _ in 0..100 {
            self.step(&[CALLER], None);
        }
        self.set(session, true, [waits, ai(None), joined()]);
        for _ in 0..5 {
            self.step(&[CALLER], None);
        }
        for _ in 0..50 {
            self.step(&[CALLER, HUMAN], None);
        }
        // All three in one room, of whom one is lost now and then, one stops, and one presses a key; and out of it again.
        let with = |mut leg: LegSpec, other, gain_db| {
            leg.hears.legs.push(Heard {
                leg: LegId(other),
                gain_db,
            });
            leg
        };
        let room = [
            with(talk(Dtmf::Relay, Some(HUMAN)), AI, 3),
            with(ai(Some(CALLER)), HUMAN, 0),
            with(joined(), AI, -6),
        ];
        self.set(session, true, room);
        for n in 0..200 {
            match n % 40 {
                7 => self.step(&[AI, HUMAN], None),
                11..15 => self.step(&[CALLER, HUMAN], None),
                20..25 => self.step(&[CALLER], Some(160 * (n % 40 - 19))),
                _ => self.step(&[CALLER, AI, HUMAN], None),
            }
        }
        self.set(session, true, [talk(Dtmf::Relay, Some(HUMAN)), ai(None), joined()]);
        for _ in 0..10 {
            self.step(&[CALLER, HUMAN], None);
        }
        self.core.handle_loss(self.now, Loss::Received(Port(10_000), 1));
        self.core.handle_loss(self.now, Loss::Sent(Port(10_000), 1));
        for _ in 0..20 {
            self.step(&[], None);
        }
        let session = SessionId(session);
        self.core.handle_command(self.now, Command::End { session });
        self.drain();
    }
}

#[test]
fn nothing_allocates_after_the_core_was_made() {
    let mut prompts = Prompts::new();
    let hold = prompts.add("hold", &[1_000; 800]).expect("a prompt of 100 ms");
    let hold = Play {
        id: PlayId(1),
        queue: [hold].into_iter().collect(),
        repeat_last: true,
    };
    let sizes = Sizes {
        wide: 3,
        opus_narrow: 3,
        opus_wide: 3,
        mixers: 3,
        listeners: 6,
        ears: 1,
        ..Sizes::default()
    };
    let coders = Coders::new(sizes, &Settings::default()).expect("coders");
    let now = Instant::now();
    let config = Config {
        first_port: Port(10_000),
        pairs: 3,
        guests: 0,
        sessions: 2,
        pending: 16,
        prompts: Arc::new(prompts),
        cname: "test@baton".to_owned(),
        seed: 1,
        coders: Arc::new(coders),
        silence: SILENCE,
        added_latency: ADDED_LATENCY,
    };
    let mut world = World {
        core: Core::new(config, now),
        now,
        generation: 0,
        sequence: 65_500,
        timestamp: u32::MAX - 10_000,
        ai: (Codec::Pcma, Vec::new()),
        sent: 0,
        events: 0,
    };
    let mut session = 0;
    for codec in Codec::ALL {
        world.ai = (codec, spoken(codec));
        let counted = allocations(|| {
            for _ in 0..3 {
                session += 1;
                world.call(session, &hold);
            }
        });
        assert_eq!(counted, 0, "{codec:?}");
    }
    let totals = *world.core.counters();
    assert!(totals.forwarded > 12_000 && totals.transcoded > 7_500, "{totals:?}");
    assert!(
        totals.played > 100 && totals.comfort > 100 && totals.mixed > 3_000 && totals.rtcp > 3,
        "{totals:?}"
    );
    assert!(world.sent > 2_000 && world.events >= 3 * 9, "{}", world.events);
    assert_eq!(world.core.alive(), Alive::default());
    // The count counts.
    assert!(allocations(|| drop(world)) > 0);
}

#[test]
fn nothing_allocates_that_hears_speech_or_makes_it_up() {
    for band in [Band::Narrow, Band::Wide] {
        let (mut concealer, mut ear, mut detector) = (Concealer::new(band), Ear::new(band), Detector::new());
        let length = band.hz() as usize / 50;
        let counted = allocations(|| {
            for packet in 0..1_000 {
                let mut samples = [0; 640];
                // A hum that comes and goes.
                for (at, sample) in samples[..length].iter_mut().enumerate() {
                    *sample = ((at % 80) as i16 - 40) * (packet % 50) * 10;
                }
                match packet % 10 {
                    7..=9 => concealer.conceal(&mut samples[..length]),
                    _ => concealer.heard(&mut samples[..length]),
                }
                let longer = lengthen(&mut samples, length, band, Need::Anyhow);
                shorten(&mut samples[..longer], band, Need::Anyhow);
                ear.heard(&samples[..length]);
                detector.heard(&samples[..length], |_| {});
            }
        });
        assert_eq!(counted, 0, "{band:?}");
    }
}
