//! The program itself, with the real data plane, in namespaces of its own. It wants root; where there is none that is said.

use std::process::{Command, Output};

use baton_lab::trial::{everything, is_refused};
use serde_json::Value;

fn rtpload(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rtpload"))
        .args(words.split(' '))
        .output()
        .expect("the program runs")
}

/// Whether namespaces, XDP and two cores are to be had.
fn is_possible() -> bool {
    !is_refused(&rtpload("run --subject reflector --calls 1 --seconds 1"))
}

/// Runs that are thrown away at most because the load itself was held up.
const RETRIES: usize = 10;

/// The row of this run, from its JSON.
///
/// Where the machine gave the load no time for 60 ms, the data plane was right to fill its silence with noise, and the lines do not
/// go on as they were sent. Such a run says of itself that the load was late; one that says so and still found nothing is kept.
fn row(words: &str) -> Value {
    for _ in 0..RETRIES {
        let row = measured(words);
        if row["load_limit"] == false || foreign(&row) == 0.0 {
            return row;
        }
    }
    panic!("{words}: the load was late in each of {RETRIES} runs, and its lines were broken")
}

fn measured(words: &str) -> Value {
    let output = rtpload(words);
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{words}: {output:?}"))
}

fn figure(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("{name}: {row}"))
}

/// Packets that do not belong into their lines.
fn foreign(row: &Value) -> f64 {
    figure(row, "duplicated") + figure(row, "broken") + figure(row, "strange")
}

#[test]
fn calls_that_go_from_one_worker_to_the_other_and_back_are_the_same_lines() {
    if !is_possible() {
        return;
    }
    for subject in ["baton-uring", "baton-epoll"] {
        let row = row(&format!(
            "run --subject {subject} --calls 10 --seconds 2 --moves 50 --json"
        ));
        assert!(figure(&row, "received") > 1800.0 && foreign(&row) == 0.0, "{row}");
        let worker = |name: &str| row["worker"][name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
        // Each call there and back again, several times.
        assert!(worker("moved") > 40, "{row}");
        assert_eq!(
            (worker("stayed"), worker("lost"), worker("kernel_drops")),
            (0, 0, 0),
            "{row}"
        );
    }
}

#[test]
fn calls_go_through_either_way_into_the_kernel_and_nothing_stays_behind() {
    if !is_possible() {
        return;
    }
    let before = everything();
    for subject in ["baton-uring", "baton-epoll"] {
        for (codecs, relayed) in [("pcmu,pcma", 0), ("pcmu,opus", 5), ("g722,pcmu", 0)] {
            let beside = match relayed {
                0 => String::new(),
                relayed => format!("--relayed {relayed} "),
            };
            let row = row(&format!(
                "run --subject {subject} --calls 10 {beside}--seconds 1 --codecs {codecs} --json"
            ));
            let figure = |name: &str| figure(&row, name);
            assert_eq!(figure("sent"), f64::from(1000 + 100 * relayed), "{subject}");
            assert_eq!(row["relayed_p99_us"].is_number(), relayed > 0, "{row}");
            // On a machine that does something else, too, the kernel may have no time for some.
            assert!(
                figure("received") > 0.9 * figure("sent") && foreign(&row) == 0.0,
                "{row}"
            );
            assert!(figure("p50_us") > 1.0 && figure("us_per_packet_sum") > figure("us_per_packet_process"));
        }
    }
    assert_eq!(everything(), before);
}
