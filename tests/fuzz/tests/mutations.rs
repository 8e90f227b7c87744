//! One million mutated messages through every door, the same ones in every run; and all that failed once.
//!
//! Whatever a target allocates is counted, with an allocator of our own: nothing may grow faster than its input.
#![allow(unsafe_code, reason = "an allocator that counts can only be written with it")]
#![expect(clippy::print_stderr, reason = "says what was run, with which seed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::thread;

use baton_fuzz::{TARGETS, Target, corpus, run};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Constant and without a destructor: reading it does not allocate.
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ALLOCATED.set(ALLOCATED.get() + bytes as u64);
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: promised by the caller.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn allocated() -> u64 {
    ALLOCATED.get()
}

/// Messages over all targets.
const MESSAGES: u64 = 1_000_000;

/// Inputs over all targets: some hold several messages.
const INPUTS: u64 = 720_000;

const SEED: u64 = 20_260_101;

fn failed(target: &Target, seed: u64, failure: &run::Failure) -> String {
    run::report(
        target,
        seed,
        failure,
        &Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz"),
    )
}

#[test]
fn a_million_mutated_messages() {
    // For more, or others: BATON_FUZZ_SEED.
    let seed = std::env::var("BATON_FUZZ_SEED").map_or(SEED, |text| text.parse().expect("BATON_FUZZ_SEED is a number"));
    eprintln!("seed {seed}");
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut sum = 0;
    for target in TARGETS {
        let members = corpus::members(target).expect("a corpus");
        assert!(!members.is_empty(), "{} has no corpus", target.name);
        let inputs = INPUTS * target.share / 1000;
        let messages = run::many(target, &members, seed, (0, inputs), threads, allocated)
            .unwrap_or_else(|failure| panic!("\n{}", failed(target, seed, &failure)));
        eprintln!("{:9} {inputs:7} inputs, {messages:7} messages", target.name);
        sum += messages;
    }
    assert!(sum >= MESSAGES, "{sum} messages");
}

#[test]
fn every_target_takes_its_corpus_and_whatever_is_left_of_it() {
    for target in TARGETS {
        for member in corpus::members(target).expect("a corpus") {
            // Each point of what is short, a thousand points of what is long.
            let step = (member.len() / 1000).max(1);
            for end in (0..=member.len()).rev().step_by(step) {
                if let Err(why) = run::one(target, &member[..end], allocated) {
                    panic!("{}: {why}\n  b\"{}\"", target.name, member[..end].escape_ascii());
                }
            }
        }
    }
}

#[test]
fn what_failed_once_passes() {
    let mut regressions = 0;
    for target in TARGETS {
        for (path, input) in corpus::regressions(target).expect("a folder") {
            regressions += 1;
            if let Err(why) = run::one(target, &input, allocated) {
                panic!("{}: {why}", path.display());
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let folders = std::fs::read_dir(folder).expect("a folder");
    let known = |name: &str| TARGETS.iter().any(|target| target.name == name);
    for entry in folders {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(known(&name), "{name} is no target");
    }
    assert!(regressions > 0);
}

/// Each target has its line for libFuzzer, in a project that the workspace does not build.
#[test]
fn every_target_is_one_of_libfuzzer_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    for Target { name, .. } in TARGETS {
        let entry = format!("name = \"{name}\"\npath = \"targets/{name}.rs\"\n");
        assert!(manifest.contains(&entry), "{name}");
        let source = std::fs::read_to_string(folder.join(format!("targets/{name}.rs"))).expect("a program");
        assert!(
            source.contains(&format!("baton_fuzz::fuzz(\"{name}\", data)")),
            "{name}"
        );
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

/// The loop finds what is there to be found, says how to repeat it, and makes it short.
#[test]
fn the_loop_finds_planted_faults() {
    fn panics(data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        assert!(!text.contains("65536"), "a number too large");
    }
    fn grows(data: &[u8]) {
        let digits = data.iter().filter(|c| c.is_ascii_digit()).count();
        if digits > 40 {
            drop(Vec::<u8>::with_capacity(1 << 26));
        }
    }
    let sip = TARGETS.iter().find(|target| target.name == "sip").expect("a target");
    let corpus = vec![b"a: 1\r\nb: 22\r\nc: 333\r\n".to_vec()];
    for (fault, shortest, why) in [
        (panics as fn(&[u8]), 5, "a number too large"),
        (grows, 41, "bytes were allocated"),
    ] {
        let target = Target { run: fault, ..*sip };
        let failure = run::many(&target, &corpus, 1, (0, 50_000), 2, allocated).expect_err("the fault");
        assert!(failure.why.contains(why), "{}", failure.why);
        assert_eq!(failure.shortest.len(), shortest, "{}", failure.shortest.escape_ascii());
        let report = failed(&target, 1, &failure);
        assert!(
            report.contains(&format!("-- sip --seed 1 --from {} --inputs 1", failure.number)),
            "{report}"
        );
        let again = run::many(&target, &corpus, 1, (failure.number, failure.number + 1), 1, allocated);
        assert_eq!(again.expect_err("the same again").input, failure.input);
    }
}
