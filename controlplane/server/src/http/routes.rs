//! The table of all operations. The router, the checks before each operation and `/openapi.json` are made of it, so none of them can
//! know an operation that the others do not.

mod agents;
mod callbacks;
mod calls;
mod deliveries;
mod handoffs;
mod prompts;
mod server;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any};

use super::problem::Problem;
use super::schemas::Schema;
use super::{Shared, guard};

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
pub(super) fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        status::OPERATIONS,
        calls::OPERATIONS,
        handoffs::OPERATIONS,
        deliveries::OPERATIONS,
        agents::OPERATIONS,
        prompts::OPERATIONS,
        callbacks::OPERATIONS,
        server::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// What the design has and this version does not: said so, instead of "no such path".
const NOT_BUILT: &[&str] = &["/v1/calls/{call}/recording"];

/// The router of all operations.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for operation in operations() {
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
