//! Human agents and queues.

use playbook::routing::Presence;
use serde_json::{Value, json};

use super::{count, counts, document, list, number, object, one_of, page, request, text, texts};

/// Bytes of a name, as a bound on its characters.
const LONGEST: usize = 256;

/// Skills or languages that one can have.
const SKILLS: usize = 64;

fn presence() -> Value {
    one_of(&Presence::ALL.map(Presence::name))
}

fn or_null(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST });
    let skills = json!({
        "type": "object", "maxProperties": SKILLS, "propertyNames": name,
        "additionalProperties": { "type": "integer", "minimum": 1, "maximum": 10 },
        "description": "Each with its level.",
    });
    let languages = json!({
        "type": "array", "maxItems": SKILLS, "items": name, "description": "Each is a skill too, of the highest level, by its tag.",
    });
    let described = |schema: Value, what: &str| {
        let mut schema = schema;
        schema["description"] = what.into();
        schema
    };
    let uri = json!({
        "type": "string", "minLength": 1, "maxLength": LONGEST,
        "description": "Where it is called: one that `patterns` of a queue allows.",
    });
    let calls =
        json!({ "type": "integer", "minimum": 1, "maximum": 255, "description": "How many calls it takes at once." });
    let order = json!({
        "type": "integer", "minimum": 0, "maximum": 65535, "description": "Its place where agents are called in order, the lowest first.",
    });
    let wish = request(
        &["uri"],
        &[
            (
                "name",
                json!({
                    "type": ["string", "null"], "maxLength": LONGEST, "description": "For people. Default: its id.",
                }),
            ),
            ("uri", uri.clone()),
            ("skills", skills.clone()),
            ("languages", languages.clone()),
            (
                "presence",
                json!({
                    "type": ["string", "null"],
                    "enum": Presence::ALL.iter().map(|presence| Some(presence.name())).chain([None]).collect::<Vec<_>>(),
                    "description": "Default: as it is; offline at first.",
                }),
            ),
            ("calls", calls.clone()),
            ("order", order.clone()),
        ],
    );
    let states = ["talking", "ringing", "wrap_up", "set_aside"];
    let states: Vec<_> = states.into_iter().chain(Presence::ALL.map(Presence::name)).collect();
    let agent = document(
        "baton.agent/1",
        &[
            ("id", text()),
            ("name", text()),
            ("uri", text()),
            ("skills", skills),
            ("languages", languages),
            ("presence", presence()),
            ("calls", calls),
            ("order", order),
            (
                "queues",
                described(
                    texts(),
                    "Those that may call it; none where no `patterns` allows its URI any more.",
                ),
            ),
            ("state", described(one_of(&states), "What it does now.")),
            (
                "idle_s",
                described(
                    or_null("integer"),
                    "Since when it has had nothing to do, where it is available.",
                ),
            ),
            (
                "set_aside_s",
                described(
                    or_null("integer"),
                    "For how long it is called for nobody, as it did not answer.",
                ),
            ),
            (
                "handle_s",
                described(
                    or_null("integer"),
                    "How long a talk and its wrap-up took, on the average of the last 15.",
                ),
            ),
            (
                "csat",
                described(or_null("number"), "How callers liked it, 1 to 5, likewise."),
            ),
        ],
    );
    let queue = object(&[
        ("name", described(text(), "That of the target.")),
        ("waiting", described(count(), "Callers who wait.")),
        (
            "longest_wait_s",
            described(number(), "For how long the one has waited who waits longest."),
        ),
        (
            "agents",
            described(counts(), "Those that it may call, by what they do."),
        ),
    ]);
    vec![
        ("AgentRequest", wish),
        ("Agent", agent),
        ("Agents", page("baton.agents/1", "agents", "Agent")),
        ("PresenceRequest", request(&["presence"], &[("presence", presence())])),
        ("Queue", queue),
        ("Queues", document("baton.queues/1", &[("queues", list("Queue"))])),
    ]
}
