//! The packets of lines whose payload says nothing of where it is from, for it was coded anew: each is known by its port and by its number
//! on the line.

use baton_lab::udp::HEADERS;
use media::command::Codec;

use crate::calls::Calls;
use crate::frame::{self, FIRST_PORT, Mark, PTIME_MS, RTP, payload_type};

/// Packets of each source whose times are kept: 1.28 s. What comes later is judged as if it had been sent by then.
const KEPT: usize = 64;

/// All lines of a load, by the stream whose port they come to.
#[derive(Debug)]
pub(crate) struct Lines {
    /// `None`: its packets say themselves what they are.
    lines: Vec<Option<Box<Line>>>,
    /// What a stream sends comes to its own port.
    back: bool,
    /// Nothing more is sent.
    is_over: bool,
}

/// What one port receives.
#[derive(Debug)]
struct Line {
    /// Whose packets.
    source: u32,
    /// Of who hears them.
    codec: Codec,
    /// When packets were sent, at their number modulo [`KEPT`].
    sent_ns: [u64; KEPT],
    /// How many were.
    next: u32,
    /// The last packet that came: its sequence number, and its number at the source.
    met: Option<(u16, u32)>,
}

impl Lines {
    /// `back`: what a stream sends comes to its own port, not to that of the other leg.
    pub(crate) fn new(calls: &Calls, back: bool) -> Lines {
        let line = |stream: usize| {
            let source = if back { stream } else { stream ^ 1 };
            calls.is_recoded(stream / 2).then(|| {
                Box::new(Line {
                    source: source as u32,
                    codec: calls.codecs(stream / 2)[stream % 2],
                    sent_ns: [0; KEPT],
                    next: 0,
                    met: None,
                })
            })
        };
        Lines {
            lines: (0..2 * calls.all()).map(line).collect(),
            back,
            is_over: false,
        }
    }

    /// A stream has sent its next packet.
    pub(crate) fn sent(&mut self, stream: usize, now_ns: u64) {
        let to = if self.back { stream } else { stream ^ 1 };
        if let Some(Some(line)) = self.lines.get_mut(to) {
            line.sent_ns[line.next as usize % KEPT] = now_ns;
            line.next += 1;
        }
    }

    /// Nothing more will be sent: afterwards there may be noise of comfort where the load was.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// What a frame that came says; `None`: it is none of ours, or not whole.
    pub(crate) fn read(&mut self, packet: &[u8]) -> Option<Mark> {
        let port = u16::from_be_bytes([*packet.get(36)?, *packet.get(37)?]);
        let stream = usize::from(port.checked_sub(FIRST_PORT)?) / 2;
        match self.lines.get_mut(stream) {
            Some(Some(line)) => line.read(packet, self.is_over),
            _ => frame::read(packet),
        }
    }
}

impl Line {
    fn read(&mut self, packet: &[u8], is_over: bool) -> Option<Mark> {
        let (header, payload) = packet.get(HEADERS..)?.split_at_checked(RTP)?;
        let ticks = self.codec.ticks(PTIME_MS);
        let is_ours = header[0] == 0x80
            && header[1] & 0x7f == payload_type(self.codec)
            && self.codec.duration(payload) == Some(ticks);
        is_ours.then_some(())?;
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let number = self.number(sequence, is_over)?;
        self.met = Some((sequence, number));
        Some(Mark {
            stream: self.source,
            number,
            // Of the oldest that is kept, at the most.
            sent_ns: self.sent_ns[number.max(self.next.saturating_sub(KEPT as u32)) as usize % KEPT],
            sequence,
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ticks,
        })
    }

    /// The source's number of a packet: as far from that of the one before as their sequence numbers are. The first one is the last that was
    /// sent, and so is one that would be later than that: the line was then met at the wrong number, or has more packets than its source.
    fn number(&self, sequence: u16, is_over: bool) -> Option<u32> {
        let last = self.next.checked_sub(1)?;
        let stepped = self.met.and_then(|(before, number)| {
            let step = sequence.wrapping_sub(before) as i16;
            number.checked_add_signed(step.into())
        });
        match stepped {
            Some(number) if number <= last => Some(number),
            Some(_) if is_over => None,
            _ => Some(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use media::command::Codec;

    use super::*;

    const OPUS: Calls = Calls {
        codecs: [Codec::Pcmu, Codec::Opus],
        count: 1,
        relayed: 1,
        opus: None,
    };

    /// For the leg with Opus: 20 ms of it.
    fn packet(sequence: u16, timestamp: u32) -> Vec<u8> {
        let mut packet = vec![0; HEADERS];
        packet[36..38].copy_from_slice(&frame::port(1).to_be_bytes());
        packet.extend([0x80, payload_type(Codec::Opus)]);
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0; 4]);
        // RFC 6716 §3.1: one frame of SILK, 20 ms.
        packet.extend([1 << 3, 1, 2, 3]);
        packet
    }

    /// Number and sending time of what came with this sequence number.
    fn met(lines: &mut Lines, sequence: u16) -> Option<(u32, u64)> {
        let mark = lines.read(&packet(sequence, 7))?;
        assert_eq!((mark.stream, mark.ticks, mark.timestamp), (0, 960, 7));
        assert_eq!(mark.sequence, sequence);
        Some((mark.number, mark.sent_ns))
    }

    #[test]
    fn a_line_is_met_at_what_was_sent_last_and_counted_on_by_its_sequence() {
        let mut lines = Lines::new(&OPUS, false);
        // Nothing was sent yet.
        assert_eq!(met(&mut lines, 65_534), None);
        for number in 0..3 {
            lines.sent(0, 100 + number);
        }
        assert_eq!(met(&mut lines, 65_534), Some((2, 102)));
        for number in 3..10 {
            lines.sent(0, 100 + number);
        }
        assert_eq!(met(&mut lines, 65_535), Some((3, 103)));
        // One is lost, where the numbers begin anew, and comes late.
        assert_eq!(met(&mut lines, 1), Some((5, 105)));
        assert_eq!(met(&mut lines, 0), Some((4, 104)));
        assert_eq!(met(&mut lines, 1), Some((5, 105)));
        assert_eq!(met(&mut lines, 5), Some((9, 109)));
    }

    #[test]
    fn what_would_be_later_than_all_that_was_sent_is_met_anew() {
        let mut lines = Lines::new(&OPUS, false);
        lines.sent(0, 100);
        lines.sent(0, 101);
        assert_eq!(met(&mut lines, 7), Some((1, 101)));
        assert_eq!(met(&mut lines, 8), Some((1, 101)));
        lines.sent(0, 102);
        assert_eq!(met(&mut lines, 9), Some((2, 102)));
    }

    #[test]
    fn what_comes_after_the_last_that_was_sent_is_nothing_once_all_was_sent() {
        let mut lines = Lines::new(&OPUS, false);
        lines.sent(0, 100);
        assert_eq!(met(&mut lines, 7), Some((0, 100)));
        lines.sent(0, 101);
        lines.end();
        assert_eq!(met(&mut lines, 8), Some((1, 101)));
        assert_eq!(met(&mut lines, 9), None);
    }

    #[test]
    fn what_is_older_than_what_is_kept_counts_as_the_oldest() {
        let mut lines = Lines::new(&OPUS, false);
        lines.sent(0, 1);
        assert_eq!(met(&mut lines, 0), Some((0, 1)));
        for number in 1..KEPT as u64 + 10 {
            lines.sent(0, 1 + number);
        }
        assert_eq!(met(&mut lines, 1), Some((1, 11)));
        assert_eq!(met(&mut lines, 70), Some((70, 71)));
    }

    #[test]
    fn another_codec_or_packet_time_is_none_of_ours() {
        let mut lines = Lines::new(&OPUS, false);
        lines.sent(0, 1);
        let good = packet(0, 0);
        for (at, byte) in [
            (HEADERS, 0x90),
            (HEADERS + 1, payload_type(Codec::Pcmu)),
            // 40 ms.
            (HEADERS + RTP, 2 << 3),
            (36, 1),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(lines.read(&bad), None, "{at}");
        }
        assert_eq!(lines.read(&good[..HEADERS + 4]), None);
        assert!(lines.read(&good).is_some());
    }

    #[test]
    fn what_is_sent_back_comes_to_its_own_port() {
        let mut lines = Lines::new(&OPUS, true);
        lines.sent(1, 5);
        let mark = lines.read(&packet(3, 0));
        assert_eq!(mark.map(|mark| (mark.stream, mark.sent_ns)), Some((1, 5)));
    }
}
