//! The tables, in SQLite or PostgreSQL: the same statements on both.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor as _, Row as _, SqlSafeStr as _};

use super::DeliveryStatus;
use super::put::put;
use super::write::{CallRow, DeliveryId, DeliveryRow, HandoffRow, Write};

/// Connections that read at one time; one more writes.
const CONNECTIONS: u32 = 5;

/// How long a reader waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// What a database of ours looks like, step by step. A step that was ever released is never changed.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "records and outbox", include_str!("schema/1_records_and_outbox.sql"))];

/// Each connection to SQLite: readers do not wait for the writer (WAL), a commit is on the disk when it returns (FULL), and
/// another process that writes is waited for, a little: who has waited in vain tries again.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 500;";

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite, which is made where it is not.
    Sqlite(PathBuf),
    /// A database of PostgreSQL, by its URL. It may have a password in it.
    Postgres(String),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Sqlite(path) => write!(f, "Sqlite({path:?})"),
            Place::Postgres(_) => write!(f, "Postgres(…)"),
        }
    }
}

impl Place {
    fn url(&self) -> String {
        match self {
            Place::Sqlite(path) => {
                let escaped: String = path
                    .to_string_lossy()
                    .chars()
                    .map(|c| match c {
                        '%' => "%25".to_owned(),
                        '?' => "%3F".to_owned(),
                        '#' => "%23".to_owned(),
                        c => c.to_string(),
                    })
                    .collect();
                format!("sqlite:{escaped}?mode=rwc")
            }
            Place::Postgres(url) => url.clone(),
        }
    }
}

/// An open database with all tables in their newest form.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: AnyPool,
}

/// What a reader asks of the handoffs: the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Only those after this one.
    pub(crate) after: Option<String>,
    pub(crate) call: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) limit: u32,
}

/// An event that an endpoint is to be told now.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) event: String,
    pub(crate) subject: String,
    /// That were made.
    pub(crate) attempts: u32,
    pub(crate) queued_ms: i64,
    pub(crate) body: String,
}

impl Database {
    /// Opens the database and brings its tables to their newest form.
    ///
    /// # Errors
    /// Where it cannot be reached, written, or is of a newer version than we know.
    pub(crate) async fn open(place: &Place) -> Result<Database, sqlx::Error> {
        // The second time it says that they are there already.
        sqlx::any::install_default_drivers();
        let sqlite = matches!(place, Place::Sqlite(_));
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute(PRAGMAS).await?;
                    }
                    Ok(())
                })
            })
            .connect(&place.url())
            .await?;
        let migrations = MIGRATIONS.map(|(version, description, sql)| {
            Migration::new(
                version,
                description.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        });
        Migrator::with_migrations(migrations.into()).run(&pool).await?;
        Ok(Database { pool })
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Writes all of it, or nothing.
    pub(crate) async fn commit(&self, instance: &str, writes: &[Write]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for write in writes {
            put(&mut transaction, instance, write).await?;
        }
        transaction.commit().await
    }

    /// The body of a handoff, and whose agent's it is.
    pub(crate) async fn handoff(&self, id: &str) -> Result<Option<(String, String)>, sqlx::Error> {
        let row = sqlx::query("SELECT agent, body FROM handoffs WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// Handoffs' bodies in the order in which they were asked for. `None` where `after` is none that we know.
    pub(crate) async fn handoffs(&self, page: &Page) -> Result<Option<Vec<String>>, sqlx::Error> {
        let (after_ms, after) = match &page.after {
            None => (i64::MIN, String::new()),
            Some(after) => {
                let row = sqlx::query("SELECT requested_ms FROM handoffs WHERE id = $1")
                    .bind(after)
                    .fetch_optional(&self.pool)
                    .await?;
                match row {
                    None => return Ok(None),
                    Some(row) => (row.try_get(0)?, after.clone()),
                }
            }
        };
        // An empty word stands for "any": a parameter that is NULL has no type in PostgreSQL.
        let rows = sqlx::query(
            "SELECT body FROM handoffs WHERE (requested_ms > $1 OR (requested_ms = $1 AND id > $2)) \
             AND ($3 = '' OR call = $3) AND ($4 = '' OR agent = $4) ORDER BY requested_ms, id LIMIT $5",
        )
        .bind(after_ms)
        .bind(after)
        .bind(page.call.as_deref().unwrap_or_default())
        .bind(page.agent.as_deref().unwrap_or_default())
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// What became of the events about a subject, the oldest first.
    pub(crate) async fn deliveries(&self, subject: &str, limit: u32) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT event, endpoint, kind, status, attempts, answer, queued_ms, due_ms, finished_ms FROM deliveries \
             WHERE subject = $1 ORDER BY sequence, endpoint LIMIT $2",
        )
        .bind(subject)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// One of them.
    pub(crate) async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRow>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT event, endpoint, kind, status, attempts, answer, queued_ms, due_ms, finished_ms FROM deliveries \
             WHERE event = $1 AND endpoint = $2",
        );
        let row = row
            .bind(&id.event)
            .bind(&id.endpoint)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(delivery).transpose()
    }

    /// All of them, the oldest first. `None` where `after` is none that we know.
    pub(crate) async fn all_deliveries(
        &self,
        after: Option<&DeliveryId>,
        status: Option<DeliveryStatus>,
        limit: u32,
    ) -> Result<Option<Vec<DeliveryRow>>, sqlx::Error> {
        let (after_ms, after_event, after_endpoint) = match after {
            None => (i64::MIN, "", ""),
            Some(id) => match self.delivery(id).await? {
                None => return Ok(None),
                Some(row) => (row.queued_ms, &*id.event, &*id.endpoint),
            },
        };
        let rows = sqlx::query(
            "SELECT event, endpoint, kind, status, attempts, answer, queued_ms, due_ms, finished_ms FROM deliveries \
             WHERE (queued_ms > $1 OR (queued_ms = $1 AND (event > $2 OR (event = $2 AND endpoint > $3)))) \
             AND ($4 = '' OR status = $4) ORDER BY queued_ms, event, endpoint LIMIT $5",
        )
        .bind(after_ms)
        .bind(after_event)
        .bind(after_endpoint)
        .bind(status.map_or("", DeliveryStatus::name))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(delivery).collect::<Result<_, _>>().map(Some)
    }

    /// The first waiting event of each subject, where its time has come; the longest due first.
    pub(crate) async fn due(
        &self,
        instance: &str,
        endpoint: &str,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Due>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT d.event, d.subject, d.attempts, d.queued_ms, e.body FROM deliveries d JOIN events e ON e.id = d.event \
             WHERE d.endpoint = $1 AND d.status = 'pending' AND d.is_head = 1 AND d.due_ms <= $2 AND d.instance = $4 \
             ORDER BY d.due_ms LIMIT $3",
        )
        .bind(endpoint)
        .bind(now_ms)
        .bind(i64::from(limit))
        .bind(instance)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    event: row.try_get(0)?,
                    subject: row.try_get(1)?,
                    attempts: number(row, 2)?,
                    queued_ms: row.try_get(3)?,
                    body: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// How many wait at an endpoint.
    pub(crate) async fn waiting(&self, instance: &str, endpoint: &str) -> Result<u64, sqlx::Error> {
        let query = "SELECT COUNT(*) FROM deliveries WHERE endpoint = $1 AND instance = $2 AND status = 'pending'";
        let row = sqlx::query(query)
            .bind(endpoint)
            .bind(instance)
            .fetch_one(&self.pool)
            .await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs)
    }

    /// When the next one is due that is not due yet.
    pub(crate) async fn next_due(
        &self,
        instance: &str,
        endpoint: &str,
        now_ms: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT due_ms FROM deliveries WHERE endpoint = $1 AND status = 'pending' AND is_head = 1 AND due_ms > $2 \
             AND instance = $3 ORDER BY due_ms LIMIT 1",
        )
        .bind(endpoint)
        .bind(now_ms)
        .bind(instance)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Notes a run of a server, which has its lock already.
    pub(crate) async fn enter(&self, instance: &str, node: &str, now_ms: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("INSERT INTO instances (id, node, started_ms) VALUES ($1, $2, $3)");
        let query = query.bind(instance).bind(node).bind(now_ms);
        query.execute(&self.pool).await.map(|_| ())
    }

    /// All runs that are noted but this one.
    pub(crate) async fn others(&self, instance: &str) -> Result<Vec<String>, sqlx::Error> {
        let query = sqlx::query("SELECT id FROM instances WHERE id <> $1 ORDER BY started_ms");
        let rows = query.bind(instance).fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// What a run has open, each with the number of the last event about it. A record may be older than its events.
    pub(crate) async fn open_of(&self, instance: &str) -> Result<Open, sqlx::Error> {
        let calls = sqlx::query(
            "SELECT id, body, (SELECT COALESCE(MAX(e.sequence), 0) FROM events e WHERE e.subject = calls.id) FROM calls \
             WHERE instance = $1 ORDER BY id",
        );
        let calls = calls.bind(instance).fetch_all(&self.pool).await?;
        let handoffs = sqlx::query(
            "SELECT id, call, agent, requested_ms, body, \
             (SELECT COALESCE(MAX(e.sequence), 0) FROM events e WHERE e.subject = handoffs.id) FROM handoffs \
             WHERE instance = $1 AND is_open = 1 ORDER BY requested_ms, id",
        );
        let handoffs = handoffs.bind(instance).fetch_all(&self.pool).await?;
        let call = |row: &AnyRow| {
            let call = CallRow {
                id: row.try_get(0)?,
                body: row.try_get(1)?,
            };
            Ok((call, row.try_get(2)?))
        };
        let handoff = |row: &AnyRow| {
            let handoff = HandoffRow {
                id: row.try_get(0)?,
                call: row.try_get(1)?,
                agent: row.try_get(2)?,
                requested_ms: row.try_get(3)?,
                open: true,
                body: row.try_get(4)?,
            };
            Ok((handoff, row.try_get(5)?))
        };
        Ok(Open {
            calls: calls.iter().map(call).collect::<Result<_, sqlx::Error>>()?,
            handoffs: handoffs.iter().map(handoff).collect::<Result<_, sqlx::Error>>()?,
        })
    }

    /// Forgets a run that has died: what closes its calls is written, and what it was to tell is ours to tell. All of it or nothing.
    pub(crate) async fn inherit(&self, dead: &str, instance: &str, writes: &[Write]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for write in writes {
            put(&mut transaction, instance, write).await?;
        }
        let query = sqlx::query("UPDATE deliveries SET instance = $1 WHERE instance = $2 AND status = 'pending'");
        query.bind(instance).bind(dead).execute(&mut *transaction).await?;
        let query = sqlx::query("DELETE FROM instances WHERE id = $1").bind(dead);
        query.execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

/// What a run of a server has open, each with the number of the last event about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    pub(crate) calls: Vec<(CallRow, i64)>,
    pub(crate) handoffs: Vec<(HandoffRow, i64)>,
}

fn delivery(row: &AnyRow) -> Result<DeliveryRow, sqlx::Error> {
    Ok(DeliveryRow {
        event: row.try_get(0)?,
        endpoint: row.try_get(1)?,
        kind: row.try_get(2)?,
        status: row.try_get(3)?,
        attempts: number(row, 4)?,
        answer: row.try_get(5)?,
        queued_ms: row.try_get(6)?,
        due_ms: row.try_get(7)?,
        finished_ms: row.try_get(8)?,
    })
}

/// Counts are never negative: we wrote them.
fn number(row: &AnyRow, index: usize) -> Result<u32, sqlx::Error> {
    row.try_get::<i64, _>(index)
        .map(|number| u32::try_from(number).unwrap_or(0))
}

/// Whether such an error is the database's trouble, which may pass, or lies in what we wrote, which will not.
pub(super) fn may_pass(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return true;
    };
    let code = error.code().unwrap_or_default();
    match code.parse::<u32>() {
        // SQLite's result codes have two or more digits of detail above the low byte: PERM, BUSY, LOCKED, NOMEM, READONLY,
        // INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 3 | 5..=11 | 13 | 14 | 26),
        // PostgreSQL's (appendix A of its manual): 22 a value, 23 a constraint, 42 the statement. All else may pass.
        _ => !["22", "23", "42"].iter().any(|class| code.starts_with(class)),
    }
}
