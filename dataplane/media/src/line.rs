//! The outgoing line of a leg: one SSRC, one sequence, one clock for the life of the leg (RFC 3550 §5.1).
//!
//! Sources come and go; each brings an [`Epoch`], in which the line is a map of what came in:
//! `out_seq = in_seq + Δs`, `out_ts = in_ts + Δt`, in the line's clock. What is lost, late or doubled upstream passes as it is.

use crate::clock::{Clock, TimestampMap};
use crate::rtp::{Arrival, Seq, Sequence, timestamp_distance};
use crate::seed::Seed;

/// The line of one leg.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) ssrc: u32,
    pub(crate) clock: Clock,
    /// The highest number sent.
    sequence: Seq,
    /// Timestamp that belongs to the moment `at`: of the packet with the highest number; of an event, of its latest part.
    position: u32,
    /// First timestamp after the packet with the highest number.
    end: u32,
    /// When the packet with the highest number was due on the line, ns. `None` before the first.
    at: Option<u64>,
    /// How many ticks the line is ahead of the time that passed, because packets of two sources overlapped at switches.
    lead: u64,
    /// Numbers before the next one that were given and then not sent, or that upstream passed over before those.
    unsent: u16,
    /// Packets sent (RFC 3550 §6.4.1, sender's packet count).
    pub(crate) packets: u32,
    /// Payload bytes sent (RFC 3550 §6.4.1, sender's octet count).
    pub(crate) octets: u32,
}

impl Line {
    /// A line of its own; its first values are random (RFC 3550 §5.1).
    pub(crate) fn new(seed: &mut Seed, clock: Clock) -> Line {
        let timestamp = seed.next() as u32;
        Line {
            ssrc: (seed.next() >> 32) as u32,
            clock,
            sequence: Seq(seed.next() as u16),
            position: timestamp,
            end: timestamp,
            at: None,
            lead: 0,
            unsent: 0,
            packets: 0,
            octets: 0,
        }
    }

    /// Goes on from here, so that a test sees the wrap.
    #[cfg(test)]
    pub(crate) fn start_at(&mut self, sequence: Seq, timestamp: u32) {
        (self.sequence, self.position, self.end) = (sequence, timestamp, timestamp);
    }

    /// When the last packet was due, ns.
    pub(crate) fn at(&self) -> Option<u64> {
        self.at
    }

    /// The first timestamp after what was sent.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// The number after the highest.
    pub(crate) fn next_sequence(&self) -> Seq {
        self.sequence.next()
    }

    /// Where a new epoch begins: the next number, and the timestamp advanced by the time that passed, but never into the
    /// last packet. What the line gains on time by that is remembered and taken off the next advance.
    pub(crate) fn begin(&mut self, now: u64) -> (Seq, u32) {
        let Some(at) = self.at else {
            return (self.next_sequence(), self.end);
        };
        let passed = self.clock.ticks(now.saturating_sub(at));
        let duration = u64::from(self.end.wrapping_sub(self.position));
        let advance = duration.max(passed.saturating_sub(self.lead));
        self.lead = (self.lead + advance).saturating_sub(passed);
        (self.next_sequence(), self.position.wrapping_add(advance as u32))
    }

    /// Takes note of a packet that goes out. An event's timestamp is that of its beginning (RFC 4733 §2.3), so
    /// the moment of sending is at its end.
    pub(crate) fn put(&mut self, now: u64, sequence: Seq, timestamp: u32, duration: u32, event: bool, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
        if self.at.is_none() || sequence.is_after(self.sequence) {
            self.sequence = sequence;
            self.end = timestamp.wrapping_add(duration);
            self.position = if event { self.end } else { timestamp };
            self.at = Some(now);
        }
    }

    /// A packet that was put on the line found no buffer. `missing`: what it would have explained.
    pub(crate) fn not_sent(&mut self, missing: u16) {
        self.unsent = self.unsent.saturating_add(missing).saturating_add(1);
    }

    /// How many numbers before the next packet were not sent.
    pub(crate) fn take_unsent(&mut self) -> u16 {
        std::mem::take(&mut self.unsent)
    }

    /// The timestamp that corresponds to `now` (RFC 3550 §6.4.1).
    pub(crate) fn timestamp_at(&self, now: u64) -> u32 {
        let passed = self.clock.ticks(now.saturating_sub(self.at.unwrap_or(now)));
        self.position.wrapping_add(passed as u32)
    }
}

/// The map from one source to the line, from one switch to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    /// SSRC of the source.
    pub(crate) ssrc: u32,
    /// Highest number received in this epoch.
    pub(crate) highest: Seq,
    /// How far the highest is from the first, saturating.
    age: u32,
    /// Timestamp that belongs to `at`, in the source's clock.
    position: u32,
    at: u64,
    sequence_shift: u16,
    timestamps: TimestampMap,
    /// Bit n: `highest − n` was taken out without leaving a hole.
    taken: u64,
}

/// Where a packet lies in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// So many numbers past the highest.
    Ahead(u16),
    /// So many numbers before the highest, or the highest again.
    Behind(u16),
    /// Before the epoch's first packet, or too late to be placed.
    Superseded,
    /// It does not continue this epoch: another source, or a jump.
    Broken,
}

/// That a timestamp may differ from the time that passed, ms.
const MAX_DRIFT: u32 = 5000;

/// The shortest and the longest packet, ms.
const PACKET_MS: (u32, u32) = (10, 60);

impl Epoch {
    /// Begins with a packet; `position` is its timestamp, or of an event, that of its latest part.
    pub(crate) fn new(
        now: u64,
        ssrc: u32,
        sequence: Seq,
        position: u32,
        sequence_shift: u16,
        timestamps: TimestampMap,
    ) -> Epoch {
        Epoch {
            ssrc,
            highest: sequence,
            age: 0,
            position,
            at: now,
            sequence_shift,
            timestamps,
            taken: 0,
        }
    }

    /// Where a packet lies.
    pub(crate) fn place(&self, now: u64, ssrc: u32, sequence: Seq, position: u32, arrival: Arrival) -> Place {
        if ssrc != self.ssrc {
            return Place::Broken;
        }
        let stepped = i64::from(timestamp_distance(position, self.position));
        let ahead = sequence.0.wrapping_sub(self.highest.0);
        let behind = ahead.wrapping_neg();
        if ahead == 0 {
            Place::Behind(0)
        } else if ahead < Sequence::MAX_DROPOUT {
            let passed = self.clock().ticks(now.saturating_sub(self.at)) as i64;
            // A jump that the source's own count does not know came from a single packet out of the run; what begins that count has none.
            let jumps = match arrival {
                Arrival::Ahead { missing } => missing.wrapping_add(1) != ahead,
                Arrival::First => true,
                Arrival::Restart | Arrival::Late | Arrival::Duplicate | Arrival::Wild => false,
            };
            if jumps || (stepped - passed).abs() > i64::from(self.clock().ticks_of_ms(MAX_DRIFT)) {
                Place::Broken
            } else {
                Place::Ahead(ahead)
            }
        } else if behind >= Sequence::MAX_MISORDER {
            // A run that starts anew does not go back by number and time alike: that is one that was long on its way.
            let [least, most] = [PACKET_MS.0, PACKET_MS.1].map(|ms| i64::from(self.clock().ticks_of_ms(ms)));
            let late = least * i64::from(behind)..=most * i64::from(behind);
            if arrival == Arrival::Wild && behind < Sequence::MAX_DROPOUT && late.contains(&-stepped) {
                Place::Superseded
            } else {
                Place::Broken
            }
        } else if u32::from(behind) > self.age || behind > 63 {
            Place::Superseded
        } else {
            Place::Behind(behind)
        }
    }

    /// Where a timestamp lies on the line.
    pub(crate) fn heard_at(&self, timestamp: u32) -> u32 {
        self.timestamps.map(timestamp)
    }

    /// The source's clock.
    pub(crate) fn clock(&self) -> Clock {
        self.timestamps.from
    }

    /// The number on the line of a packet at this place, and its timestamp there. `None` where it has none. `position` as in
    /// [`Epoch::new`].
    pub(crate) fn forward(
        &mut self,
        now: u64,
        place: Place,
        sequence: Seq,
        position: u32,
        timestamp: u32,
    ) -> Option<(Seq, u32)> {
        let shift = match place {
            Place::Ahead(by) => {
                self.advance(now, by, position);
                self.sequence_shift
            }
            // What was taken out after it had not shifted the line yet.
            Place::Behind(by) => self
                .sequence_shift
                .wrapping_add((self.taken & low_bits(by)).count_ones() as u16),
            Place::Superseded | Place::Broken => return None,
        };
        Some((sequence.plus(shift), self.timestamps.map(timestamp)))
    }

    /// Takes a packet out so that the line has no hole: what follows moves up. A late one has its hole already.
    pub(crate) fn take_out(&mut self, now: u64, place: Place, position: u32) {
        if let Place::Ahead(by) = place {
            self.advance(now, by, position);
            self.taken |= 1;
            self.sequence_shift = self.sequence_shift.wrapping_sub(1);
        }
    }

    fn advance(&mut self, now: u64, by: u16, position: u32) {
        self.highest = self.highest.plus(by);
        self.age = self.age.saturating_add(u32::from(by));
        self.taken = self.taken.checked_shl(u32::from(by)).unwrap_or(0);
        self.position = position;
        self.at = now;
        self.timestamps.follow(position);
    }
}

fn low_bits(count: u16) -> u64 {
    1u64.checked_shl(u32::from(count)).map_or(u64::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Codec;

    const MS: u64 = 1_000_000;

    /// Puts a packet of 20 ms where a new source begins, and says how far the timestamp went.
    fn begin(line: &mut Line, at_ms: u64) -> i32 {
        let before = line.position;
        let (sequence, timestamp) = line.begin(at_ms * MS);
        line.put(at_ms * MS, sequence, timestamp, 160, false, 160);
        timestamp_distance(timestamp, before)
    }

    #[test]
    fn what_overlaps_gain_is_taken_off_the_next_advance() {
        let mut line = Line::new(&mut Seed::new(1), Clock::of(Codec::Pcmu));
        let steps = [0, 5, 10, 15, 100, 120].map(|at| begin(&mut line, at));
        // Three overlaps of 15 ms; the pause of 85 ms gives them back, and the line is on time again.
        assert_eq!(steps, [0, 160, 160, 160, 320, 160]);
        assert_eq!(line.timestamp_at(130 * MS).wrapping_sub(line.position), 80);
    }

    #[test]
    fn the_line_wraps_like_its_numbers() {
        let mut line = Line::new(&mut Seed::new(1), Clock::of(Codec::Pcmu));
        (line.sequence, line.position, line.end) = (Seq(65_534), u32::MAX - 100, u32::MAX - 100);
        let steps = [0, 20, 40, 60].map(|at| begin(&mut line, at));
        assert_eq!(steps, [0, 160, 160, 160]);
        assert_eq!((line.sequence, line.packets, line.octets), (Seq(2), 4, 640));
    }
}
