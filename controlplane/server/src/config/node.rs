//! `[node]`.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::reader::Table;
use super::values::{seconds, text};

/// `[node]`
#[derive(Clone, Debug)]
pub struct Node {
    /// In the `source` of events and in RTCP's CNAME.
    pub name: String,
    /// How long a stop waits for running calls.
    pub drain: Duration,
    /// How long a stop then waits, at each step: for BYEs, for requests of the API, for webhooks.
    pub stop: Duration,
    /// What is logged, as in `RUST_LOG`.
    pub log: String,
    /// One JSON object a line instead of text.
    pub log_json: bool,
}

pub(super) fn read(table: Table<'_, '_>) -> Node {
    let node = Node {
        name: text(&table, "name", "baton"),
        drain: seconds(&table, "drain_s", 0..=3600, 30),
        stop: seconds(&table, "stop_s", 1..=60, 2),
        log: log(&table),
        log_json: table.boolean("log_json").unwrap_or(false),
    };
    table.finish();
    node
}

fn log(table: &Table<'_, '_>) -> String {
    let filter = text(table, "log", "info");
    if let Err(error) = EnvFilter::try_new(&filter) {
        let line = table.string("log").map_or(table.line, |found| found.line);
        let message = format!("must be a level or a filter, as \"info\" or \"baton_server=debug,warn\": {error}");
        table.problem(line, "log", message);
    }
    filter
}
