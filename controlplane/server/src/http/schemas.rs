//! What bodies look like: JSON Schema 2020-12, as OpenAPI 3.1 has it. The API's tests hold every answer against it.

mod agents;
mod callbacks;

use media::command::GAIN_DB;
use playbook::context::{FLAGS_MAX, LABEL_MAX, TEXT_MAX};
use serde_json::{Map, Value, json};

use super::bodies::{NOTE_MAX, REASON_MAX, TURNS_MAX};
use crate::config::EVENT_TYPES;

/// A schema, by its name in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    Agent,
    AgentRequest,
    Agents,
    Any,
    Callback,
    CallbackRequest,
    Callbacks,
    Call,
    Calls,
    Context,
    ContextPatch,
    Decision,
    Deliveries,
    Delivery,
    Feedback,
    Handoff,
    HandoffRequest,
    Handoffs,
    Health,
    Hears,
    HearsRequest,
    Kpi,
    Package,
    PresenceRequest,
    Prompt,
    Promise,
    Prompts,
    Queues,
    Voicemails,
    Reload,
    Supervisor,
    SupervisorRequest,
    Targets,
    Trace,
    Turns,
    Vcon,
    Wav,
}

/// Who can be on a call.
const PARTIES: [&str; 4] = ["caller", "ai", "human", "supervisor"];

impl Schema {
    pub(super) fn reference(self) -> Value {
        match self {
            Schema::Any => json!({ "type": "object" }),
            // OpenAPI 3.1 §4.8.14.1: a body that is not text has no schema but what its media type says.
            Schema::Wav => json!({}),
            named => to(&format!("{named:?}")),
        }
    }
}

fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$" })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": to(of) })
}

fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

fn one_of_or_null(values: &[&str]) -> Value {
    let mut all: Vec<Value> = values.iter().map(|&value| value.into()).collect();
    all.push(Value::Null);
    json!({ "type": ["string", "null"], "enum": all })
}

fn id(prefix: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}_[0-9a-f]{{16}}$") })
}

fn counts() -> Value {
    json!({ "type": "object", "additionalProperties": count() })
}

/// An object with all of these members; more may come with a later version.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": names, "properties": properties(members) })
}

/// What somebody sends: nothing else is taken.
fn request(required: &[&str], members: &[(&str, Value)]) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties(members),
        "additionalProperties": false,
    })
}

fn properties(members: &[(&str, Value)]) -> Map<String, Value> {
    members
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect()
}

/// A document that says its own version.
fn document(schema: &str, members: &[(&str, Value)]) -> Value {
    let mut all = vec![("schema", json!({ "const": schema }))];
    all.extend_from_slice(members);
    object(&all)
}

/// A page of a list.
fn page(schema: &str, name: &str, of: &str) -> Value {
    let next =
        json!({ "type": ["string", "null"], "description": "The `after` of the next page; null on the last one." });
    document(schema, &[(name, list(of)), ("next", next)])
}

const STATES: &[&str] = &[
    "requested",
    "announcing",
    "consulting",
    "ringing",
    "briefing",
    "accepted",
    "joined",
    "completed",
    "failed",
    "cancelled",
];
const RESULTS: &[&str] = &[
    "joined",
    "transferred",
    "voicemail",
    "callback_scheduled",
    "returned_to_ai",
    "returned_to_human",
    "abandoned",
    "failed",
];
const REASONS: &[&str] = &[
    "busy",
    "no_answer",
    "rejected",
    "unreachable",
    "machine",
    "caller_hangup",
    "human_hangup",
    "ai_gone",
    "declined",
    "refer_refused",
    "refer_timeout",
    "no_capacity",
    "after_hours",
    "node_restarted",
    "error",
];

/// All of them, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in shared().into_iter().chain(requests()).chain(answers()) {
        all.insert(name.to_owned(), schema);
    }
    all
}

fn shared() -> Vec<(&'static str, Value)> {
    let problem = json!({
        "type": "object",
        "description": "RFC 9457. Problems of some kinds have members of their own.",
        "required": ["schema", "type", "title", "status", "detail"],
        "properties": {
            "schema": { "const": "baton.problem/1" },
            "type": { "type": "string", "pattern": "^urn:baton:problem:[a-z-]+$" },
            "title": text(),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text(),
            "handoff": id("ho"),
            "waiting": count(),
        },
    });
    let sentiment = request(
        &["label"],
        &[
            ("label", json!({ "type": "string", "maxLength": LABEL_MAX })),
            (
                "score",
                json!({ "type": ["number", "null"], "minimum": -1, "maximum": 1 }),
            ),
        ],
    );
    let turn = request(
        &["role", "text"],
        &[
            ("role", one_of(&["caller", "ai"])),
            ("text", json!({ "type": "string", "maxLength": TEXT_MAX })),
            (
                "at",
                json!({ "type": ["string", "null"], "format": "date-time", "description": "Default: now." }),
            ),
            (
                "confidence",
                json!({ "type": ["number", "null"], "minimum": 0, "maximum": 1 }),
            ),
            ("intent", json!({ "type": ["string", "null"], "maxLength": LABEL_MAX })),
            ("sentiment", or_null(to("Sentiment"))),
            (
                "topic",
                json!({ "type": ["string", "null"], "maxLength": LABEL_MAX, "description": "What it is about." }),
            ),
            (
                "language",
                json!({ "type": ["string", "null"], "maxLength": LABEL_MAX, "description": "In which it was said, a tag of BCP 47." }),
            ),
            (
                "flags",
                json!({
                    "type": "array", "maxItems": FLAGS_MAX, "items": { "type": "string", "maxLength": LABEL_MAX },
                    "description": "What the law or the house wants a human for.",
                }),
            ),
        ],
    );
    vec![("Problem", problem), ("Sentiment", sentiment), ("Turn", turn)]
}

fn requests() -> Vec<(&'static str, Value)> {
    let turns = json!({
        "oneOf": [to("Turn"), { "type": "array", "items": to("Turn"), "minItems": 1, "maxItems": TURNS_MAX }],
    });
    let context = json!({
        "type": "object",
        "description": "A JSON merge patch: members replace, objects merge, null removes. Others than these are carried along.",
        "properties": {
            "summary": { "type": ["string", "null"] },
            "intent": { "type": ["string", "null"] },
            "goal": { "type": ["string", "null"] },
            "sentiment": {},
            "fields": { "type": ["object", "null"] },
            "actions_tried": { "type": ["array", "null"] },
            "unresolved": {},
            "authentication": { "type": ["object", "null"] },
            "next_actions": { "type": ["array", "null"] },
            "language": { "type": ["string", "null"], "maxLength": LABEL_MAX, "description": "A tag of BCP 47." },
            "disclosure": {
                "type": ["object", "null"],
                "description": "That the caller was told that it speaks with a machine, and when (told without at: now).",
                "properties": {
                    "told": { "type": ["boolean", "null"] },
                    "at": { "type": ["string", "null"], "format": "date-time" },
                },
            },
        },
    });
    let handoff = request(
        &["reason"],
        &[
            (
                "mode",
                json!({ "type": "string", "enum": ["warm", "cold", "auto"], "default": "auto" }),
            ),
            (
                "target",
                json!({ "type": ["string", "null"], "description": "Its name. Default: as the playbook says." }),
            ),
            ("reason", json!({ "type": "string", "maxLength": REASON_MAX })),
            ("context", or_null(to("ContextPatch"))),
        ],
    );
    let feedback = request(
        &["context", "right_call", "resolved"],
        &[
            ("context", one_of(&["complete", "partial", "missing"])),
            (
                "right_call",
                json!({ "type": "boolean", "description": "Whether the AI was right to hand off." }),
            ),
            ("resolved", flag()),
            (
                "csat",
                json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 5 }),
            ),
            ("note", json!({ "type": ["string", "null"], "maxLength": NOTE_MAX })),
        ],
    );
    vec![
        ("Turns", turns),
        ("ContextPatch", context),
        ("HandoffRequest", handoff),
        ("Feedback", feedback),
    ]
}

fn answers() -> Vec<(&'static str, Value)> {
    let leg = object(&[
        ("party", one_of(&PARTIES)),
        ("state", text()),
        ("sip_call_id", text()),
        ("codec", json!({ "type": ["string", "null"] })),
        (
            "codec_reason",
            json!({ "type": ["string", "null"], "description": "Why this one, in a few words." }),
        ),
        (
            "hears",
            json!({
                "type": "string",
                "description": "What it hears, and by which path.",
                "pattern": r"^(nothing|comfort|(relay|transcode)\((caller|ai|human|supervisor)\)|(mix|play)\(.+\))$",
            }),
        ),
    ]);
    let call = json!({
        "type": "object",
        "required": ["schema", "id", "state", "trunk", "ai_agent", "caller", "handoff", "legs", "sip_trace"],
        "properties": {
            "schema": { "const": "baton.call/1" },
            "id": id("call"),
            "state": text(),
            "trunk": text(),
            "ai_agent": text(),
            "caller": text(),
            "handoff": or_null(id("ho")),
            "legs": list("Leg"),
            "sip_trace": { "type": "string", "description": "Where its SIP messages are." },
            "quality": {
                "description": "What each listener got in the window of the call's last handoff that has one. Not in lists.",
                "anyOf": [to("EvidenceByParty"), { "type": "null" }],
            },
        },
    });
    let decision = json!({
        "type": "object",
        "required": ["schema", "decision"],
        "properties": {
            "schema": { "const": "baton.decision/1" },
            "decision": one_of(&["continue", "handoff"]),
            "rule": text(),
            "because": { "type": "string", "description": "Why the rule hands off, in words." },
            "handoff": id("ho"),
        },
    });
    let context = document(
        "baton.context/1",
        &[("call", id("call")), ("context", json!({ "type": "object" }))],
    );
    let kept = object(&[("key", text()), ("why", text())]);
    let reload = document(
        "baton.reload/1",
        &[
            ("changed", texts()),
            ("needs_restart", json!({ "type": "array", "items": kept })),
        ],
    );
    let prompts = document("baton.prompts/1", &[("prompts", list("Prompt"))]);
    let prompt = object(&[
        ("name", text()),
        ("uploaded", time()),
        ("sha256", json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })),
        ("length_ms", count()),
        ("rate_hz", json!({ "enum": [8000, 16000] })),
        ("used_by", texts()),
    ]);
    let voicemail = object(&[
        ("id", text()),
        ("call", id("call")),
        ("handoff", id("ho")),
        ("target", text()),
        ("caller", json!({ "type": ["string", "null"] })),
        ("began", time()),
        ("seconds", json!({ "type": "number" })),
        ("respond_by", or_null(time())),
    ]);
    let targets = document("baton.targets/1", &[("targets", list("Target"))]);
    let target = json!({
        "type": "object",
        "required": ["name", "ring_s"],
        "properties": { "name": text(), "ring_s": count(), "uri": text(), "next_hop": text(), "voicemail": { "type": "boolean" }, "callback": { "type": "boolean" } },
    });
    let health = document("baton.health/1", &[("status", one_of(&["ok", "ready"]))]);
    let message = object(&[
        ("at", time()),
        ("direction", text()),
        ("party", one_of(&PARTIES)),
        ("transport", text()),
        ("peer", text()),
        ("sip_call_id", text()),
        ("title", text()),
        ("message", text()),
    ]);
    let trace = document(
        "baton.trace/1",
        &[
            ("call", id("call")),
            ("messages", json!({ "type": "array", "items": message })),
            ("omitted", count()),
        ],
    );
    let mut all = vec![
        ("Trace", trace),
        ("Leg", leg),
        ("Call", call),
        ("Calls", page("baton.calls/1", "calls", "Call")),
        ("Decision", decision),
        ("Context", context),
        ("Reload", reload),
        ("Voicemails", page("baton.voicemails/1", "voicemails", "Voicemail")),
        ("Voicemail", voicemail),
        ("Prompts", prompts),
        ("Prompt", prompt),
        ("Targets", targets),
        ("Target", target),
        ("Health", health),
    ];
    all.extend(agents::all());
    all.extend(callbacks::all());
    all.extend(hears());
    all.extend(records());
    all.extend(figures());
    all.push(("Vcon", vcon()));
    all
}

fn hears() -> Vec<(&'static str, Value)> {
    let gain = json!({
        "type": "integer",
        "minimum": GAIN_DB.start(),
        "maximum": GAIN_DB.end(),
        "description": "How much louder, dB.",
    });
    let row = json!({ "type": "array", "items": to("HeardLeg") });
    let rows = PARTIES.map(|party| (party, row.clone()));
    let mut wished = rows.to_vec();
    wished[3].1 = json!({
        "anyOf": [row.clone(), one_of(&["listen", "whisper", "barge", "mute"])],
        "description": "A row, or in a word what the supervisor does.",
    });
    let mut wish = request(&[], &wished);
    wish["minProperties"] = 1.into();
    wish["description"] =
        "Whom each of these hears; who is not named goes on hearing whom it hears. An empty row is silence.".into();
    let mut whom = request(&[], &[("target", text()), ("uri", text())]);
    (whom["minProperties"], whom["maxProperties"]) = (1.into(), 1.into());
    let table = json!({ "type": "object", "properties": properties(&rows), "additionalProperties": false });
    vec![
        ("HearsRequest", wish),
        (
            "HeardLeg",
            request(&["leg"], &[("leg", one_of(&PARTIES)), ("gain_db", gain)]),
        ),
        (
            "Hears",
            document("baton.hears/1", &[("call", id("call")), ("hears", table)]),
        ),
        ("SupervisorRequest", whom),
        (
            "Supervisor",
            document(
                "baton.supervisor/1",
                &[("call", id("call")), ("state", one_of(&["invited"]))],
            ),
        ),
    ]
}

fn records() -> Vec<(&'static str, Value)> {
    let evidence = evidence();
    let parties: Vec<_> = ["caller", "ai", "human"].map(|party| (party, to("Evidence"))).to_vec();
    let by_party = json!({ "type": "object", "properties": properties(&parties), "additionalProperties": false });
    let truth = |what: &str| json!({ "type": ["boolean", "null"], "description": what });
    let mut caller_id = object(&[
        (
            "number",
            json!({ "type": ["string", "null"], "description": "In E.164, with its +." }),
        ),
        (
            "matches",
            truth("Whether it is the one that the AI has on file (playbook.caller_id_field)."),
        ),
        (
            "verified",
            truth("Whether the carrier vouches for it (trunks.verstat)."),
        ),
    ]);
    caller_id["description"] = "The caller's number, and what speaks for it; each is null where nobody knows.".into();
    let mut disclosure = object(&[("told", flag()), ("at", or_null(time()))]);
    disclosure["description"] = "Whether the caller was told that it speaks with a machine, and when.".into();
    let package = document(
        "baton.context/1",
        &[
            ("brief", text()),
            (
                "language",
                json!({ "type": ["string", "null"], "description": "In which the caller speaks, a tag of BCP 47." }),
            ),
            ("fields", json!({ "type": "object" })),
            ("caller_id", caller_id),
            ("disclosure", or_null(disclosure)),
            ("transcript", list("Turn")),
            (
                "completeness",
                object(&[("complete", flag()), ("present", texts()), ("missing", texts())]),
            ),
        ],
    );
    let ms = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let steps = [
        "disclosed",
        "queued",
        "announced",
        "ringing",
        "answered",
        "accepted",
        "joined",
        "first_human_word",
    ];
    let mut timeline = vec![("triggered", json!({ "const": 0 }))];
    timeline.extend(steps.map(|step| (step, ms())));
    let mut timeline = object(&timeline);
    timeline["description"] = "Milliseconds since it was asked for; of the target that was invited last.".into();
    let failed_target = object(&[
        ("target", text()),
        (
            "agent",
            json!({ "type": ["string", "null"], "description": "Of a queue: whose phone it was; null where the line came to nothing." }),
        ),
        ("reason", one_of(REASONS)),
        ("status", json!({ "type": ["integer", "null"] })),
    ]);
    let left = object(&[
        (
            "id",
            json!({ "type": ["string", "null"], "description": "null: too short, and deleted" }),
        ),
        ("file", json!({ "type": ["string", "null"] })),
        ("seconds", json!({ "type": "number" })),
        ("respond_by", or_null(time())),
        (
            "cut",
            json!({ "type": "boolean", "description": "The disk took no more of it." }),
        ),
    ]);
    let context_delivery = object(&[
        ("invited_at", or_null(time())),
        (
            "status",
            one_of(&["unknown", "no_webhook", "delivered", "pending", "undelivered"]),
        ),
        ("delivered_at", or_null(time())),
    ]);
    let feedback = object(&[
        ("context", one_of(&["complete", "partial", "missing"])),
        ("right_call", flag()),
        ("resolved", flag()),
        ("at", time()),
        ("by", text()),
    ]);
    let mut trigger = object(&[("rule", text()), ("because", text())]);
    trigger["description"] =
        "The rule of the playbook that handed off; null where somebody asked by API or REFER.".into();
    let mut decision = text();
    decision["description"] = "The line of the playbook's matrix by which it goes.".into();
    let opened = object(&[("opened", one_of(&["there", "bound"])), ("at_ms", ms())]);
    let gates = json!({
        "type": "object",
        "description": "What the join waited for, or would have: whether it was there, or the bound of the wait had passed, and when.",
        "properties": properties(&[("elements", opened.clone()), ("acknowledged", opened)]),
        "additionalProperties": false,
    });
    let mut route = object(&[
        ("by", one_of(&["router", "playbook"])),
        ("targets", json!({ "type": "array", "items": text() })),
        (
            "why",
            json!({ "type": ["string", "null"], "enum": ["said", "late", "useless", null],
                    "description": "Why the playbook: the router said so, did not answer in time, or gave no answer of use." }),
        ),
        ("at_ms", ms()),
    ]);
    route["description"] = "Where it went, where a router is configured and was asked.".into();
    let handoff = document(
        "baton.handoff/1",
        &[
            ("id", id("ho")),
            ("call", id("call")),
            ("mode", one_of(&["warm", "cold"])),
            ("state", one_of(STATES)),
            ("target", text()),
            (
                "agent",
                json!({ "type": ["string", "null"], "description": "Who of a queue is called, or has the call, by id." }),
            ),
            (
                "place",
                json!({ "type": ["integer", "null"], "minimum": 1, "description": "In the line of the queue, at first; null where nobody had to wait." }),
            ),
            ("requested_reason", text()),
            ("trigger", or_null(trigger)),
            ("decision", or_null(decision)),
            ("result", one_of_or_null(RESULTS)),
            ("reason", one_of_or_null(REASONS)),
            ("trunk", text()),
            ("ai_agent", text()),
            ("caller", text()),
            ("requested_at", time()),
            ("closed_at", or_null(time())),
            ("timeline", timeline),
            ("failed_targets", json!({ "type": "array", "items": failed_target })),
            ("route", or_null(route)),
            ("gates", gates),
            ("codecs", json!({ "type": "object", "additionalProperties": text() })),
            (
                "codec_reasons",
                json!({
                    "type": "object",
                    "description": "Why each has this one, in a few words.",
                    "additionalProperties": text(),
                }),
            ),
            ("voicemail", or_null(left)),
            ("callback", or_null(object(&callbacks::promise()))),
            ("evidence", or_null(to("EvidenceByParty"))),
            ("context", or_null(to("Package"))),
            ("context_delivery", context_delivery),
            ("deliveries", or_null(list("DeliveryEntry"))),
            ("feedback", or_null(feedback)),
            (
                "stored_late_ms",
                json!({ "type": ["integer", "null"], "description": "How long the store kept something about it waiting, where that was long." }),
            ),
        ],
    );
    let entry = [
        ("id", text()),
        ("webhook", text()),
        ("event", text()),
        ("type", one_of(&EVENT_TYPES)),
        ("status", one_of(&["pending", "delivered", "failed"])),
        ("attempts", count()),
        ("answer", json!({ "type": ["string", "null"] })),
        ("queued_at", or_null(time())),
        ("finished_at", or_null(time())),
    ];
    vec![
        ("Evidence", evidence),
        ("EvidenceByParty", by_party),
        ("Package", package),
        ("Handoff", handoff),
        ("Handoffs", page("baton.handoffs/1", "handoffs", "Handoff")),
        ("DeliveryEntry", object(&entry)),
        ("Delivery", document("baton.delivery/1", &entry)),
        ("Deliveries", page("baton.deliveries/1", "deliveries", "DeliveryEntry")),
    ]
}

/// What was not measured is null.
fn evidence() -> Value {
    let counted = [
        "sent",
        "lost",
        "reordered",
        "duplicated",
        "sequence_breaks",
        "timestamp_breaks",
        "upstream_lost",
        "upstream_reordered",
        "upstream_duplicated",
        "superseded",
        "late",
    ];
    let timed = [
        "longest_gap_ms",
        "longest_cut_ms",
        "dead_air_ms",
        "concealed_ms",
        "skipped_ms",
        "buffered_ms",
    ];
    let mut members: Vec<_> = counted.map(|name| (name, count())).to_vec();
    members.extend(timed.map(|name| (name, json!({ "type": ["number", "null"], "minimum": 0 }))));
    members.push(("drift_ppm", json!({ "type": ["integer", "null"] })));
    object(&members)
}

fn figures() -> Vec<(&'static str, Value)> {
    let distribution = ["count", "p50", "p90", "p99", "max"].map(|name| (name, count()));
    let rate = || json!({ "type": ["number", "null"], "minimum": 0, "maximum": 1 });
    let feedback = object(&[
        ("count", count()),
        ("context_complete_rate", rate()),
        ("right_call_rate", rate()),
        ("resolved_rate", rate()),
        ("csat", or_null(number())),
    ]);
    let figures = [
        ("handoffs", count()),
        ("open", count()),
        ("results", counts()),
        ("reasons", counts()),
        ("joined", count()),
        ("join_rate", rate()),
        ("abandoned", count()),
        ("abandon_rate", rate()),
        ("triggered_to_joined_ms", or_null(to("Distribution"))),
        ("triggered_to_first_human_word_ms", or_null(to("Distribution"))),
        ("context_complete", count()),
        ("context_incomplete", count()),
        ("packets_lost", count()),
        ("feedback", or_null(feedback)),
    ];
    let grouped = |more: &[(&'static str, Value)]| {
        let mut members = more.to_vec();
        members.extend(figures.clone());
        json!({ "type": "array", "items": object(&members) })
    };
    let name = || json!({ "type": ["string", "null"] });
    let mut by_rule = object(&[
        ("rule", json!({ "type": ["string", "null"] })),
        ("asked_for", flag()),
        ("others", flag()),
        ("fired", count()),
        ("joined", count()),
        ("right", count()),
        ("wrong", count()),
        ("unrated", count()),
        ("resolved", count()),
        ("right_rate", json!({ "type": ["number", "null"] })),
    ]);
    by_rule["description"] = "What a rule of the playbook handed off, and what humans said of it; `asked_for`: by API or REFER, without a rule.".into();
    let kpi = document(
        "baton.kpi/1",
        &[
            ("since", time()),
            ("until", time()),
            ("total", object(&figures)),
            ("context_undelivered", count()),
            ("by_intent", grouped(&[("intent", name()), ("others", flag())])),
            (
                "by_target",
                grouped(&[("target", name()), ("others", flag()), ("failures", counts())]),
            ),
            ("by_rule", json!({ "type": "array", "items": by_rule })),
            ("by_period", grouped(&[("from", time()), ("until", time())])),
        ],
    );
    vec![("Distribution", object(&distribution)), ("Kpi", kpi)]
}

fn vcon() -> Value {
    let objects = || json!({ "type": "array", "items": { "type": "object" } });
    json!({
        "type": "object",
        "description": "The unsigned form of draft-ietf-vcon-vcon-core.",
        "required": ["vcon", "uuid", "created_at", "parties", "dialog", "analysis"],
        "properties": {
            "vcon": { "const": "0.4.0" },
            "uuid": { "type": "string", "format": "uuid" },
            "created_at": time(),
            "updated_at": time(),
            "subject": text(),
            "parties": objects(),
            "dialog": objects(),
            "analysis": objects(),
            "attachments": objects(),
        },
    })
}
