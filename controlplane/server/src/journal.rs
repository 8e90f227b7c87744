//! Whoever listens to the node: records, webhooks, metrics and the log. A notice passes through here once.

mod log;

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use calls::config::Machine;
use calls::notice::{CallId, End, HandoffId, Notice, Outcome, Step, Supervised, What};
use jiff::Timestamp;
use playbook::caller::number;
use playbook::context::Package;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::callbacks::{self, Booked, Callbacks, Joined, Told, WeakCallbacks};
use crate::event::Teller;
use crate::ids::{self, Clock};
use crate::machine::voicemail;
use crate::metrics::Metrics;
use crate::otlp::Otlp;
use crate::records::{REQUESTED, Record, Records, callback_view, package_value};
use crate::router::{self, Question};
use crate::store::{CallRow, ContextRow, Key, Store, TurnsRow, Write, legs};
use crate::tap::collector::Counters;
use crate::tap::traces::Traces;

/// Turns that an update of the context carries: the older ones were told before, and the record has all.
const NEWEST: usize = 50;

/// Everybody who listens.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) clock: Clock,
    pub(crate) teller: Teller,
    pub(crate) records: Mutex<Records>,
    pub(crate) metrics: Mutex<Metrics>,
    /// SIP messages of calls. Keeps nothing until it is told to.
    pub(crate) traces: Mutex<Traces>,
    /// Whoever wants spans of handoffs, where there is somebody.
    pub(crate) otlp: OnceLock<Otlp>,
    /// Whoever asks where callers go.
    pub(crate) questions: OnceLock<mpsc::UnboundedSender<Question>>,
    /// Of the messages for a HEP collector, where there is one.
    pub(crate) captured: OnceLock<Arc<Counters>>,
    pub(crate) store: Store,
    /// What became of callers of the answering machine.
    pub(crate) voicemails: voicemail::Counters,
    /// What became of callbacks.
    pub(crate) callbacks: callbacks::Counters,
    /// Who promises them, once there is somebody.
    pub(crate) promises: OnceLock<WeakCallbacks>,
    /// Who calls the callers back, and hears what becomes of calls.
    pub(crate) caller: OnceLock<mpsc::UnboundedSender<Told>>,
}

/// Locks; a panic of another holder is a bug that was reported there, and the data are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Journal {
    pub(crate) fn new(teller: Teller, clock: Clock, store: Store) -> Journal {
        Journal {
            clock,
            teller,
            records: Mutex::new(Records::new(clock)),
            metrics: Mutex::default(),
            traces: Mutex::default(),
            otlp: OnceLock::new(),
            questions: OnceLock::new(),
            captured: OnceLock::new(),
            store,
            voicemails: voicemail::Counters::default(),
            callbacks: callbacks::Counters::default(),
            promises: OnceLock::new(),
            caller: OnceLock::new(),
        }
    }

    /// Takes a notice: a few map look-ups under two short locks, no IO, no wait.
    pub(crate) fn handle(&self, notice: &Notice) {
        let mut records = lock(&self.records);
        let notice = &unless_declined(&records, notice);
        log::log(notice);
        records.handle(notice);
        if let Some((caller, told)) = self.caller.get().zip(of_callers(&records, notice)) {
            // Where it has ended nobody is called back.
            let _ = caller.send(told);
        }
        match &notice.what {
            What::CallStarted {
                trunk,
                ai_agent,
                caller,
            } => {
                let data = json!({ "trunk": trunk, "ai_agent": ai_agent, "caller": caller });
                self.call_event(&mut records, notice, "baton.call.started", data);
            }
            What::CallEnded { by } => {
                self.call_event(&mut records, notice, "baton.call.ended", json!({ "by": by }));
                records.forget_call(notice.call);
                self.store.write(Write::CallOver(ids::call(notice.call)));
            }
            // Nothing has begun.
            What::NotReached { .. } => records.forget_call(notice.call),
            What::Hears { by, rows } => {
                let data = json!({ "by": by, "hears": ids::hears(rows) });
                self.call_event(&mut records, notice, "baton.call.hears", data);
            }
            What::Supervisor { name, by, how } => {
                let mut data = json!({ "by": by, "supervisor": name, "state": how.name() });
                if let Supervised::Unreached(status) = how {
                    data["status"] = (*status).into();
                }
                self.call_event(&mut records, notice, "baton.call.supervisor", data);
            }
            What::Turns { first, turns } => {
                // What was read from JSON can be written as JSON.
                let body = |turn| serde_json::to_string(turn).unwrap_or_default();
                self.store.write(Write::Turns(TurnsRow {
                    call: ids::call(notice.call),
                    first: i64::try_from(*first).unwrap_or(i64::MAX),
                    at_ms: self.clock.ms(notice.at),
                    bodies: turns.iter().map(body).collect(),
                }));
            }
            What::Context(context) => self.store.write(Write::Context(ContextRow {
                call: ids::call(notice.call),
                at_ms: self.clock.ms(notice.at),
                body: context.to_string(),
            })),
            What::Legs(legs) => {
                if let Some(facts) = records.call_mut(notice.call) {
                    let body = json!({
                        "trunk": facts.trunk,
                        "ai_agent": facts.ai_agent,
                        "caller": facts.caller,
                        "legs": legs::write(legs),
                    });
                    self.store.write(Write::Call(CallRow {
                        id: ids::call(notice.call),
                        number: number(&facts.caller).unwrap_or_default(),
                        body: body.to_string(),
                    }));
                }
            }
            What::ContextUpdated(package) => {
                let running = records.call_mut(notice.call).and_then(|facts| facts.running);
                // Before the human is invited there is nothing that an update could update.
                if let Some(id) = running
                    && records.get(id).is_some_and(|record| record.told)
                {
                    let extra = json!({ "context": news(package) });
                    self.handoff_event(&mut records, notice, id, "baton.context.updated", extra);
                }
            }
            // The record says so; no event does.
            What::Spoken { .. } => {}
            What::Handoff(id, step) => self.step_event(&mut records, notice, *id, step),
        }
        let told = match &notice.what {
            What::Handoff(id, _) | What::Spoken { handoff: id, .. } => Some(*id),
            What::ContextUpdated(_) => records.call_mut(notice.call).and_then(|facts| facts.running),
            What::CallStarted { .. }
            | What::NotReached { .. }
            | What::CallEnded { .. }
            | What::Turns { .. }
            | What::Context(_)
            | What::Hears { .. }
            | What::Supervisor { .. }
            | What::Legs(_) => None,
        };
        if let Some(row) = told.and_then(|id| records.row(id)) {
            self.store.write(Write::Handoff(row));
        }
        let record = told.and_then(|id| records.get(id));
        lock(&self.metrics).handle(notice, record);
        if let Some(otlp) = self.otlp.get() {
            otlp.handle(notice, record);
        }
    }

    /// The handoff whose last invitation had its context in this event.
    pub(crate) fn invitation(&self, event: &str) -> Option<HandoffId> {
        let (subject, sequence) = event.strip_prefix("evt_")?.rsplit_once('_')?;
        let (id, sequence) = (ids::parse_handoff(subject)?, sequence.parse().ok()?);
        let records = lock(&self.records);
        let invitation = records.get(id).filter(|record| record.end.is_none())?.invitation;
        (invitation == Some(sequence)).then_some(id)
    }

    /// A caller has left a message, or one that was none. It may come after the end of its handoff, and of its call.
    pub(crate) fn voicemail_left(&self, id: HandoffId, left: voicemail::Left) {
        let mut records = lock(&self.records);
        let Some(record) = records.get_mut(id) else {
            // So many calls later nobody looks any more: the message is there all the same.
            return tracing::warn!(
                handoff = ids::handoff(id),
                id = left.id,
                "a message of a handoff that is forgotten"
            );
        };
        let call = record.call;
        tracing::info!(
            handoff = ids::handoff(id),
            id = left.id,
            seconds = left.seconds,
            "voicemail"
        );
        let told = left.id.is_some();
        record.voicemail = Some(left);
        if told {
            // The time is what it needs of a notice, and the call.
            let (machine, codecs) = (Machine::Voicemail, Vec::new());
            let step = What::Handoff(id, Step::Machine { machine, codecs });
            let notice = Notice {
                call,
                at: Instant::now(),
                what: step,
            };
            self.handoff_event(&mut records, &notice, id, "baton.handoff.voicemail_left", json!({}));
        }
        if let Some(row) = records.row(id) {
            self.store.write(Write::Handoff(row));
        }
    }

    /// Who promises callbacks; `None`: the server is not up yet, or is stopping.
    pub(crate) fn promises(&self) -> Option<Callbacks> {
        self.promises.get()?.upgrade()
    }

    /// A caller was promised to be called back, which is on the disk. It may come after the end of its handoff, and of its call.
    pub(crate) fn callback_scheduled(&self, call: CallId, handoff: Option<HandoffId>, booked: &Booked) {
        const KIND: &str = "baton.handoff.callback_scheduled";
        self.callbacks.scheduled.fetch_add(1, Ordering::Relaxed);
        let mut records = lock(&self.records);
        let at = |what| Notice {
            call,
            at: Instant::now(),
            what,
        };
        let Some(id) = handoff else {
            // The AI promised it. What the notice is made of is its time and its call.
            let data = json!({ "callback": callback_view(booked) });
            return self.call_event(&mut records, &at(What::Context(Value::Null)), KIND, data);
        };
        let Some(record) = records.get_mut(id) else {
            // So many calls later nobody looks any more: the caller is called all the same.
            return tracing::warn!(
                handoff = ids::handoff(id),
                callback = booked.id,
                "a callback of a handoff that is forgotten"
            );
        };
        record.callback = Some(booked.clone());
        self.handoff_event(&mut records, &at(What::Context(Value::Null)), id, KIND, json!({}));
        if let Some(row) = records.row(id) {
            self.store.write(Write::Handoff(row));
        }
    }

    /// A caller wants no call back, or its word could not be kept. How its handoff ended is told when it has left: as taken back.
    pub(crate) fn callback_declined(&self, id: HandoffId, declined: bool) {
        if let Some(record) = lock(&self.records).get_mut(id) {
            record.declined = declined;
        }
    }

    /// This handoff follows from a request with a key, which is written with it. To be called before its notices come.
    pub(crate) fn remember(&self, id: HandoffId, key: Key) {
        lock(&self.records).remember(id, key);
    }

    fn step_event(&self, records: &mut Records, notice: &Notice, id: HandoffId, step: &Step) {
        let kind = match step {
            Step::Invited { package, .. } => {
                let told = records
                    .get_mut(id)
                    .is_some_and(|record| std::mem::replace(&mut record.told, true));
                let kind = if told { "baton.context.updated" } else { REQUESTED };
                let extra = json!({ "context": package_value(package) });
                self.handoff_event(records, notice, id, kind, extra);
                if let Some(record) = records.get_mut(id) {
                    record.invitation = Some(record.sequence);
                }
                return;
            }
            Step::Asked {
                package,
                targets,
                priority,
            } => return self.ask(records, id, package, targets, *priority),
            Step::Queued { .. } => {
                // Its context goes out as an agent is called, with `requested`, which comes after this.
                self.handoff_event(records, notice, id, "baton.handoff.queued", json!({}));
                return;
            }
            Step::Ringing => "baton.handoff.ringing",
            Step::Answered { .. } => "baton.handoff.answered",
            Step::Accepted => "baton.handoff.accepted",
            Step::Joined { .. } => "baton.handoff.joined",
            Step::Returned => "baton.handoff.returned",
            Step::Closed { end, .. } => match end {
                End::Completed => "baton.handoff.completed",
                End::Failed | End::Cancelled => "baton.handoff.failed",
            },
            Step::Requested { .. }
            // The record says where it goes.
            | Step::Routed { .. }
            // Nobody is there to be joined; what is left is told when it is (`voicemail_left`).
            | Step::Machine { .. }
            | Step::Disclosed
            | Step::Gate { .. }
            | Step::Announced
            | Step::FirstHumanWord
            | Step::TargetFailed { .. }
            | Step::Evidence(_) => return,
        };
        let told = records
            .get_mut(id)
            .is_some_and(|record| std::mem::replace(&mut record.told, true));
        if !told {
            // Nobody was invited; who listens shall not see an end without a beginning.
            self.handoff_event(records, notice, id, REQUESTED, json!({ "context": null }));
        }
        self.handoff_event(records, notice, id, kind, json!({}));
    }

    /// Somebody outside is to say where the caller goes.
    fn ask(&self, records: &Records, id: HandoffId, package: &Package, targets: &[String], priority: u8) {
        let (Some(questions), Some(record)) = (self.questions.get(), records.get(id)) else {
            return;
        };
        let mut body = records.event_view(record);
        let of_record = [
            "call",
            "mode",
            "requested_reason",
            "trigger",
            "decision",
            "trunk",
            "ai_agent",
            "caller",
            "requested_at",
        ];
        if let Value::Object(members) = &mut body {
            members.retain(|name, _| of_record.contains(&&**name));
        }
        merge(
            &mut body,
            json!({
                "schema": router::SCHEMA,
                "handoff": ids::handoff(id),
                "targets": targets,
                "priority": priority,
                "context": package_value(package),
            }),
        );
        let body = body.to_string();
        // Where nobody listens any more the server is stopping, and the bound passes.
        let _ = questions.send(Question { handoff: id, body });
    }

    fn handoff_event(&self, records: &mut Records, notice: &Notice, id: HandoffId, kind: &'static str, extra: Value) {
        let Some(record) = records.get_mut(id) else { return };
        record.sequence += 1;
        let sequence = record.sequence;
        let Some(record) = records.get(id) else { return };
        let mut data = records.event_view(record);
        merge(&mut data, extra);
        self.emit(notice, kind, &ids::handoff(id), &record.facts.ai_agent, sequence, &data);
    }

    fn call_event(&self, records: &mut Records, notice: &Notice, kind: &'static str, extra: Value) {
        let Some(facts) = records.call_mut(notice.call) else {
            return;
        };
        facts.sequence += 1;
        let (sequence, agent) = (facts.sequence, facts.ai_agent.clone());
        let subject = ids::call(notice.call);
        let mut data = json!({ "schema": "baton.call/1", "id": subject });
        merge(&mut data, extra);
        self.emit(notice, kind, &subject, &agent, sequence, &data);
    }

    fn emit(&self, notice: &Notice, kind: &'static str, subject: &str, agent: &str, sequence: u64, data: &Value) {
        let (sequence, at) = (sequence.cast_signed(), self.clock.time(notice.at));
        let event = self.teller.event(kind, subject, agent, sequence, at, data);
        self.store.write(Write::Event(event));
    }
}

/// A context package with the newest turns alone, and how many are before these: a call of a thousand turns may have a thousand updates.
fn news(package: &Package) -> Value {
    let skipped = package.transcript.len().saturating_sub(NEWEST);
    let mut value = package_value(&Package {
        schema: package.schema.clone(),
        brief: package.brief.clone(),
        language: package.language.clone(),
        fields: package.fields.clone(),
        caller_id: package.caller_id.clone(),
        disclosure: package.disclosure.clone(),
        transcript: package.transcript[skipped..].to_vec(),
        completeness: package.completeness.clone(),
    });
    value["transcript_skipped"] = skipped.into();
    value
}

fn merge(into: &mut Value, extra: Value) {
    if let (Value::Object(into), Value::Object(extra)) = (into, extra) {
        into.extend(extra);
    }
}

/// A caller who was told when it will be called back, and wants no call, was promised nothing.
fn unless_declined<'a>(records: &Records, notice: &'a Notice) -> Cow<'a, Notice> {
    let mut notice = Cow::Borrowed(notice);
    if let What::Handoff(
        id,
        Step::Closed {
            result: Outcome::CallbackScheduled,
            ..
        },
    ) = &notice.what
        && records.get(*id).is_some_and(|record| record.declined)
    {
        let (end, result, reason) = (End::Cancelled, Outcome::Abandoned, None);
        notice.to_mut().what = What::Handoff(*id, Step::Closed { end, result, reason });
    }
    notice
}

fn joined(record: &Record, call: CallId) -> Option<Told> {
    Some(Told::Joined(Joined {
        call,
        number: number(&record.facts.caller).unwrap_or_default(),
        target: record.target().to_owned(),
        at: Timestamp::now(),
    }))
}

/// What those who call callers back must know.
fn of_callers(records: &Records, notice: &Notice) -> Option<Told> {
    match &notice.what {
        What::NotReached { status } => Some(Told::NotReached(notice.call, *status)),
        What::Handoff(id, Step::Joined { .. }) => joined(records.get(*id)?, notice.call),
        // By the caller's carrier, or while it hung up: then no other step says so.
        What::Handoff(
            id,
            Step::Closed {
                result: Outcome::Transferred | Outcome::Joined,
                ..
            },
        ) => {
            let record = records.get(*id).filter(|record| !record.was_joined())?;
            joined(record, notice.call)
        }
        What::CallEnded { by } if by == "api" || by == "error" => Some(Told::Cut(notice.call)),
        What::CallEnded { .. } => Some(Told::Ended(notice.call)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
