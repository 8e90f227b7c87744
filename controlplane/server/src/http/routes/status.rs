//! What is asked without a key.

use axum::http::Method;
use axum::routing::get;

use super::{Access, Answer, Content, Operation, ok, problem};
use crate::http::schemas::Schema;
use crate::http::{openapi, status};

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
];
