//! Finds prompts in a recording by normalised cross-correlation.
//!
//! A correlation of 1 is the same sound at any loudness; G.711 there and back leaves 0.99. Two thresholds, measured on
//! all pairs of our prompts (see the tests):
//!
//! - A **whole** prompt is there from [`PRESENT`] on. Another prompt reaches 0.22 at the most. A slip of 20 ms in its
//!   middle, or a third of it missing, brings it below.
//! - Even a **part** of a prompt is there from [`LEAKED`] on, tried in pieces of `PIECE`: vowels of the same
//!   synthesizer are alike, so pieces of other prompts reach 0.8, while 500 ms that really leaked reach 0.98.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// From here on a whole prompt was heard, entirely and in one piece.
pub const PRESENT: f32 = 0.9;

/// From here on a part of a prompt was heard.
pub const LEAKED: f32 = 0.9;

/// What a part is: 500 ms.
const PIECE: usize = 4000;

/// The next piece begins 250 ms later.
const HOP: usize = 2000;

/// Of prompts, for the length of the transform: 8 s.
const PROMPT_MAX: usize = 64_000;

/// Sound below −55 dBm0 (mean square, full scale 1) is nothing: its shape is that of the codec's noise.
const FLOOR: f64 = 7.6e-7;

/// Where a prompt is most likely, and how much it is like it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// −1 to 1.
    pub peak: f32,
    /// The recording's sample where it begins.
    pub at: usize,
}

/// A recording that is searched.
pub struct Listener {
    planner: RealFftPlanner<f32>,
    size: usize,
    spectrum: Vec<Complex<f32>>,
    /// Sums of squares up to each sample.
    energy: Vec<f64>,
}

impl Listener {
    /// Searches this recording, mono, 8000 Hz.
    pub fn new(recording: &[i16]) -> Listener {
        let mut planner = RealFftPlanner::new();
        let size = (recording.len() + PROMPT_MAX).next_power_of_two();
        let spectrum = spectrum(&mut planner, recording, size);
        let mut energy = vec![0.0];
        let mut sum = 0.0;
        energy.extend(recording.iter().map(|sample| {
            sum += f64::from(scale(*sample)).powi(2);
            sum
        }));
        Listener {
            planner,
            size,
            spectrum,
            energy,
        }
    }

    /// The best match of the whole prompt. One that does not fit into the recording, or into 8 s, is not there.
    pub fn whole(&mut self, prompt: &[i16]) -> Match {
        let nothing = Match { peak: 0.0, at: 0 };
        let length = prompt.len();
        let samples = self.energy.len() - 1;
        let own: f64 = prompt.iter().map(|sample| f64::from(scale(*sample)).powi(2)).sum();
        if length > samples.min(PROMPT_MAX) || own <= FLOOR * length as f64 {
            return nothing;
        }
        let mut product = spectrum(&mut self.planner, prompt, self.size);
        for (product, recording) in product.iter_mut().zip(&self.spectrum) {
            *product = *recording * product.conj();
        }
        let inverse = self.planner.plan_fft_inverse(self.size);
        let mut correlation = inverse.make_output_vec();
        // Both are real where they must be, so this cannot fail but for the rounding of those two.
        let last = product.len() - 1;
        (product[0].im, product[last].im) = (0.0, 0.0);
        if inverse.process(&mut product, &mut correlation).is_err() {
            return nothing;
        }
        let mut best = nothing;
        for (at, sum) in correlation[..=samples - length].iter().enumerate() {
            let theirs = self.energy[at + length] - self.energy[at];
            if theirs <= FLOOR * length as f64 {
                continue;
            }
            let peak = (f64::from(*sum) / self.size as f64 / (own * theirs).sqrt()) as f32;
            if peak > best.peak {
                best = Match { peak, at };
            }
        }
        best
    }

    /// Of the prompt in pieces with sound in them: how many are heard within `slack` samples of where they belong if the
    /// prompt begins at `near`, and how many there are.
    pub fn pieces(&mut self, prompt: &[i16], near: usize, slack: usize) -> (usize, usize) {
        let (mut heard, mut all) = (0, 0);
        for (start, piece) in sounding(prompt, PIECE) {
            let found = self.whole(piece);
            all += 1;
            heard += usize::from(found.peak >= LEAKED && found.at.abs_diff(near + start) <= slack);
        }
        (heard, all)
    }

    /// The best match of any piece of the prompt that has sound in it.
    pub fn any_part(&mut self, prompt: &[i16]) -> Match {
        let mut best = Match { peak: 0.0, at: 0 };
        for (_, piece) in sounding(prompt, HOP) {
            let found = self.whole(piece);
            if found.peak > best.peak {
                best = found;
            }
        }
        best
    }
}

/// The pieces of a prompt, one every `hop` samples, and where they begin. One that is mostly a pause says nothing.
fn sounding(prompt: &[i16], hop: usize) -> impl Iterator<Item = (usize, &[i16])> {
    let power = |piece: &[i16]| {
        let sum: f64 = piece.iter().map(|sample| f64::from(scale(*sample)).powi(2)).sum();
        sum / piece.len().max(1) as f64
    };
    let all = power(prompt);
    prompt
        .windows(PIECE)
        .enumerate()
        .step_by(hop)
        .filter(move |(_, piece)| power(piece) >= all / 4.0)
}

fn scale(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

fn spectrum(planner: &mut RealFftPlanner<f32>, samples: &[i16], size: usize) -> Vec<Complex<f32>> {
    let forward = planner.plan_fft_forward(size);
    let mut input = forward.make_input_vec();
    for (place, sample) in input.iter_mut().zip(samples) {
        *place = scale(*sample);
    }
    let mut output = forward.make_output_vec();
    forward
        .process(&mut input, &mut output)
        .expect("the buffers are the plan's own");
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::speech::{ALL, Speech};

    /// Three seconds of everything else around a prompt, with noise of −62 dBm0 between.
    fn recording(parts: &[&[i16]]) -> Vec<i16> {
        let mut seed = 1u32;
        let mut all = Vec::new();
        for part in parts {
            all.extend((0..4321).map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 27) as i16 - 16
            }));
            all.extend_from_slice(part);
        }
        all
    }

    /// What G.711 µ-law leaves of a sample: 13 bits in 8 segments.
    fn through_g711(samples: &[i16]) -> Vec<i16> {
        samples
            .iter()
            .map(|sample| {
                let magnitude = i32::from(*sample).abs().min(32_635) + 132;
                let step = 1 << (28 - magnitude.leading_zeros()).max(3);
                let back = (magnitude / step * step + step / 2 - 132) as i16;
                if *sample < 0 { -back } else { back }
            })
            .collect()
    }

    #[test]
    fn a_prompt_is_found_where_it_is_and_nowhere_else() {
        for heard in ALL {
            let samples = through_g711(&heard.samples());
            let mut listener = Listener::new(&recording(&[&[0; 8000], &samples, &[0; 32_000]]));
            for other in ALL {
                let found = listener.whole(&other.samples());
                if heard == other {
                    assert!(found.peak > 0.98, "{heard:?}: {found:?}");
                    assert_eq!(found.at, 2 * 4321 + 8000, "{heard:?}");
                } else {
                    assert!(found.peak < 0.3, "{other:?} in {heard:?}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_found_and_what_is_alike_is_not() {
        let briefing = Speech::Briefing.samples();
        for start in [0, 5000, 10_000] {
            let part = through_g711(&briefing[start..start + 6500]);
            let mut listener = Listener::new(&recording(&[&Speech::Ai1.samples(), &part, &[0; 8000]]));
            let found = listener.any_part(&briefing);
            assert!(found.peak > LEAKED, "from {start}: {found:?}");
        }
        // The same voice says "assistant" in both: as alike as it gets.
        let mut listener = Listener::new(&recording(&[&Speech::NoAnswer.samples()]));
        let found = listener.any_part(&Speech::Busy.samples());
        assert!(found.peak < LEAKED - 0.05, "{found:?}");
    }

    #[test]
    fn a_slip_or_a_hole_is_not_whole() {
        let prompt = Speech::Ai2.samples();
        let (first, second) = prompt.split_at(prompt.len() / 2);
        let mut listener = Listener::new(&recording(&[&[0; 100], &[first, &[0; 160], second].concat()]));
        let slipped = listener.whole(&prompt);
        assert!(slipped.peak < PRESENT, "{slipped:?}");
        // In pieces it is there, but for the piece with the slip in it; another prompt is not.
        let (heard, all) = listener.pieces(&prompt, slipped.at, 1600);
        assert!(heard + 1 >= all && all >= 3, "{heard} of {all}");
        assert_eq!(listener.pieces(&Speech::Ai1.samples(), slipped.at, 1600).0, 0);
        let mut holed = prompt.to_vec();
        holed[6000..6000 + prompt.len() / 3].fill(0);
        let holed = Listener::new(&recording(&[&holed])).whole(&prompt);
        assert!(holed.peak < PRESENT, "{holed:?}");
    }

    #[test]
    fn silence_and_what_is_too_short_have_nothing() {
        for samples in [&[][..], &[0; 40_000], &[1; 100]] {
            let mut listener = Listener::new(samples);
            assert_eq!(listener.whole(&Speech::Ai1.samples()).peak, 0.0);
            assert_eq!(listener.any_part(&Speech::Ai1.samples()).peak, 0.0);
        }
    }
}
