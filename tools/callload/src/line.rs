//! A party's stream: each packet says who speaks, the how-manieth it is, and when it was sent; in sound that survives a transcode.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_parties::codec::Codec;
use baton_parties::g711::G711;

/// One packet time.
pub(crate) const PTIME: Duration = Duration::from_millis(20);

/// Samples of a packet time of G.711.
const SAMPLES: u32 = 160;

/// A packet of Opus: 20 ms at 8 kHz (RFC 6716 §3.1), 28 kbit/s, of a sound that does not matter.
const OPUS: [u8; 70] = opus();

/// The first bytes of a message.
const MARK: [u8; 2] = [0xb7, 0x4e];

/// Bytes of a message; each is two samples.
const BYTES: usize = 20;

/// Sixteen levels, each far enough from the next one for both laws of G.711, and for one after the other.
const LEVELS: [i32; 8] = [100, 300, 700, 1500, 3000, 6000, 12_000, 24_000];

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Caller,
    Ai,
    Human,
}

/// What a packet of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) role: Role,
    /// Of a caller, which.
    pub(crate) number: u32,
    /// Counts the packets of its stream.
    pub(crate) count: u32,
    /// When it was sent, µs since the beginning of the run.
    pub(crate) sent_us: u64,
}

/// How a codec is written and read.
pub(crate) enum Law {
    G711(Box<Tables>),
    /// Nobody decodes it here: it says nothing, and what is more than a packet of silence sounds.
    Opus,
}

/// What four bits sound like in a codec, and what a byte of it says; and how loud each byte is.
pub(crate) struct Tables {
    codes: [u8; 16],
    bits: [u8; 256],
    squares: [u32; 256],
}

impl Law {
    /// What the timestamp advances by in a packet time.
    pub(crate) fn ticks(&self) -> u32 {
        match self {
            Law::G711(_) => SAMPLES,
            Law::Opus => Codec::Opus.ticks(PTIME.as_millis() as u32),
        }
    }

    fn print(&self, message: Message, payload: &mut [u8]) {
        if let Law::G711(tables) = self {
            tables.print(message, payload);
        }
    }

    /// `None`: it is no packet of ours, but a prompt, or noise.
    pub(crate) fn parse(&self, payload: &[u8]) -> Option<Message> {
        match self {
            Law::G711(tables) => tables.parse(payload),
            Law::Opus => None,
        }
    }

    /// The mean of the squares of its samples.
    pub(crate) fn power(&self, payload: &[u8]) -> u32 {
        match self {
            Law::G711(tables) => tables.power(payload),
            Law::Opus if payload.len() > 2 => u32::MAX,
            Law::Opus => 0,
        }
    }
}

impl Tables {
    fn of(codec: G711) -> Tables {
        let level = |bits: u8| {
            let level = LEVELS[usize::from(bits & 7)];
            if bits & 8 == 0 { level } else { -level }
        };
        let nearest = |byte: u8| {
            let sample = i32::from(codec.decode(byte));
            (0..16).min_by_key(|bits| (sample - level(*bits)).abs()).unwrap_or(0)
        };
        Tables {
            codes: std::array::from_fn(|bits| codec.encode(level(bits as u8) as i16)),
            bits: std::array::from_fn(|byte| nearest(byte as u8)),
            squares: std::array::from_fn(|byte| i32::from(codec.decode(byte as u8)).pow(2).cast_unsigned()),
        }
    }

    fn print(&self, message: Message, payload: &mut [u8]) {
        let mut bytes = [0; BYTES];
        bytes[..2].copy_from_slice(&MARK);
        bytes[2] = message.role as u8;
        bytes[3..7].copy_from_slice(&message.number.to_be_bytes());
        bytes[7..11].copy_from_slice(&message.count.to_be_bytes());
        bytes[11..19].copy_from_slice(&message.sent_us.to_be_bytes());
        bytes[19] = bytes[..19].iter().fold(0, |sum, byte| sum ^ byte);
        for (pair, byte) in payload.chunks_exact_mut(2).zip(bytes) {
            pair[0] = self.codes[usize::from(byte >> 4)];
            pair[1] = self.codes[usize::from(byte & 0x0f)];
        }
    }

    fn parse(&self, payload: &[u8]) -> Option<Message> {
        let mut bytes = [0; BYTES];
        let mut pairs = payload.chunks_exact(2);
        for at in 0..BYTES {
            let pair = pairs.next()?;
            bytes[at] = self.bits[usize::from(pair[0])] << 4 | self.bits[usize::from(pair[1])];
            if at == 1 && bytes[..2] != MARK {
                return None;
            }
        }
        let number = |from: usize| u32::from_be_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]);
        let sum = bytes[..19].iter().fold(0, |sum, byte| sum ^ byte);
        let role = match bytes[2] {
            0 => Role::Caller,
            1 => Role::Ai,
            2 => Role::Human,
            _ => return None,
        };
        (sum == bytes[19]).then(|| Message {
            role,
            number: number(3),
            count: number(7),
            sent_us: u64::from(number(11)) << 32 | u64::from(number(15)),
        })
    }

    fn power(&self, payload: &[u8]) -> u32 {
        let sum: u64 = payload
            .iter()
            .map(|byte| u64::from(self.squares[usize::from(*byte)]))
            .sum();
        (sum / payload.len().max(1) as u64) as u32
    }
}

/// Of every codec that there is here.
pub(crate) struct Laws([Law; 3]);

impl Laws {
    pub(crate) fn new() -> Laws {
        let law = |law| Law::G711(Box::new(Tables::of(law)));
        Laws([law(G711::Pcmu), law(G711::Pcma), Law::Opus])
    }

    pub(crate) fn of(&self, codec: Codec) -> &Law {
        let at = match codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 1,
            _ => 2,
        };
        &self.0[at]
    }
}

const fn opus() -> [u8; 70] {
    let mut packet = [0; 70];
    // SILK, narrowband, 20 ms, mono, one frame.
    packet[0] = 0x08;
    let mut at = 1;
    while at < packet.len() {
        packet[at] = (at * 37 % 251) as u8;
        at += 1;
    }
    packet
}

/// A packet as it came (RFC 3550 §5.1), without extension, padding and CSRC: we send none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

impl View<'_> {
    pub(crate) fn parse(bytes: &[u8]) -> Option<View<'_>> {
        let (head, payload) = bytes.split_first_chunk::<12>()?;
        (head[0] == 0x80).then_some(View {
            marker: head[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload,
        })
    }
}

/// Bytes of RTP's header (RFC 3550 §5.1), and of a whole packet.
const HEADER: usize = 12;
const PACKET: usize = HEADER + SAMPLES as usize;

/// What a party sends.
pub(crate) struct Stream {
    /// The packet, as it is sent next but for the message.
    packet: [u8; PACKET],
    length: usize,
    sequence: u16,
    timestamp: u32,
    message: Message,
    pub(crate) to: Option<SocketAddr>,
    pub(crate) next: Instant,
}

impl Stream {
    pub(crate) fn new(role: Role, number: u32, codec: Codec, ssrc: u32, next: Instant) -> Stream {
        // What is behind the message is silence.
        let silence = if codec == Codec::Pcma { G711::Pcma } else { G711::Pcmu };
        let (mut packet, mut length) = ([silence.encode(0); PACKET], PACKET);
        if codec == Codec::Opus {
            length = HEADER + OPUS.len();
            packet[HEADER..length].copy_from_slice(&OPUS);
        }
        // Version 2; the first packet has the marker.
        packet[..2].copy_from_slice(&[0x80, 0x80 | codec.payload_type()]);
        packet[8..HEADER].copy_from_slice(&ssrc.to_be_bytes());
        let message = Message {
            role,
            number,
            count: 0,
            sent_us: 0,
        };
        Stream {
            packet,
            length,
            sequence: ssrc as u16,
            timestamp: ssrc,
            message,
            to: None,
            next,
        }
    }

    /// The packet that is due, and where it goes.
    pub(crate) fn poll(&mut self, now: Instant, sent_us: u64, law: &Law) -> Option<(SocketAddr, Packet)> {
        let to = self.to?;
        if now < self.next {
            return None;
        }
        self.message.count = self.message.count.wrapping_add(1);
        self.message.sent_us = sent_us;
        law.print(self.message, &mut self.packet[HEADER..]);
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        let packet = Packet {
            bytes: self.packet,
            length: self.length,
        };
        self.packet[1] &= 0x7f;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(law.ticks());
        self.next += PTIME;
        Some((to, packet))
    }
}

/// A packet to be sent.
pub(crate) struct Packet {
    bytes: [u8; PACKET],
    length: usize,
}

impl Packet {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// So many packets of a stream, as they are sent.
    pub(crate) fn packets(role: Role, codec: Codec, ssrc: u32, count: u32) -> Vec<Vec<u8>> {
        let (laws, now) = (Laws::new(), Instant::now());
        let mut stream = Stream::new(role, 7, codec, ssrc, now);
        assert!(stream.poll(now, 0, laws.of(codec)).is_none(), "nobody to send to");
        stream.to = Some("127.0.0.1:9".parse().unwrap());
        let mut poll = |n: u32| {
            stream
                .poll(now + PTIME * n, u64::from(n) * 20_000, laws.of(codec))
                .unwrap()
                .1
                .bytes()
                .to_vec()
        };
        (0..count).map(&mut poll).collect()
    }

    #[test]
    fn a_packet_says_who_speaks_and_when_in_either_law_and_after_a_transcode() {
        let laws = Laws::new();
        for (from, to) in [
            (G711::Pcmu, G711::Pcmu),
            (G711::Pcmu, G711::Pcma),
            (G711::Pcma, G711::Pcmu),
            (G711::Pcma, G711::Pcma),
        ] {
            let sent = packets(Role::Human, from.into(), u32::MAX, 3).remove(2);
            let view = View::parse(&sent).unwrap();
            assert_eq!((view.marker, view.sequence, view.payload.len()), (false, 1, 160));
            let heard: Vec<u8> = view.payload.iter().map(|byte| to.encode(from.decode(*byte))).collect();
            let heard = if from == to { view.payload } else { &heard };
            let message = laws.of(to.into()).parse(heard).unwrap();
            assert_eq!(
                message,
                Message {
                    role: Role::Human,
                    number: 7,
                    count: 3,
                    sent_us: 40_000
                }
            );
            assert!(laws.of(to.into()).power(heard) > 1_000_000);
        }
    }

    #[test]
    fn what_is_no_packet_of_ours_says_nothing() {
        let laws = Laws::new();
        let sent = packets(Role::Ai, Codec::Pcmu, 1, 1).remove(0);
        let mut payload = View::parse(&sent).unwrap().payload.to_vec();
        let law = laws.of(Codec::Pcmu);
        assert!(law.parse(&payload).is_some());
        assert_eq!(law.parse(&payload[..39]), None);
        // Another level somewhere.
        let tables = Tables::of(G711::Pcmu);
        payload[10] = tables.codes[usize::from(tables.bits[usize::from(payload[10])] ^ 1)];
        assert_eq!(law.parse(&payload), None);
        assert_eq!(law.parse(&[0xff; 160]), None);
        assert_eq!(law.power(&[0xff; 160]), 0);
        let opus = packets(Role::Human, Codec::Opus, 1, 3);
        let [one, next] = [1, 2].map(|at| View::parse(&opus[at]).unwrap());
        assert_eq!((one.payload.len(), next.timestamp - one.timestamp), (70, 960));
        let law = laws.of(Codec::Opus);
        assert_eq!((law.parse(one.payload), law.power(&[8, 0])), (None, 0));
        assert!(law.power(one.payload) > 0);
        assert!(View::parse(&[0x90; 20]).is_none() && View::parse(&[0x80; 11]).is_none());
    }
}
