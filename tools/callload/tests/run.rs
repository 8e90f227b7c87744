//! The tool against the real server, for a short time: where `baton` is built beside it, as in a test of the whole workspace.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use baton_lab::trial::{everything, is_refused, say_skipped};
use serde_json::Value;

/// What it printed; `None`: there is no server to run it against.
fn run(options: &[&str]) -> Option<Value> {
    let tool = Path::new(env!("CARGO_BIN_EXE_callload"));
    let server = tool.with_file_name("baton");
    if !server.is_file() {
        say_skipped(&format!("{} is not built", server.display()));
        return None;
    }
    // Two that look for ports at the same moment may find the same; and each test may be a process of its own.
    let alone = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("callload-ports")).expect("a file");
    alone.lock().expect("a lock");
    let mut command = Command::new(tool);
    command.arg("--server").arg(server).arg("--json").args(options);
    if !options.contains(&"--lab") {
        command.args(["--server-core", "any"]);
    }
    let output = command.output().expect("the tool");
    if options.contains(&"--lab") && is_refused(&output) {
        return None;
    }
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

/// Processes with this word in their command lines.
fn processes(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(word)).count()
}

#[test]
fn in_the_lab_all_join_and_nothing_stays_behind() {
    let before = everything();
    let options =
        "--lab --calls 3 --turns 5 --handoffs 2 --mode warm --codecs pcma,pcmu,pcmu --alone 1 --warm-up 0 --seconds 2";
    let Some(report) = run(&options.split(' ').collect::<Vec<_>>()) else {
        return;
    };
    assert_eq!(report["way"], "lab");
    assert_eq!(report["handoffs"]["asked"], report["handoffs"]["joined"], "{report:#}");
    let asked = report["handoffs"]["asked"].as_u64().expect("a number");
    is_whole(&report["handed_off"], asked);
    is_whole(&report["background"], 3);
    is_whole(&report["background_alone"], 3);
    let received = &report["server"]["receive_path_percent_of_a_core"];
    assert!(received.as_f64().is_some_and(|share| share > 0.0), "{report:#}");
    assert_eq!(everything(), before);
}

#[test]
fn of_a_lab_that_is_killed_nothing_stays_behind() {
    // Where there is no lab that is said here.
    if run(&[
        "--lab",
        "--calls",
        "1",
        "--turns",
        "0",
        "--handoffs",
        "0",
        "--alone",
        "0",
        "--warm-up",
        "0",
        "--seconds",
        "1",
    ])
    .is_none()
    {
        return;
    }
    let before = everything();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-lab-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let tool = Path::new(env!("CARGO_BIN_EXE_callload"));
    let mut running = Command::new(tool)
        .arg("--server")
        .arg(tool.with_file_name("baton"))
        .args(["--lab", "--calls", "3", "--handoffs", "0", "--seconds", "60"])
        .env("TMPDIR", &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool");
    let word = folder.to_string_lossy().into_owned();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !done() {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{what}: {:?}",
                folder.read_dir()
            );
            thread::sleep(Duration::from_millis(20));
        }
    };
    let files = || folder.read_dir().into_iter().flatten().flatten().count();
    // The server, and who clears up behind it.
    wait("it has begun", &|| files() == 1 && processes(&word) == 2);
    running.kill().expect("it runs");
    running.wait().expect("it ends");
    wait("nothing is left", &|| files() == 0 && processes(&word) == 0);
    assert_eq!(everything(), before);
    std::fs::remove_dir(&folder).expect("it is empty");
}
