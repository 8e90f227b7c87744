//! Handoff records of running calls: what notices say, as the store keeps it and users see it.

pub(crate) mod deliveries;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use calls::handoff::Unrouted;
use calls::notice::{
    CallId, End, Gate, HandoffId, Notice, Opened, Outcome, Party, Reason, Spoken, Step, Trigger, What,
};
use media::evidence::Evidence;
use playbook::Mode;
use playbook::context::Package;
use serde_json::{Map, Value, json};

use crate::callbacks::Booked;
use crate::ids::{self, Clock, rfc3339};
use crate::machine::voicemail::Left;
use crate::otlp;
use crate::store::{HandoffRow, Key};

/// Version of a handoff record.
pub(crate) const HANDOFF_SCHEMA: &str = "baton.handoff/1";

/// The event that carries the context first.
pub(crate) const REQUESTED: &str = "baton.handoff.requested";

/// Closed records that are kept: the store has them all, and most are asked for soon or never.
const CLOSED: usize = 1000;

/// All records, the oldest first.
#[derive(Debug)]
pub(crate) struct Records {
    clock: Clock,
    records: HashMap<HandoffId, Record>,
    /// In the order in which they were asked for.
    order: VecDeque<HandoffId>,
    /// Of live calls.
    calls: HashMap<CallId, CallFacts>,
    /// What stands for the request of a handoff of which nothing was stored yet.
    keys: HashMap<HandoffId, Box<Key>>,
}

/// What is known of a live call beside its handoffs.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallFacts {
    pub(crate) trunk: String,
    pub(crate) ai_agent: String,
    pub(crate) caller: String,
    pub(crate) sequence: u64,
    pub(crate) running: Option<HandoffId>,
}

/// One handoff.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: HandoffId,
    pub(crate) call: CallId,
    pub(crate) facts: CallFacts,
    pub(crate) state: State,
    mode: Mode,
    target: String,
    why: String,
    trigger: Option<Trigger>,
    /// The line of the playbook's matrix that decided how it goes.
    decision: Option<String>,
    /// Where it went by the word of who was asked, or as the playbook says and why, and since when.
    route: Option<(Vec<String>, Option<Unrouted>, Option<Duration>)>,
    /// What its join waited for, why it does not any more, and since when.
    gates: Vec<(Gate, Opened, Option<Duration>)>,
    /// Nothing is announced to the caller.
    talks_on: bool,
    triggered: Instant,
    timeline: Timeline,
    pub(crate) end: Option<(End, Outcome, Option<Reason>, Instant)>,
    /// In the queue that it waited in last, at first.
    place: Option<usize>,
    /// Who of a queue is called, or has the call, by id.
    agent: Option<String>,
    failed_targets: Vec<FailedTarget>,
    context: Option<Box<Package>>,
    token: Option<String>,
    invited: Option<Instant>,
    codecs: Vec<Spoken>,
    /// What the caller left with the answering machine.
    pub(crate) voicemail: Option<Left>,
    /// The promise to call the caller back.
    pub(crate) callback: Option<Booked>,
    /// The caller was told when it would be called back, and wants no call.
    pub(crate) declined: bool,
    evidence: Option<Vec<(Party, Evidence)>>,
    /// Of the last event about it.
    pub(crate) sequence: u64,
    /// Of the event with the context of the last invitation.
    pub(crate) invitation: Option<u64>,
    /// Whether `baton.handoff.requested` went out.
    pub(crate) told: bool,
}

/// Who did not take it.
#[derive(Clone, Debug)]
struct FailedTarget {
    target: String,
    /// Of a queue: whose phone it was; `None` where the line came to nothing.
    agent: Option<String>,
    reason: Reason,
    /// The SIP status that said so.
    status: Option<u16>,
}

/// Where a handoff is. Names as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Requested,
    Announcing,
    Consulting,
    Ringing,
    Briefing,
    Accepted,
    Joined,
    Completed,
    Failed,
    Cancelled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Requested => "requested",
            State::Announcing => "announcing",
            State::Consulting => "consulting",
            State::Ringing => "ringing",
            State::Briefing => "briefing",
            State::Accepted => "accepted",
            State::Joined => "joined",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// When what happened, since the trigger. Of the target that was invited last.
#[derive(Clone, Copy, Debug, Default)]
struct Timeline {
    disclosed: Option<Duration>,
    /// In the line of a queue.
    queued: Option<Duration>,
    announced: Option<Duration>,
    ringing: Option<Duration>,
    answered: Option<Duration>,
    accepted: Option<Duration>,
    joined: Option<Duration>,
    first_human_word: Option<Duration>,
}

impl Records {
    pub(crate) fn new(clock: Clock) -> Records {
        Records {
            clock,
            records: HashMap::new(),
            order: VecDeque::new(),
            calls: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    /// This handoff follows from a request with a key. To be called before its notices come.
    pub(crate) fn remember(&mut self, id: HandoffId, key: Key) {
        self.keys.insert(id, Box::new(key));
    }

    /// Takes a notice in.
    pub(crate) fn handle(&mut self, notice: &Notice) {
        match &notice.what {
            What::CallStarted {
                trunk,
                ai_agent,
                caller,
            } => {
                let facts = self.calls.entry(notice.call).or_default();
                facts.trunk.clone_from(trunk);
                facts.ai_agent.clone_from(ai_agent);
                facts.caller.clone_from(caller);
            }
            What::NotReached { .. } => {}
            What::CallEnded { .. } | What::Turns { .. } | What::Context(_) | What::Legs(_) => {}
            What::Hears { .. } | What::Supervisor { .. } => {}
            What::ContextUpdated(package) => {
                let running = self.calls.get(&notice.call).and_then(|facts| facts.running);
                if let Some(record) = running.and_then(|id| self.records.get_mut(&id)) {
                    record.context = Some(package.clone());
                }
            }
            What::Spoken { handoff, codecs } => {
                if let Some(record) = self.records.get_mut(handoff) {
                    record.codecs.clone_from(codecs);
                }
            }
            What::Handoff(
                id,
                Step::Requested {
                    mode,
                    decision,
                    target,
                    why,
                    trigger,
                    talks_on,
                },
            ) => {
                let facts = self.calls.entry(notice.call).or_default();
                facts.running = Some(*id);
                let mut record = Record::new(*id, notice, facts.clone(), *mode, target, why);
                record.trigger.clone_from(trigger);
                record.talks_on = *talks_on;
                record.decision.clone_from(decision);
                if self.records.insert(*id, record).is_none() {
                    self.order.push_back(*id);
                }
                self.forget_oldest();
            }
            What::Handoff(id, step) => {
                if let Some(record) = self.records.get_mut(id) {
                    record.handle(notice.at, step);
                }
                if matches!(step, Step::Closed { .. })
                    && let Some(facts) = self.calls.get_mut(&notice.call)
                    && facts.running == Some(*id)
                {
                    facts.running = None;
                }
            }
        }
    }

    /// To be called after the events of a `CallEnded` were made: nothing is kept of it but its records.
    pub(crate) fn forget_call(&mut self, call: CallId) {
        self.calls.remove(&call);
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > CLOSED {
            let closed = |id: &HandoffId| self.records.get(id).is_none_or(|record| record.end.is_some());
            // Running ones are bounded by the node's calls.
            let Some(at) = self.order.iter().position(closed) else {
                return;
            };
            if let Some(id) = self.order.remove(at) {
                self.records.remove(&id);
            }
        }
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get(&self, id: HandoffId) -> Option<&Record> {
        self.records.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: HandoffId) -> Option<&mut Record> {
        self.records.get_mut(&id)
    }

    /// What the listeners of a live call got in the window of its last handoff that has one; `null` before.
    pub(crate) fn quality(&self, call: CallId) -> Value {
        let of_call = self.order.iter().rev().filter_map(|id| self.records.get(id));
        let mut measured = of_call
            .filter(|record| record.call == call)
            .filter_map(|record| record.evidence.as_ref());
        measured
            .next()
            .map_or(Value::Null, |evidence| evidence_by_party(evidence))
    }

    pub(crate) fn call_mut(&mut self, id: CallId) -> Option<&mut CallFacts> {
        self.calls.get_mut(&id)
    }

    /// A record as users see it, but for what the store knows of it ([`deliveries::with`]).
    pub(crate) fn body(&self, record: &Record) -> Value {
        self.with_context(record, record.context.as_deref().map(package_value))
    }

    /// A record as the store keeps it: the turns of its transcript are there already.
    pub(crate) fn row(&mut self, id: HandoffId) -> Option<HandoffRow> {
        let key = self.keys.remove(&id);
        let record = self.records.get(&id)?;
        let context = record.context.as_deref();
        let turns = context.map_or(0, |package| package.transcript.len());
        Some(HandoffRow {
            id: ids::handoff(record.id),
            call: ids::call(record.call),
            agent: record.facts.ai_agent.clone(),
            requested_ms: self.clock.ms(record.triggered),
            closed_ms: record.end.map(|(.., at)| self.clock.ms(at)),
            token: record
                .token
                .as_ref()
                .map(|token| ids::digest([token]))
                .unwrap_or_default(),
            turns: i64::try_from(turns).unwrap_or(i64::MAX),
            body: self.with_context(record, context.map(outline)).to_string(),
            key,
            queued: None,
        })
    }

    fn with_context(&self, record: &Record, context: Option<Value>) -> Value {
        let mut body = self.event_view(record);
        if let Value::Object(map) = &mut body {
            map.insert("context".into(), context.into());
            let invited_at = record.invited.map(|at| self.clock.print(at));
            map.insert("context_delivery".into(), json!({ "invited_at": invited_at }));
        }
        body
    }

    /// A record as events carry it.
    pub(crate) fn event_view(&self, record: &Record) -> Value {
        let time = |at: Option<Duration>| at.map(ids::ms);
        let timeline = &record.timeline;
        json!({
            "schema": HANDOFF_SCHEMA,
            "id": ids::handoff(record.id),
            "call": ids::call(record.call),
            "mode": mode_name(record.mode),
            "state": record.state.name(),
            "target": record.target,
            "agent": record.agent,
            "place": record.place,
            "requested_reason": record.why,
            "trigger": record.trigger.as_ref().map(|trigger| json!({ "rule": trigger.rule, "because": trigger.because })),
            "decision": record.decision,
            "result": record.end.map(|(_, result, ..)| outcome_name(result)),
            "reason": record.end.and_then(|(_, _, reason, _)| reason).map(reason_name),
            "trunk": record.facts.trunk,
            "ai_agent": record.facts.ai_agent,
            "caller": record.facts.caller,
            "trace_id": otlp::trace_id(record.call, record.id),
            "sip_trace": ids::trace_path(record.call),
            "requested_at": self.clock.print(record.triggered),
            "closed_at": record.end.map(|(.., at)| self.clock.print(at)),
            "timeline": {
                "triggered": 0,
                "disclosed": time(timeline.disclosed),
                "queued": time(timeline.queued),
                "announced": time(timeline.announced),
                "ringing": time(timeline.ringing),
                "answered": time(timeline.answered),
                "accepted": time(timeline.accepted),
                "joined": time(timeline.joined),
                "first_human_word": time(timeline.first_human_word),
            },
            "failed_targets": record
                .failed_targets
                .iter()
                .map(|failed| {
                    let FailedTarget { target, agent, reason, status } = failed;
                    json!({ "target": target, "agent": agent, "reason": reason_name(*reason), "status": status })
                })
                .collect::<Vec<_>>(),
            "route": record.route.as_ref().map(|(targets, unchanged, at)| {
                let by = if unchanged.is_some() { "playbook" } else { "router" };
                json!({ "by": by, "targets": targets, "why": unchanged.map(Unrouted::name), "at_ms": time(*at) })
            }),
            "gates": record
                .gates
                .iter()
                .map(|(gate, opened, at)| (gate.name().to_owned(), json!({ "opened": opened.name(), "at_ms": time(*at) })))
                .collect::<Map<_, _>>(),
            "codecs": by_party(record.codecs.iter().map(|spoken| (spoken.party, json!(spoken.codec)))),
            "codec_reasons": by_party(record.codecs.iter().map(|spoken| (spoken.party, json!(spoken.why)))),
            "voicemail": record.voicemail.as_ref().map(voicemail_view),
            "callback": record.callback.as_ref().map(callback_view),
            "evidence": record.evidence.as_deref().map(evidence_by_party),
        })
    }
}

impl Record {
    fn new(id: HandoffId, notice: &Notice, facts: CallFacts, mode: Mode, target: &str, why: &str) -> Record {
        Record {
            id,
            call: notice.call,
            facts,
            state: State::Requested,
            mode,
            target: target.to_owned(),
            why: why.to_owned(),
            trigger: None,
            decision: None,
            route: None,
            gates: Vec::new(),
            talks_on: false,
            triggered: notice.at,
            timeline: Timeline::default(),
            end: None,
            place: None,
            agent: None,
            failed_targets: Vec::new(),
            context: None,
            token: None,
            invited: None,
            codecs: Vec::new(),
            voicemail: None,
            callback: None,
            declined: false,
            evidence: None,
            sequence: 0,
            invitation: None,
            told: false,
        }
    }

    /// A step has said that the human has the caller.
    pub(crate) fn was_joined(&self) -> bool {
        self.timeline.joined.is_some()
    }

    /// Who is tried, or has the caller.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Why, in the words of whoever asked.
    pub(crate) fn why(&self) -> &str {
        &self.why
    }

    /// As it was told last.
    pub(crate) fn context(&self) -> Option<&Package> {
        self.context.as_deref()
    }

    /// The rule of the playbook that asked for it, where one did.
    pub(crate) fn rule(&self) -> Option<&str> {
        self.trigger.as_ref().map(|trigger| &*trigger.rule)
    }

    fn handle(&mut self, at: Instant, step: &Step) {
        let since = Some(at.saturating_duration_since(self.triggered));
        match step {
            Step::Requested { .. } | Step::Asked { .. } => {}
            Step::Routed { targets, unchanged } => {
                if let Some(first) = targets.first() {
                    self.target.clone_from(first);
                }
                self.route = Some((targets.clone(), *unchanged, since));
            }
            Step::Queued { target, place } => {
                // Who is in line again, as an agent did not take the call, has been there since the first time.
                if self.target != *target || self.place.is_none() {
                    self.timeline.queued = since;
                    self.place = Some(*place);
                }
                self.target.clone_from(target);
                if self.timeline.announced.is_some() || self.talks_on {
                    self.state = State::Consulting;
                }
            }
            Step::Invited {
                target,
                agent,
                package,
                token,
            } => {
                if self.target != *target {
                    (self.timeline.queued, self.place) = (None, None);
                }
                self.target.clone_from(target);
                self.agent.clone_from(agent);
                self.context = Some(package.clone());
                self.token = Some(token.clone());
                self.invited.get_or_insert(at);
                self.timeline = Timeline {
                    disclosed: self.timeline.disclosed,
                    queued: self.timeline.queued,
                    announced: self.timeline.announced,
                    ..Timeline::default()
                };
                self.gates.clear();
                self.state = match self.timeline.announced.is_some() || self.talks_on {
                    true => State::Consulting,
                    false => State::Announcing,
                };
            }
            Step::Disclosed => self.timeline.disclosed = since,
            Step::Gate { gate, opened } => self.gates.push((*gate, *opened, since)),
            Step::Announced => {
                self.timeline.announced = since;
                if matches!(self.state, State::Requested | State::Announcing) {
                    self.state = State::Consulting;
                }
            }
            Step::Ringing => {
                self.timeline.ringing = since;
                self.state = State::Ringing;
            }
            Step::Answered { agent } => {
                self.timeline.answered = since;
                self.agent = agent.clone().or(self.agent.take());
                if self.mode == Mode::Warm {
                    self.state = State::Briefing;
                }
            }
            Step::Accepted => {
                self.timeline.accepted = since;
                self.state = State::Accepted;
            }
            Step::Joined { codecs } => {
                self.timeline.joined = since;
                // The caller's row may be in force a packet before the human's, and the human may be speaking: the word that
                // goes on is the first one after the join.
                if self.timeline.first_human_word.is_some() {
                    self.timeline.first_human_word = self.timeline.first_human_word.max(since);
                }
                self.codecs.clone_from(codecs);
                self.state = State::Joined;
            }
            Step::Machine { codecs, .. } => self.codecs.clone_from(codecs),
            // It is told by the time at which its packet came, which may have been before the join was known.
            Step::FirstHumanWord => self.timeline.first_human_word = since.max(self.timeline.joined),
            Step::TargetFailed { target, reason, status } => {
                self.failed_targets.push(FailedTarget {
                    target: target.clone(),
                    agent: self.agent.take(),
                    reason: *reason,
                    status: *status,
                });
                self.state = State::Consulting;
            }
            Step::Returned => {}
            Step::Evidence(evidence) => self.evidence = Some(evidence.clone()),
            Step::Closed { end, result, reason } => {
                self.end = Some((*end, *result, *reason, at));
                self.state = match end {
                    End::Completed => State::Completed,
                    End::Failed => State::Failed,
                    End::Cancelled => State::Cancelled,
                };
            }
        }
    }

    /// What opens its context: while it runs, and so long after its end. With a transfer by the carrier that is when the human
    /// answers.
    pub(crate) fn token(&self, now: Instant, after: Duration) -> Option<&str> {
        let opens = self
            .end
            .is_none_or(|(.., at)| now.saturating_duration_since(at) < after);
        self.token.as_deref().filter(|_| opens)
    }

    /// What a trace says of it, by the names of its attributes.
    pub(crate) fn summary(&self) -> Vec<(&'static str, String)> {
        let mut summary = vec![
            ("baton.mode", mode_name(self.mode).to_owned()),
            ("baton.target", self.target.clone()),
            ("baton.state", self.state.name().to_owned()),
        ];
        summary.extend(self.agent.as_ref().map(|agent| ("baton.agent", agent.clone())));
        if let Some((_, result, reason, _)) = self.end {
            summary.push(("baton.result", outcome_name(result).to_owned()));
            summary.extend(reason.map(|reason| ("baton.reason", reason_name(reason).to_owned())));
        }
        summary
    }

    /// Whether it is closed, and neither joined nor taken back.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.end, Some((End::Failed, ..)))
    }

    /// Times since the trigger, for histograms.
    pub(crate) fn since_trigger(&self) -> [(&'static str, Option<Duration>); 6] {
        let Timeline {
            disclosed: _,
            queued: _,
            announced,
            ringing,
            answered,
            accepted,
            joined,
            first_human_word,
        } = self.timeline;
        [
            ("announced", announced),
            ("ringing", ringing),
            ("answered", answered),
            ("accepted", accepted),
            ("joined", joined),
            ("first_human_word", first_human_word),
        ]
    }
}

/// A context package without its transcript.
fn outline(package: &Package) -> Value {
    package_value(&Package {
        schema: package.schema.clone(),
        brief: package.brief.clone(),
        language: package.language.clone(),
        fields: package.fields.clone(),
        caller_id: package.caller_id.clone(),
        disclosure: package.disclosure.clone(),
        transcript: Vec::new(),
        completeness: package.completeness.clone(),
    })
}

/// A context package as JSON.
pub(crate) fn package_value(package: &Package) -> Value {
    serde_json::to_value(package).unwrap_or(Value::Null)
}

/// `id` is `null` where what was said was too short for a message.
fn voicemail_view(left: &Left) -> Value {
    json!({
        "id": left.id,
        "file": left.id.as_ref().map(|id| format!("{id}.wav")),
        "seconds": left.seconds,
        "respond_by": left.respond_by.map(rfc3339),
        "cut": left.cut,
    })
}

/// A promise to call somebody back.
pub(crate) fn callback_view(booked: &Booked) -> Value {
    json!({
        "id": booked.id,
        "from": rfc3339(booked.from),
        "until": rfc3339(booked.until),
        "time_zone": booked.zone,
    })
}

fn by_party(entries: impl Iterator<Item = (Party, Value)>) -> Value {
    let mut map: BTreeMap<Party, Value> = entries.collect();
    let ordered: Map<String, Value> = [Party::Caller, Party::Ai, Party::Human]
        .into_iter()
        .filter_map(|party| Some((party_name(party).to_owned(), map.remove(&party)?)))
        .collect();
    Value::Object(ordered)
}

fn evidence_by_party(evidence: &[(Party, Evidence)]) -> Value {
    by_party(evidence.iter().map(|(party, one)| (*party, evidence_view(one))))
}

/// Evidence with the contract's names; what was not measured is `null`.
pub(crate) fn evidence_view(evidence: &Evidence) -> Value {
    let ms = |duration: Option<Duration>| duration.map(|duration| duration.as_micros() as f64 / 1000.0);
    json!({
        "sent": evidence.sent,
        "lost": evidence.lost,
        "reordered": evidence.reordered,
        "duplicated": evidence.duplicated,
        "sequence_breaks": evidence.sequence_breaks,
        "timestamp_breaks": evidence.timestamp_breaks,
        "longest_gap_ms": ms(evidence.longest_gap),
        "longest_cut_ms": ms(evidence.longest_cut),
        "dead_air_ms": ms(evidence.dead_air),
        "concealed_ms": ms(evidence.concealed),
        "upstream_lost": evidence.upstream_lost,
        "upstream_reordered": evidence.upstream_reordered,
        "upstream_duplicated": evidence.upstream_duplicated,
        "superseded": evidence.superseded,
        "skipped_ms": ms(evidence.skipped),
        "late": evidence.late,
        "buffered_ms": ms(evidence.buffered),
        "drift_ppm": evidence.drift_ppm,
    })
}

/// As in the API.
pub(crate) fn party_name(party: Party) -> &'static str {
    party.name()
}

/// As in the API.
pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Warm => "warm",
        Mode::Cold => "cold",
    }
}

/// As in the API.
pub(crate) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Joined => "joined",
        Outcome::Transferred => "transferred",
        Outcome::Voicemail => "voicemail",
        Outcome::CallbackScheduled => "callback_scheduled",
        Outcome::ReturnedToAi => "returned_to_ai",
        Outcome::ReturnedToHuman => "returned_to_human",
        Outcome::Abandoned => "abandoned",
        Outcome::Failed => "failed",
    }
}

/// As in the API.
pub(crate) fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Busy => "busy",
        Reason::NoAnswer => "no_answer",
        Reason::Rejected => "rejected",
        Reason::Unreachable => "unreachable",
        Reason::CallerHangup => "caller_hangup",
        Reason::Machine => "machine",
        Reason::HumanHangup => "human_hangup",
        Reason::AiGone => "ai_gone",
        Reason::Declined => "declined",
        Reason::ReferRefused => "refer_refused",
        Reason::ReferTimeout => "refer_timeout",
        Reason::NoCapacity => "no_capacity",
        Reason::AfterHours => "after_hours",
        Reason::Error => "error",
    }
}

#[cfg(test)]
mod tests;
