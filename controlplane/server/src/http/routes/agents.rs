//! Human agents and queues.

use axum::http::Method;
use axum::routing::{delete, get, put};

use super::{
    AFTER, AWAY, Access, Answer, Body, Content, INVALID, JSON, LIMIT, NO_AGENT, NO_ROOM, Operation, ok, problem,
};
use crate::http::agents;
use crate::http::schemas::Schema;

pub(super) static OPERATIONS: &[Operation] = &[
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
];
