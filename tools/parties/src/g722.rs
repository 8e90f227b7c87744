//! ITU-T G.722 (09/2012) at 64 kbit/s, block by block as clause 6 describes it, in whole numbers.
//!
//! The names in the comments are those of the Recommendation's blocks. It is written for reading, not for speed, and shares nothing
//! with the codec that it checks.

/// Half of the 24 coefficients of the filter that splits and joins the sub-bands; the other half is the same backwards.
const QMF: [i32; 12] = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876];

/// Decision levels of the lower sub-band.
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Inverse quantizer of six bits, by magnitude, from the smallest.
const QQ6: [i32; 30] = [
    136, 432, 728, 1040, 1360, 1688, 2032, 2400, 2776, 3168, 3576, 4008, 4464, 4944, 5456, 6000, 6576, 7192, 7856,
    8576, 9360, 10_232, 11_192, 12_280, 13_512, 14_984, 16_704, 19_008, 21_904, 24_808,
];

/// Inverse quantizer of four bits, by magnitude, from the smallest.
const QQ4: [i32; 8] = [0, 1200, 2584, 4240, 6288, 8968, 12_896, 20_456];

/// What the log of the scale factor grows by in the lower sub-band, by the same magnitude.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];

/// Inverse quantizer of the higher sub-band, and what the log of its scale factor grows by, by magnitude.
const QQ2: [i32; 2] = [1616, 7408];
const WH: [i32; 2] = [-214, 798];

/// The decision level between the two magnitudes of the higher sub-band.
const Q2: i32 = 564;

/// An octave of the scale factor, in 32 steps.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Coder and decoder end the log of the scale factor here: of the lower and of the higher sub-band.
const NB_MAX: [i32; 2] = [18_432, 22_528];

/// To 16 bit.
fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// LIMIT: to the 15 bit of a sub-band.
fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

/// The predictor and the step of one sub-band: blocks 3 and 4, which coder and decoder have alike.
struct Band {
    /// 0: the lower one, 1: the higher one.
    which: usize,
    /// NBL, NBH: log of the step.
    log: i32,
    /// DETL, DETH: the step.
    step: i32,
    /// SL, SH: the prediction, and the part of it that comes from zeros.
    prediction: i32,
    from_zeros: i32,
    /// A: coefficients of the poles.
    poles: [i32; 2],
    /// B: coefficients of the zeros.
    zeros: [i32; 6],
    /// Differences, the newest first.
    differences: [i32; 6],
    /// Reconstructed signals, the newest first.
    reconstructed: [i32; 2],
    /// Partly reconstructed signals, the newest first.
    partly: [i32; 2],
}

impl Band {
    fn new(which: usize) -> Band {
        Band {
            which,
            log: 0,
            step: [32, 8][which],
            prediction: 0,
            from_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            reconstructed: [0; 2],
            partly: [0; 2],
        }
    }

    /// INVQAL, INVQBL, INVQAH: a quantized difference in steps.
    fn scaled(&self, level: i32, negative: bool) -> i32 {
        (self.step * if negative { -level } else { level }) >> 15
    }

    /// LOGSCL, LOGSCH, SCALEL, SCALEH: the next step, by the weight of this one's difference.
    fn scale(&mut self, weight: i32) {
        self.log = (((self.log * 127) >> 7) + weight).clamp(0, NB_MAX[self.which]);
        let octave = [8, 10][self.which] - (self.log >> 11);
        let mantissa = ILB[(self.log >> 6) as usize & 31];
        let shifted = if octave < 0 {
            mantissa << -octave
        } else {
            mantissa >> octave
        };
        self.step = shifted << 2;
    }

    /// Block 4: learns from a difference, and predicts the next signal.
    fn adapt(&mut self, difference: i32) {
        // RECONS, PARREC.
        let reconstructed = saturate(self.prediction + difference);
        let partly = saturate(self.from_zeros + difference);
        let same_sign = |a: i32, b: i32| (a < 0) == (b < 0);

        // UPPOL2.
        let doubled = saturate(self.poles[0] * 4);
        let first = if same_sign(partly, self.partly[0]) {
            -doubled
        } else {
            doubled
        }
        .min(32_767);
        let second = if same_sign(partly, self.partly[1]) { 128 } else { -128 };
        let pole2 = ((first >> 7) + second + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1.
        let step = if same_sign(partly, self.partly[0]) { 192 } else { -192 };
        let most = saturate(15_360 - pole2);
        let pole1 = saturate(step + ((self.poles[0] * 32_640) >> 15)).clamp(-most, most);
        // UPZERO.
        for (zero, old) in self.zeros.iter_mut().zip(self.differences) {
            let step = match difference {
                0 => 0,
                _ if same_sign(difference, old) => 128,
                _ => -128,
            };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }
        // DELAYA.
        self.poles = [pole1, pole2];
        self.differences.rotate_right(1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partly = [partly, self.partly[0]];
        // FILTEP, FILTEZ, PREDIC.
        let weighted = |coefficient: i32, signal: i32| (coefficient * saturate(2 * signal)) >> 15;
        let from_poles: i32 = self
            .poles
            .iter()
            .zip(self.reconstructed)
            .map(|(a, r)| weighted(*a, r))
            .sum();
        let from_zeros: i32 = self
            .zeros
            .iter()
            .zip(self.differences)
            .map(|(b, d)| weighted(*b, d))
            .sum();
        self.from_zeros = saturate(from_zeros);
        self.prediction = saturate(saturate(from_poles) + self.from_zeros);
    }
}

/// Sign and magnitude of the six bits of the lower sub-band: the magnitude counts from 1, and 0 is a code that no coder
/// sends, which decodes like the smallest negative one.
fn of_code6(code: u8) -> (bool, usize) {
    match code {
        0..4 => (true, 0),
        4..32 => (true, 31 - usize::from(code) + 2),
        32..62 => (false, 61 - usize::from(code)),
        // 62 and 63: the two smallest negative ones.
        _ => (true, 63 - usize::from(code)),
    }
}

/// The code of a sign and a magnitude.
fn code6(negative: bool, magnitude: usize) -> u8 {
    let magnitude = magnitude as u8;
    match (negative, magnitude) {
        (false, _) => 61 - magnitude,
        (true, 0 | 1) => 63 - magnitude,
        (true, _) => 33 - magnitude,
    }
}

/// The same of the four bits that both sides predict from: the two lowest bits may have been used for other data.
fn of_code4(code: u8) -> (bool, usize) {
    match code {
        0 => (true, 0),
        1..8 => (true, 8 - usize::from(code)),
        8..15 => (false, 15 - usize::from(code)),
        _ => (false, 0),
    }
}

/// Both sub-bands, and the memory of the filter that splits or joins them.
struct State {
    low: Band,
    high: Band,
    filter: [i32; 24],
}

impl Default for State {
    fn default() -> State {
        State {
            low: Band::new(0),
            high: Band::new(1),
            filter: [0; 24],
        }
    }
}

impl State {
    /// Shifts two samples in, the oldest first in memory, and sums the two halves of the filter: the even and the odd places.
    fn filtered(&mut self, two: [i32; 2]) -> (i32, i32) {
        self.filter.rotate_left(2);
        self.filter[22..].copy_from_slice(&two);
        let coefficient = |n: usize| if n < 12 { QMF[n] } else { QMF[23 - n] };
        let sum = |from: usize| -> i32 { (from..24).step_by(2).map(|n| coefficient(n) * self.filter[n]).sum() };
        (sum(0), sum(1))
    }

    /// What both sides do with a code after it is known.
    fn adapt(&mut self, code: u8) {
        let (negative, magnitude) = of_code4(code >> 2 & 0x0f);
        let difference = self.low.scaled(QQ4[magnitude], negative);
        self.low.scale(WL[magnitude]);
        self.low.adapt(difference);

        let (negative, magnitude) = of_code2(code >> 6);
        let difference = self.high.scaled(QQ2[magnitude], negative);
        self.high.scale(WH[magnitude]);
        self.high.adapt(difference);
    }
}

/// Sign and magnitude of the two bits of the higher sub-band.
fn of_code2(code: u8) -> (bool, usize) {
    (code < 2, usize::from(code & 1 == 0))
}

/// From sound to codes.
#[derive(Default)]
pub struct Encoder(State);

impl Encoder {
    /// A code of 8 bit for every two samples at 16 kHz; half a pair at the end is lost.
    pub fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        samples.as_chunks::<2>().0.iter().map(|two| self.pair(*two)).collect()
    }

    fn pair(&mut self, two: [i16; 2]) -> u8 {
        let state = &mut self.0;
        let (even, odd) = state.filtered(two.map(i32::from));
        let (low, high) = (limit((even + odd) >> 14), limit((odd - even) >> 14));

        // SUBTRA, QUANTL.
        let difference = saturate(low - state.low.prediction);
        let size = if difference < 0 { -(difference + 1) } else { difference };
        let magnitude = Q6
            .iter()
            .take_while(|level| size >= (**level * state.low.step) >> 12)
            .count();
        let lower = code6(difference < 0, magnitude);
        // SUBTRA, QUANTH.
        let difference = saturate(high - state.high.prediction);
        let size = if difference < 0 { -(difference + 1) } else { difference };
        let large = size >= (Q2 * state.high.step) >> 12;
        let higher = u8::from(difference >= 0) << 1 | u8::from(!large);

        let code = higher << 6 | lower;
        state.adapt(code);
        code
    }
}

/// From codes to sound.
#[derive(Default)]
pub struct Decoder(State);

impl Decoder {
    /// Two samples at 16 kHz for every code.
    pub fn decode(&mut self, codes: &[u8]) -> Vec<i16> {
        codes.iter().flat_map(|code| self.pair(*code)).collect()
    }

    fn pair(&mut self, code: u8) -> [i16; 2] {
        let state = &mut self.0;
        let (negative, magnitude) = of_code6(code & 0x3f);
        let low = limit(state.low.prediction + state.low.scaled(QQ6[magnitude], negative));
        let (negative, magnitude) = of_code2(code >> 6);
        let high = limit(state.high.prediction + state.high.scaled(QQ2[magnitude], negative));
        state.adapt(code);

        let (even, odd) = state.filtered([low + high, low - high]);
        [odd, even].map(|sum| saturate(sum >> 11) as i16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_magnitudes_are_one_to_one() {
        for negative in [false, true] {
            for magnitude in 0..30 {
                assert_eq!(of_code6(code6(negative, magnitude)), (negative, magnitude));
            }
        }
        // The ends.
        assert_eq!(
            (code6(false, 0), code6(false, 29), code6(true, 0), code6(true, 29)),
            (61, 32, 63, 4)
        );
    }

    /// FNV-1a.
    fn sum(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn a_loud_and_a_quiet_noise_come_out_as_they_did_when_the_vectors_passed() {
        let mut seed = 1u32;
        let samples: Vec<i16> = (0..8000)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as u16 as i16 >> (n / 1000)
            })
            .collect();
        let codes = Encoder::default().encode(&samples);
        let sound = Decoder::default().decode(&codes);
        assert_eq!(sum(codes), 1_804_235_334_257_869_048);
        assert_eq!(
            sum(sound.iter().flat_map(|sample| sample.to_be_bytes())),
            11_496_051_000_744_254_966
        );
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "who runs it without the vectors is told")]
    fn the_vectors_of_the_itu_come_out_bit_by_bit() {
        // Licensed by the ITU, so not of this repository: whoever has them names their folder.
        let Some(folder) = std::env::var_os("BATON_VECTORS") else {
            eprintln!("skipped: BATON_VECTORS names no folder with itu-g191 in it");
            return;
        };
        let words = |name: &str| -> Vec<u16> {
            let path = std::path::Path::new(&folder).join("itu-g191").join(name);
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let pairs = bytes.as_chunks::<2>().0.iter();
            pairs.map(|pair| u16::from_le_bytes(*pair)).collect()
        };
        let samples: Vec<i16> = words("inpsp.bin").iter().map(|word| word.cast_signed()).collect();
        let codes: Vec<u8> = words("codspw.cod").iter().map(|word| *word as u8).collect();
        assert!(samples.len() > 90_000);
        assert!(Encoder::default().encode(&samples) == codes, "the codes differ");
        let sound: Vec<i16> = words("outsp1.bin").iter().map(|word| word.cast_signed()).collect();
        assert!(Decoder::default().decode(&codes) == sound, "the sound differs");
    }
}
