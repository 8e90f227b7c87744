//! `cargo run -p baton-fuzz -- TARGET FILE…` repeats inputs; `-- [TARGET] --seed S [--from N] --inputs M` runs the loop.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]

use std::path::Path;
use std::process::ExitCode;

use baton_fuzz::{TARGETS, Target, corpus, find, run};

const HELP: &str = "\
baton-fuzz TARGET FILE…                                  runs these inputs
baton-fuzz [TARGET] [--seed S] [--from N] [--inputs M]   runs the mutation loop (seed 1, from 0, 100000 inputs)
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match work(&words) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("baton-fuzz: {why}\n\n{HELP}targets: {}", names());
            ExitCode::from(2)
        }
    }
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ")
}

fn work(words: &[String]) -> Result<ExitCode, String> {
    let (mut target, mut files) = (None, Vec::new());
    let (mut seed, mut from, mut inputs) = (1, 0, 100_000);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || {
            words
                .next()
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or(format!("{word} wants a number"))
        };
        match word.as_str() {
            "--seed" => seed = number()?,
            "--from" => from = number()?,
            "--inputs" => inputs = number()?,
            name if target.is_none() => target = Some(find(name).ok_or(format!("there is no target {name}"))?),
            file => files.push(file),
        }
    }
    let uncounted = || 0;
    if let Some(target) = target.filter(|_| !files.is_empty()) {
        for file in files {
            let input = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            // Not caught: the panic's place is what one wants to see.
            (target.run)(&input);
            println!("{file}: passed");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chosen: Vec<&Target> = match target {
        Some(target) => vec![target],
        None => TARGETS.iter().collect(),
    };
    for target in chosen {
        let corpus = corpus::members(target).map_err(|error| format!("{}: {error}", target.name))?;
        let range = (from, from.saturating_add(inputs));
        match run::many(target, &corpus, seed, range, threads, uncounted) {
            Ok(messages) => println!("{}: {messages} messages", target.name),
            Err(failure) => {
                print!("{}", run::report(target, seed, &failure, Path::new("target/fuzz")));
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
