//! The verdict: every promise, with the figure that it stands on.

mod sound;

use std::collections::HashMap;

use serde_json::Value;
use standardwebhooks::Webhook;

use super::children::Who;
use super::packets::{self, Packet};
use super::plan::Case;
use super::receiver::Delivery;
use crate::cli::DemoMode;

/// The longest gap of a line that is kept, without the host's own stalls, ms.
const GAP_MAX_MS: f64 = 40.0;

/// What our figure and the listener's own may differ by, without the host's own stalls, ms.
const AGREE_MS: f64 = 5.0;

/// Everything that a run left.
pub(super) struct Run {
    pub(super) case: Case,
    pub(super) mode: DemoMode,
    /// Of each party: what it said, its recording, its packets.
    pub(super) parties: HashMap<&'static str, Party>,
    /// The handoff as the server's API shows it; `null` without one.
    pub(super) handoff: Value,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) secret: String,
    /// When the events of the server happened, on our clock: by their types.
    pub(super) times: HashMap<String, f64>,
    /// When the handoff was asked for, on our clock.
    pub(super) trigger_ms: Option<f64>,
    /// The longest stall of the host from the trigger to the end, ms.
    pub(super) stall_ms: f64,
    /// When the webhook's receiver came up, where it was down first.
    pub(super) receiver_up_ms: Option<f64>,
    pub(super) server_ended_by_itself: bool,
    pub(super) parties_ended_by_themselves: bool,
}

/// What one party left.
#[derive(Default)]
pub(super) struct Party {
    pub(super) events: Vec<Value>,
    /// What it heard, mono, at 8000 Hz.
    pub(super) recording: Vec<i16>,
    pub(super) packets: Vec<Packet>,
}

impl Party {
    /// The summary of its counts; `null` where it did not come to that.
    pub(super) fn summary(&self) -> &Value {
        self.find("summary", |_| true).unwrap_or(&Value::Null)
    }

    /// The codec of what it heard; none where it heard nothing.
    pub(super) fn codec(&self) -> Option<&str> {
        self.summary()["codec"]
            .as_str()
            .filter(|_| packets::are_heard(&self.packets))
    }

    fn find(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Option<&Value> {
        self.events.iter().find(|event| event["event"] == name && fits(event))
    }

    /// When a SIP message that begins so came.
    fn received(&self, title: &str) -> Option<f64> {
        self.find("sip", |event| {
            event["in"].as_str().is_some_and(|text| text.starts_with(title))
        })
        .and_then(|event| event["t_ms"].as_f64())
    }
}

/// One promise.
pub(super) struct Promise {
    pub(super) held: bool,
    pub(super) what: String,
    pub(super) figure: String,
}

/// All promises of the run, in the order in which a reader cares.
pub(super) fn judge(run: &Run) -> Vec<Promise> {
    let mut judge = Judge {
        run,
        promises: Vec::new(),
    };
    judge.outcome();
    judge.sound();
    judge.line();
    judge.evidence();
    judge.signalling();
    judge.webhooks();
    judge.end();
    judge.promises
}

struct Judge<'r> {
    run: &'r Run,
    promises: Vec<Promise>,
}

impl Judge<'_> {
    fn promise(&mut self, held: bool, what: impl Into<String>, figure: impl Into<String>) {
        self.promises.push(Promise {
            held,
            what: what.into(),
            figure: figure.into(),
        });
    }

    fn party(&self, who: Who) -> &Party {
        &self.run.parties[who.name()]
    }

    fn outcome(&mut self) {
        let (state, result, reason) = match self.run.case {
            Case::Warm | Case::Cold | Case::WebhookDown => ("completed", "joined", None),
            Case::Busy => ("failed", "returned_to_ai", Some("busy")),
            Case::NoAnswer => ("failed", "returned_to_ai", Some("no_answer")),
            Case::Reject => ("failed", "returned_to_ai", Some("rejected")),
            Case::Unreachable => ("failed", "returned_to_ai", Some("unreachable")),
            Case::AfterHours => ("failed", "returned_to_ai", Some("after_hours")),
            Case::Voicemail => ("failed", "returned_to_ai", Some("machine")),
            Case::CallerHangup => ("failed", "abandoned", Some("caller_hangup")),
        };
        let handoff = &self.run.handoff;
        let states = if self.run.case == Case::CallerHangup {
            &["failed", "cancelled"][..]
        } else {
            &[state]
        };
        let is = |name: &str| handoff[name].as_str().unwrap_or("null").to_owned();
        let held = states.contains(&&*is("state")) && is("result") == result && handoff["reason"].as_str() == reason;
        let figure = format!("{} / {} / {}", is("state"), is("result"), is("reason"));
        let wanted = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        self.promise(held, format!("the record says {result}{wanted}"), figure);
    }

    /// The lines as their listeners counted them.
    fn line(&mut self) {
        let listeners: &[Who] = if self.run.case.joins() {
            &[Who::Caller, Who::Human]
        } else {
            &[Who::Caller]
        };
        for who in listeners {
            let summary = self.party(*who).summary().clone();
            let count = |name: &str| summary[name].as_u64();
            let ssrcs = summary["ssrcs"].as_array().map_or(0, Vec::len);
            let name = who.name();
            self.promise(
                ssrcs == 1,
                format!("one SSRC to the {name}, as it counts"),
                format!("{ssrcs}"),
            );
            let names = [
                "lost",
                "duplicated",
                "reordered",
                "sequence_breaks",
                "timestamp_breaks",
                "restarted_clocks",
                "undecodable",
            ];
            let figures = names.map(|name| format!("{name} {}", summary[name])).join(", ");
            self.promise(
                names.iter().all(|name| count(name) == Some(0)),
                format!("nothing lost, doubled, reordered or broken to the {name}, as it counts"),
                format!("{} packets, {figures}", summary["received"]),
            );
            let gap = summary["longest_gap_ms"].as_f64().unwrap_or(f64::INFINITY);
            let most = GAP_MAX_MS + self.run.stall_ms;
            self.promise(
                gap <= most,
                format!("no gap in the line to the {name}, as it counts"),
                format!(
                    "{gap:.1} ms, at most {GAP_MAX_MS:.0} + {:.1} ms host stall",
                    self.run.stall_ms
                ),
            );
        }
    }

    /// The server's own evidence, and whether the caller's agrees.
    fn evidence(&mut self) {
        let evidence = &self.run.handoff["evidence"]["caller"];
        let names = ["lost", "reordered", "duplicated", "sequence_breaks", "timestamp_breaks"];
        let figures = names.map(|name| format!("{name} {}", evidence[name])).join(", ");
        self.promise(
            names.iter().all(|name| evidence[name].as_u64() == Some(0)),
            "the evidence of the caller's line has no fault",
            format!("{} packets, {figures}", evidence["sent"]),
        );
        let stall = self.run.stall_ms;
        let ours = evidence["longest_gap_ms"].as_f64();
        // A target that refuses at once closes the window before a second packet: then there is no gap to measure.
        let too_short = evidence["sent"].as_u64().is_some_and(|sent| sent < 2);
        self.promise(
            too_short && ours.is_none() || ours.is_some_and(|gap| gap <= GAP_MAX_MS + stall),
            "its longest gap",
            match ours {
                Some(gap) => format!("{gap} ms, at most {GAP_MAX_MS:.0} + {stall:.1} ms host stall"),
                None => format!("none in {} packets", evidence["sent"]),
            },
        );
        self.promise(
            evidence["dead_air_ms"].as_f64() == Some(0.0),
            "no dead air",
            format!("{} ms", evidence["dead_air_ms"]),
        );
        if too_short {
            return;
        }
        let theirs = self
            .window()
            .and_then(|(from, to)| packets::longest_gap_ms(&self.party(Who::Caller).packets, from, to));
        let differ = ours.zip(theirs).map(|(ours, theirs)| (ours - theirs).abs());
        self.promise(
            differ.is_some_and(|differ| differ <= AGREE_MS + stall),
            "the evidence agrees with what the caller measured",
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => format!("longest gap {ours:.1} ms sent, {theirs:.1} ms received"),
                _ => "not measured".to_owned(),
            },
        );
    }

    /// From the trigger to where the evidence closed, on our clock.
    fn window(&self) -> Option<(f64, f64)> {
        let timeline = &self.run.handoff["timeline"];
        let trigger = self.run.trigger_ms?;
        let end = match timeline["first_human_word"].as_f64() {
            Some(word) => trigger + word,
            None => *self
                .run
                .times
                .get("handoff.completed")
                .or(self.run.times.get("handoff.failed"))?,
        };
        Some((trigger, end))
    }

    fn signalling(&mut self) {
        let bye = self.party(Who::Ai).received("BYE");
        let cancelled = self.party(Who::Human).received("CANCEL");
        if self.run.case.joins() {
            let joined = self.run.times.get("handoff.joined").copied();
            // The time of the event has whole milliseconds.
            self.promise(
                bye.zip(joined).is_some_and(|(bye, joined)| bye >= joined - 1.0),
                "the AI's BYE came after the join",
                match (bye, joined) {
                    (Some(bye), Some(joined)) => format!("joined at {joined:.0} ms, BYE at {bye:.0} ms"),
                    _ => "one of them never came".to_owned(),
                },
            );
            let timeline = &self.run.handoff["timeline"];
            let mut names = vec!["ringing", "answered", "accepted", "joined", "first_human_word"];
            if self.run.mode == DemoMode::Cold {
                names.retain(|name| *name != "accepted");
            }
            let times: Vec<f64> = names.iter().filter_map(|name| timeline[name].as_f64()).collect();
            self.promise(
                times.len() == names.len() && times.is_sorted(),
                "the timeline is whole and in order",
                format!(
                    "{} ms",
                    names
                        .iter()
                        .map(|name| timeline[name].to_string())
                        .collect::<Vec<_>>()
                        .join(" <= ")
                ),
            );
        } else if self.run.case == Case::Voicemail {
            let bye = self.party(Who::Human).received("BYE");
            self.promise(
                bye.is_some(),
                "the machine is hung up on",
                bye.map_or("no BYE came".to_owned(), |at| format!("BYE at {at:.0} ms")),
            );
        } else if self.run.case.rings() {
            self.promise(
                cancelled.is_some(),
                "the human's phone does not ring on",
                cancelled.map_or("no CANCEL came".to_owned(), |at| format!("CANCEL at {at:.0} ms")),
            );
        } else if self.run.case == Case::AfterHours {
            let invited = self.party(Who::Human).find("invited", |_| true).is_some();
            self.promise(!invited, "nobody is called", format!("invited: {invited}"));
        } else {
            let answered = self.party(Who::Human).find("answered", |_| true).is_some();
            self.promise(!answered, "the human was not joined", format!("answered: {answered}"));
        }
    }

    fn webhooks(&mut self) {
        let deliveries = &self.run.deliveries;
        let verifier = Webhook::new(&self.run.secret);
        let verified = deliveries
            .iter()
            .filter(|delivery| {
                verifier
                    .as_ref()
                    .is_ok_and(|verifier| verifier.verify(delivery.body.as_bytes(), &delivery.headers).is_ok())
            })
            .count();
        let all = deliveries.len();
        self.promise(
            all > 0 && verified == all,
            "the Standard Webhooks library verifies every webhook",
            format!("{verified} of {all}"),
        );

        let mut handoff = vec!["handoff.requested"];
        if self.run.case.rings() {
            handoff.push("handoff.ringing");
        }
        handoff.extend(if self.run.case.joins() {
            &["handoff.answered", "handoff.joined", "handoff.completed"][..]
        } else if self.run.case == Case::Voicemail {
            &["handoff.answered", "handoff.returned", "handoff.failed"][..]
        } else if self.run.case == Case::AfterHours {
            &["handoff.returned", "handoff.failed"][..]
        } else {
            &["handoff.failed"]
        });
        let kinds: Vec<&str> = deliveries.iter().map(Delivery::kind).collect();
        // Order is per subject: the call has one, the handoff another.
        let mut missing = Vec::new();
        for wanted in [vec!["call.started", "call.ended"], handoff] {
            let mut rest = kinds.iter();
            missing.extend(wanted.into_iter().filter(|kind| !rest.any(|other| other == kind)));
        }
        let mut highest: HashMap<&str, u64> = HashMap::new();
        let mut disorder = 0;
        for delivery in deliveries {
            let subject = delivery.event["subject"].as_str().unwrap_or_default();
            let sequence = &delivery.event["sequence"];
            let sequence = sequence
                .as_u64()
                .or_else(|| sequence.as_str()?.parse().ok())
                .unwrap_or(0);
            if highest
                .insert(subject, sequence)
                .is_some_and(|before| before >= sequence)
            {
                disorder += 1;
            }
        }
        self.promise(
            missing.is_empty() && disorder == 0,
            "they came complete and in order",
            if missing.is_empty() && disorder == 0 {
                kinds.join(", ")
            } else {
                format!(
                    "missing or late: {missing:?}, out of sequence: {disorder}; came: {}",
                    kinds.join(", ")
                )
            },
        );

        if self.run.case == Case::AfterHours {
            // It goes out to who is called.
            return;
        }
        let package = deliveries
            .iter()
            .find(|delivery| delivery.kind() == "handoff.requested")
            .and_then(|delivery| object_with(&delivery.event["data"], "completeness"));
        let turns = package
            .and_then(|package| package["transcript"].as_array())
            .map_or(0, Vec::len);
        let complete = package.is_some_and(|package| package["completeness"]["complete"] == true);
        let brief = package
            .and_then(|package| package["brief"].as_str())
            .unwrap_or_default();
        self.promise(
            complete && turns == 4 && !brief.is_empty(),
            "the context went out complete with the request",
            format!(
                "complete: {complete}, {turns} of 4 turns, brief: {} characters",
                brief.len()
            ),
        );
        if let Some(up) = self.run.receiver_up_ms {
            let joined = self.run.times.get("handoff.joined").copied();
            self.promise(
                joined.is_some_and(|joined| joined < up) && deliveries.iter().all(|delivery| delivery.t_ms >= up),
                "the join did not wait for the webhook's receiver",
                match joined {
                    Some(joined) => format!("joined at {joined:.0} ms, receiver up at {up:.0} ms"),
                    None => "not joined".to_owned(),
                },
            );
        }
    }

    fn end(&mut self) {
        self.promise(
            self.run.parties_ended_by_themselves && self.run.server_ended_by_itself,
            "nothing is left over",
            format!(
                "parties ended: {}, server ended: {}",
                self.run.parties_ended_by_themselves, self.run.server_ended_by_itself
            ),
        );
    }
}

/// The first object in a document that has this key.
fn object_with<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) if fields.contains_key(key) => Some(value),
        Value::Object(fields) => fields.values().find_map(|value| object_with(value, key)),
        Value::Array(items) => items.iter().find_map(|value| object_with(value, key)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
