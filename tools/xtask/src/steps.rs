//! The tasks, step by step.

use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::again;
use crate::install::{self, Missing, Purpose};

/// The product and the parties of its demo, as they are used.
pub(crate) const BUILD: [&str; 6] = [
    "build",
    "--release",
    "--package",
    "baton-server",
    "--package",
    "baton-parties",
];

/// The same in the profile of the tests: most of it is built already.
const PROGRAMS: [&str; 5] = ["build", "--package", "baton-server", "--package", "baton-parties"];

/// Demos that run at the same time: each waits for its calls most of its 20 s.
const AT_ONCE: usize = 3;

/// The demo's options, one run each.
const DEMOS: &[&[&str]] = &[
    &["--mode", "warm"],
    &["--mode", "cold"],
    &["--mode", "warm", "--caller", "pcma"],
    &["--mode", "warm", "--caller", "opus", "--human", "g722"],
    &["--mode", "warm", "--caller", "g722", "--ai", "opus", "--human", "pcma"],
    &[
        "--mode",
        "cold",
        "--caller",
        "l16-16000",
        "--ai",
        "l16",
        "--human",
        "opus",
    ],
    &["--fail", "busy"],
    &["--fail", "no-answer"],
    &["--fail", "reject"],
    &["--fail", "target-unreachable"],
    &["--fail", "caller-hangup"],
    &["--fail", "webhook-down"],
    &["--fail", "voicemail"],
    &["--fail", "after-hours"],
];

/// Installs, builds, and runs one demo in the current folder.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn demo(options: Vec<String>) -> ExitCode {
    if let Err(missing) = install::packages(Purpose::Build) {
        return refuse(missing);
    }
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    // `cargo xtask demo -- --json` is what some are used to.
    if options.first() == Some(&"--") {
        options.remove(0);
    }
    if !options.iter().any(|option| option.starts_with("--mode")) {
        options.splice(0..0, ["--mode", "warm"]);
    }
    eprintln!("xtask: cargo {}", BUILD.join(" "));
    // Cargo's own output is on standard error, so that of `demo --json` stays alone on standard output.
    if !cargo(&BUILD)
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
    {
        return ExitCode::FAILURE;
    }
    eprintln!("xtask: baton demo {}", options.join(" "));
    run(Command::new(release().join("baton")).arg("demo").args(&options))
}

/// Builds the soak with optimization and runs it; its options are its own.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn soak(options: Vec<String>) -> ExitCode {
    if let Err(missing) = install::packages(Purpose::Build) {
        return refuse(missing);
    }
    let build = ["build", "--release", "--package", "baton-tests", "--bin", "soak"];
    eprintln!("xtask: cargo {}", build.join(" "));
    if !cargo(&build)
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
    {
        return ExitCode::FAILURE;
    }
    run(Command::new(release().join("soak")).args(&options))
}

/// Builds the server and what floods it, and runs both; the options are the flood's own.
pub(crate) fn flood(options: Vec<String>) -> ExitCode {
    let help = include_str!("../../../tests/fuzz/src/bin/flood/help.txt");
    beside_the_server("baton-fuzz", "flood", Purpose::Build, help, &options)
}

/// The same with calls, turns and handoffs at a rate.
pub(crate) fn callload(options: Vec<String>) -> ExitCode {
    let help = include_str!("../../callload/src/help.txt");
    // Who is not root has no lab, and needs nothing for it.
    let lab = install::is_root() && !options.iter().any(|option| option == "--loopback");
    let purpose = if lab { Purpose::Load } else { Purpose::Build };
    beside_the_server("baton-callload", "callload", purpose, help, &options)
}

/// Builds the load of RTP, and runs it with these words; for a comparison the peer is installed.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]
pub(crate) fn rtpload(words: &[String], purpose: Purpose) -> ExitCode {
    if words.is_empty() || words.iter().any(|word| ["--help", "-h"].contains(&word.as_str())) {
        print!("{}", include_str!("../../rtpload/src/help.txt"));
        return ExitCode::SUCCESS;
    }
    if let Err(missing) = install::packages(purpose) {
        return refuse(missing);
    }
    let build = ["build", "--release", "--package", "baton-rtpload"];
    eprintln!("xtask: cargo {}", build.join(" "));
    if !cargo(&build)
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
    {
        return ExitCode::FAILURE;
    }
    run(Command::new(release().join("rtpload")).args(words))
}

/// Builds the server and a program that starts it, and runs the program with these options.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]
fn beside_the_server(package: &str, program: &str, purpose: Purpose, help: &str, options: &[String]) -> ExitCode {
    if options.iter().any(|option| option == "--help" || option == "-h") {
        print!("{help}");
        return ExitCode::SUCCESS;
    }
    if let Err(missing) = install::packages(purpose) {
        return refuse(missing);
    }
    let build = ["build", "--release", "--package", "baton-server", "--package", package];
    eprintln!("xtask: cargo {}", build.join(" "));
    if !cargo(&build)
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
    {
        return ExitCode::FAILURE;
    }
    let server = release().join("baton");
    run(Command::new(release().join(program))
        .arg("--server")
        .arg(server)
        .args(options))
}

/// The test of the outbox with more events than a test has time for.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn outbox(options: &[String]) -> ExitCode {
    let mut events = "100000";
    let mut store = "sqlite";
    let mut options = options.iter().map(String::as_str);
    while let Some(option) = options.next() {
        match (option, option == "--events") {
            (_, true) => match options.next().filter(|number| number.parse::<u64>().is_ok()) {
                Some(number) => events = number,
                None => {
                    eprintln!("xtask: --events needs a number");
                    return ExitCode::from(2);
                }
            },
            ("--postgres", _) => store = "postgres",
            _ => {
                eprintln!("xtask: {option}: no such option of outbox");
                return ExitCode::from(2);
            }
        }
    }
    if let Err(missing) = install::packages(Purpose::Tests) {
        return refuse(missing);
    }
    let name = format!("webhook::tests::killed::{store}_loses_no_event_and_no_order_by_kill_9");
    let test = [
        "test",
        "--package",
        "baton-server",
        "--lib",
        "--",
        "--exact",
        &name,
        "--nocapture",
    ];
    run(cargo(&test).current_dir(root()).env("BATON_OUTBOX_EVENTS", events))
}

/// Runs a program of ours; its exit status is ours.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn run(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("xtask: {}: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    }
}

/// Everything that CI runs; the first step that fails ends it.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn test() -> ExitCode {
    if let Err(missing) = install::packages(Purpose::Tests).and_then(|()| install::components()) {
        return refuse(missing);
    }
    let mut steps = vec![
        step("format", &["fmt", "--all", "--check"]),
        step(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        ),
        ("tests".to_owned(), Box::new(|| again::tests(threads())) as Run),
        step("docs", &["doc", "--no-deps", "--workspace"]),
        ("dependencies".to_owned(), Box::new(|| ran(&mut ourselves("deny")))),
        step("programs", &PROGRAMS),
    ];
    let start = Instant::now();
    let count = steps.len() + DEMOS.len();
    let mut done = Vec::new();
    for (name, run) in &mut steps {
        let number = done.len() + 1;
        eprintln!("xtask: [{number}/{count}] {name}");
        let begin = Instant::now();
        let verdict = run();
        let failed = verdict == Verdict::Failed;
        done.push(over((number, count), name, begin, verdict));
        if failed {
            break;
        }
    }
    for some in DEMOS.chunks(AT_ONCE) {
        if done.iter().all(Done::passed) && done.len() >= steps.len() {
            done.extend(demos((done.len() + 1, count), some));
        }
    }
    eprintln!("xtask: summary, {} in all", seconds(start.elapsed()));
    for step in &done {
        eprintln!("  {} {} ({})", step.verdict.word(), step.name, seconds(step.took));
        if let Verdict::PassedAlone(names) = &step.verdict {
            eprintln!("    failed beside others, passed alone: {}", names.join(", "));
        }
    }
    if done.len() < count {
        eprintln!("  {} steps after it were not run", count - done.len());
    }
    if done.len() == count && done.iter().all(Done::passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a step.
type Run = Box<dyn FnMut() -> Verdict>;

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    /// These failed beside others, and passed alone.
    PassedAlone(Vec<String>),
    Failed,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::PassedAlone(_) => "passed at the second try",
            Verdict::Failed => "FAILED",
        }
    }
}

/// What is known of a step that was run.
struct Done {
    name: String,
    took: Duration,
    verdict: Verdict,
}

impl Done {
    fn passed(&self) -> bool {
        self.verdict != Verdict::Failed
    }
}

#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn over((number, count): (usize, usize), name: &str, begin: Instant, verdict: Verdict) -> Done {
    let took = begin.elapsed();
    eprintln!(
        "xtask: [{number}/{count}] {name}: {} after {}",
        verdict.word(),
        seconds(took)
    );
    Done {
        name: name.to_owned(),
        took,
        verdict,
    }
}

/// Runs demos at the same time. What one prints is shown when it is over, whole. One that fails runs once more, alone.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn demos((number, count): (usize, usize), some: &[&[&str]]) -> Vec<Done> {
    let mut done: Vec<Done> = std::thread::scope(|scope| {
        let running: Vec<_> = some
            .iter()
            .enumerate()
            .map(|(n, options)| scope.spawn(move || demo_once((number + n, count), options)))
            .collect();
        let over = running
            .into_iter()
            .map(|demo| demo.join().expect("it tells of its failure"));
        over.collect()
    });
    for (n, (done, options)) in done.iter_mut().zip(some).enumerate() {
        if !done.passed() {
            eprintln!("xtask: once more, alone: {}", done.name);
            *done = demo_once((number + n, count), options);
            if done.passed() {
                done.verdict = Verdict::PassedAlone(vec![done.name.clone()]);
            }
        }
    }
    done
}

#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn demo_once((number, count): (usize, usize), options: &[&str]) -> Done {
    let (name, mut command) = demo_step(options);
    eprintln!("xtask: [{number}/{count}] {name}");
    let begin = Instant::now();
    let output = command.output();
    // One after the other: the lock is free again at the end of the block.
    let mut err = std::io::stderr().lock();
    let passed = match output {
        Ok(output) => {
            let shown = err
                .write_all(&output.stdout)
                .and_then(|()| err.write_all(&output.stderr));
            output.status.success() && shown.is_ok()
        }
        Err(error) => {
            let _ = writeln!(err, "{error}");
            false
        }
    };
    drop(err);
    over((number, count), &name, begin, verdict(passed))
}

/// Another task of this program, as a step.
fn ourselves(task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "xtask".into()));
    command.arg(task).current_dir(root());
    command
}

fn step(name: &str, arguments: &[&str]) -> (String, Run) {
    let mut command = cargo(arguments);
    command.current_dir(root()).env("RUSTDOCFLAGS", "-D warnings");
    (name.to_owned(), Box::new(move || ran(&mut command)))
}

fn ran(command: &mut Command) -> Verdict {
    verdict(command.status().is_ok_and(|status| status.success()))
}

/// Many of the server's tests wait for calls that take their time: more of them run at once than there are cores.
fn threads() -> usize {
    3 * std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// A demo in a folder of its own below the target folder, where its recordings stay for whoever looks into a failure.
fn demo_step(options: &[&str]) -> (String, Command) {
    let folder = target().join("demo").join(folder_name(options));
    // If it cannot be made, the step fails by not finding it.
    let _ = std::fs::create_dir_all(&folder);
    let mut command = Command::new(target().join("debug").join("baton"));
    command
        .arg("demo")
        .args(options)
        .current_dir(folder)
        .stdin(Stdio::null());
    (format!("demo {}", options.join(" ")), command)
}

fn folder_name(options: &[&str]) -> String {
    options
        .iter()
        .map(|option| option.trim_start_matches('-'))
        .collect::<Vec<_>>()
        .join("-")
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    // Cargo sets it for what it runs: the same toolchain.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// The target folder: this program lies in `target/debug`.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program
        .ancestors()
        .nth(2)
        .map_or_else(|| root().join("target"), Path::to_owned)
}

pub(crate) fn release() -> PathBuf {
    target().join("release")
}

fn verdict(passed: bool) -> Verdict {
    if passed { Verdict::Passed } else { Verdict::Failed }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn refuse(missing: Missing) -> ExitCode {
    eprintln!("xtask: {}", missing.0);
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_has_a_folder_of_its_own() {
        let mut names: Vec<String> = DEMOS.iter().map(|options| folder_name(options)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), DEMOS.len());
        assert!(names.contains(&"fail-no-answer".to_owned()));
    }

    #[test]
    fn the_root_is_where_the_workspace_is() {
        assert!(root().join("tools/xtask/Cargo.toml").exists());
        assert!(root().join("dataplane").exists());
    }
}
