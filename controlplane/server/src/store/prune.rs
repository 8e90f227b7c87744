//! What was kept long enough goes, a little at a time: no write waits long for it.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyConnection, Row as _};

use super::Store;
use super::write::{Prune, Write};
use crate::event::Teller;

/// How often it is looked for what to prune, and the pause between two steps where there is more.
const PRUNE: Duration = Duration::from_secs(60);
const BREATH: Duration = Duration::from_millis(20);

/// How long an `Idempotency-Key` stands for its handoff.
const KEYS: Duration = Duration::from_secs(24 * 3600);

/// How long an event waits for a webhook that is not in the configuration any more: it may come back.
const ORPHANS: Duration = Duration::from_secs(24 * 3600);

/// Rows of each kind that one step takes away: some milliseconds.
const STEP: u32 = 64;

/// Rows that went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub(crate) handoffs: u64,
    pub(crate) turns: u64,
    pub(crate) contexts: u64,
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) keys: u64,
    pub(crate) callbacks: u64,
}

impl Pruned {
    /// Each kind with its name.
    pub(crate) fn kinds(&self) -> [(&'static str, u64); 7] {
        [
            ("handoffs", self.handoffs),
            ("turns", self.turns),
            ("contexts", self.contexts),
            ("events", self.events),
            ("deliveries", self.deliveries),
            ("keys", self.keys),
            ("callbacks", self.callbacks),
        ]
    }

    pub(super) fn add(&mut self, more: Pruned) {
        self.handoffs += more.handoffs;
        self.turns += more.turns;
        self.contexts += more.contexts;
        self.events += more.events;
        self.deliveries += more.deliveries;
        self.keys += more.keys;
        self.callbacks += more.callbacks;
    }
}

/// Prunes as long as the server runs.
pub(crate) async fn repeat(store: Store, teller: Teller, keep: Duration) {
    loop {
        let known: Vec<_> = teller
            .endpoints()
            .iter()
            .map(|endpoint| endpoint.name.clone())
            .collect();
        while give_up(&store, Timestamp::now().as_millisecond(), &known, STEP).await {
            tokio::time::sleep(BREATH).await;
        }
        while step(&store, Timestamp::now().as_millisecond(), keep, STEP).await {
            tokio::time::sleep(BREATH).await;
        }
        tokio::time::sleep(PRUNE).await;
    }
}

/// Gives up some of what has waited too long for endpoints that are none of these; whether there may be more.
pub(super) async fn give_up(store: &Store, now_ms: i64, known: &[String], most: u32) -> bool {
    let before = now_ms.saturating_sub_unsigned(crate::ids::ms(ORPHANS));
    let orphans = match store.read().orphans(store.instance(), known, before, most).await {
        Ok(orphans) => orphans,
        // The next look finds them.
        Err(error) => {
            tracing::debug!(%error, "the outbox cannot be read");
            return false;
        }
    };
    let Some(first) = orphans.first() else { return false };
    tracing::warn!(
        webhook = first.endpoint,
        count = orphans.len(),
        "dead letters of a webhook that is not in the configuration any more"
    );
    for mut orphan in orphans {
        (orphan.at_ms, orphan.due_ms) = (now_ms, now_ms);
        store.write(Write::Attempt(orphan));
    }
    store.settled(store.ticket()).await;
    true
}

/// One step; whether something went, so that there may be more.
pub(super) async fn step(store: &Store, now_ms: i64, keep: Duration, most: u32) -> bool {
    let before = store.condition().pruned;
    let since = |kept: Duration| now_ms.saturating_sub_unsigned(crate::ids::ms(kept));
    store.write(Write::Prune(Prune {
        before_ms: since(keep),
        keys_before_ms: since(KEYS),
        most,
    }));
    store.settled(store.ticket()).await;
    store.condition().pruned != before
}

/// What is pending, open or alive stays, with all that belongs to it; a call's turns stay as long as a handoff of it.
pub(super) async fn prune(connection: &mut AnyConnection, what: &Prune) -> Result<Pruned, sqlx::Error> {
    let mut pruned = Pruned::default();
    // A handoff goes with its events and what became of them, once all of that is old.
    for id in ids(connection, CLOSED_HANDOFFS, what).await? {
        pruned.deliveries += run(connection, "DELETE FROM deliveries WHERE subject = $1", &id).await?;
        pruned.events += run(connection, "DELETE FROM events WHERE subject = $1", &id).await?;
        pruned.handoffs += run(connection, "DELETE FROM handoffs WHERE id = $1", &id).await?;
    }
    // Those about calls, which have no record.
    for id in ids(connection, EVENTS_OF_CALLS, what).await? {
        pruned.deliveries += run(connection, "DELETE FROM deliveries WHERE event = $1", &id).await?;
        pruned.events += run(connection, "DELETE FROM events WHERE id = $1", &id).await?;
    }
    pruned.turns = old(connection, OLD_TURNS, what.before_ms, what.most).await?;
    pruned.contexts = old(connection, OLD_CONTEXTS, what.before_ms, what.most).await?;
    pruned.callbacks = old(connection, OLD_CALLBACKS, what.before_ms, what.most).await?;
    pruned.keys = old(connection, OLD_KEYS, what.keys_before_ms, what.most).await?;
    Ok(pruned)
}

const CLOSED_HANDOFFS: &str = "SELECT h.id FROM handoffs h WHERE h.closed_ms IS NOT NULL AND h.closed_ms < $1 \
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.subject = h.id AND (d.status = 'pending' OR d.finished_ms >= $1)) \
    ORDER BY h.closed_ms LIMIT $2";

/// Of a live call all stay: the number of its next event comes after that of the last one that is known.
const EVENTS_OF_CALLS: &str = "SELECT e.id FROM events e WHERE e.at_ms < $1 \
    AND NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.id = e.subject) \
    AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = e.subject) \
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.id AND (d.status = 'pending' OR d.finished_ms >= $1)) \
    ORDER BY e.at_ms LIMIT $2";

const OLD_TURNS: &str = "DELETE FROM turns WHERE (call, number) IN (SELECT t.call, t.number FROM turns t \
    WHERE t.at_ms < $1 AND NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.call = t.call) \
    AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = t.call) ORDER BY t.at_ms LIMIT $2)";

const OLD_CONTEXTS: &str = "DELETE FROM contexts WHERE call IN (SELECT x.call FROM contexts x \
    WHERE x.at_ms < $1 AND NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.call = x.call) \
    AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = x.call) ORDER BY x.at_ms LIMIT $2)";

const OLD_KEYS: &str =
    "DELETE FROM idempotency WHERE id IN (SELECT id FROM idempotency WHERE at_ms < $1 ORDER BY at_ms LIMIT $2)";

const OLD_CALLBACKS: &str = "DELETE FROM callbacks WHERE id IN (SELECT id FROM callbacks WHERE closed_ms IS NOT NULL \
    AND closed_ms < $1 ORDER BY closed_ms LIMIT $2)";

/// All that look for what is old.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 6] = [
    CLOSED_HANDOFFS,
    EVENTS_OF_CALLS,
    OLD_TURNS,
    OLD_CONTEXTS,
    OLD_KEYS,
    OLD_CALLBACKS,
];

async fn ids(
    connection: &mut AnyConnection,
    statement: &'static str,
    what: &Prune,
) -> Result<Vec<String>, sqlx::Error> {
    let query = sqlx::query(statement).bind(what.before_ms).bind(i64::from(what.most));
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn run(connection: &mut AnyConnection, statement: &'static str, id: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(statement).bind(id).execute(connection).await?;
    Ok(done.rows_affected())
}

async fn old(
    connection: &mut AnyConnection,
    statement: &'static str,
    before_ms: i64,
    most: u32,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(statement).bind(before_ms).bind(i64::from(most));
    Ok(query.execute(connection).await?.rows_affected())
}
