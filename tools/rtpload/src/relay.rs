//! Baton's data plane alone, in a process of its own: bridged calls between the ports of the load, without signalling.

use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use baton_lab::lab::{OURS, THEIRS};
use engine::{Engine, EngineConfig, Full, WorkerConfig};
use media::command::{
    Codec, Command, Dtmf, Format, Generation, Hears, Latch, LegId, LegSpec, Port, SessionId, SessionSpec,
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
#[expect(clippy::print_stdout, reason = "it is the answer to who started it")]
pub(crate) fn run(relay: &Relay) -> Result<(), String> {
    let pairs = u16::try_from(relay.calls * LEGS).map_err(|_| format!("{} calls: too many", relay.calls))?;
    let mut config = EngineConfig {
        workers: vec![WorkerConfig {
            core: Some(relay.core),
            address: IpAddr::V4(THEIRS),
            first_port: port(0),
            pairs,
        }],
        sessions_per_worker: relay.calls,
        ..EngineConfig::default()
    };
    relay.tune(&mut config);
    let engine = Engine::start(config).map_err(|error| error.to_string())?;
    for call in 0..relay.calls {
        let mut command = bridge(call, relay.codecs);
        while let Err(Full(back)) = engine.send(0, command) {
            command = back;
            thread::sleep(Duration::from_millis(1));
        }
    }
    let begin = Instant::now();
    while engine.stats(0).sessions < relay.calls as u64 {
        if begin.elapsed() > START {
            return Err("the calls were not taken".to_owned());
        }
        while engine.events().try_recv().is_some() {}
        thread::sleep(Duration::from_millis(2));
    }
    let mut out = std::io::stdout();
    println!("{}", counted(&engine));
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        while engine.events().try_recv().is_some() {}
        println!("{}", counted(&engine));
        let _ = out.flush();
    }
    engine.stop();
    Ok(())
}

fn counted(engine: &Engine) -> Value {
    let stats = engine.stats(0);
    json!({
        "received": stats.received,
        "forwarded": stats.forwarded,
        "sent": stats.sent,
        "send_errors": stats.send_errors,
        "system_calls": stats.enters,
        "loops": stats.loops,
        "kernel_drops": stats.kernel_drops,
        "lost": stats.lost,
        "receive_rearms": stats.receive_rearms,
        "loop_us_max": stats.loop_us_max,
        "dropped": stats.dropped.iter().sum::<u64>(),
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
            ptime_ms: 20,
            latch: Latch::SignalledIp,
            dtmf: Dtmf::Relay,
            send: true,
            receive: true,
            hears: Hears {
                legs: [LegId(1 - at as u16)].into_iter().collect(),
                ..Hears::default()
            },
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
