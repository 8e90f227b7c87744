//! `baton demo`: one handoff on loopback.

use std::process::ExitCode;

use crate::cli::{DemoArgs, EXIT_USAGE};

/// Runs the demo.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub fn run(_args: DemoArgs) -> ExitCode {
    eprintln!("baton demo is not built yet");
    ExitCode::from(EXIT_USAGE)
}
