//! What a party's line was like, packet by packet.

use std::time::{Duration, Instant};

use crate::line::{Law, Message, PTIME, Role, View};

/// Mean square of −50 dBm0, where 0 dBm0 is 3.14 dB below a full sine of 16 bit.
const AUDIBLE: u32 = 2600;

/// Nothing audible for so long is dead air.
const DEAD: Duration = Duration::from_millis(300);

/// A line, as whoever it goes to hears it. All from the last [`Heard::begin`] on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    last: Option<(Instant, u32, u16, u32)>,
    /// Who was heard last, and the count of that packet.
    speaker: Option<(Role, u32)>,
    audible: Option<Instant>,
    /// When the next packet is due, by the earliest that came.
    due: Option<Instant>,
    pub(crate) packets: u64,
    pub(crate) longest_gap: Duration,
    pub(crate) dead_air: Duration,
    /// Another SSRC, or a sequence number that is not the next.
    pub(crate) breaks: u64,
    /// The timestamp went back, or on by what no packet and no stall of the host explains, though nothing new begins.
    pub(crate) timestamp_breaks: u64,
    /// It went on by up to three packet times more than a packet's own: a packet was late, and its timestamp says so.
    pub(crate) timestamp_shifts: u64,
    /// Of a speaker, between two packets that were heard.
    pub(crate) lost: u64,
    /// Of a speaker, heard again, or after a later one.
    pub(crate) duplicated: u64,
    /// The first break.
    pub(crate) first: Option<Break>,
}

/// A packet that does not go on where the one before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) same_ssrc: bool,
    pub(crate) sequence_step: i16,
    pub(crate) timestamp_step: i32,
    pub(crate) marker: bool,
    /// Since the packet before.
    pub(crate) after: Duration,
    /// Who was heard before, and who is now; `None`: a prompt, or noise.
    pub(crate) from: Option<Role>,
    pub(crate) to: Option<Role>,
}

/// What one packet was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) message: Option<Message>,
    /// By how much it differs from a packet time after the one before.
    pub(crate) off: Option<Duration>,
    /// How late it was, by the earliest that came.
    pub(crate) late: Duration,
}

impl Heard {
    /// What came until now does not count, but what comes goes on from it.
    pub(crate) fn begin(&mut self) {
        *self = Heard {
            last: self.last,
            speaker: self.speaker,
            audible: self.last.map(|(at, ..)| at),
            ..Heard::default()
        };
    }

    pub(crate) fn take(&mut self, at: Instant, packet: &View<'_>, law: &Law) -> Took {
        self.packets += 1;
        let message = law.parse(packet.payload);
        let mut off = None;
        if let Some((last, ssrc, sequence, timestamp)) = self.last {
            let gap = at.saturating_duration_since(last);
            self.longest_gap = self.longest_gap.max(gap);
            off = Some(gap.abs_diff(PTIME));
            let next = ssrc == packet.ssrc && packet.sequence == sequence.wrapping_add(1);
            self.breaks += u64::from(!next);
            let step = packet.timestamp.wrapping_sub(timestamp);
            let goes_on = next && !packet.marker;
            let usual = law.ticks();
            let late = goes_on && (usual + 1..=4 * usual).contains(&step);
            let wrong = step.cast_signed() <= 0 || (goes_on && step != usual && !late);
            self.timestamp_breaks += u64::from(wrong);
            self.timestamp_shifts += u64::from(late);
            if wrong || late || !next {
                self.first.get_or_insert(Break {
                    same_ssrc: ssrc == packet.ssrc,
                    sequence_step: packet.sequence.wrapping_sub(sequence).cast_signed(),
                    timestamp_step: step.cast_signed(),
                    marker: packet.marker,
                    after: gap,
                    from: self.speaker.map(|(role, _)| role),
                    to: message.map(|message| message.role),
                });
            }
        }
        self.last = Some((at, packet.ssrc, packet.sequence, packet.timestamp));

        if let Some(Message { role, count, .. }) = message {
            if let Some((_, last)) = self.speaker.filter(|(speaker, _)| *speaker == role) {
                match count.wrapping_sub(last).cast_signed() {
                    ..=0 => self.duplicated += 1,
                    step => self.lost += u64::from(step.cast_unsigned() - 1),
                }
            }
            self.speaker = Some((role, count));
        } else {
            self.speaker = None;
        }
        if message.is_some() || law.power(packet.payload) >= AUDIBLE {
            self.sounds(at);
        }
        let due = self.due.map_or(at, |due| (due + PTIME).min(at));
        self.due = Some(due);
        Took {
            message,
            off,
            late: at - due,
        }
    }

    /// It is over, or is looked at.
    pub(crate) fn end(&mut self, at: Instant) {
        self.sounds(at);
    }

    fn sounds(&mut self, at: Instant) {
        let silent = self
            .audible
            .map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        if silent >= DEAD {
            self.dead_air += silent;
        }
        self.audible = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use baton_parties::codec::Codec;

    use super::*;
    use crate::line::Laws;
    use crate::line::tests::packets;

    /// A packet every 20 ms.
    fn heard(packets: &[Vec<u8>]) -> Heard {
        let (laws, now) = (Laws::new(), Instant::now());
        let mut heard = Heard::default();
        for (n, bytes) in packets.iter().enumerate() {
            let packet = View::parse(bytes).unwrap();
            let took = heard.take(now + PTIME * n as u32, &packet, laws.of(Codec::Pcmu));
            assert_eq!(took.late, Duration::ZERO);
        }
        heard
    }

    fn counts(packets: &[Vec<u8>]) -> [u64; 4] {
        let heard = heard(packets);
        [heard.breaks, heard.timestamp_breaks, heard.lost, heard.duplicated]
    }

    #[test]
    fn breaks_losses_and_repetitions_are_each_seen() {
        let all = packets(Role::Ai, Codec::Pcmu, 65_535, 5);
        assert_eq!(counts(&all), [0; 4]);
        let mut some = all.clone();
        some.remove(2);
        assert_eq!(counts(&some), [1, 0, 1, 0]);
        let mut some = all.clone();
        some.insert(2, all[1].clone());
        assert_eq!(counts(&some), [1, 1, 0, 1]);
        let mut some = all.clone();
        some[2][11] ^= 1;
        assert_eq!(counts(&some), [2, 0, 0, 0], "another SSRC, and back");
        // Our line is whole, and what came in it is not: lost before it was put on the line.
        let mut some = all.clone();
        let later = all[4][12..].to_vec();
        some[3].splice(12.., later);
        assert_eq!(counts(&some[..4]), [0, 0, 1, 0]);
    }

    #[test]
    fn a_timestamp_may_jump_only_where_something_begins() {
        let mut all = packets(Role::Ai, Codec::Pcmu, 65_535, 3);
        all[2][6] ^= 0x10;
        assert_eq!(counts(&all), [0, 1, 0, 0]);
        all[2][1] |= 0x80;
        assert_eq!(counts(&all), [0; 4]);
        // A little is what a late packet has.
        let mut all = packets(Role::Ai, Codec::Pcmu, 0, 3);
        all[2][7] += 17;
        assert_eq!((counts(&all), heard(&all).timestamp_shifts), ([0; 4], 1));
        assert!(heard(&all).first.is_some_and(|first| first.timestamp_step == 177));
    }

    #[test]
    fn another_speaker_has_another_count() {
        let mut all = packets(Role::Ai, Codec::Pcmu, 1, 3);
        let human = packets(Role::Human, Codec::Pcmu, 1, 9);
        let speech = human[8][12..].to_vec();
        all[2].splice(12.., speech);
        assert_eq!(counts(&all), [0; 4]);
    }

    #[test]
    fn dead_air_and_gaps() {
        let (laws, now) = (Laws::new(), Instant::now());
        let all = packets(Role::Ai, Codec::Pcmu, 1, 100);
        let law = laws.of(Codec::Pcmu);
        let ms = Duration::from_millis;
        let mut line = Heard::default();
        for (n, bytes) in all.iter().enumerate() {
            let mut bytes = bytes.clone();
            // 10 to 23 are silence, 14 packets: 300 ms from 9 to 24. 30 to 42 are 280 ms, which is a pause.
            if (10..24).contains(&n) || (30..43).contains(&n) {
                bytes[12..].fill(0xff);
            }
            let late = if n == 50 { ms(7) } else { Duration::ZERO };
            let took = line.take(now + PTIME * n as u32 + late, &View::parse(&bytes).unwrap(), law);
            assert_eq!(took.late, late);
            assert_eq!(
                took.off,
                (n > 0).then(|| if n == 50 || n == 51 { ms(7) } else { Duration::ZERO })
            );
        }
        assert_eq!((line.dead_air, line.longest_gap, line.packets), (ms(300), ms(27), 100));
        line.begin();
        assert_eq!(
            (line.dead_air, line.longest_gap, line.packets),
            (Duration::ZERO, Duration::ZERO, 0)
        );
        // Nothing comes any more.
        line.end(now + PTIME * 99 + ms(500));
        assert_eq!(line.dead_air, ms(500));
    }
}
