//! `[store]`.

use std::time::Duration;

use super::reader::Table;
use super::values::{count, milliseconds, seconds};
use crate::store::Place;

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// Where it is.
    pub place: Place,
    /// Writes that may wait while the database takes none.
    pub queue: usize,
    /// How long a request of the API waits until what it did is on the disk.
    pub commit: Duration,
    /// How long closed handoffs, delivered events and dead letters are kept.
    pub keep: Duration,
}

/// The scheme of a file's URL.
const SQLITE: &str = "sqlite:";

pub(super) fn read(table: Table<'_, '_>) -> Store {
    let file = |path: &str| Place::Sqlite(table.path(path));
    let place = match table.secret("url") {
        None => file("baton.db"),
        Some(found) => match found.value.reveal() {
            url if url.strip_prefix(SQLITE).is_some_and(is_path) => file(&url[SQLITE.len()..]),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Place::Postgres(url.to_owned())
            }
            _ => {
                let message = "must be sqlite:PATH, as \"sqlite:/var/lib/baton/baton.db\", or \
                               postgres://USER:PASSWORD@HOST/DATABASE";
                table.problem(found.line, "url", message);
                file("baton.db")
            }
        },
    };
    let store = Store {
        place,
        queue: count(&table, "queue", 100..=10_000_000, 100_000),
        commit: milliseconds(&table, "commit_ms", 10..=60_000, 2_000),
        keep: seconds(&table, "keep_days", 1..=36_500, 30) * 86_400,
    };
    table.finish();
    store
}

/// SQLite itself would take an empty one for a database that is gone with its connection, and `:memory:` too.
fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.starts_with(':') && !path.contains(['?', '\0'])
}
