//! The statements that write.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::DeliveryStatus;
use super::prune::{Pruned, prune};
use super::write::{AttemptRow, DeliveryId, EventRow, HandoffRow, TurnsRow, Write};

/// A record that waited longer for the disk says so.
const LATE: Duration = Duration::from_secs(1);

/// Turns that one statement writes.
const TURNS: usize = 20;

/// For one turn, for two, and so on: each is prepared once.
static INSERT_TURNS: LazyLock<[Arc<str>; TURNS]> = LazyLock::new(|| {
    std::array::from_fn(|more| {
        let row = |row: usize| {
            let first = 4 * row + 1;
            format!("(${first}, ${}, ${}, ${})", first + 1, first + 2, first + 3)
        };
        let rows: Vec<_> = (0..=more).map(row).collect();
        let rows = rows.join(", ");
        format!("INSERT INTO turns (call, number, at_ms, body) VALUES {rows} ON CONFLICT (call, number) DO NOTHING")
            .into()
    })
});

/// All of it in one transaction, or nothing.
pub(super) async fn put_all(
    connection: &mut AnyConnection,
    instance: &str,
    writes: &[Write],
) -> Result<Pruned, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut pruned = Pruned::default();
    for write in writes {
        match write {
            Write::Turns(_) => {}
            Write::Prune(what) => pruned.add(prune(&mut transaction, what).await?),
            write => put(&mut transaction, instance, write).await?,
        }
    }
    // There are many and they are small: together they take a tenth of the time.
    let turns = writes.iter().filter_map(|write| match write {
        Write::Turns(turns) => Some(turns),
        _ => None,
    });
    put_turns(&mut transaction, turns).await?;
    transaction.commit().await?;
    Ok(pruned)
}

pub(super) async fn put(connection: &mut AnyConnection, instance: &str, write: &Write) -> Result<(), sqlx::Error> {
    let query = match write {
        Write::Call(call) => sqlx::query(
            "INSERT INTO calls (id, instance, body, number) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET body = excluded.body, number = excluded.number",
        )
        .bind(&call.id)
        .bind(instance)
        .bind(&call.body)
        .bind(&call.number),
        Write::CallOver(id) => sqlx::query("DELETE FROM calls WHERE id = $1").bind(id),
        Write::Turns(turns) => return put_turns(connection, std::iter::once(turns)).await,
        Write::Context(context) => sqlx::query(
            "INSERT INTO contexts (call, at_ms, body) VALUES ($1, $2, $3) \
             ON CONFLICT (call) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body",
        )
        .bind(&context.call)
        .bind(context.at_ms)
        .bind(&context.body),
        Write::Handoff(handoff) => return put_handoff(connection, instance, handoff).await,
        Write::Prune(what) => return prune(connection, what).await.map(|_| ()),
        Write::Feedback { handoff, body } => sqlx::query("UPDATE handoffs SET feedback = $2 WHERE id = $1")
            .bind(handoff)
            .bind(body),
        Write::Event(event) => return put_event(connection, instance, event).await,
        Write::Attempt(attempt) => return put_attempt(connection, attempt).await,
        Write::Replay { id, at_ms } => return put_replay(connection, instance, id, *at_ms).await,
        Write::Nothing => return Ok(()),
        #[cfg(test)]
        Write::Impossible => sqlx::query("INSERT INTO instances (id) VALUES (NULL)"),
    };
    query.execute(connection).await.map(|_| ())
}

async fn put_handoff(connection: &mut AnyConnection, instance: &str, handoff: &HandoffRow) -> Result<(), sqlx::Error> {
    let waited = handoff.queued.map_or(Duration::ZERO, |queued| queued.elapsed());
    let late = if waited < LATE { Duration::ZERO } else { waited };
    // What is closed stays closed: somebody who thought us dead may have closed it.
    let query = sqlx::query(
        "INSERT INTO handoffs (id, call, agent, instance, requested_ms, closed_ms, token, turns, late_ms, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET closed_ms = excluded.closed_ms, \
         token = excluded.token, turns = excluded.turns, body = excluded.body, \
         late_ms = CASE WHEN excluded.late_ms > handoffs.late_ms THEN excluded.late_ms ELSE handoffs.late_ms END \
         WHERE handoffs.closed_ms IS NULL OR handoffs.instance = $4",
    );
    query
        .bind(&handoff.id)
        .bind(&handoff.call)
        .bind(&handoff.agent)
        .bind(instance)
        .bind(handoff.requested_ms)
        .bind(handoff.closed_ms)
        .bind(&handoff.token)
        .bind(handoff.turns)
        .bind(i64::try_from(late.as_millis()).unwrap_or(i64::MAX))
        .bind(&handoff.body)
        .execute(&mut *connection)
        .await?;
    let Some(key) = &handoff.key else { return Ok(()) };
    let query = sqlx::query(
        "INSERT INTO idempotency (id, request, handoff, at_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
    );
    let query = query.bind(&key.id).bind(&key.request);
    let query = query.bind(&handoff.id).bind(handoff.requested_ms);
    query.execute(connection).await.map(|_| ())
}

async fn put_turns<'a>(
    connection: &mut AnyConnection,
    turns: impl Iterator<Item = &'a TurnsRow>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = turns
        .flat_map(|turns| {
            (turns.first..)
                .zip(&turns.bodies)
                .map(move |(number, body)| (turns, number, body))
        })
        .collect();
    for rows in rows.chunks(TURNS) {
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&INSERT_TURNS[rows.len() - 1])));
        for (turns, number, body) in rows {
            query = query
                .bind(&turns.call)
                .bind(number)
                .bind(turns.at_ms)
                .bind(body.as_str());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn put_event(
    connection: &mut AnyConnection,
    instance: &str,
    event: &EventRow,
) -> Result<(), sqlx::Error> {
    // Its row is ours until the commit: places become visible in their order, whoever else writes.
    sqlx::query("UPDATE event_places SET last = last + 1")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO events (id, subject, sequence, kind, at_ms, body, agent, place) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT last FROM event_places)) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&event.id)
    .bind(&event.subject)
    .bind(event.sequence)
    .bind(event.kind)
    .bind(event.at_ms)
    .bind(&*event.body)
    .bind(&event.agent)
    .execute(&mut *connection)
    .await?;
    for endpoint in &event.endpoints {
        sqlx::query(
            "INSERT INTO deliveries (event, endpoint, instance, subject, sequence, kind, status, is_head, attempts, \
             queued_ms, due_ms) VALUES ($1, $2, $3, $4, $5, $6, 'pending', CASE WHEN EXISTS (SELECT 1 FROM deliveries \
             WHERE endpoint = $2 AND subject = $4 AND status = 'pending') THEN 0 ELSE 1 END, 0, $7, $7) \
             ON CONFLICT (event, endpoint) DO NOTHING",
        )
        .bind(&event.id)
        .bind(endpoint)
        .bind(instance)
        .bind(&event.subject)
        .bind(event.sequence)
        .bind(event.kind)
        .bind(event.at_ms)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What came of an attempt; and where that was the end of it, the next one of its subject has its turn.
async fn put_attempt(connection: &mut AnyConnection, attempt: &AttemptRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deliveries SET status = $3, attempts = $4, answer = $5, due_ms = $6, \
         finished_ms = CASE WHEN $3 = 'pending' THEN NULL ELSE $7 END WHERE event = $1 AND endpoint = $2",
    )
    .bind(&attempt.event)
    .bind(&attempt.endpoint)
    .bind(attempt.status.name())
    .bind(i64::from(attempt.attempts))
    .bind(&attempt.answer)
    .bind(attempt.due_ms)
    .bind(attempt.at_ms)
    .execute(&mut *connection)
    .await?;
    match attempt.status {
        DeliveryStatus::Pending => Ok(()),
        DeliveryStatus::Delivered | DeliveryStatus::Failed => {
            put_head(connection, &attempt.endpoint, &attempt.subject).await
        }
    }
}

/// The first one that waits has its turn, and no other.
async fn put_head(connection: &mut AnyConnection, endpoint: &str, subject: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "UPDATE deliveries SET is_head = CASE WHEN sequence = (SELECT MIN(sequence) FROM deliveries WHERE endpoint = $1 \
         AND subject = $2 AND status = 'pending') THEN 1 ELSE 0 END WHERE endpoint = $1 AND subject = $2 AND status = 'pending'",
    );
    query.bind(endpoint).bind(subject).execute(connection).await.map(|_| ())
}

/// One that was given up, or delivered, waits once more: as new, and for us to tell.
async fn put_replay(
    connection: &mut AnyConnection,
    instance: &str,
    id: &DeliveryId,
    at_ms: i64,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "UPDATE deliveries SET status = 'pending', instance = $3, attempts = 0, answer = NULL, queued_ms = $4, due_ms = $4, \
         finished_ms = NULL WHERE event = $1 AND endpoint = $2 AND status <> 'pending' RETURNING subject",
    );
    let row = row.bind(&id.event).bind(&id.endpoint).bind(instance).bind(at_ms);
    match row.fetch_optional(&mut *connection).await? {
        None => Ok(()),
        Some(row) => {
            let subject: String = row.try_get(0)?;
            put_head(connection, &id.endpoint, &subject).await
        }
    }
}
