//! A party's stream, and what a caller's line was like.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_parties::rtp::Packet;

/// One packet time.
pub(crate) const PTIME: Duration = Duration::from_millis(20);

/// The first bytes of a payload of ours: speech of G.711 that says whose it is. A prompt has none.
const MARK: &[u8; 4] = b"BtnL";

/// Bytes of a packet time of G.711.
const PAYLOAD: usize = 160;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Caller,
    Ai,
    Human,
}

/// Who is heard in a packet: the role, and, of a caller, which.
pub(crate) fn speaker(packet: &Packet) -> Option<(Role, u32)> {
    let rest = packet.payload.strip_prefix(MARK)?;
    let number = u32::from_be_bytes(*rest.get(1..)?.first_chunk()?);
    let role = match rest.first()? {
        0 => Role::Caller,
        1 => Role::Ai,
        2 => Role::Human,
        _ => return None,
    };
    Some((role, number))
}

/// What a party sends.
pub(crate) struct Stream {
    packet: Packet,
    pub(crate) to: Option<SocketAddr>,
    pub(crate) next: Instant,
}

impl Stream {
    pub(crate) fn new(role: Role, number: u32, ssrc: u32, next: Instant) -> Stream {
        let mut payload = vec![0xff; PAYLOAD];
        payload[..4].copy_from_slice(MARK);
        payload[4] = role as u8;
        payload[5..9].copy_from_slice(&number.to_be_bytes());
        let packet = Packet {
            marker: true,
            payload_type: 0,
            sequence: ssrc as u16,
            timestamp: ssrc,
            ssrc,
            payload,
        };
        Stream { packet, to: None, next }
    }

    /// The packet that is due, and where it goes.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let to = self.to?;
        if now < self.next {
            return None;
        }
        let bytes = self.packet.print();
        self.packet.marker = false;
        self.packet.sequence = self.packet.sequence.wrapping_add(1);
        self.packet.timestamp = self.packet.timestamp.wrapping_add(PAYLOAD as u32);
        self.next += PTIME;
        Some((to, bytes))
    }
}

/// What a caller's line was like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    last: Option<(Instant, u32, u16, u32)>,
    pub(crate) packets: u64,
    pub(crate) longest_gap: Duration,
    /// Another SSRC, or a sequence number that is not the next.
    pub(crate) breaks: u64,
    /// The timestamp went back.
    pub(crate) backwards: u64,
}

impl Heard {
    pub(crate) fn take(&mut self, at: Instant, packet: &Packet) {
        self.packets += 1;
        if let Some((last_at, ssrc, sequence, timestamp)) = self.last {
            self.longest_gap = self.longest_gap.max(at.saturating_duration_since(last_at));
            let next = ssrc == packet.ssrc && packet.sequence == sequence.wrapping_add(1);
            self.breaks += u64::from(!next);
            self.backwards += u64::from(packet.timestamp.wrapping_sub(timestamp).cast_signed() <= 0);
        }
        self.last = Some((at, packet.ssrc, packet.sequence, packet.timestamp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_who_speaks() {
        let now = Instant::now();
        let mut stream = Stream::new(Role::Human, 7, 1, now);
        assert!(stream.poll(now).is_none(), "nobody to send to");
        stream.to = Some("127.0.0.1:9".parse().unwrap());
        let (_, bytes) = stream.poll(now).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(speaker(&packet), Some((Role::Human, 7)));
        assert!(stream.poll(now).is_none(), "one in a packet time");
        let prompt = Packet {
            payload: vec![0xff; 160],
            ..packet
        };
        assert_eq!(speaker(&prompt), None);
    }

    #[test]
    fn gaps_and_breaks_are_seen() {
        let now = Instant::now();
        let mut stream = Stream::new(Role::Ai, 0, 65_535, now);
        stream.to = Some("127.0.0.1:9".parse().unwrap());
        let mut packets: Vec<Packet> = (0..4)
            .map(|n| Packet::parse(&stream.poll(now + PTIME * n).unwrap().1).unwrap())
            .collect();
        let heard = |packets: &[Packet]| {
            let mut heard = Heard::default();
            for (n, packet) in packets.iter().enumerate() {
                heard.take(now + PTIME * n as u32, packet);
            }
            (heard.packets, heard.longest_gap, heard.breaks, heard.backwards)
        };
        assert_eq!(heard(&packets), (4, PTIME, 0, 0));
        packets.swap(1, 2);
        assert_eq!(heard(&packets), (4, PTIME, 3, 1));
        packets.swap(1, 2);
        packets[3].ssrc = 5;
        assert_eq!(heard(&packets), (4, PTIME, 1, 0));
    }
}
