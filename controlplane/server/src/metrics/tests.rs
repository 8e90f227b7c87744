use std::collections::HashSet;
use std::time::Instant;

use calls::notice::{CallId, End, HandoffId, Outcome, Party, Reason};
use media::evidence::Evidence;
use playbook::Mode;

use super::*;
use crate::ids::Clock;
use crate::records::Records;
use crate::store::Condition;
use crate::store::prune::Pruned;

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

#[test]
fn every_figure_moves() {
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
    tell(
        0,
        step(Step::Requested {
            mode: Mode::Warm,
            target: "t".to_owned(),
            why: String::new(),
            talks_on: false,
        }),
    );
    tell(200, step(Step::Announced));
    tell(300, step(Step::Ringing));
    tell(400, step(Step::Answered));
    tell(500, step(Step::Accepted));
    tell(600, step(Step::Joined { codecs: Vec::new() }));
    tell(3000, step(Step::FirstHumanWord));
    let evidence = Evidence {
        lost: 3,
        longest_gap: Some(Duration::from_millis(25)),
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
    tell(
        4000,
        What::CallEnded {
            by: "caller".to_owned(),
        },
    );

    metrics.took_over(&Closed {
        calls: 2,
        handoffs: 3,
        events: 9,
    });
    (0..4).for_each(|_| metrics.ended_foreign());

    let mut snapshot = Snapshot {
        loop_us_max: 1500,
        dropped: [7; DropReason::ALL.len()],
        ..Snapshot::default()
    };
    // Each figure of a worker gets a number of its own, so that two that were swapped are seen.
    let set: [fn(&mut Snapshot) -> &mut u64; WORKER_FIGURES.len()] = [
        |s| &mut s.received,
        |s| &mut s.sent,
        |s| &mut s.forwarded,
        |s| &mut s.transcoded,
        |s| &mut s.played,
        |s| &mut s.comfort,
        |s| &mut s.rtcp,
        |s| &mut s.lost,
        |s| &mut s.kernel_drops,
        |s| &mut s.truncated,
        |s| &mut s.send_errors,
        |s| &mut s.receive_errors,
        |s| &mut s.receive_rearms,
        |s| &mut s.completion_overflows,
        |s| &mut s.transmit_waits,
        |s| &mut s.event_waits,
        |s| &mut s.enters,
        |s| &mut s.sessions,
        |s| &mut s.buffers_free,
    ];
    for (number, field) in set.iter().enumerate() {
        *field(&mut snapshot) = 100 + number as u64;
    }
    let text = metrics.print(&Now {
        calls: 5,
        workers: &[snapshot],
        endpoints: &[],
        records: 1,
        store: &Condition {
            waiting: 3,
            given_up: 4,
            commits: 5,
            committing: Duration::from_millis(6500),
            pruned: Pruned {
                handoffs: 1,
                turns: 2,
                contexts: 3,
                events: 4,
                deliveries: 5,
                keys: 6,
            },
            trouble: Some((Duration::from_secs(7), String::new())),
        },
    });
    let samples = parse(&text);
    for (number, (name, ..)) in WORKER_FIGURES.iter().enumerate() {
        assert_eq!(
            samples[&format!("baton_worker_{name}{{worker=\"0\"}}")],
            100.0 + number as f64,
            "{name}"
        );
    }
    for (name, value) in [
        ("baton_calls", 5.0),
        ("baton_calls_started_total", 1.0),
        ("baton_calls_ended_total{by=\"caller\"}", 1.0),
        ("baton_handoffs_requested_total", 1.0),
        ("baton_handoffs_total{result=\"joined\",reason=\"busy\"}", 1.0),
        ("baton_calls_ended_total{by=\"node_restarted\"}", 2.0),
        ("baton_handoffs_total{result=\"failed\",reason=\"node_restarted\"}", 3.0),
        ("baton_takeover_byes_total", 4.0),
        ("baton_handoff_records", 1.0),
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
        ("baton_handoff_lost_packets_total{listener=\"caller\"}", 3.0),
        ("baton_worker_loop_seconds_max{worker=\"0\"}", 0.0015),
        (
            "baton_worker_dropped_packets_total{worker=\"0\",reason=\"stranger\"}",
            7.0,
        ),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in\n{text}");
    }
    let steps: HashSet<_> = samples
        .keys()
        .filter(|name| name.starts_with("baton_handoff_step_seconds_count"))
        .collect();
    assert_eq!(steps.len(), 6);
}

#[test]
fn labels_are_escaped() {
    assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
}
