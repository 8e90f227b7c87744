//! Prometheus text (exposition format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use calls::notice::{Notice, Step, What};
use engine::Snapshot;
use media::verdict::Reason as DropReason;

use crate::records::{Record, outcome_name, party_name, reason_name};
use crate::store::Condition;
use crate::store::recovery::{Closed, NODE_RESTARTED};
use crate::webhook::Endpoint;

/// Upper bounds of the histograms of waits, seconds.
const WAIT_BOUNDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// Upper bounds of the histograms of gaps in what a listener got, seconds.
const GAP_BOUNDS: [f64; 8] = [0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0];

/// Totals over all calls.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    calls: u64,
    ended: BTreeMap<String, u64>,
    handoffs: BTreeMap<(&'static str, &'static str), u64>,
    requested: u64,
    /// Trigger to each step, of closed handoffs.
    waits: BTreeMap<&'static str, Histogram<{ WAIT_BOUNDS.len() }>>,
    gaps: BTreeMap<&'static str, Histogram<{ GAP_BOUNDS.len() }>>,
    /// Packets lost inside us, by listener.
    lost: BTreeMap<&'static str, u64>,
    /// BYEs to legs of servers that have died.
    byes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Histogram<const N: usize> {
    counts: [u64; N],
    count: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram {
            counts: [0; N],
            count: 0,
            sum: 0.0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    fn observe(&mut self, bounds: &[f64; N], value: Duration) {
        let value = value.as_secs_f64();
        self.count += 1;
        self.sum += value;
        for (count, bound) in self.counts.iter_mut().zip(bounds) {
            *count += u64::from(value <= *bound);
        }
    }

    fn write(&self, text: &mut String, name: &str, bounds: &[f64; N], label: &str) {
        for (count, bound) in self.counts.iter().zip(bounds) {
            line(
                text,
                &format!("{name}_bucket"),
                &format!("{label},le=\"{bound}\""),
                *count,
            );
        }
        line(
            text,
            &format!("{name}_bucket"),
            &format!("{label},le=\"+Inf\""),
            self.count,
        );
        line(text, &format!("{name}_sum"), label, self.sum);
        line(text, &format!("{name}_count"), label, self.count);
    }
}

/// What is not counted here but asked for at the moment of the scrape.
pub(crate) struct Now<'a> {
    pub(crate) calls: usize,
    pub(crate) workers: &'a [Snapshot],
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) records: usize,
    pub(crate) store: &'a Condition,
}

impl Metrics {
    /// Counts a notice. `record` is that of the notice's handoff, after the notice.
    pub(crate) fn handle(&mut self, notice: &Notice, record: Option<&Record>) {
        match &notice.what {
            What::CallStarted { .. } => self.calls += 1,
            // The words are the node's own and few.
            What::CallEnded { by } => *self.ended.entry(by.clone()).or_default() += 1,
            What::Handoff(_, Step::Requested { .. }) => self.requested += 1,
            What::Handoff(_, Step::Closed { result, reason, .. }) => {
                let key = (outcome_name(*result), reason.map_or("", reason_name));
                *self.handoffs.entry(key).or_default() += 1;
                for (step, since) in record.into_iter().flat_map(Record::since_trigger) {
                    if let Some(since) = since {
                        self.waits.entry(step).or_default().observe(&WAIT_BOUNDS, since);
                    }
                }
            }
            What::Handoff(_, Step::Evidence(evidence)) => {
                for (party, evidence) in evidence {
                    let party = party_name(*party);
                    *self.lost.entry(party).or_default() += evidence.lost;
                    if let Some(gap) = evidence.longest_gap {
                        self.gaps.entry(party).or_default().observe(&GAP_BOUNDS, gap);
                    }
                }
            }
            What::Handoff(..) | What::Turns { .. } | What::Context(_) | What::ContextUpdated(_) | What::Legs(_) => {}
        }
    }

    /// Counts what was closed in the name of a server that has died.
    pub(crate) fn took_over(&mut self, closed: &Closed) {
        if closed.calls > 0 {
            *self.ended.entry(NODE_RESTARTED.to_owned()).or_default() += closed.calls as u64;
        }
        if closed.handoffs > 0 {
            *self.handoffs.entry(("failed", NODE_RESTARTED)).or_default() += closed.handoffs as u64;
        }
    }

    /// Counts a BYE to a leg of a server that has died.
    pub(crate) fn ended_foreign(&mut self) {
        self.byes += 1;
    }

    /// The text of a scrape.
    pub(crate) fn print(&self, now: &Now<'_>) -> String {
        let mut text = String::new();
        let text = &mut text;
        head(text, "baton_build_info", "gauge", "Always 1; the version is a label.");
        line(
            text,
            "baton_build_info",
            concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""),
            1,
        );

        head(text, "baton_calls", "gauge", "Calls that are alive.");
        line(text, "baton_calls", "", now.calls);
        head(
            text,
            "baton_calls_started_total",
            "counter",
            "Calls that were connected to an AI.",
        );
        line(text, "baton_calls_started_total", "", self.calls);
        head(
            text,
            "baton_calls_ended_total",
            "counter",
            "Calls that are over, by who ended them.",
        );
        for (by, count) in &self.ended {
            line(
                text,
                "baton_calls_ended_total",
                &format!("by=\"{}\"", escape(by)),
                *count,
            );
        }

        head(
            text,
            "baton_handoffs_requested_total",
            "counter",
            "Handoffs that were asked for.",
        );
        line(text, "baton_handoffs_requested_total", "", self.requested);
        head(
            text,
            "baton_handoffs_total",
            "counter",
            "Closed handoffs, by result and by the reason why they did not join.",
        );
        for ((result, reason), count) in &self.handoffs {
            line(
                text,
                "baton_handoffs_total",
                &format!("result=\"{result}\",reason=\"{reason}\""),
                *count,
            );
        }
        head(text, "baton_handoff_records", "gauge", "Handoff records in memory.");
        line(text, "baton_handoff_records", "", now.records);

        let name = "baton_handoff_step_seconds";
        head(
            text,
            name,
            "histogram",
            "From the trigger to each step, of closed handoffs.",
        );
        for (step, histogram) in &self.waits {
            histogram.write(text, name, &WAIT_BOUNDS, &format!("step=\"{step}\""));
        }
        let name = "baton_handoff_longest_gap_seconds";
        head(
            text,
            name,
            "histogram",
            "The longest time between two packets that a listener got in a handoff.",
        );
        for (party, histogram) in &self.gaps {
            histogram.write(text, name, &GAP_BOUNDS, &format!("listener=\"{party}\""));
        }
        head(
            text,
            "baton_handoff_lost_packets_total",
            "counter",
            "Packets lost inside us during handoffs.",
        );
        for (party, count) in &self.lost {
            line(
                text,
                "baton_handoff_lost_packets_total",
                &format!("listener=\"{party}\""),
                *count,
            );
        }

        head(
            text,
            "baton_takeover_byes_total",
            "counter",
            "BYEs to legs that a server which has died had left.",
        );
        line(text, "baton_takeover_byes_total", "", self.byes);

        store(text, now.store);
        webhooks(text, now.endpoints);
        workers(text, now.workers);
        std::mem::take(text)
    }
}

fn store(text: &mut String, store: &Condition) {
    let mut figure = |name: &str, kind: &str, help: &str, value: f64| {
        head(text, name, kind, help);
        line(text, name, "", value);
    };
    figure(
        "baton_store_waiting",
        "gauge",
        "Writes that wait for the store.",
        store.waiting as f64,
    );
    figure(
        "baton_store_commits_total",
        "counter",
        "Transactions of the store.",
        store.commits as f64,
    );
    figure(
        "baton_store_commit_seconds_total",
        "counter",
        "How long all of them took.",
        store.committing.as_secs_f64(),
    );
    figure(
        "baton_store_given_up_total",
        "counter",
        "Writes that were given up, for want of room or because the database refuses them for ever.",
        store.given_up as f64,
    );
    let trouble = store.trouble.as_ref().map_or(0.0, |(since, _)| since.as_secs_f64());
    figure(
        "baton_store_trouble_seconds",
        "gauge",
        "For how long the store has taken no writes; 0: it does.",
        trouble,
    );
    let name = "baton_store_pruned_total";
    head(
        text,
        name,
        "counter",
        "Rows that were kept for as long as they should be, and went.",
    );
    for (kind, count) in store.pruned.kinds() {
        line(text, name, &format!("kind=\"{kind}\""), count);
    }
}

fn webhooks(text: &mut String, endpoints: &[Endpoint]) {
    let label = |endpoint: &Endpoint| format!("webhook=\"{}\"", escape(&endpoint.name));
    head(
        text,
        "baton_webhook_attempts_total",
        "counter",
        "Attempts to deliver an event.",
    );
    for endpoint in endpoints {
        let count = endpoint.counters.attempts.load(Ordering::Relaxed);
        line(text, "baton_webhook_attempts_total", &label(endpoint), count);
    }
    head(
        text,
        "baton_webhook_events_total",
        "counter",
        "Events, by what became of them.",
    );
    for endpoint in endpoints {
        for (status, count) in [
            ("delivered", &endpoint.counters.delivered),
            ("failed", &endpoint.counters.failed),
        ] {
            let label = format!("{},status=\"{status}\"", label(endpoint));
            line(
                text,
                "baton_webhook_events_total",
                &label,
                count.load(Ordering::Relaxed),
            );
        }
    }
    head(
        text,
        "baton_webhook_waiting",
        "gauge",
        "Events that wait or are being tried.",
    );
    for endpoint in endpoints {
        let count = endpoint.counters.waiting.load(Ordering::Relaxed);
        line(text, "baton_webhook_waiting", &label(endpoint), count);
    }
}

type Figure = (&'static str, &'static str, &'static str, fn(&Snapshot) -> u64);

/// Name, type, help and value of each figure of a worker.
const WORKER_FIGURES: [Figure; 19] = [
    (
        "received_packets_total",
        "counter",
        "RTP and RTCP packets received.",
        |s| s.received,
    ),
    (
        "sent_packets_total",
        "counter",
        "Packets that the kernel accepted for sending.",
        |s| s.sent,
    ),
    (
        "forwarded_packets_total",
        "counter",
        "Packets relayed or transcoded.",
        |s| s.forwarded,
    ),
    ("transcoded_packets_total", "counter", "Packets transcoded.", |s| {
        s.transcoded
    }),
    ("played_packets_total", "counter", "Prompt packets made.", |s| s.played),
    ("comfort_packets_total", "counter", "Comfort noise packets made.", |s| {
        s.comfort
    }),
    ("rtcp_packets_total", "counter", "RTCP packets made.", |s| s.rtcp),
    ("lost_packets_total", "counter", "Packets lost inside the host.", |s| {
        s.lost
    }),
    (
        "kernel_dropped_packets_total",
        "counter",
        "Packets that the kernel dropped at our sockets.",
        |s| s.kernel_drops,
    ),
    (
        "truncated_packets_total",
        "counter",
        "Packets that did not fit into a buffer.",
        |s| s.truncated,
    ),
    ("send_errors_total", "counter", "Sends that the kernel refused.", |s| {
        s.send_errors
    }),
    (
        "receive_errors_total",
        "counter",
        "Receives that ended with an error.",
        |s| s.receive_errors,
    ),
    (
        "receive_rearms_total",
        "counter",
        "Receives that found no free buffer.",
        |s| s.receive_rearms,
    ),
    (
        "completion_overflows_total",
        "counter",
        "Completions that did not fit at once.",
        |s| s.completion_overflows,
    ),
    (
        "transmit_waits_total",
        "counter",
        "Packets that waited for a transmit buffer.",
        |s| s.transmit_waits,
    ),
    (
        "event_waits_total",
        "counter",
        "Times that the queue of events was full.",
        |s| s.event_waits,
    ),
    ("kernel_enters_total", "counter", "System calls of the worker.", |s| {
        s.enters
    }),
    ("sessions", "gauge", "Sessions alive.", |s| s.sessions),
    ("buffers_free", "gauge", "Receive buffers that are free.", |s| {
        s.buffers_free
    }),
];

fn workers(text: &mut String, workers: &[Snapshot]) {
    for (figure, kind, help, value) in WORKER_FIGURES {
        let name = format!("baton_worker_{figure}");
        head(text, &name, kind, help);
        for (worker, snapshot) in workers.iter().enumerate() {
            line(text, &name, &format!("worker=\"{worker}\""), value(snapshot));
        }
    }
    let name = "baton_worker_loop_seconds_max";
    head(text, name, "gauge", "The longest turn of the worker's loop.");
    for (worker, snapshot) in workers.iter().enumerate() {
        line(
            text,
            name,
            &format!("worker=\"{worker}\""),
            snapshot.loop_us_max as f64 / 1e6,
        );
    }
    let name = "baton_worker_dropped_packets_total";
    head(text, name, "counter", "Packets that were thrown away, by reason.");
    for (worker, snapshot) in workers.iter().enumerate() {
        for (reason, count) in DropReason::ALL.iter().zip(snapshot.dropped) {
            line(
                text,
                name,
                &format!("worker=\"{worker}\",reason=\"{}\"", reason.name()),
                count,
            );
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
