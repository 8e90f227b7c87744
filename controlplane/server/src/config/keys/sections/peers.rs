//! Who calls, and who is called.

use super::{AUTH, CREDENTIALS, KEYS, NEXT_HOP, OWN_CODECS, REINVITE, URI};
use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "trunks",
        kind: Kind::List,
        about: "Who may call us. An INVITE from any other address is refused.",
        keys: &[
            key("name", r#""carrier""#, "").example(),
            key(
                "addresses",
                r#"["127.0.0.1"]"#,
                "Source addresses of its INVITEs. Default: loopback.",
            ),
            key(
                "ai_agent",
                r#""assistant""#,
                "Who answers. Default: the first of [[ai_agents]].",
            )
            .example(),
            key(
                "refer",
                "false",
                "Whether it takes REFER: a cold handoff is asked of it first, and done by us where that fails.",
            ),
            key("codecs", r#"["pcma", "pcmu"]"#, OWN_CODECS).example(),
            key("dtmf", r#""rtp""#, KEYS),
            key("reinvite", "true", REINVITE),
            key(
                "verstat",
                "false",
                "Whether what it says of a caller's number is believed: the parameter verstat of P-Asserted-Identity or From \
                 (TN-Validation-Passed). Only where it takes that away from what others send it; then caller_id.verified of the \
                 context says so.",
            ),
        ],
    },
    Section {
        name: "trunks.auth",
        kind: Kind::Optional,
        about: "What it is shown where it challenges a request of ours in a call, as a REFER or BYE (digest: MD5, \
                SHA-256, SHA-512-256).",
        keys: AUTH,
    },
    Section {
        name: "trunks.outbound",
        kind: Kind::Optional,
        about: "How its callers are called back. Only a caller's own number is called, and only by the trunk that it came by.",
        keys: &[
            key(
                "uri",
                r#""sip:{number}@carrier.example.com;user=phone""#,
                "Whom to call: {number} is the caller's number in E.164, {digits} the same without its +.",
            )
            .example(),
            key(
                "from",
                r#""sip:+4930111111@pbx.example.com""#,
                "Who calls: a number that the carrier has for us.",
            )
            .example(),
            key(
                "next_hop",
                r#""203.0.113.5:5060""#,
                "Where the carrier takes calls: host:port, with ;transport=tcp where it is TCP.",
            )
            .example(),
        ],
    },
    Section {
        name: "ai_agents",
        kind: Kind::List,
        about: "Voice AIs.",
        keys: &[
            key("name", r#""assistant""#, "").example(),
            key("uri", r#""sip:assistant@127.0.0.1:5070""#, URI).example(),
            key("next_hop", r#""127.0.0.1:5070""#, NEXT_HOP),
            key("codecs", r#"["pcma", "pcmu"]"#, OWN_CODECS).example(),
            key("dtmf", r#""rtp""#, KEYS),
        ],
    },
    Section {
        name: "ai_agents.auth",
        kind: Kind::Optional,
        about: CREDENTIALS,
        keys: AUTH,
    },
    Section {
        name: "targets",
        kind: Kind::List,
        about: "Humans, or queues of them.",
        keys: &[
            key("name", r#""support""#, "").example(),
            key("uri", r#""sip:support@127.0.0.1:5080""#, URI).example(),
            key("next_hop", r#""127.0.0.1:5080""#, NEXT_HOP),
            key(
                "voicemail",
                "false",
                "It is Baton's own answering machine ([voicemail]), and has no uri: a caller is joined to it at once, whatever the mode. It \
                 is never closed; its hours say when messages are heard.",
            ),
            key(
                "callback",
                "false",
                "It is Baton's own too: a caller is told when it will be called back, and may press a key for another time or for no call. \
                 The times lie within its hours. Where none is free the next target is tried.",
            ),
            key("ring_s", "20", "How long it may ring, seconds."),
            key(
                "hours",
                r#""hotline""#,
                "When it may be called: one of [[hours.calendars]]. While it is closed it is passed over (after_hours). Default: the hours \
                 of the house, [hours].",
            )
            .example(),
            key("codecs", r#"["pcma", "pcmu"]"#, OWN_CODECS).example(),
            key("dtmf", r#""rtp""#, KEYS),
            key("reinvite", "true", REINVITE),
            key(
                "patterns",
                r#"["sip:+4930*@pbx.example.com"]"#,
                "URIs that a REFER may name besides this target's name and uri, and those that agents of a queue may have; they are called by \
                 the same next_hop. Of the form sip:user@host or sip:user@host:port, with at most one * in the user, for \
                 letters, digits, \"-\", \".\" and \"_\". Default: none.",
            )
            .example(),
            key(
                "briefing",
                r#""support.wav""#,
                "What the human hears before the join: a WAV file, or { uploaded = \"NAME\" }. Default, also until it is uploaded: \
                 prompts.briefing.",
            )
            .example(),
            key(
                "hold",
                r#""support.wav""#,
                "What the caller hears who waits for this target: a WAV file, or { uploaded = \"NAME\" }. Where others are tried after \
                 it, it goes on. Default, also until it is uploaded: prompts.hold.",
            )
            .example(),
        ],
    },
    Section {
        name: "targets.auth",
        kind: Kind::Optional,
        about: CREDENTIALS,
        keys: AUTH,
    },
    Section {
        name: "targets.queue",
        kind: Kind::Optional,
        about: "This target is a queue: who is called is one of the human agents that PUT /v1/agents/{id} has named and whose URI one of \
                `patterns` allows. It needs no uri, only next_hop; hours, ring_s, briefing and hold are as of any target.",
        keys: &[
            key(
                "skills",
                "{ billing = 5, de = 1 }",
                "What an agent must be able to do: skills or languages, each at this level at least, 1 to 10. Default: nothing.",
            )
            .example(),
            key(
                "strategy",
                r#""longest-idle""#,
                "Who of those that are free: \"longest-idle\", \"in-order\" (by the order of each), \"lowest-handle-time\", \
                 \"highest-csat\" (of the last 15 calls), \"best-skill\" (the highest levels of what is needed).",
            ),
            key(
                "at_once",
                "1",
                "How many of those that are free are called at a time, 1 to 16: who answers first has the caller, and nobody else's \
                 phone shows a missed call. Each takes a port while it rings.",
            ),
            key(
                "max_wait_s",
                "120",
                "How long a caller waits until somebody is free, seconds, at most 3600; then it is the next target's turn.",
            ),
            key(
                "wrap_up_s",
                "0",
                "How long an agent is left alone after a talk, seconds, at most 600. 0: whoever needs time says \"busy\".",
            ),
            key(
                "set_aside_s",
                "60",
                "How long an agent who did not answer is called for nobody, unless it says that it is there, seconds, at most 3600. 0: only \
                 not for the same caller again.",
            ),
        ],
    },
];
