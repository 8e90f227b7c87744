//! Events in the order in which they were committed, for readers that go on where they were.

use sqlx::Row as _;

use super::Database;
use super::database::within;

/// What a reader follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed {
    /// Of the calls of one agent only.
    pub(crate) agent: Option<String>,
    /// About one call or handoff only.
    pub(crate) subject: Option<String>,
    /// About one call and its handoffs only.
    pub(crate) call: Option<String>,
    /// Of these types only; empty: of all.
    pub(crate) types: Vec<String>,
}

/// An event, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The CloudEvent.
    pub(crate) body: String,
}

/// Events that are read at one time, and how many are looked at for those that somebody follows.
const PAGE: i64 = 100;
const STRIDE: i64 = 10_000;

const NEWEST: &str = "SELECT id, place FROM events ORDER BY place DESC LIMIT 1";
const PLACE: &str = "SELECT place FROM events WHERE id = $1";
const NEXT: &str = "SELECT place, id, kind, body FROM events WHERE place > $1 AND place <= $2 AND ($3 = '' OR agent = $3) \
    AND ($4 = '' OR subject = $4) ORDER BY place LIMIT $5";

const SAID: &str = "SELECT number, body FROM turns WHERE call = $1 AND number >= $2 ORDER BY number LIMIT $3";

/// All that read much.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [NEWEST, PLACE, NEXT, SAID];

impl Database {
    /// The newest event and its place; `None` where there was none yet.
    pub(crate) async fn newest_event(&self) -> Result<Option<(String, i64)>, sqlx::Error> {
        let row = within(sqlx::query(NEWEST).fetch_optional(&self.pool)).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// Where an event is; `None` where it is not kept any more, or never was.
    pub(crate) async fn place_of(&self, event: &str) -> Result<Option<i64>, sqlx::Error> {
        let row = within(sqlx::query(PLACE).bind(event).fetch_optional(&self.pool)).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// The next events after a place, and the place up to which all are known now; `true` where there may be more already.
    pub(crate) async fn follow(&self, followed: &Followed, after: i64) -> Result<(Vec<Told>, i64, bool), sqlx::Error> {
        // First the end, then what is before it: what is committed in between is for the next time.
        let row = sqlx::query("SELECT last FROM event_places").fetch_one(&self.pool);
        let last: i64 = within(row).await?.try_get(0)?;
        if last <= after {
            return Ok((Vec::new(), after, false));
        }
        let end = last.min(after.saturating_add(STRIDE));
        let query = sqlx::query(NEXT)
            .bind(after)
            .bind(end)
            .bind(followed.agent.as_deref().unwrap_or_default())
            .bind(followed.subject.as_deref().unwrap_or_default())
            .bind(PAGE);
        let rows = within(query.fetch_all(&self.pool)).await?;
        let place = match rows.last() {
            Some(newest) if rows.len() as i64 == PAGE => newest.try_get(0)?,
            _ => end,
        };
        let mut told = Vec::new();
        for row in &rows {
            let event = Told {
                id: row.try_get(1)?,
                kind: row.try_get(2)?,
                body: row.try_get(3)?,
            };
            // Ids are random: what names the call is about it.
            let of_call = followed.call.as_ref().is_none_or(|call| event.body.contains(&**call));
            if of_call && (followed.types.is_empty() || followed.types.contains(&event.kind)) {
                told.push(event);
            }
        }
        Ok((told, place, place < last))
    }

    /// The next turns of a call from this number on, each with its own; `true` where there may be more already.
    pub(crate) async fn said(&self, call: &str, from: i64) -> Result<(Vec<(i64, String)>, bool), sqlx::Error> {
        let rows = within(sqlx::query(SAID).bind(call).bind(from).bind(PAGE).fetch_all(&self.pool)).await?;
        let turns: Result<Vec<_>, sqlx::Error> =
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
        let turns = turns?;
        let more = turns.len() as i64 == PAGE;
        Ok((turns, more))
    }
}
