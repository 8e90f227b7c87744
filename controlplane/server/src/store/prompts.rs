//! Prompts that were uploaded. They are few, large, and written by those who wait for it: not by way of the queue.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::time::{Instant, sleep};

use super::database::{Database, Place, may_pass, within};

/// Between two attempts to write.
const AGAIN: Duration = Duration::from_millis(50);

/// What is known of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PromptRow {
    pub(crate) name: String,
    pub(crate) at_ms: i64,
    pub(crate) sha256: String,
    pub(crate) length_ms: i64,
    pub(crate) rate_hz: i64,
}

impl Database {
    /// All, by their names.
    pub(crate) async fn prompts(&self) -> Result<Vec<PromptRow>, sqlx::Error> {
        let query = sqlx::query("SELECT name, at_ms, sha256, length_ms, rate_hz FROM prompts ORDER BY name");
        let rows = within(query.fetch_all(&self.pool)).await?;
        let prompt = |row: &AnyRow| {
            Ok(PromptRow {
                name: row.try_get(0)?,
                at_ms: row.try_get(1)?,
                sha256: row.try_get(2)?,
                length_ms: row.try_get(3)?,
                rate_hz: row.try_get(4)?,
            })
        };
        rows.iter().map(prompt).collect()
    }

    /// The file of one.
    pub(crate) async fn prompt(&self, name: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        let query = sqlx::query("SELECT wav FROM prompts WHERE name = $1").bind(name);
        let Some(row) = within(query.fetch_optional(&self.pool)).await? else {
            return Ok(None);
        };
        let text: String = row.try_get(0)?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Some(bytes))
    }

    /// Writes one, in place of what had its name; on the disk when this returns. The database may be busy for `most`.
    pub(crate) async fn put_prompt(&self, row: &PromptRow, wav: &[u8], most: Duration) -> Result<(), sqlx::Error> {
        let text = STANDARD.encode(wav);
        self.insist(most, || {
            sqlx::query(
                "INSERT INTO prompts (name, at_ms, sha256, length_ms, rate_hz, wav) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms, sha256 = excluded.sha256, \
                 length_ms = excluded.length_ms, rate_hz = excluded.rate_hz, wav = excluded.wav",
            )
            .bind(&row.name)
            .bind(row.at_ms)
            .bind(&row.sha256)
            .bind(row.length_ms)
            .bind(row.rate_hz)
            .bind(&text)
        })
        .await
        .map(|_| ())
    }

    /// Removes one. False where there was none.
    pub(crate) async fn delete_prompt(&self, name: &str, most: Duration) -> Result<bool, sqlx::Error> {
        let delete = || sqlx::query("DELETE FROM prompts WHERE name = $1").bind(name);
        self.insist(most, delete).await.map(|rows| rows != 0)
    }

    /// How many rows it changed.
    pub(super) async fn insist<'q>(
        &self,
        most: Duration,
        query: impl Fn() -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>,
    ) -> Result<u64, sqlx::Error> {
        let until = Instant::now() + most;
        loop {
            match within(query().execute(&self.pool)).await {
                Err(error) if may_pass(&error) && Instant::now() < until => sleep(AGAIN).await,
                done => return done.map(|done| done.rows_affected()),
            }
        }
    }
}

/// The names in a store that nobody need have open; none where it is not there yet.
pub(crate) async fn names(place: &Place) -> Result<Vec<String>, sqlx::Error> {
    if matches!(place, Place::Sqlite(path) if !path.exists()) {
        return Ok(Vec::new());
    }
    sqlx::any::install_default_drivers();
    let asked = async {
        let mut connection = AnyConnection::connect(&place.url()).await?;
        let rows = sqlx::query("SELECT name FROM prompts").fetch_all(&mut connection).await;
        let _ = connection.close().await;
        match rows {
            Ok(rows) => rows.iter().map(|row| row.try_get(0)).collect(),
            // A store of an older version has no such table.
            Err(sqlx::Error::Database(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    within(asked).await
}
