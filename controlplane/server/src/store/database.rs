//! The tables, in SQLite or PostgreSQL: the same statements on both.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, Row as _, SqlSafeStr as _};
use tokio::time::timeout;

use super::DeliveryStatus;
use super::callbacks::release;
use super::put::put;
use super::write::{AttemptRow, CallRow, DeliveryId, DeliveryRow, HandoffRow, Write};

/// Connections that read at one time; one more writes.
const CONNECTIONS: u32 = 5;

/// How long a reader waits for a connection, and then for what it asked; the writer for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// What a database of ours looks like, step by step. A step that was ever released is never changed.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "records and outbox", include_str!("schema/1_records_and_outbox.sql")),
    (2, "events in order", include_str!("schema/2_events_in_order.sql")),
    (3, "prompts", include_str!("schema/3_prompts.sql")),
    (4, "calls in time", include_str!("schema/4_calls_in_time.sql")),
    (5, "agents", include_str!("schema/5_agents.sql")),
    (6, "callbacks", include_str!("schema/6_callbacks.sql")),
    (7, "who calls back", include_str!("schema/7_who_calls_back.sql")),
];

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

/// What others may do with the file: nothing. It has in it what callers said.
const MODE: u32 = 0o600;

impl Place {
    /// Makes SQLite's file for our own user alone, whatever the umask is; what SQLite makes beside it has the same mode. One that is
    /// there keeps the mode that it has: somebody may have meant it. Where it cannot be made, SQLite says why.
    fn make(&self) {
        if let Place::Sqlite(path) = self
            && let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
        {
            let _ = file.set_permissions(Permissions::from_mode(MODE));
        }
    }

    pub(super) fn url(&self) -> String {
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

macro_rules! handoffs {
    ($which:literal) => {
        concat!(
            "SELECT call, turns, body, agent, closed_ms, token FROM handoffs WHERE ",
            $which
        )
    };
}
const ONE_HANDOFF: &str = handoffs!("id = $1");
const HANDOFFS: &str = handoffs!("(requested_ms, id) > ($1, $2) ORDER BY requested_ms, id LIMIT $3");
const HANDOFFS_OF_CALL: &str =
    handoffs!("call = $1 AND (requested_ms, id) > ($2, $3) ORDER BY requested_ms, id LIMIT $4");
const HANDOFFS_OF_AGENT: &str =
    handoffs!("agent = $1 AND (requested_ms, id) > ($2, $3) ORDER BY requested_ms, id LIMIT $4");
const HANDOFFS_OF_CALL_AND_AGENT: &str =
    handoffs!("call = $1 AND agent = $2 AND (requested_ms, id) > ($3, $4) ORDER BY requested_ms, id LIMIT $5");

const TRANSCRIPT: &str = "SELECT body FROM turns WHERE call = $1 AND number < $2 ORDER BY number";

macro_rules! deliveries {
    ($which:literal) => {
        concat!(
            "SELECT event, endpoint, kind, status, attempts, answer, queued_ms, due_ms, finished_ms FROM deliveries WHERE ",
            $which
        )
    };
}
const DELIVERIES_OF_SUBJECT: &str = deliveries!("subject = $1 ORDER BY sequence, endpoint LIMIT $2");
const ONE_DELIVERY: &str = deliveries!("event = $1 AND endpoint = $2");
const DELIVERIES: &str =
    deliveries!("(queued_ms, event, endpoint) > ($1, $2, $3) ORDER BY queued_ms, event, endpoint LIMIT $4");
const DELIVERIES_PENDING: &str = deliveries!(
    "status = 'pending' AND (queued_ms, event, endpoint) > ($1, $2, $3) ORDER BY queued_ms, event, endpoint LIMIT $4"
);
const DELIVERIES_DELIVERED: &str = deliveries!(
    "status = 'delivered' AND (queued_ms, event, endpoint) > ($1, $2, $3) ORDER BY queued_ms, event, endpoint LIMIT $4"
);
const DELIVERIES_FAILED: &str = deliveries!(
    "status = 'failed' AND (queued_ms, event, endpoint) > ($1, $2, $3) ORDER BY queued_ms, event, endpoint LIMIT $4"
);

const DUE: &str = "SELECT d.event, d.subject, d.attempts, d.queued_ms, e.body FROM deliveries d \
    JOIN events e ON e.id = d.event WHERE d.endpoint = $1 AND d.status = 'pending' AND d.is_head = 1 AND d.due_ms <= $2 \
    AND d.instance = $4 ORDER BY d.due_ms LIMIT $3";
const NEXT_DUE: &str = "SELECT due_ms FROM deliveries WHERE endpoint = $1 AND status = 'pending' AND is_head = 1 \
    AND due_ms > $2 AND instance = $3 ORDER BY due_ms LIMIT 1";
const WAITING: &str = "SELECT COUNT(*) FROM deliveries WHERE endpoint = $1 AND instance = $2 AND status = 'pending'";

const OPEN_CALLS: &str = "SELECT id, body, (SELECT COALESCE(MAX(e.sequence), 0) FROM events e WHERE e.subject = calls.id), number \
    FROM calls WHERE instance = $1 ORDER BY id";
const OPEN_HANDOFFS: &str = "SELECT id, call, agent, requested_ms, token, turns, body, \
    (SELECT COALESCE(MAX(e.sequence), 0) FROM events e WHERE e.subject = handoffs.id) FROM handoffs \
    WHERE instance = $1 AND closed_ms IS NULL ORDER BY requested_ms, id";
const INHERIT: &str = "UPDATE deliveries SET instance = $1 WHERE instance = $2 AND status = 'pending'";

const NEXT_WAITING: &str = "SELECT endpoint FROM deliveries WHERE instance = $1 AND status = 'pending' AND endpoint > $2 \
    ORDER BY endpoint LIMIT 1";
const WAITING_SINCE: &str = "SELECT event, subject, attempts FROM deliveries WHERE instance = $1 AND endpoint = $2 \
    AND status = 'pending' AND queued_ms < $3 LIMIT $4";

/// All that read much.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 20] = [
    ONE_HANDOFF,
    HANDOFFS,
    HANDOFFS_OF_CALL,
    HANDOFFS_OF_AGENT,
    HANDOFFS_OF_CALL_AND_AGENT,
    TRANSCRIPT,
    DELIVERIES_OF_SUBJECT,
    ONE_DELIVERY,
    DELIVERIES,
    DELIVERIES_PENDING,
    DELIVERIES_DELIVERED,
    DELIVERIES_FAILED,
    DUE,
    NEXT_DUE,
    WAITING,
    NEXT_WAITING,
    WAITING_SINCE,
    OPEN_CALLS,
    OPEN_HANDOFFS,
    INHERIT,
];

/// Of these, those that sort what they found.
#[cfg(test)]
pub(super) const SORTED: [&str; 2] = [OPEN_CALLS, OPEN_HANDOFFS];

/// An open database with all tables in their newest form.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(super) pool: AnyPool,
    place: Arc<Place>,
}

/// A handoff, as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) agent: String,
    /// `None`: it is open.
    pub(crate) closed_ms: Option<i64>,
    /// The digest of what opens its context.
    pub(crate) token: String,
    /// The record as users see it, but for its deliveries.
    pub(crate) body: Value,
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
        place.make();
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            // SQLite tidies up after the last one, which takes time.
            .min_connections(1)
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
        Ok(Database {
            pool,
            place: Arc::new(place.clone()),
        })
    }

    /// Another connection, beside those of the readers.
    pub(super) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        within(async {
            let mut connection = AnyConnection::connect(&self.place.url()).await?;
            if matches!(*self.place, Place::Sqlite(_)) {
                connection.execute(PRAGMAS).await?;
            }
            Ok(connection)
        })
        .await
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Writes all of it, or nothing.
    #[cfg(test)]
    pub(crate) async fn commit(&self, instance: &str, writes: &[Write]) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        super::put::put_all(&mut connection, instance, writes).await.map(|_| ())
    }

    /// One handoff.
    pub(crate) async fn handoff(&self, id: &str) -> Result<Option<Found>, sqlx::Error> {
        let query = sqlx::query(ONE_HANDOFF).bind(id).fetch_optional(&self.pool);
        match within(query).await? {
            None => Ok(None),
            Some(row) => self.found(&row).await.map(Some),
        }
    }

    /// Handoffs in the order in which they were asked for. `None` where `after` is none that we know.
    pub(crate) async fn handoffs(&self, page: &Page) -> Result<Option<Vec<Found>>, sqlx::Error> {
        let (after_ms, after) = match &page.after {
            None => (i64::MIN, ""),
            Some(after) => {
                let query = sqlx::query("SELECT requested_ms FROM handoffs WHERE id = $1").bind(after);
                match within(query.fetch_optional(&self.pool)).await? {
                    None => return Ok(None),
                    Some(row) => (row.try_get(0)?, &**after),
                }
            }
        };
        let query = match (&page.call, &page.agent) {
            (None, None) => sqlx::query(HANDOFFS),
            (Some(call), None) => sqlx::query(HANDOFFS_OF_CALL).bind(call),
            (None, Some(agent)) => sqlx::query(HANDOFFS_OF_AGENT).bind(agent),
            (Some(call), Some(agent)) => sqlx::query(HANDOFFS_OF_CALL_AND_AGENT).bind(call).bind(agent),
        };
        let query = query.bind(after_ms).bind(after).bind(i64::from(page.limit));
        let rows = within(query.fetch_all(&self.pool)).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(self.found(row).await?);
        }
        Ok(Some(found))
    }

    /// The record, put together.
    async fn found(&self, row: &AnyRow) -> Result<Found, sqlx::Error> {
        let (call, turns): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let body: String = row.try_get(2)?;
        let mut body: Value = serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))?;
        if let Some(Value::Object(context)) = body.get_mut("context") {
            let transcript = self.transcript(&call, turns).await?;
            context.insert("transcript".to_owned(), transcript.into());
        }
        Ok(Found {
            agent: row.try_get(3)?,
            closed_ms: row.try_get(4)?,
            token: row.try_get(5)?,
            body,
        })
    }

    /// The first so many turns of a call.
    pub(crate) async fn transcript(&self, call: &str, turns: i64) -> Result<Vec<Value>, sqlx::Error> {
        let query = sqlx::query(TRANSCRIPT).bind(call).bind(turns);
        let rows = within(query.fetch_all(&self.pool)).await?;
        let turn = |row: &AnyRow| {
            let body: String = row.try_get(0)?;
            serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))
        };
        rows.iter().map(turn).collect()
    }

    /// What was known of a call beside its turns.
    pub(crate) async fn context(&self, call: &str) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query("SELECT body FROM contexts WHERE call = $1").bind(call);
        let row = within(query.fetch_optional(&self.pool)).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// By how much something about a handoff reached the disk too late, milliseconds; `None` where it did not.
    pub(crate) async fn lateness(&self, id: &str) -> Result<Option<i64>, sqlx::Error> {
        let query = sqlx::query("SELECT late_ms FROM handoffs WHERE id = $1").bind(id);
        let row = within(query.fetch_optional(&self.pool)).await?;
        let late: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(late.filter(|late| *late > 0))
    }

    /// What the key stands for: what was asked for, and the handoff.
    pub(crate) async fn recall(&self, key: &str) -> Result<Option<(String, String)>, sqlx::Error> {
        let query = sqlx::query("SELECT request, handoff FROM idempotency WHERE id = $1").bind(key);
        let row = within(query.fetch_optional(&self.pool)).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// What became of the events about a subject, the oldest first.
    pub(crate) async fn deliveries(&self, subject: &str, limit: u32) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let query = sqlx::query(DELIVERIES_OF_SUBJECT).bind(subject).bind(i64::from(limit));
        let rows = within(query.fetch_all(&self.pool)).await?;
        rows.iter().map(delivery).collect()
    }

    /// One of them.
    pub(crate) async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRow>, sqlx::Error> {
        let query = sqlx::query(ONE_DELIVERY).bind(&id.event).bind(&id.endpoint);
        let row = within(query.fetch_optional(&self.pool)).await?;
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
        let query = sqlx::query(match status {
            None => DELIVERIES,
            Some(DeliveryStatus::Pending) => DELIVERIES_PENDING,
            Some(DeliveryStatus::Delivered) => DELIVERIES_DELIVERED,
            Some(DeliveryStatus::Failed) => DELIVERIES_FAILED,
        });
        let query = query.bind(after_ms).bind(after_event).bind(after_endpoint);
        let rows = within(query.bind(i64::from(limit)).fetch_all(&self.pool)).await?;
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
        let query = sqlx::query(DUE).bind(endpoint).bind(now_ms).bind(i64::from(limit));
        let rows = within(query.bind(instance).fetch_all(&self.pool)).await?;
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
        let query = sqlx::query(WAITING).bind(endpoint).bind(instance);
        let row = within(query.fetch_one(&self.pool)).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs)
    }

    /// Some of what has waited since before a time for an endpoint that is none of these, as an attempt that is to be the last one.
    pub(super) async fn orphans(
        &self,
        instance: &str,
        known: &[String],
        before_ms: i64,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, sqlx::Error> {
        let mut endpoint = String::new();
        loop {
            let next = sqlx::query(NEXT_WAITING).bind(instance).bind(&endpoint);
            match within(next.fetch_optional(&self.pool)).await? {
                Some(row) => endpoint = row.try_get(0)?,
                None => return Ok(Vec::new()),
            }
            if known.contains(&endpoint) {
                continue;
            }
            let query = sqlx::query(WAITING_SINCE).bind(instance).bind(&endpoint);
            let query = query.bind(before_ms).bind(i64::from(limit));
            let rows = within(query.fetch_all(&self.pool)).await?;
            let orphan = |row: &AnyRow| {
                Ok(AttemptRow {
                    event: row.try_get(0)?,
                    subject: row.try_get(1)?,
                    endpoint: endpoint.clone(),
                    status: DeliveryStatus::Failed,
                    attempts: number(row, 2)?,
                    answer: "no entry of [[webhooks]] has this name any more".to_owned(),
                    due_ms: before_ms,
                    at_ms: before_ms,
                })
            };
            if !rows.is_empty() {
                return rows.iter().map(orphan).collect();
            }
        }
    }

    /// When the next one is due that is not due yet.
    pub(crate) async fn next_due(
        &self,
        instance: &str,
        endpoint: &str,
        now_ms: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        let query = sqlx::query(NEXT_DUE).bind(endpoint).bind(now_ms).bind(instance);
        let row = within(query.fetch_optional(&self.pool)).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Notes a run of a server, which has its lock already.
    pub(crate) async fn enter(&self, instance: &str, node: &str, sip: &str, now_ms: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("INSERT INTO instances (id, node, sip, started_ms) VALUES ($1, $2, $3, $4)");
        let query = query.bind(instance).bind(node).bind(sip).bind(now_ms);
        within(query.execute(&self.pool)).await.map(|_| ())
    }

    /// All runs that are noted but this one, and where their SIP is.
    pub(crate) async fn others(&self, instance: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
        let query = sqlx::query("SELECT id, sip FROM instances WHERE id <> $1 ORDER BY started_ms");
        let rows = within(query.bind(instance).fetch_all(&self.pool)).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// What a run has open, each with the number of the last event about it. A record may be older than its events.
    pub(crate) async fn open_of(&self, instance: &str) -> Result<Open, sqlx::Error> {
        let calls = sqlx::query(OPEN_CALLS).bind(instance);
        let calls = within(calls.fetch_all(&self.pool)).await?;
        let handoffs = sqlx::query(OPEN_HANDOFFS).bind(instance);
        let handoffs = within(handoffs.fetch_all(&self.pool)).await?;
        let call = |row: &AnyRow| {
            let call = CallRow {
                id: row.try_get(0)?,
                body: row.try_get(1)?,
                number: row.try_get(3)?,
            };
            Ok((call, row.try_get(2)?))
        };
        let handoff = |row: &AnyRow| {
            let handoff = HandoffRow {
                id: row.try_get(0)?,
                call: row.try_get(1)?,
                agent: row.try_get(2)?,
                requested_ms: row.try_get(3)?,
                closed_ms: None,
                token: row.try_get(4)?,
                turns: row.try_get(5)?,
                body: row.try_get(6)?,
                key: None,
                queued: None,
            };
            Ok((handoff, row.try_get(7)?))
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
        let query = sqlx::query(INHERIT);
        query.bind(instance).bind(dead).execute(&mut *transaction).await?;
        release(&mut transaction, dead).await?;
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

/// Who asks is not held up for ever.
pub(super) async fn within<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(ACQUIRE, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
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
