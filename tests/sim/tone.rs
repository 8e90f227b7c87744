//! Who is heard: every source has a frequency of its own, a multiple of 50 Hz, so that 20 ms (160 samples at 8000 Hz)
//! hold whole periods and one packet tells its source.

use std::f64::consts::TAU;

/// What a packet sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sound {
    /// The caller's voice.
    Caller,
    /// The AI's voice.
    Ai,
    /// A human's voice, by number.
    Human(u8),
    /// Announcement to the caller.
    Announcement,
    /// Hold audio.
    Hold,
    /// Briefing of the human.
    Briefing,
    /// Everybody is busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The transfer did not work.
    Failed,
    /// Goodbye.
    Goodbye,
    /// Low noise.
    Comfort,
    /// Something that no source made: two sources in one packet at a switch of prompts, or a fault.
    Other,
}

/// Every sound that is a tone, with its frequency in Hz.
const TONES: [(Sound, f64); 13] = [
    (Sound::Caller, 400.0),
    (Sound::Ai, 550.0),
    (Sound::Human(0), 700.0),
    (Sound::Human(1), 850.0),
    (Sound::Human(2), 1000.0),
    (Sound::Announcement, 1150.0),
    (Sound::Hold, 1300.0),
    (Sound::Briefing, 1450.0),
    (Sound::Busy, 1600.0),
    (Sound::NoAnswer, 1750.0),
    (Sound::Failed, 1900.0),
    (Sound::Goodbye, 2050.0),
    (Sound::Other, 0.0),
];

/// Peak of every tone.
const PEAK: f64 = 8000.0;

impl Sound {
    fn hertz(self) -> f64 {
        TONES
            .iter()
            .find(|(sound, _)| *sound == self)
            .map_or(0.0, |(_, hertz)| *hertz)
    }

    /// `count` samples of this sound, from sample `from` on.
    pub fn samples(self, from: u64, count: usize) -> Vec<i16> {
        let step = TAU * self.hertz() / 8000.0;
        (0..count as u64)
            .map(|n| (PEAK * (step * ((from + n) % 8000) as f64).sin()) as i16)
            .collect()
    }

    /// What these samples sound like.
    pub fn of(samples: &[i16]) -> Sound {
        let energy: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
        let count = samples.len().max(1) as f64;
        if (energy / count).sqrt() < 100.0 {
            return Sound::Comfort;
        }
        let share = |hertz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, &s) in samples.iter().enumerate() {
                let phase = TAU * hertz * n as f64 / 8000.0;
                re += f64::from(s) * phase.cos();
                im += f64::from(s) * phase.sin();
            }
            2.0 * (re * re + im * im) / (count * energy)
        };
        TONES[..12]
            .iter()
            .find(|(_, hertz)| share(*hertz) > 0.8)
            .map_or(Sound::Other, |(sound, _)| *sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_is_told_from_every_other() {
        for (sound, _) in &TONES[..12] {
            for from in [0, 160, 4711] {
                assert_eq!(Sound::of(&sound.samples(from, 160)), *sound);
            }
        }
        assert_eq!(Sound::of(&[20; 160]), Sound::Comfort);
        let both: Vec<i16> = Sound::Ai
            .samples(0, 160)
            .iter()
            .zip(Sound::Caller.samples(0, 160))
            .map(|(a, b)| a / 2 + b / 2)
            .collect();
        assert_eq!(Sound::of(&both), Sound::Other);
    }
}
