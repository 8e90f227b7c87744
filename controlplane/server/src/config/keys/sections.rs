//! The table itself.

use super::playbook::{DECISION, RULE};
use super::{Key, Kind, Section, key};

const SOCKETS: &str = "sockets are opened at the start";
const ENDPOINT: &str = "the SIP endpoint and its timers are made with it";
const WORKERS: &str = "the media workers are started with it";
const CODERS: &str = "the coder states are made at the start";
const STORE: &str = "the store is opened with it";
const COLLECTOR: &str = "what is sent to the collector is set up at the start";
const TLS: &str = "the files may be renewed, but not named anew";

const CREDENTIALS: &str = "What it is shown where it challenges our requests (digest: MD5, SHA-256, SHA-512-256).";
const AUTH: &[Key] = &[
    key("username", r#""baton""#, "").example(),
    key(
        "password",
        r#""choose-a-long-random-one""#,
        r#"Or { env = "NAME" }, or { file = "PATH" }."#,
    )
    .example(),
    key("realm", r#""pbx.example.org""#, "Default: whatever realm asks.").example(),
];
const URI: &str = "With ;transport=tcp at its end its calls run over TCP. \"tel:+49301234567\" is a phone number, \"tel:204\" an extension, of \
                   the gateway or PBX at `next_hop`.";
const NEXT_HOP: &str = "Where its INVITE is sent; ;transport=tcp may follow here, too. Default: the host of `uri`, \
                        where that is an address.";

const OPEN: &str = "Hours of a week, as \"Mon-Fri 09:00-12:30 13:30-17:00\" or \"Fri,Sat 22:00-06:00\" (over midnight: until six on the \
                    next day). Closed at all other times; [] is closed on all days but those of holidays that have hours.";

const HOLIDAYS: &str = "Dates on which these do not hold: closed all day, as \"2026-12-25\", or with hours of their own, as \
                        \"2026-12-24 09:00-12:00\".";

const OWN_CODECS: &str = "What is spoken with it, of media.codecs, best first. Default: all of them, in their order.";

const REINVITE: &str = "Whether it may be sent a re-INVITE where that spares a transcode (media.prefer): with a codec that its own last \
                        description has. One that refuses it, or does not answer, goes on as before; false for one that does \
                        worse.";

const KEYS: &str = "How it is told the keys that whom it hears presses: \"rtp\" (in its audio: telephone-event, or tones where it has \
                    none) or \"info\" (SIP INFO, application/dtmf-relay). Keys of its own are taken in either form.";

/// In the order of the example.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "node",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "name",
                r#""baton""#,
                "In the source of webhook events and in RTCP's canonical name.",
            )
            .fixed("it is in the names of running streams and events"),
            key(
                "drain_s",
                "600",
                "How long a stop waits for running calls and their handoffs before it hangs up, seconds. New calls \
                 are refused meanwhile (503); a second signal ends the wait. systemd is told to wait as long.",
            ),
            key(
                "hand_over_s",
                "14400",
                "How long calls may still last in the old version after a new one has taken over (`baton serve \
                 --take-over`), seconds.",
            ),
            key(
                "control",
                r#""baton.sock""#,
                r#"The socket by which a new version takes over; for our own user alone. "" for none."#,
            )
            .fixed(SOCKETS),
            key(
                "stop_s",
                "2",
                "How long a stop waits at each step once calls have ended: for the answers to its BYEs, for API \
                 requests under way, for webhooks; seconds.",
            ),
            key(
                "log",
                r#""info""#,
                "What is logged: error, warn, info, debug (one line per SIP message), or a filter as in RUST_LOG, \
                 which has precedence.",
            ),
            key("log_json", "false", "One JSON object a line instead of text.").fixed("the log is set up with it"),
        ],
    },
    Section {
        name: "sip",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "listen",
                r#""127.0.0.1:5060""#,
                "Where SIP is received, UDP and TCP: an address, or one of each family, as [\"192.0.2.1:5060\", \
                 \"[2001:db8::1]:5060\"].",
            )
            .fixed(SOCKETS),
            key(
                "advertise",
                r#""192.0.2.1:5060""#,
                "What Via and Contact say, where peers reach another address than `listen`; a list where there are \
                 two. No default: as `listen`.",
            )
            .example()
            .fixed(ENDPOINT),
            key(
                "tcp",
                "true",
                "TCP beside UDP. Requests over 1,300 bytes go by it, and by UDP where it is refused (RFC 3261 \
                 §18.1.1).",
            )
            .fixed(SOCKETS),
            key(
                "tcp_connections",
                "1000",
                "Connections at the most, in all (a quarter is kept for those that we open, another for trunks) and \
                 with one address, or one IPv6 network of 64 bits.",
            )
            .fixed(ENDPOINT),
            key("tcp_connections_per_peer", "100", "").fixed(ENDPOINT),
            key(
                "tcp_idle_s",
                "180",
                "A connection on which nothing comes for so long, and that no call needs, is closed, seconds.",
            )
            .fixed(ENDPOINT),
            key(
                "tcp_message_s",
                "10",
                "How long one message may take to come, and the first one on a new connection, seconds.",
            )
            .fixed(ENDPOINT),
            key(
                "tcp_connect_ms",
                "2000",
                "How long a peer may take to answer a connection of ours, ms.",
            )
            .fixed(ENDPOINT),
            key(
                "tcp_stall_s",
                "10",
                "A peer that reads nothing for so long, or lets so much wait, is disconnected: seconds, KiB.",
            )
            .fixed(ENDPOINT),
            key("tcp_queue_kib", "256", "").fixed(ENDPOINT),
            key(
                "user_agent",
                concat!("\"Baton/", env!("CARGO_PKG_VERSION"), "\""),
                "User-Agent and Server. Default: Baton/ and the version.",
            )
            .fixed(ENDPOINT),
            key(
                "t1_ms",
                "500",
                "Timers of RFC 3261 §17: round-trip estimate, longest retransmission interval, longest stay in the \
                 network; ms.",
            )
            .fixed(ENDPOINT),
            key("t2_ms", "4000", "").fixed(ENDPOINT),
            key("t4_ms", "5000", "").fixed(ENDPOINT),
            key(
                "transactions",
                "20000",
                "Transactions alive at the most; above it new requests are refused with 503.",
            )
            .fixed(ENDPOINT),
            key(
                "trace_kib",
                "65536",
                "SIP messages of calls are kept for the API (GET /v1/calls/{call}/trace), without their credentials: \
                 KiB at the most in all (0: none), and for how long after the end of their call, seconds.",
            )
            .fixed(ENDPOINT),
            key("trace_keep_s", "600", "").fixed(ENDPOINT),
        ],
    },
    Section {
        name: "media",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "listen",
                r#""127.0.0.1""#,
                "The address of the RTP sockets, IPv4 or IPv6. \"::\" is every address of both families, on the same \
                 sockets.",
            )
            .fixed(WORKERS),
            key(
                "advertise",
                r#""192.0.2.1""#,
                "The public address: what SDP says, where it differs from `listen`. With listen = \"::\" there may \
                 be one of each family, as [\"192.0.2.1\", \"2001:db8::1\"]: a leg is told that of its peer's \
                 family, and a peer of a family without one is refused. No default: as `listen`, where that is an \
                 address that peers can reach.",
            )
            .example()
            .fixed(WORKERS),
            key(
                "first_port",
                "20000",
                "The lowest RTP port, even. Each leg takes two: RTP, and RTCP above it (`rtcp`).",
            )
            .fixed(WORKERS),
            key(
                "other_first_port",
                "21000",
                "The lowest RTP port of a version that takes over while the old one still has calls; the next one \
                 has `first_port` again. Default: the first one above the ports that `first_port` begins.",
            )
            .fixed(WORKERS),
            key(
                "ports_per_worker",
                "500",
                "Pairs of ports of each worker: its legs at one time, and those in quarantine (2 s).",
            )
            .fixed(WORKERS),
            key("workers", "1", "Threads that carry packets, each with its own ports.").fixed(WORKERS),
            key(
                "cores",
                "[]",
                "The core of each worker, as [0, 1]; empty: none is pinned.",
            )
            .fixed(WORKERS),
            key("sessions_per_worker", "1024", "Calls that each worker can hold.").fixed(WORKERS),
            key(
                "buffers_per_worker",
                "1024",
                "Packet buffers of each worker (2 KiB each), a power of two; epoll needs none of them.",
            )
            .fixed(WORKERS),
            key(
                "io",
                r#""auto""#,
                "The packets' way into the kernel: \"io_uring\", \"epoll\" (where containers forbid io_uring), \
                 or \"auto\": io_uring where it is to be had, otherwise epoll with a \
                 warning in the log. On some hosts epoll is the cheaper one: with \"auto\", `baton tune` measures both.",
            )
            .fixed(WORKERS),
            key(
                "rtcp",
                r#""pair""#,
                "Where RTCP is received: \"pair\" (two sockets for each leg: RTCP on the odd port above RTP, and from a peer \
                 that does so on the port of RTP), or \"mux\" (one socket for each leg, so twice as many legs for the same \
                 descriptors: RTCP on the port of RTP only; a peer that cannot do that has no RTCP from us, and its own is \
                 not received).",
            )
            .fixed(WORKERS),
            key(
                "latch",
                r#""signalled-ip""#,
                "Who may send to a leg's port: \"signalled-ip\" (any port of the address in its SDP), \"nat\" (the \
                 first valid stream after an offer or answer), \"off\" (exactly the address and port of its SDP).",
            ),
            key(
                "codecs",
                r#"["pcmu", "pcma", "g722", "opus"]"#,
                "What Baton speaks, best first: \"pcmu\" and \"pcma\" (G.711), \"g722\", \"opus\", \"l16\" and \"l16-16000\" (linear \
                 samples of 8 and 16 kHz, for who asks for them: 128 and 256 kbit/s).",
            ),
            key(
                "prefer",
                r#""no-transcode""#,
                "By what a codec is chosen, of those that both sides have: \"no-transcode\" (a caller gets its first \
                 choice, and whoever is called is offered first what the caller speaks), \"quality\" (the widest band \
                 first, as far as the caller's), \"cost\" (what the caller speaks, then the cheapest).",
            ),
            key(
                "applied_ms",
                "500",
                "A worker must answer within, ms: a change of who hears whom is in force, or waits for a human's \
                 first packet. Then it is asked again, three times.",
            ),
            key(
                "silence_ms",
                "1000",
                "A party that should send and has not for so long is silent, ms: who hears it gets hold audio where \
                 it has put the call on hold.",
            )
            .fixed(WORKERS),
            key(
                "silence_probe_s",
                "30",
                "A party that is silent for so long without having put the call on hold is asked whether it is still \
                 there (OPTIONS), and again after as long, seconds. Only where it does not know the call any more, \
                 or does not answer, has it hung up.",
            ),
        ],
    },
    Section {
        name: "budget",
        kind: Kind::Table,
        about: "What new calls may use of the workers. Above it they get 503 with Retry-After, as from a server that drains; running calls \
                go on, and so do their handoffs. `baton tune` measures this host and prints this section.",
        keys: &[
            key(
                "core_share",
                "0.7",
                "The share of its core that a worker may use, measured over the last second. What is above it is left to \
                 handoffs, which are never refused, and to the kernel, whose work on packets that come is not in the figure.",
            ),
            key(
                "us_per_packet",
                "5.0",
                "What a packet is expected to cost at the least, all its way, µs. A call counts with 100 of them a second \
                 from its INVITE until it is measured itself, so that a burst of calls does not exceed the share.",
            ),
            key(
                "transcode_share",
                "0.5",
                "The share of its core for which each worker has coder states, each kind (G.722, Opus at 8 kHz, Opus at \
                 16 kHz) by itself: 50 kB a call with Opus, taken at the start. Where none is left, nobody is called whose \
                 codec would need one. 0: no codec is put into another but PCMU and PCMA.",
            )
            .fixed(CODERS),
            key(
                "mixed_listeners",
                "32",
                "For how many listeners each worker can mix several sources at a time (supervisors, and who hears them): 0.12 MB \
                 each, taken at the start. A change of who hears whom that would need one more is refused.",
            )
            .fixed(CODERS),
            key(
                "added_latency_ms",
                "80",
                "The longest that a packet waits in the jitter buffer of a mix, 20 to 150. It waits as long as the network is \
                 uneven, and no longer than this; what comes later still is not heard. What is relayed never waits.",
            )
            .fixed(CODERS),
        ],
    },
    Section {
        name: "opus",
        kind: Kind::Table,
        about: "How Opus is coded for who speaks it, where the other side does not. Opus that is only passed on stays as it is.",
        keys: &[
            key(
                "narrow_kbits",
                "28",
                "For what has 8 kHz (G.711): kbit/s, and the work, 0 to 10, as libopus has it, or \"auto\": 5, and less while more is \
                 encoded than `budget.transcode_share` carries so, before a call is refused. Narrowband gains more by bits than by work.",
            )
            .fixed(CODERS),
            key("narrow_complexity", "0", "").fixed(CODERS),
            key("wide_kbits", "40", "For what has 16 kHz (G.722, L16).").fixed(CODERS),
            key("wide_complexity", r#""auto""#, "").fixed(CODERS),
            key(
                "fec",
                "false",
                "Whether a packet brings a coarse copy of the one before, as far as the bit rate allows, and for how much \
                 loss, per cent; for peers whose description asks for it (useinbandfec=1).",
            )
            .fixed(CODERS),
            key("expected_loss", "0", "").fixed(CODERS),
            key(
                "dtx",
                "false",
                "Whether a packet of silence has one byte only, for peers whose description asks for it (usedtx=1). It is \
                 sent all the same: a line has no holes.",
            )
            .fixed(CODERS),
        ],
    },
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
    Section {
        name: "playbook",
        kind: Kind::Table,
        about: "",
        keys: &[
            key(
                "mode",
                r#""warm""#,
                "Where a request says \"auto\": \"warm\" (the human is briefed first) or \"cold\" (joined at the \
                 answer).",
            ),
            key(
                "accept",
                r#""answer""#,
                r#"How a human takes a warm call: "answer", "key" (1 takes, 2 declines) or "api"."#,
            ),
            key(
                "cold_hears",
                r#""hold""#,
                "What the caller hears on a cold handoff until the human is heard: \"hold\" (the announcement, then \
                 hold audio) or \"ai\" (the two talk on; hold audio as soon as the AI hangs up).",
            ),
            key(
                "ai_gone",
                r#""end""#,
                "What becomes of a caller whose AI is gone (none answers, or the one that did does not say any more that \
                 it is there): \"end\" (refused with 480 or 503, or BYE) or \"human\" (handed off at once, as by a rule \
                 \"ai-gone\", which decisions may name). An AI that hangs up has ended the call.",
            ),
            key(
                "targets",
                r#"["support"]"#,
                "Targets in the order in which they are tried. Default: all, in the order of this file.",
            ),
            key(
                "request_phrases",
                "[\"speak to a human\", \"talk to a human\", \"speak to a person\", \"talk to a person\", \"real \
                 person\", \"human agent\"]",
                "Phrases by which a caller asks for a human: whole words, in any language, case does not matter. Who \
                 asks is handed off at once, whatever else holds.",
            ),
            key(
                "request_intents",
                "[]",
                "Intents of the caller's turns that ask for a human, as \"human\".",
            ),
            key("priority", "0", "Of callers who wait, the higher comes first: 0 to 9."),
            key(
                "required",
                r#"["summary", "intent"]"#,
                "Elements without which a context is not complete: members or paths with dots, as fields.account, and caller, \
                 caller_id, brief, transcript. disclosure is there only where the caller was told.",
            ),
            key(
                "caller_id_field",
                r#""fields.customer.phone""#,
                "Where the context has the number that the AI has on file: caller_id.matches says whether it is the caller's. No \
                 default: nobody looks.",
            )
            .example(),
            key(
                "required_wait_s",
                "0",
                "How long a human who took the call waits for those that are missing, seconds, at most 60; caller and human hear hold \
                 audio until then. 0: not at all. Either way the record says which were missing.",
            ),
            key(
                "context",
                r#""sent""#,
                "\"acknowledged\": a human who took the call waits until a webhook has answered 2xx to the event with the context, or \
                 somebody has said so by POST /v1/handoffs/{id}/acknowledge; \"sent\": nobody waits for that.",
            ),
            key("acknowledge_s", "5", "… and so long at the most, seconds, 1 to 60. The record says which it was."),
            key(
                "ai_stays_s",
                "0",
                "How long the AI stays with caller and human after the join of a warm handoff, seconds, at most 600: all three hear \
                 each other until it hangs up. 0: it leaves at once.",
            ),
            key("ai_answer_s", "10", "An AI agent must answer within, seconds."),
            key(
                "caller_answer_s",
                "45",
                "A caller who is called back must answer within, seconds, 5 to 120.",
            ),
            key("accept_s", "30", "A human who answered must accept within, seconds."),
            key(
                "first_packet_s",
                "5",
                "The first audio packet of a human who accepted must come within, seconds; until then the caller \
                 hears hold audio.",
            ),
            key(
                "reach_s",
                "120",
                "A human must be reached within, over all targets, seconds.",
            ),
            key(
                "refer_s",
                "30",
                "A trunk that takes REFER must say what became of it within, seconds from each sign of life.",
            ),
            key(
                "evidence_s",
                "15",
                "The evidence of a join must come within, seconds. It is measured for 10 s at the most.",
            ),
            key("goodbye_s", "30", "A goodbye must be over within, seconds."),
        ],
    },
    Section {
        name: "playbook.redact",
        kind: Kind::Table,
        about: "What is cut out of all that is told, before it is stored or leaves: turns, contexts, reasons, notes.",
        keys: &[
            key(
                "cards",
                "true",
                "Numbers of 13 to 19 digits that pass the check of payment cards (Luhn), also with blanks, dashes, dots or commas \
                 in between: the last four digits are kept. A number that begins with + and has at most 15 digits is a telephone's.",
            ),
            key(
                "secret",
                "[]",
                "Members of the context that are never kept, only that they were told: paths with dots, * is any member, a list is \
                 its elements, as authentication.pin or fields.*.ssn.",
            ),
            key(
                "masked",
                "[]",
                "Members of the context of which the last four letters and digits are kept.",
            ),
        ],
    },
    Section {
        name: "playbook.redact.patterns",
        kind: Kind::List,
        about: "Further patterns, at most 32: [name] stands for what each finds.",
        keys: &[
            key("name", r#""iban""#, "").example(),
            key(
                "pattern",
                r#"'\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b'"#,
                "In the syntax of Rust's crate regex, which takes no longer than the text is long.",
            )
            .example(),
        ],
    },
    Section {
        name: "playbook.rules",
        kind: Kind::List,
        about: "When to hand off without being asked: a rule does so once in a call when all that it names is there at once. \
                It is asked at every turn, at every change of the context and when its time has come; those with flags \
                first, then in this order. The record says by which rule, and why.",
        keys: RULE,
    },
    Section {
        name: "playbook.decisions",
        kind: Kind::List,
        about: "How a handoff goes, by what the caller wants, how it feels and why it is handed off: the first line of which all that \
                it names holds. What it does not change is as in [playbook]; a mode or target that a request names goes before \
                it. The record says by which line.",
        keys: DECISION,
    },
    Section {
        name: "hours",
        kind: Kind::Table,
        about: "When humans may be called, by the clock on the wall of the time zone. Zones come with the program (IANA), whatever the host \
                has.",
        keys: &[
            key("time_zone", r#""UTC""#, "An IANA name, as \"Europe/Berlin\"."),
            key("open", r#"["Mon-Sun 00:00-24:00"]"#, OPEN),
            key("holidays", "[]", HOLIDAYS),
        ],
    },
    Section {
        name: "hours.calendars",
        kind: Kind::List,
        about: "Hours of those that have others than the house: a target names them (hours).",
        keys: &[
            key("name", r#""hotline""#, "").example(),
            key(
                "time_zone",
                r#""America/New_York""#,
                "Default: that of the house, as of the two below.",
            )
            .example(),
            key("open", r#"["Mon-Fri 08:00-20:00", "Sat 22:00-02:00"]"#, "").example(),
            key("holidays", r#"["2026-12-25", "2026-12-24 09:00-12:00"]"#, "").example(),
        ],
    },
    Section {
        name: "voicemail",
        kind: Kind::Table,
        about: "The answering machine: of targets with voicemail = true.",
        keys: &[
            key(
                "folder",
                r#""voicemail""#,
                "Where messages are kept, each as a WAV file with a JSON file beside it. It is made where it is not there.",
            ),
            key(
                "greeting",
                r#""voicemail.wav""#,
                "What is said before the tone: a WAV file. Default: the one that comes with the program.",
            )
            .example(),
            key(
                "max_s",
                "180",
                "How long a message may be, seconds. Room for it is taken on the disk before the caller is asked to speak; where there is \
                 none, the next target is tried.",
            ),
            key("silence_s", "6", "A message is over after so long without speech, seconds; or at #."),
            key(
                "respond_within_h",
                "4",
                "Somebody responds within so many hours of opening time, by the hours of the target: events, records and GET /v1/voicemails \
                 say until when (respond_by).",
            ),
        ],
    },
    Section {
        name: "callback",
        kind: Kind::Table,
        about: "Callers who are called back where nobody is there: each is promised a slot in which there is room, and called in it by the \
                trunk that it came by. Slots lie on the clock of those who are to have the caller, within their hours.",
        keys: &[
            key(
                "target",
                r#""support""#,
                "Who is to have the caller. Default: the targets in order that are no machines.",
            )
            .example(),
            key("slot_min", "15", "Minutes of a slot: 1, 5, 6, 10, 15, 20, 30 or 60."),
            key(
                "lead_min",
                "10",
                "No slot begins sooner than so many minutes from now, up to a day. 0: the one that runs counts, too.",
            ),
            key("days_ahead", "7", "… nor later than so many days, from 1 to 30: then there is no callback."),
            key(
                "handle_s",
                "300",
                "Seconds that a talk takes, where nobody knows of any of the agents (GET /v1/agents has handle_s): a slot takes as many \
                 callers as there are agents who may be called for the target, whatever they do now, times its length, through this; one \
                 where there is anybody. A target that is no queue is one human.",
            ),
            key(
                "share",
                "0.5",
                "Of that so much is promised, from 0.01 to 1: the rest is for those who call.",
            ),
            key("attempts", "3", "A caller who is not reached, or whom no human has had, is called so often."),
            key("retry_min", "10", "Minutes between two attempts."),
        ],
    },
    Section {
        name: "callback.prompts",
        kind: Kind::Table,
        about: "What a caller hears who is promised a callback by a target with callback = true.",
        keys: &[
            key("offer", r#""callback_offer.wav""#, r#"What a caller hears who is promised a callback, WAV files: first this, then the day and the times, then choices."#)
            .example(),
            key("instead", r#""callback_instead.wav""#, r#"In place of offer, where it wanted a later time and there is one."#)
            .example(),
            key("no_later", r#""callback_no_later.wav""#, r#"… and where there is none."#)
            .example(),
            key("choices", r#""callback_choices.wav""#, r#"After the times: press 1 or hang up, press 2 for a later time, press 3 for no call."#)
            .example(),
            key("agreed", r#""callback_agreed.wav""#, r#"The last word to who agrees, or says nothing."#)
            .example(),
            key("declined", r#""callback_declined.wav""#, r#"… and to who wants no call."#)
            .example(),
            key("today", r#""callback_today.wav""#, r#"The day. One of the next week or later is said with its date: "on Monday", "the 30th"."#)
            .example(),
            key("tomorrow", r#""callback_tomorrow.wav""#, r#""#)
            .example(),
            key("monday", r#""callback_monday.wav""#, r#""#)
            .example(),
            key("tuesday", r#""callback_tuesday.wav""#, r#""#)
            .example(),
            key("wednesday", r#""callback_wednesday.wav""#, r#""#)
            .example(),
            key("thursday", r#""callback_thursday.wav""#, r#""#)
            .example(),
            key("friday", r#""callback_friday.wav""#, r#""#)
            .example(),
            key("saturday", r#""callback_saturday.wav""#, r#""#)
            .example(),
            key("sunday", r#""callback_sunday.wav""#, r#""#)
            .example(),
            key("between", r#""callback_between.wav""#, r#"The times, twelve hours: "between", "9", "15", "and", "9", "30", "in the morning"."#)
            .example(),
            key("and", r#""callback_and.wav""#, r#""#)
            .example(),
            key("oclock", r#""callback_oclock.wav""#, r#"In place of minutes where there are none."#)
            .example(),
            key("oh", r#""callback_oh.wav""#, r#"Before minutes below ten."#)
            .example(),
            key("night", r#""callback_night.wav""#, r#"From 0 to 5 o'clock."#)
            .example(),
            key("morning", r#""callback_morning.wav""#, r#"Until noon."#)
            .example(),
            key("afternoon", r#""callback_afternoon.wav""#, r#"Until 18 o'clock."#)
            .example(),
            key("evening", r#""callback_evening.wav""#, r#"Until midnight."#)
            .example(),
            key("numbers", r#"{ 9 = "number_9.wav" }"#, "Hours and minutes, 1 to 59; what is not here is said as the program says it.").example(),
            key("dates", r#"{ 31 = "day_31.wav" }"#, "Days of a month, 1 to 31, likewise.").example(),
        ],
    },
    Section {
        name: "prompts",
        kind: Kind::Table,
        about: "WAV files (PCM or float, 4000 to 192000 Hz) in place of those that come with the program. { uploaded = \"NAME\" } is one that \
                is uploaded by PUT /v1/prompts/NAME; until then the one that comes with the program is played.",
        keys: &[
            key(
                "announcement",
                r#""announcement.wav""#,
                "To the caller: you are being connected; then while waiting, repeated.",
            )
            .example(),
            key(
                "disclosure",
                r#""announcement.wav""#,
                "Before it, where the context does not say { disclosure = { told = true } }: what the law wants the caller to be told. \
                 No default: nothing.",
            )
            .example(),
            key("hold", r#""hold.wav""#, "").example(),
            key("briefing", r#""briefing.wav""#, "To the human before the join.").example(),
            key(
                "busy",
                r#""busy.wav""#,
                "To the caller who goes back to the AI: busy, nobody answered, did not work.",
            )
            .example(),
            key("no_answer", r#""no_answer.wav""#, "").example(),
            key("failed", r#""failed.wav""#, "").example(),
            key(
                "after_hours",
                r#""after_hours.wav""#,
                "To the caller who goes back to the AI: every target is closed at this time.",
            )
            .example(),
            key("goodbye", r#""goodbye.wav""#, "To the caller where the AI is gone.").example(),
            key(
                "called_back",
                r#""called_back.wav""#,
                "To the caller who is called back, in place of the announcement.",
            )
            .example(),
            key(
                "estimate_every_s",
                "0",
                "How long it will take is said to who waits for a human: after the announcement, and again after so long, \
                 from 10 to 600. It is the median of the target's last 15 handoffs, less what has passed; nothing is said before \
                 three of them, nor when that time is over. 0: never, so that other announcements keep their voice.",
            ),
            key("estimate_soon", r#""estimate_soon.wav""#, "It takes less than a minute: below 45 s.").example(),
            key(
                "estimate_intro",
                r#""estimate_intro.wav""#,
                "It takes about ...; then the number, with its unit. It is rounded up to the next one that is here, and above the \
                 largest nothing is said. A table of one's own replaces that of the program (1, 2, 3, 5, 10, 15, 20, 30; from 1 \
                 to 120 can be had). What is to be uploaded is left out until it is.",
            )
            .example(),
            key(
                "estimate_minutes",
                r#"{ 1 = "minutes_1.wav", 2 = "minutes_2.wav", 10 = { uploaded = "ten" } }"#,
                "",
            )
            .example(),
            key(
                "place_every_s",
                "30",
                "Its place is said to who waits in a queue, before how long it will take: after the announcement, and again after so \
                 long, from 10 to 600. 0: never.",
            ),
            key(
                "place_intro",
                r#""place_intro.wav""#,
                "Your place in the line is ...; then the number. A place that there is no number for is not said. A table of one's own \
                 replaces that of the program (1 to 10; up to 100 can be had).",
            )
            .example(),
            key(
                "place_numbers",
                r#"{ 1 = "place_1.wav", 2 = "place_2.wav", 11 = { uploaded = "eleven" } }"#,
                "",
            )
            .example(),
        ],
    },
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
