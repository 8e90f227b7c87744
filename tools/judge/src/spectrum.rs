//! How far two spectra are from each other.

use std::f32::consts::PI;

use realfft::RealFftPlanner;

use crate::WIDE_RATE;
use crate::align::Track;
use crate::loudness::Loudness;

/// A frame that is at most so much softer than loud ones says something, dB.
pub(crate) const STRONG_DB: f32 = 20.0;

/// What is so much softer than the frame's loud bands is not heard beside them, dB.
const MASKED_DB: f32 = 30.0;

/// Bands, by their edges in Hz: of telephone speech, a little wider each.
pub(crate) const NARROW: [f32; 17] = [
    200.0, 300.0, 400.0, 500.0, 600.0, 720.0, 850.0, 1000.0, 1150.0, 1320.0, 1500.0, 1720.0, 2000.0, 2300.0, 2600.0,
    3000.0, 3400.0,
];

/// Bands above it.
pub(crate) const WIDE: [f32; 7] = [3400.0, 3800.0, 4300.0, 4900.0, 5500.0, 6200.0, 7000.0];

/// Mean distance in dB over the frames in which something strong is said in these bands. `None` where that are too few.
pub(crate) fn distance(
    said: &[f32],
    heard: &[f32],
    rate: u32,
    edges: &[f32],
    track: &Track,
    gain_db: f32,
) -> Option<f32> {
    // 32 ms, and the next 16 ms later.
    let length = rate as usize * 32 / 1000;
    let mut bands = Bands::new(length, rate, edges);
    let strong = Loudness::of_any(said, length) - STRONG_DB;
    let (mut sum, mut count) = (0.0, 0);
    for at in (0..said.len().saturating_sub(length)).step_by(length / 2) {
        let Some(theirs) = track.cut(heard, rate, at, length) else {
            continue;
        };
        let ours = bands.of(&said[at..at + length]);
        let loudest = |bands: &[f32]| bands.iter().copied().fold(-200.0, f32::max);
        // Where nothing is said in these bands, what is compared would be noise with noise; and the rest of what is below 4 kHz is
        // nothing that a wideband codec must have made.
        let own = edges
            .iter()
            .take_while(|edge| rate == WIDE_RATE && **edge < 4000.0)
            .count();
        if loudest(&ours[own..]) < strong - 10.0 {
            continue;
        }
        let loudest = loudest(&ours);
        let theirs = bands.of(theirs);
        let floor = loudest - MASKED_DB;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            sum += (ours.max(floor) - (theirs - gain_db).max(floor)).abs();
            count += 1;
        }
    }
    (count >= 10 * (edges.len() - 1)).then(|| sum / count as f32)
}

struct Bands {
    planner: RealFftPlanner<f32>,
    window: Vec<f32>,
    /// First and last bin of each.
    bins: Vec<(usize, usize)>,
}

impl Bands {
    fn new(length: usize, rate: u32, edges: &[f32]) -> Bands {
        let bin = |hertz: f32| (hertz / rate as f32 * length as f32).round() as usize;
        Bands {
            planner: RealFftPlanner::new(),
            window: (0..length)
                .map(|n| 0.5 - 0.5 * (2.0 * PI * n as f32 / length as f32).cos())
                .collect(),
            bins: edges.windows(2).map(|two| (bin(two[0]), bin(two[1]))).collect(),
        }
    }

    /// The power in each band, dB of a full-scale sine.
    fn of(&mut self, samples: &[f32]) -> Vec<f32> {
        let forward = self.planner.plan_fft_forward(samples.len());
        let mut input: Vec<f32> = samples.iter().zip(&self.window).map(|(a, b)| a * b).collect();
        let mut output = forward.make_output_vec();
        forward
            .process(&mut input, &mut output)
            .expect("the buffers are the plan's own");
        // A full-scale sine under a Hann window has a quarter of the length in each of three bins.
        let unit = (samples.len() as f32 / 4.0).powi(2) * 1.5;
        self.bins
            .iter()
            .map(|(from, to)| {
                let power: f32 = output[*from..(*to).max(from + 1)]
                    .iter()
                    .map(|bin| bin.norm_sqr())
                    .sum();
                10.0 * (power / unit + 1e-10).log10()
            })
            .collect()
    }
}

impl Loudness {
    /// The loudness of loud frames at any rate, dB of a full-scale sine.
    fn of_any(samples: &[f32], length: usize) -> f32 {
        let mut powers: Vec<f32> = samples
            .chunks_exact(length)
            .map(|frame| 2.0 * frame.iter().map(|s| s * s).sum::<f32>() / length as f32)
            .collect();
        powers.sort_by(f32::total_cmp);
        let loud = powers.get(powers.len() * 9 / 10).copied().unwrap_or(0.0);
        10.0 * (loud + 1e-10).log10()
    }
}
