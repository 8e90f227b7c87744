//! How busy the workers are: read of the kernel some times a second, told to the node. It costs the workers nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use calls::load::Measure;

/// How often.
const MEASURE: Duration = Duration::from_millis(250);

/// Readings that are kept of each worker: the oldest is a second before the newest.
const READINGS: usize = 5;

/// The last second of each worker.
#[derive(Debug)]
pub(super) struct Meter {
    next: Instant,
    readings: Vec<VecDeque<(Instant, Duration)>>,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Meter {
        Meter {
            next: now,
            readings: Vec::new(),
        }
    }

    /// When it is to be read next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes what the kernel says now: the processor time of each worker's thread. The share of a core since the oldest reading; `None` where
    /// there is none, or too short a time ago to say anything.
    pub(super) fn read(&mut self, now: Instant, times: impl Iterator<Item = Option<Duration>>) -> Vec<Option<Measure>> {
        self.next = now + MEASURE;
        let mut measures = Vec::new();
        for (worker, time) in times.enumerate() {
            if self.readings.len() <= worker {
                self.readings.push(VecDeque::with_capacity(READINGS));
            }
            let readings = &mut self.readings[worker];
            let Some(time) = time else {
                readings.clear();
                measures.push(None);
                continue;
            };
            measures.push(
                readings
                    .front()
                    .and_then(|(since, before)| share(*since, *before, now, time)),
            );
            if readings.len() == READINGS {
                readings.pop_front();
            }
            readings.push_back((now, time));
        }
        measures
    }
}

fn share(since: Instant, before: Duration, now: Instant, time: Duration) -> Option<Measure> {
    let passed = now.saturating_duration_since(since);
    let used = time.saturating_sub(before);
    // A reading that was late by more than it covers would say anything.
    (passed >= MEASURE / 2).then(|| Measure {
        since,
        share: used.as_secs_f64() / passed.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_last_second() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut meter = Meter::new(start);
        let mut read = |at: u64, used: Option<u64>| {
            let measures = meter.read(start + ms(at), [used.map(ms), Some(Duration::ZERO)].into_iter());
            assert_eq!(meter.next(), start + ms(at) + MEASURE);
            assert!(measures[1].is_none_or(|measure| measure.share == 0.0));
            measures[0].map(|measure| (measure.since - start, measure.share))
        };
        assert_eq!(read(0, Some(1000)), None, "nothing to compare with");
        assert_eq!(read(250, Some(1125)), Some((ms(0), 0.5)));
        assert_eq!(read(500, Some(1125)), Some((ms(0), 0.25)));
        assert_eq!(read(750, Some(1125)), Some((ms(0), 125.0 / 750.0)));
        assert_eq!(read(1000, Some(1375)), Some((ms(0), 0.375)));
        assert_eq!(read(1250, Some(1625)), Some((ms(0), 0.5)));
        assert_eq!(read(1500, Some(1875)), Some((ms(250), 0.6)));
        assert_eq!(read(1750, None), None, "its thread has ended");
        assert_eq!(read(2000, Some(9000)), None);
        assert_eq!(read(2010, Some(9010)), None, "too soon");
        assert_eq!(read(2250, Some(9000)), Some((ms(2000), 0.0)));
    }
}
