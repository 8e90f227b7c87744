//! What was recorded of a conversation: a line of our own format, or the record of its handoff.

use std::time::Duration;

use jiff::Timestamp;
use playbook::context::Turn;
use playbook::replay::{Conversation, Step};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What an entry may be.
pub(super) const WANTED: &str = "an entry is a conversation ({\"turns\": […]}, or with what is expected: {\"steps\": […]}), or a record as GET /v1/handoffs/{id} answers";

/// A conversation, and what became of it.
#[derive(Debug, PartialEq)]
pub(super) struct Recorded {
    pub(super) id: Option<String>,
    pub(super) conversation: Conversation,
    /// `None`: it was not handed off.
    pub(super) was: Option<Was>,
    /// What the human said of the handoff.
    pub(super) right: Option<bool>,
}

/// Why it was handed off.
#[derive(Debug, PartialEq)]
pub(super) struct Was {
    /// `None`: it was asked for by API or REFER.
    pub(super) rule: Option<String>,
    pub(super) why: String,
}

/// A conversation of our own format. Times are RFC 3339; a turn without one was told with the one before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    #[expect(dead_code, reason = "it may be there")]
    schema: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    caller: String,
    /// Default: the first time of the others.
    #[serde(default)]
    started: Option<String>,
    turns: Vec<Turn>,
    /// Known from the beginning.
    #[serde(default)]
    context: Map<String, Value>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default)]
    keys: Vec<Key>,
    /// How long before it other calls of this caller began, seconds.
    #[serde(default)]
    earlier_s: Vec<u64>,
    #[serde(default)]
    handed_off: Option<HandedOff>,
    #[serde(default)]
    right_call: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    at: String,
    context: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    at: String,
    key: char,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandedOff {
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    why: String,
}

/// Reads an entry.
pub(super) fn read(entry: &Value) -> Result<Recorded, String> {
    match entry.get("requested_reason") {
        Some(_) => of_record(entry),
        None => of_line(Line::deserialize(entry).map_err(|error| error.to_string())?),
    }
}

fn of_line(line: Line) -> Result<Recorded, String> {
    let mut steps = Vec::new();
    let mut last = None;
    for turn in line.turns {
        let at = turn.at.as_deref().map(time).transpose()?.or(last);
        last = at;
        steps.push((at, Step::Turn(turn)));
    }
    for patch in line.patches {
        steps.push((Some(time(&patch.at)?), Step::Context(patch.context)));
    }
    for key in line.keys {
        steps.push((Some(time(&key.at)?), Step::Key(key.key)));
    }
    let began = line.started.as_deref().map(time).transpose()?;
    Ok(Recorded {
        id: line.id,
        conversation: Conversation {
            caller: line.caller,
            earlier: line.earlier_s.into_iter().map(Duration::from_secs).collect(),
            steps: in_order(began, line.context, steps),
        },
        was: line.handed_off.map(|HandedOff { rule, why }| Was { rule, why }),
        right: line.right_call,
    })
}

/// A record does not say when its context was told: as if it had been known from the beginning, but for what the turns say themselves. Turns after the
/// request are of another conversation.
fn of_record(record: &Value) -> Result<Recorded, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let requested = record["requested_at"].as_str().map(time).transpose()?;
    let package = &record["context"];
    let transcript = package["transcript"].as_array().ok_or("it has no transcript")?;
    let mut steps = Vec::new();
    let mut last = None;
    let (mut intents, mut sentiments) = (false, false);
    for turn in transcript {
        let turn = Turn::deserialize(turn).map_err(|error| error.to_string())?;
        let at = turn.at.as_deref().map(time).transpose()?.or(last);
        if at.zip(requested).is_some_and(|(at, requested)| at > requested) {
            break;
        }
        last = at;
        intents |= turn.intent.is_some();
        sentiments |= turn.sentiment.is_some();
        steps.push((at, Step::Turn(turn)));
    }
    let mut members = package["fields"].as_object().cloned().unwrap_or_default();
    members.remove("caller");
    if intents {
        members.remove("intent");
    }
    if sentiments {
        members.remove("sentiment");
    }
    let why = text(&record["requested_reason"]).unwrap_or_default();
    let rule = match record.get("trigger") {
        Some(trigger) => text(&trigger["rule"]).zip(text(&trigger["because"])),
        // An older record has it in words alone.
        None => {
            let words = why.strip_prefix("rule ").and_then(|why| why.split_once(": "));
            words.map(|(rule, because)| (rule.to_owned(), because.to_owned()))
        }
    };
    Ok(Recorded {
        id: text(&record["id"]),
        conversation: Conversation {
            caller: text(&record["caller"]).unwrap_or_default(),
            earlier: Vec::new(),
            steps: in_order(None, members, steps),
        },
        was: Some(match rule {
            Some((rule, because)) => Was {
                rule: Some(rule),
                why: because,
            },
            None => Was { rule: None, why },
        }),
        right: record["feedback"]["right_call"].as_bool(),
    })
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("{text:?} is no time of RFC 3339"))
}

/// By their times since the call began, what has none where it stands.
fn in_order(
    began: Option<Timestamp>,
    members: Map<String, Value>,
    mut steps: Vec<(Option<Timestamp>, Step)>,
) -> Vec<(Duration, Step)> {
    let began = began.or_else(|| steps.iter().filter_map(|(at, _)| *at).min());
    let since = |at: Option<Timestamp>| {
        let passed = at.zip(began).map(|(at, began)| at.duration_since(began));
        passed.and_then(|passed| passed.try_into().ok()).unwrap_or_default()
    };
    steps.sort_by_key(|(at, _)| *at);
    let known = (!members.is_empty()).then(|| (Duration::ZERO, Step::Context(Value::Object(members))));
    let steps = steps.into_iter().map(|(at, step)| (since(at), step));
    known.into_iter().chain(steps).collect()
}
