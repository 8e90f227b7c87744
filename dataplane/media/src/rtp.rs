//! RTP (RFC 3550 §5): a view that is checked once, demultiplexing, and arithmetic that survives wrapping.

use std::ops::Range;

/// Length of the fixed header.
pub const HEADER: usize = 12;

/// What a datagram on an RTP port is, by its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// STUN, DTLS, a keep-alive, noise.
    Other,
}

/// Tells RTP from RTCP from the rest.
///
/// RFC 7983 §7: a first byte of 128 to 191 is RTP or RTCP. RFC 5761 §4: of these, a second byte of 192 to 223
/// (RTP payload types 64 to 95 with the marker) is RTCP.
pub fn demux(datagram: &[u8]) -> Kind {
    match datagram {
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Other,
    }
}

/// Not RTP: too short, another version, or lengths that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A received RTP packet in its buffer. Checked by [`Packet::parse`]; afterwards no accessor can fail.
#[derive(Debug)]
pub struct Packet<'a> {
    header: &'a mut [u8; HEADER],
    /// Contributing sources, extension, payload, padding.
    rest: &'a mut [u8],
    payload: Range<usize>,
}

impl<'a> Packet<'a> {
    /// Checks the whole datagram: version, contributing sources, header extension, padding.
    pub fn parse(datagram: &'a mut [u8]) -> Result<Packet<'a>, Malformed> {
        let (header, rest) = datagram.split_first_chunk_mut::<HEADER>().ok_or(Malformed)?;
        if header[0] >> 6 != 2 {
            return Err(Malformed);
        }
        let mut start = 4 * usize::from(header[0] & 0x0f);
        if header[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: the length counts the 32-bit words after the four bytes of the extension's head.
            let head = rest.get(start..start + 4).ok_or(Malformed)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        let mut end = rest.len();
        if header[0] & 0x20 != 0 {
            // RFC 3550 §5.1: the last octet counts the padding, itself included.
            let padding = usize::from(*rest.last().ok_or(Malformed)?);
            if padding == 0 {
                return Err(Malformed);
            }
            end = end.checked_sub(padding).ok_or(Malformed)?;
        }
        if start > end {
            return Err(Malformed);
        }
        Ok(Packet {
            header,
            rest,
            payload: start..end,
        })
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    /// Sets the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        self.header[1] = self.header[1] & 0x7f | u8::from(marker) << 7;
    }

    /// The payload type, 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.header[1] & 0x7f
    }

    /// Sets the payload type; only the lower seven bits count.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.header[1] = self.header[1] & 0x80 | payload_type & 0x7f;
    }

    /// The sequence number.
    pub fn sequence(&self) -> Seq {
        Seq(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: Seq) {
        self.header[2..4].copy_from_slice(&sequence.0.to_be_bytes());
    }

    /// The timestamp, in units of the payload's clock.
    pub fn timestamp(&self) -> u32 {
        let h = &self.header;
        u32::from_be_bytes([h[4], h[5], h[6], h[7]])
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        let h = &self.header;
        u32::from_be_bytes([h[8], h[9], h[10], h[11]])
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.header[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &[u8] {
        &self.rest[self.payload.clone()]
    }

    /// The payload, without padding.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.rest[self.payload.clone()]
    }

    /// Where the payload lies in the datagram.
    pub fn payload_range(&self) -> Range<usize> {
        HEADER + self.payload.start..HEADER + self.payload.end
    }

    /// Whether there is nothing but header and payload: no contributing source, extension or padding.
    pub fn is_plain(&self) -> bool {
        self.header[0] == 0x80
    }

    /// Takes out contributing sources, extension and padding, which mean nothing on another leg's session
    /// (extension ids are negotiated per session, RFC 8285 §5). Returns the new length of the datagram.
    pub fn strip(&mut self) -> usize {
        if !self.is_plain() {
            self.rest.copy_within(self.payload.clone(), 0);
            self.payload = 0..self.payload.len();
            self.header[0] = 0x80;
        }
        HEADER + self.payload.end
    }

    /// The fields of the fixed header that we use, as plain data.
    pub fn header(&self) -> Header {
        Header {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence: self.sequence(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }
}

/// The header of a packet that we make: version 2, no contributing source, extension or padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: Seq,
    /// The timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Writes the header into the first [`HEADER`] bytes and returns what is left for the payload;
    /// `None` where the buffer is too short.
    pub fn write<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, payload) = buffer.split_first_chunk_mut::<HEADER>()?;
        header[0] = 0x80;
        header[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        header[2..4].copy_from_slice(&self.sequence.0.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        Some(payload)
    }
}

/// A sequence number. It has no order of its own: ask for [`Seq::distance_from`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Seq(pub u16);

impl Seq {
    /// The number `n` further on.
    pub fn plus(self, n: u16) -> Seq {
        Seq(self.0.wrapping_add(n))
    }

    /// The next number.
    pub fn next(self) -> Seq {
        self.plus(1)
    }

    /// How far `self` is ahead of `other` by the shorter way round: negative where it is behind.
    pub fn distance_from(self, other: Seq) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }

    /// Whether `self` comes after `other`.
    pub fn is_after(self, other: Seq) -> bool {
        self.distance_from(other) > 0
    }
}

/// How far timestamp `a` is ahead of `b` by the shorter way round: negative where it is behind.
pub fn timestamp_distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Follows one source's sequence numbers past 65,535 (RFC 3550 A.1), and tells late from doubled packets.
///
/// Probation (`MIN_SEQUENTIAL`) is left out: the latch has judged the source already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sequence {
    state: Option<Highest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Highest {
    base: u64,
    /// Starts one cycle up, so that a packet older than the first one has a number too.
    highest: u64,
    /// Bit n: `highest − n` was received.
    seen: u64,
    /// RFC 3550 A.1 `bad_seq`: two consecutive packets after a jump are a restarted source.
    wild: Option<Seq>,
}

/// What a sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first packet of the source.
    First,
    /// Ahead of all before it.
    Ahead {
        /// How many numbers were passed over: lost, or late.
        missing: u16,
    },
    /// Behind the highest, and not seen before; counted as missing when it was passed over.
    Late,
    /// Seen before.
    Duplicate,
    /// Too far from the highest to belong to the same run (RFC 3550 A.1 `MAX_DROPOUT`, `MAX_MISORDER`).
    Wild,
    /// The second of two consecutive wild packets: the source started anew.
    Restart,
}

impl Sequence {
    /// RFC 3550 A.1.
    pub const MAX_DROPOUT: u16 = 3000;
    /// RFC 3550 A.1.
    pub const MAX_MISORDER: u16 = 100;

    /// Before the first packet.
    pub const fn new() -> Sequence {
        Sequence { state: None }
    }

    /// Takes note of a received number.
    pub fn receive(&mut self, seq: Seq) -> Arrival {
        let Some(state) = &mut self.state else {
            self.start(seq);
            return Arrival::First;
        };
        let ahead = seq.0.wrapping_sub(state.highest as u16);
        if ahead == 0 {
            return Arrival::Duplicate;
        }
        if ahead < Self::MAX_DROPOUT {
            state.highest += u64::from(ahead);
            state.seen = state.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            state.wild = None;
            return Arrival::Ahead { missing: ahead - 1 };
        }
        let behind = ahead.wrapping_neg();
        if behind < Self::MAX_MISORDER {
            let Some(bit) = 1u64.checked_shl(u32::from(behind)) else {
                return Arrival::Late;
            };
            if state.seen & bit != 0 {
                return Arrival::Duplicate;
            }
            state.seen |= bit;
            return Arrival::Late;
        }
        if state.wild == Some(seq) {
            self.start(seq);
            return Arrival::Restart;
        }
        state.wild = Some(seq.next());
        Arrival::Wild
    }

    /// The extended number of `seq`: the one nearest to the highest. `None` before the first packet.
    pub fn extend(&self, seq: Seq) -> Option<u64> {
        let highest = self.state?.highest;
        let distance = i64::from(seq.distance_from(Seq(highest as u16)));
        Some(highest.saturating_add_signed(distance))
    }

    /// The highest extended number received. Its lower 16 bits are the sequence number.
    pub fn highest(&self) -> Option<u64> {
        Some(self.state?.highest)
    }

    /// The extended number of the first packet.
    pub fn base(&self) -> Option<u64> {
        Some(self.state?.base)
    }

    fn start(&mut self, seq: Seq) {
        let first = 0x1_0000 + u64::from(seq.0);
        self.state = Some(Highest {
            base: first,
            highest: first,
            seen: 1,
            wild: None,
        });
    }
}

#[cfg(test)]
mod tests;
