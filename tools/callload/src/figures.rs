//! What came of a run.

use std::time::Duration;

use serde_json::{Value, json};

use crate::options::Options;

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// From when it was due to its answer.
    pub(crate) turns: Vec<Duration>,
    /// The same, to the 202.
    pub(crate) handoffs: Vec<Duration>,
    /// From when the handoff was due to the human's first packet at the caller.
    pub(crate) joins: Vec<Duration>,
    /// The longest gap of each caller that was handed off, and of each that was not.
    pub(crate) gaps: Vec<Duration>,
    pub(crate) background_gaps: Vec<Duration>,
    pub(crate) breaks: u64,
    pub(crate) backwards: u64,
    /// What did not go as it should, the first of each kind with its words.
    pub(crate) faults: Vec<String>,
    pub(crate) faults_in_all: u64,
    pub(crate) asked: u64,
    pub(crate) joined: u64,
    pub(crate) seconds: f64,
    pub(crate) processor_ms: u64,
    pub(crate) started: Duration,
    pub(crate) idle_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) loaded_calls: u32,
    /// The longest time for which this tool itself did not turn.
    pub(crate) own_stall: Duration,
}

/// Faults of which the words are kept.
const KEPT: usize = 10;

impl Figures {
    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        self.faults_in_all += 1;
        if self.faults.len() < KEPT {
            self.faults.push(what.into());
        }
    }

    pub(crate) fn good(&self) -> bool {
        self.faults_in_all == 0 && self.joined == self.asked && self.breaks == 0 && self.backwards == 0
    }

    fn kib_per_call(&self) -> Option<f64> {
        let more = self.loaded_kib.saturating_sub(self.idle_kib);
        (self.loaded_calls > 0).then(|| more as f64 / f64::from(self.loaded_calls))
    }

    fn share(&self) -> f64 {
        self.processor_ms as f64 / 10.0 / self.seconds
    }

    pub(crate) fn json(&self, options: &Options) -> Value {
        json!({
            "schema": "baton.callload/1",
            "ok": self.good(),
            "asked_for": {
                "calls": options.calls, "turns_per_s": options.turns, "handoffs_per_s": options.handoffs,
                "mode": if options.warm { "warm" } else { "cold" }, "seconds": options.seconds,
                "server_core": options.server_core,
            },
            "turns_ms": percentiles(&self.turns),
            "handoffs_accepted_ms": percentiles(&self.handoffs),
            "joined_ms": percentiles(&self.joins),
            "handoffs": { "asked": self.asked, "joined": self.joined },
            "gap_ms": percentiles(&self.gaps),
            "background_gap_ms": percentiles(&self.background_gaps),
            "sequence_breaks": self.breaks,
            "timestamp_breaks": self.backwards,
            "faults": self.faults_in_all,
            "first_faults": self.faults,
            "server": {
                "start_to_ready_ms": ms(self.started),
                "processor_percent_of_a_core": round(self.share()),
                "memory_idle_kib": self.idle_kib,
                "memory_per_call_kib": self.kib_per_call().map(round),
            },
            "host": { "own_longest_stall_ms": ms(self.own_stall) },
        })
    }

    pub(crate) fn text(&self, options: &Options) -> String {
        let mut lines = vec![format!(
            "{} calls, {} turns/s, {} {} handoffs/s for {:.0} s",
            options.calls,
            options.turns,
            options.handoffs,
            if options.warm { "warm" } else { "cold" },
            self.seconds
        )];
        lines.push(format!(
            "{:32}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "ms", "count", "p50", "p99", "p99.9", "max"
        ));
        for (name, values) in [
            ("POST turns", &self.turns),
            ("POST handoffs, to the 202", &self.handoffs),
            ("trigger to the human's voice", &self.joins),
            ("longest gap, handed off", &self.gaps),
            ("longest gap, background", &self.background_gaps),
        ] {
            let figure = |share| quantile(values, share).map_or("-".to_owned(), |value| format!("{:.1}", ms(value)));
            lines.push(format!(
                "{name:32}{:>9}{:>9}{:>9}{:>9}{:>9}",
                values.len(),
                figure(0.5),
                figure(0.99),
                figure(0.999),
                figure(1.0)
            ));
        }
        lines.push(format!(
            "handoffs joined {} of {}; breaks of callers' lines: {} of sequence, {} of timestamp; faults {}",
            self.joined, self.asked, self.breaks, self.backwards, self.faults_in_all
        ));
        lines.extend(self.faults.iter().map(|fault| format!("  fault: {fault}")));
        lines.push(format!(
            "server: ready after {:.0} ms, {:.0} % of a core, {:.1} MiB idle, {} KiB for each live call",
            ms(self.started),
            self.share(),
            self.idle_kib as f64 / 1024.0,
            self.kib_per_call().map_or("-".to_owned(), |kib| format!("{kib:.1}"))
        ));
        lines.push(format!("this tool's own longest stall: {:.1} ms", ms(self.own_stall)));
        lines.join("\n")
    }
}

fn percentiles(values: &[Duration]) -> Value {
    let figure = |share| quantile(values, share).map(ms);
    json!({
        "count": values.len(),
        "p50": figure(0.5), "p99": figure(0.99), "p99_9": figure(0.999), "max": figure(1.0),
    })
}

/// The value that this share of all does not exceed.
fn quantile(values: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_rank() {
        let values: Vec<_> = (1..=1000).rev().map(Duration::from_millis).collect();
        for (share, expected) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000), (0.0, 1)] {
            assert_eq!(
                quantile(&values, share),
                Some(Duration::from_millis(expected)),
                "{share}"
            );
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_run_is_good_only_where_all_joined_and_no_line_broke() {
        let good = Figures {
            asked: 3,
            joined: 3,
            ..Figures::default()
        };
        assert!(good.good());
        assert!(
            !Figures {
                joined: 2,
                ..good.clone()
            }
            .good()
        );
        assert!(
            !Figures {
                breaks: 1,
                ..good.clone()
            }
            .good()
        );
        assert!(
            !Figures {
                backwards: 1,
                ..good.clone()
            }
            .good()
        );
        let mut faulty = good;
        faulty.fault("x");
        assert!(!faulty.good());
    }
}
