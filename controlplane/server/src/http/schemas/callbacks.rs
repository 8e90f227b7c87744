//! Callers who are called back.

use serde_json::{Value, json};

use super::super::bodies::REASON_MAX;
use super::{count, document, id, object, one_of, or_null, page, request, text, time, to};
use crate::callbacks::CAUSES;
use crate::store::callbacks::CallbackState;

fn described(mut schema: Value, what: &str) -> Value {
    schema["description"] = what.into();
    schema
}

/// The promise in a handoff's record.
pub(super) fn promise() -> Vec<(&'static str, Value)> {
    vec![
        ("id", id("cb")),
        ("from", described(time(), "The caller is called from here …")),
        ("until", described(time(), "… until here.")),
        (
            "time_zone",
            described(
                text(),
                "The IANA time zone on whose clock the slot lies: say it by that one.",
            ),
        ),
    ]
}

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let reason = json!({ "type": "string", "maxLength": REASON_MAX });
    let wish = request(
        &[],
        &[
            (
                "target",
                described(
                    text(),
                    "Who is to have the caller: a target that is a human. Default: `callback.target`.",
                ),
            ),
            ("reason", described(reason, "What the human is told of why.")),
            ("not_before", described(time(), "No slot begins earlier.")),
        ],
    );
    let attempt = object(&[
        ("call", or_null(id("call"))),
        ("at", time()),
        (
            "status",
            json!({ "type": ["integer", "null"], "description": "The SIP status by which the caller was not reached." }),
        ),
        (
            "outcome",
            json!({
                "enum": CAUSES.into_iter().map(Some).chain([Some("joined"), Some("other_call"), None]).collect::<Vec<_>>(),
                "description": "other_call: a human had the caller in this call, which is none of ours to it. null: it is being called.",
            }),
        ),
    ]);
    let members = [
        ("id", id("cb")),
        ("call", described(id("call"), "The call in which it was promised.")),
        ("handoff", or_null(id("ho"))),
        ("state", one_of(&CallbackState::NAMES)),
        ("from", time()),
        ("until", time()),
        ("time_zone", text()),
        (
            "target",
            json!({ "type": ["string", "null"], "description": "Who was asked for; null: nobody." }),
        ),
        (
            "targets",
            json!({
                "type": "array", "items": text(),
                "description": "Who is to have the caller, in order. Empty: whoever the playbook names (a promise of an older version).",
            }),
        ),
        ("reason", text()),
        ("trunk", text()),
        ("ai_agent", text()),
        ("caller", text()),
        ("booked_at", time()),
        (
            "confirmed_at",
            described(
                or_null(time()),
                "When the caller said yes; null: it did not, and is called all the same.",
            ),
        ),
        ("attempts", count()),
        (
            "calls",
            json!({ "type": "array", "items": attempt, "description": "The attempts." }),
        ),
        (
            "cause",
            json!({
                "enum": CAUSES.into_iter().map(Some).chain([Some("replaced"), None]).collect::<Vec<_>>(),
                "description": "What became of the last attempt, where no human had the caller. replaced: it is cancelled, as its caller was \
                                promised another one since.",
            }),
        ),
        (
            "late_ms",
            json!({
                "type": ["integer", "null"],
                "description": "So long after the end of its slot the caller was called first; null: in time.",
            }),
        ),
        ("closed_at", or_null(time())),
    ];
    let entry = object(&members);
    let mut whole = members.to_vec();
    whole.push(("context", or_null(to("Package"))));
    vec![
        ("CallbackRequest", wish),
        ("Promise", document("baton.promise/1", &promise())),
        ("CallbackEntry", entry),
        ("Callback", document("baton.callback/1", &whole)),
        ("Callbacks", page("baton.callbacks/1", "callbacks", "CallbackEntry")),
    ]
}
