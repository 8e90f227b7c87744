//! Stored handoffs of a period, for figures over many of them; and what humans thought of each.

use sqlx::Row as _;

use super::Database;
use super::database::within;
use crate::records::REQUESTED;

/// From when until when handoffs were asked for, ms since 1970: from the first, up to but without the second.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) since_ms: i64,
    pub(crate) until_ms: i64,
    /// Of the calls of one agent only.
    pub(crate) agent: Option<String>,
}

/// A handoff as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) requested_ms: i64,
    pub(crate) body: String,
    pub(crate) feedback: Option<String>,
}

/// Records that are read at one time.
const PAGE: i64 = 500;

const FEEDBACK: &str = "SELECT feedback FROM handoffs WHERE id = $1";
const COUNT: &str =
    "SELECT COUNT(*) FROM handoffs WHERE requested_ms >= $1 AND requested_ms < $2 AND ($3 = '' OR agent = $3)";
const STORED: &str = "SELECT id, requested_ms, body, feedback FROM handoffs WHERE (requested_ms, id) > ($1, $2) \
    AND requested_ms < $3 AND ($4 = '' OR agent = $4) ORDER BY requested_ms, id LIMIT $5";
const UNDELIVERED: &str = "SELECT COUNT(*) FROM handoffs h WHERE h.requested_ms >= $1 AND h.requested_ms < $2 \
    AND ($3 = '' OR h.agent = $3) AND EXISTS (SELECT 1 FROM deliveries d WHERE d.subject = h.id AND d.kind = $4 \
    AND d.status = 'failed')";

/// All that read much.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [FEEDBACK, COUNT, STORED, UNDELIVERED];

impl Database {
    /// What a human thought of a handoff.
    pub(crate) async fn feedback(&self, handoff: &str) -> Result<Option<String>, sqlx::Error> {
        let row = within(sqlx::query(FEEDBACK).bind(handoff).fetch_optional(&self.pool)).await?;
        row.map_or(Ok(None), |row| row.try_get(0))
    }

    /// How many handoffs were asked for in a period.
    pub(crate) async fn count(&self, period: &Period) -> Result<u64, sqlx::Error> {
        let query = sqlx::query(COUNT).bind(period.since_ms).bind(period.until_ms);
        let query = query.bind(period.agent.as_deref().unwrap_or_default());
        let row = within(query.fetch_one(&self.pool)).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs)
    }

    /// The next of them, the oldest first; none after the last. Without their transcripts.
    pub(crate) async fn stored(&self, period: &Period, after: Option<&Stored>) -> Result<Vec<Stored>, sqlx::Error> {
        let (after_ms, after_id) = after.map_or((period.since_ms, ""), |stored| (stored.requested_ms, &*stored.id));
        let query = sqlx::query(STORED)
            .bind(after_ms)
            .bind(after_id)
            .bind(period.until_ms)
            .bind(period.agent.as_deref().unwrap_or_default())
            .bind(PAGE);
        let rows = within(query.fetch_all(&self.pool)).await?;
        rows.iter()
            .map(|row| {
                Ok(Stored {
                    id: row.try_get(0)?,
                    requested_ms: row.try_get(1)?,
                    body: row.try_get(2)?,
                    feedback: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// How many of them have an endpoint that never got the context.
    pub(crate) async fn undelivered(&self, period: &Period) -> Result<u64, sqlx::Error> {
        let query = sqlx::query(UNDELIVERED).bind(period.since_ms).bind(period.until_ms);
        let query = query.bind(period.agent.as_deref().unwrap_or_default()).bind(REQUESTED);
        let row = within(query.fetch_one(&self.pool)).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs)
    }
}
