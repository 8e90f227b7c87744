//! `baton check`: the file and this host, before calls depend on them. Nothing is changed; nobody is called.
//!
//! What is read of the host is read in one place; what follows from it are pure functions (`check/host.rs`, `check/sockets.rs`), each
//! with tests of made-up content. All that has to be asked over the network is asked at one time.

mod callbacks;
mod capacity;
mod host;
mod network;
mod sockets;
mod store;
mod uploads;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use engine::{Backend, Rtcp};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cli::CheckArgs;
use crate::config::{Config, Problem};
use crate::serve::{load, say_problems};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_millis(1500);
/// How long all of them together may take: they are asked at one time.
const ALL: Duration = Duration::from_secs(5);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It could not be told.
    Unknown,
    /// It works, and will not work as well as it could.
    Warning,
    /// It does not work.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) found: String,
    /// What to do.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    pub(crate) fn ok(what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            level: Level::Ok,
            what: what.into(),
            found: found.into(),
            remedy: None,
        }
    }

    pub(crate) fn new(
        level: Level,
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level,
            what: what.into(),
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn value(&self) -> Value {
        json!({
            "what": self.what,
            "level": self.level.name(),
            "ok": self.level != Level::Error,
            "found": self.found,
            "remedy": self.remedy,
        })
    }
}

/// Validates the file and this host. Exit code 1 on an error.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let config = load(args.config.as_deref());
    let problems = config.as_ref().err().map_or(&[][..], Vec::as_slice);
    let findings = config
        .as_ref()
        .map_or_else(|_| kernel(0, Rtcp::Pair, Backend::Auto), look);
    let ok = problems.is_empty() && findings.iter().all(|finding| finding.level != Level::Error);
    if args.json {
        print(&report(args.config.as_deref(), ok, problems, &findings).to_string());
    } else {
        say_problems(args.config.as_deref(), problems);
        print(&text(&findings));
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Everything that there is to find, of a file without a mistake.
fn look(config: &Config) -> Vec<Finding> {
    let before = host::processor_times();
    let pairs = usize::from(config.media.workers) * usize::from(config.media.ports_per_worker);
    let mut findings = kernel(pairs, config.media.rtcp, config.media.io);
    findings.extend(capacity::findings(config));
    findings.extend(callbacks::findings(config));
    if config.trunks.is_empty() {
        let remedy = "add a [[trunks]] with the addresses that your carrier or PBX calls from";
        findings.push(Finding::new(
            Level::Warning,
            "trunks",
            "there is none: nobody may call",
            remedy,
        ));
    }
    let asked = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match asked {
        Ok(runtime) => findings.extend(runtime.block_on(ask(config))),
        Err(error) => findings.push(Finding::new(
            Level::Unknown,
            "network",
            error.to_string(),
            "look at the limits of this process",
        )),
    }
    findings.extend(host::findings(config, before));
    findings
}

async fn ask(config: &Config) -> Vec<Finding> {
    let running = network::running(config).await;
    let mut findings = sockets::findings(config, running);
    let asked = async {
        tokio::join!(
            network::findings(config),
            store::findings(&config.store),
            uploads::findings(config)
        )
    };
    match timeout(ALL, asked).await {
        Ok((network, store, uploads)) => findings.extend(network.into_iter().chain(store).chain(uploads)),
        Err(_) => findings.push(Finding::new(
            Level::Unknown,
            "peers",
            "not all answered in time",
            "look at the network and the name servers of this host",
        )),
    }
    findings
}

/// What the engine finds of the kernel and its limits.
fn kernel(pairs: usize, rtcp: Rtcp, io: Backend) -> Vec<Finding> {
    let findings = engine::probe(pairs, rtcp, io).findings.into_iter();
    let level = |ok: bool, remedy: &Option<String>| match (ok, remedy) {
        (false, _) => Level::Error,
        (true, Some(_)) => Level::Warning,
        (true, None) => Level::Ok,
    };
    findings
        .map(|finding| Finding {
            level: level(finding.ok, &finding.remedy),
            what: finding.what.to_owned(),
            found: finding.found,
            remedy: finding.remedy,
        })
        .collect()
}

/// The worst last, where a terminal leaves them to be seen; then a line that says it all.
fn text(findings: &[Finding]) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.level);
    let mut lines = Vec::new();
    for finding in sorted {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Error => "ERROR  ",
        };
        lines.push(format!("{mark} {}: {}", finding.what, finding.found));
        lines.extend(finding.remedy.as_ref().map(|remedy| format!("        -> {remedy}")));
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    lines.push(format!(
        "\n{} ok, {} unknown, {} warnings, {} errors",
        count(Level::Ok),
        count(Level::Unknown),
        count(Level::Warning),
        count(Level::Error)
    ));
    lines.join("\n")
}

fn report(file: Option<&Path>, ok: bool, problems: &[Problem], findings: &[Finding]) -> Value {
    json!({
        "schema": "baton.check/1",
        "ok": ok,
        "file": file.map(|path| path.display().to_string()),
        "problems": problems
            .iter()
            .map(|problem| json!({ "line": problem.line, "key": problem.key, "message": problem.message }))
            .collect::<Vec<_>>(),
        "host": findings.iter().map(Finding::value).collect::<Vec<_>>(),
    })
}

fn print(text: &str) {
    // Nobody is left to be told where this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_last_and_each_has_its_remedy_below() {
        let findings = [
            Finding::new(Level::Error, "b", "broken", "mend it"),
            Finding::ok("a", "fine"),
            Finding::new(Level::Warning, "c", "slow", "speed it up"),
        ];
        assert_eq!(
            text(&findings),
            "ok      a: fine\nwarning c: slow\n        -> speed it up\nERROR   b: broken\n        -> mend it\n\n\
             1 ok, 0 unknown, 1 warnings, 1 errors"
        );
        let report = report(None, false, &[], &findings);
        assert_eq!(report["host"][0]["level"], "error");
        assert_eq!(
            (&report["host"][2]["ok"], &report["host"][0]["ok"]),
            (&json!(true), &json!(false))
        );
    }
}
