//! Who is told, and who is asked.

use super::COLLECTOR;
use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "webhooks",
        kind: Kind::List,
        about: "Where events are posted: CloudEvents 1.0, signed after Standard Webhooks.",
        keys: &[
            key("name", r#""crm""#, "").example(),
            key("url", r#""https://crm.example.org/baton""#, "").example(),
            key(
                "allow_private",
                "false",
                "Whether that may be an address that is not public: loopback, a private or link-local network. Names \
                 are looked up for each connection, and the address that is connected to is the one that counts.",
            ),
            key(
                "secrets",
                r#"["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]"#,
                "One, or several while one is being replaced.",
            )
            .example(),
            key(
                "acknowledges",
                "true",
                "Whether its 2xx to the event with a context counts where playbook.context is \"acknowledged\": false for one that only \
                 keeps a log.",
            ),
            key(
                "types",
                "[]",
                r#"Types of events, as "baton.handoff.requested" or "baton.handoff.*". Default: all."#,
            ),
            key("timeout_ms", "10000", "Of one attempt, ms."),
            key(
                "retry_ms",
                "1000",
                "The pause after the first failure, doubled each time up to the longest, ms; each is shortened by \
                 chance, to half of it at the most. A Retry-After of the endpoint is kept, up to the longest.",
            ),
            key("retry_max_ms", "3600000", ""),
            key(
                "give_up_s",
                "86400",
                "An event that could not be delivered for so long is given up, seconds; it stays in the store and \
                 can be replayed.",
            ),
        ],
    },
    Section {
        name: "router",
        kind: Kind::Optional,
        about: "Who is asked where a caller goes, where whoever asks for the handoff does not say: a POST with what a human would get to \
                know, signed as webhooks are, whose answer is {\"targets\": [\"billing\", \"support\"]}, or 204 for: as the playbook says.",
        keys: &[
            key("url", r#""https://route.example.org/baton""#, "").example(),
            key("allow_private", "false", "As of a webhook."),
            key("secrets", r#"["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]"#, "").example(),
            key(
                "timeout_ms",
                "800",
                "Without an answer for so long, ms, 50 to 5000, the caller goes as the playbook says. It hears the announcement meanwhile.",
            ),
        ],
    },
    Section {
        name: "hep",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "collector",
                r#""homer.example.org:9060""#,
                "Where each SIP message is sent as a copy, by UDP, in HEP version 3: a HOMER or the like. No \
                 default: nowhere.",
            )
            .example()
            .fixed(COLLECTOR),
            key(
                "capture_id",
                "2001",
                "Who captures: the number and the name that the collector knows (default: node.name), and the \
                 password that it wants.",
            )
            .fixed(COLLECTOR),
            key("node", r#""baton""#, "").example().fixed(COLLECTOR),
            key("password", r#""homer""#, "").example().fixed(COLLECTOR),
            key(
                "with_credentials",
                "false",
                "Messages as they are. Without it, credentials, keys and tokens are cut out as they are in the log.",
            )
            .fixed(COLLECTOR),
        ],
    },
    Section {
        name: "otlp",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "endpoint",
                r#""http://127.0.0.1:4318""#,
                "Where a trace of each handoff is sent, by OTLP over HTTP in JSON, to /v1/traces below this. No \
                 default: nowhere.",
            )
            .example()
            .fixed(COLLECTOR),
            key("percent", "100", "Of a hundred handoffs so many are told of.").fixed(COLLECTOR),
        ],
    },
    Section {
        name: "otlp.headers",
        kind: Kind::List,
        about: "Headers that the collector wants.",
        keys: &[
            key("name", r#""x-api-key""#, "").example().fixed(COLLECTOR),
            key("value", r#""secret""#, "").example().fixed(COLLECTOR),
        ],
    },
];
