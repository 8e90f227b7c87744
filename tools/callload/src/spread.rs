//! Many times, counted by the µs: the percentiles of short ones cost no memory for each.

use std::time::Duration;

use serde_json::{Value, json};

/// From here on each time is kept by itself.
const MOST_US: usize = 100_000;

/// How often each time was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    counts: Vec<u32>,
    long: Vec<Duration>,
    count: u64,
}

impl Spread {
    pub(crate) fn add(&mut self, time: Duration) {
        self.count += 1;
        let us = time.as_micros() as usize;
        if us >= MOST_US {
            self.long.push(time);
            return;
        }
        if self.counts.len() <= us {
            self.counts.resize(us + 1, 0);
        }
        self.counts[us] += 1;
    }

    pub(crate) fn of(times: &[Duration]) -> Spread {
        let mut spread = Spread::default();
        times.iter().for_each(|time| spread.add(*time));
        spread
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The time that this share of all does not exceed, in whole µs.
    pub(crate) fn share(&self, share: f64) -> Option<Duration> {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (us, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            if below >= rank {
                return Some(Duration::from_micros(us as u64));
            }
        }
        let mut long = self.long.clone();
        long.sort_unstable();
        long.get((rank - below).max(1) as usize - 1).copied()
    }

    pub(crate) fn json(&self) -> Value {
        let figure = |share| self.share(share).map(ms);
        json!({
            "count": self.count,
            "p50": figure(0.5), "p99": figure(0.99), "p99_9": figure(0.999), "max": figure(1.0),
        })
    }

    /// A line of the table.
    pub(crate) fn line(&self, name: &str) -> String {
        let figure = |share| {
            let time = self.share(share);
            time.map_or("-".to_owned(), |time| format!("{:.2}", time.as_secs_f64() * 1000.0))
        };
        format!(
            "{name:44}{:>10}{:>9}{:>9}{:>9}{:>9}",
            self.count,
            figure(0.5),
            figure(0.99),
            figure(0.999),
            figure(1.0)
        )
    }
}

/// What stands above the columns.
pub(crate) fn head() -> String {
    format!(
        "{:44}{:>10}{:>9}{:>9}{:>9}{:>9}",
        "ms", "count", "p50", "p99", "p99.9", "max"
    )
}

pub(crate) fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0)
}

pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_by_rank_of_short_times_and_of_long_ones() {
        let times: Vec<_> = (1..=1000).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&times);
        for (share, expected) in [(0.05, 50), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000), (0.0, 1)] {
            assert_eq!(spread.share(share), Some(Duration::from_millis(expected)), "{share}");
        }
        assert_eq!((spread.count(), spread.json()["max"].as_f64()), (1000, Some(1000.0)));
        assert_eq!(Spread::default().share(0.5), None);
    }
}
