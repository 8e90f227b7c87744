//! RTP clocks: how many ticks pass in a time, and one clock's ticks in another's.

use crate::command::Codec;

/// An RTP clock. All of ours are whole kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    khz: u32,
}

const NS_PER_MS: u64 = 1_000_000;

impl Clock {
    pub(crate) const fn of(codec: Codec) -> Clock {
        Clock::hz(codec.clock_hz())
    }

    pub(crate) const fn hz(hz: u32) -> Clock {
        Clock { khz: hz / 1000 }
    }

    /// Whole ticks that pass in a time.
    pub(crate) const fn ticks(self, ns: u64) -> u64 {
        ns / NS_PER_MS * self.khz as u64 + ns % NS_PER_MS * self.khz as u64 / NS_PER_MS
    }

    /// The ticks of so many ms.
    pub(crate) const fn ticks_of_ms(self, ms: u32) -> u32 {
        self.khz * ms
    }

    /// How long so many ticks take, ns.
    pub(crate) const fn ns(self, ticks: u64) -> u64 {
        ticks * NS_PER_MS / self.khz as u64
    }

    /// A short stretch of this clock in ticks of another, rounded down.
    pub(crate) const fn to(self, other: Clock, ticks: u32) -> u32 {
        (ticks as u64 * other.khz as u64 / self.khz as u64) as u32
    }
}

/// The map of one line's timestamps onto another's, from a moment that both have on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampMap {
    pub(crate) from: Clock,
    to: Clock,
    /// The same moment on both.
    origin: (u32, u32),
}

impl TimestampMap {
    pub(crate) fn new(from: Clock, to: Clock, origin: (u32, u32)) -> TimestampMap {
        TimestampMap { from, to, origin }
    }

    /// Where a timestamp lies. It may be before the origin, or up to half a turn of the source's timestamps after it.
    pub(crate) fn map(&self, timestamp: u32) -> u32 {
        let step = timestamp.wrapping_sub(self.origin.0);
        if self.from == self.to {
            return self.origin.1.wrapping_add(step);
        }
        let step = i64::from(step as i32) * i64::from(self.to.khz);
        self.origin
            .1
            .wrapping_add(step.div_euclid(i64::from(self.from.khz)) as u32)
    }

    /// The source has got so far: the origin follows, where that changes no timestamp by rounding.
    pub(crate) fn follow(&mut self, timestamp: u32) {
        let step = timestamp.wrapping_sub(self.origin.0);
        if self.from != self.to && (1 << 28..1 << 31).contains(&step) {
            let whole = step / self.from.khz * self.from.khz;
            let origin = self.origin.0.wrapping_add(whole);
            self.origin = (origin, self.map(origin));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Clock = Clock::hz(8000);
    const OPUS: Clock = Clock::hz(48_000);

    #[test]
    fn a_clock_counts_without_drift() {
        assert_eq!(OPUS.ticks(20_000_000), 960);
        assert_eq!(OPUS.ns(960), 20_000_000);
        assert_eq!(OPUS.ticks(1 << 60), ((1u128 << 60) * 48 / 1_000_000) as u64);
        assert_eq!((NARROW.to(OPUS, 160), OPUS.to(NARROW, 960)), (960, 160));
    }

    #[test]
    fn timestamps_keep_their_distances_for_ever() {
        for (from, to) in [
            (NARROW, OPUS),
            (OPUS, NARROW),
            (NARROW, NARROW),
            (Clock::hz(16_000), OPUS),
        ] {
            let mut map = TimestampMap::new(from, to, (u32::MAX - 5, 17));
            let (step_in, step_out) = (from.ticks_of_ms(20), to.ticks_of_ms(20));
            let (mut at, mut expected) = (u32::MAX - 5, 17);
            // Four turns of the source's timestamps, an hour at a time.
            for _ in 0..(4u64 << 32) / u64::from(from.ticks_of_ms(3_600_000)) {
                assert_eq!(map.map(at), expected);
                assert_eq!(map.map(at.wrapping_add(step_in)), expected.wrapping_add(step_out));
                assert_eq!(map.map(at.wrapping_sub(step_in)), expected.wrapping_sub(step_out));
                at = at.wrapping_add(from.ticks_of_ms(3_600_000));
                expected = expected.wrapping_add(to.ticks_of_ms(3_600_000));
                map.follow(at);
            }
        }
    }
}
