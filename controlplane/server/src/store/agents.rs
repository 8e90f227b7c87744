//! Human agents. They are few, and written by those who wait for it: not by way of the queue.

use std::time::Duration;

use playbook::routing::Profile;
use sqlx::Row as _;

use super::database::{Database, within};

impl Database {
    /// All, by their ids. One that cannot be read is said and left out.
    pub(crate) async fn agents(&self) -> Result<Vec<Profile>, sqlx::Error> {
        let query = sqlx::query("SELECT id, body FROM agents ORDER BY id");
        let rows = within(query.fetch_all(&self.pool)).await?;
        let mut agents = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str(&body) {
                Ok(profile) => agents.push(profile),
                Err(error) => tracing::error!(agent = id, %error, "a human agent cannot be read"),
            }
        }
        Ok(agents)
    }

    /// Writes one, in place of what had its id; on the disk when this returns. The database may be busy for `most`.
    pub(crate) async fn put_agent(&self, profile: &Profile, most: Duration) -> Result<(), sqlx::Error> {
        let body = serde_json::to_string(profile).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let put = || {
            sqlx::query(
                "INSERT INTO agents (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            )
            .bind(&profile.id)
            .bind(&body)
        };
        self.insist(most, put).await.map(|_| ())
    }

    /// Removes one; nothing happens where there is none.
    pub(crate) async fn delete_agent(&self, id: &str, most: Duration) -> Result<(), sqlx::Error> {
        let delete = || sqlx::query("DELETE FROM agents WHERE id = $1").bind(id);
        self.insist(most, delete).await.map(|_| ())
    }
}
