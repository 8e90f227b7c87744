//! Where what was said is in what was heard, and how that changes over time.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use crate::loudness::{HOP, Loudness};
use crate::spectrum::STRONG_DB;

/// A piece has 128 ms.
const PIECE: usize = 1024;

/// The next one begins 64 ms later.
const NEXT: usize = 512;

/// A piece may be so far from where the whole is, samples: 60 ms.
const REACH: usize = 480;

/// Beyond both ends of what was heard there is silence; so much of it is looked at, in steps of loudness: 200 ms.
const MARGIN: usize = 40;

/// Where each piece of what was said is heard. Delays are in samples at 8000 Hz.
pub(crate) struct Track {
    /// Correlation of the loudness at the best delay.
    pub(crate) envelope: f32,
    /// Mean correlation of the pieces.
    pub(crate) waveform: f32,
    /// Correlation of the waveform as a whole.
    pub(crate) whole: f32,
    /// How many times as fast it plays.
    pub(crate) speed: f64,
    /// By how much it slips, ms, and where.
    pub(crate) slip: Option<(f64, f64)>,
    /// Delay at the beginning.
    start: f64,
    /// Its growth with each sample.
    slope: f64,
}

impl Track {
    /// The delay of this sample.
    pub(crate) fn delay_at(&self, sample: f64) -> f64 {
        let slipped = self.slip.filter(|(_, at_ms)| sample >= at_ms * 8.0);
        self.start + self.slope * sample + slipped.map_or(0.0, |(ms, _)| ms * 8.0)
    }

    /// So many samples of what was heard, from where this sample of what was said is; at any rate.
    pub(crate) fn cut<'a>(&self, heard: &'a [f32], rate: u32, sample: usize, length: usize) -> Option<&'a [f32]> {
        let factor = f64::from(rate) / 8000.0;
        let at = sample as f64 + self.delay_at(sample as f64 / factor) * factor;
        let at = at.round();
        if at < 0.0 {
            return None;
        }
        heard.get(at as usize..at as usize + length)
    }
}

/// One piece: where it begins, its delay, how well it fits, and its weight.
struct Piece {
    at: f64,
    delay: f64,
    fit: f32,
    weight: f32,
}

/// Finds the whole, and each piece around there.
pub(crate) fn track(said: &[f32], heard: &[f32]) -> Track {
    let (envelope, by_loudness) = place(said, heard);
    let (peak, by_waveform) = best_fit(said, heard);
    let delay = if peak > 0.4 { by_waveform } else { by_loudness };
    let pieces = pieces(said, heard, delay);
    let weight: f32 = pieces.iter().map(|piece| piece.weight).sum();
    let waveform = pieces.iter().map(|piece| piece.fit * piece.weight).sum::<f32>() / weight.max(1e-9);
    let mut track = Track {
        envelope,
        waveform,
        whole: peak,
        speed: 1.0,
        slip: None,
        start: delay as f64,
        slope: 0.0,
    };
    // What fits badly says nothing about time.
    let sure: Vec<&Piece> = pieces.iter().filter(|piece| piece.fit > 0.6).collect();
    if sure.len() >= 4 {
        fit_time(&mut track, &sure);
    }
    track
}

/// A straight line through the delays, or two levels where that is much better.
fn fit_time(track: &mut Track, pieces: &[&Piece]) {
    let line = line(pieces);
    // One piece out of place, by a period of the pitch, must not decide.
    let off = |delay: f64, wanted: f64| (delay - wanted).abs().min(80.0);
    let line_off: f64 = pieces
        .iter()
        .map(|piece| off(piece.delay, line.0 + line.1 * piece.at))
        .sum();
    let mut best: Option<(f64, f64, f64, f64)> = None;
    for cut in 2..pieces.len() - 1 {
        let (first, second) = pieces.split_at(cut);
        let levels = [first, second].map(|side| median(side.iter().map(|piece| piece.delay)));
        let sum = |side: &[&Piece], level: f64| side.iter().map(|piece| off(piece.delay, level)).sum::<f64>();
        let off = sum(first, levels[0]) + sum(second, levels[1]);
        if best.is_none_or(|(least, ..)| off < least) {
            best = Some((off, levels[0], levels[1], second[0].at));
        }
    }
    match best {
        Some((off, first, second, at)) if off < 0.3 * line_off && (second - first).abs() > 16.0 => {
            (track.start, track.slope) = (first, 0.0);
            track.slip = Some(((second - first) / 8.0, at / 8.0));
        }
        _ => (track.start, track.slope) = line,
    }
    track.speed = 1.0 / (1.0 + track.slope);
}

/// Start and slope: the medians of all that two pieces each say (Theil and Sen).
fn line(pieces: &[&Piece]) -> (f64, f64) {
    let mut slopes = Vec::new();
    for (n, first) in pieces.iter().enumerate() {
        for second in &pieces[n + 1..] {
            // Close to each other they say little.
            if second.at - first.at >= 4.0 * NEXT as f64 {
                slopes.push((second.delay - first.delay) / (second.at - first.at));
            }
        }
    }
    let slope = median(slopes.into_iter());
    (median(pieces.iter().map(|piece| piece.delay - slope * piece.at)), slope)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Each strong piece where it fits best, at most [`REACH`] from the delay of the whole.
fn pieces(said: &[f32], heard: &[f32], delay: isize) -> Vec<Piece> {
    let loudness = Loudness::of(said);
    let strong = loudness.loud_db() - STRONG_DB;
    let mut found = Vec::new();
    for at in (0..said.len().saturating_sub(PIECE)).step_by(NEXT) {
        let piece = &said[at..at + PIECE];
        let power = piece.iter().map(|s| s * s).sum::<f32>() / PIECE as f32;
        if 10.0 * (power + 1e-12).log10() < strong {
            continue;
        }
        let first = at as isize + delay - REACH as isize;
        let window: Vec<f32> = (first..first + (PIECE + 2 * REACH) as isize)
            .map(|n| {
                usize::try_from(n)
                    .ok()
                    .and_then(|n| heard.get(n))
                    .copied()
                    .unwrap_or(0.0)
            })
            .collect();
        let fits = fits(piece, &window);
        let (best, fit) = fits
            .iter()
            .copied()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((REACH, 0.0));
        found.push(Piece {
            at: at as f64,
            delay: (delay - REACH as isize) as f64 + best as f64 + peak_offset(&fits, best),
            fit: fit.max(0.0),
            weight: power.sqrt(),
        });
    }
    found
}

/// How far the top of a parabola through a peak and its neighbours is from it, samples.
pub(crate) fn peak_offset(values: &[f32], peak: usize) -> f64 {
    if peak == 0 || peak + 1 >= values.len() {
        return 0.0;
    }
    let [a, b, c] = [values[peak - 1], values[peak], values[peak + 1]].map(f64::from);
    let bend = a - 2.0 * b + c;
    if bend < 0.0 {
        (0.5 * (a - c) / bend).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}

/// Where the loudness fits best: the correlation, and the delay in samples.
pub(crate) fn place(said: &[f32], heard: &[f32]) -> (f32, isize) {
    let said = Loudness::of(said).shape();
    let heard = Loudness::of(heard).shape();
    let before = MARGIN + said.len().saturating_sub(heard.len());
    let mut padded = vec![0.0; before];
    padded.extend(heard);
    padded.extend(std::iter::repeat_n(0.0, before.max(said.len())));
    let mean = said.iter().sum::<f32>() / said.len().max(1) as f32;
    let centred: Vec<f32> = said.iter().map(|value| value - mean).collect();
    let own: f32 = centred.iter().map(|value| value * value).sum();
    let mut best = (0.0, 0);
    let last = (padded.len() - said.len()).min(padded.len() - before.max(said.len()) + MARGIN);
    for start in 0..=last.min(padded.len() - said.len()) {
        let window = &padded[start..start + said.len()];
        let (mut sum, mut squares, mut product) = (0.0f32, 0.0f32, 0.0f32);
        for (a, b) in centred.iter().zip(window) {
            sum += b;
            squares += b * b;
            product += a * b;
        }
        let theirs = squares - sum * sum / said.len() as f32;
        let fit = product / (own * theirs).max(1e-6).sqrt();
        if fit > best.0 {
            best = (fit, (start as isize - before as isize) * HOP as isize);
        }
    }
    best
}

/// Where the waveform as a whole fits best: the correlation, and the delay. At least half of it must be heard.
fn best_fit(said: &[f32], heard: &[f32]) -> (f32, isize) {
    let margin = (said.len() / 2).max(said.len().saturating_sub(heard.len()));
    let mut window = vec![0.0; margin];
    window.extend_from_slice(heard);
    window.extend(std::iter::repeat_n(0.0, said.len() / 2));
    let fits = fits(said, &window);
    let best = fits.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or((0.0, 0), |(at, fit)| (fit, at as isize - margin as isize))
}

/// The normalised correlation of a piece with every place of a window that it fits into.
pub(crate) fn fits(piece: &[f32], window: &[f32]) -> Vec<f32> {
    let Some(places) = (window.len() + 1).checked_sub(piece.len()) else {
        return Vec::new();
    };
    let size = window.len().next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let transform = |samples: &[f32]| -> Vec<Complex<f32>> {
        let mut input = forward.make_input_vec();
        input[..samples.len()].copy_from_slice(samples);
        let mut output = forward.make_output_vec();
        forward
            .process(&mut input, &mut output)
            .expect("the buffers are the plan's own");
        output
    };
    let mut product: Vec<Complex<f32>> = transform(window)
        .iter()
        .zip(transform(piece))
        .map(|(a, b)| a * b.conj())
        .collect();
    // A real signal has no imaginary part there; rounding leaves one, which the inverse refuses.
    let last = product.len() - 1;
    (product[0].im, product[last].im) = (0.0, 0.0);
    let mut sums = inverse.make_output_vec();
    inverse
        .process(&mut product, &mut sums)
        .expect("the buffers are the plan's own");
    let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let own = energy(piece);
    let mut theirs = energy(&window[..piece.len()]);
    // What is softer than −65 dB of full scale has no shape.
    let floor = 3e-7 * piece.len() as f64;
    (0..places)
        .map(|at| {
            if at > 0 {
                theirs += f64::from(window[at + piece.len() - 1]).powi(2) - f64::from(window[at - 1]).powi(2);
            }
            if theirs < floor || own < floor {
                return 0.0;
            }
            (f64::from(sums[at]) / size as f64 / (own * theirs).sqrt()) as f32
        })
        .collect()
}
