//! A packet of the load: Ethernet, IPv4, UDP and RTP, with what the judge must know of it in the payload, or with speech.

use std::sync::LazyLock;

use baton_lab::udp::{self, End, HEADERS};
use media::codec::g711::{self, ALAW_TO_ULAW, ULAW_TO_ALAW};
use media::command::Codec;

use crate::speech::Speech;

/// RTP's header.
pub(crate) const RTP: usize = 12;

/// 20 ms of PCMU.
const PAYLOAD: usize = SAMPLES as usize;

/// Of all packets.
pub(crate) const PTIME_MS: u8 = 20;

/// What the timestamp of a packet of G.711 is ahead of that of the one before.
pub(crate) const SAMPLES: u32 = 160;

/// The number of a stream for which nobody waits.
pub(crate) const FLOOD: u32 = u32::MAX;

/// The load's port of a stream is this one plus twice the stream's number: what goes to a lower port is the kernel's.
pub(crate) const FIRST_PORT: u16 = 12_000;

/// All of a packet of G.711.
pub(crate) const LEN: usize = HEADERS + RTP + PAYLOAD;

/// Bytes of what a packet says of itself.
const MARK: usize = 20;

/// Begins the payload of each packet of ours.
const MAGIC: u32 = 0x4261_746f;

/// What one leg of a call sends.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    packet: [u8; LEN],
    codec: Codec,
    next: u32,
    said: Option<Said>,
}

/// What is said instead of the mark, over and over.
#[derive(Clone, Debug)]
struct Said {
    speech: Speech,
    /// Of its payloads, the one that comes next.
    at: usize,
    from: (End, u16),
    to: (End, u16),
}

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stream: u32,
    pub(crate) number: u32,
    pub(crate) sent_ns: u64,
    /// Of the line that it came on.
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// What the timestamp of each packet there is ahead of that of the one before.
    pub(crate) ticks: u32,
}

/// The load's port of this stream.
pub(crate) fn port(stream: usize) -> u16 {
    FIRST_PORT + 2 * stream as u16
}

/// Payload types: those of RFC 3551, and others from 96 on.
pub(crate) fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::L16 => 96,
        Codec::L16Wide => 97,
        Codec::Opus => 98,
    }
}

impl Stream {
    pub(crate) fn new(number: u32, codec: Codec, from: (End, u16), to: (End, u16)) -> Stream {
        let mut packet = [codec.law().map_or(0, g711::Law::silence); LEN];
        udp::write(&mut packet, from, to, LEN - HEADERS);
        packet[42..44].copy_from_slice(&[0x80, payload_type(codec)]);
        packet[50..54].copy_from_slice(&(number ^ 0x5eed_0000).to_be_bytes());
        let mut stream = Stream {
            packet,
            codec,
            next: 0,
            said: None,
        };
        stream.put(0, &MAGIC.to_be_bytes());
        stream.put(4, &number.to_be_bytes());
        stream
    }

    /// One that has speech in its packets, and nothing else: each number begins elsewhere in it.
    pub(crate) fn speaking(number: u32, codec: Codec, from: (End, u16), to: (End, u16), speech: &Speech) -> Stream {
        Stream {
            said: Some(Said {
                at: 37 * number as usize % speech.len(),
                speech: speech.clone(),
                from,
                to,
            }),
            ..Stream::new(number, codec, from, to)
        }
    }

    /// How many it has sent.
    pub(crate) fn sent(&self) -> u32 {
        self.next
    }

    /// Writes the next one; its length.
    pub(crate) fn write(&mut self, frame: &mut [u8], now_ns: u64) -> usize {
        let number = self.next;
        self.next += 1;
        self.packet[44..46].copy_from_slice(&(number as u16).to_be_bytes());
        let ticks = self.codec.ticks(PTIME_MS);
        self.packet[46..50].copy_from_slice(&number.wrapping_mul(ticks).to_be_bytes());
        if let Some(said) = &mut self.said {
            let payload = &said.speech[said.at];
            said.at = (said.at + 1) % said.speech.len();
            let len = HEADERS + RTP + payload.len();
            udp::write(frame, said.from, said.to, len - HEADERS);
            frame[HEADERS..HEADERS + RTP].copy_from_slice(&self.packet[HEADERS..HEADERS + RTP]);
            frame[HEADERS + RTP..len].copy_from_slice(payload);
            return len;
        }
        self.put(8, &number.to_be_bytes());
        self.put(12, &now_ns.to_be_bytes());
        frame[..LEN].copy_from_slice(&self.packet);
        LEN
    }

    /// Writes bytes of the mark: two samples each.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let samples = &LAWS[law(self.codec)].samples;
        let payload = &mut self.packet[HEADERS + RTP + 2 * at..];
        for (pair, byte) in payload.chunks_exact_mut(2).zip(bytes) {
            pair[0] = samples[usize::from(byte >> 4)];
            pair[1] = samples[usize::from(byte & 15)];
        }
    }
}

/// What a frame that came says; `None`: it is none of ours, or not whole.
pub(crate) fn read(frame: &[u8]) -> Option<Mark> {
    let payload = frame.get(HEADERS + RTP..LEN)?;
    let law = match (frame[HEADERS], frame[HEADERS + 1] & 0x7f) {
        (0x80, 0) => &LAWS[0],
        (0x80, 8) => &LAWS[1],
        _ => return None,
    };
    let mut mark = [0; MARK];
    for (byte, pair) in mark.iter_mut().zip(payload.chunks_exact(2)) {
        *byte = law.nibble(pair[0])? << 4 | law.nibble(pair[1])?;
    }
    let number = |at: usize| Some(u32::from_be_bytes(mark[at..at + 4].try_into().ok()?));
    (number(0)? == MAGIC).then_some(())?;
    Some(Mark {
        sequence: u16::from_be_bytes([frame[HEADERS + 2], frame[HEADERS + 3]]),
        timestamp: u32::from_be_bytes(frame[HEADERS + 4..HEADERS + 8].try_into().ok()?),
        stream: number(4)?,
        ticks: SAMPLES,
        number: number(8)?,
        sent_ns: u64::from_be_bytes(mark[12..20].try_into().ok()?),
    })
}

/// The samples that stand for 4 bits each in one law of G.711, and which bits a sample stands for.
struct Law {
    samples: [u8; 16],
    bits: [u8; 256],
}

/// A sample that stands for nothing.
const NOTHING: u8 = 0xff;

impl Law {
    fn nibble(&self, sample: u8) -> Option<u8> {
        Some(self.bits[usize::from(sample)]).filter(|bits| *bits != NOTHING)
    }
}

/// Where a codec stands in [`LAWS`].
fn law(codec: Codec) -> usize {
    usize::from(codec.law() == Some(g711::Law::A))
}

/// Samples that are the same again after they went from one law to the other and back: the mark outlives a change of law.
static LAWS: LazyLock<[Law; 2]> = LazyLock::new(|| {
    let same = |sample: &u8| ALAW_TO_ULAW[usize::from(ULAW_TO_ALAW[usize::from(*sample)])] == *sample;
    // Not those beside each other: the quieter half of the positive ones.
    let mut samples = [0; 16];
    for (place, sample) in samples.iter_mut().zip((0x80..=0xff).filter(same).step_by(4)) {
        *place = sample;
    }
    [samples, samples.map(|sample| ULAW_TO_ALAW[usize::from(sample)])].map(|samples| {
        let mut bits = [NOTHING; 256];
        for (number, sample) in samples.into_iter().enumerate() {
            bits[usize::from(sample)] = number as u8;
        }
        Law { samples, bits }
    })
});

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_packet_says_what_was_written() {
        let end = |last| End {
            mac: [2, 0, 0, 0, 0, last],
            ip: Ipv4Addr::new(10, 0, 0, last),
        };
        let mut stream = Stream::new(7, Codec::Pcmu, (end(1), 20_000), (end(2), 30_000));
        let mut frame = [0; 2048];
        assert_eq!(stream.write(&mut frame, 1), LEN);
        let len = stream.write(&mut frame, 123_456_789);
        let mark = Mark {
            stream: 7,
            number: 1,
            sent_ns: 123_456_789,
            sequence: 1,
            timestamp: SAMPLES,
            ticks: SAMPLES,
        };
        assert_eq!(read(&frame[..len]), Some(mark));
        assert_eq!(stream.sent(), 2);
        assert_eq!(frame[36..38], 30_000_u16.to_be_bytes());
        assert_eq!(frame[44..50], [0, 1, 0, 0, 0, 160]);
        assert_eq!(read(&frame[..len - 1]), None);
        frame[54] ^= 1;
        assert_eq!(read(&frame[..len]), None);
    }

    #[test]
    fn who_speaks_says_one_payload_after_the_other_and_begins_again() {
        let end = End {
            mac: [2; 6],
            ip: Ipv4Addr::LOCALHOST,
        };
        let payloads: [&[u8]; 3] = [&[1], &[2, 2], &[3, 3, 3]];
        let speech: Speech = payloads.map(Box::from).into_iter().collect();
        let mut stream = Stream::speaking(1, Codec::Opus, (end, 1), (end, 2), &speech);
        for number in 0..5_u8 {
            let mut frame = [0; 2048];
            let len = stream.write(&mut frame, 0);
            // 37 of three payloads: it begins at the second.
            let payload = payloads[(1 + usize::from(number)) % 3];
            assert_eq!(&frame[HEADERS + RTP..len], payload);
            // RFC 768: header and payload.
            assert_eq!(frame[38..40], (8 + RTP as u16 + payload.len() as u16).to_be_bytes());
            assert_eq!(frame[42..46], [0x80, 98, 0, number]);
            assert_eq!(frame[46..50], (960 * u32::from(number)).to_be_bytes());
        }
        assert_eq!(stream.sent(), 5);
    }

    #[test]
    fn the_mark_outlives_a_change_of_law() {
        let end = End {
            mac: [2; 6],
            ip: Ipv4Addr::LOCALHOST,
        };
        for (from, to) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
            let mut stream = Stream::new(0x0123_4567, from, (end, 1), (end, 2));
            let mut frame = [0; LEN];
            stream.write(&mut frame, 0x89ab_cdef_0000_1111);
            let sent = read(&frame);
            from.law()
                .unwrap()
                .transcode(to.law().unwrap(), &mut frame[HEADERS + RTP..]);
            frame[HEADERS + 1] = payload_type(to);
            assert!(sent.is_some_and(|mark| mark.stream == 0x0123_4567));
            assert_eq!(read(&frame), sent);
        }
    }
}
