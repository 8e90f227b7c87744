//! `baton serve`, from the file to the signal that ends it; and `baton webhook test`.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Interval;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{ServeArgs, WebhookTestArgs};
use crate::config::{Config, Problem};
use crate::listeners::Listeners;
use crate::privileges;
use crate::server::{Offer, Rest, Server};
use crate::sibling::gate::Gate;
use crate::sibling::link::Link;
use crate::systemd::Systemd;
use crate::webhook::sample;

/// What a stop may take beside the steps that `node.stop_s` bounds, as the service manager is told.
const SLACK: Duration = Duration::from_secs(5);

/// Runs a server until SIGTERM or SIGINT; a second one hangs up its running calls, a third one ends it at once.
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
    // Before there is a second thread: each keeps the rights that it began with.
    let listeners = match args.take_over {
        true => Ok(None),
        false => Listeners::open(&config).map(Some),
    };
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = privileges::give_up() {
        say(&format!("our rights cannot be given up: {error}"));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(Service::run(config, listeners)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

/// What whoever started us can tell us.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
    reload: Signal,
}

impl Signals {
    fn watch() -> Result<Signals, String> {
        let watch = |kind| signal(kind).map_err(|error| format!("signals cannot be watched: {error}"));
        Ok(Signals {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            upgrade: watch(SignalKind::user_defined2())?,
            reload: watch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.upgrade.recv() => Told::Upgrade,
            _ = self.reload.recv() => Told::Reload,
        }
    }

    /// SIGTERM or SIGINT; others have nothing to say any more.
    async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// SIGTERM, SIGINT.
    End,
    /// SIGUSR2: start your successor.
    Upgrade,
    /// SIGHUP: read your file anew.
    Reload,
}

/// A server with everything that a process has around it.
struct Service {
    server: Server,
    systemd: Systemd,
    /// Where new versions knock; `None` where there is no such place.
    control: Option<PathBuf>,
}

/// Why the service is not what it was.
enum Turn {
    /// A signal.
    Stop,
    /// A part has ended by itself.
    Failed,
    /// A new version has taken over.
    HandedOver,
}

impl Service {
    /// From the start to the end.
    async fn run(config: Config, listeners: Option<Listeners>) -> Result<(), String> {
        let mut signals = Signals::watch()?;
        let (systemd, control) = (Systemd::from_environment(), config.node.control.clone());
        let taking_over = listeners.is_none();
        let started = match listeners {
            Some(listeners) => Server::start_on(config, listeners).await,
            None => {
                let offer = Offer::ask(&config).await?;
                Server::take_over(config, offer).await
            }
        };
        let service = Service {
            server: started.map_err(|error| error.to_string())?,
            systemd,
            control,
        };
        service.systemd.ready();
        let mut gate = service.gate(taking_over);
        loop {
            match service.serve(&mut signals, gate.as_ref()).await {
                Turn::Stop => {
                    // Who knocks now is told at once that it is too late.
                    drop(gate);
                    return service.stop(&mut signals, true).await;
                }
                Turn::Failed => {
                    return Err("a part of the server ended by itself; its last words are in the log".to_owned());
                }
                Turn::HandedOver => {}
            }
            let rest = tokio::select! {
                rest = service.server.outlast() => rest,
                () = signals.end() => {
                    // As at every stop: what runs goes on for a while. Of us the manager hears nothing, for the new version is the service.
                    return service.stop(&mut signals, false).await;
                }
            };
            match rest {
                Rest::Over => break,
                Rest::Alone => {
                    service.systemd.main_pid(std::process::id());
                    if service.server.drains() {
                        return service.stop(&mut signals, true).await;
                    }
                    // Not both at one time: the place that we had would answer as that of a living server.
                    drop(gate);
                    gate = service.gate(false);
                }
            }
        }
        service.server.stop_now().await;
        tracing::info!("the last call is over; the new version goes on alone");
        Ok(())
    }

    /// Opens the place where new versions knock. A server without it is none the worse, but for its upgrade.
    fn gate(&self, taking_over: bool) -> Option<Gate> {
        let path = self.control.as_deref()?;
        match Gate::open(path, taking_over) {
            Ok(gate) => Some(gate),
            Err(error) => {
                tracing::warn!(control = %path.display(), %error, "no new version can take over from this one (node.control)");
                None
            }
        }
    }

    /// Takes calls until something changes.
    async fn serve(&self, signals: &mut Signals, gate: Option<&Gate>) -> Turn {
        let mut knocking: Option<JoinHandle<Option<Link>>> = None;
        let pulse = self.systemd.pulse();
        let mut pulse = pulse.map(tokio::time::interval);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::End => return Turn::Stop,
                    Told::Upgrade => upgrade(),
                    Told::Reload => {
                        self.systemd.reloading();
                        // What came of it is in the log.
                        let _ = self.server.reload().await;
                        self.systemd.ready();
                    }
                },
                () = self.server.failed() => return Turn::Failed,
                () = tick(pulse.as_mut()) => {
                    if self.server.lives().await {
                        self.systemd.alive();
                    }
                }
                link = knock(gate), if knocking.is_none() => knocking = Some(tokio::spawn(self.server.show(link))),
                link = finished(knocking.as_mut()) => {
                    knocking = None;
                    if let Some(link) = link {
                        let successor = link.peer();
                        self.server.hand_over(link).await;
                        if let Ok(pid) = successor {
                            self.systemd.main_pid(pid);
                        }
                        return Turn::HandedOver;
                    }
                }
            }
        }
    }

    /// Ends when the running calls do, or at further signals. `is_service`: the manager knows us, and not another version.
    async fn stop(self, signals: &mut Signals, is_service: bool) -> Result<(), String> {
        tracing::info!("draining: no new calls; a second signal hangs up the running ones, a third ends at once");
        // What a stop may take after the wait for running calls.
        let grace = 4 * self.server.step() + SLACK;
        let systemd = Some(&self.systemd).filter(|_| is_service);
        let stopping = |calls, older, wait| systemd.inspect(|systemd| systemd.stopping(calls, older, wait));
        stopping(0, false, grace);
        let (hurry, hurried) = oneshot::channel();
        let stop = self.server.stop_unless(async { drop(hurried.await) }, |left| {
            stopping(left.calls, left.older, left.wait + grace);
        });
        let second_and_third = async {
            signals.end().await;
            let _ = hurry.send(());
            signals.end().await;
        };
        // A stop has bounds of its own: what is slow in it is not stuck.
        let breathe = async {
            let mut pulse = systemd.and_then(Systemd::pulse).map(tokio::time::interval);
            loop {
                tick(pulse.as_mut()).await;
                systemd.inspect(|systemd| systemd.alive());
            }
        };
        tokio::select! {
            () = stop => tracing::info!("stopped"),
            () = second_and_third => tracing::warn!("stopped at once"),
            () = breathe => {}
        }
        Ok(())
    }
}

/// When the service manager wants a sign of life next.
async fn tick(pulse: Option<&mut Interval>) {
    match pulse {
        Some(pulse) => drop(pulse.tick().await),
        None => std::future::pending().await,
    }
}

/// Who knocks next.
async fn knock(gate: Option<&Gate>) -> Link {
    loop {
        match gate {
            Some(gate) => match gate.next().await {
                Ok(link) => return link,
                Err(error) => tracing::debug!(%error, "who knocked has gone"),
            },
            None => std::future::pending().await,
        }
    }
}

/// What became of who knocked.
async fn finished(knocking: Option<&mut JoinHandle<Option<Link>>>) -> Option<Link> {
    match knocking {
        Some(knocking) => knocking.await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// Starts the program that is now at our place, as we were started, to take over. Where it fails, we go on.
fn upgrade() {
    let program = match program() {
        Ok(program) => program,
        Err(error) => return tracing::error!(%error, "our own program cannot be found"),
    };
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == TAKE_OVER) {
        arguments.push(TAKE_OVER.into());
    }
    let started = tokio::process::Command::new(&program)
        .args(arguments)
        // It would name us: sd_watchdog_enabled(3).
        .env_remove("WATCHDOG_PID")
        .stdin(std::process::Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            tracing::info!(program = %program.display(), pid = child.id(), "a new version is started");
            tokio::spawn(async move {
                let status = child.wait().await;
                tracing::warn!(?status, "the new version has ended");
            });
        }
        Err(error) => tracing::error!(program = %program.display(), %error, "the new version cannot be started"),
    }
}

/// Where our program lies. Where it was replaced meanwhile, the kernel says so behind the name (proc_pid_exe(5)); what lies there now is
/// the new version.
fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let name = path.as_os_str().as_bytes();
    Ok(match name.strip_suffix(b" (deleted)") {
        Some(name) => PathBuf::from(OsStr::from_bytes(name)),
        None => path,
    })
}

/// The argument by which a new version takes over.
const TAKE_OVER: &str = "--take-over";

/// Sends the log to standard error. `RUST_LOG` has precedence over the filter.
///
/// # Errors
/// Where the filter cannot be read, or there is a log already.
pub fn log_to_stderr(filter: &str, json: bool) -> Result<(), String> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| format!("node.log = {wanted:?} is no filter: {error}"))?;
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let text = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let set = match json {
        true => registry.with(text.json()).try_init(),
        false => registry.with(text).try_init(),
    };
    set.map_err(|error| format!("the log cannot be set up: {error}"))?;
    // There is one log in a process, and it was set up just now.
    let _ = FILTER.set(Box::new(move |filter| handle.reload(filter).is_ok()));
    Ok(())
}

/// Changes the filter of the log.
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) -> bool + Send + Sync>> = OnceLock::new();

/// Another filter for the log.
///
/// # Errors
/// Why it stays as it is.
pub(crate) fn set_log(filter: &str) -> Result<(), &'static str> {
    if std::env::var_os("RUST_LOG").is_some() {
        return Err("RUST_LOG is set, and has precedence");
    }
    let set = FILTER.get().ok_or("the log is not ours")?;
    let filter = EnvFilter::try_new(filter).map_err(|_| "it is no filter")?;
    set(filter).then_some(()).ok_or("the log is gone")
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

/// The file, or every default.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, Vec<Problem>> {
    match path {
        Some(path) => Config::from_file(path),
        None => Config::from_toml("", Path::new("")),
    }
}

/// Each on a line of its own.
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
    let _ = writeln!(io::stderr(), "{text}");
}

pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
