//! `[sip]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::reader::Table;
use super::values::{count, milliseconds, text};

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// UDP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// What peers are told, where it differs.
    pub advertise: Option<SocketAddr>,
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
}

pub(super) fn read(table: Table<'_, '_>) -> Sip {
    const ADDRESS: &str = "an address and a port, as 192.0.2.1:5060 or [2001:db8::1]:5060";
    let listen = table.parsed::<SocketAddr>("listen", ADDRESS);
    let advertise = table.parsed::<SocketAddr>("advertise", ADDRESS);
    if let (Some(listen), None) = (&listen, &advertise)
        && listen.value.ip().is_unspecified()
    {
        let message = "names no address that peers could reach: set sip.advertise to the one that they reach";
        table.problem(listen.line, "listen", message);
    }
    if let Some(advertise) = &advertise
        && (advertise.value.ip().is_unspecified() || advertise.value.port() == 0)
    {
        table.problem(
            advertise.line,
            "advertise",
            "must be an address and a port that peers can reach",
        );
    }
    let sip = Sip {
        listen: listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)), |found| found.value),
        advertise: advertise.map(|found| found.value),
        user_agent: text(&table, "user_agent", concat!("Baton/", env!("CARGO_PKG_VERSION"))),
        t1: milliseconds(&table, "t1_ms", 10..=10_000, 500),
        t2: milliseconds(&table, "t2_ms", 10..=60_000, 4_000),
        t4: milliseconds(&table, "t4_ms", 10..=60_000, 5_000),
        transactions: count(&table, "transactions", 16..=10_000_000, 20_000),
    };
    table.finish();
    sip
}
