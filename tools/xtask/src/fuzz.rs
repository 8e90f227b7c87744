//! libFuzzer on the targets of `tests/fuzz`. It needs a nightly compiler and cargo-fuzz, which nothing else here does.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::install::{Missing, runs};
use crate::steps::{refuse, root, run, target};

/// How long each target runs where nobody says.
const SECONDS: u64 = 60;

/// What is asked for: one target or all, and how long each.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    target: Option<String>,
    seconds: u64,
}

/// Runs one target, or all in turn; the first failure ends it.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn fuzz(words: &[String]) -> ExitCode {
    let folder = root().join("tests/fuzz");
    let known = targets(&folder.join("corpus"));
    let wish = match wish(words, &known) {
        Ok(wish) => wish,
        Err(why) => return refuse(Missing(why)),
    };
    if let Err(missing) = tools() {
        return refuse(missing);
    }
    let chosen = wish.target.map_or(known, |target| vec![target]);
    for name in chosen {
        eprintln!("xtask: {name}, {} s", wish.seconds);
        // libFuzzer writes what it finds into the first folder; ours is only read.
        let found = target().join("fuzz-corpus").join(&name);
        if let Err(error) = fs::create_dir_all(&found) {
            return refuse(Missing(format!("{}: {error}", found.display())));
        }
        let mut command = Command::new("cargo");
        command
            .args(["+nightly", "fuzz", "run", "--fuzz-dir", "tests/fuzz/libfuzzer", &name])
            .args([&found, &folder.join("corpus").join(&name)])
            .args(["--", "-max_len=65536"])
            .arg(format!("-max_total_time={}", wish.seconds))
            .current_dir(root())
            // Cargo names its own toolchain to what it runs; the next one is another.
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC");
        let status = run(&mut command);
        if status != ExitCode::SUCCESS {
            return status;
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

fn tools() -> Result<(), Missing> {
    if !runs("rustup", &["run", "nightly", "rustc", "--version"]) {
        return Err(Missing(
            "libFuzzer needs a nightly compiler; run this, and then the task again: rustup toolchain install nightly \
             (without it: cargo run -p baton-fuzz -- TARGET --inputs N)"
                .to_owned(),
        ));
    }
    if !runs("cargo", &["fuzz", "--version"]) {
        return Err(Missing(
            "cargo-fuzz is missing; run this, and then the task again: cargo install cargo-fuzz".to_owned(),
        ));
    }
    Ok(())
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
}
