//! Speech for tests: the voices of the demo's parties, and made up ones of which is known when they speak.

use std::f64::consts::TAU;
use std::ops::Range;
use std::path::Path;

use crate::codec::opus::Band;
use crate::resample::Upsampler;
use crate::seed::Seed;

/// Every voice that there is.
pub(crate) const VOICES: [&str; 9] = [
    "caller-1",
    "caller-2",
    "caller-3",
    "caller-4",
    "ai-1",
    "ai-2",
    "ai-back",
    "human-hello",
    "human-2",
];

/// What callers on hold hear: music.
pub(crate) fn music() -> Vec<i16> {
    wav("controlplane/server/prompts/hold.wav")
}

/// A prompt of the demo's parties. They are of 8 kHz.
pub(crate) fn prompt(name: &str, band: Band) -> Vec<i16> {
    let narrow = wav(&format!("tools/parties/prompts/{name}.wav"));
    match band {
        Band::Narrow => narrow,
        Band::Wide => {
            let mut wide = vec![0; 2 * narrow.len()];
            Upsampler::new().process(&narrow, &mut wide);
            wide
        }
    }
}

fn wav(path: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let mut reader = hound::WavReader::open(path).expect("a recording");
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}

/// A number from −1 to 1.
pub(crate) fn random(seed: &mut Seed) -> f64 {
    (seed.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// White noise between −level and level.
pub(crate) fn noise(seed: &mut Seed, level: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|_| (level * random(seed)) as i16).collect()
}

/// Speech without words, and where it is: syllables of vowels and fricatives, five or so a second, in phrases of 1 to 3 s with pauses of 0.6 to 1.5 s.
/// A source (pulses of 90 to 250 Hz with vibrato and a falling line, or noise) goes through the resonances of a mouth (Klatt: Software
/// for a cascade/parallel formant synthesizer, JASA 67, 1980).
pub(crate) fn babble(seed: u64, band: Band, seconds: usize) -> (Vec<i16>, Vec<Range<usize>>) {
    let seed = &mut Seed::new(seed);
    let hz = f64::from(band.hz());
    let length = seconds * band.hz() as usize;
    let (mut samples, mut phrases) = (Vec::with_capacity(length), Vec::new());
    let voice = 165.0 + 60.0 * random(seed);
    while samples.len() < length {
        samples.resize(samples.len() + (hz * (1.05 + 0.45 * random(seed))) as usize, 0);
        let start = samples.len();
        let mut mouth = Mouth::default();
        let syllables = 9 + (5.0 * random(seed)) as usize;
        for at in 0..syllables {
            let vowel = VOWELS[seed.next() as usize % VOWELS.len()];
            let pitch = voice * (1.15 - 0.3 * at as f64 / syllables as f64);
            if at > 0 && seed.next().is_multiple_of(2) {
                mouth.hiss(seed, hz, &mut samples);
            }
            mouth.sing(seed, hz, pitch, vowel, &mut samples);
        }
        phrases.push(start..samples.len());
    }
    samples.truncate(length);
    phrases.retain(|phrase| phrase.end <= length);
    (samples, phrases)
}

/// First three resonances of vowels, Hz (Peterson and Barney 1952, men).
const VOWELS: [[f64; 3]; 6] = [
    [270.0, 2290.0, 3010.0],
    [530.0, 1840.0, 2480.0],
    [730.0, 1090.0, 2440.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
    [490.0, 1350.0, 1690.0],
];

#[derive(Default)]
struct Mouth {
    formants: [f64; 3],
    memory: [[f64; 2]; 3],
    glottis: f64,
    phase: f64,
    time: f64,
}

impl Mouth {
    fn sing(&mut self, seed: &mut Seed, hz: f64, pitch: f64, vowel: [f64; 3], samples: &mut Vec<i16>) {
        let length = (hz * (0.15 + 0.05 * random(seed))) as usize;
        if self.formants[0] == 0.0 {
            self.formants = vowel;
        }
        for at in 0..length {
            let part = at as f64 / length as f64;
            self.time += 1.0 / hz;
            let vibrato = 1.0 + 0.02 * (TAU * 5.5 * self.time).sin() + 0.005 * random(seed);
            self.phase += pitch * vibrato / hz;
            let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
            self.phase %= 1.0;
            // 12 dB down per octave, as of a glottis, 6 dB up at the lips.
            self.glottis = self.glottis * (-TAU * 100.0 / hz).exp() + pulse;
            let breath = 0.02 * random(seed);
            for (formant, to) in self.formants.iter_mut().zip(vowel) {
                *formant += (to - *formant) * 20.0 / hz;
            }
            // Loud within 15 ms, soft at the end.
            let level = (at as f64 / (0.015 * hz)).min(1.0) * ((1.0 - part) / 0.2).min(1.0);
            samples.push((6_000.0 * level * self.through(self.glottis + breath, hz)) as i16);
        }
    }

    fn hiss(&mut self, seed: &mut Seed, hz: f64, samples: &mut Vec<i16>) {
        let length = (hz * (0.07 + 0.03 * random(seed))) as usize;
        let mut last = 0.0;
        for at in 0..length {
            let fresh = random(seed);
            let level = (std::f64::consts::PI * at as f64 / length as f64).sin();
            samples.push((900.0 * level * (fresh - last)) as i16);
            last = fresh;
        }
    }

    fn through(&mut self, source: f64, hz: f64) -> f64 {
        let mut value = source;
        for ((formant, memory), width) in self.formants.iter().zip(&mut self.memory).zip([80.0, 100.0, 130.0]) {
            let radius = (-TAU * width / 2.0 / hz).exp();
            let (b, c) = (2.0 * radius * (TAU * formant / hz).cos(), -radius * radius);
            let out = (1.0 - b - c) * value + b * memory[0] + c * memory[1];
            *memory = [out, memory[0]];
            value = out;
        }
        value
    }
}
