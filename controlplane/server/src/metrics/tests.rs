use std::path::PathBuf;
use std::time::Duration;

use calls::notice::{CallId, End, HandoffId, Outcome, Party, Reason, Spoken};
use media::coders::Sizes;
use media::evidence::Evidence;
use playbook::routing::{Doing, Presence};

use super::text::Kind;
use super::*;
use crate::callbacks::Counted;
use crate::ids::Clock;
use crate::records::Records;
use crate::store::prune::Pruned;
use crate::tap::{Direction, Start};

/// Every sample of a text: name with labels, value. Panics where a line is not what the format has.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = name.to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            assert!(name.starts_with(&family), "{line} stands under {family}");
            let labels = name.split_once('{').map_or("", |(_, labels)| labels);
            assert_eq!(labels.is_empty(), !labels.ends_with('}'), "{line}");
            let value = value.parse().expect("a number");
            assert!(
                samples.insert(name.to_owned(), value).is_none(),
                "{line} stands there twice"
            );
        }
    }
    samples
}

/// A scrape of a server to which everything has happened that a list can name.
pub(crate) fn eventful() -> String {
    let mut metrics = Metrics::default();
    let mut records = Records::new(Clock::new());
    let start = Instant::now();
    let mut tell = |ms: u64, what: What| {
        let notice = Notice {
            call: CallId(1),
            at: start + Duration::from_millis(ms),
            what,
        };
        records.handle(&notice);
        metrics.handle(&notice, records.get(HandoffId(1)));
    };
    tell(
        0,
        What::CallStarted {
            trunk: String::new(),
            ai_agent: String::new(),
            caller: String::new(),
        },
    );
    let step = |step| What::Handoff(HandoffId(1), step);
    let requested = || {
        step(Step::Requested {
            mode: Mode::Warm,
            decision: None,
            target: "t".to_owned(),
            why: String::new(),
            trigger: Some(calls::notice::Trigger {
                rule: "billing".to_owned(),
                because: "topic billing, turn 2".to_owned(),
            }),
            talks_on: false,
        })
    };
    tell(0, requested());
    let target = "t".to_owned();
    tell(20, step(Step::Queued { target, place: 3 }));
    tell(
        100,
        step(Step::TargetFailed {
            target: "t".to_owned(),
            reason: Reason::Busy,
            status: None,
        }),
    );
    tell(200, step(Step::Announced));
    tell(300, step(Step::Ringing));
    tell(400, step(Step::Answered { agent: None }));
    tell(500, step(Step::Accepted));
    let spoken = |(party, codec)| Spoken { party, codec, why: "" };
    let codecs = [(Party::Caller, "PCMA"), (Party::Ai, "opus"), (Party::Human, "G729")]
        .map(spoken)
        .into();
    tell(600, step(Step::Joined { codecs }));
    tell(3000, step(Step::FirstHumanWord));
    let evidence = Evidence {
        lost: 3,
        longest_gap: Some(Duration::from_millis(25)),
        dead_air: Some(Duration::from_millis(250)),
        ..Evidence::default()
    };
    tell(3000, step(Step::Evidence(vec![(Party::Caller, evidence)])));
    tell(
        3000,
        step(Step::Closed {
            end: End::Completed,
            result: Outcome::Joined,
            reason: Some(Reason::Busy),
        }),
    );
    tell(3500, requested());
    let by = "caller".to_owned();
    tell(4000, What::CallEnded { by });
    metrics.requested(Trigger::Rule, Mode::Cold, "t");
    metrics.sip.message(Direction::In, &Start::Request("INVITE"), false);
    metrics.sip.message(Direction::Out, &Start::Response(486), true);
    metrics.sip.malformed();
    metrics.sip.stranger();
    metrics.sip.send_error();
    metrics
        .http
        .request("GET", Some("/v1/calls/{call}"), 404, Duration::from_millis(3));

    metrics.took_over(&Closed {
        calls: 2,
        handoffs: 3,
        events: 9,
    });
    (0..4).for_each(|_| metrics.ended_foreign());

    // Each figure of a worker gets a number of its own, so that two that were swapped are seen.
    let mut snapshot = Snapshot {
        loop_us_max: 1500,
        dropped: [7; DropReason::ALL.len()],
        latency: engine::Histogram {
            counts: [1; engine::TIMES],
            sum: 18_000_000,
        },
        loop_time: engine::Histogram {
            counts: [2; engine::TIMES],
            sum: 19_000_000,
        },
        batch: engine::Histogram {
            counts: [3; engine::BATCHES],
            sum: 200,
        },
        backend: Backend::Epoll,
        commands_waiting: 21,
        events_waiting: 22,
        cpu_ns: 23_500_000_000,
        ..Snapshot::default()
    };
    let fields: [fn(&mut Snapshot) -> &mut u64; WORKER_FIGURES.len()] = [
        |s| &mut s.received,
        |s| &mut s.sent,
        |s| &mut s.forwarded,
        |s| &mut s.transcoded,
        |s| &mut s.played,
        |s| &mut s.mixed,
        |s| &mut s.comfort,
        |s| &mut s.rtcp,
        |s| &mut s.lost,
        |s| &mut s.kernel_drops,
        |s| &mut s.truncated,
        |s| &mut s.send_errors,
        |s| &mut s.receive_errors,
        |s| &mut s.receive_rests,
        |s| &mut s.receive_rearms,
        |s| &mut s.completion_overflows,
        |s| &mut s.transmit_waits,
        |s| &mut s.event_waits,
        |s| &mut s.overflowed,
        |s| &mut s.enters,
        |s| &mut s.loops,
        |s| &mut s.sessions,
        |s| &mut s.buffers_free,
    ];
    for (number, field) in fields.iter().enumerate() {
        *field(&mut snapshot) = 100 + number as u64;
    }
    let endpoint = Endpoint::of("crm", &[]);
    for (counter, value) in [
        (&endpoint.counters.attempts, 8),
        (&endpoint.counters.delivered, 9),
        (&endpoint.counters.failed, 10),
        (&endpoint.counters.waiting, 11),
    ] {
        counter.store(value, Ordering::Relaxed);
    }
    let turns = Turns::new(start);
    let queued = turns::Queued {
        requests: 12,
        connection_events: 13,
        worker_commands: 14,
    };
    turns.turned(Instant::now() - Duration::from_millis(5), Instant::now(), queued);
    let alive = Alive {
        calls: 5,
        sip: ::sip::endpoint::Alive {
            dialogs: 15,
            transactions: 16,
            refers: 0,
        },
        ..Alive::default()
    };
    let mut refusals = Refusals::default();
    for (number, why) in Refusal::ALL.into_iter().enumerate() {
        refusals.count(why, 31 + number as u64);
    }
    let queue = QueueView {
        name: "billing".to_owned(),
        waiting: 61,
        longest_wait_s: 62,
        agents: [("talking", 63), ("wrap_up", 64)].into(),
    };
    metrics.print(&Now {
        draining: true,
        alive,
        connections: 17,
        voicemails: [3, 2, 1, 4],
        callbacks: Counted {
            results: [5, 4, 3, 2, 6],
            missed: [1, 2, 3],
            late: Duration::from_millis(1500),
            open: 7,
        },
        workers: &[snapshot],
        loads: &[WorkerLoad {
            measured: Some(0.25),
            expected: 0.5,
            budget: 0.75,
            full: true,
        }],
        coders: CoderStates {
            all: Sizes {
                wide: 41,
                opus_narrow: 42,
                opus_wide: 43,
                mixers: 47,
                ears: 49,
                keys: 51,
                listeners: 53,
            },
            free: Sizes {
                wide: 44,
                opus_narrow: 45,
                opus_wide: 46,
                mixers: 48,
                ears: 50,
                keys: 52,
                listeners: 54,
            },
            complexity: [5, 3],
        },
        refusals: &refusals,
        moves: Moves { moved: 37, stayed: 38 },
        queues: &[(queue, true)],
        endpoints: &[endpoint],
        records: 1,
        store: &Condition {
            waiting: 3,
            given_up: 4,
            commits: 5,
            committing: Duration::from_millis(6500),
            trouble: Some((Duration::from_secs(7), String::new())),
            pruned: Pruned {
                handoffs: 1,
                turns: 2,
                contexts: 3,
                events: 4,
                deliveries: 5,
                keys: 6,
                callbacks: 23,
            },
        },
        turns: &turns,
        trace_bytes: 18,
        hep: [19, 20],
        otlp: [21, 22],
    })
}

#[test]
fn whatever_an_agent_does_is_a_value_of_the_label() {
    let states = [Doing::Talking, Doing::Ringing, Doing::WrapUp, Doing::SetAside].map(Doing::name);
    let states = Presence::ALL.map(Presence::name).into_iter().chain(states);
    assert_eq!(states.collect::<Vec<_>>(), list::AGENT_STATES);
}

#[test]
fn each_figure_is_what_happened() {
    let text = eventful();
    let samples = parse(&text);
    for (number, (family, _)) in WORKER_FIGURES.iter().enumerate() {
        let name = format!("{}{{worker=\"0\"}}", family.name);
        assert_eq!(samples[&name], 100.0 + number as f64, "{name}");
    }
    for (name, value) in [
        ("baton_draining", 1.0),
        ("baton_calls", 5.0),
        ("baton_calls_started_total", 1.0),
        ("baton_calls_refused_total{reason=\"draining\"}", 31.0),
        ("baton_calls_refused_total{reason=\"load\"}", 32.0),
        ("baton_calls_refused_total{reason=\"ports\"}", 33.0),
        ("baton_calls_refused_total{reason=\"no_agent\"}", 34.0),
        ("baton_calls_refused_total{reason=\"offer\"}", 35.0),
        ("baton_calls_refused_total{reason=\"no_trunk\"}", 36.0),
        ("baton_calls_moved_total{result=\"moved\"}", 37.0),
        ("baton_calls_moved_total{result=\"stayed\"}", 38.0),
        ("baton_worker_busy_ratio{worker=\"0\"}", 0.25),
        ("baton_worker_expected_ratio{worker=\"0\"}", 0.5),
        ("baton_worker_budget_ratio{worker=\"0\"}", 0.75),
        ("baton_worker_full{worker=\"0\"}", 1.0),
        ("baton_coders{kind=\"wide\"}", 41.0),
        ("baton_coders{kind=\"opus_narrow\"}", 42.0),
        ("baton_coders{kind=\"opus_wide\"}", 43.0),
        ("baton_coders{kind=\"mixers\"}", 47.0),
        ("baton_coders{kind=\"ears\"}", 49.0),
        ("baton_coders{kind=\"keys\"}", 51.0),
        ("baton_coders_free{kind=\"wide\"}", 44.0),
        ("baton_coders_free{kind=\"opus_narrow\"}", 45.0),
        ("baton_coders_free{kind=\"opus_wide\"}", 46.0),
        ("baton_coders_free{kind=\"mixers\"}", 48.0),
        ("baton_coders_free{kind=\"ears\"}", 50.0),
        ("baton_coders_free{kind=\"keys\"}", 52.0),
        ("baton_coders{kind=\"listeners\"}", 53.0),
        ("baton_coders_free{kind=\"listeners\"}", 54.0),
        ("baton_opus_complexity{kind=\"opus_narrow\"}", 5.0),
        ("baton_opus_complexity{kind=\"opus_wide\"}", 3.0),
        ("baton_queue_open{queue=\"billing\"}", 1.0),
        ("baton_queue_wait_seconds_count{queue=\"t\"}", 1.0),
        ("baton_queue_wait_seconds_sum{queue=\"t\"}", 0.08),
        ("baton_queue_left_total{queue=\"t\",how=\"overflow\"}", 1.0),
        ("baton_queue_waiting{queue=\"billing\"}", 61.0),
        ("baton_queue_longest_wait_seconds{queue=\"billing\"}", 62.0),
        ("baton_queue_agents{queue=\"billing\",state=\"talking\"}", 63.0),
        ("baton_queue_agents{queue=\"billing\",state=\"wrap_up\"}", 64.0),
        ("baton_queue_agents{queue=\"billing\",state=\"available\"}", 0.0),
        ("baton_calls_ended_total{by=\"caller\"}", 1.0),
        (
            "baton_handoffs_requested_total{trigger=\"rule\",mode=\"cold\",target=\"t\"}",
            1.0,
        ),
        ("baton_handoffs_running", 1.0),
        ("baton_handoffs_total{result=\"joined\",reason=\"busy\"}", 1.0),
        ("baton_calls_ended_total{by=\"node_restarted\"}", 2.0),
        ("baton_handoffs_total{result=\"failed\",reason=\"node_restarted\"}", 3.0),
        ("baton_takeover_byes_total", 4.0),
        ("baton_handoff_targets_failed_total{target=\"t\",reason=\"busy\"}", 1.0),
        ("baton_handoff_records", 1.0),
        ("baton_handoff_legs_total{party=\"caller\",codec=\"PCMA\"}", 1.0),
        ("baton_handoff_legs_total{party=\"ai\",codec=\"opus\"}", 1.0),
        ("baton_handoff_legs_total{party=\"human\",codec=\"other\"}", 1.0),
        ("baton_handoff_step_seconds_count{step=\"joined\"}", 1.0),
        ("baton_handoff_step_seconds_sum{step=\"joined\"}", 0.6),
        ("baton_handoff_step_seconds_bucket{step=\"joined\",le=\"0.5\"}", 0.0),
        ("baton_handoff_step_seconds_bucket{step=\"joined\",le=\"1\"}", 1.0),
        (
            "baton_handoff_step_seconds_bucket{step=\"first_human_word\",le=\"+Inf\"}",
            1.0,
        ),
        (
            "baton_handoff_longest_gap_seconds_bucket{listener=\"caller\",le=\"0.02\"}",
            0.0,
        ),
        (
            "baton_handoff_longest_gap_seconds_bucket{listener=\"caller\",le=\"0.03\"}",
            1.0,
        ),
        (
            "baton_handoff_dead_air_seconds_bucket{listener=\"caller\",le=\"0.2\"}",
            0.0,
        ),
        ("baton_handoff_dead_air_seconds_sum{listener=\"caller\"}", 0.25),
        ("baton_handoff_lost_packets_total{listener=\"caller\"}", 3.0),
        ("baton_sip_requests_total{direction=\"in\",method=\"INVITE\"}", 1.0),
        ("baton_sip_responses_total{direction=\"out\",class=\"4xx\"}", 1.0),
        ("baton_sip_retransmissions_total{direction=\"out\"}", 1.0),
        ("baton_sip_retransmissions_total{direction=\"in\"}", 0.0),
        ("baton_sip_malformed_total", 1.0),
        ("baton_sip_strangers_total", 1.0),
        ("baton_sip_send_errors_total", 1.0),
        ("baton_sip_dialogs", 15.0),
        ("baton_sip_transactions", 16.0),
        ("baton_sip_connections", 17.0),
        ("baton_sip_trace_bytes", 18.0),
        ("baton_hep_messages_total{status=\"sent\"}", 19.0),
        ("baton_hep_messages_total{status=\"dropped\"}", 20.0),
        ("baton_otlp_spans_total{status=\"sent\"}", 21.0),
        ("baton_otlp_spans_total{status=\"dropped\"}", 22.0),
        ("baton_callbacks_total{result=\"scheduled\"}", 5.0),
        ("baton_callbacks_total{result=\"missed\"}", 6.0),
        ("baton_callbacks_missed_total{cause=\"not_reached\"}", 1.0),
        ("baton_callbacks_missed_total{cause=\"not_called\"}", 3.0),
        ("baton_callbacks_open", 7.0),
        ("baton_callbacks_late_seconds_total", 1.5),
        ("baton_node_turns_total", 1.0),
        ("baton_node_queued{what=\"requests\"}", 12.0),
        ("baton_node_queued{what=\"connection_events\"}", 13.0),
        ("baton_node_queued{what=\"worker_commands\"}", 14.0),
        ("baton_worker_info{worker=\"0\",io=\"epoll\"}", 1.0),
        ("baton_worker_latency_seconds_bucket{worker=\"0\",le=\"0.000004\"}", 1.0),
        (
            "baton_worker_latency_seconds_bucket{worker=\"0\",le=\"0.131072\"}",
            16.0,
        ),
        ("baton_worker_latency_seconds_count{worker=\"0\"}", 17.0),
        ("baton_worker_latency_seconds_sum{worker=\"0\"}", 0.018),
        ("baton_worker_loop_seconds_bucket{worker=\"0\",le=\"0.000008\"}", 4.0),
        ("baton_worker_loop_seconds_sum{worker=\"0\"}", 0.019),
        ("baton_worker_batch_packets_bucket{worker=\"0\",le=\"256\"}", 27.0),
        ("baton_worker_batch_packets_count{worker=\"0\"}", 30.0),
        ("baton_worker_batch_packets_sum{worker=\"0\"}", 200.0),
        ("baton_worker_cpu_seconds_total{worker=\"0\"}", 23.5),
        ("baton_worker_queued{worker=\"0\",what=\"commands\"}", 21.0),
        ("baton_worker_queued{worker=\"0\",what=\"events\"}", 22.0),
        (
            "baton_http_requests_total{method=\"GET\",route=\"/v1/calls/{call}\",status=\"404\"}",
            1.0,
        ),
        (
            "baton_http_request_seconds_bucket{route=\"/v1/calls/{call}\",le=\"0.0025\"}",
            0.0,
        ),
        (
            "baton_http_request_seconds_bucket{route=\"/v1/calls/{call}\",le=\"0.005\"}",
            1.0,
        ),
        ("baton_store_waiting", 3.0),
        ("baton_store_given_up_total", 4.0),
        ("baton_store_commits_total", 5.0),
        ("baton_store_commit_seconds_total", 6.5),
        ("baton_store_trouble_seconds", 7.0),
        ("baton_store_pruned_total{kind=\"handoffs\"}", 1.0),
        ("baton_store_pruned_total{kind=\"turns\"}", 2.0),
        ("baton_store_pruned_total{kind=\"contexts\"}", 3.0),
        ("baton_store_pruned_total{kind=\"events\"}", 4.0),
        ("baton_store_pruned_total{kind=\"deliveries\"}", 5.0),
        ("baton_store_pruned_total{kind=\"keys\"}", 6.0),
        ("baton_store_pruned_total{kind=\"callbacks\"}", 23.0),
        ("baton_webhook_attempts_total{webhook=\"crm\"}", 8.0),
        ("baton_webhook_events_total{webhook=\"crm\",status=\"delivered\"}", 9.0),
        ("baton_webhook_events_total{webhook=\"crm\",status=\"failed\"}", 10.0),
        ("baton_webhook_waiting{webhook=\"crm\"}", 11.0),
        ("baton_worker_loop_seconds_max{worker=\"0\"}", 0.0015),
        (
            "baton_worker_dropped_packets_total{worker=\"0\",reason=\"stranger\"}",
            7.0,
        ),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in\n{text}");
    }
    for name in ["baton_node_busy_seconds_total", "baton_node_turn_seconds_max"] {
        assert!(samples[name] >= 0.005, "{name}");
    }
    for name in [
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    ] {
        assert!(samples[name] > 0.0, "{name}");
    }
    let steps = samples
        .keys()
        .filter(|name| name.starts_with("baton_handoff_step_seconds_count"));
    assert_eq!(steps.count(), 6);
}

#[test]
fn a_scrape_is_the_list_in_its_order() {
    let text = eventful();
    let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let listed: Vec<_> = list::ALL
        .iter()
        .map(|family| format!("{} {}", family.name, family.kind.name()))
        .collect();
    assert_eq!(told, listed);
    let reasons: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(list::DROPS.to_vec(), reasons);
    for family in list::ALL {
        // Names of the format (exposition format 0.0.4), and what its users expect: base units at the end.
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(
            is_name(family.name) && family.labels.iter().all(|label| is_name(label.name)),
            "{family:?}"
        );
        let is_time = family.unit == "s";
        assert_eq!(
            is_time,
            family.name.contains("_seconds") && family.unit != "s since 1970",
            "{family:?}"
        );
        if let Kind::Histogram(bounds) = family.kind {
            assert!(bounds.is_sorted(), "{family:?}");
        }
    }
}

#[test]
fn the_document_is_made_from_the_list() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tools/ops/metrics.md");
    let made = format!(
        "# Metrics\n\nWhat `GET /metrics` says, in the exposition format of Prometheus (0.0.4). Made from \
         `controlplane/server/src/metrics/list.rs` by\n`BATON_WRITE=1 cargo test -p baton-server \
         the_document_is_made_from_the_list`. No stranger chooses the value of a label.\n\n{}",
        list::table()
    );
    if std::env::var_os("BATON_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &made).expect("written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "{} is not what the list says: BATON_WRITE=1 writes it",
        path.display()
    );
}
