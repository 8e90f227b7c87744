//! How many coder states there are: as many as calls may use of the workers' time.

use std::sync::Arc;

use media::codec::opus::{Effort, Settings};
use media::coders::{Coders, Sizes};

use crate::config::Config;

/// All coder states, for all workers.
///
/// # Errors
/// libopus refuses a setting, or has no memory.
pub(crate) fn coders(config: &Config) -> Result<Arc<Coders>, String> {
    let workers = config.media.workers;
    let sizes = Sizes {
        mixers: config.share.mixed_listeners * workers as usize,
        ears: EARS * workers as usize,
        keys: KEYS * workers as usize,
        ..sizes(config.share.transcode * f64::from(workers), &config.opus)
    };
    Coders::new(sizes, &config.opus)
        .map(Arc::new)
        .map_err(|error| format!("no states for Opus ({}): {error}", words(sizes)))
}

/// For so many workers' whole time, each kind by itself.
fn sizes(share: f64, opus: &Settings) -> Sizes {
    // Both directions of a call, 50 times a second, in µs.
    let calls = |cost: f64| (share * 1e6 / (50.0 * cost)).ceil() as usize;
    Sizes {
        // The line that is sent G.722, and the one that hears it.
        wide: 2 * calls(G722),
        opus_narrow: calls(encode(opus.narrow, NARROW) + DECODE_NARROW),
        opus_wide: calls(encode(opus.wide, WIDE) + DECODE_WIDE),
        ..Sizes::default()
    }
}

/// First words that a worker can listen for at a time, 640 kB of memory: each for 10 s at the most, so that 64 are 6 joins a second that nobody says
/// anything after, and many more after which somebody does. Where they are all taken, a word is found by its level.
const EARS: usize = 64;
/// Phones without telephone-event that a worker can listen to at a time for the key that takes a call, 200 kB of memory.
const KEYS: usize = 256;

/// 20 ms, µs (`cargo bench -p baton-benches --bench media -- '20 ms'`): encoder, decoder, and the way between 8 and 16 kHz.
const G722: f64 = 11.5;
/// By complexity 0, 3, 5 and 10, at 24 kbit/s.
const NARROW: [(u8, f64); 4] = [(0, 16.3), (3, 38.2), (5, 48.3), (10, 58.9)];
/// … at 40 kbit/s.
const WIDE: [(u8, f64); 4] = [(0, 31.6), (3, 72.1), (5, 92.3), (10, 123.7)];
const DECODE_NARROW: f64 = 5.3;
const DECODE_WIDE: f64 = 9.8;

/// What an encoder costs, between those that were measured.
fn encode(effort: Effort, costs: [(u8, f64); 4]) -> f64 {
    let above = costs
        .iter()
        .position(|&(complexity, _)| complexity >= effort.complexity);
    match above.unwrap_or(costs.len() - 1) {
        0 => costs[0].1,
        at => {
            let ((from, low), (to, high)) = (costs[at - 1], costs[at]);
            let way = f64::from(effort.complexity - from) / f64::from(to - from);
            low + way * (high - low)
        }
    }
}

fn words(sizes: Sizes) -> String {
    format!("{} at 8 kHz, {} at 16 kHz", sizes.opus_narrow, sizes.opus_wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_share_of_the_workers_carries() {
        let settings = Settings::default();
        let half = sizes(0.5, &settings);
        // 21.6 µs a call and 20 ms; 102.1 µs; 11.5 µs for two lines.
        assert_eq!((half.opus_narrow, half.opus_wide, half.wide), (463, 98, 1740));
        let two = sizes(1.0, &settings);
        assert_eq!((two.opus_narrow, two.opus_wide), (926, 196));
        assert_eq!(sizes(0.0, &settings), Sizes::default());
    }

    #[test]
    fn more_complexity_leaves_room_for_fewer() {
        let at = |complexity| {
            encode(
                Effort {
                    bitrate: 24_000,
                    complexity,
                },
                NARROW,
            )
        };
        let costs: Vec<f64> = (0..=10).map(at).collect();
        assert!(costs.is_sorted() && costs[0] == 16.3 && costs[10] == 58.9, "{costs:?}");
        assert!((costs[4] - 43.25).abs() < 1e-9);
    }
}
