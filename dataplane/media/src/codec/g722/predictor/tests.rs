use super::*;

/// The sub-blocks of block 4 (clause 6.2), word by word: every operation in 16 bits, and saturating. Index 0 is now, 1
/// is before.
#[derive(Default)]
struct Literal {
    a: [i16; 3],
    b: [i16; 7],
    d: [i16; 7],
    p: [i16; 3],
    r: [i16; 3],
    s: i16,
    sz: i16,
}

fn add(a: i16, b: i16) -> i16 {
    a.saturating_add(b)
}

fn times(a: i16, b: i16) -> i16 {
    saturate((i32::from(a) * i32::from(b)) >> 15)
}

impl Literal {
    fn update(&mut self, difference: i16) {
        // RECONS, PARREC.
        self.d[0] = difference;
        self.r[0] = add(self.s, difference);
        self.p[0] = add(self.sz, difference);

        // UPPOL2.
        let same = [self.p[0] >> 15 == self.p[1] >> 15, self.p[0] >> 15 == self.p[2] >> 15];
        let word = add(self.a[1], self.a[1]);
        let word = add(word, word);
        let word = if same[0] { 0i16.saturating_sub(word) } else { word } >> 7;
        let word = add(word, if same[1] { 128 } else { -128 });
        let a2 = add(word, times(self.a[2], 32_512)).clamp(-12_288, 12_288);

        // UPPOL1.
        let word = if same[0] { 192 } else { -192 };
        let a1 = add(word, times(self.a[1], 32_640));
        let limit = 15_360i16.saturating_sub(a2);
        let a1 = a1.clamp(-limit, limit);

        // UPZERO.
        let step = if difference == 0 { 0 } else { 128 };
        for at in 1..=6 {
            let step = if self.d[at] >> 15 == difference >> 15 {
                step
            } else {
                -step
            };
            self.b[at] = add(step, times(self.b[at], 32_640));
        }

        // DELAYA.
        self.a = [0, a1, a2];
        self.d.rotate_right(1);
        self.p.rotate_right(1);
        self.r.rotate_right(1);

        // FILTEP.
        let words = [1, 2].map(|at| times(self.a[at], add(self.r[at], self.r[at])));
        let by_poles = add(words[0], words[1]);

        // FILTEZ, PREDIC.
        self.sz = (1..=6)
            .rev()
            .fold(0, |sum, at| add(sum, times(self.b[at], add(self.d[at], self.d[at]))));
        self.s = add(by_poles, self.sz);
    }
}

/// Differences of all sizes and of signs that drive the coefficients to their limits.
#[test]
fn predicts_as_the_recommendation_does_word_by_word() {
    let mut state = 1u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (mut saturated, mut disordered) = (0, 0);
    for round in 0..200 {
        let (mut ours, mut literal) = (Predictor::default(), Literal::default());
        let (size, period) = (1 + random(12_404), 1 + random(12));
        for at in 0..1000 {
            let size = if round % 2 == 0 { size } else { random(size + 1) };
            let negative = match round % 4 {
                0 | 1 => at / period % 2 == 0,
                2 => random(2) == 0,
                _ => at % 100 < 50 && random(8) != 0,
            };
            let difference = if negative { -(size as i16) } else { size as i16 };
            ours.update(difference);
            literal.update(difference);
            assert_eq!(
                (ours.predicted, ours.by_zeros, ours.poles),
                (literal.s, literal.sz, [literal.a[1], literal.a[2]]),
                "round {round}, difference {at}"
            );
            saturated += u32::from(ours.predicted == i16::MAX || ours.predicted == i16::MIN);
            let products: [i32; 8] = std::array::from_fn(|at| product(ours.zeros[at], ours.differences[at]));
            disordered += u32::from(products.iter().map(|product| product.abs()).sum::<i32>() > i32::from(i16::MAX));
        }
    }
    // Otherwise this compares nothing that the vectors do not.
    assert!(saturated > 1000, "{saturated}");
    assert!(disordered > 1000, "{disordered}");
}
