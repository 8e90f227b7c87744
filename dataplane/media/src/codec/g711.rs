//! ITU-T G.711 (1988): µ-law and A-law.
//!
//! Linear samples are 16 bit, as in ITU-T G.191: the 14 bits of µ-law and the 13 bits of A-law are left-justified, so a
//! µ-law quantum is 4 and an A-law quantum 8. Negative samples are folded by the one's complement, as the software
//! of G.191 does, so −1 is the mirror of 0.
//!
//! PCMU to PCMA and back go by Tables 3 and 4 of the Recommendation, not through linear samples: that differs in 46 and 34
//! of the 256 codes, and only the tables keep bits 1 to 7 through A–µ–A (Note 3 to the tables: µ-80 goes to to µ-79
//! for its sake).

/// Which of the two: a byte is a sample, and there is nothing to remember between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

impl Law {
    /// Both.
    pub const ALL: [Law; 2] = [Law::Mu, Law::A];

    /// The byte of digital silence.
    pub const fn silence(self) -> u8 {
        match self {
            Law::Mu => 0xff,
            Law::A => 0xd5,
        }
    }

    /// Encodes as many samples as both slices have room for; returns how many.
    pub fn encode(self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Law::Mu => zip(samples, payload, encode_ulaw),
            Law::A => zip(samples, payload, encode_alaw),
        }
    }

    /// Decodes as many samples as both slices have room for; returns how many.
    pub fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Law::Mu => zip(payload, samples, decode_ulaw),
            Law::A => zip(payload, samples, decode_alaw),
        }
    }

    /// Mean square of the decoded samples; compare it with [`BELOW_50_DBM0`] and its like. 0 for an empty payload.
    pub fn mean_square(self, payload: &[u8]) -> u32 {
        match self {
            Law::Mu => mean_square(&ULAW_SQUARE, payload),
            Law::A => mean_square(&ALAW_SQUARE, payload),
        }
    }

    /// Rewrites a payload into another law in place, without going through linear samples.
    pub fn transcode(self, to: Law, payload: &mut [u8]) {
        let table = match (self, to) {
            (Law::Mu, Law::Mu) | (Law::A, Law::A) => return,
            (Law::Mu, Law::A) => &ULAW_TO_ALAW,
            (Law::A, Law::Mu) => &ALAW_TO_ULAW,
        };
        for byte in payload {
            *byte = table[usize::from(*byte)];
        }
    }
}

/// Decodes a µ-law byte.
#[inline]
pub fn decode_ulaw(code: u8) -> i16 {
    ULAW_LINEAR[usize::from(code)]
}

/// Decodes an A-law byte.
#[inline]
pub fn decode_alaw(code: u8) -> i16 {
    ALAW_LINEAR[usize::from(code)]
}

/// Encodes a sample in µ-law.
#[inline]
pub fn encode_ulaw(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    ULAW_CODE[usize::from(magnitude >> 2)] ^ sign
}

/// Encodes a sample in A-law.
#[inline]
pub fn encode_alaw(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    ALAW_CODE[usize::from(magnitude >> 4)] ^ sign
}

/// Mean square of 0 dBm0. A full-scale sine of µ-law (amplitude 8159 quanta) has +3.17 dBm0, one of A-law (4096 quanta)
/// +3.14 dBm0 (Tables 1 and 2, Note 1); both come to this value within 0.04 dB.
pub const ZERO_DBM0: u32 = 258_600_000;

/// Mean squares below this are below −30 dBm0: fainter than speech.
pub const BELOW_30_DBM0: u32 = ZERO_DBM0 / 1_000;

/// Mean squares below this are below −40 dBm0.
pub const BELOW_40_DBM0: u32 = ZERO_DBM0 / 10_000;

/// Mean squares below this are below −50 dBm0.
pub const BELOW_50_DBM0: u32 = ZERO_DBM0 / 100_000;

/// A mean square in dBm0; −∞ for 0. Not for the packet path: compare mean squares there.
pub fn dbm0(mean_square: u32) -> f64 {
    10.0 * (f64::from(mean_square) / f64::from(ZERO_DBM0)).log10()
}

/// PCMU to PCMA, Table 3.
pub static ULAW_TO_ALAW: [u8; 256] = ulaw_to_alaw();

/// PCMA to PCMU, Table 4.
pub static ALAW_TO_ULAW: [u8; 256] = alaw_to_ulaw();

static ULAW_SQUARE: [u32; 256] = squares(&ULAW_LINEAR);
static ALAW_SQUARE: [u32; 256] = squares(&ALAW_LINEAR);

static ULAW_LINEAR: [i16; 256] = ulaw_linear();
static ALAW_LINEAR: [i16; 256] = alaw_linear();
/// By 13-bit magnitude, of positive samples.
static ULAW_CODE: [u8; 8192] = ulaw_code();
/// By 11-bit magnitude, of positive samples.
static ALAW_CODE: [u8; 2048] = alaw_code();

fn mean_square(squares: &[u32; 256], payload: &[u8]) -> u32 {
    if payload.is_empty() {
        return 0;
    }
    let sum: u64 = payload.iter().map(|&code| u64::from(squares[usize::from(code)])).sum();
    (sum / payload.len() as u64) as u32
}

/// Magnitude by the one's complement, and what to exclusive-or into a positive code.
#[inline]
fn fold(sample: i16) -> (u16, u8) {
    let negative = sample >> 15;
    ((sample ^ negative) as u16, negative as u8 & 0x80)
}

const fn ulaw_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        // Table 2: all bits of the code are sent inverted; segment s starts at 33·2^s − 33 quanta.
        let number = !code as u8;
        let segment = (number >> 4) & 7;
        let step = (number & 0x0f) as i16;
        let magnitude = (((step * 2 + 33) << segment) - 33) * 4;
        table[code] = if number & 0x80 == 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
}

const fn alaw_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        // Table 1: the even bits are sent inverted; a set first bit is positive.
        let number = code as u8 ^ 0x55;
        let segment = (number >> 4) & 7;
        let step = (number & 0x0f) as i16;
        let magnitude = if segment == 0 {
            step * 2 + 1
        } else {
            (step * 2 + 33) << (segment - 1)
        } * 8;
        table[code] = if number & 0x80 == 0 { -magnitude } else { magnitude };
        code += 1;
    }
    table
}

const fn ulaw_code() -> [u8; 8192] {
    let mut table = [0; 8192];
    let mut magnitude = 0;
    while magnitude < 8192 {
        let biased = if magnitude + 33 > 8191 {
            8191
        } else {
            magnitude as u32 + 33
        };
        let segment = biased.ilog2() - 5;
        let step = (biased >> (segment + 1)) & 0x0f;
        table[magnitude] = !(segment << 4 | step) as u8;
        magnitude += 1;
    }
    table
}

const fn alaw_code() -> [u8; 2048] {
    let mut table = [0; 2048];
    let mut magnitude = 0;
    while magnitude < 2048 {
        let value = magnitude as u32;
        let number = if value < 32 {
            value
        } else {
            let segment = value.ilog2() - 3;
            (segment << 4) | (value >> (segment - 1)) & 0x0f
        };
        table[magnitude] = (number as u8 | 0x80) ^ 0x55;
        magnitude += 1;
    }
    table
}

const fn squares(linear: &[i16; 256]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = (linear[code] as i32 * linear[code] as i32) as u32;
        code += 1;
    }
    table
}

/// Table 3: decoder output value numbers, µ-law 0 to 127, in runs of
/// (first µ, first A, halves by which A advances with each µ).
const ULAW_TO_ALAW_RUNS: [(usize, u8, u8); 7] = [
    // Two µ-law values share one of A-law.
    (0, 1, 1),
    (16, 9, 2),
    // Every other value of A-law.
    (33, 27, 4),
    (37, 34, 2),
    (48, 46, 4),
    (49, 48, 2),
    (64, 64, 2),
];

const fn ulaw_to_alaw() -> [u8; 256] {
    let mut table = [0; 256];
    let mut run = 0;
    let mut value = 0;
    while value < 128 {
        if run + 1 < ULAW_TO_ALAW_RUNS.len() && ULAW_TO_ALAW_RUNS[run + 1].0 == value {
            run += 1;
        }
        let (first, alaw, halves) = ULAW_TO_ALAW_RUNS[run];
        let mut number = alaw + ((value - first) as u8 * halves) / 2;
        // Note 3: µ-80 goes to A-81, and from there on each to the next.
        if value >= 80 {
            number += 1;
        }
        let code = !(value as u8) & 0x7f;
        let alaw = (number - 1) ^ 0x55;
        table[code as usize] = alaw & 0x7f;
        table[(code | 0x80) as usize] = alaw | 0x80;
        value += 1;
    }
    table
}

/// Table 4: decoder output value numbers, A-law 1 to 128, in runs of
/// (first A, first µ, halves by which µ advances with each A).
const ALAW_TO_ULAW_RUNS: [(usize, u8, u8); 9] = [
    (1, 1, 4),
    (9, 16, 2),
    (25, 32, 1),
    (33, 36, 2),
    (45, 48, 1),
    (49, 50, 2),
    (63, 64, 1),
    (65, 65, 2),
    (80, 79, 2),
];

const fn alaw_to_ulaw() -> [u8; 256] {
    let mut table = [0; 256];
    let mut run = 0;
    let mut value = 1;
    while value <= 128 {
        if run + 1 < ALAW_TO_ULAW_RUNS.len() && ALAW_TO_ULAW_RUNS[run + 1].0 == value {
            run += 1;
        }
        let (first, ulaw, halves) = ALAW_TO_ULAW_RUNS[run];
        let number = ulaw + ((value - first) as u8 * halves) / 2;
        let code = ((value - 1) as u8 ^ 0x55) & 0x7f;
        let ulaw = !number & 0x7f;
        table[code as usize] = ulaw;
        table[(code | 0x80) as usize] = ulaw | 0x80;
        value += 1;
    }
    table
}

fn zip<A: Copy, B>(from: &[A], to: &mut [B], convert: impl Fn(A) -> B) -> usize {
    for (from, to) in from.iter().zip(to.iter_mut()) {
        *to = convert(*from);
    }
    from.len().min(to.len())
}

#[cfg(test)]
mod tests;
