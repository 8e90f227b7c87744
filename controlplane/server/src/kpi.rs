//! Figures over many handoffs: pure, records in, one document out.

mod calibration;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids::rfc3339;
use calibration::Calibration;

/// Groups that are shown of one kind; the smaller ones are one group together. Intents are words of an AI: there may be many.
const GROUPS: usize = 100;

/// Length of a period, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Hour,
    Day,
}

impl Span {
    fn ms(self) -> i64 {
        match self {
            Span::Hour => 3_600_000,
            Span::Day => 86_400_000,
        }
    }
}

/// What is read of a record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    target: String,
    trunk: String,
    requested_reason: String,
    /// Missing in older records.
    #[serde(deserialize_with = "there")]
    trigger: Option<Value>,
    result: Option<String>,
    reason: Option<String>,
    timeline: Timeline,
    failed_targets: Vec<FailedTarget>,
    context: Option<Context>,
    evidence: Option<BTreeMap<String, Evidence>>,
}

/// `null` is there, too.
fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Record {
    /// The rule that handed off, where one did.
    fn rule(&self) -> Option<&str> {
        match &self.trigger {
            Some(trigger) => trigger["rule"].as_str(),
            // An older one says it in words alone.
            None => Some(self.requested_reason.strip_prefix("rule ")?.split_once(": ")?.0),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Timeline {
    joined: Option<u64>,
    first_human_word: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FailedTarget {
    target: String,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Context {
    fields: Fields,
    completeness: Completeness,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    intent: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Completeness {
    complete: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Evidence {
    lost: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Feedback {
    context: String,
    right_call: bool,
    resolved: bool,
    csat: Option<u64>,
}

/// Figures of some handoffs.
#[derive(Clone, Debug, Default)]
struct Group {
    handoffs: u64,
    open: u64,
    results: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    joined_ms: Vec<u64>,
    word_ms: Vec<u64>,
    complete: u64,
    incomplete: u64,
    lost: u64,
    said: u64,
    said_complete: u64,
    right_call: u64,
    resolved: u64,
    csat: Vec<u64>,
}

/// How one target did, whether it was the last one of a handoff or not.
#[derive(Clone, Debug, Default)]
struct Tried {
    joined: u64,
    failed: BTreeMap<String, u64>,
}

/// Figures in the making.
#[derive(Clone, Debug)]
pub(crate) struct Kpi {
    span: Span,
    total: Group,
    by_intent: BTreeMap<String, Group>,
    by_target: BTreeMap<String, Group>,
    by_period: BTreeMap<i64, Group>,
    by_rule: Calibration,
    tried: BTreeMap<String, Tried>,
    /// REFERs that a trunk refused or did not answer.
    refused: BTreeMap<String, u64>,
}

impl Kpi {
    pub(crate) fn new(span: Span) -> Kpi {
        Kpi {
            span,
            total: Group::default(),
            by_intent: BTreeMap::new(),
            by_target: BTreeMap::new(),
            by_period: BTreeMap::new(),
            by_rule: Calibration::default(),
            tried: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Counts a record of the store. One that cannot be read counts as a handoff of which nothing is known.
    pub(crate) fn add(&mut self, requested_ms: i64, body: &str, feedback: Option<&str>) {
        let record: Record = serde_json::from_str(body).unwrap_or_default();
        let feedback: Option<Feedback> = feedback.and_then(|text| serde_json::from_str(text).ok());
        let intent = record
            .context
            .as_ref()
            .and_then(|context| context.fields.intent.clone());
        let period = requested_ms.div_euclid(self.span.ms()) * self.span.ms();
        for group in [
            &mut self.total,
            self.by_intent.entry(intent.unwrap_or_default()).or_default(),
            self.by_target.entry(record.target.clone()).or_default(),
            self.by_period.entry(period).or_default(),
        ] {
            group.add(&record, feedback.as_ref());
        }
        let joined = is_success(record.result.as_deref());
        self.by_rule.add(record.rule(), joined, feedback.as_ref());
        if joined {
            self.tried.entry(record.target.clone()).or_default().joined += 1;
        }
        for failed in &record.failed_targets {
            let tried = self.tried.entry(failed.target.clone()).or_default();
            *tried.failed.entry(failed.reason.clone()).or_default() += 1;
            if failed.reason.starts_with("refer_") {
                *self.refused.entry(record.trunk.clone()).or_default() += 1;
            }
        }
    }

    /// The document. `undelivered`: handoffs of which an endpoint never got the context.
    pub(crate) fn document(&self, since: Timestamp, until: Timestamp, undelivered: u64) -> Value {
        let time = |ms: i64| Timestamp::from_millisecond(ms).map_or(Value::Null, |time| rfc3339(time).into());
        let targets = |name: &str| match self.tried.get(name) {
            None => json!({}),
            Some(tried) => json!(tried.failed),
        };
        let periods = self.by_period.iter().map(|(&from, group)| {
            let mut entry = Map::new();
            entry.insert("from".to_owned(), time(from));
            entry.insert("until".to_owned(), time(from + self.span.ms()));
            entry.extend(group.figures());
            Value::Object(entry)
        });
        let by_target = grouped("target", &self.by_target).into_iter().map(|mut entry| {
            entry["failures"] = targets(entry["target"].as_str().unwrap_or_default());
            entry
        });
        json!({
            "schema": "baton.kpi/1",
            "since": rfc3339(since),
            "until": rfc3339(until),
            "total": self.total.figures(),
            "context_undelivered": undelivered,
            "by_intent": grouped("intent", &self.by_intent),
            "by_target": by_target.collect::<Vec<_>>(),
            "by_rule": self.by_rule.document(),
            "by_period": periods.collect::<Vec<_>>(),
        })
    }

    /// What stands out, in plain words, each with what to look at.
    pub(crate) fn diagnosis(&self, undelivered: u64) -> Vec<String> {
        let mut findings = Vec::new();
        for (target, tried) in &self.tried {
            let failed: u64 = tried.failed.values().sum();
            // Once is bad luck.
            if tried.joined == 0 && failed >= 3 {
                let reasons = listed(&tried.failed);
                let look = match tried.failed.iter().max_by_key(|(_, count)| **count) {
                    Some((reason, _)) if reason == "unreachable" => {
                        "its uri and next_hop, and whether something listens there"
                    }
                    Some((reason, _)) if reason == "busy" => "how many humans it has, or add a target after it",
                    Some((reason, _)) if reason == "rejected" => {
                        "which codecs and callers it takes, and its credentials"
                    }
                    _ => "who should answer there, and ring_s",
                };
                findings.push(format!(
                    "target {target:?} was tried {failed} times and never joined ({reasons}): look at {look}"
                ));
            }
        }
        for (trunk, count) in &self.refused {
            findings.push(format!(
                "trunk {trunk:?} did not do {count} REFERs, so Baton called the target itself: set its refer = false, or have the \
                 carrier allow them"
            ));
        }
        if undelivered > 0 {
            findings.push(format!(
                "{undelivered} handoffs have a webhook that never got the context: GET /v1/deliveries?status=failed names it; mend it and \
                 replay them"
            ));
        }
        findings.extend(self.by_rule.diagnosis());
        let total = &self.total;
        if total.incomplete > 0 {
            findings.push(format!(
                "{} of {} contexts were incomplete: let the AI send what playbook.required names, before it hands off",
                total.incomplete,
                total.incomplete + total.complete
            ));
        }
        let abandoned = total.results.get("abandoned").copied().unwrap_or_default();
        let closed = total.handoffs - total.open;
        // A twentieth of the callers: what call centres usually allow themselves.
        if abandoned * 20 > closed {
            findings.push(format!(
                "{abandoned} of {closed} callers hung up before the join: look at triggered_to_joined_ms, ring_s and the order of the targets"
            ));
        }
        if total.lost > 0 {
            findings.push(format!(
                "{} packets were lost inside Baton around the joins: run `baton check`, and look at baton_media_* on /metrics",
                total.lost
            ));
        }
        let restarted = total.reasons.get("node_restarted").copied().unwrap_or_default();
        if restarted > 0 {
            findings.push(format!(
                "{restarted} handoffs were cut off by a server that died: look at what its log and the system's say of it"
            ));
        }
        findings
    }
}

fn is_success(result: Option<&str>) -> bool {
    matches!(result, Some("joined" | "transferred"))
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    counts.join(", ")
}

/// The largest groups by their names, and the rest as one; a handoff without such a name is in the group `null`.
fn grouped(kind: &str, groups: &BTreeMap<String, Group>) -> Vec<Value> {
    let mut named: Vec<(&String, &Group)> = groups.iter().collect();
    named.sort_by_key(|(name, group)| (std::cmp::Reverse(group.handoffs), *name));
    let mut rest = Group::default();
    for (_, group) in named.iter().skip(GROUPS) {
        rest.merge(group);
    }
    named.truncate(GROUPS);
    let entry = |name: Value, group: &Group, others: bool| {
        let mut entry = Map::new();
        entry.insert(kind.to_owned(), name);
        entry.insert("others".to_owned(), others.into());
        entry.extend(group.figures());
        Value::Object(entry)
    };
    let mut entries: Vec<Value> = named
        .into_iter()
        .map(|(name, group)| match name.as_str() {
            "" => entry(Value::Null, group, false),
            name => entry(name.into(), group, false),
        })
        .collect();
    if rest.handoffs > 0 {
        entries.push(entry(Value::Null, &rest, true));
    }
    entries
}

impl Group {
    fn add(&mut self, record: &Record, feedback: Option<&Feedback>) {
        self.handoffs += 1;
        match &record.result {
            None => self.open += 1,
            Some(result) => *self.results.entry(result.clone()).or_default() += 1,
        }
        if let Some(reason) = &record.reason {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        if is_success(record.result.as_deref()) {
            self.joined_ms.extend(record.timeline.joined);
            self.word_ms.extend(record.timeline.first_human_word);
        }
        match &record.context {
            None => {}
            Some(context) if context.completeness.complete => self.complete += 1,
            Some(_) => self.incomplete += 1,
        }
        self.lost += record
            .evidence
            .iter()
            .flat_map(BTreeMap::values)
            .map(|one| one.lost)
            .sum::<u64>();
        if let Some(feedback) = feedback {
            self.said += 1;
            self.said_complete += u64::from(feedback.context == "complete");
            self.right_call += u64::from(feedback.right_call);
            self.resolved += u64::from(feedback.resolved);
            self.csat.extend(feedback.csat);
        }
    }

    fn merge(&mut self, other: &Group) {
        let add = |to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>| {
            for (name, count) in from {
                *to.entry(name.clone()).or_default() += count;
            }
        };
        self.handoffs += other.handoffs;
        self.open += other.open;
        add(&mut self.results, &other.results);
        add(&mut self.reasons, &other.reasons);
        self.joined_ms.extend(&other.joined_ms);
        self.word_ms.extend(&other.word_ms);
        self.complete += other.complete;
        self.incomplete += other.incomplete;
        self.lost += other.lost;
        self.said += other.said;
        self.said_complete += other.said_complete;
        self.right_call += other.right_call;
        self.resolved += other.resolved;
        self.csat.extend(&other.csat);
    }

    fn figures(&self) -> Map<String, Value> {
        let closed = self.handoffs - self.open;
        let count = |result: &str| self.results.get(result).copied().unwrap_or_default();
        let joined = count("joined") + count("transferred");
        let feedback = match self.said {
            0 => Value::Null,
            said => json!({
                "count": said,
                "context_complete_rate": rate(self.said_complete, said),
                "right_call_rate": rate(self.right_call, said),
                "resolved_rate": rate(self.resolved, said),
                "csat": rate(self.csat.iter().sum(), self.csat.len() as u64),
            }),
        };
        let figures = json!({
            "handoffs": self.handoffs,
            "open": self.open,
            "results": self.results,
            "reasons": self.reasons,
            "joined": joined,
            "join_rate": rate(joined, closed),
            "abandoned": count("abandoned"),
            "abandon_rate": rate(count("abandoned"), closed),
            "triggered_to_joined_ms": distribution(&self.joined_ms),
            "triggered_to_first_human_word_ms": distribution(&self.word_ms),
            "context_complete": self.complete,
            "context_incomplete": self.incomplete,
            "packets_lost": self.lost,
            "feedback": feedback,
        });
        match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        }
    }
}

/// To four places; `null` of nothing.
fn rate(part: u64, whole: u64) -> Value {
    match whole {
        0 => Value::Null,
        whole => ((part as f64 / whole as f64 * 10_000.0).round() / 10_000.0).into(),
    }
}

/// Percentiles by nearest rank; `null` of nothing.
fn distribution(values: &[u64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let Some(max) = sorted.last() else { return Value::Null };
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted[rank - 1]
    };
    json!({ "count": sorted.len(), "p50": at(50), "p90": at(90), "p99": at(99), "max": max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(kpi: &mut Kpi, at_ms: i64, intent: &str, target: &str, result: &str, joined: Option<u64>) {
        let body = json!({
            "target": target, "result": result, "timeline": { "joined": joined }, "trunk": "carrier",
            "context": { "fields": { "intent": intent }, "completeness": { "complete": intent == "a" } },
        });
        kpi.add(at_ms, &body.to_string(), None);
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("a time")
    }

    #[test]
    fn figures_are_counted_in_all_and_by_intent_target_and_period() {
        let mut kpi = Kpi::new(Span::Hour);
        for n in 1..=100 {
            add(&mut kpi, 1000, "a", "support", "joined", Some(n * 10));
        }
        add(&mut kpi, 3_600_000, "b", "sales", "abandoned", None);
        add(&mut kpi, 3_600_001, "b", "sales", "returned_to_ai", None);
        kpi.add(
            3_600_002,
            "{\"target\":\"sales\"}",
            Some("{\"context\":\"complete\",\"right_call\":true,\"csat\":4}"),
        );
        let document = kpi.document(at(0), at(7_200_000), 2);
        let total = &document["total"];
        assert_eq!(
            (&total["handoffs"], &total["open"], &total["joined"]),
            (&json!(103), &json!(1), &json!(100))
        );
        assert_eq!(total["join_rate"], 0.9804);
        assert_eq!(total["abandoned"], 1);
        let expected = json!({ "count": 100, "p50": 500, "p90": 900, "p99": 990, "max": 1000 });
        assert_eq!(total["triggered_to_joined_ms"], expected);
        assert_eq!(total["triggered_to_first_human_word_ms"], Value::Null);
        assert_eq!(
            (&total["context_complete"], &total["context_incomplete"]),
            (&json!(100), &json!(2))
        );
        assert_eq!(
            (&total["feedback"]["count"], &total["feedback"]["csat"]),
            (&json!(1), &json!(4.0))
        );
        assert_eq!(document["context_undelivered"], 2);
        let names: Vec<_> = document["by_intent"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["intent"])
            .collect();
        assert_eq!(names, [&json!("a"), &json!("b"), &Value::Null]);
        assert_eq!(document["by_target"][1]["target"], "sales");
        assert_eq!(document["by_target"][1]["handoffs"], 3);
        let periods = document["by_period"].as_array().expect("a list");
        assert_eq!(periods.len(), 2);
        assert_eq!(periods[1]["from"], "1970-01-01T01:00:00.000Z");
        assert_eq!(periods[1]["join_rate"], 0.0);
    }

    #[test]
    fn many_intents_are_shown_as_the_largest_and_the_rest() {
        let mut kpi = Kpi::new(Span::Day);
        for n in 0..300 {
            add(&mut kpi, 0, &format!("intent {n}"), "support", "joined", Some(1));
        }
        add(&mut kpi, 0, "intent 299", "support", "joined", Some(1));
        let document = kpi.document(at(0), at(1), 0);
        let groups = document["by_intent"].as_array().expect("a list");
        assert_eq!(groups.len(), GROUPS + 1);
        assert_eq!(groups[0]["intent"], "intent 299");
        assert_eq!(
            (&groups[GROUPS]["others"], &groups[GROUPS]["handoffs"]),
            (&json!(true), &json!(200))
        );
    }

    #[test]
    fn the_diagnosis_names_who_does_not_answer_and_what_to_look_at() {
        let mut kpi = Kpi::new(Span::Day);
        assert_eq!(kpi.diagnosis(0), [""; 0]);
        for reason in ["no_answer", "no_answer", "refer_refused"] {
            let body = json!({
                "target": "support", "trunk": "carrier", "result": "abandoned", "evidence": { "caller": { "lost": 2 } },
                "failed_targets": [{ "target": "sales", "reason": reason }], "reason": "node_restarted",
            });
            kpi.add(0, &body.to_string(), None);
        }
        let found = kpi.diagnosis(4).join("\n");
        for part in [
            "target \"sales\" was tried 3 times and never joined (no_answer 2, refer_refused 1)",
            "trunk \"carrier\" did not do 1 REFERs",
            "4 handoffs have a webhook that never got the context",
            "3 of 3 callers hung up",
            "6 packets were lost",
            "3 handoffs were cut off",
        ] {
            assert!(found.contains(part), "{part} in\n{found}");
        }
    }
}
