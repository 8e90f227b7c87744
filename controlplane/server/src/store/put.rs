//! The statements that write.

use sqlx::{AnyConnection, Row as _};

use super::DeliveryStatus;
use super::write::{AttemptRow, DeliveryId, EventRow, Write};

pub(super) async fn put(connection: &mut AnyConnection, instance: &str, write: &Write) -> Result<(), sqlx::Error> {
    let query = match write {
        Write::Call(call) => sqlx::query(
            "INSERT INTO calls (id, instance, body) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        )
        .bind(&call.id)
        .bind(instance)
        .bind(&call.body),
        Write::CallOver(id) => sqlx::query("DELETE FROM calls WHERE id = $1").bind(id),
        Write::Handoff(handoff) => sqlx::query(
            // What is closed stays closed: somebody who thought us dead may have closed it.
            "INSERT INTO handoffs (id, call, agent, instance, requested_ms, is_open, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, \
             body = excluded.body WHERE handoffs.is_open = 1 OR handoffs.instance = $4",
        )
        .bind(&handoff.id)
        .bind(&handoff.call)
        .bind(&handoff.agent)
        .bind(instance)
        .bind(handoff.requested_ms)
        .bind(i64::from(handoff.open))
        .bind(&handoff.body),
        Write::Event(event) => return put_event(connection, instance, event).await,
        Write::Attempt(attempt) => return put_attempt(connection, attempt).await,
        Write::Replay { id, at_ms } => return put_replay(connection, instance, id, *at_ms).await,
        Write::Nothing => return Ok(()),
        #[cfg(test)]
        Write::Impossible => sqlx::query("INSERT INTO instances (id) VALUES (NULL)"),
    };
    query.execute(connection).await.map(|_| ())
}

async fn put_event(connection: &mut AnyConnection, instance: &str, event: &EventRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO events (id, subject, sequence, kind, at_ms, body) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(&event.id)
    .bind(&event.subject)
    .bind(event.sequence)
    .bind(event.kind)
    .bind(event.at_ms)
    .bind(&*event.body)
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
