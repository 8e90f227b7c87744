//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Moves a live call from an AI voice agent to a human without the caller noticing.
#[derive(Debug, Parser)]
#[command(name = "baton", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one handoff on loopback with spoken audio: no keys, no root.
    Demo(DemoArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// Validate the configuration and this host.
    Check(CheckArgs),
    /// Measure this host: print how many calls a core can carry, and the way into the kernel and the budget for the configuration.
    Tune(TuneArgs),
    /// Report on the handoffs of a period, and say what stands out.
    Report(ReportArgs),
    /// Run recorded conversations through a changed playbook, and show what would differ.
    Replay(ReplayArgs),
    /// Try the webhooks of the configuration.
    Webhook(WebhookArgs),
    /// Check an audit chain (not built yet).
    Audit(NotBuilt),
}

/// `baton demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How the call is handed over.
    #[arg(long, value_enum, default_value = "warm")]
    pub mode: DemoMode,
    /// What goes wrong.
    #[arg(long, value_enum, value_name = "CASE")]
    pub fail: Option<DemoFail>,
    /// The caller's codec.
    #[arg(long, value_enum, value_name = "CODEC", default_value = "pcmu")]
    pub caller: DemoCodec,
    /// The AI agent's codec.
    #[arg(long, value_enum, value_name = "CODEC", default_value = "pcmu")]
    pub ai: DemoCodec,
    /// The human's codec.
    #[arg(long, value_enum, value_name = "CODEC", default_value = "pcmu")]
    pub human: DemoCodec,
    /// Leave it running afterwards.
    #[arg(long)]
    pub keep: bool,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// How the demo's call is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it; help texts would repeat them")]
pub enum DemoMode {
    Warm,
    Cold,
}

/// What goes wrong in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it; help texts would repeat them")]
pub enum DemoFail {
    Busy,
    NoAnswer,
    Reject,
    TargetUnreachable,
    CallerHangup,
    WebhookDown,
    Voicemail,
    AfterHours,
}

/// A party's codec in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it; help texts would repeat them")]
pub enum DemoCodec {
    Pcmu,
    Pcma,
    G722,
    Opus,
    L16,
    #[value(name = "l16-16000")]
    L16Wide,
}

/// `baton serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The configuration file; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take over from the server that runs with this file (SIGUSR2 makes it start its successor itself): its sockets and all
    /// new calls. It ends by itself after its last call. Where this one cannot start, it goes on.
    #[arg(long)]
    pub take_over: bool,
}

/// `baton check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The configuration file; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `baton tune`.
#[derive(Clone, Debug, Args)]
pub struct TuneArgs {
    /// The configuration file: its addresses, ports and cores are measured, by its way into the kernel, or where `media.io` is
    /// "auto" by both. Without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long it may take, about. A short one says less.
    #[arg(long, value_name = "SECONDS", default_value_t = 12.0)]
    pub seconds: f64,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `baton webhook`.
#[derive(Clone, Debug, Args)]
pub struct WebhookArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: WebhookCommand,
}

/// The subcommands of `baton webhook`.
#[derive(Clone, Debug, Subcommand)]
pub enum WebhookCommand {
    /// Send a signed sample of an event to each webhook, once, and print what it answers. Exit code 1 where one does not take it.
    Test(WebhookTestArgs),
}

/// `baton webhook test`.
#[derive(Clone, Debug, Args)]
pub struct WebhookTestArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only the webhook of this name.
    pub name: Option<String>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `baton report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The configuration file, which names the store; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// From when on: a time as 2026-01-31T08:00:00Z, or a duration until then as 90m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: String,
    /// Until when: a time as 2026-01-31T08:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A month of UTC, as 2026-01, in place of --since and --until.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    pub month: Option<String>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `baton replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The configuration file with the playbook; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Conversations, or records as `GET /v1/handoffs/{id}` answers them: JSON documents one after the other, or lists.
    #[arg(long, value_name = "FILE")]
    pub calls: PathBuf,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of what is not built yet: whatever is given.
#[derive(Clone, Debug, Args)]
pub struct NotBuilt {
    /// Not read.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub arguments: Vec<String>,
}

/// Exit code of a wrong command line, and of what is not built yet.
pub const EXIT_USAGE: u8 = 2;

/// Does what the command line says.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Demo(args) => crate::demo::run(args),
        Command::Serve(args) => crate::serve::serve(&args),
        Command::Check(args) => crate::check::check(&args),
        Command::Tune(args) => crate::tune::tune(&args),
        Command::Report(args) => crate::report::report(&args),
        Command::Replay(args) => crate::replay::replay(&args),
        Command::Webhook(WebhookArgs {
            command: WebhookCommand::Test(args),
        }) => crate::serve::webhook_test(&args),
        Command::Audit(_) => not_built("audit"),
    }
}

#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn not_built(command: &str) -> ExitCode {
    eprintln!("baton {command} is not built yet");
    ExitCode::from(EXIT_USAGE)
}
