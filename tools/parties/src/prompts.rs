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

/// Samples of a prompt (mono, 8000 Hz). An unknown name is an error.
pub(crate) fn load(name: &str) -> Result<Vec<i16>, String> {
    let (_, bytes) = PROMPTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("no prompt is called {name}"))?;
    let mut reader = hound::WavReader::new(*bytes).map_err(|error| format!("{name}: {error}"))?;
    reader
        .samples::<i16>()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{name}: {error}"))
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
            let samples = load(name).unwrap();
            let power = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
            // −20 dBm0, where a full-scale sine is +3.17 dBm0 (G.711 table 5).
            let level = 10.0 * (power / (32_768.0f64.powi(2) / 2.0)).log10() + 3.17;
            assert!((-21.0..-19.0).contains(&level), "{name} {level}");
            assert!(samples.iter().all(|s| s.abs() < 30_000), "{name} is near clipping");
        }
    }
}
