//! The soak: as many random calls as asked for. `cargo xtask soak` builds and runs it.
//!
//! Exit status: 0 all promises held, 1 a violation, 2 wrong arguments.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sim::soak::{Plan, Progress, Report, run};

const HELP: &str = "\
soak --seeds N [--from SEED] [--json]

  --seeds N     how many random calls to play, 1 or more
  --from SEED   the seed of the first one (1)
  --json        the result as JSON on standard output; progress stays on standard error

Exit status: 0 all promises held, 1 a violation, 2 wrong arguments.
";

/// A line of progress, this often.
const EVERY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    plan: Plan,
    json: bool,
}

/// What the words mean; `None`: help is wanted.
fn options(words: impl IntoIterator<Item = String>) -> Result<Option<Options>, String> {
    let (mut seeds, mut first, mut json) = (None, None, false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let slot = match (name.as_str(), &value) {
            ("--help" | "-h", None) => return Ok(None),
            ("--json", None) => {
                json = true;
                continue;
            }
            ("--seeds", _) => &mut seeds,
            ("--from", _) => &mut first,
            _ => return Err(format!("{name}: no such option")),
        };
        let value = value.or_else(|| words.next()).ok_or(format!("{name} needs a number"))?;
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{name} {value}: not a number from 0 to {}", u64::MAX))?;
        if slot.replace(number).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let (seeds, first) = (seeds.ok_or("--seeds N is needed")?, first.unwrap_or(1));
    if seeds == 0 {
        return Err("--seeds 0: at least 1 is needed".into());
    }
    if first.checked_add(seeds - 1).is_none() {
        return Err(format!(
            "--from {first} --seeds {seeds}: the last seed would be above {}",
            u64::MAX
        ));
    }
    let plan = Plan { first, seeds };
    Ok(Some(Options { plan, json }))
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("soak: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let report = watched(options.plan, start);
    if options.json {
        println!("{:#}", as_json(options.plan, &report, start.elapsed()));
    } else {
        for violation in &report.violations {
            println!("{violation}\n");
        }
        println!(
            "{} of {} calls from seed {} in {:.1} s, {} pairs of state and input, violations: {}",
            report.played,
            options.plan.seeds,
            options.plan.first,
            start.elapsed().as_secs_f64(),
            report.visited.len(),
            report.violations.len()
        );
    }
    if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the plan, with a line on standard error every few seconds.
fn watched(plan: Plan, start: Instant) -> Report {
    let (progress, over) = (Progress::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut last = Instant::now();
            while !over.load(Ordering::Relaxed) {
                std::thread::park_timeout(EVERY.saturating_sub(last.elapsed()));
                if last.elapsed() >= EVERY {
                    last = Instant::now();
                    line(plan, &progress, start);
                }
            }
        });
        let report = run(plan, &progress);
        over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        report
    })
}

fn line(plan: Plan, progress: &Progress, start: Instant) {
    let done = progress.done.load(Ordering::Relaxed);
    let violations = progress.violations.load(Ordering::Relaxed);
    let rate = done as f64 / start.elapsed().as_secs_f64();
    eprintln!(
        "soak: {done} of {} calls, {rate:.0} a second, violations: {violations}",
        plan.seeds
    );
}

fn as_json(plan: Plan, report: &Report, took: Duration) -> serde_json::Value {
    let violations: Vec<_> = report
        .violations
        .iter()
        .map(|violation| {
            let [test, soak] = violation.again();
            json!({
                "seed": violation.seed,
                "faults": violation.faults,
                "steps": violation.steps,
                "again": { "test": test, "soak": soak },
            })
        })
        .collect();
    let visited: serde_json::Map<_, _> = report
        .visited
        .iter()
        .map(|((state, input), seeds)| (format!("{state}, {input}"), json!(seeds)))
        .collect();
    json!({
        "from": plan.first,
        "seeds": plan.seeds,
        "played": report.played,
        "seconds": (took.as_secs_f64() * 10.0).round() / 10.0,
        "violations": violations,
        "visited": visited,
        "below": report.below,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        options(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_in_any_order_and_spelling() {
        let plan = Plan { first: 7, seeds: 20 };
        let wanted = Ok(Some(Options { plan, json: true }));
        assert_eq!(read("--seeds 20 --from 7 --json"), wanted);
        assert_eq!(read("--json --from=7 --seeds=20"), wanted);
        assert_eq!(
            read("--seeds 3").map(|it| it.map(|it| it.plan)),
            Ok(Some(Plan { first: 1, seeds: 3 }))
        );
        assert_eq!(read("--seeds 3 --help"), Ok(None));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, part) in [
            ("", "--seeds N is needed"),
            ("--seeds", "--seeds needs a number"),
            ("--seeds 0", "at least 1"),
            ("--seeds many", "--seeds many: not a number"),
            ("--seeds -1", "--seeds -1: not a number"),
            ("--seeds 1 --seeds 2", "--seeds is there twice"),
            ("--seeds 1 --seed 2", "--seed: no such option"),
            ("--seeds 2 --from 18446744073709551615", "the last seed"),
            ("--seeds 1 --json=yes", "--json: no such option"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
