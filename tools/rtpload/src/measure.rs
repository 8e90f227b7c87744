//! One measurement: a subject, so many calls, so long.

use std::fs;
use std::time::Duration;

use baton_lab::lab::Lab;
use baton_lab::wire::Wire;
use serde_json::{Value, json};

use crate::calls::{Calls, pair};
use crate::frame::{FLOOD, Stream, port};
use crate::lines::Lines;
use crate::load::{self, Outcome, Plan, RATE};
use crate::speech::speech;
use crate::subject::{Running, Subject};

/// Before it is judged: rtpengine learns its peers for 3 s, and does more work in that time.
const WARM_UP: Duration = Duration::from_millis(700);
const LEARNING: Duration = Duration::from_millis(3500);

/// In which each stream has sent 4 packets, where that takes longer: so many seconds at one packet a second.
const SHOWN: Duration = Duration::from_secs(4);

/// p99 of the latency that still counts as "the calls are carried": what is later is a queue that grows.
pub(crate) const P99_MAX: Duration = Duration::from_millis(2);

/// What was found. Times are µs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) calls: Calls,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) reordered: u64,
    pub(crate) duplicated: u64,
    pub(crate) broken: u64,
    pub(crate) strange: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// p50 and p99 of the calls that are only relayed beside the others, which are then not in the four above.
    pub(crate) relayed_us: Option<(f64, f64)>,
    /// Processor time of the subject for each packet that came.
    pub(crate) process_us: f64,
    /// … with the receive path of its end.
    pub(crate) sum_us: f64,
    /// Of the core, whatever came: by the process, and with its receive path.
    pub(crate) shares: (f64, f64),
    /// Packets a second.
    pub(crate) rate: f64,
    pub(crate) memory_kib: Option<u64>,
    /// What the kernel holds for it, by its slabs: sockets, descriptors, requests.
    pub(crate) kernel_kib: u64,
    /// System calls that packets cost, for each; of Baton.
    pub(crate) calls_of_kernel: Option<f64>,
    /// What Baton's worker counted meanwhile.
    pub(crate) worker: Option<Value>,
    /// Packets that found the queue full in which the subject's end receives: of those that are lost.
    pub(crate) overruns: u64,
    /// The load's own limit.
    pub(crate) ours: bool,
}

impl Row {
    /// Whether all was carried in time.
    pub(crate) fn holds(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.broken == 0 && self.p99_us < P99_MAX.as_secs_f64() * 1e6
    }

    pub(crate) fn json(&self) -> Value {
        let (process, sum) = self.shares;
        json!({
            "subject": self.subject.name(),
            "calls": self.calls.count,
            "codecs": pair(self.calls.codecs),
            "core_share_process": round(process, 3),
            "core_share_sum": round(sum, 3),
            "calls_relayed": self.calls.relayed,
            "relayed_p50_us": self.relayed_us.map(|(p50, _)| p50.round()),
            "relayed_p99_us": self.relayed_us.map(|(_, p99)| p99.round()),
            "packets_per_s": self.rate.round(),
            "us_per_packet_process": round(self.process_us, 3),
            "us_per_packet_sum": round(self.sum_us, 3),
            "p50_us": self.p50_us.round(),
            "p99_us": self.p99_us.round(),
            "p999_us": self.p999_us.round(),
            "max_us": self.max_us.round(),
            "sent": self.sent,
            "received": self.received,
            "lost": self.lost,
            "reordered": self.reordered,
            "duplicated": self.duplicated,
            "broken": self.broken,
            "strange": self.strange,
            "system_calls_per_packet": self.calls_of_kernel.map(|calls| round(calls, 4)),
            "memory_kib": self.memory_kib,
            "kernel_kib": self.kernel_kib,
            "worker": self.worker,
            "queue_overruns": self.overruns,
            "load_limit": self.ours,
        })
    }
}

/// To so many digits behind the point.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) subject: Subject,
    pub(crate) calls: Calls,
    pub(crate) time: Duration,
    /// Times the rate of a stream; 0: nobody floods.
    pub(crate) flood: u32,
    /// Packets a second of all streams together; `None`: 50 for each stream.
    pub(crate) rate: Option<u32>,
    /// More words for Baton's process.
    pub(crate) relay: &'a [String],
}

/// # Errors
/// Where the subject does not start, or the kernel refuses.
pub(crate) fn measure(lab: &Lab, wire: &mut Wire, ask: Ask<'_>) -> Result<Row, String> {
    let slab_before = slab_kib();
    let mut running = Running::start(lab, ask.subject, &ask.calls, ask.relay)?;
    let (ours, theirs) = (lab.ours()?, lab.theirs()?);
    let speeches = [
        speech(ask.calls.codecs[0], ask.calls.band())?,
        speech(ask.calls.codecs[1], ask.calls.band())?,
    ];
    let stream = |number: usize, mark: u32| {
        let codec = ask.calls.codecs(number / 2)[number % 2];
        let (from, to) = ((ours, port(number)), (theirs, running.ports[number]));
        match ask.calls.is_recoded(number / 2) {
            true => Stream::speaking(mark, codec, from, to, &speeches[number % 2]),
            false => Stream::new(mark, codec, from, to),
        }
    };
    let mut streams: Vec<Stream> = (0..2 * ask.calls.all())
        .map(|number| stream(number, number as u32))
        .collect();
    // From the first call's own peer, which is the only one that is let in there.
    let flood = (ask.flood > 0).then(|| (stream(0, FLOOD), ask.flood));
    let kernel_kib = slab_kib().saturating_sub(slab_before);
    let memory_kib = running.memory_kib();
    let before = running.counted();
    let rate = ask.rate.unwrap_or(streams.len() as u32 * RATE);
    let learning = match ask.subject {
        Subject::Rtpengine => LEARNING,
        _ => WARM_UP,
    };
    let plan = Plan {
        // Each stream has shown itself some times.
        warm_up: learning.max(SHOWN * streams.len() as u32 / rate),
        streams: &mut streams,
        lines: Lines::new(&ask.calls, ask.subject == Subject::Reflector),
        relayed: 2 * ask.calls.relayed,
        rate,
        flood,
        time: ask.time,
    };
    let outcome = load::run(wire, lab, &running.watched(lab), plan).map_err(|error| format!("AF_XDP: {error}"))?;
    let after = running.counted();
    let worker = before.zip(after).map(|(before, after)| grown(&before, &after));
    Ok(row(ask, &outcome, memory_kib, kernel_kib, worker))
}

/// Each number minus what it was.
fn grown(before: &Value, after: &Value) -> Value {
    let names = after.as_object().into_iter().flatten();
    let grown = names.map(|(name, after)| {
        let before = before[name].as_u64().unwrap_or(0);
        (name.clone(), json!(after.as_u64().unwrap_or(0).saturating_sub(before)))
    });
    Value::Object(grown.collect())
}

fn row(ask: Ask<'_>, outcome: &Outcome, memory_kib: Option<u64>, kernel_kib: u64, worker: Option<Value>) -> Row {
    let judge = &outcome.judge;
    let us = |share: f64| judge.latency.quantile(share) as f64 / 1000.0;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / judge.received.max(1) as f64;
    let process_us = each(outcome.spent.process);
    let share = |time: Duration| time.as_secs_f64() / ask.time.as_secs_f64();
    let (process, receive) = (share(outcome.spent.process), share(outcome.spent.receive));
    let relayed = &judge.latency_relayed;
    let relayed_us = |share: f64| relayed.quantile(share) as f64 / 1000.0;
    Row {
        subject: ask.subject,
        calls: ask.calls,
        sent: outcome.sent,
        received: judge.received,
        lost: outcome.lost(),
        reordered: judge.reordered,
        duplicated: judge.duplicated,
        broken: judge.broken,
        strange: judge.strange,
        p50_us: us(0.5),
        p99_us: us(0.99),
        p999_us: us(0.999),
        max_us: judge.latency.max() as f64 / 1000.0,
        relayed_us: (ask.calls.relayed > 0).then(|| (relayed_us(0.5), relayed_us(0.99))),
        process_us,
        sum_us: process_us + each(outcome.spent.receive),
        shares: (process, process + receive),
        rate: judge.received as f64 / ask.time.as_secs_f64(),
        memory_kib,
        kernel_kib,
        calls_of_kernel: worker.as_ref().and_then(|worker| {
            let count = |name: &str| worker[name].as_f64();
            Some(count("system_calls")? / count("received")?.max(1.0))
        }),
        worker,
        overruns: outcome.their_overruns,
        ours: outcome.is_ours(),
    }
}

/// Objects of the kernel that are in use, by slabinfo(5): their number times their size. (What the slabs take says nothing: they stay for the
/// next ones.)
fn slab_kib() -> u64 {
    let text = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let bytes = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let active: u64 = words.next()?.parse().ok()?;
        Some(active * words.nth(1)?.parse::<u64>().ok()?)
    });
    bytes.sum::<u64>() / 1024
}
