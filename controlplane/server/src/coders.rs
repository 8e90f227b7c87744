//! How many coder states there are: as many as calls may use of the workers' time.

use std::sync::Arc;

use media::codec::opus::{Effort, Settings};
use media::coders::{Coders, Ladder, Rung, Sizes};

use crate::config::{Config, Opus};

/// All coder states, for all workers.
///
/// # Errors
/// libopus refuses a setting, or has no memory.
pub(crate) fn coders(config: &Config) -> Result<Arc<Coders>, String> {
    let workers = config.media.workers;
    let ladder = ladder(config.share.transcode * f64::from(workers), &config.opus);
    let workers = workers as usize;
    let mixers = config.share.mixed_listeners * workers;
    let sizes = Sizes {
        mixers,
        ears: EARS * workers,
        keys: KEYS * workers,
        listeners: 2 * mixers + LISTENERS * workers,
        ..sizes(&ladder)
    };
    Coders::with_ladder(sizes, &config.opus.settings, ladder)
        .map(Arc::new)
        .map_err(|error| format!("no states for Opus ({}): {error}", words(sizes)))
}

/// As many as their workers' share can be used up with, each kind by itself, at the cheapest that they can be.
fn sizes(ladder: &Ladder) -> Sizes {
    let lines = |cost: u64| ladder.budget.div_ceil(cost) as usize;
    let [opus_narrow, opus_wide] = ladder.rungs.last().map_or([0; 2], |rung| rung.cost.map(lines));
    Sizes {
        // The line that is sent G.722, and the one that hears it.
        wide: 2 * lines(ns(G722)),
        opus_narrow,
        opus_wide,
        ..Sizes::default()
    }
}

/// How complexity goes by what there is to do, for so many workers' whole time.
fn ladder(share: f64, opus: &Opus) -> Ladder {
    let Settings { narrow, wide, .. } = opus.settings;
    let mut rungs: Vec<Rung> = Vec::new();
    for step in STEPS {
        let complexity = |band: usize, effort: Effort| match opus.auto[band] {
            true => step,
            false => effort.complexity,
        };
        let complexity = [complexity(0, narrow), complexity(1, wide)];
        if rungs.last().is_none_or(|rung| rung.complexity != complexity) {
            let [narrow, wide] = complexity;
            let cost = [encode(narrow, NARROW) + DECODE_NARROW, encode(wide, WIDE) + DECODE_WIDE].map(ns);
            rungs.push(Rung { complexity, cost });
        }
    }
    let budget = (share * 20e6).round() as u64;
    Ladder { rungs, budget }
}

/// Of `"auto"`: those that were measured.
const STEPS: [u8; 3] = [5, 3, 0];

/// First words that a worker can listen for at a time, 640 kB of memory: each for 10 s at the most, so that 64 are 6 joins a second that nobody says
/// anything after, and many more after which somebody does. Where they are all taken, a word is found by its level.
const EARS: usize = 64;
/// Phones without telephone-event that a worker can listen to at a time for the key that takes a call, 200 kB of memory.
const KEYS: usize = 256;

/// Besides two sources of each mix: lines of Opus that wait for a word, and phones whose keys are in Opus or G.722; 45 kB each.
const LISTENERS: usize = 96;

/// 20 ms, µs (`cargo bench -p baton-benches --bench media -- '20 ms'`): encoder, decoder, and the way between 8 and 16 kHz.
const G722: f64 = 11.5;
/// By complexity 0, 3, 5 and 10, at 24 kbit/s.
const NARROW: [(u8, f64); 4] = [(0, 16.3), (3, 38.2), (5, 48.3), (10, 58.9)];
/// … at 40 kbit/s.
const WIDE: [(u8, f64); 4] = [(0, 31.6), (3, 72.1), (5, 92.3), (10, 123.7)];
const DECODE_NARROW: f64 = 5.3;
const DECODE_WIDE: f64 = 9.8;

/// What an encoder costs, between those that were measured.
fn encode(complexity: u8, costs: [(u8, f64); 4]) -> f64 {
    let above = costs.iter().position(|&(measured, _)| measured >= complexity);
    match above.unwrap_or(costs.len() - 1) {
        0 => costs[0].1,
        at => {
            let ((from, low), (to, high)) = (costs[at - 1], costs[at]);
            let way = f64::from(complexity - from) / f64::from(to - from);
            low + way * (high - low)
        }
    }
}

fn ns(us: f64) -> u64 {
    (us * 1e3).round() as u64
}

fn words(sizes: Sizes) -> String {
    format!("{} at 8 kHz, {} at 16 kHz", sizes.opus_narrow, sizes.opus_wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_share_of_the_workers_carries() {
        let of = |share, opus: &Opus| sizes(&ladder(share, opus));
        let fixed = Opus {
            auto: [false; 2],
            ..Opus::default()
        };
        let half = of(0.5, &fixed);
        // 21.6 µs a call and 20 ms; 102.1 µs; 11.5 µs for two lines.
        assert_eq!((half.opus_narrow, half.opus_wide, half.wide), (463, 98, 1740));
        let two = of(1.0, &fixed);
        assert_eq!((two.opus_narrow, two.opus_wide), (926, 196));
        assert_eq!(of(0.0, &fixed), Sizes::default());
        // At complexity 0: 41.4 µs.
        let usual = of(0.5, &Opus::default());
        assert_eq!((usual.opus_narrow, usual.opus_wide, usual.wide), (463, 242, 1740));
    }

    #[test]
    fn complexity_goes_down_only_where_it_may() {
        let steps = |auto| {
            let ladder = ladder(
                0.5,
                &Opus {
                    auto,
                    ..Opus::default()
                },
            );
            assert_eq!(ladder.budget, 10_000_000);
            assert!(ladder.rungs.is_sorted_by_key(|rung| std::cmp::Reverse(rung.cost)));
            ladder.rungs.iter().map(|rung| rung.complexity).collect::<Vec<_>>()
        };
        assert_eq!(steps([false; 2]), [[0, 5]]);
        assert_eq!(steps([false, true]), [[0, 5], [0, 3], [0, 0]]);
        assert_eq!(steps([true; 2]), [[5, 5], [3, 3], [0, 0]]);
    }

    #[test]
    fn more_complexity_costs_more() {
        let costs: Vec<f64> = (0..=10).map(|complexity| encode(complexity, NARROW)).collect();
        assert!(costs.is_sorted() && costs[0] == 16.3 && costs[10] == 58.9, "{costs:?}");
        assert!((costs[4] - 43.25).abs() < 1e-9);
    }
}
