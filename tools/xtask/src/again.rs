//! The tests of the workspace, and once more, alone, those that failed.
//!
//! Tests with real sockets run by the real clock, several at once on a shared machine. One that fails beside others and passes alone
//! is told of in the summary, and is not a reason to refuse a change: it is a reason to look. What is broken fails again.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::Stdio;

use crate::steps::{Verdict, cargo, root};

/// Tests that are run again at most: where more fail, it is not the machine.
const AGAIN: usize = 3;

/// Runs them all.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn tests(threads: usize) -> Verdict {
    let Some(told) = run(&["--workspace".to_owned(), "--no-fail-fast".to_owned()], &[], threads) else {
        return Verdict::Failed;
    };
    if told.succeeded {
        return Verdict::Passed;
    }
    let (names, targets) = (told.failed, told.targets);
    if names.is_empty() || names.len() > AGAIN || targets.is_empty() {
        eprintln!("xtask: {} tests failed: {}", names.len(), names.join(", "));
        return Verdict::Failed;
    }
    eprintln!("xtask: once more, alone: {}", names.join(", "));
    let mut passed = 0;
    for target in &targets {
        // A target whose process died without a word names no test, and has none that passes.
        match run(target, &names, 1) {
            Some(told) if told.succeeded && told.passed > 0 => passed += told.passed,
            _ => return Verdict::Failed,
        }
    }
    match passed >= names.len() {
        true => Verdict::PassedAlone(names),
        false => Verdict::Failed,
    }
}

/// What a run of `cargo test` said.
#[derive(Debug, Default, PartialEq)]
struct Told {
    succeeded: bool,
    /// Names of tests.
    failed: Vec<String>,
    passed: usize,
    /// Which targets failed: cargo's options that name each.
    targets: Vec<Vec<String>>,
}

/// Runs `cargo test` with these options and shows what it says; `None` where it cannot be run.
fn run(options: &[String], names: &[String], threads: usize) -> Option<Told> {
    let mut command = cargo(&["test"]);
    command.args(options);
    if !names.is_empty() {
        command.arg("--").arg("--exact").args(names);
    }
    command
        .current_dir(root())
        .env("RUST_TEST_THREADS", threads.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (out, err) = (child.stdout.take()?, child.stderr.take()?);
    let (out, err) = std::thread::scope(|scope| {
        let err = scope.spawn(|| shown(err, std::io::stderr()));
        (shown(out, std::io::stdout()), err.join().unwrap_or_default())
    });
    let succeeded = child.wait().is_ok_and(|status| status.success());
    Some(read(succeeded, &out, &err))
}

/// Copies line by line, as they come; what was copied.
fn shown(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        // Who reads along may have gone; the tests go on.
        let _ = to.write_all(&line);
        lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
    lines
}

fn read(succeeded: bool, out: &[String], err: &[String]) -> Told {
    let mut told = Told {
        succeeded,
        ..Told::default()
    };
    for line in out {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            // A doctest's name goes on after a dash, a test's that should panic after its name.
            told.failed.push(name.split(" - ").next().unwrap_or(name).to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let passed = result.split_once(". ").and_then(|(_, rest)| rest.split(' ').next());
            told.passed += passed.and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
        }
    }
    let targets = err
        .iter()
        .skip_while(|line| !line.starts_with("error: ") || !line.contains("failed:"));
    for line in targets.skip(1) {
        if let Some(target) = line.strip_prefix("    `").and_then(|line| line.strip_suffix('`')) {
            told.targets.push(target.split(' ').map(str::to_owned).collect());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_tests_that_failed_and_their_targets_are_read() {
        let out = lines(
            "running 3 tests\ntest one ... ok\ntest join::two ... FAILED\ntest three ... ignored\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 15.50s\n\
             test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s",
        );
        let err = lines(
            "     Running tests/run.rs (target/debug/deps/run-1)\nerror: test failed, to rerun pass `-p a --test run`\n\
             error: 1 target failed:\n    `-p a --test run`",
        );
        let told = read(false, &out, &err);
        assert_eq!(told.failed, ["join::two"]);
        assert_eq!(told.passed, 31);
        assert_eq!(told.targets, [["-p", "a", "--test", "run"].map(str::to_owned)]);
    }

    #[test]
    fn what_does_not_compile_names_no_test() {
        let told = read(
            false,
            &[],
            &lines("error: could not compile `a` (lib test) due to 1 previous error"),
        );
        assert!(told.failed.is_empty() && told.targets.is_empty());
    }

    #[test]
    fn what_is_copied_is_all_of_it() {
        let mut copy = Vec::new();
        let lines = shown(&b"one\ntwo \xff\nthree"[..], &mut copy);
        assert_eq!(copy, b"one\ntwo \xff\nthree");
        assert_eq!(lines, ["one", "two \u{fffd}", "three"]);
    }
}
