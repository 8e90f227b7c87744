//! `[budget]`.

use std::time::Duration;

use calls::config::Budget;
use media::core::ADDED_LATENCY;

use super::reader::Table;

/// What calls may have of a worker beside its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// `transcode_share`, 0 to 1: the part of its core for which it has coder states.
    pub transcode: f64,
    /// `mixed_listeners`: for how many it mixes at a time.
    pub mixed_listeners: usize,
    /// `added_latency_ms`: how long a packet may wait in a mix.
    pub added_latency: Duration,
}

impl Default for Share {
    fn default() -> Share {
        Share {
            transcode: 0.5,
            mixed_listeners: 32,
            added_latency: ADDED_LATENCY,
        }
    }
}

pub(super) fn read(table: Table<'_, '_>) -> (Budget, Share) {
    let default = Budget::default();
    let core_share = table.number("core_share", 0.0001..=1.0);
    let us_per_packet = table.number("us_per_packet", 0.1..=10_000.0);
    let usual = Share::default();
    let transcode = table.number("transcode_share", 0.0..=1.0);
    let mixed_listeners = table.integer("mixed_listeners", 0..=10_000);
    let added_latency = table.integer("added_latency_ms", 20..=150);
    let line = [&core_share, &us_per_packet]
        .into_iter()
        .flatten()
        .map(|found| found.line)
        .max();
    let packet = us_per_packet.map(|found| Duration::from_nanos((found.value * 1000.0).round() as u64));
    let budget = Budget {
        core_share: core_share.map_or(default.core_share, |found| found.value),
        packet: packet.unwrap_or(default.packet),
    };
    if budget.session() > budget.core_share {
        let message = format!(
            "one call is expected to use {:.4} of a core (100 packets a second of us_per_packet), and {} is all that calls may use: \
             none would be taken",
            budget.session(),
            budget.core_share
        );
        table.problem(line.unwrap_or(table.line), "core_share", message);
    }
    table.finish();
    let share = Share {
        transcode: transcode.map_or(usual.transcode, |found| found.value),
        mixed_listeners: mixed_listeners.map_or(usual.mixed_listeners, |found| found.value as usize),
        added_latency: added_latency.map_or(usual.added_latency, |found| Duration::from_millis(found.value)),
    };
    (budget, share)
}
