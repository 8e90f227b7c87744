//! A handoff as spans. Pure: the times of its steps and its record in, JSON out.

use std::time::Instant;

use calls::notice::{CallId, HandoffId, Step};
use serde_json::{Value, json};

use super::trace_id;
use crate::ids::{self, Clock};
use crate::records::{Record, reason_name};

/// Targets of one handoff that are told of.
const TARGETS: usize = 32;

/// When what happened.
#[derive(Debug, Default)]
pub(super) struct Steps {
    requested: Option<Instant>,
    announced: Option<Instant>,
    targets: Vec<Target>,
    /// Times in line: of which queue, from when to when.
    lines: Vec<(String, Instant, Option<Instant>)>,
    joined: Option<Instant>,
    first_human_word: Option<Instant>,
    returned: Option<Instant>,
    evidence: Option<Instant>,
    closed: Option<Instant>,
}

/// One target's leg.
#[derive(Debug)]
struct Target {
    name: String,
    /// Of a queue, by id.
    agent: Option<String>,
    invited: Instant,
    ringing: Option<Instant>,
    answered: Option<Instant>,
    accepted: Option<Instant>,
    /// When it did not work out, why, and the SIP status that said so.
    failed: Option<(Instant, &'static str, Option<u16>)>,
}

impl Steps {
    pub(super) fn handle(&mut self, at: Instant, step: &Step) {
        if matches!(
            step,
            Step::Invited { .. } | Step::TargetFailed { .. } | Step::Closed { .. }
        ) && let Some((_, _, to @ None)) = self.lines.last_mut()
        {
            *to = Some(at);
            // It was the line that came to nothing, and not the leg before.
            if matches!(step, Step::TargetFailed { .. }) {
                return;
            }
        }
        match step {
            Step::Requested { .. } => self.requested = Some(at),
            // The record says so.
            Step::Disclosed | Step::Gate { .. } | Step::Asked { .. } | Step::Routed { .. } => {}
            Step::Announced => self.announced = Some(at),
            Step::Queued { target, .. } => {
                let waits = self.lines.last().is_some_and(|(.., to)| to.is_none());
                if !waits && self.lines.len() < TARGETS {
                    self.lines.push((target.clone(), at, None));
                }
            }
            Step::Invited { target, agent, .. } => {
                if self.targets.len() < TARGETS {
                    self.targets.push(Target {
                        name: target.clone(),
                        agent: agent.clone(),
                        invited: at,
                        ringing: None,
                        answered: None,
                        accepted: None,
                        failed: None,
                    });
                }
            }
            Step::Ringing => self.target(|target| target.ringing = Some(at)),
            Step::Answered { agent } => self.target(|target| {
                target.answered = Some(at);
                target.agent = agent.clone().or(target.agent.take());
            }),
            Step::Accepted => self.target(|target| target.accepted = Some(at)),
            Step::TargetFailed { reason, status, .. } => {
                self.target(|target| target.failed = Some((at, reason_name(*reason), *status)));
            }
            Step::Joined { .. } | Step::Machine { .. } => self.joined = Some(at),
            Step::FirstHumanWord => self.first_human_word = Some(at),
            Step::Returned => self.returned = Some(at),
            Step::Evidence(_) => self.evidence = Some(at),
            Step::Closed { .. } => self.closed = Some(at),
        }
    }

    fn target(&mut self, change: impl FnOnce(&mut Target)) {
        if let Some(target) = self.targets.last_mut() {
            change(target);
        }
    }

    /// The spans of a handoff that is closed, the root first.
    pub(super) fn spans(&self, call: CallId, id: HandoffId, clock: &Clock, record: &Record) -> Vec<Value> {
        let (Some(requested), Some(closed)) = (self.requested, self.closed) else {
            return Vec::new();
        };
        let mut tree = Tree {
            trace: trace_id(call, id),
            handoff: id,
            clock,
            spans: Vec::new(),
        };
        let root = tree.add(None, "handoff", requested, closed, record.attributes());
        if record.failed() {
            tree.fail(root);
        }
        for (name, at) in [("first_human_word", self.first_human_word), ("returned", self.returned)] {
            if let Some(at) = at {
                tree.event(root, name, at);
            }
        }
        if let Some(announced) = self.announced {
            tree.add(Some(root), "announce", requested, announced, Vec::new());
        }
        for (queue, from, to) in &self.lines {
            let attributes = vec![attribute("baton.target", &**queue)];
            tree.add(Some(root), "queue", *from, to.unwrap_or(closed), attributes);
        }
        for target in &self.targets {
            let end = target.failed.map(|(at, ..)| at).or(self.joined).unwrap_or(closed);
            let mut attributes = vec![attribute("baton.target", &*target.name)];
            attributes.extend(target.agent.as_deref().map(|agent| attribute("baton.agent", agent)));
            if let Some((_, reason, status)) = target.failed {
                attributes.push(attribute("baton.reason", reason));
                attributes.extend(status.map(|status| attribute("sip.status", i64::from(status))));
            }
            let leg = tree.add(Some(root), "leg", target.invited, end, attributes);
            if target.failed.is_some() {
                tree.fail(leg);
            }
            // Each stage lasts until the next one, or until the leg's end.
            let stages = [
                ("ring", target.ringing, target.answered),
                ("brief", target.answered, target.accepted),
                ("join", target.accepted, self.joined),
            ];
            for (name, from, to) in stages {
                if let Some(from) = from {
                    tree.add(
                        Some(leg),
                        name,
                        from,
                        to.filter(|to| *to <= end).unwrap_or(end),
                        Vec::new(),
                    );
                }
            }
        }
        if let (Some(joined), Some(evidence)) = (self.joined, self.evidence) {
            tree.add(Some(root), "evidence", joined, evidence, Vec::new());
        }
        tree.spans
    }
}

struct Tree<'c> {
    trace: String,
    handoff: HandoffId,
    clock: &'c Clock,
    spans: Vec<Value>,
}

impl Tree<'_> {
    /// Its place.
    fn add(&mut self, parent: Option<usize>, name: &str, from: Instant, to: Instant, attributes: Vec<Value>) -> usize {
        let id = self.span_id(self.spans.len());
        let parent = parent.map_or_else(String::new, |parent| self.span_id(parent));
        self.spans.push(json!({
            "traceId": self.trace,
            "spanId": id,
            "parentSpanId": parent,
            "name": name,
            // SPAN_KIND_INTERNAL
            "kind": 1,
            "startTimeUnixNano": self.nanos(from),
            "endTimeUnixNano": self.nanos(to.max(from)),
            "attributes": attributes,
            "events": [],
            "status": {},
        }));
        self.spans.len() - 1
    }

    fn event(&mut self, span: usize, name: &str, at: Instant) {
        let event = json!({ "name": name, "timeUnixNano": self.nanos(at) });
        if let Some(events) = self.spans[span]["events"].as_array_mut() {
            events.push(event);
        }
    }

    fn fail(&mut self, span: usize) {
        // STATUS_CODE_ERROR
        self.spans[span]["status"] = json!({ "code": 2 });
    }

    /// Eight bytes, not all 0, and no two alike in a trace: the root's is the handoff's own number.
    fn span_id(&self, place: usize) -> String {
        let id = self
            .handoff
            .0
            .wrapping_add((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        format!("{:016x}", id.max(1))
    }

    /// 64 bits are strings in the JSON of protocol buffers.
    fn nanos(&self, at: Instant) -> String {
        self.clock.time(at).as_nanosecond().to_string()
    }
}

impl Record {
    fn attributes(&self) -> Vec<Value> {
        let text = |name: &str, value: &str| attribute(name, value);
        let mut attributes = vec![
            text("baton.call", &ids::call(self.call)),
            text("baton.handoff", &ids::handoff(self.id)),
            text("baton.trunk", &self.facts.trunk),
            text("baton.ai_agent", &self.facts.ai_agent),
        ];
        attributes.extend(self.summary().into_iter().map(|(name, value)| text(name, &value)));
        attributes
    }
}

fn attribute<'v>(name: &str, value: impl Into<Of<'v>>) -> Value {
    let value = match value.into() {
        Of::Text(text) => json!({ "stringValue": text }),
        Of::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": name, "value": value })
}

/// What an attribute can hold.
enum Of<'v> {
    Text(&'v str),
    Number(i64),
}

impl<'v> From<&'v str> for Of<'v> {
    fn from(text: &'v str) -> Of<'v> {
        Of::Text(text)
    }
}

impl From<i64> for Of<'_> {
    fn from(number: i64) -> Self {
        Of::Number(number)
    }
}
