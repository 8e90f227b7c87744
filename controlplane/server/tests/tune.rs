//! `baton tune` as an operator runs it: the real program, for a short time.

mod folder;
mod ports;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use baton_server::config::Config;
use ports::Ports;
use serde_json::Value;

fn tune(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["tune", "--config", "baton.toml", "--seconds", "1"]);
    command.args(more).current_dir(folder).output().expect("baton")
}

/// A folder with a configuration whose ports begin at this one: two workers' in all, each way has its own.
fn place(ports: &mut Ports, more: &str) -> (PathBuf, u16) {
    let first_port = ports.take(64);
    let folder = folder::of(first_port);
    let text = format!("[media]\nfirst_port = {first_port}\nports_per_worker = 16\n{more}");
    std::fs::write(folder.join("baton.toml"), text).expect("a file");
    (folder, first_port)
}

#[test]
fn it_prints_what_a_core_carries_and_a_budget_that_the_configuration_takes_and_leaves_nothing() {
    let mut ports = Ports::claim();
    let (folder, first_port) = place(&mut ports, "[budget]\ncore_share = 0.5\n");
    let output = tune(&folder, &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("packets/s"), "no progress: {said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["schema"], "baton.tune/1");
    let names = |list: &Value, key: &str| -> Vec<String> {
        let rows = list.as_array().expect("a list").iter();
        rows.map(|row| row[key].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(
        names(&report["paths"], "path"),
        ["relay", "transcode", "play", "comfort", "rtcp"]
    );
    assert_eq!(
        names(&report["frames"], "frame"),
        [
            "PCMU encode",
            "PCMA encode",
            "PCMU decode",
            "PCMA decode",
            "PCMU to PCMA"
        ]
    );
    assert_eq!(
        names(&report["capacity"], "what"),
        ["relayed", "transcoded PCMU to PCMA", "on hold"]
    );
    // By both ways, each of which said how it went, and in the same figures.
    assert_eq!(names(&report["ways"], "backend"), ["io_uring", "epoll"], "{report}");
    for way in report["ways"].as_array().expect("a list") {
        let name = way["backend"].as_str().expect("a name");
        assert!(
            said.lines()
                .any(|line| line.contains(name) && line.contains("packets/s")),
            "{said}"
        );
        for row in way["capacity"].as_array().expect("a list") {
            assert!(row["calls_per_core"].as_u64().is_some_and(|calls| calls > 0), "{row}");
        }
        let rate = &way["rates"][0];
        for key in ["packets_per_s", "us_per_packet"] {
            assert!(rate[key].as_f64().is_some_and(|value| value > 0.0), "{rate}");
        }
        assert!(way["hold_us"].as_f64().is_some_and(|us| us > 0.0), "{way}");
    }
    assert_eq!(report["unmeasured"], Value::Null);
    // What concerns one way only is of the one that is recommended.
    let recommended = &report["recommendation"];
    let (counts, section) = match recommended["io"].as_str().expect("a way") {
        "auto" => (0, String::new()),
        io => (usize::from(io == "epoll"), format!("[media]\nio = \"{io}\"\n")),
    };
    assert_eq!(recommended["media"].as_str().unwrap_or_default(), section);
    assert!(
        recommended["why"].as_str().is_some_and(|why| !why.is_empty()),
        "{recommended}"
    );
    let way = &report["ways"][counts];
    assert_eq!(report["host"]["backend"], way["backend"]);
    assert_eq!(report["capacity"], way["capacity"]);
    assert_eq!(report["loopback"]["rates"], way["rates"]);
    for key in ["cpu", "kernel"] {
        assert!(
            report["host"][key].as_str().is_some_and(|text| !text.is_empty()),
            "{report}"
        );
    }

    let budget = report["budget"].as_str().expect("a section");
    let config = Config::from_toml(budget, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{budget}"));
    assert!((config.budget.core_share - 0.5).abs() < 1e-9, "{budget}");
    assert!(config.budget.packet.as_nanos() >= 100, "{budget}");

    let both = format!("{section}{budget}");
    Config::from_toml(&both, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{both}"));

    // Its ports are free again, and its folder is as it was.
    for port in [first_port, first_port + 32] {
        UdpSocket::bind(("127.0.0.1", port)).expect("free");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn the_way_that_the_configuration_names_is_the_only_one_and_what_is_printed_can_be_pasted() {
    for (io, other) in [("epoll", "io_uring"), ("io_uring", "epoll")] {
        let mut ports = Ports::claim();
        let (folder, _) = place(&mut ports, &format!("io = \"{io}\"\n"));
        let output = tune(&folder, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(&format!("by {io}.")), "{text}");
        assert!(!said.contains(other) && !text.contains(other), "{said}\n{text}");
        let (_, block) = text.split_once("For the configuration").expect("a block");
        let (_, block) = block.split_once("\n\n").expect("a block");
        let config =
            Config::from_toml(block, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{block}"));
        assert!(config.budget.packet.as_nanos() >= 100, "{block}");
        assert!(!block.contains("[media]"), "{block}");
    }
}

#[test]
fn it_says_whose_ports_are_missing_and_measures_nothing() {
    says_whose_port_is_missing(2);
}

#[test]
fn it_measures_nothing_either_where_the_other_way_s_ports_are_missing() {
    says_whose_port_is_missing(34);
}

/// Of the ports of [`place`], counted from the first one.
fn says_whose_port_is_missing(taken: u16) {
    let mut ports = Ports::claim();
    let (folder, first_port) = place(&mut ports, "");
    let taken = first_port + taken;
    let _socket = UdpSocket::bind(("127.0.0.1", taken)).expect("free");
    let output = tune(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted = format!("nothing was measured: UDP port {taken} of 127.0.0.1 is taken");
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn where_there_are_descriptors_for_one_way_only_it_measures_that_and_says_so() {
    let mut ports = Ports::claim();
    let (folder, _) = place(&mut ports, "");
    // 32 sockets a way, and some for the program itself.
    let line = "ulimit -n 64 && exec \"$0\" tune --config baton.toml --seconds 0.3 --json";
    let mut command = Command::new("sh");
    command
        .args(["-c", line, env!("CARGO_BIN_EXE_baton")])
        .current_dir(folder);
    let output = command.output().expect("sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["ways"].as_array().map(Vec::len), Some(1), "{report}");
    let why = report["unmeasured"].as_str().expect("a reason");
    assert!(
        why.contains("epoll was not measured") && why.contains("file descriptors"),
        "{why}"
    );
    assert_eq!(report["recommendation"], Value::Null);
}
