//! Offer and answer (RFC 3264) for one audio stream.

use std::net::{IpAddr, SocketAddr};

/// An encoding that we can offer, best first in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PCMU/8000, static payload type 0.
    Pcmu,
    /// PCMA/8000, static payload type 8.
    Pcma,
}

/// Direction, from the point of view of whoever's description it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// Our side of one leg: what goes into our offers and answers. The `o=` line belongs to the leg: the version stays while
/// the text is the same and rises by one when it changes (RFC 3264 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address that peers send media to.
    pub address: IpAddr,
    /// RTP port, even; RTCP above it.
    pub port: u16,
    /// Encodings, best first.
    pub encodings: Vec<Encoding>,
    /// Our direction.
    pub direction: Direction,
    /// `o=` session id.
    pub session: u64,
    /// `o=` version of the last description sent.
    pub version: u64,
    /// The last description sent, to know whether it changed.
    pub last: Option<String>,
}

/// What both sides agreed on, seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where the peer receives RTP. `None` with `c=0.0.0.0` (RFC 2543 hold) or port 0.
    pub remote: Option<SocketAddr>,
    /// Where the peer receives RTCP (`a=rtcp`, RFC 3605; rtcp-mux, RFC 5761; else port + 1).
    pub remote_rtcp: Option<SocketAddr>,
    /// The codec.
    pub encoding: Encoding,
    /// Its payload type in what we send (the peer's number).
    pub send: u8,
    /// Its payload type in what we receive (our number).
    pub receive: u8,
    /// telephone-event/8000: payload types in what we send and in what we receive.
    pub events: Option<(u8, u8)>,
    /// Comfort noise (13) agreed.
    pub comfort_noise: bool,
    /// The peer's wish, ms; 20 where it says nothing.
    pub ptime_ms: u8,
    /// Our direction now (already turned round from the peer's).
    pub direction: Direction,
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incompatible {
    /// It cannot be read.
    Malformed,
    /// No audio stream on RTP/AVP in it.
    NoAudio,
    /// None of our encodings.
    NoCodec,
}

#[expect(unused_variables, reason = "bodies follow")]
impl Local {
    /// A leg of ours: `sendrecv`, with nothing sent yet.
    pub fn new(address: IpAddr, port: u16, encodings: &[Encoding], session: u64) -> Local {
        Local {
            address,
            port,
            encodings: encodings.to_vec(),
            direction: Direction::SendRecv,
            session,
            version: 0,
            last: None,
        }
    }
    /// Our offer.
    pub fn offer(&mut self) -> String {
        String::new()
    }
    /// Our answer to an offer, and what both sides agreed on.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(String, Agreed), Incompatible> {
        Err(Incompatible::NoAudio)
    }
    /// What the peer's answer to our last offer means.
    pub fn accept(&self, answer: &[u8]) -> Result<Agreed, Incompatible> {
        Err(Incompatible::NoAudio)
    }
}
