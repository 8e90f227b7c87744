use std::ops::Range;

use super::*;
use crate::codec::mean_square;
use crate::resample::Downsampler;
use crate::seed::Seed;
use crate::speech::{VOICES, babble, prompt, random};

/// What is around the voices: nothing, white noise, or that of a room, which falls with frequency. 20 dB below the speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Around {
    Nothing,
    White,
    Room,
}

/// Where speech is, by the clean signal: from where 5 ms are louder than 20 dB below the active level until they are not for 300 ms. (The margin of
/// ITU-T P.56 is 15.9 dB.)
pub(crate) fn spoken(clean: &[i16], band: Band) -> (Vec<Range<usize>>, f64) {
    let part = band.hz() as usize / 200;
    let levels: Vec<f64> = clean.chunks_exact(part).map(|part| mean_square(part).into()).collect();
    let mut active = 0.0;
    for _ in 0..20 {
        let on = levels.iter().filter(|&&level| level > active / 100.0);
        active = on.clone().sum::<f64>() / on.count() as f64;
    }
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in (0..levels.len()).filter(|&at| levels[at] > active / 100.0) {
        match runs.last_mut() {
            Some(run) if at - run.end < 60 => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    let runs = runs.into_iter().map(|run| run.start * part..run.end * part).collect();
    (runs, active)
}

pub(crate) fn hiss(seed: &mut Seed, around: Around, power: f64, samples: usize) -> Vec<i16> {
    let mut last = 0.0;
    let hiss: Vec<f64> = (0..samples)
        .map(|_| {
            last = match around {
                Around::Nothing => 0.0,
                Around::White => random(seed),
                Around::Room => 0.93 * last + random(seed),
            };
            last
        })
        .collect();
    let mean = hiss.iter().map(|hiss| hiss * hiss).sum::<f64>() / samples as f64;
    let factor = (power / mean.max(1e-9)).sqrt();
    hiss.into_iter().map(|hiss| (hiss * factor) as i16).collect()
}

/// When it says that speech began, samples, and how long after that it says so.
fn began(samples: &[i16], band: Band, packet: usize) -> Vec<(f64, f64)> {
    let mut ear = Ear::new(band);
    let mut all = Vec::new();
    for (number, samples) in samples.chunks_exact(packet).enumerate() {
        if let Some(ago) = ear.heard(samples) {
            let ago = ago.as_secs_f64() * f64::from(band.hz());
            all.push((((number + 1) * packet) as f64 - ago, ago));
        }
    }
    all
}

/// Voices of people, and some that are made up.
pub(crate) fn voices(band: Band) -> Vec<Vec<i16>> {
    let people = VOICES.iter().map(|name| prompt(name, band));
    people.chain((0..6).map(|voice| babble(voice, band, 12).0)).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn it_says_when_speech_began_within_60_ms() {
    let seed = &mut Seed::new(1);
    for band in [Band::Narrow, Band::Wide] {
        let ms = band.hz() as usize / 1000;
        for around in [Around::Nothing, Around::White, Around::Room] {
            let (mut errors, mut late) = (Vec::new(), Vec::new());
            for (round, voice) in voices(band)
                .iter()
                .flat_map(|voice| (0..4).map(move |round| (round, voice)))
            {
                let before = vec![0; 800 * ms + 37 * round];
                let mut line = [&before[..], voice, &vec![0; 500 * ms]].concat();
                let (runs, power) = spoken(&line, band);
                for (sample, hiss) in line
                    .iter_mut()
                    .zip(hiss(seed, around, power / 100.0, before.len() * 20))
                {
                    *sample = sample.saturating_add(hiss);
                }
                let said = began(&line, band, [20, 30, 60, 20][round] * ms);
                assert_eq!(said.len(), runs.len(), "{band:?} {around:?}: {said:?} for {runs:?}");
                for ((began, ago), run) in said.into_iter().zip(runs) {
                    errors.push((began - run.start as f64) / ms as f64);
                    late.push(ago / ms as f64);
                }
            }
            let of = |values: &mut Vec<f64>| {
                values.sort_by(f64::total_cmp);
                [0, 5, 50, 95, 100].map(|part| values[(values.len() - 1) * part / 100].round())
            };
            let (all, late) = (of(&mut errors), of(&mut late));
            println!(
                "{band:?} {around:?}, {} words, 0/5/50/95/100 %: off by {all:?} ms, told {late:?} ms after",
                errors.len()
            );
            assert!(
                errors.iter().all(|off| off.abs() <= 60.0),
                "{band:?} {around:?}: {all:?}"
            );
        }
    }
}

#[test]
fn who_speaks_from_the_first_sample_on_began_there() {
    for band in [Band::Narrow, Band::Wide] {
        let ms = band.hz() as usize / 1000;
        for voice in voices(band) {
            let (runs, _) = spoken(&voice, band);
            let said = began(&voice[runs[0].start..], band, 20 * ms);
            assert!(said[0].0 <= 60.0 * ms as f64, "{band:?}: {:?}", said[0]);
        }
    }
}

#[test]
fn a_breath_before_a_word_is_no_part_of_it_and_a_noise_moves_it_by_little() {
    let seed = &mut Seed::new(3);
    for band in [Band::Narrow, Band::Wide] {
        let ms = band.hz() as usize / 1000;
        for voice in voices(band) {
            let (runs, _) = spoken(&voice, band);
            // At −47 dBm0, and at −36.
            for (root_mean_square, bound) in [(70.0f64, 60), (250.0, 120)] {
                let before = hiss(seed, Around::White, root_mean_square.powi(2), 300 * ms);
                let line = [&vec![0; 800 * ms][..], &before, &voice[runs[0].start..]].concat();
                let off = began(&line, band, 20 * ms)[0].0 / ms as f64 - 1_100.0;
                assert!(off.abs() <= f64::from(bound), "{band:?} {root_mean_square}: {off} ms");
            }
        }
    }
}

#[test]
fn noise_up_to_24_below_full_level_is_no_speech_not_even_as_it_sets_in() {
    let seed = &mut Seed::new(2);
    for band in [Band::Narrow, Band::Wide] {
        let second = band.hz() as usize;
        for around in [Around::White, Around::Room] {
            for root_mean_square in [0.0, 16.0, 30.0, 100.0, 300.0, 1_000.0f64] {
                for seconds in [0, 1, 3] {
                    let noise = hiss(seed, around, root_mean_square.powi(2), 10 * second);
                    let line = [vec![0; seconds * second], noise].concat();
                    let said = began(&line, band, second / 50);
                    assert_eq!(said, [], "{band:?} {around:?} {root_mean_square} after {seconds} s");
                }
            }
        }
    }
}

#[test]
fn it_knows_whether_somebody_is_speaking() {
    let voice = babble(1, Band::Wide, 12);
    let mut ear = Ear::new(Band::Wide);
    for (number, samples) in voice.0.chunks_exact(320).enumerate() {
        ear.heard(samples);
        let at = (number + 1) * 320;
        let within = voice
            .1
            .iter()
            .any(|phrase| phrase.start + 3_200 <= at && at <= phrase.end);
        let beside = voice
            .1
            .iter()
            .all(|phrase| at <= phrase.start || at > phrase.end + 8_000);
        assert!(!within || ear.is_speech(), "{at}");
        assert!(!beside || !ear.is_speech(), "{at}");
    }
}

#[test]
fn after_a_reset_it_has_heard_nothing() {
    let voice = prompt("human-hello", Band::Narrow);
    let (mut ear, mut fresh) = (Ear::new(Band::Narrow), Ear::new(Band::Narrow));
    for samples in voice.chunks(77) {
        ear.heard(samples);
    }
    assert!(ear.is_speech());
    ear.reset();
    assert!(!ear.is_speech());
    for samples in voice.chunks(160) {
        assert_eq!(ear.heard(samples), fresh.heard(samples));
    }
    assert_eq!(ear.heard(&[]), None);
}

#[test]
fn an_ear_has_10_kb() {
    assert!(size_of::<Ear>() <= 10_240, "{}", size_of::<Ear>());
}

/// A line of 16 kHz says the same as one of 8.
#[test]
fn the_band_makes_no_difference() {
    for name in VOICES {
        let wide = [vec![0; 8_000], prompt(name, Band::Wide)].concat();
        let mut narrow = vec![0; wide.len() / 2];
        Downsampler::new().process(&wide, &mut narrow);
        let (wide, narrow) = (began(&wide, Band::Wide, 320), began(&narrow, Band::Narrow, 160));
        assert!(
            (wide[0].0 / 2.0 - narrow[0].0).abs() <= 80.0,
            "{name}: {wide:?} {narrow:?}"
        );
    }
}
