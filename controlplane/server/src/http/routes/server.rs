//! The server as a whole.

use axum::http::Method;
use axum::routing::{get, post};

use super::{AWAY, Access, Answer, Content, Kind, Operation, Parameter, ok, problem};
use crate::http::schemas::Schema;
use crate::http::{events, reload};

pub(super) static OPERATIONS: &[Operation] = &[
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
                what: "Only events about this call, handoff or callback.",
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
