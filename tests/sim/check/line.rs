//! The line to each party: one SSRC, no break.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::net::Profile;
use crate::scenario::{Also, Offer};
use crate::tone::Sound;
use crate::world::{Sent, Who, World};

/// What the line to one party looked like as it left Baton.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Packets.
    pub packets: usize,
    /// SSRCs seen.
    pub ssrcs: usize,
    /// Sequence numbers that were not the last one plus one.
    pub sequence_breaks: usize,
    /// Timestamps of audio that went back, or overlapped the packet before.
    pub timestamp_breaks: usize,
    /// Timestamps that ran ahead of the passed time by more than 60 ms.
    pub timestamp_jumps: usize,
    /// Longest time between two packets.
    pub longest_gap: Duration,
    /// Longest time from the last packet of one sound to the first of the next.
    pub longest_cut: Duration,
    /// Changes of sound without a marker bit on the first packet.
    pub unmarked: usize,
}

impl World {
    /// The line to a party between two times from the start.
    pub fn line(&self, who: Who, from: Duration, to: Duration) -> Line {
        let within = self.start + from..self.start + to;
        let packets: Vec<&Sent> = self
            .sent
            .iter()
            .filter(|s| s.to == who && within.contains(&s.at))
            .collect();
        let ssrcs: BTreeSet<u32> = packets.iter().map(|s| s.packet.ssrc).collect();
        let mut line = Line {
            packets: packets.len(),
            ssrcs: ssrcs.len(),
            ..Line::default()
        };
        for pair in packets.windows(2) {
            let (old, new) = (pair[0], pair[1]);
            let gap = new.at - old.at;
            line.longest_gap = line.longest_gap.max(gap);
            line.sequence_breaks += usize::from(new.packet.sequence != old.packet.sequence.wrapping_add(1));
            if let (Some(before), Some(after)) = (old.sound, new.sound) {
                let advance = new.packet.timestamp.wrapping_sub(old.packet.timestamp);
                let duration = old.packet.payload.len() as u32;
                line.timestamp_breaks += usize::from(advance < duration || advance > u32::MAX / 2);
                let passed = gap.as_micros() as u32 / 125;
                line.timestamp_jumps += usize::from(advance > passed + 480 && advance <= u32::MAX / 2);
                if before != after && before != Sound::Other && after != Sound::Other {
                    line.longest_cut = line.longest_cut.max(gap);
                }
                let sources = |sound| matches!(sound, Sound::Caller | Sound::Ai | Sound::Human(_));
                if before != after && sources(after) {
                    line.unmarked += usize::from(!new.packet.marker);
                }
            }
        }
        line
    }

    /// One SSRC for ever; on a perfect media network no break of sequence or timestamp either.
    pub(super) fn lines(&self, faults: &mut Vec<String>) {
        for who in self.everyone() {
            let line = self.line(who, Duration::ZERO, Duration::from_secs(3600));
            if line.ssrcs > self.ua(who).calls.max(1) {
                faults.push(format!("{who:?} got {} SSRCs", line.ssrcs));
            }
            let perfect = self.scenario.net[1];
            let is_perfect = perfect.loss + perfect.duplicate == 0
                && perfect.jitter == Duration::ZERO
                && perfect.delay == Profile::PERFECT.delay;
            // Who moves sends from its new port when the worker may not know of it yet.
            let moved = |what: &Also| matches!(what, Also::Reinvite(_, Offer::Moved));
            if is_perfect
                && !self.done.iter().any(|(_, what)| moved(what))
                && self.ua(who).calls < 2
                && line.sequence_breaks + line.timestamp_breaks + line.timestamp_jumps > 0
            {
                faults.push(format!("the line to {who:?} broke: {line:?}"));
            }
        }
    }
}
