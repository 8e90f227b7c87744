//! `[hep]`.

use super::Secret;
use super::reader::Table;
use super::values::text;

/// `[hep]`
#[derive(Clone, Debug)]
pub struct Hep {
    /// `host:port`; `None`: nothing is captured.
    pub collector: Option<String>,
    /// Who captures, as the collector numbers it.
    pub capture_id: u32,
    /// Who captures, by name.
    pub node: Option<String>,
    /// What the collector wants to be shown.
    pub password: Option<Secret>,
    /// Messages as they are, instead of without their credentials.
    pub with_credentials: bool,
}

pub(super) fn read(table: Table<'_, '_>) -> Hep {
    let collector = table.string("collector");
    let is_address = |text: &str| {
        let port = text
            .rsplit_once(':')
            .map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        matches!(port, Some((false, Ok(1..))))
    };
    if let Some(found) = &collector
        && !is_address(&found.value)
    {
        table.problem(
            found.line,
            "collector",
            "must be a name or an address with a port, as homer.example.org:9060",
        );
    }
    let hep = Hep {
        collector: collector.map(|found| found.value),
        capture_id: table
            .integer("capture_id", 1..=u64::from(u32::MAX))
            .map_or(2001, |found| found.value as u32),
        node: table.has("node").then(|| text(&table, "node", "baton")),
        password: table.secret("password").map(|found| found.value),
        with_credentials: table.boolean("with_credentials").unwrap_or(false),
    };
    if hep.node.is_none() {
        // A known key all the same.
        let _ = table.string("node");
    }
    table.finish();
    hep
}
