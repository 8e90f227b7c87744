//! Whole calls through a worker's own sockets over loopback, their packets from this thread.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Backend, Engine, Snapshot};
use media::command::{Codec, Command, PromptId, SessionId};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::paths::{heard, leg, played, set};
use crate::config::Config;
use crate::library::Library;
use crate::server::engine_config;

/// The bound of a good rate, µs: what waits longer in us is heard.
pub(super) const P99_US: u32 = 2000;

/// Calls of one rate after the other.
const CALLS: [u32; 15] = [
    50, 100, 200, 400, 600, 800, 1000, 1250, 1500, 1750, 2000, 2500, 3000, 4000, 5000,
];

/// At the most so many calls have ports of their own; above it each has more packets.
const REAL_CALLS: u32 = 1000;

/// Calls on hold at the most.
const HOLDS: u32 = 500;

/// Packets a second of a call.
const PER_CALL: u32 = 100;

/// A stall of this program itself, µs, above which it does not judge.
const OWN_US: u32 = P99_US / 2;

/// How long what is under way may take to arrive, ms.
const LATE_MS: u64 = 200;

/// RTP's header and 20 ms of G.711.
const BYTES: usize = 172;

/// Marks our packets.
const MARK: [u8; 4] = *b"tune";

/// One rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) calls: u32,
    /// Packets a second, as they were really sent.
    pub(super) packets: f64,
    /// Of the worker's thread, for each packet that it forwarded.
    pub(super) us_per_packet: f64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
    pub(super) max_us: u32,
    /// Sent to the worker, and not forwarded.
    pub(super) lost: u64,
    /// Forwarded, and not received here: this program was too slow.
    pub(super) missed: u64,
    /// How late this program itself was, 99 of 100 times at the most.
    pub(super) own_p99_us: u32,
}

/// What ended the rising of the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A packet was lost.
    Loss,
    /// One of a hundred took longer than [`P99_US`].
    Late,
    /// This program could not send or receive any faster: the worker could do more.
    Own,
    /// The highest rate was good.
    Top,
}

impl End {
    pub(super) fn name(self) -> &'static str {
        match self {
            End::Loss => "loss",
            End::Late => "p99",
            End::Own => "generator",
            End::Top => "top",
        }
    }
}

/// How this rate ends the rising, where it does.
fn ends(rate: &Rate) -> Option<End> {
    if rate.missed > 0 || rate.own_p99_us > OWN_US {
        return Some(End::Own);
    }
    if rate.lost > 0 {
        return Some(End::Loss);
    }
    (rate.p99_us >= P99_US).then_some(End::Late)
}

/// A worker, and two sockets at which all parties are: the callers, and whom they talk with.
pub(super) struct Wire {
    engine: Engine,
    ports: Vec<u16>,
    at: IpAddr,
    sides: [UdpSocket; 2],
    core: Option<usize>,
    /// Of the host, as far as we may use them.
    cores: usize,
    hold: PromptId,
    most: u32,
    base: Instant,
    packet: [u8; BYTES],
    own: Vec<u32>,
    latencies: Vec<u32>,
}

impl Wire {
    /// # Errors
    /// Why the worker does not start: its ports are taken, the kernel forbids what it needs.
    pub(super) fn start(config: &Config) -> Result<Wire, String> {
        let mut library = Library::new(config);
        let ids = library.ids(config)?;
        let mut engine_config = engine_config(config, Arc::clone(&library.prompts), 1);
        engine_config.workers.truncate(1);
        let cores = sched_getaffinity(None).map_err(|error| format!("sched_getaffinity: {error}"))?;
        let first = (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core));
        let core = engine_config.workers.iter().find_map(|worker| worker.core).or(first);
        // With a core of its own, whatever the configuration says: else nobody knows what was measured.
        engine_config.workers.iter_mut().for_each(|worker| worker.core = core);
        let engine = Engine::start(engine_config).map_err(|error| error.to_string())?;
        keep_off(cores, core);
        let at = match config.media.listen {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            one => one,
        };
        let side = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((at, 0))?;
            socket.set_nonblocking(true)?;
            // The kernel gives what it allows.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
            Ok(socket)
        };
        let socket = |error: std::io::Error| format!("a socket on {at}: {error}");
        let sides = [side().map_err(socket)?, side().map_err(socket)?];
        let ports = engine.ports(0).to_vec();
        let most = (ports.len() / 2).min(config.media.sessions_per_worker) as u32;
        if most == 0 {
            return Err("media.ports_per_worker is 1: a call needs 2".to_owned());
        }
        Ok(Wire {
            engine,
            ports,
            at,
            sides,
            core,
            cores: cores.count() as usize,
            hold: ids.prompts.hold,
            most,
            base: Instant::now(),
            packet: [0xff; BYTES],
            own: Vec::new(),
            latencies: Vec::new(),
        })
    }

    /// The worker's core, and how many there are.
    pub(super) fn cores(&self) -> (Option<usize>, usize) {
        (self.core, self.cores)
    }

    /// The way that the packets take.
    pub(super) fn backend(&self) -> &'static str {
        match self.engine.backend(0) {
            Backend::Epoll => "epoll",
            Backend::Uring | Backend::Auto => "io_uring",
        }
    }

    /// µs of the worker for each packet time of a caller on hold: its packet comes, and one of hold audio goes.
    ///
    /// # Errors
    /// Where the worker does not do what it is told.
    pub(super) fn hold(&mut self, time: Duration) -> Result<f64, String> {
        let calls = self.most.min(HOLDS);
        let to = self.remote(0)?;
        for call in 0..calls {
            let row = played(0, self.hold);
            let legs = [leg(0, self.port(call, 0), to, Codec::Pcmu, row)];
            self.send(set(u64::from(call), 1, legs))?;
        }
        self.wait_for(u64::from(calls))?;
        let mut streams = Streams::new(calls, 1);
        self.run(&mut streams, calls * PER_CALL / 2, time / 4)?;
        let (before, began) = (self.worker()?, Instant::now());
        self.run(&mut streams, calls * PER_CALL / 2, time * 3 / 4)?;
        let (after, passed) = (self.worker()?, began.elapsed());
        let times = passed.as_secs_f64() * f64::from(calls * PER_CALL / 2);
        for call in 0..calls {
            let session = SessionId(u64::from(call));
            self.send(Command::End { session })?;
        }
        self.wait_for(0)?;
        Ok((after.time - before.time).as_secs_f64() * 1e6 / times)
    }

    /// More and more calls, until one of the bounds is met. `told` hears each.
    ///
    /// # Errors
    /// Where the worker does not do what it is told.
    pub(super) fn rates(&mut self, time: Duration, told: impl Fn(&Rate)) -> Result<(Vec<Rate>, End), String> {
        let (mut rates, mut ready) = (Vec::new(), 0);
        // From rate to rate each is one line: a sequence that began anew would be taken for late packets.
        let mut streams = Streams::new(0, 2);
        for calls in CALLS {
            let real = calls.min(self.most).min(REAL_CALLS);
            self.relay(ready..real)?;
            ready = ready.max(real);
            streams.grow(real);
            let mut rate = self.rate(calls, &mut streams, time)?;
            told(&rate);
            // Once may be the host's fault, which has other things to do.
            if ends(&rate).is_some() {
                rate = self.rate(calls, &mut streams, time)?;
                told(&rate);
            }
            let end = ends(&rate);
            rates.push(rate);
            if let Some(end) = end {
                return Ok((rates, end));
            }
        }
        Ok((rates, End::Top))
    }

    /// Makes these calls: each party hears the other.
    fn relay(&self, calls: std::ops::Range<u32>) -> Result<(), String> {
        let (callers, others) = (self.remote(0)?, self.remote(1)?);
        for call in calls.clone() {
            let legs = [
                leg(0, self.port(call, 0), callers, Codec::Pcmu, heard(1)),
                leg(1, self.port(call, 1), others, Codec::Pcmu, heard(0)),
            ];
            self.send(set(0x1_0000 + u64::from(call), 1, legs))?;
        }
        match calls.end > calls.start {
            true => self.wait_for(u64::from(calls.end)),
            false => Ok(()),
        }
    }

    fn rate(&mut self, calls: u32, streams: &mut Streams, time: Duration) -> Result<Rate, String> {
        let packets = calls * PER_CALL;
        self.run(streams, packets, time / 5)?;
        self.settle();
        (self.own, self.latencies) = (Vec::new(), Vec::new());
        let (before, began) = (self.worker()?, Instant::now());
        let sent = self.run(streams, packets, time * 4 / 5)?;
        let (after, passed) = (self.worker()?, began.elapsed());
        // What is late is late, and what does not come is lost.
        let late = Instant::now();
        let arrived = |wire: &Wire| wire.latencies.len() as u64;
        while arrived(self) < sent && late.elapsed().as_millis() < u128::from(LATE_MS) {
            self.receive();
        }
        let last = self.worker()?;
        let forwarded = last.figures.forwarded - before.figures.forwarded;
        let now = after.figures.forwarded - before.figures.forwarded;
        let used = after.time - before.time;
        self.latencies.sort_unstable();
        self.own.sort_unstable();
        Ok(Rate {
            calls,
            packets: sent as f64 / passed.as_secs_f64(),
            us_per_packet: used.as_secs_f64() * 1e6 / now.max(1) as f64,
            p50_us: share(&self.latencies, 0.5),
            p99_us: share(&self.latencies, 0.99),
            max_us: share(&self.latencies, 1.0),
            lost: sent.saturating_sub(forwarded) + (last.figures.lost - before.figures.lost),
            missed: forwarded.saturating_sub(arrived(self)),
            own_p99_us: share(&self.own, 0.99),
        })
    }

    /// Sends so many packets a second, evenly, and receives what comes; how many were sent.
    fn run(&mut self, streams: &mut Streams, rate: u32, time: Duration) -> Result<u64, String> {
        let (began, mut sent, mut last) = (Instant::now(), 0_u64, Instant::now());
        loop {
            let now = Instant::now();
            self.own.push(micros(now - last));
            last = now;
            let passed = now - began;
            if passed >= time {
                return Ok(sent);
            }
            let due = (passed.as_secs_f64() * f64::from(rate)) as u64;
            // Few at a time: who sends does not receive.
            for _ in 0..(due.saturating_sub(sent)).min(16) {
                self.send_next(streams)?;
                sent += 1;
            }
            if !self.receive() && due <= sent {
                std::thread::yield_now();
            }
        }
    }

    fn send_next(&mut self, streams: &mut Streams) -> Result<(), String> {
        let (stream, side, sequence) = streams.next();
        let ns = self.base.elapsed().as_nanos() as u64;
        let packet = &mut self.packet;
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&sequence.wrapping_mul(160).to_be_bytes());
        packet[8..12].copy_from_slice(&(stream + 1).to_be_bytes());
        packet[12..16].copy_from_slice(&MARK);
        packet[16..24].copy_from_slice(&ns.to_be_bytes());
        let to = SocketAddr::new(self.at, self.ports[stream as usize]);
        match self.sides[side].send_to(&self.packet, to) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("a packet to {to}: {error}")),
        }
    }

    /// Takes in what there is, some of it at the most; whether there was any.
    fn receive(&mut self) -> bool {
        let mut any = false;
        let mut buffer = [0_u8; 256];
        for side in &self.sides {
            for _ in 0..32 {
                let Ok(length) = side.recv(&mut buffer) else { break };
                any = true;
                // Hold audio and comfort noise are not judged.
                if length == BYTES && buffer[12..16] == MARK {
                    let now = self.base.elapsed().as_nanos() as u64;
                    let sent = buffer[16..24].try_into().map_or(now, u64::from_be_bytes);
                    self.latencies
                        .push(u32::try_from(now.saturating_sub(sent) / 1000).unwrap_or(u32::MAX));
                }
            }
        }
        any
    }

    /// Until nothing comes any more that was under way.
    fn settle(&mut self) {
        let began = Instant::now();
        while self.receive() && began.elapsed().as_millis() < u128::from(LATE_MS) {}
    }

    fn port(&self, call: u32, side: u32) -> u16 {
        self.ports[(2 * call + side) as usize]
    }

    fn remote(&self, side: usize) -> Result<SocketAddr, String> {
        self.sides[side].local_addr().map_err(|error| error.to_string())
    }

    fn send(&self, command: Command) -> Result<(), String> {
        let (mut command, began) = (command, Instant::now());
        while let Err(engine::Full(again)) = self.engine.send(0, command) {
            self.lives(began)?;
            command = again;
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Until the worker has so many sessions.
    fn wait_for(&self, sessions: u64) -> Result<(), String> {
        let began = Instant::now();
        while self.engine.stats(0).sessions != sessions {
            self.lives(began)?;
            // Nobody else wants to know.
            while self.engine.events().try_recv().is_some() {}
            std::thread::yield_now();
        }
        Ok(())
    }

    fn lives(&self, began: Instant) -> Result<(), String> {
        match self.engine.is_running(0) && began.elapsed().as_secs() < 10 {
            true => Ok(()),
            false => Err("the worker does not do what it is told: a bug; the log says more".to_owned()),
        }
    }

    fn worker(&self) -> Result<Worker, String> {
        let time = self.engine.processor_time(0);
        Ok(Worker {
            time: time.ok_or("the worker has ended: a bug")?,
            figures: self.engine.stats(0),
        })
    }
}

/// This thread runs on the other cores from now on, where there are any.
fn keep_off(cores: CpuSet, core: Option<usize>) {
    let mut others = cores;
    if let Some(core) = core {
        others.unset(core);
    }
    if others.count() > 0 {
        // Where the kernel does not want that, the figures are worse, and say so.
        let _ = sched_setaffinity(None, &others);
    }
}

/// The worker at a moment.
struct Worker {
    time: Duration,
    figures: Snapshot,
}

/// All lines to the worker, one after the other.
struct Streams {
    sequences: Vec<u32>,
    next: usize,
    sides: usize,
}

impl Streams {
    /// Of so many calls, of which so many parties speak.
    fn new(calls: u32, sides: usize) -> Streams {
        Streams {
            sequences: vec![0; 2 * calls as usize],
            next: 0,
            sides,
        }
    }

    /// So many calls from now on, or more.
    fn grow(&mut self, calls: u32) {
        let streams = self.sequences.len().max(2 * calls as usize);
        self.sequences.resize(streams, 0);
    }

    /// The place of the next one's port, its side, and its sequence number.
    fn next(&mut self) -> (u32, usize, u32) {
        let stream = self.next;
        // Where only callers speak, every second one.
        self.next = (self.next + 3 - self.sides) % self.sequences.len();
        self.sequences[stream] += 1;
        (stream as u32, stream % 2, self.sequences[stream])
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The value that this share of the sorted ones does not exceed.
fn share(sorted: &[u32], share: f64) -> u32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_ends_it_for_the_right_reason() {
        let good = Rate {
            p99_us: P99_US - 1,
            own_p99_us: OWN_US,
            ..Rate::default()
        };
        assert_eq!(ends(&good), None);
        let late = Rate {
            p99_us: P99_US,
            ..good.clone()
        };
        assert_eq!(ends(&late), Some(End::Late));
        let lost = Rate {
            lost: 1,
            ..late.clone()
        };
        assert_eq!(ends(&lost), Some(End::Loss));
        // Who is late himself does not blame others.
        let slow = Rate {
            own_p99_us: OWN_US + 1,
            ..lost.clone()
        };
        assert_eq!(ends(&slow), Some(End::Own));
        assert_eq!(ends(&Rate { missed: 1, ..lost }), Some(End::Own));
    }

    #[test]
    fn streams_take_turns_and_count_each_for_itself() {
        let mut both = Streams::new(2, 2);
        let order: Vec<_> = (0..5).map(|_| both.next()).collect();
        assert_eq!(order, [(0, 0, 1), (1, 1, 1), (2, 0, 1), (3, 1, 1), (0, 0, 2)]);
        both.grow(3);
        let order: Vec<_> = (0..6).map(|_| both.next()).collect();
        assert_eq!(
            order,
            [(1, 1, 2), (2, 0, 2), (3, 1, 2), (4, 0, 1), (5, 1, 1), (0, 0, 3)]
        );
        let mut callers = Streams::new(2, 1);
        let order: Vec<_> = (0..3).map(|_| callers.next()).collect();
        assert_eq!(order, [(0, 0, 1), (2, 0, 1), (0, 0, 2)]);
    }

    #[test]
    fn shares_are_by_rank() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|part| share(&sorted, part)), [100, 198, 200]);
        assert_eq!(share(&[], 0.5), 0);
    }
}
