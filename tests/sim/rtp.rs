//! RTP as the parties of the simulator speak it: their own few lines, none of the product's.

/// A parsed RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Packet {
    /// `None` for what is not RTP version 2 without CSRC, extension and padding, or is RTCP.
    pub fn parse(bytes: &[u8]) -> Option<Packet> {
        if bytes.len() < 12 || bytes[0] != 0x80 || (192..=223).contains(&bytes[1]) {
            return None;
        }
        let long = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Some(Packet {
            marker: bytes[1] & 0x80 != 0,
            payload_type: bytes[1] & 0x7f,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: long(4),
            ssrc: long(8),
            payload: bytes[12..].to_vec(),
        })
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, u8::from(self.marker) << 7 | self.payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// G.711 as the Recommendation's segments say it, by search: slow, and independent of the product's tables.
pub mod g711 {
    use std::sync::OnceLock;

    /// One code of µ-law as a 16 bit sample.
    pub fn ulaw(code: u8) -> i16 {
        let code = !code;
        let magnitude = (((i32::from(code & 0x0f) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
        (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
    }

    /// One code of A-law as a 16 bit sample.
    pub fn alaw(code: u8) -> i16 {
        let code = code ^ 0x55;
        let (segment, step) = (i32::from(code >> 4 & 7), i32::from(code & 0x0f));
        let magnitude = if segment == 0 {
            (step << 4) + 8
        } else {
            ((step << 4) + 0x108) << (segment - 1)
        };
        (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
    }

    fn nearest(decode: fn(u8) -> i16) -> Vec<u8> {
        let mut codes: Vec<(i32, u8)> = (0..=255).map(|code| (i32::from(decode(code)), code)).collect();
        codes.sort_unstable();
        let mut at = 0;
        (-32768..=32767)
            .map(|sample| {
                while at + 1 < codes.len() && (codes[at + 1].0 - sample).abs() <= (codes[at].0 - sample).abs() {
                    at += 1;
                }
                codes[at].1
            })
            .collect()
    }

    /// Encodes by the nearest code.
    pub fn encode(samples: &[i16], alaw_wanted: bool) -> Vec<u8> {
        static TABLES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
        let tables = TABLES.get_or_init(|| [nearest(ulaw), nearest(alaw)]);
        let table = &tables[usize::from(alaw_wanted)];
        samples
            .iter()
            .map(|&sample| table[(i32::from(sample) + 32768) as usize])
            .collect()
    }

    /// Decodes.
    pub fn decode(codes: &[u8], alaw_wanted: bool) -> Vec<i16> {
        codes
            .iter()
            .map(|&code| if alaw_wanted { alaw(code) } else { ulaw(code) })
            .collect()
    }
}
