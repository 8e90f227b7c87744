//! The tool against the real server, for a short time: where `baton` is built beside it, as in a test of the whole workspace.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What it printed; `None`: there is no server to run it against.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must see that it was skipped"
)]
fn run(options: &[&str]) -> Option<Value> {
    let tool = Path::new(env!("CARGO_BIN_EXE_callload"));
    let server = tool.with_file_name("baton");
    if !server.is_file() {
        eprintln!("skipped: {} is not built", server.display());
        return None;
    }
    let output = Command::new(tool)
        .arg("--server")
        .arg(server)
        .args(["--server-core", "any", "--json"])
        .args(options)
        .output()
        .expect("the tool");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(report["schema"], "baton.callload/2");
    assert_eq!(report["faults"], 0, "{report:#}");
    Some(report)
}

fn is_whole(lines: &Value, count: u64) {
    assert_eq!(lines["lines"], count, "{lines:#}");
    assert!(
        lines["packets"].as_u64().is_some_and(|packets| packets > 0),
        "{lines:#}"
    );
    for figure in ["lost", "duplicated", "sequence_breaks"] {
        assert_eq!(lines[figure], 0, "{figure}: {lines:#}");
    }
}

#[test]
fn handoffs_with_a_transcode_are_judged_apart_from_the_calls_beside_them() {
    let options =
        "--calls 3 --turns 5 --handoffs 2 --mode warm --codecs pcmu,pcmu,pcma --alone 1 --warm-up 0 --seconds 2";
    let Some(report) = run(&options.split(' ').collect::<Vec<_>>()) else {
        return;
    };
    assert_eq!(report["handoffs"]["asked"], report["handoffs"]["joined"], "{report:#}");
    let asked = report["handoffs"]["asked"].as_u64().expect("a number");
    is_whole(&report["handed_off"], asked);
    is_whole(&report["background"], 3);
    is_whole(&report["background_alone"], 3);
    for name in ["joined_ms", "invited_ms", "server_share_ms"] {
        assert!(
            report[name]["count"].as_u64().is_some_and(|count| count > 0),
            "{name}: {report:#}"
        );
    }
    let joined = &report["timeline_ms"]["joined"];
    assert!(
        joined["p50"].as_f64() > report["server_share_ms"]["p50"].as_f64(),
        "{report:#}"
    );
    for phase in ["alone", "with_handoffs"] {
        let latency = &report["background_latency_ms"][phase];
        assert!(latency["count"].as_u64().is_some_and(|count| count > 0), "{report:#}");
    }
    assert!(
        report["host"]["own_lateness_ms"]["count"]
            .as_u64()
            .is_some_and(|count| count > 0)
    );
}

#[test]
fn callers_on_hold_and_humans_being_briefed_are_judged_by_their_ticks() {
    let Some(report) = run(&["--hold", "3", "--seconds", "1"]) else {
        return;
    };
    is_whole(&report["hold"]["callers"], 3);
    is_whole(&report["hold"]["humans"], 3);
    assert!(
        report["hold"]["tick_late_ms"]["count"]
            .as_u64()
            .is_some_and(|count| count > 200),
        "{report:#}"
    );
}
