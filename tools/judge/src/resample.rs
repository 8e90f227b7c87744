//! From any rate to any other.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 24.0;

/// By a sinc under a Hann window, cut off at 95 % of the lower one of both bands.
pub(crate) fn resample(samples: &[f32], from: f64, to: f64) -> Vec<f32> {
    if (from - to).abs() < 1e-9 {
        return samples.to_vec();
    }
    let cut = 0.95 * (to / from).min(1.0);
    let reach = CROSSINGS / cut;
    let length = (samples.len() as f64 * to / from).floor() as usize;
    // Rates that have a small common step need few different filters; others get one that is at most 1/256 of a sample off.
    let phases = 256;
    let taps = 2 * reach.ceil() as usize;
    let filter: Vec<Vec<f32>> = (0..=phases)
        .map(|phase| {
            let shift = f64::from(phase) / f64::from(phases);
            let weights: Vec<f64> = (0..taps)
                .map(|n| weight(n as f64 + 1.0 - reach.ceil() - shift, cut, reach))
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| (weight / sum) as f32).collect()
        })
        .collect();
    (0..length)
        .map(|n| {
            let at = n as f64 * from / to;
            let phase = ((at - at.floor()) * f64::from(phases)).round() as usize;
            let first = at.floor() as isize + 1 - reach.ceil() as isize;
            dot(samples, first, &filter[phase])
        })
        .collect()
}

fn weight(x: f64, cut: f64, reach: f64) -> f64 {
    if x.abs() >= reach {
        return 0.0;
    }
    let sinc = if x == 0.0 {
        1.0
    } else {
        (PI * cut * x).sin() / (PI * cut * x)
    };
    sinc * (0.5 + 0.5 * (PI * x / reach).cos())
}

/// What is outside of the samples is silence.
fn dot(samples: &[f32], first: isize, filter: &[f32]) -> f32 {
    let skipped = (-first).clamp(0, filter.len() as isize) as usize;
    let start = (first + skipped as isize) as usize;
    let rest = samples.get(start..).unwrap_or_default();
    rest.iter().zip(&filter[skipped..]).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: f64) -> Vec<f32> {
        (0..rate as usize)
            .map(|n| (2.0 * PI * hertz * n as f64 / rate).sin() as f32)
            .collect()
    }

    #[test]
    fn tones_stay_where_they_are_and_what_does_not_fit_goes() {
        for (from, to) in [
            (16_000.0, 8000.0),
            (48_000.0, 8000.0),
            (8000.0, 16_000.0),
            (44_100.0, 8000.0),
            (8000.0, 7840.0),
        ] {
            let (heard, wanted) = (resample(&tone(1000.0, from), from, to), tone(1000.0, to));
            let error = (1000..7000).map(|n| (heard[n] - wanted[n]).abs()).fold(0.0, f32::max);
            assert!(error < 0.01, "{from} to {to}: {error}");
        }
        let gone = resample(&tone(5000.0, 16_000.0), 16_000.0, 8000.0);
        assert!(gone[1000..7000].iter().all(|sample| sample.abs() < 0.01));
    }
}
