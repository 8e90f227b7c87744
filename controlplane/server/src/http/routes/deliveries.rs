//! Deliveries of webhooks, and key figures.

use axum::http::Method;
use axum::routing::{get, post};

use super::{AFTER, AWAY, Access, Answer, Content, Kind, LIMIT, NO_DELIVERY, Operation, Parameter, ok, problem};
use crate::http::schemas::Schema;
use crate::http::{deliveries, kpi};

pub(super) static OPERATIONS: &[Operation] = &[
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
];
