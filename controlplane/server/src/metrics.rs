//! What `/metrics` says. Each figure has a row in the list (`metrics/list.rs`), and is counted here or in a file beside it.

mod http;
pub(crate) mod list;
mod process;
pub(crate) mod sip;
mod text;
pub(crate) mod turns;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use calls::handoff::Unrouted;
use calls::load::WorkerLoad;
use calls::node::{Alive, Moves};
use calls::notice::{CallId, HandoffId, Notice, Outcome, Step, What};
use calls::refusal::{Refusal, Refusals};
use calls::request::QueueView;
use engine::{Backend, Snapshot};
use media::verdict::Reason as DropReason;
use playbook::Mode;

use crate::callbacks::{self, Counted};
use crate::records::{Record, mode_name, outcome_name, party_name, reason_name};
use crate::store::Condition;
use crate::store::recovery::{Closed, NODE_RESTARTED};
use crate::vitals::CoderStates;
use crate::webhook::Endpoint;
use http::HttpTotals;
use sip::SipTotals;
use text::{Family, Histogram, Page};
use turns::Turns;

/// Totals over all calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    calls: u64,
    ended: BTreeMap<String, u64>,
    /// What came of asking where callers go.
    routes: BTreeMap<&'static str, u64>,
    /// Live calls in which a handoff was asked for, and such that are over.
    handing_off: HashSet<CallId>,
    handed_off: u64,
    /// By rule; and by rule and whether the caller got a human.
    rules_fired: BTreeMap<String, u64>,
    rules_closed: BTreeMap<(String, &'static str), u64>,
    /// By trigger, mode and target.
    requested: BTreeMap<(&'static str, &'static str, String), u64>,
    running: u64,
    closed: BTreeMap<(&'static str, &'static str), u64>,
    /// Who waits in which queue, since when.
    lines: HashMap<HandoffId, (String, Instant)>,
    /// Times in line, by queue; how often what followed, by queue, too.
    line_waits: BTreeMap<String, Histogram>,
    lines_left: BTreeMap<(String, &'static str), u64>,
    targets_failed: BTreeMap<(String, &'static str), u64>,
    /// Trigger to each step, of closed handoffs.
    waits: BTreeMap<&'static str, Histogram>,
    gaps: BTreeMap<&'static str, Histogram>,
    dead_air: BTreeMap<&'static str, Histogram>,
    /// Packets lost inside us, by listener.
    lost: BTreeMap<&'static str, u64>,
    legs: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) sip: SipTotals,
    pub(crate) http: HttpTotals,
    /// BYEs to legs of servers that have died.
    byes: u64,
}

/// What made a handoff begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// `POST …/handoffs`.
    Api,
    /// A rule of the playbook.
    Rule,
    /// A REFER; nothing else that comes from outside begins one.
    #[default]
    Refer,
}

impl Trigger {
    fn name(self) -> &'static str {
        match self {
            Trigger::Api => "api",
            Trigger::Rule => "rule",
            Trigger::Refer => "refer",
        }
    }
}

/// What is not counted here but asked for at the moment of the scrape.
pub(crate) struct Now<'a> {
    pub(crate) draining: bool,
    pub(crate) alive: Alive,
    pub(crate) connections: usize,
    pub(crate) workers: &'a [Snapshot],
    pub(crate) loads: &'a [WorkerLoad],
    /// How many there are, and how many are free.
    pub(crate) coders: CoderStates,
    pub(crate) refusals: &'a Refusals,
    pub(crate) moves: Moves,
    /// Each with whether it is open.
    pub(crate) queues: &'a [(QueueView, bool)],
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) records: usize,
    pub(crate) store: &'a Condition,
    pub(crate) turns: &'a Turns,
    pub(crate) trace_bytes: usize,
    /// Sent and dropped.
    pub(crate) hep: [u64; 2],
    pub(crate) otlp: [u64; 2],
    /// Of the answering machine: left, too short, cut, refused.
    pub(crate) voicemails: [u64; 4],
    pub(crate) callbacks: Counted,
}

impl Metrics {
    /// A handoff was asked for.
    pub(crate) fn requested(&mut self, trigger: Trigger, mode: Mode, target: &str) {
        let key = (trigger.name(), mode_name(mode), target.to_owned());
        *self.requested.entry(key).or_default() += 1;
    }

    /// Counts a notice. `record` is that of the notice's handoff, after the notice.
    pub(crate) fn handle(&mut self, notice: &Notice, record: Option<&Record>) {
        match &notice.what {
            What::CallStarted { .. } => self.calls += 1,
            // The words are the node's own and few.
            What::CallEnded { by } => {
                *self.ended.entry(by.clone()).or_default() += 1;
                self.handed_off += u64::from(self.handing_off.remove(&notice.call));
            }
            What::Handoff(id, step) => {
                self.line(*id, notice.at, step);
                if matches!(step, Step::Requested { .. }) {
                    self.handing_off.insert(notice.call);
                }
                self.step(step, record);
            }
            What::Turns { .. } | What::Context(_) | What::ContextUpdated(_) | What::Legs(_) => {}
            What::NotReached { .. } | What::Hears { .. } | What::Supervisor { .. } | What::Spoken { .. } => {}
        }
    }

    /// A caller is in line, or is not any more.
    fn line(&mut self, id: HandoffId, at: Instant, step: &Step) {
        let left = match step {
            Step::Queued { target, .. } => {
                self.lines.entry(id).or_insert_with(|| (target.clone(), at));
                return;
            }
            Step::Invited { .. } => "called",
            Step::TargetFailed { .. } => "overflow",
            Step::Closed { .. } => "left",
            _ => return,
        };
        if let Some((queue, since)) = self.lines.remove(&id) {
            let waits = self.line_waits.entry(queue.clone());
            let waits = waits.or_insert_with(|| Histogram::of(&list::QUEUE_SECONDS));
            waits.observe(at.saturating_duration_since(since));
            *self.lines_left.entry((queue, left)).or_default() += 1;
        }
    }

    fn step(&mut self, step: &Step, record: Option<&Record>) {
        match step {
            Step::Requested { trigger, .. } => {
                self.running += 1;
                if let Some(trigger) = trigger {
                    *self.rules_fired.entry(trigger.rule.clone()).or_default() += 1;
                }
            }
            Step::TargetFailed { target, reason, .. } => {
                let key = (target.clone(), reason_name(*reason));
                *self.targets_failed.entry(key).or_default() += 1;
            }
            Step::Joined { codecs } => {
                for spoken in codecs {
                    let codec = list::CODECS.iter().find(|known| **known == spoken.codec);
                    *self
                        .legs
                        .entry((party_name(spoken.party), codec.copied().unwrap_or("other")))
                        .or_default() += 1;
                }
            }
            Step::Evidence(evidence) => {
                for (party, evidence) in evidence {
                    let party = party_name(*party);
                    *self.lost.entry(party).or_default() += evidence.lost;
                    if let Some(gap) = evidence.longest_gap {
                        histogram(&mut self.gaps, party, &list::GAP_SECONDS).observe(gap);
                    }
                    if let Some(dead_air) = evidence.dead_air {
                        histogram(&mut self.dead_air, party, &list::DEAD_AIR_SECONDS).observe(dead_air);
                    }
                }
            }
            Step::Closed { result, reason, .. } => {
                self.running = self.running.saturating_sub(1);
                let key = (outcome_name(*result), reason.map_or("", reason_name));
                *self.closed.entry(key).or_default() += 1;
                if let Some(rule) = record.and_then(Record::rule) {
                    let joined = matches!(result, Outcome::Joined | Outcome::Transferred);
                    let key = (rule.to_owned(), if joined { "yes" } else { "no" });
                    *self.rules_closed.entry(key).or_default() += 1;
                }
                for (step, since) in record.into_iter().flat_map(Record::since_trigger) {
                    if let Some(since) = since {
                        histogram(&mut self.waits, step, &list::STEP_SECONDS).observe(since);
                    }
                }
            }
            Step::Routed { unchanged, .. } => {
                let result = unchanged.map_or("routed", Unrouted::name);
                *self.routes.entry(result).or_default() += 1;
            }
            Step::Asked { .. }
            | Step::Invited { .. }
            | Step::Queued { .. }
            | Step::Disclosed
            | Step::Gate { .. }
            | Step::Announced
            | Step::Ringing
            | Step::Answered { .. }
            | Step::Accepted
            | Step::Machine { .. }
            | Step::FirstHumanWord
            | Step::Returned => {}
        }
    }

    /// Counts what was closed in the name of a server that has died.
    pub(crate) fn took_over(&mut self, closed: &Closed) {
        if closed.calls > 0 {
            *self.ended.entry(NODE_RESTARTED.to_owned()).or_default() += closed.calls as u64;
        }
        if closed.handoffs > 0 {
            *self.closed.entry(("failed", NODE_RESTARTED)).or_default() += closed.handoffs as u64;
        }
    }

    /// Counts a BYE to a leg of a server that has died.
    pub(crate) fn ended_foreign(&mut self) {
        self.byes += 1;
    }

    /// The text of a scrape.
    pub(crate) fn print(&self, now: &Now<'_>) -> String {
        let mut page = Page::default();
        page.family(&list::BUILD_INFO).set(&[env!("CARGO_PKG_VERSION")], 1);
        page.one(&list::DRAINING, u8::from(now.draining));
        self.calls(&mut page, now);
        queues(&mut page, now.queues);
        self.lines(&mut page);
        self.handoffs(&mut page, now);
        self.sip.write(&mut page);
        page.one(&list::SIP_TRANSACTIONS, now.alive.sip.transactions);
        page.one(&list::SIP_DIALOGS, now.alive.sip.dialogs);
        page.one(&list::SIP_CONNECTIONS, now.connections);
        page.one(&list::SIP_TRACES, now.trace_bytes);
        for (family, counts) in [(&list::HEP, now.hep), (&list::OTLP, now.otlp)] {
            let mut samples = page.family(family);
            for (status, count) in ["sent", "dropped"].into_iter().zip(counts) {
                samples.set(&[status], count);
            }
        }
        let mut routes = page.family(&list::ROUTES);
        for result in ["routed", "said", "late", "useless"] {
            routes.set(&[result], self.routes.get(result).copied().unwrap_or_default());
        }
        let mut samples = page.family(&list::VOICEMAILS);
        for (result, count) in ["left", "too_short", "cut", "refused"].into_iter().zip(now.voicemails) {
            samples.set(&[result], count);
        }
        called_back(&mut page, &now.callbacks);
        now.turns.write(&mut page, Instant::now());
        self.http.write(&mut page);
        store(&mut page, now.store);
        webhooks(&mut page, now.endpoints);
        workers(&mut page, now.workers);
        loads(&mut page, now.loads);
        coders(&mut page, now.coders);
        process::write(&mut page);
        page.finish()
    }

    fn calls(&self, page: &mut Page, now: &Now<'_>) {
        page.one(&list::CALLS, now.alive.calls);
        page.one(&list::CALLS_STARTED, self.calls);
        let mut refused = page.family(&list::CALLS_REFUSED);
        for why in Refusal::ALL {
            refused.set(&[why.name()], now.refusals.of(why));
        }
        let mut moved = page.family(&list::CALLS_MOVED);
        moved.set(&["moved"], now.moves.moved);
        moved.set(&["stayed"], now.moves.stayed);
        page.one(&list::TAKEOVER_BYES, self.byes);
        let mut ended = page.family(&list::CALLS_ENDED);
        for (by, count) in &self.ended {
            ended.set(&[by], count);
        }
        page.one(&list::CALLS_HANDED_OFF, self.handed_off);
    }

    fn lines(&self, page: &mut Page) {
        let mut waits = page.family(&list::QUEUE_SECONDS);
        for (queue, histogram) in &self.line_waits {
            waits.histogram(&[queue], histogram);
        }
        let mut left = page.family(&list::QUEUE_LEFT);
        for ((queue, how), count) in &self.lines_left {
            left.set(&[queue, how], count);
        }
    }

    fn handoffs(&self, page: &mut Page, now: &Now<'_>) {
        let mut requested = page.family(&list::REQUESTED);
        for ((trigger, mode, target), count) in &self.requested {
            requested.set(&[trigger, mode, target], count);
        }
        let mut fired = page.family(&list::RULES_FIRED);
        for (rule, count) in &self.rules_fired {
            fired.set(&[rule], count);
        }
        let mut by_rule = page.family(&list::RULES_CLOSED);
        for ((rule, joined), count) in &self.rules_closed {
            by_rule.set(&[rule, joined], count);
        }
        page.one(&list::RUNNING, self.running);
        let mut closed = page.family(&list::CLOSED);
        for ((result, reason), count) in &self.closed {
            closed.set(&[result, reason], count);
        }
        let mut failed = page.family(&list::TARGETS_FAILED);
        for ((target, reason), count) in &self.targets_failed {
            failed.set(&[target, reason], count);
        }
        page.one(&list::RECORDS, now.records);
        for (family, histograms) in [
            (&list::STEP_SECONDS, &self.waits),
            (&list::GAP_SECONDS, &self.gaps),
            (&list::DEAD_AIR_SECONDS, &self.dead_air),
        ] {
            let mut samples = page.family(family);
            for (label, histogram) in histograms {
                samples.histogram(&[label], histogram);
            }
        }
        let mut lost = page.family(&list::LOST_PACKETS);
        for (listener, count) in &self.lost {
            lost.set(&[listener], count);
        }
        let mut legs = page.family(&list::LEGS);
        for ((party, codec), count) in &self.legs {
            legs.set(&[party, codec], count);
        }
    }
}

fn histogram<'h>(
    histograms: &'h mut BTreeMap<&'static str, Histogram>,
    label: &'static str,
    family: &Family,
) -> &'h mut Histogram {
    histograms.entry(label).or_insert_with(|| Histogram::of(family))
}

fn queues(page: &mut Page, queues: &[(QueueView, bool)]) {
    let mut open = page.family(&list::QUEUE_OPEN);
    for (queue, is_open) in queues {
        open.set(&[&queue.name], u8::from(*is_open));
    }
    let mut waiting = page.family(&list::QUEUE_WAITING);
    for (queue, _) in queues {
        waiting.set(&[&queue.name], queue.waiting as u64);
    }
    let mut longest = page.family(&list::QUEUE_LONGEST);
    for (queue, _) in queues {
        longest.set(&[&queue.name], queue.longest_wait_s);
    }
    let mut agents = page.family(&list::QUEUE_AGENTS);
    for (queue, _) in queues {
        // Those that nobody does, too: an alert looks for 0.
        for state in list::AGENT_STATES {
            let count = queue.agents.get(state).copied().unwrap_or_default();
            agents.set(&[&queue.name, state], count as u64);
        }
    }
}

fn called_back(page: &mut Page, counted: &Counted) {
    let mut samples = page.family(&list::CALLBACKS);
    for (result, count) in callbacks::RESULTS.into_iter().zip(counted.results) {
        samples.set(&[result], count);
    }
    let mut samples = page.family(&list::CALLBACKS_MISSED);
    for (cause, count) in callbacks::CAUSES.into_iter().zip(counted.missed) {
        samples.set(&[cause], count);
    }
    page.one(&list::CALLBACKS_OPEN, counted.open);
    page.one(&list::CALLBACKS_LATE, counted.late.as_secs_f64());
}

fn store(page: &mut Page, store: &Condition) {
    page.one(&list::STORE_WAITING, store.waiting);
    page.one(&list::STORE_COMMITS, store.commits);
    page.one(&list::STORE_COMMIT_SECONDS, store.committing.as_secs_f64());
    page.one(&list::STORE_GIVEN_UP, store.given_up);
    let trouble = store.trouble.as_ref().map_or(0.0, |(since, _)| since.as_secs_f64());
    page.one(&list::STORE_TROUBLE, trouble);
    let mut pruned = page.family(&list::STORE_PRUNED);
    for (kind, count) in store.pruned.kinds() {
        pruned.set(&[kind], count);
    }
}

fn webhooks(page: &mut Page, endpoints: &[Endpoint]) {
    let mut attempts = page.family(&list::WEBHOOK_ATTEMPTS);
    for endpoint in endpoints {
        attempts.set(&[&endpoint.name], endpoint.counters.attempts.load(Ordering::Relaxed));
    }
    let mut events = page.family(&list::WEBHOOK_EVENTS);
    for endpoint in endpoints {
        for (status, count) in [
            ("delivered", &endpoint.counters.delivered),
            ("failed", &endpoint.counters.failed),
        ] {
            events.set(&[&endpoint.name, status], count.load(Ordering::Relaxed));
        }
    }
    let mut waiting = page.family(&list::WEBHOOK_WAITING);
    for endpoint in endpoints {
        waiting.set(&[&endpoint.name], endpoint.counters.waiting.load(Ordering::Relaxed));
    }
}

/// A figure of a worker, and where it stands.
type Figure = (&'static Family, fn(&Snapshot) -> u64);

/// Each figure of a worker that is one number.
const WORKER_FIGURES: [Figure; 23] = [
    (&list::RECEIVED, |s| s.received),
    (&list::SENT, |s| s.sent),
    (&list::FORWARDED, |s| s.forwarded),
    (&list::TRANSCODED, |s| s.transcoded),
    (&list::PLAYED, |s| s.played),
    (&list::MIXED, |s| s.mixed),
    (&list::COMFORT, |s| s.comfort),
    (&list::RTCP, |s| s.rtcp),
    (&list::LOST, |s| s.lost),
    (&list::KERNEL_DROPPED, |s| s.kernel_drops),
    (&list::TRUNCATED, |s| s.truncated),
    (&list::SEND_ERRORS, |s| s.send_errors),
    (&list::RECEIVE_ERRORS, |s| s.receive_errors),
    (&list::RECEIVE_RESTS, |s| s.receive_rests),
    (&list::RECEIVE_REARMS, |s| s.receive_rearms),
    (&list::COMPLETION_OVERFLOWS, |s| s.completion_overflows),
    (&list::TRANSMIT_WAITS, |s| s.transmit_waits),
    (&list::EVENT_WAITS, |s| s.event_waits),
    (&list::MAILBOX_OVERFLOWS, |s| s.overflowed),
    (&list::ENTERS, |s| s.enters),
    (&list::LOOPS, |s| s.loops),
    (&list::SESSIONS, |s| s.sessions),
    (&list::BUFFERS_FREE, |s| s.buffers_free),
];

/// Times of a worker, and where they stand.
type Times = (&'static Family, fn(&Snapshot) -> &engine::Histogram<{ engine::TIMES }>);

const WORKER_TIMES: [Times; 2] = [
    (&list::LATENCY, |s| &s.latency),
    (&list::LOOP_SECONDS, |s| &s.loop_time),
];

fn workers(page: &mut Page, workers: &[Snapshot]) {
    let names: Vec<_> = (0..workers.len()).map(|worker| worker.to_string()).collect();
    let of_each = || names.iter().zip(workers);
    let mut info = page.family(&list::WORKER_INFO);
    for (worker, snapshot) in of_each() {
        let io = match snapshot.backend {
            Backend::Epoll => "epoll",
            Backend::Auto | Backend::Uring => "io_uring",
        };
        info.set(&[worker, io], 1);
    }
    for (family, of) in WORKER_TIMES {
        let mut samples = page.family(family);
        for (worker, snapshot) in of_each() {
            let times = of(snapshot);
            let histogram = Histogram::counted(family, &times.counts, times.sum as f64 / 1e9);
            samples.histogram(&[worker], &histogram);
        }
    }
    let mut batches = page.family(&list::BATCH);
    for (worker, snapshot) in of_each() {
        let histogram = Histogram::counted(&list::BATCH, &snapshot.batch.counts, snapshot.batch.sum as f64);
        batches.histogram(&[worker], &histogram);
    }
    let mut cpu = page.family(&list::WORKER_CPU);
    for (worker, snapshot) in of_each() {
        cpu.set(&[worker], snapshot.cpu_ns as f64 / 1e9);
    }
    let mut queued = page.family(&list::WORKER_QUEUED);
    for (worker, snapshot) in of_each() {
        queued.set(&[worker, "commands"], snapshot.commands_waiting);
        queued.set(&[worker, "events"], snapshot.events_waiting);
    }
    let mut longest = page.family(&list::LOOP_MAX);
    for (worker, snapshot) in of_each() {
        longest.set(&[worker], snapshot.loop_us_max as f64 / 1e6);
    }
    let mut dropped = page.family(&list::DROPPED);
    for (worker, snapshot) in of_each() {
        for (reason, count) in DropReason::ALL.iter().zip(snapshot.dropped) {
            dropped.set(&[worker, reason.name()], count);
        }
    }
    for (family, value) in WORKER_FIGURES {
        let mut samples = page.family(family);
        for (worker, snapshot) in of_each() {
            samples.set(&[worker], value(snapshot));
        }
    }
}

fn loads(page: &mut Page, loads: &[WorkerLoad]) {
    let names: Vec<_> = (0..loads.len()).map(|worker| worker.to_string()).collect();
    let of_each = || names.iter().zip(loads);
    let mut busy = page.family(&list::BUSY);
    for (worker, load) in of_each() {
        if let Some(measured) = load.measured {
            busy.set(&[worker], measured);
        }
    }
    let mut write = |family: &'static Family, value: fn(&WorkerLoad) -> f64| {
        let mut samples = page.family(family);
        for (worker, load) in of_each() {
            samples.set(&[worker], value(load));
        }
    };
    write(&list::EXPECTED, |load| load.expected);
    write(&list::BUDGET, |load| load.budget);
    write(&list::FULL, |load| f64::from(u8::from(load.full)));
}

fn coders(page: &mut Page, states: CoderStates) {
    for (family, sizes) in [(&list::CODERS, states.all), (&list::CODERS_FREE, states.free)] {
        let mut samples = page.family(family);
        let counts = [
            sizes.wide,
            sizes.opus_narrow,
            sizes.opus_wide,
            sizes.mixers,
            sizes.ears,
            sizes.keys,
            sizes.listeners,
        ];
        for (kind, count) in list::CODER_KINDS.iter().zip(counts) {
            samples.set(&[kind], count as u64);
        }
    }
    let mut samples = page.family(&list::COMPLEXITY);
    for (kind, complexity) in list::OPUS_KINDS.iter().zip(states.complexity) {
        samples.set(&[kind], complexity);
    }
}

#[cfg(test)]
mod ops_tests;
#[cfg(test)]
mod tests;
