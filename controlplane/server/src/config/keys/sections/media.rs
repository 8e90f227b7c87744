//! Packets, codecs, and what may be used for them.

use super::{CODERS, WORKERS};
use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
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
];
