//! Whole calls through workers' own sockets over loopback, their packets from this thread.
//!
//! Where two ways into the kernel are compared there is a worker for each, both on one core: the one whose turn it is not has no
//! calls, and so nothing to do. They take turns at each rate, so that a noisy host is as noisy for both.

mod parties;
mod worker;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Backend, EngineConfig, StartError};
use media::command::{Codec, PromptId};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::paths::{heard, leg, played};
use super::rates::{End, Rate, Way};
use crate::config::{Config, Media};
use crate::library::{Library, Uploads};
use crate::server::engine_config;
use parties::{Parties, Streams};
use worker::Worker;

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

/// How often a rate that is not good is tried, while there is time: it may be the fault of the host, which has other things to do.
const TRIES: u32 = 5;

/// The workers of the ways that are measured, and who calls.
pub(super) struct Wire {
    workers: Vec<Worker>,
    /// Which way was not measured though `[media] io` leaves it open, and why.
    unmeasured: Option<String>,
    parties: Parties,
    core: Option<usize>,
    /// Of the host, as far as we may use them.
    cores: usize,
    hold: PromptId,
    most: u32,
}

impl Wire {
    /// # Errors
    /// Why a worker does not start: its ports are taken, the kernel forbids what it needs.
    pub(super) fn start(config: &Config) -> Result<Wire, String> {
        let mut library = Library::new(config);
        let ids = library.ids(config, &Uploads::new())?;
        let mut engine_config = engine_config(config, Arc::clone(&library.prompts), 1);
        let cores = sched_getaffinity(None).map_err(|error| format!("sched_getaffinity: {error}"))?;
        let first = (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core));
        let core = config.media.cores.first().copied().or(first);
        engine_config.workers.truncate(1);
        for worker in &mut engine_config.workers {
            // With a core of its own, whatever the configuration says: else nobody knows what was measured.
            worker.core = core;
            worker.pairs = worker.pairs.min(2 * REAL_CALLS as u16);
        }
        let (workers, unmeasured) = workers(&config.media, engine_config).map_err(|error| error.to_string())?;
        keep_off(cores, core);
        let at = match config.media.listen {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            one => one,
        };
        let pairs = workers.iter().map(|worker| worker.ports().len()).min();
        let most = (pairs.unwrap_or(0) / 2).min(config.media.sessions_per_worker) as u32;
        if most == 0 {
            return Err("media.ports_per_worker is 1: a call needs 2".to_owned());
        }
        Ok(Wire {
            workers,
            unmeasured,
            parties: Parties::new(at)?,
            core,
            cores: cores.count() as usize,
            hold: ids.prompts.hold,
            most,
        })
    }

    /// The workers' core, and how many there are.
    pub(super) fn cores(&self) -> (Option<usize>, usize) {
        (self.core, self.cores)
    }

    /// Which way was not measured though it might be taken, and why: a sentence.
    pub(super) fn unmeasured(&self) -> Option<String> {
        self.unmeasured.clone()
    }

    /// Calls on hold, and then more and more calls until one of the bounds is met, by each way. `hold`, `rate`: the time for all ways.
    /// `until`: nothing is tried again that would take longer. `told` hears each rate and the way's name.
    ///
    /// # Errors
    /// Where a worker does not do what it is told.
    pub(super) fn measure(
        &mut self,
        hold: Duration,
        rate: Duration,
        until: Instant,
        told: impl Fn(&str, &Rate),
    ) -> Result<Vec<Way>, String> {
        let share = self.workers.len() as u32;
        let mut ways = Vec::new();
        for at in 0..self.workers.len() {
            ways.push(Way {
                io: self.workers[at].io(),
                hold: self.hold(at, hold / share)?,
                rates: Vec::new(),
                end: End::Top,
            });
        }
        for calls in CALLS {
            self.rate(&mut ways, calls, (rate / share, until), &told)?;
        }
        Ok(ways)
    }

    /// µs of the worker for each packet time of a caller on hold: its packet comes, and one of hold audio goes.
    fn hold(&mut self, at: usize, time: Duration) -> Result<f64, String> {
        let (calls, hold) = (self.most.min(HOLDS), self.hold);
        let Wire { workers, parties, .. } = self;
        let (worker, to) = (&mut workers[at], parties.remote(0)?);
        worker.begin(calls, |port, _| [leg(0, port, to, Codec::Pcmu, played(0, hold))])?;
        let packets = calls * PER_CALL / 2;
        let mut streams = Streams::new(&worker.ports()[..2 * calls as usize], 1);
        parties.run(&mut streams, packets, time / 4)?;
        let (before, began) = (worker.now()?, Instant::now());
        parties.run(&mut streams, packets, time * 3 / 4)?;
        let (after, passed) = (worker.now()?, began.elapsed());
        worker.end()?;
        let times = passed.as_secs_f64() * f64::from(packets);
        Ok((after.time - before.time).as_secs_f64() * 1e6 / times)
    }

    /// One rate, for each way that has not ended, as it was when it was good or at last. They take turns, and where one is tried again for the last
    /// time, so is the other: a stall of this host meets both.
    fn rate(
        &mut self,
        ways: &mut [Way],
        calls: u32,
        (time, until): (Duration, Instant),
        told: &impl Fn(&str, &Rate),
    ) -> Result<(), String> {
        let going: Vec<usize> = (0..ways.len()).filter(|&at| ways[at].end == End::Top).collect();
        let mut found: Vec<Option<Rate>> = going.iter().map(|_| None).collect();
        for tried in 0..TRIES {
            if tried > 0 && Instant::now() + time * going.len() as u32 > until {
                break;
            }
            for (&at, found) in going.iter().zip(&mut found) {
                if found.as_ref().is_none_or(|rate| rate.ends().is_some()) {
                    let rate = self.rate_once(at, calls, time)?;
                    told(ways[at].io, &rate);
                    *found = Some(rate);
                }
            }
        }
        for (at, found) in going.into_iter().zip(found) {
            if let Some(rate) = found {
                ways[at].end = rate.ends().unwrap_or(End::Top);
                ways[at].rates.push(rate);
            }
        }
        Ok(())
    }

    fn rate_once(&mut self, at: usize, calls: u32, time: Duration) -> Result<Rate, String> {
        let real = calls.min(self.most).min(REAL_CALLS);
        let Wire { workers, parties, .. } = self;
        let (worker, callers, others) = (&mut workers[at], parties.remote(0)?, parties.remote(1)?);
        worker.begin(real, |first, second| {
            [
                leg(0, first, callers, Codec::Pcmu, heard(1)),
                leg(1, second, others, Codec::Pcmu, heard(0)),
            ]
        })?;
        let packets = calls * PER_CALL;
        let mut streams = Streams::new(&worker.ports()[..2 * real as usize], 2);
        parties.run(&mut streams, packets, time / 5)?;
        parties.settle();
        let (before, began) = (worker.now()?, Instant::now());
        let sent = parties.run(&mut streams, packets, time * 4 / 5)?;
        let (after, passed) = (worker.now()?, began.elapsed());
        let came = parties.heard(sent);
        let last = worker.now()?;
        worker.end()?;
        let forwarded = last.figures.forwarded - before.figures.forwarded;
        let meanwhile = after.figures.forwarded - before.figures.forwarded;
        let used = after.time - before.time;
        let [p50_us, p99_us, max_us] = came.latencies;
        Ok(Rate {
            calls,
            packets: sent as f64 / passed.as_secs_f64(),
            us_per_packet: used.as_secs_f64() * 1e6 / meanwhile.max(1) as f64,
            p50_us,
            p99_us,
            max_us,
            lost: sent.saturating_sub(forwarded) + (last.figures.lost - before.figures.lost),
            missed: forwarded.saturating_sub(came.packets),
            own_p99_us: came.own,
        })
    }
}

/// A worker for each way that the configuration leaves open and the kernel gives, the one that `auto` takes first; and what there is to say where
/// that is not both. The second one has the ports of a version that takes over, which are the server's own as well.
fn workers(media: &Media, config: EngineConfig) -> Result<(Vec<Worker>, Option<String>), StartError> {
    let first = Worker::start(config.clone())?;
    if config.backend != Backend::Auto {
        return Ok((vec![first], None));
    }
    if first.io() == "epoll" {
        return Ok((vec![first], Some(no_uring(media))));
    }
    let without = |why: String| format!("epoll was not measured: {why}.");
    let Some(first_port) = media.other_first_port else {
        let why = "a worker beside the other one needs ports, set media.other_first_port, or say io = \"epoll\"";
        return Ok((vec![first], Some(without(why.to_owned()))));
    };
    let mut second = config;
    second.backend = Backend::Epoll;
    second
        .workers
        .iter_mut()
        .for_each(|worker| worker.first_port = first_port);
    match Worker::start(second) {
        Ok(second) => Ok((vec![first, second], None)),
        // Of a server that runs, say: then no figure is worth anything, and its calls would hear it.
        Err(error @ StartError::PortTaken { .. }) => Err(error),
        Err(error) => Ok((vec![first], Some(without(error.to_string())))),
    }
}

/// Why there is only epoll.
fn no_uring(media: &Media) -> String {
    let findings = engine::probe(1, media.rtcp, Backend::Uring).findings;
    let why = findings.into_iter().find(|finding| !finding.ok).map(|finding| {
        let remedy = finding.remedy.map_or(String::new(), |remedy| format!("; {remedy}"));
        format!(" ({}: {}{remedy})", finding.what, finding.found)
    });
    format!(
        "io_uring was not measured: the kernel does not give it{}.",
        why.unwrap_or_default()
    )
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
