//! RTP packets (RFC 3550 §5.1) and telephone events (RFC 4733), as plain values.

/// A packet that came, or is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The first packet after a pause.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Counts packets.
    pub sequence: u16,
    /// In samples.
    pub timestamp: u32,
    /// Whose line it is.
    pub ssrc: u32,
    /// Without header extension and padding.
    pub payload: Vec<u8>,
}

impl Packet {
    /// `None` for what is not RTP version 2, or is shorter than it says.
    pub fn parse(bytes: &[u8]) -> Option<Packet> {
        let head: &[u8; 12] = bytes.first_chunk()?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let mut start = 12 + 4 * usize::from(head[0] & 0x0f);
        if head[0] & 0x10 != 0 {
            let words = bytes.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let mut end = bytes.len();
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*bytes.last()?);
            end = end.checked_sub(padding.max(1))?;
        }
        Some(Packet {
            marker: head[1] & 0x80 != 0,
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload: bytes.get(start..end)?.to_vec(),
        })
    }

    /// As it goes into a datagram.
    pub fn print(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.payload.len());
        bytes.push(0x80);
        bytes.push(u8::from(self.marker) << 7 | self.payload_type);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// The payload of a telephone event (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 9, `*`, `#`, A to D.
    pub digit: char,
    /// Whether it is over.
    pub end: bool,
    /// In timestamp units, from the event's start.
    pub duration: u16,
}

/// Event codes 0 to 15 (RFC 4733 §3.2).
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

impl TelephoneEvent {
    /// `None` where it is too short or no digit.
    pub fn parse(payload: &[u8]) -> Option<TelephoneEvent> {
        let four: &[u8; 4] = payload.first_chunk()?;
        Some(TelephoneEvent {
            digit: char::from(*DIGITS.get(usize::from(four[0]))?),
            end: four[1] & 0x80 != 0,
            duration: u16::from_be_bytes([four[2], four[3]]),
        })
    }

    /// At a volume of −10 dBm0. `None` where it is no digit.
    pub fn print(self) -> Option<Vec<u8>> {
        let code = DIGITS.iter().position(|digit| char::from(*digit) == self.digit)? as u8;
        let [high, low] = self.duration.to_be_bytes();
        Some(vec![code, u8::from(self.end) << 7 | 10, high, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        Packet {
            marker: true,
            payload_type: 101,
            sequence: 0xfffe,
            timestamp: 0x0102_0304,
            ssrc: 0xa0b0_c0d0,
            payload: vec![1, 2, 3],
        }
    }

    #[test]
    fn printed_and_parsed_again() {
        let bytes = packet().print();
        assert_eq!(
            bytes[..12],
            [0x80, 0xe5, 0xff, 0xfe, 1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0]
        );
        assert_eq!(Packet::parse(&bytes), Some(packet()));
    }

    #[test]
    fn csrc_extension_and_padding_are_no_payload() {
        let mut bytes = packet().print();
        bytes[0] = 0xb1; // padding, extension, one CSRC
        let payload = bytes.split_off(12);
        bytes.extend([9; 4]); // CSRC
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // extension of one word
        bytes.extend(payload);
        bytes.extend([0, 0, 3]);
        assert_eq!(Packet::parse(&bytes).unwrap().payload, [1, 2, 3]);
    }

    #[test]
    fn what_is_cut_short_is_no_packet() {
        let mut bytes = packet().print();
        bytes[0] = 0xbf;
        for length in 0..bytes.len() {
            assert_eq!(Packet::parse(&bytes[..length]), None);
        }
        assert_eq!(Packet::parse(&[0x40; 20]), None);
    }

    #[test]
    fn telephone_events() {
        let event = TelephoneEvent {
            digit: '#',
            end: true,
            duration: 640,
        };
        assert_eq!(event.print().unwrap(), [11, 0x8a, 2, 0x80]);
        assert_eq!(TelephoneEvent::parse(&[11, 0x8a, 2, 0x80]), Some(event));
        assert_eq!(TelephoneEvent::parse(&[16, 0, 0, 0]), None);
        assert_eq!(TelephoneEvent::parse(&[1, 0, 0]), None);
    }
}
