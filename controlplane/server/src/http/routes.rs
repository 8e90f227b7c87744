//! The table of all operations. The router, the checks before each operation and `/openapi.json` are made of it, so none of them can
//! know an operation that the others do not.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};

use super::problem::Problem;
use super::schemas::Schema;
use super::{
    Shared, agents, callbacks, calls, deliveries, events, guard, handoffs, hears, kpi, openapi, prompts, reload,
    status, targets, trace, voicemails,
};
use crate::store::callbacks::CallbackState;

/// One operation of the API.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// The name that generated clients use.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) query: &'static [Parameter],
    pub(super) headers: &'static [Parameter],
    pub(super) body: Option<Body>,
    /// Beside those that follow from the rest.
    pub(super) answers: &'static [Answer],
    handler: fn() -> MethodRouter<Arc<Shared>>,
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Who has a key; one of scope "ai" for the calls of its own agent.
    Key,
    /// The same, or who has the token of that very handoff.
    KeyOrToken,
    /// What an AI does in its own calls.
    Ai,
    /// What humans do.
    Desk,
    /// What concerns the server as a whole.
    Admin,
}

impl Access {
    /// Scopes of keys that may; none: all may.
    pub(super) fn scopes(self) -> &'static [&'static str] {
        match self {
            Access::Open | Access::Key | Access::KeyOrToken => &[],
            Access::Ai => &["ai", "admin"],
            Access::Desk => &["desk", "admin"],
            Access::Admin => &["admin"],
        }
    }
}

/// A parameter of the query, or a header.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) kind: Kind,
}

/// What a parameter looks like.
pub(super) enum Kind {
    Text,
    Integer(u64, u64),
    Time,
    OneOf(&'static [&'static str]),
}

/// What a request carries.
pub(super) struct Body {
    pub(super) schema: Schema,
    pub(super) media_types: &'static [&'static str],
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) what: &'static str,
    pub(super) content: Content,
}

/// The body of an answer.
pub(super) enum Content {
    Nothing,
    Json(Schema),
    Problem,
    /// Of this media type.
    Text(&'static str),
    /// JSON, or text where the client would rather have it.
    JsonOrText(Schema),
    /// JSON of another media type.
    As(&'static str, Schema),
}

const JSON: &[&str] = &["application/json"];
const MERGE_PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

const AFTER: Parameter = Parameter {
    name: "after",
    what: "The id of the last entry of the page before: the `next` of its answer.",
    kind: Kind::Text,
};
const LIMIT: Parameter = Parameter {
    name: "limit",
    what: "Entries of a page at the most.",
    kind: Kind::Integer(1, 500),
};

const fn ok(what: &'static str, schema: Schema) -> Answer {
    Answer {
        status: 200,
        what,
        content: Content::Json(schema),
    }
}

const fn problem(status: u16, what: &'static str) -> Answer {
    Answer {
        status,
        what,
        content: Content::Problem,
    }
}

const NO_CALL: Answer = problem(404, "There is no such live call, or it is none of the key's agent.");
const NO_HANDOFF: Answer = problem(404, "There is no such handoff, or it is none of the key's agent.");
const NO_DELIVERY: Answer = problem(404, "There is no such delivery.");
const INVALID: Answer = problem(422, "The body is JSON, but not what it must be; `detail` says why.");
const AWAY: Answer = problem(
    503,
    "The server is stopping, or the store does not answer. What was asked for may be done all the same.",
);
const NO_AGENT: Answer = problem(404, "No human agent has this id.");
const NO_CALLBACK: Answer = problem(404, "There is no such callback, or it is none of the key's agent.");
const NO_ROOM: Answer = problem(
    409,
    "There are as many human agents as there can be, or as many names of skills, languages and queues.",
);
const WRONG_STATE: Answer = problem(
    409,
    "The handoff or call is not in a state for it; `detail` says which.",
);

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "/healthz",
        id: "health",
        summary: "Whether the process does its work.",
        access: Access::Open,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("It does.", Schema::Health),
            problem(503, "It does not; `detail` says what."),
        ],
        handler: || get(status::health),
    },
    Operation {
        method: Method::GET,
        path: "/readyz",
        id: "ready",
        summary: "Whether new calls may be sent here.",
        access: Access::Open,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("They may.", Schema::Health),
            problem(503, "Not now: it drains, or the store takes no writes."),
        ],
        handler: || get(status::ready),
    },
    Operation {
        method: Method::GET,
        path: "/openapi.json",
        id: "openapi",
        summary: "This document.",
        access: Access::Open,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("OpenAPI 3.1.", Schema::Any)],
        handler: || get(openapi::serve),
    },
    Operation {
        method: Method::GET,
        path: "/metrics",
        id: "metrics",
        summary: "Metrics in the text format of Prometheus.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[Answer {
            status: 200,
            what: "The exposition format, version 0.0.4.",
            content: Content::Text("text/plain"),
        }],
        handler: || get(status::metrics),
    },
    Operation {
        method: Method::GET,
        path: "/v1/calls",
        id: "listCalls",
        summary: "Live calls, by pages in the order of their ids.",
        access: Access::Key,
        query: &[
            AFTER,
            LIMIT,
            Parameter {
                name: "sip_call_id",
                what: "Only the call of which a leg has this SIP Call-ID.",
                kind: Kind::Text,
            },
        ],
        headers: &[],
        body: None,
        answers: &[ok("A page.", Schema::Calls), AWAY],
        handler: || get(calls::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/calls/{call}",
        id: "getCall",
        summary: "One live call: its legs, their codecs, and by which path each hears whom.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("The call.", Schema::Call), NO_CALL, AWAY],
        handler: || get(calls::one),
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/calls/{call}",
        id: "hangUp",
        summary: "Hang up.",
        access: Access::Ai,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "Every leg is being ended.",
                content: Content::Nothing,
            },
            NO_CALL,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || delete(calls::hang_up),
    },
    Operation {
        method: Method::GET,
        path: "/v1/calls/{call}/trace",
        id: "getTrace",
        summary: "The SIP messages of a call's legs, while it lives and for some time after.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 200,
                what: "The messages; as a ladder where `Accept` names text/plain first.",
                content: Content::JsonOrText(Schema::Trace),
            },
            problem(404, "There is no trace of such a call, or not any more."),
        ],
        handler: || get(trace::one),
    },
    Operation {
        method: Method::POST,
        path: "/v1/calls/{call}/turns",
        id: "appendTurns",
        summary: "Append turns of the conversation; the playbook decides.",
        access: Access::Ai,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::Turns,
            media_types: JSON,
        }),
        answers: &[
            ok("What the playbook decided.", Schema::Decision),
            NO_CALL,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || post(calls::turns),
    },
    Operation {
        method: Method::PATCH,
        path: "/v1/calls/{call}/context",
        id: "patchContext",
        summary: "Merge into the context of the call (RFC 7396).",
        access: Access::Ai,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::ContextPatch,
            media_types: MERGE_PATCH,
        }),
        answers: &[
            ok("The context after the merge.", Schema::Context),
            NO_CALL,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || patch(calls::context),
    },
    Operation {
        method: Method::PUT,
        path: "/v1/calls/{call}/hears",
        id: "putHears",
        summary: "Say who hears whom while the call talks: mute, gains, and what a supervisor does.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::HearsRequest,
            media_types: JSON,
        }),
        answers: &[
            ok("The whole table, in force.", Schema::Hears),
            NO_CALL,
            problem(
                409,
                "A handoff has the rows, the call is not in a state for it, or the data plane refuses (`refusal`); all is as it was.",
            ),
            INVALID,
            AWAY,
        ],
        handler: || put(hears::put),
    },
    Operation {
        method: Method::POST,
        path: "/v1/calls/{call}/supervisors",
        id: "supervise",
        summary: "Invite a supervisor, who listens.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::SupervisorRequest,
            media_types: JSON,
        }),
        answers: &[
            Answer {
                status: 202,
                what: "It is invited; events tell what becomes of it.",
                content: Content::Json(Schema::Supervisor),
            },
            NO_CALL,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || post(hears::supervise),
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/calls/{call}/supervisors",
        id: "dismissSupervisor",
        summary: "Let the supervisor go.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "Its leg is being ended.",
                content: Content::Nothing,
            },
            problem(404, "There is no such live call, or it has no supervisor."),
            AWAY,
        ],
        handler: || delete(hears::dismiss),
    },
    Operation {
        method: Method::POST,
        path: "/v1/calls/{call}/handoffs",
        id: "handOff",
        summary: "Ask for a handoff.",
        access: Access::Key,
        query: &[],
        headers: &[Parameter {
            name: "Idempotency-Key",
            what: "1 to 255 characters. The same request with the same key makes one handoff.",
            kind: Kind::Text,
        }],
        body: Some(Body {
            schema: Schema::HandoffRequest,
            media_types: JSON,
        }),
        answers: &[
            Answer {
                status: 202,
                what: "It has begun, and is in the store. `Location` says where it is.",
                content: Content::Json(Schema::Handoff),
            },
            NO_CALL,
            problem(
                409,
                "One is running: `handoff` is its id. Or the call is not in a state for it; `detail` says which.",
            ),
            INVALID,
            AWAY,
        ],
        handler: || post(handoffs::create),
    },
    Operation {
        method: Method::GET,
        path: "/v1/handoffs",
        id: "listHandoffs",
        summary: "Records of handoffs, by pages, the oldest first.",
        access: Access::Key,
        query: &[
            AFTER,
            LIMIT,
            Parameter {
                name: "call",
                what: "Only those of this call.",
                kind: Kind::Text,
            },
        ],
        headers: &[],
        body: None,
        answers: &[ok("A page.", Schema::Handoffs), AWAY],
        handler: || get(handoffs::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/handoffs/{id}",
        id: "getHandoff",
        summary: "The record of a handoff.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("The record.", Schema::Handoff), NO_HANDOFF, AWAY],
        handler: || get(handoffs::one),
    },
    Operation {
        method: Method::GET,
        path: "/v1/handoffs/{id}/context",
        id: "getContextPackage",
        summary: "What the human gets to know.",
        access: Access::KeyOrToken,
        query: &[Parameter {
            name: "token",
            what: "In place of a key: that of the URL in the Call-Info of the human's INVITE, while the handoff runs.",
            kind: Kind::Text,
        }],
        headers: &[],
        body: None,
        answers: &[
            ok("The context package.", Schema::Package),
            problem(404, "There is no such handoff, or nobody was invited yet."),
            AWAY,
        ],
        handler: || get(handoffs::context),
    },
    Operation {
        method: Method::GET,
        path: "/v1/handoffs/{id}/vcon",
        id: "getVcon",
        summary: "The record as a vCon (draft-ietf-vcon-vcon-core), without recordings.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 200,
                what: "An unsigned vCon.",
                content: Content::As(super::vcon::MEDIA_TYPE, Schema::Vcon),
            },
            NO_HANDOFF,
            AWAY,
        ],
        handler: || get(handoffs::vcon),
    },
    Operation {
        method: Method::POST,
        path: "/v1/handoffs/{id}/acknowledge",
        id: "acknowledge",
        summary: "Say that the human's desk has the context: a join may wait for that (playbook.context).",
        access: Access::KeyOrToken,
        query: &[Parameter {
            name: "token",
            what: "In place of a key: that of the URL in the Call-Info of the human's INVITE.",
            kind: Kind::Text,
        }],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "It is noted.",
                content: Content::Nothing,
            },
            NO_HANDOFF,
            WRONG_STATE,
            AWAY,
        ],
        handler: || post(handoffs::acknowledge),
    },
    Operation {
        method: Method::POST,
        path: "/v1/handoffs/{id}/accept",
        id: "accept",
        summary: "The human takes the call.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("The record.", Schema::Handoff),
            NO_HANDOFF,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || post(handoffs::accept),
    },
    Operation {
        method: Method::POST,
        path: "/v1/handoffs/{id}/decline",
        id: "decline",
        summary: "The human does not take the call.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("The record.", Schema::Handoff),
            NO_HANDOFF,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || post(handoffs::decline),
    },
    Operation {
        method: Method::POST,
        path: "/v1/handoffs/{id}/cancel",
        id: "cancel",
        summary: "Take the request for a handoff back.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("The record.", Schema::Handoff),
            NO_HANDOFF,
            WRONG_STATE,
            INVALID,
            AWAY,
        ],
        handler: || post(handoffs::cancel),
    },
    Operation {
        method: Method::POST,
        path: "/v1/handoffs/{id}/feedback",
        id: "giveFeedback",
        summary: "What the human thought of the handoff, in place of what was said before.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::Feedback,
            media_types: JSON,
        }),
        answers: &[
            ok("The record, with it; it is in the store.", Schema::Handoff),
            NO_HANDOFF,
            INVALID,
            AWAY,
        ],
        handler: || post(handoffs::feedback),
    },
    Operation {
        method: Method::GET,
        path: "/v1/targets",
        id: "listTargets",
        summary: "Whom calls can be handed to. How they are reached is not shown to keys of scope \"ai\".",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("All of them, in the order of the configuration.", Schema::Targets)],
        handler: || get(targets::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/deliveries",
        id: "listDeliveries",
        summary: "What webhooks were told and are to be told, by pages, the oldest first.",
        access: Access::Desk,
        query: &[
            AFTER,
            LIMIT,
            Parameter {
                name: "status",
                what: "Only those; `failed` are dead letters.",
                kind: Kind::OneOf(&["pending", "delivered", "failed"]),
            },
        ],
        headers: &[],
        body: None,
        answers: &[ok("A page.", Schema::Deliveries), AWAY],
        handler: || get(deliveries::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/deliveries/{id}",
        id: "getDelivery",
        summary: "What became of one event at one webhook.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("The delivery.", Schema::Delivery), NO_DELIVERY, AWAY],
        handler: || get(deliveries::one),
    },
    Operation {
        method: Method::POST,
        path: "/v1/deliveries/{id}/replay",
        id: "replay",
        summary: "Tell an event again, with the same id.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 202,
                what: "It waits to be told.",
                content: Content::Json(Schema::Delivery),
            },
            NO_DELIVERY,
            problem(409, "It waits already, or its webhook is not configured any more."),
            AWAY,
        ],
        handler: || post(deliveries::replay),
    },
    Operation {
        method: Method::GET,
        path: "/v1/kpi",
        id: "kpi",
        summary: "Figures over the handoffs of a period: in all, by intent, by target, by rule of the playbook, by hour or day.",
        access: Access::Key,
        query: &[
            Parameter {
                name: "since",
                what: "From when on they were asked for. Default: 24 hours before `until`.",
                kind: Kind::Time,
            },
            Parameter {
                name: "until",
                what: "Until when. Default: now.",
                kind: Kind::Time,
            },
            Parameter {
                name: "by",
                what: "Length of the periods, in UTC. Default: hour.",
                kind: Kind::OneOf(&["hour", "day"]),
            },
        ],
        headers: &[],
        body: None,
        answers: &[
            ok("The figures.", Schema::Kpi),
            problem(422, "The period is too long, or has too many handoffs."),
            AWAY,
        ],
        handler: || get(kpi::show),
    },
    Operation {
        method: Method::GET,
        path: "/v1/agents",
        id: "listAgents",
        summary: "Human agents and what they do now, by pages in the order of their ids.",
        access: Access::Desk,
        query: &[AFTER, LIMIT],
        headers: &[],
        body: None,
        answers: &[ok("A page.", Schema::Agents), AWAY],
        handler: || get(agents::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/agents/{agent}",
        id: "getAgent",
        summary: "A human agent, and what it does now.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("The agent.", Schema::Agent), NO_AGENT, AWAY],
        handler: || get(agents::one),
    },
    Operation {
        method: Method::PUT,
        path: "/v1/agents/{agent}",
        id: "putAgent",
        summary: "Say who a human agent is, in place of what was said of it: queues whose `patterns` allow its URI call it from now on.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::AgentRequest,
            media_types: JSON,
        }),
        answers: &[
            ok("It is on the disk.", Schema::Agent),
            NO_ROOM,
            problem(
                422,
                "It is no id of an agent, the body is not what it must be, or no queue may call its URI; `detail` says which.",
            ),
            AWAY,
        ],
        handler: || put(agents::put),
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/agents/{agent}",
        id: "deleteAgent",
        summary: "Forget a human agent: it is called no more. A talk goes on.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "It is gone.",
                content: Content::Nothing,
            },
            NO_AGENT,
            AWAY,
        ],
        handler: || delete(agents::remove),
    },
    Operation {
        method: Method::PUT,
        path: "/v1/agents/{agent}/presence",
        id: "putPresence",
        summary: "Say whether a human agent is there. Who says that it is available is set aside no more.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::PresenceRequest,
            media_types: JSON,
        }),
        answers: &[
            ok("It is on the disk.", Schema::Agent),
            NO_AGENT,
            NO_ROOM,
            INVALID,
            AWAY,
        ],
        handler: || put(agents::presence),
    },
    Operation {
        method: Method::GET,
        path: "/v1/queues",
        id: "listQueues",
        summary: "Queues: who waits, and what their agents do.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("All, in the order of the configuration.", Schema::Queues), AWAY],
        handler: || get(agents::queues),
    },
    Operation {
        method: Method::GET,
        path: "/v1/prompts",
        id: "listPrompts",
        summary: "Prompts that were uploaded, and the keys of the configuration that name them.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("All, by their names.", Schema::Prompts), AWAY],
        handler: || get(prompts::list),
    },
    Operation {
        method: Method::PUT,
        path: "/v1/prompts/{prompt}",
        id: "putPrompt",
        summary: "Upload a WAV file: it is kept in the store, and played where the configuration names it, by what begins from now on.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::Wav,
            media_types: &["audio/wav"],
        }),
        answers: &[
            ok("It is on the disk.", Schema::Prompt),
            problem(
                409,
                "There is no room for it beside those that calls may still be playing.",
            ),
            problem(
                422,
                "It is no name of a prompt, or the body no WAV file that can be played; `detail` says what it must be.",
            ),
            AWAY,
        ],
        handler: || put(prompts::put),
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/prompts/{prompt}",
        id: "deletePrompt",
        summary: "Delete a prompt that the configuration does not name.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "It is gone.",
                content: Content::Nothing,
            },
            problem(404, "There is no such prompt."),
            problem(409, "The configuration names it; `used_by` says where."),
            problem(422, "It is no name of a prompt."),
            AWAY,
        ],
        handler: || delete(prompts::remove),
    },
    Operation {
        method: Method::GET,
        path: "/v1/voicemails",
        id: "listVoicemails",
        summary: "Messages that callers left with the answering machine; one that is being recorded is among them.",
        access: Access::Desk,
        query: &[AFTER, LIMIT],
        headers: &[],
        body: None,
        answers: &[
            ok("A page of them, in the order of their ids.", Schema::Voicemails),
            AWAY,
        ],
        handler: || get(voicemails::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/voicemails/{voicemail}",
        id: "playVoicemail",
        summary: "The sound of a message: a WAV file, 16 bit, 8000 Hz.",
        access: Access::Desk,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 200,
                what: "As it was recorded.",
                content: Content::Text("audio/wav"),
            },
            problem(404, "There is no such message."),
        ],
        handler: || get(voicemails::play),
    },
    Operation {
        method: Method::GET,
        path: "/v1/callbacks",
        id: "listCallbacks",
        summary: "Callers who were promised to be called back, by pages: those that were promised first come first.",
        access: Access::Key,
        query: &[
            Parameter {
                name: "state",
                what: "Only those in this state.",
                kind: Kind::OneOf(&CallbackState::NAMES),
            },
            AFTER,
            LIMIT,
        ],
        headers: &[],
        body: None,
        answers: &[ok("A page.", Schema::Callbacks), AWAY],
        handler: || get(callbacks::list),
    },
    Operation {
        method: Method::GET,
        path: "/v1/callbacks/{callback}",
        id: "getCallback",
        summary: "A callback, and the context that the human will have.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[ok("The callback.", Schema::Callback), NO_CALLBACK, AWAY],
        handler: || get(callbacks::one),
    },
    Operation {
        method: Method::DELETE,
        path: "/v1/callbacks/{callback}",
        id: "cancelCallback",
        summary: "Cancel a callback that waits for its time: its slot is free again.",
        access: Access::Key,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            Answer {
                status: 204,
                what: "It is cancelled.",
                content: Content::Nothing,
            },
            NO_CALLBACK,
            problem(409, "The caller is being called, or it is over."),
            AWAY,
        ],
        handler: || delete(callbacks::cancel),
    },
    Operation {
        method: Method::POST,
        path: "/v1/calls/{call}/callback",
        id: "promiseCallback",
        summary: "Promise the caller of a live call to be called back, at the number that it calls from: the first slot that is free. The AI \
                  tells the caller.",
        access: Access::Ai,
        query: &[],
        headers: &[],
        body: Some(Body {
            schema: Schema::CallbackRequest,
            media_types: JSON,
        }),
        answers: &[
            Answer {
                status: 201,
                what: "It is on the disk. Where the caller has one that waits, it is that one.",
                content: Content::Json(Schema::Promise),
            },
            NO_CALL,
            problem(
                409,
                "No slot has room (no-slot), the caller shows no number (no-number), or its trunk has no way out (no-way-out).",
            ),
            problem(
                422,
                "The body is not what it must be, or no human target has this name; `detail` says which.",
            ),
            AWAY,
        ],
        handler: || post(callbacks::promise),
    },
    Operation {
        method: Method::POST,
        path: "/v1/reload",
        id: "reload",
        summary: "Reads the configuration's file anew: what counts from now on, and what does not and why.",
        access: Access::Admin,
        query: &[],
        headers: &[],
        body: None,
        answers: &[
            ok("Running calls keep what they began with.", Schema::Reload),
            problem(409, "The server was started without a file."),
            problem(
                422,
                "The file has mistakes, which `problems` lists: nothing has changed.",
            ),
            AWAY,
        ],
        handler: || post(reload::reload),
    },
    Operation {
        method: Method::GET,
        path: "/v1/events",
        id: "followEvents",
        summary: "What webhooks are told, as server-sent events.",
        access: Access::Key,
        query: &[
            Parameter {
                name: "types",
                what: "Only these types, with commas between them.",
                kind: Kind::Text,
            },
            Parameter {
                name: "subject",
                what: "Only events about this call or handoff.",
                kind: Kind::Text,
            },
            Parameter {
                name: "call",
                what: "Only events about this call and its handoffs; and its turns and context, those that are known first, then each as it is told: \
                       `baton.call.turn` (`baton.turn/1`: call, number, turn) and `baton.call.context` (call, context), which have no id.",
                kind: Kind::Text,
            },
        ],
        headers: &[Parameter {
            name: "Last-Event-ID",
            what: "Go on after this event; \"0\": from the oldest that is kept. Default: from now on.",
            kind: Kind::Text,
        }],
        body: None,
        answers: &[
            Answer {
                status: 200,
                what: "Each `data` is a CloudEvent, `id` its id, `event` its type. Does not end.",
                content: Content::Text("text/event-stream"),
            },
            problem(
                410,
                "The event of Last-Event-ID is not kept any more: read the records, and begin without it.",
            ),
            problem(503, "There are too many readers, or the server is stopping."),
        ],
        handler: || get(events::follow),
    },
];

/// What the design has and this version does not: said so, instead of "no such path".
const NOT_BUILT: &[&str] = &["/v1/calls/{call}/recording"];

/// The router of all operations.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for operation in OPERATIONS {
        let guarded = from_fn_with_state((Arc::clone(&shared), operation), guard::guard);
        router = router.route(operation.path, (operation.handler)().route_layer(guarded));
    }
    for path in NOT_BUILT {
        let missing = || async { Problem::new(StatusCode::NOT_FOUND, "not-built", "this is not built yet") };
        router = router.route(path, any(missing));
    }
    router
        .fallback(async || Problem::not_found("there is no such path; /openapi.json has all"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path has no such method",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&shared), super::count))
        .with_state(shared)
}
