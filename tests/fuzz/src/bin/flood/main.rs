//! How long `baton serve` takes to answer OPTIONS while hostile datagrams arrive: `cargo xtask flood`.
//!
//! The datagrams are the mutated corpus of the target `sip`, from eight addresses of loopback that belong to no trunk (with `--trunk`
//! from the trunk's own). The OPTIONS come from a ninth.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the command line speaks to people")]

mod figures;
mod options;
mod pings;

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use baton_fuzz::{corpus, find, mutate};
use baton_load::server::{Place, Server};
use baton_load::tool::{self, Tool};
use baton_load::words::Words;
use figures::Figures;
use options::Options;
use pings::pings;

/// Hostile datagrams that are made before the flood; then they are sent round and round.
const DATAGRAMS: u64 = 20_000;

/// Of the server.
const CONFIG: &str = r#"
[media]
first_port = 32000
ports_per_worker = 64
[[trunks]]
name = "carrier"
addresses = ["127.0.0.1"]
[[ai_agents]]
name = "assistant"
uri = "sip:assistant@127.0.0.1:9"
"#;

struct Flood;

fn main() -> ExitCode {
    tool::main::<Flood>()
}

impl Tool for Flood {
    const NAME: &'static str = "flood";
    const HELP: &'static str = include_str!("help.txt");

    type Options = Options;

    fn options(words: Words) -> Result<Option<Options>, String> {
        options::read(words)
    }

    fn measure(options: &Options) -> Result<ExitCode, String> {
        let figures = measure(options)?;
        if options.json {
            println!("{:#}", figures.json(options));
        } else {
            println!("{}", figures.text(options));
        }
        if !figures.good() {
            return Ok(ExitCode::FAILURE);
        }
        if !figures.reached(options) {
            return Err("this host sent fewer than were asked for: nothing is shown for that rate".to_owned());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn measure(options: &Options) -> Result<Figures, String> {
    let target = find("sip").ok_or("there is no target sip")?;
    let members = corpus::members(target).map_err(|error| error.to_string())?;
    let datagrams: Vec<_> = (0..DATAGRAMS)
        .map(|number| mutate::input(1, target.name, number, &members, target.words))
        .collect();
    let hosts = if options.trunk { 1..=1 } else { 2..=9u8 };
    let sockets = hosts.map(|host| UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))));
    let sockets: Vec<_> = sockets
        .collect::<Result<_, _>>()
        .map_err(|error| format!("a socket: {error}"))?;

    let mut server = Server::start(&options.server, Place::find("flood")?, CONFIG, None)?;
    let time = Duration::from_secs(u64::from(options.seconds));
    let before = server.processor_ms();
    let start = Instant::now();
    let at = server.sip();
    let (hostile, answered) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&sockets, &datagrams, at, options.rate, start, time));
        let answered = pings(at, start, time);
        (flood.join().unwrap_or(0), answered)
    });
    let (asked, mut answered) = answered?;
    answered.sort();
    Ok(Figures {
        hostile,
        asked,
        answered,
        // There is none of a process that has ended.
        processor_ms: server.processor_ms().saturating_sub(before),
        alive: server.is_running().is_ok(),
    })
}

/// Sends at the rate, a millisecond's worth at a time; what a stall of this host delayed is sent later, all of it.
fn flood(
    sockets: &[UdpSocket],
    datagrams: &[Vec<u8>],
    to: SocketAddr,
    rate: u32,
    start: Instant,
    time: Duration,
) -> u64 {
    let mut sent = 0;
    while start.elapsed() < time {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while sent < due {
            let socket = &sockets[sent as usize % sockets.len()];
            // Longer than UDP carries, or a full buffer: it counts as sent.
            let _ = socket.send_to(&datagrams[sent as usize % datagrams.len()], to);
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    sent
}
