//! Development tasks: what a fresh machine needs, the demo, and everything that CI runs. Depends on nothing but `std`,
//! so it works before anything is installed.
#![forbid(unsafe_code)]

mod again;
mod fuzz;
mod install;
mod schemathesis;
mod steps;
mod tools;

use std::process::ExitCode;

use install::Purpose;

const HELP: &str = "\
cargo xtask demo [OPTIONS]   install what is missing, build, and run `baton demo --mode warm` (OPTIONS are the demo's own)
cargo xtask soak --seeds N [--from SEED] [--json]
                             N random calls on virtual time; exit 1 on a violation, with the command that repeats it
cargo xtask fuzz [TARGET] [--seconds N]
                             libFuzzer on tests/fuzz: one target, or all in turn, N seconds each (60); needs nightly and cargo-fuzz
cargo xtask flood [--rate N] [--seconds N] [--trunk] [--json]
                             how soon `baton serve` answers OPTIONS while 10,000 hostile datagrams a second arrive
cargo xtask callload [OPTIONS]
                             live calls, turns and handoffs at a rate through SIP, RTP and HTTP; --help says which
cargo xtask rtpload run|limit [OPTIONS]
                             bridged calls by the thousand through the data plane: loss, latency, processor time; --help says which
cargo xtask compare rtpengine [--quick] [--transcode] [--json]
                             the same through rtpengine, Baton on io_uring and on epoll, beside each other on one core;
                             --transcode: calls between PCMU and Opus, and PCMU and G.722
cargo xtask outbox [--events N] [--postgres]
                             N events (100000) at an endpoint that fails half the time, and a server that is killed three times
cargo xtask schemathesis [OPTIONS]
                             schemathesis against a server with a live call; OPTIONS are its own, as --max-examples 500
cargo xtask deny             advisories, licences and bans of all dependencies
cargo xtask deb              the Debian package
cargo xtask test             all that CI runs: format, lints, tests, docs, dependencies, and the demo in every mode
";

#[expect(clippy::print_stdout, reason = "the command line speaks to people")]
fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("demo") => steps::demo(words.collect()),
        Some("fuzz") => fuzz::fuzz(&words.collect::<Vec<_>>()),
        Some("callload") => steps::callload(words.collect()),
        Some("flood") => steps::flood(words.collect()),
        Some("rtpload") => steps::rtpload(&words.collect::<Vec<_>>(), Purpose::Load),
        Some("compare") => {
            let words: Vec<_> = std::iter::once("compare".to_owned()).chain(words).collect();
            steps::rtpload(&words, Purpose::Comparison)
        }
        Some("outbox") => steps::outbox(&words.collect::<Vec<_>>()),
        Some("soak") => steps::soak(words.collect()),
        Some("schemathesis") => schemathesis::schemathesis(&words.collect::<Vec<_>>()),
        Some("deny") => tools::deny(),
        Some("deb") => tools::deb(),
        Some("test") => steps::test(),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            print!("{other}: no such task\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}
