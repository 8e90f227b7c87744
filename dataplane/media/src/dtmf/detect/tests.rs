use std::f64::consts::TAU;

use super::*;
use crate::codec::g711::Law;
use crate::codec::opus::Band;
use crate::dtmf::{Tone, code_of};
use crate::fir::saturate;
use crate::seed::Seed;
use crate::speech::{VOICES, babble, music, noise, prompt, random};

const KEYS: &str = "123A456B789C*0#D";
const MS: usize = 8;

/// How a key is sent: how far its frequencies are off, and the levels of both in dBm0.
#[derive(Clone, Copy, Debug)]
struct Sent {
    key: char,
    off: (f64, f64),
    dbm0: (f64, f64),
}

impl Sent {
    fn new(key: char) -> Sent {
        Sent {
            key,
            off: (0.0, 0.0),
            dbm0: (-12.0, -10.0),
        }
    }

    /// Begins with any phase.
    fn samples(self, seed: &mut Seed, ms: usize) -> Vec<i16> {
        let at = KEYS.find(self.key).expect("a key");
        let low = f64::from(LOW_HZ[at / 4]) * (1.0 + self.off.0);
        let high = f64::from(HIGH_HZ[at % 4]) * (1.0 + self.off.1);
        let phases = [random(seed), random(seed)];
        (0..ms * MS)
            .map(|at| {
                let sine =
                    |hz: f64, dbm0: f64, phase: f64| amplitude(dbm0) * (TAU * (hz * at as f64 / 8000.0 + phase)).sin();
                let both = sine(low, self.dbm0.0, phases[0]) + sine(high, self.dbm0.1, phases[1]);
                saturate(both.round() as i32)
            })
            .collect()
    }
}

fn amplitude(dbm0: f64) -> f64 {
    (2.0 * f64::from(ZERO_DBM0)).sqrt() * 10f64.powf(dbm0 / 20.0)
}

/// What a detector tells of samples that come in packets of any length, after any pause, through a codec.
fn told(seed: &mut Seed, samples: &[i16], law: Law) -> Vec<Key> {
    let mut line = vec![0; 50 * MS + seed.next() as usize % 100];
    line.extend_from_slice(samples);
    line.resize(line.len() + 60 * MS, 0);
    let mut coded = vec![0; line.len()];
    law.encode(&line, &mut coded);
    law.decode(&coded, &mut line);
    let (mut detector, mut told) = (Detector::new(), Vec::new());
    for packet in line.chunks([7, 80, 160, 480][seed.next() as usize % 4]) {
        detector.heard(packet, |key| told.push(key));
    }
    told
}

fn keys(told: &[Key]) -> String {
    told.iter()
        .filter_map(|key| match key {
            Key::Began(key) => Some(*key),
            Key::Ended { .. } => None,
        })
        .collect()
}

#[test]
fn every_key_is_heard_at_the_bounds_of_level_twist_frequency_and_length() {
    let seed = &mut Seed::new(1);
    for key in KEYS.chars() {
        for law in Law::ALL {
            // Low and high group. Both at 0 dBm0 are more than there is room for.
            for dbm0 in [
                (-36.0, -36.0),
                (-28.0, -36.0),
                (-36.0, -32.0),
                (-12.0, -20.0),
                (-14.0, -10.0),
                (-3.0, -3.0),
                (0.0, 0.0),
            ] {
                for off in [
                    (0.0, 0.0),
                    (0.015, 0.015),
                    (0.015, -0.015),
                    (-0.015, 0.015),
                    (-0.015, -0.015),
                ] {
                    let sent = Sent { key, off, dbm0 };
                    let tone = sent.samples(seed, 40);
                    let told = told(seed, &tone, law);
                    let [Key::Began(heard), Key::Ended { ms }] = told[..] else {
                        panic!("{sent:?} {law:?}: {told:?}");
                    };
                    assert_eq!(heard, key, "{sent:?} {law:?}");
                    assert!(ms.abs_diff(40) <= 10, "{sent:?} {law:?}: {ms} ms");
                }
            }
        }
    }
}

#[test]
fn every_key_is_heard_in_noise_of_15_db() {
    let seed = &mut Seed::new(2);
    for _ in 0..40 {
        for key in KEYS.chars() {
            let mut tone = Sent::new(key).samples(seed, 45);
            let power = tone.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / tone.len() as f64;
            // The mean square of what is even between −1 and 1 is a third.
            let hiss = noise(seed, (3.0 * power / 10f64.powf(1.5)).sqrt(), tone.len());
            for (sample, hiss) in tone.iter_mut().zip(hiss) {
                *sample = sample.saturating_add(hiss);
            }
            assert_eq!(keys(&told(seed, &tone, Law::Mu)), key.to_string());
        }
    }
}

#[test]
fn keys_of_40_ms_with_pauses_of_40_are_all_told_in_order() {
    let seed = &mut Seed::new(3);
    let number = "0123456789*#ABCD0011223344556677889911";
    let mut samples = Vec::new();
    for key in number.chars() {
        samples.extend(Sent::new(key).samples(seed, 40));
        samples.resize(samples.len() + 40 * MS, 0);
    }
    assert_eq!(keys(&told(seed, &samples, Law::A)), number);
    // One that gives way to another without a pause ends with it.
    let both = [Sent::new('5').samples(seed, 60), Sent::new('6').samples(seed, 60)].concat();
    let told = told(seed, &both, Law::A);
    assert!(
        matches!(
            told[..],
            [Key::Began('5'), Key::Ended { .. }, Key::Began('6'), Key::Ended { .. }]
        ),
        "{told:?}"
    );
}

#[test]
fn a_key_that_breaks_off_for_10_ms_is_one() {
    let seed = &mut Seed::new(4);
    for key in KEYS.chars() {
        let mut tone = Sent::new(key).samples(seed, 100);
        tone[50 * MS..60 * MS].fill(0);
        let told = told(seed, &tone, Law::Mu);
        let [Key::Began(heard), Key::Ended { ms }] = told[..] else {
            panic!("{told:?}");
        };
        assert!(heard == key && ms.abs_diff(100) <= 10, "{told:?}");
    }
}

#[test]
fn our_own_tones_are_heard_and_for_how_long() {
    let seed = &mut Seed::new(5);
    for key in KEYS.chars() {
        for length in [40, 70, 160, 1_000] {
            let mut samples = vec![0; length * MS];
            let tone = Tone::of(code_of(key).expect("a key")).expect("a tone");
            tone.fill(Band::Narrow, seed.next() as u32, &mut samples);
            let told = told(seed, &samples, Law::Mu);
            let [Key::Began(heard), Key::Ended { ms }] = told[..] else {
                panic!("{key} {length}: {told:?}");
            };
            assert!(
                heard == key && ms.abs_diff(length as u32) <= 5,
                "{key} {length}: {told:?}"
            );
        }
    }
}

#[test]
fn what_is_too_short_too_far_off_too_faint_or_too_twisted_is_no_key() {
    let seed = &mut Seed::new(6);
    let mut none = |what: &str, samples: &[i16]| {
        let told = told(seed, samples, Law::Mu);
        assert_eq!(told, [], "{what}");
    };
    let of = &mut Seed::new(7);
    for key in KEYS.chars() {
        let sent = Sent::new(key);
        for ms in [5, 10, 20, 23] {
            none(&format!("{key}, {ms} ms"), &sent.samples(of, ms));
        }
        for off in [0.035, 0.06, -0.035, -0.05] {
            for off in [(off, 0.0), (0.0, off), (off, off)] {
                none(&format!("{key}, {off:?} off"), &Sent { off, ..sent }.samples(of, 400));
            }
        }
        for dbm0 in [
            (-42.0, -42.0),
            (-10.0, -42.0),
            (-4.0, -16.0),
            (-14.0, -6.0),
            (-99.0, -10.0),
            (-10.0, -99.0),
        ] {
            none(
                &format!("{key}, {dbm0:?} dBm0"),
                &Sent { dbm0, ..sent }.samples(of, 400),
            );
        }
        // A third tone, 4 dB below each.
        let mut three = sent.samples(of, 400);
        for (at, sample) in three.iter_mut().enumerate() {
            let third = amplitude(-12.0) * (TAU * 2_420.0 * at as f64 / 8000.0).sin();
            *sample = sample.saturating_add(third as i16);
        }
        none(&format!("{key} and another tone"), &three);
    }
    for hz in [350.0, 425.0, 440.0, 480.0, 620.0, 1_100.0, 1_400.0, 2_100.0] {
        let tone: Vec<i16> = (0..8_000)
            .map(|at| (amplitude(-10.0) * (TAU * hz * f64::from(at) / 8000.0).sin()) as i16)
            .collect();
        none(&format!("{hz} Hz"), &tone);
    }
}

#[test]
fn no_key_is_heard_in_speech_music_or_noise() {
    let seed = &mut Seed::new(8);
    let mut none = |what: &str, samples: &[i16]| {
        let told = told(seed, samples, Law::Mu);
        assert_eq!(told, [], "{what}");
    };
    for name in VOICES {
        none(name, &prompt(name, Band::Narrow));
    }
    none("music", &music());
    // Ten minutes of twenty voices, and each a third as loud.
    for voice in 0..20 {
        let (mut samples, _) = babble(voice, Band::Narrow, 30);
        none(&format!("voice {voice}"), &samples);
        samples.iter_mut().for_each(|sample| *sample /= 3);
        none(&format!("soft voice {voice}"), &samples);
    }
    for level in [100.0, 1_000.0, 30_000.0] {
        none("noise", &noise(&mut Seed::new(9), level, 60_000 * MS));
    }
}
