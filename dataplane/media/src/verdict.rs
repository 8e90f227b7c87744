//! What becomes of a received packet: a small `Copy` verdict on the same buffer.

use std::net::SocketAddr;

use crate::command::Port;

/// The answer to one received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the first `len` bytes of the same buffer.
    Send {
        /// From the socket of this port.
        from: Port,
        /// To this address.
        to: SocketAddr,
        /// Bytes.
        len: usize,
    },
    /// Used up: the buffer is free again.
    Consumed,
    /// Thrown away, and counted under its reason.
    Drop(Reason),
}

/// Why a packet was thrown away. Each is a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// No leg has this port.
    NoLeg,
    /// Not RTP or RTCP: too short, wrong version, wrong lengths.
    Malformed,
    /// From an address that may not send here (the latch).
    Stranger,
    /// From the right address, with an SSRC that is not the locked one and not plausible as its successor.
    StrangeSource,
    /// A payload type that was not negotiated.
    UnmappedPayload,
    /// Valid, but nobody hears this leg now.
    Unheard,
    /// Older than the switch that replaced its epoch.
    Superseded,
    /// A digit that is not relayed.
    Digit,
    /// The listener's peer is not known yet, or holds us.
    NotSending,
    /// A second listener's copy found no free buffer; counted as lost.
    NoBuffer,
    /// It cannot be put into the listener's codec: it is broken, longer than 120 ms, of a length that the codec has not, or too long
    /// for a packet there.
    Untranscodable,
    /// It came twice, and a codec with a memory has heard it already, or a mix has it.
    Repeated,
    /// In a mix it was not there when it was to be played.
    Late,
}

impl Reason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Reason; 13] = [
        Reason::NoLeg,
        Reason::Malformed,
        Reason::Stranger,
        Reason::StrangeSource,
        Reason::UnmappedPayload,
        Reason::Unheard,
        Reason::Superseded,
        Reason::Digit,
        Reason::NotSending,
        Reason::NoBuffer,
        Reason::Untranscodable,
        Reason::Repeated,
        Reason::Late,
    ];

    /// As in a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoLeg => "no_leg",
            Reason::Malformed => "malformed",
            Reason::Stranger => "stranger",
            Reason::StrangeSource => "strange_source",
            Reason::UnmappedPayload => "unmapped_payload",
            Reason::Unheard => "unheard",
            Reason::Superseded => "superseded",
            Reason::Digit => "digit",
            Reason::NotSending => "not_sending",
            Reason::NoBuffer => "no_buffer",
            Reason::Untranscodable => "untranscodable",
            Reason::Repeated => "repeated",
            Reason::Late => "late",
        }
    }
}

/// A packet that the core made itself, in a buffer that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From the socket of this port: RTP is even; RTCP is odd unless muxed.
    pub from: Port,
    /// To this address.
    pub to: SocketAddr,
    /// Bytes of the buffer.
    pub len: usize,
}
