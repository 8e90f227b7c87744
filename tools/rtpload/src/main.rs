//! Bridged calls by the thousand through Baton's data plane or rtpengine, and what each packet of them met and cost.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]
mod calls;
mod compare;
mod frame;
mod judge;
mod limit;
mod lines;
mod load;
mod measure;
mod ng;
mod options;
mod relay;
mod speech;
mod subject;
mod transcode;

use std::process::ExitCode;
use std::time::Duration;

use baton_lab::lab::{self, Lab};
use baton_lab::wire::Wire;
use baton_load::tool::{self, Tool};
use baton_load::words::Words;

use calls::pair;
use measure::{Ask, Row, measure};
use options::{Options, Place, Run};

struct RtpLoad;

impl Tool for RtpLoad {
    const NAME: &'static str = "rtpload";
    const HELP: &'static str = include_str!("help.txt");
    type Options = Options;

    fn options(words: Words) -> Result<Option<Options>, String> {
        options::read(words)
    }

    fn measure(options: &Options) -> Result<ExitCode, String> {
        if !matches!(options, Options::Relay(_))
            && let Some(status) = lab::in_own_session()?
        {
            return Ok(status);
        }
        match options {
            Options::Relay(relay) => relay::run(relay).map(|()| ExitCode::SUCCESS),
            Options::Run(place, run) => one(*place, run),
            Options::Limit(place, codecs) => limit::print(*place, *codecs),
            Options::Compare(place, compare) if compare.transcode => transcode::print(*place, *compare),
            Options::Compare(place, compare) => compare::print(*place, *compare),
        }
    }
}

fn main() -> ExitCode {
    tool::main::<RtpLoad>()
}

/// The two ends, with the load's socket on its own.
fn open(place: Place) -> Result<(Lab, Wire), String> {
    let lab = Lab::open(place.subject_core, place.load_core, place.moderation_us)?;
    let wire = Wire::open(&lab, frame::FIRST_PORT)?;
    Ok((lab, wire))
}

/// The exit status is 1 where a packet was lost, or worse.
fn one(place: Place, run: &Run) -> Result<ExitCode, String> {
    let (lab, mut wire) = open(place)?;
    let ask = Ask {
        subject: run.subject,
        calls: run.calls,
        time: Duration::from_secs(u64::from(run.seconds)),
        flood: run.flood,
        rate: run.rate,
        relay: &run.relay,
    };
    let row = measure(&lab, &mut wire, ask)?;
    match place.json {
        true => println!("{}", row.json()),
        false => tell(&row),
    }
    let whole = row.lost + row.duplicated + row.broken + row.strange == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(row: &Row) {
    println!(
        "{}, {} calls of {}, {:.1} thousand packets a second",
        row.subject.name(),
        row.calls.count,
        pair(row.calls.codecs),
        row.rate / 1000.0
    );
    println!("  sent {}, received {}", row.sent, row.received);
    println!(
        "  lost {}, reordered {}, duplicated {}, broken {}, strange {}",
        row.lost, row.reordered, row.duplicated, row.broken, row.strange
    );
    println!(
        "  latency, us: p50 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
        row.p50_us, row.p99_us, row.p999_us, row.max_us
    );
    if let Some((p50, p99)) = row.relayed_us {
        println!(
            "  … of {} calls that are relayed beside them: p50 {p50:.0}, p99 {p99:.0}",
            row.calls.relayed
        );
    }
    let (process, sum) = row.shares;
    println!(
        "  of the core: process {:.1} %, with its receive path {:.1} %",
        100.0 * process,
        100.0 * sum
    );
    println!(
        "  us for each packet: process {:.2}, with its receive path {:.2}",
        row.process_us, row.sum_us
    );
    if let Some(calls) = row.calls_of_kernel {
        println!("  system calls for each packet: {calls:.4}");
    }
    let moves = |name: &str| row.worker.as_ref().and_then(|worker| worker[name].as_u64());
    if let (Some(moved), Some(stayed)) = (moves("moved"), moves("stayed"))
        && moved + stayed > 0
    {
        println!("  calls that went to the other worker: {moved}; that were to go and stayed: {stayed}");
    }
    if let Some(memory) = row.memory_kib {
        println!(
            "  memory, KiB: {memory}; of the kernel for its sockets {}",
            row.kernel_kib
        );
    }
    if row.ours {
        println!("  the load was at its own limit: this says nothing of the subject");
    }
}
