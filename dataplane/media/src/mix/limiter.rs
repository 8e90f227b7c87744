//! Keeps a sum of voices within 16 bits without a break in its form.

/// What a sum may have at its peak: 1 dB below the most that there is.
const MOST: i32 = 29_200;

/// For how many samples the gain is the same or goes evenly to the next: at most 5 ms.
const BLOCK: usize = 40;

/// By which part of what is missing the gain comes back, each block.
const RETURN: f32 = 0.03;

/// The gain in force.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter { gain: 1.0 }
    }
}

impl Limiter {
    /// Writes the sum. The gain falls over the block before a peak, where there is one, and comes back slowly; what is above all the same
    /// is bent, not cut.
    pub(super) fn limit(&mut self, sum: &[i32], samples: &mut [i16]) {
        let mut blocks = sum.chunks(BLOCK).zip(samples.chunks_mut(BLOCK)).peekable();
        while let Some((block, samples)) = blocks.next() {
            let (here, next) = (wanted(block), blocks.peek().map_or(1.0, |(next, _)| wanted(next)));
            let risen = self.gain + (1.0 - self.gain) * RETURN;
            let to = risen.min(here).min(next);
            if self.gain == 1.0 && to == 1.0 {
                for (sample, &sum) in samples.iter_mut().zip(block) {
                    *sample = sum as i16;
                }
                continue;
            }
            let from = self.gain;
            let step = (to - from) / block.len() as f32;
            let mut gain = from;
            for (sample, &sum) in samples.iter_mut().zip(block) {
                gain += step;
                *sample = bend(sum as f32 * gain);
            }
            self.gain = if to > 0.999 { 1.0 } else { to };
        }
    }
}

/// The gain at which a block fits.
fn wanted(block: &[i32]) -> f32 {
    let peak = block.iter().map(|sample| sample.abs()).max().unwrap_or(0);
    if peak <= MOST { 1.0 } else { MOST as f32 / peak as f32 }
}

/// What is above [`MOST`] comes ever nearer to the most that there is.
fn bend(sample: f32) -> i16 {
    let most = MOST as f32;
    let over = sample.abs() - most;
    if over <= 0.0 {
        return sample as i16;
    }
    let room = f32::from(i16::MAX) - most;
    (most + room * over / (over + room)).copysign(sample) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(sum: &[i32]) -> Vec<i16> {
        let mut samples = vec![0; sum.len()];
        let mut limiter = Limiter::default();
        for (sum, samples) in sum.chunks(160).zip(samples.chunks_mut(160)) {
            limiter.limit(sum, samples);
        }
        samples
    }

    fn sine(hz: f64, peak: f64, count: usize) -> Vec<i32> {
        let at = |at: usize| (at as f64 * hz * std::f64::consts::TAU / 8000.0).sin() * peak;
        (0..count).map(|n| at(n) as i32).collect()
    }

    #[test]
    fn what_fits_passes_as_it_is() {
        let sum = sine(400.0, f64::from(MOST), 8_000);
        let same: Vec<i16> = sum.iter().map(|&sample| sample as i16).collect();
        assert_eq!(limited(&sum), same);
    }

    /// Clipped, a sine of 440 Hz at twice the room would have a third of its power in harmonics.
    #[test]
    fn what_is_too_loud_becomes_softer_and_keeps_its_form() {
        let sum = sine(440.0, 65_000.0, 8_000);
        let heard = limited(&sum);
        assert!(heard.iter().all(|sample| sample.unsigned_abs() < 32_767));
        let heard: Vec<f64> = heard[2_000..].iter().map(|&sample| f64::from(sample)).collect();
        let power: f64 = heard.iter().map(|x| x * x).sum();
        let (mut re, mut im) = (0.0, 0.0);
        for (n, x) in heard.iter().enumerate() {
            let turn = n as f64 * 440.0 * std::f64::consts::TAU / 8000.0;
            (re, im) = (re + x * turn.cos(), im + x * turn.sin());
        }
        let tone = 2.0 * (re * re + im * im) / heard.len() as f64;
        assert!(tone / power > 0.99, "{}", tone / power);
    }

    #[test]
    fn the_gain_comes_back_when_it_is_softer_again() {
        let mut sum = sine(440.0, 60_000.0, 4_000);
        sum.extend(sine(440.0, 10_000.0, 8_000));
        let heard = limited(&sum);
        let loudest = |range: std::ops::Range<usize>| heard[range].iter().map(|x| x.unsigned_abs()).max().unwrap();
        assert!(loudest(4_000..4_400) < 6_500);
        assert!(loudest(11_000..12_000) > 9_900);
    }

    #[test]
    fn a_peak_out_of_nothing_is_no_break() {
        let mut sum = vec![0; 100];
        sum.extend([90_000; 40]);
        sum.extend(vec![0; 100]);
        assert!(limited(&sum).iter().all(|&sample| (0..=32_766).contains(&sample)));
    }
}
