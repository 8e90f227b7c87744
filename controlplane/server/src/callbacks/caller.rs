//! Who calls: one task that looks once a second whose time has come, and hears from the journal what becomes of its calls.
//!
//! From the beginning of its slot on a caller is called as soon as somebody is free for it; when two thirds of the slot are over, whoever
//! is there. An attempt belongs to the server whose claim the store took; one that dies in the middle leaves it to the next
//! ([`Recovery`](crate::store::recovery::Recovery)).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use calls::notice::CallId;
use calls::request::{CallBack, QueueView, Request, RequestError, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::{Callbacks, Inner, time};
use crate::config::Callback;
use crate::ids::{self, rfc3339};
use crate::sibling::Side;
use crate::store::callbacks::{Attempted, CallbackRow, CallbackState};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// Callers whose slots are nearly over that are called at one look.
const AT_ONCE: usize = 5;

/// Until one for whom there was no port is tried again.
const BREATH: Duration = Duration::from_secs(10);

/// Callers that it looks at in one go.
const MOST: u32 = 500;

/// What became of a call, as the journal tells it: of all calls, whosever they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// Its caller was not reached: the status.
    NotReached(CallId, u16),
    /// A human has the caller.
    Joined(CallId),
    /// It is over.
    Ended(CallId),
    /// It was ended by us.
    Cut(CallId),
}

/// Why an attempt is over.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Joined,
    NotReached(u16),
    NoHuman,
    /// We hung up.
    Cut,
    NotCalled,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Joined => "joined",
            Outcome::NotReached(_) => "not_reached",
            Outcome::NoHuman | Outcome::Cut => "no_human",
            Outcome::NotCalled => "not_called",
        }
    }

    /// It is nothing that the caller, its carrier or a human did.
    fn is_ours(self) -> bool {
        matches!(self, Outcome::Cut | Outcome::NotReached(487 | 503))
    }
}

#[derive(Debug)]
pub(crate) struct Caller {
    inner: Arc<Inner>,
    told: mpsc::UnboundedReceiver<Told>,
    /// Nothing new is begun.
    draining: Arc<AtomicBool>,
    /// Those that are being called, by the call.
    running: HashMap<CallId, CallbackRow>,
    /// What the store has not taken yet.
    unwritten: Vec<(String, Attempted)>,
}

impl Caller {
    /// `told`: what becomes of calls.
    pub(crate) fn new(callbacks: &Callbacks, told: mpsc::UnboundedReceiver<Told>, draining: Arc<AtomicBool>) -> Caller {
        Caller {
            inner: Arc::clone(&callbacks.inner),
            told,
            draining,
            running: HashMap::new(),
            unwritten: Vec::new(),
        }
    }

    /// As long as the server runs.
    pub(crate) async fn run(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.hear(told).await,
                    None => return,
                },
                _ = looks.tick() => self.look().await,
            }
        }
    }

    fn stops(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || *self.inner.node.side().borrow() == Side::Back
    }

    async fn hear(&mut self, told: Told) {
        let (call, outcome) = match told {
            Told::NotReached(call, status) => (call, Outcome::NotReached(status)),
            Told::Joined(call) => (call, Outcome::Joined),
            Told::Ended(call) => (call, Outcome::NoHuman),
            Told::Cut(call) => (call, Outcome::Cut),
        };
        if let Some(row) = self.running.remove(&call) {
            self.finish(row, outcome).await;
        }
    }

    async fn look(&mut self) {
        for (id, attempted) in std::mem::take(&mut self.unwritten) {
            self.write(id, attempted).await;
        }
        let store = self.inner.journal.store.read();
        match store.open_callbacks().await {
            Ok(open) => self.inner.journal.callbacks.open.store(open, Ordering::Relaxed),
            // The next look says it again, and the writer of the store says it to everybody.
            Err(error) => return tracing::debug!(%error, "callbacks cannot be read"),
        }
        if self.stops() {
            return;
        }
        let due = store.callbacks_due(Timestamp::now().as_millisecond(), MOST).await;
        let due = due.unwrap_or_default();
        if due.is_empty() {
            return;
        }
        let Ok(queues) = self.inner.node.queues().await else {
            return;
        };
        let mut late = 0;
        for row in due {
            let now = SystemTime::now();
            // Of one whose last word is not written, what is written next would end the call that is begun now.
            if self.unwritten.iter().any(|(id, _)| *id == row.id) || !self.is_time(&row, &queues, now) {
                continue;
            }
            // Whose time is over are not called all at once, as after an outage: the carrier would refuse them.
            let last = is_last((time(row.from_ms), time(row.until_ms)), now);
            late += usize::from(last);
            if !last || late <= AT_ONCE {
                self.call(row).await;
            }
        }
    }

    /// Whether somebody is there for a caller whose slot has begun.
    fn is_time(&self, row: &CallbackRow, queues: &[QueueView], now: SystemTime) -> bool {
        let settings = self.inner.settings.borrow();
        let free = settings.free(&row.machine, &row.target, queues, now);
        let shares =
            |other: &&CallbackRow| other.target == row.target || other.target.is_empty() || row.target.is_empty();
        // Who is being called will have one of them.
        let taken = self.running.values().filter(shares).count();
        is_time((time(row.from_ms), time(row.until_ms)), now, free, taken)
    }

    async fn call(&mut self, mut row: CallbackRow) {
        let (now, inner) = (Timestamp::now(), Arc::clone(&self.inner));
        let (store, counters) = (&inner.journal.store, &inner.journal.callbacks);
        match store
            .read()
            .claim_callback(&row.id, store.instance(), now.as_millisecond())
            .await
        {
            Ok(true) => {}
            // Another server was faster, or nobody wants it any more.
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(%error, "a callback cannot be claimed");
                // It may have been all the same: then it is given back as soon as the store is there.
                return self.unwritten.push((row.id.clone(), as_before(row, Timestamp::now())));
            }
        }
        row.attempts += 1;
        match store.read().callback(&row.id).await {
            Ok(whole) => row.context = whole.map_or_else(String::new, |whole| whole.context),
            Err(error) => {
                tracing::debug!(%error, "a callback cannot be read");
                return self.give_back(row).await;
            }
        }
        let back = CallBack {
            trunk: row.trunk.clone(),
            caller: row.caller.clone(),
            target: Some(row.target.clone()).filter(|target| !target.is_empty()),
            reason: row.reason.clone(),
            context: serde_json::from_str(&row.context).unwrap_or(Value::Null),
        };
        let answer = inner.node.request(Request::CallBack(Box::new(back))).await;
        let call = match &answer {
            Ok(Ok(Response::Calling(call))) => Some(*call),
            Ok(_) | Err(_) => None,
        };
        if let Value::Array(calls) = &mut row.calls {
            calls.push(json!({ "call": call.map(ids::call), "at": rfc3339(now), "status": null, "outcome": null }));
        }
        match (call, answer) {
            (Some(call), _) => {
                tracing::info!(callback = row.id, call = ids::call(call), "a caller is called back");
                let late_ms = now.as_millisecond() - row.until_ms;
                if row.attempts == 1 && late_ms > 0 {
                    tracing::warn!(
                        callback = row.id,
                        late_ms,
                        "a caller is called back after the end of its slot"
                    );
                    counters.late_ms.fetch_add(late_ms.unsigned_abs(), Ordering::Relaxed);
                }
                // What is not noted now is noted with the outcome.
                let _ = store
                    .read()
                    .callback_called(&row.id, store.instance(), &row.calls)
                    .await;
                self.running.insert(call, row);
            }
            (None, Ok(Err(RequestError::WrongState(_))) | Err(_)) => self.give_back(row).await,
            // Of ours: nothing that the caller has to do with.
            (None, Ok(Err(RequestError::NoCapacity))) => {
                row.attempts -= 1;
                // It is no attempt, and there may be many.
                row.calls.as_array_mut().map(Vec::pop);
                let id = row.id.clone();
                self.write(id, as_before(row, Timestamp::now() + BREATH)).await;
            }
            (None, Ok(answer)) => {
                tracing::warn!(callback = row.id, ?answer, "a caller cannot be called back");
                self.finish(row, Outcome::NotCalled).await;
            }
        }
    }

    /// We stop, or know too little: it is for the next one, as if nothing had been tried.
    async fn give_back(&mut self, mut row: CallbackRow) {
        row.attempts -= 1;
        let id = row.id.clone();
        self.write(id, as_before(row, Timestamp::now())).await;
    }

    async fn finish(&mut self, mut row: CallbackRow, outcome: Outcome) {
        if let Some(last) = row.calls.as_array_mut().and_then(|calls| calls.last_mut()) {
            last["outcome"] = outcome.name().into();
            if let Outcome::NotReached(status) = outcome {
                last["status"] = status.into();
            }
        }
        // Whom we hang up on has not been called in vain; who did not answer, or hung up, has, and is left alone for a while.
        if self.stops() && outcome.is_ours() {
            return self.give_back(row).await;
        }
        let now_ms = Timestamp::now().as_millisecond();
        let (id, attempted) = after(row, outcome, &self.inner.settings.borrow().rules, now_ms);
        let state = attempted.state;
        tracing::info!(
            callback = id,
            outcome = outcome.name(),
            state = state.name(),
            "callback"
        );
        self.inner.journal.callbacks.ended(state, attempted.cause);
        self.write(id, attempted).await;
    }

    /// The store may be away: then it is told again.
    async fn write(&mut self, id: String, attempted: Attempted) {
        let store = &self.inner.journal.store;
        let written = store.read().callback_attempted(&id, store.instance(), &attempted).await;
        if let Err(error) = written {
            tracing::debug!(%error, "what became of a callback cannot be written yet");
            self.unwritten.push((id, attempted));
        }
    }
}

/// Whether a caller of this slot is called now. `free`: humans who are, `None` where none is there at this time; `taken`: those of them who
/// will have others.
fn is_time(slot: (SystemTime, SystemTime), now: SystemTime, free: Option<usize>, taken: usize) -> bool {
    now >= slot.0 && free.is_some_and(|free| is_last(slot, now) || taken < free)
}

/// Whether two thirds of a slot are over, or more.
fn is_last((from, until): (SystemTime, SystemTime), now: SystemTime) -> bool {
    now + until.duration_since(from).unwrap_or_default() / 3 >= until
}

/// As if this attempt had not been, and not before then.
fn as_before(row: CallbackRow, due: Timestamp) -> Attempted {
    Attempted {
        state: CallbackState::Scheduled,
        attempts: row.attempts,
        due_ms: due.as_millisecond(),
        calls: row.calls,
        cause: None,
        closed_ms: None,
    }
}

/// How it goes on after an attempt.
fn after(row: CallbackRow, outcome: Outcome, rules: &Callback, now_ms: i64) -> (String, Attempted) {
    let is_joined = matches!(outcome, Outcome::Joined);
    let state = match usize::try_from(row.attempts) {
        _ if is_joined => CallbackState::Done,
        Ok(tried) if tried < rules.attempts => CallbackState::Scheduled,
        _ => CallbackState::Missed,
    };
    let again_ms = now_ms.saturating_add_unsigned(ids::ms(rules.retry));
    let waits = state == CallbackState::Scheduled;
    let attempted = Attempted {
        state,
        attempts: row.attempts,
        due_ms: if waits { again_ms } else { row.due_ms },
        calls: row.calls,
        cause: Some(outcome.name()).filter(|_| !is_joined),
        closed_ms: (!waits).then_some(now_ms),
    };
    (row.id, attempted)
}

#[cfg(test)]
mod tests;
