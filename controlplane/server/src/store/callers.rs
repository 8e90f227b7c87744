//! Who called, for rules of the playbook that look at how often somebody did: a restart forgets nothing of it.

use serde::Deserialize;
use sqlx::Row as _;

use super::Database;
use super::database::within;

/// How far back a rule can look: `within_h` is 720 at the most.
pub(crate) const LOOK_BACK_MS: i64 = 720 * 3_600_000;

/// Calls that are looked at; of more the latest. As many as are remembered.
const MOST: i64 = 100_000;

const STARTED: &str =
    "SELECT at_ms, body FROM events WHERE kind = 'baton.call.started' AND at_ms >= $1 ORDER BY at_ms DESC LIMIT $2";

/// All that read much.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 1] = [STARTED];

#[derive(Deserialize)]
struct Started {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    caller: String,
}

impl Database {
    /// When calls began that came after this, ms since 1970, and from whom; the oldest first.
    pub(crate) async fn callers(&self, after_ms: i64) -> Result<Vec<(i64, String)>, sqlx::Error> {
        let rows = within(sqlx::query(STARTED).bind(after_ms).bind(MOST).fetch_all(&self.pool)).await?;
        let mut callers = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let (at_ms, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            // One that cannot be read is another version's.
            if let Ok(Started { data }) = serde_json::from_str(&body) {
                callers.push((at_ms, data.caller));
            }
        }
        Ok(callers)
    }
}
