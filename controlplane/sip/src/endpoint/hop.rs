//! Hops: where a message goes and over which transport (RFC 3261 §18), and what that changes in it.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Config;
use super::flow::FlowId;
use crate::header::Via;
use crate::message::{Limits, Message};
use crate::uri::{Scheme, Uri};

/// §18.1.1: a request "larger than 1300 bytes" goes over a transport with congestion control where the path's MTU is not known.
pub(super) const DATAGRAM_MAX: usize = 1300;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

impl Transport {
    /// What a URI asks for (RFC 3261 §19.1.1, `transport`): `None` where it asks for nothing, or for something that we do
    /// not have.
    pub fn of(uri: &Uri) -> Option<Transport> {
        let wish = uri.param("transport").filter(|_| uri.scheme() == Scheme::Sip)?;
        match wish {
            wish if wish.eq_ignore_ascii_case("udp") => Some(Transport::Udp),
            wish if wish.eq_ignore_ascii_case("tcp") => Some(Transport::Tcp),
            _ => None,
        }
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    /// The connection, as long as it is there; behind it a new one to `address`.
    pub(crate) flow: Option<FlowId>,
    /// TCP only because of a message's size: where TCP is refused, UDP is taken all the same (§18.1.1).
    pub(crate) or_udp: bool,
}

impl Hop {
    pub(crate) fn udp(address: SocketAddr) -> Hop {
        Hop {
            address,
            transport: Transport::Udp,
            flow: None,
            or_udp: false,
        }
    }

    pub(crate) fn tcp(address: SocketAddr, flow: Option<FlowId>) -> Hop {
        Hop {
            address,
            transport: Transport::Tcp,
            flow,
            or_udp: false,
        }
    }

    /// To an address over the transport that a URI asks for; UDP where it asks for none (RFC 3263 §4.1).
    pub(crate) fn of(address: SocketAddr, uri: Option<&Uri>) -> Hop {
        match uri.and_then(Transport::of) {
            Some(Transport::Tcp) => Hop::tcp(address, None),
            _ => Hop::udp(address),
        }
    }

    /// What becomes of a hop with a message of this length: §18.1.1: "If a request is within 200 bytes of the path MTU, or if it is
    /// larger than 1300 bytes and the path MTU is unknown, the request MUST be sent using an RFC 2914 congestion controlled
    /// transport protocol, such as TCP."
    pub(super) fn with_length(self, length: usize) -> Hop {
        if self.transport == Transport::Udp && length > DATAGRAM_MAX {
            Hop {
                transport: Transport::Tcp,
                or_udp: true,
                ..self
            }
        } else {
            self
        }
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) address: SocketAddr,
    /// The connection; `None`: a datagram.
    pub(super) flow: Option<FlowId>,
}

impl Config {
    /// Our address as it stands in messages to a peer.
    pub(super) fn local(&self, peer: SocketAddr) -> SocketAddr {
        match self.also {
            Some(also) if also.is_ipv4() == peer.is_ipv4() => also,
            _ => self.advertise,
        }
    }

    /// Messages are written for UDP from [`Config::advertise`]. This makes one right for its hop: §18.1.1 leaves it to the transport
    /// to "insert a value of the sent-by field into the Via header field", and our Contact must lead back the same way.
    pub(super) fn stamp(&self, hop: &Hop, message: Bytes) -> Bytes {
        let local = self.local(hop.address);
        if hop.transport == Transport::Udp && local == self.advertise {
            return message;
        }
        // What we write may be longer than what we read.
        let limits = Limits {
            message: usize::MAX / 4,
            line: usize::MAX / 4,
            fields: usize::MAX,
        };
        let Ok(mut ours) = Message::parse_within(message.clone(), &limits) else {
            return message;
        };
        if let (Some(_), Some(via)) = (ours.method(), ours.via()) {
            let branch = via.branch().unwrap_or_default();
            let via = match hop.transport {
                Transport::Udp => Via::udp(local, &branch),
                Transport::Tcp => Via::tcp(local, &branch),
            };
            // A request of ours has no other.
            ours.set("Via", &via.to_string());
        }
        if ours.header_bytes("Contact").is_some() {
            ours.set("Contact", &contact(local, hop.transport));
        }
        ours.to_bytes()
    }
}

/// Our Contact.
pub(super) fn contact(local: SocketAddr, transport: Transport) -> String {
    match transport {
        Transport::Udp => format!("<sip:{local}>"),
        Transport::Tcp => format!("<sip:{local};transport=tcp>"),
    }
}
