//! Callers who were promised to be called back. Who promises waits for the disk: nothing of it goes by way of the queue.
//!
//! Slots are taken in a transaction that locks a row first, so that several servers on one store never promise one twice; and an attempt
//! to call belongs to the one server whose `UPDATE` found the callback waiting.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use tokio::time::sleep;

use super::database::{may_pass, within};
use super::put::put_event;
use super::{Database, EventRow};
use crate::ids;

/// The pause between two attempts at a transaction.
const AGAIN: Duration = Duration::from_millis(50);

/// Where a callback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackState {
    /// It waits for its time, or for the next attempt.
    Scheduled,
    /// The caller is being called, or waits for a human.
    Calling,
    /// A human had the caller.
    Done,
    /// It was given up.
    Missed,
    /// Nobody wants it any more.
    Cancelled,
}

impl CallbackState {
    pub(crate) const NAMES: [&str; 5] = [
        CallbackState::Scheduled.name(),
        CallbackState::Calling.name(),
        CallbackState::Done.name(),
        CallbackState::Missed.name(),
        CallbackState::Cancelled.name(),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            CallbackState::Scheduled => "scheduled",
            CallbackState::Calling => "calling",
            CallbackState::Done => "done",
            CallbackState::Missed => "missed",
            CallbackState::Cancelled => "cancelled",
        }
    }
}

/// A callback as it is kept. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallbackRow {
    pub(crate) id: String,
    pub(crate) call: String,
    /// Empty: none.
    pub(crate) handoff: String,
    pub(crate) agent: String,
    pub(crate) trunk: String,
    pub(crate) caller: String,
    pub(crate) number: String,
    /// Empty: none.
    pub(crate) machine: String,
    /// Who was wished for; empty: nobody.
    pub(crate) target: String,
    /// Who is to have the caller, in order; none, in a promise of an older version: whoever the playbook names.
    pub(crate) humans: Vec<String>,
    pub(crate) reason: String,
    /// JSON.
    pub(crate) context: String,
    pub(crate) zone: String,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
    /// One of [`CallbackState::NAMES`].
    pub(crate) state: String,
    pub(crate) confirmed_ms: Option<i64>,
    pub(crate) attempts: i64,
    pub(crate) due_ms: i64,
    /// Attempts, a list.
    pub(crate) calls: Value,
    pub(crate) cause: Option<String>,
    pub(crate) late_ms: i64,
    pub(crate) booked_ms: i64,
    pub(crate) closed_ms: Option<i64>,
}

/// Whether several callers may share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    No,
    /// As behind a switchboard: who calls from it need not be who called before.
    Yes,
}

impl Shared {
    fn bound(self) -> i64 {
        i64::from(self == Shared::Yes)
    }
}

/// A slot that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Of whom; none: of anybody.
    pub(crate) humans: Vec<String>,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// Those who promised are the same, and those who are to have the callers: all of them can be called now, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) machine: String,
    target: String,
    pub(crate) humans: Vec<String>,
    /// Their digest.
    team: String,
}

/// What became of one that waited, or of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    pub(crate) state: CallbackState,
    pub(crate) attempts: i64,
    pub(crate) due_ms: i64,
    pub(crate) calls: Value,
    pub(crate) cause: Option<&'static str>,
    pub(crate) closed_ms: Option<i64>,
    /// Written with it: who is to be told.
    pub(crate) event: Option<EventRow>,
}

impl Attempted {
    /// Whether it is so.
    fn is_so(&self, row: &CallbackRow) -> bool {
        let told = (self.state.name(), self.attempts, self.due_ms, self.closed_ms);
        told == (&*row.state, row.attempts, row.due_ms, row.closed_ms) && self.calls == row.calls
    }
}

/// What a reader asks for: those that were promised first come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallbackPage {
    pub(crate) after: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) limit: u32,
}

macro_rules! callbacks {
    ($which:literal) => {
        callbacks!("context", $which)
    };
    ($context:literal, $which:expr) => {
        concat!(
            "SELECT id, call, handoff, agent, trunk, caller, number, machine, target, reason, ",
            $context,
            ", zone, from_ms, until_ms, \
             state, confirmed_ms, attempts, due_ms, calls, cause, late_ms, booked_ms, closed_ms, humans FROM callbacks WHERE ",
            $which
        )
    };
}

const ONE: &str = callbacks!("id = $1");
const PAGE: &str = callbacks!(
    "CAST('' AS TEXT)",
    "(booked_ms, id) > ($1, $2) AND ($3 = '' OR state = $3) AND ($4 = '' OR agent = $4) ORDER BY booked_ms, id LIMIT $5"
);
/// Live calls, but for those of a server that is no more: nobody would ever say that they are over.
macro_rules! live {
    ($which:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM calls c JOIN instances i ON i.id = c.instance WHERE ",
            $which,
            ")"
        )
    };
}

/// Who is on the phone with us, or is being called already, is not called; where several share a number it may be somebody else.
macro_rules! on_the_phone {
    ($shared:literal) => {
        concat!(
            "(",
            live!("c.id = callbacks.call"),
            " OR ",
            $shared,
            " = 0 AND (",
            live!("c.number = callbacks.number AND c.number <> ''"),
            " OR EXISTS (SELECT 1 FROM callbacks o WHERE o.number = callbacks.number AND o.closed_ms IS NULL AND o.state = 'calling')))"
        )
    };
}

const KINDS: &str = "SELECT machine, target, team, MIN(humans) FROM callbacks WHERE state = 'scheduled' AND due_ms <= $1 \
    GROUP BY machine, target, team";
/// They are looked at each second: without their contexts.
const DUE: &str = callbacks!(
    "CAST('' AS TEXT)",
    concat!(
        "state = 'scheduled' AND machine = $1 AND target = $2 AND team = $3 AND due_ms <= $4 AND NOT ",
        on_the_phone!("$6"),
        " ORDER BY until_ms LIMIT $5"
    )
);
const OF_NUMBER: &str = callbacks!(
    "CAST('' AS TEXT)",
    "number = $1 AND closed_ms IS NULL AND state = 'scheduled'"
);
/// What was over before its time has left its room.
const TAKEN: &str = "SELECT target, humans, from_ms, until_ms FROM callbacks WHERE until_ms > $1 AND state <> 'cancelled' AND id <> $2 \
    AND (closed_ms IS NULL OR closed_ms >= from_ms)";
const OPEN: &str = "SELECT COUNT(*) FROM callbacks WHERE closed_ms IS NULL";

const LOCK: &str = "UPDATE callback_slots SET taken = taken + 1";
const AGAIN_FOR: &str = "UPDATE callbacks SET call = $2, handoff = $3, agent = $4, trunk = $5, caller = $6, machine = $7, target = $8, \
    humans = $9, team = $10, reason = $11, context = $12, attempts = 0 WHERE id = $1 AND state = 'scheduled'";
const INSERT: &str = "INSERT INTO callbacks (id, call, handoff, agent, trunk, caller, number, machine, target, humans, team, reason, context, \
    zone, from_ms, until_ms, state, attempts, due_ms, instance, calls, late_ms, booked_ms) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'scheduled', 0, $15, '', '[]', 0, $17)";
const MOVE: &str =
    "UPDATE callbacks SET from_ms = $2, until_ms = $3, due_ms = $2 WHERE id = $1 AND state = 'scheduled'";
const CONFIRM: &str =
    "UPDATE callbacks SET confirmed_ms = COALESCE(confirmed_ms, $2) WHERE id = $1 AND state <> 'cancelled'";
const CANCEL: &str = "UPDATE callbacks SET state = 'cancelled', closed_ms = $2 WHERE id = $1 AND state = 'scheduled'";
const CLAIM: &str = concat!(
    "UPDATE callbacks SET state = 'calling', instance = $2, attempts = attempts + 1, \
     late_ms = CASE WHEN attempts = 0 AND until_ms < $3 THEN $3 - until_ms ELSE late_ms END \
     WHERE id = $1 AND state = 'scheduled' AND due_ms <= $3 AND NOT ",
    on_the_phone!("$4")
);
const CALLED: &str = "UPDATE callbacks SET calls = $3 WHERE id = $1 AND state = 'calling' AND instance = $2";
const ATTEMPTED: &str = "UPDATE callbacks SET state = $3, due_ms = $4, calls = $5, cause = $6, closed_ms = $7, attempts = $8, instance = '' \
    WHERE id = $1 AND state = $9 AND instance = $2 AND call = $10";
const HELD: &str = callbacks!("CAST('' AS TEXT)", "state = 'calling' AND instance = $1");
const RELEASE: &str =
    "UPDATE callbacks SET state = 'scheduled', instance = '' WHERE instance = $1 AND state = 'calling'";

/// All that read much.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 13] = [
    ONE, PAGE, KINDS, DUE, OF_NUMBER, TAKEN, OPEN, AGAIN_FOR, MOVE, CLAIM, ATTEMPTED, HELD, RELEASE,
];

impl Database {
    /// Promises a callback. `choose` is told which slots are committed, and takes one that is free; `None`: there is none. Who has one
    /// already of the same number and for the same humans has that one again, with what is known of the new call. On the disk when this
    /// returns; the database may be busy for `most`.
    pub(crate) async fn book_callback(
        &self,
        new: &CallbackRow,
        shared: Shared,
        most: Duration,
        choose: impl Fn(&[Taken]) -> Option<(i64, i64)> + Sync,
    ) -> Result<Option<CallbackRow>, sqlx::Error> {
        let attempt = || async {
            let mut transaction = self.pool.begin().await?;
            let connection = &mut *transaction;
            sqlx::query(LOCK).execute(&mut *connection).await?;
            let open = of_number(connection, &new.number).await?;
            let mut open = open.into_iter();
            let open = open.find(|open| open.until_ms > new.booked_ms && open.is_for_the_same(new, shared));
            let again = match open {
                Some(open) if renew(connection, &open.id, new).await? => Some(open),
                // Or it is being called since a moment ago.
                Some(_) | None => None,
            };
            let row = match again {
                Some(open) => CallbackRow {
                    id: open.id,
                    zone: open.zone,
                    from_ms: open.from_ms,
                    until_ms: open.until_ms,
                    ..new.clone()
                },
                None => {
                    let taken = taken(connection, new.booked_ms, "").await?;
                    let Some((from_ms, until_ms)) = choose(&taken) else {
                        return Ok(None);
                    };
                    let row = CallbackRow {
                        from_ms,
                        until_ms,
                        ..new.clone()
                    };
                    insert(connection, &row).await?;
                    row
                }
            };
            transaction.commit().await?;
            Ok(Some(row))
        };
        self.patient(most, attempt).await
    }

    /// Moves one that waits to another slot. `choose` is told where it is, and which other slots are committed. `None`: all is as it was,
    /// as there is no other, or nothing that waits has this id.
    pub(crate) async fn move_callback(
        &self,
        id: &str,
        now_ms: i64,
        most: Duration,
        choose: impl Fn(&CallbackRow, &[Taken]) -> Option<(i64, i64)> + Sync,
    ) -> Result<Option<CallbackRow>, sqlx::Error> {
        let attempt = || async {
            let mut transaction = self.pool.begin().await?;
            let connection = &mut *transaction;
            sqlx::query(LOCK).execute(&mut *connection).await?;
            let found = sqlx::query(ONE).bind(id).fetch_optional(&mut *connection).await?;
            let Some(row) = found.as_ref().map(callback).transpose()? else {
                return Ok(None);
            };
            let taken = taken(connection, now_ms, id).await?;
            let Some((from_ms, until_ms)) = choose(&row, &taken) else {
                return Ok(None);
            };
            let moved = sqlx::query(MOVE).bind(id).bind(from_ms).bind(until_ms);
            if moved.execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(None);
            }
            transaction.commit().await?;
            Ok(Some(CallbackRow {
                from_ms,
                until_ms,
                due_ms: from_ms,
                ..row
            }))
        };
        self.patient(most, attempt).await
    }

    /// Its caller has said yes, which may become known when it is being called already; whether anybody wants it.
    pub(crate) async fn confirm_callback(&self, id: &str, now_ms: i64, most: Duration) -> Result<bool, sqlx::Error> {
        let confirm = || sqlx::query(CONFIRM).bind(id).bind(now_ms);
        Ok(self.insist(most, confirm).await? > 0)
    }

    /// Nobody wants it any more; whether it waited. `event`: who is to be told, by this server.
    pub(crate) async fn cancel_callback(
        &self,
        id: &str,
        now_ms: i64,
        most: Duration,
        event: Option<(&EventRow, &str)>,
    ) -> Result<bool, sqlx::Error> {
        let attempt = || async {
            let mut transaction = self.pool.begin().await?;
            let connection = &mut *transaction;
            let cancel = sqlx::query(CANCEL).bind(id).bind(now_ms);
            let waited = cancel.execute(&mut *connection).await?.rows_affected() > 0;
            if let Some((event, instance)) = event.filter(|_| waited) {
                put_event(connection, instance, event).await?;
            }
            if !waited {
                // Or it is ours already: a commit whose answer was lost.
                let found = sqlx::query(ONE).bind(id).fetch_optional(&mut *connection).await?;
                let row = found.as_ref().map(callback).transpose()?;
                let ours =
                    |row: CallbackRow| row.state == CallbackState::Cancelled.name() && row.closed_ms == Some(now_ms);
                return Ok(row.is_some_and(ours));
            }
            transaction.commit().await?;
            Ok(true)
        };
        self.patient(most, attempt).await
    }

    /// One of them.
    pub(crate) async fn callback(&self, id: &str) -> Result<Option<CallbackRow>, sqlx::Error> {
        let row = within(sqlx::query(ONE).bind(id).fetch_optional(&self.pool)).await?;
        row.as_ref().map(callback).transpose()
    }

    /// A page of them, each without its context. `None` where `after` is none that we know.
    pub(crate) async fn callbacks(&self, page: &CallbackPage) -> Result<Option<Vec<CallbackRow>>, sqlx::Error> {
        let (after_ms, after) = match &page.after {
            None => (i64::MIN, ""),
            Some(after) => match self.callback(after).await? {
                None => return Ok(None),
                Some(row) => (row.booked_ms, &**after),
            },
        };
        let query = sqlx::query(PAGE).bind(after_ms).bind(after);
        let query = query.bind(page.state.as_deref().unwrap_or_default());
        let query = query.bind(page.agent.as_deref().unwrap_or_default());
        let rows = within(query.bind(i64::from(page.limit)).fetch_all(&self.pool)).await?;
        rows.iter().map(callback).collect::<Result<_, _>>().map(Some)
    }

    /// Of which kinds there are some whose time has come.
    pub(crate) async fn callback_kinds(&self, now_ms: i64) -> Result<Vec<Kind>, sqlx::Error> {
        let rows = within(sqlx::query(KINDS).bind(now_ms).fetch_all(&self.pool)).await?;
        let kind = |row: &AnyRow| {
            let target: String = row.try_get(1)?;
            Ok(Kind {
                machine: row.try_get(0)?,
                humans: humans(&target, row.try_get(3)?)?,
                target,
                team: row.try_get(2)?,
            })
        };
        rows.iter().map(kind).collect()
    }

    /// Those of a kind whose time has come, of which the slots end first, each without its context; not those whose callers are on the phone.
    pub(crate) async fn callbacks_due(
        &self,
        kind: &Kind,
        now_ms: i64,
        limit: usize,
        shared: Shared,
    ) -> Result<Vec<CallbackRow>, sqlx::Error> {
        let query = sqlx::query(DUE).bind(&kind.machine).bind(&kind.target);
        let query = query.bind(&kind.team).bind(now_ms);
        let query = query
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(shared.bound());
        let rows = within(query.fetch_all(&self.pool)).await?;
        rows.iter().map(callback).collect()
    }

    /// Those of a number that wait, each without its context.
    pub(crate) async fn callbacks_of(&self, number: &str) -> Result<Vec<CallbackRow>, sqlx::Error> {
        within(async { of_number(&mut *self.pool.acquire().await?, number).await }).await
    }

    /// How many are not over.
    pub(crate) async fn open_callbacks(&self) -> Result<u64, sqlx::Error> {
        let row = within(sqlx::query(OPEN).fetch_one(&self.pool)).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs)
    }

    /// An attempt is this server's; whether it is: another one may have been faster.
    pub(crate) async fn claim_callback(
        &self,
        id: &str,
        instance: &str,
        now_ms: i64,
        shared: Shared,
    ) -> Result<bool, sqlx::Error> {
        // One at a time of all servers: of two promises to one caller the second is seen to wait for the first.
        within(async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query(LOCK).execute(&mut *transaction).await?;
            let query = sqlx::query(CLAIM).bind(id).bind(instance).bind(now_ms);
            let done = query.bind(shared.bound()).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// The attempts, as they are now, of one that is this server's.
    pub(crate) async fn callback_called(&self, id: &str, instance: &str, calls: &Value) -> Result<(), sqlx::Error> {
        let query = sqlx::query(CALLED).bind(id).bind(instance).bind(calls.to_string());
        within(query.execute(&self.pool)).await.map(|_| ())
    }

    /// Those that this server is calling, by what the store knows, each without its context.
    pub(crate) async fn callbacks_held(&self, instance: &str) -> Result<Vec<CallbackRow>, sqlx::Error> {
        let rows = within(sqlx::query(HELD).bind(instance).fetch_all(&self.pool)).await?;
        rows.iter().map(callback).collect()
    }

    /// What became of one that waited, or of an attempt that was this server's; whether it is so now. Not where it is for a newer call since.
    /// Who is to be told is told by this server.
    pub(crate) async fn callback_attempted(
        &self,
        row: &CallbackRow,
        before: CallbackState,
        instance: &str,
        attempted: &Attempted,
    ) -> Result<bool, sqlx::Error> {
        // What waits is nobody's.
        let holder = if before == CallbackState::Calling { instance } else { "" };
        within(async {
            let mut transaction = self.pool.begin().await?;
            let query = sqlx::query(ATTEMPTED).bind(&row.id).bind(holder);
            let query = query.bind(attempted.state.name()).bind(attempted.due_ms);
            let query = query.bind(attempted.calls.to_string()).bind(attempted.cause);
            let query = query.bind(attempted.closed_ms).bind(attempted.attempts);
            let query = query.bind(before.name()).bind(&row.call);
            let done = query.execute(&mut *transaction).await?.rows_affected() > 0;
            if !done {
                // Or it is so already: a commit whose answer was lost.
                let found = sqlx::query(ONE).bind(&row.id).fetch_optional(&mut *transaction).await?;
                let found = found.as_ref().map(callback).transpose()?;
                return Ok(found.is_some_and(|found| attempted.is_so(&found)));
            }
            if let Some(event) = &attempted.event {
                put_event(&mut transaction, instance, event).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whatever a test wants.
    #[cfg(test)]
    pub(crate) async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.expect("done");
    }

    /// Does it again where the database's trouble may pass, for so long. The second time it finds what the first has done.
    async fn patient<T, F>(&self, most: Duration, attempt: impl Fn() -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let until = Instant::now() + most;
        loop {
            match within(attempt()).await {
                Err(error) if may_pass(&error) && Instant::now() < until => sleep(AGAIN).await,
                done => return done,
            }
        }
    }
}

/// What a dead server was calling waits again.
pub(super) async fn release(connection: &mut AnyConnection, dead: &str) -> Result<(), sqlx::Error> {
    sqlx::query(RELEASE).bind(dead).execute(connection).await.map(|_| ())
}

impl CallbackRow {
    /// Whether both, of the same number, are for the same caller, to whom one is as good as the other.
    pub(crate) fn is_for_the_same(&self, other: &CallbackRow, shared: Shared) -> bool {
        let humans = self.humans == other.humans || self.humans.is_empty() || other.humans.is_empty();
        humans && (shared == Shared::No || self.call == other.call)
    }
}

async fn of_number(connection: &mut AnyConnection, number: &str) -> Result<Vec<CallbackRow>, sqlx::Error> {
    let rows = sqlx::query(OF_NUMBER).bind(number).fetch_all(connection).await?;
    rows.iter().map(callback).collect()
}

/// One that waits is for a newer call; whether it waited still.
async fn renew(connection: &mut AnyConnection, id: &str, new: &CallbackRow) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(AGAIN_FOR).bind(id).bind(&new.call);
    let query = query.bind(&new.handoff).bind(&new.agent).bind(&new.trunk);
    let query = query.bind(&new.caller).bind(&new.machine).bind(&new.target);
    let query = query.bind(names(&new.humans)).bind(team(&new.humans));
    let query = query.bind(&new.reason).bind(&new.context);
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

async fn taken(connection: &mut AnyConnection, now_ms: i64, but: &str) -> Result<Vec<Taken>, sqlx::Error> {
    let rows = sqlx::query(TAKEN).bind(now_ms).bind(but).fetch_all(connection).await?;
    let slot = |row: &AnyRow| {
        Ok(Taken {
            humans: humans(row.try_get(0)?, row.try_get(1)?)?,
            from_ms: row.try_get(2)?,
            until_ms: row.try_get(3)?,
        })
    };
    rows.iter().map(slot).collect()
}

async fn insert(connection: &mut AnyConnection, row: &CallbackRow) -> Result<(), sqlx::Error> {
    let query = sqlx::query(INSERT).bind(&row.id).bind(&row.call).bind(&row.handoff);
    let query = query.bind(&row.agent).bind(&row.trunk).bind(&row.caller);
    let query = query.bind(&row.number).bind(&row.machine).bind(&row.target);
    let query = query.bind(names(&row.humans)).bind(team(&row.humans));
    let query = query.bind(&row.reason).bind(&row.context);
    let query = query.bind(&row.zone).bind(row.from_ms).bind(row.until_ms);
    query.bind(row.booked_ms).execute(connection).await.map(|_| ())
}

fn names(humans: &[String]) -> String {
    Value::from(humans).to_string()
}

fn team(humans: &[String]) -> String {
    ids::digest(humans)
}

/// An older version wrote the target alone.
fn humans(target: &str, names: &str) -> Result<Vec<String>, sqlx::Error> {
    let humans: Vec<String> = serde_json::from_str(names).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(match humans.is_empty() && !target.is_empty() {
        true => vec![target.to_owned()],
        false => humans,
    })
}

fn callback(row: &AnyRow) -> Result<CallbackRow, sqlx::Error> {
    let calls: String = row.try_get(18)?;
    let target: String = row.try_get(8)?;
    Ok(CallbackRow {
        id: row.try_get(0)?,
        call: row.try_get(1)?,
        handoff: row.try_get(2)?,
        agent: row.try_get(3)?,
        trunk: row.try_get(4)?,
        caller: row.try_get(5)?,
        number: row.try_get(6)?,
        machine: row.try_get(7)?,
        humans: humans(&target, row.try_get(23)?)?,
        target,
        reason: row.try_get(9)?,
        context: row.try_get(10)?,
        zone: row.try_get(11)?,
        from_ms: row.try_get(12)?,
        until_ms: row.try_get(13)?,
        state: row.try_get(14)?,
        confirmed_ms: row.try_get(15)?,
        attempts: row.try_get(16)?,
        due_ms: row.try_get(17)?,
        calls: serde_json::from_str(&calls).map_err(|error| sqlx::Error::Decode(error.into()))?,
        cause: row.try_get(19)?,
        late_ms: row.try_get(20)?,
        booked_ms: row.try_get(21)?,
        closed_ms: row.try_get(22)?,
    })
}
