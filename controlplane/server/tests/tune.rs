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

/// A folder with a configuration of these ports, first an even one.
fn place(ports: &mut Ports, more: &str) -> (PathBuf, u16) {
    let first_port = ports.take(32);
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
    for row in report["capacity"].as_array().expect("a list") {
        assert!(row["calls_per_core"].as_u64().is_some_and(|calls| calls > 0), "{row}");
    }
    let rates = report["loopback"]["rates"].as_array().expect("a list");
    assert!(
        rates[0]["packets_per_s"].as_f64().is_some_and(|packets| packets > 0.0),
        "{rates:?}"
    );
    assert!(
        rates[0]["us_per_packet"].as_f64().is_some_and(|us| us > 0.0),
        "{rates:?}"
    );
    for key in ["cpu", "kernel", "backend"] {
        assert!(
            report["host"][key].as_str().is_some_and(|text| !text.is_empty()),
            "{report}"
        );
    }

    let budget = report["budget"].as_str().expect("a section");
    let config = Config::from_toml(budget, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{budget}"));
    assert!((config.budget.core_share - 0.5).abs() < 1e-9, "{budget}");
    assert!(config.budget.packet.as_nanos() >= 100, "{budget}");

    // Its ports are free again, and its folder is as it was.
    UdpSocket::bind(("127.0.0.1", first_port)).expect("free");
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn it_says_whose_ports_are_missing_and_measures_nothing() {
    let mut ports = Ports::claim();
    let (folder, first_port) = place(&mut ports, "");
    let _taken = UdpSocket::bind(("127.0.0.1", first_port + 2)).expect("free");
    let output = tune(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted = format!(
        "nothing was measured: UDP port {} of 127.0.0.1 is taken",
        first_port + 2
    );
    assert!(said.contains(&wanted), "{said}");
}
