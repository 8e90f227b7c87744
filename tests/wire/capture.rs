//! What the core says of a line against what a raw socket on loopback saw of it.
//!
//! The capture needs CAP_NET_RAW; where it may not be opened the test says so and checks what the parties received.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use engine::{Engine, EngineConfig, StartError, WorkerConfig};
use media::command::{
    Codec, Command, Dtmf, Event, EventFormat, Format, Generation, Hears, Latch, LegId, LegSpec, Play, PlayId, Port,
    SessionId, SessionSpec, Watch, WindowId,
};
use media::evidence::Evidence;
use media::prompt::Prompts;
use sim::Sound;
use sim::rtp::{Packet, g711};

const SESSION: SessionId = SessionId(7);
const CALLER: LegId = LegId(0);
const AI: LegId = LegId(1);
const HUMAN: LegId = LegId(2);

/// A party on the wire: sends its tone every 20 ms until told to stop, and keeps what it receives.
struct Party {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Vec<(Instant, Packet)>>,
}

impl Party {
    fn start(voice: Sound, to: SocketAddr) -> Party {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a time-out");
        let address = socket.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let (sending, receiving) = (socket.try_clone().expect("a second handle"), socket);
        let (stop_sending, stop_receiving) = (stop.clone(), stop.clone());
        let sender = thread::spawn(move || {
            let (start, mut count) = (Instant::now(), 0_u64);
            while !stop_sending.load(Ordering::Relaxed) {
                let packet = Packet {
                    marker: count == 0,
                    payload_type: 0,
                    sequence: count as u16,
                    timestamp: count as u32 * 160,
                    ssrc: u32::from(address.port()),
                    payload: g711::encode(&voice.samples(count * 160, 160), false),
                };
                let _ = sending.send_to(&packet.to_bytes(), to);
                count += 1;
                let due = start + Duration::from_millis(20) * count as u32;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            count
        });
        let receiver = thread::spawn(move || {
            let (mut heard, mut buffer) = (Vec::new(), [0; 2048]);
            while !stop_receiving.load(Ordering::Relaxed) {
                if let Ok(len) = receiving.recv(&mut buffer)
                    && let Some(packet) = Packet::parse(&buffer[..len])
                {
                    heard.push((Instant::now(), packet));
                }
            }
            heard
        });
        Party {
            address,
            stop,
            sender,
            receiver,
        }
    }

    /// How many it sent, and what it received.
    fn finish(self) -> (u64, Vec<(Instant, Packet)>) {
        self.stop.store(true, Ordering::Relaxed);
        (
            self.sender.join().expect("the sender"),
            self.receiver.join().expect("the receiver"),
        )
    }
}

/// Everything that goes to one UDP port of loopback, seen from outside.
fn capture(port: u16, stop: Arc<AtomicBool>) -> Option<JoinHandle<Vec<(Instant, Packet)>>> {
    let kind = socket2::Type::RAW;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, Some(socket2::Protocol::UDP)).ok()?;
    socket.set_recv_buffer_size(1 << 20).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(50))).ok()?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).ok()?;
    Some(thread::spawn(move || {
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        while !stop.load(Ordering::Relaxed) {
            let Ok(len) = (&socket).read(&mut buffer) else { continue };
            let header = usize::from(buffer[0] & 0x0f) * 4;
            if len > header + 8
                && u16::from_be_bytes([buffer[header + 2], buffer[header + 3]]) == port
                && let Some(packet) = Packet::parse(&buffer[header + 8..len])
            {
                seen.push((Instant::now(), packet));
            }
        }
        seen
    }))
}

/// The longest that this host kept a thread from running, measured beside the test.
fn stalls(stop: Arc<AtomicBool>) -> JoinHandle<Duration> {
    thread::spawn(move || {
        let (mut longest, step) = (Duration::ZERO, Duration::from_millis(1));
        while !stop.load(Ordering::Relaxed) {
            let before = Instant::now();
            thread::sleep(step);
            longest = longest.max(before.elapsed() - step);
        }
        longest
    })
}

fn start_engine(prompts: Arc<Prompts>) -> Engine {
    for first_port in (24_000..32_000).step_by(40) {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let worker = WorkerConfig {
            core: None,
            address,
            first_port,
            pairs: 3,
        };
        let config = EngineConfig {
            workers: vec![worker],
            prompts: prompts.clone(),
            ..EngineConfig::default()
        };
        match Engine::start(config) {
            Ok(engine) => return engine,
            Err(StartError::PortTaken { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no free ports");
}

fn leg(leg: LegId, port: u16, remote: SocketAddr, hears: Hears) -> LegSpec {
    LegSpec {
        leg,
        port: Port(port),
        remote: Some(remote),
        remote_rtcp: None,
        exchange: 1,
        format: Format {
            codec: Codec::Pcmu,
            send: 0,
            receive: 0,
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

fn hears(leg: LegId) -> Hears {
    Hears::legs([leg])
}

fn wait(engine: &Engine, mut done: impl FnMut(&Event) -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while Instant::now() < limit {
        match engine.events().try_recv() {
            Some((_, Event::Refused { reason, .. })) => panic!("refused: {reason:?}"),
            Some((_, event)) if done(&event) => return,
            Some(_) => {}
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("the event did not come");
}

fn gaps(packets: &[(Instant, Packet)]) -> impl Iterator<Item = Duration> + '_ {
    packets.windows(2).map(|pair| pair[1].0 - pair[0].0)
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that judges less than it could says so")]
fn evidence_agrees_with_an_outside_capture() {
    let mut library = Prompts::new();
    let hold = library.add("hold", &Sound::Hold.samples(0, 8000)).expect("a prompt");
    let engine = start_engine(Arc::new(library));
    let ports = engine.ports(0).to_vec();
    let to = |n: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, ports[n]));
    let caller = Party::start(Sound::Caller, to(0));
    let ai = Party::start(Sound::Ai, to(1));
    let human = Party::start(Sound::Human(0), to(2));
    let stop = Arc::new(AtomicBool::new(false));
    let capture = capture(caller.address.port(), stop.clone());
    let stalls = stalls(stop.clone());

    let set = |generation, caller_hears: Hears, ai_hears: Hears, human_hears: Hears, watch| {
        let legs = [
            leg(CALLER, ports[0], caller.address, caller_hears),
            leg(AI, ports[1], ai.address, ai_hears),
            leg(HUMAN, ports[2], human.address, human_hears),
        ];
        let spec = SessionSpec {
            legs: legs.into_iter().collect(),
            watch,
        };
        let command = Command::Set {
            session: SESSION,
            generation: Generation(generation),
            spec,
        };
        engine.send(0, command).expect("room in the queue");
        wait(
            &engine,
            |event| matches!(event, Event::Applied { generation: g, .. } if g.0 == generation),
        );
    };
    let window = |first_word_of| {
        Some(Watch {
            window: WindowId(1),
            first_word_of,
        })
    };

    set(1, hears(AI), hears(CALLER), Hears::default(), None);
    thread::sleep(Duration::from_millis(600));
    let opened = Instant::now();
    let play = Play {
        id: PlayId(1),
        queue: [hold].into_iter().collect(),
        repeat_last: true,
    };
    set(
        2,
        Hears {
            play: Some(play),
            ..Hears::default()
        },
        Hears::default(),
        Hears::default(),
        window(None),
    );
    thread::sleep(Duration::from_millis(700));
    set(3, hears(HUMAN), Hears::default(), hears(CALLER), window(Some(HUMAN)));
    let mut evidence = BTreeMap::new();
    wait(&engine, |event| {
        let Event::Evidence { listeners, .. } = event else {
            return false;
        };
        evidence.extend(listeners.iter().copied());
        true
    });
    let closed = Instant::now();
    thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let stalled = stalls.join().expect("the watch");
    let (_, received) = caller.finish();
    let (human_sent, _) = human.finish();
    ai.finish();

    let seen = match capture {
        Some(capture) => capture.join().expect("the capture"),
        None => {
            println!("no raw socket (CAP_NET_RAW): judged by what the caller received");
            received.clone()
        }
    };
    // Counts are exact: what the capture saw, the caller received, each once, in order, without a break.
    let sequence =
        |packets: &[(Instant, Packet)]| packets.iter().map(|(_, packet)| packet.sequence).collect::<Vec<_>>();
    let common = received.len().min(seen.len());
    assert!(common > 70, "{common} packets in 1.6 s");
    assert_eq!(sequence(&seen)[..common], sequence(&received)[..common]);
    for pair in seen.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        assert_eq!(pair[1].1.ssrc, pair[0].1.ssrc);
    }
    let voice = |packet: &Packet| Sound::of(&g711::decode(&packet.payload, false));
    let from_human = seen
        .iter()
        .filter(|(_, packet)| voice(packet) == Sound::Human(0))
        .count() as u64;
    assert!(from_human > 0 && from_human <= human_sent);

    // Figures agree within 5 ms, and what the host itself stalled.
    let caller: Evidence = evidence[&CALLER];
    assert_eq!((caller.lost, caller.reordered, caller.duplicated), (0, 0, 0));
    assert_eq!((caller.sequence_breaks, caller.timestamp_breaks), (0, 0));
    let slack = Duration::from_millis(5) + stalled;
    let within: Vec<_> = seen
        .into_iter()
        .filter(|(at, _)| (opened - slack..closed + slack).contains(at))
        .collect();
    let ours = caller.longest_gap.expect("measured");
    let theirs = gaps(&within).max().expect("packets in the window");
    assert!(
        ours.abs_diff(theirs) <= slack,
        "longest gap: {ours:?} by us, {theirs:?} on the wire, stalled {stalled:?}"
    );
    let apart = caller.sent.abs_diff(within.len() as u64);
    let edge = 2 + 2 * slack.as_millis() as u64 / 20;
    assert!(
        apart <= edge,
        "{} sent by us, {} on the wire in the window",
        caller.sent,
        within.len()
    );
    engine.stop();
}
