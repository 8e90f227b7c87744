//! `[node]`.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::reader::Table;
use super::values::{seconds, text};

/// `[node]`
#[derive(Clone, Debug)]
pub struct Node {
    /// In the `source` of events and in RTCP's CNAME.
    pub name: String,
    /// How long a stop waits for running calls. Ten minutes: a stop should not be what ends a conversation, and who is in a hurry
    /// signals twice.
    pub drain: Duration,
    /// How long calls may still last after a new version has taken over.
    pub hand_over: Duration,
    /// The socket by which a new version takes over; `None`: none can.
    pub control: Option<PathBuf>,
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
        drain: seconds(&table, "drain_s", 0..=86_400, 600),
        hand_over: seconds(&table, "hand_over_s", 1..=604_800, 14_400),
        control: control(&table),
        stop: seconds(&table, "stop_s", 1..=60, 2),
        log: log(&table),
        log_json: table.boolean("log_json").unwrap_or(false),
    };
    table.finish();
    node
}

/// The name of a Unix socket has 107 bytes at the most (unix(7)); some are for the name under which it is made.
const NAME_MAX: usize = 95;

fn control(table: &Table<'_, '_>) -> Option<PathBuf> {
    let found = table.string("control");
    let name = found.as_ref().map_or("baton.sock", |found| &found.value);
    if name.is_empty() {
        return None;
    }
    let path = table.path(name);
    if let Some(found) = &found
        && path.as_os_str().len() > NAME_MAX
    {
        let message =
            format!("is longer than the {NAME_MAX} bytes that the name of a socket can have: choose a shorter path");
        table.problem(found.line, "control", message);
    }
    Some(path)
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
