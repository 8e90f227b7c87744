//! How a callback ends: what became of it is written, and told with it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Inner;
use crate::ids::rfc3339;
use crate::store::callbacks::{Attempted, CallbackRow, CallbackState};
use crate::store::{EventRow, Write};

/// What the store has not taken yet.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) row: CallbackRow,
    pub(super) before: CallbackState,
    pub(super) attempted: Attempted,
}

impl Inner {
    /// Writes what became of one, and tells it where that is its end; whether it was so.
    pub(super) async fn end(
        &self,
        row: CallbackRow,
        before: CallbackState,
        attempted: Attempted,
    ) -> Result<bool, Unwritten> {
        let attempted = Attempted {
            event: self.ended(&row, &attempted),
            ..attempted
        };
        self.write(Unwritten { row, before, attempted }).await
    }

    /// The same of what the store has not taken before.
    pub(super) async fn write(&self, unwritten: Unwritten) -> Result<bool, Unwritten> {
        let Unwritten { row, before, attempted } = &unwritten;
        let store = &self.journal.store;
        let written = store
            .read()
            .callback_attempted(row, *before, store.instance(), attempted)
            .await;
        match written {
            Ok(true) => {
                self.journal.callbacks.ended(attempted.state, attempted.cause);
                self.tell(attempted.event.is_some());
            }
            // Somebody else has it.
            Ok(false) => attempted.event.iter().for_each(EventRow::give_up),
            Err(error) => {
                tracing::debug!(%error, "what became of a callback cannot be written yet");
                return Err(unwritten);
            }
        }
        Ok(matches!(written, Ok(true)))
    }

    /// What was written beside the queue is told as what was written by it.
    pub(super) fn tell(&self, any: bool) {
        if any {
            self.journal.store.write(Write::Nothing);
        }
    }

    /// The event of a callback that is over. Of one that nobody was told of nothing is told but that a caller was called, or should have been.
    pub(super) fn ended(&self, row: &CallbackRow, attempted: &Attempted) -> Option<EventRow> {
        let kind = match attempted.state {
            CallbackState::Done => "baton.callback.done",
            CallbackState::Missed => "baton.callback.missed",
            CallbackState::Cancelled if row.confirmed_ms.is_some() => "baton.callback.cancelled",
            CallbackState::Cancelled | CallbackState::Scheduled | CallbackState::Calling => return None,
        };
        let at = Timestamp::from_millisecond(attempted.closed_ms?).ok()?;
        let ended = CallbackRow {
            state: attempted.state.name().to_owned(),
            attempts: attempted.attempts,
            calls: attempted.calls.clone(),
            cause: attempted.cause.map(str::to_owned),
            closed_ms: attempted.closed_ms,
            ..row.clone()
        };
        let mut data = view(&ended);
        data["schema"] = SCHEMA.into();
        Some(self.journal.teller.event(kind, &row.id, &row.agent, 1, at, &data))
    }
}

/// It ends so, now.
pub(super) fn over(row: &CallbackRow, state: CallbackState, now_ms: i64, cause: Option<&'static str>) -> Attempted {
    Attempted {
        state,
        attempts: row.attempts,
        due_ms: row.due_ms,
        calls: row.calls.clone(),
        cause,
        closed_ms: Some(now_ms),
        event: None,
    }
}

/// Its caller has a newer one.
pub(super) fn replaced(row: &CallbackRow, now_ms: i64) -> Attempted {
    over(row, CallbackState::Cancelled, now_ms, Some("replaced"))
}

/// Version of [`view`] alone.
pub(crate) const SCHEMA: &str = "baton.callback/1";

/// One as users see it, but for its context.
pub(crate) fn view(row: &CallbackRow) -> Value {
    let at = |ms: i64| Timestamp::from_millisecond(ms).ok().map(rfc3339);
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({
        "id": row.id,
        "call": row.call,
        "handoff": text(&row.handoff),
        "state": row.state,
        "from": at(row.from_ms),
        "until": at(row.until_ms),
        "time_zone": row.zone,
        "target": text(&row.target),
        "targets": row.humans,
        "reason": row.reason,
        "trunk": row.trunk,
        "ai_agent": row.agent,
        "caller": row.caller,
        "booked_at": at(row.booked_ms),
        "confirmed_at": row.confirmed_ms.and_then(at),
        "attempts": row.attempts,
        "calls": row.calls,
        "cause": row.cause,
        "late_ms": Some(row.late_ms).filter(|late| *late > 0),
        "closed_at": row.closed_ms.and_then(at),
    })
}
