//! What the bodies of requests say, once they are JSON: pure, so that any JSON can be tried on them.

use std::collections::{BTreeMap, BTreeSet};

use calls::notice::Party;
use calls::request::{HandoffRequest, Whom};
use calls::supervisor::{Mode, Wish};
use jiff::Timestamp;
use playbook::Mode as HandoffMode;
use playbook::context::Turn;
use playbook::routing::{Presence, Profile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agents::Said;
use crate::ids::rfc3339;

/// Turns in one request at the most.
pub(super) const TURNS_MAX: usize = 1000;

/// The longest reason.
pub(super) const REASON_MAX: usize = 2000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedHandoff {
    #[serde(default)]
    mode: WishedMode,
    target: Option<String>,
    reason: String,
    context: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WishedMode {
    Warm,
    Cold,
    #[default]
    Auto,
}

/// Of a context: when the caller was told of the machine, where it is only said that it was.
pub(super) fn date_disclosure(context: &mut Value) {
    if let Some(Value::Object(disclosure)) = context.get_mut("disclosure")
        && disclosure.get("told") == Some(&Value::Bool(true))
        && !disclosure.contains_key("at")
    {
        disclosure.insert("at".to_owned(), rfc3339(Timestamp::now()).into());
    }
}

/// One turn, or a list of them; each gets a time where it has none.
///
/// # Errors
/// What is wrong, and with which turn.
pub fn turns(body: Value) -> Result<Vec<Turn>, String> {
    let items = match body {
        Value::Array(items) => items,
        one => vec![one],
    };
    if items.is_empty() || items.len() > TURNS_MAX {
        return Err(format!("a list must have 1 to {TURNS_MAX} turns"));
    }
    let mut turns = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let turn = read_turn(item).map_err(|why| format!("turn {index}: {why}"))?;
        turns.push(turn);
    }
    Ok(turns)
}

fn read_turn(item: Value) -> Result<Turn, String> {
    let mut turn: Turn = serde_json::from_value(item).map_err(|error| error.to_string())?;
    let at = match &turn.at {
        None => Timestamp::now(),
        Some(at) => at
            .parse()
            .map_err(|_| format!("at must be a time of RFC 3339, not {at:?}"))?,
    };
    turn.at = Some(rfc3339(at));
    if turn
        .confidence
        .is_some_and(|confidence| !(0.0..=1.0).contains(&confidence))
    {
        return Err("confidence must be from 0 to 1".to_owned());
    }
    let score = turn.sentiment.as_ref().and_then(|sentiment| sentiment.score);
    if score.is_some_and(|score| !(-1.0..=1.0).contains(&score)) {
        return Err("sentiment.score must be from -1 to 1".to_owned());
    }
    Ok(turn)
}

/// A wish for a handoff.
///
/// # Errors
/// What is wrong with it.
pub fn handoff(body: Value) -> Result<HandoffRequest, String> {
    let mut wish: WishedHandoff = serde_json::from_value(body).map_err(|error| error.to_string())?;
    if let Some(context) = &mut wish.context {
        date_disclosure(context);
    }
    if wish.context.as_ref().is_some_and(|context| !context.is_object()) {
        return Err("context must be an object".to_owned());
    }
    if wish.reason.len() > REASON_MAX {
        return Err(format!("reason must not be longer than {REASON_MAX} bytes"));
    }
    Ok(HandoffRequest {
        mode: match wish.mode {
            WishedMode::Warm => Some(HandoffMode::Warm),
            WishedMode::Cold => Some(HandoffMode::Cold),
            WishedMode::Auto => None,
        },
        target: wish.target,
        reason: wish.reason,
        context: wish.context,
        by_ai: false,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedRow {
    leg: WishedParty,
    #[serde(default)]
    gain_db: i8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WishedParty {
    Caller,
    Ai,
    Human,
    Supervisor,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WishedSupervision {
    Listen,
    Whisper,
    Barge,
    Mute,
}

impl From<WishedParty> for Party {
    fn from(party: WishedParty) -> Party {
        match party {
            WishedParty::Caller => Party::Caller,
            WishedParty::Ai => Party::Ai,
            WishedParty::Human => Party::Human,
            WishedParty::Supervisor => Party::Supervisor,
        }
    }
}

/// Rows of the table of who hears whom. `"supervisor"` may have a word in place of a row.
///
/// # Errors
/// What is wrong, and with which row.
pub fn hears(body: Value) -> Result<Wish, String> {
    let Value::Object(rows) = body else {
        return Err("must be an object of rows, by listener".to_owned());
    };
    if rows.is_empty() {
        return Err("has no row".to_owned());
    }
    let mut wish = Wish::default();
    for (name, row) in rows {
        let listener = serde_json::from_value::<WishedParty>(name.as_str().into());
        let listener = Party::from(listener.map_err(|error| error.to_string())?);
        let wrong = |error: serde_json::Error| format!("{name}: {error}");
        if listener == Party::Supervisor && row.is_string() {
            wish.mode = Some(match serde_json::from_value(row).map_err(wrong)? {
                WishedSupervision::Listen => Mode::Listen,
                WishedSupervision::Whisper => Mode::Whisper,
                WishedSupervision::Barge => Mode::Barge,
                WishedSupervision::Mute => Mode::Mute,
            });
            continue;
        }
        let row: Vec<WishedRow> = serde_json::from_value(row).map_err(wrong)?;
        let heard = row.into_iter().map(|heard| (heard.leg.into(), heard.gain_db));
        wish.rows.push((listener, heard.collect()));
    }
    Ok(wish)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedSupervisor {
    target: Option<String>,
    uri: Option<String>,
}

/// Whom to invite as a supervisor.
///
/// # Errors
/// What is wrong with it.
pub fn supervisor(body: Value) -> Result<Whom, String> {
    let wish: WishedSupervisor = serde_json::from_value(body).map_err(|error| error.to_string())?;
    match (wish.target, wish.uri) {
        (Some(name), None) => Ok(Whom::Target(name)),
        (None, Some(uri)) => Ok(Whom::Uri(uri)),
        _ => Err("must have target or uri, and not both".to_owned()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidAgent {
    name: Option<String>,
    uri: String,
    #[serde(default)]
    skills: BTreeMap<String, u8>,
    #[serde(default)]
    languages: BTreeSet<String>,
    presence: Option<Presence>,
    #[serde(default = "one")]
    calls: u8,
    #[serde(default)]
    order: u16,
}

fn one() -> u8 {
    1
}

/// What is said of a human agent: all of it but its presence, which stays as it is where it is not named.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn agent(id: &str, body: Value) -> Result<Said, String> {
    let said: SaidAgent = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let name = said.name.unwrap_or_else(|| id.to_owned());
    if name.contains(char::is_control) {
        return Err("name must not have control characters".to_owned());
    }
    let profile = Profile {
        id: id.to_owned(),
        name,
        uri: said.uri,
        skills: said.skills,
        languages: said.languages,
        presence: Presence::Offline,
        calls: said.calls,
        order: said.order,
    };
    Ok(Said {
        profile,
        presence: said.presence,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidPresence {
    presence: Presence,
}

/// Whether a human agent is there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn presence(body: Value) -> Result<Presence, String> {
    let said: SaidPresence = serde_json::from_value(body).map_err(|error| error.to_string())?;
    Ok(said.presence)
}

/// What an AI promises a caller.
#[derive(Debug)]
pub(crate) struct WishedCallback {
    pub(crate) target: Option<String>,
    pub(crate) reason: String,
    pub(crate) not_before: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidCallback {
    target: Option<String>,
    #[serde(default)]
    reason: String,
    not_before: Option<String>,
}

/// The wish for a callback.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn callback(body: Value) -> Result<WishedCallback, String> {
    let said: SaidCallback = serde_json::from_value(body).map_err(|error| error.to_string())?;
    if said.reason.chars().count() > REASON_MAX {
        return Err(format!("reason must have at most {REASON_MAX} characters"));
    }
    let time = |text: String| {
        text.parse::<Timestamp>()
            .map_err(|error| format!("not_before: {error}"))
    };
    Ok(WishedCallback {
        target: said.target,
        reason: said.reason,
        not_before: said.not_before.map(time).transpose()?,
    })
}

/// The longest note of a feedback.
pub(super) const NOTE_MAX: usize = 2000;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    context: Received,
    right_call: bool,
    resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    csat: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Received {
    Complete,
    Partial,
    Missing,
}

/// What a human thought of a handoff, as it is kept.
///
/// # Errors
/// What is wrong with it.
pub fn feedback(body: Value) -> Result<Value, String> {
    let said: Feedback = serde_json::from_value(body).map_err(|error| error.to_string())?;
    if said.csat.is_some_and(|csat| !(1..=5).contains(&csat)) {
        return Err("csat must be from 1 to 5".to_owned());
    }
    if said.note.as_ref().is_some_and(|note| note.len() > NOTE_MAX) {
        return Err(format!("note must not be longer than {NOTE_MAX} bytes"));
    }
    serde_json::to_value(said).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_turn_gets_its_time_and_its_numbers_are_checked() {
        let turns = super::turns(json!({ "role": "caller", "text": "hi" })).expect("right");
        let at = turns[0].at.as_deref().expect("filled in");
        assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
        let turns =
            super::turns(json!([{ "role": "ai", "text": "hi", "at": "2026-01-02T03:04:05+01:00" }])).expect("right");
        assert_eq!(turns[0].at.as_deref(), Some("2026-01-02T02:04:05.000Z"));
        for wrong in [
            json!([]),
            json!("hi"),
            json!({ "role": "robot", "text": "hi" }),
            json!({ "role": "ai" }),
            json!({ "role": "ai", "text": "hi", "at": "yesterday" }),
            json!({ "role": "ai", "text": "hi", "confidence": 1.1 }),
            json!({ "role": "ai", "text": "hi", "sentiment": { "label": "bad", "score": -2 } }),
            json!({ "role": "ai", "text": "hi", "more": 1 }),
        ] {
            assert!(super::turns(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_disclosure_without_a_time_was_now_and_what_has_one_keeps_it() {
        let mut context = json!({ "disclosure": { "told": true } });
        super::date_disclosure(&mut context);
        let at = context["disclosure"]["at"].as_str().expect("filled in").to_owned();
        assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
        for kept in [
            json!({ "disclosure": { "told": true, "at": "2026-01-02T03:04:05Z" } }),
            json!({ "disclosure": { "told": true, "at": null } }),
            json!({ "disclosure": { "told": false } }),
            json!({ "disclosure": null }),
            json!({}),
        ] {
            let mut context = kept.clone();
            super::date_disclosure(&mut context);
            assert_eq!(context, kept);
        }
    }

    #[test]
    fn a_wish_for_rows_has_rows_or_a_word_for_the_supervisor() {
        use super::{Mode, Party, Wish};
        let wish = super::hears(json!({
            "caller": [{ "leg": "human" }, { "leg": "supervisor", "gain_db": -6 }],
            "human": [],
            "supervisor": "whisper",
        }));
        let rows = vec![
            (Party::Caller, vec![(Party::Human, 0), (Party::Supervisor, -6)]),
            (Party::Human, vec![]),
        ];
        assert_eq!(
            wish,
            Ok(Wish {
                mode: Some(Mode::Whisper),
                rows
            })
        );
        for wrong in [
            json!([]),
            json!({}),
            json!({ "robot": [] }),
            json!({ "caller": "barge" }),
            json!({ "supervisor": "shout" }),
            json!({ "caller": [{ "leg": "robot" }] }),
            json!({ "caller": [{ "leg": "ai", "gain": 1 }] }),
            json!({ "caller": [{ "leg": "ai", "gain_db": 1000 }] }),
            json!({ "caller": [{ "leg": "ai", "gain_db": 1.5 }] }),
            json!({ "caller": ["ai"] }),
        ] {
            assert!(super::hears(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(super::supervisor(json!({ "target": "floor" })).is_ok());
        assert!(super::supervisor(json!({ "uri": "sip:floor@192.0.2.7" })).is_ok());
        for wrong in [
            json!({}),
            json!({ "target": "a", "uri": "b" }),
            json!({ "name": "a" }),
            json!("a"),
        ] {
            assert!(super::supervisor(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_human_thought_is_kept_as_it_was_said_and_checked() {
        let said =
            json!({ "context": "partial", "right_call": true, "resolved": false, "csat": 4, "note": "no account" });
        assert_eq!(super::feedback(said.clone()), Ok(said));
        for wrong in [
            json!({ "context": "partial", "right_call": true }),
            json!({ "context": "some", "right_call": true, "resolved": false }),
            json!({ "context": "partial", "right_call": true, "resolved": false, "csat": 6 }),
            json!({ "context": "partial", "right_call": true, "resolved": false, "csat": 0 }),
            json!({ "context": "partial", "right_call": true, "resolved": false, "note": "x".repeat(2001) }),
            json!({ "context": "partial", "right_call": true, "resolved": false, "by": "me" }),
            json!([]),
        ] {
            assert!(super::feedback(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
