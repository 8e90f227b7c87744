//! How long `baton serve` takes to answer OPTIONS while hostile datagrams arrive.
//!
//!     flood --server target/release/baton [--rate 10000] [--seconds 10] [--trunk] [--json]
//!
//! The datagrams are the mutated corpus of the target `sip`, from eight addresses of loopback that belong to no trunk (with `--trunk`
//! from the trunk's own). Twenty OPTIONS a second come from a ninth; each is sent once, so one that is lost counts as unanswered.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use baton_fuzz::{corpus, find, mutate};

/// Hostile datagrams that are made before the flood; then they are sent round and round.
const DATAGRAMS: u64 = 20_000;

/// OPTIONS a second.
const PINGS: u32 = 20;

/// What is asked of the server.
const WITHIN: Duration = Duration::from_millis(100);

struct Options {
    server: PathBuf,
    rate: u32,
    seconds: u32,
    trunk: bool,
    json: bool,
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| Ok((measure(&options)?, options)));
    match outcome {
        Ok((figures, options)) => {
            println!(
                "{}",
                if options.json {
                    figures.json(&options)
                } else {
                    figures.text(&options)
                }
            );
            ExitCode::from(u8::from(!figures.good()))
        }
        Err(why) => {
            eprintln!("flood: {why}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        server: PathBuf::new(),
        rate: 10_000,
        seconds: 10,
        trunk: false,
        json: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--server" => options.server = value()?.into(),
            "--rate" => options.rate = number(value()?)?,
            "--seconds" => options.seconds = number(value()?)?,
            "--trunk" => options.trunk = true,
            "--json" => options.json = true,
            other => return Err(format!("{other} is no option")),
        }
    }
    match options.server.as_os_str().is_empty() || options.rate == 0 || options.seconds == 0 {
        true => Err("--server names the program; a rate and a time are not 0".into()),
        false => Ok(options),
    }
}

/// A server of our own, ended with this.
struct Server {
    child: Child,
    at: SocketAddr,
    folder: PathBuf,
}

impl Server {
    fn start(program: &Path) -> Result<Server, String> {
        let free = |kind: &str| format!("no free {kind} port");
        // Taken and given back: the server names its own ports only in its log.
        let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let at = sip.map_err(|error| format!("{}: {error}", free("SIP")))?;
        let http = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let http = http.map_err(|error| format!("{}: {error}", free("HTTP")))?;
        let folder = std::env::temp_dir().join(format!("baton-flood-{}", std::process::id()));
        let config = folder.join("baton.toml");
        let text = format!(
            "[sip]\nlisten = \"{at}\"\n[http]\nlisten = \"{http}\"\n[media]\nfirst_port = 32000\nports_per_worker = 64\n\
             [[trunks]]\nname = \"carrier\"\naddresses = [\"127.0.0.1\"]\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:assistant@127.0.0.1:9\"\n"
        );
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&config, text))
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let child = Command::new(program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let server = Server { child, at, folder };
        for number in 0..100 {
            let (socket, _) = pinger()?;
            let _ = socket.send_to(&ping(&socket, number), at);
            let mut buffer = [0; 2048];
            if socket.recv_from(&mut buffer).is_ok() {
                return Ok(server);
            }
        }
        Err("the server does not answer".into())
    }

    /// Processor time so far, from proc_pid_stat(5): utime and stime in hundredths of a second.
    fn processor_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A socket of somebody who is in no trunk and does no harm.
fn pinger() -> Result<(UdpSocket, SocketAddr), String> {
    let socket = UdpSocket::bind("127.0.0.20:0").map_err(|error| format!("127.0.0.20: {error}"))?;
    let patience = socket.set_read_timeout(Some(Duration::from_millis(200)));
    patience.map_err(|error| error.to_string())?;
    let at = socket.local_addr().map_err(|error| error.to_string())?;
    Ok((socket, at))
}

fn ping(socket: &UdpSocket, number: usize) -> Vec<u8> {
    let at = socket.local_addr().map(|at| at.to_string()).unwrap_or_default();
    format!(
        "OPTIONS sip:baton@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKping{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ping@{at}>;tag=p{number}\r\nTo: <sip:baton@127.0.0.1>\r\nCall-ID: ping{number}\r\nCSeq: {number} OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

struct Figures {
    hostile: u64,
    answered: Vec<Duration>,
    pings: usize,
    processor_ms: u64,
    took: Duration,
}

impl Figures {
    fn at(&self, share: f64) -> f64 {
        let place = ((self.answered.len() as f64 * share).ceil() as usize).clamp(1, self.answered.len().max(1)) - 1;
        self.answered
            .get(place)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    fn in_time(&self) -> usize {
        self.answered.iter().filter(|time| **time <= WITHIN).count()
    }

    fn good(&self) -> bool {
        self.in_time() == self.pings
    }

    fn text(&self, options: &Options) -> String {
        format!(
            "{} hostile datagrams in {:.1} s ({:.0} a second asked for) from {}\n\
             OPTIONS: {} of {} answered, {} within {} ms; p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n\
             server: {:.1} µs of processor time a datagram",
            self.hostile,
            self.took.as_secs_f64(),
            options.rate,
            if options.trunk { "the trunk" } else { "strangers" },
            self.answered.len(),
            self.pings,
            self.in_time(),
            WITHIN.as_millis(),
            self.at(0.5),
            self.at(0.99),
            self.at(1.0),
            self.processor_ms as f64 * 1000.0 / self.hostile as f64,
        )
    }

    fn json(&self, options: &Options) -> String {
        serde_json::json!({
            "schema": "baton.flood/1",
            "ok": self.good(),
            "from": if options.trunk { "trunk" } else { "strangers" },
            "rate": options.rate,
            "hostile": self.hostile,
            "seconds": self.took.as_secs_f64(),
            "options": {
                "sent": self.pings, "answered": self.answered.len(), "within_100_ms": self.in_time(),
                "p50_ms": self.at(0.5), "p99_ms": self.at(0.99), "max_ms": self.at(1.0),
            },
            "processor_us_per_datagram": self.processor_ms as f64 * 1000.0 / self.hostile as f64,
        })
        .to_string()
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

    let server = Server::start(&options.server)?;
    let time = Duration::from_secs(u64::from(options.seconds));
    let before = server.processor_ms();
    let start = Instant::now();
    let (hostile, answered) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&sockets, &datagrams, server.at, options.rate, start, time));
        let answered = pings(server.at, start, time);
        (flood.join().unwrap_or(0), answered)
    });
    let mut answered = answered?;
    answered.sort();
    Ok(Figures {
        hostile,
        pings: (PINGS * options.seconds) as usize,
        answered,
        processor_ms: server.processor_ms() - before,
        took: start.elapsed(),
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

/// When each OPTIONS was answered.
fn pings(to: SocketAddr, start: Instant, time: Duration) -> Result<Vec<Duration>, String> {
    let (socket, _) = pinger()?;
    let pace = Duration::from_secs(1) / PINGS;
    let count = (time.as_secs_f64() * f64::from(PINGS)).round() as usize;
    let mut sent: Vec<Option<Instant>> = Vec::new();
    let mut answered = Vec::new();
    let mut buffer = [0; 4096];
    // The last ones are waited for.
    while start.elapsed() < time + Duration::from_secs(1) {
        if sent.len() < count && start.elapsed() >= pace * sent.len() as u32 {
            let number = sent.len();
            sent.push(Some(Instant::now()));
            socket
                .send_to(&ping(&socket, number), to)
                .map_err(|error| error.to_string())?;
        }
        let wait = (pace * sent.len() as u32).saturating_sub(start.elapsed());
        let wait = wait.clamp(Duration::from_micros(100), pace);
        socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match socket.recv_from(&mut buffer) {
            Ok((len, _)) => {
                let text = String::from_utf8_lossy(&buffer[..len]);
                let number = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Call-ID: ping")?.parse::<usize>().ok());
                let at = number.and_then(|number| sent.get_mut(number)?.take());
                if let Some(at) = at.filter(|_| text.starts_with("SIP/2.0 200 ")) {
                    answered.push(at.elapsed());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(answered)
}
