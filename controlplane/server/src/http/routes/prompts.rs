//! Uploaded prompts.

use axum::http::Method;
use axum::routing::{delete, get, put};

use super::{AWAY, Access, Answer, Body, Content, Operation, ok, problem};
use crate::http::prompts;
use crate::http::schemas::Schema;

pub(super) static OPERATIONS: &[Operation] = &[
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
];
