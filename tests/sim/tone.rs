//! Who is heard: every source has a frequency of its own, a multiple of 50 Hz, so that 20 ms (160 samples at 8000 Hz)
//! hold whole periods and one packet tells its source.

use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::TAU;

use crate::rtp::g711;

/// What a packet sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sound {
    /// The caller's voice.
    Caller,
    /// The AI's voice.
    Ai,
    /// A human's voice, by number.
    Human(u8),
    /// What is to be disclosed to the caller.
    Disclosure,
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
    /// It takes less than a minute.
    Soon,
    /// It takes about …
    About,
    /// … so many minutes.
    Minutes(u8),
    /// Low noise.
    Comfort,
    /// Something that no source made: two sources in one packet at a switch of prompts, or a fault.
    Other,
}

/// Every sound that is a tone, with its frequency in Hz.
const TONES: [(Sound, f64); 20] = [
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
    (Sound::Soon, 2200.0),
    (Sound::About, 2350.0),
    (Sound::Minutes(1), 2500.0),
    (Sound::Minutes(2), 2650.0),
    (Sound::Human(3), 2800.0),
    (Sound::Human(4), 2950.0),
    (Sound::Disclosure, 3100.0),
    (Sound::Other, 0.0),
];

/// Payloads remembered by each thread, at most.
const REMEMBERED: usize = 4096;

thread_local! {
    static SPOKEN: RefCell<HashMap<(Sound, u64, bool), Vec<u8>>> = RefCell::default();
    static JUDGED: RefCell<[HashMap<Box<[u8]>, Sound>; 2]> = RefCell::default();
}

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

    /// One packet of this sound from sample `from` on, as G.711: made once, for whole packets are whole periods.
    pub fn packet(self, from: u64, alaw: bool) -> Vec<u8> {
        SPOKEN.with_borrow_mut(|spoken| {
            let made = || g711::encode(&self.samples(from, 160), alaw);
            spoken.entry((self, from % 160, alaw)).or_insert_with(made).clone()
        })
    }

    /// What this payload of G.711 sounds like. The judgement is [`Sound::of`]; the same bytes are judged once.
    pub fn of_packet(payload: &[u8], alaw: bool) -> Sound {
        JUDGED.with_borrow_mut(|judged| {
            let judged = &mut judged[usize::from(alaw)];
            if let Some(sound) = judged.get(payload) {
                return *sound;
            }
            let sound = Sound::of(&g711::decode(payload, alaw));
            // No two packets of noise are the same.
            if sound != Sound::Comfort && judged.len() < REMEMBERED {
                judged.insert(payload.into(), sound);
            }
            sound
        })
    }

    /// How loud this sound is in a payload of G.711: its peak, in parts of the one that every source has.
    pub fn level(self, payload: &[u8], alaw: bool) -> f64 {
        let samples = g711::decode(payload, alaw);
        let step = TAU * self.hertz() / 8000.0;
        let parts = |wave: fn(f64) -> f64| -> f64 {
            let terms = samples.iter().enumerate();
            terms.map(|(n, &s)| f64::from(s) * wave(step * n as f64)).sum()
        };
        2.0 * parts(f64::cos).hypot(parts(f64::sin)) / (samples.len().max(1) as f64 * PEAK)
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
        TONES[..TONES.len() - 1]
            .iter()
            .find(|(_, hertz)| share(*hertz) > 0.8)
            .map_or(Sound::Other, |(sound, _)| *sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_judged_as_its_samples_are() {
        for (sound, _) in &TONES[..TONES.len() - 1] {
            for alaw in [false, true] {
                for from in [0, 160, 163] {
                    let payload = g711::encode(&sound.samples(from, 160), alaw);
                    assert_eq!(sound.packet(from, alaw), payload);
                    // The second time from memory.
                    assert_eq!(Sound::of_packet(&payload, alaw), *sound);
                    assert_eq!(Sound::of_packet(&payload, alaw), *sound);
                }
            }
        }
    }

    #[test]
    fn every_sound_is_told_from_every_other() {
        for (sound, _) in &TONES[..TONES.len() - 1] {
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
