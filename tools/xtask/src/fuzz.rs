//! libFuzzer on the targets of `tests/fuzz`. It needs a nightly compiler and cargo-fuzz, which nothing else here does.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::install::{Missing, runs};
use crate::steps::{refuse, root, run, target};

/// How long each target runs where nobody says.
const SECONDS: u64 = 60;

/// One input may take so long, seconds: it is either stuck, or the host is.
const INPUT_SECONDS: u64 = 20;

const HELP: &str = "\
cargo xtask fuzz [TARGET] [--seconds N]

libFuzzer on one target of tests/fuzz, or on all in turn, N seconds each (60). It starts from the committed corpus; what it finds
out besides is kept in target/fuzz-corpus. It needs a nightly compiler and cargo-fuzz, and says so where they are missing; without
them `cargo run -p baton-fuzz` mutates the same corpus, and `cargo xtask test` does.

Exit status: 0 nothing found, 1 an input that breaks a promise, 2 wrong arguments or missing tools.
";

/// What is asked for: one target or all, and how long each.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    target: Option<String>,
    seconds: u64,
}

/// Runs one target, or all in turn; the first failure ends it.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]
pub(crate) fn fuzz(words: &[String]) -> ExitCode {
    let folder = root().join("tests/fuzz");
    let known = targets(&folder.join("corpus"));
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{HELP}\nTargets: {}", known.join(" "));
        return ExitCode::SUCCESS;
    }
    let wish = match wish(words, &known) {
        Ok(wish) => wish,
        Err(why) => return refuse(Missing(why)),
    };
    let has = |words: &[&str]| runs("rustup", &[&["run", "nightly"], words].concat());
    if let Some(missing) = missing(has(&["rustc", "--version"]), || has(&["cargo", "fuzz", "--version"])) {
        return refuse(missing);
    }
    // Its own workspace has the versions of ours, and nothing of what is built stays in the source tree.
    let program = folder.join("libfuzzer");
    if let Err(error) = fs::copy(root().join("Cargo.lock"), program.join("Cargo.lock")) {
        return refuse(Missing(format!("{}: {error}", program.display())));
    }
    let chosen = wish.target.map_or(known, |target| vec![target]);
    for name in chosen {
        eprintln!("xtask: {name}, {} s", wish.seconds);
        // libFuzzer writes what it learns into the first folder; ours is only read.
        let learnt = target().join("fuzz-corpus").join(&name);
        let found = target().join("fuzz").join(&name);
        for folder in [&learnt, &found] {
            if let Err(error) = fs::create_dir_all(folder) {
                return refuse(Missing(format!("{}: {error}", folder.display())));
            }
        }
        let mut command = Command::new("rustup");
        command
            .args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir"])
            .arg(&program)
            .arg("--target-dir")
            .arg(target().join("libfuzzer"))
            .arg(&name)
            .args([&learnt, &folder.join("corpus").join(&name)])
            .args(["--", "-max_len=65536"])
            .arg(format!("-timeout={INPUT_SECONDS}"))
            .arg(format!("-max_total_time={}", wish.seconds))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .current_dir(root())
            // Cargo names its own toolchain to what it runs; the next one is another.
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC");
        if run(&mut command) != ExitCode::SUCCESS {
            eprintln!(
                "xtask: {name} failed. Where it is an input, it is in {}; without libFuzzer it is run by\n\
                 xtask:   cargo run -p baton-fuzz -- {name} FILE",
                found.display()
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A target is a folder of the corpus.
fn targets(corpus: &Path) -> Vec<String> {
    let entries = fs::read_dir(corpus).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn wish(words: &[String], known: &[String]) -> Result<Wish, String> {
    let mut wish = Wish {
        target: None,
        seconds: SECONDS,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let seconds = words
                    .next()
                    .and_then(|text| text.parse().ok())
                    .filter(|seconds| *seconds > 0);
                wish.seconds = seconds.ok_or("--seconds wants a number above 0")?;
            }
            name if known.iter().any(|target| target == name) && wish.target.is_none() => {
                wish.target = Some(name.to_owned())
            }
            other => return Err(format!("{other} is no target; these are: {}", known.join(" "))),
        }
    }
    Ok(wish)
}

/// What is still to be installed, if anything.
fn missing(has_nightly: bool, has_cargo_fuzz: impl FnOnce() -> bool) -> Option<Missing> {
    let install = if !has_nightly {
        "libFuzzer needs a nightly compiler; run this, and then the task again: rustup toolchain install nightly"
    } else if !has_cargo_fuzz() {
        "cargo-fuzz is missing; run this, and then the task again: cargo install cargo-fuzz"
    } else {
        return None;
    };
    let without = "(without it: cargo run -p baton-fuzz -- TARGET --inputs N)";
    Some(Missing(format!("{install} {without}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Wish, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        wish(&words, &targets(&root().join("tests/fuzz/corpus")))
    }

    #[test]
    fn a_target_and_a_time_are_understood_and_nothing_else() {
        assert_eq!(
            read(&[]),
            Ok(Wish {
                target: None,
                seconds: SECONDS
            })
        );
        let sip = Wish {
            target: Some("sip".to_owned()),
            seconds: 5,
        };
        assert_eq!(read(&["sip", "--seconds", "5"]), Ok(sip));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["sap"], &["sip", "sdp"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(
            read(&["sap"]).is_err_and(|why| why.contains("endpoint")),
            "the targets are named"
        );
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_that_installs_it() {
        let line = |nightly, cargo_fuzz| missing(nightly, || cargo_fuzz).map(|missing| missing.0);
        assert_eq!(line(true, true), None);
        let nightly = line(false, false).expect("no nightly");
        assert!(nightly.contains(": rustup toolchain install nightly"), "{nightly}");
        let cargo_fuzz = line(true, false).expect("no cargo-fuzz");
        assert!(cargo_fuzz.contains(": cargo install cargo-fuzz"), "{cargo_fuzz}");
        for line in [nightly, cargo_fuzz] {
            assert!(line.contains("cargo run -p baton-fuzz -- TARGET"), "{line}");
        }
    }
}
