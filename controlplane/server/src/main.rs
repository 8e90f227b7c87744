//! The `baton` binary: arguments in, exit code out.

use std::process::ExitCode;

use baton_server::cli;
use clap::Parser;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
