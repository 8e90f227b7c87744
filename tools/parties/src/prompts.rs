//! What the parties say, compiled in.

const PROMPTS: &[(&str, &[u8])] = &[
    ("caller-1", include_bytes!("../prompts/caller-1.wav")),
    ("caller-2", include_bytes!("../prompts/caller-2.wav")),
    ("caller-3", include_bytes!("../prompts/caller-3.wav")),
    ("caller-4", include_bytes!("../prompts/caller-4.wav")),
    ("ai-1", include_bytes!("../prompts/ai-1.wav")),
    ("ai-2", include_bytes!("../prompts/ai-2.wav")),
    ("ai-back", include_bytes!("../prompts/ai-back.wav")),
    ("human-hello", include_bytes!("../prompts/human-hello.wav")),
    ("human-2", include_bytes!("../prompts/human-2.wav")),
];

/// Samples of a prompt, mono, at 8000 or 16,000 Hz. An unknown name is an error.
pub(crate) fn load(name: &str, rate: u32) -> Result<Vec<i16>, String> {
    let (_, bytes) = PROMPTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("no prompt is called {name}"))?;
    let mut reader = hound::WavReader::new(*bytes).map_err(|error| format!("{name}: {error}"))?;
    let samples: Vec<i16> = reader
        .samples::<i16>()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{name}: {error}"))?;
    match rate {
        8000 => Ok(samples),
        16_000 => Ok(doubled(&samples)),
        other => Err(format!("prompts have 8000 Hz or twice that, not {other}")),
    }
}

/// Samples on each side of a new one that it is made of.
const REACH: usize = 32;

/// Twice the rate: the old samples, and between each two a new one by a windowed sinc. Flat to 3.8 kHz, and nothing above 4.2 kHz.
fn doubled(samples: &[i16]) -> Vec<i16> {
    // Half a sample off the middle: sin(πx)/πx with x = n + ½, under a Hann window.
    let side: [f64; REACH] = std::array::from_fn(|n| {
        let x = n as f64 + 0.5;
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / REACH as f64).cos();
        (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) * window
    });
    let at = |n: usize, step: isize| {
        n.checked_add_signed(step)
            .and_then(|n| samples.get(n))
            .copied()
            .unwrap_or(0)
    };
    let between = |n: usize| -> i16 {
        let sum: f64 = (0..REACH as isize)
            .map(|k| side[k as usize] * (f64::from(at(n, -k)) + f64::from(at(n, k + 1))))
            .sum();
        sum.round() as i16
    };
    (0..samples.len()).flat_map(|n| [samples[n], between(n)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_narrowband_speech() {
        for (name, bytes) in PROMPTS {
            let spec = hound::WavReader::new(*bytes).unwrap().spec();
            assert_eq!(
                (spec.channels, spec.sample_rate, spec.bits_per_sample),
                (1, 8000, 16),
                "{name}"
            );
            let samples = load(name, 8000).unwrap();
            let power = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
            // −20 dBm0, where a full-scale sine is +3.17 dBm0 (G.711 table 5).
            let level = 10.0 * (power / (32_768.0f64.powi(2) / 2.0)).log10() + 3.17;
            assert!((-21.0..-19.0).contains(&level), "{name} {level}");
            assert!(samples.iter().all(|s| s.abs() < 30_000), "{name} is near clipping");
        }
    }

    #[test]
    fn a_doubled_prompt_is_the_same_sound() {
        // Tones up to the end of telephone speech come out as they are at twice the rate.
        for hertz in [300.0, 1000.0, 3400.0, 3700.0] {
            let tone = |rate: f64, n: usize| 10_000.0 * (std::f64::consts::TAU * hertz * n as f64 / rate).sin();
            let samples: Vec<i16> = (0..800).map(|n| tone(8000.0, n) as i16).collect();
            let doubled = doubled(&samples);
            assert_eq!(doubled.len(), 1600);
            let error = (200..1400)
                .map(|n| (f64::from(doubled[n]) - tone(16_000.0, n)).abs())
                .fold(0.0, f64::max);
            assert!(error < 60.0, "{hertz} Hz: {error:.1}");
        }
    }
}
