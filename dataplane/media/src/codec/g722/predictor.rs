//! Block 4: what a band's next sample will be, from what is known of it so far. The lower and the higher band do alike.
//!
//! Sums are taken in 32 bits and narrowed where the Recommendation's 16-bit words saturate. Where that cannot happen,
//! or makes no difference (of a sum only the sign counts, or it is doubled and saturated again), it is left out; the
//! tests compare.

use crate::fir::saturate;

/// An adaptive predictor with two poles and six zeros. Signals that are doubled before each of their multiplications
/// are kept so.
#[derive(Clone, Debug, Default)]
pub(super) struct Predictor {
    /// B1 … B6.
    zeros: Lanes,
    /// D1 … D6: the quantized differences, doubled.
    differences: Lanes,
    /// A1, A2.
    poles: [i16; 2],
    /// R1, R2: the reconstructed signal, doubled.
    reconstructed: [i16; 2],
    /// Whether P1 and P2 are negative.
    negative: [bool; 2],
    /// S.
    predicted: i16,
    /// SZ: the zeros' part of S.
    by_zeros: i16,
}

/// Six, and two more to fill a vector: those stay 0 in the differences, so in the zeros they do not matter.
type Lanes = [i16; 8];

impl Predictor {
    /// S: the sample that is expected next.
    #[inline]
    pub(super) fn predicted(&self) -> i16 {
        self.predicted
    }

    /// Learns by how much the prediction was wrong: at most 12,404, the largest level of the largest step.
    ///
    /// `always`, here and around it: without, coding takes a third longer.
    #[inline(always)]
    pub(super) fn update(&mut self, difference: i16) {
        // RECONS, PARREC.
        let difference = i32::from(difference);
        let reconstructed = saturate(2 * (i32::from(self.predicted) + difference));
        let negative = i32::from(self.by_zeros) + difference < 0;

        self.update_poles(negative);
        self.update_zeros(difference);

        // DELAYA.
        self.negative = [negative, self.negative[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        let [d1, d2, d3, d4, d5, ..] = self.differences;
        self.differences = [(2 * difference) as i16, d1, d2, d3, d4, d5, 0, 0];

        // FILTEZ, FILTEP, PREDIC.
        self.by_zeros = filter_zeros(&self.zeros, &self.differences);
        let [newer, older] = self.reconstructed;
        let by_poles = saturate(product(self.poles[0], newer) + product(self.poles[1], older));
        self.predicted = saturate(i32::from(by_poles) + i32::from(self.by_zeros));
    }

    #[inline]
    fn update_poles(&mut self, negative: bool) {
        let [a1, a2] = self.poles;
        let turned = self.negative.map(|before| before != negative);

        // UPPOL2. Four times A1 in 16 bits, then 1/128 of it.
        let towards = if turned[0] { i32::from(a1) } else { -i32::from(a1) } >> 5;
        let step = if turned[1] { -128 } else { 128 };
        let a2 = product(a2, 32_512) + towards.clamp(-256, 255) + step;
        let a2 = a2.clamp(-12_288, 12_288);

        // UPPOL1. The limit is at least 3072 and at most 27,648.
        let limit = 15_360 - a2;
        let step = if turned[0] { -192 } else { 192 };
        let a1 = (product(a1, 32_640) + step).min(limit).max(-limit);
        self.poles = [a1 as i16, a2 as i16];
    }

    /// UPZERO.
    #[inline]
    fn update_zeros(&mut self, difference: i32) {
        let sign = (difference >> 31) as i16;
        let step = if difference == 0 { 0 } else { 128 };
        for at in 0..8 {
            let turned = (self.differences[at] >> 15) ^ sign;
            let zero = self.zeros[at];
            let leaked = product(zero, 32_640) as i16;
            self.zeros[at] = leaked + ((step ^ turned) - turned);
        }
    }
}

/// FILTEZ: a sum from the oldest to the newest that saturates at each. Where all of them together are too small for
/// that, the order is free.
#[inline]
fn filter_zeros(zeros: &Lanes, differences: &Lanes) -> i16 {
    let products: [i32; 8] = std::array::from_fn(|at| product(zeros[at], differences[at]));
    let size: i32 = products.iter().map(|product| product.abs()).sum();
    if size <= i32::from(i16::MAX) {
        products.iter().sum::<i32>() as i16
    } else {
        in_order(&products)
    }
}

#[cold]
fn in_order(products: &[i32; 8]) -> i16 {
    products
        .iter()
        .rev()
        .fold(0, |sum, product| saturate(i32::from(sum) + product))
}

/// The product of two fractions of 2^15, rounded down.
#[inline]
pub(super) fn product(a: i16, b: i16) -> i32 {
    (i32::from(a) * i32::from(b)) >> 15
}

#[cfg(test)]
mod tests;
