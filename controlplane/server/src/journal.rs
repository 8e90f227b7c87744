//! Whoever listens to the node: records, webhooks, metrics and the log. A notice passes through here once.

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
        log(notice);
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

/// INFO once for each event of a call; contexts and tokens are not logged.
fn log(notice: &Notice) {
    let call = ids::call(notice.call);
    match &notice.what {
        What::CallStarted { trunk, ai_agent, .. } => tracing::info!(call, trunk, ai_agent, "call started"),
        What::NotReached { status } => {
            tracing::info!(call, status, "a caller who was to be called back was not reached")
        }
        What::CallEnded { by } => tracing::info!(call, by, "call ended"),
        What::Turns { turns, .. } => tracing::debug!(call, count = turns.len(), "turns"),
        What::Context(_) => tracing::info!(call, "context updated"),
        What::ContextUpdated(_) | What::Legs(_) => {}
        What::Spoken { handoff, .. } => tracing::info!(call, handoff = ids::handoff(*handoff), "a transcode is spared"),
        What::Hears { by, rows } => tracing::info!(call, by, hears = %ids::hears(rows), "who hears whom"),
        What::Supervisor { name, by, how } => tracing::info!(call, by, supervisor = name, ?how, "supervisor"),
        What::Handoff(id, step) => {
            let handoff = ids::handoff(*id);
            match step {
                Step::Requested {
                    mode, target, decision, ..
                } => {
                    tracing::info!(call, handoff, ?mode, target, decision, "handoff requested")
                }
                Step::Asked { .. } => tracing::debug!(call, handoff, "asked where the caller goes"),
                Step::Routed { targets, unchanged } => {
                    tracing::info!(call, handoff, ?targets, ?unchanged, "it is known where the caller goes");
                }
                Step::Queued { target, place } => tracing::info!(call, handoff, target, place, "caller waits in line"),
                Step::Invited { target, agent, .. } => tracing::info!(call, handoff, target, agent, "human invited"),
                Step::Disclosed => tracing::info!(call, handoff, "disclosed"),
                Step::Gate { gate, opened } => {
                    tracing::info!(call, handoff, ?gate, ?opened, "the join does not wait for it")
                }
                Step::Announced => tracing::info!(call, handoff, "announced"),
                Step::Ringing => tracing::info!(call, handoff, "human rings"),
                Step::Answered { agent } => tracing::info!(call, handoff, agent, "human answered"),
                Step::Accepted => tracing::info!(call, handoff, "human accepted"),
                Step::Joined { .. } => tracing::info!(call, handoff, "joined"),
                Step::Machine { machine, .. } => {
                    tracing::info!(
                        call,
                        handoff,
                        machine = machine.name(),
                        "a machine of our own has the caller"
                    );
                }
                Step::FirstHumanWord => tracing::info!(call, handoff, "first human word"),
                Step::TargetFailed { target, reason, status } => {
                    tracing::info!(call, handoff, target, ?reason, status, "target failed");
                }
                Step::Returned => tracing::info!(call, handoff, "caller is given back"),
                Step::Evidence(_) => tracing::info!(call, handoff, "evidence is in"),
                Step::Closed { end, result, reason } => {
                    tracing::info!(call, handoff, ?end, ?result, ?reason, "handoff closed");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use calls::notice::{CallId, End, Outcome, Reason};
    use playbook::Mode;
    use playbook::context::Completeness;

    use super::*;
    use crate::store::tests::Home;
    use crate::store::{AttemptRow, DeliveryStatus};
    use crate::webhook::Endpoint;

    fn package(brief: &str) -> Box<Package> {
        Box::new(Package {
            schema: "baton.context/1".to_owned(),
            brief: brief.to_owned(),
            fields: json!({}),
            language: None,
            caller_id: Default::default(),
            disclosure: None,
            transcript: Vec::new(),
            completeness: Completeness {
                complete: true,
                present: Vec::new(),
                missing: Vec::new(),
            },
        })
    }

    fn invited(target: &str, brief: &str) -> Step {
        Step::Invited {
            target: target.to_owned(),
            agent: None,
            package: package(brief),
            token: "t0ken".to_owned(),
        }
    }

    #[test]
    fn an_update_carries_the_newest_turns_and_says_how_many_are_before_them() {
        let mut package = *package("brief");
        for number in 0..NEWEST {
            let turn = json!({ "role": "caller", "text": number.to_string() });
            package.transcript.push(serde_json::from_value(turn).expect("a turn"));
        }
        let whole = news(&package);
        assert_eq!(whole["transcript_skipped"], 0);
        assert_eq!(whole["transcript"], package_value(&package)["transcript"]);
        let turn = json!({ "role": "ai", "text": "the last" });
        package.transcript.push(serde_json::from_value(turn).expect("a turn"));
        let newest = news(&package);
        assert_eq!(newest["transcript_skipped"], 1);
        let turns = newest["transcript"].as_array().expect("a list");
        assert_eq!((turns.len(), &turns[0]["text"]), (NEWEST, &json!("1")));
        assert_eq!(turns[NEWEST - 1]["text"], "the last");
        assert_eq!(
            (&newest["brief"], &newest["schema"]),
            (&json!("brief"), &json!("baton.context/1"))
        );
    }

    /// Whoever calls callers back must know who is on the phone, and who has a human.
    #[tokio::test]
    async fn the_number_of_a_live_call_is_in_the_store_and_who_has_its_caller_is_told() {
        let home = Home::sqlite();
        let (store, _task) = home.store(100).await;
        let journal = Journal::new(Teller::new("test", vec![]), Clock::new(), store.clone());
        let (caller, mut told) = mpsc::unbounded_channel();
        journal.caller.set(caller).expect("set once");
        let tell = |what: What| {
            journal.handle(&Notice {
                call: CallId(1),
                at: Instant::now(),
                what,
            });
        };
        let step = |step: Step| What::Handoff(HandoffId(2), step);
        tell(What::CallStarted {
            trunk: "carrier".to_owned(),
            ai_agent: "ai".to_owned(),
            caller: "sip:+49301234567@127.0.0.1".to_owned(),
        });
        tell(What::Legs(vec![]));
        store.settled(store.ticket()).await;
        let live = store.read().open_of("ins_1").await.expect("read").calls;
        let numbers: Vec<_> = live.iter().map(|(call, _)| &*call.number).collect();
        assert_eq!(numbers, ["+49301234567"]);
        tell(step(Step::Requested {
            mode: Mode::Warm,
            decision: None,
            target: "sales".to_owned(),
            why: String::new(),
            trigger: None,
            talks_on: false,
        }));
        tell(step(invited("support", "brief")));
        assert!(told.try_recv().is_err(), "nobody has it yet");
        tell(step(Step::Joined { codecs: vec![] }));
        let Ok(Told::Joined(joined)) = told.try_recv() else {
            panic!("a join is not told")
        };
        assert_eq!(
            (joined.call, &*joined.number, &*joined.target),
            (CallId(1), "+49301234567", "support")
        );
        let closed = |result| Step::Closed {
            end: End::Completed,
            result,
            reason: None,
        };
        tell(step(closed(Outcome::Joined)));
        assert!(told.try_recv().is_err(), "it is known already");
        // The carrier has connected it, and nobody was called by us.
        let step = |step: Step| What::Handoff(HandoffId(3), step);
        tell(step(Step::Requested {
            mode: Mode::Cold,
            decision: None,
            target: "sales".to_owned(),
            why: String::new(),
            trigger: None,
            talks_on: false,
        }));
        tell(step(closed(Outcome::Transferred)));
        assert!(matches!(told.try_recv(), Ok(Told::Joined(joined)) if joined.target == "sales"));
    }

    #[tokio::test]
    async fn the_context_goes_out_with_each_invitation_and_each_change_after_the_first() {
        let home = Home::sqlite();
        let (store, _task) = home.store(100).await;
        let endpoint = Endpoint::of("crm", &[]);
        let journal = Journal::new(Teller::new("test", vec![endpoint]), Clock::new(), store.clone());
        let tell = |what: What| {
            journal.handle(&Notice {
                call: CallId(1),
                at: Instant::now(),
                what,
            });
        };
        let step = |step: Step| What::Handoff(HandoffId(2), step);
        tell(step(Step::Requested {
            mode: Mode::Warm,
            decision: None,
            target: "a".to_owned(),
            why: String::new(),
            trigger: None,
            talks_on: false,
        }));
        // Before anybody is invited there is nothing to update.
        tell(What::ContextUpdated(package("too early")));
        tell(step(invited("a", "first")));
        tell(What::ContextUpdated(package("second")));
        tell(step(Step::TargetFailed {
            target: "a".to_owned(),
            reason: Reason::Busy,
            status: Some(486),
        }));
        tell(step(invited("b", "third")));
        tell(step(Step::Closed {
            end: End::Cancelled,
            result: Outcome::ReturnedToAi,
            reason: None,
        }));
        store.settled(store.ticket()).await;
        let mut events = Vec::new();
        for sequence in 1..=4 {
            let due = store.read().due("ins_1", "crm", i64::MAX, 10).await.expect("read");
            let [due] = &due[..] else {
                panic!("one at a time: {due:?}")
            };
            let event: Value = serde_json::from_str(&due.body).expect("JSON");
            store.write(Write::Attempt(AttemptRow {
                event: due.event.clone(),
                subject: due.subject.clone(),
                endpoint: "crm".to_owned(),
                status: DeliveryStatus::Delivered,
                attempts: 1,
                answer: "200".to_owned(),
                due_ms: 0,
                at_ms: 0,
            }));
            store.settled(store.ticket()).await;
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(event["source"], "/baton/test");
            assert_eq!(event["subject"], "ho_0000000000000002");
            assert_eq!(event["id"], format!("evt_ho_0000000000000002_{sequence:08}"));
            assert_eq!(event["sequence"], format!("{sequence:08}"));
            assert_eq!(event["datacontenttype"], "application/json");
            assert_eq!(event["dataschema"], "urn:baton:event:1");
            assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')));
            let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
            let data = &event["data"];
            events.push((
                text(&event["type"]),
                text(&data["target"]),
                text(&data["context"]["brief"]),
            ));
        }
        let expected = [
            ("baton.handoff.requested", "a", "first"),
            ("baton.context.updated", "a", "second"),
            ("baton.context.updated", "b", "third"),
            ("baton.handoff.failed", "b", "none"),
        ];
        assert_eq!(
            events,
            expected.map(|(kind, target, brief)| (kind.to_owned(), target.to_owned(), brief.to_owned()))
        );
    }
}
