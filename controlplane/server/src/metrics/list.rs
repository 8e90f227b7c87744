//! Every metric that there is: what `/metrics` writes and `tools/ops/metrics.md` documents.
//!
//! A test compares the document, another one what a running server writes, and a third one fails where a metric never moves.

use engine::{BATCH_BOUNDS, TIME_BOUNDS_US};
use media::verdict::Reason as DropReason;

use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::{Family, Label, Values};
use crate::callbacks;

/// Upper bounds of waits of people, seconds.
const WAITS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// Upper bounds of gaps in what a listener got, seconds.
const GAPS: &[f64] = &[0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0];

/// Upper bounds of what the API takes, seconds.
const ANSWERS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds of times in a worker, seconds.
const TURNS: &[f64] = &scaled(TIME_BOUNDS_US, 1e6);

/// Upper bounds of packets that a worker gets at once.
const BATCHES: &[f64] = &scaled(BATCH_BOUNDS, 1.0);

const fn scaled<const N: usize>(bounds: [u64; N], by: f64) -> [f64; N] {
    let mut scaled = [0.0; N];
    let mut at = 0;
    while at < N {
        scaled[at] = bounds[at] as f64 / by;
        at += 1;
    }
    scaled
}

/// Requests that are counted by their name; the others are one.
pub(crate) const SIP_METHODS: &[&str] = &[
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REFER",
    "NOTIFY",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
    "PRACK",
    "INFO",
    "MESSAGE",
    "PUBLISH",
    "other",
];
pub(crate) const SIP_CLASSES: &[&str] = &["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
const DIRECTION: Label = one_of("direction", &["in", "out"]);
/// Codecs as the calls name them, and any other.
pub(crate) const CODECS: &[&str] = &["PCMU", "PCMA", "G722", "opus", "L16", "L16-16000", "other"];
pub(crate) const TRIGGERS: &[&str] = &["api", "rule", "refer"];
const PARTY: Label = one_of("party", &["caller", "ai", "human"]);
const LISTENER: Label = one_of("listener", &["caller", "ai", "human"]);
pub(crate) const CODER_KINDS: &[&str] = &[
    "wide",
    "opus_narrow",
    "opus_wide",
    "mixers",
    "ears",
    "keys",
    "listeners",
];
pub(crate) const OPUS_KINDS: &[&str] = &["opus_narrow", "opus_wide"];
const CODER_KIND: Label = one_of("kind", CODER_KINDS);
const WORKER: Label = named("worker", "0 up to media.workers");
const WEBHOOK: Label = named("webhook", "the names of [[webhooks]]");
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const RESULTS: &[&str] = &[
    "joined",
    "transferred",
    "voicemail",
    "callback_scheduled",
    "returned_to_ai",
    "returned_to_human",
    "abandoned",
    "failed",
];
const REASONS: &[&str] = &[
    "",
    "busy",
    "no_answer",
    "rejected",
    "unreachable",
    "caller_hangup",
    "machine",
    "human_hangup",
    "ai_gone",
    "declined",
    "refer_refused",
    "refer_timeout",
    "no_capacity",
    "error",
    "node_restarted",
];
/// What an agent does, as the node names it.
pub(crate) const AGENT_STATES: &[&str] = &[
    "available",
    "busy",
    "away",
    "offline",
    "talking",
    "ringing",
    "wrap_up",
    "set_aside",
];
const STEPS: &[&str] = &[
    "announced",
    "ringing",
    "answered",
    "accepted",
    "joined",
    "first_human_word",
];
pub(super) const DROPS: [&str; DropReason::ALL.len()] = drops();

const fn drops() -> [&'static str; DropReason::ALL.len()] {
    // In the order of their counters; a test compares the names.
    [
        "no_leg",
        "malformed",
        "stranger",
        "strange_source",
        "unmapped_payload",
        "unheard",
        "superseded",
        "digit",
        "not_sending",
        "no_buffer",
        "untranscodable",
        "repeated",
        "late",
    ]
}

const fn one_of(name: &'static str, values: &'static [&'static str]) -> Label {
    let values = Values::Of(values);
    Label { name, values }
}

const fn named(name: &'static str, of: &'static str) -> Label {
    let values = Values::Named(of);
    Label { name, values }
}

const QUEUE: Label = named("queue", "the names of [[targets]] that are queues");
const RULE: Label = named("rule", "the names of [[playbook.rules]], and explicit-request");

macro_rules! list {
    ($($const:ident = $name:literal, $kind:expr, $unit:literal, [$($label:expr),*], $help:literal;)*) => {
        $(pub(crate) static $const: Family = Family {
            name: $name,
            kind: $kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)*
        /// All of them, in the order of the text.
        #[cfg_attr(not(test), expect(dead_code, reason = "the tests make the document of it, and compare"))]
        pub(crate) static ALL: &[&Family] = &[$(&$const),*];
    };
}

list! {
    BUILD_INFO = "baton_build_info", Gauge, "1", [named("version", "ours")], "Always 1; the version is a label.";
    DRAINING = "baton_draining", Gauge, "0 or 1", [], "1 while new calls are refused and the running ones are waited for.";

    CALLS = "baton_calls", Gauge, "calls", [], "Calls that are alive.";
    CALLS_STARTED = "baton_calls_started_total", Counter, "calls", [], "Calls that were connected to an AI.";
    CALLS_REFUSED = "baton_calls_refused_total", Counter, "calls",
        [one_of("reason", &["draining", "load", "ports", "no_agent", "offer", "no_trunk"])],
        "INVITEs of trunks that were refused: the node drains, its workers are as busy as the budget allows, they have no ports (503 all three), there is no AI agent (480), the offer does not fit (415, 488).";
    CALLS_MOVED = "baton_calls_moved_total", Counter, "calls", [one_of("result", &["moved", "stayed"])],
        "Calls that were to go from one media worker to another, for a port of a human's leg or because theirs was above its budget: they are there; there was no room.";
    TAKEOVER_BYES = "baton_takeover_byes_total", Counter, "messages", [], "BYEs to legs that a server which has died had left.";
    CALLS_ENDED = "baton_calls_ended_total", Counter, "calls",
        [one_of("by", &["caller", "ai", "human", "api", "transfer", "voicemail", "callback", "error", "node_restarted"])], "Calls that are over, by who ended them.";

    CALLS_HANDED_OFF = "baton_calls_handed_off_total", Counter, "calls", [],
        "Calls that are over, and in which at least one handoff was asked for: with baton_calls_ended_total the transfer rate.";

    QUEUE_OPEN = "baton_queue_open", Gauge, "0 or 1", [QUEUE], "1 while its agents may be called at this time (targets.hours).";
    QUEUE_WAITING = "baton_queue_waiting", Gauge, "callers", [QUEUE], "Callers who wait in line until an agent is free.";
    QUEUE_LONGEST = "baton_queue_longest_wait_seconds", Gauge, "s", [QUEUE],
        "For how long the one has waited who waits longest; 0 where nobody does.";
    QUEUE_AGENTS = "baton_queue_agents", Gauge, "agents", [QUEUE, one_of("state", AGENT_STATES)],
        "Human agents that the queue may call, by what they do.";
    QUEUE_SECONDS = "baton_queue_wait_seconds", Histogram(WAITS), "s", [QUEUE],
        "How long callers waited in line each time, until an agent was called or they left it.";
    QUEUE_LEFT = "baton_queue_left_total", Counter, "callers", [QUEUE, one_of("how", &["called", "overflow", "left"])],
        "Callers who wait in line no more: an agent is called for them, it is the next target's turn (max_wait_s, or nobody is there), the handoff is over.";

    REQUESTED = "baton_handoffs_requested_total", Counter, "handoffs",
        [one_of("trigger", TRIGGERS), one_of("mode", &["warm", "cold"]), named("target", "the names of [[targets]]")],
        "Handoffs that were asked for: by the API, by a rule of the playbook, or by REFER; with their first target.";
    RULES_FIRED = "baton_rule_handoffs_requested_total", Counter, "handoffs", [RULE],
        "Handoffs that a rule of the playbook asked for.";
    RULES_CLOSED = "baton_rule_handoffs_total", Counter, "handoffs", [RULE, one_of("joined", &["yes", "no"])],
        "Closed handoffs that a rule of the playbook asked for: whether the caller got a human.";
    RUNNING = "baton_handoffs_running", Gauge, "handoffs", [], "Handoffs that are neither joined for good nor given up.";
    CLOSED = "baton_handoffs_total", Counter, "handoffs", [one_of("result", RESULTS), one_of("reason", REASONS)],
        "Closed handoffs, by result and by the reason why they did not join.";
    TARGETS_FAILED = "baton_handoff_targets_failed_total", Counter, "tries",
        [named("target", "the names of [[targets]]"), one_of("reason", REASONS)],
        "Targets that did not take a handoff; the next one, if any, was tried.";
    RECORDS = "baton_handoff_records", Gauge, "records", [], "Handoff records in memory.";
    STEP_SECONDS = "baton_handoff_step_seconds", Histogram(WAITS), "s", [one_of("step", STEPS)],
        "From the trigger to each step, of closed handoffs.";
    GAP_SECONDS = "baton_handoff_longest_gap_seconds", Histogram(GAPS), "s", [LISTENER],
        "The longest time between two packets that a listener got in a handoff.";
    DEAD_AIR_SECONDS = "baton_handoff_dead_air_seconds", Histogram(GAPS), "s", [LISTENER],
        "How long a listener got nothing at all in a handoff.";
    LOST_PACKETS = "baton_handoff_lost_packets_total", Counter, "packets", [LISTENER], "Packets lost inside us during handoffs.";
    LEGS = "baton_handoff_legs_total", Counter, "legs", [PARTY, one_of("codec", CODECS)],
        "Legs of joined handoffs, by codec.";

    SIP_REQUESTS = "baton_sip_requests_total", Counter, "messages", [DIRECTION, one_of("method", SIP_METHODS)],
        "SIP requests, repeated ones included.";
    SIP_RESPONSES = "baton_sip_responses_total", Counter, "messages", [DIRECTION, one_of("class", SIP_CLASSES)],
        "SIP responses, repeated ones included.";
    SIP_REPEATED = "baton_sip_retransmissions_total", Counter, "messages", [DIRECTION],
        "SIP messages that came or went once more unchanged: the network or a peer lost the first.";
    SIP_MALFORMED = "baton_sip_malformed_total", Counter, "messages", [],
        "What came and is no SIP message, keep-alives apart.";
    SIP_STRANGERS = "baton_sip_strangers_total", Counter, "messages", [],
        "INVITEs from addresses of no trunk: refused, or not answered at all.";
    SIP_SEND_ERRORS = "baton_sip_send_errors_total", Counter, "messages", [], "SIP messages that could not be sent.";
    SIP_TRANSACTIONS = "baton_sip_transactions", Gauge, "transactions", [],
        "Transactions alive, finished ones that still take in repeated messages included.";
    SIP_DIALOGS = "baton_sip_dialogs", Gauge, "dialogs", [], "Dialogs alive, early ones included.";
    SIP_CONNECTIONS = "baton_sip_connections", Gauge, "connections", [], "SIP connections over TCP.";

    SIP_TRACES = "baton_sip_trace_bytes", Gauge, "bytes", [], "SIP messages of calls that are kept for the API.";
    HEP = "baton_hep_messages_total", Counter, "messages", [one_of("status", &["sent", "dropped"])],
        "SIP messages for the HEP collector; dropped: it is not there, or does not keep up.";
    OTLP = "baton_otlp_spans_total", Counter, "spans", [one_of("status", &["sent", "dropped"])],
        "Spans for the OTLP collector; dropped: it is not there, refuses, or does not keep up.";

    ROUTES = "baton_routes_total", Counter, "handoffs", [one_of("result", &["routed", "said", "late", "useless"])],
        "Handoffs whose way somebody outside was asked for: routed, it said where to; else they went as the playbook says, as it said so, did not answer in time, or gave no answer of use.";
    VOICEMAILS = "baton_voicemails_total", Counter, "messages", [one_of("result", &["left", "too_short", "cut", "refused"])],
        "Callers of the answering machine: cut, the disk took no more of it; refused, there was no room for it.";
    CALLBACKS = "baton_callbacks_total", Counter, "callers", [one_of("result", &callbacks::RESULTS)],
        "Callers who were promised to be called back, by what became of it: refused, there was no slot with room, no number or no way out; missed, it was given up. One who has a callback that waits and gets it again is counted again.";
    CALLBACKS_MISSED = "baton_callbacks_missed_total", Counter, "callers", [one_of("cause", &callbacks::CAUSES)],
        "Those that were given up, by what became of the last attempt: the caller was not reached, no human was found for it, or it could not be called.";
    CALLBACKS_OPEN = "baton_callbacks_open", Gauge, "callers", [], "Callers who wait for their call, or are being called, of all servers on this store.";
    CALLBACKS_LATE = "baton_callbacks_late_seconds_total", Counter, "s", [],
        "By which callers were called first after the end of their slots: the server was down, or nobody was there.";

    NODE_TURNS = "baton_node_turns_total", Counter, "turns", [], "Turns of the control plane's loop.";
    NODE_BUSY = "baton_node_busy_seconds_total", Counter, "s", [], "How long all of them took.";
    NODE_TURN_MAX = "baton_node_turn_seconds_max", Gauge, "s", [],
        "The longest turn of this half minute and the one before.";
    NODE_QUEUED = "baton_node_queued", Gauge, "1",
        [one_of("what", &["requests", "connection_events", "worker_commands"])], "What waits for the control plane's loop, or in it.";

    HTTP_REQUESTS = "baton_http_requests_total", Counter, "requests",
        [one_of("method", METHODS), named("route", "the paths of the API with names for their variable parts; none: no such path"), named("status", "HTTP status codes that we answer")],
        "Requests of the API.";
    HTTP_SECONDS = "baton_http_request_seconds", Histogram(ANSWERS), "s", [named("route", "as above")],
        "From a request's header to its answer's.";

    STORE_WAITING = "baton_store_waiting", Gauge, "writes", [], "Writes that wait for the store.";
    STORE_COMMITS = "baton_store_commits_total", Counter, "transactions", [], "Transactions of the store.";
    STORE_COMMIT_SECONDS = "baton_store_commit_seconds_total", Counter, "s", [], "How long all of them took.";
    STORE_GIVEN_UP = "baton_store_given_up_total", Counter, "writes", [],
        "Writes that were given up, for want of room or because the database refuses them for ever.";
    STORE_TROUBLE = "baton_store_trouble_seconds", Gauge, "s", [],
        "For how long the store has taken no writes; 0: it does.";
    STORE_PRUNED = "baton_store_pruned_total", Counter, "rows",
        [one_of("kind", &["handoffs", "turns", "contexts", "events", "deliveries", "keys", "callbacks"])],
        "Rows that were kept for as long as they should be, and went.";

    WEBHOOK_ATTEMPTS = "baton_webhook_attempts_total", Counter, "attempts", [WEBHOOK], "Attempts to deliver an event.";
    WEBHOOK_EVENTS = "baton_webhook_events_total", Counter, "events", [WEBHOOK, one_of("status", &["delivered", "failed"])],
        "Events, by what became of them.";
    WEBHOOK_WAITING = "baton_webhook_waiting", Gauge, "events", [WEBHOOK], "Events that wait or are being tried.";

    WORKER_INFO = "baton_worker_info", Gauge, "1", [WORKER, one_of("io", &["io_uring", "epoll"])],
        "Always 1; the way that its packets take is a label.";
    LATENCY = "baton_worker_latency_seconds", Histogram(TURNS), "s", [WORKER],
        "From a forwarded packet's arrival in the kernel to its hand-over for sending, on every sixteenth port.";
    LOOP_SECONDS = "baton_worker_loop_seconds", Histogram(TURNS), "s", [WORKER],
        "Turns of the worker's loop; with epoll, the system calls of packets are in them.";
    BATCH = "baton_worker_batch_packets", Histogram(BATCHES), "packets", [WORKER], "Packets received in one turn, where there were any.";
    WORKER_CPU = "baton_worker_cpu_seconds_total", Counter, "s", [WORKER], "Time of the worker's thread on a processor, of user and system.";
    WORKER_QUEUED = "baton_worker_queued", Gauge, "1", [WORKER, one_of("what", &["commands", "events"])],
        "Commands that wait for the worker, and events of it that wait to be read.";
    LOOP_MAX = "baton_worker_loop_seconds_max", Gauge, "s", [WORKER], "The longest turn of the worker's loop.";
    DROPPED = "baton_worker_dropped_packets_total", Counter, "packets", [WORKER, one_of("reason", &DROPS)],
        "Packets that were thrown away, by reason.";
    RECEIVED = "baton_worker_received_packets_total", Counter, "packets", [WORKER], "RTP and RTCP packets received.";
    SENT = "baton_worker_sent_packets_total", Counter, "packets", [WORKER], "Packets that the kernel accepted for sending.";
    FORWARDED = "baton_worker_forwarded_packets_total", Counter, "packets", [WORKER], "Packets relayed or transcoded.";
    TRANSCODED = "baton_worker_transcoded_packets_total", Counter, "packets", [WORKER], "Packets transcoded.";
    PLAYED = "baton_worker_played_packets_total", Counter, "packets", [WORKER], "Prompt packets made.";
    MIXED = "baton_worker_mixed_packets_total", Counter, "packets", [WORKER], "Packets of several sources made.";
    COMFORT = "baton_worker_comfort_packets_total", Counter, "packets", [WORKER], "Comfort noise packets made.";
    RTCP = "baton_worker_rtcp_packets_total", Counter, "packets", [WORKER], "RTCP packets made.";
    LOST = "baton_worker_lost_packets_total", Counter, "packets", [WORKER], "Packets lost inside the host.";
    KERNEL_DROPPED = "baton_worker_kernel_dropped_packets_total", Counter, "packets", [WORKER],
        "Packets that the kernel dropped at our sockets.";
    TRUNCATED = "baton_worker_truncated_packets_total", Counter, "packets", [WORKER], "Packets that did not fit into a buffer.";
    SEND_ERRORS = "baton_worker_send_errors_total", Counter, "packets", [WORKER], "Sends that the kernel refused.";
    RECEIVE_ERRORS = "baton_worker_receive_errors_total", Counter, "receives", [WORKER], "Receives that ended with an error.";
    RECEIVE_RESTS = "baton_worker_receive_rests_total", Counter, "receives", [WORKER],
        "Receives that were ended for some milliseconds, since one port was sent more than its share: a flood.";
    RECEIVE_REARMS = "baton_worker_receive_rearms_total", Counter, "receives", [WORKER], "Receives that found no free buffer.";
    COMPLETION_OVERFLOWS = "baton_worker_completion_overflows_total", Counter, "completions", [WORKER],
        "Completions that did not fit at once.";
    TRANSMIT_WAITS = "baton_worker_transmit_waits_total", Counter, "packets", [WORKER],
        "Packets that waited for a transmit buffer.";
    EVENT_WAITS = "baton_worker_event_waits_total", Counter, "1", [WORKER], "Times that the queue of events was full.";
    MAILBOX_OVERFLOWS = "baton_worker_mailbox_overflows_total", Counter, "events", [WORKER],
        "Digits and ends of prompts that found their session's mailbox full.";
    ENTERS = "baton_worker_kernel_enters_total", Counter, "calls", [WORKER], "System calls of the worker.";
    LOOPS = "baton_worker_loops_total", Counter, "turns", [WORKER], "Turns of the worker's loop.";
    SESSIONS = "baton_worker_sessions", Gauge, "sessions", [WORKER], "Sessions alive.";
    BUFFERS_FREE = "baton_worker_buffers_free", Gauge, "buffers", [WORKER], "Receive buffers that are free.";
    BUSY = "baton_worker_busy_ratio", Gauge, "1", [WORKER],
        "The share of a core that the worker used in the last second; missing where it cannot be measured.";
    EXPECTED = "baton_worker_expected_ratio", Gauge, "1", [WORKER],
        "The same with calls that were admitted and are not in it yet: what decides about the next call.";
    BUDGET = "baton_worker_budget_ratio", Gauge, "1", [WORKER], "What new calls may use of it (budget.core_share).";
    FULL = "baton_worker_full", Gauge, "0 or 1", [WORKER], "1 while the worker takes no new calls, because of its budget.";
    CODERS = "baton_coders", Gauge, "states", [CODER_KIND],
        "Coder states that were taken at the start, for all workers (budget.transcode_share): of G.722 and between 8 and 16 kHz, of Opus at 8 kHz, of Opus at 16 kHz; mixers (budget.mixed_listeners); ears that listen for a first word; detectors of keys in the sound; and what decodes for those three.";
    CODERS_FREE = "baton_coders_free", Gauge, "states", [CODER_KIND], "Those that no line has.";
    COMPLEXITY = "baton_opus_complexity", Gauge, "0 to 10", [one_of("kind", OPUS_KINDS)],
        "How hard Opus is encoded now, as libopus has it: with \"auto\" (opus.narrow_complexity, opus.wide_complexity) less the more of it there is.";

    PROCESS_START = "process_start_time_seconds", Gauge, "s since 1970", [], "When the process was started.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, "s", [], "Time on a processor, of user and system.";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, "bytes", [], "Memory that is in use.";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, "bytes", [], "Addresses that are in use.";
    PROCESS_FDS = "process_open_fds", Gauge, "descriptors", [], "File descriptors that are open.";
    PROCESS_FDS_MAX = "process_max_fds", Gauge, "descriptors", [], "File descriptors that may be open.";
    PROCESS_THREADS = "process_threads", Gauge, "threads", [], "Threads.";
}

/// The list as a table of Markdown.
#[cfg(test)]
pub(super) fn table() -> String {
    use std::fmt::Write as _;
    let mut text = String::from("| metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n");
    for family in ALL {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| match label.values {
                Values::Of(values) => {
                    let values: Vec<_> = values
                        .iter()
                        .map(|value| if value.is_empty() { "(none)" } else { value })
                        .collect();
                    format!("`{}`: {}", label.name, values.join(", "))
                }
                Values::Named(what) => format!("`{}`: {what}", label.name),
            })
            .collect();
        let Family { name, unit, help, .. } = family;
        let _ = writeln!(
            text,
            "| `{name}` | {} | {unit} | {} | {help} |",
            family.kind.name(),
            labels.join("; ")
        );
    }
    text
}

/// The list as a checker of boards and alerts reads it: each series' name with its labels.
#[cfg(test)]
pub(super) fn series() -> std::collections::BTreeMap<String, Vec<&'static str>> {
    let mut series = std::collections::BTreeMap::new();
    for family in ALL {
        let labels: Vec<_> = family.labels.iter().map(|label| label.name).collect();
        match family.kind {
            Histogram(_) => {
                let mut with_le = labels.clone();
                with_le.push("le");
                series.insert(format!("{}_bucket", family.name), with_le);
                series.insert(format!("{}_sum", family.name), labels.clone());
                series.insert(format!("{}_count", family.name), labels);
            }
            Counter | Gauge => {
                series.insert(family.name.to_owned(), labels);
            }
        }
    }
    series
}
