//! Calls, turns and handoffs at a rate through a `baton serve`: `cargo xtask callload`.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]

mod figures;
mod http;
mod line;
mod options;
mod server;
mod world;

use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use figures::Figures;
use options::Options;
use server::Server;
use world::{Post, World};

const HELP: &str = include_str!("help.txt");

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let options = match options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("callload: {why}\ncallload: `cargo xtask callload --help` says what there is");
            return ExitCode::from(2);
        }
    };
    let figures = match measure(&options) {
        Ok(figures) => figures,
        Err(why) => {
            eprintln!("callload: {why}");
            return ExitCode::from(2);
        }
    };
    if options.json {
        println!("{:#}", figures.json(&options));
    } else {
        println!("{}", figures.text(&options));
    }
    if figures.good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn measure(options: &Options) -> Result<Figures, String> {
    if let Some(core) = options.server_core {
        stay_off(core)?;
    }
    let post = || Post::open().map_err(|error| format!("a socket: {error}"));
    let posts = [post()?, post()?, post()?];
    // Three legs of each call; a handed-off one lives some seconds, and its ports rest for two more.
    let legs = 3 * options.calls + 3 * 12 * options.handoffs + 64;
    let mut server = Server::start(options, posts[1].at, posts[2].at, legs)?;
    let idle_kib = server.memory_kib();

    let (requests, wanted) = mpsc::channel();
    let (done, answers) = mpsc::channel();
    http::start(server.http, wanted, &done);
    let mut world = World::new(posts, server.sip, requests, answers);
    eprintln!("callload: {} calls are placed", options.calls);
    if !world.build_up(options.calls) {
        server.is_running()?;
        return Err(format!("the calls do not come up: {:?}", world.figures.faults));
    }
    world.idle(Duration::from_secs(2));
    let loaded_kib = server.memory_kib();
    eprintln!(
        "callload: warm-up of {} s, then {} s are measured",
        WARM_UP.as_secs(),
        options.seconds
    );
    world.load(options, WARM_UP, false);
    let (before, begin) = (server.processor_ms(), Instant::now());
    world.load(options, Duration::from_secs(u64::from(options.seconds)), true);
    world.figures.seconds = begin.elapsed().as_secs_f64();
    world.figures.processor_ms = server.processor_ms().saturating_sub(before);
    server.is_running()?;
    world.finish();
    let mut figures = world.figures;
    figures.started = server.started;
    figures.idle_kib = idle_kib;
    figures.loaded_kib = loaded_kib;
    figures.loaded_calls = options.calls;
    Ok(figures)
}

/// This process runs on every core but the server's, by taskset of util-linux.
fn stay_off(core: u32) -> Result<(), String> {
    let cores = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let others: Vec<String> = listed(cores.trim())
        .filter(|other| *other != core)
        .map(|other| other.to_string())
        .collect();
    if others.is_empty() {
        return Err("this host has no second core: --server-core any".to_owned());
    }
    let pid = std::process::id().to_string();
    let set = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &others.join(","), &pid])
        .output();
    match set {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("taskset, of util-linux: {error}")),
    }
}

/// As the kernel lists processors: `0-3,6`.
fn listed(text: &str) -> impl Iterator<Item = u32> + '_ {
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_listed_in_ranges() {
        let cores = |text| listed(text).collect::<Vec<_>>();
        assert_eq!(cores("0-3,6"), [0, 1, 2, 3, 6]);
        assert_eq!(cores("0"), [0]);
        assert!(cores("").is_empty());
    }
}
