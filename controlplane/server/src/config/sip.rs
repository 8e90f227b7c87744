//! `[sip]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::sip::endpoint::FlowBounds;

use super::reader::Table;
use super::values::{addresses, count, milliseconds, seconds, text};

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// UDP and TCP, one of each address family at the most. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// What peers of that family are told, where it differs.
    pub advertise: Vec<SocketAddr>,
    /// Whether there is TCP.
    pub tcp: bool,
    /// Bounds on connections.
    pub flows: FlowBounds,
    /// How long a peer may read nothing.
    pub tcp_stall: Duration,
    /// Bytes that may wait for a peer to read them.
    pub tcp_queue: usize,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// Round-trip estimate (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// Longest retransmission interval.
    pub t2: Duration,
    /// Longest that a message stays in the network.
    pub t4: Duration,
    /// Transactions alive at the most.
    pub transactions: usize,
    /// Bytes of messages of calls that are kept for the API at the most; 0: none.
    pub trace: usize,
    /// How long they are kept after the end of their call.
    pub trace_keep: Duration,
}

pub(super) fn read(table: Table<'_, '_>) -> Sip {
    const ADDRESS: &str = "an address and a port, as 192.0.2.1:5060 or [2001:db8::1]:5060";
    let listen = addresses::<SocketAddr>(&table, "listen", ADDRESS);
    let advertise = addresses::<SocketAddr>(&table, "advertise", ADDRESS);
    for found in &listen {
        let told = advertise.iter().any(|it| it.value.is_ipv4() == found.value.is_ipv4());
        if found.value.ip().is_unspecified() && !told {
            let message = "names no address that peers could reach: set sip.advertise to the one that they reach";
            table.problem(found.line, "listen", message);
        }
    }
    for found in &advertise {
        if found.value.ip().is_unspecified() || found.value.port() == 0 {
            let message = "must be an address and a port that peers can reach";
            table.problem(found.line, "advertise", message);
        }
    }
    let listen: Vec<_> = match listen.is_empty() {
        true => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))],
        false => listen.into_iter().map(|found| found.value).collect(),
    };
    let flows = FlowBounds {
        connections: count(&table, "tcp_connections", 4..=1_000_000, 1000),
        per_peer: count(&table, "tcp_connections_per_peer", 1..=1_000_000, 100),
        connect: milliseconds(&table, "tcp_connect_ms", 100..=30_000, 2_000),
        idle: seconds(&table, "tcp_idle_s", 1..=86_400, 180),
        unfinished: seconds(&table, "tcp_message_s", 1..=300, 10),
    };
    let sip = Sip {
        listen,
        advertise: advertise.into_iter().map(|found| found.value).collect(),
        tcp: table.boolean("tcp").unwrap_or(true),
        flows,
        tcp_stall: seconds(&table, "tcp_stall_s", 1..=300, 10),
        tcp_queue: count(&table, "tcp_queue_kib", 64..=65_536, 256) * 1024,
        user_agent: text(&table, "user_agent", concat!("Baton/", env!("CARGO_PKG_VERSION"))),
        t1: milliseconds(&table, "t1_ms", 10..=10_000, 500),
        t2: milliseconds(&table, "t2_ms", 10..=60_000, 4_000),
        t4: milliseconds(&table, "t4_ms", 10..=60_000, 5_000),
        transactions: count(&table, "transactions", 16..=10_000_000, 20_000),
        trace: count(&table, "trace_kib", 0..=16 << 20, 64 << 10) * 1024,
        trace_keep: seconds(&table, "trace_keep_s", 1..=86_400, 600),
    };
    table.finish();
    sip
}
