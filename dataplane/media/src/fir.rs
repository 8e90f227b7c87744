//! What our filters have in common: the sum of products, and the samples of the call before.

/// How many fresh values a [`Line`] has room for.
pub(crate) const CHUNK: usize = 32;

/// A stretch of a signal with the `BEFORE` values before it in front, so that a filter sees across calls.
pub(crate) struct Line<T, const BEFORE: usize>([T; ROOM]);

const ROOM: usize = 48;

impl<T: Copy + Default, const BEFORE: usize> Line<T, BEFORE> {
    const FITS: () = assert!(BEFORE + CHUNK <= ROOM);

    /// A line that goes on from `history`.
    #[inline]
    pub(crate) fn after(history: &[T; BEFORE]) -> Self {
        const { Self::FITS };
        let mut line = [T::default(); ROOM];
        line[..BEFORE].copy_from_slice(history);
        Line(line)
    }

    /// Where the stretch goes, [`CHUNK`] values at most.
    #[inline]
    pub(crate) fn fresh(&mut self) -> &mut [T] {
        &mut self.0[BEFORE..]
    }

    /// What a filter of `WINDOW = BEFORE + 1` values sees at each fresh value: the oldest first, that value last.
    #[inline]
    pub(crate) fn windows<const WINDOW: usize>(&self) -> impl Iterator<Item = &[T; WINDOW]> {
        const { assert!(WINDOW == BEFORE + 1) };
        self.0.array_windows()
    }

    /// The last values of a stretch of `fresh`, for the next line.
    #[inline]
    pub(crate) fn leave(&self, fresh: usize, history: &mut [T; BEFORE]) {
        history.copy_from_slice(&self.0[fresh..fresh + BEFORE]);
    }
}

/// The sum of products of two runs of equal, fixed length: the compiler makes multiply-and-add instructions of it.
/// Exact for taps of which [`fits`] says so.
#[inline]
pub(crate) fn dot(samples: &[i16], taps: &[i16]) -> i32 {
    let products = samples
        .iter()
        .zip(taps)
        .map(|(&sample, &tap)| i32::from(sample) * i32::from(tap));
    // Wrapping, since a check would bind the order of the additions. It never wraps: `fits`.
    products.fold(0, i32::wrapping_add)
}

/// Whether [`dot`] with these taps stays within 32 bits for all samples, a rounding of 2^15 included.
pub(crate) const fn fits(taps: &[i16]) -> bool {
    let mut sum = 1 << 15;
    let mut at = 0;
    while at < taps.len() {
        sum += (taps[at] as i64).abs() << 15;
        at += 1;
    }
    sum <= i32::MAX as i64
}

/// The nearest 16-bit word.
#[inline]
pub(crate) fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
