//! The node and its SIP.

use super::{ENDPOINT, SOCKETS};
use crate::config::keys::{Kind, Section, key};

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
];
