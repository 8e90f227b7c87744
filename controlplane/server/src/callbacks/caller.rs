//! Who calls: one task that looks once a second whose time has come, and hears from the journal what becomes of its calls.
//!
//! From the beginning of its slot on a caller is called as soon as somebody is free for it; when two thirds of the slot are over, whoever
//! is there. An attempt belongs to the server whose claim the store took; one that dies in the middle leaves it to the next
//! ([`Recovery`](crate::store::recovery::Recovery)). Who rings again and has one of those humans is called no more.

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

use super::end::{Unwritten, over, replaced};
use super::settings::share;
use super::{Callbacks, Inner, time};
use crate::config::Callback;
use crate::ids::{self, rfc3339};
use crate::sibling::Side;
use crate::store::callbacks::{Attempted, CallbackRow, CallbackState, Kind, Shared};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// Callers whose slots are nearly over that are called at one look.
const AT_ONCE: usize = 5;

/// Until one for whom there was no port is tried again.
const BREATH: Duration = Duration::from_secs(10);

/// Joins of which the store has not said yet whether they keep a promise; of more the oldest is forgotten, and its caller called.
const JOINED: usize = 1000;

/// What became of a call, as the journal tells it: of all calls, whosever they are.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Its caller was not reached: the status.
    NotReached(CallId, u16),
    /// A human has the caller.
    Joined(Joined),
    /// It is over.
    Ended(CallId),
    /// It was ended by us.
    Cut(CallId),
}

/// A human has a caller.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) call: CallId,
    /// Empty where it is not known.
    pub(crate) number: String,
    /// Who it is.
    pub(crate) target: String,
    pub(crate) at: Timestamp,
}

/// Why an attempt is over.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Joined,
    /// A human has the caller in another call.
    OtherCall,
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
            Outcome::OtherCall => "other_call",
            Outcome::NotReached(_) => "not_reached",
            Outcome::NoHuman | Outcome::Cut => "no_human",
            Outcome::NotCalled => "not_called",
        }
    }

    /// A human has had the caller.
    fn keeps_it(self) -> bool {
        matches!(self, Outcome::Joined | Outcome::OtherCall)
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
    /// Of these, those whose callers a human has in another call meanwhile, by the promise.
    kept: HashMap<String, Joined>,
    /// What the store has not taken yet.
    unwritten: Vec<Unwritten>,
    /// Joins of which it is not known whether they keep a promise.
    joined: Vec<Joined>,
}

impl Caller {
    /// `told`: what becomes of calls.
    pub(crate) fn new(callbacks: &Callbacks, told: mpsc::UnboundedReceiver<Told>, draining: Arc<AtomicBool>) -> Caller {
        Caller {
            inner: Arc::clone(&callbacks.inner),
            told,
            draining,
            running: HashMap::new(),
            kept: HashMap::new(),
            unwritten: Vec::new(),
            joined: Vec::new(),
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
        let (call, outcome) = match &told {
            Told::NotReached(call, status) => (*call, Outcome::NotReached(*status)),
            Told::Joined(joined) => (joined.call, Outcome::Joined),
            Told::Ended(call) => (*call, Outcome::NoHuman),
            Told::Cut(call) => (*call, Outcome::Cut),
        };
        if let Some(row) = self.running.remove(&call) {
            self.finish(row, outcome).await;
        }
        if let Told::Joined(joined) = told {
            self.joined(joined).await;
        }
    }

    /// What else was promised to this caller of this human is kept by that.
    async fn joined(&mut self, joined: Joined) {
        if joined.number.is_empty() || self.shared() == Shared::Yes {
            return;
        }
        let now_ms = joined.at.as_millisecond();
        let keeps = |row: &CallbackRow| {
            let is_of_it = row.number == joined.number && row.booked_ms <= now_ms;
            is_of_it && share(&row.humans, std::slice::from_ref(&joined.target))
        };
        let running = self.running.values().filter(|row| keeps(row));
        self.kept.extend(running.map(|row| (row.id.clone(), joined.clone())));
        let Ok(waiting) = self.inner.journal.store.read().callbacks_of(&joined.number).await else {
            if self.joined.len() == JOINED {
                self.joined.remove(0);
            }
            return self.joined.push(joined);
        };
        for mut row in waiting.into_iter().filter(keeps) {
            note(&mut row.calls, Some(joined.call), joined.at, Some(Outcome::OtherCall));
            tracing::info!(callback = row.id, "a human has the caller in another call");
            let attempted = over(&row, CallbackState::Done, now_ms, None);
            self.end(row, CallbackState::Scheduled, attempted).await;
        }
    }

    async fn look(&mut self) {
        for unwritten in std::mem::take(&mut self.unwritten) {
            let unwritten = self.inner.write(unwritten).await;
            self.unwritten.extend(unwritten.err());
        }
        for joined in std::mem::take(&mut self.joined) {
            self.joined(joined).await;
        }
        let inner = Arc::clone(&self.inner);
        let store = inner.journal.store.read();
        match store.open_callbacks().await {
            Ok(open) => self.inner.journal.callbacks.open.store(open, Ordering::Relaxed),
            // The next look says it again, and the writer of the store says it to everybody.
            Err(error) => return tracing::debug!(%error, "callbacks cannot be read"),
        }
        self.let_go().await;
        if self.stops() {
            return;
        }
        let now = Timestamp::now();
        let kinds = store.callback_kinds(now.as_millisecond()).await.unwrap_or_default();
        if kinds.is_empty() {
            return;
        }
        let Ok(queues) = self.inner.node.queues().await else {
            return;
        };
        let (mut late, mut early) = (Vec::new(), Vec::new());
        for kind in kinds {
            let Some(free) = self.free(&kind, &queues, now.into()) else {
                continue;
            };
            for row in self.due(&kind, now, free).await {
                match is_last(slot(&row), now.into()) {
                    true => late.push(row),
                    false => early.push((row, free)),
                }
            }
        }
        // Whose time is over are not called all at once, as after an outage: the carrier would refuse them.
        late.sort_by_key(|row| row.until_ms);
        for row in late.into_iter().take(AT_ONCE) {
            self.call(row).await;
        }
        for (row, free) in early {
            if self.taken(&row.humans) < free {
                self.call(row).await;
            }
        }
    }

    /// What the store thinks that we are calling, and we are not: of a claim whose answer was lost. As if nothing had been tried.
    async fn let_go(&mut self) {
        let store = &self.inner.journal.store;
        let held = store.read().callbacks_held(store.instance()).await;
        let is_ours = |row: &CallbackRow| {
            let mut unwritten = self.unwritten.iter();
            let mut running = self.running.values();
            running.any(|other| other.id == row.id) || unwritten.any(|unwritten| unwritten.row.id == row.id)
        };
        let mut lost = held.unwrap_or_default();
        lost.retain(|row| !is_ours(row));
        for row in lost {
            self.give_back(row).await;
        }
    }

    /// Humans who are free for callers of this kind; `None`: nobody is there at this time.
    fn free(&self, kind: &Kind, queues: &[QueueView], now: SystemTime) -> Option<usize> {
        let settings = self.inner.settings.borrow();
        settings.free(&kind.machine, &kind.humans, queues, now)
    }

    /// Those of a kind who may be called now: no more than can be.
    async fn due(&self, kind: &Kind, now: Timestamp, free: usize) -> Vec<CallbackRow> {
        let room = free.saturating_sub(self.taken(&kind.humans));
        let most = room + AT_ONCE + self.unwritten.len();
        let store = self.inner.journal.store.read();
        let mut due = store
            .callbacks_due(kind, now.as_millisecond(), most, self.shared())
            .await
            .unwrap_or_default();
        // Of one whose last word is not written, what is written next would end the call that is begun now.
        due.retain(|row| {
            let mut unwritten = self.unwritten.iter();
            now.as_millisecond() >= row.from_ms && !unwritten.any(|unwritten| unwritten.row.id == row.id)
        });
        due
    }

    fn shared(&self) -> Shared {
        self.inner.settings.borrow().shared()
    }

    /// Callers who are being called and will have one of these.
    fn taken(&self, humans: &[String]) -> usize {
        self.running.values().filter(|row| share(&row.humans, humans)).count()
    }

    async fn call(&mut self, mut row: CallbackRow) {
        let (now, inner, shared) = (Timestamp::now(), Arc::clone(&self.inner), self.shared());
        let (store, counters) = (&inner.journal.store, &inner.journal.callbacks);
        match store
            .read()
            .claim_callback(&row.id, store.instance(), now.as_millisecond(), shared)
            .await
        {
            Ok(true) => {}
            // Another server was faster, or nobody wants it any more.
            Ok(false) => return,
            // It may have been all the same: then it is given back at the next look.
            Err(error) => return tracing::debug!(%error, "a callback cannot be claimed"),
        }
        // As it is now: a newer call may be what it is for, and its caller may have said yes.
        match store.read().callback(&row.id).await {
            Ok(Some(whole)) => row = whole,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "a callback cannot be read"),
        }
        let back = CallBack {
            trunk: row.trunk.clone(),
            caller: row.caller.clone(),
            target: Some(row.target.clone()).filter(|target| !target.is_empty()),
            humans: row.humans.clone(),
            reason: row.reason.clone(),
            context: serde_json::from_str(&row.context).unwrap_or(Value::Null),
        };
        let answer = inner.node.request(Request::CallBack(Box::new(back))).await;
        let call = match &answer {
            Ok(Ok(Response::Calling(call))) => Some(*call),
            Ok(_) | Err(_) => None,
        };
        note(&mut row.calls, call, now, None);
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
            (None, Ok(Err(RequestError::WrongState(_))) | Err(_)) => {
                row.calls.as_array_mut().map(Vec::pop);
                self.give_back(row).await;
            }
            // Of ours: nothing that the caller has to do with.
            (None, Ok(Err(RequestError::NoCapacity))) => {
                row.attempts -= 1;
                // It is no attempt, and there may be many.
                row.calls.as_array_mut().map(Vec::pop);
                let attempted = as_before(&row, (Timestamp::now() + BREATH).as_millisecond());
                self.end(row, CallbackState::Calling, attempted).await;
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
        let attempted = as_before(&row, Timestamp::now().as_millisecond());
        self.end(row, CallbackState::Calling, attempted).await;
    }

    async fn finish(&mut self, mut row: CallbackRow, outcome: Outcome) {
        if let Some(last) = row.calls.as_array_mut().and_then(|calls| calls.last_mut()) {
            last["outcome"] = outcome.name().into();
            if let Outcome::NotReached(status) = outcome {
                last["status"] = status.into();
            }
        }
        let outcome = match self.kept.remove(&row.id) {
            Some(other) if !outcome.keeps_it() => {
                note(&mut row.calls, Some(other.call), other.at, Some(Outcome::OtherCall));
                Outcome::OtherCall
            }
            Some(_) | None => outcome,
        };
        // Whom we hang up on has not been called in vain; who did not answer, or hung up, has, and is left alone for a while.
        if self.stops() && outcome.is_ours() {
            return self.give_back(row).await;
        }
        if let Ok(Some(now)) = self.inner.journal.store.read().callback(&row.id).await {
            row.confirmed_ms = now.confirmed_ms;
        }
        let now_ms = Timestamp::now().as_millisecond();
        let mut attempted = after(&row, outcome, &self.inner.settings.borrow().rules, now_ms);
        if attempted.state != CallbackState::Done && self.has_newer(&row).await {
            attempted = replaced(&row, now_ms);
        }
        let (outcome, state) = (outcome.name(), attempted.state.name());
        tracing::info!(callback = row.id, outcome, state, "callback");
        self.end(row, CallbackState::Calling, attempted).await;
    }

    /// Whether its caller was promised another one while it was called.
    async fn has_newer(&self, row: &CallbackRow) -> bool {
        let shared = self.shared();
        let waiting = self.inner.journal.store.read().callbacks_of(&row.number).await;
        let mut waiting = waiting.unwrap_or_default().into_iter();
        waiting
            .any(|other| other.id != row.id && other.booked_ms >= row.booked_ms && other.is_for_the_same(row, shared))
    }

    /// The store may be away: then it is told again.
    async fn end(&mut self, row: CallbackRow, before: CallbackState, attempted: Attempted) {
        let ended = self.inner.end(row, before, attempted).await;
        self.unwritten.extend(ended.err());
    }
}

fn slot(row: &CallbackRow) -> (SystemTime, SystemTime) {
    (time(row.from_ms), time(row.until_ms))
}

/// Whether two thirds of a slot are over, or more.
fn is_last((from, until): (SystemTime, SystemTime), now: SystemTime) -> bool {
    now + until.duration_since(from).unwrap_or_default() / 3 >= until
}

/// A call for it, among the others. No outcome: not yet.
fn note(calls: &mut Value, call: Option<CallId>, at: Timestamp, outcome: Option<Outcome>) {
    if let Value::Array(calls) = calls {
        let (call, outcome) = (call.map(ids::call), outcome.map(Outcome::name));
        calls.push(json!({ "call": call, "at": rfc3339(at), "status": null, "outcome": outcome }));
    }
}

/// As if this attempt had not been, and not before then.
fn as_before(row: &CallbackRow, due_ms: i64) -> Attempted {
    Attempted {
        state: CallbackState::Scheduled,
        attempts: row.attempts,
        due_ms,
        calls: row.calls.clone(),
        cause: None,
        closed_ms: None,
        event: None,
    }
}

/// How it goes on after an attempt.
fn after(row: &CallbackRow, outcome: Outcome, rules: &Callback, now_ms: i64) -> Attempted {
    let cause = Some(outcome.name());
    match usize::try_from(row.attempts) {
        _ if outcome.keeps_it() => over(row, CallbackState::Done, now_ms, None),
        Ok(tried) if tried < rules.attempts => Attempted {
            cause,
            ..as_before(row, now_ms.saturating_add_unsigned(ids::ms(rules.retry)))
        },
        _ => over(row, CallbackState::Missed, now_ms, cause),
    }
}

#[cfg(test)]
mod tests;
