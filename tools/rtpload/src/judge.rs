//! What became of the packets: each is known by the number of its stream and its own, and by when it was sent.

use crate::frame::{FLOOD, Mark};

/// Of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Numbers below this were sent before anybody judged.
    from: u32,
    /// The number after the highest that came.
    next: u32,
    /// The 64 numbers below: bit 0 is the highest that came.
    window: u64,
    /// What the line's sequence numbers and timestamps are ahead of ours, once a packet has come.
    ahead: Option<(u16, u32)>,
}

/// All that came.
#[derive(Debug)]
pub(crate) struct Judge {
    streams: Vec<Seen>,
    /// Streams from this one on are told of apart.
    relayed_from: usize,
    /// The first stream's peer floods: it is not judged.
    flooded: bool,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// The sequence number or the timestamp did not go on as it was sent.
    pub(crate) broken: u64,
    /// Of no stream, or at another port than its peer's.
    pub(crate) strange: u64,
    pub(crate) latency: Histogram,
    /// … of the streams that are told of apart.
    pub(crate) latency_relayed: Histogram,
}

impl Judge {
    /// `relayed`: so many of the last streams have a latency of their own.
    pub(crate) fn new(streams: usize, relayed: usize, flooded: bool) -> Judge {
        Judge {
            relayed_from: streams - relayed,
            flooded,
            streams: vec![Seen::default(); streams],
            received: 0,
            duplicated: 0,
            reordered: 0,
            broken: 0,
            strange: 0,
            latency: Histogram::new(),
            latency_relayed: Histogram::new(),
        }
    }

    /// From now on it is judged: of each stream, from this number on.
    pub(crate) fn begin(&mut self, from: impl Iterator<Item = u32>) {
        for (seen, from) in self.streams.iter_mut().zip(from) {
            seen.from = from;
        }
        self.received = 0;
        self.duplicated = 0;
        self.reordered = 0;
        self.broken = 0;
        self.strange = 0;
        self.latency = Histogram::new();
        self.latency_relayed = Histogram::new();
    }

    /// A packet came `latency_ns` after it was sent.
    pub(crate) fn came(&mut self, mark: &Mark, latency_ns: u64) {
        let number = mark.number;
        if mark.stream == FLOOD || self.flooded && mark.stream == 0 {
            return;
        }
        let Some(seen) = self.streams.get_mut(mark.stream as usize) else {
            self.strange += 1;
            return;
        };
        if number < seen.from {
            return;
        }
        let ahead = (
            mark.sequence.wrapping_sub(number as u16),
            mark.timestamp.wrapping_sub(number.wrapping_mul(mark.ticks)),
        );
        // Told once for each break: what comes after it goes on from there.
        self.broken += u64::from(seen.ahead.replace(ahead).is_some_and(|before| before != ahead));
        if number >= seen.next {
            let step = number - seen.next + 1;
            seen.window = seen.window.checked_shl(step).unwrap_or(0) | 1;
            seen.next = number + 1;
        } else {
            let back = seen.next - 1 - number;
            let bit = 1_u64.checked_shl(back).unwrap_or(0);
            // So late that it is not known whether it came before: it counts as late.
            if seen.window & bit != 0 {
                self.duplicated += 1;
                return;
            }
            seen.window |= bit;
            self.reordered += 1;
        }
        self.received += 1;
        match (mark.stream as usize) < self.relayed_from {
            true => self.latency.add(latency_ns),
            false => self.latency_relayed.add(latency_ns),
        }
    }
}

/// Bits of a value that are kept: each is known to 1 in 64.
const PRECISION: u32 = 6;

/// Counts of values, in buckets that grow with them (as HdrHistogram's do).
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    fn new() -> Histogram {
        Histogram {
            counts: vec![0; (64 << PRECISION) as usize],
            count: 0,
            max: 0,
        }
    }

    fn add(&mut self, value: u64) {
        self.counts[Histogram::place(value)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    fn place(value: u64) -> usize {
        let exponent = value.checked_ilog2().unwrap_or(0).saturating_sub(PRECISION);
        ((u64::from(exponent) << PRECISION) + (value >> exponent)) as usize
    }

    /// The highest value of a place.
    fn value(place: usize) -> u64 {
        let place = place as u64;
        let exponent = (place >> PRECISION).saturating_sub(1);
        let kept = place - (exponent << PRECISION);
        ((kept + 1) << exponent) - 1
    }

    /// Not exceeded by this share of the values; 0 where there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= wanted && below > 0 {
                return Histogram::value(place).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SAMPLES;

    /// Of a line that began somewhere.
    fn mark(stream: u32, number: u32) -> Mark {
        Mark {
            stream,
            number,
            sent_ns: 0,
            sequence: 65_530_u16.wrapping_add(number as u16),
            timestamp: 77_u32.wrapping_add(number * SAMPLES),
            ticks: SAMPLES,
        }
    }

    fn judged(numbers: &[u32]) -> (u64, u64, u64) {
        let mut judge = Judge::new(1, 0, false);
        for number in numbers {
            judge.came(&mark(0, *number), 1);
        }
        assert_eq!(judge.broken, 0);
        (judge.received, judge.duplicated, judge.reordered)
    }

    #[test]
    fn each_packet_counts_once_and_late_ones_and_copies_are_told_apart() {
        assert_eq!(judged(&[0, 1, 2, 3]), (4, 0, 0));
        assert_eq!(judged(&[0, 2, 3]), (3, 0, 0));
        assert_eq!(judged(&[0, 2, 1, 3]), (4, 0, 1));
        assert_eq!(judged(&[0, 0, 1, 1, 1]), (2, 3, 0));
        assert_eq!(judged(&[5, 4, 5, 4]), (2, 2, 1));
        assert_eq!(judged(&[0, 100, 99, 99]), (3, 1, 1));
        // Beyond the window a copy cannot be told from one that is late.
        assert_eq!(judged(&[0, 100, 0]), (3, 0, 1));
    }

    #[test]
    fn a_packet_of_no_stream_is_strange_and_one_of_a_flooded_stream_is_nothing() {
        let mut judge = Judge::new(2, 0, true);
        judge.came(&mark(2, 0), 1);
        assert_eq!((judge.received, judge.strange), (0, 1));
        // The first stream's peer floods.
        judge.came(&mark(0, 0), 1);
        judge.came(&mark(1, 0), 1);
        assert_eq!((judge.received, judge.strange), (1, 1));
    }

    #[test]
    fn a_line_that_does_not_go_on_as_it_was_sent_is_broken_once() {
        let mut judge = Judge::new(1, 0, false);
        for number in 0..10 {
            let mut mark = mark(0, number);
            mark.sequence = mark.sequence.wrapping_add(u16::from(number > 4));
            judge.came(&mark, 1);
        }
        assert_eq!((judge.received, judge.broken), (10, 1));
        let mut jump = mark(0, 10);
        jump.timestamp += 1;
        judge.came(&jump, 1);
        assert_eq!(judge.broken, 2);
    }

    #[test]
    fn what_was_sent_before_the_judge_came_and_floods_are_not_judged() {
        let mut judge = Judge::new(1, 0, false);
        judge.came(&mark(0, 0), 1);
        judge.begin([3].into_iter());
        for number in [1, 2, 3, 4] {
            judge.came(&mark(0, number), 1);
        }
        judge.came(&mark(FLOOD, 9), 1);
        assert_eq!((judge.received, judge.strange, judge.reordered), (2, 0, 0));
    }

    #[test]
    fn the_last_streams_have_a_latency_of_their_own() {
        let mut judge = Judge::new(3, 2, false);
        for (stream, latency_ns) in [(0, 7), (1, 8), (2, 9)] {
            judge.came(&mark(stream, 0), latency_ns);
        }
        assert_eq!((judge.latency.max(), judge.latency_relayed.max()), (7, 9));
        assert_eq!((judge.received, judge.latency_relayed.quantile(0.1)), (3, 8));
    }

    #[test]
    fn a_timestamp_goes_on_in_the_clock_of_who_hears_it() {
        let mut judge = Judge::new(1, 0, false);
        for (number, timestamp) in [(0, 5), (1, 965), (3, 2885), (4, 3045)] {
            let ticks = 960;
            let sequence = number as u16;
            judge.came(
                &Mark {
                    ticks,
                    timestamp,
                    sequence,
                    ..mark(0, number)
                },
                1,
            );
        }
        assert_eq!((judge.received, judge.broken), (4, 1));
    }

    #[test]
    fn quantiles_are_right_to_two_percent() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000 {
            histogram.add(value);
        }
        for (share, exact) in [(0.001, 100.0), (0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!((histogram.quantile(1.0), histogram.max()), (100_000, 100_000));
        assert_eq!(Histogram::new().quantile(0.5), 0);
    }

    #[test]
    fn every_value_lies_in_its_place() {
        for value in
            (0..4096).chain((6..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 12_345 % (1 << bit)]))
        {
            let place = Histogram::place(value);
            assert!(Histogram::value(place) >= value, "{value}");
            assert!(place == 0 || Histogram::value(place - 1) < value, "{value}");
        }
        assert!(Histogram::place(u64::MAX) < Histogram::new().counts.len());
    }
}
