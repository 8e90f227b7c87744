//! ADPCM of the two bands (clause 6.2): the quantizers (blocks 1 and 2), the size of their steps (block 3), and the
//! decoder's reconstruction (block 5).

use super::Mode;
use super::predictor::{Predictor, product};

/// The lower band, 0 to 4 kHz: six bits a sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Low {
    scale: Scale<9>,
    predictor: Predictor,
}

/// The higher band, 4 to 8 kHz: two bits a sample.
#[derive(Clone, Debug, Default)]
pub(super) struct High {
    scale: Scale<11>,
    predictor: Predictor,
}

impl Low {
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i16) -> u8 {
        // SUBTRA, QUANTL.
        let error = sample.saturating_sub(self.predictor.predicted());
        let interval = low_interval(magnitude(error), self.scale.step());
        let code = match error < 0 {
            false => 61 - interval,
            true if interval < 2 => 63 - interval,
            true => 33 - interval,
        };
        self.update(code);
        code
    }

    /// By the last six bits of a byte, with the levels of the mode. The sample is to be limited yet.
    #[inline(always)]
    pub(super) fn decode(&mut self, byte: u8, levels: &Levels) -> i32 {
        let code = byte & 63;
        let difference = product(self.scale.step(), levels[usize::from(code)]);
        let sample = i32::from(self.predictor.predicted()) + difference;
        self.update(code);
        sample
    }

    /// From the first four bits in every mode, so that encoder and decoder predict alike.
    #[inline(always)]
    fn update(&mut self, code: u8) {
        // INVQAL, LOGSCL.
        let code = usize::from(code & 63);
        let difference = product(self.scale.step(), LEVELS_4[code]);
        self.scale.update(LOW_LOG[code >> 2]);
        self.predictor.update(difference as i16);
    }
}

impl High {
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i16) -> u8 {
        // SUBTRA, QUANTH.
        let error = sample.saturating_sub(self.predictor.predicted());
        let outer = magnitude(error) >= threshold(HIGH_DECISION, self.scale.step());
        let code = u8::from(error >= 0) << 1 | u8::from(!outer);
        self.decode(code);
        code
    }

    /// By a code of two bits. The sample is to be limited yet.
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        // INVQAH, LOGSCH.
        let code = usize::from(code & 3);
        let difference = product(self.scale.step(), HIGH_LEVELS[code]);
        let sample = i32::from(self.predictor.predicted()) + difference;
        self.scale.update(HIGH_LOG[code]);
        self.predictor.update(difference as i16);
        sample
    }
}

/// The size of a quantizer's step, which doubles `OCTAVES` times at most.
#[derive(Clone, Debug, Default)]
struct Scale<const OCTAVES: u32> {
    /// NB: its logarithm, 2048 an octave.
    log: u16,
}

impl<const OCTAVES: u32> Scale<OCTAVES> {
    const MAX: i32 = (OCTAVES as i32) << 11;

    /// DET: SCALEL and SCALEH, by their second method. At most 16,384.
    #[inline]
    fn step(&self) -> i16 {
        let log = u32::from(self.log);
        let mantissa = u32::from(MANTISSAS[(log >> 6 & 31) as usize]);
        // `log` is at most MAX, where the mantissa is 2048.
        let octaves_down = OCTAVES.saturating_sub(log >> 11);
        ((mantissa << 1 >> octaves_down) << 2) as i16
    }

    /// LOGSCL, LOGSCH.
    #[inline]
    fn update(&mut self, change: i16) {
        let leaked = (i32::from(self.log) * 32_512) >> 15;
        self.log = (leaked + i32::from(change)).clamp(0, Self::MAX) as u16;
    }
}

/// Folded by the one's complement.
#[inline]
fn magnitude(error: i16) -> i16 {
    error ^ (error >> 15)
}

/// A decision of the quantizers in this step.
#[inline]
fn threshold(decision: u16, step: i16) -> i16 {
    // 46,704 and 16,384 at most.
    ((u32::from(decision) * u32::from(step as u16)) >> 16) as i16
}

/// How many decisions a magnitude reaches, 0 to 29. They rise, so counting those that it does not reach is the same as
/// looking for the first, and goes in vectors.
#[inline]
fn low_interval(magnitude: i16, step: i16) -> u8 {
    let reached = LOW_DECISIONS
        .iter()
        .fold(LOW_DECISIONS.len() as i16, |reached, &decision| {
            // Both are positive, so this is −1 or 0.
            reached.wrapping_add(magnitude.wrapping_sub(threshold(decision, step)) >> 15)
        });
    (reached as u8).min(29)
}

/// Q6, times 2^4. The last stands there four times, to fill vectors.
const LOW_DECISIONS: [u16; 32] = {
    let mut decisions = [
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
        1458, 1612, 1765, 1980, 2195, 2557, 2919, 2919, 2919, 2919,
    ];
    let mut at = 0;
    while at < decisions.len() {
        decisions[at] <<= 4;
        at += 1;
    }
    decisions
};

/// Q2, times 2^4.
const HIGH_DECISION: u16 = 564 << 4;

/// What the codes of the lower band stand for, in steps times 2^15. By all six bits of the code, in every mode.
pub(super) type Levels = [i16; 64];

impl Mode {
    pub(super) fn levels(self) -> &'static Levels {
        match self {
            Mode::Kbit64 => &LEVELS_6,
            Mode::Kbit56 => &LEVELS_5,
            Mode::Kbit48 => &LEVELS_4,
        }
    }
}

/// QQ6, by code. No encoder sends the first four codes, but the standard says what they stand for. So with the next two
/// tables.
static LEVELS_6: Levels = levels([
    -17, -17, -17, -17, -3101, -2738, -2376, -2088, -1873, -1689, -1535, -1399, -1279, -1170, -1072, -982, -899, -822,
    -750, -682, -618, -558, -501, -447, -396, -347, -300, -254, -211, -170, -130, -91, 3101, 2738, 2376, 2088, 1873,
    1689, 1535, 1399, 1279, 1170, 1072, 982, 899, 822, 750, 682, 618, 558, 501, 447, 396, 347, 300, 254, 211, 170, 130,
    91, 54, 17, -54, -17,
]);

/// QQ5, by code.
static LEVELS_5: Levels = levels([
    -35, -35, -2919, -2195, -1765, -1458, -1219, -1023, -858, -714, -587, -473, -370, -276, -190, -110, 2919, 2195,
    1765, 1458, 1219, 1023, 858, 714, 587, 473, 370, 276, 190, 110, 35, -35,
]);

/// QQ4, by code.
static LEVELS_4: Levels = levels([
    0, -2557, -1612, -1121, -786, -530, -323, -150, 2557, 1612, 1121, 786, 530, 323, 150, 0,
]);

/// WL, by the first four bits of the code.
static LOW_LOG: [i16; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];

/// QQ2, by code, times 2^15.
static HIGH_LEVELS: [i16; 4] = [-926 * 8, -202 * 8, 926 * 8, 202 * 8];

/// WH, by code.
static HIGH_LOG: [i16; 4] = [798, -214, 798, -214];

/// ILB: 2^11 times the 32nd roots of two.
static MANTISSAS: [u16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// The Recommendation's numbers are times 2^12.
const fn levels<const CODES: usize>(by_code: [i16; CODES]) -> Levels {
    let mut levels = [0; 64];
    let mut code = 0;
    while code < 64 {
        levels[code] = by_code[code * CODES / 64] * 8;
        code += 1;
    }
    levels
}
