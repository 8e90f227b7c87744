//! `baton serve`, from the file to the signal that ends it; `baton check`; and `baton webhook test`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::{CheckArgs, ServeArgs, WebhookTestArgs};
use crate::config::{Config, Problem};
use crate::server::Server;
use crate::webhook::sample;

/// Runs a server until SIGTERM or SIGINT; a second one ends it at once.
pub(crate) fn serve(args: &ServeArgs) -> ExitCode {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            say_problems(args.config.as_deref(), &problems);
            return ExitCode::FAILURE;
        }
    };
    if let Err(why) = log_to_stderr(&config.node.log, config.node.log_json) {
        say(&why);
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_signal(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

async fn until_signal(config: Config) -> Result<(), String> {
    let watch = |kind| signal(kind).map_err(|error| format!("signals cannot be watched: {error}"));
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let mut server = Server::start(config).await.map_err(|error| error.to_string())?;
    tokio::select! {
        () = either(&mut terminate, &mut interrupt) => {}
        () = server.failed() => return Err("a part of the server ended by itself; its last words are in the log".to_owned()),
    }
    tracing::info!("draining; a second signal ends at once");
    tokio::select! {
        () = server.stop() => tracing::info!("stopped"),
        () = either(&mut terminate, &mut interrupt) => tracing::warn!("stopped at once"),
    }
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Sends the log to standard error. `RUST_LOG` has precedence over the filter.
///
/// # Errors
/// Where the filter cannot be read, or there is a log already.
pub fn log_to_stderr(filter: &str, json: bool) -> Result<(), String> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| format!("node.log = {wanted:?} is no filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match json {
        true => builder.json().try_init(),
        false => builder.try_init(),
    };
    set.map_err(|error| format!("the log cannot be set up: {error}"))
}

/// Validates the file and this host. Exit code 1 on an error.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let config = load(args.config.as_deref());
    let pairs = match &config {
        Ok(config) => usize::from(config.media.workers) * usize::from(config.media.ports_per_worker),
        Err(_) => 0,
    };
    let probe = engine::probe(pairs);
    let problems = config.as_ref().err().map_or(&[][..], Vec::as_slice);
    let ok = problems.is_empty() && probe.ok();
    if args.json {
        let file = args.config.as_deref().map(|path| path.display().to_string());
        let report = json!({
            "schema": "baton.check/1",
            "ok": ok,
            "file": file,
            "problems": problems
                .iter()
                .map(|problem| json!({ "line": problem.line, "key": problem.key, "message": problem.message }))
                .collect::<Vec<_>>(),
            "host": probe
                .findings
                .iter()
                .map(|finding| json!({
                    "what": finding.what,
                    "ok": finding.ok,
                    "found": finding.found,
                    "remedy": finding.remedy,
                }))
                .collect::<Vec<_>>(),
        });
        print(&report.to_string());
    } else {
        say_problems(args.config.as_deref(), problems);
        for finding in &probe.findings {
            let mark = if finding.ok { "ok   " } else { "ERROR" };
            print(&format!("{mark} {}: {}", finding.what, finding.found));
            if let Some(remedy) = &finding.remedy {
                print(&format!("      {remedy}"));
            }
        }
        let trunks = config.as_ref().map_or(0, |config| config.trunks.len());
        if ok && trunks == 0 {
            print("note  no [[trunks]]: nobody may call");
        }
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sends a signed sample to webhooks. Exit code 1 where one does not take it.
pub(crate) fn webhook_test(args: &WebhookTestArgs) -> ExitCode {
    let config = match load(Some(&args.config)) {
        Ok(config) => config,
        Err(problems) => {
            say_problems(Some(&args.config), &problems);
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answered = match runtime {
        Ok(runtime) => runtime.block_on(sample::send_to(&config, args.name.as_deref())),
        Err(error) => Err(format!("the runtime does not start: {error}")),
    };
    let answered = match answered {
        Ok(answered) => answered,
        Err(why) => {
            say(&why);
            return ExitCode::FAILURE;
        }
    };
    let ok = answered.iter().all(|one| one.ok);
    if args.json {
        let webhooks: Vec<_> = answered.iter().map(sample::Answered::view).collect();
        print(&json!({ "schema": "baton.webhook_test/1", "ok": ok, "webhooks": webhooks }).to_string());
    } else {
        for one in &answered {
            let mark = if one.ok { "ok   " } else { "ERROR" };
            print(&format!(
                "{mark} {}: {} in {} ms",
                one.name,
                one.answer,
                one.took.as_millis()
            ));
        }
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(crate) fn load(path: Option<&Path>) -> Result<Config, Vec<Problem>> {
    match path {
        Some(path) => Config::from_file(path),
        None => Config::from_toml("", Path::new("")),
    }
}

pub(crate) fn say_problems(path: Option<&Path>, problems: &[Problem]) {
    let file = path.map_or_else(|| "(no file)".to_owned(), |path| path.display().to_string());
    for problem in problems {
        let line = match problem.line {
            0 => String::new(),
            line => format!(":{line}"),
        };
        let key = match problem.key.as_str() {
            "" => String::new(),
            key => format!(" {key}:"),
        };
        say(&format!("{file}{line}:{key} {}", problem.message));
    }
}

/// One line to whoever started us.
pub(crate) fn say(text: &str) {
    // Nobody is left to be told where this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
