//! How loud a sound is, over time.

/// The next value is 5 ms later.
pub(crate) const HOP: usize = 40;

/// Each looks at 20 ms.
const WINDOW: usize = 160;

/// What is so much softer than the loudest is a pause, dB.
const PAUSE_DB: f32 = 30.0;

/// Nothing is softer than that: −70 dB of full scale.
const FLOOR: f32 = 1e-7;

/// Loudness in dB of full scale, a value every [`HOP`] samples at 8000 Hz.
pub(crate) struct Loudness(pub(crate) Vec<f32>);

impl Loudness {
    pub(crate) fn of(samples: &[f32]) -> Loudness {
        let frames = samples.len() / HOP;
        Loudness(
            (0..frames)
                .map(|n| {
                    let middle = n * HOP + HOP / 2;
                    let from = middle.saturating_sub(WINDOW / 2);
                    let to = (middle + WINDOW / 2).min(samples.len());
                    let power = samples[from..to].iter().map(|s| s * s).sum::<f32>() / WINDOW as f32;
                    10.0 * (power + FLOOR).log10()
                })
                .collect(),
        )
    }

    /// The loudness that a tenth of it reaches.
    pub(crate) fn loud_db(&self) -> f32 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f32::total_cmp);
        sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(-100.0)
    }

    /// Whether something sounds at all: −55 dB of full scale, for 40 ms.
    pub(crate) fn is_silence(&self) -> bool {
        self.0.iter().filter(|db| **db > -55.0).count() < 8
    }

    /// How long something sounds that is no pause.
    pub(crate) fn sounding_ms(&self) -> f64 {
        if self.is_silence() {
            return 0.0;
        }
        let pause = self.loud_db() - PAUSE_DB;
        self.0.iter().filter(|db| **db > pause).count() as f64 * 5.0
    }

    /// Its shape, for correlation: 0 in a pause, more where it is loud.
    pub(crate) fn shape(&self) -> Vec<f32> {
        let pause = self.loud_db() - PAUSE_DB;
        self.0
            .iter()
            .map(|db| (db - pause).clamp(0.0, 1.5 * PAUSE_DB))
            .collect()
    }

    /// The loudness around this sample.
    pub(crate) fn at(&self, sample: usize) -> f32 {
        self.0.get(sample / HOP).copied().unwrap_or(-100.0)
    }
}
