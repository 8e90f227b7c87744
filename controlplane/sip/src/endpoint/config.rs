//! What an endpoint, and a call of ours, is made with.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::flow::FlowBounds;
use super::hop::Transport;
use crate::digest::Credentials;

/// What an endpoint is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that Via and Contact name: where peers reach us.
    pub advertise: SocketAddr,
    /// The same for peers of the other address family, where we have one.
    pub also: Option<SocketAddr>,
    /// TCP, beside UDP and on the same ports, and its bounds; `None`: there is none. Who has it must poll and do
    /// [`Endpoint::poll_stream`](super::Endpoint::poll_stream).
    pub flows: Option<FlowBounds>,
    /// `User-Agent` and `Server`.
    pub agent: String,
    /// Round-trip estimate (RFC 3261 §17.1.1.1), 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval, 4 s.
    pub t2: Duration,
    /// Longest that a message stays in the network, 5 s.
    pub t4: Duration,
    /// Tags, branches and Call-IDs come from it; to be taken from the operating system's random numbers.
    pub seed: u64,
    /// Transactions alive at the most; above it new requests get 503 with Retry-After.
    pub transactions: usize,
}

impl Config {
    /// One address, UDP only, the times of RFC 3261.
    pub fn new(advertise: SocketAddr, seed: u64) -> Config {
        Config {
            advertise,
            also: None,
            flows: None,
            agent: "Baton".into(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            seed,
            transactions: 1000,
        }
    }
}

/// A new INVITE of ours.
#[derive(Clone, Debug, Default)]
pub struct Invite {
    /// Request-URI and To, `sip:…`.
    pub to: String,
    /// From: an optional display name and a URI, as it goes into the header (`"Bob" <sip:bob@host>`), without a tag.
    pub from: String,
    /// Where it is sent.
    pub next_hop: Option<SocketAddr>,
    /// Over what; `None`: as `to` asks (`;transport=tcp`), and UDP where it does not.
    pub transport: Option<Transport>,
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// The offer (application/sdp). Without one the 2xx brings an offer that its ACK does not answer.
    pub offer: Option<Bytes>,
    /// What is shown where this INVITE, or a later request in its dialog, is challenged (RFC 3261 §22).
    pub credentials: Vec<Credentials>,
}
