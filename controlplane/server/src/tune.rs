//! `baton tune`: what this host can carry, measured, and the `[budget]` that follows from it.
//!
//! First each path of a row in a core of its own, without the kernel (`tune/paths.rs`); then whole calls through a worker's sockets over
//! loopback, more and more of them, by each way into the kernel that the configuration leaves open (`tune/wire.rs`, `tune/rates.rs`); then
//! which way is the better one (`tune/choice.rs`), and what that makes for a core (`tune/report.rs`).

mod choice;
mod paths;
mod rates;
mod report;
mod wire;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::TuneArgs;
use crate::serve::{load, print, say, say_problems};
use report::{Host, Report};

/// How the time is shared: each path and each codec frame, the calls on hold, each rate; the last two by all ways together.
const PATH_SHARE: f64 = 0.02;
const HOLD_SHARE: f64 = 0.08;
const RATE_SHARE: f64 = 0.05;

/// Measures and prints. Exit code 1 where nothing could be measured.
pub(crate) fn tune(args: &TuneArgs) -> ExitCode {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            say_problems(args.config.as_deref(), &problems);
            return ExitCode::FAILURE;
        }
    };
    let part = |share: f64| Duration::from_secs_f64(args.seconds.max(0.1) * share);
    let until = Instant::now() + part(1.0);
    // First what may fail, so that nobody waits for it.
    let mut wire = match wire::Wire::start(&config) {
        Ok(wire) => wire,
        Err(why) => {
            say(&format!("baton tune: nothing was measured: {why}"));
            return ExitCode::FAILURE;
        }
    };
    say("baton tune: the paths of the core");
    let paths = paths::paths(part(PATH_SHARE));
    let frames = paths::frames(part(PATH_SHARE));
    say("baton tune: calls on hold, then more and more calls, over loopback");
    let measured = wire.measure(part(HOLD_SHARE), part(RATE_SHARE), until, |io, rate| {
        say(&format!("baton tune: {io:8} {}", report::line(rate)))
    });
    let ways = match measured {
        Ok(ways) => ways,
        Err(why) => {
            say(&format!("baton tune: {why}"));
            return ExitCode::FAILURE;
        }
    };
    let host = host(&wire);
    let report = Report {
        choice: choice::choose(&ways, host.cores),
        host,
        paths,
        frames,
        ways,
        unmeasured: wire.unmeasured(),
        core_share: config.budget.core_share,
    };
    match args.json {
        true => print(&report.json().to_string()),
        false => print(&report.text()),
    }
    ExitCode::SUCCESS
}

fn host(wire: &wire::Wire) -> Host {
    let (core, cores) = wire.cores();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name"));
    Host {
        cpu: model.map_or_else(
            || "unknown".to_owned(),
            |model| model.trim_start_matches([' ', '\t', ':']).to_owned(),
        ),
        cores,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        core,
    }
}
