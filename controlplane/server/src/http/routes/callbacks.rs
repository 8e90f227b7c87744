//! Messages and callbacks.

use axum::http::Method;
use axum::routing::{delete, get, post};

use super::{
    AFTER, AWAY, Access, Answer, Body, Content, JSON, Kind, LIMIT, NO_CALL, NO_CALLBACK, Operation, Parameter, ok,
    problem,
};
use crate::http::schemas::Schema;
use crate::http::{callbacks, voicemails};
use crate::store::callbacks::CallbackState;

pub(super) static OPERATIONS: &[Operation] = &[
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
];
