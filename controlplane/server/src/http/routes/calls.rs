//! Live calls.

use axum::http::Method;
use axum::routing::{delete, get, patch, post, put};

use super::{
    AFTER, AWAY, Access, Answer, Body, Content, INVALID, JSON, Kind, LIMIT, MERGE_PATCH, NO_CALL, Operation, Parameter,
    WRONG_STATE, ok, problem,
};
use crate::http::schemas::Schema;
use crate::http::{calls, hears, trace};

pub(super) static OPERATIONS: &[Operation] = &[
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
];
