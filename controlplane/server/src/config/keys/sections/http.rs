//! The API, and where records are kept.

use super::{SOCKETS, STORE, TLS};
use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "http",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "listen",
                r#""127.0.0.1:8080""#,
                "Where the API is served. An address that is not loopback needs at least one key below.",
            )
            .fixed(SOCKETS),
            key(
                "public_url",
                r#""https://baton.example.org""#,
                "How others reach it: the context's URL that the human's phone gets. No default: http:// and `listen`.",
            )
            .example(),
            key("body_limit", "262144", "The largest body, bytes."),
            key(
                "request_s",
                "15",
                "A request's header must be there within, and then its body; a connection without a request is \
                 closed after it, as is one whose client does not read its answer for so long. Seconds.",
            )
            .fixed("connections are served with it"),
            key(
                "context_s",
                "300",
                "How long after the end of a handoff its context can still be read with the URL that the human's \
                 phone got, seconds. Where the carrier transfers the call, the human answers as the handoff ends.",
            ),
            key(
                "event_readers",
                "64",
                "Readers of GET /v1/events at one time; one more is refused with 503.",
            )
            .fixed("places for readers are made at the start"),
            key(
                "heartbeat_s",
                "15",
                "A reader to whom nothing was said for so long is told that we are still there, seconds.",
            ),
        ],
    },
    Section {
        name: "http.tls",
        kind: Kind::Optional,
        about: "TLS (1.2 and up) for the API: the certificate with those that signed it, and its key, in PEM. The \
                files are read again when they change. Without it keys travel in plain text: then listen on \
                loopback, or have a proxy with TLS in front.",
        keys: &[
            key("cert", r#""cert.pem""#, "").example().fixed(TLS),
            key("key", r#""key.pem""#, "").example().fixed(TLS),
        ],
    },
    Section {
        name: "http.keys",
        kind: Kind::List,
        about: "Without any key the API is open, on loopback only. With keys, each request but /healthz and /readyz \
                needs one.",
        keys: &[
            key("name", r#""my-ai""#, "For logs.").example(),
            key(
                "key",
                r#""choose-a-long-random-one""#,
                "What the client sends as `Authorization: Bearer …`.",
            )
            .example(),
            key(
                "scope",
                r#""ai""#,
                "\"ai\": turns, context and handoffs of the calls of one agent; \"desk\": see all, accept, decline, \
                 cancel; \"admin\": all.",
            )
            .example(),
            key("agent", r#""assistant""#, r#"The agent of a key of scope "ai"."#).example(),
            key(
                "per_second",
                "2000",
                "Requests a second in the long run, and at once after a pause; more are refused with 429. An AI \
                 platform that sends 1,000 turns a second through one key needs 1,000, and 250 for contexts.",
            ),
            key("burst", "4000", ""),
        ],
    },
    Section {
        name: "store",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "url",
                r#""sqlite:baton.db""#,
                "What outlives the process: handoff records, what was said in their calls, and events that webhooks \
                 are still to be told. A file of SQLite, or a database of PostgreSQL as \
                 \"postgres://user:password@host/baton\" (then better { env = \"…\" } or { file = \"…\" }).",
            )
            .fixed(STORE),
            key(
                "queue",
                "100000",
                "Writes that may wait while the database takes none. Calls go on; above it the oldest events are \
                 given up and counted.",
            )
            .fixed(STORE),
            key(
                "commit_ms",
                "2000",
                "How long a request of the API waits until what it did is on the disk, before it is answered with \
                 503; ms.",
            )
            .fixed(STORE),
            key(
                "keep_days",
                "30",
                "How long closed handoffs, what was said in their calls, delivered events and dead letters are kept, \
                 days.",
            )
            .fixed(STORE),
        ],
    },
];
