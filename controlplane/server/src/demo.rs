//! `baton demo`: one handoff on loopback, with parties that share no code with the server, judged by what they heard.

mod children;
mod clock;
mod judge;
mod ladder;
pub mod listen;
mod packets;
mod plan;
mod receiver;
mod report;
mod speech;

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver as Said, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{DemoArgs, DemoMode, EXIT_USAGE};
use children::{ServerChild, Who};
use clock::{Clock, StallWatch};
use judge::Run;
use ladder::Ladder;
use plan::{Case, Places};
use receiver::{Delivery, Receiver};

/// A run that is not over by then has failed.
const RUN_MAX: Duration = Duration::from_secs(50);

/// How long the server may take to start, and the parties to say where they are.
const START_MAX: Duration = Duration::from_secs(10);

/// How long, after the caller's call, the record may take to close and the last webhook to come.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Exit code of a run that was interrupted: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Why there is no verdict.
enum Failure {
    /// The command line, or something not built; exit 2.
    Usage(String),
    /// Something of the run could not be started or read.
    Run(String),
    /// The user interrupted it.
    Interrupted,
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Run(text)
    }
}

/// Runs the demo.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub fn run(args: DemoArgs) -> ExitCode {
    match demo(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Usage(text)) => {
            eprintln!("baton demo: {text}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(Failure::Run(text)) => {
            eprintln!("baton demo: {text}");
            ExitCode::FAILURE
        }
        Err(Failure::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
    }
}

fn demo(args: &DemoArgs) -> Result<bool, Failure> {
    let case = Case::of(args).map_err(Failure::Usage)?;
    let program = children::party_program().map_err(Failure::Usage)?;
    let mut demo = Demo::start(args, case, &program)?;
    demo.call()?;
    let run = demo.close()?;
    let promises = judge::judge(&run);
    let ok = promises.iter().all(|promise| promise.held);
    let files = ["caller", "ai", "human"].map(|name| (name, demo.folder.join(format!("{name}.wav"))));
    report::write_webhooks(&demo.folder, &run)?;
    if args.json {
        report::say(&report::document(&run, &promises, &files).to_string());
    } else {
        report::print(&run, &promises, &files);
        if args.keep {
            demo.keep();
        }
        if !ok {
            report::complain(&demo.server_log);
        }
    }
    Ok(ok)
}

/// What is running.
struct Demo {
    case: Case,
    mode: DemoMode,
    keep: bool,
    clock: Clock,
    stalls: StallWatch,
    interrupted: Arc<AtomicBool>,
    ladder: Ladder,
    receiver: Receiver,
    deliveries: Vec<Delivery>,
    places: Places,
    folder: PathBuf,
    work: PathBuf,
    program: PathBuf,
    said: Said<(Who, Value)>,
    speaker: Sender<(Who, Value)>,
    events: HashMap<Who, Vec<Value>>,
    caller_codec: &'static str,
    receiver_up_ms: Option<f64>,
    server_log: String,
    // Dropped in this order: the parties hang up before the server goes.
    parties: Vec<children::Party>,
    server: ServerChild,
    /// Nobody listens there: a target that cannot be reached. Held so that nobody else gets the port.
    _nobody: UdpSocket,
}

impl Demo {
    fn start(args: &DemoArgs, case: Case, program: &Path) -> Result<Demo, Failure> {
        let clock = Clock::start();
        let interrupted = watch_signals();
        let ladder = Ladder::new(!args.json);
        let folder = std::env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
        let work = work_folder()?;
        let mut receiver = Receiver::new(clock).map_err(|error| format!("the webhook receiver: {error}"))?;
        if case != Case::WebhookDown {
            receiver
                .come_up()
                .map_err(|error| format!("the webhook receiver: {error}"))?;
        }
        let (speaker, said) = mpsc::channel();
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let unreachable = nobody.local_addr().map_err(|error| error.to_string())?;
        let (ai_codec, human_codec) = (plan::codec_name(args.ai), plan::codec_name(args.human));

        let free = |error: std::io::Error| format!("no free port: {error}");
        // Held until the server takes them: the parties' own ports, and those of other programs, are drawn from the same ones.
        let sip = free_udp_and_tcp().map_err(free)?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(free)?;
        let mut places = Places {
            sip: sip.0.local_addr().map_err(free)?,
            http: http.local_addr().map_err(free)?,
            first_rtp: free_rtp().ok_or("no free range of RTP ports".to_owned())?,
            ai: unreachable,
            human: unreachable,
            webhook: receiver.url(),
            ai_key: secret("key_", 24),
            admin_key: secret("key_", 24),
            webhook_secret: secret("whsec_", 24),
        };
        let party = |who: Who, more: Vec<String>, codec: &str| {
            let arguments = party_arguments(&folder, &work, clock, who, codec, more);
            children::Party::start(program, who, &arguments, &places.ai_key, speaker.clone())
        };
        let mode = plan::mode_name(args.mode).to_owned();
        let ai = vec!["--api".to_owned(), places.http.to_string(), "--mode".to_owned(), mode];
        let parties = vec![
            party(Who::Ai, ai, ai_codec)?,
            party(Who::Human, plan::human(case, args.mode), human_codec)?,
        ];
        let mut events: HashMap<Who, Vec<Value>> = HashMap::new();
        let (mut ai, mut human) = (None, None);
        while ai.is_none() || human.is_none() {
            let (who, event) = said
                .recv_timeout(START_MAX)
                .map_err(|_| "a party did not say that it is ready".to_owned())?;
            if event["event"] == "ready"
                && let Some(port) = event["sip"].as_u64().and_then(|port| u16::try_from(port).ok())
            {
                let place = if who == Who::Ai { &mut ai } else { &mut human };
                *place = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
            events.entry(who).or_default().push(event);
        }
        places.ai = ai.unwrap_or(unreachable);
        places.human = if case == Case::Unreachable {
            unreachable
        } else {
            human.unwrap_or(unreachable)
        };

        let config = work.join("baton.toml");
        std::fs::write(
            &config,
            plan::config(case, args.mode, [args.caller, args.ai, args.human], &places),
        )
        .map_err(|error| format!("{}: {error}", config.display()))?;
        drop((sip, http));
        let mut server = ServerChild::start(&config)?;
        wait_until_ready(&mut server, places.http, &interrupted)?;
        Ok(Demo {
            case,
            mode: args.mode,
            keep: args.keep,
            clock,
            stalls: StallWatch::start(clock),
            interrupted,
            ladder,
            receiver,
            deliveries: Vec::new(),
            places,
            folder,
            work,
            program: program.to_owned(),
            said,
            speaker,
            events,
            caller_codec: plan::codec_name(args.caller),
            receiver_up_ms: None,
            server_log: String::new(),
            parties,
            server,
            _nobody: nobody,
        })
    }

    /// The caller calls; until its call is over, what happens is shown.
    fn call(&mut self) -> Result<(), Failure> {
        let mut more = plan::caller(self.case);
        let sip = self.places.sip;
        more.extend([
            "--to".to_owned(),
            format!("sip:line@{sip}"),
            "--via".to_owned(),
            sip.to_string(),
        ]);
        let arguments = party_arguments(
            &self.folder,
            &self.work,
            self.clock,
            Who::Caller,
            self.caller_codec,
            more,
        );
        let caller = children::Party::start(&self.program, Who::Caller, &arguments, "", self.speaker.clone())?;
        self.parties.push(caller);
        let end = Instant::now() + RUN_MAX;
        while !self.has_said(Who::Caller, "summary") {
            self.listen()?;
            if Instant::now() >= end {
                report::complain(&self.server.log());
                return Err(Failure::Run("the call did not end in time".to_owned()));
            }
        }
        Ok(())
    }

    /// Takes in what the parties and the server say, for at most 20 ms.
    fn listen(&mut self) -> Result<(), Failure> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        if let Some(why) = self.server.has_ended() {
            return Err(Failure::Run(why));
        }
        let mut wait = Duration::from_millis(20);
        while let Ok((who, event)) = self.said.recv_timeout(wait) {
            wait = Duration::ZERO;
            self.ladder.party(who, &event);
            self.events.entry(who).or_default().push(event);
        }
        for delivery in self.receiver.since(self.deliveries.len()) {
            self.ladder.webhook(&delivery);
            self.deliveries.push(delivery);
        }
        // The receiver is down until the two talk.
        if self.case == Case::WebhookDown && self.receiver_up_ms.is_none() && self.has_said(Who::Ai, "bye") {
            self.receiver
                .come_up()
                .map_err(|error| format!("the webhook receiver: {error}"))?;
            let now = self.clock.now_ms();
            self.receiver_up_ms = Some(now);
            self.ladder.note(now, "webhook receiver up");
        }
        self.ladder.advance(self.clock.now_ms());
        Ok(())
    }

    fn has_said(&self, who: Who, name: &str) -> bool {
        self.events
            .get(&who)
            .is_some_and(|events| events.iter().any(|event| event["event"] == name))
    }

    /// Waits for the record and the last webhook, ends everybody, and reads what they left.
    fn close(&mut self) -> Result<Run, Failure> {
        let end = Instant::now() + CLOSE_MAX;
        let mut handoff = Value::Null;
        loop {
            self.listen()?;
            if let Some(id) = self.handoff_id() {
                let path = format!("/v1/handoffs/{id}");
                handoff = get(self.places.http, &path, &self.places.admin_key).unwrap_or_default();
            }
            let closed = ["completed", "failed", "cancelled"]
                .iter()
                .any(|state| handoff["state"] == *state);
            let told = self.deliveries.iter().any(|delivery| delivery.kind() == "call.ended");
            if closed && told || Instant::now() >= end {
                break;
            }
        }
        let over_ms = self.clock.now_ms();
        let stayed = if self.keep { Vec::new() } else { self.end_parties() };
        let server_ended = self.keep || self.server.stop(CLOSE_MAX);
        self.server_log = self.server.log();
        while let Ok((who, event)) = self.said.recv_timeout(Duration::from_millis(100)) {
            self.events.entry(who).or_default().push(event);
        }
        self.ladder.advance(f64::INFINITY);

        let mut parties = HashMap::new();
        for who in [Who::Caller, Who::Ai, Who::Human] {
            let name = who.name();
            let log = std::fs::read_to_string(self.work.join(format!("{name}.packets"))).unwrap_or_default();
            let party = judge::Party {
                events: self.events.remove(&who).unwrap_or_default(),
                recording: read_wav(&self.folder.join(format!("{name}.wav")))?,
                packets: packets::parse(&log),
            };
            parties.insert(name, party);
        }
        let mut times = HashMap::new();
        for delivery in &self.deliveries {
            if let Some(at) = delivery.event["time"]
                .as_str()
                .and_then(|time| self.clock.of_rfc3339(time))
            {
                times.entry(delivery.kind().to_owned()).or_insert(at);
            }
        }
        let trigger_ms = handoff["requested_at"]
            .as_str()
            .and_then(|time| self.clock.of_rfc3339(time));
        // A party that woke late to send or to receive is a stall of the host too.
        let oversleep_ms = parties
            .values()
            .filter_map(|party| party.summary()["longest_oversleep_ms"].as_f64())
            .fold(0.0, f64::max);
        Ok(Run {
            case: self.case,
            mode: self.mode,
            parties,
            handoff,
            deliveries: std::mem::take(&mut self.deliveries),
            secret: self.places.webhook_secret.clone(),
            times,
            trigger_ms,
            stall_ms: self
                .stalls
                .longest_ms(trigger_ms.unwrap_or(0.0), over_ms)
                .max(oversleep_ms),
            receiver_up_ms: self.receiver_up_ms,
            server_ended_by_itself: server_ended,
            parties_ended_by_themselves: stayed.is_empty(),
        })
    }

    /// Ends the parties; who had to be killed.
    fn end_parties(&mut self) -> Vec<Who> {
        self.parties.iter_mut().for_each(children::Party::end);
        let patience = Duration::from_secs(4);
        self.parties
            .iter_mut()
            .filter_map(|party| (!party.wait(patience)).then_some(party.who))
            .collect()
    }

    fn handoff_id(&self) -> Option<String> {
        // Of what was asked by the API, or of the playbook's own.
        self.events.get(&Who::Ai)?.iter().rev().find_map(|event| {
            let answer = &event["answer"];
            let id = answer["id"]
                .as_str()
                .or_else(|| answer["handoff"].as_str())
                .or_else(|| answer["handoff"]["id"].as_str());
            id.filter(|id| id.starts_with("ho_")).map(str::to_owned)
        })
    }

    /// Waits for Ctrl-C while the server runs on.
    fn keep(&mut self) {
        let Places {
            sip, http, admin_key, ..
        } = &self.places;
        report::say(&format!(
            "\nrunning on: SIP {sip}, API http://{http} with the key {admin_key}; the desk page is not built yet\nCtrl-C ends it"
        ));
        while !self.interrupted.load(Ordering::Relaxed) && self.server.has_ended().is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its keys are worth nothing once the server is gone; a folder that stays is untidy only.
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

fn party_arguments(folder: &Path, work: &Path, clock: Clock, who: Who, codec: &str, more: Vec<String>) -> Vec<String> {
    let name = who.name();
    let mut arguments = vec![
        "--wav".to_owned(),
        folder.join(format!("{name}.wav")).display().to_string(),
        "--packets".to_owned(),
        work.join(format!("{name}.packets")).display().to_string(),
        "--epoch-ms".to_owned(),
        format!("{:.3}", clock.epoch_ms),
        "--codec".to_owned(),
        codec.to_owned(),
    ];
    arguments.extend(more);
    arguments
}

/// A folder for the configuration, which has keys in it, and the logs: only ours.
fn work_folder() -> Result<PathBuf, String> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = std::env::temp_dir().join(secret("baton-demo-", 9).replace(['/', '+'], "_"));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// A flag that Ctrl-C or SIGTERM raises.
fn watch_signals() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            match terminate {
                Ok(mut terminate) => {
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = terminate.recv() => {}
                    }
                }
                Err(_) => {
                    let _ = tokio::signal::ctrl_c().await;
                }
            }
        });
        flag.store(true, Ordering::Relaxed);
    });
    interrupted
}

/// A port that is free for both, as SIP wants it.
fn free_udp_and_tcp() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries == 100 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// The first of a range of free ports, below those that the kernel hands out, so that no party's socket comes between.
fn free_rtp() -> Option<u16> {
    let count = 2 * plan::PORT_PAIRS;
    let offset = (std::process::id() % 300) as u16;
    (0..300).map(|n| 16_000 + (offset + n) % 300 * count).find(|first| {
        let sockets: Result<Vec<_>, _> = (*first..first + count)
            .map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)))
            .collect();
        sockets.is_ok()
    })
}

/// A prefix and `bytes` of the kernel's randomness in base64 (RFC 4648 §4). `bytes` is a multiple of 3: no padding.
fn secret(prefix: &str, bytes: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = vec![0u8; bytes];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .expect("the kernel has randomness");
    let mut text = prefix.to_owned();
    for three in random.chunks_exact(3) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize])));
    }
    text
}

fn wait_until_ready(server: &mut ServerChild, http: SocketAddr, interrupted: &AtomicBool) -> Result<(), Failure> {
    let end = Instant::now() + START_MAX;
    loop {
        if let Some(why) = server.has_ended() {
            return Err(Failure::Run(why));
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        if get_text(http, "/readyz", "").is_ok() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(Failure::Run(format!("the server is not ready:\n{}", server.log())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(http: SocketAddr, path: &str, key: &str) -> Option<Value> {
    serde_json::from_str(&get_text(http, path, key).ok()?).ok()
}

fn get_text(http: SocketAddr, path: &str, key: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let answer = reqwest::Client::new()
            .get(format!("http://{http}{path}"))
            .bearer_auth(key)
            .timeout(Duration::from_secs(2))
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| error.to_string())?;
        answer.text().await.map_err(|error| error.to_string())
    })
}

/// A recording, at 8000 Hz whatever it has.
fn read_wav(path: &Path) -> Result<Vec<i16>, String> {
    let fail = |error: hound::Error| format!("{}: {error}", path.display());
    let mut reader = hound::WavReader::open(path).map_err(fail)?;
    let samples: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>().map_err(fail)?;
    Ok(::judge::resampled(
        ::judge::Sound::new(&samples, reader.spec().sample_rate),
        8000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_base64_and_differ() {
        let secret_text = secret("whsec_", 24);
        assert_eq!(secret_text.len(), 6 + 32);
        assert!(standardwebhooks::Webhook::new(&secret_text).is_ok());
        assert_ne!(secret_text, secret("whsec_", 24));
    }

    #[test]
    fn a_port_that_is_held_is_nobody_elses() {
        let (udp, tcp) = free_udp_and_tcp().unwrap();
        let at = udp.local_addr().unwrap();
        assert_eq!(tcp.local_addr().unwrap(), at);
        assert!(UdpSocket::bind(at).is_err() && TcpListener::bind(at).is_err());
    }

    #[test]
    fn a_range_of_rtp_ports_is_even_and_free() {
        let first = free_rtp().unwrap();
        assert_eq!(first % 2, 0);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, first)).is_ok());
    }
}
