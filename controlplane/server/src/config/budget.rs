//! `[budget]`.

use std::time::Duration;

use calls::config::Budget;

use super::reader::Table;

/// The usual `transcode_share`.
const TRANSCODE_SHARE: f64 = 0.5;

/// And the share of its core for which a worker has coder states.
pub(super) fn read(table: Table<'_, '_>) -> (Budget, f64) {
    let default = Budget::default();
    let core_share = table.number("core_share", 0.0001..=1.0);
    let us_per_packet = table.number("us_per_packet", 0.1..=10_000.0);
    let transcode_share = table.number("transcode_share", 0.0..=1.0);
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
    (budget, transcode_share.map_or(TRANSCODE_SHARE, |found| found.value))
}
