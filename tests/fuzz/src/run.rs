//! The loop: input after input, on all cores, the same ones for the same seed.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::{Target, mutate};

/// Inputs that a thread takes at a time.
const CHUNK: u64 = 64;

/// How often an input is tried shorter.
const SHORTER_MAX: usize = 4000;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// An input that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its number.
    pub number: u64,
    /// As it failed first.
    pub input: Vec<u8>,
    /// What failed.
    pub why: String,
    /// As short as the loop could make it.
    pub shortest: Vec<u8>,
}

/// Bytes that this thread has allocated since its start; always 0 where nobody counts.
pub type Allocated = fn() -> u64;

/// One input; `Err` says what failed.
pub fn one(target: &Target, input: &[u8], allocated: Allocated) -> Result<(), String> {
    silence_panics();
    QUIET.set(true);
    let before = allocated();
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let cost = allocated() - before;
    QUIET.set(false);
    if let Err(panic) = result {
        return Err(text(panic.as_ref()));
    }
    let (base, each) = target.allowance;
    let allowed = base + each * input.len() as u64;
    if cost > allowed {
        return Err(format!(
            "{cost} bytes were allocated for {} bytes; {allowed} are allowed",
            input.len()
        ));
    }
    Ok(())
}

/// The inputs `from..to` of a target on `threads` threads: how many messages they held.
///
/// # Errors
/// The failure with the lowest number of those that the threads met before they stopped.
pub fn many(
    target: &Target,
    corpus: &[Vec<u8>],
    seed: u64,
    (from, to): (u64, u64),
    threads: usize,
    allocated: Allocated,
) -> Result<u64, Box<Failure>> {
    let next = AtomicU64::new(from);
    let messages = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let failures: Mutex<Vec<Failure>> = Mutex::new(Vec::new());
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= to {
                return;
            }
            for number in start..to.min(start + CHUNK) {
                let input = mutate::input(seed, target.name, number, corpus, target.words);
                messages.fetch_add((target.messages)(&input), Ordering::Relaxed);
                if let Err(why) = one(target, &input, allocated) {
                    failed.store(true, Ordering::Relaxed);
                    let failure = Failure {
                        number,
                        shortest: Vec::new(),
                        input,
                        why,
                    };
                    failures
                        .lock()
                        .unwrap_or_else(|broken| broken.into_inner())
                        .push(failure);
                    return;
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(|broken| broken.into_inner());
    match failures.into_iter().min_by_key(|failure| failure.number) {
        None => Ok(messages.into_inner()),
        Some(mut failure) => {
            failure.shortest = shorter(target, failure.input.clone(), allocated);
            Err(Box::new(failure))
        }
    }
}

/// Cuts out whatever the failure does not need.
fn shorter(target: &Target, mut input: Vec<u8>, allocated: Allocated) -> Vec<u8> {
    let mut tries = 0;
    let mut part = input.len() / 2;
    while part > 0 && tries < SHORTER_MAX {
        let mut at = 0;
        while at < input.len() && tries < SHORTER_MAX {
            let mut candidate = input.clone();
            candidate.drain(at..(at + part).min(input.len()));
            tries += 1;
            if one(target, &candidate, allocated).is_err() {
                input = candidate;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    input
}

/// Says what failed and how to repeat it; the shortest input is put into `folder`.
pub fn report(target: &Target, seed: u64, failure: &Failure, folder: &Path) -> String {
    let path: PathBuf = folder.join(format!("{}-{seed}-{}", target.name, failure.number));
    let kept = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &failure.shortest));
    let mut out = String::new();
    let name = target.name;
    // Writing to a String cannot fail.
    _ = writeln!(
        out,
        "{name}: input {} of seed {seed} failed: {}",
        failure.number, failure.why
    );
    _ = writeln!(out, "the shortest that fails, {} bytes:", failure.shortest.len());
    _ = writeln!(out, "  b\"{}\"", failure.shortest.escape_ascii());
    _ = writeln!(
        out,
        "repeat it: cargo run -p baton-fuzz -- {name} --seed {seed} --from {} --inputs 1",
        failure.number
    );
    match kept {
        Ok(()) => _ = writeln!(out, "or:        cargo run -p baton-fuzz -- {name} {}", path.display()),
        Err(error) => _ = writeln!(out, "({} cannot be written: {error})", path.display()),
    }
    _ = writeln!(
        out,
        "Once it is mended, put that file into tests/fuzz/regressions/{name}/."
    );
    out
}

fn text(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    said.unwrap_or_else(|| "a panic without words".to_owned())
}

/// Panics of targets are results here, not output.
fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
}
