//! What a run left, for people and for machines.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::judge::{Promise, Run};

/// Version of the document that `--json` prints.
const SCHEMA: &str = "baton.demo/1";

fn webhooks(run: &Run) -> Vec<Value> {
    run.deliveries
        .iter()
        .map(|delivery| delivery.json(&run.secret))
        .collect()
}

/// Writes them as delivered into the folder.
pub(super) fn write_webhooks(folder: &Path, run: &Run) -> Result<(), String> {
    let path = folder.join("webhooks.json");
    let text = serde_json::to_string_pretty(&webhooks(run)).unwrap_or_default();
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The document of `--json`.
pub(super) fn document(run: &Run, promises: &[Promise], files: &[(&str, PathBuf)]) -> Value {
    let failed: Vec<String> = promises
        .iter()
        .filter(|promise| !promise.held)
        .map(|promise| format!("{}: {}", promise.what, promise.figure))
        .collect();
    let handoff = &run.handoff;
    let files: serde_json::Map<String, Value> = files
        .iter()
        .map(|(name, path)| ((*name).to_owned(), json!(path)))
        .collect();
    json!({
        "schema": SCHEMA,
        "ok": failed.is_empty(),
        "failed": failed,
        "handoff": {
            "id": handoff["id"],
            "mode": handoff["mode"],
            "state": handoff["state"],
            "result": handoff["result"],
            "reason": handoff["reason"],
            "timeline": handoff["timeline"],
            "evidence": handoff["evidence"],
        },
        "codecs": {
            "caller": run.parties["caller"].codec(),
            "ai": run.parties["ai"].codec(),
            "human": run.parties["human"].codec(),
        },
        "webhooks": webhooks(run),
        "files": files,
        "host": { "longest_stall_ms": run.stall_ms },
    })
}

/// Timeline, evidence, verdict and files, for people.
pub(super) fn print(run: &Run, promises: &[Promise], files: &[(&str, PathBuf)]) {
    let timeline = run.handoff["timeline"].as_object().into_iter().flatten();
    let timeline: Vec<String> = timeline.map(|(step, ms)| format!("{step} {}", figure(ms))).collect();
    if !timeline.is_empty() {
        say(&format!("\ntimeline, ms   {}", timeline.join("  ")));
    }
    let codecs = ["caller", "ai", "human"].map(|who| format!("{who} {}", run.parties[who].codec().unwrap_or("-")));
    say(&format!("\ncodecs         {}", codecs.join("  ")));
    let evidence = |who: &str| run.handoff["evidence"][who].as_object();
    if let Some(caller) = evidence("caller") {
        say(&format!("\n{:<22}{:>10}{:>10}", "evidence", "caller", "human"));
        for (name, value) in caller {
            let human = evidence("human").map_or("-".to_owned(), |human| figure(&human[name]));
            say(&format!("  {name:<20}{:>10}{human:>10}", figure(value)));
        }
    }
    say("");
    for Promise { held, what, figure } in promises {
        say(&format!("  {} {what}: {figure}", if *held { '✓' } else { '✗' }));
    }
    let failed = promises.iter().filter(|promise| !promise.held).count();
    say("");
    for (_, path) in files {
        say(&format!("  {}", path.display()));
    }
    say("  webhooks.json");
    say(&match failed {
        0 => format!("\nall {} promises held", promises.len()),
        failed => format!("\n{failed} of {} promises did not hold", promises.len()),
    });
}

/// A figure as people read it; what was not measured is a dash.
fn figure(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 => format!("{number:.1}"),
        Some(number) => format!("{number:.0}"),
        None => "-".to_owned(),
    }
}

/// A line on standard output. Nobody reading it any more is no error.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[expect(
    clippy::print_stderr,
    reason = "the server's own words, where a promise did not hold"
)]
pub(super) fn complain(log: &str) {
    if !log.is_empty() {
        eprintln!("\nthe server said:\n{log}");
    }
}
