//! Baton's data plane alone, in a process of its own: bridged calls between the ports of the load, without signalling.

use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use baton_lab::lab::{OURS, THEIRS};
use engine::{Engine, EngineConfig, Full, Snapshot, WorkerConfig};
use media::coders::Coders;
use media::command::{
    Codec, Command, Dtmf, Event, Format, Generation, Hears, Latch, LegId, LegSpec, Port, SessionId, SessionSpec,
};
use serde_json::{Value, json};

use crate::frame;
use crate::options::Relay;

/// Legs of a call.
const LEGS: usize = 2;

/// How long the calls may take to be there.
const START: Duration = Duration::from_secs(10);

/// Where the load sends a stream to: the same number as its own.
pub(crate) fn port(stream: usize) -> u16 {
    frame::port(stream)
}

/// Says on standard output when the calls are there; then, for each line on standard input, what the worker has counted. Ends with
/// standard input.
///
/// # Errors
/// Where the data plane does not start.
pub(crate) fn run(relay: &Relay) -> Result<(), String> {
    let calls = |worker: usize| share(relay, worker).len();
    let too_many = |_| format!("{} calls: too many", relay.calls.all());
    let workers = (0..relay.workers).map(|worker| {
        let pairs = u16::try_from(calls(worker) * LEGS).map_err(too_many)?;
        Ok(WorkerConfig {
            core: Some(relay.core),
            address: IpAddr::V4(THEIRS),
            first_port: port(LEGS * share(relay, worker).start),
            pairs,
        })
    });
    let coders = Coders::new(relay.calls.sizes(), &relay.calls.settings());
    let coders = coders.map_err(|error| format!("coder states: {error}"))?;
    let mut config = EngineConfig {
        workers: workers.collect::<Result<_, String>>()?,
        coders: Arc::new(coders),
        // Those that come from the other worker have room as well.
        sessions_per_worker: relay.calls.all(),
        ..EngineConfig::default()
    };
    relay.tune(&mut config);
    let engine = Engine::start(config).map_err(|error| error.to_string())?;
    for worker in 0..relay.workers {
        for call in share(relay, worker) {
            let mut command = bridge(call, relay.calls.codecs(call));
            while let Err(Full(back)) = engine.send(worker, command) {
                command = back;
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    let begin = Instant::now();
    let taken = |engine: &Engine| {
        (0..relay.workers)
            .map(|worker| engine.stats(worker).sessions)
            .sum::<u64>()
    };
    while taken(&engine) < relay.calls.all() as u64 {
        if begin.elapsed() > START {
            return Err("the calls were not taken".to_owned());
        }
        while engine.events().try_recv().is_some() {}
        thread::sleep(Duration::from_millis(2));
    }
    let (moves, over) = (Moves::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| moves.make(&engine, relay, &over));
        answer(&engine, &moves);
        over.store(true, Ordering::Relaxed);
    });
    engine.stop();
    Ok(())
}

/// The calls that a worker has at the start.
fn share(relay: &Relay, worker: usize) -> Range<usize> {
    let before = |worker: usize| worker * relay.calls.all() / relay.workers;
    before(worker)..before(worker + 1)
}

#[expect(clippy::print_stdout, reason = "it is the answer to who started it")]
fn answer(engine: &Engine, moves: &Moves) {
    let mut out = std::io::stdout();
    println!("{}", counted(engine, moves));
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        println!("{}", counted(engine, moves));
        let _ = out.flush();
    }
}

/// Calls that go from one worker to the other and back, one after the other, each time to the one that they are not on.
#[derive(Debug, Default)]
struct Moves {
    moved: AtomicU64,
    stayed: AtomicU64,
}

impl Moves {
    /// Until it is over.
    fn make(&self, engine: &Engine, relay: &Relay, over: &AtomicBool) {
        let mut at: Vec<usize> = (0..relay.workers)
            .flat_map(|worker| share(relay, worker).map(move |_| worker))
            .collect();
        let (mut next, mut due) = (0, Instant::now());
        while !over.load(Ordering::Relaxed) {
            while let Some((worker, event)) = engine.events().try_recv() {
                if let Event::Moved { session, moved } = event {
                    let count = if moved { &self.moved } else { &self.stayed };
                    count.fetch_add(1, Ordering::Relaxed);
                    // Told by the worker where it was to go.
                    if moved {
                        at[session.0 as usize - 1] = worker;
                    }
                }
            }
            if relay.moves == 0 || Instant::now() < due {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            due += Duration::from_secs(1) / relay.moves;
            // From both ends of the list in turn: as many go each way.
            let call = if next % 2 == 0 {
                next / 2
            } else {
                relay.calls.all() - 1 - next / 2
            };
            next = (next + 1) % relay.calls.all();
            let _ = engine.move_session(SessionId(call as u64 + 1), at[call], (at[call] + 1) % relay.workers);
        }
    }
}

/// What all workers have counted.
fn counted(engine: &Engine, moves: &Moves) -> Value {
    let all: Vec<_> = (0..engine.workers()).map(|worker| engine.stats(worker)).collect();
    let sum = |of: fn(&Snapshot) -> u64| all.iter().map(of).sum::<u64>();
    json!({
        "moved": moves.moved.load(Ordering::Relaxed),
        "stayed": moves.stayed.load(Ordering::Relaxed),
        "received": sum(|stats| stats.received),
        "forwarded": sum(|stats| stats.forwarded),
        "sent": sum(|stats| stats.sent),
        "send_errors": sum(|stats| stats.send_errors),
        "system_calls": sum(|stats| stats.enters),
        "loops": sum(|stats| stats.loops),
        "kernel_drops": sum(|stats| stats.kernel_drops),
        "lost": sum(|stats| stats.lost),
        "receive_rearms": sum(|stats| stats.receive_rearms),
        "loop_us_max": all.iter().map(|stats| stats.loop_us_max).max(),
        "dropped": sum(|stats| stats.dropped.iter().sum()),
    })
}

/// Two legs that hear each other.
fn bridge(call: usize, codecs: [Codec; LEGS]) -> Command {
    let legs = (0..LEGS).map(|at| {
        let stream = LEGS * call + at;
        let payload_type = frame::payload_type(codecs[at]);
        LegSpec {
            leg: LegId(at as u16),
            port: Port(port(stream)),
            remote: Some(SocketAddr::new(IpAddr::V4(OURS), frame::port(stream))),
            remote_rtcp: None,
            exchange: 1,
            format: Format {
                codec: codecs[at],
                send: payload_type,
                receive: payload_type,
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
            receive: true,
            hears: Hears::legs([LegId(1 - at as u16)]),
        }
    });
    Command::Set {
        session: SessionId(call as u64 + 1),
        generation: Generation(1),
        spec: SessionSpec {
            legs: legs.collect(),
            watch: None,
        },
    }
}
